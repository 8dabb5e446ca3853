//! What a batch will ask of the models, brought near before any of its events is judged.
//!
//! What was learned about a user lies four looks into memory deep, each of which waits for the one before. Here every look is
//! taken for all events in turn: those of different events do not wait for each other, and judging finds everything in the
//! cache. Changes nothing and decides nothing.

use super::{Detector, slice};
use crate::batch::EventBatch;
use crate::event::Span;
use crate::model::Scope;
use crate::state::entities::EntityId;
use std::hint::black_box;

/// A value of which the instance of a model will be asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Question {
    entity: EntityId,
    model: u16,
    value: Span,
}

impl Detector {
    /// Looks at what the trainings of a batch are about; `find_entities` has been called.
    pub(super) fn warm(&mut self, batch: &EventBatch) {
        let content = &self.content;
        let mut questions = std::mem::take(&mut self.questions);
        questions.clear();
        for (event, found) in batch.events.iter().zip(&self.found) {
            for training in slice(&batch.trainings, event.trainings) {
                let entity = match content.models.get(usize::from(training.model)).map(|m| m.scope) {
                    Some(Scope::User) => found.user,
                    Some(Scope::Host) => found.host,
                    // One instance for many: it is near already.
                    Some(Scope::PeerGroup | Scope::Org) | None => None,
                };
                let question = |entity| Question { entity, model: training.model, value: training.value };
                questions.extend(entity.map(question));
            }
        }
        let entities = &self.state.entities;
        let instance = |q: &Question| entities.get(q.entity).and_then(|e| e.near_instance(q.model));
        let mut seen = 0;
        for q in &questions {
            seen ^= entities.get(q.entity).map_or(0, |e| e.touch());
        }
        for q in &questions {
            seen ^= instance(q).map_or(0, |i| i.c());
        }
        for q in &questions {
            seen ^= instance(q).map_or(0, |i| i.touch_bins());
        }
        for q in &questions {
            seen ^= instance(q).map_or(0, |i| i.touch_values(q.value.len()));
        }
        black_box(seen);
        self.questions = questions;
    }
}
