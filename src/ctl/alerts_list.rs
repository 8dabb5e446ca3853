//! `agentctl alerts list`: what was found, the newest last.

use super::output::Output;
use super::say_source;
use super::view::{AlertRow, View, ViewError};
use crate::content::fault::suggest;

/// Arguments of `alerts list`.
#[derive(Clone, Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  agentctl alerts list --min-score 20\n  agentctl alerts list --entity jdoe --format csv"
)]
pub struct Arguments {
    /// At most so many, the newest
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: usize,
    /// Which
    #[command(flatten)]
    filter: Filter,
}

/// Which alerts are shown.
#[derive(Clone, Debug, clap::Args)]
pub struct Filter {
    /// Only of this rule
    #[arg(long, value_name = "ID")]
    rule: Option<String>,
    /// Only for users or hosts whose name contains this
    #[arg(long, value_name = "TEXT")]
    entity: Option<String>,
    /// Only with this score or a higher one
    #[arg(long, value_name = "N", default_value_t = 0)]
    min_score: u32,
}

impl Filter {
    /// Whether an alert is shown.
    pub fn takes(&self, row: &AlertRow) -> bool {
        self.rule.as_ref().is_none_or(|r| r.eq_ignore_ascii_case(&row.rule))
            && self.entity.as_ref().is_none_or(|e| row.entity.to_lowercase().contains(&e.to_lowercase()))
            && row.score >= self.min_score
    }

    fn takes_less_than_all(&self) -> bool {
        self.rule.is_some() || self.entity.is_some() || self.min_score > 0
    }
}

pub(super) fn run(arguments: &Arguments, view: &mut dyn View, output: &mut Output<'_>) -> Result<(), ViewError> {
    let ask = if arguments.filter.takes_less_than_all() { usize::MAX } else { arguments.limit };
    let mut rows = view.alerts(ask)?;
    rows.retain(|row| arguments.filter.takes(row));
    if rows.is_empty()
        && let Some(rule) = &arguments.filter.rule
    {
        known(rule, view)?;
    }
    let older = rows.len().saturating_sub(arguments.limit);
    rows.drain(..older);
    output.list(&rows, "no alerts").map_err(ViewError::Output)?;
    say_source(&view.source(), output)
}

/// Whether there is such a rule, or an alert of one that is gone.
fn known(rule: &str, view: &mut dyn View) -> Result<(), ViewError> {
    let mut ids: Vec<String> = view.rules()?.into_iter().map(|row| row.id).collect();
    ids.extend(view.alerts(usize::MAX)?.into_iter().map(|row| row.rule));
    if ids.iter().any(|id| id.eq_ignore_ascii_case(rule)) {
        return Ok(());
    }
    let hint = suggest(rule, ids.iter().map(String::as_str));
    Err(ViewError::NotFound(format!("no rule {rule:?}{hint}; `agentctl rules list` names them")))
}
