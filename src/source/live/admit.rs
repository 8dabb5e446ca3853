//! What a file that has just appeared is: a new one, one that is known under another name, or a copy of one.
//!
//! A copy is never read twice. Of a file that is gone it takes the place; beside a file that is still there it waits,
//! because a copy is usually made just before the original is truncated or deleted, and then reads on alone.

use super::{Followed, Live, Timing};
use crate::batch::{FileId, Position};
use crate::source::decode::End;
use crate::source::fingerprint::{Inode, Mark, Stat, WINDOW};
use crate::source::outlet::Stopped;
use crate::source::reader::{Reader, open_regular};
use crate::source::registry::{Candidate, Relative, relatives};
use crate::source::status::{FileSnapshot, FileState, Key};
use crate::source::tail::label;
use std::collections::VecDeque;
use std::io;

/// What a newcomer turned out to be.
#[derive(Debug)]
enum Verdict {
    /// Cannot be told yet.
    Wait,
    New,
    /// The same as a file that is gone: it takes over its position.
    Continues(FileId),
    /// It shares a beginning that was read already, and goes its own way from there.
    Shares(FileId, Box<Mark>),
}

impl Live {
    /// Looks at a newcomer and follows it as soon as it is clear what it is.
    pub(super) fn consider(&mut self, inode: Inode) -> Result<(), Stopped> {
        let now = self.now();
        let Some(n) = self.newcomers.get_mut(&inode) else { return Ok(()) };
        n.queued = false;
        if !n.retry.is_due(now) {
            return Ok(());
        }
        match self.look(inode) {
            Ok(Some((reader, stat, verdict))) => self.admit(inode, reader, stat, verdict),
            Ok(None) => Ok(()),
            Err(e) => {
                self.newcomer_trouble(inode, &e);
                Ok(())
            }
        }
    }

    pub(super) fn newcomer_trouble(&mut self, inode: Inode, e: &io::Error) {
        if e.kind() == io::ErrorKind::NotFound {
            self.scan_wanted = true;
            return;
        }
        self.count_error(e);
        let now = self.now();
        if let Some(n) = self.newcomers.get_mut(&inode) {
            n.retry.fail(now);
            n.considered = None;
            let text = e.to_string();
            if n.retry.is_news(e) {
                log::warn!("{} cannot be read: {text}; tried again every minute, or when it changes", n.path.display());
            }
            self.say(inode, FileState::Unreadable, Some(text));
        }
    }

    /// `None` while nothing can be decided.
    fn look(&mut self, inode: Inode) -> io::Result<Option<(Reader, Stat, Verdict)>> {
        let now = self.now();
        let Some(n) = self.newcomers.get_mut(&inode) else { return Ok(None) };
        let file = match n.file.take() {
            Some(file) => {
                self.held_files -= 1;
                file
            }
            None => {
                let (file, stat) = open_regular(&n.path, false)?;
                if stat.inode != inode {
                    return Err(io::ErrorKind::NotFound.into());
                }
                file
            }
        };
        let stat = Stat::of(&file.metadata()?);
        if n.stat != stat {
            n.stat = stat;
            n.quiet_since = now;
        }
        let quiet = now.saturating_duration_since(n.quiet_since);
        let Timing { hold, slow_hold, .. } = self.timing;
        let settled =
            |reader: &Reader| quiet >= if matches!(reader.end(), Some(End::Incomplete)) { slow_hold } else { hold };
        (n.considered, n.held) = (Some(stat), true);
        let Some(mut reader) = Reader::new(&file, self.limits.max_expansion, false)? else {
            // Empty, or a few bytes that may become anything and hold no line yet.
            n.held = false;
            self.say(inode, FileState::Held, None);
            return Ok(None);
        };
        if reader.head()?.is_empty() {
            n.held = false;
            let (state, error) = match reader.end() {
                Some(End::Corrupt(why)) => (FileState::Corrupt, Some(why.clone())),
                Some(End::Incomplete) => (FileState::Incomplete, None),
                _ => (FileState::Waiting, None),
            };
            if let Some(why) = &error {
                log::warn!("{} cannot be decoded: {why}", n.path.display());
                self.status.count(|c| c.corrupt += 1);
            }
            self.say(inode, state, error);
            return Ok(None);
        }
        let head = reader.head()?.len();
        if head < WINDOW && matches!(reader.end(), Some(End::Incomplete)) && !settled(&reader) {
            // Too little to know what it is a copy of: its writer is still at it.
            self.say(inode, FileState::Incomplete, None);
            return Ok(None);
        }
        let alike = self.heads.like(reader.head()?);
        let candidates = alike.iter().filter_map(|id| match self.files.get(id) {
            Some(f) => Some(Candidate { id: *id, position: &f.tail.position, marks: &f.tail.marks }),
            None => self.registry.get(*id).map(|a| Candidate { id: *id, position: &a.position, marks: &a.marks }),
        });
        let found = relatives(&mut reader, candidates.filter(|c| c.position.offset > 0))?;
        let settled = settled(&reader);
        let verdict = self.judge(&found, &mut reader, &stat, settled)?;
        if matches!(verdict, Verdict::Wait) {
            self.say(inode, FileState::Held, None);
            return Ok(None);
        }
        Ok(Some((reader, stat, verdict)))
    }

