//! Reads field maps from TOML: `[fields]`, `[[variant]]` and `[[event_type_if]]`.
//!
//! A source is the name of a key, or a table with one of `key`, `json`, `json_deep`, `header`, `field`, `join`, and with
//! `number`, `part`, `path_only`, `unless` as wanted.

use super::field_map::{Base, FieldSources, Part, Piece, Source, TypeOverride, Variant};
use super::keys::{KeyId, KeyTable};
use super::layout::{known, known_key, read_number_mark};
use crate::content::Faults;
use crate::content::fault::suggest;
use crate::content::section::{Section, TextOrTable};
use crate::event::{EventType, Field};
use std::sync::Arc;

/// What a field-map file holds, and what a parser file may add.
#[derive(Clone, Debug, Default)]
pub(super) struct FieldMap {
    pub fields: Vec<FieldSources>,
    pub variants: Vec<Variant>,
    pub overrides: Vec<TypeOverride>,
}

impl FieldMap {
    /// Adds another map on top: its fields replace those of the same name.
    pub fn extend(&mut self, other: &FieldMap) {
        replace(&mut self.fields, &other.fields);
        for variant in &other.variants {
            match self.variants.iter_mut().find(|v| v.when_any == variant.when_any) {
                Some(same) => replace(&mut same.fields, &variant.fields),
                None => self.variants.push(variant.clone()),
            }
        }
        self.overrides.extend(other.overrides.iter().cloned());
    }
}

/// Puts fields in the place of those of the same name.
pub(super) fn replace(fields: &mut Vec<FieldSources>, with: &[FieldSources]) {
    for (field, sources) in with {
        fields.retain(|(f, _)| f != field);
        fields.push((*field, sources.clone()));
    }
}

/// The keys of a section that [`Grammar::map`] takes.
pub(super) const MAP_KEYS: [&str; 3] = ["fields", "variant", "event_type_if"];

const SOURCE_KEYS: [&str; 10] =
    ["key", "json", "json_deep", "header", "field", "join", "number", "part", "path_only", "unless"];

/// The vocabulary in which field maps are written.
pub(super) struct Grammar<'k> {
    pub keys: &'k KeyTable,
    /// Keys whose values are JSON, in order.
    pub json_keys: Arc<[KeyId]>,
}

