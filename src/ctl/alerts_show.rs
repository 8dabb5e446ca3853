//! `agentctl alerts show ID`: what happened, why the rule fired, what was normal before, and what to do about it.

use super::Desk;
use super::explain::{silent_if, times};
use super::output::Output;
use super::page::{Look, Page, Tone};
use super::rules_show::{advice, sources};
use super::say_source;
use super::view::{StoredAlert, View, ViewError};
use crate::alert::{AgentIdentity, Alert, AlertKind, ModelEvidence, Severity};
use crate::calendar::format_instant;
use crate::rule::Rule;
use serde_json::{Value, json};

/// Arguments of `alerts show`.
#[derive(Clone, Debug, clap::Args)]
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
        let id = self.id.to_lowercase();
        if id.len() < SHORTEST_ID || id.len() > 32 || !id.bytes().all(|b| b.is_ascii_hexdigit()) {
            let message = format!("{:?} is no alert id: write {SHORTEST_ID} to 32 hexadecimal digits", self.id);
            return Err(ViewError::Usage(message));
        }
        Ok(id)
    }
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

fn page(stored: &StoredAlert, rule: Option<&Rule>, desk: &Desk, look: Look) -> String {
    let alert = &stored.alert;
    let mut page = Page::new(look);
    page.heading(&format!("{}  {}", alert.rule.id, alert.rule.name));
    let tone = match alert.severity() {
        Severity::Low => Tone::Plain,
        Severity::Medium => Tone::Warn,
        Severity::High | Severity::Critical => Tone::Bad,
    };
    page.toned(tone, &format!("score {}, {}", alert.score, alert.severity().name()));
    if let Some(rule) = rule {
        page.text(&rule.why);
    }
    about(stored, &mut page);
    happened(alert, &mut page);
    why(alert, &mut page);
    if let Some(model) = &alert.evidence.model {
        before(model, desk, &mut page);
    }
    let silent = silent_if(alert, rule, desk);
    if !silent.is_empty() {
        page.heading("It would not have fired if");
        silent.iter().for_each(|line| page.item(line));
    }
    if let Some(rule) = rule {
        advice(&mut page, &rule.triage, &rule.false_positives);
    } else if alert.kind == AlertKind::Detection {
        page.heading("What to look at next");
        page.text(
            "This agentctl's content does not have the rule, so it has no advice: pass the agent's own --config.",
        );
    }
    let r = &alert.rule;
    sources(&mut page, &r.attack, &r.author, &r.references, r.license.as_deref());
    page.finish()
}

fn about(stored: &StoredAlert, page: &mut Page) {
    let alert = &stored.alert;
    page.heading("Alert");
    page.value("id", &alert.id);
    page.value("for", format!("{} {}", alert.entity_kind.name(), alert.entity).trim_end());
    page.value("per", alert.value.as_deref().unwrap_or_default());
    page.value("peer group", alert.peer_group.as_deref().unwrap_or_default());
    page.value("in", &alert.sequence);
    page.value("came again", &if stored.repeats == 0 { String::new() } else { times(stored.repeats) });
    page.value("detected", &format_instant(alert.detected_ms));
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
    page.value("time", &format_instant(alert.time_ms));
    page.value("event", &alert.event_type);
    alert.fields.iter().for_each(|(name, value)| page.value(name, value));
    if let Some(o) = &alert.origin {
        page.value("read from", &format!("{}, line {}, byte {}", o.file, o.line, o.offset));
    }
}

fn why(alert: &Alert, page: &mut Page) {
    let e = &alert.evidence;
    if e.matched.is_empty() && e.sum.is_none() && e.notes.is_empty() {
        return;
    }
    page.heading("Why it fired");
    for m in &e.matched {
        page.value(&m.field, &format!("{}  ({})", m.value, m.test));
    }
    if let Some(s) = &e.sum {
        let history = s.history_days.map_or_else(String::new, |d| format!(", {d} history days"));
        page.value(&format!("sum of {}", s.field), &format!("{}, reaches {}{history}", s.total, s.reaches));
    }
    e.notes.iter().for_each(|note| page.item(note));
}

/// The model as it was before the event.
fn before(m: &ModelEvidence, desk: &Desk, page: &mut Page) {
    page.heading(&format!("The model {} of {} before this event", m.id, m.scope));
    if let Some(spec) = desk.content.models.iter().find(|s| s.id == m.id) {
        page.text(&spec.name);
    }
    let converged = if m.converged { "converged" } else { "still learning" };
    page.value("N, C", &format!("{} counted, {} different", m.n, m.c));
    page.value("confidence", &format!("{:.3}, {converged}", m.confidence));
    page.value("history", &format!("{} days", m.history_days));
    page.value("said", &said(m));
    let judged = if m.verdict == "first" { "◄ new" } else { "◄ this event" };
    let mut bars: Vec<(String, u64, &str)> =
        m.top_bins.iter().map(|b| (b.value.clone(), b.count, if b.value == m.value { judged } else { "" })).collect();
    let rest = m.c.saturating_sub(bars.len() as u64);
    if !bars.iter().any(|b| !b.2.is_empty()) {
        bars.push((m.value.clone(), m.count, judged));
    }
    page.bars(&bars);
    if rest > 0 {
        page.text(&format!("… and {rest} more"));
    }
}

fn said(m: &ModelEvidence) -> String {
    let rank = m.rank.map(|r| format!(", number {r} of {}", m.c));
    let threshold = m.threshold.map(|t| match m.rank {
        Some(_) => format!(", top is up to number {t}"),
        None => format!(", abnormal is below {t}"),
    });
    let median = m.median.map(|median| format!(", median {median}"));
    let rest: String = [rank, threshold, median].into_iter().flatten().collect();
    format!("{}: counted {} before{rest}", m.verdict, m.count)
}
