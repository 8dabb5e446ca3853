//! Sigma rules: YAML files of a site's directories → rules of the same engine.
//!
//! `files` reads directories, `yaml` and `document` a file, `condition`, `modifier` and `value` what it means, `fields` what
//! that is here (content), `compile` puts it together. Judges no event. What a rule is not loaded for is always said: each file
//! has its line in the [`Report`].

mod comparison;
mod compile;
mod condition;
mod document;
mod fields;
mod files;
mod folded;
mod modifier;
mod value;
mod yaml;

#[cfg(any(test, fuzzing))]
#[path = "../fuzz_entry/sigma_rules.rs"]
pub mod fuzz_rules;

pub use fields::Mapping;
pub use files::RuleFile;

use crate::config::{OnFault, SIGMA_LEVELS, SigmaSettings};
use crate::content::fault::Faults;
use crate::rule::condition::{Condition, Node};
use crate::rule::{EntityKind, FromSigma, Period, Rule, Verdict};
use compile::Compiled;
use document::Document;
use std::collections::BTreeMap;
use std::path::Path;
use yaml::Wrong;

/// What has become of all files.
#[derive(Debug, Default)]
pub struct Report {
    /// One line a file, in the order of directories and paths.
    pub files: Vec<Line>,
}

/// What has become of a file.
#[derive(Clone, Debug)]
pub struct Line {
    /// The file.
    pub file: String,
    /// Line of what is wrong, 0 where nothing is.
    pub line: usize,
    /// Id of the rule, empty where it could not be read.
    pub id: String,
    /// Its title, likewise.
    pub title: String,
    /// Its level, likewise.
    pub level: String,
    /// What has become of it.
    pub outcome: Outcome,
    /// Why, one sentence each.
    pub reasons: Vec<String>,
}

/// What may become of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// It judges events, whole.
    Compiled,
    /// It judges events, but not all of it can be asked.
    Reduced,
    /// It can never fire.
    Inert,
    /// The settings leave it out.
    LeftOut,
    /// It cannot be compiled.
    Refused,
}

impl Outcome {
    /// Every member.
    pub const ALL: [Outcome; 5] =
        [Outcome::Compiled, Outcome::Reduced, Outcome::Inert, Outcome::LeftOut, Outcome::Refused];

    /// The spelling in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Outcome::Compiled => "compiled",
            Outcome::Reduced => "compiled in part",
            Outcome::Inert => "inert",
            Outcome::LeftOut => "left out",
            Outcome::Refused => "refused",
        }
    }
}

impl Report {
    /// How many files have come to this.
    pub fn count(&self, outcome: Outcome) -> usize {
        self.files.iter().filter(|f| f.outcome == outcome).count()
    }

    /// `1400 files: 1000 compiled, 12 refused`; nothing where there are none.
    pub fn summary(&self) -> Option<String> {
        let counts = Outcome::ALL.map(|o| (self.count(o), o.name()));
        let said: Vec<String> = counts.iter().filter(|(n, _)| *n > 0).map(|(n, name)| format!("{n} {name}")).collect();
        (!self.files.is_empty()).then(|| format!("{} Sigma files: {}", self.files.len(), said.join(", ")))
    }
}

/// Loads the rules of all directories. `taken` are ids that other rules have, with their files.
pub fn load(
    settings: &SigmaSettings,
    mapping: &Mapping,
    mut taken: BTreeMap<String, String>,
    faults: &mut Faults,
) -> (Vec<Rule>, Report) {
    let mut files = Vec::new();
    for dir in &settings.dirs {
        files::read(Path::new(dir), &mut files, faults);
    }
    let (mut rules, mut report) = (Vec::new(), Report::default());
    for file in &files {
        let (line, rule) = load_file(file, settings, mapping, &mut taken);
        if line.outcome == Outcome::Refused && settings.on_fault == OnFault::Refuse {
            let item = if line.id.is_empty() { String::new() } else { format!("sigma rule {}", line.id) };
            line.reasons.iter().for_each(|reason| faults.add(&line.file, line.line, &item, reason.as_str()));
        }
        report.files.push(line);
        rules.extend(rule);
    }
    (rules, report)
}

