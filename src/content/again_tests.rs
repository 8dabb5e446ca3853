//! For tests that change a rule and look what becomes of it: one rule's text read again, without the rest of the content.

use super::condition::Vocabulary;
use super::options::SiteOptions;
use super::section::Document;
use super::tables::TableTexts;
use super::{ContentFiles, Faults, commandline, models, rules};
use crate::config::DetectionSettings;
use crate::model::ModelSpec;
use crate::rule::Rule;
use std::sync::Arc;

/// What a rule may refer to, kept.
pub(crate) struct RuleReader {
    vocabulary: Vocabulary,
    options: Vec<String>,
}

impl RuleReader {
    pub(crate) fn new(files: &ContentFiles, settings: &DetectionSettings) -> RuleReader {
        let mut faults = Faults::default();
        let tools = commandline::read(files.document("commandline.toml").as_ref(), &mut faults);
        let tables = TableTexts::gather(files, settings, &mut faults);
        assert!(faults.is_empty(), "{faults}");
        RuleReader { vocabulary: Vocabulary { tables, tools: Arc::new(tools) }, options: settings.options.clone() }
    }

    pub(crate) fn read_model(&self, text: &str) -> Result<ModelSpec, Faults> {
        let mut faults = Faults::default();
        let document = Document::new("mutant.toml", text);
        let mut models =
            models::read(&[(document, false)], &self.vocabulary, &mut SiteOptions::new(&self.options), &mut faults);
        faults.check(())?;
        Ok(models.pop().expect("one model"))
    }

    pub(crate) fn read(&self, text: &str, models: &[ModelSpec]) -> Result<Rule, Faults> {
        let mut faults = Faults::default();
        let document = Document::new("mutant.toml", text);
        let mut rules = rules::read(
            &[(document, false)],
            models,
            &self.vocabulary,
            &mut SiteOptions::new(&self.options),
            &mut |_| (),
            &mut faults,
        );
        faults.check(())?;
        Ok(rules.pop().expect("one rule"))
    }
}
