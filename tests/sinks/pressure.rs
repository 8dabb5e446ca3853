//! A daemon that does not read slows reading down: the spool is the queue, nothing grows and nothing is dropped.

use super::rsyslogd::{Message, Rsyslogd, Socket};
use super::{Fed, assert_adds_up, row, tally};
use crate::effort;
use crate::site::wait;
use serde_json::Value;
use std::time::Duration;

#[test]
fn a_stalled_daemon_stops_reading_and_not_the_agent() {
    let name = "a_stalled_daemon_stops_reading_and_not_the_agent";
    let mut fed = Fed::new("[limits]\nmax_queued_alerts = 60\nread_bytes = 4096\nmax_batches = 1\n");
    let Some(mut rsyslogd) = Rsyslogd::new(name, fed.site.root(), Socket::Datagram) else { return };
    fed.site.configure(&rsyslogd.settings());
    rsyslogd.start();
    let agent = fed.site.start();
    fed.feed(30);
    fed.wait_for_delivery(&["syslog"]);
    rsyslogd.stall();
    fed.feed(effort::of(1500, 30_000));
    let full = |s: &Value| s["queues"].as_array().unwrap().iter().any(|q| q["depth"].as_u64() >= Some(60));
    let stuck = fed.wait_for("the queue to be full and reading to stop", |s| {
        full(s) && row(s, "syslog")["failing_since"].is_string() && s["files"][0]["lag_bytes"].as_u64() > Some(0)
    });
    // It answers, it says how far behind it is, and it stays where it is while more comes.
    fed.feed(effort::of(500, 10_000));
    std::thread::sleep(Duration::from_millis(1500));
    let later = fed.wait_for("the lag to be seen", |s| s["files"][0]["lag_bytes"] != stuck["files"][0]["lag_bytes"]);
    assert_eq!(later["alerts"], stuck["alerts"], "nothing is judged while nothing leaves");
    assert_adds_up(&later, fed.fed);
    // A batch of 4 KiB holds at most 25 of these events.
    assert!(row(&later, "syslog")["queued"].as_u64().unwrap() < 60 + 2 * 25, "{later}");
    assert_eq!(row(&later, "file")["queued"], 0, "the other sink has had everything: {later}");

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
