//! Real file systems under the real daemon: full, full at the start, and no longer writable.

use super::expected::{Expected, assert_decent, detections, status, wait_for_all};
use crate::effort::is_torture;
use crate::mounts::{Mount, make_ext4};
use crate::site::{Daemon, Site, id_of, wait};
use crate::skip::skip;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Short pauses between attempts to commit.
const QUICK: &[(&str, &str)] = &[("EXFIL_AGENT_LONGEST_PAUSE_MS", "300")];

/// What lies on the disk that fills up.
#[derive(Clone, Copy, Debug)]
struct There {
    state: bool,
    alerts: bool,
}

#[test]
fn a_full_disk_stops_the_advance_until_there_is_space() {
    let name = "a_full_disk_stops_the_advance_until_there_is_space";
    if let Err(why) = Mount::tmpfs(12) {
        return skip(name, &why);
    }
    let expected = Expected::of(2500);
    let both = [
        There { state: true, alerts: false },
        There { state: false, alerts: true },
        There { state: true, alerts: true },
    ];
    std::thread::scope(|scope| {
        for there in both {
            let expected = &expected;
            scope.spawn(move || fill_and_free(there, expected, false));
            if is_torture() {
                scope.spawn(move || fill_and_free(there, expected, true));
            }
        }
    });
}

/// Fills the disk in mid-run and frees it again; with `restart` the agent is stopped and started while it is full.
fn fill_and_free(there: There, expected: &Expected, restart: bool) {
    let mount = Mount::tmpfs(12).unwrap();
    let (site, state, alerts) = site_on(&mount, there);
    let mut daemon = Some(feed_some(&site, expected, &alerts));
    let ballast = fill(mount.path());
    let has_complained = || {
        let log = site.log();
        if there.state { has_complained_of_the_state(&log) } else { log.contains("free some space") }
    };
    feed_slowly(&site, expected, has_complained);
    wait(&format!("a complaint in the log; {there:?}; {}", site.log()), has_complained);
    if there.state {
        wait("the reason in the log", || site.log().contains("No space left on device"));
        let epoch = last_commit(&site)["epoch"].clone();
        assert!(last_commit(&site)["failing"].is_string(), "status says it: {}", last_commit(&site));
        assert_waits_quietly(daemon.as_ref().unwrap());
        assert_eq!(last_commit(&site)["epoch"], epoch, "nothing is committed meanwhile");
    } else {
        let failing = || status(&site).is_some_and(|s| s["sinks"][0]["failing_since"].is_string());
        wait("the status to say it", failing);
        assert_waits_quietly(daemon.as_ref().unwrap());
    }
    if restart {
        assert_eq!(daemon.take().unwrap().terminate(), 0, "it stops, {there:?}: {}", site.log());
        let mut again = site.start_with(QUICK);
        if there.state {
            wait("a start on a full disk to fail", || again.has_ended());
            assert_eq!(again.terminate(), 1, "{}", site.log());
            assert!(site.log().contains("check space"), "{}", site.log());
        } else {
            daemon = Some(again);
        }
    }
    fs::remove_file(ballast).unwrap();
    let daemon = daemon.unwrap_or_else(|| site.start_with(QUICK));
    complete(&site, daemon, expected, &alerts);
    expected.assert_left(&state, &alerts, &format!("{there:?}, restart: {restart}; {}", site.log()));
    if !restart {
        // A line that was cut in the middle has been finished.
        fs::read_to_string(&alerts).unwrap().lines().for_each(|line| drop(id_of(line)));
    }
}

#[test]
fn a_start_on_a_full_disk_leaves_nothing_half_made() {
    let name = "a_start_on_a_full_disk_leaves_nothing_half_made";
    let mount = match Mount::tmpfs(2) {
        Ok(mount) => mount,
        Err(why) => return skip(name, &why),
    };
    let (site, state, alerts) = site_on(&mount, There { state: true, alerts: false });
    let expected = Expected::of(350);
    // Every amount of space that is left lets the start get further.
    for pages_left in 0..40 {
        let ballast = fill(mount.path());
        let full = OpenOptions::new().write(true).open(&ballast).unwrap();
        full.set_len(full.metadata().unwrap().len().saturating_sub(pages_left * 4096)).unwrap();
        let mut daemon = site.start_with(QUICK);
        wait("a start on a full disk to fail or to say what it waits for", || {
            daemon.has_ended() || site.log().contains("reading 1 spool")
        });
        if !daemon.has_ended() {
            daemon.kill();
            fs::remove_file(ballast).unwrap();
            break;
        }
        let code = daemon.terminate();
        assert!([1, 73].contains(&code), "exit code {code}: {}", site.log());
        fs::remove_file(ballast).unwrap();
        // A state that was given up half-way is no obstacle later. The next round begins without one.
        if pages_left % 2 == 0 {
            let _ = fs::remove_dir_all(&state);
        }
    }
    assert_decent(&site.log(), "a start on a full disk");
    let daemon = feed_some(&site, &expected, &alerts);
    feed_rest(&site, &expected);
    complete(&site, daemon, &expected, &alerts);
    expected.assert_left(&state, &alerts, &site.log());
}

