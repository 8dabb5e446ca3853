//! What stands before an alert in a syslog message: the local form of RFC 3164, or the header of RFC 5424.
//!
//! Whatever an alert or a machine is called, a header keeps its form: it has as many words as it must, of visible ASCII.

use crate::alert::{AgentIdentity, Alert, Severity};
use crate::calendar::{format_rfc3164, format_rfc5424, wall_clock_ms};

/// The name of the program in messages.
const PROGRAM: &str = "exfil-agent";
/// Longest HOSTNAME and MSGID of RFC 5424, bytes.
const MAX_HOST: usize = 255;
const MAX_MESSAGE_ID: usize = 32;

/// How a message begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// `<PRI>Mmm dd hh:mm:ss tag[pid]: `, without a host name, as the daemon of the same machine expects it. The time is
    /// that of sending.
    Local,
    /// `<PRI>1 TIMESTAMP HOSTNAME APP-NAME PROCID MSGID - `. The time is that of detection, so that what is sent again is
    /// the same; the id of the message is that of the rule. There is no structured data: names in it belong to whoever
    /// has registered a number, and all that is to be said stands in the payload.
    Rfc5424,
}

/// The head of a message about this alert.
pub(super) fn head(form: Form, facility: u8, alert: &Alert, agent: &AgentIdentity, pid: u32) -> String {
    let priority = facility * 8 + severity_code(alert.severity());
    match form {
        Form::Local => format!("<{priority}>{} {PROGRAM}[{pid}]: ", format_rfc3164(wall_clock_ms())),
        Form::Rfc5424 => format!(
            "<{priority}>1 {} {} {PROGRAM} {pid} {} - ",
            format_rfc5424(alert.detected_ms),
            word(&agent.host, MAX_HOST),
            word(&alert.rule.id, MAX_MESSAGE_ID)
        ),
    }
}

/// A text as one word of visible ASCII; `-` when there is none.
fn word(text: &str, most: usize) -> String {
    let visible = |c: char| if c.is_ascii_graphic() { c } else { '_' };
    let word: String = text.chars().take(most).map(visible).collect();
    if word.is_empty() { "-".into() } else { word }
}

/// The severity of syslog: 2 critical, 3 error, 4 warning, 5 notice.
fn severity_code(severity: Severity) -> u8 {
    match severity {
        Severity::Low => 5,
        Severity::Medium => 4,
        Severity::High => 3,
        Severity::Critical => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::render;
    use super::super::super::samples::*;
    use super::*;
    use crate::config::AlertFormat;
    use expect_test::expect_file;
    use std::sync::Arc;

    #[test]
    fn messages_of_rfc_5424_are_as_they_were() {
        let alerts = [detection(1), web(2), sum(3), operational(4), summary(5), hostile(40)];
        let mut lines = String::new();
        for (alert, format) in alerts.iter().zip(AlertFormat::ALL.iter().cycle()) {
            lines += &head(Form::Rfc5424, 16, alert, &agent(), 4711);
            lines += &render(*format, alert, &agent());
            lines += "\n";
        }
        expect_file!["../golden/rfc5424.txt"].assert_eq(&lines);
    }

    #[test]
    fn a_header_keeps_its_form_whatever_rule_host_and_time_are() {
        for (rule, host, time, rest) in [
            ("", "", i64::MAX, "- - exfil-agent 1 - - "),
            ("a b\n]é", "h\u{1b}x y", i64::MIN, "- h_x_y exfil-agent 1 a_b_]_ - "),
            ("x", "h", -62_167_219_200_001, "- h exfil-agent 1 x - "),
            ("x", "h", 253_402_300_800_000, "- h exfil-agent 1 x - "),
            ("x", "h", 0, "1970-01-01T00:00:00.000Z h exfil-agent 1 x - "),
            ("x", "h", 253_370_764_800_001, "9999-01-01T00:00:00.001Z h exfil-agent 1 x - "),
        ] {
            let mut alert = Alert { detected_ms: time, ..detection(1) };
            Arc::make_mut(&mut alert.rule).id = rule.into();
            let agent = AgentIdentity { host: host.into(), ..agent() };
            assert_eq!(head(Form::Rfc5424, 16, &alert, &agent, 1), format!("<131>1 {rest}"));
        }
        let mut alert = detection(1);
        Arc::make_mut(&mut alert.rule).id = "r".repeat(100);
        let agent = AgentIdentity { host: "h".repeat(300), ..agent() };
        let words = head(Form::Rfc5424, 23, &alert, &agent, u32::MAX);
        let lengths: Vec<usize> = words.split(' ').map(str::len).collect();
        assert_eq!(lengths, [6, 24, 255, 11, 10, 32, 1, 0]);
    }
}
