//! Cutting what was read into parts of whole records: lines (CEF, or a format not known yet) and RFC 4180 records.
//!
//! A part becomes a batch. Usually a buffer is one part that ends at its last newline; over-long lines, quotes that never
//! close, runs of NUL and CSV headers make more. Nothing is copied here, and nothing is kept but the place at which an
//! over-long record began. What this file never does: move past a record that is not in a part or refused.

use super::Sniff;
use super::glance::{Glance, glance};
use crate::batch::{Format, Refused};
use crate::event::Reject;
use memchr::{memchr, memchr_iter, memmem, memrchr};
use std::sync::Arc;

/// Bytes of a refused record that are kept for the log.
const SAMPLE_BYTES: usize = 256;
/// Parts made of one buffer; what follows is cut at the next reading, so that hostile bytes cost time and not memory.
const MAX_PARTS: usize = 64;
const BOM: &[u8] = b"\xef\xbb\xbf";

/// What follows a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Follows {
    /// More bytes of the file.
    Bytes,
    /// Nothing now, but the last record may still grow.
    Time,
    /// Nothing ever: the last record is whole as it is.
    Nothing,
}

/// A run of whole records, or only refused ones. `start`, `end` and `upto` are indices into the buffer.
#[derive(Clone, Debug, Default)]
pub(super) struct Part {
    pub(super) start: usize,
    pub(super) end: usize,
    /// Everything before this place has been dealt with once this part and the ones before it are.
    pub(super) upto: usize,
    /// Newlines of the file before `start`, and before `upto`.
    pub(super) lines_before: u64,
    pub(super) lines_upto: u64,
    pub(super) format: Option<Format>,
    pub(super) header: Option<Arc<[u8]>>,
    pub(super) leading_header: bool,
    pub(super) refused: Vec<Refused>,
    /// Known to be ASCII.
    pub(super) is_ascii: bool,
}

/// How much may be in a record.
#[derive(Clone, Copy, Debug)]
pub(super) struct RecordLimits {
    pub(super) max_line_bytes: usize,
    pub(super) max_quoted_lines: usize,
}

/// A record that goes on beyond the buffers read so far and will be refused.
#[derive(Clone, Debug)]
struct Skip {
    what: SkipWhat,
    offset: u64,
    line: u64,
    sample: Vec<u8>,
    /// Where reading goes on, and the newlines before that place.
    next: u64,
    next_lines: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SkipWhat {
    /// To the end of the line.
    Line(Reject),
    /// To the end of a run of NUL.
    Hole,
}

/// The cutter of one file.
#[derive(Clone, Debug)]
pub(super) struct Cutter {
    limits: RecordLimits,
    format: Option<Format>,
    header: Option<Arc<[u8]>>,
    skip: Option<Skip>,
}

impl Cutter {
    pub(super) fn new(limits: RecordLimits, format: Option<Format>, header: Option<Arc<[u8]>>) -> Cutter {
        Cutter { limits, format, header, skip: None }
    }

    /// Where the next buffer must begin, and the newlines before it, when that is not where the last part ended.
    pub(super) fn resume(&self) -> Option<(u64, u64)> {
        self.skip.as_ref().map(|s| (s.next, s.next_lines))
    }

    /// Forgets an over-long record whose end was not met: it is read again from its beginning.
    pub(super) fn rewind(&mut self) {
        self.skip = None;
    }

