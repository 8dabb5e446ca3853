//! An alert as one line of text, in the format that a sink is set to. One format a file; this is their table.
//!
//! A line never holds a line end or a character that could drive a terminal, whatever the log held.

use super::escape::{harden_json, is_deceptive};
use super::{cef, ecs, ocsf};
use crate::alert::{AgentIdentity, Alert};
use crate::config::AlertFormat;
use serde_json::{Map, Value, json};

/// The whole alert, without a line end.
pub fn render(format: AlertFormat, alert: &Alert, agent: &AgentIdentity) -> String {
    match format {
        AlertFormat::Json => harden_json(alert.to_json_text(agent)),
        AlertFormat::Cef => cef::render(alert, agent),
        AlertFormat::Ecs => harden_json(ecs::tree(alert, agent).to_text()),
        AlertFormat::Ocsf => harden_json(ocsf::tree(alert, agent).to_text()),
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
    if format == AlertFormat::Cef {
        return cef::render_within(alert, agent, limit);
    }
    let line = render(format, alert, agent);
    if line.len() <= limit {
        return Rendered { line, cut: false };
    }
    let (shape, whole) = match format {
        AlertFormat::Ecs => (ecs::SHAPE, ecs::tree(alert, agent).to_value()),
        AlertFormat::Ocsf => (ocsf::SHAPE, ocsf::tree(alert, agent).to_value()),
        AlertFormat::Json | AlertFormat::Cef => (SHAPE, alert.to_json(agent)),
    };
    Rendered { line: shape.within(&whole, limit), cut: true }
}

/// What of a JSON line is cut in which order. Places are JSON pointers.
pub(super) struct Shape {
    /// Texts that are never cut.
    pub whole: &'static [&'static str],
    /// What goes when cutting texts is not enough: evidence says more than the rest of the event.
    pub event: &'static [&'static str],
    /// What goes after that.
    pub evidence: &'static [&'static str],
    /// What is left at last.
    pub least: &'static [&'static str],
    /// Where it says that it was cut.
    pub mark: &'static str,
}

const SHAPE: Shape = Shape {
    whole: &["/id", "/rule/id"],
    event: &["/event"],
    evidence: &["/evidence"],
    least: &["/id", "/time", "/kind", "/rule/id", "/score", "/severity"],
    mark: "/truncated",
};

impl Shape {
    fn within(&self, whole: &Value, limit: usize) -> String {
        for (left_out, levels) in [
            (&[][..], &[2000, 1000, 500, 250, 120, 60][..]),
            (&[self.event][..], &[250, 120, 60, 30][..]),
            (&[self.event, self.evidence][..], &[120, 60, 30][..]),
        ] {
            let mut kept = whole.clone();
            left_out.iter().copied().flatten().for_each(|place| remove(&mut kept, place));
            put(&mut kept, self.mark, json!(true));
            for level in levels {
                let mut cut = kept.clone();
                self.cut_texts(&mut cut, &mut String::new(), *level);
                let line = harden_json(cut.to_string());
                if line.len() <= limit {
                    return line;
                }
            }
        }
        let mut least = json!({});
        for place in self.least {
            if let Some(value) = whole.pointer(place) {
                put(&mut least, place, value.clone());
            }
        }
        put(&mut least, self.mark, json!(true));
        harden_json(least.to_string())
    }

    /// Cuts every text at and below a place to about `level` bytes of JSON. Names, numbers and times are shorter than that.
    fn cut_texts(&self, value: &mut Value, place: &mut String, level: usize) {
        match value {
            Value::String(_) if self.whole.contains(&place.as_str()) => {}
            Value::String(text) => cut_text(text, level),
            Value::Array(items) => items.iter_mut().for_each(|item| self.cut_texts(item, place, level)),
            Value::Object(entries) => {
                for (name, entry) in entries {
                    let length = place.len();
                    place.extend(["/", name.as_str()]);
                    self.cut_texts(entry, place, level);
                    place.truncate(length);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
}

fn remove(value: &mut Value, place: &str) {
    let Some((above, name)) = place.rsplit_once('/') else { return };
    if let Some(Value::Object(entries)) = value.pointer_mut(above) {
        entries.shift_remove(name);
    }
}

/// Puts a value into objects, which are made where they are missing.
fn put(value: &mut Value, place: &str, new: Value) {
    let mut at = value;
    for name in place.split('/').skip(1) {
        if !at.is_object() {
            *at = Value::Object(Map::new());
        }
        let Value::Object(entries) = at else { return };
        at = entries.entry(name).or_insert(Value::Null);
    }
    *at = new;
}

/// Cuts a text to about `level` bytes of JSON.
fn cut_text(text: &mut String, level: usize) {
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
