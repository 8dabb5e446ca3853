//! Content: what is detected. Structured TOML and plain tables, embedded in the binary, overridable per site.
//!
//! `files of each layer → layers → Document → Section → checked, compiled content → patches`; every fault of every file is reported at once, with
//! file, line, item and what to write instead. Nothing in here judges an event.

pub mod fault;
pub mod section;

pub mod based_on;
pub mod cases;
mod commandline;
pub mod condition;
mod files;
pub mod layers;
mod models;
mod options;
pub mod overrides;
mod prevalence;
mod rules;
mod tables;
mod verdict;

#[cfg(any(test, fuzzing))]
#[path = "../fuzz_entry/written.rs"]
pub mod fuzz_written;

pub use fault::{Fault, Faults};
pub use files::{ContentFile, ContentFiles};
pub use layers::{Kind, Layers};

use crate::calendar::{Zone, wall_clock_ms};
use crate::config::{DEFAULT_CONTENT_DIR, DetectionSettings};
use crate::enrich::{Enricher, Tables};
use crate::event::{EventType, Field, FieldSet};
use crate::model::ModelSpec;
use crate::parse::ParserTable;
use crate::rule::exception::Exceptions;
use crate::rule::{Rule, Screen};
use crate::sigma;
use cases::RuleTests;
use condition::Vocabulary;
use options::SiteOptions;
use overrides::Patches;
use section::Document;
use std::path::Path;
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
    /// For whom no alerts are made.
    pub exceptions: Exceptions,
    /// Where everything comes from.
    pub layers: Layers,
    /// What has become of each Sigma file.
    pub sigma: sigma::Report,
}

/// Loads the shipped content and the site's on top of it.
///
/// # Errors
/// All faults of all files.
pub fn load(settings: &DetectionSettings) -> Result<Content, Faults> {
    let mut faults = Faults::default();
    // Tests of a site's rules are read, so that what is wrong in them is said, and kept by nobody.
    let layers = layered(settings, ContentFiles::shipped_to_load, &mut faults);
    let content = compile(layers, settings, &mut |_| (), &mut faults);
    faults.check(content)
}

/// The layers of the content, with all tests.
pub fn gather(settings: &DetectionSettings, faults: &mut Faults) -> Layers {
    layered(settings, ContentFiles::shipped, faults)
}

fn layered(settings: &DetectionSettings, shipped: fn() -> ContentFiles, faults: &mut Faults) -> Layers {
    match &settings.content_dir {
        Some(dir) if dir == Path::new(DEFAULT_CONTENT_DIR) && files::is_absent(dir) => Layers::of(shipped()),
        Some(dir) => Layers::with_site(shipped(), dir, faults),
        None => Layers::of(shipped()),
    }
}

/// Compiles layers, and hands the tests of each rule to `keep`.
pub fn compile(
    mut layers: Layers,
    settings: &DetectionSettings,
    keep: &mut dyn FnMut(RuleTests),
    faults: &mut Faults,
) -> Content {
    // Texts are not kept: an agent runs for months.
    let patches = Patches::read(&std::mem::take(&mut layers.patches), faults);
    let files = std::mem::take(&mut layers.files);
    let tools = commandline::read(files.document("commandline.toml").as_ref(), faults);
    let mut texts = TableTexts::gather(&files, settings, faults);
    patches.patch_tables(&mut texts, &mut layers, faults);
    let vocabulary = Vocabulary { tables: texts, tools: Arc::new(tools) };
    let mut options = SiteOptions::new(&settings.options);
    let mut models = models::read(&files.documents("models/"), &vocabulary, &mut options, faults);
    let mut rules = rules::read(&files.documents("rules/"), &models, &vocabulary, &mut options, keep, faults);
    options.check(faults);
    let mapping = files.document("sigma.toml").map(|d| sigma::Mapping::read(&d, faults)).unwrap_or_default();
    let taken = rules.iter().map(|r| (r.id.clone(), r.file.clone())).collect();
    let (from_sigma, sigma) = sigma::load(&settings.sigma, &mapping, taken, faults);
    rules.extend(from_sigma);
    rules::check_count(&rules, faults);
    // A site's patches and exceptions may name any rule.
    let exceptions = patches.apply(&mut rules, &mut models, &mut layers, faults);
    rules::disable(&mut rules, &settings.disabled_rules, faults);
    rules::agree_on_rank_days(&rules, &models, faults);

    let texts = &vocabulary.tables;
    let mut of_tables = Faults::default();
    let tables = Tables::compile(&texts.texts, texts.switches(), &settings.sanctioned_domains, &mut of_tables);
    texts.blame(&mut of_tables);
    faults.0.extend(of_tables.0);
    let cef_keys = texts.texts.get("cef_keys").map(String::as_str).unwrap_or_default();
    let documents = |folder: &str| files.documents(folder).into_iter().map(|(d, _)| d).collect::<Vec<Document>>();
    let mut parsers = ParserTable::compile(&documents("fieldmaps/"), &documents("parsers/"), cef_keys, faults);
    parsers.set_wanted(wanted(&Screen::new(&rules, &models), &Enricher::new(&tables)));
    Content { parsers, models, rules, tables, exceptions, layers, sigma }
}

/// What somebody should know about the content and nothing is refused for: what an upgrade has changed below a site's files,
/// what is not read, and exceptions that have ended or will before long, by today in a zone.
pub fn notes(content: &Content, timezone: &str) -> Vec<Fault> {
    let zone = Zone::named(timezone).unwrap_or_else(|_| Zone::utc());
    let mut notes = content.layers.notes.clone();
    notes.extend(overrides::ending(content, zone.day_of(wall_clock_ms())));
    notes
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
#[path = "again_tests.rs"]
pub(crate) mod again;

#[cfg(test)]
#[path = "content_tests.rs"]
mod tests;
