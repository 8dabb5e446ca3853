//! An alert as one line of JSON: a Detection Finding of the Open Cybersecurity Schema Framework.
//!
//! The schema asks for members that make an object whole: a file has a name, a process an id, a device a kind. They are
//! filled from what is known, and an object that cannot be made whole is not begun: its fields stand in `unmapped`, with
//! all that the schema has no place for. The id comes first, so that the line is known again. docs/alerts.md holds the
//! whole mapping.

use super::render::Shape;
use super::tree::{Leaf, Place, Tree, field_of, kind_of, technique};
use crate::alert::{AgentIdentity, Alert, AlertKind, EntityKind, Severity};
use crate::event::{EventType, Field};

/// The version of the schema whose names these are.
pub(super) const VERSION: &str = "1.5.0";

/// What stands before the id.
pub(super) const BEFORE_ID: &str = "{\"finding_info\":{\"uid\":\"";

/// Where the fields without a place go.
const OWN: &str = "unmapped.event";

/// How a line is shortened: the event goes before the evidence.
pub(super) const SHAPE: Shape = Shape {
    whole: &["/finding_info/uid", "/finding_info/analytic/uid"],
    event: &[
        "/unmapped/event",
        "/evidences/0/process",
        "/evidences/0/actor",
        "/evidences/0/file",
        "/evidences/0/url",
        "/evidences/0/dst_endpoint",
        "/evidences/0/http_request",
    ],
    evidence: &["/evidences"],
    least: &[
        "/finding_info/uid",
        "/finding_info/analytic/uid",
        "/finding_info/analytic/type_id",
        "/class_uid",
        "/category_uid",
        "/activity_id",
        "/type_uid",
        "/severity_id",
        "/time",
        "/metadata/version",
        "/metadata/product/name",
        "/risk_score",
        "/unmapped/kind",
    ],
    mark: "/unmapped/truncated",
};

/// The whole alert.
pub(super) fn tree<'a>(alert: &'a Alert, agent: &'a AgentIdentity) -> Tree<'a> {
    let mut out = Tree::default();
    put_finding(&mut out, alert);
    out.number("class_uid", 2004);
    out.text("class_name", "Detection Finding");
    out.number("category_uid", 2);
    out.text("category_name", "Findings");
    out.number("activity_id", 1);
    out.text("activity_name", "Create");
    out.number("type_uid", 200_401);
    out.text("type_name", "Detection Finding: Create");
    let (severity_id, severity) = match alert.severity() {
        Severity::Low => (2, "Low"),
        Severity::Medium => (3, "Medium"),
        Severity::High => (4, "High"),
        Severity::Critical => (5, "Critical"),
    };
    out.number("severity_id", severity_id);
    out.text("severity", severity);
    out.number("status_id", 1);
    out.text("status", "New");
    // What the agent says about itself is nobody's deed.
    out.put("is_alert", Leaf::Flag(alert.kind != AlertKind::Operational));
    // The finding was made when the event was judged; the event has its own time.
    out.number("time", alert.detected_ms);
    out.number("start_time", alert.time_ms);
    out.number("end_time", alert.time_ms);
    out.text("message", alert.explanation());
    out.number("risk_score", alert.score);
    out.text("metadata.version", VERSION);
    out.text("metadata.product.name", "exfil-agent");
    out.text("metadata.product.vendor_name", "exfil-agent");
    out.text("metadata.product.version", &agent.version);
    out.fields(alert, OWN, placing(alert));
    match alert.entity_kind {
        EntityKind::User => out.text("evidences[].actor.user.uid", &alert.entity),
        EntityKind::Host => out.text("device.uid", &alert.entity),
        EntityKind::Group | EntityKind::Agent => false,
    };
    complete(&mut out, alert);
    out.text("evidences[].name", &alert.event_type);
    out.put("evidences[].data", Leaf::Evidence(&alert.evidence));
    put_own(&mut out, alert, agent);
    out
}

