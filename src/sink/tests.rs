//! All formats over the same alerts: golden lines, hostile text, limits, and docs/alerts.md held against both.
//!
//! `UPDATE_EXPECT=1` writes the lines and the table of an event's fields anew.

use super::escape::is_deceptive;
use super::render::{Rendered, render, render_within};
use super::samples::*;
use super::tree::Place;
use super::{cef, ecs, ocsf};
use crate::alert::{Alert, any_alert};
use crate::config::AlertFormat;
use crate::event::{EventType, Field};
use expect_test::{ExpectFile, expect_file};
use proptest::prelude::*;
use serde_json::Value;
use std::collections::BTreeSet;

fn alerts() -> Vec<Alert> {
    let mut all = vec![detection(1), web(2), sum(3), operational(4), summary(5), hostile(40)];
    all.extend(EventType::ALL.iter().zip(10..).map(|(kind, n)| every_field(n, *kind)));
    // Neither process ids nor names: what a schema asks for is made from the rest.
    let mut sparse = every_field(9, EventType::FileWrite);
    let left_out = ["pid", "file_name", "process_key"];
    let every = sparse.fields;
    let kept = every.iter().filter(|(name, _)| !left_out.contains(name));
    sparse.fields = kept.map(|(name, value)| (name.to_owned(), value)).collect();
    all.push(sparse);
    all
}

fn lines(format: AlertFormat) -> String {
    alerts().iter().map(|alert| render(format, alert, &agent()) + "\n").collect()
}

fn expected(format: AlertFormat) -> ExpectFile {
    match format {
        AlertFormat::Json => expect_file!["golden/json.jsonl"],
        AlertFormat::Cef => expect_file!["golden/cef.txt"],
        AlertFormat::Ecs => expect_file!["golden/ecs.jsonl"],
        AlertFormat::Ocsf => expect_file!["golden/ocsf.jsonl"],
    }
}

#[test]
fn every_format_renders_as_it_did() {
    for format in AlertFormat::ALL {
        expected(*format).assert_eq(&lines(*format));
    }
}

/// One line, valid, no name twice, nothing that drives a terminal. Returns the value.
fn received(format: AlertFormat, line: &str) -> Value {
    assert!(!line.chars().any(|c| is_deceptive(c) || c == '\n'), "{format:?}: {line:?}");
    let value: Value = serde_json::from_str(line).unwrap();
    // A name that is given twice in an object is there once in the value.
    assert_eq!(names_written(line), names_read(&value), "{format:?}: {line}");
    value
}

/// How many names of members a line holds.
fn names_written(line: &str) -> usize {
    let (mut inside, mut escaped, mut names) = (false, false, 0);
    for c in line.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' if inside => escaped = true,
            '"' => inside = !inside,
            ':' if !inside => names += 1,
            _ => {}
        }
    }
    names
}

fn names_read(value: &Value) -> usize {
    match value {
        Value::Array(items) => items.iter().map(names_read).sum(),
        Value::Object(entries) => entries.values().map(|entry| 1 + names_read(entry)).sum(),
        _ => 0,
    }
}

#[test]
fn a_limit_cuts_texts_and_never_the_id_the_rule_or_what_the_schema_wants() {
    for (format, id, rule, mark, wanted) in [
        (AlertFormat::Json, "/id", "/rule/id", "/truncated", &["/time", "/score"][..]),
        (AlertFormat::Ecs, "/event/id", "/rule/id", "/exfil_agent/truncated", &["/@timestamp", "/ecs/version"]),
        (
            AlertFormat::Ocsf,
            "/finding_info/uid",
            "/finding_info/analytic/uid",
            "/unmapped/truncated",
            &["/activity_id", "/category_uid", "/class_uid", "/type_uid", "/time", "/severity_id", "/metadata/product"],
        ),
    ] {
        let alert = hostile(4096);
        for limit in [16_384, 8192, 2048, 600] {
            let Rendered { line, cut } = render_within(format, &alert, &agent(), limit);
            assert!(cut && line.len() <= limit, "{format:?}: {} bytes for {limit}", line.len());
            let value = received(format, &line);
            let text = |place| value.pointer(place).and_then(Value::as_str);
            assert_eq!((text(id), text(rule)), (Some(alert.id.as_str()), Some(alert.rule.id.as_str())));
            assert_eq!(value.pointer(mark), Some(&Value::Bool(true)), "{format:?}");
            assert!(wanted.iter().all(|place| value.pointer(place).is_some()), "{format:?}: {line}");
        }
        // Evidence says more than the rest of the event.
        let mut long = detection(1);
        long.fields = detection(1).fields.iter().map(|(name, _)| (name.to_owned(), "x".repeat(3000))).collect();
        let line = render_within(format, &long, &agent(), 2048).line;
        assert!(line.contains("equals certutil"), "{line}");
    }
}