    /// Cuts `buf`, which begins at file offset `base` after `lines` newlines. The flag says that there is more to cut in it.
    pub(super) fn cut(
        &mut self,
        buf: &[u8],
        base: u64,
        lines: u64,
        follows: Follows,
        sniff: &dyn Sniff,
    ) -> (Vec<Part>, bool) {
        let seen = glance(buf);
        let mut work = Work { buf, base, follows, sniff, seen, counted: (0, lines), parts: Vec::new(), open: None };
        let mut pos = if base == 0 && buf.starts_with(BOM) { BOM.len() } else { 0 };
        let mut more = false;
        while pos < buf.len() {
            if work.full() {
                more = true;
                break;
            }
            if self.skip.is_some() {
                pos = self.leave_skip(&mut work, pos).unwrap_or(buf.len());
                continue;
            }
            let nul = if seen.has_nul { memchr(0, work.bytes(pos, buf.len())).map(|i| pos + i) } else { None };
            pos = self.text(&mut work, pos, nul.unwrap_or(buf.len()), nul.is_none() && follows == Follows::Nothing);
            if self.skip.is_some() || work.full() {
                continue;
            }
            match nul.and_then(|nul| self.hole(&mut work, pos, nul)) {
                Some(next) => pos = next,
                None => break,
            }
        }
        if follows == Follows::Nothing && pos == buf.len() {
            if self.skip.is_some() {
                self.leave_skip(&mut work, pos);
            } else {
                work.pass(pos);
            }
        }
        work.flush();
        if let Some(skip) = &mut self.skip {
            (skip.next, skip.next_lines) = (base + pos as u64, work.lines_at(pos));
        }
        (work.parts, more)
    }

    /// Looks for the end of the record that is being skipped.
    fn leave_skip(&mut self, work: &mut Work<'_>, pos: usize) -> Option<usize> {
        let mut skip = self.skip.take()?;
        let rest = work.bytes(pos, work.buf.len());
        let (end, reason) = match skip.what {
            SkipWhat::Line(reason) => (memchr(b'\n', rest).map(|i| pos + i + 1), reason),
            SkipWhat::Hole => (rest.iter().position(|b| *b != 0).map(|i| pos + i), Reject::Binary),
        };
        let end = match end {
            None if work.follows == Follows::Nothing => work.buf.len(),
            None => {
                self.skip = Some(skip);
                return None;
            }
            Some(end) => end,
        };
        let bytes = (work.base + end as u64).saturating_sub(skip.offset);
        skip.sample.truncate(usize::try_from(bytes).unwrap_or(SAMPLE_BYTES));
        work.refuse(Refused { offset: skip.offset, line: skip.line, bytes, reason, sample: skip.sample }, end);
        Some(end)
    }

    /// Cuts `pos..end`, which holds no NUL. Returns how far it got; with `last` that is `end`.
    fn text(&mut self, work: &mut Work<'_>, pos: usize, end: usize, last: bool) -> usize {
        match self.format {
            Some(Format::Csv) => super::rows::cut(self, work, pos, end, last),
            Some(Format::Cef) => self.lines(work, pos, end, last),
            None => match self.first_accepted(work, pos, end, last) {
                Some((at, format)) => {
                    self.data(work, pos, at);
                    work.flush();
                    self.format = Some(format);
                    self.text(work, at, end, last)
                }
                None => self.lines(work, pos, end, last),
            },
        }
    }

    /// The first line that would be accepted as the first record of a file.
    fn first_accepted(&self, work: &Work<'_>, pos: usize, end: usize, last: bool) -> Option<(usize, Format)> {
        let mut from = pos;
        while from < end {
            // A file may be made of nothing else.
            let blank = empty_lines(work.bytes(from, end));
            if blank > 0 {
                from += blank;
                continue;
            }
            let to = match memchr(b'\n', work.bytes(from, end)) {
                Some(i) => from + i + 1,
                None if last => end,
                None => return None,
            };
            let line = without_line_end(work.bytes(from, to));
            if !line.is_empty() && line.len() <= self.limits.max_line_bytes {
                if work.sniff.is_csv_header(line) {
                    return Some((from, Format::Csv));
                }
                if let Some(format) = work.sniff.sniff(line, false) {
                    return Some((from, format));
                }
            }
            from = to;
        }
        None
    }

    fn lines(&mut self, work: &mut Work<'_>, pos: usize, end: usize, last: bool) -> usize {
        let whole = memrchr(b'\n', work.bytes(pos, end)).map_or(pos, |i| pos + i + 1);
        self.data(work, pos, whole);
        let open = end - whole;
        // The carriage return of a line end does not count, and its newline may not be here yet.
        if open > self.limits.max_line_bytes + 1 {
            self.skip_line(work, whole, Reject::TooLong);
            return end;
        }
        if last && open > 0 {
            self.data(work, whole, end);
            return end;
        }
        whole
    }

