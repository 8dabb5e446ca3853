//! Backslashes: what is an escape and what is a Windows path.
//!
//! A producer that escapes doubles every backslash, so in its text every run of them is even; one odd run shows that the
//! backslashes are meant as they stand. `\n` and `\r` are never decoded: `CORP\nancy` is a user.

use crate::swar::{Positions, positions};

/// Decodes `\=`, with `pipes` also `\|`, and `\\` where the whole text is escaped. Appends to `out` and says so; when the
/// text means what it says, `out` is left alone and the answer is `false`.
pub(super) fn unescape(text: &[u8], pipes: bool, out: &mut Vec<u8>) -> bool {
    let suspicious = |at: usize| match text.get(at + 1) {
        Some(b'\\' | b'=') => true,
        Some(b'|') => pipes,
        _ => false,
    };
    if !positions(text, b'\\').any(suspicious) {
        return false;
    }
    let counted = |run: &Run| run.len - usize::from(matches!(run.next, Some(b'=' | b'|')));
    let decodes = |run: &Run| run.next == Some(b'=') || (pipes && run.next == Some(b'|'));
    let (mut all_even, mut any_counted, mut any_decodes) = (true, false, false);
    for run in Runs::of(text) {
        all_even &= counted(&run) % 2 == 0;
        any_counted |= counted(&run) > 0;
        any_decodes |= decodes(&run);
    }
    let collapse = all_even && any_counted;
    if !collapse && !any_decodes {
        return false;
    }
    let mut done = 0;
    for run in Runs::of(text) {
        out.extend_from_slice(text.get(done..run.from).unwrap_or_default());
        let kept = if collapse { counted(&run) / 2 } else { counted(&run) };
        let kept = kept + (run.len - counted(&run)) * usize::from(!decodes(&run));
        out.resize(out.len() + kept, b'\\');
        done = run.from + run.len;
    }
    out.extend_from_slice(text.get(done..).unwrap_or_default());
    true
}

/// Decodes the inside of a JSON string, by the same law: `\\` is one backslash only where all runs are even. Control
/// escapes stay as they are.
pub(super) fn unescape_json(text: &[u8], out: &mut Vec<u8>) {
    let runs = || Runs::of(text);
    let escapes = |run: &Run| {
        let unicode = || run.next == Some(b'u') && hex4(text, run.from + run.len + 1).is_some();
        run.len % 2 == 1 && (matches!(run.next, Some(b'"' | b'/')) || unicode())
    };
    let counted = |run: &Run| run.len - usize::from(escapes(run));
    let collapse = runs().all(|r| counted(&r) % 2 == 0);
    let mut done = 0;
    for run in runs() {
        if run.from < done {
            continue; // the second half of a pair
        }
        out.extend_from_slice(text.get(done..run.from).unwrap_or_default());
        let kept = if collapse { counted(&run) / 2 } else { counted(&run) };
        out.resize(out.len() + kept, b'\\');
        done = run.from + run.len;
        if !escapes(&run) {
            continue;
        }
        if run.next == Some(b'u') {
            if collapse {
                done = push_unicode(text, done + 1, out);
            } else {
                out.push(b'\\');
            }
        }
    }
    out.extend_from_slice(text.get(done..).unwrap_or_default());
}

/// A run of backslashes and the byte after it.
struct Run {
    from: usize,
    len: usize,
    next: Option<u8>,
}

/// The runs of backslashes in a text.
struct Runs<'t> {
    text: &'t [u8],
    backslashes: Positions<'t>,
    /// The first backslash behind the last run.
    next: Option<usize>,
}

impl<'t> Runs<'t> {
    fn of(text: &'t [u8]) -> Runs<'t> {
        let mut backslashes = positions(text, b'\\');
        let next = backslashes.next();
        Runs { text, backslashes, next }
    }
}

impl Iterator for Runs<'_> {
    type Item = Run;

