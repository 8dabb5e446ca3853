//! What is common: a second model is asked how often it has counted a value lately, or the rule's own alerts are, and the alert
//! is grouped with others or has another score.
//!
//! Asked before the event trains anything, as all models are. Own alerts are known by their guards. A group is kept as a guard of its first day and a count of what was
//! held back, of the agent as entity: so it is durable, bounded and in the dump as those are.

use super::verdict::{feature_of, window_start};
use super::{Detector, Subject, kind_of};
use crate::alert::{EntityKind, Evidence};
use crate::batch::Hit;
use crate::calendar::{Day, format_day};
use crate::content::Content;
use crate::model::Scope;
use crate::rule::{Common, Counted, Prevalence, Rule};
use crate::state::key::{Guard, GuardKey};

/// A value that is common.
#[derive(Default)]
pub(super) struct Weighed {
    /// Its alerts make groups, with the days for which one lasts, and why.
    group: Option<(u32, String)>,
    /// Its alerts have this score, and why.
    score: Option<(u32, String)>,
}

/// For how many days after its first a group of a rule's alerts is open.
pub(super) fn group_days(content: &Content, rule: &str) -> u32 {
    let clauses = content.rules.iter().find(|r| r.id == rule).map_or(&[][..], |r| &r.prevalence);
    clauses.iter().find(|clause| clause.then == Common::Group).map_or(0, |clause| clause.within_days)
}

impl Detector {
    /// Whether the value of a hit is common, as its rule's clauses mean it: of those that make groups and of those that give
    /// a score, the first that finds it so.
    pub(super) fn common(&mut self, s: &Subject<'_>, rule: &Rule, hit: &Hit, guard: &GuardKey) -> Weighed {
        let mut weighed = Weighed::default();
        for clause in &rule.prevalence {
            match clause.then {
                Common::Group if weighed.group.is_none() => {
                    let why = self.is_common(clause, s, rule, hit, guard);
                    weighed.group = why.map(|why| (clause.within_days, why));
                }
                Common::Score(score) if weighed.score.is_none() => {
                    let why = self.is_common(clause, s, rule, hit, guard);
                    weighed.score = why.map(|why| (score, why));
                }
                _ => {}
            }
        }
        weighed
    }

    /// Why the value is common, if it is.
    fn is_common(
        &mut self,
        clause: &Prevalence,
        s: &Subject<'_>,
        rule: &Rule,
        hit: &Hit,
        guard: &GuardKey,
    ) -> Option<String> {
        let from = window_start(s.event.day, clause.within_days);
        let (count, what) = match clause.counted {
            Counted::ByModel(model) => self.counted_by(model, s, rule, hit, from)?,
            Counted::OwnAlerts if s.stale(rule.entity) => return None,
            Counted::OwnAlerts => {
                let days = self.state.guards.count_days(guard.as_guard(), from..s.event.day);
                (days, "days on which this rule fired about the same".to_owned())
            }
        };
        let Prevalence { at_least, within_days, .. } = clause;
        (count >= *at_least).then(|| {
            format!("common: {what} since {}: {count} (common from {at_least} in {within_days} days)", format_day(from))
        })
    }

    /// How often a model has counted the value since a day, and how that is called.
    fn counted_by(&mut self, model: u16, s: &Subject<'_>, rule: &Rule, hit: &Hit, from: Day) -> Option<(u64, String)> {
        let spec = s.content.models.get(usize::from(model))?;
        if s.stale(kind_of(spec.scope)) {
            return None;
        }
        let scope = self.scope_entity(s, spec)?;
        let span = feature_of(s, model, spec.feature, rule, hit)?;
        let place = self.place(model, scope, span, s.batch.text().get(span));
        let bin = self.state.entities.get(scope)?.instance(model)?.at(place)?;
        let what = match (spec.new_to, spec.scope) {
            (Some(_), Scope::Org) => "it was new for this many others",
            (Some(_), Scope::PeerGroup) => "it was new for this many others of the peer group",
            _ => "it was counted so often",
        };
        Some((bin.count_between(from, s.event.day), format!("{what} ({})", spec.id)))
    }

    /// Notes what is common in the evidence. The alert's score; `None` when it belongs to a group that has been told.
    pub(super) fn weigh(
        &mut self,
        rule: &Rule,
        guard: &GuardKey,
        weighed: Weighed,
        evidence: &mut Evidence,
    ) -> Option<u32> {
        if let Some((days, why)) = weighed.group {
            evidence.notes.push(why);
            let group = |day| Guard { day, rule: &rule.id, kind: EntityKind::Agent, entity: &guard.value, value: b"" };
            let guards = &mut self.state.guards;
            let open = (window_start(guard.day, days)..=guard.day).rev().find(|day| !guards.is_fresh(group(*day)));
            if let Some(day) = open {
                guards.suppress(&group(day).to_key());
                evidence.notes.push(format!("held back: grouped with the first of {}", format_day(day)));
                return None;
            }
            guards.set(group(guard.day));
            evidence.notes.push(format!("the first of a group: more within {days} days are held back and counted"));
        }
        let Some((score, why)) = weighed.score else { return Some(rule.score) };
        evidence.notes.push(why);
        evidence.notes.push(format!("score {score} instead of {}", rule.score));
        Some(score)
    }
}
