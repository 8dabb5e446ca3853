//! What the programs say to bad input, and with which exit code: `tests/messages/*.toml`, one situation a file.
//!
//! A file has an `about`, the `world` in which its cases happen, and cases: a `run` line for a shell, what it writes, and its
//! exit code. `UPDATE_EXPECT=1 cargo test messages` writes what is said now; read the difference before you commit it. What
//! differs from run to run has a name: `$DIR` the directory of the case, `$PID` the agent's process id, `$TIME` an instant,
//! `$EPOCH` the number of a commit.

mod case;
mod world;

use case::{Case, File};
use std::fs;
use std::path::PathBuf;
use world::World;

fn files() -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir("tests/messages").unwrap().map(|e| e.unwrap().path()).collect();
    files.retain(|p| p.extension().is_some_and(|e| e == "toml"));
    files.sort();
    files
}

/// Runs the cases of the files whose world is one of these.
fn play(worlds: &[&str]) {
    let update = std::env::var_os("UPDATE_EXPECT").is_some();
    let (mut wrong, mut played) = (Vec::new(), 0);
    for path in files() {
        let file = File::read(&path);
        if !worlds.contains(&file.world.as_str()) {
            continue;
        }
        let mut world = World::of(&file.world);
        let mut now = file.clone();
        for (case, said) in file.case.iter().zip(&mut now.case) {
            if case.needs_root && !rustix::process::geteuid().is_root() {
                crate::skip::skip(&format!("messages::{}", case.name), "only root can become somebody else");
                continue;
            }
            if case.run.starts_with("script ") && !crate::skip::has_command("script") {
                crate::skip::skip(&format!("messages::{}", case.name), "there is no `script` to make a terminal");
                continue;
            }
            played += 1;
            *said = world.play(case);
            assert!(!said.stderr.contains("panicked"), "{}: {}: {}", path.display(), case.name, said.stderr);
            if said != case && !update {
                wrong.push(format!("{}: {}\n{}", path.display(), case.name, difference(case, said)));
            }
        }
        world.end();
        if update {
            now.write(&path);
        }
    }
    assert!(wrong.is_empty(), "UPDATE_EXPECT=1 accepts what is said now:\n\n{}", wrong.join("\n\n"));
    assert!(played > 0);
}

fn difference(wanted: &Case, said: &Case) -> String {
    let mut out = String::new();
    for (what, a, b) in [
        ("code", wanted.code.to_string(), said.code.to_string()),
        ("stdout", wanted.stdout.clone(), said.stdout.clone()),
        ("stderr", wanted.stderr.clone(), said.stderr.clone()),
    ] {
        if a != b {
            out.push_str(&format!("--- {what}, wanted:\n{a}\n--- {what}, said:\n{b}\n"));
        }
    }
    out
}

#[test]
fn where_there_is_no_agent() {
    play(&["nothing"]);
}

#[test]
fn where_the_agent_is_stopped() {
    play(&["stopped"]);
}

#[test]
fn where_the_agent_runs() {
    play(&["running"]);
}

#[test]
fn every_file_is_of_a_world_that_is_played() {
    for path in files() {
        let file = File::read(&path);
        assert!(["nothing", "stopped", "running"].contains(&file.world.as_str()), "{}", path.display());
        let mut names: Vec<&str> = file.case.iter().map(|c| c.name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), file.case.len(), "{}: names repeat", path.display());
    }
}
