//! Weeks of spool after an outage: read as if they had been read in time. Nothing becomes late by the order of reading,
//! alerts and state are those of a run without the outage, and what waits shrinks from look to look.
//!
//! The backlog of one collector is rotated and compressed, that of the other one long file; the times of modification tell
//! nothing. Bytes are appended while it is read. In `make torture` it is 5 GB.

use crate::effort;
use crate::site::{Daemon, Site, detections, office};
use crate::support::Replay;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::fs::{self, OpenOptions};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

const BEGIN_MS: i64 = 1_772_442_000_000; // 2026-03-02T09:00:00Z, where the office begins
const DAY_MS: i64 = 86_400_000;
const DAYS: usize = 35;
/// Days that were read before the outage.
const BEFORE: usize = 9;

/// Small readings and lost time, so that a small backlog takes many turns and can be watched.
const SLOW: &str = "[limits]\nread_bytes = 4096\nmax_line_bytes = 4096\nmax_batches = 2\n";

/// What the collectors wrote, in the order of time: the day, the collector, the record.
struct Traffic {
    records: Vec<(usize, bool, String)>,
    /// How often each record stands there.
    times: usize,
}

fn time_of(record: &str) -> i64 {
    let digits = record.split("start=").nth(1).and_then(|t| t.split(' ').next());
    digits.map_or(0, |t| t.parse().unwrap())
}

impl Traffic {
    fn new(times: usize) -> Traffic {
        let mut records: Vec<(i64, bool, String)> = Vec::new();
        for record in office(9000) {
            // What is no event stands where it stood.
            let at = Some(time_of(&record)).filter(|t| *t > 0).or(records.last().map(|r| r.0)).unwrap_or(BEGIN_MS);
            records.push((at, true, record));
        }
        // Another site, with users of its own, a record every quarter of an hour.
        for n in 0..DAYS as i64 * 96 {
            let at = BEGIN_MS + n * DAY_MS / 96 + 7;
            // On the last day somebody of the first collector is there, too.
            let user = if n >= (DAYS as i64 - 1) * 96 { "CORP\\user1".to_owned() } else { format!("LAB\\u{}", n % 2) };
            let head = format!("start={at} Device_Name=LAB\\PC{} User_Name={user}", n % 2);
            let record = match n % 9 {
                0 => "reason=socat.exe TCP:x:1 - outcome=Success".to_owned(),
                _ => format!(
                    "Process_Name=lab{}.exe Process_Directory=C:\\Users\\u\\Temp",
                    if n % 50 == 0 { n } else { 0 }
                ),
            };
            let start = match n % 9 {
                0 => "ProcessCreated|Running C:\\t\\socat.exe",
                _ => "FileCreated|C:\\d\\a.txt (10 bytes)",
            };
            records.push((at, false, format!("CEF:0|Dtex|DTEX InTERCEPT|6.0|{start}|3|{head} {record}")));
        }
        records.sort_by_key(|r| r.0);
        let day = |at: i64| ((at - BEGIN_MS) / DAY_MS) as usize;
        Traffic { records: records.into_iter().map(|(at, hq, record)| (day(at), hq, record)).collect(), times }
    }

    /// Appends the records of some days to a file; `hq` says of which collector, `None` of both.
    fn append(&self, path: &Path, hq: Option<bool>, days: std::ops::Range<usize>) -> u64 {
        let mut file = BufWriter::new(OpenOptions::new().create(true).append(true).open(path).unwrap());
        let mut bytes = 0;
        let wanted = self.records.iter().filter(|r| days.contains(&r.0) && hq.is_none_or(|hq| hq == r.1));
        for (_, _, record) in wanted {
            for _ in 0..self.times {
                file.write_all(record.as_bytes()).unwrap();
                file.write_all(b"\n").unwrap();
                bytes += record.len() as u64 + 1;
            }
        }
        file.flush().unwrap();
        bytes
    }

    /// Alerts and state of an agent that read everything as it was written.
    fn in_time(&self) -> (Vec<String>, String) {
        let dir = tempfile::TempDir::new().unwrap();
        let file = dir.path().join("all.cef");
        self.append(&file, None, 0..DAYS);
        let outcome = Replay::new("", 1).over(&[file]);
        let mut ids = detections(&outcome.alerts);
        ids.sort();
        (ids, outcome.state)
    }
}

