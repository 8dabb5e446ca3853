//! The working set out of the store's records: at a start where reading goes on, then what concerns everybody, then users and hosts bit
//! by bit, each of them at once when an event is about it; and whoever left memory and comes back.
//!
//! Until all are there, *some are missing*: who is not in memory may stand in the store. The result is the same in whatever
//! order they come.

use super::entities::EntityId;
use super::entity::{Entity, OfModel};
use super::key::{self, Key, StoredGuard};
use super::names::Names;
use super::record::{BinRecord, EntityRecord, InstanceRecord};
use super::{BadRecord, State, read};
use crate::alert::EntityKind;
use crate::model::histogram::{Bin, Bounds, Instance};

/// Takes the store's records, in the order of their keys: whatever there is of an entity.
pub struct Restoring<'a> {
    state: &'a mut State,
    /// Users and hosts stay in the store alone where so much is in memory already.
    max_bytes: usize,
    /// What the keys of the entity in hand begin with; nothing before the first one.
    prefix: Vec<u8>,
    /// Its slot, unless memory had it before.
    id: Option<EntityId>,
    learned: Learned,
}

/// How the names of models stand in keys, by index.
#[derive(Debug)]
pub(super) struct ModelKeys(Vec<Vec<u8>>);

/// What the records of one entity say.
#[derive(Debug, Default)]
pub(super) struct Learned {
    own: Option<EntityRecord>,
    instances: Vec<Found>,
    /// The bins of all instances: those of one instance follow each other, as their keys do.
    bins: Vec<Bin>,
}

/// What was found of an instance.
#[derive(Debug, Default)]
struct Found {
    model: u16,
    record: InstanceRecord,
    /// Where its bins begin, and how many there are.
    from: usize,
    bins: usize,
}

impl State {
    /// Begins to rebuild the working set. Who is in memory is passed over; users and hosts stay in the store alone where
    /// `max_bytes` are in memory already.
    pub fn restoring(&mut self, max_bytes: usize) -> Restoring<'_> {
        Restoring { state: self, max_bytes, prefix: Vec::new(), id: None, learned: Learned::default() }
    }

    /// All alerts up to this number have been delivered by all of these sinks.
    pub fn delivered(&self, sinks: &[&str]) -> u64 {
        sinks.iter().map(|name| self.sinks.get(*name).map_or(0, |sink| sink.seq)).min().unwrap_or(0)
    }

    /// Rebuilds an empty working set from records in the order of their keys; see [`State::restoring`].
    ///
    /// # Errors
    /// The first record that cannot be read.
    pub fn restore<K: AsRef<[u8]>, V: AsRef<[u8]>>(
        &mut self,
        records: impl IntoIterator<Item = (K, V)>,
        max_bytes: usize,
    ) -> Result<(), BadRecord> {
        let mut restoring = self.restoring(max_bytes);
        for (key, value) in records {
            restoring.take(key.as_ref(), value.as_ref())?;
        }
        restoring.finish();
        Ok(())
    }

    /// All but the agent's own record, files and sinks is still to come. The store has no more entities and instances than so many.
    pub fn some_are_missing(&mut self, most: u64) {
        self.missing = Some(most);
    }

    /// So many records have come of those that were missing.
    pub fn fewer_are_missing(&mut self, records: u64) {
        self.missing = self.missing.map(|most| most.saturating_sub(records));
    }

    /// All have come.
    pub fn none_is_missing(&mut self) {
        self.missing = None;
    }

    /// Whether who is not in memory may stand in the store.
    #[inline]
    pub fn is_some_missing(&self) -> bool {
        self.missing.is_some()
    }

    /// Whether so many more entities or instances might be more than a limit of so many allows, whoever is still missing. Who has to
    /// leave then follows from all of them.
    pub fn may_reach(&self, more: usize, limit: usize) -> bool {
        let here = self.entities.slots() + self.entities.instance_counts.iter().sum::<usize>();
        let most = self.missing.unwrap_or(0).saturating_add(here as u64).saturating_add(more as u64);
        most > limit as u64
    }

    /// A user or host that memory did not have comes, if the store has records of it.
    ///
    /// # Errors
    /// The first record that cannot be read.
    pub fn bring<K: AsRef<[u8]>, V: AsRef<[u8]>>(
        &mut self,
        kind: EntityKind,
        key: &[u8],
        records: &[(K, V)],
    ) -> Result<(), BadRecord> {
        // It may have come with others since it was asked for, and have left again.
        match self.entities.find(kind, key, self.entities.hash(key)) {
            Some(id) => self.page_in(id, records),
            None => self.restore(records.iter().map(|(key, value)| (key.as_ref(), value.as_ref())), usize::MAX),
        }
    }
}

