//! The working set: everything the agent has learned, in memory, and how it goes into and comes out of the store.
//!
//! Owned by the detect thread, the only one that changes it. A commit takes the records that changed since the last one;
//! values are absolute, so that writing one twice changes nothing. No I/O, no clock.

mod bound;
pub mod census;
mod departments;
pub mod dump;
pub mod entities;
pub mod entity;
mod entity_key;
mod entity_record;
pub mod guard;
mod guard_day;
pub mod key;
pub mod names;
mod outline;
pub mod paging;
mod put;
pub mod record;
pub mod restoring;
pub mod silenced;
mod slots;

use crate::alert::EntityKind;
use crate::batch::{FileId, KeyHasher};
use crate::model::Maturity;
use crate::model::histogram::Bounds;
use crate::store::{Delta, codec};
use census::Census;
use entities::{Entities, EntityId};
use guard::Guards;
use key::Key;
use names::Names;
use put::Put;
use record::{AgentRecord, FileRecord, SinkRecord};
use restoring::ModelKeys;
use serde::Serialize;
use silenced::Silenced;
use std::collections::{BTreeMap, BTreeSet};

/// About what one changed guard adds to a commit, bytes.
const GUARD_BYTES: usize = 128;

/// Everything learned.
#[derive(Debug)]
pub struct State {
    /// Users, hosts, peer groups, the agent.
    pub entities: Entities,
    /// What has fired.
    pub guards: Guards,
    /// What exceptions silenced.
    pub silenced: Silenced,
    /// Counters and marks.
    pub agent: AgentRecord,
    /// Whether `agent` changed since the last drain.
    pub agent_dirty: bool,
    agent_slot: Option<EntityId>,
    /// Rule and model ids.
    pub names: Names,
    model_keys: ModelKeys,
    /// Limits by model.
    pub bounds: Vec<Bounds>,
    files: BTreeMap<FileId, FileRecord>,
    files_dirty: BTreeSet<FileId>,
    sinks: BTreeMap<String, SinkRecord>,
    sinks_dirty: BTreeSet<String>,
    /// What the next commit writes besides.
    extra: Delta,
    /// While users and hosts may stand in the store that memory does not have: how many entities and instances it has at most.
    missing: Option<u64>,
}

/// A stored record that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("the record {key} of the state cannot be read: {what}")]
pub struct BadRecord {
    /// The key, escaped.
    pub key: String,
    /// Why.
    pub what: String,
}

impl State {
    /// An empty working set.
    pub fn new(names: Names, bounds: Vec<Bounds>, hasher: KeyHasher) -> State {
        State {
            guards: Guards::new(hasher.clone()),
            entities: Entities::new(hasher, names.models.len()),
            silenced: Silenced::default(),
            agent: AgentRecord::default(),
            agent_dirty: false,
            agent_slot: None,
            model_keys: ModelKeys::of(&names),
            names,
            bounds,
            files: BTreeMap::new(),
            files_dirty: BTreeSet::new(),
            sinks: BTreeMap::new(),
            sinks_dirty: BTreeSet::new(),
            extra: Delta::default(),
            missing: None,
        }
    }

    /// Instances are counted by how far they are, each model by its own measure. For a state that is empty still.
    pub fn counting(mut self, maturity: Vec<Maturity>) -> State {
        self.entities.census = Census::new(maturity);
        self
    }

    /// What is remembered of the spool files.
    pub fn files(&self) -> &BTreeMap<FileId, FileRecord> {
        &self.files
    }

    /// A file's record, to change; made when it is new.
    pub fn file(&mut self, id: FileId) -> &mut FileRecord {
        self.files_dirty.insert(id);
        self.files.entry(id).or_default()
    }

    /// A file's entry leaves; what was in it stays counted.
    pub fn forget_file(&mut self, id: FileId) {
        if let Some(record) = self.files.remove(&id) {
            self.agent.forgotten.merge(&record.tally);
            self.agent_dirty = true;
            self.files_dirty.insert(id);
        }
    }

    /// What a sink has delivered.
    pub fn sink(&self, name: &str) -> SinkRecord {
        self.sinks.get(name).cloned().unwrap_or_default()
    }

    /// A sink's record, to change.
    pub fn change_sink(&mut self, name: &str) -> &mut SinkRecord {
        self.sinks_dirty.insert(name.to_owned());
        self.sinks.entry(name.to_owned()).or_default()
    }

    /// Writes a record that is not part of the working set (an alert) with the next commit.
    pub fn put<T: Serialize>(&mut self, key: &Key, record: &T) {
        Put(&mut self.extra).keyed(key, record);
    }

    /// Removes such a record with the next commit.
    pub fn remove(&mut self, key: &Key) {
        self.extra.remove(|out| key.append_to(out));
    }

    /// The slot of the agent itself.
    pub fn agent_entity(&mut self) -> EntityId {
        match self.agent_slot {
            Some(id) if self.entities.get(id).is_some_and(|e| e.kind == EntityKind::Agent) => id,
            _ => *self.agent_slot.insert(self.entities.id_of(EntityKind::Agent, b"")),
        }
    }

    /// Whether there is nothing to commit.
    pub fn is_clean(&self) -> bool {
        self.pending() == 0 && !self.agent_dirty && self.sinks_dirty.is_empty()
    }

    /// How many records wait for the next commit (the agent's own and the sinks' not counted).
    pub fn pending(&self) -> usize {
        self.entities.dirty_count()
            + self.guards.dirty_count()
            + self.silenced.dirty_count()
            + self.files_dirty.len()
            + self.extra.len()
    }

    /// About how many bytes they have.
    pub fn pending_bytes(&self) -> usize {
        self.entities.pending_bytes() + self.guards.dirty_count() * GUARD_BYTES + self.extra.bytes()
    }

    /// The changes since the last call. `used` is an empty delta, whose memory is used again.
    pub fn drain(&mut self, used: Delta) -> Delta {
        let mut delta = std::mem::replace(&mut self.extra, used);
        let mut put = Put(&mut delta);
        self.entities.drain(&self.names, &mut put);
        self.guards.drain(&mut put);
        self.silenced.drain(&mut put);
        for id in std::mem::take(&mut self.files_dirty) {
            match self.files.get(&id) {
                Some(record) => put.keyed(&Key::File(id), record),
                None => put.remove(|out| Key::File(id).append_to(out)),
            }
        }
        for name in std::mem::take(&mut self.sinks_dirty) {
            if let Some(record) = self.sinks.get(&name) {
                put.keyed(&Key::Sink(name), record);
            }
        }
        if std::mem::take(&mut self.agent_dirty) {
            put.keyed(&Key::Agent, &self.agent);
        }
        delta
    }
}

impl BadRecord {
    fn unknown(key: &[u8]) -> BadRecord {
        BadRecord::new(key, "the key is of no kind known to this version")
    }

    fn new(key: &[u8], what: impl Into<String>) -> BadRecord {
        BadRecord { key: key.escape_ascii().to_string(), what: what.into() }
    }
}

fn read<T: serde::de::DeserializeOwned>(key: &[u8], value: &[u8]) -> Result<T, BadRecord> {
    codec::decode(value).map_err(|e| BadRecord::new(key, e.to_string()))
}
