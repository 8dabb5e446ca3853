//! `agentctl status`: how the agent does, worst news first.

use super::escape::for_terminal;
use super::files::FileRow;
use super::output::{Format, Output, Table};
use super::page::{Look, Page, Tone};
use super::view::{StatusReport, View, ViewError};
use crate::state::paging::Memory;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Files on the screen.
const MAX_FILES: usize = 20;

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

fn page(report: &StatusReport, look: Look) -> String {
    let mut page = Page::new(look);
    match &report.process {
        Some(p) => {
            page.heading(&format!("Running: pid {}, version {}, up {}", p.pid, p.version, duration(p.up_secs)));
            page.value("since", &p.started);
        }
        None => page.heading("Stopped"),
    }
    page.value("from", &report.source.to_string());
    trouble(report, &mut page);
    reading(report, &mut page);
    let mut text = page.finish();
    text.push_str(&files(report, look));
    let mut page = Page::new(look);
    if !report.inert.is_empty() {
        page.heading("Rules that cannot fire");
        report.inert.iter().for_each(|r| page.value(&r.rule, &r.reason));
    }
    if !report.models.is_empty() {
        page.heading("Models");
        for m in &report.models {
            let saturated = if m.saturated > 0 { format!(", {} saturated", m.saturated) } else { String::new() };
            let counts = format!("{} converged, {} learning{saturated}", m.converged, m.learning);
            page.value(&m.model, &counts);
        }
    }
    delivery(report, &mut page);
    text.push('\n');
    text.push_str(&page.finish());
    text
}

/// What someone should look at.
fn trouble(report: &StatusReport, page: &mut Page) {
    let commit = report.last_commit.iter().filter_map(|c| c.failing.as_ref().map(|e| format!("commits fail: {e}")));
    let sinks = report.sinks.iter().filter_map(|s| {
        let since = s.failing_since.as_ref()?;
        let why = s.last_error.as_deref().unwrap_or("no reason is known");
        Some(format!("sink {} has failed since {since}: {why}", s.name))
    });
    let files = report.files.iter().filter_map(|f| Some(format!("{}: {}", f.path, f.error.as_ref()?)));
    let bad: Vec<String> = commit.chain(sinks).chain(files).collect();
    if bad.is_empty() && report.warnings.is_empty() {
        return;
    }
    page.heading("Needs attention");
    bad.iter().for_each(|line| page.toned(Tone::Bad, line));
    report.warnings.iter().for_each(|line| page.toned(Tone::Warn, line));
}

fn reading(report: &StatusReport, page: &mut Page) {
    page.heading("Read");
    page.value("records", &format!("{} in {}", report.records, bytes(report.bytes)));
    page.value("events", &counts(&report.events));
    page.value("rejects", &counts(&report.rejects));
    page.value("oddities", &counts(&report.oddities));
    page.value("other", &format!("{} headers, {} blank lines", report.headers, report.blank));
    page.value("late, future", &format!("{}, {}", report.late, report.future));
    page.value("newest day", report.newest_day.as_deref().unwrap_or_default());
    let Some(lag) = &report.lag else { return };
    let mut behind = approximately(lag.bytes, lag.compressed_bytes > 0);
    if let Some(secs) = lag.secs.filter(|secs| *secs > 0) {
        behind.push_str(&format!(", {}", duration(secs)));
    }
    if let Some(oldest) = &lag.oldest_unread {
        behind.push_str(&format!("; the oldest unread event is of {oldest}"));
    }
    page.value("behind", &behind);
    if lag.compressed_bytes > 0 {
        page.value("compressed", &format!("{} of that, as they stand on the disk", bytes(lag.compressed_bytes)));
    }
    if lag.waiting_files > 0 {
        let waiting =
            format!("{} files wait until older ones are read: {}", lag.waiting_files, bytes(lag.waiting_bytes));
        page.value("waiting", &waiting);
    }
}

/// `~1.5 MiB`, where compressed bytes are counted.
fn approximately(n: u64, compressed: bool) -> String {
    if compressed && n > 0 { format!("~{}", bytes(n)) } else { bytes(n) }
}

fn files(report: &StatusReport, look: Look) -> String {
    if report.files.is_empty() {
        return "\nNo spool file has been read.\n".into();
    }
    let mut table = Table::with_look(&["file", "format", "lines", "behind", "event time", "rejects", "state"], look);
    // The screen shows what needs a look: trouble first, then what is behind, then the newest names. JSON has all.
    let mut rows: Vec<&FileRow> = report.files.iter().collect();
    rows.sort_by_key(|f| std::cmp::Reverse((f.error.is_some(), f.lag_bytes.unwrap_or(0), f.path.as_str())));
    for f in rows.iter().take(MAX_FILES) {
        table.row(vec![
            f.path.clone(),
            f.format.clone().unwrap_or_else(|| "-".into()),
            f.lines.to_string(),
            f.lag_bytes.map_or_else(|| "-".into(), |n| approximately(n, f.compressed)),
            f.lag_secs.map_or_else(|| "-".into(), duration),
            f.rejects.to_string(),
            f.state.clone(),
        ]);
    }
    let more = report.files.len().saturating_sub(MAX_FILES);
    let more = if more > 0 { format!("… and {more} more files; --format json lists all\n") } else { String::new() };
    format!("\n{}{more}", table.render())
}

fn delivery(report: &StatusReport, page: &mut Page) {
    page.heading("Alerts");
    page.value("raised", &format!("{}, of these {} suppressed", report.alerts, report.suppressed));
    for s in &report.sinks {
        let mut line =
            format!("{} delivered, {} below min_score, {} waiting", s.delivered, s.below_min_score, s.queued);
        if s.suppressed > 0 {
            line.push_str(&format!(", {} suppressed", s.suppressed));
        }
        if s.truncated > 0 {
            line.push_str(&format!(", {} cut to fit", s.truncated));
        }
        if s.delivered_again > 0 {
            line.push_str(&format!(", {} delivered again", s.delivered_again));
        }
        if s.errors > 0 {
            line.push_str(&format!("; {} failed attempts", s.errors));
        }
        page.value(&format!("sink {}", s.name), &line);
    }
    page.heading("Inside");
    if let Some(memory) = &report.memory {
        let Memory { resident_bytes, away, recalled } = memory;
        let known = bytes(*resident_bytes);
        let users = format!("{known} about users and hosts; {away} stay in the state alone, {recalled} came back");
        page.value("memory", &users);
    }
    if let Some(commit) = &report.last_commit {
        page.value("last commit", &format!("epoch {} at {}", commit.epoch, commit.at));
    }
    for q in &report.queues {
        let limit = q.limit.map_or_else(String::new, |l| format!(" of {l}"));
        page.value(&q.name, &format!("{}{limit}", q.depth));
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
