//! From an appended line to its alert, at idle, beside a bare write + fdatasync on the same disk.

use crate::bars::Bars;
use crate::daemon::Site;
use crate::lines::alerting;
use crate::options::Options;
use crate::product::Product;
use crate::table::{percentile, short};
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

const LINES: usize = 200;
const PAUSE: Duration = Duration::from_millis(10);
const POLL: Duration = Duration::from_micros(200);

/// Sorted, milliseconds.
struct Latencies(Vec<f64>);

pub fn measure(options: &Options, product: &Product, bars: &mut Bars) {
    println!("latency");
    let dir = options.fresh_dir("latency");
    let mut bare = bare_loop(&dir);
    let agent = append_to_alert(&Site::new(product, &dir.join("agent")));
    // Half before and half after: the disk is shared with whatever else runs.
    bare.extend(bare_loop(&dir));
    let (agent, bare) = (Latencies::of(agent), Latencies::of(bare));
    let bar = 3.0 * bare.at(99) + 2.0;
    let what = "append → alert, p99 (3 × p99 of write + fdatasync, + 2 ms)";
    bars.at_most(what, (bar * 100.0).round() / 100.0, " ms", agent.at(99));
    let both = format!(
        "p50 {} ms; write + fdatasync: p50 {} ms, p99 {} ms",
        short(agent.at(50)),
        short(bare.at(50)),
        short(bare.at(99))
    );
    bars.add("append → alert, p50", "", both, None);
}

/// One line for each of many users and hosts, whose rule fires once a day for each.
fn append_to_alert(site: &Site<'_>) -> Vec<f64> {
    let daemon = site.start();
    let alerts = site.at("alerts.jsonl");
    let mut spool = OpenOptions::new().create(true).append(true).open(site.at("spool/live.cef")).unwrap();
    let mut one = |i: usize| {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis() as i64;
        let line = alerting(now, &format!("lat{i:06}"));
        let before = size(&alerts);
        let since = Instant::now();
        spool.write_all(line.as_bytes()).unwrap();
        while size(&alerts) <= before {
            assert!(since.elapsed() < Duration::from_secs(60), "line {i} gives no alert: {}", site.log());
            std::thread::sleep(POLL);
        }
        since.elapsed().as_secs_f64() * 1e3
    };
    // The first finds a new file and an empty state.
    for i in 0..10 {
        one(i);
    }
    std::thread::sleep(Duration::from_secs(1));
    let taken = (10..10 + LINES).map(|i| {
        std::thread::sleep(PAUSE);
        one(i)
    });
    let taken = taken.collect();
    drop(daemon);
    taken
}

fn size(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |m| m.len())
}

/// Appends of 4 KiB, each synced.
fn bare_loop(dir: &Path) -> Vec<f64> {
    let mut file = File::create(dir.join("bare")).unwrap();
    let one = |_| {
        std::thread::sleep(PAUSE);
        let since = Instant::now();
        file.write_all(&[7; 4096]).unwrap();
        file.sync_data().unwrap();
        since.elapsed().as_secs_f64() * 1e3
    };
    (0..LINES / 2).map(one).collect()
}

impl Latencies {
    fn of(mut taken: Vec<f64>) -> Latencies {
        taken.sort_by(f64::total_cmp);
        Latencies(taken)
    }
    fn at(&self, percent: usize) -> f64 {
        percentile(&self.0, percent)
    }
}
