//! Entities: users, hosts, peer groups and the agent, with their histories and model instances.
//!
//! Looked up once per event by a hash that the worker computed; everything else about an entity is behind that slot.

use super::key::{Key, bin_key};
use super::record::{BinRecord, EntityRecord, InstanceRecord};
use crate::alert::EntityKind;
use crate::batch::KeyHasher;
use crate::calendar::Day;
use crate::model::days::DaySet;
use crate::model::histogram::{Change, Instance};
use hashbrown::HashTable;
use serde::Serialize;

/// Slot of an entity; stays valid until the entity is dropped, never while an event is judged.
pub type EntityId = u32;

/// Days of one value: event type, value, days.
pub type ValueHistory = (u8, Box<[u8]>, DaySet);

/// A sum: rule, day, value, total.
pub type Sum = (u16, Day, Box<[u8]>, u64);

/// One entity.
#[derive(Debug)]
pub struct Entity {
    /// Kind.
    pub kind: EntityKind,
    /// Lower-case key.
    pub key: Box<[u8]>,
    /// Latest event day; never goes back.
    pub latest: Option<Day>,
    /// Department last seen.
    pub department: Option<Box<str>>,
    /// Day and event types (as bits) last noted in `history`: the quick answer for almost every event.
    pub noted: (Day, u16),
    /// Days with events by event type.
    pub history: Vec<(u8, DaySet)>,
    /// The same for single values, sorted.
    pub history_by_value: Vec<ValueHistory>,
    /// Sums of open days, sorted.
    pub sums: Vec<Sum>,
    /// What has trained a model: model, day, sorted hashes.
    pub once: Vec<(u16, Day, Vec<u64>)>,
    /// Instances by model.
    pub instances: Vec<(u16, Box<Instance>)>,
    dirty: bool,
    queued: bool,
}

impl Entity {
    /// The instance of a model, if there is one.
    pub fn instance(&self, model: u16) -> Option<&Instance> {
        self.instances.iter().find(|i| i.0 == model).map(|i| &*i.1)
    }

    /// Days of an event type in `from..to`.
    pub fn history_days(&self, event: u8, from: Day, to: Day) -> u32 {
        self.history.iter().find(|h| h.0 == event).map_or(0, |h| h.1.count(from, to))
    }

    /// Days of an event type in the window that ends with the newest of them.
    pub fn newest_history_days(&self, event: u8, window_days: u32) -> u32 {
        let days = self.history.iter().find(|h| h.0 == event).map(|h| &h.1);
        let newest = days.and_then(DaySet::newest);
        newest.map_or(0, |newest| {
            let from = newest.saturating_sub_unsigned(window_days.saturating_sub(1));
            self.history_days(event, from, newest.saturating_add(1))
        })
    }

    /// Days on which this value was met.
    pub fn value_days(&self, event: u8, value: &[u8], from: Day, to: Day) -> u32 {
        let at = self.value_place(event, value).ok();
        at.and_then(|at| self.history_by_value.get(at)).map_or(0, |h| h.2.count(from, to))
    }

    /// Where the history of a value stands, or would.
    fn value_place(&self, event: u8, value: &[u8]) -> Result<usize, usize> {
        self.history_by_value.binary_search_by(|h| (h.0, &*h.1).cmp(&(event, value)))
    }

    /// Notes that a value was met on a day. Of more than `max` values the one met longest ago leaves; says
    /// whether one did.
    pub fn note_value(&mut self, event: u8, value: &[u8], day: Day, window_days: u32, max: usize) -> bool {
        let mut left = false;
        if self.value_place(event, value).is_err() {
            left = self.history_by_value.len() >= max;
            let oldest = |h: &(usize, &ValueHistory)| h.1.2.newest();
            if let (true, Some((at, _))) = (left, self.history_by_value.iter().enumerate().min_by_key(oldest)) {
                self.history_by_value.remove(at);
            }
        }
        let at = self.value_place(event, value).unwrap_or_else(|at| {
            self.history_by_value.insert(at, (event, value.into(), DaySet::default()));
            at
        });
        if let Some(history) = self.history_by_value.get_mut(at) {
            history.2.insert(day, window_days);
        }
        left
    }

