//! `agentctl rules test --line TEXT`: what becomes of one record: parser, fields, and rule by rule whether its condition
//! holds, or the first thing that failed.

use super::Desk;
use super::explain::asks_of_state;
use super::output::Output;
use super::page::{Look, Page, Tone};
use super::story;
use super::view::ViewError;
use crate::alert::Matched;
use crate::batch::Format;
use crate::calendar::{Zone, format_instant};
use crate::content::fault::suggest;
use crate::event::{EventType, EventView, Flag, Oddity, Reject};
use crate::extract::{Examined, examine};
use crate::parse::{Told, WhyNot};
use crate::rule::{Rule, Scratch};
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::io::Read;

/// Arguments of `rules test`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:\n  agentctl rules test --line \"$(tail -n 1 dtex.cef)\"\n  \
grep plink dtex.cef | head -n 1 | agentctl rules test --line -\n\n\
Uses the content of the config, and no state: what a rule asks of a model is named, not answered.")]
pub struct Arguments {
    /// A record as it stands in the spool; `-` reads it from standard input
    #[arg(long, value_name = "TEXT")]
    line: String,
    /// The header row of the CSV file that the row stands in
    #[arg(long, value_name = "TEXT")]
    header: Option<String>,
    /// Only this rule
    #[arg(long, value_name = "ID")]
    rule: Option<String>,
}

/// Longest record that is read from standard input, bytes.
const MAX_LINE_BYTES: u64 = 1 << 20;

/// What becomes of a record.
#[derive(Serialize)]
struct Report<'c> {
    /// How the record was read: `cef` or `csv`.
    format: &'static str,
    /// The parser; null when the record is no event.
    parser: Option<&'c str>,
    /// Why it is no event.
    refused: Option<String>,
    /// The activity that the record names, known or not.
    activity: Option<String>,
    /// The other parsers.
    other_parsers: Vec<OtherParser>,
    /// Type of the event.
    event_type: Option<&'static str>,
    /// When it happened.
    time: Option<String>,
    /// Fields by name, enriched ones included.
    fields: Map<String, Value>,
    /// What enrichment found out.
    flags: Vec<&'static str>,
    /// What was strange about the record.
    odd: Vec<&'static str>,
    /// What the rules of its type say.
    rules: Vec<Judged<'c>>,
    /// Rules of other event types.
    other_rules: usize,
    /// Models that it trains.
    trains: Vec<&'c str>,
}

/// A parser that does not take the record.
#[derive(Serialize)]
struct OtherParser {
    /// The parser.
    parser: String,
    /// The activities that it takes.
    takes: Vec<String>,
    /// Why it does not take this one.
    why_not: String,
    /// Whether that is because of the activity: a page names such parsers together.
    #[serde(skip)]
    of_another_activity: bool,
}

/// What a rule says.
#[derive(Serialize)]
struct Judged<'c> {
    /// The rule.
    rule: &'c str,
    /// Whether its condition holds.
    holds: bool,
    /// Whether it is switched on.
    enabled: bool,
    /// Conditions that hold.
    matched: Vec<Matched>,
    /// The first condition that failed.
    why_not: Option<String>,
    /// What must be so besides.
    needs: Vec<String>,
}

pub(super) fn run(arguments: &Arguments, desk: &Desk, output: &mut Output<'_>) -> Result<(), ViewError> {
    let rules = &desk.content.rules;
    if let Some(id) = &arguments.rule
        && !rules.iter().any(|r| r.id.eq_ignore_ascii_case(id))
    {
        let hint = suggest(id, rules.iter().map(|r| r.id.as_str()));
        return Err(ViewError::NotFound(format!("no rule {id:?}{hint}; `agentctl rules list` names them")));
    }
    let line = match arguments.line.as_str() {
        "-" => from_stdin()?,
        line => line.to_owned(),
    };
    let line = line.trim_end_matches(['\r', '\n']);
    if line.is_empty() {
        return Err(ViewError::Usage("the line is empty; write a record as it stands in the spool".into()));
    }
    if let Some(header) = &arguments.header
        && desk.content.parsers.csv_header(header.trim_end().as_bytes()).is_none()
    {
        let what = "--header is no header row that is known: it lacks the columns by which one is told";
        return Err(ViewError::Usage(what.into()));
    }
    let zone = Zone::named(&desk.settings.detection.timezone).map_err(ViewError::Failed)?;
    let header = arguments.header.as_deref().map(|h| h.trim_end().as_bytes());
    let report = examine(&desk.content, line.as_bytes(), header, &zone, |examined| {
        report(&examined, arguments.rule.as_deref(), desk)
    });
    output.thing(&report, |look| page(&report, look)).map_err(ViewError::Output)
}