#[test]
fn a_disk_that_turns_read_only_is_said_and_the_state_goes_on_after_a_new_mount() {
    let name = "a_disk_that_turns_read_only_is_said_and_the_state_goes_on_after_a_new_mount";
    let dir = tempfile::tempdir().unwrap();
    let (image, at) = (dir.path().join("image"), dir.path().join("disk"));
    fs::create_dir(&at).unwrap();
    let mount = match make_ext4(&image, 32).and_then(|()| Mount::ext4(&image, &at)) {
        Ok(mount) => mount,
        Err(why) => return skip(name, &why),
    };
    let (site, state, alerts) = site_on(&mount, There { state: true, alerts: true });
    let expected = Expected::of(350);
    let daemon = feed_some(&site, &expected, &alerts);
    // What the kernel does when the disk below fails.
    mount.remount("abort").unwrap();
    feed_rest(&site, &expected);
    wait(&format!("the daemon to complain; {}", site.log()), || has_complained_of_the_state(&site.log()));
    assert_waits_quietly(&daemon);
    let before = detections(&alerts);
    daemon.kill();
    let mut again = site.start_with(QUICK);
    wait("a start on a read-only disk to fail", || again.has_ended());
    let code = again.terminate();
    assert!([73, 77].contains(&code), "exit code {code}: {}", site.log());
    assert_decent(&site.log(), "read-only");
    drop(mount);
    let _mount = Mount::ext4(&image, &at).unwrap();
    let daemon = site.start_with(QUICK);
    complete(&site, daemon, &expected, &alerts);
    assert!(before.iter().all(|id| expected.ids.contains(id)));
    expected.assert_left(&state, &alerts, &site.log());
}

/// Where a fold is the first to fail, there may be nothing to commit, and the state cannot be opened again.
fn has_complained_of_the_state(log: &str) -> bool {
    ["cannot commit to", "cannot open the state"].iter().any(|complaint| log.contains(complaint))
}

/// A site whose state or alert file lies on a mount, with both paths.
fn site_on(mount: &Mount, there: There) -> (Site, PathBuf, PathBuf) {
    let site = Site::new();
    site.configure(
        "[limits]\nread_bytes = 4096\nmax_line_bytes = 4096\nmax_delta_bytes = 16384\nmax_resident_bytes = 0\n",
    );
    fs::create_dir(site.root().join("spool")).unwrap();
    let place = |name: &str, moves: bool| {
        let old = site.root().join(name);
        if !moves {
            return old;
        }
        let new = mount.path().join(name);
        site.reconfigure(old.to_str().unwrap(), new.to_str().unwrap());
        new
    };
    let (state, alerts) = (place("state", there.state), place("alerts.jsonl", there.alerts));
    (site, state, alerts)
}

fn split(expected: &Expected) -> (&str, &str) {
    // sled takes its first half megabyte at once: the rest must need more.
    let first = expected.text.len() / 10;
    expected.text.split_at(first + expected.text[first..].find('\n').unwrap() + 1)
}

/// Starts the daemon and has it judge some of the text.
fn feed_some(site: &Site, expected: &Expected, alerts: &Path) -> Daemon {
    let daemon = site.start_with(QUICK);
    let some = split(expected).0;
    fs::write(site.spool("a.cef"), some).unwrap();
    site.wait_for_bytes(some.len() as u64);
    wait("the first alerts", || !detections(alerts).is_empty());
    daemon
}

fn feed_rest(site: &Site, expected: &Expected) {
    let mut file = OpenOptions::new().append(true).open(site.spool("a.cef")).unwrap();
    file.write_all(split(expected).1.as_bytes()).unwrap();
}

/// Many small commits, so that sled needs another segment whatever the threads do.
fn feed_slowly(site: &Site, expected: &Expected, enough: impl Fn() -> bool) {
    let mut file = OpenOptions::new().append(true).open(site.spool("a.cef")).unwrap();
    for piece in split(expected).1.as_bytes().chunks(8192) {
        file.write_all(piece).unwrap();
        let whole = fs::read(site.spool("a.cef")).unwrap();
        let lines = whole.iter().rposition(|b| *b == b'\n').unwrap() as u64 + 1;
        if !enough() {
            wait("a piece to be judged or the disk to be full", || enough() || site.judged_bytes() == Some(lines));
        }
    }
}

/// Waits until everything is judged and delivered, and stops the daemon.
fn complete(site: &Site, daemon: Daemon, expected: &Expected, alerts: &Path) {
    wait_for_all(site, expected, alerts, "");
    assert_eq!(daemon.terminate(), 0, "{}", site.log());
    assert_decent(&site.log(), "");
}

/// Takes all the space that is left.
fn fill(dir: &Path) -> PathBuf {
    let path = dir.join("ballast");
    let mut file = File::create(&path).unwrap();
    for size in [1 << 20, 4096, 1] {
        let chunk = vec![b'x'; size];
        loop {
            match file.write_all(&chunk) {
                Ok(()) => {}
                Err(e) if e.kind() == ErrorKind::StorageFull => break,
                Err(e) => panic!("{e}"),
            }
        }
    }
    path
}

fn last_commit(site: &Site) -> serde_json::Value {
    status(site).map(|s| s["last_commit"].clone()).unwrap_or_default()
}

/// It may not spin: less than a third of one core while it can do nothing.
fn assert_waits_quietly(daemon: &Daemon) {
    let ticks = || {
        let stat = fs::read_to_string(format!("/proc/{}/stat", daemon.child.id())).unwrap();
        let after_name = stat.rsplit(") ").next().unwrap().to_owned();
        after_name.split(' ').skip(11).take(2).map(|n| n.parse::<u64>().unwrap()).sum::<u64>()
    };
    let before = ticks();
    std::thread::sleep(Duration::from_millis(1500));
    let spent = ticks() - before;
    assert!(spent < 50, "{spent} ticks of a hundredth of a second in one and a half seconds");
}