    /// Adds to the sum of a rule, day and value: the total, and whether another sum had to leave. Of more than `max` sums
    /// the smallest leaves, so that many small ones do not hide a large one.
    pub fn add(&mut self, rule: u16, day: Day, value: &[u8], amount: u64, max: usize) -> (u64, bool) {
        let place = |sums: &[Sum]| sums.binary_search_by(|s| (s.0, s.1, &*s.2).cmp(&(rule, day, value)));
        let mut left = false;
        if place(&self.sums).is_err() {
            left = self.sums.len() >= max;
            let smallest = |s: &(usize, &Sum)| s.1.3;
            if let (true, Some((at, _))) = (left, self.sums.iter().enumerate().min_by_key(smallest)) {
                self.sums.remove(at);
            }
        }
        let at = place(&self.sums).unwrap_or_else(|at| {
            self.sums.insert(at, (rule, day, value.into(), 0));
            at
        });
        let Some(sum) = self.sums.get_mut(at) else { return (0, left) };
        sum.3 = sum.3.saturating_add(amount);
        (sum.3, left)
    }

    /// Nothing about it is worth a record: no day, no department, nothing learned.
    pub fn is_blank(&self) -> bool {
        self.latest.is_none() && self.department.is_none() && self.history.is_empty() && self.instances.is_empty()
    }

    /// How well it is known; who is least known leaves first when there are too many. Days of history count most, so that
    /// names invented today never push out one that has been there for weeks.
    pub(super) fn standing(&self) -> Standing {
        let days = self.history.iter().map(|h| h.1.iter().count()).max().unwrap_or(0);
        let sum = self.sums.iter().map(|s| s.3).max().unwrap_or(0);
        (days, self.latest, sum)
    }

    /// About how many bytes its record has.
    fn record_bytes(&self) -> usize {
        let once: usize = self.once.iter().map(|o| o.2.len()).sum();
        96 + self.history.len() * 48 + (self.sums.len() + self.history_by_value.len()) * 96 + once * 9
    }

    fn record(&self, names: &Names) -> EntityRecord {
        EntityRecord {
            latest: self.latest,
            department: self.department.as_deref().map(str::to_owned),
            history: self.history.clone(),
            history_by_value: self.history_by_value.iter().map(|h| (h.0, h.1.to_vec(), h.2.clone())).collect(),
            sums: self
                .sums
                .iter()
                .filter_map(|s| Some((names.rules.get(s.0 as usize)?.clone(), s.1, s.2.to_vec(), s.3)))
                .collect(),
            once: self
                .once
                .iter()
                .filter_map(|o| Some((names.models.get(o.0 as usize)?.clone(), o.1, o.2.clone())))
                .collect(),
        }
    }
}

/// Ids of rules and models by index: what indices become in the store.
#[derive(Clone, Debug, Default)]
pub struct Names {
    /// Rule ids.
    pub rules: Vec<String>,
    /// Model ids.
    pub models: Vec<String>,
}

impl Names {
    /// Index of a rule.
    pub fn rule(&self, id: &str) -> Option<u16> {
        self.rules.iter().position(|r| r == id).map(|i| i as u16)
    }
    /// Index of a model.
    pub fn model(&self, id: &str) -> Option<u16> {
        self.models.iter().position(|m| m == id).map(|i| i as u16)
    }
}

/// History days, latest day, largest open sum: in this order.
pub(super) type Standing = (usize, Option<Day>, u64);

/// About what one changed bin adds to a commit, bytes.
const BIN_BYTES: usize = 128;

/// All entities.
#[derive(Debug)]
pub struct Entities {
    slots: Vec<Option<Entity>>,
    free: Vec<EntityId>,
    /// About how many bytes the next commit has to write.
    pending_bytes: usize,
    tables: [HashTable<EntityId>; 4],
    hasher: KeyHasher,
    dirty: Vec<EntityId>,
    /// Instances in being, by model.
    pub instance_counts: Vec<usize>,
}

const fn table_of(kind: EntityKind) -> usize {
    match kind {
        EntityKind::User => 0,
        EntityKind::Host => 1,
        EntityKind::Group => 2,
        EntityKind::Agent => 3,
    }
}

impl Entities {
    /// No entities yet.
    pub fn new(hasher: KeyHasher, models: usize) -> Entities {
        Entities {
            slots: Vec::new(),
            free: Vec::new(),
            pending_bytes: 0,
            tables: Default::default(),
            hasher,
            dirty: Vec::new(),
            instance_counts: vec![0; models],
        }
    }

    /// How many there are of a kind.
    pub fn count(&self, kind: EntityKind) -> usize {
        self.tables.get(table_of(kind)).map_or(0, HashTable::len)
    }

