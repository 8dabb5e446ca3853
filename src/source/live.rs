//! Following spools for ever: lists the directories, notices what is new, renamed or gone, and shares the time among files.
//!
//! The first listing is read file by file, oldest first, so that a backlog comes in its order; after that every file gets
//! a few reads in turn, so that none starves. `admit` decides what a new file is, `follow` reads the known ones.

use super::fingerprint::{Inode, Stat};
use super::glob::Globs;
use super::order::name_key;
use super::outlet::{Outlet, Stopped};
use super::reader::open_regular;
use super::registry::Registry;
use super::scan::{self, Listed, Refuse};
use super::status::{FileSnapshot, FileState, Key, SourceStatus};
use super::tail::Tail;
use super::watch::{Hint, Watch};
use super::{Sniff, tail};
use crate::batch::{FileId, Position, RawBatch, Remember};
use crate::calendar::wall_clock_ms;
use crate::config::{Limits, SpoolSettings};
use crossbeam_channel::select;
use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

mod admit;
mod follow;

pub(super) struct LiveSettings {
    pub(super) spools: Vec<SpoolSettings>,
    pub(super) limits: Limits,
    pub(super) known: Vec<(FileId, Position)>,
    pub(super) sniff: Arc<dyn Sniff>,
    pub(super) refuse_files: Vec<PathBuf>,
}

/// How long things are waited for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timing {
    /// Between two listings.
    pub(super) rescan: Duration,
    /// A new file that begins like one that is still there is left alone until it has been quiet this long: it may be a
    /// copy in the making, whose original is about to be truncated or deleted.
    pub(super) hold: Duration,
    /// A vanished file whose descriptor is open is read until it has been quiet this long.
    pub(super) grace: Duration,
}

pub(super) struct Live {
    pub(super) timing: Timing,
    spools: Vec<Spool>,
    limits: Limits,
    sniff: Arc<dyn Sniff>,
    refuse: Refuse,
    outlet: Outlet,
    status: Arc<SourceStatus>,
    watch: Watch,
    registry: Registry,
    files: HashMap<FileId, Followed>,
    by_inode: HashMap<Inode, FileId>,
    by_path: HashMap<PathBuf, FileId>,
    newcomers: HashMap<Inode, Newcomer>,
    /// Descriptors that newcomers hold, and the followed files that are open.
    held_files: usize,
    open: Vec<FileId>,
    ready: VecDeque<Item>,
    /// The one compressed file that is being decoded: decoders are large.
    decoding: Option<FileId>,
    uses: u64,
    scans: u64,
    next_scan: Instant,
    scan_wanted: bool,
    /// No listing for a mere hint before this instant, so that a burst of hints does not list all the time.
    scan_after: Instant,
    idle: bool,
    batches: Vec<RawBatch>,
    /// Added to the clock; tests move it.
    pub(super) skew: Duration,
}

struct Spool {
    settings: SpoolSettings,
    globs: Globs,
    missing: bool,
    /// Whether the last listing worked.
    listed: bool,
}

/// A file that is being followed.
struct Followed {
    tail: Tail,
    spool: usize,
    seen: Stat,
    /// What `stat` said before the read that met the end.
    drained: Option<Stat>,
    state: FileState,
    missing_since: Option<Instant>,
    retry: Retry,
    queued: bool,
    /// When it was last read, for closing the least used.
    used: u64,
    /// Size at the first listing: up to there it is read in one go.
    backlog: Option<u64>,
    /// A compressed file that grows is not decoded again before this instant.
    not_before: Option<Instant>,
    scan: u64,
    confirmed: u64,
    other_name: Option<(PathBuf, usize)>,
}

/// A file that has no position yet.
struct Newcomer {
    path: PathBuf,
    spool: usize,
    stat: Stat,
    file: Option<Arc<File>>,
    quiet_since: Instant,
    /// What it looked like when it was last considered.
    considered: Option<Stat>,
    held: bool,
    retry: Retry,
    queued: bool,
    backlog: bool,
    scan: u64,
}

#[derive(Clone, Copy, Debug)]
enum Item {
    New(Inode),
    File(FileId),
}

