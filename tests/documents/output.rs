//! docs/output.md is made from the comments of the rows that agentctl serializes, and compared with what it really writes.

use super::assert_up_to_date;
use crate::site::{Site, office};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;

const HEAD: &str = "# What agentctl writes for programs

<!-- Generated from the rows in src/ by `UPDATE_EXPECT=1 cargo test documents`: change their comments. -->

With `--format json`, the default in a pipe, every command writes JSON Lines: a list is one object a line, everything else one
object. Fields are only added, not renamed, within a major version. Instants are RFC 3339 in UTC, days `2026-03-01` in the
configured zone, shares and confidences fractions from 0 to 1, sizes bytes. `null` is \"unknown\" or \"none\". Names that come from
logs stand as they were, with JSON's own escapes. Where an answer comes from is said on standard error. `--format csv` has the
same rows for lists, with a head line; cells that a spreadsheet would take for a formula begin with `'`.

`alerts show ID` writes the alert as the file sink does (docs/alerts.md), without `agent`, and besides: `seq` its number, `repeats`
how often the same came again, `suppressed`, `deliveries` (a list of `sink` and `state`), `would_not_have_fired_if`, `triage` and
`false_positives` (lists of text), and in `evidence.model` the `top_bins` before the event (a list of `value` and `count`).
";

/// Commands, and the row that each writes: its file and name.
const WRITTEN: &[(&[&str], &str, &str)] = &[
    (&["status"], "src/ctl/view.rs", "StatusReport"),
    (&["state dump"], "src/ctl/view.rs", "InstanceRow"),
    (&["state stats"], "src/ctl/view.rs", "StateStats"),
    (&["state export FILE"], "src/upkeep/portable.rs", "Exported"),
    (&["state import FILE"], "src/upkeep/import.rs", "Imported"),
    (&["state compact"], "src/upkeep/mod.rs", "Compacted"),
    (&["state forget"], "src/upkeep/forget.rs", "Forgotten"),
    (&["alerts list", "alerts follow"], "src/ctl/view.rs", "AlertRow"),
    (&["rules list"], "src/ctl/view.rs", "RuleRow"),
    (&["rules show ID"], "src/ctl/rules_show.rs", "RuleDetails"),
    (&["rules test --line TEXT"], "src/ctl/rules_test.rs", "Report"),
    (&["content check"], "src/ctl/content.rs", "ItemRow"),
    (&["content exceptions"], "src/ctl/content_exceptions.rs", "ExceptionRow"),
    (&["content test"], "src/ctl/content_test.rs", "TestedRow"),
    (&["content export DIR"], "src/ctl/content_export.rs", "Written"),
    (&["coverage"], "src/ctl/coverage.rs", "Technique"),
    (&["reload"], "src/control/change.rs", "Reloaded"),
];

/// Rows that stand in other rows: where they are found.
const PARTS: &[(&str, &str)] = &[
    ("FileRow", "src/ctl/files.rs"),
    ("Lag", "src/ctl/files.rs"),
    ("InertRule", "src/ctl/view.rs"),
    ("ModelProgress", "src/ctl/view.rs"),
    ("ModelStats", "src/ctl/view.rs"),
    ("Queue", "src/ctl/view.rs"),
    ("SinkRow", "src/ctl/view.rs"),
    ("Process", "src/ctl/view.rs"),
    ("LastCommit", "src/ctl/view.rs"),
    ("Memory", "src/state/paging.rs"),
    ("Judged", "src/ctl/rules_test.rs"),
    ("OtherParser", "src/ctl/rules_test.rs"),
    ("ExceptionDetails", "src/ctl/rules_show.rs"),
    ("Matched", "src/alert.rs"),
];

/// A field of a row: name, type in Rust, what it is.
struct Field {
    name: String,
    rust: String,
    text: String,
}

