//! The wall clock is set while the agent runs, and while it does not: the real daemon under libfaketime.

use super::act::{cef, gz};
use super::agent::{Agent, Process};
use super::outcome::Outcome;
use crate::site::wait;
use crate::skip::skip;
use exfil_agent::source::FileState;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

fn libfaketime() -> Option<PathBuf> {
    let dirs = fs::read_dir("/usr/lib").ok()?.filter_map(|e| Some(e.ok()?.path()));
    dirs.map(|d| d.join("faketime/libfaketime.so.1")).find(|p| p.exists())
}

/// The daemon, with a clock that `set` moves.
fn agent_with_a_clock(library: &Path) -> Process {
    let mut agent = Process::new("");
    let clock = agent.site.root().join("clock");
    fs::write(&clock, "+0").unwrap();
    let own = |k: &str, v: &str| (k.to_owned(), v.to_owned());
    agent.environment = vec![
        own("LD_PRELOAD", library.to_str().unwrap()),
        own("FAKETIME_TIMESTAMP_FILE", clock.to_str().unwrap()),
        own("FAKETIME_NO_CACHE", "1"),
        // What a set clock changes is the wall clock alone.
        own("DONT_FAKE_MONOTONIC", "1"),
        own("NO_FAKE_STAT", "1"),
    ];
    agent
}

fn set(agent: &Process, by: &str) {
    let clock = agent.site.root().join("clock");
    fs::write(clock.with_extension("new"), by).unwrap();
    fs::rename(clock.with_extension("new"), clock).unwrap();
}

fn append(agent: &Process, name: &str, records: std::ops::Range<usize>) -> u64 {
    let text: String = records.map(|n| cef(n, "") + "\n").collect();
    let mut file = OpenOptions::new().append(true).create(true).open(agent.spool().join(name)).unwrap();
    file.write_all(text.as_bytes()).unwrap();
    text.len() as u64
}

/// Waits until so many bytes have been read; hints make that quick.
fn wait_for(agent: &Process, bytes: u64) {
    wait(&format!("{bytes} bytes; log:\n{}", agent.site.log()), || agent.counter(|s| s.consumed_bytes) == bytes);
}

fn wait_until_gone(agent: &Process, name: &str) {
    wait(&format!("{name} to be missed"), || {
        let source = agent.source().unwrap_or_default();
        source.files.iter().any(|f| f.path.ends_with(name) && f.state == FileState::Gone)
    });
}

#[test]
fn a_clock_that_is_set_loses_nothing_repeats_nothing_and_raises_no_alert() {
    let Some(library) = libfaketime() else {
        skip("a_clock_that_is_set_loses_nothing_repeats_nothing_and_raises_no_alert", "libfaketime is not installed");
        return;
    };
    let mut agent = agent_with_a_clock(&library);
    let rotated: String = (1000..1040).map(|n| cef(n, "") + "\n").collect();
    fs::write(agent.spool().join("old.gz"), gz(rotated.as_bytes())).unwrap();
    let mut bytes = rotated.len() as u64 + append(&agent, "a.log", 0..40);
    agent.start();
    wait_for(&agent, bytes);
    // Moved away; it comes back under another name when the clock has been set.
    fs::remove_file(agent.spool().join("old.gz")).unwrap();
    wait_until_gone(&agent, "old.gz");
    // A year on, a day back, an hour on and back (as a clock that is set for summer time).
    let mut n = 40;
    for by in ["+366d", "-1d", "+1h", "+0", "+366d"] {
        set(&agent, by);
        bytes += append(&agent, "a.log", n..n + 5) + append(&agent, &format!("{n}.log"), n + 5..n + 10);
        wait_for(&agent, bytes);
        n += 10;
    }
    wait("the clock to be noticed", || agent.site.log().matches("the clock was set").count() >= 4);
    assert_eq!(agent.counter(|s| s.counters.forgotten), 0);
    fs::write(agent.spool().join("old.zst"), zstd::encode_all(rotated.as_bytes(), 3).unwrap()).unwrap();
    wait("the compressed file to be known", || agent.counter(|s| s.counters.continued) == 1);
    let expected: Vec<usize> = (0..n).chain(1000..1040).collect();
    fs::remove_file(agent.spool().join("old.zst")).unwrap();
    wait_until_gone(&agent, "old.zst");
    agent.stop();
    let positions = check(&agent, &expected);
    // Two days later, by the calendar: what was gone before is forgotten, what is there is read on.
    set(&agent, "+368d");
    append(&agent, "a.log", n..n + 5);
    agent.start();
    wait("the position to be forgotten", || agent.counter(|s| s.counters.forgotten) == 1);
    agent.settle();
    agent.stop();
    assert_eq!(check(&agent, &(0..n + 5).chain(1000..1040).collect::<Vec<_>>()), positions - 1);
}

/// Of a stopped agent: these records were judged once, and there is no other alert. Returns the positions kept.
fn check(agent: &Process, expected: &[usize]) -> usize {
    let outcome = Outcome::of(&agent.state_dir(), &agent.alert_file());
    outcome.check_conservation(agent.lives().last().unwrap());
    outcome.check_judged(expected, false, &agent.spool());
    let alerts = fs::read_to_string(agent.alert_file()).unwrap();
    assert_eq!(alerts.lines().count(), expected.len(), "other alerts: {alerts}");
    outcome.files.len()
}
