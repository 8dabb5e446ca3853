//! Reading paths to their end, once: what a replay does.
//!
//! One file after the other, in an order that depends on names and contents alone. A file that was read to its end before
//! is skipped and named, one that has grown is resumed, and a copy under another name is the same file.

use super::decode::End;
use super::fingerprint::{Inode, Stat, hash};
use super::glob::Globs;
use super::outlet::{Outlet, Stopped};
use super::reader::{Reader, open_regular};
use super::registry::{Absent, Registry, relatives};
use super::scan::{self, Refuse};
use super::status::{FileSnapshot, FileState, Key, SourceStatus};
use super::tail::{Reading, Step, Tail, label};
use super::{Sniff, SourceError, order};
use crate::batch::{FileId, Position, RawBatch};
use crate::calendar::wall_clock_ms;
use crate::config::{FormatSetting, Limits};
use std::collections::VecDeque;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(super) struct OnceSettings {
    pub(super) format: FormatSetting,
    pub(super) limits: Limits,
    pub(super) known: Vec<(FileId, Position)>,
    pub(super) sniff: Arc<dyn Sniff>,
    pub(super) refuse_files: Vec<PathBuf>,
}

pub(super) struct Once {
    paths: Vec<Given>,
    format: FormatSetting,
    limits: Limits,
    sniff: Arc<dyn Sniff>,
    refuse: Refuse,
    registry: Registry,
    outlet: Outlet,
    status: Arc<SourceStatus>,
    batches: Vec<RawBatch>,
    done_bytes: u64,
}

enum Given {
    Directory(PathBuf),
    File(PathBuf),
}

/// A file whose turn will come.
struct Planned {
    path: PathBuf,
    /// The user named it: a symbolic link is followed.
    named: bool,
}

impl Once {
    /// Checks that every path can be read.
    pub(super) fn new(
        paths: &[PathBuf],
        settings: OnceSettings,
        outlet: Outlet,
        status: Arc<SourceStatus>,
    ) -> Result<Once, SourceError> {
        let check =
            |path: &PathBuf| given(path).map_err(|source| SourceError::Unreadable { path: path.clone(), source });
        let paths = paths.iter().map(check).collect::<Result<Vec<_>, _>>()?;
        status.set_spools(std::iter::empty());
        Ok(Once {
            paths,
            format: settings.format,
            limits: settings.limits,
            sniff: settings.sniff,
            refuse: Refuse::new(&settings.refuse_files),
            registry: Registry::new(settings.known),
            outlet,
            status,
            batches: Vec::new(),
            done_bytes: 0,
        })
    }

    /// Reads everything, or until it is told to stop.
    pub(super) fn run(mut self) {
        for planned in self.plan() {
            if self.read_file(&planned).is_err() {
                return;
            }
        }
    }

    fn plan(&mut self) -> Vec<Planned> {
        let mut planned = Vec::new();
        let mut bytes = 0;
        for given in std::mem::take(&mut self.paths) {
            match given {
                Given::File(path) => {
                    bytes += fs::metadata(&path).map_or(0, |m| m.len());
                    planned.push(Planned { path, named: true });
                }
                Given::Directory(dir) => match scan::list(&dir, &Globs::for_replay(), &self.refuse) {
                    Ok((_, files)) => {
                        bytes += files.iter().map(|f| f.stat.size).sum::<u64>();
                        let files = order::sort(files, &*self.sniff, self.limits.max_expansion);
                        planned.extend(files.into_iter().map(|f| Planned { path: f.path, named: false }));
                    }
                    Err(e) => self.fail(&dir, &e.to_string()),
                },
            }
        }
        self.status.change(|s| s.planned_bytes = bytes);
        planned
    }

    fn read_file(&mut self, planned: &Planned) -> Result<(), Stopped> {
        self.outlet.check()?;
        if planned.named && self.refuse.covers(&planned.path) {
            self.fail(&planned.path, "it is the agent's own alert file");
            return Ok(());
        }
        match self.open(planned) {
            Ok(Some((tail, stat, known))) => self.read_to_end(tail, &stat, known),
            Ok(None) => Ok(()),
            Err(e) => {
                self.count_error(&e);
                self.fail(&planned.path, &e.to_string());
                Ok(())
            }
        }
    }

    /// Opens a file and finds out where to read on. The flag says that some of it was read before.
    fn open(&mut self, planned: &Planned) -> io::Result<Option<(Tail, Stat, bool)>> {
        let (file, stat) = open_regular(&planned.path, planned.named)?;
        let _ = rustix::fs::fadvise(&*file, 0, None, rustix::fs::Advice::Sequential);
        let max_expansion = self.limits.max_expansion;
        let fresh = || Reader::new(&file, max_expansion, true);
        let Some(mut reader) = fresh()? else { return Ok(None) };
        let found = self.recognise(&mut reader, &stat)?;
        let known = found.is_some();
        let (id, position) = found.unwrap_or_else(|| (self.registry.new_id(), Position::default()));
        let position = Position {
            path: planned.path.clone(),
            device: stat.inode.device,
            inode: stat.inode.number,
            gone_since_ms: None,
            ..position
        };
        let mut tail = Tail::new(id, &planned.path, position, self.format, &self.limits);
        // Recognising went to the end of what was read; a compressed file begins anew.
        tail.open(match fresh()? {
            Some(again) if !reader.is_plain() => again,
            _ => reader,
        });
        Ok(Some((tail, stat, known)))
    }

