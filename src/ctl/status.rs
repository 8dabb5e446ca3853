//! `agentctl status`: how the agent does, worst news first.

use super::escape::for_terminal;
use super::files::{FileRow, Lag};
use super::health::{self, Health};
use super::output::{Format, Output, Table};
use super::page::{Look, Page, Tone, keep_end};
use super::view::{StatusReport, View, ViewError, to_the_minute, to_the_second};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Files on the screen.
const MAX_FILES: usize = 8;
/// The same where all is well.
const MIN_FILES: usize = 3;
/// Columns that the numbers beside a file's name take, and those that are left to the name at least.
const NUMBERS: usize = 64;
const MIN_NAME: usize = 16;

/// Arguments of `status`.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(after_help = "Examples:\n  agentctl status\n  agentctl status --watch")]
pub struct Arguments {
    /// Show it again and again until interrupted: a screen on a terminal, an object a line in a pipe
    #[arg(long)]
    watch: bool,
}

/// Least time between two screens. A status of a large state takes a while to read; then it is shown less often, so that
/// whoever watches does not keep the agent busy.
const PAUSE: Duration = Duration::from_secs(2);
/// So many times as long as a status takes to read is waited for the next one.
const REST: u32 = 10;

/// Clears the screen and begins at its top.
const CLEAR: &str = "\u{1b}[2J\u{1b}[H";

pub(super) fn run(
    arguments: &Arguments,
    open: impl Fn() -> Result<Box<dyn View>, ViewError>,
    output: &mut Output<'_>,
) -> Result<(), ViewError> {
    if !arguments.watch {
        return show(&mut *open()?, output);
    }
    loop {
        let since = Instant::now();
        // Anew each time: an agent that stops or comes back is seen to.
        let view = open();
        if output.format == Format::Table {
            output.text(CLEAR).map_err(ViewError::Output)?;
        }
        match view.and_then(|mut view| show(&mut *view, output)) {
            Err(e @ ViewError::Unreachable(_)) if output.format == Format::Table => {
                output.text(&format!("{}\n", for_terminal(&e.to_string()))).map_err(ViewError::Output)?;
            }
            other => other?,
        }
        output.flush().map_err(ViewError::Output)?;
        std::thread::sleep(PAUSE.max(since.elapsed() * REST));
    }
}

fn show(view: &mut dyn View, output: &mut Output<'_>) -> Result<(), ViewError> {
    let report = view.status()?;
    output.thing(&report, |look| page(&report, look)).map_err(ViewError::Output)
}

/// The answer first, then what needs a look, then the numbers behind it.
fn page(report: &StatusReport, look: Look) -> String {
    let mut page = Page::new(look);
    page.toned(Health::tone(report), &report.summary);
    trouble(report, &mut page);
    page.gap();
    if let Some(p) = &report.process {
        let up = duration(p.up_secs);
        page.value(
            "agent",
            &format!("pid {}, version {}, up {up} since {}", p.pid, p.version, to_the_minute(&p.started)),
        );
    }
    reading(report, &mut page);
    judging(report, &mut page);
    delivery(report, &mut page);
    silenced(report, &mut page);
    let mut text = page.finish();
    text.push_str(&files(report, look));
    if !report.inert.is_empty() {
        let mut page = Page::new(look);
        text.push('\n');
        page.heading("Rules that cannot fire");
        inert(report, &mut page);
        text.push_str(&page.finish());
    }
    text
}

/// What someone should look at, worst first.
fn trouble(report: &StatusReport, page: &mut Page) {
    let bad = health::troubles(report);
    bad.iter().for_each(|line| page.toned_item(Tone::Bad, line));
    let others = report.warnings.iter().filter(|line| !bad.contains(line));
    others.for_each(|line| page.toned_item(Tone::Warn, line));
}

fn reading(report: &StatusReport, page: &mut Page) {
    let newest = report.newest_day.as_ref().map_or_else(String::new, |day| format!(", up to {day}"));
    let files = report.files.len();
    let of = if files == 1 { "1 file".to_owned() } else { format!("{files} files") };
    page.value("read", &format!("{} records, {}, of {of}{newest}", report.records, bytes(report.bytes)));
    if let Some(lag) = &report.lag {
        page.value("behind", &behind(lag));
        if lag.waiting_files > 0 {
            let waiting =
                format!("{} files, {}, until older ones are read", lag.waiting_files, bytes(lag.waiting_bytes));
            page.value("waiting", &waiting);
        }
    }
    page.value("events", &counts(&report.events));
    let rejects: u64 = report.rejects.values().sum();
    if rejects > 0 {
        page.value("no events", &format!("{} of {} records: {}", rejects, report.records, counts(&report.rejects)));
    }
    if report.oddities.values().any(|n| *n > 0) {
        page.value("oddities", &counts(&report.oddities));
    }
    if report.late + report.future > 0 {
        page.value(
            "late, future",
            &format!("{}, {}: judged without a model, nothing learned", report.late, report.future),
        );
    }
}

