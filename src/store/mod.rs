//! The store: an ordered map of byte keys to byte values that survives kill -9 and power loss (invariants 2 and 7).
//!
//! The only user of sled and bincode. It knows nothing of models or rules: records are typed in `record`.
//!
//! A commit writes one *delta*, all its records or none, and returns when it is on the disk. Unfolded deltas are also held in
//! memory, as an overlay; in the background *folding* moves them into *pages* of consecutive records, of which memory holds
//! only an index. Of what is written in ascending order only, a commit writes full pages itself. A root record with a digest
//! over everything, and a witness file beside sled, make damage visible at open.
//! docs/format.md describes the bytes. One thread owns a store and makes all its calls.
//!
//! From time to time a *snapshot* of everything is written beside sled, in a format of our own; when sled's files turn out to
//! be damaged, the newest sound one takes their place.
//!
//! In reading order: `run`, `packed` and `envelope` (the bytes), `root`, `page`, `delta`, `order`, `layer`, `overlay`, `view`
//! and `records` (reading), `fold`, `ascending`, `commit`, `engine` (sled), `nudge`, `lock`, `witness`, `about`, `unpacking`, `open`,
//! `snapshot`, `bulk`, `compact`, `recovery`, `stopped`.

mod about;
mod ascending;
mod bulk;
pub mod codec;
mod commit;
mod compact;
mod delta;
mod engine;
mod envelope;
mod error;
mod fold;
mod layer;
mod lock;
mod nudge;
mod open;
mod order;
mod overlay;
mod packed;
mod page;
mod records;
mod recovery;
mod root;
mod run;
mod snapshot;
mod stopped;
mod unpacking;
mod view;
mod witness;

#[cfg(any(test, fuzzing))]
#[path = "../fuzz_entry/stored.rs"]
pub mod fuzz_stored;

#[cfg(test)]
mod tests;

pub use about::{Known, OnDamage, Opened, StoreOptions, StoreStats};
pub use delta::{Delta, Edit};
pub use error::StoreError;
pub use records::Records;
pub use recovery::Recovered;
pub use stopped::{ReadStore, read_snapshot, read_stopped};

use crate::failpoint::{self, Point};
use ascending::Ascending;
use engine::{Change, Engine};
use fold::Pass;
use lock::Lock;
use order::Order;
use snapshot::Snapshots;
use std::path::Path;
use view::View;
use witness::Witness;

/// Longest key, bytes.
pub const MAX_KEY_BYTES: usize = 64 * 1024;
/// Longest value, bytes.
pub const MAX_VALUE_BYTES: usize = 4 << 20;
/// Deltas waiting at which folding is due, however small they are.
const MAX_DELTAS: usize = 16_384;
/// As many times its contents a database may take before it is written anew.
const MAX_WASTE: u64 = 2;
/// As many times what unfolded changes take in memory, packed and the latest of each key, their deltas may be long.
const MAX_DELTA_WASTE: u64 = 4;
/// Bytes in sled from which on it is opened a second time after all of them were read. It costs about a tenth of that.
const REOPEN_BYTES: u64 = 4 << 20;

/// A live key and its value.
pub type Record = (Vec<u8>, Vec<u8>);

/// An open store.
pub struct Store {
    view: View,
    witness: Witness,
    pass: Option<Pass>,
    max_delta_bytes: u64,
    schema: u16,
    snapshots_kept: usize,
    snapshots: Snapshots,
    /// A recovery is on record, and no commit has followed.
    recovery_noted: bool,
    failed: bool,
    ascending: Ascending,
    /// Memory for the next commit.
    order: Order,
    packed: Vec<u8>,
    _lock: Lock, // dropped last
}

impl Store {
    /// Opens the store in a state directory, or creates it. What opening has read stays in memory until [`Store::let_go`].
    ///
    /// # Errors
    /// [`StoreError::InUse`], [`StoreError::Corrupt`], [`StoreError::Newer`], [`StoreError::Create`] or [`StoreError::Io`].
    pub fn open(dir: &Path, options: &StoreOptions) -> Result<(Store, Opened), StoreError> {
        Ok(Store::of(open::open(dir, options)?, options))
    }