/// The fields of a struct, read from its source.
fn fields(file: &str, name: &str) -> Vec<Field> {
    let source = fs::read_to_string(file).unwrap();
    let begins = |l: &&str| l.contains(&format!("struct {name} {{")) || l.contains(&format!("struct {name}<"));
    let at = source.lines().position(|l| begins(&l)).unwrap_or_else(|| panic!("{file} has no {name}"));
    let (mut out, mut said, mut skipped) = (Vec::new(), Vec::new(), false);
    for line in source.lines().skip(at + 1).take_while(|l| *l != "}").map(str::trim) {
        if let Some(text) = line.strip_prefix("/// ") {
            said.push(text);
        } else if line == "#[serde(skip)]" {
            skipped = true;
        } else if std::mem::take(&mut skipped) {
            said.clear();
        } else if let Some((name, rust)) = line.trim_start_matches("pub ").split_once(": ") {
            assert!(!said.is_empty(), "{file}: {name} says nothing");
            let (name, rust) = (name.to_owned(), rust.trim_end_matches(',').to_owned());
            out.push(Field { name, rust, text: std::mem::take(&mut said).join(" ") });
        }
    }
    out
}

/// The JSON type in words, and the row in it, if there is one.
fn json_type(rust: &str) -> (String, Option<&str>) {
    let inner = |outer: &str| rust.strip_prefix(outer).and_then(|r| r.strip_suffix('>'));
    if let Some(rust) = inner("Option<") {
        let (text, row) = json_type(rust);
        return (format!("{text} or null"), row);
    }
    if let Some(rust) =
        inner("Vec<").or(inner("Box<[")).or(rust.strip_prefix("&'r [").and_then(|r| r.strip_suffix(']')))
    {
        let (text, row) = json_type(rust);
        return (format!("list of {text}"), row);
    }
    if let Some(rust) = inner("BTreeMap<String, ") {
        let (text, row) = json_type(rust);
        return (format!("object: {text} by name"), row);
    }
    match rust {
        "String" | "&'static str" | "&'r str" | "&'c str" | "&'a Path" => ("text".into(), None),
        "u16" | "u32" | "u64" | "usize" | "i64" | "f64" => ("number".into(), None),
        "bool" => ("boolean".into(), None),
        "Map<String, Value>" => ("object: value by name".into(), None),
        "SourceLine" => ("object: where the answer comes from".into(), None),
        row => {
            let row = row.split('<').next().unwrap();
            assert!(PARTS.iter().any(|(name, _)| *name == row), "{row} is no type that this test knows");
            ("object".into(), Some(row))
        }
    }
}

fn table(out: &mut String, file: &str, name: &str, parts: &mut Vec<String>) {
    out.push_str("\n| field | type | |\n|--|--|--|\n");
    for Field { name, rust, text } in fields(file, name) {
        let (mut kind, row) = json_type(&rust);
        if let Some(row) = row {
            kind = kind.replace("object", &format!("[{row}](#{})", row.to_lowercase()));
            if !parts.iter().any(|p| p == row) {
                parts.push(row.to_owned());
            }
        }
        writeln!(out, "| `{name}` | {kind} | {} |", text.replace('|', "\\|")).unwrap();
    }
}

#[test]
fn the_reference_of_output_says_what_the_rows_say() {
    let mut out = HEAD.to_owned();
    let mut parts = Vec::new();
    for (commands, file, name) in WRITTEN {
        let heads: Vec<String> = commands.iter().map(|c| format!("`agentctl {c}`")).collect();
        writeln!(out, "\n## {}", heads.join(", ")).unwrap();
        if file.starts_with("src/upkeep/") && *name != "Exported" || *name == "Reloaded" {
            writeln!(out, "\n`change` says what was done: `{}`.", name.to_lowercase()).unwrap();
        }
        table(&mut out, file, name, &mut parts);
    }
    out.push_str("\n# Parts\n");
    let mut next = 0;
    while let Some(part) = parts.get(next).cloned() {
        let (_, file) = PARTS.iter().find(|(name, _)| *name == part).unwrap();
        writeln!(out, "\n## {part}").unwrap();
        table(&mut out, file, &part, &mut parts);
        next += 1;
    }
    assert_up_to_date("docs/output.md", &out);
}

