//! Models: histograms of what is normal for a scope, first-seen values and history days.
//!
//! Pure data and arithmetic: no I/O, no clock, no vendor. Days are calendar days of the events ([`crate::calendar::Day`]).

use crate::event::{EventType, Field, FieldSet};
use crate::rule::condition::Condition;

/// Whose habits a model learns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// One instance a user.
    User,
    /// One instance a host.
    Host,
    /// One instance a peer group of users.
    PeerGroup,
    /// One instance for all.
    Org,
}

/// A model, checked and compiled.
#[derive(Debug)]
pub struct ModelSpec {
    /// Id, as the seed spells it.
    pub id: String,
    /// Name, as the seed spells it.
    pub name: String,
    /// Whose habits.
    pub scope: Scope,
    /// The field whose values are counted (`user_key` for "which user").
    pub feature: Field,
    /// Event types it is declared for.
    pub events: Vec<EventType>,
    /// Which events train it.
    pub condition: Condition,
    /// What makes a training unique within a sequence besides model, scope and value; `None` is once per value.
    pub once_per: Option<Field>,
    /// Exponent of the confidence factor.
    pub alpha: f64,
    /// N from which the model may converge.
    pub cut_off: u64,
    /// Fields without which it never trains.
    pub needs: Vec<FieldSet>,
    /// The content file it came from.
    pub file: String,
}

impl ModelSpec {
    /// Whether its sequence is its scope, and a value trains it once a day: then the counts of the day say what has trained it.
    pub fn counts_by_day(&self) -> bool {
        matches!(self.scope, Scope::User | Scope::Host) && self.once_per.is_none()
    }
}

pub mod days;
pub mod histogram;
mod oldest;
pub mod rank;

#[cfg(test)]
mod tests;
