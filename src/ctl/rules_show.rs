//! `agentctl rules show ID`: why a rule exists, when it fires, and what to do about its alerts.

use super::explain::{self, technique_link};
use super::output::Output;
use super::page::{Look, Page, Tone};
use super::view::{RuleRow, SilencedRow, View, ViewError};
use super::{Desk, say_source};
use crate::calendar::format_day;
use crate::content::Kind;
use crate::content::fault::suggest;
use crate::content::layers::Item;
use crate::rule::exception::Exception;
use crate::rule::{Period, Rule};
use serde::Serialize;

/// Arguments of `rules show`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:\n  id=$(agentctl rules list --format csv | tail -n 1 | cut -d , -f 1)\n  \
agentctl rules show $id\n  agentctl rules show $id --format json")]
pub struct Arguments {
    /// Id of the rule, without regard to case
    #[arg(value_name = "ID")]
    id: String,
}

/// A rule for a program.
#[derive(Serialize)]
struct RuleDetails<'r> {
    /// Id.
    id: &'r str,
    /// Name.
    name: &'r str,
    /// Revision; alerts of another one have other ids.
    revision: u32,
    /// What it is about.
    why: &'r str,
    /// ATT&CK technique ids.
    attack: &'r [String],
    /// Score.
    score: u32,
    /// Event types that it judges.
    events: Vec<&'static str>,
    /// `user` or `host`: whose day or month it goes by.
    entity: &'static str,
    /// The field that it is "per", besides the entity.
    per: Option<&'static str>,
    /// How long it stays silent after it fired: `day` or `month`.
    period: &'static str,
    /// Its condition and what state must say, in words.
    fires_when: Vec<String>,
    /// What becomes of alerts about what is common, in words: what options have switched on, and a site's own clauses.
    when_common: Vec<String>,
    /// What of it cannot be asked here; of a Sigma rule.
    limits: &'r [String],
    /// Whether it is switched on.
    enabled: bool,
    /// Why it cannot fire; null when it can, and when no agent could be asked.
    inert: Option<String>,
    /// Kept alerts of it; null when no agent could be asked.
    alerts: Option<u64>,
    /// What to look at next.
    triage: &'r [String],
    /// Known false positives.
    false_positives: &'r [String],
    /// What it is known not to find.
    blind_spots: &'r [String],
    /// Authors of what it re-expresses.
    author: &'r [String],
    /// Links.
    references: &'r [String],
    /// Licence of what it re-expresses.
    license: Option<&'r str>,
    /// The content file it came from.
    file: &'r str,
    /// Whether it is as shipped, what it replaces, and what patches set.
    origin: Vec<String>,
    /// For whom no alerts of it are made.
    exceptions: Vec<ExceptionDetails<'r>>,
}

/// An exception of the rule.
#[derive(Serialize)]
struct ExceptionDetails<'r> {
    /// Its name.
    id: &'r str,
    /// For whom and where.
    subject: String,
    /// The last day on which it holds.
    until: Option<String>,
    /// Why it is there.
    reason: &'r str,
    /// Where it stands.
    place: String,
    /// Alerts of this rule that it has silenced; null when no agent could be asked.
    silenced: Option<u64>,
    /// The latest day of which one was, or the first of the month.
    last_day: Option<String>,
    /// Whom that one would have been about.
    last_entity: Option<String>,
}

/// The agent is asked for what only it knows; without one, the content still tells the rest.
pub(super) fn run(
    arguments: &Arguments,
    view: Result<Box<dyn View>, ViewError>,
    desk: &Desk,
    output: &mut Output<'_>,
) -> Result<(), ViewError> {
    let rules = &desk.content.rules;
    let rule = rules.iter().find(|r| r.id.eq_ignore_ascii_case(&arguments.id)).ok_or_else(|| {
        let hint = suggest(&arguments.id, rules.iter().map(|r| r.id.as_str()));
        ViewError::NotFound(format!("no rule {:?}{hint}; `agentctl rules list` names them", arguments.id))
    })?;
    let (row, silenced, source, why_not) = match view {
        Ok(mut view) => {
            let row = view.rules()?.into_iter().find(|r| r.id == rule.id);
            (row, Some(view.silenced()?), Some(view.source()), None)
        }
        Err(e @ (ViewError::Unreachable(_) | ViewError::NotFound(_))) => (None, None, None, Some(e.to_string())),
        Err(e) => return Err(e),
    };
    let details =
        RuleDetails { exceptions: exceptions(rule, silenced.as_deref(), desk), ..details(rule, row.as_ref(), desk) };
    output.thing(&details, |look| page(&details, row.as_ref(), why_not.as_deref(), look)).map_err(ViewError::Output)?;
    source.map_or(Ok(()), |source| say_source(&source, output))
}

