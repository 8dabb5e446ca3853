//! Every command of the README is run, as it stands there, with the binaries of this build.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The lines of all `sh` blocks.
fn commands() -> Vec<String> {
    let readme = std::fs::read_to_string("README.md").unwrap();
    let mut inside = false;
    let mut out = Vec::new();
    for line in readme.lines() {
        match line {
            "```sh" => inside = true,
            "```" => inside = false,
            _ if inside && !line.is_empty() => out.push(line.to_owned()),
            _ => {}
        }
    }
    out
}

fn command(line: &str, dir: &Path) -> Command {
    let mut words = line.split_whitespace();
    let program = match words.next().unwrap() {
        "cargo" => {
            let rest: Vec<&str> = words.by_ref().take_while(|w| *w != "--").collect();
            assert!(rest.starts_with(&["run", "--release"]), "{line}");
            if rest.contains(&"agentctl") { env!("CARGO_BIN_EXE_agentctl") } else { env!("CARGO_BIN_EXE_exfil-agent") }
        }
        "./target/release/exfil-agent" => env!("CARGO_BIN_EXE_exfil-agent"),
        "./target/release/agentctl" => env!("CARGO_BIN_EXE_agentctl"),
        other => panic!("the README runs {other:?}, which this test does not know"),
    };
    let mut command = Command::new(program);
    command.args(words).current_dir(dir).env("TMPDIR", dir);
    command
}

struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn run(line: &str, dir: &Path) -> String {
    let output = command(line, dir).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{line}\n{text}\n{}", String::from_utf8_lossy(&output.stderr));
    text
}

#[test]
fn every_command_of_the_readme_works_as_it_stands_there() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    std::fs::create_dir_all(dir.join("config")).unwrap();
    std::fs::copy("config/quickstart.toml", dir.join("config/quickstart.toml")).unwrap();
    std::fs::create_dir(dir.join("spool")).unwrap();
    std::fs::copy(
        "tests/cases/process_rules_fire_on_what_they_name_and_not_beside_it/spool/1.cef",
        dir.join("spool/1.cef"),
    )
    .unwrap();
    let mut daemon = None;
    let mut ran = 0;
    for line in commands() {
        if line == "cargo test" || line.starts_with("cargo build") {
            continue;
        }
        ran += 1;
        if line.contains("exfil-agent run ") {
            daemon = Some(Daemon(command(&line, dir).stderr(Stdio::null()).spawn().unwrap()));
            let since = Instant::now();
            while std::fs::read_to_string(dir.join("var/alerts.jsonl")).unwrap_or_default().lines().count() < 5 {
                assert!(since.elapsed() < Duration::from_secs(60), "no alerts after a minute");
                std::thread::sleep(Duration::from_millis(20));
            }
            continue;
        }
        let text = run(&line, dir);
        if line.ends_with("demo") {
            assert!(text.contains("20 of 20 rules fired"), "{text}");
            let next: Vec<String> =
                text.lines().skip_while(|l| *l != "Next:").skip(1).map(|l| l.trim().to_owned()).collect();
            assert_eq!(next.len(), 3, "{text}");
            for line in next {
                let line =
                    line.replacen("agentctl", "./target/release/agentctl", usize::from(!line.starts_with("cargo")));
                assert!(!run(&line, dir).is_empty(), "{line}");
            }
        }
    }
    assert!(daemon.is_some() && ran >= 6);
}
