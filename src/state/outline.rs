//! What memory keeps of an entity whose knowledge is in the store alone: enough to say who is known least.

use super::entities::{Entities, EntityId};
use super::entity::Entity;
use crate::calendar::Day;
use crate::model::Stage;

/// History days, latest day, largest open sum: in this order. Days of history count most, so that names invented today never
/// push out one that has been there for weeks.
pub(super) type Standing = (u32, Option<Day>, u64);

/// What is known of an entity without its knowledge.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Outline {
    /// Days of the longest history.
    days: u32,
    /// The largest open sum.
    sum: u64,
    /// Event type and days in the window that ends with the newest of them.
    history: Box<[(u8, u32)]>,
    /// Model, time of the latest training, number of bins, as what it is counted.
    instances: Vec<(u16, i64, u32, Stage)>,
}

impl Outline {
    /// Of an entity whose knowledge is in memory.
    pub(super) fn of(entity: &Entity, window_days: u32) -> Outline {
        let known = entity.known();
        let days = |h: &(u8, _)| (h.0, entity.newest_history_days(h.0, window_days));
        Outline {
            days: known.history.iter().map(|h| h.1.iter().count() as u32).max().unwrap_or(0),
            sum: known.sums.iter().map(|s| s.3).max().unwrap_or(0),
            history: known.history.iter().map(days).collect(),
            instances: known
                .instances
                .iter()
                .map(|(model, i)| (*model, i.trained_ms(), i.c() as u32, i.counted))
                .collect(),
        }
    }

    /// As what its instance of a model is counted, if it has one.
    pub(super) fn counted(&self, model: u16) -> Option<Stage> {
        self.instances.iter().find(|i| i.0 == model).map(|i| i.3)
    }

    /// Models of which it has instances, and as what those are counted.
    pub(super) fn models(&self) -> Vec<(u16, Stage)> {
        self.instances.iter().map(|i| (i.0, i.3)).collect()
    }

    /// The instance of a model leaves.
    pub(super) fn forget(&mut self, model: u16) {
        self.instances.retain(|i| i.0 != model);
    }
}

impl Entities {
    /// How well an entity is known; who is known least leaves first when there are too many.
    pub(super) fn standing(&self, id: EntityId, entity: &Entity) -> Standing {
        match self.outlines.get(&id) {
            Some(outline) => (outline.days, entity.latest(), outline.sum),
            None => {
                let known = entity.known();
                let days = known.history.iter().map(|h| h.1.iter().count() as u32).max().unwrap_or(0);
                (days, entity.latest(), known.sums.iter().map(|s| s.3).max().unwrap_or(0))
            }
        }
    }

    /// The same of its instance of a model, if it has one: history days of an event type, the latest training.
    pub(super) fn instance_standing(
        &self,
        id: EntityId,
        entity: &Entity,
        model: u16,
        event: u8,
        window_days: u32,
    ) -> Option<(u32, i64)> {
        match self.outlines.get(&id) {
            Some(outline) => {
                let trained = outline.instances.iter().find(|i| i.0 == model)?.1;
                Some((outline.history.iter().find(|h| h.0 == event).map_or(0, |h| h.1), trained))
            }
            None => Some((entity.newest_history_days(event, window_days), entity.instance(model)?.trained_ms())),
        }
    }

    /// About how many records the store has of an entity.
    pub(super) fn records(&self, id: EntityId) -> usize {
        let bins: usize = match (self.outlines.get(&id), self.get(id)) {
            (Some(outline), _) => outline.instances.iter().map(|i| 1 + i.2 as usize).sum(),
            (None, Some(entity)) => entity.known().instances.iter().map(|i| 1 + i.1.c() as usize).sum(),
            (None, None) => 0,
        };
        1 + bins
    }

    /// The same of its instance of a model.
    pub(super) fn instance_records(&self, id: EntityId, model: u16) -> usize {
        match (self.outlines.get(&id), self.get(id)) {
            (Some(outline), _) => outline.instances.iter().find(|i| i.0 == model).map_or(0, |i| 1 + i.2 as usize),
            (None, Some(entity)) => entity.instance(model).map_or(0, |i| 1 + i.c() as usize),
            (None, None) => 0,
        }
    }
}
