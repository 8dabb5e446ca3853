//! What was learned about users and hosts that nobody meets leaves memory, and comes back from the store when they are met again.
//!
//! Their slots stay: key, latest day and what was noted last, which is all that most events ask for. Groups and the agent
//! itself always stay. Who is in memory changes no alert and no record.

use super::State;
use super::entities::{Entities, EntityId};
use super::entity::{Entity, Mark};
use super::key::entity_prefix;
use super::outline::Outline;
use crate::alert::EntityKind;
use serde::{Deserialize, Serialize};

/// Slots that are looked at in one go, so that no batch waits long.
const LOOKED_AT: usize = 262_144;

/// Users and hosts in memory and in the store alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// About how much memory the knowledge in memory takes, bytes.
    pub resident_bytes: u64,
    /// How many are in the store alone.
    pub away: u64,
    /// How many have come back since the start.
    pub recalled: u64,
}

impl State {
    /// All that was drained so far is durable.
    pub fn committed(&mut self) {
        self.entities.durable = self.entities.drains;
        self.entities.is_searched = false;
    }

    /// Memory may hold `max_bytes` of knowledge: those who were not met lately leave, if the store durably has all of it. Looks
    /// at a part of all at a time.
    pub fn page_out(&mut self, max_bytes: usize) {
        if self.entities.is_searched {
            return;
        }
        let window_days = self.window_days();
        let slots = self.entities.slots();
        let mut left = LOOKED_AT.min(slots * 2);
        while self.entities.resident_bytes > max_bytes && left > 0 {
            left -= 1;
            let hand = if self.entities.hand < slots { self.entities.hand } else { 0 };
            self.entities.hand = hand + 1;
            let id = hand as EntityId;
            let Some(entity) = self.entities.get_mut(id) else { continue };
            // Once more round, if it was met since the last time.
            if !entity.mark(Mark::Met, false) {
                self.entities.send_away(id, window_days);
            }
        }
        self.entities.is_searched = left == 0;
    }

    /// What is in memory and what is not.
    pub fn memory(&self) -> Memory {
        let Entities { resident_bytes, recalled, outlines, .. } = &self.entities;
        Memory { resident_bytes: *resident_bytes as u64, away: outlines.len() as u64, recalled: *recalled }
    }

    /// The prefix of the store's records of an entity.
    pub fn prefix_of(&self, id: EntityId) -> Option<Vec<u8>> {
        self.entities.get(id).map(|e| entity_prefix(e.kind, &e.key))
    }

    /// Days that count for models; they all count the same.
    pub(super) fn window_days(&self) -> u32 {
        self.bounds.first().map_or(u32::MAX, |b| b.window_days)
    }
}

impl Entity {
    /// Whether its knowledge may leave memory: the store has all of it, as of a drain up to `durable`.
    fn may_leave(&mut self, durable: u64) -> bool {
        let is_clean = !self.is(Mark::Queued) && matches!(self.kind, EntityKind::User | EntityKind::Host);
        is_clean && self.here().is_some_and(|known| known.drained <= durable)
    }
}

impl Entities {
    /// An entity's knowledge is back in memory.
    pub(super) fn came_back(&mut self, id: EntityId) {
        self.recalled += 1;
        self.weigh(id, 0);
    }

    /// An entity's knowledge leaves memory, if the store has it.
    pub(super) fn send_away(&mut self, id: EntityId, window_days: u32) {
        let durable = self.durable;
        let Some(entity) = self.get_mut(id) else { return };
        if !entity.may_leave(durable) {
            return;
        }
        let bytes = entity.here().map_or(0, |known| known.bytes as usize);
        let outline = Outline::of(entity, window_days);
        entity.forget_known();
        entity.mark(Mark::Away, true);
        self.outlines.insert(id, Box::new(outline));
        self.resident_bytes = self.resident_bytes.saturating_sub(bytes);
    }

    /// What was learned about an entity is to come back into memory.
    pub(super) fn call_back(&mut self, id: EntityId) -> Option<Box<Outline>> {
        let outline = self.outlines.remove(&id)?;
        if let Some(entity) = self.get_mut(id) {
            entity.mark(Mark::Away, false);
        }
        Some(outline)
    }
}
