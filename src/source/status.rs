//! What the source tells about itself: a snapshot for `agentctl status`, for the progress bar and for operational alerts.
//!
//! One short lock a batch; nothing here decides anything. Units: sizes and offsets in bytes (offsets of the uncompressed
//! file), instants in milliseconds since the epoch.

use crate::batch::{FileId, Format, Position};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What the source is doing with a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileState {
    /// Bytes wait to be read.
    #[default]
    Reading,
    /// Bytes wait to be read, and will until older files have been: it is more than `late_days` ahead of them.
    Later,
    /// Read to the end of what is there.
    Waiting,
    /// Not told apart from another file yet: a copy of it, or too short to say.
    Held,
    /// A compressed file whose end has not been written yet.
    Incomplete,
    /// A compressed file that cannot be decoded further.
    Corrupt,
    /// A compressed file that expands beyond `max_expansion`; it is not read further.
    TooLarge,
    /// Cannot be opened or read; tried again with growing pauses.
    Unreadable,
    /// Deleted, moved away or truncated; its position is kept for `forget_gone_hours`.
    Gone,
}

impl FileState {
    /// Every member.
    pub const ALL: &'static [FileState] = &[
        FileState::Reading,
        FileState::Later,
        FileState::Waiting,
        FileState::Held,
        FileState::Incomplete,
        FileState::Corrupt,
        FileState::TooLarge,
        FileState::Unreadable,
        FileState::Gone,
    ];

    /// Its name, for programs.
    pub const fn name(self) -> &'static str {
        match self {
            FileState::Reading => "reading",
            FileState::Later => "later",
            FileState::Waiting => "waiting",
            FileState::Held => "held",
            FileState::Incomplete => "incomplete",
            FileState::Corrupt => "corrupt",
            FileState::TooLarge => "too_large",
            FileState::Unreadable => "unreadable",
            FileState::Gone => "gone",
        }
    }
}

/// One file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FileSnapshot {
    /// The id under which its position is kept; 0 while it has none.
    pub id: FileId,
    /// Index of its spool in the settings.
    #[serde(default)]
    pub spool: usize,
    /// The path as the user knows it.
    pub path: String,
    /// Size on disk.
    pub size: u64,
    /// Bytes consumed.
    pub offset: u64,
    /// Bytes not consumed yet; of a compressed file bytes on disk, since nobody knows how many they will become.
    pub lag_bytes: u64,
    /// Whether the file is decoded on the way: gz, zst, UTF-16.
    #[serde(default)]
    pub compressed: bool,
    /// Event time of the next unread record, as far as it was needed; files without readable records go by their
    /// modification.
    #[serde(default)]
    pub next_event_ms: Option<i64>,
    /// Lines consumed.
    pub lines: u64,
    /// How often the path was truncated or replaced before.
    pub generation: u32,
    /// The format, once known: `cef` or `csv`.
    pub format: Option<String>,
    /// What the source is doing with it.
    pub state: FileState,
    /// The trouble, in words.
    pub error: Option<String>,
}

impl FileSnapshot {
    /// What is done with it where files that stand later than a time wait.
    pub(super) fn state_beside(&self, waits_beyond_ms: Option<i64>) -> FileState {
        let beyond = self.next_event_ms.zip(waits_beyond_ms).is_some_and(|(at, limit)| at > limit);
        if beyond && self.state == FileState::Reading && self.lag_bytes > 0 { FileState::Later } else { self.state }
    }

    /// What a position says; size, lag and state are for the caller to fill in.
    pub(super) fn of(id: FileId, path: &str, position: &Position) -> FileSnapshot {
        FileSnapshot {
            id,
            path: path.to_owned(),
            offset: position.offset,
            lines: position.lines,
            generation: position.generation,
            format: position.format.map(|f| if f == Format::Cef { "cef".into() } else { "csv".into() }),
            ..FileSnapshot::default()
        }
    }
}

/// One spool directory.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SpoolSnapshot {
    /// The directory.
    pub path: String,
    /// Why it cannot be listed; `None` when all is well.
    pub missing: Option<String>,
    /// Files that match its globs.
    pub files: u64,
    /// When a new byte was last read from it; `None` before the first.
    pub last_data_ms: Option<i64>,
    /// Uncompressed bytes consumed since the start.
    #[serde(default)]
    pub consumed_bytes: u64,
}

/// What happened so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceCounters {
    /// Files that were renamed while being followed.
    pub rotations: u64,
    /// Files that were truncated, or replaced in place.
    pub truncations: u64,
    /// Copies of a file that were recognised and read on from where the original ended.
    pub continued: u64,
    /// Files that vanished before they were read to their end.
    pub vanished_before_end: u64,
    /// Opens and reads that failed.
    pub io_errors: u64,
    /// Of these, for want of permission.
    pub permission_errors: u64,
    /// Times that the kernel's queue of hints overflowed and everything was listed again.
    pub overflow_rescans: u64,
    /// Times that a spool directory could not be listed.
    pub missing_directories: u64,
    /// Compressed files that were stopped for expanding too much.
    pub too_large: u64,
    /// Compressed files that could not be decoded.
    pub corrupt: u64,
    /// Positions that were forgotten because their file was gone long enough.
    pub forgotten: u64,
    /// Records that the source refused.
    pub refused: u64,
}

