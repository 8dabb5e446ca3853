//! Cutting RFC 4180 records: a line end inside quotes belongs to the record.
//!
//! A quote opens a cell only at its beginning; elsewhere it is an ordinary byte, so that `5" disk` does not swallow the
//! rest of the file. A quote that stays open too long ends the record as refused, and reading goes on at the next line.

use super::cut::{Cutter, Work, empty_lines, find_mark, without_line_end};
use crate::event::Reject;
use memchr::memchr2;

/// Cuts `pos..end`. Returns how far it got; with `last` that is `end`.
pub(super) fn cut(cutter: &mut Cutter, work: &mut Work<'_>, pos: usize, end: usize, last: bool) -> usize {
    let limits = cutter.limits();
    let mut mark = find_mark(work, pos, end);
    let mut start = pos;
    while start < end && !work.full() {
        let blank = empty_lines(work.bytes(start, end));
        if blank > 0 {
            cutter.take(work, start, start + blank, false);
            start += blank;
            continue;
        }
        match next_record(work.bytes(start, end), limits.max_line_bytes, limits.max_quoted_lines) {
            Record::Whole(len) => {
                let stop = start + len;
                if mark.is_some_and(|m| m < stop) {
                    mark = find_mark(work, stop, end);
                    if work.sniff.is_csv_header(without_line_end(work.bytes(start, stop))) {
                        cutter.take_header(work, start, stop);
                        start = stop;
                        continue;
                    }
                }
                cutter.take(work, start, stop, false);
                start = stop;
            }
            Record::Refused(len, reason) => {
                work.refuse_bytes(start, start + len, reason);
                start += len;
            }
            Record::Endless(reason) => {
                cutter.skip_line(work, start, reason);
                return end;
            }
            Record::Open { .. } if !last => return start,
            Record::Open { quoted: true } => {
                work.refuse_bytes(start, end, Reject::OpenQuote);
                start = end;
            }
            Record::Open { quoted: false } => {
                let record = work.bytes(start, end);
                if without_line_end(record).len() > limits.max_line_bytes {
                    work.refuse_bytes(start, end, Reject::TooLong);
                } else if mark.is_some_and(|m| m < end) && work.sniff.is_csv_header(record) {
                    cutter.take_header(work, start, end);
                } else {
                    cutter.take(work, start, end, false);
                }
                start = end;
            }
        }
    }
    start
}

/// The next record of text that has been cut before: its length with its line end, and how many lines it spans.
pub fn csv_record(bytes: &[u8]) -> (usize, u64) {
    // No limits: the record has passed them once.
    let len = match next_record(bytes, usize::MAX - 1, usize::MAX) {
        Record::Whole(len) | Record::Refused(len, _) => len,
        Record::Endless(_) | Record::Open { .. } => bytes.len(),
    };
    let lines = memchr::memchr_iter(b'\n', bytes.get(..len).unwrap_or_default()).count();
    (len, lines.max(1) as u64)
}

enum Record {
    /// A record of this length, its line end included.
    Whole(usize),
    /// The limit was passed on the line that ends here.
    Refused(usize, Reject),
    /// The limit was passed, and the end of that line is not here.
    Endless(Reject),
    /// The record goes on.
    Open { quoted: bool },
}

fn next_record(bytes: &[u8], max_bytes: usize, max_quoted_lines: usize) -> Record {
    let (mut at, mut quoted, mut quoted_lines) = (0, false, 0);
    // Where a quote closed a cell: one right after it is an escaped quote, and the cell goes on.
    let mut closed = usize::MAX;
    while let Some(i) = memchr2(b'"', b'\n', bytes.get(at..).unwrap_or_default()) {
        let here = at + i;
        at = here + 1;
        if bytes.get(here) == Some(&b'"') {
            let before = here.checked_sub(1);
            if quoted {
                (quoted, closed) = (false, here);
            } else if before == Some(closed) {
                quoted = true;
            } else if before.is_none_or(|b| bytes.get(b) == Some(&b',')) {
                (quoted, quoted_lines) = (true, 0);
            }
            continue;
        }
        let length = without_line_end(bytes.get(..at).unwrap_or_default()).len();
        if length > max_bytes {
            return Record::Refused(at, over_limit(bytes, max_bytes));
        }
        if !quoted {
            return Record::Whole(at);
        }
        quoted_lines += 1;
        if quoted_lines > max_quoted_lines {
            return Record::Refused(at, Reject::OpenQuote);
        }
    }
    // The carriage return of a line end does not count, and its newline may not be here yet.
    if bytes.len() > max_bytes + 1 {
        return Record::Endless(over_limit(bytes, max_bytes));
    }
    Record::Open { quoted }
}

/// Why a record is refused that has more than `max_bytes`: what was open where the limit was passed, however much of it has
/// arrived.
fn over_limit(record: &[u8], max_bytes: usize) -> Reject {
    match next_record(record.get(..=max_bytes).unwrap_or(record), usize::MAX - 1, usize::MAX) {
        Record::Open { quoted: true } => Reject::OpenQuote,
        _ => Reject::TooLong,
    }
}
