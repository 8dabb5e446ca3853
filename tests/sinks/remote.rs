//! RFC 5424 over UDP, TCP and unix sockets to a real rsyslogd: each part of a message as the daemon understands it, and
//! receivers that are not there, go, come back and stall. What TCP and unix sockets share with /dev/log is in `syslog`.

use super::hostile::{self, acts, same_fields};
use super::rsyslogd::{Message, Rsyslogd, Socket, ipv6_or_ipv4};
use super::{Fed, assert_adds_up, row, side_by_side, tally};
use crate::site::wait;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;

#[test]
fn every_part_of_a_message_arrives_over_every_transport() {
    let name = "every_part_of_a_message_arrives_over_every_transport";
    let sockets = [
        Socket::Udp("127.0.0.1"),
        Socket::Udp(ipv6_or_ipv4()),
        Socket::Tcp("localhost"),
        Socket::Tcp(ipv6_or_ipv4()),
        Socket::Datagram5424,
        Socket::Stream5424,
    ];
    let cases = ["json", "cef"].map(|format| sockets.map(|socket| (format, socket)));
    side_by_side(cases.as_flattened(), |(format, socket)| parts(name, format, *socket));
}

fn parts(name: &str, format: &str, socket: Socket) {
    let mut fed = Fed::new("");
    let Some(mut rsyslogd) = Rsyslogd::new(name, fed.site.root(), socket) else { return };
    let more = format!("format = {format:?}\nfacility = \"local3\"\nmin_score = 0\nmax_message_bytes = 8096\n");
    fed.site.configure(&(rsyslogd.settings() + &more));
    rsyslogd.start();
    let agent = fed.site.start();
    for (file, bytes) in hostile::events() {
        fed.feed_bytes(file, &bytes, 2);
    }
    fed.feed(3);
    let status = fed.wait_for_delivery(&["file", "syslog"]);
    assert_adds_up(&status, fed.fed);
    wait("seven messages", || rsyslogd.messages().len() >= 7);
    let (messages, text) = (rsyslogd.messages(), fs::read_to_string(fed.site.root().join("alerts.jsonl")).unwrap());
    assert_eq!((messages.len(), text.lines().count()), (7, 7), "one alert is one message and one line");
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    for (message, line) in messages.iter().zip(text.lines()) {
        let alert: Value = serde_json::from_str(line).unwrap();
        let part = |name: &str| message.parts[name].as_str().unwrap();
        let severity = match alert["severity"].as_str().unwrap() {
            "low" => "notice",
            "medium" => "warning",
            "high" => "err",
            other => panic!("nothing fed is {other}"),
        };
        assert_eq!((part("facility"), part("severity"), part("version")), ("local3", severity, "1"));
        assert_eq!((part("app"), part("procid")), ("exfil-agent", agent.child.id().to_string().as_str()));
        assert_eq!((part("msgid"), part("data")), (alert["rule"]["id"].as_str().unwrap(), "-"));
        assert_eq!(part("host"), host);
        assert_eq!(part("time"), alert["detected_at"].as_str().unwrap(), "when it was detected");
        assert!(!message.payload.chars().any(acts), "{}", message.payload);
        if format == "json" {
            assert_eq!(message.payload, line, "byte for byte what the file has");
        } else {
            same_fields(&message.payload, &alert);
        }
    }
    let severities: BTreeSet<&str> = messages.iter().filter_map(|m| m.parts["severity"].as_str()).collect();
    assert!(severities.len() > 1, "alerts of more than one severity were fed: {severities:?}");
    assert_eq!(agent.terminate(), 0, "{}", fed.site.log());
}