/// Growing pauses after failures: 1 s to 60 s.
#[derive(Clone, Copy, Debug, Default)]
struct Retry {
    until: Option<Instant>,
    pause: Duration,
}

impl Retry {
    fn is_due(&self, now: Instant) -> bool {
        self.until.is_none_or(|until| now >= until)
    }
    fn fail(&mut self, now: Instant) {
        self.pause = (self.pause * 2).clamp(Duration::from_secs(1), Duration::from_secs(60));
        self.until = Some(now + self.pause);
    }
    fn reset(&mut self) {
        *self = Retry::default();
    }
}

impl Live {
    pub(super) fn new(settings: LiveSettings, outlet: Outlet, status: Arc<SourceStatus>) -> Live {
        let (watch, trouble) = Watch::new(settings.spools.len());
        if let Some(why) = &trouble {
            log::warn!("no hints about new bytes, they are seen at the next rescan: {why}");
        }
        status.change(|s| s.polling_only = trouble);
        status.set_spools(settings.spools.iter().map(|s| s.path.as_path()));
        let rescan = Duration::from_secs(settings.spools.iter().map(|s| s.rescan_secs.max(1)).min().unwrap_or(2));
        let spools = settings.spools.into_iter().map(|settings| Spool {
            globs: Globs::new(&settings.include, &settings.exclude),
            settings,
            missing: false,
            listed: false,
        });
        Live {
            timing: Timing { rescan, hold: rescan * 3, grace: Duration::from_secs(30) },
            spools: spools.collect(),
            limits: settings.limits,
            sniff: settings.sniff,
            refuse: Refuse::new(&settings.refuse_files),
            outlet,
            status,
            watch,
            registry: Registry::new(settings.known),
            files: HashMap::new(),
            by_inode: HashMap::new(),
            by_path: HashMap::new(),
            newcomers: HashMap::new(),
            held_files: 0,
            open: Vec::new(),
            ready: VecDeque::new(),
            decoding: None,
            uses: 0,
            scans: 0,
            next_scan: Instant::now(),
            scan_wanted: true,
            scan_after: Instant::now(),
            idle: false,
            batches: Vec::new(),
            skew: Duration::ZERO,
        }
    }

    /// Until it is told to stop or nobody takes batches any more.
    pub(super) fn run(&mut self) {
        while self.cycle().is_ok() {}
    }

    fn cycle(&mut self) -> Result<(), Stopped> {
        self.outlet.check()?;
        self.take_hints();
        let now = self.now();
        if now >= self.next_scan || (self.scan_wanted && now >= self.scan_after) {
            self.scan()?;
        }
        match self.ready.pop_front() {
            Some(item) => {
                self.idle = false;
                self.serve(item)
            }
            None => {
                self.wait();
                Ok(())
            }
        }
    }

    /// Everything that can be done now, without waiting.
    #[cfg(test)]
    pub(super) fn settle(&mut self) {
        let _ = self.scan();
        while let Some(item) = self.ready.pop_front() {
            let _ = self.serve(item);
        }
    }

    /// Descriptors in use.
    #[cfg(test)]
    pub(super) fn open_files(&self) -> usize {
        self.files.values().filter(|f| f.tail.reader.is_some()).count()
            + self.newcomers.values().filter(|n| n.file.is_some()).count()
    }

    fn serve(&mut self, item: Item) -> Result<(), Stopped> {
        match item {
            Item::New(inode) => self.consider(inode),
            Item::File(id) => self.turn(id),
        }
    }

    fn now(&self) -> Instant {
        Instant::now() + self.skew
    }

    /// Sleeps until a hint, a stop or the next listing.
    fn wait(&mut self) {
        let now = self.now();
        let until = if self.scan_wanted { self.scan_after.min(self.next_scan) } else { self.next_scan };
        let timeout = until.saturating_duration_since(now);
        let mut hang_up = false;
        select! {
            recv(self.watch.hints()) -> hint => if let Ok(hint) = hint { self.take_hint(hint) },
            recv(self.outlet.stop().wake) -> stop => hang_up = stop.is_err(),
            default(timeout) => {
                if std::mem::replace(&mut self.idle, true) {
                    self.outlet.shrink();
                }
            }
        }
        if hang_up {
            self.outlet.forget_wake();
        }
    }

