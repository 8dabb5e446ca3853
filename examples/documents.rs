//! Man pages and shell completions from the tables of arguments, for the packages: `make documents`.
//!
//! An example and no command, so that neither the installed programs nor their dependencies grow by it.

use clap::{Command, CommandFactory as _};
use clap_complete::{Shell, generate_to};
use clap_mangen::Man;
use exfil_agent::{commands, ctl};
use std::fs;
use std::io::{Error, Write as _};
use std::path::{Path, PathBuf};

/// What a page of a program says beyond its arguments, as roff. Subcommands have none of it.
const AGENT: &str = r".SH FILES
.TP
/etc/exfil\-agent/exfil\-agent.toml
The settings; every one stands there with its default.
.TP
/etc/exfil\-agent/content
A site's own rules, models, tables and parsers, patches and exceptions: what stands here counts instead of what is shipped.
.TP
/usr/share/exfil\-agent/content
What is compiled into the program, to read and to copy from.
.TP
/var/lib/exfil\-agent
Baselines, read positions, alerts that are not delivered yet.
.TP
/var/log/exfil\-agent/alerts.jsonl
Alerts, one JSON object a line.
.TP
/usr/share/doc/exfil\-agent
How to operate it, what is promised, and drop\-ins for the unit under examples.
.SH EXIT STATUS
0 done, 1 failed while running, 2 usage, 65 state corrupt or from a newer version, 73 cannot create,
75 another instance holds the state, 77 permission, 78 faults in config or content.
.SH SEE ALSO
\fBagentctl\fR(1), \fBsystemctl\fR(1), \fBjournalctl\fR(1)
";

const CTL: &str = r".SH FILES
.TP
/etc/exfil\-agent/exfil\-agent.toml
Says where the agent's socket and state are, unless \-\-config, \-\-socket or \-\-state does.
.TP
/run/exfil\-agent/control.sock
The socket of a running agent. Members of its group may look; root and the agent's own user may change things.
.SH SEE ALSO
\fBexfil\-agent\fR(8)
";

fn main() -> Result<(), Error> {
    let root = std::env::args_os().nth(1).map_or_else(|| PathBuf::from("target/documents"), PathBuf::from);
    for (command, section, more) in [(commands::Cli::command(), "8", AGENT), (ctl::Cli::command(), "1", CTL)] {
        let pages = emptied(&root.join(format!("man{section}")))?;
        let mut built = command.clone().disable_help_subcommand(true);
        built.build();
        page(&built, &pages, section, more)?;
        for (shell, dir) in [(Shell::Bash, "bash"), (Shell::Zsh, "zsh"), (Shell::Fish, "fish")] {
            let dir = root.join(dir);
            fs::create_dir_all(&dir)?;
            let name = command.get_name().to_owned();
            let file = generate_to(shell, &mut command.clone(), &name, &dir)?;
            // Where bash looks for them, completions have the name of the program alone.
            if shell == Shell::Bash {
                fs::rename(file, dir.join(name))?;
            }
        }
    }
    println!("man pages and completions are in {}", root.display());
    Ok(())
}

/// Page of a command and of all below it, as `exfil-agent-run.8` or `agentctl-state-dump.1`.
fn page(command: &Command, dir: &Path, section: &str, more: &str) -> Result<(), Error> {
    for below in command.get_subcommands().filter(|below| !below.is_hide_set()) {
        page(below, dir, section, "")?;
    }
    let source = format!("exfil-agent {}", env!("CARGO_PKG_VERSION"));
    let man = Man::new(command.clone()).section(section).source(source).manual("exfil-agent");
    let mut text = Vec::new();
    man.render(&mut text)?;
    text.write_all(more.as_bytes())?;
    fs::write(dir.join(man.get_filename()), text)
}

/// The directory without pages of commands that are gone.
fn emptied(dir: &Path) -> Result<PathBuf, Error> {
    if dir.exists() {
        fs::remove_dir_all(dir)?;
    }
    fs::create_dir_all(dir)?;
    Ok(dir.to_owned())
}
