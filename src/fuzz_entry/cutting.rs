//! Target `cut`: records are the same however the bytes arrive, and the same as a plain splitter finds.
//!
//! Mounted in `source`. The tests of the cutter share [`feed`], which hands a text over piece by piece as a reader does.

#![allow(clippy::panic, clippy::indexing_slicing)] // a property that does not hold is a panic

use super::Sniff;
use super::cut::{Cutter, Follows, Part, RecordLimits};
use crate::batch::Format;
use crate::event::Reject;
use crate::fuzz_entry::split_steering;

/// What knows these formats: `CEF:` begins a line that would be accepted, `head,` a header row.
struct Marks;

const HEADER: &[u8] = b"head,";

impl Sniff for Marks {
    fn sniff(&self, record: &[u8], _csv_by_position: bool) -> Option<Format> {
        if self.is_csv_header(record) {
            return Some(Format::Csv);
        }
        record.starts_with(b"CEF:").then_some(Format::Cef)
    }
    fn is_csv_header(&self, record: &[u8]) -> bool {
        record.starts_with(HEADER)
    }
    fn record_time(&self, _record: &[u8]) -> Option<i64> {
        None
    }
    fn header_mark(&self) -> &[u8] {
        HEADER
    }
}

/// A part that the cutter made of a text, in places of the text.
pub(super) struct Fed {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) part: Part,
}

/// Hands `text` to a cutter as its bytes arrive (`next_step` says how many more there are) and shows every part. Returns
/// how far the cutter got.
pub(super) fn feed(
    text: &[u8],
    cutter: &mut Cutter,
    at_end: Follows,
    sniff: &dyn Sniff,
    mut next_step: impl FnMut() -> usize,
    mut each: impl FnMut(Fed),
) -> usize {
    let newlines = |to: usize| text.get(..to).unwrap_or_default().iter().filter(|b| **b == b'\n').count() as u64;
    let (mut offset, mut lines) = (0_usize, 0_u64);
    let (mut idle, mut seen) = (0, 0);
    while idle < 3 {
        let (from, from_lines) = cutter.resume().unwrap_or((offset as u64, lines));
        assert_eq!(from_lines, newlines(from as usize), "newlines before the place of reading");
        let from = from as usize;
        // A reader gives more only when it is asked at a later place, or more has come.
        seen = from.max(seen).saturating_add(next_step()).min(text.len());
        if seen > 0 && text.iter().skip(seen - 1).all(|b| *b == 0) {
            // Reserved space to the end: nothing follows.
            seen = text.len();
        }
        let follows = if seen < text.len() { Follows::Bytes } else { at_end };
        let (parts, more) =
            cutter.cut(text.get(from..seen).unwrap_or_default(), from as u64, from_lines, follows, sniff);
        idle = if parts.is_empty() && !more && seen == text.len() { idle + 1 } else { 0 };
        for part in parts {
            let (start, end, upto) = (from + part.start, from + part.end, from + part.upto);
            let refused: usize = part.refused.iter().map(|r| r.bytes as usize).sum();
            let bom = if offset == 0 && text.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
            assert_eq!(upto - offset, (end - start) + refused + bom, "every byte is dealt with");
            assert_eq!((part.lines_before, part.lines_upto), (newlines(start), newlines(upto)));
            for r in &part.refused {
                assert_eq!(r.line, newlines(r.offset as usize) + 1);
                assert!(r.sample.len() <= r.bytes as usize);
            }
            (offset, lines) = (upto, part.lines_upto);
            each(Fed { start, end, part });
        }
    }
    offset
}

/// What became of a text: records with their line ends and refusals, in order, and where it stopped.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Records {
    pub(super) taken: Vec<Taken>,
    pub(super) stopped: usize,
}

/// One record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Taken {
    /// Handed on, with the format and the header in force.
    Record(Vec<u8>, Option<Format>, Option<Vec<u8>>),
    /// A header record.
    Header(Vec<u8>),
    /// Refused: bytes and reason.
    Refused(usize, Reject),
}

/// What the cutter makes of a text that arrives in such steps.
pub(super) fn fast(
    text: &[u8],
    limits: RecordLimits,
    format: Option<Format>,
    at_end: Follows,
    next_step: impl FnMut() -> usize,
) -> Records {
    let mut cutter = Cutter::new(limits, format, None);
    let mut taken = Vec::new();
    let stopped = feed(text, &mut cutter, at_end, &Marks, next_step, |fed| {
        taken.extend(fed.part.refused.iter().map(|r| Taken::Refused(r.bytes as usize, r.reason)));
        let mut rest = text.get(fed.start..fed.end).unwrap_or_default();
        let mut header = fed.part.leading_header;
        while !rest.is_empty() {
            let len = match fed.part.format {
                Some(Format::Csv) => super::csv_record(rest).0,
                _ => rest.iter().position(|b| *b == b'\n').map_or(rest.len(), |i| i + 1),
            };
            let (record, after) = rest.split_at(len);
            rest = after;
            taken.push(if std::mem::take(&mut header) {
                Taken::Header(record.to_vec())
            } else {
                Taken::Record(record.to_vec(), fed.part.format, fed.part.header.as_deref().map(<[u8]>::to_vec))
            });
        }
    });
    Records { taken, stopped }
}