fn from_stdin() -> Result<String, ViewError> {
    let mut bytes = Vec::new();
    let read = std::io::stdin().lock().take(MAX_LINE_BYTES).read_to_end(&mut bytes);
    read.map_err(|e| ViewError::Failed(format!("standard input: {e}")))?;
    let first = bytes.split(|b| *b == b'\n').next().unwrap_or_default();
    Ok(String::from_utf8_lossy(first).into_owned())
}

fn report<'c>(examined: &Examined<'_>, only: Option<&str>, desk: &'c Desk) -> Report<'c> {
    let content = &desk.content;
    let (draft, event) = (examined.event.draft, examined.event);
    let parser = examined.parsed.ok().and_then(|p| content.parsers.ids().get(usize::from(p)).copied());
    let mut report = Report {
        format: if examined.format == Format::Cef { "cef" } else { "csv" },
        parser,
        refused: examined.parsed.err().map(|why| refused(why, examined)),
        activity: examined.activity.clone(),
        other_parsers: examined.parsers.iter().filter_map(|told| other(told, examined)).collect(),
        event_type: None,
        time: None,
        fields: Map::new(),
        flags: Vec::new(),
        odd: Oddity::ALL.iter().filter(|o| examined.oddities.get(o.index()) > 0).map(|o| o.name()).collect(),
        rules: Vec::new(),
        other_rules: 0,
        trains: Vec::new(),
    };
    if parser.is_none() {
        return report;
    }
    report.event_type = Some(draft.kind.name());
    report.time = Some(format_instant(draft.time_ms));
    report.flags = Flag::ALL.iter().filter(|f| draft.flags.has(**f)).map(|f| f.name()).collect();
    for field in draft.present.iter() {
        let value = String::from_utf8_lossy(event.get(field).unwrap_or_default()).into_owned();
        report.fields.insert(field.display_name(draft.kind).into(), value.into());
    }
    let mut scratch = Scratch::new(desk.settings.limits.max_command_chars);
    let mut rules: Vec<&Rule> = content.rules.iter().collect();
    rules.sort_by(|a, b| a.id.cmp(&b.id));
    for rule in rules {
        if !rule.events.iter().any(|e| draft.kind.is_a(*e)) {
            report.other_rules += 1;
            if only.is_some_and(|id| rule.id.eq_ignore_ascii_case(id)) {
                report.rules.push(elsewhere(rule, draft.kind));
            }
        } else if only.is_none_or(|id| rule.id.eq_ignore_ascii_case(id)) {
            report.rules.push(judged(rule, event, &mut scratch, desk));
        }
    }
    for model in &content.models {
        scratch.begin();
        let is_of_type = model.events.iter().any(|e| draft.kind.is_a(*e));
        if is_of_type && draft.present.contains(model.feature) && model.condition.holds(event, &mut scratch) {
            report.trains.push(&model.id);
        }
    }
    report
}

fn judged<'c>(rule: &'c Rule, event: EventView<'_>, scratch: &mut Scratch, desk: &Desk) -> Judged<'c> {
    let why_not = rule.condition.why_not(event, scratch);
    scratch.begin();
    let holds = why_not.is_none();
    let mut needs = if holds { asks_of_state(rule, desk) } else { Vec::new() };
    if holds && !rule.enabled {
        needs.push("it is switched on, which it is not".into());
    }
    let matched = if holds { rule.condition.explain(event, scratch) } else { Vec::new() };
    Judged { rule: &rule.id, holds, enabled: rule.enabled, matched, why_not, needs }
}

/// What a rule says of an event of a type that it is not about.
fn elsewhere(rule: &Rule, kind: EventType) -> Judged<'_> {
    let types: Vec<&str> = rule.events.iter().map(|e| e.name()).collect();
    let why_not = Some(format!("it is about {} events, and this is {kind}", types.join(" and ")));
    Judged { rule: &rule.id, holds: false, enabled: rule.enabled, matched: Vec::new(), why_not, needs: Vec::new() }
}