    fn next(&mut self) -> Option<Run> {
        let from = self.next?;
        let mut to = from;
        while self.next == Some(to) {
            to += 1;
            self.next = self.backslashes.next();
        }
        Some(Run { from, len: to - from, next: self.text.get(to).copied() })
    }
}

fn hex4(text: &[u8], at: usize) -> Option<u16> {
    let digits = std::str::from_utf8(text.get(at..at + 4)?).ok()?;
    if digits.starts_with('+') { None } else { u16::from_str_radix(digits, 16).ok() }
}

/// Appends the character whose four digits begin at `at`, with the second half of a pair if there is one; returns
/// where the text goes on.
fn push_unicode(text: &[u8], at: usize, out: &mut Vec<u8>) -> usize {
    let Some(first) = hex4(text, at) else { return at };
    let second = if text.get(at + 4..at + 6) == Some(b"\\u") { hex4(text, at + 6) } else { None };
    let low_half = second.filter(|s| (0xdc00..0xe000).contains(s) && (0xd800..0xdc00).contains(&first));
    let units = [first, low_half.unwrap_or(0)];
    let used = units.iter().copied().take(1 + usize::from(low_half.is_some()));
    for c in char::decode_utf16(used) {
        let c = c.unwrap_or(char::REPLACEMENT_CHARACTER);
        out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
    }
    if low_half.is_some() { at + 10 } else { at + 4 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cef(text: &str, pipes: bool) -> String {
        let mut out = Vec::new();
        if unescape(text.as_bytes(), pipes, &mut out) { String::from_utf8(out).unwrap() } else { text.into() }
    }

    #[test]
    fn backslashes_are_halved_only_where_all_runs_are_even() {
        for (text, meant) in [
            (r"C:\Users\jdoe", r"C:\Users\jdoe"),
            (r"C:\\Users\\jdoe", r"C:\Users\jdoe"),
            (r"\\\\server\\share", r"\\server\share"),
            (r"\\server\share", r"\\server\share"),
            (r"C:\\Users\jdoe", r"C:\\Users\jdoe"),
            (r"CORP\nancy \r\n", r"CORP\nancy \r\n"),
            (r"a\=b", "a=b"),
            (r"C:\dir a\=b", r"C:\dir a=b"),
            (r"C:\\dir a\=b", r"C:\dir a=b"),
            (r"C:\\dir\\\=b", r"C:\dir\=b"),
            (r"C:\dir\\=b", r"C:\dir\=b"),
            (r"C:\\dir a\|b", r"C:\dir a\|b"),
            (r"a\|b", r"a\|b"),
            (r"end\", r"end\"),
            (r"end\\", r"end\"),
            (r"\", r"\"),
            ("", ""),
        ] {
            assert_eq!(cef(text, false), meant, "{text}");
        }
    }

    #[test]
    fn pipes_are_decoded_in_the_header_only() {
        assert_eq!(cef(r"C:\d\a\|b", true), r"C:\d\a|b");
        assert_eq!(cef(r"C:\\d\\a\|b", true), r"C:\d\a|b");
    }

    #[test]
    fn json_strings_keep_windows_paths_and_decode_characters() {
        for (text, meant) in [
            (r"C:\\Program Files\\x.exe", r"C:\Program Files\x.exe"),
            (r"C:\new\run.exe", r"C:\new\run.exe"),
            (r#"say \"hi\" \/ there"#, r#"say "hi" / there"#),
            (r"caf\u00e9 \ud83d\ude00 \ud83dx", "caf\u{e9} \u{1f600} \u{fffd}x"),
            (r"C:\temp\u0041", r"C:\temp\u0041"),
            (r"\\\\srv\\u0041", r"\\srv\u0041"),
            (r"\u00e9", "\u{e9}"),
            (r"\ud83d\u0041", "\u{fffd}A"),
        ] {
            let mut out = Vec::new();
            unescape_json(text.as_bytes(), &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), meant, "{text}");
        }
    }
}