    /// Hands on whole lines, but refuses those that are too long. Only lines that cover a multiple of the limit are looked at.
    fn data(&self, work: &mut Work<'_>, pos: usize, end: usize) {
        let limit = self.limits.max_line_bytes.max(1);
        let mut from = pos;
        let mut probe = from + limit;
        while probe < end {
            let start = memrchr(b'\n', work.bytes(from, probe)).map_or(from, |i| from + i + 1);
            let stop = memchr(b'\n', work.bytes(probe, end)).map_or(end, |i| probe + i + 1);
            if without_line_end(work.bytes(start, stop)).len() > limit {
                self.take(work, from, start, false);
                work.refuse_bytes(start, stop, Reject::TooLong);
                from = stop;
                probe = from;
            }
            probe += limit;
        }
        self.take(work, from, end, false);
    }

    /// A run of NUL begins at `nul`; the record that it breaks began at `pos`. Returns where reading goes on.
    fn hole(&mut self, work: &mut Work<'_>, pos: usize, nul: usize) -> Option<usize> {
        let rest = work.bytes(nul, work.buf.len());
        let run_end = rest.iter().position(|b| *b != 0).map(|i| nul + i);
        if run_end.is_none() && work.follows == Follows::Time {
            return None;
        }
        let mut from = pos;
        let before = work.bytes(pos, nul);
        if self.format != Some(Format::Csv) && !before.is_empty() && work.sniff.sniff(before, false).is_some() {
            // A record that was cut off is still worth reading.
            self.take(work, pos, nul, false);
            work.flush();
            from = nul;
        }
        let Some(mut end) = run_end else {
            if work.follows == Follows::Nothing {
                work.refuse_bytes(from, work.buf.len(), Reject::Binary);
                return Some(work.buf.len());
            }
            self.start_skip(work, from, SkipWhat::Hole);
            return Some(work.buf.len());
        };
        // A line end right after the run belongs to what it broke.
        let tail = work.bytes(end, work.buf.len());
        end += if tail.starts_with(b"\n") {
            1
        } else if tail.starts_with(b"\r\n") {
            2
        } else {
            0
        };
        work.refuse_bytes(from, end, Reject::Binary);
        Some(end)
    }

    pub(super) fn limits(&self) -> RecordLimits {
        self.limits
    }

    /// Hands on `start..end` with the format and header in force.
    pub(super) fn take(&self, work: &mut Work<'_>, start: usize, end: usize, leading_header: bool) {
        if start < end {
            work.take(start, end, leading_header, self.format, self.header.as_ref());
        }
    }

    /// A header record: it begins a part of its own and is in force from here on.
    pub(super) fn take_header(&mut self, work: &mut Work<'_>, start: usize, end: usize) {
        work.flush();
        self.header = Some(without_line_end(work.bytes(start, end)).into());
        self.take(work, start, end, true);
    }

    pub(super) fn skip_line(&mut self, work: &mut Work<'_>, start: usize, reason: Reject) {
        self.start_skip(work, start, SkipWhat::Line(reason));
    }

    fn start_skip(&mut self, work: &mut Work<'_>, start: usize, what: SkipWhat) {
        work.flush();
        let offset = work.base + start as u64;
        let line = work.lines_at(start) + 1;
        let sample = sample(work.bytes(start, work.buf.len()));
        self.skip = Some(Skip { what, offset, line, sample, next: 0, next_lines: 0 });
    }
}

/// The cutting of one buffer.
pub(super) struct Work<'a> {
    buf: &'a [u8],
    base: u64,
    follows: Follows,
    pub(super) sniff: &'a dyn Sniff,
    /// What is in all of `buf`.
    seen: Glance,
    /// Newlines of the file before an index of the buffer.
    counted: (usize, u64),
    parts: Vec<Part>,
    open: Option<Part>,
}

