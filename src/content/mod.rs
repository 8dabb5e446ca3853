//! Content: what is detected. Structured TOML and plain tables, embedded in the binary, overridable per site.
//!
//! `raw text → Document → Section → checked, compiled content`; every fault of every file is reported at once, with
//! file, line, item and what to write instead. Nothing in here judges an event.

pub mod fault;
pub mod section;

mod commandline;
pub mod condition;
mod files;
mod models;
mod rules;
mod selftest;
mod tables;
mod verdict;

#[cfg(any(test, fuzzing))]
#[path = "../fuzz_entry/written.rs"]
pub mod fuzz_written;

pub use fault::{Fault, Faults};
pub use files::{ContentFile, ContentFiles};
pub use selftest::run_tests;

use crate::config::{DetectionSettings, Limits};
use crate::enrich::{Enricher, Tables};
use crate::event::{EventType, Field, FieldSet};
use crate::model::ModelSpec;
use crate::parse::ParserTable;
use crate::rule::{Rule, Screen};
use crate::sigma;
use condition::Vocabulary;
use section::Document;
use std::sync::Arc;
use tables::TableTexts;

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
    /// What has become of each Sigma file.
    pub sigma: sigma::Report,
}

/// Loads the shipped content and the site's on top of it.
///
/// # Errors
/// All faults of all files.
pub fn load(settings: &DetectionSettings, limits: &Limits) -> Result<Content, Faults> {
    let mut faults = Faults::default();
    let files = gather(settings, &mut faults);
    let content = compile(&files, settings, limits, &mut faults);
    faults.check(content)
}

/// The files that [`load`] compiles: the shipped ones with the site's on top.
pub fn gather(settings: &DetectionSettings, faults: &mut Faults) -> ContentFiles {
    let mut files = ContentFiles::shipped();
    if let Some(dir) = &settings.content_dir {
        files.overlay(dir, faults);
    }
    files
}

fn compile(files: &ContentFiles, settings: &DetectionSettings, _limits: &Limits, faults: &mut Faults) -> Content {
    let tools = commandline::read(files.document("commandline.toml").as_ref(), faults);
    let vocabulary = Vocabulary { tables: TableTexts::gather(files, settings, faults), tools: Arc::new(tools) };
    let models = models::read(&files.documents("models/"), &vocabulary, faults);
    let mut rules = rules::read(&files.documents("rules/"), &models, &vocabulary, faults);
    let mapping = files.document("sigma.toml").map(|d| sigma::Mapping::read(&d, faults)).unwrap_or_default();
    let taken = rules.iter().map(|r| (r.id.clone(), r.file.clone())).collect();
    let (from_sigma, sigma) = sigma::load(&settings.sigma, &mapping, taken, faults);
    rules.extend(from_sigma);
    rules::check_count(&rules, faults);
    rules::disable(&mut rules, &settings.disabled_rules, faults);

    let texts = &vocabulary.tables.texts;
    let tables = Tables::compile(texts, &settings.tables, &settings.sanctioned_domains, faults);
    let cef_keys = texts.get("cef_keys").map(String::as_str).unwrap_or_default();
    let documents = |folder: &str| files.documents(folder).into_iter().map(|(d, _)| d).collect::<Vec<Document>>();
    let mut parsers = ParserTable::compile(&documents("fieldmaps/"), &documents("parsers/"), cef_keys, faults);
    parsers.set_wanted(wanted(&Screen::new(&rules, &models), &Enricher::new(&tables)));
    Content { parsers, models, rules, tables, sigma }
}

/// Fields to fill by event type: what rules and models read, what every event is filed under, and what enrichment makes
/// all that from.
pub fn wanted(screen: &Screen, enricher: &Enricher) -> [FieldSet; EventType::COUNT] {
    let everyone = [Field::UserKey, Field::HostKey, Field::Department].map(FieldSet::of);
    screen.wanted().map(|fields| {
        let fields = everyone.iter().fold(fields, |all, f| all.union(*f));
        fields.union(enricher.reads(fields))
    })
}

#[cfg(test)]
#[path = "content_tests.rs"]
mod tests;
