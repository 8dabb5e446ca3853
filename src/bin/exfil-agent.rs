//! The daemon and its one-shot commands: arguments → library → exit code.

use clap::Parser;
use exfil_agent::commands::{self, Command};
use exfil_agent::exit;

/// A lightweight, stateful detection agent: DTEX InTERCEPT spool in, explained alerts out.
#[derive(Parser)]
#[command(name = "exfil-agent", version, about, disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

fn main() {
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
