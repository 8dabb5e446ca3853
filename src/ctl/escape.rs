//! Text from a log on its way to a terminal or a spreadsheet: nothing in it may act.
//!
//! Control characters, bidirectional overrides and invisible characters are shown as escapes. Backslashes stay as they
//! are, since paths are full of them: the result is for people, not for reading back.

use std::borrow::Cow;
use std::fmt::Write;

/// Text that a terminal shows as it is.
pub fn for_terminal(text: &str) -> Cow<'_, str> {
    if !text.chars().any(acts) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '\n' => shown.push_str("\\n"),
            '\r' => shown.push_str("\\r"),
            '\t' => shown.push_str("\\t"),
            c if acts(c) && (c as u32) < 0x100 => {
                let _ = write!(shown, "\\x{:02x}", c as u32);
            }
            c if acts(c) => {
                let _ = write!(shown, "\\u{{{:x}}}", c as u32);
            }
            c => shown.push(c),
        }
    }
    Cow::Owned(shown)
}

/// The same for a cell of CSV; a text that a spreadsheet would take for a formula gets an apostrophe in front.
pub fn for_csv(text: &str) -> String {
    let shown = for_terminal(text);
    let number = shown.parse::<f64>().is_ok();
    let formula = shown.starts_with(['=', '+', '-', '@']) && !number;
    let shown = if formula { format!("'{shown}") } else { shown.into_owned() };
    if shown.contains([',', '"', ' ']) { format!("\"{}\"", shown.replace('"', "\"\"")) } else { shown }
}

/// JSON text with everything that acts on a terminal as `\u` escapes: the same data, safe to look at. Such characters
/// stand inside strings only, and what is below U+0020 is escaped already.
pub fn for_json(json: &str) -> Cow<'_, str> {
    let acting = |c: char| c != '\n' && acts(c);
    if !json.chars().any(acting) {
        return Cow::Borrowed(json);
    }
    let mut shown = String::with_capacity(json.len() + 16);
    for c in json.chars() {
        if acting(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(shown, "\\u{unit:04x}");
            }
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

/// Whether a character does something other than being shown: C0, DEL, C1, line separators, bidirectional controls, and
/// characters without a width that hide differences between names.
fn acts(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_acts_reaches_a_terminal() {
        for (hostile, shown) in [
            ("C:\\new\\tmp", "C:\\new\\tmp"),
            ("größer 日本", "größer 日本"),
            ("\u{1b}[2J\u{7}", "\\x1b[2J\\x07"),
            ("a\r\nb\tc", "a\\r\\nb\\tc"),
            ("\u{9b}31m\u{7f}\u{85}", "\\x9b31m\\x7f\\x85"),
            ("x\u{202e}fdp.exe", "x\\u{202e}fdp.exe"),
            ("a\u{200b}b\u{2066}\u{feff}\u{e0041}", "a\\u{200b}b\\u{2066}\\u{feff}\\u{e0041}"),
        ] {
            assert_eq!(for_terminal(hostile), shown);
        }
    }

    #[test]
    fn a_cell_is_never_a_formula_and_always_one_cell() {
        for (text, cell) in [
            ("=cmd|' /C calc'!A0", "\"'=cmd|' /C calc'!A0\""),
            ("@x", "'@x"),
            ("-5", "-5"),
            ("-5+1", "'-5+1"),
            ("say \"a,b\"", "\"say \"\"a,b\"\"\""),
            ("plain", "plain"),
            ("two\nlines", "two\\nlines"),
        ] {
            assert_eq!(for_csv(text), cell);
        }
    }

    #[test]
    fn json_keeps_its_data_and_acts_on_nothing() {
        let hostile = "\u{1b}[2J \u{9b}31m \u{202e} \u{e0041} \\ \" ok";
        let json = serde_json::to_string(hostile).unwrap();
        let shown = for_json(&json);
        assert!(shown.is_ascii(), "{shown}");
        assert_eq!(serde_json::from_str::<String>(&shown).unwrap(), hostile);
    }
}
