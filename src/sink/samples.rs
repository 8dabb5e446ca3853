//! Alerts for the tests of the sinks.

use crate::alert::*;
use crate::event::{EventType, Field};
use crate::sink::Outgoing;
use std::sync::Arc;

/// What a log may hold to attack whoever reads it.
pub const HOSTILE: &str =
    "x|y=z\\ externalId=0 cn1Label=score\n\r\u{1b}[2J\u{9b}31m\0\u{7f}\u{2028}\u{2029}\u{202e}\"}{<é日\u{e0041}";

pub fn agent() -> AgentIdentity {
    AgentIdentity { host: "collector1".into(), version: "0.1.0".into() }
}

/// The id of the n-th sample.
pub fn id(n: u64) -> String {
    format!("{n:032x}")
}

/// A process alert; `n` makes its id.
pub fn detection(n: u64) -> Alert {
    let field = |name: &'static str, value: &'static str| (name, value);
    Alert {
        id: id(n),
        time_ms: 1_772_353_500_123,
        detected_ms: 1_772_353_501_000,
        kind: AlertKind::Detection,
        rule: Arc::new(AlertRule {
            id: "R-ENCODE".into(),
            name: "Commands to encode files were used.".into(),
            revision: 2,
            attack: vec!["T1105".into()],
            author: vec!["A. Author".into()],
            references: vec!["https://example.com/rule".into()],
            license: Some("DRL 1.1".into()),
        }),
        score: 20,
        entity_kind: EntityKind::User,
        entity: "corp\\jdoe".into(),
        value: Some("certutil".into()),
        sequence: "2026-03-01".into(),
        peer_group: Some("sales".into()),
        event_type: "process-created".into(),
        fields: Fields::from_iter([
            field("activity", "ProcessCreated"),
            field("user", "jdoe"),
            field("user_domain", "CORP"),
            field("dest_host", "WS1"),
            field("process_path", "C:\\Windows\\System32\\certutil.exe"),
            field("process_name", "certutil.exe"),
            field("command_line", "certutil -encode a=b c|d"),
            field("pid", "4711"),
            field("parent_process_name", "cmd.exe"),
        ]),
        evidence: Evidence {
            matched: vec![Matched { field: "image".into(), value: "certutil".into(), test: "equals certutil".into() }],
            ..Evidence::default()
        },
        origin: Some(Origin { file: "/var/spool/dtex/a.log".into(), offset: 9000, line: 14 }),
        suppressed: false,
    }
}

/// A web alert judged by a model.
pub fn web(n: u64) -> Alert {
    let field = |name: &'static str, value: &'static str| (name, value);
    Alert {
        entity_kind: EntityKind::Host,
        entity: "ws1".into(),
        value: None,
        peer_group: None,
        event_type: "web-activity-allowed".into(),
        fields: Fields::from_iter([
            field("src_host", "WS1"),
            field("url", "https://files.example.com/a?b=c"),
            field("web_domain", "files.example.com"),
            field("dest_port", "443"),
            field("method", "POST"),
            field("bytes_out", "12 apples"),
        ]),
        evidence: Evidence {
            model: Some(ModelEvidence {
                id: "M-ORG".into(),
                scope: "*".into(),
                value: "ws1".into(),
                verdict: "top".into(),
                n: 400,
                c: 12,
                confidence: 0.97,
                converged: true,
                count: 60,
                rank: Some(1),
                threshold: Some(1),
                median: Some(3.5),
                history_days: 30,
                top_bins: Vec::new(),
            }),
            ..Evidence::default()
        },
        ..detection(n)
    }
}

/// A web alert judged by a sum.
pub fn sum(n: u64) -> Alert {
    let sum = SumEvidence { field: "bytes_out".into(), total: 2_000_000, reaches: 1_000_000, history_days: Some(7) };
    Alert { evidence: Evidence { sum: Some(sum), ..Evidence::default() }, ..web(n) }
}

/// What the agent says about itself.
pub fn operational(n: u64) -> Alert {
    let note = "No new byte in /var/spool/dtex for 3600 s.".into();
    Alert { id: id(n), ..Alert::operational("spool-silent", "/var/spool/dtex", note, 1_772_353_500_123) }
}

/// A summary of alerts that were held back.
pub fn summary(n: u64) -> Alert {
    let notes = vec!["12 more alerts of this rule and user were held back.".into()];
    Alert { kind: AlertKind::Summary, evidence: Evidence { notes, ..Evidence::default() }, ..detection(n) }
}

/// An event of a kind with every field that there is.
pub fn every_field(n: u64, kind: EventType) -> Alert {
    let value = |field: &Field| match field {
        Field::Bytes | Field::BytesOut | Field::BytesIn => "1200".to_owned(),
        Field::Pid | Field::DestPort | Field::NumPages => "443".to_owned(),
        Field::Method => "POST".to_owned(),
        Field::FilePath => "C:\\d\\a.txt".to_owned(),
        field => format!("some {}", field.name()),
    };
    let named = |field: &Field| (field.display_name(kind), value(field));
    let mut alert = detection(n);
    Arc::make_mut(&mut alert.rule).attack.push("T1048.003".into());
    alert.event_type = kind.name().into();
    alert.fields = Field::ALL.iter().map(named).collect();
    alert
}

/// An alert with hostile text of about `bytes` bytes in every place that takes text.
pub fn hostile(bytes: usize) -> Alert {
    let text = || HOSTILE.repeat(bytes / HOSTILE.len() + 1);
    let mut alert = detection(7);
    let rule = Arc::make_mut(&mut alert.rule);
    rule.name = HOSTILE.into();
    rule.author = vec![text()];
    rule.attack = vec![text()];
    alert.entity = text();
    alert.value = Some(text());
    alert.peer_group = Some(text());
    alert.fields = detection(7).fields.iter().map(|(name, _)| (name.to_owned(), text())).collect();
    alert.evidence.matched = vec![Matched { field: text(), value: text(), test: text() }; 3];
    alert.evidence.model = web(1).evidence.model.map(|m| ModelEvidence { scope: text(), value: text(), ..m });
    alert.evidence.sum = Some(SumEvidence { field: text(), total: 1, reaches: 1, history_days: None });
    alert.evidence.notes = vec![text()];
    alert.origin = Some(Origin { file: text(), offset: 1, line: 1 });
    alert
}

/// Detections with the sequence numbers `from..to`, which are their ids, too.
pub fn batch(from: u64, to: u64) -> Vec<Outgoing> {
    (from..to).map(|seq| Outgoing { seq, alert: Arc::new(detection(seq)) }).collect()
}