    fn take_hints(&mut self) {
        if self.watch.take_overflow() {
            self.status.count(|c| c.overflow_rescans += 1);
            self.scan_wanted = true;
        }
        while let Ok(hint) = self.watch.hints().try_recv() {
            self.take_hint(hint);
        }
    }

    fn take_hint(&mut self, hint: Hint) {
        match hint {
            Hint::Names => self.scan_wanted = true,
            Hint::Data(path) => match self.by_path.get(&path) {
                Some(id) => {
                    let id = *id;
                    self.enqueue(id);
                }
                None => self.scan_wanted |= self.is_wanted(&path),
            },
        }
    }

    fn is_wanted(&self, path: &Path) -> bool {
        let Some(name) = path.file_name() else { return false };
        self.spools.iter().any(|s| path.parent() == Some(&s.settings.path) && s.globs.admit(name))
    }

    fn enqueue(&mut self, id: FileId) {
        if let Some(f) = self.files.get_mut(&id)
            && !std::mem::replace(&mut f.queued, true)
        {
            self.ready.push_back(Item::File(id));
        }
    }

    /// Lists everything and finds out what changed.
    pub(super) fn scan(&mut self) -> Result<(), Stopped> {
        let begun = Instant::now();
        self.scans += 1;
        self.scan_wanted = false;
        let mut due: Vec<(i128, PathBuf, Item)> = Vec::new();
        for index in 0..self.spools.len() {
            for entry in self.list(index) {
                self.notice(index, entry, &mut due);
            }
        }
        self.rename();
        self.miss()?;
        self.queue_waiting(&mut due);
        // Clocks of file systems are coarse: of equals, the one that was rotated away comes first.
        due.sort_by_cached_key(|(modified_ns, path, _)| (*modified_ns, name_key(path)));
        self.ready.extend(due.into_iter().map(|(_, _, item)| item));
        self.forget()?;
        let cost = begun.elapsed();
        let now = self.now();
        // Many files are listed less often: never more than half a per cent of the time.
        self.next_scan = now + self.timing.rescan.max(cost * 200);
        self.scan_after = now + (cost * 10).max(Duration::from_millis(1));
        Ok(())
    }

    fn list(&mut self, index: usize) -> Vec<Listed> {
        let Some(spool) = self.spools.get_mut(index) else { return Vec::new() };
        let path = spool.settings.path.clone();
        let mut listed = scan::list(&path, &spool.globs, &self.refuse);
        if let Ok((dir, _)) = &listed
            && !self.watch.covers(index, *dir)
        {
            let trouble = self.watch.follow(index, &path, *dir).err();
            if let Some(why) = &trouble {
                log::warn!("no hints about {}, it is looked at every rescan: {why}", path.display());
            }
            self.status.change(|s| s.polling_only = trouble);
            // What came between the listing and the watch.
            listed = scan::list(&path, &spool.globs, &self.refuse);
        }
        spool.listed = listed.is_ok();
        let count = listed.as_ref().map_or(0, |(_, files)| files.len() as u64);
        let missing = listed.as_ref().err().map(ToString::to_string);
        if spool.missing != missing.is_some() {
            spool.missing = missing.is_some();
            match &missing {
                Some(why) => log::warn!("spool {} cannot be listed: {why}; waiting for it", path.display()),
                None => log::info!("spool {} is there again", path.display()),
            }
            self.status.count(|c| c.missing_directories += u64::from(missing.is_some()));
        }
        self.status.change(|s| {
            if let Some(s) = s.spools.get_mut(index) {
                (s.missing, s.files) = (missing, count);
            }
        });
        listed.map(|(_, files)| files).unwrap_or_default()
    }

