//! Text that attacks whoever reads it, in every field that reaches an alert: from the event line through the real daemon, the
//! file and the terminal, one alert stays one message, one line, with its own fields.

use super::rsyslogd::{Rsyslogd, Socket};
use super::{Fed, START, assert_adds_up, cef, side_by_side};
use crate::site::wait;
use serde_json::Value;
use std::fs;

/// For a syslog stream a second message, for CEF more fields, for JSON the end of a string, for a terminal a command.
const ATTACK: &str = "<0>x|y=z\\ externalId=0 suser=boss cn1Label=score\u{1b}[2J\u{9b}31m\u{7}\u{7f}\u{85}\u{202e}\u{2066}\u{feff}\u{2028}\u{2029}\"}{'<é日\u{e0041}\\";

/// The same for an extension, where a key would end the value; what follows the last backslash of a name is the name.
fn own() -> String {
    ATTACK.replace(" externalId=0 suser=boss", " a=0") + "end"
}

/// The same as a quoted field of CSV, with line ends and a byte that is no UTF-8.
fn quoted(before: &str) -> Vec<u8> {
    let text = format!("{before}{ATTACK}\r\n<131>CEF:0|forged|\n").replace('"', "\"\"");
    [b"\"", text.as_bytes(), b"\xff\xfe\""].concat()
}

