//! An alert as one line of CEF, with the keys of the CEF dictionary.
//!
//! `CEF:0|exfil-agent|exfil-agent|version|rule id|rule name|severity|externalId=… … cn1=score cn1Label=score`
//!
//! The id comes first, so that no receiver cuts it off; the last pair is the same in every line, so that a line that was
//! written in part can be told from a whole one. Times are milliseconds since the epoch. Rendering never fails.

use super::escape::{cef_extension, cef_header};
use super::render::Rendered;
use crate::alert::{AgentIdentity, Alert, EntityKind, Evidence};
use crate::event::{EventType, Field, parse_decimal};
use std::borrow::Cow;

/// What every whole line ends with. `=` is escaped in values, so no value can end like this.
pub(super) const LAST_PAIR: &str = " cn1Label=score";

/// What stands before the id of the alert, right after the header.
pub(super) const ID_KEY: &str = "externalId=";

/// Longest custom string (`cs1` … `cs6`) that the dictionary allows, bytes.
const MAX_CUSTOM: usize = 4000;
/// Longest `msg` that the dictionary allows, bytes.
const MAX_MESSAGE: usize = 1023;

/// The whole alert; only what the dictionary limits is cut.
pub fn render(alert: &Alert, agent: &AgentIdentity) -> String {
    line(alert, header(alert, agent, usize::MAX), &pairs(alert, agent), usize::MAX).line
}

/// The alert in at most `limit` bytes: the longest values are cut first, then all of them left out, but never the id or the
/// rule. A limit below about 600 bytes may be exceeded.
pub fn render_within(alert: &Alert, agent: &AgentIdentity, limit: usize) -> Rendered {
    let mut pairs = pairs(alert, agent);
    for level in [usize::MAX, 2000, 1000, 500, 250, 120, 60, 30] {
        let line = line(alert, header(alert, agent, usize::MAX), &pairs, level);
        if line.line.len() <= limit {
            return line;
        }
    }
    pairs.retain(|p| p.whole);
    line(alert, header(alert, agent, 64), &pairs, 0)
}

fn header(alert: &Alert, agent: &AgentIdentity, max_name_chars: usize) -> String {
    let name: String = alert.rule.name.chars().take(max_name_chars).collect();
    format!(
        "CEF:0|exfil-agent|exfil-agent|{}|{}|{}|{}|",
        cef_header(&agent.version),
        cef_header(&alert.rule.id),
        cef_header(&name),
        alert.severity().cef()
    )
}

/// Header and pairs, with no value of more than `level` bytes.
fn line(alert: &Alert, header: String, pairs: &[Pair<'_>], level: usize) -> Rendered {
    let mut out = header;
    // At level 0 values have been left out altogether.
    let mut cut = level == 0;
    for pair in pairs {
        let limit = if pair.whole { usize::MAX } else { pair.cap.min(level) };
        let (value, shortened) = cef_extension(&pair.value, limit);
        cut |= shortened;
        push_pair(&mut out, pair.key, &value, pair.label);
    }
    if cut {
        push_pair(&mut out, "flexNumber1", "1", Some("truncated"));
    }
    push_pair(&mut out, "cn1", &alert.score.to_string(), Some("score"));
    Rendered { line: out, cut }
}

fn push_pair(out: &mut String, key: &str, value: &str, label: Option<&str>) {
    let blank = if out.ends_with('|') { "" } else { " " };
    out.extend([blank, key, "=", value]);
    if let Some(label) = label {
        out.extend([" ", key, "Label=", label]);
    }
}

/// One `key=value`, and its `keyLabel=label` for custom keys.
struct Pair<'a> {
    key: &'static str,
    value: Cow<'a, str>,
    label: Option<&'static str>,
    /// Never cut and never left out.
    whole: bool,
    /// Longest value, bytes.
    cap: usize,
}

/// The pairs of an alert, in order; a key is never given twice, and an empty value is no pair.
#[derive(Default)]
struct Pairs<'a>(Vec<Pair<'a>>);

impl<'a> Pairs<'a> {
    fn push(&mut self, pair: Pair<'a>) {
        if !pair.value.is_empty() && !self.0.iter().any(|p| p.key == pair.key) {
            self.0.push(pair);
        }
    }
    fn fixed(&mut self, key: &'static str, value: impl Into<Cow<'a, str>>) {
        self.push(Pair { key, value: value.into(), label: None, whole: true, cap: usize::MAX });
    }
    fn text(&mut self, key: &'static str, value: impl Into<Cow<'a, str>>) {
        self.push(Pair { key, value: value.into(), label: None, whole: false, cap: usize::MAX });
    }
    fn custom(&mut self, key: &'static str, label: &'static str, value: impl Into<Cow<'a, str>>) {
        self.push(Pair { key, value: value.into(), label: Some(label), whole: false, cap: MAX_CUSTOM });
    }
}

fn pairs<'a>(alert: &'a Alert, agent: &'a AgentIdentity) -> Vec<Pair<'a>> {
    let mut out = Pairs::default();
    out.fixed("externalId", &alert.id);
    out.fixed("start", alert.time_ms.to_string());
    out.fixed("rt", alert.detected_ms.to_string());
    out.fixed("cat", alert.kind.name());
    out.text("dvchost", &agent.host);
    out.push(Pair { key: "msg", value: alert.explanation().into(), label: None, whole: false, cap: MAX_MESSAGE });
    push_fields(&mut out, alert);
    match alert.entity_kind {
        EntityKind::User => {
            out.text("suid", &alert.entity);
            out.text("suser", &alert.entity);
        }
        EntityKind::Host if alert.event_type == EventType::WebActivityAllowed.name() => {
            out.text("shost", &alert.entity)
        }
        EntityKind::Host => out.text("dhost", &alert.entity),
        EntityKind::Group | EntityKind::Agent => {}
    }
    out.custom("cs1", "evidence", conditions(&alert.evidence));
    out.custom("cs2", "baseline", baseline(&alert.evidence));
    out.custom("cs3", "value", alert.value.as_deref().unwrap_or_default());
    out.custom("cs4", "attack", alert.rule.attack.join(","));
    out.custom("cs6", "attribution", attribution(alert));
    if let Some(origin) = &alert.origin {
        out.custom("flexString1", "origin", format!("{}:{}", origin.file, origin.line));
        out.custom("cn2", "offset", origin.offset.to_string());
    }
    out.custom("flexString2", "peerGroup", alert.peer_group.as_deref().unwrap_or_default());
    out.0
}

