//! Reading the followed files in turn: a few reads each, errors with growing pauses, truncation, and the end of a file.

use super::backlog::FOUND_BEFORE;
use super::{Followed, Item, Live, Newcomer};
use crate::batch::FileId;
use crate::calendar::wall_clock_ms;
use crate::failpoint::{self, Point};
use crate::source::decode::End;
use crate::source::fingerprint::{Inode, Stat};
use crate::source::outlet::Stopped;
use crate::source::reader::{Reader, open_regular};
use crate::source::registry::Absent;
use crate::source::status::{FileSnapshot, FileState, Key};
use crate::source::tail::{Reading, Step};
use std::fs;
use std::io;
use std::time::Instant;

/// Reads a file gets before the next one's turn.
const READS_A_TURN: usize = 8;
/// A compressed file that grows is decoded again from its beginning: at most this share of the time.
const DECODE_PAUSE: u32 = 10;

impl Live {
    /// Reads on in a file, if there is anything to read.
    pub(super) fn turn(&mut self, id: FileId) -> Result<(), Stopped> {
        let now = self.now();
        let Some(f) = self.files.get_mut(&id) else { return Ok(()) };
        f.queued = false;
        if !f.retry.is_due(now) || f.not_before.is_some_and(|until| now < until) {
            return Ok(());
        }
        if f.tail.reader.is_none()
            && let Err(e) = self.open_file(id)
        {
            self.trouble(id, &e);
            return Ok(());
        }
        self.uses += 1;
        let Some(f) = self.files.get_mut(&id) else { return Ok(()) };
        f.used = self.uses;
        let Some(reader) = &f.tail.reader else { return Ok(()) };
        let (stat, plain) = match reader.stat() {
            Ok(stat) => (stat, reader.is_plain()),
            Err(e) => {
                self.trouble(id, &e);
                return Ok(());
            }
        };
        if f.drained.is_some_and(|d| d.same_bytes(&stat, plain)) {
            f.drained = Some(stat);
            return self.rest(id, &stat, now);
        }
        if plain && stat.size < f.tail.position.offset {
            return self.renew(id);
        }
        if !plain && (self.is_too_far_ahead(id) || self.decoding.is_some_and(|other| other != id)) {
            self.put_back(id);
            return Ok(());
        }
        let Some(f) = self.files.get_mut(&id) else { return Ok(()) };
        if !plain {
            self.decoding = Some(id);
            if f.drained.is_none() && f.tail.is_done(&stat).unwrap_or(false) {
                self.ended(id, &stat, &End::Complete, Instant::now());
                return Ok(());
            }
        }
        self.read_turn(id, &stat)
    }

    fn read_turn(&mut self, id: FileId, stat: &Stat) -> Result<(), Stopped> {
        if let Some(f) = self.files.get_mut(&id) {
            f.state = FileState::Reading;
        }
        let begun = Instant::now();
        let until = self.until(id);
        let mut reads = 0;
        loop {
            let step = self.read_once(id, stat, false, until.or((reads == 0).then_some(i64::MAX)))?;
            reads += 1;
            match step {
                Ok(Step::More) => {
                    let Some(f) = self.files.get_mut(&id) else { return Ok(()) };
                    let later = until.zip(f.stands_ms).is_some_and(|(until, at)| at > until);
                    if reads >= READS_A_TURN || later || f.stuck {
                        self.put_back(id);
                        return Ok(());
                    }
                    self.outlet.check()?;
                }
                Ok(Step::End(end)) => {
                    self.ended(id, stat, &end, begun);
                    return Ok(());
                }
                Ok(Step::Replaced) => return self.renew(id),
                Err(e) => {
                    self.trouble(id, &e);
                    return Ok(());
                }
            }
        }
    }

    /// Reads once, no further than event time `until`. Where one is given, it is noted at which time the file stands then.
    fn read_once(
        &mut self,
        id: FileId,
        stat: &Stat,
        last: bool,
        until: Option<i64>,
    ) -> Result<io::Result<Step>, Stopped> {
        let now_ms = self.clock.now_ms();
        let Some(f) = self.files.get_mut(&id) else { return Ok(Ok(Step::More)) };
        let (before, stood_ms) = (f.tail.position.offset, f.stands_ms);
        let mut reading = Reading {
            limits: &self.limits,
            sniff: &*self.sniff,
            until: until.map(|until| (until, now_ms)),
            stands_ms: None,
            outlet: &mut self.outlet,
            batches: &mut self.batches,
        };
        let step = f.tail.read(stat, last, &mut reading);
        let stands_ms = reading.stands_ms;
        let consumed = f.tail.position.offset - before;
        f.stuck = consumed == 0 && matches!(step, Ok(Step::More)) && stands_ms.is_none_or(|at| stood_ms == Some(at));
        if let Some(at) = stands_ms {
            self.stands(id, at, consumed > 0);
        }
        let Some(f) = self.files.get_mut(&id) else { return Ok(Ok(Step::More)) };
        if consumed > 0 {
            self.heads.learn(id, &f.tail.position);
            if f.missing_since.is_some() {
                // It still grows: whoever writes it has it open.
                f.missing_since = Some(Instant::now() + self.skew);
            }
            let refused = self.batches.iter().map(|b| b.refused.len() as u64).sum();
            self.status.consumed(f.spool, consumed, refused, wall_clock_ms());
            // Sending may take as long as the slowest sink: until then the status tells how much waits.
            self.report_up_to(id, stat.size);
        }
        self.send()?;
        Ok(step)
    }