impl Restoring<'_> {
    /// Takes the next record.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn take(&mut self, key: &[u8], value: &[u8]) -> Result<(), BadRecord> {
        if !key.starts_with(key::ENTITIES) {
            return self.state.restore_other(key, value);
        }
        if self.prefix.is_empty() || !key.starts_with(&self.prefix) {
            self.settle();
            let (kind, entity, prefix_len) = key::entity_in(key).ok_or_else(|| BadRecord::unknown(key))?;
            self.prefix.clear();
            self.prefix.extend_from_slice(key.get(..prefix_len).unwrap_or_default());
            self.id = self.state.entities.add(kind, &entity);
        }
        if self.id.is_none() {
            return Ok(());
        }
        self.learned.take(key, self.prefix.len(), value, &self.state.model_keys)
    }

    /// The last record has been taken.
    pub fn finish(mut self) {
        self.settle();
    }

    /// The records of the entity in hand are all there.
    fn settle(&mut self) {
        let Some(id) = self.id.take() else { return };
        let state = &mut *self.state;
        let (own, mut instances) = (self.learned.own.take(), self.learned.instances(&state.bounds));
        for (model, instance) in &mut instances {
            state.entities.census.count(*model, instance);
            if let Some(count) = state.entities.instance_counts.get_mut(usize::from(*model)) {
                *count += 1;
            }
        }
        if let Some(department) = own.as_ref().and_then(|own| own.department.as_deref()) {
            state.entities.set_department(id, Some(department));
        }
        if let Some(entity) = state.entities.get_mut(id) {
            entity.relearn(own, instances, &state.names);
            let (kind, latest) = (entity.kind, entity.latest());
            state.entities.census.moved(kind, None, latest);
        }
        state.entities.weigh(id, 0);
        if state.entities.resident_bytes > self.max_bytes {
            state.entities.send_away(id, state.window_days());
        }
    }
}

impl State {
    /// A record that is no entity's.
    fn restore_other(&mut self, key: &[u8], value: &[u8]) -> Result<(), BadRecord> {
        // There may be a hundred thousand of them.
        if let Some(guard) = StoredGuard::read(key) {
            self.guards.restore(key, &guard, &read(key, value)?);
            return Ok(());
        }
        match Key::decode(key).ok_or_else(|| BadRecord::unknown(key))? {
            // They came first, and may have changed since.
            Key::Agent | Key::File(_) | Key::Sink(_) if self.is_some_missing() => {}
            Key::Agent => self.agent = read(key, value)?,
            Key::File(id) => {
                self.files.insert(id, read(key, value)?);
            }
            Key::Sink(name) => {
                self.sinks.insert(name, read(key, value)?);
            }
            Key::Suppressed(day, rule, kind, entity) => {
                self.guards.restore_suppressed(day, rule, kind, entity, read(key, value)?);
            }
            Key::Silenced(exception, rule) => self.silenced.restore(exception, rule, read(key, value)?),
            Key::Guard(_)
            | Key::Alert(_)
            | Key::Import(_)
            | Key::Model(_)
            | Key::Entity(..)
            | Key::Instance(..)
            | Key::Bin(..) => {}
        }
        Ok(())
    }