/// The event's fields under the keys of the dictionary; the first field of a key wins.
fn push_fields<'a>(out: &mut Pairs<'a>, alert: &'a Alert) {
    let kind = EventType::from_name(&alert.event_type);
    for (name, value) in alert.fields.iter() {
        let Some(field) = Field::resolve(name) else { continue };
        match key_of(field, kind) {
            Key::Text(key) => out.text(key, value),
            // A number key must hold a number, whatever the log held.
            Key::Number(key) if parse_decimal(value.as_bytes()).is_some() => out.text(key, value.trim()),
            Key::Custom(key, label) => out.custom(key, label, value),
            Key::Number(_) | Key::None => {}
        }
    }
}

/// Where a field goes.
pub(super) enum Key {
    Text(&'static str),
    Number(&'static str),
    Custom(&'static str, &'static str),
    None,
}

/// Where a field of an event of this kind goes.
pub(super) fn key_of(field: Field, kind: Option<EventType>) -> Key {
    // What a process did to a file or the web comes from it; a started process is what was done.
    let started = kind == Some(EventType::ProcessCreated);
    // What leaves a host has it as its source, and then the domain of the host has no key of its own.
    let leaves = kind.is_some_and(|k| k.host_alias() == "src_host");
    match field {
        Field::Activity => Key::Text("act"),
        Field::User => Key::Text("suser"),
        Field::UserDomain => Key::Text("sntdom"),
        Field::UserKey => Key::Text("suid"),
        Field::Host => Key::Text(if leaves { "shost" } else { "dhost" }),
        Field::HostDomain if !leaves => Key::Text("dntdom"),
        Field::FilePath => Key::Text("filePath"),
        Field::FileName | Field::Object => Key::Text("fname"),
        Field::FileType => Key::Text("fileType"),
        Field::Bytes => Key::Number("fsize"),
        Field::SrcFileDir => Key::Text("oldFilePath"),
        Field::SrcFileName => Key::Text("oldFileName"),
        Field::ProcessPath | Field::ProcessName => Key::Text(if started { "dproc" } else { "sproc" }),
        Field::Pid => Key::Number(if started { "dpid" } else { "spid" }),
        Field::ParentProcessPath | Field::ParentProcessName if started => Key::Text("sproc"),
        Field::CommandLine => Key::Custom("cs5", "commandLine"),
        Field::Url => Key::Text("request"),
        Field::WebDomain => Key::Text(if leaves { "dhost" } else { "destinationDnsDomain" }),
        Field::Protocol => Key::Text("app"),
        Field::DestPort => Key::Number("dpt"),
        Field::Referrer => Key::Text("requestContext"),
        Field::Method => Key::Text("requestMethod"),
        Field::BytesOut => Key::Number("out"),
        Field::BytesIn => Key::Number("in"),
        Field::HostDomain
        | Field::HostKey
        | Field::Department
        | Field::FileDir
        | Field::FileExt
        | Field::DriveType
        | Field::ProcessDir
        | Field::ProcessKey
        | Field::Image
        | Field::ParentImage
        | Field::App
        | Field::ParentProcessPath
        | Field::ParentProcessName
        | Field::TopDomain
        | Field::UriPath
        | Field::UriQuery
        | Field::Os
        | Field::Mime
        | Field::Category
        | Field::PrinterName
        | Field::NumPages
        | Field::EventCode
        | Field::Description => Key::None,
    }
}

/// `image equals certutil [certutil.exe]; …`, then the notes.
fn conditions(evidence: &Evidence) -> String {
    let held = evidence.matched.iter().map(|m| format!("{} {} [{}]", m.field, m.test, m.value));
    held.chain(evidence.notes.iter().cloned()).collect::<Vec<_>>().join("; ")
}

/// The model or the sum in numbers.
fn baseline(evidence: &Evidence) -> String {
    let mut parts = Vec::new();
    if let Some(m) = &evidence.model {
        parts.push(format!(
            "{} {} scope {} value {} count {} n {} c {} confidence {:.3} converged {} history_days {}",
            m.id, m.verdict, m.scope, m.value, m.count, m.n, m.c, m.confidence, m.converged, m.history_days
        ));
        parts.extend(m.rank.map(|r| format!("rank {r}")));
        parts.extend(m.threshold.map(|t| format!("threshold {t}")));
        parts.extend(m.median.map(|x| format!("median {x}")));
    }
    if let Some(s) = &evidence.sum {
        parts.push(format!("sum of {} {} reaches {}", s.field, s.total, s.reaches));
        parts.extend(s.history_days.map(|d| format!("history_days {d}")));
    }
    parts.join(" ")
}

/// Whose rule this one re-expresses: authors, licence, first link.
fn attribution(alert: &Alert) -> String {
    if alert.rule.author.is_empty() {
        return String::new();
    }
    let mut parts = vec![alert.rule.author.join(", ")];
    parts.extend(alert.rule.license.clone());
    parts.extend(alert.rule.references.first().cloned());
    parts.join("; ")
}

#[cfg(test)]
mod tests;
