//! What the agent has learned, as rows: from the store's records in the order of their keys, live or stopped.
//!
//! The canonical dump. Days that have left an instance's window are left out, so that two stores with the same lessons
//! give the same rows, whenever they were last written.

use super::BadRecord;
use super::key::{GuardKey, Key};
use super::record::{BinRecord, EntityRecord, GuardRecord, InstanceRecord, SilencedRecord, SuppressedRecord};
use crate::alert::EntityKind;
use crate::calendar::{Day, format_day, format_instant};
use crate::event::EventType;
use crate::model::ModelSpec;
use crate::model::histogram::{Bin, Bounds, Instance};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One row of a dump.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "row", rename_all = "lowercase")]
pub enum Row {
    /// An entity with its histories and open sums.
    Entity(EntityRow),
    /// A model instance; its bins follow.
    Instance(InstanceSummary),
    /// A bin.
    Bin(BinRow),
    /// A guard.
    Guard(GuardRow),
    /// Alerts held back.
    Suppressed {
        /// The day.
        day: String,
        /// The rule.
        rule: String,
        /// Key of the entity.
        entity: String,
        /// How many.
        count: u64,
    },
    /// What an exception silenced of a rule.
    Silenced {
        /// The exception.
        exception: String,
        /// The rule.
        rule: String,
        /// How many alerts.
        count: u64,
        /// The latest day of which one was.
        last_day: String,
        /// Whom that one would have been about.
        last_entity: String,
    },
}

/// An entity.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EntityRow {
    /// Kind.
    pub kind: EntityKind,
    /// Key.
    pub entity: String,
    /// Latest event day.
    pub latest_day: Option<String>,
    /// Department last seen.
    pub department: Option<String>,
    /// Days with events, by event type.
    pub history: BTreeMap<String, Vec<String>>,
    /// The same for single values.
    pub history_by_value: BTreeMap<String, Vec<String>>,
    /// Sums of open days: `rule day value` → total.
    pub sums: BTreeMap<String, u64>,
    /// What has trained a model on open days: `model day` → how many trainings are remembered.
    pub once: BTreeMap<String, u64>,
}

/// A model instance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InstanceSummary {
    /// The model.
    pub model: String,
    /// The scope's value; `*` for the organisation.
    pub scope: String,
    /// Sum of all counts.
    pub n: u64,
    /// Number of bins.
    pub c: u64,
    /// Confidence factor, 0 to 1.
    pub confidence: f64,
    /// Whether it has converged.
    pub converged: bool,
    /// Whether bins were lost to the limit.
    pub saturated: bool,
    /// Latest trained day.
    pub latest_day: Option<String>,
    /// Distinct days on which the scope had events of the model's type.
    pub history_days: u32,
}

/// A bin.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BinRow {
    /// The model.
    pub model: String,
    /// The scope's value.
    pub scope: String,
    /// The feature's value.
    pub value: String,
    /// Count in the window.
    pub count: u64,
    /// Share of N.
    pub share: f64,
    /// First training.
    pub first_seen: String,
    /// Latest training.
    pub last_seen: String,
}

/// A guard.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GuardRow {
    /// The day, or the first of the month.
    pub day: String,
    /// The rule.
    pub rule: String,
    /// Kind of the entity.
    pub kind: EntityKind,
    /// Key of the entity.
    pub entity: String,
    /// What the rule is per.
    pub value: String,
    /// How often it came again.
    pub repeats: u64,
}

/// What a dump needs to know of a model.
#[derive(Clone, Debug)]
pub struct ModelFacts {
    /// Exponent of the confidence factor.
    pub alpha: f64,
    /// N from which it may converge.
    pub cut_off: u64,
    /// Confidence from which it has converged.
    pub min_confidence: f64,
    /// Days that count.
    pub window_days: u32,
    /// Event type of its histories.
    pub event: u8,
}

impl ModelFacts {
    /// The facts of a model under the settings.
    pub fn of(spec: &ModelSpec, min_confidence: f64, window_days: u32) -> ModelFacts {
        let event = spec.events.first().map_or(0, |e| e.index() as u8);
        ModelFacts { alpha: spec.alpha, cut_off: spec.cut_off, min_confidence, window_days, event }
    }
}

/// Turns records into rows. Feed the records in the order of their keys, then call [`Dumper::end`].
pub struct Dumper {
    models: BTreeMap<String, ModelFacts>,
    entity: Option<(EntityKind, Vec<u8>, EntityRecord)>,
    metas: BTreeMap<String, InstanceRecord>,
    /// The instance whose bins are coming.
    open: Option<(String, Vec<Bin>)>,
}

impl Dumper {
    /// A dumper for these models.
    pub fn new(models: BTreeMap<String, ModelFacts>) -> Dumper {
        Dumper { models, entity: None, metas: BTreeMap::new(), open: None }
    }

