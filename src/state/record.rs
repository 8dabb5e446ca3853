//! The records of the store as types. Their encoding is the store's business; a change of shape here is a new schema.

use crate::batch::{Position, Tally};
use crate::calendar::Day;
use crate::event::FieldSet;
use crate::model::days::DaySet;
use crate::model::histogram::DayCounts;
use serde::{Deserialize, Serialize};

/// Version of all record types below. The store refuses a newer one.
pub const SCHEMA: u16 = 2;

/// An entity: a user, a host, a peer group, or the agent itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntityRecord {
    /// Latest event day.
    pub latest: Option<Day>,
    /// Department last seen (users).
    pub department: Option<String>,
    /// Days with events, by event type (index of [`crate::event::EventType`]).
    pub history: Vec<(u8, DaySet)>,
    /// The same for single values, where a rule asks for it.
    pub history_by_value: Vec<(u8, Vec<u8>, DaySet)>,
    /// Sums of the days that can still grow: rule, day, value, total.
    pub sums: Vec<(String, Day, Vec<u8>, u64)>,
    /// What has trained a model on the days that can still grow: model, day, hashes.
    pub once: Vec<(String, Day, Vec<u64>)>,
}

/// A model's instance.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceRecord {
    /// Latest trained day.
    pub latest: Option<Day>,
    /// Bins were lost to the limit.
    pub saturated: bool,
}

/// A bin of an instance.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BinRecord {
    /// Count by day, ascending; may hold days that have left the window.
    #[serde(with = "crate::few")]
    pub days: DayCounts,
    /// First training, ms.
    pub first_ms: i64,
    /// Latest training, ms.
    pub last_ms: i64,
}

/// A guard.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuardRecord {
    /// How often the same came again.
    pub repeats: u64,
}

/// Alerts held back for one rule, entity and day.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SuppressedRecord {
    /// How many.
    pub count: u64,
    /// How many of them summary alerts have told.
    pub told: u64,
}

/// What an exception silenced of one rule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SilencedRecord {
    /// Alerts that were not made: as many as there would have been.
    pub count: u64,
    /// The latest day of which one was, or the first of the month.
    pub last_day: Day,
    /// Whom that one would have been about: the key of the user or host. Empty when it has been forgotten.
    pub last_entity: Vec<u8>,
}

/// The definition by which a model has learned.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelRecord {
    /// Its revision; 0 while what an older one has learned is on its way out.
    pub revision: u32,
    /// Digest of its definition.
    pub definition: String,
    /// The newest event day when it began to learn anew; `None` when it has learned from the beginning.
    pub anew_since: Option<Day>,
}

/// What left the working set because of a limit, by the setting's name in `[limits]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitCounts {
    /// Users, hosts and peer groups.
    pub max_entities: u64,
    /// Values: sums, histories by value, trainings of a day.
    pub max_values: u64,
    /// Instances of models.
    pub max_instances: u64,
    /// Bins of user and host models.
    pub max_bins: u64,
    /// Bins of organisation and peer models.
    pub max_bins_wide: u64,
    /// Guards.
    pub max_guards: u64,
}

impl LimitCounts {
    /// What has been counted since `before`.
    pub fn since(&self, before: &LimitCounts) -> LimitCounts {
        LimitCounts {
            max_entities: self.max_entities.saturating_sub(before.max_entities),
            max_values: self.max_values.saturating_sub(before.max_values),
            max_instances: self.max_instances.saturating_sub(before.max_instances),
            max_bins: self.max_bins.saturating_sub(before.max_bins),
            max_bins_wide: self.max_bins_wide.saturating_sub(before.max_bins_wide),
            max_guards: self.max_guards.saturating_sub(before.max_guards),
        }
    }

    /// Name, count and what it means.
    pub fn all(&self) -> [(&'static str, u64, &'static str); 6] {
        [
            ("max_entities", self.max_entities, "users, hosts or peer groups were forgotten, the least known first"),
            ("max_values", self.max_values, "values of one user or host were not kept apart"),
            ("max_instances", self.max_instances, "model instances left, those with the fewest history days first"),
            ("max_bins", self.max_bins, "values left the model of a user or host, which no longer says \"first\""),
            ("max_bins_wide", self.max_bins_wide, "values left the model of a peer group or the organisation"),
            ("max_guards", self.max_guards, "guards left: what they guarded may fire again, with the same id"),
        ]
    }
}

/// An export that was imported, so that it is not counted twice.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportRecord {
    /// When, wall clock, ms.
    pub at_ms: i64,
    /// The collector that it comes from.
    pub host: String,
    /// How many of its records are in the state; all of them unless it was interrupted.
    pub done: u64,
}

/// A spool file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRecord {
    /// How far it has been read.
    pub position: Position,
    /// What was in it.
    pub tally: Tally,
    /// Time of its latest event, ms; `None` before the first.
    pub last_event_ms: Option<i64>,
}

/// What a sink has delivered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SinkRecord {
    /// All alerts up to this number.
    pub seq: u64,
    /// How many of them were below `min_score`.
    pub below_min_score: u64,
    /// Where the alert file stood before what is not acknowledged: device, inode, length.
    pub mark: Option<(u64, u64, u64)>,
}

/// The agent's own counters and marks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentRecord {
    /// Alerts raised so far; the number of the last one.
    pub alerts: u64,
    /// The number of the oldest alert that is still kept.
    pub oldest_alert: u64,
    /// Alerts held back by flood suppression.
    pub suppressed: u64,
    /// Late events.
    pub late: u64,
    /// Future events.
    pub future: u64,
    /// What left because of a limit.
    pub limits: LimitCounts,
    /// What the files gave whose entries have left.
    pub forgotten: Tally,
    /// Fields that some event carried, by event type.
    pub carried: Vec<FieldSet>,
    /// The oldest day of which an event was read, by event type; days in the future do not count.
    pub oldest_days: Vec<Option<Day>>,
    /// Newest event day over all entities.
    pub newest_day: Option<Day>,
    /// After a loss of the state: alerts about events before this time, ms, are kept and not delivered.
    pub quiet_before_ms: Option<i64>,
    /// Ids of the reports that are made once only, and have been made.
    pub told_once: Vec<String>,
}
