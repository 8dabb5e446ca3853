//! One entity: a user, a host, a peer group or the agent, with its histories and model instances.
//!
//! What almost every event asks for stands in one line of the cache; what was learned about an entity, behind it.

use super::entity_key::EntityKey;
use super::names::Names;
use super::record::EntityRecord;
use crate::alert::EntityKind;
use crate::calendar::Day;
use crate::model::days::DaySet;
use crate::model::histogram::Instance;

/// Days of one value: event type, value, days.
pub type ValueHistory = (u8, Box<[u8]>, DaySet);

/// A model's index and its instance.
pub type OfModel = (u16, Box<Instance>);

/// A sum: rule, day, value, total.
pub type Sum = (u16, Day, Box<[u8]>, u64);

/// One entity.
#[derive(Debug)]
#[repr(align(64))]
pub struct Entity {
    /// Lower-case key.
    pub key: EntityKey,
    /// Latest event day; never goes back.
    pub latest: Option<Day>,
    /// Day and event types (as bits) last noted in the history: the quick answer for almost every event.
    pub noted: (Day, u16),
    known: Option<Box<Knowledge>>,
    /// Kind.
    pub kind: EntityKind,
    /// Its record has to be written.
    pub(super) dirty: bool,
    /// It stands in the list of those that have changed.
    pub(super) queued: bool,
}

/// What was learned about an entity.
#[derive(Debug)]
pub struct Knowledge {
    /// Department last seen.
    pub department: Option<Box<str>>,
    /// Days with events by event type.
    pub history: Vec<(u8, DaySet)>,
    /// The same for single values, sorted.
    pub history_by_value: Vec<ValueHistory>,
    /// Sums of open days, sorted.
    pub sums: Vec<Sum>,
    /// What has trained a model: model, day, sorted hashes.
    pub once: Vec<(u16, Day, Vec<u64>)>,
    /// Instances by model.
    pub instances: Vec<OfModel>,
}

impl Knowledge {
    const NONE: Knowledge = Knowledge {
        department: None,
        history: Vec::new(),
        history_by_value: Vec::new(),
        sums: Vec::new(),
        once: Vec::new(),
        instances: Vec::new(),
    };
}

static NOTHING: Knowledge = Knowledge::NONE;

impl Entity {
    /// One of which nothing is known yet.
    pub(super) fn new(kind: EntityKind, key: &[u8]) -> Entity {
        Entity { key: key.into(), latest: None, noted: (Day::MIN, 0), known: None, kind, dirty: false, queued: false }
    }

    /// What was learned about it.
    #[inline]
    pub fn known(&self) -> &Knowledge {
        self.known.as_deref().unwrap_or(&NOTHING)
    }

    /// Its kind and key, and its model instances to change.
    pub(super) fn instances_mut(&mut self) -> (EntityKind, &[u8], &mut [OfModel]) {
        let instances = self.known.as_deref_mut().map(|known| known.instances.as_mut_slice());
        (self.kind, &self.key, instances.unwrap_or_default())
    }

    /// What was learned about it, to change. Does not mark its record as changed.
    pub fn learn(&mut self) -> &mut Knowledge {
        self.known.get_or_insert_with(|| Box::new(Knowledge::NONE))
    }

    /// A new day has begun for it: what belongs to days before `oldest_open` leaves.
    pub fn begin_day(&mut self, day: Day, oldest_open: Day) {
        self.latest = Some(day);
        if let Some(known) = &mut self.known {
            known.sums.retain(|s| s.1 >= oldest_open);
            known.once.retain(|o| o.1 >= oldest_open);
        }
    }

    /// The instance of a model, if there is one.
    pub fn instance(&self, model: u16) -> Option<&Instance> {
        self.known().instances.iter().find(|i| i.0 == model).map(|i| &*i.1)
    }

    /// Days of an event type in `from..to`.
    pub fn history_days(&self, event: u8, from: Day, to: Day) -> u32 {
        self.known().history.iter().find(|h| h.0 == event).map_or(0, |h| h.1.count(from, to))
    }

    /// Days of an event type in the window that ends with the newest of them.
    pub fn newest_history_days(&self, event: u8, window_days: u32) -> u32 {
        let days = self.known().history.iter().find(|h| h.0 == event).map(|h| &h.1);
        let newest = days.and_then(DaySet::newest);
        newest.map_or(0, |newest| {
            let from = newest.saturating_sub_unsigned(window_days.saturating_sub(1));
            self.history_days(event, from, newest.saturating_add(1))
        })
    }

    /// Days on which this value was met.
    pub fn value_days(&self, event: u8, value: &[u8], from: Day, to: Day) -> u32 {
        let at = self.value_place(event, value).ok();
        at.and_then(|at| self.known().history_by_value.get(at)).map_or(0, |h| h.2.count(from, to))
    }

