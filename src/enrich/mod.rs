//! Enrichment: facts that follow from one event and the tables. One enricher a file.
//!
//! Stateless and deterministic: no I/O, no clock. Peer groups from departments are state and live in `detect`.

mod account;
pub mod directory;
mod domain;
mod process;
mod tables;
mod url;

#[cfg(test)]
mod tests;

pub use tables::{Table, Tables};

use crate::event::{Counts, Draft, Field, FieldSet};
use process::TempDirectories;

/// Adds the enriched fields and flags to a parsed event.
#[derive(Debug, Default)]
pub struct Enricher {
    tables: Tables,
    temp: Option<TempDirectories>,
}

/// Parsed fields that every event is enriched from.
const ALWAYS: [Field; 5] = [Field::User, Field::UserDomain, Field::Host, Field::ProcessDir, Field::Department];
/// Enriched fields and what they are made of.
const SOURCES: [(Field, &[Field]); 7] = [
    (Field::Image, &[Field::ProcessPath, Field::ProcessName, Field::CommandLine]),
    (Field::ParentImage, &[Field::ParentProcessPath, Field::ParentProcessName]),
    (Field::ProcessKey, &[Field::ProcessDir, Field::ProcessName]),
    (Field::WebDomain, &[Field::Url]),
    (Field::TopDomain, &[Field::Url]),
    (Field::UriPath, &[Field::Url]),
    (Field::UriQuery, &[Field::Url]),
];

impl Enricher {
    /// An enricher over compiled tables.
    pub fn new(tables: &Tables) -> Enricher {
        Enricher { tables: tables.clone(), temp: tables.get("temp_directories").map(TempDirectories::of) }
    }

    /// Parsed fields that enrichment reads for these wanted fields and for the flags.
    pub fn reads(&self, wanted: FieldSet) -> FieldSet {
        let mut out = FieldSet::default();
        ALWAYS.iter().for_each(|f| out.insert(*f));
        // The flags of web events.
        out.insert(Field::Url);
        out.insert(Field::Category);
        for (field, sources) in SOURCES {
            if wanted.contains(field) {
                sources.iter().for_each(|f| out.insert(*f));
            }
        }
        out
    }

    /// Enriches one event. `wanted` limits the work to enriched fields that someone reads; keys and flags are always set.
    #[inline]
    pub fn enrich(&self, raw: &[u8], arena: &mut Vec<u8>, draft: &mut Draft, wanted: FieldSet, oddities: &mut Counts) {
        let lists = &self.tables.lists;
        account::enrich(lists, raw, arena, draft);
        process::enrich(lists, self.temp.as_ref(), raw, arena, draft, wanted);
        if draft.present.contains(Field::Url) {
            url::enrich(raw, arena, draft, wanted, oddities);
        }
        if draft.present.contains(Field::WebDomain) || draft.present.contains(Field::Category) {
            domain::enrich(&self.tables, raw, arena, draft, wanted);
        }
    }
}
