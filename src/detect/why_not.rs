//! Why a rule whose condition held did not fire: for whoever listens, which is nobody while the agent runs.

use super::Detector;
use crate::alert::{EntityKind, ModelEvidence};
use std::fmt;

/// Why a hit raised no alert, with the numbers that said so.
#[derive(Clone, Debug, PartialEq)]
pub enum WhyNot {
    /// The event names nobody whom the rule could score.
    Nobody(EntityKind),
    /// The event is late or in the future, and the rule asks state.
    Stale,
    /// The model knows no scope for the event: a user without a peer group.
    NoScope,
    /// The event has no value that the model counts.
    NoValue,
    /// The value has been met in this sequence already; only the first time is judged.
    MetBefore {
        /// Id of the model.
        model: String,
        /// The value.
        value: String,
    },
    /// The model said no.
    Model {
        /// What it knew.
        evidence: Box<ModelEvidence>,
        /// Whether it had lost bins to its limit.
        saturated: bool,
    },
    /// The event adds nothing to the sum.
    NothingToAdd,
    /// The sum says no, or history does.
    Sum {
        /// The sum, with this event.
        total: u64,
        /// What it has to reach.
        reaches: u64,
        /// Earlier days of the entity, and of the agent, where the rule asks for them.
        days: Option<(u32, u32)>,
        /// Earlier days that the agent needs.
        agent_needs: u32,
    },
    /// The rule has fired for this entity and value in this period.
    FiredBefore,
    /// An exception silences it.
    Silenced,
}

impl Detector {
    /// From here on it is kept why hits raise nothing, until [`Self::heard`] asks.
    pub fn listen(&mut self) {
        self.heard = Some(Vec::new());
    }

    /// Why hits raised nothing since [`Self::listen`]: index of the rule, and why.
    pub fn heard(&mut self) -> Vec<(u16, WhyNot)> {
        self.heard.take().unwrap_or_default()
    }

    /// Says why a hit of a rule raises nothing.
    #[inline]
    pub(super) fn say(&mut self, rule: u16, why: impl FnOnce() -> WhyNot) {
        if let Some(heard) = &mut self.heard {
            heard.push((rule, why()));
        }
    }
}

/// A model's numbers in words.
pub fn numbers(model: &ModelEvidence) -> String {
    let mut text = format!(
        "n {}, c {}, confidence {:.3} ({}converged), count {}",
        model.n,
        model.c,
        model.confidence,
        if model.converged { "" } else { "not " },
        model.count
    );
    for (name, number) in [("rank", model.rank), ("threshold", model.threshold)] {
        text.extend(number.map(|n| format!(", {name} {n}")));
    }
    text.extend(model.median.map(|m| format!(", median {m}")));
    text + &format!(", history days {}", model.history_days)
}

impl fmt::Display for WhyNot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WhyNot::Nobody(kind) => write!(f, "the event names no {}", kind.name()),
            WhyNot::Stale => f.write_str("the event is late or in the future, and the rule asks what was learned"),
            WhyNot::NoScope => f.write_str("the model has no scope for the event: the user has no peer group"),
            WhyNot::NoValue => f.write_str("the event lacks the field that the model counts"),
            WhyNot::MetBefore { model, value } => {
                write!(f, "model {model} has met {value:?} in this sequence already, and judges the first time only")
            }
            WhyNot::Model { evidence, saturated } => {
                let lost = if *saturated { ", saturated" } else { "" };
                write!(f, "model {} does not say {}: {}{lost}", evidence.id, evidence.verdict, numbers(evidence))
            }
            WhyNot::NothingToAdd => f.write_str("the event adds nothing to the sum"),
            WhyNot::Sum { total, reaches, days, agent_needs } => {
                write!(f, "the sum is {total} of {reaches}")?;
                match days {
                    Some((own, agent)) => {
                        write!(f, ", history days {own} of 0, days of the agent {agent} of {agent_needs}")
                    }
                    None => Ok(()),
                }
            }
            WhyNot::Silenced => f.write_str("an exception silences it"),
            WhyNot::FiredBefore => f.write_str("it has fired for this entity and value in this period already"),
        }
    }
}
