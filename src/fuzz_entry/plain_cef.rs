//! A plain reader of CEF lines, written for clarity from the rules of content and nothing else: what the parser is compared
//! with, by the fuzz target `cef` and by a property test.
//!
//! It allocates for everything, looks at a line again and again, and knows two activities. It is not used by the agent.

use std::collections::BTreeMap;

/// What a line says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlainLine {
    /// The activity.
    pub activity: String,
    /// The header's text; empty in the form that names a category first.
    pub text: String,
    /// Values by key, decoded; one that is empty or `-` is not there.
    pub values: BTreeMap<String, String>,
    /// Names that are in no list and ended a value.
    pub unknown_keys: u64,
    /// Who, where or when was found behind the free text only.
    pub identity_after_free_text: bool,
}

/// What the reader must be told of the vendor.
pub struct PlainVendor<'a> {
    /// The vendor of the header.
    pub vendor: &'a str,
    /// All keys.
    pub keys: Vec<&'a str>,
    /// The key of free text, which only some keys end.
    pub free_text: &'a str,
    /// The key of a text that no unknown name ends.
    pub verbatim: &'a str,
    /// The key of the time.
    pub time: &'a str,
    /// Keys that say who, where and when.
    pub identity: [&'a str; 3],
    /// Activities, with the keys that end free text in their lines.
    pub activities: Vec<(&'a str, Vec<&'a str>)>,
    /// Beginnings of keys that always end free text.
    pub end_prefixes: [&'a str; 3],
}

impl PlainVendor<'_> {
    /// Reads a line that begins with `CEF:`. `None` when it is no line of one of the activities.
    pub fn read(&self, line: &str) -> Option<PlainLine> {
        let (header, escaped) = header(line)?;
        let [_, vendor, _, _, first, second, _, extension] = &header;
        if vendor.trim_ascii() != self.vendor {
            return None;
        }
        let known = |name: &str| self.activities.iter().find(|(a, _)| *a == name.trim_ascii());
        let (activity, ends, text) = match (known(first), known(second)) {
            (Some((activity, ends)), _) => (activity, ends, second.as_str()),
            (None, Some((activity, ends))) => (activity, ends, ""),
            (None, None) => return None,
        };
        let text = text.trim_ascii();
        let mut out = PlainLine {
            activity: (*activity).to_owned(),
            text: if escaped { unescape(text, true) } else { text.to_owned() },
            ..PlainLine::default()
        };
        self.extension(extension, ends, &mut out);
        Some(out)
    }

    fn extension(&self, text: &str, ends: &[&str], out: &mut PlainLine) {
        // The key whose value is being passed (`None` before the first and after an unknown one), and where it begins.
        let (mut open, mut from): (Option<&str>, usize) = (None, 0);
        let mut seen: Vec<&str> = Vec::new();
        for (equals, _) in text.match_indices('=') {
            let Some(passed) = text.get(from..equals) else { continue };
            // Blanks are tolerated before `=`. A name stands behind a blank, the first one also at the beginning.
            let before = passed.trim_end_matches(' ');
            let name = match before.rfind(' ') {
                Some(blank) => before.get(blank + 1..).unwrap_or_default(),
                None if from == 0 => before,
                None => continue,
            };
            let begins = from + before.len() - name.len();
            let in_free_text = open == Some(self.free_text);
            let key = self.keys.iter().find(|k| **k == name);
            if let Some(key) = key {
                let may_end = !in_free_text
                    || ends.contains(key)
                    || self.end_prefixes.iter().any(|prefix| key.starts_with(prefix));
                // `start= auto` in a command line is no time.
                let is_time = *key != self.time || is_epoch(text.get(equals + 1..).unwrap_or_default());
                if seen.contains(key) || !may_end || !is_time {
                    continue;
                }
                out.identity_after_free_text |= seen.contains(&self.free_text) && self.identity.contains(key);
                seen.push(key);
            } else if in_free_text || open == Some(self.verbatim) || !looks_like_a_key(name) {
                continue;
            } else {
                out.unknown_keys += 1;
            }
            keep(open, text.get(from..begins).unwrap_or_default(), out);
            open = key.copied();
            from = equals + 1;
        }
        keep(open, text.get(from..).unwrap_or_default(), out);
    }
}

