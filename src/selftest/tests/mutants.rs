//! Every shipped rule is changed a little, in every way that `mutate` knows: its own tests must notice each change. One that
//! none can notice stands in the rule's file with its reason:
//!
//! ```toml
//! # survives: drop condition.any[1].starts_with: only makes the look quick; the regex asks the same
//! ```

use super::mutate;
use super::*;
use crate::content::again::RuleReader;
use crate::content::cases::RuleTests;
use std::collections::{BTreeMap, BTreeSet};

/// What the settings of a test make of rules and models.
struct Place {
    reader: RuleReader,
    stage: Option<Stage>,
}

impl Place {
    /// Puts one rule in the place of all others, and a changed model in the place of its own.
    fn with(&mut self, rule: &str, model: Option<(usize, &str)>) -> Result<&mut Stage, Faults> {
        let mut content = self.stage.take().unwrap().into_content();
        let model = model.map(|(index, text)| self.reader.read_model(text).map(|model| (index, model))).transpose();
        let rule = self.reader.read(rule, &content.models);
        let read = model.and_then(|model| Ok((rule?, model)));
        let read = read.map(|(rule, model)| {
            content.rules = vec![rule];
            if let Some((index, model)) = model {
                content.models[index] = model;
            }
        });
        let stage = self.stage.insert(Stage::new(content));
        read.map(|()| stage)
    }
}

type Places = BTreeMap<Shaped, Place>;

/// The content, in the shape that every test asks for.
fn places(files: &ContentFiles) -> (Places, Vec<RuleTests>) {
    let mut runner = Runner::new(&layers(files)).unwrap_or_else(|f| panic!("{f}"));
    let all = runner.tests.clone();
    for test in all.iter().flat_map(|r| &r.tests) {
        runner.all.stage(&test.settings).unwrap();
    }
    let place = |(shape, stage): (Shaped, Stage)| {
        let reader = RuleReader::new(files, &shape.settings());
        (shape, Place { reader, stage: Some(stage) })
    };
    (runner.all.stages.into_iter().map(place).collect(), all)
}

/// Whether some test of a rule fails with the rule or a model changed; `None` when that does not compile.
fn noticed(places: &mut Places, rule: &RuleTests, text: &str, model: Option<(usize, &str)>) -> Option<bool> {
    for (shape, place) in places.iter_mut() {
        let mine = |test: &&Test| Shaped::of(&test.settings) == *shape;
        let mut tests = rule.tests.iter().filter(mine).peekable();
        if tests.peek().is_none() {
            continue;
        }
        let stage = place.with(text, model).ok()?;
        if tests.any(|test| stage.surprise(&rule.rule, test).is_some()) {
            return Some(true);
        }
    }
    Some(false)
}

/// What is said to survive in a file, and what did.
struct Tally<'f> {
    file: &'f str,
    excused: BTreeSet<&'f str>,
    changes: usize,
    refused: usize,
    faults: Vec<String>,
}

impl<'f> Tally<'f> {
    fn new(file: &'f str, text: &'f str) -> Tally<'f> {
        let change = |line: &'f str| {
            let (change, why) = line.strip_prefix("# survives: ")?.split_once(": ")?;
            (why.len() > 10).then_some(change)
        };
        Tally { file, excused: text.lines().filter_map(change).collect(), changes: 0, refused: 0, faults: Vec::new() }
    }

    fn count(&mut self, change: &str, noticed: Option<bool>) {
        self.changes += 1;
        let (file, excused) = (self.file, self.excused.remove(change));
        match noticed {
            None => self.refused += 1,
            Some(true) if excused => {
                self.faults.push(format!("{file}: a test notices {change:?}; take the comment away"));
            }
            Some(false) if !excused => self.faults.push(format!("{file}: no test notices: {change}")),
            Some(_) => {}
        }
    }

    fn end(self, all: &mut (usize, usize, Vec<String>)) {
        let unknown = self.excused.iter().map(|change| format!("{}: there is no change {change:?}", self.file));
        all.2.extend(self.faults.into_iter().chain(unknown));
        (all.0, all.1) = (all.0 + self.changes, all.1 + self.refused);
    }
}

fn tell((changes, refused, faults): (usize, usize, Vec<String>), what: &str) {
    println!("{changes} changes of {what}, {refused} of them refused when read");
    assert!(changes > 2 * refused && faults.is_empty(), "{} faults\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn every_change_of_a_shipped_rule_is_noticed_by_its_own_tests() {
    let files = tree();
    let (mut places, all) = places(&files);
    let mut sum = (0, 0, Vec::new());
    for rule in &all {
        let text = &files.0[&rule.file].text;
        if noticed(&mut places, rule, text, None) != Some(false) {
            sum.2.push(format!("{}: a test fails as it is", rule.file));
        }
        let mut tally = Tally::new(&rule.file, text);
        for mutant in mutate::mutants(text) {
            tally.count(&mutant.change, noticed(&mut places, rule, &mutant.text, None));
        }
        tally.end(&mut sum);
    }
    tell(sum, "rules");
}

#[test]
fn every_change_of_a_shipped_model_is_noticed_by_the_tests_of_its_rules() {
    let files = tree();
    let (mut places, all) = places(&files);
    // Options bring models of their own: another one would have the same index.
    places.retain(|shape, _| shape.options.is_empty());
    let models: Vec<String> = {
        let stage = places.values().next().and_then(|p| p.stage.as_ref()).unwrap();
        stage.content.models.iter().map(|m| m.id.clone()).collect()
    };
    let mut sum = (0, 0, Vec::new());
    // Those of an option say what is common; by how much, every clause that asks them is tested for.
    let is_on = |text: &str| !text.contains("\noption = ");
    for (name, file) in files.0.iter().filter(|(name, file)| name.starts_with("models/") && is_on(&file.text)) {
        let index = models.iter().position(|id| file.text.contains(&format!("id = {id:?}"))).unwrap();
        let asks = format!("[model]\nid = {:?}", models[index]);
        let users: Vec<_> = all.iter().filter(|rule| files.0[&rule.file].text.contains(&asks)).collect();
        assert!(!users.is_empty(), "no rule asks {name}");
        let mut tally = Tally::new(name, &file.text);
        for mutant in mutate::model_mutants(&file.text) {
            let mut by = |rule: &&RuleTests| {
                let text = &files.0[&rule.file].text;
                let noticed = noticed(&mut places, rule, text, Some((index, &mutant.text)));
                // The model as it is, for the next.
                super::mutants::noticed(&mut places, rule, text, Some((index, &file.text)));
                noticed
            };
            let noticed = users.iter().map(&mut by).reduce(|a, b| Some(a? || b?)).flatten();
            tally.count(&mutant.change, noticed);
        }
        tally.end(&mut sum);
    }
    tell(sum, "models");
}