    /// All entities.
    pub fn iter(&self) -> impl Iterator<Item = (EntityId, &Entity)> {
        (0..).zip(&self.slots).filter_map(|(i, e)| Some((i, e.as_ref()?)))
    }

    /// The slot of a key, made when it is new. `hash` is the worker's hash of the key.
    #[inline]
    pub fn id(&mut self, kind: EntityKind, key: &[u8], hash: u64) -> EntityId {
        let Some(table) = self.tables.get_mut(table_of(kind)) else { return 0 };
        let slots = &mut self.slots;
        if let Some(id) = table.find(hash, |id| key_in(slots, *id) == Some(key)) {
            return *id;
        }
        let id = self.free.pop().unwrap_or_else(|| {
            slots.push(None);
            (slots.len() - 1) as EntityId
        });
        let entity = Entity {
            kind,
            key: key.into(),
            latest: None,
            department: None,
            noted: (Day::MIN, 0),
            history: Vec::new(),
            history_by_value: Vec::new(),
            sums: Vec::new(),
            once: Vec::new(),
            instances: Vec::new(),
            dirty: false,
            queued: false,
        };
        if let Some(slot) = slots.get_mut(id as usize) {
            *slot = Some(entity);
        }
        let hasher = &self.hasher;
        table.insert_unique(hash, id, |id| key_in(slots, *id).map_or(0, |key| hasher.hash(key)));
        id
    }

    /// The slot of a key without a known hash.
    pub fn id_of(&mut self, kind: EntityKind, key: &[u8]) -> EntityId {
        let hash = self.hasher.hash(key);
        self.id(kind, key, hash)
    }

    /// An entity.
    #[inline]
    pub fn get(&self, id: EntityId) -> Option<&Entity> {
        self.slots.get(id as usize)?.as_ref()
    }

    /// An entity to change without its record becoming dirty (its instances keep their own books).
    #[inline]
    pub fn get_mut(&mut self, id: EntityId) -> Option<&mut Entity> {
        self.slots.get_mut(id as usize)?.as_mut()
    }

    /// An entity whose record changes.
    pub fn change(&mut self, id: EntityId) -> Option<&mut Entity> {
        self.queue(id);
        let entity = self.slots.get_mut(id as usize)?.as_mut()?;
        if !entity.dirty {
            entity.dirty = true;
            self.pending_bytes += entity.record_bytes();
        }
        Some(entity)
    }

    /// The instance of a model to train, made when it is new.
    pub fn train(&mut self, id: EntityId, model: u16) -> Option<&mut Instance> {
        self.queue(id);
        self.pending_bytes += BIN_BYTES;
        let entity = self.slots.get_mut(id as usize)?.as_mut()?;
        let at = match entity.instances.iter().position(|i| i.0 == model) {
            Some(at) => at,
            None => {
                entity.instances.push((model, Box::default()));
                if let Some(count) = self.instance_counts.get_mut(model as usize) {
                    *count += 1;
                }
                entity.instances.len() - 1
            }
        };
        entity.instances.get_mut(at).map(|i| &mut *i.1)
    }

    fn queue(&mut self, id: EntityId) {
        if let Some(entity) = self.get_mut(id)
            && !entity.queued
        {
            entity.queued = true;
            self.dirty.push(id);
        }
    }

    /// How many entities have changed since the last drain.
    pub fn dirty_count(&self) -> usize {
        self.dirty.len()
    }

    /// About how many bytes the changes since the last drain have.
    pub fn pending_bytes(&self) -> usize {
        self.pending_bytes
    }

    /// Writes what changed since the last call.
    pub fn drain(&mut self, names: &Names, put: &mut Put<'_>) {
        self.pending_bytes = 0;
        for id in std::mem::take(&mut self.dirty) {
            // One that was dropped meanwhile has left its removals behind.
            let Some(Some(entity)) = self.slots.get_mut(id as usize) else { continue };
            entity.queued = false;
            if std::mem::take(&mut entity.dirty) {
                put.record(Key::Entity(entity.kind, entity.key.to_vec()).encode(), &entity.record(names));
            }
            for (model, instance) in &mut entity.instances {
                let Some(model) = names.models.get(*model as usize) else { continue };
                instance.drain_dirty(|change| match change {
                    Change::Meta { latest, saturated } => put.record(
                        Key::Instance(entity.kind, entity.key.to_vec(), model.clone()).encode(),
                        &InstanceRecord { latest, saturated },
                    ),
                    Change::Bin(bin) => put.record(
                        bin_key(entity.kind, &entity.key, model, &bin.value),
                        &BinRecord { days: bin.days.clone(), first_ms: bin.first_ms, last_ms: bin.last_ms },
                    ),
                    Change::Removed(value) => put.remove(bin_key(entity.kind, &entity.key, model, value)),
                });
            }
        }
    }