    /// One entry of a listing. A second name of the same file (a hard link) is left alone.
    fn notice(&mut self, spool: usize, entry: Listed, due: &mut Vec<(i128, PathBuf, Item)>) {
        let (scan, now) = (self.scans, self.now());
        let inode = entry.stat.inode;
        if let Some(f) = self.by_inode.get(&inode).and_then(|id| self.files.get_mut(id)) {
            if f.seen.changed_ns != entry.stat.changed_ns {
                f.retry.reset();
            }
            f.seen = entry.stat;
            f.missing_since = None;
            if f.tail.path == entry.path {
                (f.scan, f.confirmed) = (scan, scan);
            } else if f.scan != scan {
                f.scan = scan;
                f.other_name = Some((entry.path, spool));
            }
        } else if let Some(n) = self.newcomers.get_mut(&inode) {
            if n.stat != entry.stat {
                n.quiet_since = now;
                n.retry.reset();
            }
            n.stat = entry.stat;
            if n.scan != scan {
                (n.path, n.spool, n.scan) = (entry.path, spool, scan);
            }
        } else if let Some((id, absent)) = self.registry.meet(inode) {
            let backlog = self.scans == 1;
            let mut tail = self.new_tail(id, &entry.path, absent.position, spool);
            tail.marks = absent.marks;
            tail.rename(&entry.path);
            let mut followed = Followed::new(tail, spool, entry.stat);
            (followed.scan, followed.confirmed, followed.queued) = (scan, scan, true);
            followed.backlog = backlog.then_some(entry.stat.size);
            due.push((entry.stat.modified_ns, entry.path, Item::File(id)));
            self.add_file(inode, followed);
        } else {
            let mut newcomer = Newcomer::new(entry.path.clone(), spool, entry.stat, now);
            (newcomer.scan, newcomer.queued, newcomer.backlog) = (scan, true, self.scans == 1);
            // Opened at once: it may be gone when its turn comes.
            if self.open.len() + self.held_files < self.limits.max_open_files
                && let Ok((file, stat)) = open_regular(&entry.path, false)
                && stat.inode == inode
            {
                newcomer.file = Some(file);
                self.held_files += 1;
            }
            due.push((entry.stat.modified_ns, entry.path, Item::New(inode)));
            self.newcomers.insert(inode, newcomer);
        }
    }

    fn new_tail(&self, id: FileId, path: &Path, position: Position, spool: usize) -> Tail {
        let format = self.spools.get(spool).map(|s| s.settings.format).unwrap_or_default();
        let mut tail = Tail::new(id, path, position, format, &self.limits);
        tail.spool = spool as u16;
        tail
    }

    fn add_file(&mut self, inode: Inode, followed: Followed) {
        let id = followed.tail.id;
        self.by_inode.insert(inode, id);
        self.by_path.insert(followed.tail.path.clone(), id);
        self.files.insert(id, followed);
    }

    /// Files whose name changed since the last listing.
    fn rename(&mut self) {
        let mut renamed = Vec::new();
        for f in self.files.values_mut() {
            let other = f.other_name.take();
            if f.scan == self.scans
                && f.confirmed != self.scans
                && let Some((path, spool)) = other
            {
                renamed.push((std::mem::replace(&mut f.tail.path, path.clone()), f.tail.id));
                f.tail.rename(&path);
                f.spool = spool;
            }
        }
        for (old, id) in &renamed {
            if self.by_path.get(old) == Some(id) {
                self.by_path.remove(old);
            }
        }
        for (_, id) in &renamed {
            if let Some(f) = self.files.get(id) {
                self.by_path.insert(f.tail.path.clone(), *id);
                if f.tail.position.offset > 0 {
                    self.batches.push(f.tail.bookmark());
                }
            }
            self.report(*id);
        }
        self.status.count(|c| c.rotations += renamed.len() as u64);
    }

