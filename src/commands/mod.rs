//! The commands of `exfil-agent`, one a file.

mod check;
mod demo;
mod progress;
mod replay;
mod replay_compare;
mod replay_stats;
mod run;
mod simulate;

use crate::calendar::Zone;
use crate::config::{self, Settings};
use crate::content::{self, Content, Faults};
use crate::enrich::Directory;
use crate::exit::{self, Failure};
use clap::{Parser, Subcommand};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A lightweight, stateful detection agent: DTEX InTERCEPT spool in, explained alerts out.
#[derive(Parser)]
#[command(
    name = "exfil-agent",
    version,
    about,
    disable_help_subcommand = true,
    after_help = "Examples:\n  exfil-agent demo\n  exfil-agent check --config ./exfil-agent.toml\n\n\
Exit codes: 0 done; 1 failed while running; 2 usage; 65 state corrupt or of a newer version; 73 cannot create; 75 another\n\
instance holds the state; 77 permission; 78 faults in config or content."
)]
pub struct Cli {
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// What `exfil-agent` can do.
#[derive(Subcommand)]
pub enum Command {
    /// Tail the spools of the config until told to stop (the daemon; logs to stderr)
    Run(run::Arguments),
    /// Run the same pipeline over files to their end, then stop
    Replay(replay::Arguments),
    /// Check config and content; print every fault at once
    Check(check::Arguments),
    /// Write the spool of a made-up office, with planted scenarios and their truth
    Simulate(simulate::Arguments),
    /// Replay three simulated weeks and show what each rule found
    Demo(demo::Arguments),
}

/// Runs a command.
///
/// # Errors
/// The message for stderr and the exit code.
pub fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Run(arguments) => run::run(&arguments),
        Command::Replay(arguments) => replay::run(&arguments),
        Command::Check(arguments) => check::run(&arguments),
        Command::Simulate(arguments) => simulate::run(&arguments),
        Command::Demo(arguments) => demo::run(&arguments),
    }
}

/// The settings of a file, or the defaults when no file is named. Without a config nothing of the machine's counts: neither
/// does its content.
fn settings(path: Option<&Path>) -> Result<Settings, Failure> {
    match path {
        Some(path) => Ok(config::load(path)?),
        None => {
            let mut settings = Settings::default();
            settings.detection.content_dir = None;
            Ok(settings)
        }
    }
}

/// Says what `run` would refuse: who can write config or content decides what is detected.
fn warn_of_strangers(config: Option<&Path>, settings: &Settings) {
    let euid = rustix::process::geteuid().as_raw();
    for warning in config::check_trust(config, settings, euid).into_warnings() {
        eprintln!("warning: {warning}");
    }
}

/// What `run` works with.
type ForRun = (Settings, Arc<Content>, Option<Arc<Directory>>);

/// Settings, content and directory of a config, which must be there, as `run` needs them. Every fault at once: those of the
/// config, those that `also` finds in its settings, and those of what it names. Where there are none before the latter is read,
/// `then` is told.
fn load_for_run(
    path: &Path,
    also: impl FnOnce(&Settings) -> Faults,
    then: impl FnOnce(&Settings),
) -> Result<ForRun, Faults> {
    let (settings, mut faults) = config::load_for_run(path);
    faults.0.extend(also(&settings).0);
    if faults.0.is_empty() {
        then(&settings);
    }
    match read_content(&settings) {
        Ok((content, directory)) => faults.check((settings, content, directory)),
        Err(more) => {
            faults.0.extend(more.0);
            faults.check(()).and(Err(Faults::default()))
        }
    }
}

/// Content and directory under these settings; the faults of both at once.
fn load_content(settings: &Settings) -> Result<(Arc<Content>, Option<Arc<Directory>>), Failure> {
    Ok(read_content(settings)?)
}

fn read_content(settings: &Settings) -> Result<(Arc<Content>, Option<Arc<Directory>>), Faults> {
    let mut faults = Faults::default();
    let directory = settings.detection.directory.as_deref().and_then(|path| read_directory(path, &mut faults));
    let content = match content::load(&settings.detection) {
        Ok(content) => Some(content),
        Err(more) => {
            faults.0.extend(more.0);
            None
        }
    };
    match content {
        Some(content) => faults.check((Arc::new(content), directory.map(Arc::new))),
        None => faults.check(()).and(Err(Faults::default())),
    }
}

fn read_directory(path: &Path, faults: &mut Faults) -> Option<Directory> {
    let name = path.display().to_string();
    match std::fs::read_to_string(path) {
        Ok(text) => Some(Directory::parse(&text, &name, faults)),
        Err(e) => {
            faults.add(&name, 0, "detection.directory", format!("cannot be read: {e}"));
            None
        }
    }
}

/// Writes to standard output. A closed pipe is no trouble: whoever read it has seen enough.
fn say(text: &str) -> Result<(), Failure> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure::new(exit::RUNTIME, format!("cannot write the answer: {e}")))
        }
        _ => Ok(()),
    }
}

/// `--now`: RFC 3339 or epoch milliseconds.
fn parse_now(text: &str) -> Result<i64, Failure> {
    Zone::utc().parse(text).ok_or_else(|| {
        Failure::new(exit::USAGE, format!("--now {text}: write RFC 3339 (2026-03-22T00:00:00Z) or epoch milliseconds"))
    })
}

/// A path that exists.
fn existing(path: &PathBuf) -> Result<&PathBuf, Failure> {
    match std::fs::metadata(path) {
        Ok(_) => Ok(path),
        Err(e) if e.kind() == std::io::ErrorKind::PermissionDenied => {
            Err(Failure::new(exit::PERMISSION, format!("{}: {e}", path.display())))
        }
        Err(e) => Err(Failure::new(exit::USAGE, format!("{}: {e}", path.display()))),
    }
}
