//! An alert: what fired, for whom, why, and where the event came from.
//!
//! Ids are deterministic: no wall clock, no randomness, no origin goes into them, so a receiver can drop repeats.

mod fields;
mod json;

pub use fields::Fields;
pub(crate) use json::Reasons;
#[cfg(test)]
pub(crate) use json::any_alert;

use crate::calendar::Day;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What kind of entity an alert, a sequence or a history belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EntityKind {
    /// An account.
    User,
    /// A computer.
    Host,
    /// A peer group of accounts.
    Group,
    /// The agent itself: the whole organisation it sees.
    Agent,
}

impl EntityKind {
    /// The spelling in alerts.
    pub const fn name(self) -> &'static str {
        match self {
            EntityKind::User => "user",
            EntityKind::Host => "host",
            EntityKind::Group => "group",
            EntityKind::Agent => "agent",
        }
    }
}

/// What the agent reports on itself.
pub const MATTERS: &[&str] = &[
    "clock-differs",
    "limit-reached",
    "model-relearns",
    "rule-inert",
    "sink-failing",
    "spool-silent",
    "state-lost",
    "state-recovered",
    "witness-renewed",
];

/// Whether an alert reports what someone did or how the agent is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AlertKind {
    /// A rule fired.
    Detection,
    /// The agent reports on itself.
    Operational,
    /// So many alerts of a rule and entity were held back.
    Summary,
}

impl AlertKind {
    /// The spelling in alerts.
    pub const fn name(self) -> &'static str {
        match self {
            AlertKind::Detection => "detection",
            AlertKind::Operational => "operational",
            AlertKind::Summary => "summary",
        }
    }
}

/// The four bands of a score.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Score below 10.
    Low,
    /// 10 to 19.
    Medium,
    /// 20 to 39.
    High,
    /// 40 and more.
    Critical,
}

impl Severity {
    /// The band of a score.
    pub const fn of(score: u32) -> Severity {
        match score {
            0..10 => Severity::Low,
            10..20 => Severity::Medium,
            20..40 => Severity::High,
            _ => Severity::Critical,
        }
    }
    /// The severity field of a CEF header, 0 to 10.
    pub const fn cef(self) -> u8 {
        match self {
            Severity::Low => 3,
            Severity::Medium => 5,
            Severity::High => 8,
            Severity::Critical => 10,
        }
    }
    /// The spelling in alerts.
    pub const fn name(self) -> &'static str {
        match self {
            Severity::Low => "low",
            Severity::Medium => "medium",
            Severity::High => "high",
            Severity::Critical => "critical",
        }
    }
}

/// The rule that fired, as far as a receiver needs it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AlertRule {
    /// Id of the rule.
    pub id: String,
    /// Name of the rule.
    pub name: String,
    /// Revision of the rule file.
    pub revision: u32,
    /// ATT&CK technique ids.
    pub attack: Vec<String>,
    /// Authors of what the rule re-expresses.
    pub author: Vec<String>,
    /// Links.
    pub references: Vec<String>,
    /// Licence of what the rule re-expresses.
    pub license: Option<String>,
}

/// A condition that held: the field, how it was compared and with what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Matched {
    /// The field or command-line operator.
    pub field: String,
    /// The value found in the event (capped at 1,024 characters).
    pub value: String,
    /// The test in words: `equals certutil`.
    pub test: String,
}

/// One bin of a model as it was before the event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BinView {
    /// The feature's value.
    pub value: String,
    /// How often it was counted in the window.
    pub count: u64,
}

/// The model as it was before the event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelEvidence {
    /// Id of the model.
    pub id: String,
    /// The scope's value: a user key, a peer group, or `*` for the organisation.
    pub scope: String,
    /// The feature's value that was judged.
    pub value: String,
    /// What the model said: `first`, `abnormal` or `top`.
    pub verdict: String,
    /// Sum of all counts.
    pub n: u64,
    /// Number of bins.
    pub c: u64,
    /// Confidence factor, 0 to 1.
    pub confidence: f64,
    /// Whether the model had converged.
    pub converged: bool,
    /// Count of the judged value.
    pub count: u64,
    /// Rank by count (top rules).
    pub rank: Option<u64>,
    /// The threshold of the verdict: T of `abnormal`, the lowest rank of `top`.
    pub threshold: Option<u64>,
    /// The median bin (top rules).
    pub median: Option<f64>,
    /// History days of the scope before the event's day.
    pub history_days: u32,
    /// The 20 largest bins.
    pub top_bins: Vec<BinView>,
}

