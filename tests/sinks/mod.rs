//! The sinks proved with real parts: a real rsyslogd, a real logrotate, real full disks, the real daemon.
//!
//! Every event line of `runs` gives exactly one alert, so what must arrive is known beforehand.

mod abroad; // where alerts must not go: a spool that would be read again
mod both; // two sinks, two floors, one of them failing
mod cef; // a small CEF parser that shares nothing with the agent's
mod disk; // a full disk in mid-line, a read-only one
mod hostile; // text that attacks whoever reads it, through to daemon, file and terminal
mod long; // alerts larger than a syslog daemon takes
mod pressure; // a stalled daemon slows reading down, and nothing grows
mod remote; // RFC 5424 over every transport: each part of a message; receivers that come late, go, stall
mod replaced; // the alert file's directory goes; something else takes the file's place
mod rotation; // logrotate, with the agent killed around it
mod rsyslogd; // the real daemon as a test's part
mod syslog; // the syslog daemon absent, stopped, killed, stalled; the agent killed

use crate::site::Site;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::time::{Duration, Instant};

/// When the first event of `runs` happened: 2026-03-02T09:00:00Z.
const START: i64 = 1_772_442_000_000;

/// One event for each number: a user of that number runs a tool that a rule names, which is one alert of score 30.
fn runs(numbers: std::ops::Range<usize>) -> String {
    numbers.map(|n| run(n, "iodine.exe -f t.example.net")).collect()
}

fn run(n: usize, command: &str) -> String {
    let ms = START + n as i64;
    format!(
        "CEF:0|Dtex|DTEX InTERCEPT|6.0|ProcessCreated|Running C:\\t\\iodine.exe|5|start={ms} Device_Name=CORP\\WS{n} User_Name=CORP\\user{n} reason={command} outcome=Success\n"
    )
}

/// A site with a spool, and its text so far.
struct Fed {
    site: Site,
    fed: usize,
    alerts: usize,
}

impl Fed {
    /// A site with these settings added.
    fn new(settings: &str) -> Fed {
        let site = Site::new();
        site.configure(settings);
        std::fs::create_dir(site.root().join("spool")).unwrap();
        Fed { site, fed: 0, alerts: 0 }
    }

    /// Appends so many events that give one alert each.
    fn feed(&mut self, events: usize) {
        self.feed_text(&runs(self.alerts..self.alerts + events), events);
    }

    /// Appends a text that gives so many alerts.
    fn feed_text(&mut self, text: &str, alerts: usize) {
        self.feed_bytes("a.cef", text.as_bytes(), alerts);
    }

    fn feed_bytes(&mut self, name: &str, bytes: &[u8], alerts: usize) {
        let mut file = OpenOptions::new().create(true).append(true).open(self.site.spool(name)).unwrap();
        file.write_all(bytes).unwrap();
        self.fed += bytes.len();
        self.alerts += alerts;
    }

    fn status(&self) -> Value {
        let out = self.site.ctl(&["status"]);
        serde_json::from_slice(&out.stdout)
            .unwrap_or_else(|e| panic!("{e}: {}\n{}", String::from_utf8_lossy(&out.stderr), self.site.log()))
    }

    /// Waits up to a minute until a status satisfies.
    fn wait_for(&self, what: &str, mut until: impl FnMut(&Value) -> bool) -> Value {
        let since = Instant::now();
        loop {
            // While the agent starts there is no answer.
            let status: Option<Value> = serde_json::from_slice(&self.site.ctl(&["status"]).stdout).ok();
            match status {
                Some(status) if until(&status) => return status,
                status if since.elapsed() > Duration::from_secs(60) => {
                    panic!("waited a minute for {what}\n{}\n{}", status.unwrap_or_default(), self.site.log())
                }
                _ => std::thread::sleep(Duration::from_millis(50)),
            }
        }
    }

    /// Waits until everything fed is judged and this sink has nothing more to deliver.
    fn wait_for_delivery(&self, sinks: &[&str]) -> Value {
        self.wait_for(&format!("all alerts to be delivered to {sinks:?}"), |status| {
            status["bytes"] == self.fed
                && sinks.iter().all(|name| row(status, name)["queued"] == 0 && status["alerts"] == self.alerts)
        })
    }
}

/// A sink's row of a status; nothing before its first acknowledgement.
fn row<'a>(status: &'a Value, sink: &str) -> &'a Value {
    let rows = status["sinks"].as_array().into_iter().flatten();
    rows.into_iter().find(|row| row["name"] == sink).unwrap_or(&Value::Null)
}

/// What must add up in every status: bytes, records, and the alerts of each sink.
fn assert_adds_up(status: &Value, fed: usize) {
    let n = |value: &Value| value.as_u64().unwrap_or_else(|| panic!("no number in {status}"));
    let sum = |name: &str| status[name].as_object().unwrap().values().map(n).sum::<u64>();
    let pending: u64 = status["files"].as_array().unwrap().iter().filter_map(|f| f["lag_bytes"].as_u64()).sum();
    assert_eq!(n(&status["bytes"]) + pending, fed as u64, "bytes = consumed + pending: {status}");
    let records = sum("events") + sum("rejects") + n(&status["headers"]) + n(&status["blank"]);
    assert_eq!(n(&status["records"]), records, "records = events + rejects + headers + blank lines: {status}");
    for sink in status["sinks"].as_array().unwrap() {
        let parts = ["delivered", "below_min_score", "suppressed", "queued"].map(|part| n(&sink[part]));
        assert_eq!(n(&status["alerts"]), parts.iter().sum::<u64>(), "the alerts of {sink} add up");
    }
}

/// Runs independent cases at once: each spends its time waiting.
fn side_by_side<T: Sync>(cases: &[T], run: impl Fn(&T) + Sync) {
    std::thread::scope(|scope| {
        for case in cases {
            scope.spawn(|| run(case));
        }
    });
}

/// How often each id occurs.
fn tally(ids: impl IntoIterator<Item = String>) -> BTreeMap<String, usize> {
    let mut out = BTreeMap::new();
    ids.into_iter().for_each(|id| *out.entry(id).or_insert(0) += 1);
    out
}

/// Whether a line of an alert file is a whole alert: a process that is killed in mid-line leaves one that is not.
fn is_whole(line: &str) -> bool {
    serde_json::from_str::<serde_json::Value>(line).is_ok()
        || (line.starts_with("CEF:0|") && line.ends_with(" cn1Label=score"))
}
