//! From a verdict to an alert: evidence, identity, flood suppression, and the place in the outbox.

use super::prevalence::Weighed;
use super::verdict::lossy;
use super::{Detector, Subject};
use crate::alert::{Alert, AlertKind, AlertRule, EntityKind, Evidence, Fields, Origin, Sequence, alert_id};
use crate::batch::BatchEvent;
use crate::calendar::Day;
use crate::event::EventView;
use crate::rule::{Period, Rule};
use crate::state::guard::Untold;
use crate::state::key::{Guard, GuardKey, Key};
use crate::state::silenced::guard_name;
use std::sync::Arc;

/// Longest field value kept in an alert, bytes.
const MAX_FIELD_BYTES: usize = 4096;

impl Detector {
    /// Raises the alert of a rule that has not fired in this period.
    pub(super) fn fire(
        &mut self,
        s: &Subject<'_>,
        rule_index: u16,
        (guard, sequence): (GuardKey, Sequence),
        mut evidence: Evidence,
        common: Weighed,
        raised: &mut Vec<(u64, Alert)>,
    ) {
        let Some(rule) = s.content.rules.get(rule_index as usize) else { return };
        let mut fields = Fields::default();
        self.extractor.full(s.batch, s.event, |view| {
            evidence.matched = rule.condition.explain(view, &mut self.scratch);
            fields = shown_fields(view);
        });
        let entity = lossy(&guard.entity);
        let value = lossy(&guard.value);
        let before = self.state.guards.set(guard.as_guard());
        self.services.note(guard.day, &guard.rule, &guard.value, self.state.agent.newest_day);
        let flood = before >= self.limits.max_alerts_per_day;
        let quiet = self.state.agent.quiet_before_ms.is_some_and(|until| s.event.time_ms < until);
        if flood {
            self.state.guards.suppress(&guard);
            evidence.notes.push(format!(
                "held back: more than {} alerts of this rule and {} on this day",
                self.limits.max_alerts_per_day,
                guard.kind.name()
            ));
        } else if quiet {
            evidence.notes.push("held back: the agent had lost its state and was learning the past anew".into());
        }
        // What is held back anyway is not told twice.
        let weighed = if flood || quiet { Weighed::default() } else { common };
        let kept = self.weigh(rule, &guard, weighed, &mut evidence);
        let suppressed = flood || quiet || kept.is_none();
        let score = kept.unwrap_or(rule.score);
        self.state.agent.suppressed += u64::from(suppressed);
        let alert = Alert {
            id: alert_id(&rule.id, rule.revision, guard.kind, &entity, &value, sequence),
            time_ms: s.event.time_ms,
            detected_ms: self.clock.detected_ms.unwrap_or(s.event.time_ms),
            kind: AlertKind::Detection,
            rule: self.about(rule_index, rule),
            score,
            entity_kind: guard.kind,
            entity,
            value: (!value.is_empty()).then_some(value),
            sequence: sequence.label(),
            peer_group: s.user.and_then(|u| self.group_of(u)).map(str::to_owned),
            event_type: s.event.kind.name().into(),
            fields,
            evidence,
            origin: Some(Origin {
                file: s.batch.path.as_deref().unwrap_or_default().to_owned(),
                offset: s.event.offset,
                line: s.event.line,
            }),
            suppressed,
        };
        self.outbox(alert, raised);
        // Only the day's end lets old guards go: a late event's own guard must not leave with the next alert.
        self.age_guards(Day::MIN, s.event, raised);
    }

    /// Whether an exception silences the alert that is about to be made; if so, it is counted, once in its period. The rule's
    /// guard stays open and training goes on: when the exception has ended, the rule speaks about what it knows by then.
    pub(super) fn is_silenced(&mut self, s: &Subject<'_>, rule: u16, guard: &GuardKey) -> bool {
        let mut found = None;
        self.extractor.full(s.batch, s.event, |view| {
            found = s.content.exceptions.find(rule, view, s.event.day);
        });
        let Some(exception) = found else { return false };
        let name = guard_name(&guard.rule, &exception.id);
        let counted = Guard { rule: &name, ..guard.as_guard() };
        if self.state.guards.is_fresh(counted) {
            self.state.guards.set(counted);
            self.state.silenced.count(&exception.id, &guard.rule, (guard.day, &guard.entity));
            self.counted.silenced(&guard.rule);
        }
        true
    }

    /// Guards of days up to `last_gone` leave, and the oldest when there are too many.
    pub(super) fn age_guards(&mut self, last_gone: Day, event: &BatchEvent, raised: &mut Vec<(u64, Alert)>) {
        let (dropped, untold) = self.state.guards.age(last_gone, self.limits.max_guards);
        self.state.agent.limits.max_guards += dropped;
        for untold in untold {
            self.raise_summary(event, &untold, raised);
        }
    }