/// What exceptions have silenced since the state began.
fn silenced(report: &StatusReport, page: &mut Page) {
    if report.silenced > 0 {
        let (alerts, exceptions) = (report.silenced, report.silencing);
        let of = if exceptions == 1 { "1 exception".to_owned() } else { format!("{exceptions} exceptions") };
        page.value("silenced", &format!("{alerts} alerts by {of} (agentctl content exceptions)"));
    }
}

fn behind(lag: &Lag) -> String {
    if lag.bytes == 0 {
        return "nothing".into();
    }
    let mut behind = approximately(lag.bytes, lag.compressed_bytes > 0);
    if lag.compressed_bytes > 0 {
        behind.push_str(&format!(" ({} of it compressed)", bytes(lag.compressed_bytes)));
    }
    if let Some(secs) = lag.secs.filter(|secs| *secs > 0) {
        behind.push_str(&format!(", {}", duration(secs)));
    }
    if let Some(oldest) = &lag.oldest_unread {
        behind.push_str(&format!("; the oldest unread event is of {}", to_the_minute(oldest)));
    }
    behind
}

fn judging(report: &StatusReport, page: &mut Page) {
    for m in &report.models {
        let saturated = if m.saturated > 0 { format!(", {} saturated", m.saturated) } else { String::new() };
        let state = match (m.instances, m.learning) {
            (0, _) => "nothing learned yet".to_owned(),
            (n, 0) => format!("{n} of {n} have converged{saturated}"),
            (n, learning) => format!("{} of {n} have converged, {learning} learn{saturated}", m.converged),
        };
        page.value(&m.model, &state);
    }
    if let Some(commit) = &report.last_commit {
        let known = report.memory.as_ref().map_or_else(String::new, |m| {
            let away = if m.away > 0 { format!(", {} users and hosts on disk alone", m.away) } else { String::new() };
            format!("; {} in memory{away}", bytes(m.resident_bytes))
        });
        page.value("last commit", &format!("number {} at {}{known}", commit.epoch, to_the_second(&commit.at)));
    }
    let full: Vec<String> = report
        .queues
        .iter()
        .filter(|q| q.depth > 0)
        .map(|q| format!("{} {}{}", q.depth, q.name, q.limit.map_or_else(String::new, |l| format!(" (of {l})"))))
        .collect();
    page.value("in hand", &full.join(", "));
}

/// Rules by what they lack.
fn inert(report: &StatusReport, page: &mut Page) {
    let mut by_reason: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for r in &report.inert {
        by_reason.entry(&r.reason).or_default().push(&r.rule);
    }
    let mut by_reason: Vec<(&str, Vec<&str>)> = by_reason.into_iter().collect();
    by_reason.sort_by_key(|(reason, rules)| (std::cmp::Reverse(rules.len()), *reason));
    // With public rules there may be hundreds; JSON and `rules list` have all.
    let more = by_reason.split_off(by_reason.len().min(SHOWN_REASONS));
    for (reason, rules) in by_reason {
        let named: Vec<&str> = rules.iter().take(SHOWN_RULES).copied().collect();
        let others = rules.len() - named.len();
        let and = if others > 0 { format!(" and {others} more") } else { String::new() };
        page.item(&format!("{}{and}: {reason}", named.join(", ")));
    }
    let others: usize = more.iter().map(|(_, rules)| rules.len()).sum();
    if others > 0 {
        page.item(&format!("{others} more, for {} other reasons; `agentctl rules list` has them all", more.len()));
    }
}

/// Reasons that the page of status shows, those of most rules first.
const SHOWN_REASONS: usize = 8;
/// Rules that it names for each.
const SHOWN_RULES: usize = 6;

/// `~1.5 MiB`, where compressed bytes are counted.
fn approximately(n: u64, compressed: bool) -> String {
    if compressed && n > 0 { format!("~{}", bytes(n)) } else { bytes(n) }
}

