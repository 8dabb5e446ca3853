//! The first line of a status: whether the agent works, in a word for programs and a sentence for people.
//!
//! Follows from the report alone; asks nobody and reads no clock.

use super::page::Tone;
use super::status::{bytes, duration};
use super::view::{SourceLine, StatusReport, to_the_minute};

/// Seconds of event time from which reading is behind: a live agent is always a little.
const BEHIND_SECS: u64 = 60;

/// How an agent does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Health {
    /// All that is there is read, and goes where it should.
    Working,
    /// It reads, and is not through.
    Behind,
    /// It works, and something needs a look.
    Attention,
    /// It cannot go on by itself.
    Failing,
    /// It does not run.
    Stopped,
}

impl Health {
    /// Its word in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Health::Working => "working",
            Health::Behind => "behind",
            Health::Attention => "attention",
            Health::Failing => "failing",
            Health::Stopped => "stopped",
        }
    }

    /// How its sentence stands out.
    pub fn tone(report: &StatusReport) -> Tone {
        match (report.health.as_str(), &report.source) {
            ("working", _) => Tone::Good,
            ("behind" | "attention", _) => Tone::Warn,
            // Whoever asks for a state by its name did not expect an agent.
            (_, SourceLine::Stopped { not_running: None, .. }) => Tone::Bold,
            _ => Tone::Bad,
        }
    }
}

/// Judges a report that is complete otherwise.
pub(super) fn of(report: &StatusReport) -> (Health, String) {
    if report.process.is_none() {
        return (Health::Stopped, stopped(&report.source));
    }
    if let Some(why) = report.last_commit.as_ref().and_then(|c| c.failing.as_ref()) {
        return (Health::Failing, format!("Not working: nothing can be committed, so nothing advances: {why}"));
    }
    let reading = reading(report);
    let rest = format!("{}; {}", reading.as_deref().unwrap_or("everything is read"), delivery(report));
    let troubles = troubles(report);
    let warnings = report.warnings.iter().filter(|w| !troubles.contains(w)).count();
    match (troubles.len() + warnings, reading) {
        (0, None) => (Health::Working, format!("Working: {rest}")),
        (0, Some(_)) if report.files.is_empty() => (Health::Working, format!("Working: {rest}")),
        (0, Some(_)) => (Health::Behind, format!("Working, and catching up: {rest}")),
        (1, _) => (Health::Attention, format!("Working, but one thing needs attention, below: {rest}")),
        (n, _) => (Health::Attention, format!("Working, but {n} things need attention, below: {rest}")),
    }
}

/// What fails, one sentence each.
pub(super) fn troubles(report: &StatusReport) -> Vec<String> {
    let sinks = report.sinks.iter().filter_map(|s| {
        let since = s.failing_since.as_ref()?;
        let why = s.last_error.as_deref().unwrap_or("no reason is known");
        Some(format!("the sink {} has failed since {}: {why}", s.name, to_the_minute(since)))
    });
    let files = report.files.iter().filter_map(|f| Some(format!("{}: {}", f.path, f.error.as_ref()?)));
    let commits = report.last_commit.iter().filter_map(|c| c.failing.as_ref());
    let commits = commits.map(|why| format!("commits fail, nothing advances: {why}"));
    commits.chain(sinks).chain(files).collect()
}

fn stopped(source: &SourceLine) -> String {
    match source {
        SourceLine::Stopped { dir, saved, not_running, .. } => {
            let saved = to_the_minute(saved);
            match not_running {
                Some(why) => format!("Not running ({why}): what follows is the state of {saved} in {dir}"),
                None => format!("The state of {saved} in {dir}; whether an agent runs was not asked"),
            }
        }
        SourceLine::Running { .. } => "The agent answers, and does not say how it does".into(),
    }
}