/// A parser that does not take a record, and why.
fn other(told: &Told<'_>, examined: &Examined<'_>) -> Option<OtherParser> {
    let takes = told.takes.join(" and ");
    let why_not = match told.why_not.as_ref()? {
        WhyNot::Format(Format::Csv) => "it reads CSV rows, and this is a CEF line".into(),
        WhyNot::Format(Format::Cef) => "it reads CEF lines, and this is a CSV row".into(),
        WhyNot::Vendor(vendor) => format!("it does not read lines of the vendor {vendor:?}"),
        WhyNot::Activity => match &examined.activity {
            Some(activity) => format!("it takes {takes}, and the activity is {activity}"),
            None => format!("it takes {takes}, and no activity can be read"),
        },
        WhyNot::Refused(why) => format!("it takes {takes}, but: {why}"),
    };
    let of_another_activity = told.why_not == Some(WhyNot::Activity);
    Some(OtherParser { parser: told.parser.to_owned(), takes: told.takes.clone(), why_not, of_another_activity })
}

/// Why a record is no event, and what to look at.
fn refused(why: Reject, examined: &Examined<'_>) -> String {
    if let (Reject::UnknownActivity, Some(activity)) = (why, &examined.activity) {
        let known: Vec<&str> = examined.parsers.iter().flat_map(|t| &t.takes).map(String::as_str).collect();
        return format!("{why}: no parser takes its activity {activity:?}{}", suggest(activity, known));
    }
    let hint = match (why, examined.format) {
        (Reject::UnknownActivity, _) => ": no parser takes its activity",
        (Reject::NoParser, Format::Csv) => {
            ": there is no CEF: in it, and it is no row that is known; a row of a file with a header needs --header"
        }
        (Reject::NoParser, Format::Cef) => ": its vendor is another one, or CEF: does not stand at its beginning",
        (Reject::BadTime, _) => {
            ": its time is missing or not read; an epoch of 10 or 13 digits is, in CSV also a date and time"
        }
        (Reject::ShortRow, _) => {
            ": it has fewer cells than a row has; of a CSV file with a header, --header tells the columns"
        }
        (Reject::BadHeader, _) => ": its header has fewer than seven delimiters",
        _ => "",
    };
    format!("{why}{hint}")
}

fn page(report: &Report<'_>, look: Look) -> String {
    let mut page = Page::new(look);
    if let Some(why) = &report.refused {
        page.toned(Tone::Bad, &format!("No event: {why}"));
        page.heading("Why no parser takes it");
        others(report, &mut page);
        return page.finish();
    }
    page.heading("Event");
    for (name, value) in [
        ("parser", report.parser.unwrap_or_default()),
        ("type", report.event_type.unwrap_or_default()),
        ("time", report.time.as_deref().unwrap_or_default()),
        ("flags", &report.flags.join(", ")),
        ("odd", &report.odd.join(", ")),
        ("trains", &report.trains.join(", ")),
    ] {
        page.value(name, value);
    }
    page.heading("Fields");
    for (name, value) in &report.fields {
        page.value(name, value.as_str().unwrap_or_default());
    }
    let (hold, fail): (Vec<_>, Vec<_>) = report.rules.iter().partition(|rule| rule.holds);
    if !hold.is_empty() {
        page.heading("Conditions that hold");
    }
    for rule in hold {
        page.toned(Tone::Warn, &format!("  {}", rule.rule));
        for m in &rule.matched {
            page.item(&format!("{} {} ({})", m.field, m.value, story::plainly(m)));
        }
        match rule.needs.as_slice() {
            [] => page.item("fires, unless it has for the same entity and period"),
            needs => needs.iter().for_each(|need| page.item(&format!("fires only if {need}"))),
        }
    }
    if !fail.is_empty() {
        page.heading("Conditions that do not hold, and the first thing that failed");
    }
    for rule in fail {
        page.value(rule.rule, &story::shortened(rule.why_not.as_deref().unwrap_or_default()));
    }
    if report.other_rules > 0 {
        page.heading(&format!("{} rules are about other types of events", report.other_rules));
    }
    page.heading("Why the other parsers do not take it");
    others(report, &mut page);
    page.finish()
}

/// The parsers by what keeps them from it; one that came close stands alone.
fn others(report: &Report<'_>, page: &mut Page) {
    let activity = report.activity.as_deref().map_or_else(|| "it names none".to_owned(), |a| format!("this is {a}"));
    let (others, rest): (Vec<_>, Vec<_>) = report.other_parsers.iter().partition(|p| p.of_another_activity);
    let mut by_reason: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for p in rest {
        by_reason.entry(&p.why_not).or_default().push(&p.parser);
    }
    by_reason.iter().for_each(|(why, parsers)| page.item(&format!("{}: {why}", parsers.join(", "))));
    if !others.is_empty() {
        let takes: Vec<String> = others.iter().map(|p| format!("{} ({})", p.takes.join(", "), p.parser)).collect();
        page.item(&format!("{} parsers take another activity, and {activity}: {}", others.len(), takes.join(", ")));
    }
}