/// What has become of one file, and its rule, if it is one.
fn load_file(
    file: &RuleFile,
    settings: &SigmaSettings,
    mapping: &Mapping,
    taken: &mut BTreeMap<String, String>,
) -> (Line, Option<Rule>) {
    let mut line = Line {
        file: file.shown.clone(),
        line: 0,
        id: String::new(),
        title: String::new(),
        level: String::new(),
        outcome: Outcome::Refused,
        reasons: Vec::new(),
    };
    let refused = |mut line: Line, wrong: Vec<Wrong>| {
        line.line = wrong.first().map_or(0, |w| w.line);
        let first = line.line;
        // One line of the report has one place; what is wrong elsewhere says where.
        let say = |w: Wrong| if w.line == first { w.message } else { format!("line {}: {}", w.line, w.message) };
        line.reasons = wrong.into_iter().map(say).collect();
        (line, None)
    };
    let read = file.text.as_deref().map_err(Clone::clone).and_then(yaml::parse).map_err(|wrong| vec![wrong]);
    let document = match read.and_then(|root| document::read(&root)) {
        Ok(document) => document,
        Err(wrong) => return refused(line, wrong),
    };
    line.id = document.id.clone().unwrap_or_else(|| file.stem.clone());
    (line.title, line.level) = (document.title.clone(), document.level.clone());
    if let Some(why) = left_out(&document, settings) {
        (line.outcome, line.reasons) = (Outcome::LeftOut, vec![why]);
        return (line, None);
    }
    if let Some(other) = taken.get(&line.id) {
        let wrong = Wrong::at(1, format!("the id {} is in {other} already", line.id));
        return refused(line, vec![wrong]);
    }
    let [category, product, service] = &document.logsource;
    let compiled = match mapping.logsource(category, product, service) {
        None => Ok(Compiled::Inert(format!("no event is of its logsource ({})", logsource_name(&document)))),
        Some(logsource) => match &logsource.refused {
            Some(why) => Ok(Compiled::Inert(format!("{}: {why}", logsource_name(&document)))),
            None => compile::compile(&document, mapping, logsource, &settings.placeholders),
        },
    };
    let (condition, never, limits) = match compiled {
        Ok(Compiled::Active(condition, limits)) => (condition, None, limits),
        Ok(Compiled::Inert(why)) => (Condition::new(Node::Any(Vec::new())), Some(why), Vec::new()),
        Err(wrong) => return refused(line, wrong),
    };
    line.outcome = match (&never, limits.is_empty()) {
        (Some(_), _) => Outcome::Inert,
        (None, true) => Outcome::Compiled,
        (None, false) => Outcome::Reduced,
    };
    line.reasons = never.iter().chain(&limits).cloned().collect();
    taken.insert(line.id.clone(), line.file.clone());
    let logsource = mapping.logsource(category, product, service);
    let rule = Rule {
        id: line.id.clone(),
        name: document.title,
        revision: document.date.unwrap_or(1),
        why: document.description,
        triage: Vec::new(),
        false_positives: document.false_positives,
        attack: document.attack,
        score: mapping.score(&document.level),
        events: logsource.map(|l| l.events.clone()).unwrap_or_default(),
        entity: EntityKind::User,
        per: logsource.and_then(|l| l.per),
        period: Period::Day,
        needs: condition.needs(),
        condition,
        verdict: Verdict::Always,
        author: document.author.into_iter().collect(),
        references: document.references,
        license: document.license.or_else(|| settings.license.clone()),
        file: line.file.clone(),
        enabled: true,
        sigma: Some(FromSigma { level: document.level, status: document.status, never, limits }),
        prevalence: Vec::new(),
        blind_spots: Vec::new(),
    };
    (line, Some(rule))
}

/// Why the settings leave a rule out.
fn left_out(rule: &Document, settings: &SigmaSettings) -> Option<String> {
    let rank = |level: &str| SIGMA_LEVELS.iter().position(|l| *l == level);
    if rank(&rule.level) < rank(&settings.min_level) {
        return Some(format!("its level is {}, and [sigma] min_level is {}", rule.level, settings.min_level));
    }
    let status = rule.status.as_deref()?;
    (!settings.statuses.iter().any(|s| s == status))
        .then(|| format!("its status is {status}, which [sigma] statuses does not name"))
}

fn logsource_name(rule: &Document) -> String {
    let names = ["category", "product", "service"].iter().zip(&rule.logsource).filter(|(_, name)| !name.is_empty());
    names.map(|(key, name)| format!("{key} {name}")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
