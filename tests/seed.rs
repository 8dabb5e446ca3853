//! The shipped content keeps the ids, names, techniques and event types that the public page fixes.

use exfil_agent::config::DetectionSettings;
use exfil_agent::content;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::Path;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Seed {
    rule: Vec<Row>,
    model: Vec<Row>,
}

/// One rule or model.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(deny_unknown_fields)]
struct Row {
    id: String,
    name: String,
    event: String,
    #[serde(default)]
    attack: BTreeSet<String>,
}

fn seed() -> Seed {
    toml::from_str(include_str!("seed.toml")).unwrap()
}

fn sorted(mut rows: Vec<Row>) -> Vec<Row> {
    rows.sort();
    rows
}

#[test]
fn shipped_content_is_what_the_seed_fixes() {
    let content = content::load(&DetectionSettings::default()).unwrap_or_else(|f| panic!("{f}"));
    let events =
        |events: &[exfil_agent::event::EventType]| events.iter().map(|e| e.name()).collect::<Vec<_>>().join(", ");
    let rules = content.rules.iter().map(|r| Row {
        id: r.id.clone(),
        name: r.name.clone(),
        event: events(&r.events),
        attack: r.attack.iter().cloned().collect(),
    });
    let models = content.models.iter().map(|m| Row {
        id: m.id.clone(),
        name: m.name.clone(),
        event: events(&m.events),
        attack: BTreeSet::new(),
    });
    assert_eq!(sorted(rules.collect()), sorted(seed().rule));
    assert_eq!(sorted(models.collect()), sorted(seed().model));
}

#[test]
fn the_seed_has_20_rules_3_models_and_15_techniques() {
    let seed = seed();
    let techniques: BTreeSet<&String> = seed.rule.iter().flat_map(|r| &r.attack).collect();
    assert_eq!((seed.rule.len(), seed.model.len(), techniques.len()), (20, 3, 15));
}

#[test]
fn the_seed_file_says_what_the_page_says() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/seed");
    let Some(page) = std::fs::read_dir(dir).ok().and_then(|mut d| d.next()).and_then(Result::ok) else {
        // The harness captures `eprintln!`; a skip must be seen.
        let _ = writeln!(std::io::stderr(), "SKIP seed page: not there");
        return;
    };
    let (rules, models) = read_page(&std::fs::read_to_string(page.path()).unwrap());
    assert_eq!(rules, sorted(seed().rule));
    assert_eq!(models, sorted(seed().model));
}

/// Rules and models of the page's second table: event type | `T… - name`, `↳ id: name` … | `• id: name` ….
fn read_page(page: &str) -> (Vec<Row>, Vec<Row>) {
    let (mut rules, mut models) = (BTreeMap::<String, Row>::new(), BTreeMap::new());
    for line in page.lines().filter(|l| l.contains(" ↳ ") || l.contains(" • ")) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [event, in_rules, in_models] = cells[..] else { panic!("a row of {} cells: {line}", cells.len()) };
        let mut technique = String::new();
        for part in in_rules.split("<br>").map(str::trim) {
            if let Some((id, name)) = entry(part, "↳") {
                let row = rules.entry(id.clone()).or_insert_with(|| row(id, name, event));
                row.attack.insert(technique.clone());
            } else if let Some(rest) = part.strip_prefix("<b>T") {
                technique = format!("T{}", rest.split(' ').next().unwrap_or_default());
            }
        }
        for (id, name) in in_models.split("<br>").filter_map(|part| entry(part.trim(), "•")) {
            models.insert(id.clone(), row(id, name, event));
        }
    }
    (rules.into_values().collect(), models.into_values().collect())
}

/// `↳ <b>id</b>: name`.
fn entry(part: &str, mark: &str) -> Option<(String, String)> {
    let (id, name) = part.strip_prefix(mark)?.trim().strip_prefix("<b>")?.split_once("</b>: ")?;
    Some((id.to_owned(), name.to_owned()))
}

fn row(id: String, name: String, event: &str) -> Row {
    Row { id, name, event: event.to_owned(), attack: BTreeSet::new() }
}
