//! What travels between the stages: whole records of one file on the way in, screened events on the way to `detect`.
//!
//! Batches carry a sequence number, so that any number of workers may finish in any order and the one detect thread
//! still sees them as they were read. Buffers go back to the source and are used again.
//! Units: offsets are bytes from the start of the *uncompressed* file; line numbers are 1-based.

use crate::calendar::Day;
use crate::event::{Counts, EventType, FieldSet, Reject, Span, Text};
use crate::parse::Columns;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::sync::Arc;

/// Names a spool file for as long as its position is kept; given by the source, never used twice.
pub type FileId = u64;

/// The format of a file, fixed at its first accepted record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Format {
    /// One CEF record a line.
    Cef,
    /// RFC 4180 records.
    Csv,
}

/// How far a file has been read, and how to know it again (reliability: identity).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// Where the file was last seen.
    pub path: PathBuf,
    /// Device number.
    pub device: u64,
    /// Inode number.
    pub inode: u64,
    /// How many bytes of the uncompressed head `head_hash` covers.
    pub head_len: u32,
    /// Hash of the uncompressed head.
    pub head_hash: u64,
    /// Bytes consumed: the end of the last whole record.
    pub offset: u64,
    /// Hash of the (at most) 4 KiB before `offset`.
    pub tail_hash: u64,
    /// Lines before `offset`.
    pub lines: u64,
    /// Format, once it is known.
    pub format: Option<Format>,
    /// The CSV header record in force at `offset`, as read.
    pub header: Option<Vec<u8>>,
    /// Starts again from 0 with each truncation or replacement of the same path.
    pub generation: u32,
    /// Wall clock, ms, at which the file was first missed; `None` while it exists.
    pub gone_since_ms: Option<i64>,
    /// Whether the file was read to its end (compressed files: all members).
    pub complete: bool,
    /// Size on disk when `complete` was set: tells whether a compressed file has grown since without decoding it again.
    #[serde(default)]
    pub stored_size: u64,
}

/// What the source wants to be remembered about a file once a batch has been judged.
#[derive(Clone, Debug)]
pub enum Remember {
    /// The file has been read up to here.
    Position(Box<Position>),
    /// The file has been gone long enough: its entry leaves.
    Forget,
}

/// Whole records of one file.
#[derive(Debug)]
pub struct RawBatch {
    /// Position in the reading order, from 0, without gaps.
    pub seq: u64,
    /// The file.
    pub file: FileId,
    /// The path as the user knows it (for `origin.file`).
    pub path: Arc<str>,
    /// Index of the spool in the settings (0 in `replay`): its time zone and format count.
    pub spool: u16,
    /// The format; `None` only while `data` is empty.
    pub format: Option<Format>,
    /// The CSV header record in force for all of `data`. Header records themselves stand at the beginning of a batch and are marked by `leading_header`.
    pub header: Option<Arc<[u8]>>,
    /// Whether the first record of `data` is the header itself.
    pub leading_header: bool,
    /// The records, each with its line end (the last of a finished file may lack it).
    pub data: Vec<u8>,
    /// File offset of the first byte of `data`.
    pub offset: u64,
    /// Line number of the first record.
    pub line: u64,
    /// What the source itself refused (over-long lines, runs of NUL), in file order: offset, line, bytes, reason. Their bytes are not in `data`.
    pub refused: Vec<Refused>,
    /// Known to hold nothing but ASCII, in `data`.
    pub is_ascii: bool,
    /// Bytes before `offset` that are no record and were consumed with this batch: a byte order mark.
    pub skipped: u64,
    /// What to remember with the effects of this batch, in the same commit.
    pub remember: Remember,
}

impl RawBatch {
    /// A batch without records, from the beginning of a file.
    pub fn empty(file: FileId, path: Arc<str>, remember: Remember) -> RawBatch {
        RawBatch {
            seq: 0,
            file,
            path,
            spool: 0,
            format: None,
            header: None,
            leading_header: false,
            data: Vec::new(),
            offset: 0,
            line: 1,
            refused: Vec::new(),
            is_ascii: false,
            skipped: 0,
            remember,
        }
    }
}

/// A record that the source refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// File offset.
    pub offset: u64,
    /// Line number.
    pub line: u64,
    /// Length in bytes.
    pub bytes: u64,
    /// Why.
    pub reason: Reject,
    /// The first bytes, for the log.
    pub sample: Vec<u8>,
}

/// A rule's stateless condition held for an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hit {
    /// Index into the content's rules.
    pub rule: u16,
    /// What the rule is "per"; empty when it is per sequence.
    pub value: Span,
    /// The amount that a sum rule adds. 0 for other rules, and where a sum rule only has to know that the value was met.
    pub amount: u64,
}

