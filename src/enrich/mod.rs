//! Enrichment: facts that follow from one event and the tables (content.md section 2). One enricher a file.
//!
//! Stateless and deterministic: no I/O, no clock. Peer groups from departments are state and live in `detect`.

use crate::content::Faults;
use crate::event::{Counts, Draft, FieldSet};
use std::collections::BTreeMap;

/// The tables of names, compiled.
#[derive(Debug, Default)]
pub struct Tables {}

impl Tables {
    /// Compiles `tables/*.txt` (name without `.txt` → text). `switches` turns optional tables on or off; `sanctioned` are
    /// the site's own domains.
    pub fn compile(
        _files: &BTreeMap<String, String>,
        _switches: &BTreeMap<String, bool>,
        _sanctioned: &[String],
        _faults: &mut Faults,
    ) -> Tables {
        Tables::default()
    }

    /// Whether `value` (any case) is an entry of a plain table; `None` when there is no such table.
    pub fn contains(&self, _table: &str, _value: &[u8]) -> Option<bool> {
        None
    }
}

/// Adds the enriched fields and flags to a parsed event.
#[derive(Debug, Default)]
pub struct Enricher {}

impl Enricher {
    /// An enricher over compiled tables.
    pub fn new(_tables: &Tables) -> Enricher {
        Enricher {}
    }

    /// Fields that enrichment itself reads, for [`crate::parse::ParserTable::set_wanted`].
    pub fn reads(&self, _wanted: FieldSet) -> FieldSet {
        FieldSet::default()
    }

    /// Enriches one event. `wanted` limits the work to enriched fields that someone reads; flags are always set.
    pub fn enrich(
        &self,
        _raw: &[u8],
        _arena: &mut Vec<u8>,
        _draft: &mut Draft,
        _wanted: FieldSet,
        _oddities: &mut Counts,
    ) {
    }
}
pub mod directory;
