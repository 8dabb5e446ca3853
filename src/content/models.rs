//! Reads `models/*.toml`: one model a file.

use super::based_on::definition_of_model;
use super::condition::{self, Vocabulary};
use super::fault::{Faults, suggest};
use super::options::SiteOptions;
use super::rules::{read_events, read_field};
use super::section::{Document, Section};
use crate::event::{Field, FieldSet};
use crate::model::{ModelSpec, Scope};
use std::collections::BTreeMap;

const KEYS: &[&str] = &[
    "id",
    "name",
    "revision",
    "why",
    "scope",
    "feature",
    "events",
    "condition",
    "once_per",
    "new_to",
    "option",
    "alpha",
    "cut_off",
];
const SCOPES: &[(&str, Scope)] =
    &[("user", Scope::User), ("host", Scope::Host), ("peer_group", Scope::PeerGroup), ("org", Scope::Org)];

/// Reads all models; their order is that of the files.
pub fn read(
    documents: &[(Document, bool)],
    vocabulary: &Vocabulary,
    options: &mut SiteOptions,
    faults: &mut Faults,
) -> Vec<ModelSpec> {
    let mut models: Vec<ModelSpec> = Vec::new();
    // What each is new to: by id, with the place where that stands.
    let mut asked: BTreeMap<String, (String, String, usize)> = BTreeMap::new();
    let mut seen: BTreeMap<String, String> = BTreeMap::new();
    for (document, _) in documents {
        let model = document.read(faults, |section, faults| {
            let is_included = options.include(section, faults);
            let new_to = section.string("new_to", faults);
            let model = read_model(section, vocabulary, faults).filter(|_| is_included)?;
            if let Some(other) = new_to {
                asked.insert(model.id.clone(), (other, document.file.clone(), section.line_of("new_to")));
            }
            if let Some(other) = seen.insert(model.id.clone(), document.file.clone()) {
                section.fault(faults, section.line_of("id"), format!("this id is in {other} already"));
            }
            Some(model)
        });
        models.extend(model);
    }
    // Those that ask another stand before it, so that an event is new to it when they train.
    models.sort_by_key(|m| !asked.contains_key(&m.id));
    resolve_new_to(&mut models, &asked, faults);
    models
}

fn resolve_new_to(models: &mut [ModelSpec], asked: &BTreeMap<String, (String, String, usize)>, faults: &mut Faults) {
    let known: Vec<(String, Field)> = models.iter().map(|m| (m.id.clone(), m.feature)).collect();
    for model in models {
        let Some((other, file, line)) = asked.get(&model.id) else { continue };
        let mut fault = |message: String| faults.add(file, *line, &format!("model {}", model.id), message);
        match known.iter().position(|(id, _)| id == other) {
            None => {
                let hint = suggest(other, known.iter().map(|(id, _)| id.as_str()));
                fault(format!("unknown model {other:?}{hint}"));
            }
            Some(_) if asked.contains_key(other) => fault(format!("{other} asks another model itself")),
            Some(at) if known.get(at).is_some_and(|(_, feature)| *feature != model.feature) => {
                fault(format!("{other} counts another field; both must have the same feature"));
            }
            Some(at) => model.new_to = u16::try_from(at).ok(),
        }
    }
}

fn read_model(section: &Section<'_>, vocabulary: &Vocabulary, faults: &mut Faults) -> Option<ModelSpec> {
    let id = section.required("id", faults);
    section.set_item(format!("model {}", id.as_deref().unwrap_or("?")));
    let name = section.required("name", faults);
    let revision = read_revision(section, faults);
    section.string("why", faults);
    let scope = read_scope(section, faults);
    let feature = read_field(section, "feature", true, faults);
    let events = read_events(section, faults);
    let condition = condition::read(section, vocabulary, faults);
    let once_per = read_field(section, "once_per", false, faults);
    let alpha = required_number(section, "alpha", faults);
    let cut_off = section.unsigned("cut_off", faults);
    if cut_off.is_none() && !section.has("cut_off") {
        section.fault(faults, section.line, "cut_off is missing");
    }
    section.finish(KEYS, faults);
    let feature = feature?;
    let mut needs = condition.needs();
    needs.push(FieldSet::of(feature));
    Some(ModelSpec {
        id: id?,
        name: name?,
        revision,
        definition: definition_of_model(section),
        scope: scope?,
        feature,
        events,
        condition,
        once_per,
        new_to: None,
        alpha: alpha?,
        cut_off: cut_off?,
        needs,
        file: section.file().to_owned(),
    })
}

/// The revision of an item, a number from 1.
pub fn read_revision(section: &Section<'_>, faults: &mut Faults) -> u32 {
    let revision = section.unsigned("revision", faults).and_then(|n| u32::try_from(n).ok()).filter(|n| *n > 0);
    if revision.is_none() {
        section.fault(faults, section.line_of("revision"), "revision is missing or not a number from 1");
    }
    revision.unwrap_or(1)
}

fn read_scope(section: &Section<'_>, faults: &mut Faults) -> Option<Scope> {
    let text = section.required("scope", faults)?;
    let found = SCOPES.iter().find(|(name, _)| *name == text).map(|(_, scope)| *scope);
    if found.is_none() {
        let hint = suggest(&text, SCOPES.iter().map(|(name, _)| *name));
        section.fault(faults, section.line_of("scope"), format!("unknown scope {text:?}{hint}"));
    }
    found
}

/// A number above 0 that must be there.
pub fn required_number(section: &Section<'_>, key: &str, faults: &mut Faults) -> Option<f64> {
    if !section.has(key) {
        section.fault(faults, section.line, format!("{key} is missing"));
        return None;
    }
    let n = section.float(key, faults)?;
    if n > 0.0 && n.is_finite() {
        return Some(n);
    }
    section.fault(faults, section.line_of(key), format!("{key} is {n}; write a number above 0"));
    None
}
