//! The parsers of content, compiled: `fieldmaps/*.toml` and `parsers/*.toml` become one table from activity to field map.
//!
//! Every fault of every file is reported. Nothing here reads a record.

use super::claim::Claim;
use super::field_map::Plan;
use super::grammar::{FieldMap, Grammar, MAP_KEYS, read_event_type, replace};
use super::keys::{KeyFlags, KeySet, KeyTable, MAX_KEYS};
use super::layout::{CefLayout, CsvLayout};
use super::selftest::Test;
use crate::batch::Format;
use crate::content::Faults;
use crate::content::fault::suggest;
use crate::content::section::{Document, Section};
use crate::event::EventType;
use hashbrown::HashMap;
use std::collections::BTreeMap;
use std::sync::Arc;

/// From activity to index of a claim. The names are ours and few; what is looked up is not kept, so any hash will do.
pub(super) type Activities = HashMap<Box<[u8]>, u16, foldhash::fast::FixedState>;

/// All parsers, compiled.
#[derive(Debug, Default)]
pub struct ParserTable {
    pub(super) keys: KeyTable,
    pub(super) cef: Option<CefLayout>,
    pub(super) csv: Option<CsvLayout>,
    pub(super) parsers: Vec<Parser>,
    pub(super) claims: Vec<Claim>,
    pub(super) cef_activities: Activities,
    pub(super) csv_activities: Activities,
    pub(super) tests: Vec<Test>,
}

/// One parser file.
#[derive(Debug)]
pub(super) struct Parser {
    pub id: String,
    pub file: String,
    pub format: Option<Format>,
}

/// An `[[activity]]` of a parser file; the file's own top level is one, too.
struct Activity {
    names: Vec<String>,
    event_type: Option<EventType>,
    maps: Vec<String>,
    line: usize,
}

const FIELDMAP_KEYS: [&str; 6] = ["id", "cef", "csv", "fields", "variant", "event_type_if"];
const PARSER_KEYS: [&str; 10] =
    ["id", "format", "activities", "event_type", "fieldmaps", "activity", "fields", "variant", "event_type_if", "test"];

impl ParserTable {
    /// Compiles `fieldmaps/*.toml`, `parsers/*.toml` and the CEF key list (plain text, one key a line, `#` comments).
    pub fn compile(fieldmaps: &[Document], parsers: &[Document], cef_keys: &str, faults: &mut Faults) -> ParserTable {
        let mut table = ParserTable { keys: KeyTable::from_list(cef_keys), ..ParserTable::default() };
        let json_keys = table.read_layouts(fieldmaps, faults);
        if table.keys.len() > MAX_KEYS {
            let message =
                format!("{} keys are known, at most {MAX_KEYS} are supported; shorten the list", table.keys.len());
            faults.add("tables/cef_keys.txt", 0, "", message);
        }
        // The grammar reads names while claims are added to the table.
        let keys = std::mem::take(&mut table.keys);
        let grammar = Grammar { keys: &keys, json_keys };
        let mut maps = BTreeMap::new();
        for doc in fieldmaps {
            doc.read(faults, |s, faults| read_map(s, &grammar, &mut maps, faults));
        }
        for doc in parsers {
            doc.read(faults, |s, faults| table.read_parser(s, &grammar, &maps, faults));
        }
        table.keys = keys;
        let mut json = KeySet::default();
        table.claims.iter().for_each(|claim| claim.add_json_keys(&mut json));
        for key in (0..table.keys.len()).map(|k| k as super::keys::KeyId).filter(|k| json.contains(*k)) {
            table.keys.mark(key, KeyFlags::JSON);
        }
        table
    }

    /// `[cef]` and `[csv]`, which may stand in any field map, but once. Returns the keys whose values are JSON.
    fn read_layouts(&mut self, fieldmaps: &[Document], faults: &mut Faults) -> Arc<[super::keys::KeyId]> {
        let mut json_keys = Arc::from([]);
        // Columns first: their names belong to the vocabulary that everything else is checked against.
        for doc in fieldmaps {
            doc.read(faults, |s, faults| {
                let csv = s.table("csv", faults)?;
                if self.csv.is_some() {
                    s.fault(faults, csv.line, "[csv] stands in another field map already");
                }
                self.csv = Some(CsvLayout::read(&csv, &mut self.keys, faults));
                Some(())
            });
        }
        for doc in fieldmaps {
            doc.read(faults, |s, faults| {
                let cef = s.table("cef", faults)?;
                if self.cef.is_some() {
                    s.fault(faults, cef.line, "[cef] stands in another field map already");
                }
                let (layout, json) = CefLayout::read(&cef, &mut self.keys, faults);
                (self.cef, json_keys) = (Some(layout), json);
                Some(())
            });
        }
        json_keys
    }