/// What is documented stands in the answer, and nothing else does.
fn assert_documented(value: &Value, file: &str, name: &str, seen: &mut BTreeSet<String>) {
    let fields: BTreeMap<String, String> = fields(file, name).into_iter().map(|f| (f.name, f.rust)).collect();
    let object = value.as_object().unwrap_or_else(|| panic!("{name} is no object: {value}"));
    let known: BTreeSet<&str> = fields.keys().map(String::as_str).collect();
    let there: BTreeSet<&str> = object.keys().map(String::as_str).filter(|k| *k != "change").collect();
    assert_eq!(there, known, "{name}");
    seen.insert(name.to_owned());
    for (key, value) in object.iter().filter(|(k, _)| *k != "change") {
        let (kind, row) = json_type(&fields[key]);
        let values: Vec<&Value> = match value {
            Value::Array(values) => values.iter().collect(),
            value => vec![value],
        };
        let Some(row) = row else {
            let right = match kind.split(' ').next().unwrap() {
                "text" => value.is_string() || value.is_null(),
                "number" => value.is_number() || value.is_null(),
                "boolean" => value.is_boolean(),
                "list" => value.is_array(),
                _ => value.is_object() || value.is_null(),
            };
            assert!(right, "{name}.{key} is no {kind}: {value}");
            continue;
        };
        let (_, file) = PARTS.iter().find(|(name, _)| *name == row).unwrap();
        values.into_iter().filter(|v| !v.is_null()).for_each(|v| assert_documented(v, file, row, seen));
    }
}

#[test]
fn agentctl_writes_what_is_documented() {
    let site = Site::new();
    fs::create_dir(site.root().join("spool")).unwrap();
    let own = site.root().join("own");
    fs::create_dir(&own).unwrap();
    let exception = "[[exception]]\nid = \"x\"\nrule = \"WEB-FS\"\nuser = \"user0\"\nreason = \"r\"\n";
    fs::write(own.join("us.override.toml"), exception).unwrap();
    site.configure(&format!("[detection]\ncontent_dir = {own:?}\n"));
    let text = office(900).join("\n") + "\n";
    fs::write(site.spool("a.cef"), &text).unwrap();
    let daemon = site.start();
    site.wait_for_bytes(text.len() as u64);
    let root = site.root();
    let (export, content) = (root.join("export"), root.join("content"));
    let line = text.lines().find(|l| l.contains("plink")).unwrap();
    let mut seen = BTreeSet::new();
    for (commands, file, name) in WRITTEN.iter().filter(|(_, _, name)| *name != "Imported") {
        let command = commands[0];
        let mut words: Vec<&str> = command.split(' ').filter(|w| w.chars().any(|c| c.is_lowercase())).collect();
        match command {
            "state export FILE" => words.push(export.to_str().unwrap()),
            "content export DIR" => words.push(content.to_str().unwrap()),
            "state forget" => words.extend(["--user", "corp\\user1", "--yes"]),
            "rules show ID" => words.push("web-fs"),
            "rules test --line TEXT" => words.push(line),
            _ => {}
        }
        let answer = site.ctl(&words);
        assert!(answer.status.success(), "{words:?}: {}", String::from_utf8_lossy(&answer.stderr));
        let answer = String::from_utf8(answer.stdout).unwrap();
        assert!(!answer.is_empty(), "{words:?}");
        for line in answer.lines() {
            assert_documented(&serde_json::from_str(line).unwrap(), file, name, &mut seen);
        }
    }
    assert_eq!(daemon.terminate(), 0);
    fs::remove_dir_all(site.state_dir()).unwrap();
    let imported = site.ctl(&["state", "import", export.to_str().unwrap()]);
    assert!(imported.status.success(), "{}", String::from_utf8_lossy(&imported.stderr));
    assert_documented(
        &serde_json::from_slice(&imported.stdout).unwrap(),
        "src/upkeep/import.rs",
        "Imported",
        &mut seen,
    );
    let documented = WRITTEN.iter().map(|(_, _, name)| *name).chain(PARTS.iter().map(|(name, _)| *name));
    let unseen: Vec<&str> = documented.filter(|name| !seen.contains(*name)).collect();
    assert!(unseen.is_empty(), "never written here: {unseen:?}");
}
