//! Imports: an export becomes part of a state.
//!
//! Counts are added, days united, times widened; so an export must be counted once: its digest is kept. It is taken in
//! several commits, each of which says how far it got: one that was interrupted goes on where it ended.

use super::UpkeepError;
use super::portable::{Export, Portable, Value};
use crate::calendar::{format_instant, wall_clock_ms};
use crate::model::days::DaySet;
use crate::state::key::{ENTITIES, GUARDS, Key};
use crate::state::record::{
    AgentRecord, BinRecord, EntityRecord, GuardRecord, ImportRecord, InstanceRecord, ModelRecord, SuppressedRecord,
};
use crate::store::{Delta, Store, StoreError, codec};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Bytes of records in one commit.
const COMMIT_BYTES: usize = 4 << 20;

/// What was imported.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Imported {
    /// Records of the export.
    pub records: u64,
    /// Those of them that were new here; the others were merged.
    pub new: u64,
    /// Host name of the collector that it comes from.
    pub host: String,
    /// When it was made, RFC 3339.
    pub exported_at: String,
}

/// Adds an export to a state. Without `merge` the state must not have learned anything.
pub(super) fn import(store: &mut Store, export: &Export, merge: bool) -> Result<Imported, UpkeepError> {
    let key = Key::Import(export.digest.clone());
    let before: Option<ImportRecord> = get(store, &key)?;
    match &before {
        Some(record) if record.done == export.records => {
            let when = format_instant(record.at_ms);
            return Err(UpkeepError::Refused(format!(
                "this export was imported at {when} already; a second time would count everything twice"
            )));
        }
        None if !merge && has_learned(store)? => {
            return Err(UpkeepError::Refused(
                "the state has learned something already; --merge adds the export to it".into(),
            ));
        }
        _ => {}
    }
    let adopted = same_definitions(store, export)?;
    let mut record = before.unwrap_or_default();
    record.host.clone_from(&export.head.host);
    let mut imported = Imported {
        records: export.records,
        new: 0,
        host: export.head.host.clone(),
        exported_at: export.head.exported_at.clone(),
    };
    let mut delta = Delta::default();
    for (key, value) in adopted {
        delta.put(&key.encode(), &codec::encode(&value));
    }
    export.each(record.done, |portable| {
        let key = portable.key.encode();
        let old = store.get(&key)?;
        imported.new += u64::from(old.is_none());
        delta.put(&key, &merged(portable, old.as_deref())?);
        record.done += 1;
        if delta.bytes() >= COMMIT_BYTES {
            commit(store, &mut delta, &export.digest, &mut record)?;
        }
        Ok(())
    })?;
    let mut agent: AgentRecord = get(store, &Key::Agent)?.unwrap_or_default();
    agent.newest_day = agent.newest_day.max(export.newest_day);
    delta.put(&Key::Agent.encode(), &codec::encode(&agent));
    commit(store, &mut delta, &export.digest, &mut record)?;
    Ok(imported)
}

/// Counts of two definitions of a model are not added. Gives the records of models that are new here.
fn same_definitions(store: &Store, export: &Export) -> Result<Vec<(Key, ModelRecord)>, UpkeepError> {
    let (mut new, mut others) = (Vec::new(), Vec::new());
    for (id, (revision, definition)) in &export.head.models {
        let key = Key::Model(id.clone());
        let theirs = ModelRecord { revision: *revision, definition: definition.clone(), anew_since: None };
        match get::<ModelRecord>(store, &key)? {
            None => new.push((key, theirs)),
            Some(ours) if (ours.revision, &ours.definition) == (*revision, definition) => {}
            Some(ours) => others.push(format!("{id} (revision {revision} there, {} here)", ours.revision)),
        }
    }
    if others.is_empty() {
        return Ok(new);
    }
    Err(UpkeepError::Refused(format!(
        "the export was learned by another definition of {}; give both agents the same content and export again",
        others.join(", ")
    )))
}

