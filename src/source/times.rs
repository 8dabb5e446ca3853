//! The event time at which bytes of a file stand. The parsers say what time a record has; this file only chooses the
//! records that are asked, a few for each question.
//!
//! One record may come from a host whose clock is wrong, in either direction: therefore the median of a few neighbours.
//! Units: milliseconds since the epoch. Nothing is later than the wall clock: an event of the future makes no other late.

use super::Sniff;
use super::cut::without_line_end;
use memchr::memchr_iter;

/// Records that are asked for their time.
const ASKED: usize = 5;
/// Lines that are looked at for them.
const LOOKED_AT: usize = 64;

/// How times are found in the bytes of one file.
pub(super) struct Times<'a> {
    pub(super) sniff: &'a dyn Sniff,
    /// Index of the spool: its time zone counts.
    pub(super) spool: u16,
    /// The header in force where the bytes begin.
    pub(super) header: Option<&'a [u8]>,
    pub(super) now_ms: i64,
}

impl Times<'_> {
    /// The time at the beginning of `bytes`, which begin with a line; `None` when no record is readable there.
    pub(super) fn at_start(&self, bytes: &[u8]) -> Option<i64> {
        let mut header = self.header;
        let mut found = Vec::with_capacity(ASKED);
        for line in bytes.split_inclusive(|b| *b == b'\n').filter(|l| l.ends_with(b"\n")).take(LOOKED_AT) {
            let line = without_line_end(line);
            let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
            if line.is_empty() {
                continue;
            }
            if self.sniff.is_csv_header(line) {
                header = Some(line);
                continue;
            }
            found.extend(self.time(header, line));
            if found.len() == ASKED {
                break;
            }
        }
        median(found)
    }

    /// The time at the end of whole records.
    pub(super) fn at_end(&self, bytes: &[u8]) -> Option<i64> {
        let mut found = Vec::with_capacity(ASKED);
        let whole = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        for line in whole.rsplit(|b| *b == b'\n').take(LOOKED_AT).filter(|l| !l.is_empty()) {
            found.extend(self.time(self.header, without_line_end(line)));
            if found.len() == ASKED {
                break;
            }
        }
        median(found)
    }

    /// How many of these bytes are not later than `until`, in whole lines, and the time at which a reader of them stands:
    /// that of what follows them, or that of their end. Everything, when nobody can tell.
    pub(super) fn up_to(&self, bytes: &[u8], until: i64) -> (usize, Option<i64>) {
        let whole = memchr::memrchr(b'\n', bytes).map_or(0, |i| i + 1);
        let lines = bytes.get(..whole).unwrap_or_default();
        let end = self.at_end(lines);
        if end.is_none_or(|end| end <= until) {
            return (bytes.len(), end);
        }
        // Records stand in about the order of time.
        let starts: Vec<usize> =
            std::iter::once(0).chain(memchr_iter(b'\n', lines).map(|i| i + 1)).filter(|s| *s < whole).collect();
        let time = |from: usize| self.at_start(lines.get(from..).unwrap_or_default());
        let first = starts.partition_point(|from| time(*from).is_none_or(|t| t <= until));
        match starts.get(first) {
            Some(from) => (*from, time(*from)),
            None => (bytes.len(), end),
        }
    }

    fn time(&self, header: Option<&[u8]>, line: &[u8]) -> Option<i64> {
        self.sniff.event_time(self.spool, header, line).map(|t| t.min(self.now_ms))
    }
}

fn median(mut found: Vec<i64>) -> Option<i64> {
    found.sort_unstable();
    found.get(found.len().saturating_sub(1) / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Fake, HEADER};
    use super::*;

    fn times() -> Times<'static> {
        Times { sniff: &Fake, spool: 0, header: None, now_ms: 1_000_000 }
    }

    fn text(times: &[i64]) -> Vec<u8> {
        times.iter().flat_map(|t| format!("CEF: t={t}\n").into_bytes()).collect()
    }

    #[test]
    fn one_wrong_clock_moves_no_file() {
        let t = times();
        assert_eq!(t.at_start(&text(&[7, 999_999, 8, 9, 10, 11])), Some(9));
        assert_eq!(t.at_end(&text(&[5, 6, 7, 8, 9, 1, 10])), Some(8));
        assert_eq!(t.at_start(b"junk\nCEF: t=4\nCEF: t=99"), Some(4), "half a line tells nothing");
        assert_eq!(t.at_start(b"junk\n"), None);
        assert_eq!(t.at_start(&text(&[5_000_000])), Some(1_000_000), "nothing is later than now");
        assert_eq!(t.at_start(format!("{HEADER}\nrow t=5,u,d,l\n").as_bytes()), Some(5));
    }

    #[test]
    fn bytes_are_cut_where_the_time_is_over() {
        let t = times();
        let all: Vec<i64> = (0..1000).collect();
        let bytes = text(&all);
        assert_eq!(t.up_to(&bytes, 2000), (bytes.len(), Some(997)));
        for until in [0, 1, 499, 990] {
            let (upto, next) = t.up_to(&bytes, until);
            let lines = bytes[..upto].iter().filter(|b| **b == b'\n').count() as i64;
            // The median of a line and those after it is two lines ahead.
            assert_eq!((lines, next), ((until - 1).max(0), Some((until + 1).max(2))), "{until}");
            assert!(upto == 0 || bytes[upto - 1] == b'\n');
        }
        assert_eq!(t.up_to(&text(&[10, 500, 500, 500, 500, 500]), 20), (0, Some(500)), "a gap");
        assert_eq!(t.up_to(b"junk\nCEF: t=9", 3), (13, None), "nobody can tell");
    }
}
