//! Reads `*.override.toml`: single values that a site sets otherwise than the content below, and exceptions.
//!
//! `[[override]]` names one rule, model or table and the keys that it sets; which these may be stands in the tables below, and
//! everything else about an item is changed by a file of its own that replaces it. `[[exception]]` says for whom no alert is made.

use super::Content;
use super::based_on::BasedOn;
use super::fault::{Fault, Faults, suggest};
use super::layers::{Kind, Layers, Patched, read_based_on};
use super::rules::MAX_SCORE;
use super::section::{Document, Section, Value};
use super::tables::TableTexts;
use crate::model::ModelSpec;
use crate::rule::exception::{Aspect, Exception, Exceptions, Pattern};
use crate::rule::{Rule, Verdict};
use std::collections::BTreeMap;

/// What a key may be set to.
#[derive(Clone, Copy, Debug)]
enum Type {
    /// True or false.
    Flag,
    /// A whole number from 0.
    Whole,
    /// A number above 0.
    Number,
    /// Entries of a table.
    Entries,
}

type Keys = &'static [(&'static str, Type)];

/// Of rules: the score, whether it is on, and the thresholds of `[model]` and `[sum]`.
const RULE_KEYS: Keys = &[
    ("enabled", Type::Flag),
    ("score", Type::Whole),
    ("percentile", Type::Number),
    ("rank_days", Type::Whole),
    ("top_share", Type::Number),
    ("min_bins", Type::Whole),
    ("min_count", Type::Whole),
    ("min_median_ratio", Type::Number),
    ("reaches", Type::Whole),
    ("agent_days", Type::Whole),
];
/// Of models: what decides when they speak. What they learn is not patched: that is another model.
const MODEL_KEYS: Keys = &[("alpha", Type::Number), ("cut_off", Type::Whole)];
const TABLE_KEYS: Keys = &[("enabled", Type::Flag), ("add", Type::Entries), ("remove", Type::Entries)];

/// What can be patched, by the key that names it.
const TARGETS: [(&str, Kind, Keys); 3] =
    [("rule", Kind::Rule, RULE_KEYS), ("model", Kind::Model, MODEL_KEYS), ("table", Kind::Table, TABLE_KEYS)];

const EXCEPTION_KEYS: &[&str] = &["id", "rule", "user", "host", "process", "domain", "until", "reason"];
/// What stands for every rule.
const EVERY_RULE: &str = "*";

/// Everything that a site's override files say.
#[derive(Debug, Default)]
pub struct Patches {
    patches: Vec<Patch>,
    exceptions: Vec<Exception>,
}

/// One `[[override]]`.
#[derive(Debug)]
struct Patch {
    kind: Kind,
    id: String,
    file: String,
    line: usize,
    reason: String,
    based_on: Option<(BasedOn, usize)>,
    changes: Vec<Change>,
}

/// A key, where it stands, and what it is set to.
#[derive(Debug)]
struct Change {
    key: &'static str,
    line: usize,
    value: Value,
}

impl Patches {
    /// Reads all override files. Ids are looked up when the patches are applied.
    pub fn read(documents: &[Document], faults: &mut Faults) -> Patches {
        let mut patches = Patches::default();
        for document in documents {
            document.read(faults, |top, faults| {
                for section in top.tables("override", faults) {
                    patches.patches.extend(read_patch(&section, faults));
                }
                for section in top.tables("exception", faults) {
                    patches.exceptions.extend(read_exception(&section, faults));
                }
                top.finish(&["override", "exception"], faults);
                Some(())
            });
        }
        patches.refuse_twice(faults);
        patches
    }

    /// A key of an item is set once, and an exception's id is its own.
    fn refuse_twice(&self, faults: &mut Faults) {
        let mut set: BTreeMap<(Kind, &str, &str), String> = BTreeMap::new();
        for patch in &self.patches {
            for change in &patch.changes {
                let place = format!("{}:{}", patch.file, change.line);
                // Several patches may add to and take from a table.
                if matches!(change.value, Value::Texts(_)) {
                    continue;
                }
                if let Some(before) = set.insert((patch.kind, &patch.id, change.key), place) {
                    let message = format!("{} is set in {before} already", change.key);
                    faults.add(&patch.file, change.line, &patch.item(), message);
                }
            }
        }
        let mut ids: BTreeMap<&str, String> = BTreeMap::new();
        for e in &self.exceptions {
            if let Some(before) = ids.insert(&e.id, format!("{}:{}", e.file, e.line)) {
                faults.add(&e.file, e.line, &format!("exception {}", e.id), format!("this id is in {before} already"));
            }
        }
    }