    /// The end of what is there was met.
    fn ended(&mut self, id: FileId, stat: &Stat, end: &End, begun: Instant) {
        let now = self.now();
        let Some(f) = self.files.get_mut(&id) else { return };
        f.drained = Some(*stat);
        f.owed = None;
        f.retry.reset();
        f.state = match end {
            End::Complete => FileState::Waiting,
            End::Incomplete => FileState::Incomplete,
            End::Corrupt(_) => FileState::Corrupt,
            End::TooLarge => FileState::TooLarge,
        };
        if !f.tail.is_plain() {
            f.not_before = Some(now + begun.elapsed() * DECODE_PAUSE);
            self.close(id);
        }
        self.complain(id, end);
        self.report(id);
    }

    fn complain(&self, id: FileId, end: &End) {
        let Some(f) = self.files.get(&id) else { return };
        match end {
            End::Complete | End::Incomplete => {}
            End::Corrupt(why) => {
                log::warn!("{} cannot be decoded beyond byte {}: {why}", f.tail.label, f.tail.position.offset);
                self.status.count(|c| c.corrupt += 1);
            }
            End::TooLarge => {
                log::warn!(
                    "{} expands to more than {} times its size and is not read further; see max_expansion",
                    f.tail.label,
                    self.limits.max_expansion
                );
                self.status.count(|c| c.too_large += 1);
            }
        }
    }

    /// Nothing new. A vanished file that has been quiet long enough is done; its last line is whole as it is.
    fn rest(&mut self, id: FileId, stat: &Stat, now: Instant) -> Result<(), Stopped> {
        let Some(f) = self.files.get(&id) else { return Ok(()) };
        if f.missing_since.is_some_and(|since| now.saturating_duration_since(since) >= self.timing.grace) {
            if f.tail.is_plain() {
                let _ = self.read_once(id, stat, true, None)?;
            }
            return self.retire(id);
        }
        Ok(())
    }

    /// Stops following a file that is gone. Its position is kept for a while: it may come back, or as a copy.
    pub(super) fn retire(&mut self, id: FileId) -> Result<(), Stopped> {
        let Some(f) = self.leave(id) else { return Ok(()) };
        failpoint::reach(Point::SourceRetired);
        let done = f.drained.is_some_and(|d| d.size >= f.seen.size)
            || f.seen.size == f.tail.position.offset
            || (f.tail.position.complete && f.tail.position.stored_size == f.seen.size);
        if !done {
            log::warn!("{} vanished before it was read to its end", f.tail.label);
            self.status.count(|c| c.vanished_before_end += 1);
        }
        self.shelve(f)
    }

    /// Another file stands under this inode: truncated, or replaced. What is there now is looked at as a new file.
    fn renew(&mut self, id: FileId) -> Result<(), Stopped> {
        let now = self.now();
        let file = self.files.get(&id).and_then(|f| f.tail.reader.as_ref()).map(Reader::share);
        let Some(f) = self.leave(id) else { return Ok(()) };
        self.status.count(|c| c.truncations += 1);
        failpoint::reach(Point::SourceTruncated);
        log::info!("{} was truncated or replaced after byte {}", f.tail.label, f.tail.position.offset);
        let inode = Inode::of(&f.tail.position);
        let mut newcomer = Newcomer::new(f.tail.path.clone(), f.spool, f.seen, now);
        (newcomer.file, newcomer.queued, newcomer.scan) = (file, true, f.scan);
        // It has been here longer than any newcomer: of two that are equally old, a copy of it must not be read first.
        newcomer.found = f.found.max(FOUND_BEFORE);
        self.held_files += usize::from(newcomer.file.is_some());
        self.shelve(f)?;
        self.newcomers.insert(inode, newcomer);
        self.looks.push_front(Item::New(inode));
        Ok(())
    }

    /// Takes a file out of those followed.
    pub(super) fn leave(&mut self, id: FileId) -> Option<Followed> {
        self.close(id);
        self.unplace(Item::File(id));
        self.files.remove(&id)
    }

