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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::KeyHasher;
    use crate::model::Maturity;
    use crate::model::days::DaySet;
    use crate::model::histogram::Bounds;
    use crate::state::key::Key;
    use crate::state::names::Names;
    use crate::state::record::{BinRecord, EntityRecord, InstanceRecord};
    use crate::store::codec;
    use std::collections::BTreeMap;

    type Records = BTreeMap<Vec<u8>, Vec<u8>>;

    const EVENT: u8 = 2;

    /// Users of whom each is known less than another in some way.
    fn records() -> Records {
        let mut records = Records::new();
        for n in 0..40_i64 {
            let user = format!("user{n}").into_bytes();
            let mut days = DaySet::default();
            (0..n as i32 * 7 % 5).for_each(|ago| _ = days.insert(100 - ago, 30));
            let own = EntityRecord {
                latest: Some(100 - n as i32 % 2),
                history: vec![(EVENT, days)],
                sums: vec![("R".into(), 100, Vec::new(), n as u64 * 13 % 17)],
                ..EntityRecord::default()
            };
            records.insert(Key::Entity(EntityKind::User, user.clone()).encode(), codec::encode(&own));
            if n % 3 == 0 {
                continue;
            }
            let instance = InstanceRecord { latest: Some(100), saturated: false };
            records
                .insert(Key::Instance(EntityKind::User, user.clone(), "M".into()).encode(), codec::encode(&instance));
            for bin in 0..n % 7 {
                let bin_record =
                    BinRecord { days: [(100, 1)].into_iter().collect(), first_ms: 1, last_ms: n * 29 % 31 };
                let key = Key::Bin(EntityKind::User, user.clone(), "M".into(), vec![b'a' + bin as u8]);
                records.insert(key.encode(), codec::encode(&bin_record));
            }
        }
        records
    }

    /// What the state and the store hold when there is room for fewer and fewer, with so much memory for what was learned.
    fn left(max_bytes: usize, away: u64) -> Vec<String> {
        let names = Names { rules: vec!["R".into()], models: vec!["M".into()] };
        let bounds = vec![Bounds { window_days: 30, max_bins: 1000, rank_days: Some(7) }];
        let mut state = State::new(names, bounds, KeyHasher::default()).counting(vec![Maturity {
            alpha: 0.05,
            cut_off: 2,
            // Whoever is counted must leave the count.
            min_confidence: 0.0,
        }]);
        let mut stored = records();
        state.restore(stored.clone(), max_bytes).unwrap();
        assert_eq!(state.memory().away, away);
        let mut told = Vec::new();
        for max in [30, 26, 20, 9, 1] {
            state.bound_instances(0, EVENT, max * 2 / 3);
            state.bound_entities(EntityKind::User, max);
            let delta = state.drain(Delta::default());
            stored.retain(|key, _| !delta.prefixes().iter().any(|prefix| key.starts_with(prefix)));
            for (key, value) in delta.iter() {
                match value {
                    Some(value) => stored.insert(key.to_vec(), value.to_vec()),
                    None => stored.remove(key),
                };
            }
            let keys: Vec<String> = stored.keys().map(|key| key.escape_ascii().to_string()).collect();
            let entities = &state.entities;
            told.push(format!(
                "{:?} {:?} {:?} {keys:?}",
                entities.census, entities.instance_counts, state.agent.limits
            ));
        }
        told
    }

    #[test]
    fn who_leaves_is_the_same_whether_memory_or_the_store_has_what_was_learned() {
        let in_memory = left(usize::MAX, 0);
        assert_eq!(left(0, 40), in_memory);
        let users = |told: &String| told.matches("euuser").count();
        assert!(in_memory.last().is_some_and(|last| (1..9).contains(&users(last))), "{in_memory:?}");
    }
}
