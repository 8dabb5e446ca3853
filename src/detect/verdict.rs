//! What state says to a hit: has the model seen the value, is the sum reached, has it fired before?

use super::{Detector, Subject, kind_of, once_hash, rule_of};
use crate::alert::{Alert, BinView, EntityKind, Evidence, ModelEvidence, Sequence, SumEvidence};
use crate::batch::Hit;
use crate::calendar::{Day, first_of_month};
use crate::event::Field;
use crate::model::ModelSpec;
use crate::model::histogram::Instance;
use crate::rule::{NoHistory, Period, Verdict};
use crate::state::entities::EntityId;
use crate::state::entity::Entity;
use crate::state::key::Guard;

impl Detector {
    /// Judges one hit; fires when the verdict holds and the guard is open.
    pub(super) fn hit(&mut self, s: &Subject<'_>, hit: &Hit, raised: &mut Vec<(u64, Alert)>) {
        let Some((content, index)) = self.rule(hit) else { return };
        let Some(rule) = rule_of(&content, index) else { return };
        let Some(entity) = s.entity(rule.entity) else { return };
        let value = s.batch.text().get(hit.value);
        let mut evidence = Evidence::default();
        match &rule.verdict {
            Verdict::Always => {}
            // What needs a model, a sum or history does not judge late or future events.
            _ if s.stale(rule.entity) => return,
            Verdict::Sum { amount, reaches, without_history } => {
                match self.add(s, entity, index, hit, (*amount, *reaches, without_history.as_ref())) {
                    Some(sum) => evidence.sum = Some(sum),
                    None => return,
                }
            }
            Verdict::First { model } | Verdict::Abnormal { model, .. } | Verdict::Top { model, .. } => {
                let Some(spec) = content.models.get(*model as usize) else { return };
                match self.ask(s, *model, spec, &rule.verdict, hit) {
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
            kind: rule.entity,
            entity: &subject.key,
            value,
        };
        if self.state.guards.is_fresh(guard) {
            let guard = guard.to_key();
            self.fire(s, rule, guard, sequence, evidence, raised);
        }
    }

    /// Adds to a day's sum. The evidence, when it has reached the rule's limit and history allows.
    fn add(
        &mut self,
        s: &Subject<'_>,
        entity: EntityId,
        index: u16,
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
            return None;
        }
        let subject = self.state.entities.change(entity)?;
        let (total, left) = subject.add(index, day, value, hit.amount, self.limits.max_values);
        if left {
            self.state.agent.limits.max_values += 1;
            self.state.agent_dirty = true;
        }
        let mut history_days = None;
        if let Some(none) = without_history {
            let from = window_start(day, self.settings.window_days);
            let event = none.event.index() as u8;
            let own = if none.per_value {
                let days = subject.value_days(event, value, from, day);
                self.note_value_day(entity, event, value, day);
                days
            } else {
                subject.history_days(event, from, day)
            };
            let agent = self.state.agent_entity();
            let seen = self.state.entities.get(agent).map_or(0, |a| a.history_days(event, from, day));
            if own > 0 || seen < none.agent_days {
                return None;
            }
            history_days = Some(own);
        }
        (total >= reaches).then(|| SumEvidence { field: amount.name().into(), total, reaches, history_days })
    }

    fn note_value_day(&mut self, entity: EntityId, event: u8, value: &[u8], day: Day) {
        let kept_days = self.history_days_kept();
        let Some(subject) = self.state.entities.change(entity) else { return };
        let left = subject.note_value(event, value, day, kept_days, self.limits.max_values);
        if left {
            self.state.agent.limits.max_values += 1;
            self.state.agent_dirty = true;
        }
    }

    /// Asks a model about the feature's value. The evidence, when the verdict holds.
    fn ask(
        &mut self,
        s: &Subject<'_>,
        model: u16,
        spec: &ModelSpec,
        verdict: &Verdict,
        hit: &Hit,
    ) -> Option<ModelEvidence> {
        if s.stale(kind_of(spec.scope)) {
            return None;
        }
        let scope = self.scope_entity(s, spec)?;
        let value = self.feature_value(s, spec, hit)?;
        if !self.first_in_sequence(s, model, scope, spec, value) {
            return None;
        }
        let empty = Instance::default();
        let entity = self.state.entities.get(scope)?;
        let instance = entity.instance(model).unwrap_or(&empty);
        let day = s.event.day;
        let from = window_start(day, self.settings.window_days);
        let event = spec.events.first().map_or(0, |e| e.index() as u8);
        let history_days = entity.history_days(event, from, day);
        let confidence = instance.confidence(spec.alpha);
        let converged = instance.n() >= spec.cut_off && confidence >= self.settings.min_confidence;
        let mut out = ModelEvidence {
            id: spec.id.clone(),
            scope: if entity.kind == EntityKind::Agent { "*".into() } else { lossy(&entity.key) },
            value: lossy(value),
            verdict: String::new(),
            n: instance.n(),
            c: instance.c(),
            confidence,
            converged,
            count: instance.count(value),
            rank: None,
            threshold: None,
            median: None,
            history_days,
            top_bins: Vec::new(),
        };
        let holds = match verdict {
            Verdict::First { .. } => {
                out.verdict = "first".into();
                out.count == 0 && !instance.saturated() && self.may_say_first(converged, history_days)
            }
            Verdict::Abnormal { percentile, .. } => {
                out.verdict = "abnormal".into();
                converged && out.count > 0 && {
                    let below = instance.abnormal_below(*percentile);
                    out.threshold = Some(below);
                    out.count < below
                }
            }
            Verdict::Top { .. } => {
                out.verdict = "top".into();
                converged && is_top(instance, value, verdict, &mut out)
            }
            Verdict::Always | Verdict::Sum { .. } => false,
        };
        if !holds {
            return None;
        }
        let largest = instance.largest(20);
        out.top_bins = largest.iter().map(|b| BinView { value: lossy(&b.value), count: b.total }).collect();
        Some(out)
    }

    fn may_say_first(&self, converged: bool, history_days: u32) -> bool {
        if self.settings.strict {
            return converged;
        }
        (converged && history_days >= self.settings.min_history_days) || history_days >= self.settings.maturity_days
    }

    /// The value of the model's feature: the rule's own value where it is the same field, else the training's.
    fn feature_value<'b>(&self, s: &Subject<'b>, spec: &ModelSpec, hit: &Hit) -> Option<&'b [u8]> {
        let text = s.batch.text();
        let per = self.content.rules.get(hit.rule as usize).and_then(|r| r.per);
        let value = match spec.feature {
            Field::UserKey => text.get(s.event.user),
            Field::HostKey => text.get(s.event.host),
            feature if per == Some(feature) => text.get(hit.value),
            _ => {
                let of_model = |t: &&crate::batch::Training| {
                    self.content.models.get(t.model as usize).is_some_and(|m| m.id == spec.id)
                };
                text.get(super::slice(&s.batch.trainings, s.event.trainings).iter().find(of_model)?.value)
            }
        };
        (!value.is_empty()).then_some(value)
    }

    /// Whether the sequence has not trained this value yet: a model judges a value at its first occurrence only.
    fn first_in_sequence(&self, s: &Subject<'_>, model: u16, scope: EntityId, spec: &ModelSpec, value: &[u8]) -> bool {
        use crate::model::Scope;
        if matches!(spec.scope, Scope::User | Scope::Host) && spec.once_per.is_none() {
            let instance = self.state.entities.get(scope).and_then(|e| e.instance(model));
            return instance.and_then(|i| i.bin(value)).is_none_or(|b| b.count_on(s.event.day) == 0);
        }
        let owner: Option<&Entity> = s.user.or(s.host).and_then(|id| self.state.entities.get(id));
        let mark = once_hash(value, b"");
        owner.is_none_or(|e| {
            e.known()
                .once
                .iter()
                .find(|o| o.0 == model && o.1 == s.event.day)
                .is_none_or(|o| o.2.binary_search(&mark).is_err())
        })
    }
}

fn is_top(instance: &Instance, value: &[u8], verdict: &Verdict, out: &mut ModelEvidence) -> bool {
    let Verdict::Top { rank_days, top_share, min_bins, min_count, min_median_ratio, .. } = verdict else {
        return false;
    };
    let (Some(rank), Some(latest)) = (instance.rank(), instance.latest()) else { return false };
    let from = latest.saturating_sub_unsigned(rank_days.saturating_sub(1));
    let count = instance.bin(value).map_or(0, |b| b.count_between(from, latest));
    let (c, median) = (rank.bins(), rank.median());
    let position = rank.rank_of(count);
    let threshold = ((top_share * c as f64).ceil() as u64).max(1);
    (out.rank, out.threshold, out.median) = (Some(position), Some(threshold), Some(median));
    (out.count, out.c) = (count, c);
    c >= *min_bins && count >= *min_count && count as f64 >= min_median_ratio * median && position <= threshold
}

/// The first day of the window that ends with `day`.
fn window_start(day: Day, window_days: u32) -> Day {
    day.saturating_sub_unsigned(window_days.saturating_sub(1))
}

pub(super) fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
