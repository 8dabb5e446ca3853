//! sled behind a wall: the only file that names it. Batches that are really durable, and panics of sled turned into errors.
//!
//! sled's own flush writes no file size and flushes no disk cache on Linux, so each batch ends with fdatasync on a second
//! descriptor of the same file. sled panics on some damage and on some errors of the system; every call runs under
//! `catch_unwind`, its message kept quiet. Units: bytes. What this file never does: know what the records mean.

use super::error::StoreError;
use super::nudge::Nudge;
use super::root::{Root, digest_of};
use crate::failpoint::{self, Point};
use std::any::Any;
use std::cell::Cell;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::time::Duration;

/// Key of the root record.
pub(super) const ROOT_KEY: &[u8] = b"r";

/// sled's unit of writing and cleaning. A leaf of full values must stay below a quarter of it (see `envelope`).
const SEGMENT_BYTES: usize = 512 * 1024;

/// sled's page cache. It is spread over 256 shards, each of which keeps at least one leaf, so this is a wish.
const CACHE_BYTES: u64 = 8 << 20;

/// How long to wait for sled's own lock: 200 × 10 ms.
const LOCK_TRIES: u32 = 200;
const LOCK_PAUSE: Duration = Duration::from_millis(10);

/// A value as sled hands it out.
pub(super) type Value = sled::IVec;

/// An open sled directory.
pub(super) struct Engine {
    db: Option<sled::Db>,
    nudge: Option<Nudge>,
    log: File,
    dir: PathBuf,
    state_dir: PathBuf,
}

/// One atomic change, with what it does to the digest.
#[derive(Default)]
pub(super) struct Change {
    batch: sled::Batch,
    digest: u128,
    puts: usize,
    removals: usize,
}

impl Engine {
    /// Whether `dir` holds a data file with anything in it.
    pub(super) fn exists(dir: &Path) -> bool {
        fs::metadata(dir.join("db")).is_ok_and(|m| m.len() > 0)
    }

    /// Opens or creates the sled directory `dir` of the state directory `state_dir`.
    pub(super) fn open(state_dir: &Path, dir: &Path) -> Result<Engine, StoreError> {
        if !dir.exists() {
            fs::DirBuilder::new().mode(0o700).create(dir).map_err(StoreError::create(dir))?;
        }
        remove_unfinished_snapshots(dir)?;
        check_readable(dir)?;
        let config = sled::Config::new()
            .path(dir)
            .use_compression(false)
            .flush_every_ms(None)
            .cache_capacity(CACHE_BYTES)
            .mode(sled::Mode::LowSpace)
            .segment_size(SEGMENT_BYTES);
        let db = open_patiently(state_dir, &config)?;
        let path = dir.join("db");
        let rest = File::open(&path).and_then(|log| Ok((log, nudge(&config, &db)?)));
        match rest {
            Ok((log, nudge)) => {
                let (dir, state_dir) = (dir.to_owned(), state_dir.to_owned());
                Ok(Engine { db: Some(db), nudge: Some(nudge), log, dir, state_dir })
            }
            Err(e) => {
                let _ = close(state_dir, db);
                Err(StoreError::io(&path, "opening")(e))
            }
        }
    }

    /// The value of a sled key.
    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Value>, StoreError> {
        let db = self.db()?;
        guard(&self.state_dir, "reading", || db.get(key))
    }

    /// Every record, in key order.
    pub(super) fn each(&self, mut f: impl FnMut(&[u8], &[u8]) -> Result<(), StoreError>) -> Result<(), StoreError> {
        let mut records = self.db()?.iter();
        while let Some((key, value)) = guard(&self.state_dir, "reading", || records.next().transpose())? {
            f(&key, &value)?;
        }
        Ok(())
    }

    /// Applies a change together with the root; returns when both are on the disk.
    pub(super) fn apply(&self, mut change: Change, root: &mut Root) -> Result<(), StoreError> {
        root.digest = root.digest.wrapping_add(change.digest);
        change.batch.insert(ROOT_KEY, root.seal());
        let db = self.db()?;
        let call = self.nudge.as_ref().map(Nudge::call);
        guard(&self.state_dir, "writing", || {
            db.apply_batch(change.batch)?;
            failpoint::reach(Point::CommitApplied);
            db.flush()
        })?;
        drop(call);
        failpoint::reach(Point::CommitFlushed);
        self.log.sync_data().map_err(StoreError::io(&self.dir, "syncing"))?;
        failpoint::reach(Point::CommitSynced);
        self.check_still_there()
    }

