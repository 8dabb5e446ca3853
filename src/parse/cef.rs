//! CEF lines up to the extension: the prefix of a syslog daemon, and the header in its two forms.
//!
//! This file finds positions; it decodes nothing and knows no names.

use super::blocks::{BLOCK, blocks};
use super::scratch::Scratch;
use crate::event::Reject;
use memchr::{memchr, memchr_iter};

/// The fields of a header that matter: offsets within the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// The vendor.
    pub vendor: (usize, usize),
    /// The activity (form A) or its category (form B).
    pub first: (usize, usize),
    /// The text (form A) or the activity (form B).
    pub second: (usize, usize),
    /// Where the extension begins.
    pub extension: usize,
    /// Whether some backslash may be an escape.
    pub escaped: bool,
}

/// How far into a line `CEF:` is looked for behind a syslog header.
const LONGEST_PREFIX: usize = 1024;
/// Header prefixes up to this length are remembered.
const LONGEST_CACHED: usize = 128;
const BOM: &[u8] = b"\xef\xbb\xbf";

/// Where `CEF:` begins: at once, or behind a byte order mark or a syslog header.
#[inline]
pub(super) fn find_start(line: &[u8]) -> Option<usize> {
    if line.starts_with(b"CEF:") { Some(0) } else { find_behind_prefix(line) }
}

fn find_behind_prefix(line: &[u8]) -> Option<usize> {
    let head = line.get(..line.len().min(LONGEST_PREFIX))?;
    let bom = if head.starts_with(BOM) { BOM.len() } else { 0 };
    let rest = head.get(bom..)?;
    if rest.starts_with(b"CEF:") {
        return Some(bom);
    }
    if !is_syslog(rest) {
        return None;
    }
    let version = |at: usize| {
        let digits = rest.get(at + 4..)?.iter().take_while(|b| b.is_ascii_digit()).count();
        (digits > 0 && rest.get(at + 4 + digits) == Some(&b'|')).then_some(bom + at)
    };
    let stands_alone = |at: &usize| rest.get(..*at).is_some_and(|b| b.ends_with(b" ") || b.ends_with(BOM));
    // A search for all four bytes would have to be prepared first; there are few capital letters in such a prefix.
    let mark = |at: &usize| rest.get(*at..).is_some_and(|there| there.starts_with(b"CEF:"));
    memchr_iter(b'C', rest).filter(mark).filter(stands_alone).find_map(version)
}

/// Whether a line begins as syslog lines do: `<134>`, `Oct 18 14:38:11 ` or `2021-02-03T…`.
fn is_syslog(line: &[u8]) -> bool {
    let digits = |from: usize, to: usize| line.get(from..to).is_some_and(|d| d.iter().all(u8::is_ascii_digit));
    if line.first() == Some(&b'<') {
        let len = line.iter().skip(1).take(4).take_while(|b| b.is_ascii_digit()).count();
        return (1..=3).contains(&len) && line.get(len + 1) == Some(&b'>');
    }
    let month = line.get(..3).is_some_and(|m| m.iter().all(u8::is_ascii_alphabetic));
    let clock = month && line.get(3) == Some(&b' ') && line.get(9) == Some(&b':') && line.get(12) == Some(&b':');
    clock || (digits(0, 4) && line.get(4) == Some(&b'-') && digits(5, 7) && line.get(10) == Some(&b'T'))
}

/// Cuts the header of a line whose `CEF:` is at `start`.
///
/// # Errors
/// [`Reject::BadHeader`]: fewer than seven delimiters.
#[inline]
pub(super) fn read_header(line: &[u8], start: usize, scratch: &mut Scratch) -> Result<Header, Reject> {
    match split_plain(line, start, scratch) {
        Some(header) => Ok(header),
        None => read_escaped(line, start, scratch),
    }
}

