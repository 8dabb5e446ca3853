//! What Sigma's logsources, fields and levels are here: read from content (`sigma.toml`).

use crate::config::SIGMA_LEVELS as LEVELS;
use crate::content::fault::{Faults, suggest};
use crate::content::section::{Document, Section, TextOrTable};
use crate::event::{EventType, Field};
use crate::rule::source::{Alternative, Part, Source};
use std::collections::BTreeMap;

/// Highest score.
const MAX_SCORE: u64 = 100;

/// The mapping.
#[derive(Debug, Default)]
pub struct Mapping {
    /// The file, as faults call it.
    pub file: String,
    scores: BTreeMap<String, u32>,
    time: Vec<String>,
    fields: Known,
    logsources: Vec<Logsource>,
}

/// Sigma fields by what they are here.
#[derive(Debug, Default)]
struct Known {
    sources: BTreeMap<String, Source>,
    /// Why there is none, by field.
    absent: BTreeMap<String, String>,
}

/// What a logsource is here.
#[derive(Debug)]
pub struct Logsource {
    names: [Vec<String>; 3],
    /// The event types.
    pub events: Vec<EventType>,
    /// Why there are none.
    pub refused: Option<String>,
    /// What a rule is "per".
    pub per: Option<Field>,
    /// Fields that an event must have.
    pub requires: Vec<Field>,
    /// Fields in which keywords are looked for.
    pub keywords: Vec<Field>,
    fields: Known,
}

