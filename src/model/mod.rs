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

/// How much a histogram of `n` trainings in `c` bins can be trusted: `((n − c) / n)^alpha`, 0 without a training.
///
/// It decides whether a rule may speak, so it must be the same wherever it is computed. The C library's power is not: it has been
/// rewritten between versions, and chooses by the processor.
pub fn confidence(n: u64, c: u64, alpha: f64) -> f64 {
    if n == 0 { 0.0 } else { libm::pow(n.saturating_sub(c) as f64 / n as f64, alpha) }
}

/// A model, checked and compiled.
#[derive(Debug)]
pub struct ModelSpec {
    /// Id, as the seed spells it.
    pub id: String,
    /// Name, as the seed spells it.
    pub name: String,
    /// Goes up when what it learns changes: it then learns anew.
    pub revision: u32,
    /// Digest of what it learns, and from which events: kept with what was learned.
    pub definition: String,
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
    /// Index of another model: only values that it has not counted, for the event's scope, train this one. So a model of the
    /// organisation counts for how many users a value was new.
    pub new_to: Option<u16>,
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

/// From when on the instances of a model have converged.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Maturity {
    /// Exponent of the confidence factor.
    pub alpha: f64,
    /// N from which it may converge.
    pub cut_off: u64,
    /// Confidence from which it has converged.
    pub min_confidence: f64,
}

/// How far an instance is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stage(u8);

impl Maturity {
    /// How far an instance is.
    pub fn stage_of(&self, instance: &histogram::Instance) -> Stage {
        let converged = instance.n() >= self.cut_off && instance.confidence(self.alpha) >= self.min_confidence;
        Stage(u8::from(converged) | u8::from(instance.saturated()) << 1)
    }
}

impl Stage {
    /// Whether it has converged.
    pub fn is_converged(self) -> bool {
        self.0 & 1 != 0
    }

    /// Whether it has lost bins to a limit.
    pub fn is_saturated(self) -> bool {
        self.0 & 2 != 0
    }
}

pub mod days;
pub mod histogram;
mod index;
mod oldest;
pub mod rank;

#[cfg(test)]
mod tests;
