//! Who must be back in memory before a batch is judged.
//!
//! Most events ask for nothing but a slot: their day was noted before. More may be named here than would be asked for, never
//! fewer.

use super::{Detector, slice};
use crate::alert::EntityKind;
use crate::batch::{BatchEvent, EventBatch};
use crate::rule::{Counted, Prevalence, Verdict};
use crate::state::entities::EntityId;
use crate::state::entity::Entity;

/// Whom the store is asked for.
#[derive(Debug, Default)]
pub struct Absent {
    /// Users and hosts whose knowledge is in the store alone and that some event asks about or adds to, each once.
    pub away: Vec<EntityId>,
    /// Users and hosts that memory does not have, each once: new ones, unless the store has records of them.
    pub unknown: Vec<(EntityKind, Vec<u8>)>,
}

impl Absent {
    /// Whether nobody is absent.
    pub fn is_empty(&self) -> bool {
        self.away.is_empty() && self.unknown.is_empty()
    }
}

impl Detector {
    /// Who has to come into memory for a batch.
    pub fn absent(&self, batch: &EventBatch) -> Absent {
        let entities = &self.state.entities;
        let mut absent = Absent::default();
        let is_some_missing = self.state.is_some_missing();
        if !entities.is_any_away() && !is_some_missing {
            return absent;
        }
        let text = batch.text();
        for event in &batch.events {
            for (kind, key, hash) in
                [(EntityKind::User, event.user, event.user_hash), (EntityKind::Host, event.host, event.host_hash)]
            {
                let key = text.get(key);
                let Some(id) = entities.find(kind, key, hash) else {
                    if is_some_missing && !key.is_empty() {
                        absent.unknown.push((kind, key.to_vec()));
                    }
                    continue;
                };
                if let Some(entity) = entities.get(id)
                    && entity.is_away()
                    && (self.is_new_for(event, entity) || self.asks(batch, event) || self.moves(batch, event, id))
                {
                    absent.away.push(id);
                }
            }
        }
        absent.away.sort_unstable();
        absent.away.dedup();
        absent.unknown.sort_unstable();
        absent.unknown.dedup();
        absent
    }

    /// Whether judging a batch may make somebody leave for good while some are missing: all of them must be there then.
    pub fn needs_everybody(&self, batch: &EventBatch) -> bool {
        let new = batch.events.len() * 2 + batch.trainings.len();
        self.state.is_some_missing()
            && self.state.may_reach(new, self.limits.max_entities.min(self.limits.max_instances))
    }

    /// Whether the event's day or type may have to be noted.
    fn is_new_for(&self, event: &BatchEvent, entity: &Entity) -> bool {
        let is_noted = entity.has_noted(event.day, 1 << event.kind.index());
        entity.latest().is_none_or(|latest| event.day > latest)
            || (!is_noted && self.history.list(entity.kind).iter().any(|t| event.kind.is_a(*t)))
    }

    /// Whether the event trains a model, or meets a rule that asks for more than a guard.
    fn asks(&self, batch: &EventBatch, event: &BatchEvent) -> bool {
        let needs_state = |rule: u16| {
            let rule = self.content.rules.get(rule as usize);
            !rule.is_some_and(|rule| {
                let by_model = |clause: &Prevalence| matches!(clause.counted, Counted::ByModel(_));
                matches!(rule.verdict, Verdict::Always) && !rule.prevalence.iter().any(by_model)
            })
        };
        !slice(&batch.trainings, event.trainings).is_empty()
            || slice(&batch.hits, event.hits).iter().any(|hit| needs_state(hit.rule))
    }

    /// Whether the event may give a user another department.
    fn moves(&self, batch: &EventBatch, event: &BatchEvent, id: EntityId) -> bool {
        let department = batch.text().get(event.department);
        !department.is_empty() && self.state.entities.department(id).is_none_or(|name| name.as_bytes() != department)
    }
}