/// A sum that reached its limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SumEvidence {
    /// The field that was added up.
    pub field: String,
    /// The sum, with this event.
    pub total: u64,
    /// The limit.
    pub reaches: u64,
    /// History days of the entity (rules that ask for none).
    pub history_days: Option<u32>,
}

/// Why the rule fired.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// The conditions that held.
    pub matched: Vec<Matched>,
    /// The model, for model rules.
    pub model: Option<ModelEvidence>,
    /// The sum, for sum rules.
    pub sum: Option<SumEvidence>,
    /// Anything else worth saying, as sentences.
    pub notes: Vec<String>,
}

/// Where the event came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The file.
    pub file: String,
    /// Offset of the record in the uncompressed file.
    pub offset: u64,
    /// 1-based line number, counted over restarts.
    pub line: u64,
}

/// An alert, as it is stored in the outbox and rendered by the sinks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// 32 hexadecimal digits.
    pub id: String,
    /// Event time, ms since the epoch.
    pub time_ms: i64,
    /// When the agent judged it, ms since the epoch (the event's time in `replay`).
    pub detected_ms: i64,
    /// Kind.
    pub kind: AlertKind,
    /// The rule; all its alerts share it.
    pub rule: Arc<AlertRule>,
    /// Score of the rule.
    pub score: u32,
    /// Kind of the entity.
    pub entity_kind: EntityKind,
    /// Key of the entity.
    pub entity: String,
    /// What the rule is "per".
    pub value: Option<String>,
    /// The sequence day or month: `2026-03-01` or `2026-03`. Of operational alerts: `once` or empty.
    pub sequence: String,
    /// Peer group of the user, if any.
    pub peer_group: Option<String>,
    /// Type of the event; empty for operational alerts.
    pub event_type: String,
    /// Fields of the event, in declaration order (values capped at 4,096 bytes).
    pub fields: Fields,
    /// Why.
    pub evidence: Evidence,
    /// Where from; `None` for operational alerts.
    pub origin: Option<Origin>,
    /// Held back by flood suppression: kept for `agentctl`, not delivered.
    pub suppressed: bool,
}

impl Alert {
    /// Whether two records are the same alert.
    pub fn same_id(&self, other: &Alert) -> bool {
        self.id == other.id
    }

    /// An alert about the agent itself. Its id is over what is the matter, with what, and the collector's hour.
    pub fn operational(matter: &str, subject: &str, sentence: String, now_ms: i64) -> Alert {
        let hour = Sequence::Hour(now_ms.div_euclid(3_600_000));
        Alert::report(matter, subject, sentence, now_ms, hour)
    }

    /// A report of the agent on itself that is made once in the life of a state, whatever the hour.
    pub fn operational_once(matter: &str, subject: &str, sentence: String, now_ms: i64) -> Alert {
        Alert::report(matter, subject, sentence, now_ms, Sequence::Once)
    }

    fn report(matter: &str, subject: &str, sentence: String, now_ms: i64, sequence: Sequence) -> Alert {
        Alert {
            id: alert_id(matter, 1, EntityKind::Agent, subject, "", sequence),
            time_ms: now_ms,
            detected_ms: now_ms,
            kind: AlertKind::Operational,
            rule: Arc::new(AlertRule {
                id: matter.into(),
                name: "The agent reports on itself".into(),
                revision: 1,
                attack: Vec::new(),
                author: Vec::new(),
                references: Vec::new(),
                license: None,
            }),
            score: OPERATIONAL_SCORE,
            entity_kind: EntityKind::Agent,
            entity: String::new(),
            value: Some(subject.into()),
            sequence: if matches!(sequence, Sequence::Once) { sequence.label() } else { String::new() },
            peer_group: None,
            event_type: String::new(),
            fields: Fields::default(),
            evidence: Evidence { notes: vec![sentence], ..Evidence::default() },
            origin: None,
            suppressed: false,
        }
    }

    /// Whether it is made once in the life of a state.
    pub fn is_once(&self) -> bool {
        self.kind == AlertKind::Operational && self.sequence == Sequence::Once.label()
    }

    /// About how many bytes of memory it takes.
    pub fn size(&self) -> usize {
        let matched: usize = self.evidence.matched.iter().map(|m| m.value.len() + m.test.len() + 72).sum();
        let bins: usize = self.evidence.model.iter().flat_map(|m| &m.top_bins).map(|b| b.value.len() + 32).sum();
        std::mem::size_of::<Alert>() + self.entity.len() + self.fields.size() + matched + bins
    }

