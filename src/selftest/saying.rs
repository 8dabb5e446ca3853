//! What a test wanted and what it got, in a sentence that names the condition or the numbers that decided.

use super::stage::Judged;
use crate::alert::Alert;
use crate::calendar::Zone;
use crate::content::Content;
use crate::content::cases::{Record, Test};
use crate::detect::why_not::numbers;
use crate::enrich::Enricher;
use crate::event::{Counts, Draft, EventView, FieldSet, Text};
use crate::extract::examine;
use crate::rule::{Rule, Scratch};

/// Numbers of evidence count as equal up to here: content writes them with a few digits.
const CLOSE: f64 = 0.000_5;

/// What went otherwise than the test says.
pub(super) fn surprise(content: &Content, rule: &Rule, test: &Test, judged: &Judged) -> Option<String> {
    match (test.fires, &judged.alert) {
        (false, None) => None,
        (true, None) => Some(format!("must fire, but does not: {}", why_not(content, rule, test, judged))),
        (false, Some(alert)) => Some(format!("must not fire, but does: {}", why(content, rule, test, alert))),
        (true, Some(alert)) => {
            let wrong = differences(content, rule, test, alert);
            (!wrong.is_empty()).then(|| format!("fires, but {}", wrong.join("; ")))
        }
    }
}

fn why_not(content: &Content, rule: &Rule, test: &Test, judged: &Judged) -> String {
    look(content, &test.record, |event| {
        let kind = event.draft.kind;
        if !rule.events.iter().any(|declared| kind.is_a(*declared)) {
            return format!("the rule is not for {kind} events");
        }
        match (rule.condition.why_not(event, &mut Scratch::default()), &judged.why_not) {
            (Some(reason), _) => reason,
            (None, Some(why)) => why.to_string(),
            (None, None) => {
                "the condition holds, but the field that it is per, or that is counted or added up, is missing".into()
            }
        }
    })
}

fn why(content: &Content, rule: &Rule, test: &Test, alert: &Alert) -> String {
    let mut parts = held(content, rule, &test.record);
    if parts.is_empty() {
        // Only conditions made of `not` alone have nothing to show.
        parts.push("the condition holds".into());
    }
    parts.extend(alert.evidence.model.as_ref().map(|m| format!("model {} says {}: {}", m.id, m.verdict, numbers(m))));
    parts.extend(alert.evidence.sum.as_ref().map(|s| format!("the sum is {} of {}", s.total, s.reaches)));
    parts.join("; ")
}

/// The parts of the condition that hold: `image ("certutil") equals certutil`.
fn held(content: &Content, rule: &Rule, record: &Record) -> Vec<String> {
    matched(content, rule, record).into_iter().map(|m| format!("{} ({:?}) {}", m.field, m.value, m.test)).collect()
}

fn matched(content: &Content, rule: &Rule, record: &Record) -> Vec<crate::alert::Matched> {
    look(content, record, |event| rule.condition.explain(event, &mut Scratch::default()))
}

fn differences(content: &Content, rule: &Rule, test: &Test, alert: &Alert) -> Vec<String> {
    let expected = &test.expected;
    let mut wrong = Vec::new();
    let mut text = |name: &str, wanted: &Option<String>, got: &str| {
        if let Some(wanted) = wanted.as_ref().filter(|w| *w != got) {
            wrong.push(format!("{name} is {got:?}, expected {wanted:?}"));
        }
    };
    text("value", &expected.value, alert.value.as_deref().unwrap_or_default());
    text("entity", &expected.entity, &alert.entity);
    if let Some(score) = expected.score.filter(|s| *s != u64::from(alert.score)) {
        wrong.push(format!("score is {}, expected {score}", alert.score));
    }
    for (name, wanted) in &expected.numbers {
        match number(alert, name) {
            Some(got) if (got - wanted).abs() <= CLOSE => {}
            Some(got) => wrong.push(format!("evidence.{name} is {got}, expected {wanted}")),
            None => wrong.push(format!("evidence has no {name}, expected {wanted}")),
        }
    }
    if !expected.matched.is_empty() {
        let got: Vec<String> =
            matched(content, rule, &test.record).iter().map(|m| format!("{} {}", m.field, m.test)).collect();
        for wanted in expected.matched.iter().filter(|w| !got.contains(w)) {
            wrong.push(format!("{wanted:?} is not among what matched: {}", got.join("; ")));
        }
    }
    wrong
}

/// A number of an alert's evidence, by the name that content gives it.
fn number(alert: &Alert, name: &str) -> Option<f64> {
    let model = alert.evidence.model.as_ref();
    let sum = alert.evidence.sum.as_ref();
    match name {
        "n" => model.map(|m| m.n as f64),
        "c" => model.map(|m| m.c as f64),
        "confidence" => model.map(|m| m.confidence),
        "count" => model.map(|m| m.count as f64),
        "rank" => model?.rank.map(|n| n as f64),
        "threshold" => model?.threshold.map(|n| n as f64),
        "median" => model?.median,
        "history_days" => match (model, sum) {
            (Some(m), _) => Some(f64::from(m.history_days)),
            (None, sum) => sum?.history_days.map(f64::from),
        },
        "total" => sum.map(|s| s.total as f64),
        "reaches" => sum.map(|s| s.reaches as f64),
        _ => None,
    }
}

/// Shows an event with all its fields.
fn look<T>(content: &Content, record: &Record, see: impl FnOnce(EventView<'_>) -> T) -> T {
    match record {
        Record::Line(line, header) => {
            let header = header.as_ref().map(String::as_bytes);
            examine(content, line.as_bytes(), header, &Zone::utc(), |examined| see(examined.event))
        }
        Record::Fields(kind, fields) => {
            let (mut raw, mut arena) = (Vec::new(), Vec::new());
            let mut draft = Draft::empty(*kind, 0);
            for (field, value) in fields {
                draft.append(*field, value, &mut raw);
            }
            let mut enricher = Enricher::new(&content.tables);
            enricher.enrich(&raw, &mut arena, &mut draft, FieldSet(u64::MAX), &mut Counts::default());
            see(EventView { draft: &draft, text: Text { raw: &raw, arena: &arena } })
        }
    }
}
