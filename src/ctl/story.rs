//! An alert in sentences for whoever reads it first: what happened, and why that is unusual for whom.
//!
//! Follows from the alert, its rule and the content; nothing is judged again.

use super::Desk;
use super::explain::times;
use super::status::bytes;
use crate::alert::{Alert, AlertKind, Matched, ModelEvidence, SumEvidence};
use crate::event::Flag;
use crate::model::Scope;
use crate::rule::{Rule, Verdict};

/// Bytes from which a request is told as sending: every visit sends a little.
const LARGE_BYTES: u64 = 100_000;
/// Members of a list that are shown.
const SHOWN: usize = 8;

/// What happened, in one sentence; empty where there was no event.
pub(super) fn happened(alert: &Alert) -> String {
    let field = |name: &str| alert.fields.get(name);
    let first = |names: &[&str]| names.iter().find_map(|name| field(name));
    let host = first(&["dest_host", "src_host", "host_key"]);
    let on = host.map_or_else(String::new, |host| format!(" on {host}"));
    let who = first(&["user_key", "user"]).or(host).unwrap_or(&alert.entity);
    let on = if Some(who) == host { String::new() } else { on };
    match alert.event_type.as_str() {
        "process-created" => {
            let what = first(&["command_line", "process_path", "process_name"]).unwrap_or("a program");
            let by = field("parent_process_name").map_or_else(String::new, |parent| format!(", started by {parent}"));
            format!("{who} ran this{on}{by}: {what}")
        }
        "file-write" | "usb-write" => {
            let program = first(&["process_name", "process_path"]).unwrap_or("A program");
            let path = first(&["file_path", "file_name"]).unwrap_or("a file");
            let stick = if alert.event_type == "usb-write" { " to removable media" } else { "" };
            format!("{program}, run by {who}{on}, wrote{stick} {path}")
        }
        "web-activity-allowed" => {
            let url = first(&["url", "web_domain"]).unwrap_or("a site");
            let sent = field("bytes_out").and_then(|n| n.parse().ok()).filter(|n| *n >= LARGE_BYTES);
            match sent {
                Some(n) => format!("{who}{on} sent {} to {url}", bytes(n)),
                None => format!("{who}{on} visited {url}"),
            }
        }
        "" => String::new(),
        other => format!("a {other} event of {who}{on}"),
    }
}

/// Why it is unusual, and for whom.
pub(super) fn unusual(alert: &Alert, rule: Option<&Rule>, desk: &Desk) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(m) = &alert.evidence.model {
        lines.push(by_the_model(m, rule, desk));
        lines.push(how_sure(m, desk));
    }
    if let Some(sum) = &alert.evidence.sum {
        lines.extend(by_the_sum(alert, sum));
    }
    if lines.is_empty() && alert.kind == AlertKind::Detection {
        let kind = alert.entity_kind.name();
        lines.push(format!(
            "No baseline is asked here: the rule speaks of any {kind} that does this. Its score, {} ({}), says how unusual that is by itself.",
            alert.score,
            alert.severity().name()
        ));
    }
    lines
}

/// Whose baseline it is.
pub(super) fn of_whom(m: &ModelEvidence, desk: &Desk) -> String {
    match desk.content.models.iter().find(|spec| spec.id == m.id).map(|spec| spec.scope) {
        Some(Scope::Org) => "the organisation".into(),
        Some(Scope::PeerGroup) => format!("the peer group {}", m.scope),
        Some(Scope::User) => format!("the user {}", m.scope),
        Some(Scope::Host) => format!("the host {}", m.scope),
        None => m.scope.clone(),
    }
}

fn by_the_model(m: &ModelEvidence, rule: Option<&Rule>, desk: &Desk) -> String {
    let whom = of_whom(m, desk);
    let days = if m.history_days == 1 { "1 day".to_owned() } else { format!("{} days", m.history_days) };
    let values = if m.c == 1 { "value" } else { "different values" };
    let observations = if m.n == 1 { "observation" } else { "observations" };
    let known = format!("In {days} of history the model has {} {observations} (N) of {} {values} (C)", m.n, m.c);
    match (m.verdict.as_str(), m.rank, m.threshold) {
        ("first", ..) => format!("It is new for {whom}. {known}, and never this one."),
        ("abnormal", _, Some(threshold)) => {
            let percentile = match rule.map(|r| &r.verdict) {
                Some(Verdict::Abnormal { percentile, .. }) => {
                    format!(", the rarest {} %", (percentile * 100.0).round())
                }
                _ => String::new(),
            };
            format!(
                "It is rare for {whom}. {known}, this one {}; below {threshold} is abnormal{percentile}.",
                times(m.count)
            )
        }
        (_, Some(rank), threshold) => {
            let top = threshold.map_or_else(String::new, |t| match t {
                1 => "; only the first place counts as the top".into(),
                t => format!("; the first {t} count as the top"),
            });
            let median = m.median.map_or_else(String::new, |n| format!(", where the one in the middle has {n}"));
            let days = match rule.map(|r| &r.verdict) {
                Some(Verdict::Top { rank_days, .. }) => format!(" in the last {rank_days} days"),
                _ => String::new(),
            };
            format!(
                "{} stands out in {whom}: number {rank} of {} (C) with {} of all {} observations (N){days}{median}{top}.",
                m.value, m.c, m.count, m.n
            )
        }
        _ => format!("For {whom} the model says {}. {known}, this one {}.", m.verdict, times(m.count)),
    }
}

