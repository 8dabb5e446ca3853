//! Text from a log made safe for a line of output: one line stays one line, and nothing in it can drive a terminal or
//! reorder what is read.
//!
//! Escaping is done here and once, when an alert is rendered; stored alerts keep the text as it was.

use std::fmt::Write;

/// Whether a character must never appear as itself: C0, DEL, C1, the Unicode line ends, and the invisible characters that
/// change the direction or hide parts of a text.
pub fn is_deceptive(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}'
            | '\u{2066}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Appends a deceptive character as visible text: `\x1b` up to U+00FF, `\u{202e}` beyond.
pub fn push_visible(out: &mut String, c: char) {
    // Writing to a `String` cannot fail.
    let _ = match u32::from(c) {
        n @ 0..=0xff => write!(out, "\\x{n:02x}"),
        n => write!(out, "\\u{{{n:04x}}}"),
    };
}

/// Escapes what JSON text may hold raw but a terminal should not see, as `\uXXXX`. `json` is JSON as serde_json writes it,
/// in which such characters occur inside of strings alone.
pub fn harden_json(json: String) -> String {
    // Nearly every line is printable ASCII, which is told without reading it letter by letter.
    let is_printable = json.bytes().fold(true, |all, b| all & (b' '..=b'~').contains(&b));
    if is_printable || !json.chars().any(is_deceptive) {
        return json;
    }
    let mut out = String::with_capacity(json.len() + 16);
    for c in json.chars() {
        if is_deceptive(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(out, "\\u{unit:04x}");
            }
        } else {
            out.push(c);
        }
    }
    out
}

/// A value of a CEF extension in at most `limit` bytes: `\`, `=` and line ends escaped as CEF wants it, deceptive characters
/// visible. Says whether it had to be cut; a cut value ends in `…`.
pub fn cef_extension(value: &str, limit: usize) -> (String, bool) {
    let mut out = String::with_capacity(value.len().min(limit));
    // Where to cut, should the rest not fit.
    let mut cut = 0;
    for c in value.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '=' => out.push_str("\\="),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            c if is_deceptive(c) => push_visible(&mut out, c),
            c => out.push(c),
        }
        if out.len() > limit {
            out.truncate(cut);
            out.push('…');
            return (out, true);
        }
        if out.len() + '…'.len_utf8() <= limit {
            cut = out.len();
        }
    }
    (out, false)
}

/// A field of a CEF header: `\` and `|` escaped, line ends as blanks, deceptive characters visible.
pub fn cef_header(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for c in value.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '|' => out.push_str("\\|"),
            '\n' | '\r' => out.push(' '),
            c if is_deceptive(c) => push_visible(&mut out, c),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn header_and_extension_escape_what_their_own_syntax_needs() {
        for (text, header, extension) in [
            ("a|b", "a\\|b", "a|b"),
            ("a=b", "a=b", "a\\=b"),
            ("C:\\new", "C:\\\\new", "C:\\\\new"),
            ("a\nb\r\nc", "a b  c", "a\\nb\\r\\nc"),
            ("\u{1b}[2J\0", "\\x1b[2J\\x00", "\\x1b[2J\\x00"),
            ("\u{9b}\u{7f}", "\\x9b\\x7f", "\\x9b\\x7f"),
            ("a\u{202e}b\u{2028}", "a\\u{202e}b\\u{2028}", "a\\u{202e}b\\u{2028}"),
            ("größe 日本", "größe 日本", "größe 日本"),
        ] {
            assert_eq!(cef_header(text), header);
            assert_eq!(cef_extension(text, 4000), (extension.to_owned(), false));
        }
    }

    #[test]
    fn a_cut_never_splits_an_escape_or_a_character() {
        for (text, limit, wanted) in
            [("aaaa=b", 6, "aaa…"), ("ab====", 6, "ab…"), ("日本語", 7, "日…"), ("abc", 3, "abc"), ("abcd", 3, "…")]
        {
            assert_eq!(cef_extension(text, limit).0, wanted, "{text} in {limit}");
        }
    }

    #[test]
    fn json_keeps_its_meaning_while_deceptive_characters_become_escapes() {
        let value = "a\u{85}\u{7f}\u{2028}\u{202e}\u{e0041}é\n";
        let json = harden_json(serde_json::to_string(value).unwrap());
        assert_eq!(json, "\"a\\u0085\\u007f\\u2028\\u202e\\udb40\\udc41é\\n\"");
        assert_eq!(serde_json::from_str::<String>(&json).unwrap(), value);
    }

    proptest! {
        #![proptest_config(crate::effort::cases())]
        #[test]
        fn nothing_deceptive_leaves_and_limits_hold(text in any::<String>(), limit in 3usize..64) {
            let (out, cut) = cef_extension(&text, limit);
            prop_assert!(out.len() <= limit);
            prop_assert!(!out.chars().any(is_deceptive));
            prop_assert!(!out.replace("\\\\", "").replace("\\=", "").contains('='));
            prop_assert_eq!(cut, cef_extension(&text, usize::MAX).0.len() > limit);
            prop_assert!(!cef_header(&text).chars().any(is_deceptive));
            let json = harden_json(serde_json::to_string(&text).unwrap());
            prop_assert!(!json.chars().any(is_deceptive));
            prop_assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
        }
    }
}
