//! The real daemon dies: at random moments and at every failpoint, while its spool and its alert file are rotated.
//! Whatever happens, alerts and state are those of an uninterrupted replay, and no alert leaves before it is committed.

use crate::effort::{self, Draw};
use crate::site::{Daemon, Site, assert_same_ids, detections, office, uninterrupted, wait};
use exfil_agent::failpoint::Point;
use flate2::{Compression, write::GzEncoder};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::time::Duration;

const ALERT_FILES: &[&str] = &["alerts.jsonl.1", "alerts.jsonl"];

/// Ids in the alert file and in the one that was rotated away, in order.
fn delivered(site: &Site) -> Vec<String> {
    let read = |name: &&str| detections(&fs::read_to_string(site.root().join(name)).unwrap_or_default());
    ALERT_FILES.iter().flat_map(read).collect()
}

fn append(site: &Site, name: &str, bytes: &[u8]) {
    let mut file = OpenOptions::new().create(true).append(true).open(site.spool(name)).unwrap();
    file.write_all(bytes).unwrap();
}

#[test]
fn kill_minus_nine_in_the_middle_changes_neither_alerts_nor_state() {
    let lines = office(4200);
    let (ids, state) = uninterrupted(&lines);
    assert!(ids.len() > 100, "the office must give alerts: {}", ids.len());
    let text = lines.join("\n") + "\n";
    // 30 kills a seed.
    effort::for_seeds("kill_minus_nine", 1, 17, |seed| kill_often(text.as_bytes(), 30, seed, &ids, &state));
}

fn kill_often(bytes: &[u8], kills: usize, seed: u64, ids: &[String], state: &str) {
    let mut rng = Draw::new(seed);
    let site = Site::new();
    site.configure("[limits]\nmax_delta_bytes = 16384\nmax_resident_bytes = 0\n");
    site.reconfigure("[state]\n", "[state]\ncompact_min_bytes = 0\n");
    fs::create_dir(site.root().join("spool")).unwrap();
    let mut daemon = site.start();
    let (mut at, mut rotated) = (0, 0);
    for round in 0..kills {
        // Pieces end where they end: in the middle of lines.
        let stop = bytes.len() * (round + 1) / kills;
        while at < stop {
            let to = (at + 1 + rng.below(9000)).min(stop);
            append(&site, "dtex.cef", &bytes[at..to]);
            at = to;
            if rng.below(3) == 0 {
                std::thread::sleep(Duration::from_millis(rng.below(8) as u64));
            }
        }
        // Some kills come while the agent opens its state, some while it reads, some when it is idle.
        std::thread::sleep(Duration::from_millis(rng.below(140) as u64));
        daemon.kill();
        site.assert_that_delivered_is_committed(ALERT_FILES);
        if round == kills / 2 {
            fs::rename(site.root().join("alerts.jsonl"), site.root().join("alerts.jsonl.1")).unwrap();
        }
        if round % 8 == 7 {
            // Rotation while the agent is down; the rest of a line follows in the old file, as writers do.
            let line_end = bytes[at..].iter().position(|b| *b == b'\n').map_or(bytes.len(), |i| at + i + 1);
            append(&site, "dtex.cef", &bytes[at..line_end]);
            at = line_end;
            rotated += 1;
            fs::rename(site.spool("dtex.cef"), site.spool(&format!("dtex.cef.{rotated}"))).unwrap();
            // Files that grow at once have no order between them: the old one is read out first.
            daemon = site.start();
            site.wait_for_bytes(at as u64);
        } else {
            daemon = site.start();
        }
    }
    append(&site, "dtex.cef", &bytes[at..]);
    site.wait_for_bytes(bytes.len() as u64);
    wait(&format!("all alerts; log:\n{}", site.log()), || delivered(&site).len() >= ids.len());
    assert_eq!(daemon.terminate(), 0, "{}", site.log());
    assert_same_ids(&delivered(&site), ids, "");
    assert!(site.dump() == state, "another state");
}

/// Points that a scenario reaches, in four groups so that they run in parallel.
fn every_point(group: usize) {
    let lines = office(2100);
    let (ids, state) = uninterrupted(&lines);
    for (index, point) in Point::ALL.iter().enumerate() {
        if index % 4 == group {
            for nth in 1..=effort::of(1, 3) {
                let died = Life::new(*point, nth).live(&lines, &ids, &state);
                assert!(died || nth > 1, "{} was never reached", point.name());
            }
        }
    }
}

#[test]
fn an_abort_at_any_failpoint_changes_nothing_0() {
    every_point(0);
}
#[test]
fn an_abort_at_any_failpoint_changes_nothing_1() {
    every_point(1);
}
#[test]
fn an_abort_at_any_failpoint_changes_nothing_2() {
    every_point(2);
}
#[test]
fn an_abort_at_any_failpoint_changes_nothing_3() {
    every_point(3);
}