fn how_sure(m: &ModelEvidence, desk: &Desk) -> String {
    let d = &desk.settings.detection;
    let cut_off = desk.content.models.iter().find(|s| s.id == m.id).map(|s| s.cut_off);
    let needed = cut_off.map_or_else(String::new, |n| format!(" and N {n}"));
    let sure = format!("confidence {:.2}, needed are {:.2}{needed}", m.confidence, d.min_confidence);
    match (m.converged, m.verdict.as_str()) {
        (true, "first") => format!(
            "The model has converged ({sure}) and knows at least {} days, so that something new means something.",
            d.min_history_days
        ),
        (true, _) => format!("The model has converged ({sure}): it knows what is normal here."),
        (false, _) => format!(
            "The model has not converged ({sure}), but after {} days of history what is new counts anyway.",
            d.maturity_days
        ),
    }
}

fn by_the_sum(alert: &Alert, sum: &SumEvidence) -> Vec<String> {
    let kind = alert.entity_kind.name();
    let mut lines = vec![format!(
        "With this event the {kind} {} came to {} of {} in one day; the rule speaks from {} on.",
        alert.entity,
        amount(&sum.field, sum.total),
        sum.field,
        amount(&sum.field, sum.reaches)
    )];
    if sum.history_days == Some(0) {
        lines.push(format!(
            "On no earlier day has this {kind} had an event of this kind: it has no habits to compare with."
        ));
    }
    lines
}

/// Rules are written in decimal units, so that a sum can be compared with their names.
fn amount(field: &str, n: u64) -> String {
    if field.contains("bytes") && n >= 1_000_000 {
        format!("{:.1} MB ({n} bytes)", n as f64 / 1e6)
    } else {
        n.to_string()
    }
}

/// A test that held, as one says it.
pub(super) fn plainly(m: &Matched) -> String {
    let flags = [
        (Flag::IsTemp, "true", "the program ran from a temporary directory"),
        (Flag::IsFileSharing, "true", "the site is one for sharing files"),
        (Flag::IsDynamicDns, "true", "the name belongs to a dynamic-DNS service"),
        (Flag::IsSanctioned, "false", "the site is none of the company's own, by detection.sanctioned_domains"),
    ];
    if let Some((_, _, sentence)) = flags.iter().find(|(flag, value, _)| flag.name() == m.field && *value == m.value) {
        return (*sentence).to_owned();
    }
    let test = match m.test.strip_prefix("not: equals any of ") {
        Some(list) => format!("is none of {list}"),
        None => m.test.clone(),
    };
    let named = OPERATORS.iter().find_map(|(name, words)| Some((words, test.strip_prefix(name)?)));
    let test = named.map_or(test.clone(), |(words, rest)| format!("{words}{rest}"));
    shortened(&test)
}

/// What content calls the parts of a command line, and what people do.
const OPERATORS: &[(&str, &str)] = &[
    ("switch_prefix ", "a switch that begins with one of these: "),
    ("switch ", "a switch that "),
    ("token ", "a word of it "),
    ("arg_first ", "the first argument "),
    ("arg_last ", "the last argument "),
    ("arg_after ", "an argument "),
    ("arg ", "an argument "),
    ("first_operand ", "the first argument that is no switch "),
    ("after_switches ", "what follows the switches "),
    ("sequence ", "one after the other: "),
];

/// A long list by its first members.
pub(super) fn shortened(test: &str) -> String {
    let members: Vec<&str> = test.split(", ").collect();
    match members.get(..SHOWN) {
        Some(first) if members.len() > SHOWN + 1 => {
            format!("{} and {} more", first.join(", "), members.len() - SHOWN)
        }
        _ => test.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_are_said_as_people_say_them() {
        let said = |field: &str, value: &str, test: &str| {
            plainly(&Matched { field: field.into(), value: value.into(), test: test.into() })
        };
        assert_eq!(said("is_temp", "true", "is true"), "the program ran from a temporary directory");
        assert_eq!(said("method", "PUT", "not: equals any of get, head"), "is none of get, head");
        assert_eq!(said("command_line", "-x", "switch equals any of a, b"), "a switch that equals any of a, b");
        let many = said("image", "m", "equals any of a, b, c, d, e, f, g, h, i, j, k");
        assert_eq!(many, "equals any of a, b, c, d, e, f, g, h and 3 more");
        assert_eq!(
            said("image", "m", "equals any of a, b, c, d, e, f, g, h, i"),
            "equals any of a, b, c, d, e, f, g, h, i"
        );
    }
}
