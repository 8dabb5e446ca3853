//! Falling back: a damaged store is moved aside, and the newest sound snapshot, or nothing, takes its place.
//!
//! Nothing is deleted. A note beside the store says what happened until the first commit holds whatever the caller makes of
//! it, so that dying in between loses neither data nor the report. Dying anywhere in between leaves a state that is
//! recognised as damaged again; the witness is there throughout.

use super::bulk::Builder;
use super::engine::Engine;
use super::error::StoreError;
use super::open::{SLED_DIR, load_verified, random_id, sync_dir};
use super::root::Root;
use super::snapshot::{self, About, BadSnapshot, Named};
use super::view::View;
use super::witness::{Testimony, Witness};
use super::{OnDamage, StoreOptions};
use crate::failpoint::{self, Point};
use serde::{Deserialize, Serialize};
use std::fs::{self, DirBuilder, File};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// A new database until it is complete; what an interrupted start leaves there holds nothing.
/// What the names of folders begin with that damaged files are put into.
pub(super) const DAMAGED: &str = "damaged-";

const UNFINISHED: &str = "sled.unfinished";
/// The note about what happened.
const NOTE: &str = "recovery.json";

/// What happened to a store that was found damaged.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recovered {
    /// What was wrong.
    pub what: String,
    /// Where the damaged files are kept, if there were any.
    pub kept: Option<PathBuf>,
    /// The commit of the snapshot that took its place; `None` when the store began anew, empty.
    pub epoch: Option<u64>,
    /// How many commits later than that had been made, where the witness tells.
    pub lost_commits: Option<u64>,
    /// Snapshots that were damaged, too, and why.
    pub passed_over: Vec<String>,
}

/// Puts the newest sound snapshot in the place of a damaged store; an empty store where there is none and the options allow.
pub(super) fn recover(dir: &Path, options: &StoreOptions, what: String) -> Result<View, StoreError> {
    failpoint::reach(Point::RestoreBegun);
    // Who died in the middle of this found out best what was wrong.
    let before = read_note(dir);
    let what = before.as_ref().map_or(what, |note| note.what.clone());
    let (sound, unsound) = soundest(dir, options.schema)?;
    let passed_over: Vec<String> =
        unsound.iter().map(|(found, why)| format!("{}: {why}", found.path.display())).collect();
    if sound.is_none() && options.on_damage != OnDamage::RestoreOrEmpty {
        let rest = if passed_over.is_empty() { String::new() } else { format!(" ({})", passed_over.join("; ")) };
        return Err(StoreError::corrupt(dir, format!("{what}; and there is no sound snapshot to fall back to{rest}")));
    }
    let root = Root {
        id: random_id(),
        schema: sound.as_ref().map_or(options.schema, |(about, _)| about.schema),
        epoch: sound.as_ref().map_or(0, |(about, _)| about.epoch),
        ..Root::default()
    };
    fill(dir, &unfinished(dir)?, sound.as_ref().map(|(_, path)| path.as_path()), root.clone())?;
    failpoint::reach(Point::RestoreCopied);
    let last = match Witness::hear(dir)? {
        Testimony::Of { epoch, .. } => Some(epoch),
        Testimony::Absent | Testimony::Unreadable => None,
    };
    let epoch = sound.as_ref().map(|(about, _)| about.epoch);
    // Without a database, an earlier attempt has moved it aside already, and perhaps brought the witness down.
    let resumed = !dir.join(SLED_DIR).exists();
    let lost_before = before.as_ref().filter(|_| resumed).and_then(|note| note.lost_commits);
    let kept = if !resumed || !unsound.is_empty() { Some(next_free(dir)) } else { before.and_then(|note| note.kept) };
    let note = Recovered {
        what,
        kept: kept.clone(),
        epoch,
        lost_commits: lost_before.or(epoch.zip(last).map(|(epoch, last)| last.saturating_sub(epoch))),
        passed_over,
    };
    write_note(dir, &note)?;
    if let Some(kept) = &kept {
        move_aside(dir, kept, &unsound)?;
    }
    failpoint::reach(Point::RestoreMoved);
    drop(Witness::open(dir, root.id, root.epoch)?);
    let (from, to) = (dir.join(UNFINISHED), dir.join(SLED_DIR));
    fs::rename(&from, &to).map_err(StoreError::io(&from, "renaming"))?;
    sync_dir(dir)?;
    failpoint::reach(Point::RestorePlaced);
    load_verified(dir, options.schema)
}

/// The note of a recovery that no commit has followed yet.
pub(super) fn read_note(dir: &Path) -> Option<Recovered> {
    serde_json::from_slice(&fs::read(dir.join(NOTE)).ok()?).ok()
}

/// A commit has followed: the note has done its duty.
pub(super) fn remove_note(dir: &Path) -> Result<(), StoreError> {
    let path = dir.join(NOTE);
    match fs::remove_file(&path) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(StoreError::io(&path, "removing")(e)),
        _ => Ok(()),
    }
}