    /// Patches the tables. Before anything asks them.
    pub(super) fn patch_tables(&self, tables: &mut TableTexts, layers: &mut Layers, faults: &mut Faults) {
        for patch in self.of(Kind::Table) {
            if !tables.texts.contains_key(&patch.id) || !patch.note(layers) {
                patch.unknown(&tables.suggest(&patch.id), faults);
                continue;
            }
            for change in &patch.changes {
                let (idle, what) = match &change.value {
                    Value::Texts(entries) if change.key == "add" => {
                        (tables.add(&patch.id, entries, &patch.file, change.line), "is in the table already")
                    }
                    Value::Texts(entries) => (tables.remove(&patch.id, entries), "is not in the table"),
                    Value::Boolean(on) => {
                        tables.switch(&patch.id, *on);
                        continue;
                    }
                    _ => continue,
                };
                let message = |entry: &String| format!("{}: {entry:?} {what}; remove it here", change.key);
                layers.notes.extend(idle.iter().map(|entry| patch.note_at(change.line, message(entry))));
            }
        }
    }

    /// Patches rules and models, and gives the exceptions.
    pub(super) fn apply(
        self,
        rules: &mut [Rule],
        models: &mut [ModelSpec],
        layers: &mut Layers,
        faults: &mut Faults,
    ) -> Exceptions {
        let ids: Vec<String> = rules.iter().map(|r| r.id.clone()).collect();
        for patch in self.of(Kind::Rule) {
            match rules.iter_mut().find(|r| r.id == patch.id) {
                Some(rule) => {
                    patch.note(layers);
                    patch.changes.iter().for_each(|change| patch.check(patch_rule(rule, change), change, faults));
                }
                None => patch.unknown(&suggest(&patch.id, ids.iter().map(String::as_str)), faults),
            }
        }
        let models_known: Vec<String> = models.iter().map(|m| m.id.clone()).collect();
        for patch in self.of(Kind::Model) {
            match models.iter_mut().find(|m| m.id == patch.id) {
                Some(model) => {
                    patch.note(layers);
                    patch.changes.iter().for_each(|change| patch_model(model, change));
                }
                None => patch.unknown(&suggest(&patch.id, models_known.iter().map(String::as_str)), faults),
            }
        }
        for e in &self.exceptions {
            for id in e.rules.iter().filter(|id| !ids.contains(id)) {
                let message = format!("there is no rule {id:?}{}", suggest(id, ids.iter().map(String::as_str)));
                faults.add(&e.file, e.line, &format!("exception {}", e.id), message);
            }
        }
        Exceptions::new(self.exceptions, ids.iter().map(String::as_str))
    }

    fn of(&self, kind: Kind) -> impl Iterator<Item = &Patch> {
        self.patches.iter().filter(move |p| p.kind == kind)
    }
}

impl Patch {
    fn item(&self) -> String {
        format!("override of {} {}", self.kind.name(), self.id)
    }

    fn note_at(&self, line: usize, message: String) -> Fault {
        Fault { file: self.file.clone(), line, item: self.item(), message }
    }

    /// Says of the item that it is patched. Whether there is such an item.
    fn note(&self, layers: &mut Layers) -> bool {
        if layers.item(self.kind, &self.id).is_none() {
            return false;
        }
        let patched = Patched {
            keys: self.changes.iter().map(|c| c.key.to_owned()).collect(),
            place: format!("{}:{}", self.file, self.line),
            reason: self.reason.clone(),
        };
        let based_on = self.based_on.as_ref();
        if let Some(message) = layers.note_patch((self.kind, &self.id), patched, based_on.map(|(b, _)| b)) {
            let line = based_on.map_or(self.line, |(_, line)| *line);
            layers.notes.push(self.note_at(line, message));
        }
        true
    }

    fn unknown(&self, hint: &str, faults: &mut Faults) {
        let message = format!("there is no {} {:?}{hint}", self.kind.name(), self.id);
        faults.add(&self.file, self.line, &self.item(), message);
    }

    fn check(&self, done: Result<(), String>, change: &Change, faults: &mut Faults) {
        if let Err(message) = done {
            faults.add(&self.file, change.line, &self.item(), message);
        }
    }
}