fn details<'r>(rule: &'r Rule, row: Option<&RuleRow>, desk: &Desk) -> RuleDetails<'r> {
    RuleDetails {
        id: &rule.id,
        name: &rule.name,
        revision: rule.revision,
        why: &rule.why,
        attack: &rule.attack,
        score: rule.score,
        events: rule.events.iter().map(|e| e.name()).collect(),
        entity: rule.entity.name(),
        per: rule.per.map(|f| f.name()),
        period: match rule.period {
            Period::Day => "day",
            Period::Month => "month",
        },
        fires_when: explain::fires_when(rule, desk),
        when_common: explain::when_common(rule, desk),
        limits: rule.sigma.as_ref().map(|s| s.limits.as_slice()).unwrap_or_default(),
        enabled: rule.enabled,
        inert: row.and_then(|r| r.inert.clone()),
        alerts: row.map(|r| r.alerts),
        triage: &rule.triage,
        false_positives: &rule.false_positives,
        blind_spots: &rule.blind_spots,
        author: &rule.author,
        references: &rule.references,
        license: rule.license.as_deref(),
        file: &rule.file,
        origin: desk.content.layers.item(Kind::Rule, &rule.id).map(Item::story).unwrap_or_default(),
        exceptions: Vec::new(),
    }
}

fn exceptions<'d>(rule: &Rule, silenced: Option<&[SilencedRow]>, desk: &'d Desk) -> Vec<ExceptionDetails<'d>> {
    let of = |e: &'d Exception| {
        let count = silenced.and_then(|rows| rows.iter().find(|s| s.exception == e.id && s.rule == rule.id));
        ExceptionDetails {
            id: &e.id,
            subject: e.subject(),
            until: e.until.map(format_day),
            reason: &e.reason,
            place: format!("{}:{}", e.file, e.line),
            silenced: silenced.map(|_| count.map_or(0, |c| c.count)),
            last_day: count.map(|c| c.last_day.clone()),
            last_entity: count.map(|c| c.last_entity.clone()).filter(|e| !e.is_empty()),
        }
    };
    desk.content.exceptions.all.iter().filter(|e| e.is_for(&rule.id)).map(of).collect()
}

fn page(rule: &RuleDetails<'_>, row: Option<&RuleRow>, why_not: Option<&str>, look: Look) -> String {
    let mut page = Page::new(look);
    page.heading(&format!("{}  {}", rule.id, rule.name));
    page.text(rule.why);
    let per = rule.per.map_or_else(String::new, |p| format!("{p}, "));
    page.heading("Rule");
    page.value("score", &format!("{} ({})", rule.score, crate::alert::Severity::of(rule.score).name()));
    page.value("events", &rule.events.join(", "));
    page.value("fires once per", &format!("{}, {per}{}", rule.entity, rule.period));
    page.value("file", &format!("{}, revision {}", rule.file, rule.revision));
    rule.origin.iter().for_each(|line| page.value("origin", line));
    match (row, why_not) {
        (Some(row), _) => {
            page.value("state", &row.state());
            page.value("alerts kept", &row.alerts.to_string());
        }
        (None, Some(why)) => {
            page.value("state", if rule.enabled { "enabled" } else { "disabled" });
            page.toned(Tone::Warn, &format!("Whether it can fire, and its alerts, are not known: {why}"));
        }
        (None, None) => page.toned(Tone::Warn, "The agent does not have this rule: its content is of another version."),
    }
    page.heading("Fires when");
    rule.fires_when.iter().for_each(|line| page.item(line));
    if !rule.when_common.is_empty() {
        page.heading("When it is common");
        rule.when_common.iter().for_each(|line| page.item(line));
    }
    if !rule.exceptions.is_empty() {
        page.heading("Except for");
        rule.exceptions.iter().for_each(|e| page.item(&e.in_words()));
    }
    if !rule.blind_spots.is_empty() {
        page.heading("Does not find");
        rule.blind_spots.iter().for_each(|line| page.item(line));
    }
    if !rule.limits.is_empty() {
        page.heading("What of it cannot be asked here");
        rule.limits.iter().for_each(|line| page.item(line));
    }
    advice(&mut page, rule.triage, rule.false_positives);
    sources(&mut page, rule.attack, rule.author, rule.references, rule.license);
    page.finish()
}

impl ExceptionDetails<'_> {
    fn in_words(&self) -> String {
        let subject = if self.subject.is_empty() { "everything" } else { &self.subject };
        let until = self.until.as_ref().map_or_else(String::new, |day| format!(" until {day}"));
        let silenced = match (self.silenced, &self.last_day) {
            (None, _) => String::new(),
            (Some(0), _) | (_, None) => "; it has silenced nothing".to_owned(),
            (Some(n), Some(day)) => {
                let about = self.last_entity.as_ref().map_or_else(String::new, |e| format!(" about {e}"));
                format!("; it has silenced {n} alerts, the last{about} on {day}")
            }
        };
        format!("{subject}{until}: {} ({}, {}){silenced}", self.reason, self.id, self.place)
    }
}

/// What to do next, and what it often is instead.
pub(super) fn advice(page: &mut Page, triage: &[String], false_positives: &[String]) {
    if !triage.is_empty() {
        page.heading("What to look at next");
        triage.iter().for_each(|line| page.item(line));
    }
    if !false_positives.is_empty() {
        page.heading("Known false positives");
        false_positives.iter().for_each(|line| page.item(line));
    }
}

/// Techniques, links, and whose work it is.
pub(super) fn sources(
    page: &mut Page,
    attack: &[String],
    author: &[String],
    references: &[String],
    license: Option<&str>,
) {
    page.heading("References");
    for technique in attack {
        page.value(technique, &technique_link(technique).unwrap_or_default());
    }
    references.iter().for_each(|link| page.value("see", link));
    if !author.is_empty() {
        page.value("after a rule by", &author.join(", "));
    }
    page.value("licence", license.unwrap_or_default());
}