    /// Moves a file from those followed to those absent.
    fn shelve(&mut self, f: Followed) -> Result<(), Stopped> {
        let id = f.tail.id;
        let inode = Inode::of(&f.tail.position);
        if self.by_inode.get(&inode) == Some(&id) {
            self.by_inode.remove(&inode);
        }
        if self.by_path.get(&f.tail.path) == Some(&id) {
            self.by_path.remove(&f.tail.path);
        }
        let mut tail = f.tail;
        if tail.position.offset > 0 {
            tail.position.gone_since_ms = Some(self.clock.now_ms());
            self.batches.push(tail.bookmark());
            self.report_absent(id, &tail.position);
            self.registry.put(id, Absent { position: tail.position, marks: tail.marks });
        } else {
            self.heads.forget(id);
            self.status.drop_file(Key::File(id));
        }
        // A newcomer may have waited for this.
        for (inode, n) in &mut self.newcomers {
            if n.held && !std::mem::replace(&mut n.queued, true) {
                self.looks.push_back(Item::New(*inode));
            }
        }
        self.send()
    }

    pub(super) fn trouble(&mut self, id: FileId, e: &io::Error) {
        let now = self.now();
        self.close(id);
        if e.kind() == io::ErrorKind::NotFound {
            // Renamed or deleted since it was listed: the next listing tells.
            self.scan_wanted = true;
            return;
        }
        self.count_error(e);
        let Some(f) = self.files.get_mut(&id) else { return };
        f.retry.fail(now);
        f.state = FileState::Unreadable;
        let text = e.to_string();
        if f.retry.is_news(e) {
            log::warn!("{} cannot be read: {text}; tried again every minute, or when it changes", f.tail.label);
        }
        let rest = f.seen.size.saturating_sub(f.tail.position.offset);
        let snapshot = FileSnapshot {
            spool: f.spool,
            size: f.seen.size,
            lag_bytes: rest,
            state: f.state,
            error: Some(text),
            ..FileSnapshot::of(id, &f.tail.label, &f.tail.position)
        };
        self.status.file(Key::File(id), snapshot);
    }

    pub(super) fn count_error(&self, e: &io::Error) {
        self.status.count(|c| {
            c.io_errors += 1;
            c.permission_errors += u64::from(e.kind() == io::ErrorKind::PermissionDenied);
        });
    }

    /// Opens a followed file by its path; it must still be the same inode.
    pub(super) fn open_file(&mut self, id: FileId) -> io::Result<()> {
        self.make_room();
        let Some(f) = self.files.get_mut(&id) else { return Ok(()) };
        let (file, stat) = open_regular(&f.tail.path, false)?;
        if stat.inode != Inode::of(&f.tail.position) {
            return Err(io::ErrorKind::NotFound.into());
        }
        if let Some(reader) = Reader::new(&file, self.limits.max_expansion, true)? {
            f.tail.open(reader);
            self.open.push(id);
        }
        Ok(())
    }

    /// Closes the file that was used least, when too many are open. Vanished files stay open: nobody could open them again.
    pub(super) fn make_room(&mut self) {
        while self.open.len() + self.held_files >= self.limits.max_open_files.max(1) {
            let closable = |id: &&FileId| {
                Some(**id) != self.decoding && self.files.get(id).is_some_and(|f| f.missing_since.is_none())
            };
            let used = |id: &&FileId| self.files.get(id).map_or(0, |f| f.used);
            let Some(id) = self.open.iter().filter(closable).min_by_key(used).copied() else { return };
            self.close(id);
        }
    }

    pub(super) fn close(&mut self, id: FileId) {
        self.open.retain(|open| *open != id);
        if self.decoding == Some(id) {
            self.decoding = None;
        }
        if let Some(f) = self.files.get_mut(&id) {
            f.tail.close();
        }
    }

    /// What `stat` says about a followed file right now.
    pub(super) fn fresh_stat(&self, id: FileId) -> Option<Stat> {
        let f = self.files.get(&id)?;
        match &f.tail.reader {
            Some(reader) => reader.stat().ok(),
            None => fs::symlink_metadata(&f.tail.path).ok().map(|m| Stat::of(&m)),
        }
    }

    /// Tells the status how far a file is.
    pub(super) fn report(&self, id: FileId) {
        let Some(f) = self.files.get(&id) else { return };
        self.report_up_to(id, f.drained.map_or(f.seen.size, |d| d.size.max(f.seen.size)));
    }

    fn report_up_to(&self, id: FileId, size: u64) {
        let Some(f) = self.files.get(&id) else { return };
        let p = &f.tail.position;
        let rest = if f.tail.is_plain() {
            size.saturating_sub(p.offset)
        } else if p.complete && p.stored_size == size {
            0
        } else {
            // What was taken from the disk may not have been handed on to its last byte.
            size.saturating_sub(p.stored_size).max(u64::from(f.state == FileState::Reading))
        };
        let snapshot = FileSnapshot {
            spool: f.spool,
            size,
            lag_bytes: rest,
            compressed: !f.tail.is_plain(),
            next_event_ms: f.stands_ms.filter(|at| rest > 0 && *at > i64::MIN),
            state: f.state,
            ..FileSnapshot::of(id, &f.tail.label, p)
        };
        self.status.file(Key::File(id), snapshot);
    }
}
