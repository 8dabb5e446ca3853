//! Two sinks with floors of their own; while one fails, the other goes on, and the numbers of each add up.

use super::rsyslogd::{Message, Rsyslogd, Socket};
use super::{Fed, START, assert_adds_up, row, side_by_side, tally};
use crate::site::wait;
use std::fs;

#[test]
fn a_sink_that_is_added_later_holds_up_nothing() {
    let name = "a_sink_that_is_added_later_holds_up_nothing";
    let mut fed = Fed::new("[limits]\nmax_alerts_kept = 0\nmax_queued_alerts = 5\n");
    let agent = fed.site.start();
    fed.feed(20);
    fed.wait_for_delivery(&["file"]);
    assert_eq!(agent.terminate(), 0, "{}", fed.site.log());
    let Some(mut rsyslogd) = Rsyslogd::new(name, fed.site.root(), Socket::Datagram) else { return };
    fed.site.configure(&rsyslogd.settings());
    rsyslogd.start();
    let agent = fed.site.start();
    fed.feed(20);
    assert_adds_up(&fed.wait_for_delivery(&["file", "syslog"]), fed.fed);
    wait("the new alerts to be stored", || rsyslogd.messages().len() >= 20);
    assert_eq!(agent.terminate(), 0, "{}", fed.site.log());
    assert_eq!(fed.site.alert_ids().len(), 40);
}

/// Low alerts: users who meet a file-sharing site, each on a day of its own.
fn visits(from: usize, to: usize) -> String {
    let visit = |n: usize| {
        format!(
            "CEF:0|Dtex|DTEX InTERCEPT|6.0|WebPageAccessed|x|3|start={START} Device_Name=WS{n} User_Name=CORP\\visitor{n} Website_Query=https://dropbox.com/{n}\n"
        )
    };
    (from..to).map(visit).collect()
}

#[test]
fn while_one_sink_fails_the_other_goes_on_and_each_adds_up() {
    let name = "while_one_sink_fails_the_other_goes_on_and_each_adds_up";
    side_by_side(&[Socket::Datagram, Socket::Tcp("127.0.0.1")], |socket| file_and(name, *socket));
}

fn file_and(name: &str, socket: Socket) {
    let mut fed = Fed::new("[limits]\nmax_alerts_per_day = 3\n");
    let logs = fed.site.root().join("logs");
    fed.site.reconfigure(
        &format!("[sink.file]\npath = {:?}", fed.site.root().join("alerts.jsonl")),
        &format!("[sink.file]\npath = {:?}", logs.join("alerts.jsonl")),
    );
    fs::create_dir(&logs).unwrap();
    let Some(mut rsyslogd) = Rsyslogd::new(name, fed.site.root(), socket) else { return };
    fed.site.configure(&format!("{}min_score = 20\n", rsyslogd.settings()));
    let agent = fed.site.start();

    // The daemon is absent; six runs of one user on one day, of which three are held back.
    fed.feed(10);
    fed.feed_text(&visits(0, 10), 10);
    let six: String = ["iodine", "iodined", "dns2tcp", "dns2tcpc", "dnsexfiltrator", "dnscat2"]
        .map(|tool| {
            format!("CEF:0|Dtex|DTEX InTERCEPT|6.0|ProcessCreated|Running C:\\t\\{tool}.exe|5|start={START} Device_Name=CORP\\WS User_Name=CORP\\busy reason={tool}.exe outcome=Success\n")
        })
        .concat();
    fed.feed_text(&six, 6);
    let status = fed.wait_for_delivery(&["file"]);
    assert_adds_up(&status, fed.fed);
    let parts = |status: &serde_json::Value, sink: &str| {
        ["delivered", "below_min_score", "suppressed", "queued"].map(|part| row(status, sink)[part].as_u64().unwrap())
    };
    assert_eq!(parts(&status, "file"), [23, 0, 3, 0]);
    assert_eq!(parts(&status, "syslog"), [0, 0, 0, 26], "nothing has left, whatever it is worth");

    // The daemon comes, and the directory of the file goes.
    fs::rename(&logs, fed.site.root().join("away")).unwrap();
    rsyslogd.start();
    fed.feed(10);
    fed.feed_text(&visits(10, 20), 10);
    let status = fed.wait_for_delivery(&["syslog"]);
    assert_adds_up(&status, fed.fed);
    assert_eq!(parts(&status, "syslog"), [23, 20, 3, 0]);
    assert_eq!(parts(&status, "file"), [23, 0, 3, 20]);
    let status = fed.wait_for("the file sink to fail", |s| row(s, "file")["failing_since"].is_string());
    let why = row(&status, "file")["last_error"].as_str().unwrap();
    assert!(why.contains("logs/alerts.jsonl") && why.contains("make its directory"), "{why}");
    assert!(status["warnings"].to_string().contains("the sink file has failed since"), "{status}");

    // An agent that stops and starts meanwhile loses nothing of either.
    agent.kill();
    let agent = fed.site.start();
    fs::rename(fed.site.root().join("away"), &logs).unwrap();
    let status = fed.wait_for_delivery(&["file", "syslog"]);
    assert_eq!(parts(&status, "file"), [43, 0, 3, 0]);
    assert_eq!(parts(&status, "syslog"), [23, 20, 3, 0]);
    assert_eq!(agent.terminate(), 0, "{}", fed.site.log());
    assert_adds_up(&fed.status(), fed.fed);

    let text = fs::read_to_string(logs.join("alerts.jsonl")).unwrap();
    let file = tally(text.lines().map(crate::site::id_of));
    assert_eq!((file.len(), text.lines().count()), (43, 43));
    wait("the daemon to have stored everything", || tally(rsyslogd.messages().iter().map(Message::id)).len() >= 23);
    let syslog = tally(rsyslogd.messages().iter().map(Message::id));
    let high = |line: &&str| serde_json::from_str::<serde_json::Value>(line).unwrap()["score"].as_u64() >= Some(20);
    assert_eq!(
        syslog.keys().cloned().collect::<Vec<_>>(),
        tally(text.lines().filter(high).map(crate::site::id_of)).into_keys().collect::<Vec<_>>()
    );
}