    fn judge(&mut self, found: &[Relative], reader: &mut Reader, stat: &Stat, settled: bool) -> io::Result<Verdict> {
        let mut best: Option<(u64, Verdict)> = None;
        // How far a file reaches that must be looked at first.
        let mut wait: Option<u64> = None;
        for relative in found {
            let place = self.place_of(relative.id);
            let offset = relative.mark.as_ref().map_or(0, |m| m.offset);
            let verdict = match (&place, &relative.mark) {
                (Place::Gone, Some(_)) if relative.at_position => Verdict::Continues(relative.id),
                (Place::Gone, _) if relative.is_shorter && reader.is_plain() && offset < stat.size && !settled => {
                    // It holds more than is known to be read, less than was read: the rest may be on its way, copied back
                    // or copied before the original went. Of a compressed one, its size does not tell how much it holds.
                    wait = wait.max(Some(offset));
                    continue;
                }
                (Place::Gone, Some(mark)) => Verdict::Shares(relative.id, Box::new(mark.clone())),
                (Place::Gone, None) => continue,
                (_, mark) => {
                    let may_be_copy = self.is_copy(relative.id, reader, stat)?.unwrap_or(true);
                    if may_be_copy && (matches!(place, Place::Unread) || !settled) {
                        wait = wait.max(Some(offset));
                        continue;
                    }
                    let Some(mark) = mark else { continue };
                    Verdict::Shares(relative.id, Box::new(mark.clone()))
                }
            };
            let continues = matches!(verdict, Verdict::Continues(_));
            let beats = best.as_ref().is_none_or(|(old, verdict)| {
                offset > *old || (offset == *old && continues && !matches!(verdict, Verdict::Continues(_)))
            });
            if beats {
                best = Some((offset, verdict));
            }
        }
        Ok(match best {
            Some((offset, verdict @ Verdict::Continues(_))) if wait <= Some(offset) => verdict,
            _ if wait.is_some() => Verdict::Wait,
            Some((_, verdict)) => verdict,
            None => Verdict::New,
        })
    }

    /// Whether a newcomer holds nothing but the beginning of a file that is still there; `None` when that cannot be told.
    fn is_copy(&mut self, of: FileId, reader: &mut Reader, stat: &Stat) -> io::Result<Option<bool>> {
        let Some(f) = self.files.get_mut(&of) else { return Ok(None) };
        let mut opened = None;
        let original = match &mut f.tail.reader {
            Some(original) => original,
            None => {
                let Ok((file, found)) = open_regular(&f.tail.path, false) else { return Ok(None) };
                if found.inode != Inode::of(&f.tail.position) {
                    return Ok(None);
                }
                match Reader::new(&file, self.limits.max_expansion, false)? {
                    Some(reader) => opened.insert(reader),
                    None => return Ok(None),
                }
            }
        };
        if !reader.is_plain() || !original.is_plain() {
            return Ok(None);
        }
        if !original.holds(&f.tail.position)? {
            // It was truncated since it was read, perhaps since the newcomer was compared with it: its turn tells.
            return Ok(None);
        }
        let head = reader.head()?.to_vec();
        if !original.head()?.starts_with(&head) {
            return Ok(Some(false));
        }
        let tail = reader.before(stat.size)?.map(<[u8]>::to_vec);
        Ok(Some(original.before(stat.size)?.map(<[u8]>::to_vec) == tail))
    }

    fn place_of(&self, id: FileId) -> Place {
        let Some(f) = self.files.get(&id) else { return Place::Gone };
        if f.retry.until.is_some() {
            return Place::There;
        }
        let fresh = self.fresh_stat(id);
        let read = f.drained.zip(fresh).is_some_and(|(d, now)| d.same_bytes(&now, f.tail.is_plain()));
        match (f.missing_since, read) {
            (Some(_), true) => Place::Gone,
            (None, true) => Place::There,
            _ => Place::Unread,
        }
    }