fn commit(store: &mut Store, delta: &mut Delta, digest: &str, record: &mut ImportRecord) -> Result<(), StoreError> {
    record.at_ms = wall_clock_ms();
    delta.put(&Key::Import(digest.to_owned()).encode(), &codec::encode(record));
    store.commit(delta)?;
    while store.fold_overdue() {
        store.fold_step()?;
    }
    Ok(())
}

fn has_learned(store: &Store) -> Result<bool, StoreError> {
    for prefix in [ENTITIES, GUARDS] {
        if !store.scan(prefix, prefix, 1)?.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}

fn get<T: DeserializeOwned>(store: &Store, key: &Key) -> Result<Option<T>, UpkeepError> {
    store.get(&key.encode())?.map(|value| read(&value)).transpose()
}

fn read<T: DeserializeOwned>(value: &[u8]) -> Result<T, UpkeepError> {
    codec::decode(value).map_err(|e| StoreError::Invalid { what: format!("a record cannot be read: {e}") }.into())
}

/// The value of a record once an export's was added to it.
fn merged(portable: Portable, old: Option<&[u8]>) -> Result<Vec<u8>, UpkeepError> {
    fn with<T: DeserializeOwned + Serialize>(
        new: T,
        old: Option<&[u8]>,
        merge: impl FnOnce(&mut T, T),
    ) -> Result<Vec<u8>, UpkeepError> {
        let Some(old) = old else { return Ok(codec::encode(&new)) };
        let mut both: T = read(old)?;
        merge(&mut both, new);
        Ok(codec::encode(&both))
    }
    match portable.value {
        Value::Entity(new) => with(new, old, entity),
        Value::Instance(new) => with(new, old, |both: &mut InstanceRecord, new| {
            both.latest = both.latest.max(new.latest);
            both.saturated |= new.saturated;
        }),
        Value::Bin(new) => with(new, old, bin),
        Value::Guard(new) => with(new, old, |both: &mut GuardRecord, new| {
            // Both have fired: one more than the repeats of both.
            both.repeats = both.repeats.saturating_add(new.repeats).saturating_add(1);
        }),
        Value::Suppressed(new) => with(new, old, |both: &mut SuppressedRecord, new| {
            both.count = both.count.saturating_add(new.count);
            both.told = both.told.saturating_add(new.told);
        }),
    }
}

fn entity(both: &mut EntityRecord, new: EntityRecord) {
    if new.latest > both.latest && new.department.is_some() || both.department.is_none() {
        both.department = new.department;
    }
    both.latest = both.latest.max(new.latest);
    for (event, days) in new.history {
        match both.history.iter_mut().find(|h| h.0 == event) {
            Some((_, here)) => unite(here, &days),
            None => both.history.push((event, days)),
        }
    }
    for (event, value, days) in new.history_by_value {
        match both.history_by_value.iter_mut().find(|h| h.0 == event && h.1 == value) {
            Some((_, _, here)) => unite(here, &days),
            None => both.history_by_value.push((event, value, days)),
        }
    }
    for (rule, day, value, total) in new.sums {
        match both.sums.iter_mut().find(|s| s.0 == rule && s.1 == day && s.2 == value) {
            Some((_, _, _, here)) => *here = here.saturating_add(total),
            None => both.sums.push((rule, day, value, total)),
        }
    }
    for (model, day, hashes) in new.once {
        match both.once.iter_mut().find(|o| o.0 == model && o.1 == day) {
            Some((_, _, here)) => {
                here.extend(hashes);
                here.sort_unstable();
                here.dedup();
            }
            None => both.once.push((model, day, hashes)),
        }
    }
}

fn unite(here: &mut DaySet, days: &DaySet) {
    for day in days.iter() {
        here.insert(day, u32::MAX);
    }
}

fn bin(both: &mut BinRecord, new: BinRecord) {
    for (day, count) in new.days {
        match both.days.binary_search_by_key(&day, |d| d.0) {
            Ok(at) => {
                if let Some(here) = both.days.get_mut(at) {
                    here.1 = here.1.saturating_add(count);
                }
            }
            Err(at) => both.days.insert(at, (day, count)),
        }
    }
    both.first_ms = both.first_ms.min(new.first_ms);
    both.last_ms = both.last_ms.max(new.last_ms);
}
