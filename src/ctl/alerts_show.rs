//! `agentctl alerts show ID`: what happened, why the rule fired, what was normal before, and what to do about it.

use super::Desk;
use super::explain::{silent_if, times};
use super::output::Output;
use super::page::{Look, Page, Tone};
use super::rules_show::{advice, sources};
use super::say_source;
use super::story;
use super::view::{StoredAlert, View, ViewError, to_the_second};
use crate::alert::{AgentIdentity, Alert, AlertKind, ModelEvidence, Severity};
use crate::calendar::format_instant;
use crate::rule::Rule;
use serde_json::{Value, json};

/// Arguments of `alerts show`.
#[derive(Clone, Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  id=$(agentctl alerts list --limit 1 --format csv | tail -n 1 | cut -d , -f 2)\n  \
agentctl alerts show $id\n  agentctl alerts show $id --format json"
)]
pub struct Arguments {
    /// Id of the alert, or its first digits
    #[arg(value_name = "ID")]
    id: String,
}

/// Fewer digits name too many alerts.
const SHORTEST_ID: usize = 4;

impl Arguments {
    /// The id's digits, before anyone is asked for it.
    pub(super) fn id(&self) -> Result<String, ViewError> {
        digits_of(&self.id)
    }
}

/// The digits of an alert's id, or of its beginning.
pub(super) fn digits_of(given: &str) -> Result<String, ViewError> {
    let id = given.to_lowercase();
    if id.len() < SHORTEST_ID || id.len() > 32 || !id.bytes().all(|b| b.is_ascii_hexdigit()) {
        let message = format!("{given:?} is no alert id: write {SHORTEST_ID} to 32 hexadecimal digits");
        return Err(ViewError::Usage(message));
    }
    Ok(id)
}

pub(super) fn run(
    arguments: &Arguments,
    view: &mut dyn View,
    desk: &Desk,
    output: &mut Output<'_>,
) -> Result<(), ViewError> {
    let stored = view.alert(&arguments.id()?)?;
    let rule = desk.content.rules.iter().find(|r| r.id == stored.alert.rule.id);
    output.thing(&details(&stored, rule, desk), |look| page(&stored, rule, desk, look)).map_err(ViewError::Output)?;
    say_source(&view.source(), output)
}

/// The alert as sinks write it, with what only the agent knows.
fn details(stored: &StoredAlert, rule: Option<&Rule>, desk: &Desk) -> Value {
    let nobody = AgentIdentity { host: String::new(), version: String::new() };
    let mut value = stored.alert.to_json(&nobody);
    if let Some(alert) = value.as_object_mut() {
        alert.remove("agent");
        alert.insert("seq".into(), json!(stored.seq));
        alert.insert("repeats".into(), json!(stored.repeats));
        alert.insert("suppressed".into(), json!(stored.alert.suppressed));
        alert.insert("deliveries".into(), json!(stored.deliveries));
        alert.insert("would_not_have_fired_if".into(), json!(silent_if(&stored.alert, rule, desk)));
        if let Some(rule) = rule {
            alert.insert("triage".into(), json!(rule.triage));
            alert.insert("false_positives".into(), json!(rule.false_positives));
        }
    }
    let bins = stored.alert.evidence.model.as_ref().map(|m| json!(m.top_bins));
    if let (Some(bins), Some(model)) = (bins, value.pointer_mut("/evidence/model").and_then(Value::as_object_mut)) {
        model.insert("top_bins".into(), bins);
    }
    value
}

