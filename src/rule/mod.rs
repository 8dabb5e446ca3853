//! Rules: stateless conditions, what a model or sum must say, and how often a rule may fire.
//!
//! A rule is data. This folder judges conditions over the fields of one event; it holds no state, does no I/O, reads no
//! clock and names no vendor. What needs state (`Verdict`) is decided by `detect`.

mod anchor;
pub mod command_line;
pub mod condition;
pub mod exception;
mod explain;
pub mod glob;
mod literals;
pub mod network;
pub mod operator;
mod required;
pub mod scratch;
pub mod screen;
mod settle;
mod sieve;
pub mod source;
pub mod text;
pub mod tools;

pub use scratch::Scratch;
pub use screen::{Judge, Screen};

use crate::event::{EventType, Field, FieldSet};

/// Whose sequence a rule scores.
pub use crate::alert::EntityKind;

/// How long a rule that fired stays silent for the same entity and value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Period {
    /// Until the next calendar day of the events.
    Day,
    /// Until the next calendar month.
    Month,
}

/// What must hold besides the condition.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// Nothing: the condition alone.
    Always,
    /// The model has never counted the value, and knows enough to say so.
    First {
        /// Index of the model.
        model: u16,
    },
    /// The model has converged and the value is among its rarest.
    Abnormal {
        /// Index of the model.
        model: u16,
        /// Share of N that the rarest bins may make up.
        percentile: f64,
    },
    /// The model has converged and the value is among its most frequent.
    Top {
        /// Index of the model.
        model: u16,
        /// Days that count, ending with the latest trained day.
        rank_days: u32,
        /// Share of the bins that is the top.
        top_share: f64,
        /// Bins that there must be.
        min_bins: u64,
        /// Count that the value must have.
        min_count: u64,
        /// How many times the median bin the count must be.
        min_median_ratio: f64,
    },
    /// The day's sum of a field reaches a limit.
    Sum {
        /// The field to add up.
        amount: Field,
        /// The limit.
        reaches: u64,
        /// What the entity must have no history of, if anything.
        without_history: Option<NoHistory>,
    },
}

impl Verdict {
    /// What a model says when it holds; empty where no model is asked.
    pub fn name(&self) -> &'static str {
        match self {
            Verdict::First { .. } => "first",
            Verdict::Abnormal { .. } => "abnormal",
            Verdict::Top { .. } => "top",
            Verdict::Always | Verdict::Sum { .. } => "",
        }
    }
}

/// "With no earlier day of …".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoHistory {
    /// The event type whose days count.
    pub event: EventType,
    /// Whether the days count per value of the rule's `per` field (`history = "user_domain"`) instead of for the entity.
    pub per_value: bool,
    /// Earlier days with such events that the agent itself must have seen.
    pub agent_days: u32,
}

/// What becomes of alerts about a value that is common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Common {
    /// The next is raised and says so; those that follow within the days of the clause are held back, counted, and told in a
    /// summary.
    Group,
    /// They have this score.
    Score(u32),
}

/// What is counted to know what is common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// What a second model, by its index, has counted of the value.
    ByModel(u16),
    /// The days, or months, for which the rule has fired about the same user or host and value.
    OwnAlerts,
}

/// When a value is common, and what then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prevalence {
    /// What is counted.
    pub counted: Counted,
    /// A count from which the value is common.
    pub at_least: u64,
    /// Days that count, the event's own included.
    pub within_days: u32,
    /// What becomes of the alert.
    pub then: Common,
}

/// A rule, checked and compiled.
#[derive(Debug)]
pub struct Rule {
    /// Id, as the seed spells it.
    pub id: String,
    /// Name, as the seed spells it.
    pub name: String,
    /// Goes up when the rule's meaning changes; part of alert ids.
    pub revision: u32,
    /// Why the rule exists, one paragraph.
    pub why: String,
    /// What an analyst looks at next.
    pub triage: Vec<String>,
    /// Known false positives.
    pub false_positives: Vec<String>,
    /// What it is known not to find.
    pub blind_spots: Vec<String>,
    /// ATT&CK technique ids.
    pub attack: Vec<String>,
    /// Score.
    pub score: u32,
    /// Event types it is declared for.
    pub events: Vec<EventType>,
    /// Whose sequence it scores.
    pub entity: EntityKind,
    /// What it is "per", besides the entity and the period.
    pub per: Option<Field>,
    /// How long it stays silent.
    pub period: Period,
    /// The stateless condition.
    pub condition: condition::Condition,
    /// What state must say.
    pub verdict: Verdict,
    /// What becomes of alerts about what is common: one at most makes groups, and the first that applies gives a score.
    pub prevalence: Vec<Prevalence>,
    /// Fields without which it can never fire on events of its types (inert when none ever carried one of them). Each inner set is "one of".
    pub needs: Vec<FieldSet>,
    /// Authors of what it re-expresses.
    pub author: Vec<String>,
    /// Links.
    pub references: Vec<String>,
    /// Licence of what it re-expresses.
    pub license: Option<String>,
    /// The content file it came from.
    pub file: String,
    /// Switched off in the config or in its file.
    pub enabled: bool,
    /// What is so because it comes from a Sigma rule.
    pub sigma: Option<FromSigma>,
}

/// Facts of a rule that comes from a Sigma rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FromSigma {
    /// Its level.
    pub level: String,
    /// Its status.
    pub status: Option<String>,
    /// Why it can never fire, whatever records carry.
    pub never: Option<String>,
    /// What of it cannot be asked here, one sentence each.
    pub limits: Vec<String>,
}

impl Rule {
    /// Why it can never fire: a field that it needs has been carried by no event of its types. `carried` has the fields
    /// that some event carried, by event type.
    pub fn inert(&self, carried: &[FieldSet]) -> Option<String> {
        if let Some(never) = self.never() {
            return Some(never.to_owned());
        }
        let of = |t: &EventType| carried.get(t.index()).copied().unwrap_or_default();
        let seen = self.types().map(|t| of(&t)).fold(FieldSet::default(), FieldSet::union);
        if seen == FieldSet::default() {
            let types: Vec<&str> = self.events.iter().map(|e| e.name()).collect();
            return Some(format!("no {} event has been read", types.join(" or ")));
        }
        let missing: Vec<String> = self
            .needs
            .iter()
            .filter(|one_of| one_of.0 & seen.0 == 0)
            .map(|one_of| one_of.iter().map(|f| f.name()).collect::<Vec<_>>().join(" or "))
            .collect();
        (!missing.is_empty()).then(|| format!("no event has carried {}", missing.join(" and ")))
    }

    /// Why it can never fire, whatever records carry.
    pub fn never(&self) -> Option<&str> {
        self.sigma.as_ref().and_then(|s| s.never.as_deref())
    }

    /// Whether it judges events.
    pub fn judges(&self) -> bool {
        self.enabled && self.never().is_none()
    }

    /// Whose sequence it scores of an event that names these: a public rule, which does not say whose, falls back to the host
    /// of an event without a user.
    pub fn scores(&self, has_user: bool) -> EntityKind {
        if self.sigma.is_some() && !has_user { EntityKind::Host } else { self.entity }
    }

    /// Whether it fires for every user and service (a registrable domain) that meet.
    pub fn is_by_service(&self) -> bool {
        self.per == Some(Field::TopDomain) && self.verdict == Verdict::Always && self.entity == EntityKind::User
    }

    /// The event types that it judges: those it is declared for, and what is one of them.
    pub fn types(&self) -> impl Iterator<Item = EventType> + '_ {
        EventType::ALL.iter().copied().filter(|t| self.events.iter().any(|declared| t.is_a(*declared)))
    }
}