    /// Bytes of the files in the sled directory, and the number of files in `blobs`.
    pub(super) fn disk(&self) -> (u64, u64) {
        let sizes = |dir: &Path| -> Vec<u64> {
            let entries = fs::read_dir(dir).into_iter().flatten().flatten();
            entries.filter_map(|e| e.metadata().ok()).filter(|m| m.is_file()).map(|m| m.len()).collect()
        };
        let blobs = sizes(&self.dir.join("blobs"));
        (sizes(&self.dir).iter().chain(&blobs).sum(), blobs.len() as u64)
    }

    /// Makes the files themselves durable, once after creation.
    pub(super) fn sync_files(&self) -> Result<(), StoreError> {
        let sync = |path: &Path| File::open(path).and_then(|f| f.sync_all());
        let entries = fs::read_dir(&self.dir).map_err(StoreError::io(&self.dir, "listing"))?;
        for entry in entries.flatten() {
            sync(&entry.path()).map_err(StoreError::io(&entry.path(), "syncing"))?;
        }
        sync(&self.dir).map_err(StoreError::io(&self.dir, "syncing"))
    }

    /// Closes sled and opens it again: what a walk over everything has put into its cache is let go only so.
    ///
    /// After an error this engine is closed.
    pub(super) fn reopen(&mut self) -> Result<(), StoreError> {
        let before = self.get(ROOT_KEY)?;
        self.shut()?;
        *self = Engine::open(&self.state_dir, &self.dir)?;
        if self.get(ROOT_KEY)? == before {
            return Ok(());
        }
        Err(StoreError::corrupt(&self.state_dir, "sled reads something else when opened again"))
    }

    /// Closes sled, which writes and syncs what it still holds.
    pub(super) fn close(mut self) -> Result<(), StoreError> {
        self.shut()
    }

    /// Closes sled; this engine answers nothing more.
    pub(super) fn shut(&mut self) -> Result<(), StoreError> {
        let Some(db) = self.db.take() else { return Ok(()) };
        let call = self.nudge.as_ref().map(Nudge::call);
        let flushed = guard(&self.state_dir, "closing", || db.flush());
        drop(call);
        // It holds the database, too.
        self.nudge = None;
        let closed = close(&self.state_dir, db);
        flushed.and(closed)?;
        self.log.sync_data().map_err(StoreError::io(&self.dir, "syncing"))
    }

    fn db(&self) -> Result<&sled::Db, StoreError> {
        self.db.as_ref().ok_or_else(|| StoreError::Failed { path: self.state_dir.clone() })
    }

    /// Does to a record what damage may do: changes it without telling the root.
    #[cfg(test)]
    pub(super) fn meddle(&self, key: &[u8], value: Option<&[u8]>) {
        let db = self.db().unwrap();
        match value {
            Some(value) => db.insert(key, value).unwrap(),
            None => db.remove(key).unwrap(),
        };
        db.flush().unwrap();
    }

    /// A removed or replaced file would take writes and lose them at exit, without an error from sled.
    fn check_still_there(&self) -> Result<(), StoreError> {
        let path = self.dir.join("db");
        let ours = self.log.metadata().map_err(StoreError::io(&path, "looking at"))?;
        let there = fs::metadata(&path).map_err(StoreError::io(&path, "looking for"))?;
        if (ours.dev(), ours.ino()) == (there.dev(), there.ino()) {
            return Ok(());
        }
        let gone = io::Error::new(io::ErrorKind::NotFound, "the file was replaced while in use");
        Err(StoreError::io(&path, "looking for")(gone))
    }
}

impl Drop for Engine {
    /// sled panics in its own drop when the last sync fails; the guard around it does not.
    fn drop(&mut self) {
        let _ = self.shut();
    }
}

impl Change {
    /// Puts a record that is not there yet, or whose old value this change has removed. Returns the value, which shares its memory
    /// with what sled keeps of it, and what it adds to the digest.
    pub(super) fn put(&mut self, key: &[u8], value: Vec<u8>) -> (Value, u128) {
        let digest = digest_of(key, &value);
        self.digest = self.digest.wrapping_add(digest);
        self.puts += 1;
        let value = Value::from(value);
        self.batch.insert(key, value.clone());
        (value, digest)
    }

    /// Removes a record that adds so much to the digest.
    pub(super) fn remove(&mut self, key: &[u8], digest: u128) {
        self.digest = self.digest.wrapping_sub(digest);
        self.removals += 1;
        self.batch.remove(key);
    }

    /// How many keys were put or removed, whichever is more (a page is replaced by removing and putting it).
    pub(super) fn keys(&self) -> usize {
        self.puts.max(self.removals)
    }
}

/// sled's threads may hold the data file, and sled's own lock on it, a moment longer than the database they worked for. No
/// other process can be meant: the caller has the lock of the state directory.
fn open_patiently(state_dir: &Path, config: &sled::Config) -> Result<sled::Db, StoreError> {
    let mut tries = 0;
    loop {
        match guard(state_dir, "opening sled", || config.open()) {
            Err(StoreError::InUse { .. }) if tries < LOCK_TRIES => {
                tries += 1;
                std::thread::sleep(LOCK_PAUSE);
            }
            other => return other,
        }
    }
}