/// A story: what happened, why that is unusual, what the rule is about, what to do; what only we need stands at the end.
fn page(stored: &StoredAlert, rule: Option<&Rule>, desk: &Desk, look: Look) -> String {
    let alert = &stored.alert;
    let mut page = Page::new(look);
    page.heading(&format!("{}  {}", alert.rule.id, alert.rule.name));
    let tone = match alert.severity() {
        Severity::Low => Tone::Plain,
        Severity::Medium => Tone::Warn,
        Severity::High | Severity::Critical => Tone::Bad,
    };
    let whom = format!("{} {}", alert.entity_kind.name(), alert.entity);
    let group = alert.peer_group.as_ref().map_or_else(String::new, |g| format!(", peer group {g}"));
    page.toned(
        tone,
        &format!(
            "score {} ({}), {}{group}, {}",
            alert.score,
            alert.severity().name(),
            whom.trim_end(),
            to_the_second(&format_instant(alert.time_ms))
        ),
    );
    happened(alert, &mut page);
    unusual(alert, rule, desk, &mut page);
    condition(alert, &mut page);
    let silent = silent_if(alert, rule, desk);
    if !silent.is_empty() {
        page.heading("It would not have fired if");
        silent.iter().for_each(|line| page.item(line));
    }
    if let Some(rule) = rule {
        page.heading("What the rule is about");
        page.text(&rule.why);
        advice(&mut page, &rule.triage, &rule.false_positives);
    } else if alert.kind == AlertKind::Detection {
        page.heading("What to look at next");
        page.text(
            "This agentctl's content does not have the rule, so it has no advice: pass the agent's own --config.",
        );
    }
    let r = &alert.rule;
    sources(&mut page, &r.attack, &r.author, &r.references, r.license.as_deref());
    about(stored, &mut page);
    page.finish()
}

fn about(stored: &StoredAlert, page: &mut Page) {
    let alert = &stored.alert;
    page.heading("Alert");
    page.value("id", &alert.id);
    page.value("per", alert.value.as_deref().unwrap_or_default());
    page.value("once in", &alert.sequence);
    page.value("came again", &if stored.repeats == 0 { String::new() } else { times(stored.repeats) });
    page.value("detected", &to_the_second(&format_instant(alert.detected_ms)));
    page.value("rule revision", &alert.rule.revision.to_string());
    if alert.suppressed {
        page.value("suppressed", "yes: kept here, not delivered");
    }
    for d in &stored.deliveries {
        page.value(&format!("sink {}", d.sink), &d.state);
    }
}

fn happened(alert: &Alert, page: &mut Page) {
    page.heading("What happened");
    let sentence = story::happened(alert);
    if !sentence.is_empty() {
        page.text(&sentence);
    }
    alert.evidence.notes.iter().for_each(|note| page.item(note));
    page.value("time", &format_instant(alert.time_ms));
    page.value("event", &alert.event_type);
    alert.fields.iter().for_each(|(name, value)| page.value(name, value));
    if let Some(o) = &alert.origin {
        page.value("read from", &format!("{}, line {}, byte {}", o.file, o.line, o.offset));
    }
}

fn unusual(alert: &Alert, rule: Option<&Rule>, desk: &Desk, page: &mut Page) {
    let sentences = story::unusual(alert, rule, desk);
    if sentences.is_empty() {
        return;
    }
    page.heading("Why it is unusual");
    sentences.iter().for_each(|sentence| page.text(sentence));
    if let Some(m) = &alert.evidence.model {
        before(m, desk, page);
    }
}

fn condition(alert: &Alert, page: &mut Page) {
    if alert.evidence.matched.is_empty() {
        return;
    }
    page.heading("The rule's condition, as it was met");
    for m in &alert.evidence.matched {
        page.value(&m.field, &format!("{}  ({})", m.value, story::plainly(m)));
    }
}

/// The model as it was before the event.
fn before(m: &ModelEvidence, desk: &Desk, page: &mut Page) {
    page.gap();
    let name = desk.content.models.iter().find(|s| s.id == m.id).map_or("", |s| &s.name);
    let name = if name.is_empty() { String::new() } else { format!(" ({name})") };
    page.text(&format!("The model {} of {} before this event{name}:", m.id, story::of_whom(m, desk)));
    let judged = if m.verdict == "first" { "◄ new" } else { "◄ this event" };
    let mut bars: Vec<(String, u64, &str)> =
        m.top_bins.iter().map(|b| (b.value.clone(), b.count, if b.value == m.value { judged } else { "" })).collect();
    if !bars.iter().any(|b| !b.2.is_empty()) {
        bars.push((m.value.clone(), m.count, judged));
    }
    let rest = m.c.saturating_sub(bars.iter().filter(|b| b.1 > 0).count() as u64);
    page.bars(&bars);
    if rest > 0 {
        page.text(&format!("  … and {rest} more, which are rarer"));
    }
}
