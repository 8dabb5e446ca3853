//! Runs the `[[test]]` blocks of rules: the events of a block go through parser, enrichment, screen and detection as those of
//! a spool do, one after the other, into a state in memory that begins empty.
//!
//! A test depends on the content alone: settings are those of an agent without a config, but for what the block asks for. So it
//! says the same on every machine. Nothing in here judges an event.

mod saying;
mod stage;

use crate::config::{DetectionSettings, Limits};
use crate::content::cases::{Asked, RuleTests, Test};
use crate::content::{self, ContentFiles, Faults};
use stage::Stage;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// What became of the tests of a rule.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Id of the rule.
    pub rule: String,
    /// The file that its tests stand in.
    pub file: String,
    /// Tests that ran.
    pub tests: usize,
    /// Those that failed: line and sentence.
    pub failures: Vec<(usize, String)>,
}

/// What of a test's settings changes the content: sanctioned domains, tables switched on or off.
type Tabled = (Vec<String>, BTreeMap<String, bool>);

/// Compiled content, once for every set of tables that some test asks for.
pub struct Runner<'f> {
    files: &'f ContentFiles,
    tests: Vec<RuleTests>,
    stages: BTreeMap<Tabled, Stage>,
}

impl<'f> Runner<'f> {
    /// Compiles files and reads their tests.
    ///
    /// # Errors
    /// All faults of the files.
    pub fn new(files: &'f ContentFiles) -> Result<Runner<'f>, Faults> {
        let mut faults = Faults::default();
        let (settings, limits) = (DetectionSettings::default(), Limits::default());
        let mut tests = Vec::new();
        let content = content::compile(files, &settings, &limits, &mut |rule| tests.push(rule), &mut faults);
        faults.check(())?;
        let stages = BTreeMap::from([(Tabled::default(), Stage::new(content))]);
        Ok(Runner { files, tests, stages })
    }

    /// The tests, by rule, in the order of the files.
    pub fn tests(&self) -> &[RuleTests] {
        &self.tests
    }

    /// How many tests the parsers have. They have run: what fails them does not compile.
    pub fn parser_tests(&self) -> usize {
        self.stages.values().next().map_or(0, |stage| stage.content.parsers.test_count())
    }

    /// Runs the tests of all rules, or of one (by its id, whatever the case).
    ///
    /// # Errors
    /// When the content does not compile with the tables that a test asks for.
    pub fn run(&mut self, only: Option<&str>) -> Result<Vec<Outcome>, Faults> {
        let mut outcomes = Vec::new();
        let all = std::mem::take(&mut self.tests);
        let wanted = all.iter().filter(|r| only.is_none_or(|id| r.rule.eq_ignore_ascii_case(id)));
        for rule in wanted {
            let mut failures = Vec::new();
            for test in &rule.tests {
                if let Some(why) = self.run_one(&rule.rule, test)? {
                    failures.push((test.line, format!("test {:?}: {why}", test.name)));
                }
            }
            let (id, file) = (rule.rule.clone(), rule.file.clone());
            outcomes.push(Outcome { rule: id, file, tests: rule.tests.len(), failures });
        }
        self.tests = all;
        Ok(outcomes)
    }

    fn run_one(&mut self, rule: &str, test: &Test) -> Result<Option<String>, Faults> {
        Ok(self.stage(&test.settings)?.surprise(rule, test))
    }

    /// The content with the tables that a test asks for.
    fn stage(&mut self, asked: &Asked) -> Result<&mut Stage, Faults> {
        match self.stages.entry((asked.sanctioned_domains.clone(), asked.tables.clone())) {
            Entry::Occupied(known) => Ok(known.into_mut()),
            Entry::Vacant(new) => {
                let settings = DetectionSettings {
                    sanctioned_domains: asked.sanctioned_domains.clone(),
                    tables: asked.tables.clone(),
                    ..DetectionSettings::default()
                };
                let mut faults = Faults::default();
                let content = content::compile(self.files, &settings, &Limits::default(), &mut |_| (), &mut faults);
                faults.check(())?;
                Ok(new.insert(Stage::new(content)))
            }
        }
    }
}

/// Runs all tests of some files.
///
/// # Errors
/// Faults of the files, else each test that fails, at its line.
pub fn run_all(files: &ContentFiles) -> Result<Vec<Outcome>, Faults> {
    let outcomes = Runner::new(files)?.run(None)?;
    faults_of(&outcomes).check(outcomes)
}

/// The tests that failed, as faults.
pub fn faults_of(outcomes: &[Outcome]) -> Faults {
    let mut faults = Faults::default();
    for outcome in outcomes {
        for (line, message) in &outcome.failures {
            faults.add(&outcome.file, *line, &format!("rule {}", outcome.rule), message.clone());
        }
    }
    faults
}

#[cfg(test)]
mod tests;