proptest! {
    #![proptest_config(crate::effort::cases())]

    #[test]
    fn any_alert_is_one_line_of_json_that_holds_all_of_its_event(alert in any_alert(), limit in 600usize..4000) {
        let whole: Value = serde_json::from_str(&alert.to_json_text(&agent())).unwrap();
        for (format, id, evidence) in [
            (AlertFormat::Json, "/id", "/evidence"),
            (AlertFormat::Ecs, "/event/id", "/exfil_agent/evidence"),
            (AlertFormat::Ocsf, "/finding_info/uid", "/evidences/0/data"),
        ] {
            let value = received(format, &render(format, &alert, &agent()));
            prop_assert_eq!(value.pointer(id), Some(&Value::from(alert.id.as_str())));
            prop_assert_eq!(value.pointer(evidence), whole.get("evidence"));
            // An alert without an event has no fields; our own format writes none then.
            if format == AlertFormat::Json && alert.event_type.is_empty() {
                continue;
            }
            let mut texts = Vec::new();
            collect_texts(&value, &mut texts);
            for (name, text) in alert.fields.iter() {
                prop_assert!(texts.iter().any(|t| t == text || t.eq_ignore_ascii_case(text))
                    || texts.iter().any(|t| *t == text.trim().trim_start_matches('0')),
                    "{:?} lost {} {:?}", format, name, text);
            }
            received(format, &render_within(format, &alert, &agent(), limit).line);
        }
    }
}

/// Every text in a value, and numbers as text.
fn collect_texts(value: &Value, out: &mut Vec<String>) {
    match value {
        Value::String(text) => out.push(text.clone()),
        Value::Number(number) => out.push(number.to_string().trim_start_matches('0').to_owned()),
        Value::Array(items) => items.iter().for_each(|item| collect_texts(item, out)),
        Value::Object(entries) => entries.values().for_each(|entry| collect_texts(entry, out)),
        Value::Null | Value::Bool(_) => {}
    }
}

/// The paths of a line: `a.b`, `a[].b`; a list of texts has the path of its name.
fn paths(value: &Value, path: &str, out: &mut BTreeSet<String>) {
    match value {
        Value::Object(entries) => {
            let dot = if path.is_empty() { "" } else { "." };
            entries.iter().for_each(|(name, entry)| paths(entry, &format!("{path}{dot}{name}"), out));
        }
        Value::Array(items) if items.iter().any(Value::is_object) => {
            items.iter().for_each(|item| paths(item, &format!("{path}[]"), out));
        }
        _ => {
            out.insert(path.to_owned());
        }
    }
}

/// All names that stand in the golden lines of a format.
fn names(format: AlertFormat) -> BTreeSet<String> {
    let mut out = BTreeSet::new();
    for line in lines(format).lines() {
        match format {
            AlertFormat::Cef => {
                let extension = line.rsplit_once("externalId=").map_or("", |(_, rest)| rest);
                let pairs = extension.split(' ').filter_map(|word| word.split_once('='));
                out.extend(pairs.filter(|(key, _)| !key.ends_with('\\')).map(|(key, _)| key.to_owned()));
                out.insert("externalId".into());
            }
            _ => paths(&serde_json::from_str(line).unwrap(), "", &mut out),
        }
    }
    out
}

