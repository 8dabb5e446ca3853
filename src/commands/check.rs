//! `exfil-agent check`: every fault of config and content at once.

use super::{load_content, say, settings_or_all_faults};
use crate::config::DEFAULT_CONFIG;
use crate::content;
use crate::exit::Failure;
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
    content::run_tests(&content).check(())?;
    let tests: usize = content.rules.iter().map(|r| r.tests.len()).sum();
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
