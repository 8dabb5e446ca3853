//! Looks inside a running or stopped agent.

use clap::Parser;
use exfil_agent::ctl::{self, Cli, connect};
use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(ctl::run(&Cli::parse(), &connect::settings, &connect::open))
}