fn scramble(path: &Path, day: usize) {
    // The older, the newer; and some in the future.
    let time = SystemTime::now() + Duration::from_secs(86_400 * 20) - Duration::from_secs(86_400 * day as u64 * 2);
    fs::File::options().append(true).open(path).unwrap().set_modified(time).unwrap();
}

fn compress(path: &Path, end: &str) {
    let to = PathBuf::from(format!("{}{end}", path.display()));
    let (mut from, out) = (fs::File::open(path).unwrap(), fs::File::create(&to).unwrap());
    if end == ".gz" {
        let mut gz = flate2::write::GzEncoder::new(out, flate2::Compression::fast());
        std::io::copy(&mut from, &mut gz).unwrap();
        gz.finish().unwrap();
    } else {
        zstd::stream::copy_encode(from, out, 1).unwrap();
    }
    fs::remove_file(path).unwrap();
}

/// Rotates one collector's file day after day while nobody reads. Returns the bytes.
fn outage_of_hq(traffic: &Traffic, site: &Site) -> u64 {
    let mut bytes = 0;
    for day in BEFORE..DAYS - 2 {
        // The newest file is .1, as logrotate has it; the one that was read before the outage goes on growing first.
        bytes += traffic.append(&site.spool("hq.log"), Some(true), day..day + 1);
        let rotated = site.spool(&format!("hq.log.{}", DAYS - 2 - day));
        fs::rename(site.spool("hq.log"), &rotated).unwrap();
        scramble(&rotated, day);
        match day % 5 {
            1 => compress(&rotated, ".gz"),
            3 => compress(&rotated, ".zst"),
            _ => {}
        }
    }
    bytes + traffic.append(&site.spool("hq.log"), Some(true), DAYS - 2..DAYS - 1)
}

fn status(site: &Site) -> Value {
    serde_json::from_slice(&site.ctl(&["status", "--format", "json"]).stdout).unwrap_or_default()
}

