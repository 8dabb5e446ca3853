//! What the store thread does to a state besides committing: a snapshot from time to time and at the end, and the database written
//! anew where it is mostly waste. What fails here costs a warning, never a commit.

use super::Durable;
use crate::store::{Store, StoreError, StoreStats};
use log::{debug, info, warn};
use std::time::{Duration, Instant};

/// When the next snapshot is due.
pub(super) struct Snapshots {
    every: Option<Duration>,
    next: Option<Instant>,
}

impl Snapshots {
    pub(super) fn new(every: Option<Duration>) -> Snapshots {
        Snapshots { every, next: every.map(|every| Instant::now() + every) }
    }

    /// How long until then; a long time where none is to come.
    pub(super) fn wait(&self) -> Duration {
        self.next.map_or(Duration::from_secs(86_400), |next| next.saturating_duration_since(Instant::now()))
    }
}

impl Durable {
    /// When it is time for a snapshot.
    pub(super) fn snapshot(&mut self) {
        self.snapshots = Snapshots::new(self.snapshots.every);
        let min_bytes = self.compact_min_bytes;
        let is_read = self.store.as_ref().is_some_and(|s| s.snapshot_due() || s.compact_due(min_bytes));
        self.save();
        if is_read {
            self.let_go();
        }
    }

    /// Takes a snapshot, if anything was committed since the last one, and writes the database anew, if it is mostly waste. What
    /// fails costs a warning: it is tried again after the usual time.
    pub(super) fn save(&mut self) {
        let Some(store) = &mut self.store else { return };
        if store.snapshot_due() && store.compact_due(self.compact_min_bytes) {
            let before = store.stats().disk_bytes;
            match store.snapshot_and_compact() {
                Ok(()) => {
                    self.note_snapshot(None);
                    return self.note_compacted(before);
                }
                // Each of them alone tells what fails, and needs not what the other one needs.
                Err(e) if store.is_usable() => debug!("no snapshot together with a new database: {e}"),
                Err(e) => {
                    if !store.snapshot_due() {
                        self.note_snapshot(None);
                    }
                    return self.cannot_compact(&e);
                }
            }
        }
        self.try_snapshot();
        self.compact();
    }

    /// Lets go of the memory that a walk over everything has filled.
    pub(super) fn let_go(&mut self) {
        if let Some(store) = &mut self.store
            && let Err(e) = store.let_go()
        {
            warn!("the state cannot be opened again after all of it was read: {e}");
            self.close_failed(&e);
        }
    }

    fn compact(&mut self) {
        let Some(store) = &mut self.store else { return };
        let StoreStats { disk_bytes: before, page_bytes, delta_bytes, .. } = store.stats();
        debug!("the database takes {before} bytes for {page_bytes} of pages and {delta_bytes} of deltas");
        if !store.compact_due(self.compact_min_bytes) {
            return;
        }
        match store.compact() {
            Ok(()) => self.note_compacted(before),
            Err(e) => self.cannot_compact(&e),
        }
    }

    fn note_compacted(&self, before: u64) {
        let after = self.store.as_ref().map_or(0, |store| store.stats().disk_bytes);
        info!("the database was written anew: {} MB instead of {}", after / 1_000_000, before / 1_000_000);
        self.note_stats();
    }

    fn cannot_compact(&mut self, e: &StoreError) {
        warn!("the database cannot be written anew: {e}; trying again after the next snapshot");
        if !self.store.as_ref().is_some_and(Store::is_usable) {
            self.close_failed(e);
        }
    }

    /// Takes one if it is due.
    fn try_snapshot(&mut self) {
        let Some(store) = self.store.as_mut().filter(|store| store.snapshot_due()) else { return };
        let failing = store.snapshot().err().map(|e| e.to_string());
        if let Some(e) = &failing {
            warn!("no snapshot of the state was taken: {e}");
        }
        self.note_snapshot(failing);
    }

    fn note_snapshot(&self, failing: Option<String>) {
        let stats = self.store.as_ref().map(Store::stats);
        if let (Ok(mut status), Some(stats)) = (self.status.lock(), stats) {
            status.snapshot_failing = failing;
            status.stats = stats;
        }
    }
}
