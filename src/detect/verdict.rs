//! What state says to a hit: has the model seen the value, is the sum reached, has it fired before?

use super::why_not::WhyNot;
use super::{Detector, Subject, kind_of, once_hash};
use crate::alert::{Alert, BinView, EntityKind, Evidence, ModelEvidence, Sequence, SumEvidence};
use crate::batch::{Hit, Training};
use crate::calendar::{Day, first_of_month};
use crate::event::{Field, Span};
use crate::model::histogram::{Bin, Instance};
use crate::rule::{NoHistory, Period, Rule, Verdict};
use crate::state::entities::EntityId;
use crate::state::entity::Entity;
use crate::state::key::Guard;

impl Detector {
    /// Judges one hit; fires when the verdict holds and the guard is open.
    pub(super) fn hit(&mut self, s: &Subject<'_>, hit: &Hit, raised: &mut Vec<(u64, Alert)>) {
        let Some(rule) = s.content.rules.get(hit.rule as usize) else { return };
        let kind = rule.scores(s.user.is_some());
        let Some(entity) = s.entity(kind) else {
            self.say(hit.rule, || WhyNot::Nobody(kind));
            return;
        };
        let value = s.batch.text().get(hit.value);
        let mut evidence = Evidence::default();
        match &rule.verdict {
            Verdict::Always => {}
            // What needs a model, a sum or history does not judge late or future events.
            _ if s.stale(rule.entity) => {
                self.say(hit.rule, || WhyNot::Stale);
                return;
            }
            Verdict::Sum { amount, reaches, without_history } => {
                match self.add(s, entity, hit, (*amount, *reaches, without_history.as_ref())) {
                    Some(sum) => evidence.sum = Some(sum),
                    None => return,
                }
            }
            Verdict::First { model } | Verdict::Abnormal { model, .. } | Verdict::Top { model, .. } => {
                match self.ask(s, *model, rule, hit) {
                    Some(model) => evidence.model = Some(model),
                    None => return,
                }
            }
        }
        let Some(subject) = self.state.entities.get(entity) else { return };
        let sequence = match rule.period {
            Period::Day => Sequence::Day(s.event.day),
            Period::Month => Sequence::Month(s.event.day),
        };
        let guard = Guard {
            day: match rule.period {
                Period::Day => s.event.day,
                Period::Month => first_of_month(s.event.day),
            },
            rule: &rule.id,
            kind,
            entity: &subject.key,
            value,
        };
        if self.state.guards.is_fresh(guard) {
            let guard = guard.to_key();
            if s.content.exceptions.has(hit.rule) && self.is_silenced(s, hit.rule, &guard) {
                self.say(hit.rule, || WhyNot::Silenced);
                self.age_guards(Day::MIN, s.event, raised);
                return;
            }
            let common = self.common(s, rule, hit, &guard);
            self.fire(s, hit.rule, (guard, sequence), evidence, common, raised);
        } else {
            self.say(hit.rule, || WhyNot::FiredBefore);
        }
    }

