//! The daemon and its one-shot commands, and `agentctl` when called by that name: arguments → library → exit code.

use clap::Parser;
use exfil_agent::commands::{self, Command};
use exfil_agent::ctl::{self, Cli, connect};
use exfil_agent::exit;
use std::path::Path;

/// A lightweight, stateful detection agent: DTEX InTERCEPT spool in, explained alerts out.
#[derive(Parser)]
#[command(name = "exfil-agent", version, about, disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

fn main() {
    let called = std::env::args_os().next().unwrap_or_default();
    if Path::new(&called).file_name().is_some_and(|name| name == "agentctl") {
        std::process::exit(ctl::run(&Cli::parse(), &connect::settings, &connect::open).into());
    }
    let arguments = Arguments::parse();
    let code = match commands::run(arguments.command) {
        Ok(()) => exit::OK,
        Err(failure) => {
            eprintln!("exfil-agent: {failure}");
            failure.code
        }
    };
    std::process::exit(code);
}
