//! Every command of both programs shows two examples at least, and they work when they are pasted.
//!
//! They are pasted into a directory that has what they name: a spool, a running agent, what a replay left, exports. What a
//! collector has in its default places is put there by two small scripts in front of the programs.

use crate::site::{Site, office, wait};
use clap::{Command, CommandFactory as _};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command as Process, Stdio};

/// The examples of a command and of all below it.
fn examples(command: &Command, name: &str, out: &mut Vec<(String, Vec<String>)>) {
    let text = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let lines = text.lines().skip_while(|l| *l != "Examples:").skip(1).take_while(|l| l.starts_with("  "));
    let lines: Vec<String> = lines.map(|l| l.trim().to_owned()).collect();
    assert!(lines.len() >= 2, "{name} --help shows fewer than two examples: {lines:?}");
    out.push((name.to_owned(), lines));
    for below in command.get_subcommands().filter(|c| c.get_name() != "help") {
        examples(below, &format!("{name} {}", below.get_name()), out);
    }
}

/// A program in front of another: names the config where its user does not.
fn in_front(dir: &Path, name: &str, script: &str) {
    let text = dir.join(format!("{name}.text"));
    fs::write(&text, format!("#!/bin/sh\n{script}")).unwrap();
    fs::set_permissions(&text, fs::Permissions::from_mode(0o755)).unwrap();
    // Another process writes it: what a child of another test may have open for writing cannot be started.
    assert!(Process::new("cp").arg(&text).arg(dir.join(name)).status().unwrap().success());
}

struct Desk {
    site: Site,
}

impl Desk {
    fn new() -> Desk {
        let site = Site::new();
        let root = site.root().to_owned();
        let config = fs::read_to_string(site.config()).unwrap().replace(&format!("{}/", root.display()), "");
        fs::write(root.join("exfil-agent.toml"), &config).unwrap();
        fs::write(site.config(), &config).unwrap();
        let elsewhere = config.replace("control.sock", "none.sock").replace("\"state\"", "\"fresh\"");
        fs::write(root.join("elsewhere.toml"), elsewhere).unwrap();
        let text = office(900).join("\n").replace("user0", "jdoe").replace("WS1", "WS0042") + "\n";
        fs::create_dir(root.join("spool")).unwrap();
        for file in ["spool/a.cef", "dtex.cef", "monday.cef"] {
            fs::write(root.join(file), &text).unwrap();
        }
        fs::write(root.join("tuesday.cef"), text.replace("jdoe", "asmith")).unwrap();
        let bin = root.join("bin");
        fs::create_dir(&bin).unwrap();
        let (agent, ctl) = (env!("CARGO_BIN_EXE_exfil-agent"), env!("CARGO_BIN_EXE_agentctl"));
        in_front(
            &bin,
            "agentctl",
            &format!(
                "case \" $* \" in *\" --config \"*|*\" --state \"*) exec {ctl} \"$@\";; esac\n\
                 exec {ctl} --config \"${{CONFIG:-exfil-agent.toml}}\" \"$@\"\n"
            ),
        );
        in_front(
            &bin,
            "exfil-agent",
            &format!(
                "case \"$*\" in run|check) exec {agent} \"$@\" --config exfil-agent.toml;; esac\nexec {agent} \"$@\"\n"
            ),
        );
        Desk { site }
    }

    fn shell(&self, script: &str) -> Process {
        let path = std::env::var("PATH").unwrap_or_default();
        let root = self.site.root();
        let mut shell = Process::new("sh");
        shell.args(["-ec", script]).current_dir(root).env("TMPDIR", root);
        shell.env("PATH", format!("{}:{path}", root.join("bin").display()));
        shell
    }

    fn run(&self, script: &str) -> String {
        let output = self.shell(script).output().unwrap();
        let (said, wrong) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{script}\n{said}\n{wrong}");
        said.into_owned()
    }
}

#[test]
fn every_example_works_when_it_is_pasted() {
    let mut all = Vec::new();
    examples(&exfil_agent::ctl::Cli::command(), "agentctl", &mut all);
    examples(&exfil_agent::commands::Cli::command(), "exfil-agent", &mut all);
    assert!(all.len() > 20, "{all:?}");
    let desk = Desk::new();
    desk.run("exfil-agent replay spool --state baseline --out replayed.jsonl --now 2026-04-07T00:00:00Z");
    desk.run("exfil-agent replay tuesday.cef --state other --out other.jsonl --now 2026-04-07T00:00:00Z");
    desk.run("agentctl --state other state export collector2.zst");
    let daemon = desk.site.start();
    desk.site.wait_for_bytes(fs::metadata(desk.site.spool("a.cef")).unwrap().len());
    let mut ran = 0;
    for (name, lines) in all.iter().filter(|(name, _)| name != "exfil-agent run") {
        ran += lines.len();
        match name.as_str() {
            // They end when nobody reads them any more.
            "agentctl alerts follow" | "agentctl status" => lines.iter().for_each(|line| {
                assert!(!desk.run(&format!("{line} | head -n 1")).is_empty(), "{line}");
            }),
            // Into an agent that has learned nothing.
            "agentctl state import" => {
                desk.run(&format!("export CONFIG=elsewhere.toml\n{}", lines.join("\n")));
            }
            _ => assert!(!desk.run(&lines.join("\n")).is_empty(), "{lines:?}"),
        }
    }
    assert_eq!(daemon.terminate(), 0);
    let (_, runs) = all.iter().find(|(name, _)| name == "exfil-agent run").unwrap();
    for line in runs {
        let mut daemon = desk.shell(&format!("exec {line}")).stderr(Stdio::null()).spawn().unwrap();
        wait(line, || desk.site.judged_bytes().is_some());
        let pid = rustix::process::Pid::from_child(&daemon);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        assert!(daemon.wait().unwrap().success(), "{line}");
        ran += 1;
    }
    assert!(ran > 45, "only {ran} examples were run");
}
