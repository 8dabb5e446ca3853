//! Looks inside a running or stopped agent: starts `exfil-agent`, which stands beside it, under this name.
//!
//! The two programs share nearly all of their code; so it is on disk and in memory once.

use exfil_agent::exit;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

fn main() {
    let program = match std::env::current_exe() {
        Ok(own) => own.with_file_name("exfil-agent"),
        Err(_) => PathBuf::from("exfil-agent"),
    };
    // Comes back only when it failed.
    let error = Command::new(&program).arg0("agentctl").args(std::env::args_os().skip(1)).exec();
    eprintln!(
        "agentctl: cannot start {}: {error}; agentctl is a name of exfil-agent, install both in one directory",
        program.display()
    );
    std::process::exit(exit::RUNTIME);
}
