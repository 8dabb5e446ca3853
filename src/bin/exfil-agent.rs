//! The daemon and its one-shot commands, and `agentctl` when called by that name: arguments → library → exit code.

use clap::Parser;
use exfil_agent::commands;
use exfil_agent::ctl::{self, connect};
use exfil_agent::exit;
use std::path::Path;

fn main() {
    let called = std::env::args_os().next().unwrap_or_default();
    if Path::new(&called).file_name().is_some_and(|name| name == "agentctl") {
        std::process::exit(ctl::run(&ctl::Cli::parse(), &connect::settings, &connect::open).into());
    }
    let cli = commands::Cli::parse();
    let code = match commands::run(cli.command) {
        Ok(()) => exit::OK,
        Err(failure) => {
            eprintln!("exfil-agent: {failure}");
            failure.code
        }
    };
    std::process::exit(code);
}
