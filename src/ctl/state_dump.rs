//! `agentctl state dump`: every model instance and bin, of any number, as they come.

use super::output::{Format, Output, Table};
use super::page::{Page, Tone};
use super::say_source;
use super::view::{DumpFilter, InstanceRow, View, ViewError};
use std::io;

/// Arguments of `state dump`.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Arguments {
    /// Only this model
    #[arg(long, value_name = "ID")]
    model: Option<String>,
    /// Only the instance of this user, group or, with *, the organisation
    #[arg(long, value_name = "VALUE")]
    scope: Option<String>,
    /// Only values that contain this
    #[arg(long, value_name = "TEXT")]
    feature: Option<String>,
    /// At most so many bins
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
}

/// Bins in one table; longer instances become several, so that memory stays bounded.
const CHUNK: usize = 1000;

pub(super) fn run(arguments: &Arguments, view: &mut dyn View, output: &mut Output<'_>) -> Result<(), ViewError> {
    let filter = DumpFilter {
        model: arguments.model.clone(),
        scope: arguments.scope.clone(),
        feature: arguments.feature.clone(),
        limit: arguments.limit,
    };
    if output.format == Format::Table {
        let mut chunks = Chunks { output, rows: Vec::new(), before: None };
        view.instances(&filter, &mut |row| chunks.add(row))?;
        chunks.end().map_err(ViewError::Output)?;
    } else {
        output.head(&InstanceRow::default()).map_err(ViewError::Output)?;
        view.instances(&filter, &mut |row| output.member(&row))?;
    }
    say_source(&view.source(), output)
}

/// Bins of one instance on their way into a table.
struct Chunks<'o, 'w> {
    output: &'o mut Output<'w>,
    rows: Vec<InstanceRow>,
    /// The instance that was written last.
    before: Option<(String, String)>,
}

impl Chunks<'_, '_> {
    fn add(&mut self, row: InstanceRow) -> io::Result<()> {
        let same = self.rows.first().is_none_or(|r| r.model == row.model && r.scope == row.scope);
        if !same || self.rows.len() >= CHUNK {
            self.flush()?;
        }
        self.rows.push(row);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        let Some(first) = self.rows.first() else { return Ok(()) };
        let instance = Some((first.model.clone(), first.scope.clone()));
        if self.before != instance {
            let title = heading(first, self.before.is_some(), self.output);
            self.output.text(&title)?;
            self.before = instance;
        }
        let mut table = Table::with_look(&["value", "count", "share", "first seen", "last seen"], self.output.look);
        for row in self.rows.drain(..) {
            table.row(vec![
                row.value,
                row.count.to_string(),
                format!("{:.1} %", row.share * 100.0),
                row.first_seen,
                row.last_seen,
            ]);
        }
        self.output.text(&table.render())
    }

    fn end(mut self) -> io::Result<()> {
        self.flush()?;
        if self.before.is_none() { self.output.text("nothing learned that fits\n") } else { Ok(()) }
    }
}

fn heading(row: &InstanceRow, follows: bool, output: &Output<'_>) -> String {
    let mut page = Page::new(output.look);
    page.heading(&format!("{}  {}", row.model, row.scope));
    let converged = if row.converged { "converged" } else { "learning" };
    page.text(&format!(
        "N {}, C {}, confidence {:.3}, {converged}, {} history days",
        row.n, row.c, row.confidence, row.history_days
    ));
    if row.saturated {
        page.toned(Tone::Warn, "saturated: bins were lost to the limit, nothing counts as new");
    }
    format!("{}{}", if follows { "\n" } else { "" }, page.finish())
}
