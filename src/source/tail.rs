//! One followed file: reads on from its position, proves that it is still the same file, and makes batches.
//!
//! Bytes, and what the position after them is to be known by, are read first; head and tail are checked afterwards, so that
//! what was read before a truncation is never taken for what stands there now, and no hash mixes both. A position always
//! names the end of a whole record.

use super::cut::{Cutter, Follows, Part, RecordLimits};
use super::decode::End;
use super::fingerprint::{Mark, Stat, WINDOW, hash};
use super::outlet::Outlet;
use super::reader::Reader;
use super::times::Times;
use super::{Sniff, fixed_format};
use crate::batch::{FileId, Position, RawBatch, Remember};
use crate::config::{FormatSetting, Limits};
use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Ends of batches that are remembered, to know a copy that was made a moment ago.
const MARKS: usize = 32;

/// What reading needs from outside.
pub(super) struct Reading<'a> {
    pub(super) limits: &'a Limits,
    pub(super) sniff: &'a dyn Sniff,
    /// Event time beyond which nothing is taken of a plain file, and the clock; without it nobody asks for times.
    pub(super) until: Option<(i64, i64)>,
    /// Answer to it: the event time at which the file stands after this reading.
    pub(super) stands_ms: Option<i64>,
    pub(super) outlet: &'a mut Outlet,
    /// Where the batches go.
    pub(super) batches: &'a mut Vec<RawBatch>,
}

/// What one reading came to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// There is more.
    More,
    /// Nothing more now.
    End(End),
    /// Another file stands where this one stood.
    Replaced,
}

pub(super) struct Tail {
    pub(super) id: FileId,
    pub(super) path: PathBuf,
    pub(super) label: Arc<str>,
    /// Index of its spool in the settings; 0 in a replay.
    pub(super) spool: u16,
    pub(super) position: Position,
    pub(super) marks: VecDeque<Mark>,
    pub(super) reader: Option<Reader>,
    cutter: Cutter,
    header: Option<Arc<[u8]>>,
    /// Whether the decoded stream was proved to be this file since it was opened.
    proved: bool,
    plain: bool,
}

impl Tail {
    pub(super) fn new(id: FileId, path: &Path, position: Position, format: FormatSetting, limits: &Limits) -> Tail {
        let record_limits =
            RecordLimits { max_line_bytes: limits.max_line_bytes, max_quoted_lines: limits.max_quoted_lines };
        let header: Option<Arc<[u8]>> = position.header.as_deref().map(Arc::from);
        Tail {
            id,
            path: path.to_owned(),
            label: label(path),
            spool: 0,
            cutter: Cutter::new(record_limits, position.format.or(fixed_format(format)), header.clone()),
            header,
            marks: (position.offset > 0).then(|| Mark::of(&position)).into_iter().collect(),
            position,
            reader: None,
            proved: false,
            plain: true,
        }
    }

    /// The file has another name now.
    pub(super) fn rename(&mut self, path: &Path) {
        path.clone_into(&mut self.path);
        path.clone_into(&mut self.position.path);
        self.label = label(path);
    }

    pub(super) fn open(&mut self, reader: Reader) {
        self.close();
        self.plain = reader.is_plain();
        self.reader = Some(reader);
    }

    pub(super) fn close(&mut self) {
        self.reader = None;
        self.proved = false;
        self.cutter.rewind();
    }

    /// The CSV header in force at the position.
    pub(super) fn header(&self) -> Option<&[u8]> {
        self.header.as_deref()
    }

    /// A batch without records, so that the position is remembered.
    pub(super) fn bookmark(&self) -> RawBatch {
        self.batch(Part { lines_before: self.position.lines, ..Part::default() }, Vec::new(), self.position.offset)
    }