fn read_patch(section: &Section<'_>, faults: &mut Faults) -> Option<Patch> {
    section.set_item("override");
    let named: Vec<_> = TARGETS.iter().filter(|(key, ..)| section.has(key)).collect();
    let [(target, kind, keys)] = named[..] else {
        let message = "an override names one rule, model or table: rule = \"…\", model = \"…\" or table = \"…\"; \
                       a parser or field map is replaced by a file with its id";
        section.fault(faults, section.line, message);
        return None;
    };
    let id = section.string(target, faults)?;
    section.set_item(format!("override of {} {id}", kind.name()));
    let based_on = read_based_on(section, faults);
    let reason = read_reason(section, faults);
    let mut changes = Vec::new();
    for (key, wanted) in keys.iter().filter(|(key, _)| section.has(key)) {
        let line = section.line_of(key);
        changes.extend(read_value(section, key, *wanted, faults).map(|value| Change { key, line, value }));
    }
    let known: Vec<&str> = keys.iter().map(|(key, _)| *key).chain(["based_on", "reason"]).collect();
    if section.keys().all(|key| [*target, "based_on", "reason"].contains(&key)) {
        let keys: Vec<&str> = keys.iter().map(|(key, _)| *key).collect();
        section.fault(faults, section.line, format!("sets nothing; a {} has {}", kind.name(), keys.join(", ")));
    }
    section.finish(&known, faults);
    Some(Patch { kind: *kind, id, file: section.file().to_owned(), line: section.line, reason, based_on, changes })
}

fn read_reason(section: &Section<'_>, faults: &mut Faults) -> String {
    let reason = section.required("reason", faults);
    if reason.as_ref().is_some_and(|r| r.trim().is_empty()) {
        section.fault(faults, section.line_of("reason"), "reason is empty; say why, and who may be asked");
    }
    reason.unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
}

fn read_value(section: &Section<'_>, key: &str, wanted: Type, faults: &mut Faults) -> Option<Value> {
    match wanted {
        Type::Flag => section.boolean(key, faults).map(Value::Boolean),
        Type::Whole => section.unsigned(key, faults).and_then(|n| i64::try_from(n).ok()).map(Value::Integer),
        Type::Number => super::models::required_number(section, key, faults).map(Value::Float),
        Type::Entries => {
            let entries = section.strings(key, faults)?;
            if entries.is_empty() {
                section.fault(faults, section.line_of(key), format!("{key} is empty"));
            }
            let is_entry = |e: &String| !e.trim().is_empty() && !e.starts_with('#') && !e.chars().any(char::is_control);
            for entry in entries.iter().filter(|e| !is_entry(e)) {
                section.fault(faults, section.line_of(key), format!("{key} holds {entry:?}, which is no entry"));
            }
            Some(Value::Texts(entries.iter().map(|e| e.trim().to_owned()).collect()))
        }
    }
}

fn read_exception(section: &Section<'_>, faults: &mut Faults) -> Option<Exception> {
    section.set_item("exception ?");
    let id = section.required("id", faults);
    section.set_item(format!("exception {}", id.as_deref().unwrap_or("?")));
    if id.as_ref().is_some_and(|id| id.trim().is_empty() || id.chars().any(char::is_control)) {
        section.fault(faults, section.line_of("id"), "id is empty; give it a name of its own");
    }
    if !section.has("rule") {
        let message = "rule is missing; name a rule, a list of rules, or \"*\" for all";
        section.fault(faults, section.line, message);
    }
    let mut rules = section.strings("rule", faults).unwrap_or_default();
    let is_for_all = rules.iter().any(|r| r == EVERY_RULE);
    if section.has("rule") && (rules.is_empty() || is_for_all && rules.len() > 1) {
        section.fault(faults, section.line_of("rule"), "rule names rules, or \"*\" alone for all of them");
    }
    if is_for_all {
        rules.clear();
    }
    let patterns = Aspect::ALL.map(|aspect| read_patterns(section, aspect, faults));
    let until = section.day("until", faults);
    let has_subject = Aspect::ALL.iter().any(|aspect| section.has(aspect.name()));
    if !has_subject && (is_for_all || !section.has("until")) {
        let message = "is for everything; name a user, host, process or domain, or say until when one rule is silent";
        section.fault(faults, section.line, message);
    }
    let reason = read_reason(section, faults);
    section.finish(EXCEPTION_KEYS, faults);
    Some(Exception { id: id?, rules, patterns, until, reason, file: section.file().to_owned(), line: section.line })
}

