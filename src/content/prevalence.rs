//! Reads `[[prevalence]]`: what becomes of a rule's alerts about a value that is common.

use super::fault::{Faults, suggest};
use super::options::SiteOptions;
use super::rules::MAX_SCORE;
use super::section::Section;
use super::verdict::{find_model, required_count};
use crate::event::Field;
use crate::model::ModelSpec;
use crate::rule::{Common, Counted, Prevalence};

const KEYS: &[&str] = &["option", "model", "own_alerts", "at_least", "within_days", "then", "score"];

/// The clauses of a rule whose options are on, in order. `per` is the field that the rule is "per".
pub fn read(
    rule: &Section<'_>,
    models: &[ModelSpec],
    per: Option<Field>,
    options: &mut SiteOptions,
    faults: &mut Faults,
) -> Vec<Prevalence> {
    let mut clauses = Vec::new();
    let mut groups = false;
    for section in rule.tables("prevalence", faults) {
        let is_on = options.include(&section, faults);
        let makes_groups = section.string("then", &mut Faults::default()).as_deref() == Some("group");
        if makes_groups && std::mem::replace(&mut groups, true) {
            section.fault(faults, section.line_of("then"), "the rule makes groups already; one clause may");
        }
        clauses.extend(read_clause(&section, models, per, is_on, faults));
        section.finish(KEYS, faults);
    }
    clauses
}

fn read_clause(
    section: &Section<'_>,
    models: &[ModelSpec],
    per: Option<Field>,
    is_on: bool,
    faults: &mut Faults,
) -> Option<Prevalence> {
    let at_least = required_count(section, "at_least", faults);
    let within_days = required_count(section, "within_days", faults);
    let then = read_then(section, faults);
    for (key, n) in [("at_least", at_least), ("within_days", within_days)] {
        if n == Some(0) {
            section.fault(faults, section.line_of(key), format!("{key} is 0; write a number from 1"));
        }
    }
    let counted = read_counted(section, models, per, is_on, faults);
    if counted == Some(Counted::OwnAlerts) && then == Some(Common::Group) {
        let message = "a group is of many users and hosts, own_alerts of one: write then = \"score\", or name a model";
        section.fault(faults, section.line_of("then"), message);
    }
    let within_days = u32::try_from(within_days?).ok()?;
    Some(Prevalence { counted: counted.filter(|_| is_on)?, at_least: at_least?, within_days, then: then? })
}

fn read_counted(
    section: &Section<'_>,
    models: &[ModelSpec],
    per: Option<Field>,
    is_on: bool,
    faults: &mut Faults,
) -> Option<Counted> {
    let own_alerts = section.boolean("own_alerts", faults).unwrap_or(false);
    if own_alerts == section.has("model") {
        section.fault(
            faults,
            section.line,
            "what is common is counted by a model or by own_alerts = true: write one of them",
        );
    }
    if own_alerts {
        // Where both stand there, that has been said.
        let _ = section.string("model", faults);
        return Some(Counted::OwnAlerts);
    }
    // The model may belong to the same option: it is there when the option is on.
    let model = match is_on {
        true => find_model(section, "model", models, faults),
        false => section.string("model", faults).and(None),
    };
    if let Some(spec) = model.and_then(|m| models.get(usize::from(m)))
        && per != Some(spec.feature)
        && !matches!(spec.feature, Field::UserKey | Field::HostKey)
    {
        let message = format!(
            "the model {} counts {}: the rule needs per = {:?}, so that it can be asked",
            spec.id,
            spec.feature.name(),
            spec.feature.name()
        );
        section.fault(faults, section.line_of("model"), message);
    }
    model.map(Counted::ByModel)
}

fn read_then(section: &Section<'_>, faults: &mut Faults) -> Option<Common> {
    match section.required("then", faults)?.as_str() {
        "group" => {
            if section.has("score") {
                section.fault(faults, section.line_of("score"), "score belongs to then = \"score\"");
            }
            Some(Common::Group)
        }
        "score" => {
            let score = required_count(section, "score", faults)?;
            if score > MAX_SCORE {
                section.fault(faults, section.line_of("score"), format!("write a number up to {MAX_SCORE}"));
            }
            Some(Common::Score(score.min(MAX_SCORE) as u32))
        }
        other => {
            let hint = suggest(other, ["group", "score"]);
            section.fault(faults, section.line_of("then"), format!("what is common cannot be {other:?}{hint}"));
            None
        }
    }
}
