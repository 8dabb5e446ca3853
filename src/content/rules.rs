//! Reads `rules/*.toml`: one rule a file.

use super::cases::{self, RuleTests};
use super::condition::{self, Vocabulary};
use super::fault::{Faults, suggest};
use super::models::read_revision;
use super::options::SiteOptions;
use super::prevalence;
use super::section::{Document, Section};
use super::verdict;
use crate::event::{EventType, Field, FieldSet};
use crate::model::ModelSpec;
use crate::rule::condition::Condition;
use crate::rule::{EntityKind, Period, Rule, Verdict};
use std::collections::BTreeMap;

const KEYS: &[&str] = &[
    "id",
    "name",
    "revision",
    "why",
    "triage",
    "false_positives",
    "blind_spots",
    "attack",
    "score",
    "events",
    "entity",
    "per",
    "period",
    "enabled",
    "condition",
    "model",
    "sum",
    "prevalence",
    "references",
    "license",
    "source",
    "test",
    "test_history",
];
/// Highest score.
pub(super) const MAX_SCORE: u64 = 100;

/// Reads all rules, and hands the tests of each to `keep`; the order is that of the files.
pub fn read(
    documents: &[(Document, bool)],
    models: &[ModelSpec],
    vocabulary: &Vocabulary,
    options: &mut SiteOptions,
    keep: &mut dyn FnMut(RuleTests),
    faults: &mut Faults,
) -> Vec<Rule> {
    let mut rules: Vec<Rule> = Vec::new();
    let mut seen: BTreeMap<String, String> = BTreeMap::new();
    for (document, shipped) in documents {
        let rule = document.read(faults, |section, faults| {
            let (rule, blocks) = read_rule(section, models, vocabulary, options, faults)?;
            if let Some(other) = seen.insert(rule.id.clone(), document.file.clone()) {
                section.fault(faults, section.line_of("id"), format!("this id is in {other} already"));
            }
            keep(RuleTests { rule: rule.id.clone(), file: document.file.clone(), shipped: *shipped, tests: blocks });
            Some(rule)
        });
        rules.extend(rule);
    }
    rules
}

/// Rules are numbered in 16 bits.
pub fn check_count(rules: &[Rule], faults: &mut Faults) {
    if u16::try_from(rules.len()).is_err() {
        faults.add("rules", 0, "", format!("{} rules are too many; at most 65535", rules.len()));
    }
}

/// Switches off the rules that a site names.
pub fn disable(rules: &mut [Rule], ids: &[String], faults: &mut Faults) {
    for id in ids {
        match rules.iter_mut().find(|r| r.id == *id) {
            Some(rule) => rule.enabled = false,
            None => {
                let hint = suggest(id, rules.iter().map(|r| r.id.as_str()));
                faults.add("config", 0, "[detection] disabled_rules", format!("there is no rule {id:?}{hint}"));
            }
        }
    }
}

/// Rules that are on and rank the same model must do it over the same days: an instance keeps one rank.
pub fn agree_on_rank_days(rules: &[Rule], models: &[ModelSpec], faults: &mut Faults) {
    let mut days: BTreeMap<u16, (u32, &str)> = BTreeMap::new();
    for rule in rules.iter().filter(|r| r.enabled) {
        let Verdict::Top { model, rank_days, .. } = &rule.verdict else { continue };
        let (first, other) = *days.entry(*model).or_insert((*rank_days, &rule.id));
        if first != *rank_days {
            let model = models.get(usize::from(*model)).map_or("", |m| m.id.as_str());
            let message = format!(
                "ranks the model {model} over {rank_days} days and {other} over {first}; give them the same rank_days"
            );
            faults.add(&rule.file, 0, &format!("rule {}", rule.id), message);
        }
    }
}

fn read_rule(
    section: &Section<'_>,
    models: &[ModelSpec],
    vocabulary: &Vocabulary,
    options: &mut SiteOptions,
    faults: &mut Faults,
) -> Option<(Rule, Vec<cases::Test>)> {
    let id = section.required("id", faults);
    section.set_item(format!("rule {}", id.as_deref().unwrap_or("?")));
    let name = section.required("name", faults);
    let revision = read_revision(section, faults);
    // One paragraph, however the file breaks its lines.
    let why = section.required("why", faults).map(|w| w.split_whitespace().collect::<Vec<_>>().join(" "));
    let attack = read_attack(section, faults);
    let score = read_score(section, faults);
    let events = read_events(section, faults);
    let entity = read_entity(section, faults);
    let per = read_field(section, "per", false, faults);
    let period = read_period(section, faults);
    let condition = condition::read(section, vocabulary, faults);
    let verdict = verdict::read(section, models, per, faults);
    let prevalence = prevalence::read(section, models, per, options, faults);
    let sources = read_sources(section, faults);
    let tests = cases::read(section, &events, faults);
    let rule = Rule {
        needs: needs(&condition, &verdict, models),
        triage: section.strings("triage", faults).unwrap_or_default(),
        false_positives: section.strings("false_positives", faults).unwrap_or_default(),
        blind_spots: section.strings("blind_spots", faults).unwrap_or_default(),
        license: section.string("license", faults),
        enabled: section.boolean("enabled", faults).unwrap_or(true),
        author: sources.author,
        references: section
            .strings("references", faults)
            .unwrap_or_default()
            .into_iter()
            .chain(sources.links)
            .collect(),
        id: id.unwrap_or_default(),
        name: name.unwrap_or_default(),
        revision,
        why: why.unwrap_or_default(),
        attack,
        score,
        events,
        entity,
        per,
        period,
        condition,
        verdict,
        prevalence,
        file: section.file().to_owned(),
        sigma: None,
    };
    if !rule.author.is_empty() && rule.license.is_none() {
        section.fault(faults, section.line, "a rule with a source needs the license of that source");
    }
    section.finish(KEYS, faults);
    (!rule.id.is_empty()).then_some((rule, tests))
}

