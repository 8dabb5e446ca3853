//! Opening: everything in sled is read once and must add up to what was committed last, or the store does not open.
//!
//! Checked are the envelope of every record, the digest and the counts in the root, and the witness beside the directory.
//! What this file never does: repair. `recovery` puts something sound in the place of what is damaged, if it may.

use super::engine::{Change, Engine, ROOT_KEY};
use super::envelope::{Kind, Part, part};
use super::error::StoreError;
use super::lock::Lock;
use super::overlay::Overlay;
use super::page::{self, DELTA, Index, PAGE, parse_key};
use super::root::{BadRoot, Root, StoreId, digest_of};
use super::unpacking::{Stored, Unpacked, unpack_beside};
use super::view::{DeltaRef, View};
use super::witness::{Testimony, Witness};
use super::{Known, OnDamage, Opened, StoreOptions};
use super::{recovery, snapshot};
use crate::failpoint::{self, Point};
use std::collections::VecDeque;
use std::fs::{self, DirBuilder, File};
use std::hash::{BuildHasher, RandomState};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::thread;

/// Name of the sled directory in a state directory.
pub(super) const SLED_DIR: &str = "sled";

/// What an opened writer is made of.
pub(super) struct Parts {
    pub view: View,
    pub witness: Witness,
    pub lock: Lock,
    pub opened: Opened,
}

/// Opens a state directory for writing, creating it if it is not there.
pub(super) fn open(dir: &Path, options: &StoreOptions) -> Result<Parts, StoreError> {
    make_dir(dir)?;
    let lock = Lock::exclusive(dir)?;
    failpoint::reach(Point::OpenLocked);
    let (view, created) = match load_or_create(dir, options) {
        Err(StoreError::Corrupt { what, .. }) if options.on_damage != OnDamage::Refuse => {
            (recovery::recover(dir, options, what)?, false)
        }
        other => other?,
    };
    failpoint::reach(Point::OpenVerified);
    // What an interrupted start or compaction has left takes room for nothing.
    recovery::unfinished(dir)?;
    let witness_renewed = !created && !matches!(Witness::hear(dir)?, Testimony::Of { .. });
    let witness = Witness::open(dir, view.root.id, view.root.epoch)?;
    snapshot::prune(dir, usize::MAX)?;
    let opened = Opened {
        epoch: view.root.epoch,
        schema: view.root.schema,
        created,
        records: view.records(),
        witness_renewed,
        recovered: recovery::read_note(dir),
    };
    Ok(Parts { view, witness, lock, opened })
}

fn load_or_create(dir: &Path, options: &StoreOptions) -> Result<(View, bool), StoreError> {
    let testimony = Witness::hear(dir)?;
    let sled_dir = dir.join(SLED_DIR);
    let there = Engine::exists(&sled_dir);
    if !there && testimony != Testimony::Absent {
        return Err(StoreError::corrupt(dir, "the database is gone"));
    }
    let newest = snapshot::list(dir).first().map(|s| s.epoch);
    let loaded = match there.then(|| load(dir, &sled_dir, options.schema, &testimony)).transpose() {
        // A read that failed once may look like damage. Real damage is still there at the second look.
        Err(StoreError::Corrupt { .. }) => load(dir, &sled_dir, options.schema, &testimony)?,
        other => other?.flatten(),
    };
    match (loaded, newest) {
        // A second witness, should the first be lost together with the last commits.
        (Some(view), Some(newest)) if newest > view.root.epoch => {
            let epoch = view.root.epoch;
            let what = format!("the data is as of commit {epoch}, but there is a snapshot of commit {newest}");
            Err(StoreError::corrupt(dir, what))
        }
        (Some(view), _) => Ok((view, false)),
        (None, Some(_)) => {
            Err(StoreError::corrupt(dir, "there are snapshots, but the database and the witness file are gone"))
        }
        (None, None) if testimony == Testimony::Absent => Ok((create(dir, options.schema)?, true)),
        (None, None) => Err(StoreError::corrupt(dir, "the data is empty, but the witness file says otherwise")),
    }
}

/// Opens the store that this process had open a moment ago, and no other one: makes nothing, moves nothing, starts nothing anew.
/// The caller knows more than an older state does.
pub(super) fn open_again(dir: &Path, schema: u16, known: &Known) -> Result<Parts, StoreError> {
    try_again(dir, schema, known).map_err(|e| match e {
        StoreError::Corrupt { path, what, .. } => {
            let advice = "start the agent again: it falls back to the newest sound snapshot".into();
            StoreError::Corrupt { path, what, advice }
        }
        other => other,
    })
}

