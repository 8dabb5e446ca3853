//! Reads what must hold besides a rule's condition: `[model]` or `[sum]`, with their numbers.

use super::fault::{Faults, suggest};
use super::models::required_number;
use super::rules::{read_field, required_event};
use super::section::Section;
use crate::event::Field;
use crate::model::ModelSpec;
use crate::rule::{NoHistory, Verdict};

const MODEL_KEYS: &[&str] =
    &["id", "says", "percentile", "rank_days", "top_share", "min_bins", "min_count", "min_median_ratio"];
const SUM_KEYS: &[&str] = &["field", "reaches", "history", "history_event", "agent_days"];

/// The verdict of a rule; `per` is the field that it is "per".
pub fn read(rule: &Section<'_>, models: &[ModelSpec], per: Option<Field>, faults: &mut Faults) -> Verdict {
    if rule.has("model") && rule.has("sum") {
        rule.fault(faults, rule.line_of("sum"), "a rule has a model or a sum, not both");
    }
    let model = rule.table("model", faults).and_then(|s| {
        let verdict = read_model(&s, models, faults);
        s.finish(MODEL_KEYS, faults);
        verdict
    });
    let sum = rule.table("sum", faults).and_then(|s| {
        let verdict = read_sum(&s, per, faults);
        s.finish(SUM_KEYS, faults);
        verdict
    });
    model.or(sum).unwrap_or(Verdict::Always)
}

fn read_model(section: &Section<'_>, models: &[ModelSpec], faults: &mut Faults) -> Option<Verdict> {
    let model = find_model(section, "id", models, faults);
    let says = section.required("says", faults)?;
    let model = || model.ok_or(());
    let verdict = match says.as_str() {
        "first" => model().map(|model| Verdict::First { model }),
        "abnormal" => {
            let percentile = required_number(section, "percentile", faults);
            model().and_then(|model| Ok(Verdict::Abnormal { model, percentile: percentile.ok_or(())? }))
        }
        "top" => {
            let rank_days = required_count(section, "rank_days", faults);
            let top_share = required_number(section, "top_share", faults);
            let min_bins = required_count(section, "min_bins", faults);
            let min_count = required_count(section, "min_count", faults);
            let min_median_ratio = required_number(section, "min_median_ratio", faults);
            model().and_then(|model| {
                Ok(Verdict::Top {
                    model,
                    rank_days: rank_days.and_then(|n| u32::try_from(n).ok()).ok_or(())?,
                    top_share: top_share.ok_or(())?,
                    min_bins: min_bins.ok_or(())?,
                    min_count: min_count.ok_or(())?,
                    min_median_ratio: min_median_ratio.ok_or(())?,
                })
            })
        }
        other => {
            let hint = suggest(other, ["first", "abnormal", "top"]);
            section.fault(faults, section.line_of("says"), format!("a model cannot say {other:?}{hint}"));
            Err(())
        }
    };
    verdict.ok()
}

/// The model named at a key that must be there.
pub(super) fn find_model(section: &Section<'_>, key: &str, models: &[ModelSpec], faults: &mut Faults) -> Option<u16> {
    let id = section.required(key, faults)?;
    let found = models.iter().position(|m| m.id == id).and_then(|at| u16::try_from(at).ok());
    if found.is_none() {
        let hint = suggest(&id, models.iter().map(|m| m.id.as_str()));
        section.fault(faults, section.line_of(key), format!("unknown model {id:?}{hint}"));
    }
    found
}

fn read_sum(section: &Section<'_>, per: Option<Field>, faults: &mut Faults) -> Option<Verdict> {
    let amount = read_field(section, "field", true, faults);
    let reaches = required_count(section, "reaches", faults);
    let without_history = if section.has("history") { read_history(section, per, faults) } else { None };
    Some(Verdict::Sum { amount: amount?, reaches: reaches?, without_history })
}

/// `history = "user"` (no earlier day at all) or `"user_domain"` (none with this value of `per`).
fn read_history(section: &Section<'_>, per: Option<Field>, faults: &mut Faults) -> Option<NoHistory> {
    let line = section.line_of("history");
    let per_value = match section.string("history", faults)?.as_str() {
        "user" | "host" => false,
        "user_domain" | "host_domain" => true,
        other => {
            let hint = suggest(other, ["user", "user_domain", "host", "host_domain"]);
            section.fault(faults, line, format!("unknown history {other:?}{hint}"));
            return None;
        }
    };
    if per_value && per.is_none() {
        section.fault(faults, line, "history for each domain needs per = \"top_domain\" in the rule");
    }
    let event = required_event(section, "history_event", faults);
    let agent_days = required_count(section, "agent_days", faults).and_then(|n| u32::try_from(n).ok());
    Some(NoHistory { event: event?, per_value, agent_days: agent_days? })
}

/// A whole number from 0 that must be there.
pub(super) fn required_count(section: &Section<'_>, key: &str, faults: &mut Faults) -> Option<u64> {
    if !section.has(key) {
        section.fault(faults, section.line, format!("{key} is missing"));
        return None;
    }
    section.unsigned(key, faults)
}