impl<'a> Work<'a> {
    pub(super) fn bytes(&self, from: usize, to: usize) -> &'a [u8] {
        self.buf.get(from..to).unwrap_or_default()
    }

    pub(super) fn full(&self) -> bool {
        self.parts.len() >= MAX_PARTS
    }

    /// Newlines of the file before this index. Indices only grow.
    fn lines_at(&mut self, index: usize) -> u64 {
        let (from, lines) = self.counted;
        if index > from {
            // Most buffers are one part, which ends with the last newline.
            let is_all = from == 0 && memchr(b'\n', self.bytes(index, self.buf.len())).is_none();
            let more = if is_all { self.seen.newlines } else { count_newlines(self.bytes(from, index)) };
            self.counted = (index, lines + more);
        }
        self.counted.1
    }

    fn take(&mut self, start: usize, end: usize, leading: bool, format: Option<Format>, header: Option<&Arc<[u8]>>) {
        if let Some(open) = &mut self.open {
            if open.start == open.end {
                // Only refused records so far: they stand before the data.
                (open.start, open.end, open.leading_header) = (start, end, leading);
                (open.format, open.header) = (format, header.cloned());
                open.upto = end;
                return;
            }
            if open.end == start && !leading {
                (open.end, open.upto) = (end, end);
                return;
            }
            self.flush();
        }
        self.open = Some(Part {
            start,
            end,
            upto: end,
            format,
            header: header.cloned(),
            leading_header: leading,
            ..Part::default()
        });
    }

    /// Says that everything up to `end` has been dealt with where no part says so: a file may hold nothing but its mark.
    fn pass(&mut self, end: usize) {
        if self.parts.is_empty() && self.open.is_none() && end > 0 {
            self.open = Some(Part { upto: end, ..Part::default() });
        }
    }

    pub(super) fn refuse_bytes(&mut self, start: usize, end: usize, reason: Reject) {
        if self.open.as_ref().is_some_and(|open| open.start < open.end) {
            self.flush();
        }
        let line = self.lines_at(start) + 1;
        let offset = self.base + start as u64;
        let bytes = self.bytes(start, end);
        self.refuse(Refused { offset, line, bytes: bytes.len() as u64, reason, sample: sample(bytes) }, end);
    }

    /// Refuses a record that ends at index `end`. Neighbouring runs of binary bytes are one.
    fn refuse(&mut self, refused: Refused, end: usize) {
        if self.open.as_ref().is_some_and(|open| open.start < open.end) {
            self.flush();
        }
        let open = self.open.get_or_insert_with(Part::default);
        open.upto = end;
        match open.refused.last_mut() {
            Some(last)
                if last.reason == Reject::Binary
                    && refused.reason == Reject::Binary
                    && last.offset + last.bytes == refused.offset =>
            {
                last.bytes += refused.bytes;
            }
            _ => open.refused.push(refused),
        }
    }

    /// Closes the open part.
    fn flush(&mut self) {
        let Some(mut part) = self.open.take() else { return };
        if part.start == part.end {
            (part.start, part.end) = (part.upto, part.upto);
        }
        part.is_ascii = self.seen.is_ascii;
        part.lines_before = self.lines_at(part.start);
        part.lines_upto = self.lines_at(part.upto);
        self.parts.push(part);
    }
}

/// A record without its line end.
pub(super) fn without_line_end(record: &[u8]) -> &[u8] {
    let record = record.strip_suffix(b"\n").unwrap_or(record);
    record.strip_suffix(b"\r").unwrap_or(record)
}

/// How many empty lines `bytes` begin with. Each is a byte, so that looking for the end of each costs far more than its share.
pub fn empty_lines(bytes: &[u8]) -> usize {
    bytes.iter().position(|byte| *byte != b'\n').unwrap_or(bytes.len())
}

fn count_newlines(bytes: &[u8]) -> u64 {
    memchr_iter(b'\n', bytes).count() as u64
}

fn sample(bytes: &[u8]) -> Vec<u8> {
    bytes.get(..SAMPLE_BYTES).unwrap_or(bytes).to_vec()
}

/// Where the mark that every header carries stands next; the beginning when a cutter has no such mark.
pub(super) fn find_mark(work: &Work<'_>, from: usize, end: usize) -> Option<usize> {
    match work.sniff.header_mark() {
        [] => Some(from),
        mark => memmem::find(work.bytes(from, end), mark).map(|i| from + i),
    }
}