fn try_again(dir: &Path, schema: u16, known: &Known) -> Result<Parts, StoreError> {
    let gone = || StoreError::Gone { path: dir.to_owned() };
    let sled_dir = dir.join(SLED_DIR);
    if !dir.is_dir() || !Engine::exists(&sled_dir) {
        return Err(gone());
    }
    let testimony = Witness::hear(dir)?;
    if !matches!(testimony, Testimony::Of { id, .. } if id == known.id) {
        return Err(gone());
    }
    let lock = Lock::exclusive(dir)?;
    let view = load(dir, &sled_dir, schema, &testimony)?.ok_or_else(gone)?;
    // A commit of which nobody knows how it ended is there or is not.
    if view.root.epoch != known.epoch && view.root.epoch != known.epoch + 1 {
        let what = format!("the data is as of commit {}, but commit {} was made", view.root.epoch, known.epoch);
        return Err(StoreError::corrupt(dir, what));
    }
    let witness = Witness::open(dir, view.root.id, view.root.epoch)?;
    let opened = Opened {
        epoch: view.root.epoch,
        schema: view.root.schema,
        records: view.records(),
        recovered: recovery::read_note(dir),
        ..Opened::default()
    };
    Ok(Parts { view, witness, lock, opened })
}

/// Loads what must be there and sound.
pub(super) fn load_verified(dir: &Path, schema: u16) -> Result<View, StoreError> {
    let testimony = Witness::hear(dir)?;
    load(dir, &dir.join(SLED_DIR), schema, &testimony)?.ok_or_else(|| StoreError::corrupt(dir, "the data is empty"))
}

/// Reads and verifies the store in `sled_dir`. `None` when it holds nothing at all.
pub(super) fn load(
    dir: &Path,
    sled_dir: &Path,
    schema: u16,
    testimony: &Testimony,
) -> Result<Option<View>, StoreError> {
    let engine = Engine::open(dir, sled_dir)?;
    let root = match engine.get(ROOT_KEY)?.map(|value| Root::unseal(&value)) {
        Some(Ok(root)) => root,
        Some(Err(BadRoot::Broken(what))) => return Err(StoreError::corrupt(dir, what)),
        Some(Err(BadRoot::Newer(found))) => return Err(newer(dir, "format", found, super::envelope::FORMAT)),
        None => {
            let mut empty = true;
            engine.each(|_, _| {
                empty = false;
                Ok(())
            })?;
            return if empty { Ok(None) } else { Err(StoreError::corrupt(dir, "the root record is missing")) };
        }
    };
    if root.schema > schema {
        return Err(newer(dir, "schema", root.schema, schema));
    }
    let mut survey = Survey::new(dir, root.folded);
    let has_cores = thread::available_parallelism().is_ok_and(|cores| cores.get() > 1);
    let Unpacked { overlay, lens } = unpack_beside(dir, has_cores, |unpack| {
        engine.each(|key, value| if key == ROOT_KEY { Ok(()) } else { survey.visit(key, value, unpack) })
    })?;
    survey.check(&root)?;
    match testimony {
        Testimony::Of { id, .. } if *id != root.id => {
            return Err(StoreError::corrupt(dir, "the data belongs to another store than the witness file"));
        }
        Testimony::Of { epoch, .. } if *epoch > root.epoch => {
            let what = format!("the data is as of commit {}, but commit {epoch} was made", root.epoch);
            return Err(StoreError::corrupt(dir, what));
        }
        _ => {}
    }
    let Survey { index, mut deltas, .. } = survey;
    for (delta, bytes) in deltas.iter_mut().filter(|delta| delta.epoch > root.folded).zip(lens) {
        delta.bytes = bytes;
    }
    let mut view = View { dir: dir.to_owned(), engine, root, index, overlay, deltas, delta_bytes: 0 };
    view.recount();
    Ok(Some(view))
}

/// Makes a new store under another name and gives it its place when it is whole and durable: a full disk must not leave
/// half a database. The witness follows, so that it never stands alone.
fn create(dir: &Path, schema: u16) -> Result<View, StoreError> {
    recovery::set_aside(dir)?;
    let unfinished = recovery::unfinished(dir)?;
    let engine = Engine::open(dir, &unfinished)?;
    let mut root = Root { id: random_id(), schema, ..Root::default() };
    engine.apply(Change::default(), &mut root)?;
    engine.sync_files()?;
    engine.close()?;
    let place = dir.join(SLED_DIR);
    fs::rename(&unfinished, &place).map_err(StoreError::io(&place, "making"))?;
    sync_dir(dir)?;
    failpoint::reach(Point::OpenCreated);
    let engine = Engine::open(dir, &place)?;
    let (index, overlay, deltas) = (Index::default(), Overlay::default(), VecDeque::default());
    Ok(View { dir: dir.to_owned(), engine, root, index, overlay, deltas, delta_bytes: 0 })
}

