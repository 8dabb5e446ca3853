//! What is counted as it changes, so that nobody has to walk through everybody to know it: how far models are, and how many
//! users had their latest day when.
//!
//! An instance is counted as it was when it was written last, which is what the store has of it. No I/O, no clock.

use crate::alert::EntityKind;
use crate::calendar::Day;
use crate::model::histogram::Instance;
use crate::model::{Maturity, Stage};
use std::collections::BTreeMap;

/// Instances of one model, by stage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Grown {
    /// Instances that have converged.
    pub converged: u64,
    /// Instances that have lost bins to a limit.
    pub saturated: u64,
}

/// The counts.
#[derive(Debug, Default)]
pub struct Census {
    maturity: Vec<Maturity>,
    grown: Vec<Grown>,
    /// Users by their latest day.
    users: BTreeMap<Day, u64>,
}

impl Census {
    /// Nobody yet. A model without an entry never converges.
    pub(super) fn new(maturity: Vec<Maturity>) -> Census {
        Census { grown: vec![Grown::default(); maturity.len()], maturity, users: BTreeMap::new() }
    }

    /// How many instances of a model have come how far.
    pub fn grown(&self, model: u16) -> Grown {
        self.grown.get(usize::from(model)).copied().unwrap_or_default()
    }

    /// How many users' latest day is this one.
    pub fn users_of(&self, day: Day) -> u64 {
        self.users.get(&day).copied().unwrap_or(0)
    }

    /// Counts an instance as it is now, and no longer as it was counted before.
    pub(super) fn count(&mut self, model: u16, instance: &mut Instance) {
        let Some(maturity) = self.maturity.get(usize::from(model)) else { return };
        let now = maturity.stage_of(instance);
        let before = std::mem::replace(&mut instance.counted, now);
        if before != now {
            self.leave(model, before);
            if let Some(grown) = self.grown.get_mut(usize::from(model)) {
                grown.converged += u64::from(now.is_converged());
                grown.saturated += u64::from(now.is_saturated());
            }
        }
    }

    /// An instance that was counted so has left.
    pub(super) fn leave(&mut self, model: u16, counted: Stage) {
        if let Some(grown) = self.grown.get_mut(usize::from(model)) {
            grown.converged = grown.converged.saturating_sub(u64::from(counted.is_converged()));
            grown.saturated = grown.saturated.saturating_sub(u64::from(counted.is_saturated()));
        }
    }

    /// The latest day of an entity has moved, or it has come or left.
    pub(super) fn moved(&mut self, kind: EntityKind, from: Option<Day>, to: Option<Day>) {
        if kind != EntityKind::User {
            return;
        }
        if let Some(from) = from
            && let Some(users) = self.users.get_mut(&from)
        {
            *users -= 1;
            if *users == 0 {
                self.users.remove(&from);
            }
        }
        if let Some(to) = to {
            *self.users.entry(to).or_default() += 1;
        }
    }
}