impl Grammar<'_> {
    /// Reads the three tables of a field map from a section.
    pub fn map(&self, s: &Section<'_>, faults: &mut Faults) -> FieldMap {
        let fields = s.table("fields", faults).map(|t| self.fields(&t, faults)).unwrap_or_default();
        let variants = s.tables("variant", faults).iter().map(|v| self.variant(v, faults)).collect();
        let overrides =
            s.tables("event_type_if", faults).iter().filter_map(|o| self.type_override(o, faults)).collect();
        FieldMap { fields, variants, overrides }
    }

    fn fields(&self, s: &Section<'_>, faults: &mut Faults) -> Vec<FieldSources> {
        let mut fields = Vec::new();
        for name in s.keys() {
            let sources = self.sources(s, name, faults);
            match Field::resolve(name) {
                Some(Field::Activity) => s.fault(faults, s.line_of(name), "activity is always filled; take it out"),
                Some(field) => fields.push((field, Arc::from(sources))),
                None => {
                    let hint = suggest(name, Field::ALL.iter().map(|f| f.name()));
                    s.fault(faults, s.line_of(name), format!("unknown field {name:?}{hint}"));
                }
            }
        }
        fields
    }

    fn variant(&self, s: &Section<'_>, faults: &mut Faults) -> Variant {
        let when_any = known(s, "when_any", self.keys, faults);
        if when_any.is_empty() {
            s.fault(faults, s.line, "when_any is missing; write the keys of which one must be there");
        }
        let fields = s.table("fields", faults).map(|t| self.fields(&t, faults)).unwrap_or_default();
        s.finish(&["when_any", "fields"], faults);
        Variant { when_any, fields }
    }

    fn type_override(&self, s: &Section<'_>, faults: &mut Faults) -> Option<TypeOverride> {
        let event_type = s.required("event_type", faults).and_then(|t| read_event_type(s, "event_type", &t, faults));
        let instead_of = s.strings("instead_of", faults).unwrap_or_default();
        let instead_of = instead_of.iter().filter_map(|t| read_event_type(s, "instead_of", t, faults)).collect();
        let value = self.sources(s, "value", faults);
        let equals = s.strings("equals", faults).unwrap_or_default();
        let words = s.strings("words", faults).unwrap_or_default();
        if value.is_empty() || (equals.is_empty() && words.is_empty()) {
            s.fault(faults, s.line, "event_type_if needs a value, and equals or words to compare it with");
        }
        s.finish(&["event_type", "instead_of", "value", "equals", "words"], faults);
        Some(TypeOverride { event_type: event_type?, instead_of, value: Arc::from(value), equals, words })
    }

    fn sources(&self, s: &Section<'_>, name: &str, faults: &mut Faults) -> Vec<Source> {
        let line = s.line_of(name);
        let list = s.texts_or_tables(name, faults);
        let read = |item: &TextOrTable<'_>, faults: &mut Faults| match item {
            TextOrTable::Text(key, at) => {
                let line = if *at == 0 { line } else { *at };
                Some(Source::plain(Base::Key(known_key(s, line, key, self.keys, faults)?)))
            }
            TextOrTable::Table(table) => self.source(table, faults),
        };
        list.iter().filter_map(|item| read(item, faults)).collect()
    }

    fn source(&self, s: &Section<'_>, faults: &mut Faults) -> Option<Source> {
        let base = self.base(s, faults);
        let number = s.table("number", faults).and_then(|t| read_number_mark(&t, faults));
        let part = s.string("part", faults).and_then(|p| choose(s, "part", &p, &Part::NAMES, faults));
        let path_only = s.boolean("path_only", faults).unwrap_or(false);
        let unless = self.sources(s, "unless", faults);
        s.finish(&SOURCE_KEYS, faults);
        Some(Source { base: base?, number, part, path_only, unless })
    }

    fn base(&self, s: &Section<'_>, faults: &mut Faults) -> Option<Base> {
        let key_line = s.line_of("key");
        let key = s.string("key", faults).map(|k| known_key(s, key_line, &k, self.keys, faults));
        let json = s.string("json", faults).map(|p| (p, false)).or(s.string("json_deep", faults).map(|p| (p, true)));
        let header = s.string("header", faults).map(|h| choose(s, "header", &h, &Piece::NAMES, faults));
        let field = s.string("field", faults).map(|f| {
            let found = Field::resolve(&f);
            if found.is_none() {
                let hint = suggest(&f, Field::ALL.iter().map(|f| f.name()));
                s.fault(faults, s.line_of("field"), format!("unknown field {f:?}{hint}"));
            }
            found
        });
        let join = s.has("join").then(|| <[Source; 2]>::try_from(self.sources(s, "join", faults)).ok());
        match (key, json, header, field, join) {
            (key, Some((path, deep)), None, None, None) => {
                let keys = match key {
                    None => self.json_keys.clone(),
                    Some(key) => Arc::from([key?]),
                };
                let path = path.split('.').map(|p| p.as_bytes().into()).collect::<Vec<Box<[u8]>>>();
                Some(Base::Json { keys, path: Arc::from(path), deep })
            }
            (Some(key), None, None, None, None) => key.map(Base::Key),
            (None, None, Some(piece), None, None) => piece.map(Base::Header),
            (None, None, None, Some(field), None) => field.map(Base::Field),
            (None, None, None, None, Some(Some(pair))) => Some(Base::Join(Box::new(pair))),
            (None, None, None, None, Some(None)) => {
                s.fault(faults, s.line_of("join"), "join needs two sources: a directory and a name");
                None
            }
            _ => {
                s.fault(
                    faults,
                    s.line,
                    "a source is one of key, json, json_deep, header, field and join (json may have a key)",
                );
                None
            }
        }
    }
}

/// An event type by its name.
pub(super) fn read_event_type(s: &Section<'_>, key: &str, name: &str, faults: &mut Faults) -> Option<EventType> {
    let found = EventType::from_name(name);
    if found.is_none() {
        let hint = suggest(name, EventType::ALL.iter().map(|t| t.name()));
        s.fault(faults, s.line_of(key), format!("unknown event type {name:?}{hint}"));
    }
    found
}

/// One of a few spellings.
fn choose<T: Copy>(s: &Section<'_>, key: &str, given: &str, names: &[(&str, T)], faults: &mut Faults) -> Option<T> {
    let found = names.iter().find(|(n, _)| *n == given).map(|(_, v)| *v);
    if found.is_none() {
        let hint = suggest(given, names.iter().map(|(n, _)| *n));
        s.fault(faults, s.line_of(key), format!("unknown {key} {given:?}{hint}"));
    }
    found
}