/// A run of a tool and a visit to a file-sharing site, in CEF and in CSV, with the attack in every text.
pub fn events() -> [(&'static str, Vec<u8>); 2] {
    let own = own();
    // `|` would end a header field.
    let header = own.replace('|', "");
    let lines = [
        format!(
            "CEF:0|Dtex|DTEX InTERCEPT|6.0|ProcessCreated|Running C:\\{header}\\iodine.exe|5|start={START} Device_Name=CORP{own}\\WS{own} User_Name=CORP{own}\\user{own} User_Department={own} Parent_Process_Name={own} reason=iodine.exe {own} outcome=Success\n"
        ),
        format!(
            "CEF:0|Dtex|DTEX InTERCEPT|6.0|WebPageAccessed|{header}|3|start={START} Device_Name=WS{own} User_Name=web{own} User_Department={own} Website_Query=https://dropbox.com/{own}\n"
        ),
    ];
    let mut csv = b"Activity_Category,Activity_Type,User_Name,User_Department,User_Location,Device_Name,Process_Name,Process_Directory,Process_Parameters,Website_Query,Activity_Description,Start_Time\n".to_vec();
    for row in [
        [
            "ProcessActivity",
            "ProcessCreated",
            "CORP\\csv",
            "dep",
            "loc",
            "CORP\\WS",
            "iodine.exe",
            "C:\\",
            "iodine.exe ",
            "",
            "text",
        ],
        [
            "NetworkActivity",
            "WebPageAccessed",
            "CORP\\csvweb",
            "dep",
            "loc",
            "CORP\\WSW",
            "chrome.exe",
            "C:\\",
            "",
            "https://dropbox.com/",
            "text",
        ],
    ] {
        for (column, text) in row.iter().enumerate() {
            match column {
                // The kind of event and the name that the rule looks for stay as they are.
                0 | 1 | 6 => csv.extend(text.as_bytes()),
                _ if text.is_empty() => {}
                _ => csv.extend(quoted(text)),
            }
            csv.push(b',');
        }
        csv.extend(b"2026-03-02T09:00:00\n");
    }
    [("a.cef", lines.concat().into_bytes()), ("b.csv", csv)]
}

#[test]
fn hostile_text_stays_text_in_daemon_file_and_terminal() {
    let name = "hostile_text_stays_text_in_daemon_file_and_terminal";
    let cases = [("cef", Socket::Datagram), ("cef", Socket::Stream), ("json", Socket::Stream)];
    side_by_side(&cases, |(format, socket)| attack(name, format, *socket));
}

fn attack(name: &str, format: &str, socket: Socket) {
    let mut fed = Fed::new("");
    let Some(mut rsyslogd) = Rsyslogd::new(name, fed.site.root(), socket) else { return };
    fed.site.configure(&format!("{}format = {format:?}\nmin_score = 0\n", rsyslogd.settings()));
    rsyslogd.start();
    let agent = fed.site.start();
    for (file, bytes) in events() {
        fed.feed_bytes(file, &bytes, 2);
    }
    let status = fed.wait_for_delivery(&["file", "syslog"]);
    assert_adds_up(&status, fed.fed);
    wait("four messages", || rsyslogd.messages().len() >= 4);
    let messages = rsyslogd.messages();
    let lines = fs::read_to_string(fed.site.root().join("alerts.jsonl")).unwrap();
    assert!(!lines.chars().any(acts), "the file can be shown on a terminal");
    let alerts: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((messages.len(), alerts.len()), (4, 4), "one alert is one message and one line");
    for (message, alert) in messages.iter().zip(&alerts) {
        assert!(message.header.starts_with("exfil-agent local0."), "{}", message.header);
        assert!(!message.payload.chars().any(acts), "{}", message.payload);
        if format == "cef" {
            same_fields(&message.payload, alert);
        } else {
            assert_eq!(serde_json::from_str::<Value>(&message.payload).unwrap(), *alert);
        }
        on_a_terminal(&fed, alert["id"].as_str().unwrap());
    }
    texts_are_whole(&alerts);

    // A NUL ends a record: what stands before it is judged, the rest is no event, and no NUL goes anywhere.
    fed.feed_bytes("a.cef", super::run(1, "iodine.exe -f x\0 more").as_bytes(), 1);
    let status = fed.wait_for_delivery(&["file", "syslog"]);
    assert!(status["rejects"]["binary"].as_u64() > Some(0), "{status}");
    assert_adds_up(&status, fed.fed);
    let lines = fs::read_to_string(fed.site.root().join("alerts.jsonl")).unwrap();
    let last: Value = serde_json::from_str(lines.lines().last().unwrap()).unwrap();
    assert_eq!(last["event"]["command_line"], "iodine.exe -f x");

    assert_eq!(agent.terminate(), 0, "{}", fed.site.log());
}

/// Whether a character drives a terminal or changes what is read around it. A line end is none in a text of lines.
pub fn acts(c: char) -> bool {
    c != '\n'
        && (c.is_control()
            || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}' | '\u{e0041}'))
}

/// The message has the alert's id, rule, user and score, and no field that the attack forged.
pub fn same_fields(payload: &str, alert: &Value) {
    let cef = cef::parse(payload);
    assert_eq!(cef.header[0], "exfil-agent");
    assert_eq!(cef.header[3], alert["rule"]["id"].as_str().unwrap());
    assert_eq!(cef.pairs["externalId"], alert["id"].as_str().unwrap());
    assert_eq!(cef.pairs["cn1"], alert["score"].to_string());
    assert_eq!(cef.pairs["cn1Label"], "score");
    assert_ne!(cef.pairs["suser"], "boss");
    let known = [
        "externalId",
        "start",
        "rt",
        "cat",
        "dvchost",
        "msg",
        "act",
        "suser",
        "sntdom",
        "suid",
        "shost",
        "dhost",
        "dntdom",
        "fname",
        "filePath",
        "dproc",
        "sproc",
        "request",
        "destinationDnsDomain",
        "app",
        "cs1",
        "cs1Label",
        "cs2",
        "cs2Label",
        "cs3",
        "cs3Label",
        "cs4",
        "cs4Label",
        "cs5",
        "cs5Label",
        "cs6",
        "cs6Label",
        "flexString1",
        "flexString1Label",
        "flexString2",
        "flexString2Label",
        "flexNumber1",
        "flexNumber1Label",
        "cn1",
        "cn1Label",
        "cn2",
        "cn2Label",
    ];
    let forged: Vec<&String> = cef.pairs.keys().filter(|key| !known.contains(&key.as_str())).collect();
    assert!(forged.is_empty(), "{forged:?} in {payload}");
    let user = alert["entity"]["value"].as_str().unwrap();
    assert!(
        visible(user).starts_with(&cef.pairs["suid"].trim_end_matches('…')[..8]),
        "{user} as {}",
        cef.pairs["suid"]
    );
}

/// A text as CEF shows it to a receiver that undoes the escapes of CEF.
fn visible(text: &str) -> String {
    let show = |c: char| match c {
        c if acts(c) && u32::from(c) < 0x100 => format!("\\x{:02x}", u32::from(c)),
        c if acts(c) => format!("\\u{{{:04x}}}", u32::from(c)),
        c => c.to_string(),
    };
    text.chars().map(show).collect()
}

/// What the events held stands in the alerts, unchanged but for the bytes that are no UTF-8.
fn texts_are_whole(alerts: &[Value]) {
    let all = |field: &str| alerts.iter().filter_map(|a| a["event"][field].as_str()).collect::<Vec<&str>>();
    let quoted = format!("{ATTACK}\r\n<131>CEF:0|forged|\n\u{fffd}\u{fffd}");
    assert!(all("command_line").iter().any(|t| *t == format!("iodine.exe {quoted}")), "{:?}", all("command_line"));
    assert!(all("url").iter().any(|t| t.contains(&quoted)), "{:?}", all("url"));
    let own = own();
    assert!(all("command_line").iter().any(|t| t.contains(&own)), "{:?}", all("command_line"));
    assert!(
        alerts.iter().any(|a| a["event"]
            .as_object()
            .unwrap()
            .values()
            .any(|v| v.as_str().is_some_and(|t| t.contains('\u{202e}'))))
    );
}

fn on_a_terminal(fed: &Fed, id: &str) {
    for question in [&["alerts", "list"][..], &["alerts", "show", id], &["status"], &["state", "dump"]] {
        for format in ["table", "csv", "json"] {
            let out = fed.site.ctl(&[&["--format", format], question].concat());
            let text = String::from_utf8(out.stdout).unwrap();
            assert!(!text.is_empty() && !text.chars().any(acts), "{question:?} as {format}: {text:?}");
        }
    }
}
