//! Every call of `replay` and of `run` in turn fails: once, for a while, or for good.
//!
//! Under a fault the program either ends with a failure or goes on; it never panics, and success means that nothing is
//! missing. Once the fault is gone, alerts and state are those of a run without one.

use super::expected::{Expected, assert_decent, detections, wait_for_all};
use super::shim::{self, EINTR, EIO, ENOSPC, EROFS, Fault, SHORT};
use crate::effort::{is_torture, of};
use crate::site::{Site, wait};
use crate::skip::skip;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::{Child, Command};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use tempfile::TempDir;

/// Batches of 4 KiB, so that a short spool makes several commits.
const LIMITS: &str =
    "[limits]\nread_bytes = 4096\nmax_line_bytes = 4096\nmax_delta_bytes = 16384\nmax_resident_bytes = 0\n";
const NOW: &str = "2026-12-31T12:00:00Z";

#[test]
fn a_replay_survives_the_failure_of_every_call() {
    if let Err(why) = shim::library() {
        return skip("a_replay_survives_the_failure_of_every_call", why);
    }
    let dir = TempDir::new().unwrap();
    let (expected, spool) = (Expected::of(175), dir.path().join("a.cef"));
    fs::write(&spool, &expected.text).unwrap();
    let calls = |kinds| {
        let dir = TempDir::new().unwrap();
        let (root, counted) = (dir.path(), dir.path().join("calls"));
        let mut command = replay(&spool, root);
        command.envs(aim(Fault { kinds, nth: 0, times: 1, errno: EIO }, root, &spool, &counted));
        assert_eq!(Process::spawn(&mut command, &root.join("log")).wait("counting", &root.join("log")), 0);
        shim::report(&counted).0
    };
    each("replay", &faults(calls, 1), |fault, tally| replay_under(fault, &spool, &expected, tally));
}

#[test]
fn the_daemon_survives_the_failure_of_every_call() {
    if let Err(why) = shim::library() {
        return skip("the_daemon_survives_the_failure_of_every_call", why);
    }
    let expected = Expected::of(700);
    let calls = |kinds| {
        let site = half_read(&expected);
        let counted = site.root().join("calls");
        let fault = Fault { kinds, nth: 0, times: 1, errno: EIO };
        finish(&site, &expected, &aim(fault, site.root(), &site.root().join("spool"), &counted), "counting");
        shim::report(&counted).0
    };
    each("run", &faults(calls, 40), |fault, tally| daemon_under(fault, &expected, tally));
}

