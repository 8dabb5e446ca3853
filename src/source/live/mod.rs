//! Following spools for ever: lists the directories, notices what is new, renamed or gone, and shares the time among files.
//!
//! What is found unread is read oldest first, so that a backlog comes in its order; a file that was caught up with gets a
//! few reads in turn, so that none starves. `survey` lists, `admit` decides what a new file is, `backlog` whose turn it is,
//! `follow` reads the known ones.

use super::fingerprint::{Inode, Stat};
use super::glob::Globs;
use super::heads::Heads;
use super::outlet::{Outlet, Stopped};
use super::registry::Registry;
use super::scan::Refuse;
use super::status::{FileSnapshot, FileState, Key, SourceStatus};
use super::tail::Tail;
use super::watch::{Hint, Watch};
use super::{Sniff, tail};
use crate::batch::{FileId, Position, RawBatch, Remember};
use crate::config::{Limits, SpoolSettings};
use crossbeam_channel::select;
use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

mod admit;
mod backlog;
mod clock;
mod follow;
mod survey;

use backlog::{Backlog, Place};
use clock::Clock;

pub(super) struct LiveSettings {
    pub(super) spools: Vec<SpoolSettings>,
    pub(super) limits: Limits,
    pub(super) known: Vec<(FileId, Position)>,
    pub(super) sniff: Arc<dyn Sniff>,
    pub(super) refuse_files: Vec<PathBuf>,
    /// See [`super::SourceOptions::late_days`].
    pub(super) late_days: u32,
}

/// How long things are waited for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timing {
    /// Between two listings.
    pub(super) rescan: Duration,
    /// A new file that begins like one that is still there is left alone until it has been quiet this long: it may be a
    /// copy in the making, whose original is about to be truncated or deleted.
    pub(super) hold: Duration,
    /// The same for a compressed one that is not whole: its writer may be waiting for a disk.
    pub(super) slow_hold: Duration,
    /// A vanished file whose descriptor is open is read until it has been quiet this long.
    pub(super) grace: Duration,
}

impl Timing {
    /// 0 seconds, which no config may say, is as often as can be.
    fn of(rescan_secs: u64) -> Timing {
        let rescan = Duration::from_secs(rescan_secs).max(Duration::from_millis(25));
        let hold = rescan.max(Duration::from_millis(100)) * 3;
        Timing { rescan, hold, slow_hold: hold * 3, grace: (rescan * 15).min(Duration::from_secs(30)) }
    }
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
    heads: Heads,
    files: HashMap<FileId, Followed>,
    by_inode: HashMap<Inode, FileId>,
    by_path: HashMap<PathBuf, FileId>,
    newcomers: HashMap<Inode, Newcomer>,
    /// Descriptors that newcomers hold, and the followed files that are open.
    held_files: usize,
    open: Vec<FileId>,
    /// What must be looked at before it is known whose turn it is.
    looks: VecDeque<Item>,
    /// Files of which nothing was read yet, though they are followed: they come before newcomers.
    first: VecDeque<Item>,
    /// What was caught up with and has something to read.
    turns: VecDeque<Item>,
    backlog: Backlog,
    /// The bytes that were looked at last.
    peeked: Vec<u8>,
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
    pub(super) clock: Clock,
}