/// What is left to read, where that is worth a word.
fn reading(report: &StatusReport) -> Option<String> {
    if report.files.is_empty() {
        return Some("nothing has been read, no file is in the spool yet".into());
    }
    let lag = report.lag.as_ref()?;
    let late = lag.secs.filter(|secs| *secs >= BEHIND_SECS);
    if late.is_none() && lag.waiting_files == 0 {
        return None;
    }
    let late = late.map_or_else(String::new, |secs| format!(", {} of events,", duration(secs)));
    Some(format!("{}{late} to go", bytes(lag.bytes)))
}

fn delivery(report: &StatusReport) -> String {
    if report.alerts == 0 {
        return "no alerts yet".into();
    }
    let alerts = if report.alerts == 1 { "1 alert".to_owned() } else { format!("{} alerts", report.alerts) };
    let waiting: Vec<String> = report
        .sinks
        .iter()
        .filter(|s| s.queued > 0)
        .map(|s| format!("{} of them waiting for the sink {}", s.queued, s.name))
        .collect();
    match (waiting.as_slice(), report.sinks.is_empty()) {
        ([], true) => alerts,
        ([], false) => format!("{alerts}, all delivered"),
        _ => format!("{alerts}, {}", waiting.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ctl::files::{FileRow, Lag};
    use crate::ctl::view::{LastCommit, Process, SinkRow};

    #[test]
    fn the_first_line_says_whether_it_works() {
        let working = StatusReport {
            process: Some(Process::default()),
            files: vec![FileRow::default()],
            lag: Some(Lag::default()),
            alerts: 7,
            sinks: vec![SinkRow { name: "file".into(), ..SinkRow::default() }],
            ..StatusReport::default()
        };
        let said = |change: &dyn Fn(&mut StatusReport)| {
            let mut report = working.clone();
            change(&mut report);
            let (health, summary) = of(&report);
            format!("{}: {summary}", health.name())
        };
        let hour = Lag { bytes: 5 << 20, secs: Some(3600), ..Lag::default() };
        let failing =
            SinkRow { failing_since: Some("2026-03-14T09:58:00.000Z".into()), queued: 4, ..SinkRow::default() };
        let stopped = |not_running: Option<&str>| SourceLine::Stopped {
            dir: "/state".into(),
            saved: "2026-11-03T10:12:07.000Z".into(),
            epoch: 3,
            not_running: not_running.map(str::to_owned),
        };
        for (change, wanted) in [
            (
                &(|_: &mut StatusReport| {}) as &dyn Fn(&mut StatusReport),
                "working: Working: everything is read; 7 alerts, all delivered",
            ),
            (
                &|r| r.files.clear(),
                "working: Working: nothing has been read, no file is in the spool yet; 7 alerts, all delivered",
            ),
            (&|r| (r.alerts, r.lag) = (0, None), "working: Working: everything is read; no alerts yet"),
            (
                &|r| r.lag = Some(hour.clone()),
                "behind: Working, and catching up: 5.0 MiB, 1 h of events, to go; 7 alerts, all delivered",
            ),
            (
                &|r| r.warnings = vec!["x".into()],
                "attention: Working, but one thing needs attention, below: everything is read; 7 alerts, all delivered",
            ),
            (
                &|r| r.sinks.push(SinkRow { name: "syslog".into(), ..failing.clone() }),
                "attention: Working, but one thing needs attention, below: everything is read; 7 alerts, 4 of them waiting for the sink syslog",
            ),
            (
                &|r| r.last_commit = Some(LastCommit { failing: Some("no space".into()), ..LastCommit::default() }),
                "failing: Not working: nothing can be committed, so nothing advances: no space",
            ),
            (
                &|r| (r.process, r.source) = (None, stopped(Some("no socket at /run/x"))),
                "stopped: Not running (no socket at /run/x): what follows is the state of 2026-11-03 10:12 UTC in /state",
            ),
            (
                &|r| (r.process, r.source) = (None, stopped(None)),
                "stopped: The state of 2026-11-03 10:12 UTC in /state; whether an agent runs was not asked",
            ),
        ] {
            assert_eq!(said(change), wanted);
        }
    }
}