    fn admit(&mut self, inode: Inode, mut reader: Reader, stat: Stat, verdict: Verdict) -> Result<(), Stopped> {
        let Some(n) = self.newcomers.remove(&inode) else { return Ok(()) };
        let fresh = Position {
            path: n.path.clone(),
            device: inode.device,
            inode: inode.number,
            generation: self.next_generation(&n.path),
            ..Position::default()
        };
        let here = |p: Position| Position {
            path: n.path.clone(),
            device: inode.device,
            inode: inode.number,
            gone_since_ms: None,
            complete: false,
            stored_size: 0,
            ..p
        };
        let (id, position, marks) = match verdict {
            Verdict::Wait | Verdict::New => (self.registry.new_id(), fresh, VecDeque::new()),
            Verdict::Continues(id) => match self.take_over(id) {
                Some((position, marks)) => (id, here(position), marks),
                None => (self.registry.new_id(), fresh, VecDeque::new()),
            },
            Verdict::Shares(of, mark) => {
                let original = self.registry.get(of).map(|a| &a.position);
                let original = original.or_else(|| self.files.get(&of).map(|f| &f.tail.position));
                let position = original.map(|p| Position { generation: fresh.generation, ..here(mark.apply(p)) });
                (self.registry.new_id(), position.unwrap_or(fresh), VecDeque::new())
            }
        };
        self.status.admitted(Key::Inode(inode.device, inode.number), id);
        let known = position.offset > 0;
        let mut tail = self.new_tail(id, &n.path, position, n.spool);
        if !marks.is_empty() {
            tail.marks = marks;
        }
        if known {
            self.status.count(|c| c.continued += 1);
            log::info!("{} is read on from byte {}: its beginning is known", tail.label, tail.position.offset);
            self.batches.push(tail.bookmark());
            // The comparison went further than where reading goes on.
            if let Some(again) = Reader::new(&reader.share(), self.limits.max_expansion, true).ok().flatten() {
                reader = again;
            }
        }
        self.make_room();
        tail.open(reader);
        let mut followed = Followed::new(tail, n.spool, stat);
        (followed.scan, followed.confirmed, followed.queued) = (n.scan, n.scan, true);
        followed.owed = n.owed.then_some(stat.size);
        (followed.stands_ms, followed.found) = (n.begins_ms, n.found);
        self.open.push(id);
        self.add_file(inode, followed);
        self.send()?;
        if known && n.owed {
            // What is unread of it may be much younger.
            self.place(id);
            return Ok(());
        }
        self.turn(id)
    }

    /// Takes the position of a file that is gone.
    fn take_over(&mut self, id: FileId) -> Option<(Position, VecDeque<Mark>)> {
        if let Some(absent) = self.registry.take(id) {
            return Some((absent.position, absent.marks));
        }
        let f = self.leave(id)?;
        let inode = Inode::of(&f.tail.position);
        if self.by_inode.get(&inode) == Some(&id) {
            self.by_inode.remove(&inode);
        }
        if self.by_path.get(&f.tail.path) == Some(&id) {
            self.by_path.remove(&f.tail.path);
        }
        Some((f.tail.position, f.tail.marks))
    }

    /// One more than the last generation of the same path.
    fn next_generation(&self, path: &std::path::Path) -> u32 {
        let absent = self.registry.at(path).map(|a| a.position.generation);
        let followed = self.by_path.get(path).and_then(|id| self.files.get(id)).map(|f| f.tail.position.generation);
        absent.chain(followed).max().map_or(0, |last| last + 1)
    }

    /// Tells the status about a newcomer.
    pub(super) fn say(&self, inode: Inode, state: FileState, error: Option<String>) {
        let Some(n) = self.newcomers.get(&inode) else { return };
        let (path, size) = (label(&n.path).to_string(), n.stat.size);
        let snapshot = FileSnapshot {
            spool: n.spool,
            path,
            size,
            lag_bytes: size,
            compressed: n.compressed,
            next_event_ms: n.begins_ms,
            state,
            error,
            ..FileSnapshot::default()
        };
        self.status.file(Key::Inode(inode.device, inode.number), snapshot);
    }
}

/// Where a file is that a newcomer resembles.
enum Place {
    /// Gone, and read to its end as far as that was possible.
    Gone,
    /// Still there; read to its end, or it cannot be read now.
    There,
    /// Not read to its end yet.
    Unread,
}