    /// Where the history of a value stands, or would.
    fn value_place(&self, event: u8, value: &[u8]) -> Result<usize, usize> {
        self.known().history_by_value.binary_search_by(|h| (h.0, &*h.1).cmp(&(event, value)))
    }

    /// Notes that a value was met on a day. Of more than `max` values the one met longest ago leaves; says
    /// whether one did.
    pub fn note_value(&mut self, event: u8, value: &[u8], day: Day, window_days: u32, max: usize) -> bool {
        let mut left = false;
        let place = self.value_place(event, value);
        let all = &mut self.learn().history_by_value;
        if place.is_err() {
            left = all.len() >= max;
            let oldest = |h: &(usize, &ValueHistory)| h.1.2.newest();
            if let (true, Some((at, _))) = (left, all.iter().enumerate().min_by_key(oldest)) {
                all.remove(at);
            }
        }
        let place = self.value_place(event, value);
        let all = &mut self.learn().history_by_value;
        let at = place.unwrap_or_else(|at| {
            all.insert(at, (event, value.into(), DaySet::default()));
            at
        });
        if let Some(history) = all.get_mut(at) {
            history.2.insert(day, window_days);
        }
        left
    }

    /// Adds to the sum of a rule, day and value: the total, and whether another sum had to leave. Of more than `max` sums
    /// the smallest leaves, so that many small ones do not hide a large one.
    pub fn add(&mut self, rule: u16, day: Day, value: &[u8], amount: u64, max: usize) -> (u64, bool) {
        let place = |sums: &[Sum]| sums.binary_search_by(|s| (s.0, s.1, &*s.2).cmp(&(rule, day, value)));
        let sums = &mut self.learn().sums;
        let mut left = false;
        if place(sums).is_err() {
            left = sums.len() >= max;
            let smallest = |s: &(usize, &Sum)| s.1.3;
            if let (true, Some((at, _))) = (left, sums.iter().enumerate().min_by_key(smallest)) {
                sums.remove(at);
            }
        }
        let at = place(sums).unwrap_or_else(|at| {
            sums.insert(at, (rule, day, value.into(), 0));
            at
        });
        let Some(sum) = sums.get_mut(at) else { return (0, left) };
        sum.3 = sum.3.saturating_add(amount);
        (sum.3, left)
    }

    /// Nothing about it is worth a record: no day, no department, nothing learned.
    pub fn is_blank(&self) -> bool {
        let known = self.known();
        self.latest.is_none() && known.department.is_none() && known.history.is_empty() && known.instances.is_empty()
    }

    /// How well it is known; who is least known leaves first when there are too many. Days of history count most, so that
    /// names invented today never push out one that has been there for weeks.
    pub(super) fn standing(&self) -> Standing {
        let known = self.known();
        let days = known.history.iter().map(|h| h.1.iter().count()).max().unwrap_or(0);
        let sum = known.sums.iter().map(|s| s.3).max().unwrap_or(0);
        (days, self.latest, sum)
    }

    /// About how many bytes its record has.
    pub(super) fn record_bytes(&self) -> usize {
        let known = self.known();
        let once: usize = known.once.iter().map(|o| o.2.len()).sum();
        96 + known.history.len() * 48 + (known.sums.len() + known.history_by_value.len()) * 96 + once * 9
    }

    pub(super) fn record(&self, names: &Names) -> EntityRecord {
        let known = self.known();
        EntityRecord {
            latest: self.latest,
            department: known.department.as_deref().map(str::to_owned),
            history: known.history.clone(),
            history_by_value: known.history_by_value.iter().map(|h| (h.0, h.1.to_vec(), h.2.clone())).collect(),
            sums: known
                .sums
                .iter()
                .filter_map(|s| Some((names.rules.get(s.0 as usize)?.clone(), s.1, s.2.to_vec(), s.3)))
                .collect(),
            once: known
                .once
                .iter()
                .filter_map(|o| Some((names.models.get(o.0 as usize)?.clone(), o.1, o.2.clone())))
                .collect(),
        }
    }

    /// Takes what its record says. Sums and trainings of rules and models that are gone are left behind.
    pub(super) fn restore(&mut self, record: EntityRecord, names: &Names) {
        self.latest = record.latest;
        let known = self.learn();
        known.department = record.department.map(Into::into);
        known.history = record.history;
        known.history_by_value = record.history_by_value.into_iter().map(|h| (h.0, h.1.into(), h.2)).collect();
        known.sums = record.sums.into_iter().filter_map(|s| Some((names.rule(&s.0)?, s.1, s.2.into(), s.3))).collect();
        known.history_by_value.sort_unstable_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
        // Indices of rules may have another order than when the record was written.
        known.sums.sort_unstable();
        known.once = record.once.into_iter().filter_map(|o| Some((names.model(&o.0)?, o.1, o.2))).collect();
    }
}

/// History days, latest day, largest open sum: in this order.
pub(super) type Standing = (usize, Option<Day>, u64);