    fn read_parser(
        &mut self,
        s: &Section<'_>,
        grammar: &Grammar<'_>,
        maps: &BTreeMap<String, FieldMap>,
        faults: &mut Faults,
    ) -> Option<()> {
        let id = s.required("id", faults)?;
        s.set_item(format!("parser {id}"));
        if self.parsers.iter().any(|p| p.id == id) {
            s.fault(faults, s.line_of("id"), format!("parser {id:?} exists already"));
        }
        let format = match s.required("format", faults).as_deref() {
            Some("cef") => Some(Format::Cef),
            Some("csv") => Some(Format::Csv),
            Some(other) => {
                s.fault(faults, s.line_of("format"), format!("unknown format {other:?}; one of: cef, csv"));
                None
            }
            None => None,
        };
        let own = grammar.map(s, faults);
        let mut activities: Vec<Activity> = Vec::new();
        if s.has("activities") {
            activities.push(read_activity(s, "activities", faults));
        }
        for t in s.tables("activity", faults) {
            activities.push(read_activity(&t, "names", faults));
            t.finish(&["names", "event_type", "fieldmaps"], faults);
        }
        if activities.is_empty() {
            s.fault(faults, s.line, "activities is missing; write the activities that this parser reads");
        }
        let index = self.parsers.len() as u16;
        for t in s.tables("test", faults) {
            self.tests.extend(Test::read(&t, index, faults));
        }
        s.finish(&PARSER_KEYS, faults);
        self.parsers.push(Parser { id, file: s.file().to_owned(), format });
        let format = format?;
        if (format == Format::Cef && self.cef.is_none()) || (format == Format::Csv && self.csv.is_none()) {
            s.fault(faults, s.line_of("format"), "no field map describes this format; add its [cef] or [csv] table");
        }
        for activity in activities {
            let map = merge(s, &activity, &own, maps, faults);
            let Some(kind) = activity.event_type else { continue };
            let Some(claim) = self.claim_of(s, index, kind, map, faults) else { continue };
            self.add_claim(s, format, &activity, claim, faults);
        }
        Some(())
    }

    fn claim_of(
        &self,
        s: &Section<'_>,
        parser: u16,
        kind: EventType,
        map: FieldMap,
        faults: &mut Faults,
    ) -> Option<Claim> {
        let mut plan_of = |mut fields: Vec<super::field_map::FieldSources>, line: usize| {
            fields.retain(|(_, sources)| !sources.is_empty());
            Plan::new(fields).map_err(|f| s.fault(faults, line, format!("field {} is made of itself", f.name()))).ok()
        };
        let plan = plan_of(map.fields.clone(), s.line)?;
        let mut variants = Vec::new();
        for variant in map.variants {
            let mut fields = map.fields.clone();
            replace(&mut fields, &variant.fields);
            variants.push((variant.when_any, plan_of(fields, s.line)?));
        }
        let ends = self.cef.as_ref().map_or(KeySet::default(), |cef| cef.ends);
        let number = crate::memo::number();
        let mut claim = Claim { number, parser, kind, plan, variants, overrides: map.overrides, ends };
        claim.add_keys_to_ends();
        Some(claim)
    }

    fn add_claim(&mut self, s: &Section<'_>, format: Format, activity: &Activity, claim: Claim, faults: &mut Faults) {
        let index = self.claims.len() as u16;
        let parsers = &self.parsers;
        let claims = &self.claims;
        let activities = match format {
            Format::Cef => &mut self.cef_activities,
            Format::Csv => &mut self.csv_activities,
        };
        for name in &activity.names {
            let before = activities.insert(name.as_bytes().into(), index);
            let other =
                before.and_then(|i| claims.get(usize::from(i))).and_then(|c| parsers.get(usize::from(c.parser)));
            if let Some(other) = other {
                let message = format!("activity {name:?} belongs to parser {} ({}) already", other.id, other.file);
                s.fault(faults, activity.line, message);
            }
        }
        self.claims.push(claim);
    }

    /// The claim on an activity.
    #[inline]
    pub(super) fn claim(&self, activities: &Activities, name: &[u8]) -> Option<&Claim> {
        self.claims.get(usize::from(*activities.get(name)?))
    }
}

fn read_map(
    s: &Section<'_>,
    grammar: &Grammar<'_>,
    maps: &mut BTreeMap<String, FieldMap>,
    faults: &mut Faults,
) -> Option<()> {
    let id = s.required("id", faults)?;
    s.set_item(format!("field map {id}"));
    let map = grammar.map(s, faults);
    // Read before, with the vocabulary.
    let _ = (s.table("cef", &mut Faults::default()), s.table("csv", &mut Faults::default()));
    s.finish(&FIELDMAP_KEYS, faults);
    if maps.insert(id.clone(), map).is_some() {
        s.fault(faults, s.line_of("id"), format!("field map {id:?} exists already"));
    }
    Some(())
}

fn read_activity(s: &Section<'_>, names_key: &str, faults: &mut Faults) -> Activity {
    let names = s.strings(names_key, faults).unwrap_or_default();
    if names.is_empty() {
        s.fault(faults, s.line_of(names_key), format!("{names_key} is empty; write the names of the activities"));
    }
    let event_type = s.required("event_type", faults).and_then(|t| read_event_type(s, "event_type", &t, faults));
    let maps = s.strings("fieldmaps", faults).unwrap_or_default();
    Activity { names, event_type, maps, line: s.line_of(names_key) }
}

/// The shared maps in their order, and the parser's own on top.
fn merge(
    s: &Section<'_>,
    activity: &Activity,
    own: &FieldMap,
    maps: &BTreeMap<String, FieldMap>,
    faults: &mut Faults,
) -> FieldMap {
    let mut merged = FieldMap::default();
    for name in &activity.maps {
        match maps.get(name) {
            Some(map) => merged.extend(map),
            None => {
                let hint = suggest(name, maps.keys().map(String::as_str));
                s.fault(faults, activity.line, format!("unknown field map {name:?}{hint}"));
            }
        }
    }
    if own.fields.is_empty() && activity.maps.is_empty() {
        let keys = MAP_KEYS.join(", ");
        s.fault(faults, activity.line, format!("no fields; write fieldmaps, or some of {keys}"));
    }
    merged.extend(own);
    merged
}
