//! Runs the `[[test]]` blocks of rules: an event as parsed, enriched as in production, then the stateless condition.

use super::Content;
use super::fault::Faults;
use crate::enrich::Enricher;
use crate::event::{Counts, Draft, EventView, Field, FieldSet, Span, Text};
use crate::rule::screen::hit_of;
use crate::rule::{Rule, RuleTest, Scratch};

/// Runs every rule's tests; each that fails is a fault at its line.
pub fn run_tests(content: &Content) -> Faults {
    let enricher = Enricher::new(&content.tables);
    let mut oddities = Counts::default();
    let mut faults = Faults::default();
    let mut scratch = Scratch::default();
    let (mut raw, mut arena, mut draft) = (Vec::new(), Vec::new(), Draft::default());
    for (index, rule) in content.rules.iter().enumerate() {
        for test in &rule.tests {
            fill(test, &mut raw, &mut draft);
            arena.clear();
            enricher.enrich(&raw, &mut arena, &mut draft, every_field(), &mut oddities);
            let event = EventView { draft: &draft, text: Text { raw: &raw, arena: &arena } };
            if let Some(why) = surprise(content, index, rule, test, event, &mut scratch) {
                let message = format!("test {:?}: {why}", test.name);
                faults.add(&rule.file, test.line, &format!("rule {}", rule.id), message);
            }
        }
    }
    faults
}

fn every_field() -> FieldSet {
    let mut all = FieldSet::default();
    Field::ALL.iter().for_each(|f| all.insert(*f));
    all
}

fn fill(test: &RuleTest, raw: &mut Vec<u8>, draft: &mut Draft) {
    raw.clear();
    draft.clear();
    draft.kind = test.event;
    for (field, value) in &test.fields {
        let from = raw.len();
        raw.extend_from_slice(value.as_bytes());
        draft.set(*field, Span::raw(from, raw.len()));
    }
}

/// What went otherwise than the test says, as a sentence.
fn surprise(
    content: &Content,
    index: usize,
    rule: &Rule,
    test: &RuleTest,
    event: EventView<'_>,
    scratch: &mut Scratch,
) -> Option<String> {
    let declared = rule.events.iter().any(|e| test.event.is_a(*e));
    let holds = rule.condition.holds(event, scratch);
    let fires = declared && holds && hit_of(index, rule, &content.models, event).is_some();
    if fires == test.fires {
        return None;
    }
    if fires {
        let held = rule.condition.explain(event, scratch);
        let held: Vec<String> = held.iter().map(|m| format!("{} ({:?}) {}", m.field, m.value, m.test)).collect();
        return Some(format!("must not fire, but does: {}", held.join("; ")));
    }
    let reason = match rule.condition.why_not(event, scratch) {
        _ if !declared => format!("the rule is not for {} events", test.event),
        Some(reason) => reason,
        None => "the condition holds, but the field that is counted or added up is missing".into(),
    };
    Some(format!("must fire, but does not: {reason}"))
}