const DOCS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/alerts.md");
const FIELDS_BEGIN: &str = "<!-- fields: begin -->\n";
const FIELDS_END: &str = "<!-- fields: end -->\n";

/// The row of a field: everywhere that it may go, by the code.
fn row(field: Field) -> String {
    let mut cells: [Vec<String>; 4] = Default::default();
    let mut add = |cell: usize, text: String| {
        if let Some(cell) = cells.get_mut(cell)
            && !cell.contains(&text)
        {
            cell.push(text);
        }
    };
    for kind in EventType::ALL {
        let name = field.display_name(*kind);
        add(0, format!("`event.{name}`"));
        match cef::key_of(field, Some(*kind)) {
            cef::Key::Text(key) | cef::Key::Number(key) => add(1, format!("`{key}`")),
            cef::Key::Custom(key, label) => add(1, format!("`{key}` ({label})")),
            cef::Key::None => {}
        }
        for (cell, place, own) in
            [(2, ecs::place(field, Some(*kind)), "exfil_agent"), (3, ocsf::place(field, Some(*kind)), "unmapped")]
        {
            let (Place::Text(path) | Place::Number(path, _) | Place::Word(path, _)) = place else {
                add(cell, format!("`{own}.event.{name}`"));
                continue;
            };
            add(cell, format!("`{path}`"));
        }
    }
    let cells = cells.map(|cell| if cell.is_empty() { "–".to_owned() } else { cell.join(" or ") });
    format!("| {} |\n", cells.join(" | "))
}

#[test]
fn the_table_of_fields_in_the_docs_is_what_the_code_does() {
    let docs = std::fs::read_to_string(DOCS).unwrap();
    let (before, rest) = docs.split_once(FIELDS_BEGIN).unwrap();
    let (table, after) = rest.split_once(FIELDS_END).unwrap();
    let rows: String = Field::ALL.iter().map(|field| row(*field)).collect();
    let wanted = format!("| JSON | CEF | ECS | OCSF |\n|--|--|--|--|\n{rows}");
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(DOCS, format!("{before}{FIELDS_BEGIN}{wanted}{FIELDS_END}{after}")).unwrap();
        return;
    }
    assert_eq!(table, wanted);
}

/// The names in backquotes of each column of every table of the docs.
fn documented() -> [BTreeSet<String>; 4] {
    let docs = std::fs::read_to_string(DOCS).unwrap();
    let mut out: [BTreeSet<String>; 4] = Default::default();
    for line in docs.lines().filter(|line| line.starts_with("| ")) {
        for (column, cell) in line.trim_matches('|').split('|').enumerate() {
            let quoted = cell.split('`').skip(1).step_by(2).map(str::to_owned);
            out.get_mut(column).unwrap_or_else(|| panic!("too many columns: {line}")).extend(quoted);
        }
    }
    out
}

#[test]
fn every_name_in_the_docs_is_in_a_golden_line_and_every_name_of_the_lines_is_in_the_docs() {
    for ((format, documented), cut) in AlertFormat::ALL.iter().zip(documented()).zip([
        "truncated",
        "flexNumber1",
        "exfil_agent.truncated",
        "unmapped.truncated",
    ]) {
        let written = names(*format);
        let below = |name: &str, above: &str| name.strip_prefix(above).is_some_and(|r| r.starts_with(['.', '[']));
        for name in documented.iter().filter(|name| *name != cut) {
            // An object, such as the evidence, stands for all of its members.
            assert!(
                written.contains(name) || written.iter().any(|w| below(w, name)),
                "{format:?}: no {name} is written"
            );
        }
        for name in &written {
            // The first two: fields that had no place because of what they held.
            let known = ["exfil_agent.event.", "unmapped.event."].iter().any(|own| name.starts_with(own))
                || documented.contains(name)
                || documented.iter().any(|d| below(name, d))
                || name.ends_with("Label");
            assert!(known, "{format:?}: {name} is not in docs/alerts.md");
        }
    }
}
