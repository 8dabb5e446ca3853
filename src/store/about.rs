//! How a store is opened, what was found then, and how large it is: what callers see of it besides its records.

use super::recovery::Recovered;
use super::root;

/// How to open a store.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// Unfolded changes at which folding is due, bytes as packed; more if the pages are more than eight times as large.
    pub max_delta_bytes: usize,
    /// Version of the records that the caller writes. A store with a newer one is refused.
    pub schema: u16,
    /// What keys begin with that are written in ascending order only, and removed from the first one on; empty where there are
    /// none. It holds whatever is written; where it is true of many records, commits cost less.
    pub ascending: &'static [u8],
    /// What to do with a damaged store.
    pub on_damage: OnDamage,
    /// How many snapshots are kept; 0 takes none.
    pub snapshots_kept: usize,
}

/// What opening does with a damaged store. Whatever takes its place, the damaged files are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnDamage {
    /// It is an error.
    Refuse,
    /// The newest sound snapshot takes its place; without one it is an error.
    Restore,
    /// The newest sound snapshot takes its place; without one an empty store does.
    RestoreOrEmpty,
}

/// By what an open store knows itself again after it had to be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    pub(super) id: root::StoreId,
    pub(super) epoch: u64,
}

/// What was found when a store was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Opened {
    /// The last commit.
    pub epoch: u64,
    /// Version of the records at the last commit; the next commit raises it to the one of the options.
    pub schema: u16,
    /// Whether the store is new.
    pub created: bool,
    /// About how many records it holds: exact when nothing is unfolded.
    pub records: u64,
    /// Whether the witness file was missing or unreadable, so that a rollback would not have been noticed.
    pub witness_renewed: bool,
    /// What took the place of a damaged store, now or at an earlier opening that no commit has followed. The first commit
    /// must hold whatever is to be told about it.
    pub recovered: Option<Recovered>,
}

/// Sizes of a store.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct StoreStats {
    /// The last commit.
    pub epoch: u64,
    /// Version of the records.
    pub schema: u16,
    /// Number of pages.
    pub pages: u64,
    /// Encoded bytes of the pages.
    pub page_bytes: u64,
    /// Number of unfolded deltas.
    pub deltas: u64,
    /// Encoded bytes of the unfolded deltas.
    pub delta_bytes: u64,
    /// Changed records held in memory.
    pub overlay_records: u64,
    /// About how many records there are: exact when nothing is unfolded.
    pub records: u64,
    /// Bytes of sled's files.
    pub disk_bytes: u64,
    /// Files outside sled's log, which sled does not sync; always 0.
    pub blobs: u64,
    /// Number of snapshots.
    pub snapshots: u64,
    /// Bytes of all snapshots.
    pub snapshot_bytes: u64,
    /// The last commit in the newest snapshot.
    pub snapshot_epoch: Option<u64>,
    /// When the newest snapshot was written, ms since the epoch.
    #[serde(default)]
    pub snapshot_ms: Option<i64>,
}