/// Builds a verified copy of a snapshot's records, as a sled directory of its own, for reading.
pub(super) fn build_from(snapshot: &Path, state_dir: &Path, sled_dir: &Path) -> Result<About, StoreError> {
    let unsound = |e: BadSnapshot| of_snapshot(snapshot, e);
    let about = snapshot::verify(snapshot, u16::MAX).map_err(unsound)?;
    let root = Root { id: about.id, schema: about.schema, epoch: about.epoch, ..Root::default() };
    fill(state_dir, sled_dir, Some(snapshot), root)?;
    Ok(about)
}

fn of_snapshot(path: &Path, e: BadSnapshot) -> StoreError {
    match e {
        BadSnapshot::Damaged(what) => StoreError::BadSnapshot { path: path.to_owned(), what },
        BadSnapshot::Newer { what, found, ours } => StoreError::Newer { path: path.to_owned(), what, found, ours },
        BadSnapshot::Io(e) => StoreError::io(path, "reading")(e),
    }
}

/// A snapshot that is damaged, and how.
type Unsound = (Named, &'static str);
/// A snapshot that verified.
type Sound = (About, PathBuf);

/// The newest snapshot that verifies, and the damaged ones that are newer. What cannot be used for another reason than damage
/// is an error: it may be sound.
fn soundest(dir: &Path, schema: u16) -> Result<(Option<Sound>, Vec<Unsound>), StoreError> {
    let mut unsound = Vec::new();
    for found in snapshot::list(dir) {
        match snapshot::verify(&found.path, schema) {
            Ok(about) => return Ok((Some((about, found.path)), unsound)),
            Err(BadSnapshot::Damaged(what)) => unsound.push((found, what)),
            Err(other) => return Err(of_snapshot(&found.path, other)),
        }
    }
    Ok((None, unsound))
}

/// The place of a new database, empty.
pub(super) fn unfinished(dir: &Path) -> Result<PathBuf, StoreError> {
    let path = dir.join(UNFINISHED);
    if path.exists() {
        fs::remove_dir_all(&path).map_err(StoreError::io(&path, "removing"))?;
    }
    Ok(path)
}

/// Moves aside what stands in the place of a database and is none: nothing was ever committed there.
pub(super) fn set_aside(dir: &Path) -> Result<(), StoreError> {
    let entries = fs::read_dir(dir.join(SLED_DIR)).into_iter().flatten();
    if entries.count() == 0 { Ok(()) } else { move_aside(dir, &next_free(dir), &[]) }
}

fn fill(state_dir: &Path, sled_dir: &Path, snapshot: Option<&Path>, root: Root) -> Result<(), StoreError> {
    let engine = Engine::open(state_dir, sled_dir)?;
    let mut builder = Builder::new(&engine, root);
    if let Some(path) = snapshot {
        let mut failed = None;
        let read = snapshot::read(path, u16::MAX, |key, value| {
            builder.push(key, value).map_err(|e| {
                failed = Some(e);
                BadSnapshot::Damaged("")
            })
        });
        if let Some(e) = failed {
            return Err(e);
        }
        read.map_err(|e| of_snapshot(path, e))?;
    }
    builder.finish()?;
    engine.close()
}

/// The damaged files under a name of their own: the database, a copy of the witness, and damaged snapshots. A snapshot that is
/// newer than the store would speak against it from then on.
fn move_aside(dir: &Path, kept: &Path, unsound: &[Unsound]) -> Result<(), StoreError> {
    let make = |path: &Path| match DirBuilder::new().mode(0o700).create(path) {
        Err(e) if e.kind() != ErrorKind::AlreadyExists => Err(StoreError::create(path)(e)),
        _ => Ok(()),
    };
    make(kept)?;
    let witness = dir.join("witness");
    if witness.exists() {
        fs::copy(&witness, kept.join("witness")).map_err(StoreError::io(&witness, "copying"))?;
    }
    let mut moves = vec![(dir.join(SLED_DIR), kept.join(SLED_DIR))];
    if !unsound.is_empty() {
        let folder = snapshot::folder(kept);
        make(&folder)?;
        for (found, _) in unsound {
            moves.extend(found.path.file_name().map(|name| (found.path.clone(), folder.join(name))));
        }
    }
    for (from, to) in moves {
        if from.exists() {
            fs::rename(&from, &to).map_err(StoreError::io(&from, "renaming"))?;
        }
    }
    sync_dir(kept)?;
    sync_dir(dir)
}

fn next_free(dir: &Path) -> PathBuf {
    let name = |n: u32| dir.join(format!("{DAMAGED}{n}"));
    (1..u32::MAX).map(name).find(|to| !to.exists()).unwrap_or_else(|| name(0))
}

fn write_note(dir: &Path, note: &Recovered) -> Result<(), StoreError> {
    let path = dir.join(NOTE);
    let unfinished = dir.join("recovery.json.unfinished");
    let text = serde_json::to_vec_pretty(note).unwrap_or_default();
    let mut options = File::options();
    let mut file = options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&unfinished)
        .map_err(StoreError::create(&unfinished))?;
    file.write_all(&text).and_then(|()| file.sync_all()).map_err(StoreError::io(&unfinished, "writing"))?;
    fs::rename(&unfinished, &path).map_err(StoreError::io(&path, "renaming"))?;
    sync_dir(dir)
}
