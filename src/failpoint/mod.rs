//! Failpoints: named places where a test makes the process die, stop working, or lose time. A release build has none of it.
//!
//! The environment variable `EXFIL_AGENT_FAIL` of a build with debug assertions says what happens: `abort=commit-synced:3`
//! ends the process, as kill -9 would, when that place is reached for the third time (`:1` may be left out);
//! `stall=commit-composed` waits there for ever; `jitter=7` sleeps for pseudo-random times of up to 3 ms at every place, by
//! seed 7. `EXFIL_AGENT_LONGEST_PAUSE_MS=50` shortens the pauses before a failed commit is tried again. What this file never
//! does: change a result.

/// A place. The order is that of the life of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// The state directory is locked, nothing is read yet.
    OpenLocked,
    /// The first root of a new store is durable, the witness is not there yet.
    OpenCreated,
    /// The store is verified, the witness not brought up to date.
    OpenVerified,
    /// A damaged state is to be moved aside.
    RestoreBegun,
    /// It has been moved aside, and nothing has taken its place.
    RestoreMoved,
    /// The snapshot has been copied into a new database that is not in its place yet.
    RestoreCopied,
    /// The new database is in its place, the witness still the old one.
    RestorePlaced,
    /// The source has found a file under another name.
    SourceRenamed,
    /// The source has found that a file was truncated or replaced.
    SourceTruncated,
    /// The source has given up a file that is gone.
    SourceRetired,
    /// A batch is on its way to the workers.
    SourceSent,
    /// A worker has screened a batch.
    WorkerScreened,
    /// A batch has been judged, nothing of it is committed.
    DetectJudged,
    /// A delta has been handed to the store thread.
    DetectHandedOver,
    /// A commit is known to be durable, its alerts are about to be released.
    DetectReleasing,
    /// An acknowledgement has become part of the state and is not committed yet.
    DetectAcknowledged,
    /// A delta is composed, nothing is written.
    CommitComposed,
    /// The database has taken the batch and not flushed it.
    CommitApplied,
    /// The batch is flushed and not synced.
    CommitFlushed,
    /// The batch is synced, the witness not written.
    CommitSynced,
    /// The witness is written, the commit not reported.
    CommitWitnessed,
    /// A fold step is composed, nothing is written.
    FoldComposed,
    /// A fold step is durable.
    FoldApplied,
    /// A snapshot is begun: an empty file under a temporary name.
    SnapshotBegun,
    /// A snapshot is written, not synced.
    SnapshotWritten,
    /// A snapshot has its name, the directory is not synced.
    SnapshotNamed,
    /// Old snapshots are about to be removed.
    SnapshotPruning,
    /// A new database is written and has not taken the place of the old one.
    CompactBuilt,
    /// It has, and the old one is still there under another name.
    CompactExchanged,
    /// A sink is about to deliver.
    DeliverBegun,
    /// The alert file holds the line, nothing is synced or acknowledged.
    DeliverWritten,
    /// What was delivered is flushed, not acknowledged.
    DeliverFlushed,
    /// The alert file was replaced, and a new one is about to be opened.
    DeliverReopening,
    /// Everything is delivered and committed, the store is about to close.
    Closing,
}

impl Point {
    /// All places.
    pub const ALL: &'static [Point] = &[
        Point::OpenLocked,
        Point::OpenCreated,
        Point::OpenVerified,
        Point::RestoreBegun,
        Point::RestoreMoved,
        Point::RestoreCopied,
        Point::RestorePlaced,
        Point::SourceRenamed,
        Point::SourceTruncated,
        Point::SourceRetired,
        Point::SourceSent,
        Point::WorkerScreened,
        Point::DetectJudged,
        Point::DetectHandedOver,
        Point::DetectReleasing,
        Point::DetectAcknowledged,
        Point::CommitComposed,
        Point::CommitApplied,
        Point::CommitFlushed,
        Point::CommitSynced,
        Point::CommitWitnessed,
        Point::FoldComposed,
        Point::FoldApplied,
        Point::SnapshotBegun,
        Point::SnapshotWritten,
        Point::SnapshotNamed,
        Point::SnapshotPruning,
        Point::CompactBuilt,
        Point::CompactExchanged,
        Point::DeliverBegun,
        Point::DeliverWritten,
        Point::DeliverFlushed,
        Point::DeliverReopening,
        Point::Closing,
    ];

    /// The name in `EXFIL_AGENT_FAIL`: `commit-synced`.
    pub fn name(self) -> String {
        let mut name = String::new();
        for c in format!("{self:?}").chars() {
            if c.is_ascii_uppercase() && !name.is_empty() {
                name.push('-');
            }
            name.push(c.to_ascii_lowercase());
        }
        name
    }
}

/// The process has come to this place.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub fn reach(_: Point) {}

#[cfg(debug_assertions)]
pub use armed::reach;

#[cfg(debug_assertions)]
mod armed;

/// How long to wait before something that failed is tried again: as long as the caller says.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub fn pause(usual: std::time::Duration) -> std::time::Duration {
    usual
}

#[cfg(debug_assertions)]
pub use armed::pause;
