//! Reading the store of a stopped agent without touching it: sled writes when it opens, so a private copy is opened.
//!
//! The copy lies in the directory for temporary files, mode 0700, and is removed when the [`ReadStore`] is dropped. A shared
//! lock keeps an agent from starting while the files are copied. What this file never does: write into the state directory.

use super::error::StoreError;
use super::lock::Lock;
use super::open::{SLED_DIR, load, random_id};
use super::snapshot::{self, Snapshots};
use super::view::View;
use super::witness::{Testimony, Witness};
use super::{Record, StoreStats, recovery};
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

/// A verified copy of a stopped store.
pub struct ReadStore {
    view: View, // dropped before the copy is removed
    snapshots: Snapshots,
    _copy: PrivateDir,
}

/// Opens a copy of the store of a stopped agent, whatever the schema of its records: see [`ReadStore::check_schema`].
///
/// # Errors
/// [`StoreError::InUse`] while an agent runs on it, [`StoreError::Missing`] when there is nothing, [`StoreError::Corrupt`] or
/// [`StoreError::Newer`] as when opening.
pub fn read_stopped(dir: &Path) -> Result<ReadStore, StoreError> {
    let missing = || StoreError::Missing { path: dir.to_owned() };
    let sled_dir = dir.join(SLED_DIR);
    if !fs::exists(sled_dir.join("db")).map_err(StoreError::io(&sled_dir, "looking into"))? {
        return Err(match Witness::hear(dir)? {
            Testimony::Absent => missing(),
            Testimony::Of { .. } | Testimony::Unreadable => {
                of_original(StoreError::corrupt(dir, "the database is gone"), dir)
            }
        });
    }
    let lock = Lock::shared(dir)?;
    let copy = PrivateDir::make()?;
    let copied = copy.path.join(SLED_DIR);
    copy_files(&sled_dir, &copied).map_err(StoreError::io(&sled_dir, "copying"))?;
    let testimony = Witness::hear(dir)?;
    drop(lock);
    let mut view =
        load(&copied, &copied, u16::MAX, &testimony).map_err(|e| of_original(e, dir))?.ok_or_else(missing)?;
    view.dir = dir.to_owned();
    Ok(ReadStore { view, snapshots: Snapshots::of(dir), _copy: copy })
}

/// Opens a copy of what a snapshot holds.
///
/// # Errors
/// [`StoreError::BadSnapshot`] when it is damaged, [`StoreError::Newer`], or [`StoreError::Io`].
pub fn read_snapshot(path: &Path) -> Result<ReadStore, StoreError> {
    let copy = PrivateDir::make()?;
    let sled_dir = copy.path.join(SLED_DIR);
    recovery::build_from(path, &copy.path, &sled_dir)?;
    let mut view = load(&copy.path, &sled_dir, u16::MAX, &Testimony::Absent)?
        .ok_or_else(|| StoreError::Missing { path: path.to_owned() })?;
    view.dir = path.to_owned();
    Ok(ReadStore { view, snapshots: Snapshots::default(), _copy: copy })
}

impl ReadStore {
    /// Whether the records can be read by a program whose newest schema is `ours`.
    ///
    /// # Errors
    /// [`StoreError::Newer`] if not.
    pub fn check_schema(&self, ours: u16) -> Result<(), StoreError> {
        let found = self.view.root.schema;
        if found <= ours {
            return Ok(());
        }
        Err(StoreError::Newer { path: self.view.dir.clone(), what: "schema", found, ours })
    }

    /// The live value of a key.
    ///
    /// # Errors
    /// As [`super::Store::get`].
    pub fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.view.get(key)
    }

    /// Live records, as [`super::Store::scan`].
    ///
    /// # Errors
    /// As [`super::Store::scan`].
    pub fn scan(&self, from: &[u8], prefix: &[u8], max_bytes: usize) -> Result<Vec<Record>, StoreError> {
        self.view.scan(from, prefix, max_bytes)
    }

    /// Sizes and epoch.
    pub fn stats(&self) -> StoreStats {
        self.snapshots.with(self.view.stats())
    }
}

/// Damage is reported as of the directory that the user knows, with what helps a reader.
fn of_original(error: StoreError, dir: &Path) -> StoreError {
    match error {
        StoreError::Corrupt { what, advice, .. } => {
            let advice = match snapshot::list(dir).first() {
                Some(newest) => format!(
                    "the agent falls back to a sound snapshot when it starts; --state {} reads the newest",
                    newest.path.display()
                ),
                None => advice,
            };
            StoreError::Corrupt { path: dir.to_owned(), what, advice }
        }
        StoreError::Newer { what, found, ours, .. } => StoreError::Newer { path: dir.to_owned(), what, found, ours },
        other => other,
    }
}

/// Copies the regular files of a sled directory; files that it was still writing are left out.
fn copy_files(from: &Path, to: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let unfinished = entry.file_name().to_string_lossy().ends_with(".generating");
        if entry.file_type()?.is_file() && !unfinished {
            fs::copy(entry.path(), to.join(entry.file_name()))?;
        }
    }
    Ok(())
}

/// A directory of our own that is removed with everything in it.
struct PrivateDir {
    path: PathBuf,
}

/// What the names of these directories begin with; the process id follows.
const PRIVATE: &str = "exfil-agent-copy-";

impl PrivateDir {
    fn make() -> Result<PrivateDir, StoreError> {
        remove_left_behind();
        let random = u128::from_le_bytes(random_id());
        let path = std::env::temp_dir().join(format!("{PRIVATE}{}-{random:032x}", std::process::id()));
        DirBuilder::new().mode(0o700).create(&path).map_err(StoreError::create(&path))?;
        Ok(PrivateDir { path })
    }
}

/// Removes copies whose process was killed before it could do so itself.
fn remove_left_behind() {
    let me = rustix::process::geteuid().as_raw();
    for entry in fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let pid = name.to_str().and_then(|n| n.strip_prefix(PRIVATE)?.split_once('-')?.0.parse::<u32>().ok());
        let ours = entry.metadata().is_ok_and(|m| m.is_dir() && m.uid() == me);
        if let (Some(pid), true) = (pid, ours)
            && !Path::new("/proc").join(pid.to_string()).exists()
        {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

impl Drop for PrivateDir {
    fn drop(&mut self) {
        if let Err(e) = fs::remove_dir_all(&self.path) {
            log::warn!("{}: cannot remove the copy of the state: {e}; remove it by hand", self.path.display());
        }
    }
}