fn put_finding<'a>(out: &mut Tree<'a>, alert: &'a Alert) {
    let rule = &alert.rule;
    out.put("finding_info.uid", Leaf::Text(alert.id.as_str().into()));
    out.text("finding_info.title", &rule.name);
    out.texts("finding_info.types", [alert.kind.name()]);
    out.number("finding_info.created_time", alert.detected_ms);
    out.number("finding_info.first_seen_time", alert.time_ms);
    out.number("finding_info.last_seen_time", alert.time_ms);
    out.put("finding_info.analytic.uid", Leaf::Text(rule.id.as_str().into()));
    out.text("finding_info.analytic.name", &rule.name);
    let (type_id, kind) = match () {
        () if alert.kind == AlertKind::Operational => (99, "Self-monitoring"),
        // What is normal for someone is learned from what they do.
        () if alert.evidence.model.is_some() => (2, "Behavioral"),
        () => (1, "Rule"),
    };
    out.number("finding_info.analytic.type_id", type_id);
    out.text("finding_info.analytic.type", kind);
    out.text("finding_info.analytic.version", rule.revision.to_string());
    if !rule.attack.is_empty() {
        out.put("finding_info.attacks", Leaf::Trees(rule.attack.iter().map(|id| attack(id)).collect()));
    }
    if let Some(origin) = &alert.origin {
        out.texts("finding_info.data_sources", [origin.file.as_str()]);
    }
}

fn attack(id: &str) -> Tree<'_> {
    let (technique, part) = technique(id);
    let mut out = Tree::default();
    out.put("technique.uid", Leaf::Text(technique.into()));
    out.text("sub_technique.uid", part.unwrap_or_default());
    out
}

fn put_own<'a>(out: &mut Tree<'a>, alert: &'a Alert, agent: &'a AgentIdentity) {
    out.text("unmapped.kind", alert.kind.name());
    out.text("unmapped.entity.kind", alert.entity_kind.name());
    out.text("unmapped.entity.value", &alert.entity);
    out.text("unmapped.value", alert.value.as_deref().unwrap_or_default());
    out.text("unmapped.sequence", &alert.sequence);
    out.text("unmapped.peer_group", alert.peer_group.as_deref().unwrap_or_default());
    out.texts("unmapped.rule.author", alert.rule.author.iter().map(String::as_str));
    out.texts("unmapped.rule.references", alert.rule.references.iter().map(String::as_str));
    out.text("unmapped.rule.license", alert.rule.license.as_deref().unwrap_or_default());
    if let Some(origin) = &alert.origin {
        out.put("unmapped.origin", Leaf::Origin(origin));
    }
    out.text("unmapped.agent.host", &agent.host);
}

/// Where the fields of this alert's event go: nowhere, where the object would lack what the schema asks for.
fn placing(alert: &Alert) -> impl Fn(Field) -> Place + '_ {
    let kind = kind_of(alert);
    let has = |field| !field_of(alert, field).is_empty();
    let about = |kind| alert.entity_kind == kind && !alert.entity.is_empty();
    let has_user = has(Field::User) || has(Field::UserKey) || about(EntityKind::User);
    let has_host = has(Field::Host) || has(Field::HostKey) || about(EntityKind::Host);
    let has_url = has(Field::Url) || has(Field::UriPath);
    let has_file = has(Field::FileName) || has(Field::FilePath);
    let named = |name, path| has(name) || has(path);
    let has_process = named(Field::ProcessName, Field::ProcessPath);
    let has_parent = has_process && named(Field::ParentProcessName, Field::ParentProcessPath);
    move |field| {
        let whole = match field {
            Field::UserDomain => has_user,
            Field::HostDomain | Field::Os => has_host,
            Field::TopDomain | Field::UriQuery | Field::Protocol | Field::DestPort => has_url,
            Field::WebDomain if !has_url => return Place::Text("evidences[].dst_endpoint.hostname"),
            Field::FileDir | Field::FileExt | Field::Bytes => has_file,
            Field::CommandLine | Field::Pid => has_process,
            Field::ParentProcessPath | Field::ParentProcessName => has_parent,
            _ => true,
        };
        if whole { place(field, kind) } else { Place::None }
    }
}

