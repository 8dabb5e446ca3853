//! What a detector has done since it was made, for those who watch the agent: by spool, parser and rule.
//!
//! Added up once a batch and once an alert, never once an event. Nothing here is stored, and nothing is decided by it.

use crate::alert::{Alert, AlertKind};
use crate::batch::{EventBatch, Tally};
use crate::calendar::Day;
use crate::event::Counts;
use crate::state::record::{AgentRecord, LimitCounts};
use std::collections::BTreeMap;

/// The counts.
#[derive(Clone, Debug, Default)]
pub struct Counted {
    /// By spool, in the order of the settings.
    pub spools: Vec<SpoolCount>,
    /// Events by parser.
    pub parsers: Counts,
    /// Alerts by rule: raised, and of these held back. Of the agent's own, by their matter.
    pub alerts: BTreeMap<(AlertKind, String), (u64, u64)>,
    /// Alerts that exceptions silenced, by rule.
    pub silenced: BTreeMap<String, u64>,
    /// Events too old to train.
    pub late: u64,
    /// Events ahead of the clock.
    pub future: u64,
    /// What left because of a limit.
    pub limits: LimitCounts,
    /// Users that a day of events began for, each once a day; accounts of machines are not among them.
    pub user_days: u64,
    /// The same of hosts.
    pub host_days: u64,
}

/// What came from one spool.
#[derive(Clone, Debug, Default)]
pub struct SpoolCount {
    /// Bytes and records.
    pub tally: Tally,
    /// Time of the newest event that is not ahead of the clock, ms.
    pub newest_event_ms: Option<i64>,
}

impl Counted {
    /// A batch has been judged; events after `last_day` say nothing about how far reading is.
    pub(super) fn batch(&mut self, batch: &EventBatch, last_day: Day) -> Option<i64> {
        let at = usize::from(batch.spool);
        if self.spools.len() <= at {
            self.spools.resize_with(at + 1, SpoolCount::default);
        }
        self.parsers.merge(&batch.parsers);
        let newest = batch.events.iter().filter(|e| e.day <= last_day).map(|e| e.time_ms).max();
        if let Some(spool) = self.spools.get_mut(at) {
            spool.tally.merge(&batch.tally);
            spool.newest_event_ms = spool.newest_event_ms.max(newest);
        }
        newest
    }

    /// An alert was raised.
    pub(super) fn alert(&mut self, alert: &Alert) {
        let (raised, suppressed) = self.alerts.entry((alert.kind, alert.rule.id.clone())).or_default();
        *raised += 1;
        *suppressed += u64::from(alert.suppressed);
    }

    /// An exception silenced an alert of a rule.
    pub(super) fn silenced(&mut self, rule: &str) {
        *self.silenced.entry(rule.to_owned()).or_default() += 1;
    }

    /// The same with what the state counts, less what it had counted at the start.
    pub(super) fn since(&self, start: &AgentRecord, now: &AgentRecord) -> Counted {
        let (late, future) = (now.late.saturating_sub(start.late), now.future.saturating_sub(start.future));
        Counted { late, future, limits: now.limits.since(&start.limits), ..self.clone() }
    }
}
