//! The definitions by which models have learned, kept with what they learned: two definitions are never mixed.
//!
//! A model of the same definition goes on. One of another revision forgets what it has learned and begins anew. One whose
//! definition changed under the same revision is refused: nobody has said whether what was learned still holds.

use super::UpkeepError;
use crate::calendar::Day;
use crate::state::key::{ENTITIES, Key};
use crate::state::record::{AgentRecord, EntityRecord, ModelRecord};
use crate::store::{Delta, Store, StoreError, codec};
use serde::de::DeserializeOwned;

/// Bytes of records that are looked at in one go: what leaves of them is one commit.
const PAGE_BYTES: usize = 4 << 20;

/// A model as the content defines it.
#[derive(Clone, Debug)]
pub struct Definition {
    /// Its id.
    pub id: String,
    /// Its revision.
    pub revision: u32,
    /// Digest of what it learns.
    pub digest: String,
    /// The file that defines it.
    pub file: String,
}

/// A model that learns anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Anew {
    /// The model.
    pub model: String,
    /// The revision by which it had learned; 0 when an earlier start was interrupted here.
    pub from: u32,
    /// Its revision now.
    pub to: u32,
    /// Instances that left.
    pub instances: u64,
    /// Since when, by the newest event day.
    pub since: Option<Day>,
}

/// What is to be done about definitions besides what was done.
#[derive(Debug, Default)]
pub struct InLine {
    /// Models that learn anew.
    pub anew: Vec<Anew>,
    /// Records of models that the state did not know, for the next commit.
    pub adopted: Vec<(Key, ModelRecord)>,
}

/// Brings what models have learned in line with their definitions, each commit of which is sound: who is interrupted goes on
/// at the next start.
///
/// # Errors
/// [`UpkeepError::Refused`] with every model whose definition changed without a new revision: nothing has changed then.
pub fn bring_in_line(store: &mut Store, models: &[Definition]) -> Result<InLine, UpkeepError> {
    let agent: AgentRecord = get(store, &Key::Agent)?.unwrap_or_default();
    let (mut refused, mut changed, mut in_line) = (Vec::new(), Vec::new(), InLine::default());
    for model in models {
        let key = Key::Model(model.id.clone());
        let Some(record) = get::<ModelRecord>(store, &key)? else {
            // The first start with this model, or with a state of before definitions were kept.
            in_line.adopted.push((key, model.record(None)));
            continue;
        };
        if record.revision == model.revision && record.definition != model.digest {
            refused.push(format!(
                "model {} ({}): its definition is not the one by which it has learned, but it has the same revision {}; \
                 give it a new revision: it will be learned anew",
                model.id, model.file, model.revision
            ));
        } else if record.revision != model.revision {
            changed.push((model, record));
        }
    }
    if !refused.is_empty() {
        return Err(UpkeepError::Refused(refused.join("\n")));
    }
    for (model, before) in changed {
        let since = if before.revision == 0 { before.anew_since } else { agent.newest_day };
        // From here on it has no definition: whoever starts next, with whatever content, ends what is begun here.
        let leaving = ModelRecord { anew_since: since, ..ModelRecord::default() };
        put(store, &model.id, &leaving)?;
        let instances = forget_learned(store, &model.id)?;
        put(store, &model.id, &model.record(since))?;
        let anew = Anew { model: model.id.clone(), from: before.revision, to: model.revision, instances, since };
        in_line.anew.push(anew);
    }
    Ok(in_line)
}

impl Definition {
    fn record(&self, anew_since: Option<Day>) -> ModelRecord {
        ModelRecord { revision: self.revision, definition: self.digest.clone(), anew_since }
    }
}

/// Removes instances, bins and marks of a model. Returns how many instances there were.
fn forget_learned(store: &mut Store, id: &str) -> Result<u64, UpkeepError> {
    let (mut from, mut instances) = (ENTITIES.to_vec(), 0);
    loop {
        let page = store.scan(&from, ENTITIES, PAGE_BYTES)?;
        let Some((last, _)) = page.last() else { return Ok(instances) };
        from.clear();
        from.extend_from_slice(last);
        from.push(0);
        let mut delta = Delta::default();
        for (key, value) in &page {
            match Key::decode(key) {
                Some(Key::Instance(_, _, model)) if model == id => {
                    instances += 1;
                    delta.remove(|out| out.extend_from_slice(key));
                }
                Some(Key::Bin(_, _, model, _)) if model == id => delta.remove(|out| out.extend_from_slice(key)),
                Some(Key::Entity(..)) => {
                    let mut record: EntityRecord = read(value)?;
                    let before = record.once.len();
                    record.once.retain(|once| once.0 != id);
                    if record.once.len() < before {
                        delta.put(key, &codec::encode(&record));
                    }
                }
                _ => {}
            }
        }
        if !delta.is_empty() {
            commit(store, &mut delta)?;
        }
    }
}

fn put(store: &mut Store, id: &str, record: &ModelRecord) -> Result<(), UpkeepError> {
    let mut delta = Delta::default();
    delta.put(&Key::Model(id.to_owned()).encode(), &codec::encode(record));
    commit(store, &mut delta)
}

fn commit(store: &mut Store, delta: &mut Delta) -> Result<(), UpkeepError> {
    store.commit(delta)?;
    while store.fold_overdue() {
        store.fold_step()?;
    }
    Ok(())
}

fn get<T: DeserializeOwned>(store: &Store, key: &Key) -> Result<Option<T>, UpkeepError> {
    store.get(&key.encode())?.map(|value| read(&value)).transpose()
}

fn read<T: DeserializeOwned>(value: &[u8]) -> Result<T, UpkeepError> {
    codec::decode(value).map_err(|e| StoreError::Invalid { what: format!("a record cannot be read: {e}") }.into())
}

#[cfg(test)]
#[path = "definitions_tests.rs"]
mod tests;
