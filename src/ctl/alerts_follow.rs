//! `agentctl alerts follow`: alerts as they are kept, like `journalctl -f`.

use super::alerts_list::Filter;
use super::alerts_show::digits_of;
use super::escape::for_terminal;
use super::output::{Format, Output, Row};
use super::view::{AlertRow, SourceLine, View, ViewError};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::collections::VecDeque;
use std::io::{self, Write};

/// Arguments of `alerts follow`.
#[derive(Clone, Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  agentctl alerts follow\n  agentctl alerts follow --limit 100 --min-score 20 --format json"
)]
pub struct Arguments {
    /// Begin with so many of the alerts that are kept already, the newest
    #[arg(long, value_name = "N", default_value_t = 10)]
    limit: usize,
    /// Begin with all that came after the alert whose id begins so
    #[arg(long, value_name = "ID", conflicts_with = "limit")]
    since: Option<String>,
    /// Which
    #[command(flatten)]
    filter: Filter,
}

/// For how many pauses the agent may be away, as it is while it restarts.
const AWAY: u32 = 30;

/// Writes alerts until `pause` says that nobody reads them.
pub(super) fn run(
    arguments: &Arguments,
    view: &mut dyn View,
    output: &mut Output<'_>,
    pause: &mut dyn FnMut() -> bool,
) -> Result<(), ViewError> {
    if let SourceLine::Stopped { dir, not_running, .. } = view.source() {
        let why = not_running.map_or_else(String::new, |why| format!("the agent is not running ({why}); "));
        return Err(ViewError::Unreachable(format!(
            "{why}only a running agent can be followed, and {dir} is the state of a stopped one: `agentctl alerts list` shows its alerts"
        )));
    }
    head(output)?;
    let mut last = match &arguments.since {
        Some(id) => view.alert(&digits_of(id)?)?.seq,
        None => {
            let (kept, last) = newest(arguments, view)?;
            kept.iter().try_for_each(|row| write(row, output))?;
            last
        }
    };
    let mut away = 0;
    loop {
        let more = match view.alerts_after(last) {
            Ok(more) => more,
            Err(ViewError::Unreachable(why)) if away < AWAY => {
                if away == 0 {
                    let why = for_terminal(&why).into_owned();
                    let _ = writeln!(io::stderr(), "agentctl: {why}; waiting for it");
                }
                away += 1;
                if pause() {
                    continue;
                }
                return Ok(());
            }
            Err(e) => return Err(e),
        };
        away = 0;
        for row in &more {
            last = row.seq;
            if arguments.filter.takes(row) {
                write(row, output)?;
            }
        }
        output.flush().map_err(ViewError::Output)?;
        // What there is more of is asked for at once.
        if more.is_empty() && !pause() {
            return Ok(());
        }
    }
}

/// The newest alerts that are kept, and the number of the very last one.
fn newest(arguments: &Arguments, view: &mut dyn View) -> Result<(VecDeque<AlertRow>, u64), ViewError> {
    let (mut kept, mut last) = (VecDeque::new(), 0);
    loop {
        let more = view.alerts_after(last)?;
        let Some(row) = more.last() else { return Ok((kept, last)) };
        last = row.seq;
        kept.extend(more.into_iter().filter(|row| arguments.filter.takes(row)));
        kept.drain(..kept.len().saturating_sub(arguments.limit));
    }
}

/// Widths of the columns: those to come are not known, so a longer cell moves the rest of its line.
const WIDTHS: [usize; 6] = [10, 19, 5, 24, 24, 0];

fn head(output: &mut Output<'_>) -> Result<(), ViewError> {
    let head: Vec<String> = AlertRow::HEAD.iter().map(|h| (*h).to_owned()).collect();
    let done = match output.format {
        Format::Table => output.text(&line(&head)),
        Format::Json | Format::Csv => output.head(&AlertRow::default()),
    };
    done.map_err(ViewError::Output)
}

fn write(row: &AlertRow, output: &mut Output<'_>) -> Result<(), ViewError> {
    let done = match output.format {
        Format::Table => output.text(&line(&row.cells())),
        Format::Json | Format::Csv => output.member(row),
    };
    done.map_err(ViewError::Output)
}

/// The columns of `alerts list` without the last one: how often an alert came again is not known when it comes.
fn line(cells: &[String]) -> String {
    let cells = WIDTHS.iter().zip(cells).map(|(width, cell)| format!("{:<width$}", for_terminal(cell)));
    format!("{}\n", cells.collect::<Vec<_>>().join("  ").trim_end())
}

/// Waits a second; says whether standard output is still read, which of a closed pipe the kernel tells at once.
pub(super) fn stdout_is_read() -> bool {
    let stdout = io::stdout();
    let mut ends = [PollFd::new(&stdout, PollFlags::empty())];
    let second = Timespec { tv_sec: 1, tv_nsec: 0 };
    match poll(&mut ends, Some(&second)) {
        Ok(0) | Err(_) => true,
        Ok(_) => false,
    }
}