/// One agent through everything that can happen to it: reading, rotation of its spool and of its alert file, a truncation, a
/// file that is removed, a clean stop, a damaged database. It dies once on the way, at one failpoint.
struct Life {
    site: Site,
    fail: String,
    daemon: Option<Daemon>,
    died: bool,
    written: u64,
}

impl Life {
    fn new(point: Point, nth: usize) -> Life {
        let site = Site::new();
        site.configure("[limits]\nmax_delta_bytes = 16384\nmax_resident_bytes = 0\n");
        site.reconfigure("[state]\n", "[state]\ncompact_min_bytes = 0\n");
        fs::create_dir(site.root().join("spool")).unwrap();
        Life { site, fail: format!("abort={}:{nth}", point.name()), daemon: None, died: false, written: 0 }
    }

    /// Whether it died on the way.
    fn live(mut self, lines: &[String], ids: &[String], state: &str) -> bool {
        let parts: Vec<String> = lines.chunks(lines.len().div_ceil(6)).map(|part| part.join("\n") + "\n").collect();
        let spool = |name: &str| self.site.spool(name);
        let [current, rotated, archive] = ["a.cef", "a.cef.1", "b.cef.gz"].map(spool);
        self.read("a.cef", &parts[0]);
        fs::rename(&current, &rotated).unwrap();
        self.read("a.cef", &parts[1]);
        fs::rename(self.site.root().join("alerts.jsonl"), self.site.root().join("alerts.jsonl.1")).unwrap();
        self.read("a.cef", &parts[2]);
        // A file that begins anew under the same inode, shorter than it was.
        OpenOptions::new().write(true).open(&current).unwrap().set_len(0).unwrap();
        self.read("a.cef", &parts[3]);
        let mut gz = GzEncoder::new(Vec::new(), Compression::fast());
        gz.write_all(parts[4].as_bytes()).unwrap();
        fs::write(self.site.root().join("unfinished"), gz.finish().unwrap()).unwrap();
        fs::rename(self.site.root().join("unfinished"), &archive).unwrap();
        self.expect_bytes(parts[4].len());
        fs::remove_file(&archive).unwrap();
        self.until("the source to notice that the archive is gone", |site| {
            let status = serde_json::from_slice(&site.ctl(&["status"]).stdout).unwrap_or(serde_json::Value::Null);
            let files = status["files"].as_array().cloned().unwrap_or_default();
            files.iter().any(|f| f["path"].as_str().unwrap().ends_with("b.cef.gz") && f["state"] == "gone")
        });
        self.stop();
        // What is there from here on is the snapshot of the clean stop.
        fs::write(self.site.root().join("state/sled/db"), "not a database").unwrap();
        self.read("a.cef", &parts[5]);
        self.stop();
        assert_same_ids(&delivered(&self.site), ids, &self.fail);
        assert!(self.site.dump() == state, "{}: another state", self.fail);
        self.died
    }

    fn read(&mut self, name: &str, text: &str) {
        append(&self.site, name, text.as_bytes());
        self.expect_bytes(text.len());
    }

    fn expect_bytes(&mut self, more: usize) {
        self.written += more as u64;
        let bytes = self.written;
        self.until(&format!("{bytes} bytes to be judged"), |site| site.judged_bytes() == Some(bytes));
    }

    /// Waits, and starts the agent again when it dies in between.
    fn until(&mut self, what: &str, mut is_so: impl FnMut(&Site) -> bool) {
        let since = std::time::Instant::now();
        loop {
            self.keep_alive();
            if is_so(&self.site) {
                return;
            }
            if since.elapsed() > Duration::from_secs(60) {
                let status =
                    String::from_utf8_lossy(&self.site.ctl(&["--format", "table", "status"]).stdout).into_owned();
                panic!("{}: waited for {what}\n{status}\n{}", self.fail, self.site.log());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn keep_alive(&mut self) {
        if let Some(daemon) = &mut self.daemon {
            if !daemon.has_ended() {
                return;
            }
            self.note_death();
        }
        let environment = [("EXFIL_AGENT_FAIL", self.fail.as_str())];
        self.daemon = Some(self.site.start_with(if self.died { &[] } else { &environment }));
    }

    fn note_death(&mut self) {
        assert!(!self.died, "{}: it ended a second time:\n{}", self.fail, self.site.log());
        self.died = true;
        self.daemon = None;
        self.site.assert_that_delivered_is_committed(ALERT_FILES);
    }

    /// A clean stop, with one more life should it die in the middle of it.
    fn stop(&mut self) {
        // Delivered and acknowledged, so that the stop has nothing but the stop to do.
        let daemon = self.daemon.take().unwrap();
        if daemon.terminate() != 0 {
            self.note_death();
            self.keep_alive();
            self.until("the agent to be up again", |site| site.judged_bytes().is_some());
            assert_eq!(self.daemon.take().unwrap().terminate(), 0, "{}\n{}", self.fail, self.site.log());
        }
    }
}
