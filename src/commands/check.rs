//! `exfil-agent check`: every fault of config and content at once.

use super::{load_content, say, settings_or_all_faults};
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
    let settings = settings_or_all_faults(&arguments.config)?;
    super::warn_of_strangers(Some(&arguments.config), &settings);
    settings.check_for_run(&arguments.config.display().to_string()).check(())?;
    let (content, _) = load_content(&settings)?;
    let mut faults = Faults::default();
    let files = content::gather(&settings.detection, &mut faults);
    faults.check(())?;
    let tests: usize = selftest::run_all(&files)?.iter().map(|outcome| outcome.tests).sum();
    say(&format!(
        "{}: no faults; {} rules ({} on), {} models, {} parsers; {tests} rule tests passed\n",
        arguments.config.display(),
        content.rules.len(),
        content.rules.iter().filter(|r| r.enabled).count(),
        content.models.len(),
        content.parsers.ids().len(),
    ))
}