/// A header whose backslashes stand for themselves: nearly all. `None` for one that has to be read with more care.
#[inline]
fn split_plain(line: &[u8], start: usize, scratch: &mut Scratch) -> Option<Header> {
    let (vendor, first) = prefix(line, start, true, scratch)?;
    let (mut ends, mut found) = ([0; 3], 0);
    let (mut base, mut after_backslash) = (first, 0);
    for block in blocks(line.get(first..)?) {
        let (mut pipes, backslashes) = (block.mask(b'|'), block.mask(b'\\'));
        let suspects = (backslashes << 1 | after_backslash) & (backslashes | pipes | block.mask(b'='));
        after_backslash = backslashes >> 63;
        while pipes != 0 {
            let bit = pipes.trailing_zeros();
            pipes &= pipes - 1;
            *ends.get_mut(found)? = base + bit as usize;
            found += 1;
            if found == ends.len() {
                let [a, b, c] = ends;
                let is_plain = suspects & (u64::MAX >> (63 - bit)) == 0 && is_severity(line.get(b + 1..c)?);
                let header = Header { vendor, first: (first, a), second: (a + 1, b), extension: c + 1, escaped: false };
                return is_plain.then_some(header);
            }
        }
        if suspects != 0 {
            return None;
        }
        base += BLOCK;
    }
    None
}

#[cold]
#[inline(never)]
fn read_escaped(line: &[u8], start: usize, scratch: &mut Scratch) -> Result<Header, Reject> {
    let escaped = split(line, start, true, scratch);
    if let Some((header, severity)) = escaped
        && is_severity(line.get(severity.0..severity.1).unwrap_or_default())
    {
        return Ok(header);
    }
    // `…|C:\dir\|3|`: the backslash belongs to the path.
    let literal = split(line, start, false, scratch);
    match literal {
        Some((header, severity)) if is_severity(line.get(severity.0..severity.1).unwrap_or_default()) => Ok(header),
        _ => escaped.map(|(header, _)| header).ok_or(Reject::BadHeader),
    }
}

/// The header and where its severity stands.
fn split(line: &[u8], start: usize, escaped: bool, scratch: &mut Scratch) -> Option<(Header, (usize, usize))> {
    let (vendor, first) = prefix(line, start, escaped, scratch)?;
    let a = pipe(line, first, escaped)?;
    let b = pipe(line, a + 1, escaped)?;
    let c = pipe(line, b + 1, escaped)?;
    Some((Header { vendor, first: (first, a), second: (a + 1, b), extension: c + 1, escaped }, (b + 1, c)))
}

/// The vendor and the end of `CEF:<v>|<vendor>|<product>|<version>|`. The lines of a file begin alike, so the last prefix
/// is tried first.
#[inline]
fn prefix(line: &[u8], start: usize, escaped: bool, scratch: &mut Scratch) -> Option<((usize, usize), usize)> {
    let cached = &scratch.prefix;
    if !cached.is_empty() && line.get(start..).is_some_and(|l| l.starts_with(cached)) {
        let (from, to) = scratch.prefix_vendor;
        return Some(((start + from, start + to), start + cached.len()));
    }
    let v = pipe(line, start, escaped)?;
    let vendor = pipe(line, v + 1, escaped)?;
    let product = pipe(line, vendor + 1, escaped)?;
    let version = pipe(line, product + 1, escaped)?;
    let text = line.get(start..=version)?;
    if text.len() <= LONGEST_CACHED && memchr(b'\\', text).is_none() {
        scratch.prefix.clear();
        scratch.prefix.extend_from_slice(text);
        scratch.prefix_vendor = (v + 1 - start, vendor - start);
    }
    Some(((v + 1, vendor), version + 1))
}

/// The next delimiter. With `escaped`, one behind an odd run of backslashes is none.
#[inline]
fn pipe(line: &[u8], from: usize, escaped: bool) -> Option<usize> {
    let mut at = from;
    loop {
        let hit = at + memchr(b'|', line.get(at..)?)?;
        let before = line.get(from..hit)?;
        if !escaped || before.iter().rev().take_while(|b| **b == b'\\').count() % 2 == 0 {
            return Some(hit);
        }
        at = hit + 1;
    }
}