    /// Opens the store again that `known` was asked of, after it failed. It holds what it held then, and perhaps the commit
    /// that failed. Nothing is made, moved aside or restored: who asks works with what that store held.
    ///
    /// # Errors
    /// [`StoreError::Gone`] when that store is not there any more, [`StoreError::Corrupt`] when it has lost commits, or what
    /// [`Store::open`] returns.
    pub fn open_again(dir: &Path, options: &StoreOptions, known: &Known) -> Result<Store, StoreError> {
        Ok(Store::of(open::open_again(dir, options.schema, known)?, options).0)
    }

    fn of(parts: open::Parts, options: &StoreOptions) -> (Store, Opened) {
        let open::Parts { view, witness, lock, opened } = parts;
        let recovery_noted = opened.recovered.is_some();
        let snapshots = Snapshots::of(&view.dir);
        let store = Store {
            view,
            witness,
            pass: None,
            max_delta_bytes: options.max_delta_bytes as u64,
            schema: options.schema,
            snapshots_kept: options.snapshots_kept,
            snapshots,
            recovery_noted,
            failed: false,
            ascending: Ascending::new(options.ascending),
            order: Order::default(),
            packed: Vec::new(),
            _lock: lock,
        };
        (store, opened)
    }

    /// What [`Store::open_again`] will ask for: this store with its last commit.
    pub fn known(&self) -> Known {
        Known { id: self.view.root.id, epoch: self.view.root.epoch }
    }

    /// Whether there are commits that no snapshot holds.
    pub fn snapshot_due(&self) -> bool {
        self.snapshots_kept > 0 && self.snapshots.epoch.unwrap_or(0) < self.view.root.epoch
    }

    /// Writes a snapshot of everything, durably, and removes those beyond `snapshots_kept`. Takes about a second for each
    /// 100 MB of records.
    ///
    /// # Errors
    /// When it cannot be written or the store not be read. Older snapshots are as they were, and so is the store.
    pub fn snapshot(&mut self) -> Result<(), StoreError> {
        self.check_usable()?;
        snapshot::write(&self.view)?;
        self.prune_snapshots(self.snapshots_kept)
    }

    /// [`Store::snapshot`] and [`Store::compact`] for one walk over everything, instead of two.
    ///
    /// # Errors
    /// As these: while the store is usable it goes on as it was, and each can be tried alone. The snapshot has been taken when none
    /// is due any more.
    pub fn snapshot_and_compact(&mut self) -> Result<(), StoreError> {
        self.check_usable()?;
        let snapshot = snapshot::Writer::begin(&self.view)?;
        let new = compact::build(&self.view, Some(snapshot))?;
        // Before what may fail every time: snapshots must not gather then.
        self.prune_snapshots(self.snapshots_kept)?;
        self.exchange(&new)
    }

    fn prune_snapshots(&mut self, kept: usize) -> Result<(), StoreError> {
        failpoint::reach(Point::SnapshotPruning);
        self.snapshots = Snapshots::of(&self.view.dir);
        snapshot::prune(&self.view.dir, kept)?;
        self.snapshots = Snapshots::of(&self.view.dir);
        Ok(())
    }

    /// Lets go of the memory that a walk over everything, such as opening or a snapshot, has filled: sled keeps what it has read until
    /// it is closed. Does nothing where that is little.
    ///
    /// # Errors
    /// After any error, drop this store and open it again; nothing is lost.
    pub fn let_go(&mut self) -> Result<(), StoreError> {
        self.check_usable()?;
        let most: u64 = self.view.deltas.iter().map(|delta| delta.stored).sum::<u64>() + self.view.index.stored();
        if most < REOPEN_BYTES {
            return Ok(());
        }
        let reopened = self.view.engine.reopen();
        self.note(reopened)
    }

