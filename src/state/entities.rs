//! All entities, looked up by hash: the workers have computed it, and it is seeded, since names are an attacker's choice.
//!
//! Keeps the books of what the next commit has to write. No I/O, no clock.

use super::census::Census;
use super::departments::Departments;
use super::entity::{Entity, Mark};
use super::key::{bins_of, entity_prefix, put_bin_key, put_entity_key, put_instance_key};
use super::names::Names;
use super::outline::Outline;
use super::put::Put;
use super::record::{BinRecord, InstanceRecord};
use super::slots::Slots;
use crate::alert::EntityKind;
use crate::batch::KeyHasher;
use crate::calendar::Day;
use crate::model::histogram::{Change, Instance};
use foldhash::HashMap;
use hashbrown::HashTable;

/// Slot of an entity; stays valid until the entity is dropped, never while an event is judged.
pub type EntityId = u32;

/// About what one changed bin adds to a commit, bytes.
const BIN_BYTES: usize = 128;

/// All entities.
#[derive(Debug)]
pub struct Entities {
    slots: Slots,
    drops: u64,
    /// About how many bytes the next commit has to write.
    pending_bytes: usize,
    tables: [HashTable<EntityId>; 4],
    hasher: KeyHasher,
    dirty: Vec<EntityId>,
    /// Instances in being, by model.
    pub instance_counts: Vec<usize>,
    /// What is counted besides.
    pub census: Census,
    pub(super) departments: Departments,
    /// About how much memory the knowledge of users and hosts takes, bytes, as of when it was written last.
    pub(super) resident_bytes: usize,
    /// The number of the last drain, and of the last one that is durable.
    pub(super) drains: u64,
    pub(super) durable: u64,
    /// Nobody else can leave memory before the next commit is durable.
    pub(super) is_searched: bool,
    /// What memory has of those whose knowledge is in the store alone.
    pub(super) outlines: HashMap<EntityId, Box<Outline>>,
    /// How many came back into memory.
    pub(super) recalled: u64,
    /// Where the search for somebody who was not met lately goes on.
    pub(super) hand: usize,
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
            slots: Slots::default(),
            drops: 0,
            pending_bytes: 0,
            tables: Default::default(),
            departments: Departments::new(hasher.clone()),
            hasher,
            dirty: Vec::new(),
            instance_counts: vec![0; models],
            census: Census::default(),
            resident_bytes: 0,
            drains: 0,
            durable: 0,
            is_searched: false,
            outlines: HashMap::default(),
            recalled: 0,
            hand: 0,
        }
    }

    /// How many there are of a kind.
    pub fn count(&self, kind: EntityKind) -> usize {
        self.tables.get(table_of(kind)).map_or(0, HashTable::len)
    }

    /// All entities.
    pub fn iter(&self) -> impl Iterator<Item = (EntityId, &Entity)> {
        self.slots.iter()
    }

    /// The slot of a key, if there is one. `hash` is the worker's hash of the key.
    #[inline]
    pub fn find(&self, kind: EntityKind, key: &[u8], hash: u64) -> Option<EntityId> {
        let table = self.tables.get(table_of(kind))?;
        table.find(hash, |id| self.is(*id, key)).copied()
    }

    /// Whose slot it probably is, by the hash alone.
    #[inline]
    pub fn guess(&self, kind: EntityKind, hash: u64) -> Option<EntityId> {
        self.tables.get(table_of(kind))?.iter_hash(hash).next().copied()
    }

    /// The same as [`Entities::find`], for whom [`Entities::guess`] was asked before.
    #[inline]
    pub fn confirm(&self, guess: Option<EntityId>, kind: EntityKind, key: &[u8], hash: u64) -> Option<EntityId> {
        match guess {
            Some(id) if !self.is(id, key) => self.find(kind, key, hash),
            guess => guess,
        }
    }

    #[inline]
    fn is(&self, id: EntityId, key: &[u8]) -> bool {
        self.slots.get(id).is_some_and(|entity| entity.key.is(key))
    }

    /// How many entities have been dropped: as long as it stays the same, what [`Entities::find`] found is still right.
    pub fn drops(&self) -> u64 {
        self.drops
    }

    /// The slot of a key, made when it is new. `hash` is the worker's hash of the key.
    #[inline]
    pub fn id(&mut self, kind: EntityKind, key: &[u8], hash: u64) -> EntityId {
        if let Some(id) = self.find(kind, key, hash) {
            return id;
        }
        let Some(table) = self.tables.get_mut(table_of(kind)) else { return 0 };
        let id = self.slots.put(Entity::new(kind, key));
        let (slots, hasher) = (&self.slots, &self.hasher);
        table.insert_unique(hash, id, |id| key_in(slots, *id).map_or(0, |key| hasher.hash(key)));
        id
    }

    /// The slot of a key that had none; `None` where it had one.
    pub(super) fn add(&mut self, kind: EntityKind, key: &[u8]) -> Option<EntityId> {
        let hash = self.hash(key);
        if self.find(kind, key, hash).is_some() { None } else { Some(self.id(kind, key, hash)) }
    }

    /// What stands for a key in the tables.
    pub(super) fn hash(&self, key: &[u8]) -> u64 {
        self.hasher.hash(key)
    }

    /// The slot of a key without a known hash.
    pub fn id_of(&mut self, kind: EntityKind, key: &[u8]) -> EntityId {
        self.id(kind, key, self.hash(key))
    }

    /// An entity.
    #[inline]
    pub fn get(&self, id: EntityId) -> Option<&Entity> {
        self.slots.get(id)
    }

    /// An entity to change without its record becoming dirty (its instances keep their own books).
    #[inline]
    pub fn get_mut(&mut self, id: EntityId) -> Option<&mut Entity> {
        self.slots.get_mut(id)
    }

    /// An entity whose record changes.
    pub fn change(&mut self, id: EntityId) -> Option<&mut Entity> {
        self.queue(id);
        let entity = self.slots.get_mut(id)?;
        if !entity.mark(Mark::Dirty, true) {
            self.pending_bytes += entity.record_bytes();
        }
        Some(entity)
    }

    /// A new day begins for an entity: what belongs to days before `oldest_open` leaves.
    pub fn begin_day(&mut self, id: EntityId, day: Day, oldest_open: Day) {
        let Some(entity) = self.change(id) else { return };
        let (kind, before) = (entity.kind, entity.latest());
        entity.begin_day(day, oldest_open);
        self.census.moved(kind, before, Some(day));
    }

    /// The instance of a model to train, made when it is new.
    pub fn train(&mut self, id: EntityId, model: u16) -> Option<&mut Instance> {
        self.queue(id);
        self.pending_bytes += BIN_BYTES;
        let entity = self.slots.get_mut(id)?;
        let instances = &mut entity.learn().instances;
        let at = match instances.iter().position(|i| i.0 == model) {
            Some(at) => at,
            None => {
                instances.reserve_exact(1); // most have one or two
                instances.push((model, Instance::default()));
                if let Some(count) = self.instance_counts.get_mut(model as usize) {
                    *count += 1;
                }
                instances.len() - 1
            }
        };
        instances.get_mut(at).map(|i| &mut i.1)
    }

    fn queue(&mut self, id: EntityId) {
        if let Some(entity) = self.get_mut(id)
            && !entity.mark(Mark::Queued, true)
        {
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

    /// Whether anybody's knowledge is in the store alone.
    #[inline]
    pub fn is_any_away(&self) -> bool {
        !self.outlines.is_empty()
    }

    /// How many slots there are.
    pub(super) fn slots(&self) -> usize {
        self.slots.len()
    }

    /// The name of a user's department.
    pub fn department(&self, id: EntityId) -> Option<&str> {
        self.departments.name(self.get(id)?.department)
    }

    /// A user's department becomes another one. Does not mark its record as changed.
    pub fn set_department(&mut self, id: EntityId, name: Option<&str>) {
        let Some(entity) = self.slots.get_mut(id) else { return };
        entity.department = self.departments.replace(entity.department, name);
    }

    /// Writes what changed since the last call.
    pub fn drain(&mut self, names: &Names, put: &mut Put<'_>) {
        self.pending_bytes = 0;
        self.drains += 1;
        for id in std::mem::take(&mut self.dirty) {
            // One that was dropped meanwhile has left its removals behind.
            let Some(entity) = self.slots.get_mut(id) else { continue };
            entity.mark(Mark::Queued, false);
            if entity.mark(Mark::Dirty, false) {
                let record = entity.record(names, &self.departments);
                put.record(|out| put_entity_key(out, entity.kind, &entity.key), &record);
            }
            let (kind, key, instances) = entity.instances_mut();
            for (model, instance) in instances {
                self.census.count(*model, instance);
                let Some(model) = names.models.get(*model as usize) else { continue };
                instance.drain_dirty(|change| match change {
                    Change::Meta { latest, saturated } => {
                        put.record(|out| put_instance_key(out, kind, key, model), &InstanceRecord { latest, saturated })
                    }
                    Change::Bin(bin) => put.record(
                        |out| put_bin_key(out, kind, key, model, &bin.value),
                        &BinRecord { days: bin.days.clone(), first_ms: bin.first_ms, last_ms: bin.last_ms },
                    ),
                    Change::Removed(value) => put.remove(|out| put_bin_key(out, kind, key, model, value)),
                });
            }
            self.weigh(id, self.drains);
        }
    }

    /// Notes how much memory the knowledge about a user or host takes, and by which drain it was written.
    pub(super) fn weigh(&mut self, id: EntityId, drained: u64) {
        let Some(entity) = self.slots.get_mut(id) else { return };
        if !matches!(entity.kind, EntityKind::User | EntityKind::Host) {
            return;
        }
        let Some(known) = entity.here() else { return };
        let bytes = known.measure();
        known.drained = drained;
        let before = std::mem::replace(&mut known.bytes, bytes);
        self.resident_bytes = (self.resident_bytes + bytes as usize).saturating_sub(before as usize);
    }

    /// Drops an instance with its records.
    pub fn drop_instance(&mut self, id: EntityId, model: u16, names: &Names, put: &mut Put<'_>) {
        let Some(entity) = self.slots.get_mut(id) else { return };
        if let Some(outline) = self.outlines.get_mut(&id) {
            if let Some(counted) = outline.counted(model) {
                outline.forget(model);
                self.census.leave(model, counted);
                if let Some(count) = self.instance_counts.get_mut(model as usize) {
                    *count -= 1;
                }
                let Some(name) = names.models.get(model as usize) else { return };
                put.remove(|out| put_instance_key(out, entity.kind, &entity.key, name));
                put.remove_all(bins_of(entity.kind, &entity.key, name));
            }
            return;
        }
        let Some(at) = entity.known().instances.iter().position(|i| i.0 == model) else { return };
        let (_, mut instance) = entity.learn().instances.remove(at);
        self.census.leave(model, instance.counted);
        if let Some(count) = self.instance_counts.get_mut(model as usize) {
            *count -= 1;
        }
        let Some(name) = names.models.get(model as usize) else { return };
        // Bins that left since the last drain are no bins of it any more, but still stand in the store.
        instance.drain_dirty(|change| {
            if let Change::Removed(value) = change {
                put.remove(|out| put_bin_key(out, entity.kind, &entity.key, name, value));
            }
        });
        for bin in instance.bins().filter(|bin| bin.is_stored()) {
            put.remove(|out| put_bin_key(out, entity.kind, &entity.key, name, &bin.value));
        }
        put.remove(|out| put_instance_key(out, entity.kind, &entity.key, name));
    }

    /// Forgets an entity, with its instances and records.
    pub fn drop_entity(&mut self, id: EntityId, names: &Names, put: &mut Put<'_>) {
        self.set_department(id, None);
        let outline = self.outlines.remove(&id);
        let Some(entity) = self.slots.get(id) else { return };
        if let Some(outline) = outline {
            put.remove_all(entity_prefix(entity.kind, &entity.key));
            let models = outline.models();
            for (model, counted) in models {
                self.census.leave(model, counted);
                if let Some(count) = self.instance_counts.get_mut(model as usize) {
                    *count -= 1;
                }
            }
        } else {
            let models: Vec<u16> = entity.known().instances.iter().map(|i| i.0).collect();
            for model in models {
                self.drop_instance(id, model, names, put);
            }
        }
        let Some(mut entity) = self.slots.take(id) else { return };
        let bytes = entity.here().map_or(0, |known| known.bytes as usize);
        self.resident_bytes = self.resident_bytes.saturating_sub(bytes);
        self.drops += 1;
        self.census.moved(entity.kind, entity.latest(), None);
        let hash = self.hasher.hash(&entity.key);
        if let Some(table) = self.tables.get_mut(table_of(entity.kind))
            && let Ok(entry) = table.find_entry(hash, |other| *other == id)
        {
            entry.remove();
        }
        put.remove(|out| put_entity_key(out, entity.kind, &entity.key));
    }
}

fn key_in(slots: &Slots, id: EntityId) -> Option<&[u8]> {
    Some(&slots.get(id)?.key)
}
