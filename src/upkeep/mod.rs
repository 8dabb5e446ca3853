//! Changes to a state that nobody has open: of a stopped agent, or of a running one between two runs of its pipeline.
//!
//! Works on the store's records, not on the working set: what is changed is read back by whoever opens the state next. Each
//! change ends durable, or fails and can be repeated; stopping halfway leaves a sound state.

mod forget;

pub use forget::{Forgotten, Subject};

use crate::config::Settings;
use crate::state::record::SCHEMA;
use crate::store::{OnDamage, Store, StoreError, StoreOptions};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// What writing the database anew has brought.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compacted {
    /// Size before, bytes.
    pub before_bytes: u64,
    /// Size after, bytes.
    pub after_bytes: u64,
}

/// Why a state was not changed.
#[derive(Debug, thiserror::Error)]
pub enum UpkeepError {
    /// The store refuses, or cannot be written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is nothing to change.
    #[error("{0}")]
    NotFound(String),
}

/// Writes the database of a state anew, whether it is worth it or not.
///
/// # Errors
/// When there is no state, it is in use or damaged, or the disk is full. The state is as it was then.
pub fn compact(dir: &Path, settings: &Settings) -> Result<Compacted, UpkeepError> {
    let mut store = open(dir, settings)?;
    let compacted = rewrite(&mut store)?;
    store.close()?;
    Ok(compacted)
}

/// Removes what was learned about somebody: records, guards, kept alerts; then the snapshots that still hold it, and the old
/// database with its traces. Alerts that were delivered are not the agent's any more.
///
/// # Errors
/// [`UpkeepError::NotFound`] when nothing is known, with the names that come near. Else as [`compact`].
pub fn forget(dir: &Path, settings: &Settings, subject: &Subject) -> Result<Forgotten, UpkeepError> {
    let mut store = open(dir, settings)?;
    let mut forgotten = forget::remove(&mut store, subject)?;
    forgotten.snapshots = store.replace_snapshots()?;
    rewrite(&mut store)?;
    forgotten.damaged_copies = Store::damaged_copies(dir);
    store.close()?;
    Ok(forgotten)
}

fn rewrite(store: &mut Store) -> Result<Compacted, StoreError> {
    let before_bytes = store.stats().disk_bytes;
    store.compact()?;
    Ok(Compacted { before_bytes, after_bytes: store.stats().disk_bytes })
}

fn open(dir: &Path, settings: &Settings) -> Result<Store, UpkeepError> {
    if !Store::exists(dir) {
        return Err(UpkeepError::NotFound(format!("there is no state in {}", dir.display())));
    }
    let options = StoreOptions {
        max_delta_bytes: settings.limits.max_delta_bytes,
        schema: SCHEMA,
        on_damage: OnDamage::Refuse,
        snapshots_kept: settings.state.snapshots_kept,
    };
    Ok(Store::open(dir, &options)?.0)
}
