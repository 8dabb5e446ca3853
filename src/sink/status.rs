//! What a sink has done and how it is, for `agentctl status`. Written by the sink's thread, read by any.

use super::{SinkError, SinkNotes};
use crate::calendar::wall_clock_ms;
use serde::{Deserialize, Serialize};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The live status of one sink.
#[derive(Debug, Default)]
pub struct SinkStatus {
    now: Mutex<SinkSnapshot>,
}

/// The status of a sink at one instant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SinkSnapshot {
    /// Name of the sink.
    pub name: String,
    /// Highest number in the outbox that is acknowledged since the start; 0 when none.
    pub acknowledged_seq: u64,
    /// Alerts delivered since the start, repeats that were dropped included.
    pub delivered: u64,
    /// Alerts not delivered because of `min_score`.
    pub below_min_score: u64,
    /// Alerts not delivered because flood suppression held them back.
    pub suppressed: u64,
    /// Alerts taken up and not yet acknowledged.
    pub waiting: u64,
    /// Attempts that failed.
    pub errors: u64,
    /// The last error, also when it is over.
    pub last_error: Option<String>,
    /// Whether it has been tried since the start, with or without something to deliver.
    #[serde(default)]
    pub tried: bool,
    /// Wall clock, ms, since when every attempt has failed; `None` when the last one did not.
    pub failing_since_ms: Option<i64>,
    /// Alerts that were found delivered already and not delivered again.
    pub repeats_dropped: u64,
    /// Alerts that had to be cut to fit.
    pub truncated: u64,
    /// Alerts that were delivered again because the place that had taken them lost them.
    pub delivered_again: u64,
    /// The alert file of the last run is gone: delivery is at least once.
    pub dedup_lost: bool,
}

impl SinkStatus {
    /// A copy of the status.
    pub fn snapshot(&self) -> SinkSnapshot {
        self.lock().clone()
    }

    pub(super) fn named(&self, name: &str) {
        self.lock().name = name.to_owned();
    }

    pub(super) fn waiting(&self, alerts: usize) {
        self.lock().waiting = alerts as u64;
    }

    pub(super) fn noted(&self, notes: SinkNotes) {
        let mut now = self.lock();
        now.repeats_dropped = notes.repeats_dropped;
        now.truncated = notes.truncated;
        now.delivered_again = notes.delivered_again;
        now.dedup_lost = notes.dedup_lost;
    }

    /// An attempt failed. Says whether that is news: the first failure, or another than before.
    pub(super) fn failed(&self, error: &SinkError) -> bool {
        let mut now = self.lock();
        now.tried = true;
        now.errors += 1;
        let news = now.failing_since_ms.is_none() || now.last_error.as_deref() != Some(error.0.as_str());
        now.failing_since_ms.get_or_insert_with(wall_clock_ms);
        now.last_error = Some(error.0.clone());
        news
    }

    /// It could deliver. Says whether it had been failing.
    pub(super) fn reached(&self) -> bool {
        let mut now = self.lock();
        now.tried = true;
        now.failing_since_ms.take().is_some()
    }

    /// Everything up to `seq` is acknowledged. Gives since when the sink had been failing.
    pub(super) fn acknowledged(&self, seq: u64, delivered: u64, below_min_score: u64, suppressed: u64) -> Option<i64> {
        let mut now = self.lock();
        now.acknowledged_seq = seq;
        now.delivered += delivered;
        now.below_min_score += below_min_score;
        now.suppressed += suppressed;
        // Alerts that need no delivery say nothing about the place they would have gone to.
        if delivered > 0 { now.failing_since_ms.take() } else { None }
    }

    fn lock(&self) -> MutexGuard<'_, SinkSnapshot> {
        // Each update is a few plain assignments: a thread that panicked left nothing half done.
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
