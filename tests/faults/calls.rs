//! Every call of `replay` and of `run` in turn fails: once, for a while, or for good.
//!
//! Under a fault the program either ends with a failure or goes on; it never panics, and success means that nothing is
//! missing. Once the fault is gone, alerts and state are those of a run without one.

use super::shim::{self, EINTR, EIO, ENOSPC, EROFS, Fault, SHORT};
use crate::effort::{self, Draw};
use crate::site::{Daemon, Site, id_of, office, wait};
use crate::skip::skip;
use crate::support::{Replay, dump};
use exfil_agent::config::Settings;
use exfil_agent::content::{self, Content};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Child, Command};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tempfile::TempDir;

/// Batches of 4 KiB, so that a short spool makes several commits.
const LIMITS: &str = "[limits]\nread_bytes = 4096\nmax_line_bytes = 4096\nmax_delta_bytes = 65536\n";
const NOW: &str = "2026-12-31T12:00:00Z";

/// What the same spool gives without a fault.
struct Expected {
    spool: TempDir,
    ids: Vec<String>,
    state: String,
    files: String,
    content: Arc<Content>,
}

impl Expected {
    fn of(lines: usize) -> Expected {
        let spool = TempDir::new().unwrap();
        let file = spool.path().join("a.cef");
        fs::write(&file, office(lines).join("\n") + "\n").unwrap();
        let outcome = Replay::new("", 1).over(&[file]);
        let ids: Vec<String> = outcome.alerts.lines().map(id_of).collect();
        assert!(ids.len() > 20, "the office must give alerts: {}", ids.len());
        let settings = Settings::default();
        let content = Arc::new(content::load(&settings.detection, &settings.limits).unwrap());
        Expected { spool, ids, state: outcome.state, files: outcome.files, content }
    }

    /// Compares what a run left with what it should have left.
    fn assert_left(&self, state: &Path, alerts: &Path, about: &str) {
        let text = fs::read_to_string(alerts).unwrap_or_default();
        let detections = text.lines().filter(|l| !l.contains("\"kind\":\"operational\"")).map(id_of);
        assert_eq!(detections.collect::<Vec<_>>(), self.ids, "each alert once, in order; {about}");
        let (rows, files) = dump(state, &self.content, &Settings::default());
        assert_eq!(rows, self.state, "the logical state; {about}");
        assert_eq!(files, self.files, "records judged; {about}");
    }
}

/// What the log may never show, whatever fails.
fn assert_decent(log: &str, about: &str) {
    for word in ["panicked at", "stack backtrace", "RUST_BACKTRACE", "sled github", "Please report", "called `"] {
        assert!(!log.contains(word), "{word:?} in the log; {about}\n{log}");
    }
}

/// Tells how often a fault was met and what became of it.
#[derive(Default)]
struct Tally(Mutex<BTreeMap<String, usize>>);

impl Tally {
    fn count(&self, what: String) {
        *self.0.lock().unwrap().entry(what).or_default() += 1;
    }

    fn print(&self, name: &str) {
        for (what, n) in self.0.lock().unwrap().iter() {
            eprintln!("{name}: {n:5} {what}");
        }
    }
}

/// The call's name and the file's without the directory of this run.
fn short(call: &str, root: &Path) -> String {
    let root = root.to_str().unwrap();
    let short = call.replace(&format!("{root}/"), "");
    // sled numbers its snapshots.
    short.split(".0000").next().unwrap_or_default().to_owned()
}

struct Process(Child);

impl Process {
    fn spawn(command: &mut Command, log: &Path) -> Process {
        Process(command.stdout(File::create("/dev/null").unwrap()).stderr(File::create(log).unwrap()).spawn().unwrap())
    }

    fn code(&mut self) -> Option<i32> {
        self.0.try_wait().unwrap().map(|status| status.code().unwrap_or(-1))
    }

