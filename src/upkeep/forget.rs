//! Forgetting a user, a host or a model.

use super::UpkeepError;
use crate::alert::{Alert, EntityKind};
use crate::content::fault::suggest;
use crate::event::Field;
use crate::state::key::Key;
use crate::state::record::{EntityRecord, SilencedRecord};
use crate::store::{Delta, Store, StoreError, codec};
use serde::{Deserialize, Serialize};
use std::fmt;

/// What is to be forgotten.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Subject {
    /// A user, by key: `corp\jdoe`; case does not count.
    User(String),
    /// A host, by key.
    Host(String),
    /// Everything that a model has learned, by the model's id.
    Model(String),
}

/// What was removed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forgotten {
    /// Users and hosts.
    pub entities: u64,
    /// Instances of models.
    pub instances: u64,
    /// Bins of instances.
    pub bins: u64,
    /// Guards, and counts of alerts that were held back.
    pub guards: u64,
    /// Kept alerts.
    pub alerts: u64,
    /// Snapshots that held it.
    pub snapshots: u64,
    /// Copies of a damaged database that an earlier start has put aside. They may hold it still.
    pub damaged_copies: u64,
}

/// Names that come near, shown when nothing was found.
const NEAR: usize = 5;
/// Bytes of removals in one commit.
const COMMIT_BYTES: usize = 4 << 20;

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Subject::User(key) => write!(f, "the user {key}"),
            Subject::Host(key) => write!(f, "the host {key}"),
            Subject::Model(id) => write!(f, "the model {id}"),
        }
    }
}

/// Removes all records, in as many commits as it takes.
pub(super) fn remove(store: &mut Store, subject: &Subject) -> Result<Forgotten, UpkeepError> {
    let target = Target::of(subject);
    let (mut forgotten, mut near) = (Forgotten::default(), Vec::new());
    loop {
        let mut delta = Delta::default();
        let mut bad = None;
        store.each(|key, value| {
            bad = target.visit(key, value, &mut delta, &mut forgotten, &mut near).err();
            bad.is_none() && delta.bytes() < COMMIT_BYTES
        })?;
        if let Some(what) = bad {
            return Err(StoreError::Invalid { what }.into());
        }
        if delta.is_empty() {
            break;
        }
        store.commit(&mut delta)?;
    }
    if forgotten == Forgotten::default() {
        let hint = match subject {
            Subject::Model(id) => suggest(id, near.iter().map(String::as_str)),
            _ if near.is_empty() => String::new(),
            _ => format!("; did you mean {}?", near.join(" or ")),
        };
        return Err(UpkeepError::NotFound(format!("nothing is known of {subject}{hint}")));
    }
    Ok(forgotten)
}

/// A subject as it stands in keys.
enum Target {
    Entity(EntityKind, Vec<u8>, String),
    Model(String),
}

impl Target {
    fn of(subject: &Subject) -> Target {
        let entity = |kind, key: &str| {
            let key = key.to_lowercase();
            Target::Entity(kind, key.clone().into_bytes(), key)
        };
        match subject {
            Subject::User(key) => entity(EntityKind::User, key),
            Subject::Host(key) => entity(EntityKind::Host, key),
            Subject::Model(id) => Target::Model(id.clone()),
        }
    }

    /// Looks at a record and notes what is to become of it.
    fn visit(
        &self,
        key: &[u8],
        value: &[u8],
        delta: &mut Delta,
        forgotten: &mut Forgotten,
        near: &mut Vec<String>,
    ) -> Result<(), String> {
        let unreadable = |e: &dyn fmt::Display| format!("the record {} cannot be read: {e}", key.escape_ascii());
        let decoded = Key::decode(key).ok_or_else(|| unreadable(&"its key is of no known kind"))?;
        let count = match (&decoded, self) {
            (Key::Entity(kind, name), Target::Entity(wanted, key, text)) if kind == wanted => {
                if name != key {
                    note_near(name, text, near);
                    return Ok(());
                }
                &mut forgotten.entities
            }
            (Key::Instance(kind, name, _), Target::Entity(wanted, key, _)) if (kind, name) == (wanted, key) => {
                &mut forgotten.instances
            }
            (Key::Bin(kind, name, _, _), Target::Entity(wanted, key, _)) if (kind, name) == (wanted, key) => {
                &mut forgotten.bins
            }
            // What peers and the organisation have learned about it: there it is a value.
            (Key::Bin(_, _, _, name), Target::Entity(_, key, _)) if name == key => &mut forgotten.bins,
            (Key::Guard(guard), Target::Entity(wanted, key, _)) if (guard.kind, &guard.entity) == (*wanted, key) => {
                &mut forgotten.guards
            }
            (Key::Suppressed(_, _, kind, name), Target::Entity(wanted, key, _)) if (kind, name) == (wanted, key) => {
                &mut forgotten.guards
            }
            (Key::Alert(_), _) => {
                let alert: Alert = codec::decode(value).map_err(|e| unreadable(&e))?;
                if !self.concerns(&alert) {
                    return Ok(());
                }
                &mut forgotten.alerts
            }
            (Key::Instance(_, _, model), Target::Model(id)) => {
                if model != id {
                    note_model(model, near);
                    return Ok(());
                }
                &mut forgotten.instances
            }
            (Key::Bin(_, _, model, _), Target::Model(id)) if model == id => &mut forgotten.bins,
            // What is learned from here on is learned by whatever definition there is then.
            (Key::Model(model), Target::Model(id)) if model == id => {
                delta.remove(|out| out.extend_from_slice(key));
                return Ok(());
            }
            (Key::Silenced(..), Target::Entity(_, name, _)) => {
                let mut record: SilencedRecord = codec::decode(value).map_err(|e| unreadable(&e))?;
                if record.last_entity == *name {
                    record.last_entity.clear();
                    delta.put(key, &codec::encode(&record));
                }
                return Ok(());
            }
            (Key::Entity(..), Target::Model(id)) => {
                let mut record: EntityRecord = codec::decode(value).map_err(|e| unreadable(&e))?;
                let before = record.once.len();
                record.once.retain(|once| once.0 != *id);
                if record.once.len() < before {
                    delta.put(key, &codec::encode(&record));
                }
                return Ok(());
            }
            _ => return Ok(()),
        };
        *count += 1;
        delta.remove(|out| out.extend_from_slice(key));
        Ok(())
    }

    /// Whether an alert says something about the subject.
    fn concerns(&self, alert: &Alert) -> bool {
        match self {
            Target::Entity(kind, _, text) => {
                let field = if *kind == EntityKind::Host { Field::HostKey } else { Field::UserKey };
                let is_about = alert.entity_kind == *kind && alert.entity == *text;
                is_about || alert.fields.iter().any(|(name, value)| name == field.name() && value == *text)
            }
            Target::Model(id) => alert.evidence.model.as_ref().is_some_and(|m| m.id == *id),
        }
    }
}

/// Remembers a name that may have been meant: one that holds what was typed, or its last part.
fn note_near(name: &[u8], text: &str, near: &mut Vec<String>) {
    let name = String::from_utf8_lossy(name);
    let last = text.rsplit('\\').next().unwrap_or(text);
    let is_near = (!last.is_empty() && name.contains(last)) || suggest(text, [&*name]).starts_with("; did you mean");
    if near.len() < NEAR && is_near && !near.iter().any(|n| *n == name) {
        near.push(name.into_owned());
    }
}

fn note_model(id: &str, near: &mut Vec<String>) {
    if near.len() < NEAR && !near.iter().any(|n| n == id) {
        near.push(id.to_owned());
    }
}
