//! `agentctl sigma`: what has become of each Sigma file, of the config or of a directory on trial. Asks no agent.

use super::Desk;
use super::output::{Format, Output, Row};
use super::page::{Page, Tone};
use super::view::ViewError;
use crate::config::{OnFault, Settings};
use crate::sigma::{Line, Outcome, Report};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Arguments of `sigma`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:\n  agentctl sigma\n  agentctl sigma --files --format csv\n\n\
Uses the content of the config, and no state. The table sums up; --files and the other formats have a row for each file.")]
pub struct Arguments {
    /// Directories on trial, in place of those of the config
    #[arg(value_name = "DIR")]
    dirs: Vec<PathBuf>,
    /// A row for each file in the table, too
    #[arg(long)]
    files: bool,
}

/// A file in a list.
#[derive(Default, Serialize, Deserialize)]
struct FileRow {
    /// Id of the rule.
    id: String,
    /// Its level.
    level: String,
    /// What has become of it.
    outcome: String,
    /// Why.
    reasons: Vec<String>,
    /// Its title.
    title: String,
    /// The file.
    file: String,
    /// Line of what is wrong, 0 where nothing is.
    line: usize,
}

impl Row for FileRow {
    const HEAD: &'static [&'static str] = &["outcome", "level", "file", "why"];
    fn cells(&self) -> Vec<String> {
        let place = if self.line > 0 { format!("{}:{}", self.file, self.line) } else { self.file.clone() };
        vec![self.outcome.clone(), self.level.clone(), place, self.reasons.join("; ")]
    }
}

pub(super) fn run(arguments: &Arguments, settings: &Settings, output: &mut Output<'_>) -> Result<(), ViewError> {
    let mut settings = settings.clone();
    if !arguments.dirs.is_empty() {
        settings.detection.sigma.dirs.clone_from(&arguments.dirs);
        settings.detection.sigma.on_fault = OnFault::Skip;
        // The rules on trial may be among those that a config switches off, or lack some of them.
        settings.detection.disabled_rules.clear();
    }
    let report = Desk::new(&settings)?.content.sigma;
    const NONE: &str = "no Sigma files; name directories, here or under [sigma] dirs in the config";
    if output.format == Format::Table && !arguments.files && !report.files.is_empty() {
        let text = page(&report, output);
        return output.text(&text).map_err(ViewError::Output);
    }
    let mut rows: Vec<FileRow> = report.files.iter().map(row).collect();
    let when_empty = if rows.is_empty() { NONE } else { "all files are compiled, whole" };
    if output.format == Format::Table {
        // What is whole needs no look.
        rows.retain(|row| row.outcome != Outcome::Compiled.name());
    }
    output.list(&rows, when_empty).map_err(ViewError::Output)
}

fn row(line: &Line) -> FileRow {
    FileRow {
        id: line.id.clone(),
        level: line.level.clone(),
        outcome: line.outcome.name().into(),
        reasons: line.reasons.clone(),
        title: line.title.clone(),
        file: line.file.clone(),
        line: line.line,
    }
}

fn page(report: &Report, output: &Output<'_>) -> String {
    let mut page = Page::new(output.look);
    for outcome in Outcome::ALL {
        let n = report.count(outcome);
        if n > 0 {
            page.value(outcome.name(), &n.to_string());
        }
    }
    for outcome in [Outcome::Reduced, Outcome::Inert, Outcome::LeftOut] {
        let mut by_reason: BTreeMap<&str, usize> = BTreeMap::new();
        for line in report.files.iter().filter(|l| l.outcome == outcome) {
            line.reasons.iter().for_each(|reason| *by_reason.entry(reason).or_default() += 1);
        }
        let mut reasons: Vec<(&str, usize)> = by_reason.into_iter().collect();
        reasons.sort_by_key(|(reason, n)| (std::cmp::Reverse(*n), *reason));
        if !reasons.is_empty() {
            page.heading(&format!("Why {}", outcome.name()));
            reasons.iter().for_each(|(reason, n)| page.item(&format!("{n}: {reason}")));
        }
    }
    let refused: Vec<&Line> = report.files.iter().filter(|l| l.outcome == Outcome::Refused).collect();
    if !refused.is_empty() {
        page.heading("Refused");
    }
    for line in refused {
        for reason in &line.reasons {
            page.toned_item(Tone::Warn, &format!("{}:{}: {reason}", line.file, line.line));
        }
    }
    page.finish()
}
