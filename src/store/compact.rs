//! Compaction: all records are written into a new database, which takes the place of the old one at once.
//!
//! sled's file keeps what it once grew to. The new database is whole and durable under another name before the two change
//! places; dying anywhere leaves one or the other, with the same commit. What this file never does: decide when.

use super::bulk::Builder;
use super::engine::Engine;
use super::error::StoreError;
use super::open::{SLED_DIR, load_verified, sync_dir};
use super::recovery::unfinished;
use super::root::Root;
use super::snapshot;
use super::view::View;
use crate::failpoint::{self, Point};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Writes all records of a store into a new database beside it; returns where. What is written of them on the way, a snapshot,
/// is finished first.
pub(super) fn build(view: &View, snapshot: Option<snapshot::Writer>) -> Result<PathBuf, StoreError> {
    let place = unfinished(&view.dir)?;
    let built = write(view, &place, snapshot);
    if built.is_err() {
        // A full disk must not be filled by what nobody can use.
        let _ = fs::remove_dir_all(&place);
    }
    built.map(|()| place)
}

fn write(view: &View, place: &Path, mut snapshot: Option<snapshot::Writer>) -> Result<(), StoreError> {
    let engine = Engine::open(&view.dir, place)?;
    let root = Root { id: view.root.id, schema: view.root.schema, epoch: view.root.epoch, ..Root::default() };
    let mut builder = Builder::new(&engine, root);
    let mut pushed = Ok(());
    view.each(b"", b"", |key, value| {
        let noted = snapshot.as_mut().map_or(Ok(()), |snapshot| snapshot.push(key, value));
        pushed = noted.and_then(|()| builder.push(key, value));
        pushed.is_ok()
    })?;
    pushed?;
    snapshot.map(snapshot::Writer::finish).transpose()?;
    builder.finish()?;
    engine.close()?;
    failpoint::reach(Point::CompactBuilt);
    Ok(())
}

/// The new database changes places with the old one, which is removed. After an error the store must be opened again.
pub(super) fn exchange(view: &mut View, new: &Path) -> Result<(), StoreError> {
    let place = view.dir.join(SLED_DIR);
    view.engine.shut()?;
    renameat_with(CWD, new, CWD, &place, RenameFlags::EXCHANGE)
        .map_err(io::Error::from)
        .map_err(StoreError::io(&place, "exchanging"))?;
    sync_dir(&view.dir)?;
    failpoint::reach(Point::CompactExchanged);
    *view = load_verified(&view.dir, view.root.schema)?;
    // What cannot be removed now is removed at the next start.
    let _ = fs::remove_dir_all(new);
    Ok(())
}