    /// Reads once. `stat` was taken before; with `last` the bytes that are there are all that will ever come.
    pub(super) fn read(&mut self, stat: &Stat, last: bool, work: &mut Reading<'_>) -> io::Result<Step> {
        let Some(reader) = &mut self.reader else { return Ok(Step::More) };
        let (from, lines) = self.cutter.resume().unwrap_or((self.position.offset, self.position.lines));
        let room = work.limits.read_bytes.max(work.limits.max_line_bytes + WINDOW);
        let want = if reader.is_plain() {
            // Not more than there is: a quiet file gets a small buffer.
            room.min(usize::try_from(stat.size.saturating_sub(from)).unwrap_or(room).saturating_add(WINDOW))
        } else {
            if !self.proved
                && let Some(step) = self.prove()?
            {
                return Ok(step);
            }
            room
        };
        let Some(reader) = &mut self.reader else { return Ok(Step::More) };
        let mut buf = work.outlet.buffer(want);
        let mut end = reader.read(from, room, &mut buf)?;
        let mut around = None;
        if self.plain {
            around = Some(Around::of(reader, &self.position, &buf, from, true)?);
            if let Some(step) = self.prove()? {
                work.outlet.give_back(buf);
                return Ok(step);
            }
        }
        let Some(reader) = &mut self.reader else { return Ok(Step::More) };
        if end.is_none() && buf.last() == Some(&0) && reader.is_reserved_from(from + buf.len() as u64)? {
            // Reserved space that is not filled yet.
            end = Some(End::Complete);
        }
        if let Some((until, now_ms)) = work.until {
            let times = Times { sniff: work.sniff, spool: self.spool, header: self.header.as_deref(), now_ms };
            let (upto, at) = times.up_to(&buf, if self.plain { until } else { i64::MAX });
            work.stands_ms = at;
            if upto < buf.len() {
                buf.truncate(upto);
                end = None;
            }
        }
        let follows = match &end {
            None => Follows::Bytes,
            Some(End::Complete) if last => Follows::Nothing,
            Some(_) => Follows::Time,
        };
        let (parts, more) = self.cutter.cut(&buf, from, lines, follows, work.sniff);
        if more {
            end = None;
        }
        let whole = end == Some(End::Complete);
        let before = work.batches.len();
        self.make_batches(buf, from, parts, around, whole.then_some(stat.size), work)?;
        if whole && work.batches.len() == before && !self.position.complete && (last || !self.is_plain()) {
            (self.position.complete, self.position.stored_size) = (true, stat.size);
            if self.position.offset > 0 {
                work.batches.push(self.bookmark());
            }
        }
        Ok(end.map_or(Step::More, Step::End))
    }

    /// Whether offsets are those of the bytes on disk, as far as it was ever opened.
    pub(super) fn is_plain(&self) -> bool {
        self.plain
    }

    /// Whether a compressed file was read to its end before and has not changed in size or in its head since.
    pub(super) fn is_done(&mut self, stat: &Stat) -> io::Result<bool> {
        let (Some(reader), p) = (&mut self.reader, &self.position) else { return Ok(false) };
        let ended = !reader.is_plain() && p.complete && p.stored_size == stat.size;
        Ok(ended && reader.head()?.get(..p.head_len as usize).map(hash) == Some(p.head_hash))
    }

    /// Compares head and tail with the position. `Some` when reading cannot go on from here.
    fn prove(&mut self) -> io::Result<Option<Step>> {
        let Some(reader) = &mut self.reader else { return Ok(None) };
        self.proved = reader.holds(&self.position)?;
        if self.proved {
            return Ok(None);
        }
        // A compressed file that stops too early may only be half written.
        Ok(Some(match reader.end() {
            Some(end) if *end != End::Complete => Step::End(end.clone()),
            _ => Step::Replaced,
        }))
    }

