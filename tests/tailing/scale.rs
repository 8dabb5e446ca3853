//! What needs many files, much data, or a kernel that refuses: no folder of steps shows it.

use super::act::cef;
use super::agent::{Agent, Process};
use super::outcome::Outcome;
use crate::effort;
use crate::skip::skip;
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

/// Files with one record each.
fn make_files(spool: &Path, from: usize, to: usize) {
    for n in from..to {
        fs::write(spool.join(format!("{n}.log")), cef(n, "") + "\n").unwrap();
    }
}

/// The largest number of descriptors that a process had open, looked at again and again while `work` runs.
fn most_descriptors(pid: u32, work: impl FnOnce()) -> usize {
    let (most, done) = (AtomicUsize::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                let now = fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count);
                most.fetch_max(now, Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        struct Done<'a>(&'a AtomicBool);
        impl Drop for Done<'_> {
            fn drop(&mut self) {
                self.0.store(true, Ordering::Relaxed);
            }
        }
        let _done = Done(&done);
        work();
    });
    most.into_inner()
}

/// Stops the agent: every record was judged once.
fn finish(mut agent: Process, records: usize) {
    agent.stop();
    let outcome = Outcome::of(&agent.state_dir(), &agent.alert_file());
    outcome.check_conservation(agent.lives().last().unwrap());
    outcome.check_judged(&(0..records).collect::<Vec<_>>(), true, Path::new("/nonexistent"));
}

#[test]
fn thousands_of_files_are_read_with_fewer_than_600_descriptors() {
    let files = effort::of(2_000, 10_000);
    let mut agent = Process::new("");
    make_files(&agent.spool(), 0, files);
    agent.start();
    let pid = agent.daemon.as_ref().unwrap().child.id();
    let most = most_descriptors(pid, || {
        agent.settle();
        for n in files..2 * files {
            let path = agent.spool().join(format!("{}.log", n - files));
            let mut file = OpenOptions::new().append(true).open(path).unwrap();
            file.write_all((cef(n, "") + "\n").as_bytes()).unwrap();
        }
        agent.settle();
    });
    assert!(most < 600, "{most} descriptors");
    assert!(most > 500, "the limit was not tried: {most} descriptors");
    finish(agent, 2 * files);
}

#[test]
fn a_burst_that_overflows_the_kernels_queue_is_read_whole_after_one_rescan() {
    let files = effort::of(5_000, 20_000);
    let mut agent = Process::new("");
    agent.start();
    agent.settle();
    // The kernel keeps 16,384 events; a file makes at least four.
    let pid = Pid::from_child(&agent.daemon.as_ref().unwrap().child);
    kill_process(pid, Signal::STOP).unwrap();
    make_files(&agent.spool(), 0, files);
    kill_process(pid, Signal::CONT).unwrap();
    let most = most_descriptors(pid.as_raw_nonzero().get() as u32, || agent.settle());
    assert!(most < 600, "{most} descriptors");
    let source = agent.source().unwrap();
    assert!(source.counters.overflow_rescans > 0, "the queue did not overflow: {:?}", source.counters);
    assert_eq!(source.spools[0].files, files as u64);
    finish(agent, files);
}

#[test]
fn a_file_that_grows_faster_than_it_is_read_starves_no_quiet_one() {
    let mut agent = Process::new("[limits]\nread_bytes = 32768\nmax_line_bytes = 4096\n");
    let append = |agent: &Process, name: &str, text: &str| {
        let mut file = OpenOptions::new().append(true).create(true).open(agent.spool().join(name)).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    };
    append(&agent, "fast.log", &(cef(0, "") + "\n"));
    append(&agent, "quiet.log", &(cef(1, "") + "\n"));
    agent.start();
    agent.settle();
    let pid = Pid::from_child(&agent.daemon.as_ref().unwrap().child);
    let filler = "CEF:0|Dtex|DTEX InTERCEPT|6.0|FileRead|C:\\a (1 bytes)|3|start=1772442000000 User_Name=a\n";
    let block = filler.repeat(30_000);
    let rounds = effort::of(2, 10);
    for round in 1..=rounds {
        // While it sleeps, the one file gets ten turns' worth and the other a line: the line need not wait for all of that.
        kill_process(pid, Signal::STOP).unwrap();
        append(&agent, "fast.log", &(block.clone() + &cef(2 * round, "") + "\n"));
        append(&agent, "quiet.log", &(cef(2 * round + 1, "") + "\n"));
        kill_process(pid, Signal::CONT).unwrap();
        agent.settle();
    }
    agent.stop();
    let outcome = Outcome::of(&agent.state_dir(), &agent.alert_file());
    outcome.check_conservation(agent.lives().last().unwrap());
    let order: Vec<usize> = outcome.judged.iter().map(|j| j.number).collect();
    let expected: Vec<usize> = [0, 1].into_iter().chain((1..=rounds).flat_map(|r| [2 * r + 1, 2 * r])).collect();
    assert_eq!(order, expected, "the quiet line comes first, whenever it was written");
    assert_eq!(outcome.total.events.total(), (rounds * 30_000 + 2 * rounds + 2) as u64);
}

#[test]
fn without_inotify_the_spool_is_polled_and_that_is_said_once() {
    let probe = Command::new("unshare")
        .args(["--user", "--map-root-user", "test", "-w", "/proc/sys/user/max_inotify_watches"])
        .status();
    if !probe.is_ok_and(|s| s.success()) {
        skip("without_inotify_the_spool_is_polled_and_that_is_said_once", "unshare --user is not allowed here");
        return;
    }
    let poll = |limit: &str, said: &str| {
        let mut agent = Process::new("");
        // The limits of a user namespace are its own.
        let script = format!("echo 0 > /proc/sys/user/{limit} && exec \"$@\"");
        agent.through = ["unshare", "--user", "--map-root-user", "sh", "-c", &script, "sh"].map(str::to_owned).to_vec();
        agent.start();
        for n in 0..2 {
            let mut file = OpenOptions::new().append(true).create(true).open(agent.spool().join("a.log")).unwrap();
            file.write_all((cef(n, "") + "\n").as_bytes()).unwrap();
            agent.settle();
        }
        let source = agent.source().unwrap();
        assert!(source.polling_only.is_some(), "status says it: {source:?}");
        let log = agent.log().unwrap();
        assert_eq!(log.matches("no hints").count(), 1, "{limit}:\n{log}");
        assert!(log.contains(said), "{limit}:\n{log}");
        finish(agent, 2);
    };
    std::thread::scope(|scope| {
        scope.spawn(|| poll("max_inotify_watches", "max_user_watches"));
        scope.spawn(|| poll("max_inotify_instances", "no hints about new bytes"));
    });
}