    /// What was learned about an entity comes back from the store's records, in the order of their keys.
    ///
    /// # Errors
    /// The first record that cannot be read; the entity stays away.
    pub fn page_in<K: AsRef<[u8]>, V: AsRef<[u8]>>(
        &mut self,
        id: EntityId,
        records: &[(K, V)],
    ) -> Result<(), BadRecord> {
        let prefix_len = self.prefix_of(id).map_or(0, |prefix| prefix.len());
        let mut learned = Learned::default();
        for (key, value) in records {
            learned.take(key.as_ref(), prefix_len, value.as_ref(), &self.model_keys)?;
        }
        let instances = learned.instances(&self.bounds);
        let Some(outline) = self.entities.call_back(id) else { return Ok(()) };
        let Some(entity) = self.entities.get_mut(id) else { return Ok(()) };
        // One that left while the rest was away may still stand in the store.
        let left = |(model, mut instance): OfModel| {
            instance.counted = outline.counted(model)?;
            Some((model, instance))
        };
        entity.relearn(learned.own, instances.into_iter().filter_map(left).collect(), &self.names);
        entity.meet();
        self.entities.came_back(id);
        Ok(())
    }
}

impl Entity {
    /// Takes what was learned about it.
    fn relearn(&mut self, own: Option<EntityRecord>, instances: Vec<OfModel>, names: &Names) {
        if let Some(own) = own {
            self.restore(own, names);
        }
        if !instances.is_empty() {
            self.learn().instances = instances;
        }
    }
}

impl ModelKeys {
    pub(super) fn of(names: &Names) -> ModelKeys {
        ModelKeys(names.models.iter().map(|model| key::text(model.as_bytes())).collect())
    }

    /// The model that the rest of a key begins with, and what follows.
    fn split<'a>(&self, rest: &'a [u8]) -> Option<(u16, &'a [u8])> {
        (0..).zip(&self.0).find_map(|(model, key)| Some((model, rest.strip_prefix(key.as_slice())?)))
    }
}

impl Learned {
    /// Takes a record whose key begins with the entity's prefix. Those of a model that the content no longer has stay in the
    /// store, unread.
    fn take(&mut self, key: &[u8], prefix_len: usize, value: &[u8], models: &ModelKeys) -> Result<(), BadRecord> {
        let (tag, rest) = key.get(prefix_len..).and_then(<[u8]>::split_first).ok_or_else(|| BadRecord::unknown(key))?;
        match (*tag, models.split(rest)) {
            (key::TAG_ENTITY, _) if rest.is_empty() => self.own = Some(read(key, value)?),
            (key::TAG_INSTANCE, Some((model, []))) => {
                let record = read(key, value)?;
                self.note(model, |found| found.record = record);
            }
            (key::TAG_BIN, Some((model, feature))) => {
                let BinRecord { days, first_ms, last_ms } = read(key, value)?;
                let at = self.bins.len();
                self.bins.push(Bin::restored(feature.into(), days, first_ms, last_ms));
                self.note(model, |found| {
                    found.from = if found.bins == 0 { at } else { found.from };
                    found.bins += 1;
                });
            }
            _ if Key::decode(key).is_none() => return Err(BadRecord::unknown(key)),
            _ => {}
        }
        Ok(())
    }

    /// Notes something of an instance.
    fn note(&mut self, model: u16, note: impl FnOnce(&mut Found)) {
        if let Some(found) = self.instances.iter_mut().find(|found| found.model == model) {
            return note(found);
        }
        let mut found = Found { model, ..Found::default() };
        note(&mut found);
        self.instances.push(found);
    }

    /// The instances by model. Each list of bins takes the memory that it needs, at once.
    fn instances(&mut self, bounds: &[Bounds]) -> Vec<OfModel> {
        self.instances.sort_unstable_by_key(|found| found.from);
        let mut all = self.bins.drain(..);
        let mut instances = Vec::with_capacity(self.instances.len());
        for Found { model, record, bins, .. } in self.instances.drain(..) {
            let mut own = Vec::with_capacity(bins);
            own.extend(all.by_ref().take(bins));
            if let Some(bounds) = bounds.get(usize::from(model)) {
                instances.push((model, Instance::restore(record.latest, record.saturated, own, bounds)));
            }
        }
        instances.sort_unstable_by_key(|(model, _)| *model);
        instances
    }
}
