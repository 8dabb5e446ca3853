//! `agentctl coverage`: ATT&CK techniques by rule, and a layer for the ATT&CK Navigator.

use super::Desk;
use super::explain::technique_link;
use super::output::{Output, Row};
use super::view::{RuleRow, View, ViewError};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

/// Arguments of `coverage`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:\n  agentctl coverage\n  agentctl coverage --navigator layer.json\n\n\
The layer is of version 4.5; open it in the ATT&CK Navigator. Score: the highest of the technique's rules that can fire.")]
pub struct Arguments {
    /// Write a layer for the ATT&CK Navigator into this file
    #[arg(long, value_name = "FILE")]
    navigator: Option<PathBuf>,
}

/// A technique and the rules that look for it.
#[derive(Clone, Default, Serialize, Deserialize)]
struct Technique {
    /// ATT&CK technique id.
    technique: String,
    /// Rules that can fire.
    rules: Vec<String>,
    /// Rules that cannot: switched off, or without a field that they need.
    silent: Vec<String>,
    /// The highest score of those that can.
    score: u32,
    /// Its page.
    link: Option<String>,
}

impl Row for Technique {
    const HEAD: &'static [&'static str] = &["technique", "score", "rules", "cannot fire"];
    fn cells(&self) -> Vec<String> {
        vec![self.technique.clone(), self.score.to_string(), self.rules.join(" "), self.silent.join(" ")]
    }
}

/// An agent tells which rules cannot fire; without one, those that are switched off do not.
pub(super) fn run(
    arguments: &Arguments,
    view: Result<Box<dyn View>, ViewError>,
    desk: &Desk,
    output: &mut Output<'_>,
) -> Result<(), ViewError> {
    let rows: Vec<RuleRow> = match view {
        Ok(mut view) => view.rules()?,
        Err(ViewError::Unreachable(_) | ViewError::NotFound(_)) => Vec::new(),
        Err(e) => return Err(e),
    };
    let mut techniques: BTreeMap<&str, Technique> = BTreeMap::new();
    for rule in &desk.content.rules {
        let inert = rows.iter().any(|row| row.id == rule.id && row.inert.is_some());
        for id in &rule.attack {
            let t = techniques.entry(id).or_insert_with(|| Technique {
                technique: id.clone(),
                link: technique_link(id),
                ..Technique::default()
            });
            if rule.enabled && !inert {
                t.rules.push(rule.id.clone());
                t.score = t.score.max(rule.score);
            } else {
                t.silent.push(rule.id.clone());
            }
        }
    }
    let techniques: Vec<Technique> = techniques.into_values().collect();
    if let Some(path) = &arguments.navigator {
        let text = serde_json::to_string_pretty(&layer(&techniques)).unwrap_or_default();
        fs::write(path, text + "\n").map_err(|e| ViewError::Failed(format!("{}: {e}", path.display())))?;
    }
    output.list(&techniques, "no rule names a technique").map_err(ViewError::Output)
}

fn layer(techniques: &[Technique]) -> Value {
    let highest = techniques.iter().map(|t| t.score).max().unwrap_or(0);
    let member = |t: &Technique| {
        let mut comment = t.rules.join(", ");
        if !t.silent.is_empty() {
            comment += &format!(" (cannot fire: {})", t.silent.join(", "));
        }
        json!({
            "techniqueID": t.technique, "score": t.score, "comment": comment.trim(), "enabled": !t.rules.is_empty(),
        })
    };
    json!({
        "name": "exfil-agent",
        "versions": { "layer": "4.5" },
        "domain": "enterprise-attack",
        "description": "Techniques that the rules of this exfil-agent look for",
        "techniques": techniques.iter().map(member).collect::<Vec<_>>(),
        "gradient": { "colors": ["#ffffff", "#ff6666"], "minValue": 0, "maxValue": highest },
    })
}
