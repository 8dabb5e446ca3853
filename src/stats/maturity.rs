//! After how many days rules that need to learn could speak, read off the days that a state keeps of bins and histories.
//!
//! Exact for a state that remembers all of its days, as after a replay; where days have left the window it says when a rule
//! could have spoken by what is left. Units: calendar days from the first day of history to the first day with a verdict.

use super::Spread;
use crate::alert::EntityKind;
use crate::calendar::Day;
use crate::config::DetectionSettings;
use crate::content::Content;
use crate::model::histogram::Instance;
use crate::model::{ModelSpec, Scope, confidence};
use crate::rule::{Rule, Verdict};
use crate::state::State;
use crate::state::entity::Entity;
use std::collections::{BTreeMap, BTreeSet};

/// How far those are whom a rule learns about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Maturity {
    /// The rule.
    pub rule: String,
    /// What is learned about: users, hosts, peer groups, the organisation.
    pub about: &'static str,
    /// How many there are of whom something was learned.
    pub known: u64,
    /// Of these, those about whom the rule can speak.
    pub mature: u64,
    /// Days until it could.
    pub days: Spread,
}

/// Of every enabled rule that needs to learn. Whoever is in the store alone is not counted.
pub fn of(state: &State, content: &Content, settings: &DetectionSettings) -> Vec<Maturity> {
    let of_rule = |rule: &Rule| match &rule.verdict {
        Verdict::Always => None,
        Verdict::Sum { without_history, .. } => {
            let none = (*without_history)?;
            let agent = state.entities.iter().map(|(_, e)| e).find(|e| e.kind == EntityKind::Agent && !e.is_away());
            let days = agent.and_then(|a| {
                let history = days_of(a, none.event.index() as u8);
                let mature = history.iter().nth(none.agent_days as usize - usize::from(none.agent_days > 0))?;
                // The day after the last of those that it waits for.
                Some(u64::from(mature.abs_diff(*history.first()?)) + 1)
            });
            Some(summed(rule, "organization", 1, days.into_iter().collect()))
        }
        Verdict::First { model } | Verdict::Abnormal { model, .. } | Verdict::Top { model, .. } => {
            let spec = content.models.get(usize::from(*model))?;
            Some(of_model(state, (rule, *model, spec), settings))
        }
    };
    content.rules.iter().filter(|r| r.enabled).filter_map(of_rule).collect()
}

fn of_model(state: &State, (rule, model, spec): (&Rule, u16, &ModelSpec), settings: &DetectionSettings) -> Maturity {
    let (kind, about) = match spec.scope {
        Scope::User => (EntityKind::User, "users"),
        Scope::Host => (EntityKind::Host, "hosts"),
        Scope::PeerGroup => (EntityKind::Group, "peer groups"),
        Scope::Org => (EntityKind::Agent, "organization"),
    };
    let (mut known, mut days) = (0, Vec::new());
    for (_, entity) in state.entities.iter().filter(|(_, e)| e.kind == kind && !e.is_away()) {
        if let Some(instance) = entity.instance(model) {
            known += 1;
            days.extend(days_until(entity, instance, rule, spec, settings));
        }
    }
    summed(rule, about, known, days)
}

fn summed(rule: &Rule, about: &'static str, known: u64, days: Vec<u64>) -> Maturity {
    let mature = days.len() as u64;
    Maturity { rule: rule.id.clone(), about, known, mature, days: Spread::of(days.into_iter(), 0) }
}

fn days_of(entity: &Entity, event: u8) -> BTreeSet<Day> {
    entity.known().history.iter().filter(|h| h.0 == event).flat_map(|h| h.1.iter()).collect()
}

/// Days from the first of an entity's history to the first on which the rule's verdict could hold.
fn days_until(
    entity: &Entity,
    instance: &Instance,
    rule: &Rule,
    spec: &ModelSpec,
    settings: &DetectionSettings,
) -> Option<u64> {
    let history = days_of(entity, spec.events.first()?.index() as u8);
    // What is counted on which day, and how many values are met first on it.
    let (mut counts, mut firsts): (BTreeMap<Day, u64>, BTreeMap<Day, u64>) = Default::default();
    for bin in instance.bins().filter(|b| b.total > 0) {
        if let Some(first) = bin.days.first() {
            *firsts.entry(first.0).or_default() += 1;
        }
        for (day, count) in bin.days.iter() {
            *counts.entry(*day).or_default() += u64::from(*count);
        }
    }
    let begin = *history.iter().chain(counts.keys()).min()?;
    let end = *history.iter().chain(counts.keys()).max()?;
    let (mut n, mut c, mut seen) = (0u64, 0u64, 0u32);
    // A day is judged by what was known before it.
    for day in begin..=end.saturating_add(1) {
        let confidence = confidence(n, c, spec.alpha);
        let converged = n >= spec.cut_off && confidence >= settings.min_confidence;
        let speaks = match &rule.verdict {
            Verdict::First { .. } if settings.strict => converged,
            Verdict::First { .. } => (converged && seen >= settings.min_history_days) || seen >= settings.maturity_days,
            Verdict::Top { min_bins, .. } => converged && c >= *min_bins,
            _ => converged,
        };
        if speaks {
            return Some(u64::from(day.abs_diff(begin)));
        }
        n += counts.get(&day).copied().unwrap_or_default();
        c += firsts.get(&day).copied().unwrap_or_default();
        seen += u32::from(history.contains(&day));
    }
    None
}