fn read_patterns(section: &Section<'_>, aspect: Aspect, faults: &mut Faults) -> Vec<Pattern> {
    let key = aspect.name();
    let texts = section.strings(key, faults).unwrap_or_default();
    if section.has(key) && texts.is_empty() {
        section.fault(faults, section.line_of(key), format!("{key} names nothing; leave the key out"));
    }
    let mut patterns = Vec::new();
    for text in &texts {
        match Pattern::new(aspect, text) {
            Ok(pattern) => patterns.push(pattern),
            Err(message) => section.fault(faults, section.line_of(key), format!("{key}: {message}")),
        }
    }
    patterns
}

/// Sets a key of a rule.
fn patch_rule(rule: &mut Rule, change: &Change) -> Result<(), String> {
    let (mut whole, mut number) = (0, 0.0);
    match change.value {
        Value::Integer(n) => whole = u64::try_from(n).unwrap_or_default(),
        Value::Float(n) => number = n,
        _ => {}
    }
    let days = || u32::try_from(whole).map_err(|_| format!("{} is {whole}; write a number of days", change.key));
    match (change.key, &mut rule.verdict) {
        ("enabled", _) => rule.enabled = change.value == Value::Boolean(true),
        ("score", _) if whole > MAX_SCORE => return Err(format!("score is {whole}; write a number up to {MAX_SCORE}")),
        ("score", _) => rule.score = whole as u32,
        ("percentile", Verdict::Abnormal { percentile, .. }) => *percentile = number,
        ("rank_days", Verdict::Top { rank_days, .. }) => *rank_days = days()?,
        ("top_share", Verdict::Top { top_share, .. }) => *top_share = number,
        ("min_bins", Verdict::Top { min_bins, .. }) => *min_bins = whole,
        ("min_count", Verdict::Top { min_count, .. }) => *min_count = whole,
        ("min_median_ratio", Verdict::Top { min_median_ratio, .. }) => *min_median_ratio = number,
        ("reaches", Verdict::Sum { reaches, .. }) => *reaches = whole,
        ("agent_days", Verdict::Sum { without_history: Some(history), .. }) => history.agent_days = days()?,
        (key, verdict) => {
            return Err(format!("the rule has no {key}; it has {}", keys_of(verdict).join(", ")));
        }
    }
    Ok(())
}

/// The keys that can be set of a rule with this verdict.
fn keys_of(verdict: &Verdict) -> Vec<&'static str> {
    let thresholds: &[&str] = match verdict {
        Verdict::Always | Verdict::First { .. } => &[],
        Verdict::Abnormal { .. } => &["percentile"],
        Verdict::Top { .. } => &["rank_days", "top_share", "min_bins", "min_count", "min_median_ratio"],
        Verdict::Sum { without_history: None, .. } => &["reaches"],
        Verdict::Sum { .. } => &["reaches", "agent_days"],
    };
    ["enabled", "score"].iter().chain(thresholds).copied().collect()
}

fn patch_model(model: &mut ModelSpec, change: &Change) {
    match (change.key, &change.value) {
        ("alpha", Value::Float(n)) => model.alpha = *n,
        ("cut_off", Value::Integer(n)) => model.cut_off = u64::try_from(*n).unwrap_or_default(),
        _ => {}
    }
}

/// What there is to say about exceptions on a day: those that have ended, and those that will before long.
pub fn ending(content: &Content, today: crate::calendar::Day) -> Vec<Fault> {
    let say = |e: &Exception| {
        let until = e.until?;
        let day = crate::calendar::format_day(until);
        let message = match i64::from(until) - i64::from(today) {
            left if left < 0 => format!("ended on {day}: it silences nothing after that day; remove or renew it"),
            0 => "ends today".to_owned(),
            left if left <= SOON_DAYS => format!("ends on {day}, in {left} day{}", if left == 1 { "" } else { "s" }),
            _ => return None,
        };
        Some(Fault { file: e.file.clone(), line: e.line, item: format!("exception {}", e.id), message })
    };
    content.exceptions.all.iter().filter_map(say).collect()
}

/// Days before its end from which an exception is told of.
const SOON_DAYS: i64 = 14;

#[cfg(test)]
#[path = "overrides_tests.rs"]
mod tests;
