//! A small CEF parser written from the format's description, which shares nothing with the agent's: what a receiver reads.

use std::collections::BTreeMap;

/// What a CEF line says.
#[derive(Debug)]
pub struct Cef {
    /// Vendor, product, version, class, name, severity.
    pub header: Vec<String>,
    /// The extension.
    pub pairs: BTreeMap<String, String>,
}

/// Reads one line that begins with `CEF:0|`; panics on what a strict receiver refuses.
pub fn parse(line: &str) -> Cef {
    let rest = line.strip_prefix("CEF:0|").unwrap_or_else(|| panic!("not CEF: {line}"));
    let (mut header, mut field, mut chars) = (Vec::new(), String::new(), rest.char_indices());
    let mut extension = "";
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some((_, c @ ('\\' | '|'))) => field.push(c),
                other => panic!("a header escape {other:?}: {line}"),
            },
            '|' => {
                header.push(std::mem::take(&mut field));
                if header.len() == 6 {
                    extension = &rest[at + 1..];
                    break;
                }
            }
            c => field.push(c),
        }
    }
    assert_eq!(header.len(), 6, "seven fields of a header: {line}");
    Cef { header, pairs: pairs(extension) }
}

/// A key is the word before an unescaped `=`; a value goes on to the blank before the next key.
fn pairs(extension: &str) -> BTreeMap<String, String> {
    let bytes = extension.as_bytes();
    let (mut equals, mut escaped) = (Vec::new(), false);
    for (at, b) in bytes.iter().enumerate() {
        match b {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'=' => equals.push(at),
            _ => {}
        }
    }
    let key_start = |at: usize| extension[..at].rfind(' ').map_or(0, |blank| blank + 1);
    let mut out = BTreeMap::new();
    for (i, at) in equals.iter().enumerate() {
        let key = &extension[key_start(*at)..*at];
        assert!(!key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric()), "the key {key:?} in {extension}");
        let end = equals.get(i + 1).map_or(extension.len(), |next| key_start(*next).saturating_sub(1));
        let before = out.insert(key.to_owned(), value(&extension[at + 1..end]));
        assert_eq!(before, None, "{key} stands twice in {extension}");
    }
    out
}

fn value(text: &str) -> String {
    let (mut out, mut chars) = (String::new(), text.chars());
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('n') => out.push('\n'),
                Some('r') => out.push('\r'),
                Some(c @ ('\\' | '=')) => out.push(c),
                // The agent shows what must not appear as itself as `\x1b` or `\u{202e}`.
                Some(c @ ('x' | 'u')) => out.extend(['\\', c]),
                other => panic!("an extension escape {other:?}: {text}"),
            },
            c => out.push(c),
        }
    }
    out
}

#[test]
fn a_receiver_reads_what_was_meant() {
    let cef = parse("CEF:0|a|b|1|x\\|y|n\\\\|3|externalId=7 msg=a\\=b c\\\\d request=https://x/?q\\=1 cs1=\\n end");
    assert_eq!(cef.header[3..], ["x|y", "n\\", "3"]);
    let pairs: Vec<(&str, &str)> = cef.pairs.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    assert_eq!(pairs, [("cs1", "\n end"), ("externalId", "7"), ("msg", "a=b c\\d"), ("request", "https://x/?q=1")]);
}