fn keep(key: Option<&str>, value: &str, out: &mut PlainLine) {
    let value = unescape(value.trim_ascii(), false);
    if let Some(key) = key
        && !value.is_empty()
        && value != "-"
    {
        out.values.insert(key.to_owned(), value);
    }
}

/// The seven fields of the header and the extension, and whether backslashes were escapes.
fn header(line: &str) -> Option<([String; 8], bool)> {
    let (escaped, literal) = (split(line, true), split(line, false));
    let good = |fields: &Option<[String; 8]>| fields.as_ref().is_some_and(|f| is_severity(&f[6]));
    if !good(&escaped) && good(&literal) { literal.map(|f| (f, false)) } else { escaped.map(|f| (f, true)) }
}

/// Cuts at the first seven `|`. With `escaped`, one behind an odd number of backslashes is none.
fn split(line: &str, escaped: bool) -> Option<[String; 8]> {
    let mut fields: Vec<String> = vec![String::new()];
    for c in line.chars() {
        let last = fields.last_mut()?;
        let hidden = escaped && last.chars().rev().take_while(|c| *c == '\\').count() % 2 == 1;
        if c == '|' && !hidden && fields.len() < 8 { fields.push(String::new()) } else { fields.last_mut()?.push(c) }
    }
    fields.try_into().ok()
}

fn is_severity(text: &str) -> bool {
    let text = text.trim_ascii();
    let word = ["unknown", "low", "medium", "high", "very-high"].contains(&&*text.to_ascii_lowercase());
    word || (!text.is_empty() && text.chars().all(|c| c.is_ascii_digit()))
}

/// Ten or thirteen digits that stand alone.
fn is_epoch(text: &str) -> bool {
    let word = text.trim_ascii_start().split(|c: char| c.is_ascii_whitespace()).next().unwrap_or_default();
    matches!(word.len(), 10 | 13) && word.chars().all(|c| c.is_ascii_digit())
}

/// `Word_Word`, capitals first, of at most 64 bytes.
fn looks_like_a_key(name: &str) -> bool {
    let word =
        |w: &str| w.starts_with(|c: char| c.is_ascii_uppercase()) && w.chars().all(|c| c.is_ascii_alphanumeric());
    name.contains('_') && name.len() <= 64 && name.split('_').all(word)
}

/// `\=` is `=`, in headers `\|` is `|`. `\\` is `\` only in a text in which every run of backslashes is of even length (the
/// one before `=` or `|` does not count): a producer that escapes doubles them all.
fn unescape(text: &str, pipes: bool) -> String {
    let escapes = |next: Option<&char>| next == Some(&'=') || next == Some(&'|');
    let chars: Vec<char> = text.chars().collect();
    // Runs of backslashes: where, how long, how many of them count.
    let mut runs = Vec::new();
    let mut at = 0;
    while at < chars.len() {
        let len = chars.iter().skip(at).take_while(|c| **c == '\\').count();
        if len > 0 {
            runs.push((at, len, len - usize::from(escapes(chars.get(at + len)))));
        }
        at += len.max(1);
    }
    let doubled = runs.iter().all(|(.., counted)| counted % 2 == 0);
    let mut out = String::new();
    let mut at = 0;
    while let Some(c) = chars.get(at) {
        let Some((_, len, counted)) = runs.iter().find(|(from, ..)| *from == at) else {
            out.push(*c);
            at += 1;
            continue;
        };
        let next = chars.get(at + len);
        out.extend(std::iter::repeat_n('\\', if doubled { counted / 2 } else { *counted }));
        let decoded = next == Some(&'=') || (pipes && next == Some(&'|'));
        if !decoded && len != counted {
            out.push('\\');
        }
        at += len;
    }
    out
}

/// The name in `[DOMAIN\]name`, and its domain.
pub fn account(text: &str) -> (String, String) {
    let something = |text: &str| if text == "-" { String::new() } else { text.to_owned() };
    match text.rsplit_once('\\') {
        None => (something(text), String::new()),
        Some((domain, name)) => (something(name), something(domain.trim_end_matches('\\'))),
    }
}
