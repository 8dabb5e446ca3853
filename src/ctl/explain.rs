//! What a rule asks for, and what would have kept it silent, in sentences.
//!
//! Sentences follow from the rule's verdict and the alert's evidence; nothing is judged again.

use super::Desk;
use super::story::of_whom;
use crate::alert::{Alert, AlertKind, ModelEvidence};
use crate::event::Flag;
use crate::model::Scope;
use crate::rule::{Common, Counted, Period, Prevalence, Rule, Verdict};

/// The page of an ATT&CK technique; `None` when the id is not one.
pub(super) fn technique_link(id: &str) -> Option<String> {
    let digits = |text: &str, n: usize| text.len() == n && text.bytes().all(|b| b.is_ascii_digit());
    let rest = id.strip_prefix('T')?;
    match rest.split_once('.') {
        Some((main, sub)) if digits(main, 4) && digits(sub, 3) => {
            Some(format!("https://attack.mitre.org/techniques/T{main}/{sub}/"))
        }
        None if digits(rest, 4) => Some(format!("https://attack.mitre.org/techniques/T{rest}/")),
        _ => None,
    }
}

/// What has to come together for a rule to fire.
pub(super) fn fires_when(rule: &Rule, desk: &Desk) -> Vec<String> {
    let events = rule.events.iter().map(|e| e.name()).collect::<Vec<_>>().join(" or ");
    let mut lines = vec![format!("a {events} event meets the conditions in {}", rule.file)];
    lines.extend(asks_of_state(rule, desk));
    let per = rule.per.map_or_else(String::new, |p| format!(" and {p}"));
    let period = match rule.period {
        Period::Day => "on this day",
        Period::Month => "in this calendar month",
    };
    lines.push(format!("it has not fired {period} for the same {}{per}", rule.entity.name()));
    lines
}

/// What becomes of alerts about what is common, by the clauses that are on.
pub(super) fn when_common(rule: &Rule, desk: &Desk) -> Vec<String> {
    let sentence = |clause: &Prevalence| {
        let Prevalence { counted, at_least, within_days, then } = clause;
        let what = match counted {
            Counted::ByModel(index) => {
                let model = desk.content.models.get(usize::from(*index));
                let id = model.map_or("its model", |m| m.id.as_str());
                let of = if model.is_some_and(|m| m.new_to.is_some()) { " as new for others" } else { "" };
                format!("{id} has counted the value {at_least} times{of} in {within_days} days")
            }
            Counted::OwnAlerts => {
                let per = rule.per.map_or_else(String::new, |p| format!(" and {p}"));
                format!("it has fired about the same {}{per} on {at_least} of {within_days} days", rule.entity.name())
            }
        };
        let then = match then {
            Common::Group => format!("the next alert stands for those of the {within_days} days after it"),
            Common::Score(score) => format!("the score is {score} instead of {}", rule.score),
        };
        format!("{what}: {then}")
    };
    rule.prevalence.iter().map(sentence).collect()
}

/// What a verdict asks of what was learned.
pub(super) fn asks_of_state(rule: &Rule, desk: &Desk) -> Vec<String> {
    let model = |index: u16| desk.content.models.get(index as usize);
    let id = |index: u16| model(index).map_or_else(|| "its model".into(), |m| m.id.clone());
    match &rule.verdict {
        Verdict::Always => Vec::new(),
        Verdict::First { model } => {
            vec![format!("{} has never counted the value", id(*model)), enough_history(desk)]
        }
        Verdict::Abnormal { model, percentile } => vec![
            format!(
                "{} has counted the value, but it is among the rarest that together make up {} of all",
                id(*model),
                percent(*percentile)
            ),
            converged(desk, model_cut_off(desk, *model)),
        ],
        Verdict::Top { model: index, rank_days, top_share, min_bins, min_count, min_median_ratio } => vec![
            format!(
                "in {} over {rank_days} days, the value is among the top {} by count",
                id(*index),
                percent(*top_share)
            ),
            format!(
                "its count is at least {min_count} and at least {min_median_ratio} times the median, among at least {min_bins} {}",
                members(model(*index).map(|m| m.scope))
            ),
            converged(desk, model_cut_off(desk, *index)),
        ],
        Verdict::Sum { amount, reaches, without_history } => {
            let mut lines = vec![format!("the day's sum of {} reaches {reaches}", amount.name())];
            if let Some(none) = without_history {
                let per = if none.per_value { " for the same value" } else { "" };
                lines.push(format!(
                    "the {} has no earlier day with {} events{per}, and the agent itself has seen {} such days",
                    rule.entity.name(),
                    none.event.name(),
                    none.agent_days
                ));
            }
            lines
        }
    }
}

