//! An alert as one line of text, in the format that a sink is set to.
//!
//! A line never holds a line end or a character that could drive a terminal, whatever the log held.

use super::cef;
use super::escape::{harden_json, is_deceptive};
use crate::alert::{AgentIdentity, Alert};
use crate::config::AlertFormat;
use serde_json::{Value, json};

/// The whole alert, without a line end.
pub fn render(format: AlertFormat, alert: &Alert, agent: &AgentIdentity) -> String {
    match format {
        AlertFormat::Json => harden_json(alert.to_json_text(agent)),
        AlertFormat::Cef => cef::render(alert, agent),
    }
}

/// A line that may have been cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// The line, without a line end.
    pub line: String,
    /// Whether something was cut or left out.
    pub cut: bool,
}

/// The alert in at most `limit` bytes: long texts are cut first, then left out, but never the id or the rule's id. What is
/// cut says so (`"truncated":true`, `flexNumber1Label=truncated`). A limit below about 600 bytes may be exceeded.
pub fn render_within(format: AlertFormat, alert: &Alert, agent: &AgentIdentity, limit: usize) -> Rendered {
    match format {
        AlertFormat::Json => json_within(alert, agent, limit),
        AlertFormat::Cef => cef::render_within(alert, agent, limit),
    }
}

fn json_line(value: &Value) -> String {
    harden_json(value.to_string())
}

fn json_within(alert: &Alert, agent: &AgentIdentity, limit: usize) -> Rendered {
    let line = harden_json(alert.to_json_text(agent));
    if line.len() <= limit {
        return Rendered { line, cut: false };
    }
    let whole = &alert.to_json(agent);
    // Evidence says more than the rest of the event, so the event goes first.
    for (left_out, levels) in [
        (&[][..], &[2000, 1000, 500, 250, 120, 60][..]),
        (&["event"][..], &[250, 120, 60, 30][..]),
        (&["event", "evidence"][..], &[120, 60, 30][..]),
    ] {
        for level in levels {
            let line = json_line(&cut_alert(whole, left_out, *level));
            if line.len() <= limit {
                return Rendered { line, cut: true };
            }
        }
    }
    let pick = |key: &str| whole.get(key).cloned().unwrap_or_default();
    let rule = json!({"id": whole.pointer("/rule/id").cloned().unwrap_or_default()});
    let least = json!({"id": pick("id"), "time": pick("time"), "kind": pick("kind"), "rule": rule,
        "score": pick("score"), "severity": pick("severity"), "truncated": true});
    Rendered { line: json_line(&least), cut: true }
}

/// The alert without the parts `left_out`, with its texts cut to about `level` bytes each.
fn cut_alert(whole: &Value, left_out: &[&str], level: usize) -> Value {
    let mut out = serde_json::Map::new();
    for (key, part) in whole.as_object().into_iter().flatten().filter(|(key, _)| !left_out.contains(&key.as_str())) {
        let mut part = part.clone();
        match key.as_str() {
            "id" | "time" | "detected_at" | "kind" | "severity" => {}
            "rule" => {
                let texts = part.as_object_mut().into_iter().flatten().filter(|(key, _)| *key != "id");
                texts.for_each(|(_, text)| cut_texts(text, level));
            }
            _ => cut_texts(&mut part, level),
        }
        out.insert(key.clone(), part);
    }
    out.insert("truncated".into(), json!(true));
    Value::Object(out)
}

/// Cuts every text in a value to about `level` bytes of JSON.
fn cut_texts(value: &mut Value, level: usize) {
    match value {
        Value::String(text) => {
            let mut bytes = 0;
            let fits = |c: &char| {
                bytes += match *c {
                    '"' | '\\' => 2,
                    // `\uXXXX`, twice for what lies beyond the first plane.
                    c if is_deceptive(c) => 6 * c.len_utf16(),
                    c => c.len_utf8(),
                };
                bytes <= level
            };
            let kept: String = text.chars().take_while(fits).collect();
            if kept.len() < text.len() {
                *text = kept + "…";
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| cut_texts(item, level)),
        Value::Object(entries) => entries.iter_mut().for_each(|(_, entry)| cut_texts(entry, level)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{agent, detection, hostile};
    use super::*;

    #[test]
    fn json_within_a_limit_keeps_id_and_rule_and_says_that_it_was_cut() {
        let alert = hostile(4096);
        for limit in [16_384, 8192, 2048, 600] {
            let Rendered { line, cut } = render_within(AlertFormat::Json, &alert, &agent(), limit);
            assert!(cut);
            assert!(line.len() <= limit, "{} bytes for {limit}", line.len());
            let value: Value = serde_json::from_str(&line).unwrap();
            assert_eq!(value["id"], json!(alert.id));
            assert_eq!(value["rule"]["id"], json!(alert.rule.id));
            assert_eq!(value["truncated"], json!(true));
        }
    }

    #[test]
    fn an_alert_that_fits_is_not_cut() {
        for format in AlertFormat::ALL {
            let whole = render(*format, &detection(1), &agent());
            assert!(!whole.contains("truncated"));
            let within = render_within(*format, &detection(1), &agent(), whole.len());
            assert_eq!(within, Rendered { line: whole, cut: false });
        }
    }

    #[test]
    fn a_json_line_of_a_hostile_alert_is_one_line_of_plain_text_with_the_same_meaning() {
        let alert = hostile(40);
        let line = render(AlertFormat::Json, &alert, &agent());
        assert!(!line.chars().any(is_deceptive));
        assert_eq!(serde_json::from_str::<Value>(&line).unwrap(), alert.to_json(&agent()));
    }
}