    fn wait(mut self, about: &str, log: &Path) -> i32 {
        let mut code = None;
        wait(&format!("the end of a replay; {about}\n{}", fs::read_to_string(log).unwrap_or_default()), || {
            code = self.code();
            code.is_some()
        });
        code.unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn replay(spool: &Path, root: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_exfil-agent"));
    fs::write(root.join("agent.toml"), LIMITS).unwrap();
    command.arg("replay").arg(spool).args(["--workers", "1", "--now", NOW]);
    command.args(["--config".into(), root.join("agent.toml"), "--state".into(), root.join("state")]);
    command.args(["--out".into(), root.join("alerts.jsonl")]);
    command
}

/// One replay under a fault and one without. Says whether the fault was met.
fn replay_under(fault: Fault, expected: &Expected, tally: &Tally) -> bool {
    let dir = TempDir::new().unwrap();
    let root = dir.path();
    let (state, alerts, log, counted) = (root.join("state"), root.join("alerts.jsonl"), root.join("log"), root.join("calls"));
    let mut command = replay(expected.spool.path(), root);
    command.envs(shim::environment(fault, &[&state, &alerts, expected.spool.path()], &counted));
    let mut process = Process::spawn(&mut command, &log);
    let said = || fs::read_to_string(&log).unwrap_or_default();
    let mut ended = None;
    wait(&format!("a replay under {fault:?} to end or to complain: {}", said()), || {
        ended = process.code();
        // A fault that stays is waited for: the replay says so and does not end.
        ended.is_some() || (fault.times == 0 && said().contains("WARN"))
    });
    drop(process);
    let met = shim::report(&counted).1;
    let about = format!("{fault:?} at {met:?}; the log:\n{}", said());
    assert_decent(&said(), &about);
    match ended {
        Some(0) => expected.assert_left(&state, &alerts, &about),
        Some(code) => {
            assert!([1, 73, 77].contains(&code), "exit code {code}; {about}");
            let sentence = said().lines().find(|l| l.starts_with("exfil-agent: ")).unwrap_or_default().to_owned();
            assert!(sentence.contains('/') && sentence.contains("; "), "says where and what to do: {sentence:?}; {about}");
        }
        None => {
            let named = [root, expected.spool.path()].iter().any(|p| said().contains(p.to_str().unwrap()));
            assert!(named, "names what fails; {about}");
        }
    }
    if let Some(first) = met.first() {
        let end = match ended {
            Some(0) if said().contains("WARN") => "went on, said so".to_owned(),
            Some(0) => "went on".to_owned(),
            Some(code) => format!("ended with {code}"),
            None => "waited".to_owned(),
        };
        tally.count(format!("{end}: {}", short(first, root)));
    }

    let code = Process::spawn(&mut replay(expected.spool.path(), root), &log).wait(&about, &log);
    assert_eq!(code, 0, "after the fault: {}; before: {about}", said());
    assert_decent(&said(), &about);
    expected.assert_left(&state, &alerts, &format!("after the fault; before: {about}"));
    !met.is_empty()
}

/// Runs `one` for these faults on two threads; all that go wrong are reported together.
fn each(faults: Vec<Fault>, one: impl Fn(Fault) + Sync) {
    let next = AtomicUsize::new(0);
    let wrong = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(fault) = faults.get(next.fetch_add(1, Ordering::SeqCst)) {
                    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| one(*fault))) {
                        let text = panic.downcast_ref::<String>().cloned().unwrap_or_default();
                        wrong.lock().unwrap().push(format!("{fault:?}: {text}"));
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    let first = wrong.iter().take(5).map(String::as_str).collect::<Vec<_>>().join("\n\n");
    assert!(wrong.is_empty(), "{} of {} faults were not survived; the first of them:\n{first}", wrong.len(), faults.len());
}

/// How many calls there are without a fault.
fn count_calls(run: impl FnOnce(Fault)-> PathBuf, kinds: &'static str) -> u64 {
    shim::report(&run(Fault { kinds, nth: 0, times: 1, errno: EIO })).0
}

#[test]
fn a_replay_survives_the_failure_of_every_call() {
    let name = "a_replay_survives_the_failure_of_every_call";
    if let Err(why) = shim::library() {
        return skip(name, why);
    }
    let expected = Expected::of(175);
    let calls = |kinds| {
        count_calls(
            |fault| {
                let dir = TempDir::new().unwrap().keep();
                let (state, alerts, counted) = (dir.join("state"), dir.join("alerts.jsonl"), dir.join("calls"));
                let mut command = replay(expected.spool.path(), &dir);
                command.envs(shim::environment(fault, &[&state, &alerts, expected.spool.path()], &counted));
                assert_eq!(Process::spawn(&mut command, &dir.join("log")).wait("counting", &dir.join("log")), 0);
                let report = expected.spool.path().parent().unwrap().join(format!("{kinds}-{}", std::process::id()));
                fs::copy(&counted, &report).unwrap();
                fs::remove_dir_all(dir).unwrap();
                report
            },
            kinds,
        )
    };
    let total = calls("");
    let mut faults: Vec<Fault> = Vec::new();
    for nth in 1..=total {
        faults.push(Fault { kinds: "", nth, times: 1, errno: EIO });
        faults.push(Fault { kinds: "", nth, times: 0, errno: ENOSPC });
    }
    let (tally, met, all) = (Tally::default(), AtomicUsize::new(0), faults.len());
    each(faults, |fault| {
        met.fetch_add(usize::from(replay_under(fault, &expected, &tally)), Ordering::SeqCst);
    });
    tally.print("replay");
    eprintln!("replay: {} of {all} faults met, {total} calls", met.load(Ordering::SeqCst));
}
