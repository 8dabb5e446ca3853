//! `exfil-agent simulate`: the spool of a made-up office.

use crate::exit::{self, Failure};
use crate::simulate::{self, Life, Options};
use std::path::PathBuf;

/// Arguments of `simulate`.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  exfil-agent simulate --out office\n  exfil-agent simulate --seed 7 --users 200 --days 28 --out larger-office\n  exfil-agent simulate --life --users 300 --days 60 --out living-office"
)]
pub struct Arguments {
    /// Seed: the same options give the same bytes
    #[arg(long, default_value_t = Options::demo().seed)]
    seed: u64,
    /// People in the office
    #[arg(long, default_value_t = Options::demo().users)]
    users: u32,
    /// Days
    #[arg(long, default_value_t = Options::demo().days)]
    days: u32,
    /// With all that goes on in an office: people come, leave and move, programs are rolled out, honest work looks like attacks
    #[arg(long)]
    life: bool,
    /// Where to write spool/, truth.jsonl and plan.json (must be empty or new)
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// Runs the command.
pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let life = if arguments.life { Life::ALL } else { Life::NONE };
    let options =
        Options { seed: arguments.seed, users: arguments.users, days: arguments.days, life, ..Options::demo() };
    if std::fs::read_dir(&arguments.out).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(Failure::new(
            exit::USAGE,
            format!("{} is not empty; name a new directory", arguments.out.display()),
        ));
    }
    let summary = simulate::write(&options, &arguments.out)
        .map_err(|e| Failure::new(exit::CANNOT_CREATE, format!("{}: {e}", arguments.out.display())))?;
    super::say(&format!("{summary}\n"))
}