/// Every call: failing once as on a bad disk or for good as on a full one, in turn; in torture, all kinds of calls and ways to
/// fail. `step` leaves calls out, but not in torture.
fn faults(calls: impl Fn(&'static str) -> u64, step: usize) -> Vec<Fault> {
    let each = |kinds, errno, times| (1..=calls(kinds)).map(move |nth| Fault { kinds, nth, times, errno });
    if !is_torture() {
        let (once, for_good) = (each("", EIO, 1), each("", ENOSPC, 0));
        return once
            .zip(for_good)
            .enumerate()
            .map(|(n, pair)| if n % 2 == 0 { pair.0 } else { pair.1 })
            .step_by(step)
            .collect();
    }
    let mut all = Vec::new();
    for times in [1, 3, 0] {
        all.extend(each("", EIO, times));
        all.extend(each("write,open,name", ENOSPC, times));
        all.extend(each("write,open,name", EROFS, times));
    }
    all.extend(each("write,sync,open,read", EINTR, 1));
    all.extend(each("write,read", SHORT, 1));
    all
}

/// Where faults go: the state, the alert file, the spool.
fn aim(fault: Fault, root: &Path, spool: &Path, counted: &Path) -> Vec<(&'static str, OsString)> {
    shim::environment(fault, &[&root.join("state"), &root.join("alerts.jsonl"), spool], counted)
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
fn replay_under(fault: Fault, spool: &Path, expected: &Expected, tally: &Tally) -> bool {
    let dir = TempDir::new().unwrap();
    let root = dir.path();
    let [state, alerts, log, counted] = ["state", "alerts.jsonl", "log", "calls"].map(|name| root.join(name));
    let said = || fs::read_to_string(&log).unwrap_or_default();
    let mut process = Process::spawn(replay(spool, root).envs(aim(fault, root, spool, &counted)), &log);
    let mut ended = None;
    wait("a replay to end or to complain", || {
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
            assert!(sentence.contains('/') && sentence.contains("; "), "where, and what to do: {sentence:?}; {about}");
        }
        None => assert!([root, spool].iter().any(|p| said().contains(p.to_str().unwrap())), "says where; {about}"),
    }
    tally.count(ended, &said(), &met, root);

    let code = Process::spawn(&mut replay(spool, root), &log).wait(&about, &log);
    assert_eq!(code, 0, "after the fault: {}; before: {about}", said());
    assert_decent(&said(), &about);
    expected.assert_left(&state, &alerts, &format!("after the fault; before: {about}"));
    !met.is_empty()
}

/// A daemon that has read half of the spool and was stopped; the other half has come since.
fn half_read(expected: &Expected) -> Site {
    let site = Site::new();
    site.configure(LIMITS);
    fs::create_dir(site.root().join("spool")).unwrap();
    let (first, second) = expected.text.split_at(expected.text.len() / 2);
    fs::write(site.spool("a.cef"), first).unwrap();
    let daemon = site.start();
    site.wait_for_bytes(first.rfind('\n').unwrap() as u64 + 1);
    assert_eq!(daemon.terminate(), 0, "{}", site.log());
    OpenOptions::new().append(true).open(site.spool("a.cef")).unwrap().write_all(second.as_bytes()).unwrap();
    site
}

/// Lets the daemon do all that is left to do.
fn finish(site: &Site, expected: &Expected, environment: &[(&'static str, OsString)], about: &str) {
    let daemon = site.start_with(&borrowed(environment));
    wait_for_all(site, expected, &site.root().join("alerts.jsonl"), about);
    assert_eq!(daemon.terminate(), 0, "{about}; {}", site.log());
}

fn borrowed<'a>(environment: &'a [(&'static str, OsString)]) -> Vec<(&'a str, &'a str)> {
    environment.iter().map(|(name, value)| (*name, value.to_str().unwrap())).collect()
}

/// A daemon that goes on with a kept state under a fault, is killed or stopped, and goes on without one.
fn daemon_under(fault: Fault, expected: &Expected, tally: &Tally) -> bool {
    let site = half_read(expected);
    let root = site.root();
    let [state, alerts, counted] = ["state", "alerts.jsonl", "calls"].map(|name| root.join(name));
    let mut daemon = site.start_with(&borrowed(&aim(fault, root, &root.join("spool"), &counted)));
    wait(&format!("a daemon under {fault:?}; {}", site.log()), || {
        let all = || detections(&alerts).len() >= expected.ids.len();
        let judged = || site.judged_bytes() == Some(expected.text.len() as u64);
        daemon.has_ended() || (fault.times == 0 && site.log().contains("WARN")) || (all() && judged())
    });
    let ended = if daemon.has_ended() || fault.times != 0 {
        Some(daemon.terminate())
    } else {
        daemon.kill();
        None
    };
    let met = shim::report(&counted).1;
    let about = format!("{fault:?} at {met:?}; the log:\n{}", site.log());
    assert_decent(&site.log(), &about);
    // One failed read while sled opens is one too many: it overwrites its file, and the damage is said. Everything was read
    // a moment before, so that only a disk that fails in between gets there.
    let damaged =
        ended == Some(65) && met.first().is_some_and(|call| call.starts_with("pread ") && call.ends_with("/db"));
    if damaged {
        assert!(site.log().contains("the state is damaged"), "{about}");
        tally.count(ended, &site.log(), &met, root);
        return true;
    }
    if let Some(code) = ended
        && code != 0
    {
        assert!([1, 73, 77].contains(&code), "exit code {code}; {about}");
        assert!(site.log().contains("exfil-agent: /"), "says where; {about}");
    }
    tally.count(ended, &site.log(), &met, root);
    finish(&site, expected, &[], &about);
    assert_decent(&site.log(), &about);
    let about = format!("after the fault; before: {about}");
    // Nobody knows what a failed sync has left on the disk: those lines are written again.
    if met.iter().any(|call| call.starts_with("fdatasync") && call.ends_with("alerts.jsonl")) {
        expected.assert_left_with_repeats(&state, &alerts, &about);
    } else {
        expected.assert_left(&state, &alerts, &about);
    }
    !met.is_empty()
}

/// Runs `one` for these faults on two threads; all that go wrong are reported together.
fn each(name: &str, faults: &[Fault], one: impl Fn(Fault, &Tally) -> bool + Sync) {
    let (next, met) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let (tally, wrong) = (Tally::default(), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..of(2, 3) {
            scope.spawn(|| {
                while let Some(fault) = faults.get(next.fetch_add(1, Ordering::SeqCst)) {
                    match catch_unwind(AssertUnwindSafe(|| one(*fault, &tally))) {
                        Ok(was_met) => _ = met.fetch_add(usize::from(was_met), Ordering::SeqCst),
                        Err(panic) => {
                            let text = panic.downcast_ref::<String>().cloned().unwrap_or_default();
                            wrong.lock().unwrap().push(format!("{fault:?}: {text}"));
                        }
                    }
                }
            });
        }
    });
    let met = met.into_inner();
    for (what, n) in tally.0.into_inner().unwrap() {
        eprintln!("{name}: {n:5} {what}");
    }
    eprintln!("{name}: {met} of {} faults were met", faults.len());
    let wrong = wrong.into_inner().unwrap();
    let first = wrong.iter().take(5).map(String::as_str).collect::<Vec<_>>().join("\n\n");
    assert!(wrong.is_empty(), "{} of {} faults were not survived; the first:\n{first}", wrong.len(), faults.len());
    assert!(met * 10 >= faults.len() * 7, "{met} of {} faults were met", faults.len());
}

/// What became of how many faults.
#[derive(Default)]
struct Tally(Mutex<BTreeMap<String, usize>>);

impl Tally {
    fn count(&self, ended: Option<i32>, log: &str, met: &[String], root: &Path) {
        let Some(first) = met.first() else { return };
        let end = match ended {
            Some(0) if log.contains("WARN") => "went on and said so".to_owned(),
            Some(0) => "went on".to_owned(),
            Some(code) => format!("ended with {code}"),
            None => "said so and waited".to_owned(),
        };
        let call = first.replace(&format!("{}/", root.to_str().unwrap()), "");
        // sled numbers its snapshots.
        let call = call.split(".0000").next().unwrap_or_default();
        *self.0.lock().unwrap().entry(format!("{end}: {call}")).or_default() += 1;
    }
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
