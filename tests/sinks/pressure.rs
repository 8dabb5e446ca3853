//! A daemon that does not read slows reading down: the spool is the queue, nothing grows and nothing is dropped.

use super::rsyslogd::{Message, Rsyslogd, Socket};
use super::{Fed, assert_adds_up, row, side_by_side, tally};
use crate::effort;
use crate::site::wait;
use serde_json::Value;
use std::time::Duration;

#[test]
fn a_stalled_daemon_stops_reading_and_not_the_agent() {
    let name = "a_stalled_daemon_stops_reading_and_not_the_agent";
    side_by_side(&[Socket::Datagram, Socket::Tcp("127.0.0.1")], |socket| stalled(name, *socket));
}

fn stalled(name: &str, socket: Socket) {
    let mut fed = Fed::new(
        "[limits]\nmax_queued_alerts = 60\nread_bytes = 4096\nmax_line_bytes = 4096\nmax_batches = 1\nworkers = 1\n",
    );
    let Some(mut rsyslogd) = Rsyslogd::new(name, fed.site.root(), socket) else { return };
    fed.site.configure(&rsyslogd.settings());
    rsyslogd.start();
    let agent = fed.site.start();
    fed.feed(30);
    fed.wait_for_delivery(&["syslog"]);
    rsyslogd.stall();
    fed.feed(effort::of(1500, 30_000));
    let full = |s: &Value| row(s, "syslog")["queued"].as_u64() >= Some(60);
    let stuck = fed.wait_for("the queue to be full and reading to stop", |s| {
        full(s) && row(s, "syslog")["failing_since"].is_string() && s["files"][0]["lag_bytes"].as_u64() > Some(0)
    });
    // It answers, it says how far behind it is, and it stays where it is.
    std::thread::sleep(Duration::from_millis(1500));
    let later = fed.status();
    assert_eq!(later["alerts"], stuck["alerts"], "nothing is judged while nothing leaves");
    let resident = resident_kib(agent.child.id());
    assert!(resident < 200 << 10, "{resident} KiB of memory");
    assert_adds_up(&later, fed.fed);
    // A batch of a read and the rest of a line before it holds at most 44 of these events; three may be under way.
    assert!(row(&later, "syslog")["queued"].as_u64().unwrap() < 60 + 3 * 44, "{later}");
    assert_eq!(row(&later, "file")["queued"], 0, "the other sink has had everything: {later}");

    // More comes in the meantime, and waits in the spool.
    fed.feed(effort::of(200, 10_000));
    rsyslogd.resume();
    fed.wait_for_delivery(&["file", "syslog"]);
    wait("everything to be stored", || rsyslogd.messages().len() >= fed.alerts);
    let ids = tally(rsyslogd.messages().iter().map(Message::id));
    assert_eq!(ids.len(), fed.alerts, "nothing was dropped");
    assert!(ids.values().all(|n| *n == 1), "a daemon that was only slow gets nothing twice");
    assert_eq!(agent.terminate(), 0, "{}", fed.site.log());
    assert_adds_up(&fed.status(), fed.fed);
    assert_eq!(fed.site.alert_ids(), rsyslogd.messages().iter().map(Message::id).collect::<Vec<_>>(), "in one order");
}

/// Memory of a process, KiB.
fn resident_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").trim().parse().unwrap()
}
