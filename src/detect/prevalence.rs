//! What is common: a second model is asked how often it has counted a value lately, and the alert is grouped with others or
//! has another score.
//!
//! Asked before the event trains anything, as all models are. The group of a day is kept as a guard and a count of what was
//! held back, of the agent as entity: so it is durable, bounded and in the dump as those are.

use super::verdict::{feature_of, window_start};
use super::{Detector, Subject, kind_of};
use crate::alert::{EntityKind, Evidence};
use crate::batch::Hit;
use crate::calendar::format_day;
use crate::model::Scope;
use crate::rule::{Common, Rule};
use crate::state::key::{Guard, GuardKey};

/// A value that is common.
pub(super) struct Weighed {
    then: Common,
    /// Why, as a sentence.
    why: String,
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
        Some(Weighed { then: clause.then, why })
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
                    Guard { day: guard.day, rule: &rule.id, kind: EntityKind::Agent, entity: &guard.value, value: b"" };
                if self.state.guards.is_fresh(group) {
                    let key = group.to_key();
                    self.state.guards.set(key.as_guard());
                    evidence
                        .notes
                        .push("the first of a group: more of this day are held back and told in a summary".into());
                    return Some(rule.score);
                }
                self.state.guards.suppress(&group.to_key());
                evidence.notes.push("held back: grouped with the first of this day".into());
                None
            }
        }
    }
}