/// What a Sigma field is.
#[derive(Clone, Copy, Debug)]
pub enum Meaning<'m> {
    /// This text of an event.
    Source(&'m Source),
    /// The time of the event.
    Time,
    /// Nothing that a record carries, with the reason.
    Absent(&'m str),
}

/// The reason for a field of which the mapping says nothing.
const UNKNOWN: &str = "sigma.toml has no field for it";

impl Mapping {
    /// Reads the mapping.
    pub fn read(document: &Document, faults: &mut Faults) -> Mapping {
        let read = document.read(faults, |top, faults| Some(read_top(top, faults)));
        Mapping { file: document.file.clone(), ..read.unwrap_or_default() }
    }

    /// The score of a level.
    pub fn score(&self, level: &str) -> u32 {
        self.scores.get(level).copied().unwrap_or_default()
    }

    /// The logsource of these names, empty where a rule does not name one.
    pub fn logsource(&self, category: &str, product: &str, service: &str) -> Option<&Logsource> {
        let named = |known: &[String], name: &str| known.iter().any(|k| k.eq_ignore_ascii_case(name));
        self.logsources.iter().find(|l| {
            let [categories, products, services] = &l.names;
            named(categories, category) && named(products, product) && named(services, service)
        })
    }

    /// What a field is in a logsource.
    pub fn field<'m>(&'m self, logsource: &'m Logsource, name: &str) -> Meaning<'m> {
        for known in [&logsource.fields, &self.fields] {
            if let Some(source) = known.sources.get(name) {
                return Meaning::Source(source);
            }
            if let Some(why) = known.absent.get(name) {
                return Meaning::Absent(why);
            }
        }
        if self.time.iter().any(|t| t == name) { Meaning::Time } else { Meaning::Absent(UNKNOWN) }
    }
}

fn read_top(top: &Section<'_>, faults: &mut Faults) -> Mapping {
    let mut mapping = Mapping::default();
    top.set_item("sigma mapping");
    match top.table("level", faults) {
        Some(levels) => {
            for level in LEVELS {
                if !levels.has(level) {
                    levels.fault(faults, levels.line, format!("the level {level} has no score"));
                }
                let score = levels.unsigned(level, faults).unwrap_or_default();
                if score > MAX_SCORE {
                    levels.fault(faults, levels.line_of(level), format!("score {score} is over {MAX_SCORE}"));
                }
                mapping.scores.insert(level.into(), score.min(MAX_SCORE) as u32);
            }
            levels.finish(&LEVELS, faults);
        }
        None => top.fault(faults, 0, "[level] is missing; give each level a score"),
    }
    if let Some(time) = top.table("time", faults) {
        mapping.time = time.strings("fields", faults).unwrap_or_default();
        time.finish(&["fields"], faults);
    }
    mapping.fields = read_known(top, faults);
    mapping.logsources = top.tables("logsource", faults).iter().map(|s| read_logsource(s, faults)).collect();
    top.finish(&["level", "time", "fields", "absent", "logsource"], faults);
    mapping
}

fn read_logsource(section: &Section<'_>, faults: &mut Faults) -> Logsource {
    let names = ["category", "product", "service"]
        .map(|key| section.strings(key, faults).unwrap_or_else(|| vec![String::new()]));
    let refused = section.string("refused", faults);
    let mut events = Vec::new();
    for text in section.strings("events", faults).unwrap_or_default() {
        match EventType::from_name(&text) {
            Some(event) => events.push(event),
            None => {
                let hint = suggest(&text, EventType::ALL.iter().map(|e| e.name()));
                section.fault(faults, section.line_of("events"), format!("unknown event type {text:?}{hint}"));
            }
        }
    }
    if events.is_empty() == refused.is_none() {
        section.fault(faults, section.line, "write either events, or refused with the reason why there are none");
    }
    let per = section.string("per", faults).and_then(|name| read_field(section, "per", &name, faults));
    let list = |key: &str, faults: &mut Faults| -> Vec<Field> {
        let names = section.strings(key, faults).unwrap_or_default();
        names.iter().filter_map(|name| read_field(section, key, name, faults)).collect()
    };
    let (requires, keywords) = (list("requires", faults), list("keywords", faults));
    let fields = read_known(section, faults);
    section.finish(
        &["category", "product", "service", "events", "refused", "per", "requires", "keywords", "fields", "absent"],
        faults,
    );
    Logsource { names, events, refused, per, requires, keywords, fields }
}

/// `[fields]` and `[absent]` of a table.
fn read_known(section: &Section<'_>, faults: &mut Faults) -> Known {
    let mut known = Known::default();
    if let Some(fields) = section.table("fields", faults) {
        for name in fields.keys() {
            let alternatives = read_alternatives(&fields, name, faults);
            if !alternatives.is_empty() {
                known.sources.insert(name.to_owned(), Source { name: name.into(), alternatives });
            }
        }
    }
    if let Some(absent) = section.table("absent", faults) {
        for why in absent.keys() {
            for field in absent.strings(why, faults).unwrap_or_default() {
                if known.sources.contains_key(&field) {
                    absent.fault(faults, absent.line_of(why), format!("{field} is under fields, too"));
                }
                known.absent.insert(field, why.to_owned());
            }
        }
    }
    known
}

fn read_alternatives(section: &Section<'_>, key: &str, faults: &mut Faults) -> Vec<Alternative> {
    let mut alternatives = Vec::new();
    for member in section.texts_or_tables(key, faults) {
        match member {
            TextOrTable::Text(name, _) => {
                alternatives.extend(read_field(section, key, &name, faults).map(Alternative::plain));
            }
            TextOrTable::Table(table) => {
                let names = table.strings("join", faults).unwrap_or_default();
                let fields: Vec<Field> =
                    names.iter().filter_map(|name| read_field(&table, "join", name, faults)).collect();
                if names.is_empty() {
                    table.fault(faults, table.line, "join is missing; name the fields");
                }
                let part = match table.string("part", faults).as_deref() {
                    None => Part::Whole,
                    Some("name") => Part::Name,
                    Some("extension") => Part::Extension,
                    Some(other) => {
                        let hint = suggest(other, ["name", "extension"]);
                        table.fault(faults, table.line, format!("unknown part {other:?}{hint}"));
                        Part::Whole
                    }
                };
                let text = |key: &str, faults: &mut Faults| table.string(key, faults).unwrap_or_default().into();
                let (before, between) = (text("before", faults), text("between", faults));
                table.finish(&["join", "before", "between", "part"], faults);
                if !fields.is_empty() {
                    alternatives.push(Alternative { before, between, fields, part });
                }
            }
        }
    }
    alternatives
}

fn read_field(section: &Section<'_>, key: &str, name: &str, faults: &mut Faults) -> Option<Field> {
    let field = Field::resolve(name);
    if field.is_none() {
        let hint = suggest(name, Field::ALL.iter().map(|f| f.name()));
        section.fault(faults, section.line_of(key), format!("unknown field {name:?}{hint}"));
    }
    field
}
