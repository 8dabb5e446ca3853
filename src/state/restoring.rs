//! The working set out of the store's records: all of it at a start, one entity when it comes back into memory.

use super::entities::EntityId;
use super::entity::{Entity, OfModel};
use super::key::{self, Key};
use super::names::Names;
use super::record::{BinRecord, EntityRecord, InstanceRecord};
use super::{BadRecord, State, read};
use crate::model::histogram::{Bin, Bounds, Instance};
use std::collections::BTreeMap;

/// Reads records: what it must know for that of rules and models. Several threads may read with one.
#[derive(Clone, Debug)]
pub struct RecordReader {
    names: Names,
    model_keys: ModelKeys,
    bounds: Vec<Bounds>,
}

/// Takes records in the order of their keys. All records of an entity must be among them, or none.
pub struct Reading<'a> {
    reader: &'a RecordReader,
    /// What the keys of the entity in hand begin with.
    prefix: Vec<u8>,
    entity: Option<Entity>,
    learned: Learned,
    read: Pieces,
}

/// What records say, in the order of their keys.
#[derive(Debug, Default)]
pub struct Pieces(Vec<Piece>);

#[derive(Debug)]
enum Piece {
    /// An entity with the name of its department.
    Entity(Entity, Option<String>),
    /// Key and value of a record that is no entity's.
    Other(Vec<u8>, Vec<u8>),
}

/// How the names of models stand in keys, by index.
#[derive(Clone, Debug)]
pub(super) struct ModelKeys(Vec<Vec<u8>>);

/// What the records of one entity say.
#[derive(Debug, Default)]
pub(super) struct Learned {
    own: Option<EntityRecord>,
    instances: BTreeMap<u16, (InstanceRecord, Vec<Bin>)>,
}

impl State {
    /// What reads records for this working set.
    pub fn reader(&self) -> RecordReader {
        RecordReader { names: self.names.clone(), model_keys: self.model_keys.clone(), bounds: self.bounds.clone() }
    }

    /// Rebuilds an empty working set from records in the order of their keys. Users and hosts stay in the store alone where
    /// `max_bytes` are in memory already.
    ///
    /// # Errors
    /// The first record that cannot be read.
    pub fn restore<K: AsRef<[u8]>, V: AsRef<[u8]>>(
        &mut self,
        records: impl IntoIterator<Item = (K, V)>,
        max_bytes: usize,
    ) -> Result<(), BadRecord> {
        let reader = self.reader();
        let mut reading = reader.begin();
        for (key, value) in records {
            reading.take(key.as_ref(), value.as_ref())?;
        }
        self.add(reading.finish(), max_bytes)?;
        self.restored();
        Ok(())
    }

    /// Adds what was read to a working set that is being rebuilt. Users and hosts stay in the store alone where `max_bytes` are
    /// in memory already.
    ///
    /// # Errors
    /// The first record that cannot be read.
    pub fn add(&mut self, read: Pieces, max_bytes: usize) -> Result<(), BadRecord> {
        for piece in read.0 {
            match piece {
                Piece::Entity(entity, department) => self.add_entity(entity, department.as_deref(), max_bytes),
                Piece::Other(key, value) => self.restore_other(&key, &value)?,
            }
        }
        Ok(())
    }

    /// Everything was added: from now on entities are found.
    pub fn restored(&mut self) {
        self.entities.index();
    }

    /// All alerts up to this number have been delivered by all of these sinks.
    pub fn delivered(&self, sinks: &[&str]) -> u64 {
        sinks.iter().map(|name| self.sinks.get(*name).map_or(0, |sink| sink.seq)).min().unwrap_or(0)
    }

    fn add_entity(&mut self, mut entity: Entity, department: Option<&str>, max_bytes: usize) {
        let (kind, latest) = (entity.kind, entity.latest());
        for (model, instance) in entity.instances_mut().2 {
            self.entities.census.count(*model, instance);
            if let Some(count) = self.entities.instance_counts.get_mut(usize::from(*model)) {
                *count += 1;
            }
        }
        self.entities.census.moved(kind, None, latest);
        let id = self.entities.put(entity);
        if department.is_some() {
            self.entities.set_department(id, department);
        }
        self.entities.weigh(id, 0);
        if self.entities.resident_bytes > max_bytes {
            self.entities.send_away(id, self.window_days());
        }
    }