fn make_dir(dir: &Path) -> Result<(), StoreError> {
    if dir.is_dir() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(StoreError::create(dir))?;
    let parent = dir.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    sync_dir(parent)
}

/// Makes the names in a directory durable.
pub(super) fn sync_dir(dir: &Path) -> Result<(), StoreError> {
    File::open(dir).and_then(|d| d.sync_all()).map_err(StoreError::io(dir, "syncing"))
}

fn newer(dir: &Path, what: &'static str, found: u16, ours: u16) -> StoreError {
    StoreError::Newer { path: dir.to_owned(), what, found, ours }
}

/// A random id: the standard library keys its hashers from the system's randomness.
pub(super) fn random_id() -> StoreId {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |d| d.as_nanos());
    let half = || RandomState::new().hash_one((now, std::process::id()));
    ((u128::from(half()) << 64) | u128::from(half())).to_le_bytes()
}

/// What one walk over all sled records gathers.
struct Survey<'a> {
    dir: &'a Path,
    folded: u64,
    digest: u128,
    index: Index,
    deltas: VecDeque<DeltaRef>,
    /// The stream being put together, as stored, and what its parts add to the digest.
    packed: Vec<u8>,
    digests: VecDeque<u128>,
    open: Option<OpenStream>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct OpenStream {
    prefix: u8,
    id: u64,
    from: u16,
    next: u16,
    parts: u16,
    format: u16,
}

impl<'a> Survey<'a> {
    fn new(dir: &'a Path, folded: u64) -> Survey<'a> {
        Survey {
            dir,
            folded,
            digest: 0,
            index: Index::default(),
            deltas: VecDeque::new(),
            packed: Vec::new(),
            digests: VecDeque::new(),
            open: None,
        }
    }

    /// Takes the next record. Deltas that are not dead go to `unpack`; how long they are is not known here.
    fn visit(
        &mut self,
        key: &[u8],
        value: &[u8],
        unpack: &mut dyn FnMut(Stored) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let digest = digest_of(key, value);
        self.digest = self.digest.wrapping_add(digest);
        let (prefix, id, n) = parse_key(key).ok_or_else(|| self.damaged("a record has a key of no known kind"))?;
        let kind = if prefix == DELTA { Kind::Delta } else { Kind::Page };
        let Part { format, count: parts, piece } = part(kind, value).map_err(|what| self.damaged(what))?;
        let dead = prefix == DELTA && id <= self.folded;
        let mut open = match self.open.take() {
            Some(open)
                if (open.prefix, open.id, open.next, open.parts, open.format) == (prefix, id, n, parts, format) =>
            {
                open
            }
            None if n == 0 || dead => OpenStream { prefix, id, from: n, next: n, parts, format },
            _ => return Err(self.damaged("a part of a page or delta is missing")),
        };
        self.packed.extend_from_slice(piece);
        self.digests.push_back(digest);
        open.next = open.next.saturating_add(1);
        if open.next < open.parts {
            self.open = Some(open);
            return Ok(());
        }
        if prefix == PAGE {
            let packed = std::mem::take(&mut self.packed);
            self.page(open, &packed)?;
            self.packed = packed;
            self.digests.clear();
        } else {
            let digests = std::mem::take(&mut self.digests);
            let stored = self.packed.len() as u64;
            self.deltas.push_back(DeltaRef { epoch: open.id, from: open.from, digests, bytes: 0, stored });
            // Of a dead one, parts may be missing.
            if !dead {
                unpack(Stored { format, packed: self.packed.as_slice().into() })?;
            }
        }
        self.packed.clear();
        Ok(())
    }

    fn page(&mut self, OpenStream { id, format, .. }: OpenStream, stored: &[u8]) -> Result<(), StoreError> {
        let (low, page) = page::describe(format, id, stored).map_err(page::broken(self.dir))?;
        if self.index.insert(low.into(), page) { Ok(()) } else { Err(self.damaged("two pages cover the same keys")) }
    }

    fn check(&self, root: &Root) -> Result<(), StoreError> {
        let counts = (self.index.len() as u64, self.index.bytes(), self.index.records());
        if self.open.is_some()
            || self.digest != root.digest
            || counts != (root.pages, root.page_bytes, root.page_records)
        {
            return Err(self.damaged("the records are not those of the last commit"));
        }
        Ok(())
    }

    fn damaged(&self, what: &str) -> StoreError {
        StoreError::corrupt(self.dir, what)
    }
}
