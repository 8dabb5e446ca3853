//! `agentctl state dump`: every model instance and bin, of any number, as they come.

use super::output::{Format, Output, Table};
use super::page::{Page, Tone};
use super::say_source;
use super::view::{DumpFilter, InstanceRow, View, ViewError};
use crate::content::fault::suggest;
use std::io;

/// Arguments of `state dump`.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(
    after_help = "Examples:\n  agentctl state dump --scope '*' --limit 20\n  agentctl state dump --scope 'corp\\jdoe' --format csv\n\n\
Of the scopes, * is the organisation. `agentctl state stats` names the models."
)]
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
/// Names that come near, shown when nothing was found.
const NEAR: usize = 5;

pub(super) fn run(arguments: &Arguments, view: &mut dyn View, output: &mut Output<'_>) -> Result<(), ViewError> {
    let filter = DumpFilter {
        model: arguments.model.clone(),
        scope: arguments.scope.clone(),
        feature: arguments.feature.clone(),
        limit: arguments.limit,
    };
    let mut rows = 0u64;
    if output.format == Format::Table {
        let mut chunks = Chunks { output, rows: Vec::new(), before: None };
        view.instances(&filter, &mut |row| {
            rows += 1;
            chunks.add(row)
        })?;
        chunks.flush().map_err(ViewError::Output)?;
    } else {
        output.head(&InstanceRow::default()).map_err(ViewError::Output)?;
        view.instances(&filter, &mut |row| {
            rows += 1;
            output.member(&row)
        })?;
    }
    if rows == 0 {
        known(&filter, view)?;
        if output.format == Format::Table {
            output.text("nothing learned that fits\n").map_err(ViewError::Output)?;
        }
    }
    say_source(&view.source(), output)
}

/// Where nothing fits: whether there is such a model and such a scope at all.
fn known(filter: &DumpFilter, view: &mut dyn View) -> Result<(), ViewError> {
    if let Some(model) = &filter.model {
        let models: Vec<String> = view.stats()?.models.into_iter().map(|m| m.model).collect();
        if !models.iter().any(|m| m.eq_ignore_ascii_case(model)) {
            let hint = suggest(model, models.iter().map(String::as_str));
            return Err(ViewError::NotFound(format!("there is no model {model:?}{hint}")));
        }
    }
    let Some(scope) = &filter.scope else { return Ok(()) };
    let of = DumpFilter { model: filter.model.clone(), ..DumpFilter::default() };
    let (mut found, mut near) = (false, Vec::new());
    view.instances(&of, &mut |row| {
        found |= row.scope.to_lowercase() == scope.to_lowercase();
        if near.len() < NEAR && !near.contains(&row.scope) && is_near(&row.scope, scope) {
            near.push(row.scope);
        }
        Ok(())
    })?;
    if found {
        return Ok(());
    }
    let hint = if near.is_empty() { String::new() } else { format!("; did you mean {}?", near.join(" or ")) };
    Err(ViewError::NotFound(format!("nothing was learned about {scope}{hint}")))
}

/// Whether a name may have been meant by another: it holds its last part, or differs in a letter or two.
fn is_near(name: &str, meant: &str) -> bool {
    let last = meant.rsplit('\\').next().unwrap_or(meant).to_lowercase();
    (!last.is_empty() && name.to_lowercase().contains(&last)) || suggest(meant, [name]).starts_with("; did you mean")
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
