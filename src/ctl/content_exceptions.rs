//! `agentctl content exceptions`: for whom no alerts are made, and what that has silenced.

use super::output::{Output, Row};
use super::view::{View, ViewError};
use super::{Desk, say_source};
use crate::calendar::{Day, Zone, format_day, wall_clock_ms};
use crate::rule::exception::Exception;
use serde::{Deserialize, Serialize};
use std::io::Write as _;

/// What an exception silenced of a rule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SilencedRow {
    /// The exception.
    pub exception: String,
    /// The rule.
    pub rule: String,
    /// Alerts that were not made.
    pub count: u64,
    /// The latest day of which one was, or the first of the month.
    pub last_day: String,
    /// Whom that one would have been about.
    pub last_entity: String,
}

/// An exception with what it has silenced of one rule.
#[derive(Default, Serialize, Deserialize)]
struct ExceptionRow {
    /// The exception.
    exception: String,
    /// The rules that it is for; `*` is all.
    rules: Vec<String>,
    /// For whom and where.
    subject: String,
    /// The last day on which it holds.
    until: Option<String>,
    /// `in force`, `ended`, or `not in the content` when only its counts are left.
    state: String,
    /// The rule that the counts are about.
    rule: Option<String>,
    /// Alerts that were not made; null when no agent could be asked.
    silenced: Option<u64>,
    /// The latest day of which one was, or the first of the month.
    last_day: Option<String>,
    /// Whom that one would have been about.
    last_entity: Option<String>,
    /// Why it is there.
    reason: String,
    /// Where it stands.
    place: String,
}

impl Row for ExceptionRow {
    const HEAD: &'static [&'static str] =
        &["exception", "for", "until", "state", "rule", "silenced", "last day", "last about", "reason"];
    fn cells(&self) -> Vec<String> {
        let text = |t: &Option<String>| t.clone().unwrap_or_default();
        vec![
            self.exception.clone(),
            self.subject.clone(),
            text(&self.until),
            self.state.clone(),
            self.rule.clone().unwrap_or_else(|| self.rules.join(" ")),
            self.silenced.map_or_else(|| "?".into(), |n| n.to_string()),
            text(&self.last_day),
            text(&self.last_entity),
            self.reason.clone(),
        ]
    }
}

/// The agent is asked for the counts; without one, the content still tells the rest.
pub(super) fn run(
    view: Result<Box<dyn View>, ViewError>,
    desk: &Desk,
    output: &mut Output<'_>,
) -> Result<(), ViewError> {
    let (counts, source) = match view {
        Ok(mut view) => (Some(view.silenced()?), Some(view.source())),
        Err(e @ (ViewError::Unreachable(_) | ViewError::NotFound(_))) => {
            let _ = writeln!(std::io::stderr(), "agentctl: what they have silenced is not known: {e}");
            (None, None)
        }
        Err(e) => return Err(e),
    };
    let today = Zone::named(&desk.settings.detection.timezone).unwrap_or_else(|_| Zone::utc()).day_of(wall_clock_ms());
    let rows = rows(&desk.content.exceptions.all, counts.as_deref(), today);
    output.list(&rows, "no exceptions").map_err(ViewError::Output)?;
    source.map_or(Ok(()), |source| say_source(&source, output))
}

/// A row for each exception and rule of which it has silenced something; one for an exception that has silenced nothing.
fn rows(exceptions: &[Exception], counts: Option<&[SilencedRow]>, today: Day) -> Vec<ExceptionRow> {
    let mut rows = Vec::new();
    for e in exceptions {
        let row = || ExceptionRow {
            exception: e.id.clone(),
            rules: if e.rules.is_empty() { vec!["*".into()] } else { e.rules.clone() },
            subject: e.subject(),
            until: e.until.map(format_day),
            state: if e.is_open(today) { "in force" } else { "ended" }.into(),
            silenced: counts.map(|_| 0),
            reason: e.reason.clone(),
            place: format!("{}:{}", e.file, e.line),
            ..ExceptionRow::default()
        };
        let mut own = counts.unwrap_or_default().iter().filter(|c| c.exception == e.id).peekable();
        if own.peek().is_none() {
            rows.push(row());
        }
        rows.extend(own.map(|count| counted(row(), count)));
    }
    let gone = |count: &&SilencedRow| !exceptions.iter().any(|e| e.id == count.exception);
    rows.extend(counts.unwrap_or_default().iter().filter(gone).map(|count| {
        let row = ExceptionRow {
            exception: count.exception.clone(),
            state: "not in the content".into(),
            ..ExceptionRow::default()
        };
        counted(row, count)
    }));
    rows
}

fn counted(row: ExceptionRow, count: &SilencedRow) -> ExceptionRow {
    ExceptionRow {
        rule: Some(count.rule.clone()),
        silenced: Some(count.count),
        last_day: Some(count.last_day.clone()),
        last_entity: Some(count.last_entity.clone()).filter(|e| !e.is_empty()),
        ..row
    }
}
