//! What is common: a second model is asked how often it has counted a value lately, and the alert is grouped with others or
//! has another score.
//!
//! Asked before the event trains anything, as all models are. A group is kept as a guard of its first day and a count of what was
//! held back, of the agent as entity: so it is durable, bounded and in the dump as those are.

use super::verdict::{feature_of, window_start};
use super::{Detector, Subject, kind_of};
use crate::alert::{EntityKind, Evidence};
use crate::batch::Hit;
use crate::calendar::format_day;
use crate::content::Content;
use crate::model::Scope;
use crate::rule::{Common, Rule};
use crate::state::key::{Guard, GuardKey};

/// A value that is common.
pub(super) struct Weighed {
    then: Common,
    /// Days for which a group lasts.
    days: u32,
    /// Why, as a sentence.
    why: String,
}

/// For how many days after its first a group of a rule's alerts is open.
pub(super) fn group_days(content: &Content, rule: &str) -> u32 {
    let clause = content.rules.iter().find(|r| r.id == rule).and_then(|r| r.prevalence);
    clause.map_or(0, |clause| clause.within_days)
}

impl Detector {
    /// Whether the value of a hit is common, as its rule's clause means it.
    pub(super) fn common(&mut self, s: &Subject<'_>, rule: &Rule, hit: &Hit) -> Option<Weighed> {
        let clause = rule.prevalence?;
        let spec = s.content.models.get(usize::from(clause.model))?;
        if s.stale(kind_of(spec.scope)) {
            return None;
        }
        let scope = self.scope_entity(s, spec)?;
        let span = feature_of(s, clause.model, spec.feature, rule, hit)?;
        let place = self.place(clause.model, scope, span, s.batch.text().get(span));
        let bin = self.state.entities.get(scope)?.instance(clause.model)?.at(place)?;
        let (from, to) = (window_start(s.event.day, clause.within_days), s.event.day);
        let count = bin.count_between(from, to);
        if count < clause.at_least {
            return None;
        }
        let what = match (spec.new_to, spec.scope) {
            (Some(_), Scope::Org) => "it was new for this many others",
            (Some(_), Scope::PeerGroup) => "it was new for this many others of the peer group",
            _ => "it was counted so often",
        };
        let why = format!(
            "common: {what} since {}: {count} ({}, common from {} in {} days)",
            format_day(from),
            spec.id,
            clause.at_least,
            clause.within_days
        );
        Some(Weighed { then: clause.then, days: clause.within_days, why })
    }

    /// Notes what is common in the evidence. The alert's score; `None` when it belongs to a group that has been told.
    pub(super) fn weigh(
        &mut self,
        rule: &Rule,
        guard: &GuardKey,
        weighed: Weighed,
        evidence: &mut Evidence,
    ) -> Option<u32> {
        evidence.notes.push(weighed.why);
        match weighed.then {
            Common::Score(score) => {
                evidence.notes.push(format!("score {score} instead of {}", rule.score));
                Some(score)
            }
            Common::Group => {
                let group =
                    |day| Guard { day, rule: &rule.id, kind: EntityKind::Agent, entity: &guard.value, value: b"" };
                let days = window_start(guard.day, weighed.days)..=guard.day;
                let guards = &mut self.state.guards;
                if let Some(day) = days.rev().find(|day| !guards.is_fresh(group(*day))) {
                    guards.suppress(&group(day).to_key());
                    evidence.notes.push(format!("held back: grouped with the first of {}", format_day(day)));
                    return None;
                }
                guards.set(group(guard.day));
                let more = format!("the first of a group: more within {} days are held back and counted", weighed.days);
                evidence.notes.push(more);
                Some(rule.score)
            }
        }
    }
}
