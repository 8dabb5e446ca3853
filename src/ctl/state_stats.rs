//! `agentctl state stats`: how much there is.

use super::output::{Output, Row, Table};
use super::page::{Look, Page};
use super::view::{ModelStats, StateStats, View, ViewError};

pub(super) fn run(view: &mut dyn View, output: &mut Output<'_>) -> Result<(), ViewError> {
    let stats = view.stats()?;
    output.thing(&stats, |look| page(&stats, look)).map_err(ViewError::Output)
}

fn snapshots(stats: &StateStats) -> String {
    match stats.snapshot_epoch {
        Some(epoch) => {
            let size = super::status::bytes(stats.snapshot_bytes);
            format!("{}, {size}; the newest of commit {epoch}", stats.snapshots)
        }
        None => "none".into(),
    }
}

fn page(stats: &StateStats, look: Look) -> String {
    let mut page = Page::new(look);
    page.heading("State");
    for (name, value) in [
        ("from", stats.source.to_string()),
        ("entities", format!("{} users, {} hosts, {} peer groups", stats.users, stats.hosts, stats.groups)),
        ("guards", stats.guards.to_string()),
        ("alerts kept", stats.alerts.to_string()),
        ("spool files", stats.files.to_string()),
        ("payload", super::status::bytes(stats.payload_bytes)),
        ("on disk", super::status::bytes(stats.disk_bytes)),
        ("snapshots", snapshots(stats)),
        ("schema", stats.schema.to_string()),
    ] {
        page.value(name, &value);
    }
    page.heading("Models");
    let mut text = page.finish();
    if stats.models.is_empty() {
        text.push_str("  none\n");
    } else {
        let mut table = Table::with_look(ModelStats::HEAD, look);
        stats.models.iter().for_each(|m| table.row(m.cells()));
        text.push_str(&table.render());
    }
    text
}