fn is_severity(text: &[u8]) -> bool {
    let text = text.trim_ascii();
    if text.is_empty() {
        return false;
    }
    let word = |w: &&[u8]| text.eq_ignore_ascii_case(w);
    text.iter().all(u8::is_ascii_digit)
        || [b"unknown".as_slice(), b"low", b"medium", b"high", b"very-high"].iter().any(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(line: &str) -> Result<[&str; 4], Reject> {
        let start = find_start(line.as_bytes()).ok_or(Reject::NoParser)?;
        let mut scratch = Scratch::default();
        let first = read_header(line.as_bytes(), start, &mut scratch);
        assert_eq!(read_header(line.as_bytes(), start, &mut scratch), first, "the same with a remembered prefix");
        let h = first?;
        Ok([
            &line[h.vendor.0..h.vendor.1],
            &line[h.first.0..h.first.1],
            &line[h.second.0..h.second.1],
            &line[h.extension..],
        ])
    }

    #[test]
    fn a_header_has_seven_delimiters_of_which_escaped_ones_are_none() {
        let cut =
            |rest: &str| header(&format!("CEF:0|V|P|1|{rest}")).map(|[_, a, b, ext]| [a, b, ext].map(str::to_owned));
        let ok = |a: &str, b: &str, ext: &str| Ok([a.to_owned(), b.to_owned(), ext.to_owned()]);
        assert_eq!(cut("A|text|5|x=1|2"), ok("A", "text", "x=1|2"));
        assert_eq!(cut(r"A|a\|b|5|x=1"), ok("A", r"a\|b", "x=1"));
        assert_eq!(cut(r"A|C:\dir\|3|x=1"), ok("A", r"C:\dir\", "x=1"));
        assert_eq!(cut(r"A|C:\dir\|Very-High|x=1"), ok("A", r"C:\dir\", "x=1"));
        assert_eq!(cut(r"A|C:\\dir\\|3|x=1"), ok("A", r"C:\\dir\\", "x=1"));
        assert_eq!(cut(r"A|a\|b|odd|x=1"), ok("A", r"a\|b", "x=1"));
        assert_eq!(cut(r"A|C:\dir\|x|odd=1"), Err(Reject::BadHeader));
        assert_eq!(cut("A|text|5"), Err(Reject::BadHeader));
    }

    #[test]
    fn syslog_headers_and_byte_order_marks_are_passed_over() {
        let line = "CEF:0|V|P|1|A|text|5|x=1";
        for prefix in [
            "",
            "\u{feff}",
            "<134>Oct 18 14:38:11 host ",
            "Oct 18 14:38:11 host ",
            "<134>1 2021-02-03T09:47:58.901Z host app 123 ID47 - \u{feff}",
            "<134>1 2021-02-03T09:47:58.901Z host app 123 ID47 [x@1 note=\" CEF:x\"] ",
            "2021-02-03T09:47:58+00:00 host tag: ",
        ] {
            assert_eq!(header(&format!("{prefix}{line}")), Ok(["V", "A", "text", "x=1"]), "{prefix}");
        }
        for prefix in ["x ", "<1345> ", "<134>Oct 18 14:38:11 hostCEF", "a,b,", "<> "] {
            assert_eq!(header(&format!("{prefix}{line}")), Err(Reject::NoParser), "{prefix}");
        }
    }

    use proptest::prelude::*;

    proptest! {
        #![proptest_config(crate::effort::cases())]

        #[test]
        fn a_plain_header_is_cut_as_with_care(
            pieces in prop::collection::vec(prop::sample::select(vec!["|", "|", "|3|", "\\", "=", "x", "C:\\dir\\f.txt", "Very-High"]), 0..40),
            padding in 0usize..130,
        ) {
            let line = format!("CEF:0|V|P|1|{}{}", "x".repeat(padding), pieces.concat());
            let mut scratch = Scratch::default();
            if let Some(plain) = split_plain(line.as_bytes(), 0, &mut scratch) {
                let careful = read_escaped(line.as_bytes(), 0, &mut scratch).unwrap();
                prop_assert_eq!(plain, Header { escaped: false, ..careful });
                let text = &line[plain.second.0..plain.second.1];
                prop_assert!(!super::super::escape::unescape(text.as_bytes(), true, &mut Vec::new()));
            }
        }
    }
}
