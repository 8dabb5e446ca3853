//! A disk that is full in the middle of a line, and one that is read-only: status says so, and once there is room every alert
//! stands in the file once and whole.

use super::{Fed, assert_adds_up, is_whole, row, side_by_side, tally};
use crate::site::id_of;
use crate::skip;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// A small file system in memory; unmounted when dropped.
struct Mounted(PathBuf);

impl Mounted {
    fn new(test: &str, at: PathBuf, options: &str) -> Option<Mounted> {
        fs::create_dir_all(&at).unwrap();
        let done = Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(&at).output();
        match done {
            Ok(out) if out.status.success() => Some(Mounted(at)),
            Ok(out) => {
                skip::skip(test, &format!("cannot mount: {}", String::from_utf8_lossy(&out.stderr).trim()));
                None
            }
            Err(e) => {
                skip::skip(test, &format!("cannot mount: {e}"));
                None
            }
        }
    }
    fn remount(&self, options: &str) {
        let done = Command::new("mount").args(["-o", &format!("remount,{options}")]).arg(&self.0).status().unwrap();
        assert!(done.success(), "remount {options}");
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_disk_full_in_mid_line_keeps_alerts_waiting_and_every_line_whole() {
    let name = "a_disk_full_in_mid_line_keeps_alerts_waiting_and_every_line_whole";
    side_by_side(&[("json", false), ("cef", true)], |(format, killed)| fill(name, format, *killed));
}

fn fill(name: &str, format: &str, killed: bool) {
    let mut fed = Fed::new("");
    let logs = fed.site.root().join("logs");
    fed.site.reconfigure("alerts.jsonl\"", &format!("logs/alerts.jsonl\"\nformat = {format:?}"));
    let Some(mounted) = Mounted::new(name, logs.clone(), "size=200k") else { return };
    let mut agent = fed.site.start();
    fed.feed(20);
    fed.wait_for_delivery(&["file"]);
    // All but less than a page is taken by somebody else: the next line does not fit, the one after it may begin.
    fs::write(logs.join("other"), vec![b'x'; 120 << 10]).unwrap();
    fed.feed(80);
    let status =
        fed.wait_for("the disk to be full", |s| s["bytes"] == fed.fed && row(s, "file")["failing_since"].is_string());
    let why = row(&status, "file")["last_error"].as_str().unwrap();
    assert!(why.contains("logs/alerts.jsonl") && why.contains("free some space"), "{why}");
    assert!(row(&status, "file")["queued"].as_u64() > Some(0), "{status}");
    assert_adds_up(&status, fed.fed);
    let text = fs::read_to_string(logs.join("alerts.jsonl")).unwrap();
    assert!(!text.ends_with('\n'), "the file ends in mid-line");
    if killed {
        agent.kill();
        agent = fed.site.start();
        fed.wait_for("the disk to be full after the restart", |s| row(s, "file")["failing_since"].is_string());
    }
    fs::remove_file(logs.join("other")).unwrap();
    let status = fed.wait_for_delivery(&["file"]);
    assert!(row(&status, "file")["failing_since"].is_null(), "{status}");
    assert_adds_up(&status, fed.fed);
    assert_eq!(agent.terminate(), 0, "{}", fed.site.log());

    let text = fs::read_to_string(logs.join("alerts.jsonl")).unwrap();
    assert!(text.ends_with('\n'));
    // A process that dies knows no more of the line it had begun: it is ended, and its alert follows whole.
    let torn = text.lines().filter(|line| !is_whole(line)).count();
    assert!(torn <= usize::from(killed), "{torn} torn lines");
    let ids = tally(text.lines().filter(|line| is_whole(line)).map(id));
    assert_eq!((ids.len(), text.lines().count() - torn), (fed.alerts, fed.alerts), "each once");
    drop(mounted);
}

fn id(line: &str) -> String {
    if line.starts_with('{') { id_of(line) } else { super::cef::parse(line).pairs["externalId"].clone() }
}

#[test]
fn a_read_only_disk_is_told_and_recovered_from() {
    let name = "a_read_only_disk_is_told_and_recovered_from";
    let mut fed = Fed::new("");
    let logs = fed.site.root().join("logs");
    fed.site.reconfigure("alerts.jsonl", "logs/alerts.jsonl");
    let Some(mounted) = Mounted::new(name, logs.clone(), "size=1m") else { return };
    let agent = fed.site.start();
    fed.feed(10);
    fed.wait_for_delivery(&["file"]);
    // A file that is open for writing keeps its disk writable: the agent must be gone to change that.
    agent.kill();
    mounted.remount("ro");
    let agent = fed.site.start();
    fed.feed(10);
    let status =
        fed.wait_for("the sink to fail", |s| s["bytes"] == fed.fed && row(s, "file")["failing_since"].is_string());
    let why = row(&status, "file")["last_error"].as_str().unwrap();
    assert!(why.contains("mount it writable"), "{why}");
    assert_adds_up(&status, fed.fed);
    mounted.remount("rw");
    let status = fed.wait_for_delivery(&["file"]);
    assert_adds_up(&status, fed.fed);
    assert_eq!(agent.terminate(), 0, "{}", fed.site.log());
    let text = fs::read_to_string(logs.join("alerts.jsonl")).unwrap();
    assert_eq!((tally(text.lines().map(id_of)).len(), text.lines().count()), (20, 20));
    drop(mounted);
}