    /// The kept position that this file continues.
    fn recognise(&mut self, reader: &mut Reader, stat: &Stat) -> io::Result<Option<(FileId, Position)>> {
        if let Some((id, absent)) = self.registry.meet(stat.inode) {
            let p = &absent.position;
            let head_is_same = reader.head()?.get(..p.head_len as usize).map(hash) == Some(p.head_hash);
            let unchanged = !reader.is_plain() && p.complete && p.stored_size == stat.size;
            if head_is_same && (unchanged || reader.before(p.offset)?.map(hash) == Some(p.tail_hash)) {
                return Ok(Some((id, absent.position)));
            }
            self.registry.put(id, absent);
        }
        let found = relatives(reader, self.registry.absent())?;
        let best = found.into_iter().filter(|r| r.at_position).max_by_key(|r| {
            let p = self.registry.get(r.id).map(|a| &a.position);
            // Of equals, the very file rather than a copy of it.
            (r.mark.as_ref().map_or(0, |m| m.offset), p.is_some_and(|p| Inode::of(p) == stat.inode))
        });
        let Some(original) = best.and_then(|r| self.registry.get(r.id).map(|a| (r.id, a.position.clone()))) else {
            return Ok(None);
        };
        let (id, position) = original;
        let inode = Inode::of(&position);
        let still_there = fs::metadata(&position.path).is_ok_and(|m| Stat::of(&m).inode == inode);
        if inode != stat.inode && still_there {
            return Ok(Some((self.registry.new_id(), Position { complete: false, ..position })));
        }
        self.registry.take(id);
        Ok(Some((id, Position { complete: position.complete && inode == stat.inode, ..position })))
    }

    fn read_to_end(&mut self, mut tail: Tail, stat: &Stat, known: bool) -> Result<(), Stopped> {
        let mut read = false;
        let done = known && tail.is_done(stat).unwrap_or(false);
        let end = loop {
            if done {
                break Ok(End::Complete);
            }
            let mut reading = Reading {
                limits: &self.limits,
                sniff: &*self.sniff,
                until: None,
                stands_ms: None,
                outlet: &mut self.outlet,
                batches: &mut self.batches,
            };
            let before = tail.position.offset;
            let step = tail.read(stat, true, &mut reading);
            read |= tail.position.offset > before;
            let refused = self.batches.iter().map(|b| b.refused.len() as u64).sum();
            self.status.consumed(0, tail.position.offset - before, refused, wall_clock_ms());
            for batch in self.batches.drain(..) {
                self.outlet.send(batch)?;
            }
            self.report(&tail, stat, FileState::Reading);
            match step {
                Ok(Step::More) => self.outlet.check()?,
                Ok(Step::End(end)) => break Ok(end),
                Ok(Step::Replaced) => break Err("it changed while it was being read".to_owned()),
                Err(e) => {
                    self.count_error(&e);
                    break Err(e.to_string());
                }
            }
        };
        self.finish(tail, stat, end, known && !read);
        Ok(())
    }

    fn finish(&mut self, tail: Tail, stat: &Stat, end: Result<End, String>, skipped: bool) {
        let state = match &end {
            Ok(End::Complete) => FileState::Waiting,
            Ok(End::Incomplete) => FileState::Incomplete,
            Ok(End::Corrupt(_)) => FileState::Corrupt,
            Ok(End::TooLarge) => FileState::TooLarge,
            Err(_) => FileState::Unreadable,
        };
        self.done_bytes += stat.size;
        self.report(&tail, stat, state);
        let path = tail.path.clone();
        match end {
            Ok(End::Complete) if skipped => self.status.change(|s| s.skipped.push(tail.label.to_string())),
            Ok(End::Complete) => {}
            Ok(End::Incomplete) => self.fail(&path, "the compressed file stops in the middle"),
            Ok(End::Corrupt(why)) => {
                self.status.count(|c| c.corrupt += 1);
                self.fail(&path, &format!("it cannot be decoded: {why}"));
            }
            Ok(End::TooLarge) => {
                self.status.count(|c| c.too_large += 1);
                let times = self.limits.max_expansion;
                self.fail(&path, &format!("it expands to more than {times} times its size; see max_expansion"));
            }
            Err(why) => self.fail(&path, &why),
        }
        if tail.position.offset > 0 {
            self.registry.put(tail.id, Absent { position: tail.position, marks: VecDeque::new() });
        }
    }

    fn report(&self, tail: &Tail, stat: &Stat, state: FileState) {
        let p = &tail.position;
        let stored = tail.reader.as_ref().map_or(0, |r| r.stored_offset(p.offset)).min(stat.size);
        let finished = state != FileState::Reading;
        let snapshot = FileSnapshot {
            size: stat.size,
            lag_bytes: if finished { 0 } else { stat.size - stored },
            state,
            ..FileSnapshot::of(tail.id, &tail.label, p)
        };
        self.status.file(Key::File(tail.id), snapshot);
        let done = if finished { self.done_bytes } else { self.done_bytes + stored };
        self.status.change(|s| s.done_bytes = done);
    }

    fn count_error(&self, e: &io::Error) {
        self.status.count(|c| {
            c.io_errors += 1;
            c.permission_errors += u64::from(e.kind() == io::ErrorKind::PermissionDenied);
        });
    }

    fn fail(&self, path: &Path, why: &str) {
        log::warn!("{} was not read to its end: {why}", path.display());
        self.status.change(|s| s.failed.push(format!("{}: {why}", label(path))));
    }
}

/// What a path that the user named is.
fn given(path: &Path) -> io::Result<Given> {
    let meta = fs::metadata(path)?;
    if meta.is_dir() {
        fs::read_dir(path)?;
        Ok(Given::Directory(path.to_owned()))
    } else {
        open_regular(path, true)?;
        Ok(Given::File(path.to_owned()))
    }
}