/// Adds what the schema asks for in the objects that were begun.
fn complete<'a>(out: &mut Tree<'a>, alert: &'a Alert) {
    if out.has_below("device.") {
        out.number("device.type_id", 0);
    }
    if out.has("device.os.name") {
        out.number("device.os.type_id", 0);
    }
    if out.has_below("evidences[].file.") {
        let path = field_of(alert, Field::FilePath);
        let name = path.rsplit(['\\', '/']).find(|part| !part.is_empty()).unwrap_or(path);
        out.text("evidences[].file.name", name);
        out.number("evidences[].file.type_id", 0);
    }
    let first = |fields: [Field; 3]| fields.map(|f| field_of(alert, f)).into_iter().find(|v| !v.is_empty());
    let program = first([Field::ProcessKey, Field::ProcessPath, Field::ProcessName]).unwrap_or_default();
    let parent = [Field::ParentProcessPath, Field::ParentProcessName, Field::ParentImage];
    let parent = first(parent).unwrap_or_default();
    // Without a process id, the program is what this process can be told by.
    for (below, pid, uid, known) in [
        ("evidences[].process.", "evidences[].process.pid", "evidences[].process.uid", program),
        ("evidences[].actor.process.", "evidences[].actor.process.pid", "evidences[].actor.process.uid", program),
        (
            "evidences[].process.parent_process.",
            "evidences[].process.parent_process.pid",
            "evidences[].process.parent_process.uid",
            parent,
        ),
        (
            "evidences[].actor.process.parent_process.",
            "evidences[].actor.process.parent_process.pid",
            "evidences[].actor.process.parent_process.uid",
            parent,
        ),
    ] {
        if out.has_below(below) && !out.has(pid) {
            out.text(uid, known);
        }
    }
}

/// The largest process id that the schema's number holds.
const MAX_PID: i64 = i32::MAX as i64;

/// The methods that the schema names.
const METHODS: &[&str] = &["CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "POST", "PUT", "TRACE"];

/// Where a field of an event of this kind goes.
pub(super) fn place(field: Field, kind: Option<EventType>) -> Place {
    let file = kind.is_some_and(|k| k.is_a(EventType::FileWrite))
        || matches!(kind, Some(EventType::FileRead | EventType::FileDelete));
    // A started process is what was done; what a process did to a file or the web comes from it.
    let started = kind == Some(EventType::ProcessCreated);
    let process = |started_path, actor_path| if started { started_path } else { actor_path };
    match field {
        Field::User => Place::Text("evidences[].actor.user.name"),
        Field::UserDomain => Place::Text("evidences[].actor.user.domain"),
        Field::UserKey => Place::Text("evidences[].actor.user.uid"),
        Field::Host => Place::Text("device.hostname"),
        Field::HostDomain => Place::Text("device.domain"),
        Field::HostKey => Place::Text("device.uid"),
        Field::Os => Place::Text("device.os.name"),
        Field::FilePath => Place::Text("evidences[].file.path"),
        Field::FileName => Place::Text("evidences[].file.name"),
        Field::FileDir => Place::Text("evidences[].file.parent_folder"),
        Field::FileExt => Place::Text("evidences[].file.ext"),
        // The size of a print job is none of a file.
        Field::Bytes if file => Place::Number("evidences[].file.size", i64::MAX),
        Field::ProcessPath => Place::Text(process("evidences[].process.path", "evidences[].actor.process.path")),
        Field::ProcessName => Place::Text(process("evidences[].process.name", "evidences[].actor.process.name")),
        Field::CommandLine => {
            Place::Text(process("evidences[].process.cmd_line", "evidences[].actor.process.cmd_line"))
        }
        Field::Pid => Place::Number(process("evidences[].process.pid", "evidences[].actor.process.pid"), MAX_PID),
        Field::ParentProcessPath => Place::Text(process(
            "evidences[].process.parent_process.path",
            "evidences[].actor.process.parent_process.path",
        )),
        Field::ParentProcessName => Place::Text(process(
            "evidences[].process.parent_process.name",
            "evidences[].actor.process.parent_process.name",
        )),
        Field::Url => Place::Text("evidences[].url.url_string"),
        Field::WebDomain => Place::Text("evidences[].url.hostname"),
        Field::TopDomain => Place::Text("evidences[].url.domain"),
        Field::UriPath => Place::Text("evidences[].url.path"),
        Field::UriQuery => Place::Text("evidences[].url.query_string"),
        Field::Protocol => Place::Text("evidences[].url.scheme"),
        Field::DestPort => Place::Number("evidences[].url.port", 65_535),
        Field::Referrer => Place::Text("evidences[].http_request.referrer"),
        Field::Method => Place::Word("evidences[].http_request.http_method", METHODS),
        Field::BytesOut => Place::Number("evidences[].http_request.length", i64::MAX),
        Field::EventCode => Place::Text("metadata.event_code"),
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
        | Field::Mime
        | Field::Category
        | Field::BytesIn
        | Field::PrinterName
        | Field::NumPages
        | Field::Object
        | Field::Description => Place::None,
    }
}
