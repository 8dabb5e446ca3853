//! Content: what is detected. Structured TOML and plain tables, embedded in the binary, overridable per site.
//!
//! `raw text → Document → Section → checked, compiled content`; every fault of every file is reported at once, with
//! file, line, item and what to write instead. Nothing in here judges an event.

pub mod fault;
pub mod section;

pub use fault::{Fault, Faults};

use crate::config::{DetectionSettings, Limits};
use crate::enrich::Tables;
use crate::model::ModelSpec;
use crate::parse::ParserTable;
use crate::rule::Rule;

/// Checked, compiled content.
#[derive(Debug)]
pub struct Content {
    /// Parsers with their field maps and vocabularies.
    pub parsers: ParserTable,
    /// Models, by index.
    pub models: Vec<ModelSpec>,
    /// Rules, by index; disabled ones included.
    pub rules: Vec<Rule>,
    /// Tables of names.
    pub tables: Tables,
}

/// Loads the shipped content and the site's on top of it.
///
/// # Errors
/// All faults of all files.
pub fn load(_settings: &DetectionSettings, _limits: &Limits) -> Result<Content, Faults> {
    Faults::default().check(Content {
        parsers: ParserTable::default(),
        models: Vec::new(),
        rules: Vec::new(),
        tables: Tables::default(),
    })
}