    /// Raises the alert that tells how many alerts of a rule and entity were held back in a period. Numbers of several
    /// summaries of one period add up.
    pub(super) fn raise_summary(&mut self, event: &BatchEvent, untold: &Untold, raised: &mut Vec<(u64, Alert)>) {
        let Untold { day, rule: rule_id, kind, entity, count, told_before } = untold;
        let content = Arc::clone(&self.content);
        let Some((rule_index, rule)) = (0..).zip(&content.rules).find(|(_, r)| r.id == *rule_id) else { return };
        let (entity, kind) = (lossy(entity), *kind);
        let sequence = match rule.period {
            Period::Day => Sequence::Day(*day),
            Period::Month => Sequence::Month(*day),
        };
        let told = if *told_before > 0 { told_before.to_string() } else { String::new() };
        let alert = Alert {
            id: alert_id(&format!("summary {rule_id}"), rule.revision, kind, &entity, &told, sequence),
            time_ms: event.time_ms,
            detected_ms: self.clock.detected_ms.unwrap_or(event.time_ms),
            kind: AlertKind::Summary,
            rule: self.about(rule_index, rule),
            score: rule.score,
            entity_kind: kind,
            entity,
            value: None,
            sequence: sequence.label(),
            peer_group: None,
            event_type: String::new(),
            fields: Fields::default(),
            evidence: Evidence { notes: vec![held_back(*count, kind, &sequence.label())], ..Evidence::default() },
            origin: None,
            suppressed: false,
        };
        self.outbox(alert, raised);
    }

    /// What alerts say of a rule: made for its first one.
    fn about(&mut self, rule_index: u16, rule: &Rule) -> Arc<AlertRule> {
        Arc::clone(self.about.entry(rule_index).or_insert_with(|| Arc::new(alert_rule(rule))))
    }

    /// Takes in a report of the agent on itself; one that is made once only, unless it has been.
    pub fn report(&mut self, alert: Alert, raised: &mut Vec<(u64, Alert)>) {
        if alert.is_once() {
            let told = &mut self.state.agent.told_once;
            if told.contains(&alert.id) {
                return;
            }
            told.push(alert.id.clone());
        }
        self.outbox(alert, raised);
    }

    /// Numbers an alert and puts it into the next commit; the oldest beyond the limit leaves with the same commit.
    pub fn outbox(&mut self, alert: Alert, raised: &mut Vec<(u64, Alert)>) {
        self.counted.alert(&alert);
        self.state.agent.alerts += 1;
        self.state.agent_dirty = true;
        let seq = self.state.agent.alerts;
        self.state.put(&Key::Alert(seq), &alert);
        let keep_from = (seq + 1).saturating_sub(self.limits.max_alerts_kept as u64).min(self.delivered + 1);
        while self.state.agent.oldest_alert < keep_from {
            let old = self.state.agent.oldest_alert;
            self.state.remove(&Key::Alert(old));
            self.state.agent.oldest_alert = old + 1;
        }
        raised.push((seq, alert));
    }
}

/// What a summary says. One about the agent is about a value that is common: its alerts were grouped.
fn held_back(count: u64, kind: EntityKind, period: &str) -> String {
    match kind {
        EntityKind::Agent => {
            format!("{count} more alerts of this rule about this value were grouped with the first of {period}")
        }
        _ => format!("{count} more alerts of this rule and {} were held back in {period}", kind.name()),
    }
}

fn alert_rule(rule: &Rule) -> AlertRule {
    AlertRule {
        id: rule.id.clone(),
        name: rule.name.clone(),
        revision: rule.revision,
        attack: rule.attack.clone(),
        author: rule.author.clone(),
        references: rule.references.clone(),
        license: rule.license.clone(),
    }
}

/// The fields as an alert shows them, in declaration order.
fn shown_fields(view: EventView<'_>) -> Fields {
    let shown = |field| {
        let value = view.get(field).unwrap_or_default();
        match value.get(..MAX_FIELD_BYTES) {
            Some(head) if head.len() < value.len() => (head, "…"),
            _ => (value, ""),
        }
    };
    let present = || view.draft.present.iter();
    let bytes = present().map(|field| shown(field).0.len()).sum();
    let mut fields = Fields::with_capacity(present().count(), bytes);
    for field in present() {
        let (head, mark) = shown(field);
        fields.push(field.display_name(view.draft.kind), |out| {
            out.push_str(&String::from_utf8_lossy(head));
            out.push_str(mark);
        });
    }
    fields
}