/// Everything, at one instant.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SourceSnapshot {
    /// The files, by path.
    pub files: Vec<FileSnapshot>,
    /// The spools, as configured.
    pub spools: Vec<SpoolSnapshot>,
    /// The counters.
    pub counters: SourceCounters,
    /// Listings of all spools since the start, as far as everything that they found has been read, or has to wait.
    #[serde(default)]
    pub listings: u64,
    /// Whether every spool was listed once, so that all that waits is known.
    #[serde(default)]
    pub surveyed: bool,
    /// Event time of the oldest record that was found unread and can be read; `None` when all was caught up with.
    #[serde(default)]
    pub oldest_unread_ms: Option<i64>,
    /// Files that stand later than this wait for it.
    #[serde(default)]
    pub waits_beyond_ms: Option<i64>,
    /// Why there are no hints from the kernel, when there are none: new bytes are then seen at the next rescan.
    pub polling_only: Option<String>,
    /// Files that a replay left out because they were read to their end before.
    pub skipped: Vec<String>,
    /// Files that a replay could not read to their end, and why.
    pub failed: Vec<String>,
    /// Bytes that a replay has to read, on disk; 0 until it knows.
    pub planned_bytes: u64,
    /// Of these, how many are done.
    pub done_bytes: u64,
    /// Uncompressed bytes consumed since the start.
    pub consumed_bytes: u64,
}

impl SourceSnapshot {
    /// Bytes that wait in all files.
    pub fn pending_bytes(&self) -> u64 {
        self.files.iter().map(|f| f.lag_bytes).sum()
    }
}

/// Shared between the source and whoever asks.
#[derive(Debug, Default)]
pub struct SourceStatus {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    files: BTreeMap<Key, FileSnapshot>,
    rest: SourceSnapshot,
}

/// Files with a position go by their id, the others by their inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    File(FileId),
    Inode(u64, u64),
}

impl SourceStatus {
    /// An empty status.
    pub fn new() -> SourceStatus {
        SourceStatus::default()
    }

    /// A copy of everything.
    pub fn snapshot(&self) -> SourceSnapshot {
        let inner = self.lock();
        let mut all = inner.rest.clone();
        all.files = inner.files.values().cloned().collect();
        for file in &mut all.files {
            file.state = file.state_beside(all.waits_beyond_ms);
        }
        all.files.sort_by(|a, b| a.path.cmp(&b.path).then(a.id.cmp(&b.id)));
        all
    }

    /// Looks at everything without a copy.
    pub(super) fn look<T>(
        &self,
        look: impl FnOnce(&mut dyn Iterator<Item = &FileSnapshot>, &SourceSnapshot) -> T,
    ) -> T {
        let inner = self.lock();
        look(&mut inner.files.values(), &inner.rest)
    }

    pub(super) fn count(&self, add: impl FnOnce(&mut SourceCounters)) {
        add(&mut self.lock().rest.counters);
    }

    pub(super) fn change(&self, change: impl FnOnce(&mut SourceSnapshot)) {
        change(&mut self.lock().rest);
    }

    /// Says how far a file is.
    pub(super) fn file(&self, key: Key, file: FileSnapshot) {
        self.lock().files.insert(key, file);
    }

    /// A newcomer has become a file. At no moment both are told, or neither: what waits would seem to shrink and grow.
    pub(super) fn admitted(&self, newcomer: Key, id: FileId) {
        let mut inner = self.lock();
        if let Some(file) = inner.files.remove(&newcomer) {
            inner.files.insert(Key::File(id), FileSnapshot { id, ..file });
        }
    }

    pub(super) fn drop_file(&self, key: Key) {
        self.lock().files.remove(&key);
    }

    /// Bytes were consumed from a file of this spool.
    pub(super) fn consumed(&self, spool: usize, bytes: u64, refused: u64, now_ms: i64) {
        let mut inner = self.lock();
        inner.rest.consumed_bytes += bytes;
        inner.rest.counters.refused += refused;
        if let Some(spool) = inner.rest.spools.get_mut(spool) {
            spool.last_data_ms = Some(now_ms);
            spool.consumed_bytes += bytes;
        }
    }

    pub(super) fn set_spools<'a>(&self, paths: impl Iterator<Item = &'a Path>) {
        let spools = paths.map(|p| SpoolSnapshot { path: p.display().to_string(), ..SpoolSnapshot::default() });
        self.lock().rest.spools = spools.collect();
    }

    /// A panic elsewhere must not hide the status: a poisoned lock is used all the same, it only holds numbers.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