/// An event trains a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Training {
    /// Index into the content's models.
    pub model: u16,
    /// The feature's value.
    pub value: Span,
    /// What else makes a training unique within the sequence; empty for once per value.
    pub once: Span,
}

/// What the detect thread needs of an event. Ranges index the batch's vectors.
#[derive(Clone, Debug)]
pub struct BatchEvent {
    /// What happened.
    pub kind: EventType,
    /// When: ms since the epoch, UTC.
    pub time_ms: i64,
    /// The day of `time_ms` in the configured zone.
    pub day: Day,
    /// File offset of the record.
    pub offset: u64,
    /// Line number of the record.
    pub line: u64,
    /// Key of the user; empty when the record names none.
    pub user: Span,
    /// Seeded hash of the user key.
    pub user_hash: u64,
    /// Key of the host; empty when the record names none.
    pub host: Span,
    /// Seeded hash of the host key.
    pub host_hash: u64,
    /// Department the record names; empty when none.
    pub department: Span,
    /// Hits: `from..to`.
    pub hits: (u32, u32),
    /// Trainings: `from..to`.
    pub trainings: (u32, u32),
    /// The record's text: read again in full when the event has to be shown.
    pub record: Span,
}

/// A screened batch.
#[derive(Debug, Default)]
pub struct EventBatch {
    /// See [`RawBatch::seq`].
    pub seq: u64,
    /// See [`RawBatch::file`].
    pub file: FileId,
    /// See [`RawBatch::path`].
    pub path: Option<Arc<str>>,
    /// The raw text that spans point into.
    pub raw: Vec<u8>,
    /// Text made by the worker.
    pub arena: Vec<u8>,
    /// The events, in file order.
    pub events: Vec<BatchEvent>,
    /// Their hits.
    pub hits: Vec<Hit>,
    /// Their trainings.
    pub trainings: Vec<Training>,
    /// Columns of the CSV header in force; `None` for CEF and for rows read by position.
    pub columns: Option<Arc<Columns>>,
    /// See [`RawBatch::spool`].
    pub spool: u16,
    /// Format of the records.
    pub format: Option<Format>,
    /// Counters of this batch.
    pub tally: Tally,
    /// Events by parser.
    pub parsers: Counts,
    /// Fields that some event carried, by event type.
    pub carried: Vec<FieldSet>,
    /// Records that are no events: line, reason, text (of what the source refused, the first bytes).
    pub rejected: Vec<(u64, Reject, Span)>,
    /// See [`RawBatch::remember`].
    pub remember: Option<Remember>,
}

impl EventBatch {
    /// The text that spans point into.
    pub fn text(&self) -> Text<'_> {
        Text { raw: &self.raw, arena: &self.arena }
    }
}

/// Conservation: `records = events + rejects + headers + blank` (invariant 10).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Bytes consumed.
    pub bytes: u64,
    /// Records of any kind.
    pub records: u64,
    /// Header records of CSV.
    pub headers: u64,
    /// Blank lines.
    pub blank: u64,
    /// Events by [`EventType`].
    pub events: Counts,
    /// Rejects by [`Reject`].
    pub rejects: Counts,
    /// Oddities by [`crate::event::Oddity`].
    pub oddities: Counts,
}

impl Tally {
    /// Adds another tally to this one.
    pub fn merge(&mut self, other: &Tally) {
        self.bytes += other.bytes;
        self.records += other.records;
        self.headers += other.headers;
        self.blank += other.blank;
        self.events.merge(&other.events);
        self.rejects.merge(&other.rejects);
        self.oddities.merge(&other.oddities);
    }
    /// Whether the conservation law holds.
    pub fn adds_up(&self) -> bool {
        self.records == self.events.total() + self.rejects.total() + self.headers + self.blank
    }
    /// Sets everything to zero, keeping allocations.
    pub fn clear(&mut self) {
        (self.bytes, self.records, self.headers, self.blank) = (0, 0, 0, 0);
        self.events.clear();
        self.rejects.clear();
        self.oddities.clear();
    }
}

/// Hashes entity keys: seeded at start, because keys are the attacker's choice; shared by workers and detection.
#[derive(Clone, Debug, Default)]
pub struct KeyHasher(foldhash::fast::RandomState);

impl KeyHasher {
    /// The hash of a key.
    #[inline]
    pub fn hash(&self, key: &[u8]) -> u64 {
        use std::hash::{BuildHasher, Hasher};
        let mut hasher = self.0.build_hasher();
        hasher.write(key);
        hasher.finish()
    }
}