struct Spool {
    settings: SpoolSettings,
    globs: Globs,
    missing: bool,
    /// Whether the last listing worked.
    listed: bool,
    /// Why the kernel gives no hints about it.
    unwatched: Option<String>,
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
    /// Up to here its bytes were found unread: they are read in the order of time, and others wait for them.
    owed: Option<u64>,
    /// The event time at which it stands.
    stands_ms: Option<i64>,
    /// Its place in the order, while it is in it.
    place: Option<Place>,
    /// No record told the time of that place: to be found out again once the file has changed.
    guessed: bool,
    /// When it was found; 0 before it had a place.
    found: u64,
    /// Nothing of it fitted below the time that it was to be read up to: the next reading has no such time.
    stuck: bool,
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
    compressed: bool,
    /// Whether others wait for it: it is no file of the present.
    owed: bool,
    /// The event time at which it begins.
    begins_ms: Option<i64>,
    /// See [`Followed`].
    place: Option<Place>,
    guessed: bool,
    found: u64,
    scan: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Item {
    /// A newcomer, to be told from others.
    New(Inode),
    /// A file that is being followed.
    File(FileId),
}

/// Growing pauses after failures: 1 s to 60 s.
#[derive(Clone, Copy, Debug, Default)]
struct Retry {
    until: Option<Instant>,
    pause: Duration,
    /// The trouble as it was said: the same again is not said again.
    said: Option<io::ErrorKind>,
}

impl Retry {
    fn is_due(&self, now: Instant) -> bool {
        self.until.is_none_or(|until| now >= until)
    }
    fn fail(&mut self, now: Instant) {
        self.pause = (self.pause * 2).clamp(Duration::from_secs(1), Duration::from_secs(60));
        self.until = Some(now + self.pause);
    }
    /// Whether this trouble is news.
    fn is_news(&mut self, e: &io::Error) -> bool {
        self.said.replace(e.kind()) != Some(e.kind())
    }
    /// Tries again at once. What was said stays said until it works.
    fn hurry(&mut self) {
        (self.until, self.pause) = (None, Duration::ZERO);
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
        status.set_spools(settings.spools.iter().map(|s| s.path.as_path()));
        let rescan_secs = settings.spools.iter().map(|s| s.rescan_secs).min().unwrap_or(2);
        let spools = settings.spools.into_iter().map(|settings| Spool {
            globs: Globs::new(&settings.include, &settings.exclude),
            settings,
            missing: false,
            listed: false,
            unwatched: trouble.clone(),
        });
        let registry = Registry::new(settings.known);
        let mut heads = Heads::default();
        registry.absent().for_each(|c| heads.learn(c.id, c.position));
        let live = Live {
            timing: Timing::of(rescan_secs),
            spools: spools.collect(),
            limits: settings.limits,
            sniff: settings.sniff,
            refuse: Refuse::new(&settings.refuse_files),
            outlet,
            status,
            watch,
            registry,
            heads,
            files: HashMap::new(),
            by_inode: HashMap::new(),
            by_path: HashMap::new(),
            newcomers: HashMap::new(),
            held_files: 0,
            open: Vec::new(),
            looks: VecDeque::new(),
            first: VecDeque::new(),
            turns: VecDeque::new(),
            backlog: Backlog::new(settings.late_days),
            peeked: Vec::new(),
            decoding: None,
            uses: 0,
            scans: 0,
            next_scan: Instant::now(),
            scan_wanted: true,
            scan_after: Instant::now(),
            idle: false,
            batches: Vec::new(),
            skew: Duration::ZERO,
            clock: Clock::new(),
        };
        live.say_unwatched();
        live
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
        match self.next() {
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
        self.list_all();
        while self.step() {}
    }

    /// Lists the spools.
    #[cfg(test)]
    pub(super) fn list_all(&mut self) {
        let _ = self.scan();
    }

    /// One turn of one file. Says whether there was anything to do.
    #[cfg(test)]
    pub(super) fn step(&mut self) -> bool {
        let item = self.next();
        item.is_some_and(|item| self.serve(item).is_ok())
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
        let (now, scans) = (self.now(), self.scans);
        self.status.change(|s| s.listings = scans);
        let until = if self.scan_wanted { self.scan_after.min(self.next_scan) } else { self.next_scan };
        let timeout = until.saturating_duration_since(now);
        let mut hang_up = false;
        select! {
            recv(self.watch.hints()) -> hint => if let Ok(hint) = hint { self.take_hint(hint) },
            recv(self.outlet.stop().wake) -> stop => hang_up = stop.is_err(),
            default(timeout) => {
                if std::mem::replace(&mut self.idle, true) {
                    self.outlet.shrink();
                    self.peeked = Vec::new();
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
            match f.owed {
                Some(_) => &mut self.looks,
                // By what is read of it, copies of it are known.
                None if f.tail.position.offset == 0 => &mut self.first,
                None => &mut self.turns,
            }
            .push_back(Item::File(id));
        }
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
            owed: None,
            stands_ms: None,
            place: None,
            guessed: false,
            found: 0,
            stuck: false,
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
            compressed: false,
            owed: true,
            begins_ms: None,
            place: None,
            guessed: false,
            found: 0,
            scan: 0,
        }
    }
}

/// A batch that only says where a file stands.
fn empty_batch(id: FileId, position: &Position) -> RawBatch {
    RawBatch {
        offset: position.offset,
        line: position.lines + 1,
        ..RawBatch::empty(id, tail::label(&position.path), Remember::Position(Box::new(position.clone())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_after_failures_grow_from_one_second_to_one_minute() {
        let mut retry = Retry::default();
        let start = Instant::now();
        assert!(retry.is_due(start));
        let mut pauses = Vec::new();
        for _ in 0..8 {
            retry.fail(start);
            assert!(!retry.is_due(start) && retry.is_due(start + retry.pause));
            pauses.push(retry.pause.as_secs());
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60]);
        retry.reset();
        assert!(retry.is_due(start));
    }
}