/// sled writes and syncs when its last handle is dropped, and panics when it cannot.
fn close(state_dir: &Path, db: sled::Db) -> Result<(), StoreError> {
    guard(state_dir, "closing", move || {
        drop(db);
        Ok(())
    })
}

/// Once sled has noted an error, a flush fails at once, and before that wakes whoever waits for one.
fn nudge(config: &sled::Config, db: &sled::Db) -> io::Result<Nudge> {
    let (config, db) = (config.clone(), db.clone());
    Nudge::spawn(move || {
        if config.global_error().is_err() {
            let _ = db.flush();
        }
    })
}

/// When a read fails while sled opens, it takes that for damage, and may go as far as to overwrite the head of its file.
/// Reading everything beforehand tells errors of the disk from damage, and leaves the bytes in memory for sled.
fn check_readable(dir: &Path) -> Result<(), StoreError> {
    // A larger one would be new memory, and leave the cache on the way: with 1 MiB this takes four times as long.
    let mut buffer = vec![0; 64 * 1024];
    for entry in fs::read_dir(dir).map_err(StoreError::io(dir, "listing"))?.flatten() {
        let path = entry.path();
        let mut read = || -> io::Result<()> {
            let mut file = File::open(&path)?;
            if file.metadata()?.is_file() {
                while file.read(&mut buffer)? > 0 {}
            }
            Ok(())
        };
        read().map_err(StoreError::io(&path, "reading"))?;
    }
    Ok(())
}

/// sled takes a snapshot file that it was still writing when it was stopped for damage; it holds nothing of value.
fn remove_unfinished_snapshots(dir: &Path) -> Result<(), StoreError> {
    let entries = fs::read_dir(dir).map_err(StoreError::io(dir, "listing"))?;
    for entry in entries.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("snap.") && name.ends_with(".generating") {
            fs::remove_file(entry.path()).map_err(StoreError::io(&entry.path(), "removing"))?;
        }
    }
    Ok(())
}

/// Runs a call of sled; a panic or an error becomes a [`StoreError`].
fn guard<T>(dir: &Path, doing: &'static str, call: impl FnOnce() -> sled::Result<T>) -> Result<T, StoreError> {
    let quiet = Quiet::begin();
    let result = catch_unwind(AssertUnwindSafe(call));
    drop(quiet);
    match result {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(sled::Error::Io(e))) if e.to_string().contains("could not acquire lock") => {
            Err(StoreError::InUse { path: dir.to_owned(), pid: None })
        }
        Ok(Err(sled::Error::Io(e))) => Err(StoreError::Io { path: dir.to_owned(), doing, source: plain(e) }),
        Ok(Err(sled::Error::Corruption { .. })) => {
            Err(StoreError::corrupt(dir, format!("{doing}: the database finds its own file broken")))
        }
        Ok(Err(other)) => Err(StoreError::corrupt(dir, format!("{doing}: {other}"))),
        Err(panic) => Err(match system_error(said(&*panic)) {
            // sled takes some errors of the system for impossible. They are no damage.
            Some(source) => StoreError::Io { path: dir.to_owned(), doing, source },
            None => StoreError::corrupt(dir, format!("{doing}: sled gave up: {}", said(&*panic))),
        }),
    }
}

/// sled passes errors on as the debug form of the system's.
fn plain(e: io::Error) -> io::Error {
    if e.raw_os_error().is_some() {
        return e;
    }
    system_error(&e.to_string()).unwrap_or(e)
}

/// The error of the system that stands in a text of sled: `Io(Os { code: 28, kind: StorageFull, … })`.
fn system_error(text: &str) -> Option<io::Error> {
    let (_, rest) = text.split_once("Os { code: ")?;
    let digits = rest.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok().map(io::Error::from_raw_os_error)
}

/// The first line of what a panic said.
fn said(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no reason given");
    text.lines().next().unwrap_or_default()
}

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// While it lives, panics of this thread print nothing: the call that panics is reported as an error. Panics of sled's own
/// threads become a line of the log.
struct Quiet;

impl Quiet {
    fn begin() -> Quiet {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let before = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |info| {
                if QUIET.get() {
                    return;
                }
                if std::thread::current().name().is_some_and(|n| n.starts_with("sled-io")) {
                    log::warn!("a thread of the database gave up: {}", said(info.payload()));
                } else {
                    before(info);
                }
            }));
        });
        QUIET.set(true);
        Quiet
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        QUIET.set(false);
    }
}