    /// Removes all snapshots and takes a new one in their place, where snapshots are kept. Says how many were removed.
    ///
    /// # Errors
    /// As [`Store::snapshot`]; older snapshots may be left then.
    pub fn replace_snapshots(&mut self) -> Result<u64, StoreError> {
        let before = snapshot::list(&self.view.dir).len() as u64;
        if self.snapshots_kept > 0 {
            self.snapshot()?;
        }
        self.prune_snapshots(self.snapshots_kept.min(1))?;
        Ok(before)
    }

    /// Whether there is a state in a directory, sound or not.
    pub fn exists(dir: &Path) -> bool {
        Engine::exists(&dir.join(open::SLED_DIR)) || !snapshot::list(dir).is_empty()
    }

    /// How many copies of a damaged database recoveries have put aside in a state directory.
    pub fn damaged_copies(dir: &Path) -> u64 {
        let names = std::fs::read_dir(dir).into_iter().flatten().flatten().map(|e| e.file_name());
        names.filter(|name| name.to_string_lossy().starts_with(recovery::DAMAGED)).count() as u64
    }

    /// Whether the database takes more than twice its contents, and more than `min_bytes`.
    pub fn compact_due(&self, min_bytes: u64) -> bool {
        let deltas: u64 = self.view.deltas.iter().filter(|d| d.epoch > self.view.root.folded).map(|d| d.stored).sum();
        let contents = self.view.index.stored() + deltas.min(self.delta_limit());
        let (disk, _) = self.view.engine.disk();
        disk > min_bytes && disk > contents * MAX_WASTE
    }

    /// Writes all records into a new database, which takes the place of the old one. Takes about as long as a snapshot.
    ///
    /// # Errors
    /// When the new database cannot be written, the store goes on with the old one. After any other error, drop this store and
    /// open it again; nothing is lost.
    pub fn compact(&mut self) -> Result<(), StoreError> {
        self.check_usable()?;
        let new = compact::build(&self.view, None)?;
        self.exchange(&new)
    }

    fn exchange(&mut self, new: &Path) -> Result<(), StoreError> {
        self.pass = None;
        let result = compact::exchange(&mut self.view, new);
        self.note(result)
    }

    /// Whether [`Store::fold_step`] should be called when there is time.
    pub fn fold_due(&self) -> bool {
        self.pass.is_some()
            || self.unfolded() >= self.delta_limit()
            || self.view.deltas.len() >= MAX_DELTAS
            || fold::has_dead(&self.view)
    }

    /// Whether folding does not keep up with commits and must not wait for a pause between them.
    pub fn fold_overdue(&self) -> bool {
        self.unfolded() >= self.delta_limit() * 2
    }

    /// What unfolded changes cost, bytes: the memory that they take, or a share of what a start has to read.
    fn unfolded(&self) -> u64 {
        (self.view.overlay.bytes() as u64).max(self.view.delta_bytes / MAX_DELTA_WASTE)
    }

    /// Unfolded changes at which folding is due, bytes.
    fn delta_limit(&self) -> u64 {
        self.max_delta_bytes.max(self.view.index.stored() / 8)
    }

    /// Folds a little, durably; `false` when nothing is left to do. Commits may come between two steps.
    ///
    /// # Errors
    /// After any error, drop this store and open it again; nothing is lost.
    pub fn fold_step(&mut self) -> Result<bool, StoreError> {
        self.check_usable()?;
        let result = self.fold();
        self.note(result)
    }