    /// The band of the score.
    pub fn severity(&self) -> Severity {
        Severity::of(self.score)
    }

    /// Whether a sink with this floor wants the alert: what the agent reports on itself always passes.
    pub fn is_worth(&self, min_score: u32) -> bool {
        self.kind == AlertKind::Operational || self.score >= min_score
    }

    /// What happened, in one sentence: the rule, whom it is about, and the strongest piece of evidence. Text from the log
    /// stands in it as it was: whoever prints it escapes it.
    pub fn explanation(&self) -> String {
        use std::fmt::Write;
        let mut text = self.rule.name.trim_end_matches('.').to_owned();
        // Writing to a `String` cannot fail.
        if !self.entity.is_empty() {
            let _ = write!(text, ": {} {}", self.entity_kind.name(), self.entity);
        }
        if let Some(value) = &self.value {
            let _ = write!(text, ", {value}");
        }
        let why = &self.evidence;
        if let Some(m) = &why.model {
            let _ = write!(text, "; {} says {} for {}", m.id, m.verdict, m.value);
            let _ = write!(text, " in {} (counted {} of {}, {} values, ", m.scope, m.count, m.n, m.c);
            let _ = write!(text, "confidence {:.2}, {} history days)", m.confidence, m.history_days);
        } else if let Some(s) = &why.sum {
            let _ = write!(text, "; the sum of {} is {} and reaches {}", s.field, s.total, s.reaches);
        } else if !why.matched.is_empty() {
            let held: Vec<String> = why.matched.iter().take(3).map(|m| format!("{} {}", m.field, m.test)).collect();
            let _ = write!(text, "; {}", held.join(", "));
        } else if let Some(note) = why.notes.first() {
            let _ = write!(text, "; {}", note.trim_end_matches('.'));
        }
        text
    }
}

/// Score of alerts about the agent itself.
const OPERATIONAL_SCORE: u32 = 20;

/// Who reports: goes into every alert.
#[derive(Clone, Debug)]
pub struct AgentIdentity {
    /// Host name of the collector.
    pub host: String,
    /// Version of the agent.
    pub version: String,
}

impl AgentIdentity {
    /// This collector.
    pub fn here() -> AgentIdentity {
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        AgentIdentity { host, version: env!("CARGO_PKG_VERSION").into() }
    }

    /// A replay: the same wherever it runs, so that its output is byte-equal.
    pub fn replay() -> AgentIdentity {
        AgentIdentity { host: "replay".into(), version: env!("CARGO_PKG_VERSION").into() }
    }
}

/// The id of an alert: the first 128 bits of BLAKE3 over the length-prefixed parts, in hexadecimal.
pub fn alert_id(rule: &str, revision: u32, kind: EntityKind, entity: &str, value: &str, sequence: Sequence) -> String {
    let mut hasher = blake3::Hasher::new();
    let mut part = |bytes: &[u8]| {
        hasher.update(&(bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    };
    part(rule.as_bytes());
    part(&revision.to_le_bytes());
    part(kind.name().as_bytes());
    part(entity.as_bytes());
    part(value.as_bytes());
    part(sequence.label().as_bytes());
    hasher.finalize().to_hex().get(..32).unwrap_or_default().to_owned()
}

/// What a guard and an alert id are bounded by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sequence {
    /// A calendar day.
    Day(Day),
    /// The calendar month of a day.
    Month(Day),
    /// An hour of the collector's clock (operational alerts): hours since the epoch.
    Hour(i64),
    /// The life of the state (operational alerts that are made once).
    Once,
}

impl Sequence {
    /// `2026-03-01`, `2026-03`, or `hour 491827`.
    pub fn label(self) -> String {
        match self {
            Sequence::Day(d) => crate::calendar::format_day(d),
            Sequence::Month(d) => crate::calendar::format_month(d),
            Sequence::Hour(h) => format!("hour {h}"),
            Sequence::Once => "once".into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_stable_and_parts_do_not_run_into_each_other() {
        let id = |e: &str, v: &str| alert_id("R", 1, EntityKind::User, e, v, Sequence::Day(20_000));
        assert_eq!(id("ab", "c"), id("ab", "c"));
        assert_ne!(id("ab", "c"), id("a", "bc"));
        assert_eq!(id("a", "b").len(), 32);
    }

    #[test]
    fn severities_follow_the_score() {
        let names: Vec<_> = [2, 10, 20, 40].map(|s| Severity::of(s).name()).to_vec();
        assert_eq!(names, ["low", "medium", "high", "critical"]);
    }
}
