//! agentctl: looks into a running agent, or into the state of a stopped one. One subcommand a file.
//!
//! Subcommands ask a [`view::View`] and write rows or pages to an [`output::Output`]; where the answers come from, they
//! do not know. To be read, a stopped store is never opened in place. What changes an agent is all in `change`.

pub mod connect;
pub mod escape;
pub mod files;
pub mod output;
pub mod page;
mod recorded;
mod recorded_status;
pub mod records;
pub mod table;
pub mod view;

mod alerts_follow;
mod alerts_list;
mod alerts_show;
mod audit;
mod change;
mod content;
mod content_exceptions;
mod content_export;
mod content_test;
mod coverage;
mod explain;
mod health;
pub mod origin;
mod rules_list;
mod rules_show;
mod rules_test;
mod sigma;
mod state_dump;
mod state_export;
mod state_stats;
mod status;
mod story;

#[cfg(test)]
mod tests;

use crate::config::Settings;
use crate::content::Content;
use crate::control::Change;
use clap::{Args, Parser, Subcommand};
use output::{Format, Output};
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use view::{SourceLine, View, ViewError};

/// Looks into a running or stopped agent
#[derive(Debug, Parser)]
#[command(name = "agentctl", version, arg_required_else_help = true, after_help = EXIT_CODES)]
pub struct Cli {
    /// Where to look
    #[command(flatten)]
    pub place: Place,
    /// How to write the answer [default: table on a terminal, json in a pipe]
    #[arg(long, global = true, value_enum)]
    pub format: Option<Format>,
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

const EXIT_CODES: &str = "\
Examples:
  agentctl status
  agentctl alerts list --min-score 20

Exit codes: 0 done; 1 failed; 2 usage; 3 not found; 4 state corrupt or of a newer version; 5 busy or unreachable.
Colours follow NO_COLOR. Text of logs is escaped in tables and CSV; JSON holds it as it was.";

/// Where to look. Without any of these: the socket of the default config, else its state.
#[derive(Clone, Debug, Default, Args)]
pub struct Place {
    /// Config of the agent [default: /etc/exfil-agent/exfil-agent.toml]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Control socket of a running agent
    #[arg(long, global = true, value_name = "PATH")]
    pub socket: Option<PathBuf>,
    /// State directory of a stopped agent, or one that `replay --state` left; or a snapshot file in one
    #[arg(long, global = true, value_name = "PATH", conflicts_with = "socket")]
    pub state: Option<PathBuf>,
}

/// The subcommands, in groups.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// How the agent does: lag, counts, rejects, inert rules, learning, queues, sinks
    Status(status::Arguments),
    /// What the agent has learned
    #[command(subcommand, after_help = "Examples:\n  agentctl state stats\n  agentctl state dump --limit 20")]
    State(StateCommand),
    /// What the agent has found
    #[command(
        subcommand,
        after_help = "Examples:\n  agentctl alerts list\n  agentctl alerts list --min-score 20 --format csv"
    )]
    Alerts(AlertsCommand),
    /// What the agent looks for
    #[command(
        subcommand,
        after_help = "Examples:\n  agentctl rules list\n  agentctl rules test --line \"$(tail -n 1 dtex.cef)\""
    )]
    Rules(RulesCommand),
    /// What detection is made of
    #[command(subcommand, after_help = "Examples:\n  agentctl content test\n  agentctl content check --format csv")]
    Content(content::ContentCommand),
    /// What has become of each Sigma rule: compiled, in part, inert, left out or refused, and why
    Sigma(sigma::Arguments),
    /// ATT&CK techniques by rule
    Coverage(coverage::Arguments),
    /// Let the running agent read config, content and tables anew: all of it, or nothing and every fault
    #[command(after_help = "Examples:\n  agentctl reload\n  agentctl reload --config ./exfil-agent.toml")]
    Reload,
}

/// `agentctl state …`.
#[derive(Debug, Subcommand)]
pub enum StateCommand {
    /// Every model instance and bin: counts, first and last seen, share, N, C, confidence
    Dump(state_dump::Arguments),
    /// How much there is: instances, bins, bytes and days by model
    #[command(
        after_help = "Examples:\n  agentctl state stats\n  agentctl state stats --state ./baseline --format json"
    )]
    Stats,
    /// Write what was learned into a file that another agent can import
    Export(state_export::Arguments),
    /// Add what another agent has learned
    Import(change::Importing),
    /// Write the database anew, without what it no longer needs
    #[command(after_help = "Examples:\n  agentctl state compact\n  agentctl state compact --state ./baseline")]
    Compact,
    /// Remove what was learned about a user, a host, or by a model
    Forget(change::Forgetting),
}

/// `agentctl alerts …`.
#[derive(Debug, Subcommand)]
pub enum AlertsCommand {
    /// Recent alerts, the newest last
    List(alerts_list::Arguments),
    /// Alerts as they come, the newest last, until interrupted; of a running agent alone
    Follow(alerts_follow::Arguments),
    /// One alert explained: what happened, why it fired, what was normal before, what to do
    Show(alerts_show::Arguments),
}

/// `agentctl rules …`.
#[derive(Debug, Subcommand)]
pub enum RulesCommand {
    /// Every rule: score, techniques, whether it can fire, alerts
    #[command(after_help = "Examples:\n  agentctl rules list\n  agentctl rules list --format csv")]
    List,
    /// One rule: why it exists, when it fires, what to do about its alerts
    Show(rules_show::Arguments),
    /// What becomes of one record: parser, fields, and why each rule holds or does not
    Test(rules_test::Arguments),
}