fn needs_a_look(f: &FileRow) -> bool {
    f.error.is_some() || f.lag_bytes.is_some_and(|n| n > 0)
}

fn files(report: &StatusReport, look: Look) -> String {
    if report.files.is_empty() {
        return String::new();
    }
    let mut table = Table::with_look(&["file", "format", "lines", "behind", "event time", "rejects", "state"], look);
    // The screen shows what needs a look: trouble first, then what is behind, then the newest names. JSON has all.
    let mut rows: Vec<&FileRow> = report.files.iter().collect();
    rows.sort_by_key(|f| std::cmp::Reverse((f.error.is_some(), f.lag_bytes.unwrap_or(0), f.path.as_str())));
    let shown = rows.iter().take_while(|f| needs_a_look(f)).count().clamp(MIN_FILES, MAX_FILES);
    let room = look.width.map_or(usize::MAX, |width| width.saturating_sub(NUMBERS).max(MIN_NAME));
    for f in rows.iter().take(shown) {
        table.row(vec![
            keep_end(&f.path, room),
            f.format.clone().unwrap_or_else(|| "-".into()),
            f.lines.to_string(),
            f.lag_bytes.map_or_else(|| "-".into(), |n| approximately(n, f.compressed)),
            f.lag_secs.map_or_else(|| "-".into(), duration),
            f.rejects.to_string(),
            f.state.clone(),
        ]);
    }
    let more = report.files.len().saturating_sub(shown);
    let more = if more > 0 { format!("… and {more} more; --format json lists all\n") } else { String::new() };
    format!("\n{}{more}", table.render())
}

fn delivery(report: &StatusReport, page: &mut Page) {
    let suppressed =
        if report.suppressed > 0 { format!(", {} of them held back", report.suppressed) } else { String::new() };
    page.value("alerts", &format!("{}{suppressed}", report.alerts));
    for s in &report.sinks {
        let numbers = [
            (s.below_min_score, "below min_score"),
            (s.queued, "waiting"),
            (s.suppressed, "held back"),
            (s.truncated, "cut to fit"),
            (s.delivered_again, "delivered again"),
            (s.errors, "failed attempts"),
        ];
        let more = numbers.iter().filter(|n| n.0 > 0).map(|(n, what)| format!(", {n} {what}")).collect::<String>();
        page.value(&format!("sink {}", s.name), &format!("{} delivered{more}", s.delivered));
    }
}

/// `a 3, b 2`: the largest first; what is zero is left out.
fn counts(counts: &BTreeMap<String, u64>) -> String {
    let mut all: Vec<_> = counts.iter().filter(|(_, n)| **n > 0).collect();
    if all.is_empty() {
        return "none".into();
    }
    all.sort_by_key(|(_, n)| std::cmp::Reverse(**n));
    all.iter().map(|(name, n)| format!("{name} {n}")).collect::<Vec<_>>().join(", ")
}

/// `1.5 MiB`.
pub(super) fn bytes(n: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB"];
    if n < 1024 {
        return format!("{n} B");
    }
    let mut size = n as f64 / 1024.0;
    let mut unit = 0;
    while size >= 1024.0 && unit + 1 < units.len() {
        size /= 1024.0;
        unit += 1;
    }
    format!("{size:.1} {}", units.get(unit).copied().unwrap_or_default())
}

/// `3 d 4 h`: the two largest units.
pub(super) fn duration(secs: u64) -> String {
    let parts = [(secs / 86_400, "d"), (secs / 3600 % 24, "h"), (secs / 60 % 60, "min"), (secs % 60, "s")];
    let shown: Vec<String> = parts
        .iter()
        .skip_while(|p| p.0 == 0)
        .take(2)
        .filter(|p| p.0 > 0)
        .map(|(n, unit)| format!("{n} {unit}"))
        .collect();
    if shown.is_empty() { "0 s".into() } else { shown.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times_have_two_figures_that_matter() {
        let sizes = [0, 1023, 1536, 5 << 20, u64::MAX].map(bytes);
        assert_eq!(sizes, ["0 B", "1023 B", "1.5 KiB", "5.0 MiB", "16777216.0 TiB"]);
        assert_eq!([0, 59, 3600, 90_061].map(duration), ["0 s", "59 s", "1 h", "1 d 1 h"]);
    }
}