/// What would have kept an alert from being raised; each line goes on after "if".
pub(super) fn silent_if(alert: &Alert, rule: Option<&Rule>, desk: &Desk) -> Vec<String> {
    if alert.kind != AlertKind::Detection {
        return Vec::new();
    }
    let mut lines = Vec::new();
    if let Some(m) = &alert.evidence.model {
        match m.verdict.as_str() {
            "first" => {
                lines.push(format!("{} had been counted for {} before, even once", m.value, of_whom(m, desk)));
                lines.push(too_little_history(m, desk));
            }
            "abnormal" => {
                if let Some(threshold) = m.threshold {
                    lines.push(format!(
                        "{} had been counted {threshold} times or more; it was counted {}",
                        m.value,
                        times(m.count)
                    ));
                }
                lines.push(not_converged(m, desk));
            }
            _ => lines.extend(not_at_the_top(m, rule, desk)),
        }
    }
    if let Some(s) = &alert.evidence.sum {
        lines.push(format!("the day's sum of {} had stayed below {}; it came to {}", s.field, s.reaches, s.total));
        if s.history_days == Some(0) {
            lines.push(format!("{} had had one earlier day with such events; there was none", alert.entity));
        }
    }
    match alert.evidence.matched.len() {
        0 => {}
        1 => lines.push("the condition above had not been met".into()),
        n => lines.push(format!("one of the {n} conditions above had not been met")),
    }
    let sharing = alert.evidence.matched.iter().any(|m| m.field == Flag::IsFileSharing.name());
    if let (true, Some(domain)) = (sharing, alert.fields.get("web_domain")) {
        lines.push(format!("{domain} were one of the site's own, in detection.sanctioned_domains"));
    }
    if !alert.sequence.is_empty() {
        let value = alert.value.as_ref().map_or_else(String::new, |v| format!(" and {v}"));
        let on = if alert.sequence.len() == "2026-03-14".len() { "on" } else { "in" };
        lines.push(format!("it had already fired for {}{value} {on} {}", alert.entity, alert.sequence));
    }
    lines
}

fn not_at_the_top(m: &ModelEvidence, rule: Option<&Rule>, desk: &Desk) -> Vec<String> {
    let mut lines = Vec::new();
    if let (Some(rank), Some(threshold)) = (m.rank, m.threshold) {
        let below =
            if threshold == 1 { "not been the first".into() } else { format!("not been among the first {threshold}") };
        lines.push(format!("{} had {below}; it was number {rank} of {}", m.value, m.c));
    }
    if let Some(Verdict::Top { min_bins, min_count, min_median_ratio, .. }) = rule.map(|r| &r.verdict) {
        let median = m.median.unwrap_or(0.0);
        let needed = (median * min_median_ratio).ceil().max(*min_count as f64);
        lines.push(format!(
            "its count had been below {needed} (at least {min_count}, and {min_median_ratio} times the median of {median}); it was {}",
            m.count
        ));
        lines.push(format!("fewer than {min_bins} had been in {}; there were {}", m.id, m.c));
    }
    lines.push(not_converged(m, desk));
    lines
}

fn too_little_history(m: &ModelEvidence, desk: &Desk) -> String {
    let d = &desk.settings.detection;
    if d.strict {
        return not_converged(m, desk);
    }
    let state = if m.converged { "converged" } else { "still learning" };
    format!(
        "{} had had fewer history days: {} with a converged model, {} without, are needed; there were {}, and the model was {state}",
        of_whom(m, desk),
        d.min_history_days,
        d.maturity_days,
        m.history_days
    )
}

fn not_converged(m: &ModelEvidence, desk: &Desk) -> String {
    let cut_off = desk.content.models.iter().find(|s| s.id == m.id).map(|s| s.cut_off);
    let n = cut_off.map_or_else(String::new, |cut_off| format!("N from {cut_off} and "));
    format!(
        "{} had not converged for {}: {n}confidence from {} are needed; there were N {} and {:.3}",
        m.id,
        of_whom(m, desk),
        desk.settings.detection.min_confidence,
        m.n,
        m.confidence
    )
}

fn model_cut_off(desk: &Desk, index: u16) -> Option<u64> {
    desk.content.models.get(index as usize).map(|m| m.cut_off)
}

fn converged(desk: &Desk, cut_off: Option<u64>) -> String {
    let n = cut_off.map_or_else(String::new, |cut_off| format!("N from {cut_off}, "));
    format!("the model has converged ({n}confidence from {})", desk.settings.detection.min_confidence)
}

fn enough_history(desk: &Desk) -> String {
    let d = &desk.settings.detection;
    if d.strict {
        return "the model has converged".into();
    }
    format!(
        "the model has converged and there are {} history days, or there are {} history days",
        d.min_history_days, d.maturity_days
    )
}

fn members(scope: Option<Scope>) -> &'static str {
    match scope {
        Some(Scope::Org) => "values of the organisation",
        Some(Scope::PeerGroup) => "values of the peer group",
        Some(Scope::User) => "values of the user",
        Some(Scope::Host) => "values of the host",
        None => "values",
    }
}

fn percent(share: f64) -> String {
    format!("{} %", (share * 1000.0).round() / 10.0)
}

/// `once`, `3 times`.
pub(super) fn times(n: u64) -> String {
    if n == 1 { "once".into() } else { format!("{n} times") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn techniques_link_to_their_page_and_nothing_else_does() {
        for (id, link) in [
            ("T1567.002", Some("https://attack.mitre.org/techniques/T1567/002/")),
            ("T1204", Some("https://attack.mitre.org/techniques/T1204/")),
            ("T12", None),
            ("T1567.2", None),
            ("../x", None),
            ("", None),
        ] {
            assert_eq!(technique_link(id).as_deref(), link, "{id}");
        }
    }
}
