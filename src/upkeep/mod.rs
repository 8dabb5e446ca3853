//! Changes to a state that nobody has open: of a stopped agent, or of a running one between two runs of its pipeline.
//!
//! Works on the store's records, not on the working set: what is changed is read back by whoever opens the state next. Each
//! change ends durable, or fails and can be repeated; stopping halfway leaves a sound state.

mod definitions;
mod forget;
mod import;
mod portable;

pub use definitions::{Anew, Definition, InLine, bring_in_line};
pub use forget::{Forgotten, Subject};
pub use import::Imported;
pub use portable::{Exported, Head, VERSION, Writer};

use crate::config::Settings;
use crate::state::key::ALERTS;
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
    /// A file cannot be used.
    #[error("{0}")]
    Unreadable(String),
    /// It would do harm.
    #[error("{0}")]
    Refused(String),
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

/// Adds what another agent has learned, from an export. Without `merge` only to a state that has learned nothing.
///
/// # Errors
/// [`UpkeepError::Unreadable`] when the file is no whole export of a known version, [`UpkeepError::Refused`] when it was
/// imported before: nothing was changed then. After any other error the same import goes on where this one ended.
pub fn import(dir: &Path, settings: &Settings, path: &Path, merge: bool) -> Result<Imported, UpkeepError> {
    let export = portable::Export::open(path)?;
    let (mut store, _) = Store::open(dir, &options(settings))?;
    let imported = import::import(&mut store, &export, merge)?;
    store.close()?;
    Ok(imported)
}

/// Whether a file is a whole export that this version reads.
///
/// # Errors
/// [`UpkeepError::Unreadable`].
pub fn verify(path: &Path) -> Result<(), UpkeepError> {
    portable::Export::open(path).map(drop)
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
    Ok(Store::open(dir, &options(settings))?.0)
}

fn options(settings: &Settings) -> StoreOptions {
    StoreOptions {
        max_delta_bytes: settings.limits.max_delta_bytes,
        schema: SCHEMA,
        ascending: ALERTS,
        on_damage: OnDamage::Refuse,
        snapshots_kept: settings.state.snapshots_kept,
    }
}

#[cfg(test)]
mod tests;