    /// A record that is no entity's.
    fn restore_other(&mut self, key: &[u8], value: &[u8]) -> Result<(), BadRecord> {
        match Key::decode(key).ok_or_else(|| BadRecord::unknown(key))? {
            Key::Agent => self.agent = read(key, value)?,
            Key::File(id) => {
                self.files.insert(id, read(key, value)?);
            }
            Key::Guard(guard) => self.guards.restore(guard.as_guard(), &read(key, value)?),
            Key::Sink(name) => {
                self.sinks.insert(name, read(key, value)?);
            }
            Key::Suppressed(day, rule, kind, entity) => {
                self.guards.restore_suppressed(day, rule, kind, entity, read(key, value)?);
            }
            Key::Silenced(exception, rule) => self.silenced.restore(exception, rule, read(key, value)?),
            Key::Alert(_) | Key::Import(_) | Key::Model(_) | Key::Entity(..) | Key::Instance(..) | Key::Bin(..) => {}
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

impl RecordReader {
    /// Begins with the first record of something.
    pub fn begin(&self) -> Reading<'_> {
        let (entity, learned, read) = (None, Learned::default(), Pieces::default());
        Reading { reader: self, prefix: Vec::new(), entity, learned, read }
    }
}

impl Reading<'_> {
    /// Takes the next record.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn take(&mut self, key: &[u8], value: &[u8]) -> Result<(), BadRecord> {
        if !key.starts_with(key::ENTITIES) {
            self.settle();
            self.read.0.push(Piece::Other(key.to_vec(), value.to_vec()));
            return Ok(());
        }
        if self.entity.is_none() || !key.starts_with(&self.prefix) {
            self.settle();
            let (kind, entity, prefix_len) = key::entity_in(key).ok_or_else(|| BadRecord::unknown(key))?;
            self.prefix.clear();
            self.prefix.extend_from_slice(key.get(..prefix_len).unwrap_or_default());
            self.entity = Some(Entity::new(kind, &entity));
        }
        self.learned.take(key, self.prefix.len(), value, &self.reader.model_keys)
    }

    /// The last record has been taken.
    pub fn finish(mut self) -> Pieces {
        self.settle();
        self.read
    }

    /// The records of the entity in hand are all there.
    fn settle(&mut self) {
        let Some(mut entity) = self.entity.take() else { return };
        let mut learned = std::mem::take(&mut self.learned);
        let instances = learned.instances(&self.reader.bounds);
        let department = learned.own.as_mut().and_then(|own| own.department.take());
        entity.relearn(learned.own, instances, &self.reader.names);
        self.read.0.push(Piece::Entity(entity, department));
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
            (key::TAG_INSTANCE, Some((model, []))) => self.instance(model).0 = read(key, value)?,
            (key::TAG_BIN, Some((model, feature))) => {
                let record: BinRecord = read(key, value)?;
                let bin = Bin::restored(feature.into(), record.days, record.first_ms, record.last_ms);
                self.instance(model).1.push(bin);
            }
            _ if Key::decode(key).is_none() => return Err(BadRecord::unknown(key)),
            _ => {}
        }
        Ok(())
    }

    fn instance(&mut self, model: u16) -> &mut (InstanceRecord, Vec<Bin>) {
        self.instances.entry(model).or_default()
    }

    /// The instances by model.
    fn instances(&mut self, bounds: &[Bounds]) -> Vec<OfModel> {
        let of_model = |(model, (meta, bins)): (u16, (InstanceRecord, Vec<Bin>))| {
            let bounds = bounds.get(usize::from(model))?;
            Some((model, Instance::restore(meta.latest, meta.saturated, bins, bounds)))
        };
        std::mem::take(&mut self.instances).into_iter().filter_map(of_model).collect()
    }
}