/// Looks at the status until everything is judged; bytes and age of what waits must never grow. Returns the looks.
fn watch_it_shrink(site: &Site, total: u64) -> Vec<(u64, Option<String>, u64)> {
    let mut looks: Vec<(u64, Option<String>, u64)> = Vec::new();
    let (mut judged, mut since) = (0, Instant::now());
    loop {
        let now = status(site);
        if let Some(bytes) = now["bytes"].as_u64()
            && bytes > judged
        {
            (judged, since) = (bytes, Instant::now());
        }
        assert!(
            since.elapsed() < Duration::from_secs(60),
            "a minute without progress at {judged} of {total}:\n{now:#}"
        );
        if let Some(bytes) = now["lag"]["bytes"].as_u64() {
            let oldest = now["lag"]["oldest_unread"].as_str().map(str::to_owned);
            if let Some((bytes_before, ..)) = looks.last() {
                assert!(bytes <= *bytes_before, "{bytes} bytes wait after {bytes_before}:\n{now:#}");
            }
            if let (Some(oldest), Some(before)) = (&oldest, looks.iter().rev().find_map(|l| l.1.as_ref())) {
                assert!(oldest >= before, "the oldest unread event is of {oldest} after {before}");
            }
            assert_eq!(now["lag"]["secs"].as_u64() == Some(0), bytes == 0, "{:#}", now["lag"]);
            looks.push((bytes, oldest, now["lag"]["waiting_files"].as_u64().unwrap()));
        }
        if judged == total {
            let last = looks.last().unwrap();
            if last.0 == 0 {
                return looks;
            }
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A signal that stops a process takes a while to reach all of its threads.
fn is_stopped(pid: u32) -> bool {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    // pid (name) state ...
    let state = |stat: String| stat.rsplit(") ").next().and_then(|rest| rest.chars().next());
    let mut stats = threads.map(|t| fs::read_to_string(t.unwrap().path().join("stat")));
    // One that has just ended is looked for again.
    stats.all(|stat| stat.is_ok_and(|stat| state(stat) == Some('T')))
}

fn files(site: &Site) -> Vec<Value> {
    status(site)["files"].as_array().cloned().unwrap_or_default()
}

/// Waits until all bytes of a file are known to the agent: what is appended makes more of what waits, until it is found.
fn wait_until_found(site: &Site, name: &str) {
    let size = fs::metadata(site.spool(name)).unwrap().len();
    let is_whole =
        |f: &Value| f["offset"].as_u64().zip(f["lag_bytes"].as_u64()).is_some_and(|(at, lag)| at + lag == size);
    crate::site::wait(&format!("the last bytes of {name} to be found"), || {
        files(site).iter().any(|f| f["path"].as_str().is_some_and(|path| path.ends_with(name)) && is_whole(f))
    });
}

fn start(site: &Site, traffic: &Traffic, seed: u64) -> Daemon {
    let fail = if traffic.times == 1 { format!("jitter={seed}") } else { String::new() };
    let daemon = site.start_with(&[("EXFIL_AGENT_FAIL", &fail)]);
    crate::site::wait(&format!("the agent to answer; log:\n{}", site.log()), || !status(site).is_null());
    daemon
}

/// A site on which both collectors were read up to the outage.
fn before_the_outage(traffic: &Traffic, slow: bool) -> (Site, Daemon, u64) {
    let site = Site::new();
    // The same record over and over is what a bomb looks like, too.
    site.configure(if slow { SLOW } else { "[limits]\nmax_expansion = 100000\n" });
    fs::create_dir(site.root().join("spool")).unwrap();
    let mut bytes = traffic.append(&site.spool("hq.log"), Some(true), 0..BEFORE);
    bytes += traffic.append(&site.spool("lab.log"), Some(false), 0..BEFORE);
    let daemon = site.start();
    watch_it_shrink(&site, bytes);
    (site, daemon, bytes)
}

fn finish(site: &Site, daemon: Daemon, traffic: &Traffic) {
    let last = status(site);
    assert_eq!(daemon.terminate(), 0, "{}", site.log());
    let (ids, state) = traffic.in_time();
    assert_eq!(last["late"], 0, "nothing is late that was not late in time");
    let records = last["records"].as_u64().unwrap();
    assert_eq!(records, (traffic.records.len() * traffic.times) as u64, "every record once");
    let counted: u64 = ["events", "rejects"]
        .iter()
        .flat_map(|k| last[k].as_object().unwrap().values())
        .map(|n| n.as_u64().unwrap())
        .sum();
    assert_eq!(records, counted + last["headers"].as_u64().unwrap() + last["blank"].as_u64().unwrap());
    for sink in last["sinks"].as_array().unwrap() {
        let n = |name: &str| sink[name].as_u64().unwrap();
        let all = n("delivered") + n("below_min_score") + n("suppressed") + n("queued");
        assert_eq!(all, last["alerts"].as_u64().unwrap(), "alerts = delivered + below + suppressed + queued");
    }
    let mut got = site.alert_ids();
    got.sort();
    assert!(got == ids, "{} alerts instead of {}", got.len(), ids.len());
    assert!(site.dump() == state, "the state is another one");
}

#[test]
fn weeks_of_backlog_are_judged_as_if_they_had_been_read_in_time() {
    let traffic = Traffic::new(effort::of(1, 2500));
    // With large readings, a small file spans weeks in one.
    for slow in if effort::is_torture() { [false].iter() } else { [true, false].iter() } {
        judge_a_backlog(&traffic, *slow);
    }
}

fn judge_a_backlog(traffic: &Traffic, slow: bool) {
    let (site, daemon, mut bytes) = before_the_outage(traffic, slow);
    assert_eq!(daemon.terminate(), 0, "{}", site.log());
    bytes += outage_of_hq(traffic, &site);
    bytes += traffic.append(&site.spool("lab.log"), Some(false), BEFORE..DAYS);
    let daemon = start(&site, traffic, 5);
    let since = Instant::now();
    let looks = watch_it_shrink(&site, bytes);
    if effort::is_torture() {
        let shown = looks.iter().step_by(looks.len() / 20 + 1);
        shown.for_each(|(bytes, oldest, files)| println!("{bytes} bytes wait, {files} files; oldest {oldest:?}"));
        println!("{} MB on disk in {:?}", looks[0].0 / 1_000_000, since.elapsed());
    }
    if slow || effort::is_torture() {
        // It shrinks with each commit, and several looks may fall between two.
        let is_part = |bytes: u64| bytes > 0 && bytes < looks[0].0;
        assert!(looks.len() > 4 && looks.iter().any(|l| is_part(l.0)), "the backlog was seen to shrink: {looks:?}");
        assert!(looks.iter().any(|l| l.2 > 0) && looks.last().unwrap().2 == 0, "files waited for it: {looks:?}");
    }
    bytes += traffic.append(&site.spool("hq.log"), Some(true), DAYS - 1..DAYS);
    wait_until_found(&site, "hq.log");
    watch_it_shrink(&site, bytes);
    finish(&site, daemon, traffic);
}

#[test]
fn a_backlog_is_read_in_order_while_it_grows_and_the_agent_is_killed() {
    let traffic = Traffic::new(effort::of(1, 20));
    let (site, daemon, mut bytes) = before_the_outage(&traffic, !effort::is_torture());
    daemon.kill();
    bytes += outage_of_hq(&traffic, &site);
    bytes += traffic.append(&site.spool("lab.log"), Some(false), BEFORE..DAYS - 1);
    let last: Vec<&String> = traffic.records.iter().filter(|r| r.0 == DAYS - 1 && r.1).map(|r| &r.2).collect();
    let chunks: Vec<&[&String]> = last.chunks(last.len() / 5 + 1).collect();
    let mut file = OpenOptions::new().append(true).open(site.spool("hq.log")).unwrap();
    for (n, chunk) in chunks.iter().enumerate() {
        let daemon = start(&site, &traffic, n as u64);
        crate::site::wait("the agent to answer", || site.judged_bytes().is_some());
        let judged = site.judged_bytes();
        for record in chunk.iter().flat_map(|r| std::iter::repeat_n(*r, traffic.times)) {
            file.write_all(record.as_bytes()).unwrap();
            file.write_all(b"\n").unwrap();
            bytes += record.len() as u64 + 1;
        }
        if n + 1 == chunks.len() {
            bytes += traffic.append(&site.spool("lab.log"), Some(false), DAYS - 1..DAYS);
            ["hq.log", "lab.log"].iter().for_each(|name| wait_until_found(&site, name));
            watch_it_shrink(&site, bytes);
            finish(&site, daemon, &traffic);
            return;
        }
        crate::site::wait("some more to be judged", || site.judged_bytes() > judged);
        daemon.kill();
    }
}

#[test]
fn a_backlog_that_appears_while_the_agent_runs_makes_nothing_late() {
    let traffic = Traffic::new(effort::of(1, 20));
    let (site, daemon, mut bytes) = before_the_outage(&traffic, !effort::is_torture());
    assert_eq!(daemon.terminate(), 0, "{}", site.log());
    let daemon = start(&site, &traffic, 9);
    bytes += traffic.append(&site.spool("lab.log"), Some(false), BEFORE..DAYS - 1);
    wait_until_found(&site, "lab.log");
    watch_it_shrink(&site, bytes);
    // One collector was cut off; its files arrive together, and its last one goes on.
    let pid = Pid::from_child(&daemon.child);
    kill_process(pid, Signal::STOP).unwrap();
    crate::site::wait("every thread to stand still", || is_stopped(daemon.child.id()));
    bytes += outage_of_hq(&traffic, &site);
    bytes += traffic.append(&site.spool("hq.log"), Some(true), DAYS - 1..DAYS);
    kill_process(pid, Signal::CONT).unwrap();
    let spool = fs::read_dir(site.root().join("spool")).unwrap();
    let names: Vec<String> = spool.map(|entry| entry.unwrap().path().display().to_string()).collect();
    crate::site::wait("every file to be found", || {
        let known = files(&site);
        names.iter().all(|name| known.iter().any(|f| f["path"] == **name))
    });
    // The other goes on meanwhile. Not before: what is appended to a file that is followed may be read before the next listing.
    bytes += traffic.append(&site.spool("lab.log"), Some(false), DAYS - 1..DAYS);
    wait_until_found(&site, "lab.log");
    watch_it_shrink(&site, bytes);
    finish(&site, daemon, &traffic);
}