    /// Adds to a day's sum. The evidence, when it has reached the rule's limit and history allows.
    fn add(
        &mut self,
        s: &Subject<'_>,
        entity: EntityId,
        hit: &Hit,
        (amount, reaches, without_history): (Field, u64, Option<&NoHistory>),
    ) -> Option<SumEvidence> {
        let day = s.event.day;
        let value = s.batch.text().get(hit.value);
        if hit.amount == 0 {
            // Nothing to add up: the value was met, which is history for later days.
            if let Some(none) = without_history.filter(|n| n.per_value) {
                self.note_value_day(entity, none.event.index() as u8, value, day);
            }
            self.say(hit.rule, || WhyNot::NothingToAdd);
            return None;
        }
        let subject = self.state.entities.change(entity)?;
        let (total, left) = subject.add(hit.rule, day, value, hit.amount, self.limits.max_values);
        if left {
            self.state.agent.limits.max_values += 1;
            self.state.agent_dirty = true;
        }
        let mut history_days = None;
        if let Some(none) = without_history {
            let from = window_start(day, self.settings.window_days);
            let event = none.event.index() as u8;
            let own = if none.per_value {
                self.note_value_day(entity, event, value, day)
            } else {
                subject.history_days(event, from, day)
            };
            let agent = self.state.agent_entity();
            let seen = self.state.entities.get(agent).map_or(0, |a| a.history_days(event, from, day));
            if own > 0 || seen < none.agent_days {
                let (days, agent_needs) = (Some((own, seen)), none.agent_days);
                self.say(hit.rule, || WhyNot::Sum { total, reaches, days, agent_needs });
                return None;
            }
            history_days = Some(own);
        }
        if total < reaches {
            self.say(hit.rule, || WhyNot::Sum { total, reaches, days: None, agent_needs: 0 });
            return None;
        }
        Some(SumEvidence { field: amount.name().into(), total, reaches, history_days })
    }

    /// Notes that a value was met on a day; on how many earlier days of the window it was.
    fn note_value_day(&mut self, entity: EntityId, event: u8, value: &[u8], day: Day) -> u32 {
        let (from, kept_days) = (window_start(day, self.settings.window_days), self.history_days_kept());
        let Some(subject) = self.state.entities.change(entity) else { return 0 };
        let (before, left) = subject.note_value((event, value), (from, day), kept_days, self.limits.max_values);
        if left {
            self.state.agent.limits.max_values += 1;
            self.state.agent_dirty = true;
        }
        before
    }

    /// Asks a model about the feature's value. The evidence, when the verdict holds.
    fn ask(&mut self, s: &Subject<'_>, model: u16, rule: &Rule, hit: &Hit) -> Option<ModelEvidence> {
        let spec = s.content.models.get(model as usize)?;
        if s.stale(kind_of(spec.scope)) {
            self.say(hit.rule, || WhyNot::Stale);
            return None;
        }
        let Some(scope) = self.scope_entity(s, spec) else {
            self.say(hit.rule, || WhyNot::NoScope);
            return None;
        };
        let Some(span) = feature_of(s, model, spec.feature, rule, hit) else {
            self.say(hit.rule, || WhyNot::NoValue);
            return None;
        };
        let value = s.batch.text().get(span);
        let place = self.place(model, scope, span, value);
        let empty = Instance::default();
        let entity = self.state.entities.get(scope)?;
        let instance = entity.instance(model).unwrap_or(&empty);
        let bin = instance.at(place);
        let day = s.event.day;
        let trained_already = if spec.counts_by_day() {
            bin.is_some_and(|b| b.count_on(day) > 0)
        } else {
            self.has_trained(s, model, value)
        };
        if trained_already {
            self.say(hit.rule, || WhyNot::MetBefore { model: spec.id.clone(), value: lossy(value) });
            return None;
        }
        let count = bin.map_or(0, |b| b.total);
        let from = window_start(day, self.settings.window_days);
        let event = spec.events.first().map_or(0, |e| e.index() as u8);
        let history_days = || entity.history_days(event, from, day);
        let converged =
            || instance.n() >= spec.cut_off && instance.confidence(spec.alpha) >= self.settings.min_confidence;
        // Most answers are no: what is quickly known is asked first, and evidence is gathered only for a yes.
        let mut said = Said::default();
        let holds = match &rule.verdict {
            Verdict::First { .. } => {
                count == 0 && !instance.saturated() && self.may_say_first(converged(), history_days())
            }
            Verdict::Abnormal { percentile, .. } => {
                count > 0 && instance.n() >= spec.cut_off && instance.may_be_abnormal(count, *percentile) && {
                    let below = instance.abnormal_below(*percentile);
                    said.threshold = Some(below);
                    count < below && converged()
                }
            }
            Verdict::Top { .. } => converged() && is_top(instance, bin, &rule.verdict, &mut said),
            Verdict::Always | Verdict::Sum { .. } => false,
        };
        if !holds && self.heard.is_none() {
            return None;
        }
        let largest = instance.largest(20);
        let evidence = ModelEvidence {
            id: spec.id.clone(),
            scope: if entity.kind == EntityKind::Agent { "*".into() } else { lossy(&entity.key) },
            value: lossy(value),
            verdict: rule.verdict.name().into(),
            n: instance.n(),
            c: said.bins.unwrap_or(instance.c()),
            confidence: instance.confidence(spec.alpha),
            converged: converged(),
            count: said.count.unwrap_or(count),
            rank: said.rank,
            threshold: said.threshold,
            median: said.median,
            history_days: history_days(),
            top_bins: largest.iter().map(|b| BinView { value: lossy(&b.value), count: b.total }).collect(),
        };
        if holds {
            return Some(evidence);
        }
        let saturated = instance.saturated();
        self.say(hit.rule, || WhyNot::Model { evidence: Box::new(evidence), saturated });
        None
    }