/// The same for a text without NUL bytes, one byte after the other, straight from what a record is: a line; in CSV, a line
/// end inside quotes belongs to the record, a quote opens a cell only at its beginning, and a quote that stays open for
/// too many lines, or a record that is too long, is refused to the end of the line on which the limit was passed.
pub(super) fn plain(text: &[u8], limits: RecordLimits, mut format: Option<Format>, finished: bool) -> Records {
    let mut taken = Vec::new();
    let mut header = None;
    let mut at = if text.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
    while at < text.len() {
        let rest = text.get(at..).unwrap_or_default();
        if format.is_none() {
            let line = rest.split(|b| *b == b'\n').next().unwrap_or_default();
            let whole = line.len() < rest.len() || finished;
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if whole && !line.is_empty() && line.len() <= limits.max_line_bytes {
                format = Marks.sniff(line, false);
            }
        }
        let Some((len, refused)) = plain_record(rest, limits, format == Some(Format::Csv), finished) else { break };
        let record = rest.get(..len).unwrap_or_default();
        let content = record.strip_suffix(b"\n").unwrap_or(record);
        let content = content.strip_suffix(b"\r").unwrap_or(content);
        at += len;
        taken.push(match refused {
            Some(reason) => Taken::Refused(len, reason),
            None if format == Some(Format::Csv) && content.starts_with(HEADER) => {
                header = Some(content.to_vec());
                Taken::Header(record.to_vec())
            }
            None => Taken::Record(record.to_vec(), format, header.clone()),
        });
    }
    // A mark alone waits for what it marks.
    let stopped = if taken.is_empty() && !finished { 0 } else { at.min(text.len()) };
    Records { taken, stopped }
}

/// Length of the first record with its line end, and why it is refused if it is; `None` when its end is not there.
fn plain_record(text: &[u8], limits: RecordLimits, csv: bool, finished: bool) -> Option<(usize, Option<Reject>)> {
    let (mut quoted, mut quoted_lines) = (false, 0);
    // In CSV: whether a quote was open when the limit of bytes was passed.
    let mut quoted_at_limit = false;
    // What a quote that comes next means.
    let (mut cell_begins, mut just_closed) = (true, false);
    let content_len = |to: usize| {
        let record = text.get(..to).unwrap_or_default();
        let record = record.strip_suffix(b"\n").unwrap_or(record);
        record.strip_suffix(b"\r").unwrap_or(record).len()
    };
    let why = |quoted_at_limit: bool| if quoted_at_limit { Reject::OpenQuote } else { Reject::TooLong };
    for (i, byte) in text.iter().enumerate() {
        if i == limits.max_line_bytes + 1 {
            quoted_at_limit = quoted;
        }
        if csv && *byte == b'"' {
            if quoted {
                (quoted, just_closed, cell_begins) = (false, true, false);
                continue;
            } else if just_closed {
                quoted = true;
            } else if cell_begins {
                (quoted, quoted_lines) = (true, 0);
            }
        }
        just_closed = false;
        cell_begins = !quoted && *byte == b',';
        if *byte != b'\n' {
            continue;
        }
        if content_len(i + 1) > limits.max_line_bytes {
            return Some((i + 1, Some(why(quoted_at_limit))));
        }
        if !quoted {
            return Some((i + 1, None));
        }
        quoted_lines += 1;
        if quoted_lines > limits.max_quoted_lines {
            return Some((i + 1, Some(Reject::OpenQuote)));
        }
    }
    if !finished {
        return None;
    }
    if text.len() == limits.max_line_bytes + 1 {
        quoted_at_limit = quoted;
    }
    let too_long = content_len(text.len()) > limits.max_line_bytes;
    Some((text.len(), if too_long { Some(why(quoted_at_limit)) } else { quoted.then_some(Reject::OpenQuote) }))
}

/// The target. Steering: format and ending, limits, sizes of the pieces.
pub fn cut(data: &[u8]) {
    let (steering, text) = split_steering(data, 8);
    let byte = |i: usize| steering.get(i).copied().unwrap_or(7);
    let format = match byte(0) % 3 {
        0 => None,
        1 => Some(Format::Cef),
        _ => Some(Format::Csv),
    };
    let finished = byte(0) & 0x80 != 0;
    let at_end = if finished { Follows::Nothing } else { Follows::Time };
    let limits =
        RecordLimits { max_line_bytes: 8 + usize::from(byte(1)), max_quoted_lines: 1 + usize::from(byte(2) % 8) };
    let steps: Vec<usize> = (3..8).map(|i| 1 + usize::from(byte(i))).collect();
    check(text, limits, format, at_end, &steps);
}

/// Cuts a text whole and in pieces, and plainly.
pub(super) fn check(text: &[u8], limits: RecordLimits, format: Option<Format>, at_end: Follows, steps: &[usize]) {
    let whole = fast(text, limits, format, at_end, || usize::MAX);
    let mut turn = steps.iter().cycle();
    let pieces = fast(text, limits, format, at_end, || turn.next().copied().unwrap_or(1));
    if at_end == Follows::Nothing {
        assert_eq!(whole.stopped, text.len(), "a finished text is cut to its end");
    }
    if text.contains(&0) {
        assert_eq!(beside_holes(whole), beside_holes(pieces));
    } else {
        assert_eq!(whole, plain(text, limits, format, at_end == Follows::Nothing), "the plain splitter says otherwise");
        assert_eq!(pieces, whole, "it depends on how the bytes arrive");
    }
}

/// What must not depend on the arrival of a text with runs of NUL: a line end right after a run belongs to the run only
/// where both are in one buffer, so blank lines and the bytes of single refusals do not count.
fn beside_holes(records: Records) -> (Vec<Vec<u8>>, usize, usize) {
    let (mut full, mut bytes) = (Vec::new(), 0);
    for taken in records.taken {
        match taken {
            Taken::Record(record, ..) | Taken::Header(record) => {
                bytes += record.len();
                let lines = record.split(|b| *b == b'\n').map(|l| l.strip_suffix(b"\r").unwrap_or(l));
                full.extend(lines.filter(|l| !l.is_empty()).map(<[u8]>::to_vec));
            }
            Taken::Refused(n, _) => bytes += n,
        }
    }
    (full, bytes, records.stopped)
}