/// Opens the agent that a place means.
pub type Open<'a> = &'a dyn Fn(&Place, &Settings) -> Result<Box<dyn View>, ViewError>;

/// Reads the settings of the agent that a place means.
pub type Configure<'a> = &'a dyn Fn(&Place) -> Result<Settings, ViewError>;

/// Runs a command and returns the exit code. Trouble is said on standard error.
pub fn run(cli: &Cli, configure: Configure<'_>, open: Open<'_>) -> u8 {
    let stdout = io::stdout();
    let terminal = stdout.is_terminal();
    let mut writer = io::BufWriter::with_capacity(64 * 1024, stdout.lock());
    let done = {
        let mut output = Output::new(&mut writer, cli.format, output::stdout_look(), terminal);
        let settings = configure(&cli.place).map_err(|e| match (&cli.command, e) {
            (Command::Reload, ViewError::Failed(why)) => ViewError::Failed(format!("nothing was reloaded: {why}")),
            (_, e) => e,
        });
        settings.and_then(|settings| answer(cli, &settings, open, &mut output))
    };
    let done = done.and_then(|()| writer.flush().map_err(ViewError::Output));
    // What is left in the buffer after trouble with the writer has nowhere to go.
    let _ = writer.into_parts();
    match done {
        Ok(()) => 0,
        Err(e) => {
            let code = e.exit_code();
            if code != 0 {
                // A list of faults keeps its lines.
                let text = e.to_string();
                let lines: Vec<_> = text.lines().map(escape::for_terminal).collect();
                let _ = writeln!(io::stderr(), "agentctl: {}", lines.join("\n"));
            }
            code
        }
    }
}

/// Runs a command and writes its answer.
///
/// # Errors
/// See [`ViewError`].
pub fn answer(cli: &Cli, settings: &Settings, open: Open<'_>, output: &mut Output<'_>) -> Result<(), ViewError> {
    let content = || Desk::new(settings);
    let ask = || open(&cli.place, settings);
    let open = || {
        let view = ask()?;
        if let Some(notice) = view.source().instead() {
            let _ = writeln!(io::stderr(), "agentctl: {}", escape::for_terminal(&notice));
        }
        Ok(view)
    };
    match &cli.command {
        // Every screen of it says by itself that the agent is stopped.
        Command::Status(arguments) => status::run(arguments, ask, output),
        Command::State(StateCommand::Dump(arguments)) => state_dump::run(arguments, &mut *open()?, output),
        Command::State(StateCommand::Stats) => state_stats::run(&mut *open()?, output),
        Command::State(StateCommand::Export(arguments)) => state_export::run(arguments, &mut *open()?, output),
        Command::State(StateCommand::Import(arguments)) => {
            change::run(arguments.change()?, &cli.place, settings, output)
        }
        Command::State(StateCommand::Compact) => change::run(Change::Compact, &cli.place, settings, output),
        Command::State(StateCommand::Forget(arguments)) => {
            change::run(arguments.change()?, &cli.place, settings, output)
        }
        Command::Content(content::ContentCommand::Exceptions) => content_exceptions::run(open(), &content()?, output),
        Command::Content(command) => content::run(command, settings, output),
        Command::Sigma(arguments) => sigma::run(arguments, settings, output),
        Command::Coverage(arguments) => coverage::run(arguments, open(), &content()?, output),
        Command::Reload => change::run(Change::Reload, &cli.place, settings, output),
        Command::Alerts(AlertsCommand::List(arguments)) => alerts_list::run(arguments, &mut *open()?, output),
        Command::Alerts(AlertsCommand::Follow(arguments)) => {
            alerts_follow::run(arguments, &mut *ask()?, output, &mut alerts_follow::stdout_is_read)
        }
        Command::Alerts(AlertsCommand::Show(arguments)) => {
            arguments.id()?;
            let mut view = open()?;
            let (content, _) = connect::content_to_show(settings)?;
            alerts_show::run(arguments, &mut *view, &Desk { content, settings: settings.clone() }, output)
        }
        Command::Rules(RulesCommand::List) => rules_list::run(&mut *open()?, output),
        Command::Rules(RulesCommand::Test(arguments)) => rules_test::run(arguments, &content()?, output),
        Command::Rules(RulesCommand::Show(arguments)) => rules_show::run(arguments, open(), &content()?, output),
    }
}

/// What explains alerts and rules: the content as this agentctl loads it, and the settings that count.
#[derive(Debug)]
struct Desk {
    content: Content,
    settings: Settings,
}

impl Desk {
    fn new(settings: &Settings) -> Result<Desk, ViewError> {
        let content = crate::content::load(&settings.detection)
            .map_err(|faults| ViewError::Failed(format!("the content has faults:\n{faults}")))?;
        Ok(Desk { content, settings: settings.clone() })
    }
}

/// Says where an answer came from: under a table, or to whoever sits at the terminal while the data goes elsewhere.
fn say_source(source: &SourceLine, output: &mut Output<'_>) -> Result<(), ViewError> {
    if output.format == Format::Table {
        let mut page = page::Page::new(output.look);
        page.text(&format!("({source})"));
        return output.text(&format!("\n{}", page.finish())).map_err(ViewError::Output);
    }
    let mut stderr = io::stderr();
    if stderr.is_terminal() {
        let _ = writeln!(stderr, "agentctl: {}", escape::for_terminal(&source.to_string()));
    }
    Ok(())
}
