//! The batches before detection: put in order, and held back while the store is asked for those whom they are about.

use super::committer::{Command, Committer, Loaded, ask_again};
use crate::batch::EventBatch;
use crate::detect::Detector;
use crate::detect::absent::Absent;
use crate::exit::{self, Failure};
use crate::state::BadRecord;
use crate::state::key::entity_prefix;
use std::collections::BTreeMap;
use std::time::Instant;

/// Batches in any order; they leave in theirs.
#[derive(Default)]
pub(super) struct Line {
    early: BTreeMap<u64, EventBatch>,
    next: u64,
    /// Nobody in it is absent any more.
    ready: Option<EventBatch>,
    waiting: Option<Waiting>,
    /// It waits until nobody is missing any more.
    held: Option<EventBatch>,
}

/// A batch and whom it waits for.
struct Waiting {
    batch: EventBatch,
    absent: Absent,
    /// When the store is to be asked again.
    again: Option<Instant>,
}

impl Line {
    /// A batch joins.
    pub(super) fn add(&mut self, batch: EventBatch) {
        self.early.insert(batch.seq, batch);
    }

    /// How many batches there are.
    pub(super) fn len(&self) -> usize {
        let held = [self.ready.is_some(), self.waiting.is_some(), self.held.is_some()];
        self.early.len() + held.into_iter().filter(|is_held| *is_held).count()
    }

    /// Whether a batch waits for the store.
    pub(super) fn is_waiting(&self) -> bool {
        self.waiting.is_some() || self.held.is_some()
    }

    /// Whether a batch waits until nobody is missing any more.
    pub(super) fn needs_everybody(&self) -> bool {
        self.held.is_some()
    }

    /// The next batch that can be judged. Asks the store for whom the next one needs, where memory does not have them.
    pub(super) fn take(&mut self, detector: &Detector, committer: &Committer) -> Option<EventBatch> {
        if let Some(batch) = self.ready.take() {
            return Some(batch);
        }
        if let Some(waiting) = &mut self.waiting {
            if waiting.again.is_some_and(|again| again <= Instant::now()) {
                waiting.again = None;
                ask(detector, committer, &waiting.absent);
            }
            return None;
        }
        let batch = match self.held.take() {
            Some(held) => held,
            None => {
                let batch = self.early.remove(&self.next)?;
                self.next += 1;
                batch
            }
        };
        if detector.needs_everybody(&batch) {
            self.held = Some(batch);
            return None;
        }
        let absent = detector.absent(&batch);
        if absent.is_empty() {
            return Some(batch);
        }
        ask(detector, committer, &absent);
        self.waiting = Some(Waiting { batch, absent, again: None });
        None
    }

    /// The store has answered.
    ///
    /// # Errors
    /// When it cannot read what it has: a start may find something sound to go on from.
    pub(super) fn answered(&mut self, detector: &mut Detector, loaded: Loaded) -> Result<(), Failure> {
        let Some(mut waiting) = self.waiting.take() else { return Ok(()) };
        let records = match loaded {
            Ok(records) => records,
            Err(e) => {
                waiting.again = Some(ask_again(&e)?);
                self.waiting = Some(waiting);
                return Ok(());
            }
        };
        let Absent { away, unknown } = &waiting.absent;
        let bad = |e: BadRecord| Failure::new(exit::RUNTIME, e.to_string());
        for (id, records) in away.iter().zip(&records) {
            detector.state.page_in(*id, records).map_err(bad)?;
        }
        for ((kind, key), records) in unknown.iter().zip(records.iter().skip(away.len())) {
            let unusable = |e: BadRecord| Failure::new(exit::STATE, e.to_string());
            detector.state.bring(*kind, key, records).map_err(unusable)?;
        }
        self.ready = Some(waiting.batch);
        Ok(())
    }
}

fn ask(detector: &Detector, committer: &Committer, absent: &Absent) {
    let away = absent.away.iter().map(|id| detector.state.prefix_of(*id).unwrap_or_default());
    let prefixes = away.chain(absent.unknown.iter().map(|(kind, key)| entity_prefix(*kind, key))).collect();
    // If the store thread is gone, its end is noticed where commits are waited for.
    let _ = committer.commands.send(Command::Load(prefixes));
}
