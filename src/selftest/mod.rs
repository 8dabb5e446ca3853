//! Runs the `[[test]]` blocks of rules: the events of a block go through parser, enrichment, screen and detection as those of
//! a spool do, one after the other, into a state in memory that begins empty.
//!
//! A test depends on the content alone: settings are those of an agent without a config, but for what the block asks for. So it
//! says the same on every machine. Nothing in here judges an event.

mod saying;
mod stage;

use crate::config::DetectionSettings;
use crate::content::cases::{Asked, RuleTests};
use crate::content::{self, Faults, Layers};
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

/// What of a test's settings changes the content.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Shaped {
    sanctioned_domains: Vec<String>,
    options: Vec<String>,
    tables: BTreeMap<String, bool>,
}

impl Shaped {
    fn of(asked: &Asked) -> Shaped {
        let Asked { sanctioned_domains, options, tables, .. } = asked.clone();
        Shaped { sanctioned_domains, options, tables }
    }

    fn settings(&self) -> DetectionSettings {
        let Shaped { sanctioned_domains, options, tables } = self.clone();
        DetectionSettings { sanctioned_domains, options, tables, ..DetectionSettings::default() }
    }
}

/// Layers of content, compiled once for every shape that some test asks for.
struct Bench {
    layers: Layers,
    stages: BTreeMap<Shaped, Stage>,
}

impl Bench {
    /// Compiles the layers, and hands their tests to `keep`.
    fn new(layers: Layers, keep: &mut dyn FnMut(RuleTests)) -> Result<Bench, Faults> {
        let mut faults = Faults::default();
        let content = content::compile(layers.clone(), &DetectionSettings::default(), keep, &mut faults);
        faults.check(())?;
        Ok(Bench { layers, stages: BTreeMap::from([(Shaped::default(), Stage::new(content))]) })
    }

    /// The content as a test asks for it.
    fn stage(&mut self, asked: &Asked) -> Result<&mut Stage, Faults> {
        match self.stages.entry(Shaped::of(asked)) {
            Entry::Occupied(known) => Ok(known.into_mut()),
            Entry::Vacant(new) => {
                let settings = new.key().settings();
                let mut faults = Faults::default();
                let content = content::compile(self.layers.clone(), &settings, &mut |_| (), &mut faults);
                faults.check(())?;
                Ok(new.insert(Stage::new(content)))
            }
        }
    }
}

/// Runs tests. Those of shipped rules are played to what is shipped: what a site patches, replaces or excepts is meant to be
/// otherwise, and proves nothing against them. Those of a site's rules are played to all of its content.
pub struct Runner {
    all: Bench,
    /// `None` while a site has nothing of its own.
    shipped: Option<Bench>,
    tests: Vec<RuleTests>,
}

impl Runner {
    /// Compiles layers and reads their tests.
    ///
    /// # Errors
    /// All faults of the files.
    pub fn new(layers: &Layers) -> Result<Runner, Faults> {
        let mut tests = Vec::new();
        let all = Bench::new(layers.clone(), &mut |rule| tests.push(rule))?;
        let shipped = layers.shipped_part().map(|layers| Bench::new(layers, &mut |_| ())).transpose()?;
        Ok(Runner { all, shipped, tests })
    }

    /// The tests, by rule, in the order of the files.
    pub fn tests(&self) -> &[RuleTests] {
        &self.tests
    }

    /// How many tests the parsers have. They have run: what fails them does not compile.
    pub fn parser_tests(&self) -> usize {
        self.all.stages.values().next().map_or(0, |stage| stage.content.parsers.test_count())
    }

    /// Runs the tests of all rules, or of one (by its id, whatever the case).
    ///
    /// # Errors
    /// When the content does not compile as a test asks for it.
    pub fn run(&mut self, only: Option<&str>) -> Result<Vec<Outcome>, Faults> {
        let mut outcomes = Vec::new();
        for rule in self.tests.iter().filter(|r| only.is_none_or(|id| r.rule.eq_ignore_ascii_case(id))) {
            let bench = self.shipped.as_mut().filter(|_| rule.shipped).unwrap_or(&mut self.all);
            let mut failures = Vec::new();
            for test in &rule.tests {
                if let Some(why) = bench.stage(&test.settings)?.surprise(&rule.rule, test) {
                    failures.push((test.line, format!("test {:?}: {why}", test.name)));
                }
            }
            let (id, file) = (rule.rule.clone(), rule.file.clone());
            outcomes.push(Outcome { rule: id, file, tests: rule.tests.len(), failures });
        }
        Ok(outcomes)
    }
}

/// Runs all tests.
///
/// # Errors
/// Faults of the files, else each test that fails, at its line.
pub fn run_all(layers: &Layers) -> Result<Vec<Outcome>, Faults> {
    let outcomes = Runner::new(layers)?.run(None)?;
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