    /// Takes a record.
    ///
    /// # Errors
    /// When the record cannot be read.
    pub fn feed(&mut self, key: &[u8], value: &[u8], each: &mut dyn FnMut(Row)) -> Result<(), BadRecord> {
        let decoded =
            Key::decode(key).ok_or_else(|| BadRecord::new(key, "the key is of no kind known to this version"))?;
        match decoded {
            Key::Entity(kind, entity) => {
                self.close_entity(each);
                let record: EntityRecord = super::read(key, value)?;
                each(Row::Entity(entity_row(kind, &entity, &record)));
                self.entity = Some((kind, entity, record));
            }
            Key::Instance(kind, entity, model) => {
                self.enter(kind, entity, each);
                self.metas.insert(model, super::read(key, value)?);
            }
            Key::Bin(kind, entity, model, bin) => {
                self.enter(kind, entity, each);
                if self.open.as_ref().is_none_or(|o| o.0 != model) {
                    self.close_instance(each);
                    self.open = Some((model, Vec::new()));
                }
                let record: BinRecord = super::read(key, value)?;
                if let Some((_, bins)) = &mut self.open {
                    bins.push(Bin::restored(bin.into(), record.days, record.first_ms, record.last_ms));
                }
            }
            other => {
                self.close_entity(each);
                match other {
                    Key::Guard(guard) => {
                        let record: GuardRecord = super::read(key, value)?;
                        each(Row::Guard(guard_row(&guard, &record)));
                    }
                    Key::Suppressed(day, rule, _, entity) => {
                        let record: SuppressedRecord = super::read(key, value)?;
                        each(Row::Suppressed {
                            day: format_day(day),
                            rule,
                            entity: text(&entity),
                            count: record.count,
                        });
                    }
                    Key::Silenced(exception, rule) => {
                        let record: SilencedRecord = super::read(key, value)?;
                        each(Row::Silenced {
                            exception,
                            rule,
                            count: record.count,
                            last_day: format_day(record.last_day),
                            last_entity: text(&record.last_entity),
                        });
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// No more records.
    pub fn end(&mut self, each: &mut dyn FnMut(Row)) {
        self.close_entity(each);
    }

    fn enter(&mut self, kind: EntityKind, entity: Vec<u8>, each: &mut dyn FnMut(Row)) {
        if self.entity.as_ref().is_none_or(|e| e.0 != kind || e.1 != entity) {
            self.close_entity(each);
            self.entity = Some((kind, entity, EntityRecord::default()));
        }
    }

    fn close_entity(&mut self, each: &mut dyn FnMut(Row)) {
        self.close_instance(each);
        self.entity = None;
        self.metas.clear();
    }

    fn close_instance(&mut self, each: &mut dyn FnMut(Row)) {
        let (Some((model, bins)), Some((kind, entity, record))) = (self.open.take(), &self.entity) else { return };
        let meta = self.metas.get(&model).cloned().unwrap_or_default();
        let facts = self.models.get(&model).cloned().unwrap_or(ModelFacts {
            alpha: 1.0,
            cut_off: u64::MAX,
            min_confidence: 1.0,
            window_days: u32::MAX >> 1,
            event: 0,
        });
        let bounds = Bounds { window_days: facts.window_days, max_bins: usize::MAX, rank_days: None };
        let instance = Instance::restore(meta.latest, meta.saturated, bins, &bounds);
        let scope = if *kind == EntityKind::Agent { "*".to_owned() } else { text(entity) };
        let confidence = instance.confidence(facts.alpha);
        let history = record.history.iter().find(|h| h.0 == facts.event);
        each(Row::Instance(InstanceSummary {
            model: model.clone(),
            scope: scope.clone(),
            n: instance.n(),
            c: instance.c(),
            confidence,
            converged: instance.n() >= facts.cut_off && confidence >= facts.min_confidence,
            saturated: instance.saturated(),
            latest_day: instance.latest().map(format_day),
            history_days: history.map_or(0, |h| h.1.count(Day::MIN, Day::MAX)),
        }));
        let mut bins: Vec<&Bin> = instance.bins().collect();
        bins.sort_unstable_by(|a, b| b.total.cmp(&a.total).then_with(|| a.value.cmp(&b.value)));
        for bin in bins {
            each(Row::Bin(BinRow {
                model: model.clone(),
                scope: scope.clone(),
                value: text(&bin.value),
                count: bin.total,
                share: bin.total as f64 / instance.n().max(1) as f64,
                first_seen: format_instant(bin.first_ms),
                last_seen: format_instant(bin.last_ms),
            }));
        }
    }
}

fn entity_row(kind: EntityKind, entity: &[u8], record: &EntityRecord) -> EntityRow {
    let event = |index: u8| EventType::ALL.get(index as usize).map_or("unknown", |e| e.name());
    EntityRow {
        kind,
        entity: text(entity),
        latest_day: record.latest.map(format_day),
        department: record.department.clone(),
        history: record.history.iter().map(|h| (event(h.0).to_owned(), h.1.iter().map(format_day).collect())).collect(),
        history_by_value: record
            .history_by_value
            .iter()
            .map(|h| (format!("{} {}", event(h.0), text(&h.1)), h.2.iter().map(format_day).collect()))
            .collect(),
        sums: record
            .sums
            .iter()
            .map(|s| (format!("{} {} {}", s.0, format_day(s.1), text(&s.2)).trim_end().to_owned(), s.3))
            .collect(),
        once: record.once.iter().map(|o| (format!("{} {}", o.0, format_day(o.1)), o.2.len() as u64)).collect(),
    }
}

fn guard_row(guard: &GuardKey, record: &GuardRecord) -> GuardRow {
    GuardRow {
        day: format_day(guard.day),
        rule: guard.rule.clone(),
        kind: guard.kind,
        entity: text(&guard.entity),
        value: text(&guard.value),
        repeats: record.repeats,
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
