//! The syslog daemon is absent, stopped, killed, stalled and back; the agent is killed in between. Every alert arrives, and
//! what arrives twice is the same alert.

use super::rsyslogd::{Message, Rsyslogd, Socket};
use super::{Fed, assert_adds_up, row, side_by_side, tally};
use crate::site::wait;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

#[test]
fn every_alert_reaches_the_daemon_whatever_happens_to_it_and_to_the_agent() {
    let sockets =
        [Socket::Datagram, Socket::Stream, Socket::Datagram5424, Socket::Stream5424, Socket::Tcp("localhost")];
    side_by_side(&sockets, |socket| {
        through_outages("every_alert_reaches_the_daemon_whatever_happens_to_it_and_to_the_agent", *socket);
    });
}

fn through_outages(test: &str, socket: Socket) {
    let mut fed = Fed::new("");
    let Some(mut rsyslogd) = Rsyslogd::new(test, fed.site.root(), socket) else { return };
    fed.site.configure(&rsyslogd.settings());

    // Absent at start: the other sink goes on, and status says what to do.
    let mut agent = fed.site.start();
    fed.feed(40);
    fed.wait_for_delivery(&["file"]);
    let failing = fed.wait_for("the sink to fail", |s| row(s, "syslog")["failing_since"].is_string());
    let why = row(&failing, "syslog")["last_error"].as_str().unwrap();
    assert!(why.starts_with(&rsyslogd.target()) && why.contains("start the syslog daemon"), "{why}");
    assert_eq!(row(&failing, "syslog")["queued"], 40, "{failing}");
    assert_adds_up(&failing, fed.fed);
    rsyslogd.start();
    let well = fed.wait_for_delivery(&["file", "syslog"]);
    assert!(row(&well, "syslog")["failing_since"].is_null(), "{well}");
    arrived(&fed, &rsyslogd);

    // Stopped and started: what is raised meanwhile waits.
    rsyslogd.stop();
    fed.feed(40);
    fed.wait_for("alerts to wait", |s| row(s, "syslog")["queued"] == 40);
    rsyslogd.start();
    fed.wait_for_delivery(&["syslog"]);
    arrived(&fed, &rsyslogd);

    // Stalled: its queue fills up, then alerts wait. The agent is killed meanwhile, and the daemon wakes up.
    rsyslogd.stall();
    fill_up(&mut fed);
    agent.kill();
    agent = fed.site.start();
    fed.feed(5);
    let waiting = fed.wait_for("alerts to wait after the restart", |s| {
        s["bytes"] == fed.fed && row(s, "syslog")["queued"].as_u64().is_some_and(|n| n > 0)
    });
    assert_adds_up(&waiting, fed.fed);
    rsyslogd.resume();
    fed.wait_for_delivery(&["file", "syslog"]);
    arrived(&fed, &rsyslogd);

    // Killed in mid-stream while it does not read: what its socket had taken is gone, and is sent again.
    rsyslogd.stall();
    fill_up(&mut fed);
    rsyslogd.kill();
    rsyslogd.start();
    fed.wait_for_delivery(&["file", "syslog"]);
    arrived(&fed, &rsyslogd);

    // Stopped and started while alerts stream, with nothing said to anyone.
    for _ in 0..3 {
        fed.feed(100);
        rsyslogd.stop();
        rsyslogd.start();
        fed.feed(100);
    }
    fed.wait_for_delivery(&["file", "syslog"]);
    arrived(&fed, &rsyslogd);

    assert_eq!(agent.terminate(), 0, "{}", fed.site.log());
    assert_adds_up(&fed.status(), fed.fed);
    let file = fed.site.alert_ids();
    assert_eq!((tally(file.clone()).len(), file.len()), (fed.alerts, fed.alerts), "each alert once in the file");
}

/// Feeds a daemon that does not read until alerts wait. The buffer of a TCP connection has grown with what it carried before.
fn fill_up(fed: &mut Fed) {
    let is_stuck = |s: &Value| {
        row(s, "syslog")["last_error"].as_str().is_some_and(|e| e.contains("does not read"))
            && row(s, "syslog")["failing_since"].is_string()
    };
    loop {
        fed.feed(400);
        let status = fed.wait_for("the daemon's queue to be full, or everything to be in it", |s| {
            is_stuck(s) || s["alerts"] == fed.alerts && row(s, "syslog")["queued"] == 0
        });
        if is_stuck(&status) {
            return;
        }
    }
}

/// Waits until the daemon has stored every alert of the file; none other, each well-formed, repeats equal.
fn arrived(fed: &Fed, rsyslogd: &Rsyslogd) {
    let wanted: BTreeSet<String> = fed.site.alert_ids().into_iter().collect();
    assert_eq!(wanted.len(), fed.alerts);
    let stored = || rsyslogd.messages().iter().map(Message::id).collect::<BTreeSet<String>>();
    let missing = || wanted.difference(&stored()).count();
    wait(&format!("{} alerts in the daemon's file, of {}", missing(), wanted.len()), || missing() == 0);
    let mut first: BTreeMap<String, String> = BTreeMap::new();
    for message in rsyslogd.messages() {
        assert_eq!(message.header, "exfil-agent local0.err");
        assert!(message.payload.ends_with(" cn1Label=score"), "whole: {}", message.payload);
        let id = message.id();
        assert!(wanted.contains(&id), "nobody raised {id}");
        let before = first.entry(id).or_insert_with(|| message.payload.clone());
        assert_eq!(*before, message.payload, "what comes again is the same");
    }
}
