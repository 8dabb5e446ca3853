//! What leaves when the working set holds too much: the least known first, counted, in steps.
//!
//! A step takes two per cent at once, so that a flood of new names costs a sort now and then and not one each. Who leaves
//! follows from the events alone: any number of threads and restarts gives the same.

use super::State;
use super::entities::EntityId;
use super::entity::Entity;
use super::outline::Standing;
use super::put::Put;
use crate::alert::EntityKind;
use crate::store::Delta;

/// Records that one step may remove, about: they all stand in one commit.
const MAX_REMOVED: usize = 50_000;

/// How many of `all` leave so that `max` stay, with room for a while.
fn leaving(all: usize, max: usize) -> usize {
    (all.saturating_sub(max)).max(max / 50).max(1).min(all)
}

impl State {
    /// Drops the instance with the fewest history days (of equals, the one trained longest ago) when a model has too many.
    pub fn bound_instances(&mut self, model: u16, event: u8, max: usize) {
        if self.entities.instance_counts.get(model as usize).is_none_or(|n| *n <= max) {
            return;
        }
        let window_days = self.window_days();
        let standing = |(id, e): (EntityId, &'_ Entity)| {
            Some((self.entities.instance_standing(id, e, model, event, window_days)?, id))
        };
        let mut all: Vec<((u32, i64), &[u8], EntityId)> = Vec::new();
        for (standing, id) in self.entities.iter().filter_map(standing) {
            all.push((standing, self.entities.get(id).map_or(&[][..], |e| &e.key), id));
        }
        let mut removed = 0;
        for id in least(all, max) {
            removed += self.entities.instance_records(id, model);
            self.entities.drop_instance(id, model, &self.names, &mut Put(&mut self.extra));
            self.agent.limits.max_instances += 1;
            if removed >= MAX_REMOVED {
                break;
            }
        }
        self.agent_dirty = true;
    }

    /// Forgets the entities of a kind that are known least when there are too many: those with the fewest history days, of
    /// equals those that were met longest ago.
    pub fn bound_entities(&mut self, kind: EntityKind, max: usize) {
        if self.entities.count(kind) <= max {
            return;
        }
        let of_kind = self.entities.iter().filter(|(_, e)| e.kind == kind);
        let all: Vec<(Standing, &[u8], EntityId)> =
            of_kind.map(|(id, e)| (self.entities.standing(id, e), &*e.key, id)).collect();
        let mut removed = 0;
        for id in least(all, max) {
            removed += self.entities.records(id);
            self.entities.drop_entity(id, &self.names, &mut Put(&mut self.extra));
            self.agent.limits.max_entities += 1;
            if removed >= MAX_REMOVED {
                break;
            }
        }
        self.agent_dirty = true;
    }

    /// Forgets an entity that an event named without leaving anything to remember.
    pub fn forget_if_blank(&mut self, id: EntityId) {
        if self.entities.get(id).is_some_and(Entity::is_blank) {
            // It was never written: there is nothing to remove.
            self.entities.drop_entity(id, &self.names, &mut Put(&mut Delta::default()));
        }
    }
}

/// Who leaves, the least known first.
fn least<K: Ord>(mut all: Vec<(K, &[u8], EntityId)>, max: usize) -> Vec<EntityId> {
    let leave = leaving(all.len(), max);
    if leave < all.len() {
        all.select_nth_unstable(leave);
        all.truncate(leave);
    }
    all.sort_unstable();
    all.into_iter().map(|(.., id)| id).collect()
}
