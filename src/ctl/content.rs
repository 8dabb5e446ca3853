//! `agentctl content …`: what detection is made of: checked, tested, and written out to start from. Asks no agent.

use super::content_export;
use super::content_test::{self, Testing};
use super::escape::for_terminal;
use super::output::{Output, Row};
use super::view::ViewError;
use crate::config::Settings;
use crate::content::layers::Item;
use crate::content::{self, Faults};
use serde::{Deserialize, Serialize};
use std::io::Write as _;

/// `agentctl content …`.
#[derive(Debug, clap::Subcommand)]
pub enum ContentCommand {
    /// Which file or patch is in force for each item, every fault at once, and what an upgrade or a date has overtaken
    #[command(
        after_help = "Examples:\n  agentctl content check\n  agentctl content check --config ./exfil-agent.toml --format csv"
    )]
    Check,
    /// Run the tests beside rules and parsers
    Test(Testing),
    /// For whom no alerts are made, until when, and what that has silenced
    #[command(after_help = "Examples:\n  agentctl content exceptions\n  agentctl content exceptions --format csv\n\n\
Counts are of alerts: the same alert counts once in its day or month, as it would have been made once.")]
    Exceptions,
    /// Write the shipped content, or one rule of it, into a directory, to read or to start from
    Export(content_export::Exporting),
}

/// An item of the content.
#[derive(Default, Serialize, Deserialize)]
struct ItemRow {
    /// What it is: `rule`, `model`, `parser`, `field map`, `table`, `file`.
    kind: String,
    /// Its id, or its name.
    id: String,
    /// `shipped` or the site's file, and the places of its patches.
    origin: String,
    /// The file in force.
    file: String,
    /// The shipped file that it replaces.
    replaces: Option<String>,
    /// What patches set, and why.
    patches: Vec<String>,
    /// The shipped version: what `based_on` names.
    shipped: Option<String>,
}

impl Row for ItemRow {
    const HEAD: &'static [&'static str] = &["kind", "id", "origin", "shipped version"];
    fn cells(&self) -> Vec<String> {
        vec![self.kind.clone(), self.id.clone(), self.origin.clone(), self.shipped.clone().unwrap_or_default()]
    }
}

pub(super) fn run(command: &ContentCommand, settings: &Settings, output: &mut Output<'_>) -> Result<(), ViewError> {
    match command {
        ContentCommand::Check => check(settings, output),
        ContentCommand::Test(arguments) => content_test::run(arguments, settings, output),
        ContentCommand::Export(arguments) => content_export::run(arguments, output),
        // Asks the agent, so that it is answered where agents are opened.
        ContentCommand::Exceptions => Ok(()),
    }
}

pub(super) fn faulty(faults: &Faults) -> ViewError {
    let n = faults.0.len();
    ViewError::Failed(format!("{n} fault{} in the content:\n{faults}", if n == 1 { "" } else { "s" }))
}

fn check(settings: &Settings, output: &mut Output<'_>) -> Result<(), ViewError> {
    let content = content::load(&settings.detection).map_err(|f| faulty(&f))?;
    for note in content::notes(&content, &settings.detection.timezone) {
        let _ = writeln!(std::io::stderr(), "agentctl: {}", for_terminal(&format!("warning: {note}")));
    }
    let row = |item: &Item| ItemRow {
        kind: item.kind.name().into(),
        id: item.id.clone(),
        origin: item.origin(),
        file: item.file.clone(),
        replaces: item.replaces.clone(),
        patches: item.patches.iter().map(|p| format!("{} in {}: {}", p.keys.join(", "), p.place, p.reason)).collect(),
        shipped: item.shipped.as_ref().map(ToString::to_string),
    };
    let rows: Vec<ItemRow> = content.layers.items.iter().map(row).collect();
    output.list(&rows, "no content").map_err(ViewError::Output)
}
