//! Finds what both sides alert about, and counts.
//!
//! Two alerts are about the same when rule, entity, value and sequence are: their ids differ where a rule got a new revision,
//! which is no difference that an analyst would see. What has found its counterpart is counted and let go.

use crate::alert::{Alert, AlertKind, EntityKind};
use crate::calendar::{Zone, format_day, format_instant};
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};

/// One of the two sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Which {
    /// The first.
    A,
    /// The second.
    B,
}

/// Most alerts that are kept whole, to be explained.
const MAX_WHOLE: usize = 50_000;

/// What an alert is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Subject {
    /// Id of the rule.
    pub rule: String,
    /// Kind of the entity.
    pub entity_kind: EntityKind,
    /// Key of the entity.
    pub entity: String,
    /// What the rule is "per".
    pub value: Option<String>,
    /// The sequence day or month.
    pub sequence: String,
}

/// Something that only one side alerts about, or both with another score.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Time of the event, RFC 3339.
    pub time: String,
    /// What it is about.
    #[serde(flatten)]
    pub subject: Subject,
    /// Score of the first side; absent when it does not alert.
    pub score_a: Option<u32>,
    /// Score of the second side.
    pub score_b: Option<u32>,
    /// File and line of the event.
    pub origin: Option<String>,
    /// What made the difference, where that was asked for.
    pub why: Option<String>,
}

/// How much the sides have in common in one rule, day or entity.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counted {
    /// The rule, day or entity.
    pub name: String,
    /// Alerts of the first side.
    pub a: u64,
    /// Alerts of the second side.
    pub b: u64,
    /// Those of the first side alone.
    pub only_a: u64,
    /// Those of the second side alone.
    pub only_b: u64,
    /// Those of both with another score.
    pub changed: u64,
}

impl Counted {
    fn differences(&self) -> u64 {
        self.only_a + self.only_b + self.changed
    }

    fn count(&mut self, scores: [Option<u32>; 2]) {
        let [a, b] = scores;
        self.a += u64::from(a.is_some());
        self.b += u64::from(b.is_some());
        match scores {
            [Some(_), None] => self.only_a += 1,
            [None, Some(_)] => self.only_b += 1,
            [a, b] => self.changed += u64::from(a != b),
        }
    }
}

/// An alert without its counterpart.
#[derive(Debug)]
struct Open {
    time_ms: i64,
    score: u32,
    origin: Option<String>,
    whole: Option<Box<Alert>>,
}

/// Alerts of both sides as they come.
#[derive(Debug, Default)]
pub(super) struct Pairing {
    zone: Option<Zone>,
    explain: bool,
    whole: usize,
    open: [HashMap<Subject, Open>; 2],
    counts: Counts,
    same: u64,
    changed: Vec<(i64, Difference)>,
}

/// By what is counted.
#[derive(Debug, Default)]
struct Counts {
    alerts: Counted,
    rules: BTreeMap<String, Counted>,
    days: BTreeMap<String, Counted>,
    entities: BTreeMap<String, Counted>,
}

/// All that was found.
pub(super) struct Paired {
    pub alerts: Counted,
    pub same: u64,
    pub rules: Vec<Counted>,
    pub days: Vec<Counted>,
    pub entities: Vec<Counted>,
    pub differences: Vec<Difference>,
}

impl Pairing {
    /// Days are those of `zone`. With `explain`, what differs can be explained at the end.
    pub(super) fn new(zone: Zone, explain: bool) -> Pairing {
        Pairing { zone: Some(zone), explain, ..Pairing::default() }
    }

    /// Takes an alert of a side. Reports of the agent on itself and summaries are none that a rule makes.
    pub(super) fn add(&mut self, which: Which, alert: &Alert) {
        if alert.kind != AlertKind::Detection {
            return;
        }
        let subject = Subject {
            rule: alert.rule.id.clone(),
            entity_kind: alert.entity_kind,
            entity: alert.entity.clone(),
            value: alert.value.clone(),
            sequence: alert.sequence.clone(),
        };
        let [a, b] = &mut self.open;
        let (own, others) = if which == Which::A { (a, b) } else { (b, a) };
        let Some(other) = others.remove(&subject) else {
            let may_keep = self.explain && self.whole < MAX_WHOLE;
            self.whole += usize::from(may_keep);
            let whole = may_keep.then(|| Box::new(alert.clone()));
            own.insert(subject, Open { time_ms: alert.time_ms, score: alert.score, origin: origin(alert), whole });
            return;
        };
        self.whole -= usize::from(other.whole.is_some());
        let scores = match which {
            Which::A => [Some(alert.score), Some(other.score)],
            Which::B => [Some(other.score), Some(alert.score)],
        };
        self.count(&subject, alert.time_ms.min(other.time_ms), scores);
        if alert.score == other.score {
            self.same += 1;
            return;
        }
        let why = self.explain.then(|| "the rule has another score there".to_owned());
        self.changed.push((alert.time_ms, difference(subject, alert.time_ms, scores, origin(alert), why)));
    }

    fn count(&mut self, subject: &Subject, time_ms: i64, scores: [Option<u32>; 2]) {
        let day = self.zone.as_ref().map(|zone| format_day(zone.day_of(time_ms))).unwrap_or_default();
        let entity = format!("{} {}", subject.entity_kind.name(), subject.entity);
        let Counts { alerts, rules, days, entities } = &mut self.counts;
        alerts.count(scores);
        for (names, name) in [(rules, subject.rule.clone()), (days, day), (entities, entity)] {
            names.entry(name).or_default().count(scores);
        }
    }

    /// What is left stands alone. `why` is asked about each alert that was kept whole, with its side.
    pub(super) fn finish(mut self, why: impl Fn(&Alert, Which) -> String) -> Paired {
        let mut found = std::mem::take(&mut self.changed);
        for (which, open) in [Which::A, Which::B].into_iter().zip(std::mem::take(&mut self.open)) {
            for (subject, open) in open {
                let scores = if which == Which::A { [Some(open.score), None] } else { [None, Some(open.score)] };
                self.count(&subject, open.time_ms, scores);
                let why = open.whole.map(|alert| why(&alert, which));
                found.push((open.time_ms, difference(subject, open.time_ms, scores, open.origin, why)));
            }
        }
        found.sort_by(|(at, x), (other, y)| (at, &x.subject, x.score_a).cmp(&(other, &y.subject, y.score_a)));
        let Counts { alerts, rules, days, entities } = self.counts;
        let named = |counts: BTreeMap<String, Counted>| -> Vec<Counted> {
            counts.into_iter().map(|(name, counted)| Counted { name, ..counted }).collect()
        };
        let mut entities = named(entities);
        entities.sort_by(|x, y| y.differences().cmp(&x.differences()).then_with(|| x.name.cmp(&y.name)));
        Paired {
            alerts,
            same: self.same,
            rules: named(rules),
            days: named(days),
            entities,
            differences: found.into_iter().map(|(_, difference)| difference).collect(),
        }
    }
}

fn difference(
    subject: Subject,
    time_ms: i64,
    [score_a, score_b]: [Option<u32>; 2],
    origin: Option<String>,
    why: Option<String>,
) -> Difference {
    Difference { time: format_instant(time_ms), subject, score_a, score_b, origin, why }
}

fn origin(alert: &Alert) -> Option<String> {
    alert.origin.as_ref().map(|o| format!("{}:{}", o.file, o.line))
}
