//! Alerts larger than a syslog daemon takes: cut for it, whole in the file.

use super::rsyslogd::{Rsyslogd, Socket};
use super::{Fed, START, assert_adds_up, cef, row, side_by_side};
use crate::site::wait;
use serde_json::Value;
use std::fs;

/// Events whose command line alone has 60 KB. With control characters the alerts have more, since each takes six bytes of
/// JSON.
fn events() -> String {
    let plain = "iodine.exe -f ".to_owned() + &"é\\=|\"x ".repeat(7000);
    let controls = "iodine.exe -f ".to_owned() + &"\u{1b}".repeat(60_000);
    let path = "\u{1b}".repeat(4000);
    let wide = format!(
        "CEF:0|Dtex|DTEX InTERCEPT|6.0|ProcessCreated|Running C:\\{path}\\iodine.exe|5|start={START} Device_Name=CORP\\WS9 User_Name=CORP\\user9 Process_Name=iodine.exe Process_Directory=C:\\{path} Parent_Process_Name={path} reason={controls} outcome=Success\n"
    );
    super::run(1, &plain) + &super::run(2, &controls) + &wide
}

#[test]
fn a_long_alert_is_cut_for_the_daemon_and_whole_in_the_file() {
    let name = "a_long_alert_is_cut_for_the_daemon_and_whole_in_the_file";
    let sockets = [Socket::Datagram, Socket::Stream, Socket::Udp("127.0.0.1"), Socket::Tcp("127.0.0.1")];
    let cases = ["cef", "json"].map(|format| sockets.map(|socket| (format, socket)));
    side_by_side(cases.as_flattened(), |(format, socket)| cut(name, format, *socket));
}

fn cut(name: &str, format: &str, socket: Socket) {
    let mut fed = Fed::new("");
    let Some(mut rsyslogd) = Rsyslogd::new(name, fed.site.root(), socket) else { return };
    fed.site.configure(&format!("{}format = {format:?}\n", rsyslogd.settings()));
    rsyslogd.start();
    let agent = fed.site.start();
    fed.feed_text(&events(), 3);
    let status = fed.wait_for_delivery(&["file", "syslog"]);
    // The plain one fits as JSON.
    let cut = if format == "cef" { 3 } else { 2 };
    assert_eq!((&row(&status, "syslog")["truncated"], &row(&status, "file")["truncated"]), (&cut.into(), &0.into()));
    assert_adds_up(&status, fed.fed);

    wait("three messages", || rsyslogd.messages().len() >= 3);
    let messages = rsyslogd.messages();
    let file = fs::read_to_string(fed.site.root().join("alerts.jsonl")).unwrap();
    let whole: Vec<Value> = file.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((messages.len(), whole.len()), (3, 3));
    assert!(file.lines().any(|line| line.len() > 64 << 10), "an alert of more than 64 KiB");
    for (message, whole) in messages.iter().zip(&whole) {
        assert_eq!(message.id(), whole["id"].as_str().unwrap());
        assert!(message.payload.len() < 8000);
        let shown = fed.site.ctl(&["--format", "json", "alerts", "show", &message.id()]);
        let kept: Value = serde_json::from_slice(&shown.stdout).unwrap();
        assert_eq!(kept["event"]["command_line"], whole["event"]["command_line"], "the file holds what is kept");
        assert!(whole["event"]["command_line"].as_str().unwrap().len() >= 4096);
        marked(&message.payload, whole, format);
    }
    assert_eq!(agent.terminate(), 0, "{}", fed.site.log());
}

/// The message is well-formed, keeps rule and score, and says that it was cut when it was.
fn marked(payload: &str, whole: &Value, format: &str) {
    let rule = whole["rule"]["id"].as_str().unwrap();
    if format == "cef" {
        let cef = cef::parse(payload);
        assert_eq!((cef.header[3].as_str(), cef.pairs["cn1"].as_str()), (rule, "30"));
        assert_eq!((cef.pairs["flexNumber1Label"].as_str(), cef.pairs["flexNumber1"].as_str()), ("truncated", "1"));
    } else {
        let alert: Value = serde_json::from_str(payload).unwrap();
        assert_eq!((alert["rule"]["id"].as_str().unwrap(), &alert["score"]), (rule, &30.into()));
        assert_eq!(alert["truncated"] == true, alert != *whole, "marked when cut, and only then");
    }
}
