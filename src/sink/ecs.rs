//! An alert as one line of JSON with the names of the Elastic Common Schema.
//!
//! What the schema has no field for stands in `exfil_agent`, under our names, so that nothing is lost and nothing collides.
//! The id comes first, so that the line is known again. docs/alerts.md holds the whole mapping.

use super::render::Shape;
use super::tree::{Leaf, Place, Tree, field_of, kind_of, technique};
use crate::alert::{AgentIdentity, Alert, AlertKind, EntityKind};
use crate::calendar::format_instant;
use crate::event::{EventType, Field};

/// The version of the schema whose names these are.
pub(super) const VERSION: &str = "9.4.0";

/// What stands before the id.
pub(super) const BEFORE_ID: &str = "{\"event\":{\"id\":\"";

/// Where the fields without a place go.
const OWN: &str = "exfil_agent.event";

/// How a line is shortened: the event goes before the evidence.
pub(super) const SHAPE: Shape = Shape {
    whole: &["/event/id", "/rule/id"],
    event: &["/exfil_agent/event", "/process", "/file", "/url", "/http", "/network", "/source", "/destination"],
    evidence: &["/exfil_agent/evidence"],
    least: &[
        "/event/id",
        "/event/kind",
        "/event/created",
        "/event/severity",
        "/event/risk_score",
        "/@timestamp",
        "/ecs/version",
        "/rule/id",
        "/exfil_agent/kind",
        "/exfil_agent/severity",
    ],
    mark: "/exfil_agent/truncated",
};

/// The whole alert.
pub(super) fn tree<'a>(alert: &'a Alert, agent: &'a AgentIdentity) -> Tree<'a> {
    let mut out = Tree::default();
    out.put("event.id", Leaf::Text(alert.id.as_str().into()));
    // Only what a rule found is an alert of the schema; what the agent says about itself is an event.
    out.text("event.kind", if alert.kind == AlertKind::Operational { "event" } else { "alert" });
    put_categories(&mut out, alert);
    out.text("event.action", &alert.event_type);
    out.text("event.provider", "exfil-agent");
    out.text("event.module", "exfil_agent");
    out.text("event.dataset", "exfil_agent.alert");
    out.text("event.created", format_instant(alert.detected_ms));
    out.number("event.severity", alert.severity().cef());
    out.number("event.risk_score", alert.score);
    out.text("@timestamp", format_instant(alert.time_ms));
    out.text("ecs.version", VERSION);
    out.text("message", alert.explanation());
    put_rule(&mut out, alert);
    out.fields(alert, OWN, |field| place(field, kind_of(alert)));
    match alert.entity_kind {
        EntityKind::User => out.text("user.id", &alert.entity),
        EntityKind::Host => out.text("host.name", &alert.entity),
        EntityKind::Group | EntityKind::Agent => false,
    };
    out.text("host.name", field_of(alert, Field::Host));
    out.text("observer.hostname", &agent.host);
    out.text("observer.product", "exfil-agent");
    out.text("observer.type", "sensor");
    out.text("observer.version", &agent.version);
    put_own(&mut out, alert);
    out
}

fn put_categories(out: &mut Tree<'_>, alert: &Alert) {
    if alert.kind == AlertKind::Operational {
        out.texts("event.type", ["info"]);
        return;
    }
    let event = kind_of(alert).and_then(|kind| match kind {
        EventType::FileWrite | EventType::UsbWrite => Some(("file", "change")),
        EventType::FileRead => Some(("file", "access")),
        EventType::FileDelete => Some(("file", "deletion")),
        EventType::ProcessCreated => Some(("process", "start")),
        EventType::WebActivityAllowed => Some(("web", "access")),
        EventType::LocalLogon | EventType::RemoteLogon => Some(("authentication", "start")),
        EventType::WorkstationLocked | EventType::WorkstationUnlocked => Some(("session", "info")),
        EventType::PrintActivity => None,
    });
    let (category, kind) = event.unzip();
    out.texts("event.category", std::iter::once("intrusion_detection").chain(category));
    out.texts("event.type", std::iter::once("info").chain(kind.filter(|kind| *kind != "info")));
}

