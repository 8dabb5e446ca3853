//! What happens to log files in the field, and that every line is judged once all the same.
//!
//! `tests/tailing/<behaviour>/steps.toml` says what is done to a spool and what must come of it (see `tailing/script.rs`).
//! Each folder is played through the real pipeline with the agent up all the time, with the agent stopped while things
//! happen and started after each group of steps, and with the daemon killed after each group of steps. The outcome is
//! compared with the same expectation. `EXFIL_AGENT_CASE=<behaviour>` plays one folder.

mod act;
mod agent;
mod clock;
mod outcome;
mod scale;
mod script;

use crate::effort;
use agent::{Agent, InProcess, Process};
use outcome::Outcome;
use script::{Script, Step};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Run {
    /// The agent runs all the time.
    Up,
    /// It is stopped while things happen, and looks at them afterwards.
    Restarted,
    /// It is killed as soon as things have happened, and started again.
    Killed,
}

fn folders() -> Vec<PathBuf> {
    let alone = std::env::var("EXFIL_AGENT_CASE").ok();
    let root = PathBuf::from("tests/tailing");
    let mut all: Vec<PathBuf> = std::fs::read_dir(root)
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| p.is_dir())
        .filter(|p| alone.as_ref().is_none_or(|name| p.file_name().unwrap().to_str() == Some(name)))
        .collect();
    all.sort();
    all
}

/// Plays a script; the agent is stopped afterwards.
fn play(script: &Script, run: Run, agent: &mut dyn Agent) {
    let spool = agent.spool();
    let mut started = false;
    let mut sockets = Vec::new();
    for step in script.steps() {
        match step {
            Step::Start => {
                started = true;
                if run != Run::Restarted {
                    agent.start();
                }
            }
            Step::Act(act) => sockets.extend(act.act(&spool)),
            Step::Settle | Step::Pauses if !started => {}
            Step::Settle | Step::Pauses => {
                if run == Run::Killed {
                    agent.kill();
                }
                let fresh = !agent.is_running();
                if fresh {
                    agent.start();
                }
                match step {
                    Step::Pauses => agent.pauses(fresh),
                    _ => agent.settle_from(fresh),
                }
                if run == Run::Restarted {
                    agent.stop();
                }
            }
        }
    }
    agent.stop();
}

fn play_folder(folder: &Path, run: Run) {
    let script = Script::load(folder);
    let mut agent: Box<dyn Agent> = if run == Run::Killed || script.needs_permissions {
        Box::new(Process::of(&script))
    } else {
        Box::new(InProcess::new(&script))
    };
    let expect = match run {
        Run::Up => script.expect.clone(),
        Run::Restarted | Run::Killed => script.restarted.over(&script.expect),
    };
    play(&script, run, &mut *agent);
    Outcome::of(&agent.state_dir(), &agent.alert_file()).check(&expect, &*agent);
    if let Some(judged) = &expect.replayed
        && agent.replay()
    {
        let outcome = Outcome::of(&agent.state_dir(), &agent.alert_file());
        outcome.check_judged(&act::numbers(judged), false, &agent.spool());
    }
}

/// Most of the time is waiting: many folders at once.
fn play_all(run: Run, folders: &[PathBuf]) {
    assert!(!folders.is_empty());
    let next = AtomicUsize::new(0);
    let failed = Mutex::new(Vec::new());
    let work = || {
        while let Some(folder) = folders.get(next.fetch_add(1, Ordering::Relaxed)) {
            if catch_unwind(AssertUnwindSafe(|| play_folder(folder, run))).is_err() {
                failed.lock().unwrap().push(folder.file_name().unwrap().to_owned());
            }
        }
    };
    std::thread::scope(|scope| {
        for n in 0..16 {
            std::thread::Builder::new().name(format!("tailing-{run:?}-{n}")).spawn_scoped(scope, work).unwrap();
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(
        failed.is_empty(),
        "{run:?}: these folders failed, see above: {failed:?}; EXFIL_AGENT_CASE=<folder> plays one"
    );
}

#[test]
fn every_line_is_judged_once_with_the_agent_up() {
    play_all(Run::Up, &folders());
}

#[test]
fn every_line_is_judged_once_with_restarts_between_the_steps() {
    play_all(Run::Restarted, &folders());
}

#[test]
fn every_line_is_judged_once_with_kills_between_the_steps() {
    let all = folders();
    let some: Vec<PathBuf> = all
        .into_iter()
        .filter(|f| {
            let script = Script::load(f);
            script.forget_gone_hours.is_none() && (script.always_kill || effort::is_torture())
        })
        .collect();
    if !some.is_empty() {
        play_all(Run::Killed, &some);
    }
}
