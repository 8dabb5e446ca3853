//! Why one side alerts and the other does not: the event of the alert, judged by the other side's rule.
//!
//! What the other side had learned is gone by then, so where its rule's condition holds, the numbers that it asks of what is
//! learned are compared instead.

use super::Side;
use crate::alert::Alert;
use crate::calendar::Zone;
use crate::enrich::Enricher;
use crate::event::{Counts, Draft, EventType, EventView, Field, FieldSet, Text};
use crate::rule::exception::Exception;
use crate::rule::{Rule, Scratch, Verdict};

/// What keeps `there` from making an alert of `here`, one sentence.
pub(super) fn only_here(alert: &Alert, here: &Side, there: &Side) -> String {
    let id = &alert.rule.id;
    let Some(rule) = rule(there, id) else { return format!("there is no rule {id} there") };
    if !rule.enabled {
        return format!("{id} is switched off there");
    }
    match judge(alert, rule, there) {
        Judged::Fails(why) => return format!("the condition does not hold there: {why}"),
        Judged::Silenced(why) => return why,
        Judged::Holds => {}
    }
    let differing = self::rule(here, id).map(|own| differing(&numbers(own, here), &numbers(rule, there)));
    match differing {
        Some(differing) if !differing.is_empty() => {
            format!("the condition holds there, too, but {}", differing.join(", "))
        }
        _ => "the condition holds there, too: what was learned before, or fired before, is another".into(),
    }
}

fn rule<'s>(side: &'s Side, id: &str) -> Option<&'s Rule> {
    side.content.rules.iter().find(|rule| rule.id == id)
}

/// What a rule says about the event of an alert.
enum Judged {
    /// The first thing that fails.
    Fails(String),
    /// The condition holds, and an exception does.
    Silenced(String),
    /// The condition holds.
    Holds,
}

fn judge(alert: &Alert, rule: &Rule, side: &Side) -> Judged {
    let Some(kind) = EventType::from_name(&alert.event_type) else { return Judged::Holds };
    if !rule.events.iter().any(|e| kind.is_a(*e)) {
        let types: Vec<&str> = rule.events.iter().map(|e| e.name()).collect();
        return Judged::Fails(format!("it is about {} events, and this is {kind}", types.join(" and ")));
    }
    let (mut raw, mut draft) = (Vec::new(), Draft::empty(kind, alert.time_ms));
    for (name, value) in alert.fields.iter() {
        if let Some(field) = Field::resolve(name) {
            draft.append(field, value, &mut raw);
        }
    }
    let mut arena = Vec::new();
    let all = FieldSet(u64::MAX);
    Enricher::new(&side.content.tables).enrich(&raw, &mut arena, &mut draft, all, &mut Counts::default());
    let event = EventView { draft: &draft, text: Text { raw: &raw, arena: &arena } };
    if let Some(why) = rule.condition.why_not(event, &mut Scratch::new(side.settings.limits.max_command_chars)) {
        return Judged::Fails(why);
    }
    let zone = Zone::named(&side.settings.detection.timezone).unwrap_or_else(|_| Zone::utc());
    let silent = |e: &&Exception| e.is_for(&rule.id) && e.holds(event, zone.day_of(alert.time_ms));
    match side.content.exceptions.all.iter().find(silent) {
        Some(exception) => {
            Judged::Silenced(format!("the exception {} silences it there: {}", exception.id, exception.reason))
        }
        None => Judged::Holds,
    }
}

/// What a rule asks besides its condition: names and values.
fn numbers(rule: &Rule, side: &Side) -> Vec<(&'static str, String)> {
    let mut all = vec![
        ("its entity", rule.entity.name().to_owned()),
        ("its value", rule.per.map_or_else(|| "none".to_owned(), |field| field.name().to_owned())),
        ("its period", format!("{:?}", rule.period).to_lowercase()),
    ];
    let model = match &rule.verdict {
        Verdict::Always => None,
        Verdict::Sum { amount, reaches, without_history } => {
            all.push(("what it adds up", amount.name().to_owned()));
            all.push(("reaches", reaches.to_string()));
            if let Some(none) = without_history {
                all.push(("agent_days", none.agent_days.to_string()));
            }
            None
        }
        Verdict::First { model } => Some(*model),
        Verdict::Abnormal { model, percentile } => {
            all.push(("percentile", percentile.to_string()));
            Some(*model)
        }
        Verdict::Top { model, rank_days, top_share, min_bins, min_count, min_median_ratio } => {
            all.push(("rank_days", rank_days.to_string()));
            all.push(("top_share", top_share.to_string()));
            all.push(("min_bins", min_bins.to_string()));
            all.push(("min_count", min_count.to_string()));
            all.push(("min_median_ratio", min_median_ratio.to_string()));
            Some(*model)
        }
    };
    if let Some(model) = model.and_then(|index| side.content.models.get(usize::from(index))) {
        let detection = &side.settings.detection;
        all.push(("its model", model.id.clone()));
        all.push(("the model's revision", model.revision.to_string()));
        all.push(("cut_off", model.cut_off.to_string()));
        all.push(("alpha", model.alpha.to_string()));
        all.push(("min_confidence", detection.min_confidence.to_string()));
        all.push(("strict", detection.strict.to_string()));
        all.push(("maturity_days", detection.maturity_days.to_string()));
        all.push(("min_history_days", detection.min_history_days.to_string()));
    }
    all
}

fn differing(here: &[(&'static str, String)], there: &[(&'static str, String)]) -> Vec<String> {
    let there_is = |name: &str| there.iter().find(|(other, _)| *other == name).map(|(_, value)| value.as_str());
    here.iter()
        .filter(|(name, value)| there_is(name) != Some(value))
        .map(|(name, value)| match there_is(name) {
            Some(other) => format!("{name} is {other} there and {value} here"),
            None => format!("{name} is {value} here and not asked for there"),
        })
        .collect()
}