/// Nobody at the port: the system says so, so nothing counts as delivered. A receiver that goes is noticed by the next datagram.
#[test]
fn datagrams_wait_for_a_receiver_that_is_not_there_and_none_is_lost_when_it_comes_back() {
    let name = "datagrams_wait_for_a_receiver_that_is_not_there_and_none_is_lost_when_it_comes_back";
    let mut fed = Fed::new("");
    let Some(mut rsyslogd) = Rsyslogd::new(name, fed.site.root(), Socket::Udp("localhost")) else { return };
    fed.site.configure(&rsyslogd.settings());
    let agent = fed.site.start();
    for round in 1..=3 {
        fed.feed(20);
        fed.wait_for_delivery(&["file"]);
        let failing = fed.wait_for("the sink to fail", |s| row(s, "syslog")["failing_since"].is_string());
        let why = row(&failing, "syslog")["last_error"].as_str().unwrap();
        assert!(why.starts_with(&rsyslogd.target()) && why.contains("start the syslog daemon"), "{why}");
        assert_eq!(row(&failing, "syslog")["queued"], 20, "round {round}: {failing}");
        assert_adds_up(&failing, fed.fed);
        rsyslogd.start();
        fed.wait_for_delivery(&["syslog"]);
        let wanted: BTreeSet<String> = fed.site.alert_ids().into_iter().collect();
        wait("every alert to be stored", || {
            rsyslogd.messages().iter().map(Message::id).collect::<BTreeSet<_>>() == wanted
        });
        if round == 2 { rsyslogd.kill() } else { rsyslogd.stop() }
    }
    assert_eq!(agent.terminate(), 0, "{}", fed.site.log());
}

/// What the receiver's system took and its daemon did not read is not lost with an agent that is told to stop, and it stops.
#[test]
fn an_agent_whose_receiver_stalls_obeys_sigterm_and_goes_on_later() {
    let name = "an_agent_whose_receiver_stalls_obeys_sigterm_and_goes_on_later";
    let mut fed = Fed::new("");
    let Some(mut rsyslogd) = Rsyslogd::new(name, fed.site.root(), Socket::Tcp("127.0.0.1")) else { return };
    fed.site.configure(&rsyslogd.settings());
    rsyslogd.start();
    let agent = fed.site.start();
    fed.feed(10);
    fed.wait_for_delivery(&["syslog"]);
    rsyslogd.stall();
    fed.feed(800);
    let stuck = fed.wait_for("the receiver's buffer to be full", |s| {
        s["bytes"] == fed.fed && row(s, "syslog")["last_error"].as_str().is_some_and(|e| e.contains("does not read"))
    });
    assert!(row(&stuck, "syslog")["queued"].as_u64() > Some(0), "{stuck}");
    assert_eq!(agent.terminate(), 0, "{}", fed.site.log());
    let stopped = fed.status();
    assert_adds_up(&stopped, fed.fed);
    assert!(row(&stopped, "syslog")["queued"].as_u64() > Some(0), "they wait for the next start: {stopped}");
    rsyslogd.resume();
    let agent = fed.site.start();
    fed.wait_for_delivery(&["file", "syslog"]);
    let stored = || tally(rsyslogd.messages().iter().map(Message::id));
    wait("every alert to be stored", || stored().len() == fed.alerts);
    assert_eq!(stored().into_keys().collect::<BTreeSet<_>>(), fed.site.alert_ids().into_iter().collect());
    assert_eq!(agent.terminate(), 0, "{}", fed.site.log());
}

#[test]
fn a_receiver_whose_name_nobody_knows_is_said_and_holds_up_nothing_else() {
    let mut fed = Fed::new("[sink.syslog]\ntarget = \"udp://receiver.invalid:514\"\n");
    let agent = fed.site.start();
    fed.feed(5);
    fed.wait_for_delivery(&["file"]);
    let failing = fed.wait_for("the sink to fail", |s| row(s, "syslog")["failing_since"].is_string());
    let why = row(&failing, "syslog")["last_error"].as_str().unwrap();
    assert!(
        why.contains("the name \"receiver.invalid\" cannot be resolved") && why.contains("sink.syslog.target"),
        "{why}"
    );
    assert_eq!(row(&failing, "syslog")["queued"], 5, "{failing}");
    assert_eq!(agent.terminate(), 0, "{}", fed.site.log());
}
