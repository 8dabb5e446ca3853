//! `agentctl state export FILE`: what was learned, for another agent.

use super::output::Output;
use super::page::Page;
use super::say_source;
use super::status::bytes;
use super::view::{View, ViewError};
use crate::alert::AgentIdentity;
use crate::calendar::{format_instant, wall_clock_ms};
use crate::state::key::MODELS;
use crate::upkeep::{Head, VERSION, Writer};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Arguments of `state export`.
#[derive(Clone, Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  agentctl state export learned.zst\n  agentctl --state ./baseline state export replayed.zst\n\n\
The file says who does what: it is readable for its owner only. Read positions, counters and alerts are not in it."
)]
pub struct Arguments {
    /// The file; it must not exist
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

pub(super) fn run(arguments: &Arguments, view: &mut dyn View, output: &mut Output<'_>) -> Result<(), ViewError> {
    let cannot = |e: std::io::Error| ViewError::Failed(format!("{}: {e}", arguments.file.display()));
    let mut head = Head {
        exfil_agent_export: VERSION,
        host: AgentIdentity::here().host,
        exported_at: format_instant(wall_clock_ms()),
        models: BTreeMap::new(),
    };
    view.records(MODELS, &mut |key, value| head.note_model(key, value))?;
    let mut writer = Writer::create(&arguments.file, &head).map_err(cannot)?;
    if let Err(e) = view.records(b"", &mut |key, value| writer.add(key, value)) {
        writer.abandon();
        return Err(e);
    }
    let exported = writer.finish().map_err(cannot)?;
    let (records, size) = (exported.records, bytes(exported.bytes));
    output
        .thing(&exported, |look| {
            let mut page = Page::new(look);
            page.text(&format!("{records} records, {size}, in {}", arguments.file.display()));
            page.finish()
        })
        .map_err(ViewError::Output)?;
    say_source(&view.source(), output)
}
