//! The state directory is moved away, replaced, emptied or cut while the daemon works with it: noticed, said, never relearned.

use super::expected::{Expected, assert_decent, detections, status, wait_for_all};
use crate::site::{Daemon, Site, wait};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::process::Command;

const QUICK: &[(&str, &str)] = &[("EXFIL_AGENT_LONGEST_PAUSE_MS", "200")];

/// A daemon that has judged half of the text.
fn begin(expected: &Expected) -> (Site, Daemon) {
    let site = Site::new();
    fs::create_dir(site.root().join("spool")).unwrap();
    let daemon = site.start_with(QUICK);
    fs::write(site.spool("a.cef"), half(expected).0).unwrap();
    site.wait_for_bytes(half(expected).0.len() as u64);
    // Acknowledgements have been committed too: nothing more is written by itself.
    wait(&format!("the alerts to be delivered; {}", site.log()), || {
        let status = status(&site).unwrap_or_default();
        status["sinks"][0]["queued"] == 0 && status["queues"][1]["depth"] == 0 && !detections(&alerts(&site)).is_empty()
    });
    (site, daemon)
}

fn half(expected: &Expected) -> (&str, &str) {
    let middle = expected.text.len() / 2;
    expected.text.split_at(middle + expected.text[middle..].find('\n').unwrap() + 1)
}

fn alerts(site: &Site) -> std::path::PathBuf {
    site.root().join("alerts.jsonl")
}

fn go_on(site: &Site, expected: &Expected) {
    let mut file = OpenOptions::new().append(true).open(site.spool("a.cef")).unwrap();
    file.write_all(half(expected).1.as_bytes()).unwrap();
}

fn said(site: &Site, words: &str) {
    wait(&format!("{words:?} in the log:\n{}", site.log()), || site.log().contains(words));
    assert_decent(&site.log(), words);
}

fn complete(site: &Site, daemon: Daemon, expected: &Expected) {
    wait_for_all(site, expected, &alerts(site), "");
    assert_eq!(daemon.terminate(), 0, "{}", site.log());
    expected.assert_left(&site.root().join("state"), &alerts(site), &site.log());
}

#[test]
fn a_state_directory_that_was_moved_away_is_missed_and_taken_up_again_where_it_comes_back() {
    let expected = Expected::of(350);
    let (site, daemon) = begin(&expected);
    let (state, away) = (site.root().join("state"), site.root().join("away"));
    fs::rename(&state, &away).unwrap();
    go_on(&site, &expected);
    said(&site, "is gone from there");
    assert!(!state.exists(), "no new state is begun behind the back of a running agent");
    fs::rename(&away, &state).unwrap();
    complete(&site, daemon, &expected);
}

#[test]
fn a_state_directory_that_was_replaced_by_another_one_is_not_written_to() {
    let expected = Expected::of(350);
    let (site, daemon) = begin(&expected);
    let other = Site::new();
    fs::create_dir(other.root().join("spool")).unwrap();
    fs::write(other.spool("a.cef"), half(&expected).0).unwrap();
    let second = other.start_with(QUICK);
    other.wait_for_bytes(half(&expected).0.len() as u64);
    assert_eq!(second.terminate(), 0);

    let (state, away) = (site.root().join("state"), site.root().join("away"));
    fs::rename(&state, &away).unwrap();
    copy(&other.root().join("state"), &state);
    let before = fs::read(state.join("sled/db")).unwrap();
    go_on(&site, &expected);
    said(&site, "another one was put in its place");
    assert!(fs::read(state.join("sled/db")).unwrap() == before, "the other state is as it was");
    fs::remove_dir_all(&state).unwrap();
    fs::rename(&away, &state).unwrap();
    complete(&site, daemon, &expected);
}

#[test]
fn a_removed_state_is_never_begun_anew_by_the_running_agent() {
    let expected = Expected::of(350);
    let (site, daemon) = begin(&expected);
    fs::remove_dir_all(site.root().join("state")).unwrap();
    go_on(&site, &expected);
    said(&site, "is gone from there");
    let delivered = detections(&alerts(&site));
    assert!(delivered.len() < expected.ids.len() && expected.ids.starts_with(&delivered), "{delivered:?}");
    assert!(!site.root().join("state").exists());
    daemon.kill();
}

#[test]
fn an_older_copy_of_the_state_ends_the_agent_with_words() {
    let expected = Expected::of(350);
    let (site, daemon) = begin(&expected);
    assert_eq!(daemon.terminate(), 0);
    let (sled, old) = (site.root().join("state/sled"), site.root().join("old"));
    copy(&sled, &old);
    let mut daemon = site.start_with(QUICK);
    go_on(&site, &expected);
    wait("the rest to be delivered", || detections(&alerts(&site)).len() >= expected.ids.len());
    wait("the acknowledgements to be committed", || {
        status(&site).is_some_and(|s| s["sinks"][0]["queued"] == 0 && s["queues"][1]["depth"] == 0)
    });
    fs::rename(&sled, site.root().join("newer")).unwrap();
    fs::rename(&old, &sled).unwrap();
    let mut file = OpenOptions::new().append(true).open(site.spool("a.cef")).unwrap();
    file.write_all(expected.text.as_bytes()).unwrap();
    wait(&format!("the agent to end; {}", site.log()), || daemon.has_ended());
    // Not 65: systemd starts the agent again, and that start has something to fall back to.
    assert_eq!(daemon.terminate(), 1, "{}", site.log());
    said(&site, "the data is as of commit");
    said(&site, "falls back to the newest sound snapshot");
    let again = site.start_with(QUICK);
    said(&site, "put back to the snapshot of commit");
    wait(&format!("the agent to be up; {}", site.log()), || status(&site).is_some());
    assert_eq!(again.terminate(), 0, "{}", site.log());
}

#[test]
fn a_data_file_that_was_cut_under_the_agent_is_noticed_at_the_next_start_at_the_latest() {
    let expected = Expected::of(350);
    let (site, mut daemon) = begin(&expected);
    let file = OpenOptions::new().write(true).open(site.root().join("state/sled/db")).unwrap();
    // Less than what is in it: packed, a few hundred events are little.
    file.set_len(2 << 10).unwrap();
    go_on(&site, &expected);
    wait(&format!("the agent to judge the rest or to end; {}", site.log()), || {
        daemon.has_ended() || detections(&alerts(&site)).len() >= expected.ids.len()
    });
    let code = daemon.terminate();
    let mut again = site.start_with(QUICK);
    if site.root().join("state/snapshots").exists() {
        said(&site, "put back to the snapshot of commit");
        return complete(&site, again, &expected);
    }
    wait(&format!("the next start to refuse; the first ended with {code}; {}", site.log()), || again.has_ended());
    assert_eq!(again.terminate(), 65, "{}", site.log());
    said(&site, "the state is damaged");
}

fn copy(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap().success());
}
