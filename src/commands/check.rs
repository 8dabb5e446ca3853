//! `exfil-agent check`: every fault of config and content at once.

use super::{Settings, load_for_run, say};
use crate::config::DEFAULT_CONFIG;
use crate::content::{self, Faults};
use crate::exit::Failure;
use crate::selftest;
use std::path::PathBuf;

/// Arguments of `check`.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  exfil-agent check\n  exfil-agent check --config ./exfil-agent.toml")]
pub struct Arguments {
    /// The config
    #[arg(long, value_name = "FILE", default_value = DEFAULT_CONFIG)]
    config: PathBuf,
}

/// Runs the command.
pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let also = |settings: &Settings| {
        super::warn_of_strangers(Some(&arguments.config), settings);
        Faults::default()
    };
    let (settings, content, _) = load_for_run(&arguments.config, also, |_| {})?;
    content::notes(&content, &settings.detection.timezone).iter().for_each(|note| eprintln!("warning: {note}"));
    let mut faults = Faults::default();
    let layers = content::gather(&settings.detection, &mut faults);
    faults.check(())?;
    let tests: usize = selftest::run_all(&layers)?.iter().map(|outcome| outcome.tests).sum();
    if let Some(summary) = content.sigma.summary() {
        say(&format!("{summary}; `agentctl sigma` says why\n"))?;
    }
    say(&format!(
        "{}: no faults; {} rules ({} on), {} models, {} parsers; {tests} rule tests passed\n",
        arguments.config.display(),
        content.rules.len(),
        content.rules.iter().filter(|r| r.enabled).count(),
        content.models.len(),
        content.parsers.ids().len(),
    ))
}