    fn make_batches(
        &mut self,
        buf: Vec<u8>,
        base: u64,
        parts: Vec<Part>,
        around: Option<Around>,
        complete_at: Option<u64>,
        work: &mut Reading<'_>,
    ) -> io::Result<()> {
        if parts.is_empty() {
            work.outlet.give_back(buf);
            return Ok(());
        }
        let Some(reader) = &mut self.reader else { return Ok(()) };
        let Around { head, lookback } = match around {
            Some(around) => around,
            None => {
                let is_short = parts.first().is_some_and(|p| p.upto < WINDOW);
                Around::of(reader, &self.position, &buf, base, is_short)?
            }
        };
        let taken = reader.stored_offset(self.position.offset);
        let count = parts.len();
        let mut whole = Some(buf);
        for (i, part) in parts.into_iter().enumerate() {
            let Some(buf) = &whole else { break };
            self.position.tail_hash = tail_hash(&lookback, buf, part.upto);
            let before = std::mem::replace(&mut self.position.offset, base + part.upto as u64);
            self.position.lines = part.lines_upto;
            if part.format.is_some() {
                self.position.format = part.format;
            }
            if let Some(header) = &part.header
                && self.header.as_ref() != Some(header)
            {
                self.header = Some(Arc::clone(header));
            }
            if self.position.header.as_deref() != self.header.as_deref() {
                self.position.header = self.header.as_deref().map(<[u8]>::to_vec);
            }
            let head_len = WINDOW.min(usize::try_from(self.position.offset).unwrap_or(WINDOW)).min(head.len());
            if head_len > self.position.head_len as usize {
                self.position.head_len = head_len as u32;
                self.position.head_hash = hash(head.get(..head_len).unwrap_or_default());
            }
            let is_last = i + 1 == count;
            let complete = is_last && complete_at.is_some() && (!self.plain || part.upto == buf.len());
            self.position.complete = complete;
            self.position.stored_size = match complete_at.filter(|_| complete) {
                Some(size) => size,
                None if self.plain => 0,
                None => self.position.stored_size.max(taken),
            };
            self.mark();
            let data = if is_last {
                let mut buf = whole.take().unwrap_or_default();
                buf.truncate(part.end);
                buf.drain(..part.start);
                buf
            } else {
                buf.get(part.start..part.end).unwrap_or_default().to_vec()
            };
            let mut batch = self.batch(part, data, base);
            let refused: u64 = batch.refused.iter().map(|r| r.bytes).sum();
            batch.skipped = (self.position.offset - before).saturating_sub(batch.data.len() as u64 + refused);
            work.batches.push(batch);
        }
        Ok(())
    }

    fn mark(&mut self) {
        if self.marks.len() == MARKS {
            self.marks.pop_front();
        }
        let p = &self.position;
        self.marks.push_back(Mark {
            offset: p.offset,
            lines: p.lines,
            head_len: p.head_len,
            head_hash: p.head_hash,
            tail_hash: p.tail_hash,
            format: p.format,
            header: self.header.clone(),
        });
    }

    fn batch(&self, part: Part, data: Vec<u8>, base: u64) -> RawBatch {
        RawBatch {
            seq: 0,
            file: self.id,
            path: Arc::clone(&self.label),
            spool: self.spool,
            format: if data.is_empty() { part.format } else { part.format.or(Some(crate::batch::Format::Cef)) },
            header: part.header,
            leading_header: part.leading_header,
            data,
            offset: base + part.start as u64,
            line: part.lines_before + 1,
            refused: part.refused,
            is_ascii: part.is_ascii,
            skipped: 0,
            remember: Remember::Position(Box::new(self.position.clone())),
        }
    }
}

/// What stands around the bytes that were read, as far as the position after them needs it.
struct Around {
    /// The head of the file, while the position does not cover it.
    head: Vec<u8>,
    /// What stands before the bytes.
    lookback: Vec<u8>,
}

impl Around {
    /// Of `buf`, which stands at `base`; with `is_short`, a part of it may need what stands before it.
    fn of(reader: &mut Reader, position: &Position, buf: &[u8], base: u64, is_short: bool) -> io::Result<Around> {
        let head = match (position.head_len as usize) < WINDOW {
            true if base == 0 => buf.get(..WINDOW.min(buf.len())).unwrap_or_default().to_vec(),
            true => reader.head()?.to_vec(),
            false => Vec::new(),
        };
        let lookback = match base > 0 && is_short {
            true => reader.before(base)?.unwrap_or_default().to_vec(),
            false => Vec::new(),
        };
        Ok(Around { head, lookback })
    }
}

/// Hash of the 4 KiB before index `upto` of `buf`, which `lookback` stands before.
fn tail_hash(lookback: &[u8], buf: &[u8], upto: usize) -> u64 {
    match upto.checked_sub(WINDOW) {
        Some(from) => hash(buf.get(from..upto).unwrap_or_default()),
        None => {
            let mut tail = Vec::with_capacity(WINDOW);
            let keep = lookback.len().min(WINDOW - upto.min(WINDOW));
            tail.extend_from_slice(lookback.get(lookback.len() - keep..).unwrap_or_default());
            tail.extend_from_slice(buf.get(..upto).unwrap_or_default());
            hash(&tail)
        }
    }
}

/// The path as it is shown: what is not UTF-8 in it is replaced.
pub(super) fn label(path: &Path) -> Arc<str> {
    Arc::from(path.to_string_lossy())
}