    /// Takes an entity as the store kept it. Sums and trainings of rules and models that are gone are left behind.
    pub fn restore(&mut self, kind: EntityKind, key: &[u8], record: EntityRecord, names: &Names) -> EntityId {
        let id = self.id_of(kind, key);
        if let Some(entity) = self.get_mut(id) {
            entity.latest = record.latest;
            entity.department = record.department.map(Into::into);
            entity.history = record.history;
            entity.history_by_value = record.history_by_value.into_iter().map(|h| (h.0, h.1.into(), h.2)).collect();
            entity.sums =
                record.sums.into_iter().filter_map(|s| Some((names.rule(&s.0)?, s.1, s.2.into(), s.3))).collect();
            entity.history_by_value.sort_unstable_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
            // Indices of rules may have another order than when the record was written.
            entity.sums.sort_unstable();
            entity.once = record.once.into_iter().filter_map(|o| Some((names.model(&o.0)?, o.1, o.2))).collect();
        }
        id
    }

    /// Takes a model instance as the store kept it.
    pub fn restore_instance(&mut self, id: EntityId, model: u16, instance: Instance) {
        if let Some(entity) = self.get_mut(id) {
            entity.instances.push((model, Box::new(instance)));
            entity.instances.sort_by_key(|i| i.0);
        }
        if let Some(count) = self.instance_counts.get_mut(model as usize) {
            *count += 1;
        }
    }

    /// Drops an instance with its records.
    pub fn drop_instance(&mut self, id: EntityId, model: u16, names: &Names, put: &mut Put<'_>) {
        let Some(Some(entity)) = self.slots.get_mut(id as usize) else { return };
        let Some(at) = entity.instances.iter().position(|i| i.0 == model) else { return };
        let (_, mut instance) = entity.instances.remove(at);
        if let Some(count) = self.instance_counts.get_mut(model as usize) {
            *count -= 1;
        }
        let Some(name) = names.models.get(model as usize) else { return };
        // Bins that left since the last drain are no bins of it any more, but still stand in the store.
        instance.drain_dirty(|change| {
            if let Change::Removed(value) = change {
                put.remove(bin_key(entity.kind, &entity.key, name, value));
            }
        });
        for bin in instance.bins().filter(|bin| bin.is_stored()) {
            put.remove(bin_key(entity.kind, &entity.key, name, &bin.value));
        }
        put.remove(Key::Instance(entity.kind, entity.key.to_vec(), name.clone()).encode());
    }

    /// Forgets an entity, with its instances and records.
    pub fn drop_entity(&mut self, id: EntityId, names: &Names, put: &mut Put<'_>) {
        let models: Vec<u16> = self.get(id).map(|e| e.instances.iter().map(|i| i.0).collect()).unwrap_or_default();
        for model in models {
            self.drop_instance(id, model, names, put);
        }
        let Some(entity) = self.slots.get_mut(id as usize).and_then(Option::take) else { return };
        self.free.push(id);
        let hash = self.hasher.hash(&entity.key);
        if let Some(table) = self.tables.get_mut(table_of(entity.kind))
            && let Ok(entry) = table.find_entry(hash, |other| *other == id)
        {
            entry.remove();
        }
        put.remove(Key::Entity(entity.kind, entity.key.to_vec()).encode());
    }
}

fn key_in(slots: &[Option<Entity>], id: EntityId) -> Option<&[u8]> {
    Some(&slots.get(id as usize)?.as_ref()?.key)
}

/// Where changed records go: encoded puts and removals of one commit.
pub struct Put<'a> {
    /// The commit's pairs.
    pub pairs: &'a mut Vec<crate::store::Pair>,
}

impl Put<'_> {
    /// Writes a record.
    pub fn record<T: Serialize>(&mut self, key: Box<[u8]>, record: &T) {
        self.pairs.push((key, Some(crate::store::codec::encode(record).into_boxed_slice())));
    }
    /// Removes a record.
    pub fn remove(&mut self, key: Box<[u8]>) {
        self.pairs.push((key, None));
    }
}
