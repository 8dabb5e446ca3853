//! Listing the spools: what is new, renamed, gone or long forgotten. Opens newcomers, reads nothing.

use super::{Followed, Item, Live, Newcomer, Spool, empty_batch};
use crate::batch::{FileId, Position, RawBatch, Remember};
use crate::failpoint::{self, Point};
use crate::source::fingerprint::Inode;
use crate::source::order::name_key;
use crate::source::outlet::Stopped;
use crate::source::reader::open_regular;
use crate::source::scan::{self, Listed};
use crate::source::status::{FileState, Key};
use crate::source::tail::Tail;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

impl Live {
    /// Lists everything and finds out what changed.
    pub(super) fn scan(&mut self) -> Result<(), Stopped> {
        let begun = Instant::now();
        self.scans += 1;
        self.scan_wanted = false;
        self.follow_clock();
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
        for (_, _, item) in due {
            match item {
                Item::File(id) => {
                    if let Some(f) = self.files.get_mut(&id) {
                        f.queued = false;
                    }
                    self.enqueue(id);
                }
                Item::New(_) => self.looks.push_back(item),
            }
        }
        self.status.change(|s| s.surveyed = true);
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
            // Tried again at every listing, said when it changes.
            if trouble != spool.unwatched {
                match &trouble {
                    Some(why) => log::warn!("no hints about {}, it is looked at every rescan: {why}", path.display()),
                    None => log::info!("the kernel gives hints about {} again", path.display()),
                }
                spool.unwatched = trouble;
            }
            // What came between the listing and the watch.
            listed = scan::list(&path, &spool.globs, &self.refuse);
            self.say_unwatched();
        }
        let Some(spool) = self.spools.get_mut(index) else { return Vec::new() };
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

    /// Tells the status which spools are seen at the rescan only.
    pub(super) fn say_unwatched(&self) {
        let mut reasons: Vec<&str> = self.spools.iter().filter_map(|s| s.unwatched.as_deref()).collect();
        reasons.dedup();
        let text = (!reasons.is_empty()).then(|| reasons.join("; "));
        self.status.change(|s| s.polling_only = text);
    }

    /// One entry of a listing. A second name of the same file (a hard link) is left alone.
    fn notice(&mut self, spool: usize, entry: Listed, due: &mut Vec<(i128, PathBuf, Item)>) {
        let (scan, now) = (self.scans, self.now());
        let inode = entry.stat.inode;
        if let Some(f) = self.by_inode.get(&inode).and_then(|id| self.files.get_mut(id)) {
            if f.seen.changed_ns != entry.stat.changed_ns {
                f.retry.hurry();
            }
            let look_again = f.guessed && f.place.is_some() && f.seen != entry.stat;
            f.seen = entry.stat;
            f.missing_since = None;
            if f.tail.path == entry.path {
                (f.scan, f.confirmed) = (scan, scan);
            } else if f.scan != scan {
                f.scan = scan;
                f.other_name = Some((entry.path, spool));
            }
            if look_again {
                f.queued = false;
                let item = Item::File(f.tail.id);
                self.unplace(item);
            }
        } else if let Some(n) = self.newcomers.get_mut(&inode) {
            let look_again = n.guessed && n.place.is_some() && n.stat != entry.stat;
            if n.stat != entry.stat {
                n.quiet_since = now;
                n.retry.hurry();
            }
            n.stat = entry.stat;
            if n.scan != scan {
                (n.path, n.spool, n.scan) = (entry.path, spool, scan);
            }
            // It was empty, or had no whole line yet: where it was put, its first records may be long overdue.
            if look_again {
                n.queued = false;
                self.unplace(Item::New(inode));
            }
        } else if let Some((id, absent)) = self.registry.meet(inode) {
            let mut tail = self.new_tail(id, &entry.path, absent.position, spool);
            tail.rename(&entry.path);
            let mut followed = Followed::new(tail, spool, entry.stat);
            (followed.scan, followed.confirmed, followed.queued) = (scan, scan, true);
            followed.owed = Some(entry.stat.size);
            due.push((entry.stat.modified_ns, entry.path, Item::File(id)));
            self.add_file(inode, followed);
            self.report(id);
        } else {
            let mut newcomer = Newcomer::new(entry.path.clone(), spool, entry.stat, now);
            (newcomer.scan, newcomer.queued) = (scan, true);
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
            // It waits from now on.
            self.say(inode, FileState::Reading, None);
        }
    }

    pub(super) fn new_tail(&self, id: FileId, path: &Path, position: Position, spool: usize) -> Tail {
        let format = self.spools.get(spool).map(|s| s.settings.format).unwrap_or_default();
        let mut tail = Tail::new(id, path, position, format, &self.limits);
        tail.spool = spool as u16;
        tail
    }

    pub(super) fn add_file(&mut self, inode: Inode, followed: Followed) {
        let id = followed.tail.id;
        self.heads.learn(id, &followed.tail.position);
        self.heads.learn_marks(id, &followed.tail.marks);
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
        if !renamed.is_empty() {
            failpoint::reach(Point::SourceRenamed);
        }
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
            if let Some(position) = self.registry.miss(id, self.clock.now_ms()) {
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
            self.unplace(Item::New(inode));
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

    /// A clock that was set moves the instants that were kept by it.
    fn follow_clock(&mut self) {
        let by_ms = self.clock.set_since();
        if by_ms != 0 {
            log::info!("the clock was set by {} s", by_ms / 1000);
            for (id, position) in self.registry.shift_gone(by_ms) {
                self.batches.push(empty_batch(id, &position));
            }
        }
    }

    /// Lets go of positions whose file has been gone long enough.
    fn forget(&mut self) -> Result<(), Stopped> {
        let keep_ms = i64::try_from(self.limits.forget_gone_hours.saturating_mul(3_600_000)).unwrap_or(i64::MAX);
        for id in self.registry.gone_before(self.clock.now_ms().saturating_sub(keep_ms)) {
            if let Some(absent) = self.registry.take(id) {
                self.status.drop_file(Key::File(id));
                self.heads.forget(id);
                self.status.count(|c| c.forgotten += 1);
                let batch = RawBatch { remember: Remember::Forget, ..empty_batch(id, &absent.position) };
                self.batches.push(batch);
            }
        }
        self.send()
    }
}