    /// What was not listed, though its directory could be.
    fn miss(&mut self) -> Result<(), Stopped> {
        let now = self.now();
        self.send()?;
        let listed = |spools: &[Spool], index: usize| spools.get(index).is_some_and(|s| s.listed);
        let mut gone = Vec::new();
        for (id, f) in &mut self.files {
            if f.scan != self.scans && listed(&self.spools, f.spool) {
                f.missing_since.get_or_insert(now);
                gone.push((*id, f.tail.reader.is_some()));
            }
        }
        gone.sort_unstable();
        for (id, open) in gone {
            if open {
                self.enqueue(id);
            } else {
                self.retire(id)?;
            }
        }
        let unlisted: Vec<&Path> =
            self.spools.iter().filter(|s| !s.listed).map(|s| s.settings.path.as_path()).collect();
        let hidden = |p: &Position| p.path.parent().is_some_and(|dir| unlisted.contains(&dir));
        let mut unmet: Vec<FileId> = self.registry.unmet().filter(|(_, p)| !hidden(p)).map(|(id, _)| id).collect();
        unmet.sort_unstable();
        for id in unmet {
            if let Some(position) = self.registry.miss(id, wall_clock_ms()) {
                self.report_absent(id, &position);
                self.batches.push(empty_batch(id, &position));
            }
        }
        let lost: Vec<Inode> = self
            .newcomers
            .iter()
            .filter(|(_, n)| n.scan != self.scans && n.file.is_none() && listed(&self.spools, n.spool))
            .map(|(inode, _)| *inode)
            .collect();
        for inode in lost {
            self.status.drop_file(Key::Inode(inode.device, inode.number));
            if let Some(n) = self.newcomers.remove(&inode)
                && !n.held
                && n.stat.size > 0
            {
                log::warn!("{} vanished before it was read", n.path.display());
                self.status.count(|c| c.vanished_before_end += 1);
            }
        }
        self.send()
    }

    /// Files that have something to read, and newcomers that may be told apart now.
    fn queue_waiting(&mut self, due: &mut Vec<(i128, PathBuf, Item)>) {
        let now = self.now();
        for (id, f) in &mut self.files {
            let waits = f.drained != Some(f.seen) && f.retry.is_due(now);
            if waits && !std::mem::replace(&mut f.queued, true) {
                due.push((f.seen.modified_ns, f.tail.path.clone(), Item::File(*id)));
            }
        }
        for (inode, n) in &mut self.newcomers {
            let waits = (n.held || n.considered != Some(n.stat)) && n.retry.is_due(now);
            if waits && !std::mem::replace(&mut n.queued, true) {
                due.push((n.stat.modified_ns, n.path.clone(), Item::New(*inode)));
            }
        }
    }

    /// Lets go of positions whose file has been gone long enough.
    fn forget(&mut self) -> Result<(), Stopped> {
        let keep_ms = i64::try_from(self.limits.forget_gone_hours.saturating_mul(3_600_000)).unwrap_or(i64::MAX);
        for id in self.registry.gone_before(wall_clock_ms().saturating_sub(keep_ms)) {
            if let Some(absent) = self.registry.take(id) {
                self.status.drop_file(Key::File(id));
                self.status.count(|c| c.forgotten += 1);
                let batch = RawBatch { remember: Remember::Forget, ..empty_batch(id, &absent.position) };
                self.batches.push(batch);
            }
        }
        self.send()
    }

    /// Sends what was made.
    fn send(&mut self) -> Result<(), Stopped> {
        for batch in self.batches.drain(..) {
            self.outlet.send(batch)?;
        }
        Ok(())
    }

    fn report_absent(&self, id: FileId, position: &Position) {
        let snapshot = FileSnapshot::of(id, &tail::label(&position.path), position);
        self.status.file(Key::File(id), FileSnapshot { state: FileState::Gone, ..snapshot });
    }
}

impl Followed {
    fn new(tail: Tail, spool: usize, seen: Stat) -> Followed {
        Followed {
            tail,
            spool,
            seen,
            drained: None,
            state: FileState::Reading,
            missing_since: None,
            retry: Retry::default(),
            queued: false,
            used: 0,
            backlog: None,
            not_before: None,
            scan: 0,
            confirmed: 0,
            other_name: None,
        }
    }
}

impl Newcomer {
    fn new(path: PathBuf, spool: usize, stat: Stat, now: Instant) -> Newcomer {
        Newcomer {
            path,
            spool,
            stat,
            file: None,
            quiet_since: now,
            considered: None,
            held: false,
            retry: Retry::default(),
            queued: false,
            backlog: false,
            scan: 0,
        }
    }
}

/// A batch that only says where a file stands.
fn empty_batch(id: FileId, position: &Position) -> RawBatch {
    RawBatch {
        seq: 0,
        file: id,
        path: tail::label(&position.path),
        spool: 0,
        format: None,
        header: None,
        leading_header: false,
        data: Vec::new(),
        offset: position.offset,
        line: position.lines + 1,
        refused: Vec::new(),
        remember: Remember::Position(Box::new(position.clone())),
    }
}