fn put_rule<'a>(out: &mut Tree<'a>, alert: &'a Alert) {
    let rule = &alert.rule;
    out.put("rule.id", Leaf::Text(rule.id.as_str().into()));
    out.text("rule.name", &rule.name);
    out.text("rule.version", rule.revision.to_string());
    out.texts("rule.author", rule.author.iter().map(String::as_str));
    out.text("rule.license", rule.license.as_deref().unwrap_or_default());
    // The schema holds one link; all of them are in a field of our own.
    out.text("rule.reference", rule.references.first().map(String::as_str).unwrap_or_default());
    if rule.attack.is_empty() {
        return;
    }
    out.text("threat.framework", "MITRE ATT&CK");
    let mut techniques: Vec<&str> = Vec::new();
    for id in &rule.attack {
        let (technique, _) = technique(id);
        if !techniques.contains(&technique) {
            techniques.push(technique);
        }
    }
    out.texts("threat.technique.id", techniques);
    out.texts("threat.technique.subtechnique.id", rule.attack.iter().filter_map(|id| technique(id).1));
}

fn put_own<'a>(out: &mut Tree<'a>, alert: &'a Alert) {
    out.text("exfil_agent.kind", alert.kind.name());
    out.text("exfil_agent.severity", alert.severity().name());
    out.text("exfil_agent.entity.kind", alert.entity_kind.name());
    out.text("exfil_agent.entity.value", &alert.entity);
    out.text("exfil_agent.value", alert.value.as_deref().unwrap_or_default());
    out.text("exfil_agent.sequence", &alert.sequence);
    out.text("exfil_agent.peer_group", alert.peer_group.as_deref().unwrap_or_default());
    out.texts("exfil_agent.references", alert.rule.references.iter().map(String::as_str));
    out.put("exfil_agent.evidence", Leaf::Evidence(&alert.evidence));
    if let Some(origin) = &alert.origin {
        out.text("log.file.path", &origin.file);
        out.put("exfil_agent.origin", Leaf::Origin(origin));
    }
}

/// Where a field of an event of this kind goes.
pub(super) fn place(field: Field, kind: Option<EventType>) -> Place {
    let file = kind.is_some_and(|k| k.is_a(EventType::FileWrite))
        || matches!(kind, Some(EventType::FileRead | EventType::FileDelete));
    match field {
        Field::User => Place::Text("user.name"),
        Field::UserDomain => Place::Text("user.domain"),
        Field::UserKey => Place::Text("user.id"),
        Field::Host => Place::Text("host.hostname"),
        Field::HostDomain => Place::Text("host.domain"),
        Field::HostKey => Place::Text("host.name"),
        Field::Os => Place::Text("host.os.full"),
        Field::FilePath => Place::Text("file.path"),
        Field::FileName => Place::Text("file.name"),
        Field::FileDir => Place::Text("file.directory"),
        Field::FileExt => Place::Text("file.extension"),
        // The size of a print job is none of a file.
        Field::Bytes if file => Place::Number("file.size", i64::MAX),
        Field::ProcessPath => Place::Text("process.executable"),
        Field::ProcessName => Place::Text("process.name"),
        Field::CommandLine => Place::Text("process.command_line"),
        Field::Pid => Place::Number("process.pid", i64::MAX),
        Field::ParentProcessPath => Place::Text("process.parent.executable"),
        Field::ParentProcessName => Place::Text("process.parent.name"),
        Field::Url => Place::Text("url.original"),
        Field::WebDomain => Place::Text("url.domain"),
        Field::TopDomain => Place::Text("url.registered_domain"),
        Field::UriPath => Place::Text("url.path"),
        Field::UriQuery => Place::Text("url.query"),
        Field::Protocol => Place::Text("network.protocol"),
        Field::DestPort => Place::Number("destination.port", 65_535),
        Field::Referrer => Place::Text("http.request.referrer"),
        Field::Method => Place::Text("http.request.method"),
        Field::Mime => Place::Text("http.response.mime_type"),
        Field::BytesOut => Place::Number("source.bytes", i64::MAX),
        Field::BytesIn => Place::Number("destination.bytes", i64::MAX),
        Field::EventCode => Place::Text("event.code"),
        Field::Activity
        | Field::Department
        | Field::FileType
        | Field::DriveType
        | Field::Bytes
        | Field::SrcFileDir
        | Field::SrcFileName
        | Field::ProcessDir
        | Field::ProcessKey
        | Field::Image
        | Field::ParentImage
        | Field::App
        | Field::Category
        | Field::PrinterName
        | Field::NumPages
        | Field::Object
        | Field::Description => Place::None,
    }
}