    /// The live value of a key.
    ///
    /// # Errors
    /// [`StoreError::Io`] or [`StoreError::Corrupt`] when the page cannot be read.
    pub fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.check_usable()?;
        self.view.get(key)
    }

    /// Live records in key order, from the first key ≥ `from` that begins with `prefix`, until their size reaches `max_bytes`
    /// (at least one). To go on, call again with the last key and a zero byte as `from`; an empty result is the end.
    ///
    /// # Errors
    /// [`StoreError::Io`] or [`StoreError::Corrupt`] when a page cannot be read.
    pub fn scan(&self, from: &[u8], prefix: &[u8], max_bytes: usize) -> Result<Vec<Record>, StoreError> {
        self.check_usable()?;
        self.view.scan(from, prefix, max_bytes)
    }

    /// Hands over all live records in the order of their keys, as long as `take` says that it goes on.
    ///
    /// # Errors
    /// [`StoreError::Io`] or [`StoreError::Corrupt`] when a page cannot be read.
    pub fn each(&self, take: impl FnMut(&[u8], &[u8]) -> bool) -> Result<(), StoreError> {
        self.each_from(b"", take)
    }

    /// The same, from the first key ≥ `from` on.
    ///
    /// # Errors
    /// As [`Store::each`].
    pub fn each_from(&self, from: &[u8], take: impl FnMut(&[u8], &[u8]) -> bool) -> Result<(), StoreError> {
        self.check_usable()?;
        self.view.each(from, b"", take)
    }

    /// Live records by prefix, each in the order of their keys.
    ///
    /// # Errors
    /// [`StoreError::Io`] or [`StoreError::Corrupt`] when a page cannot be read.
    pub fn read_all(&self, prefixes: &[Vec<u8>]) -> Result<Vec<Vec<Record>>, StoreError> {
        self.check_usable()?;
        prefixes.iter().map(|prefix| self.view.scan(prefix, prefix, usize::MAX)).collect()
    }

    /// Live records from the first key ≥ `from` on, up to `end`, until their size reaches `max_bytes`; and where to go on, if there
    /// are more. What is known of somebody is a family of keys: `in_families`, none of them is torn apart.
    ///
    /// # Errors
    /// [`StoreError::Io`] or [`StoreError::Corrupt`] when a page cannot be read.
    pub fn piece(
        &self,
        from: &[u8],
        end: &[u8],
        max_bytes: usize,
        in_families: bool,
    ) -> Result<(Records, Option<Vec<u8>>), StoreError> {
        self.check_usable()?;
        let (mut records, mut family, mut next) = (Records::with_room(max_bytes), Vec::new(), None);
        self.view.each(from, b"", |key, value| {
            let goes_on = !family.is_empty() && key.starts_with(&family);
            if key >= end || (!goes_on && records.bytes() >= max_bytes) {
                next = (key < end).then(|| key.to_vec());
                return false;
            }
            if in_families && !goes_on {
                family.clear();
                family.extend_from_slice(run::family_len(key).and_then(|len| key.get(..len)).unwrap_or_default());
            }
            records.push(key, value);
            true
        })?;
        Ok((records, next))
    }

    /// There are no more records than so many.
    pub fn most_records(&self) -> u64 {
        self.view.index.records() + self.view.overlay.len()
    }

    /// Whether it takes commits: after a failed write it does not.
    pub fn is_usable(&self) -> bool {
        !self.failed
    }

    /// Sizes and epoch.
    pub fn stats(&self) -> StoreStats {
        self.snapshots.with(self.view.stats())
    }

    /// Closes the store. Every commit is durable already; this only tells whether closing went well.
    ///
    /// # Errors
    /// [`StoreError::Io`] when the last write or sync failed.
    pub fn close(self) -> Result<(), StoreError> {
        self.view.engine.close()
    }

    fn fold(&mut self) -> Result<bool, StoreError> {
        let view = &mut self.view;
        let mut change = Change::default();
        if self.pass.is_none() && fold::has_dead(view) {
            fold::remove_dead(view, &mut change);
            view.engine.apply(change, &mut view.root)?;
            return Ok(!view.deltas.is_empty());
        }
        if self.pass.is_none() && view.deltas.is_empty() {
            return Ok(false);
        }
        let mut pass = self.pass.take().map_or_else(|| Pass::begin(view), Ok)?;
        if pass.step(view, &mut change)? {
            self.pass = Some(pass);
        }
        failpoint::reach(Point::FoldComposed);
        view.engine.apply(change, &mut view.root)?;
        failpoint::reach(Point::FoldApplied);
        Ok(true)
    }

    fn check_usable(&self) -> Result<(), StoreError> {
        if self.failed { Err(StoreError::Failed { path: self.view.dir.clone() }) } else { Ok(()) }
    }

    /// After a failed write nobody knows what sled holds: take nothing more.
    fn note<T>(&mut self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        self.failed |= result.is_err();
        result
    }
}