/// The condition's needs, and those of what is counted or added up.
fn needs(condition: &Condition, verdict: &Verdict, models: &[ModelSpec]) -> Vec<FieldSet> {
    let mut needs = condition.needs();
    let extra = match verdict {
        Verdict::Always => None,
        Verdict::First { model } | Verdict::Abnormal { model, .. } | Verdict::Top { model, .. } => {
            models.get(usize::from(*model)).map(|m| m.feature)
        }
        Verdict::Sum { amount, .. } => Some(*amount),
    };
    needs.extend(extra.map(FieldSet::of));
    needs.sort_by_key(|s| s.0);
    needs.dedup();
    needs
}

/// Event types under `events`; at least one.
pub(super) fn read_events(section: &Section<'_>, faults: &mut Faults) -> Vec<EventType> {
    let texts = section.strings("events", faults).unwrap_or_default();
    if texts.is_empty() {
        section.fault(faults, section.line_of("events"), "events is missing; name at least one event type");
    }
    texts.iter().filter_map(|text| read_event(section, "events", text, faults)).collect()
}

fn read_event(section: &Section<'_>, key: &str, text: &str, faults: &mut Faults) -> Option<EventType> {
    let found = EventType::from_name(text);
    if found.is_none() {
        let hint = suggest(text, EventType::ALL.iter().map(|e| e.name()));
        section.fault(faults, section.line_of(key), format!("unknown event type {text:?}{hint}"));
    }
    found
}

/// A field named at a key.
pub(super) fn read_field(section: &Section<'_>, key: &str, must: bool, faults: &mut Faults) -> Option<Field> {
    let text = if must { section.required(key, faults)? } else { section.string(key, faults)? };
    let found = Field::resolve(&text);
    if found.is_none() {
        let hint = suggest(&text, Field::ALL.iter().map(|f| f.name()));
        section.fault(faults, section.line_of(key), format!("unknown field {text:?}{hint}"));
    }
    found
}

/// An event type named at a key that must be there.
pub(super) fn required_event(section: &Section<'_>, key: &str, faults: &mut Faults) -> Option<EventType> {
    let text = section.required(key, faults)?;
    read_event(section, key, &text, faults)
}

fn read_attack(section: &Section<'_>, faults: &mut Faults) -> Vec<String> {
    let ids = section.strings("attack", faults).unwrap_or_default();
    if ids.is_empty() {
        section.fault(faults, section.line_of("attack"), "attack is missing; name at least one ATT&CK technique");
    }
    for id in ids.iter().filter(|id| !is_technique(id)) {
        section.fault(
            faults,
            section.line_of("attack"),
            format!("{id:?} is no ATT&CK technique; write an id such as T1048 or T1071.001"),
        );
    }
    ids
}

fn is_technique(id: &str) -> bool {
    let digits = |text: &str, n: usize| text.len() == n && text.bytes().all(|b| b.is_ascii_digit());
    let Some(rest) = id.strip_prefix('T') else { return false };
    match rest.split_once('.') {
        Some((main, sub)) => digits(main, 4) && digits(sub, 3),
        None => digits(rest, 4),
    }
}

fn read_score(section: &Section<'_>, faults: &mut Faults) -> u32 {
    if !section.has("score") {
        section.fault(faults, section.line, "score is missing");
    }
    let score = section.unsigned("score", faults).unwrap_or_default();
    if score > MAX_SCORE {
        section.fault(faults, section.line_of("score"), format!("score is {score}; write a number up to {MAX_SCORE}"));
    }
    score.min(MAX_SCORE) as u32
}

fn read_entity(section: &Section<'_>, faults: &mut Faults) -> EntityKind {
    match section.required("entity", faults).as_deref() {
        Some("user") | None => EntityKind::User,
        Some("host") => EntityKind::Host,
        Some(other) => {
            let hint = suggest(other, ["user", "host"]);
            section.fault(faults, section.line_of("entity"), format!("unknown entity {other:?}{hint}"));
            EntityKind::User
        }
    }
}

fn read_period(section: &Section<'_>, faults: &mut Faults) -> Period {
    match section.string("period", faults).as_deref() {
        Some("day") | None => Period::Day,
        Some("month") => Period::Month,
        Some(other) => {
            let hint = suggest(other, ["day", "month"]);
            section.fault(faults, section.line_of("period"), format!("unknown period {other:?}{hint}"));
            Period::Day
        }
    }
}

/// What a rule re-expresses.
#[derive(Default)]
struct Sources {
    author: Vec<String>,
    links: Vec<String>,
}

/// `[[source]]` blocks: title, id, author and link stay with the rule and its alerts, as their licence asks.
fn read_sources(section: &Section<'_>, faults: &mut Faults) -> Sources {
    let mut sources = Sources::default();
    for source in section.tables("source", faults) {
        let title = source.required("title", faults).unwrap_or_default();
        let id = source.required("id", faults).unwrap_or_default();
        let link = source.required("link", faults).unwrap_or_default();
        let author = source.strings("author", faults).unwrap_or_default();
        if author.is_empty() {
            source.fault(faults, source.line, "author is missing");
        }
        source.finish(&["title", "id", "author", "link"], faults);
        sources.links.push(format!("{link} (\"{title}\", {id}, by {})", author.join(", ")));
        for name in author {
            if !sources.author.contains(&name) {
                sources.author.push(name);
            }
        }
    }
    sources
}