    fn may_say_first(&self, converged: bool, history_days: u32) -> bool {
        if self.settings.strict {
            return converged;
        }
        (converged && history_days >= self.settings.min_history_days) || history_days >= self.settings.maturity_days
    }

    /// Whether the sequence has trained this value already, of a model that notes what trains it.
    fn has_trained(&self, s: &Subject<'_>, model: u16, value: &[u8]) -> bool {
        let owner: Option<&Entity> = s.user.or(s.host).and_then(|id| self.state.entities.get(id));
        let marks = |e: &Entity| {
            let list = e.known().once.iter().find(|o| o.0 == model && o.1 == s.event.day);
            list.is_some_and(|o| o.2.binary_search(&once_hash(value)).is_ok())
        };
        owner.is_some_and(marks)
    }
}

/// The value of the model's feature: the rule's own value where it is the same field, else the training's.
pub(super) fn feature_of(s: &Subject<'_>, model: u16, feature: Field, rule: &Rule, hit: &Hit) -> Option<Span> {
    let of_model = |t: &&Training| t.model == model;
    let span = match feature {
        Field::UserKey => s.event.user,
        Field::HostKey => s.event.host,
        feature if rule.per == Some(feature) => hit.value,
        _ => super::slice(&s.batch.trainings, s.event.trainings).iter().find(of_model)?.value,
    };
    (!span.is_empty()).then_some(span)
}

/// What a model that ranks or compares says besides.
#[derive(Default)]
struct Said {
    /// Of the rank window, instead of the whole one.
    count: Option<u64>,
    bins: Option<u64>,
    rank: Option<u64>,
    threshold: Option<u64>,
    median: Option<f64>,
}

fn is_top(instance: &Instance, bin: Option<&Bin>, verdict: &Verdict, said: &mut Said) -> bool {
    let Verdict::Top { rank_days, top_share, min_bins, min_count, min_median_ratio, .. } = verdict else {
        return false;
    };
    let (Some(rank), Some(latest)) = (instance.rank(), instance.latest()) else { return false };
    let from = latest.saturating_sub_unsigned(rank_days.saturating_sub(1));
    let count = bin.map_or(0, |b| b.count_between(from, latest));
    let (c, median) = (rank.bins(), rank.median());
    let position = rank.rank_of(count);
    let threshold = ((top_share * c as f64).ceil() as u64).max(1);
    *said = Said {
        count: Some(count),
        bins: Some(c),
        rank: Some(position),
        threshold: Some(threshold),
        median: Some(median),
    };
    c >= *min_bins && count >= *min_count && count as f64 >= min_median_ratio * median && position <= threshold
}

/// The first day of the window that ends with `day`.
pub(super) fn window_start(day: Day, window_days: u32) -> Day {
    day.saturating_sub_unsigned(window_days.saturating_sub(1))
}

pub(super) fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
