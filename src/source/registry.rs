//! Knowing a file again: which kept position a file that has just appeared continues.
//!
//! By its device and inode when head and tail agree; else by its content, compared with the files that are gone or were
//! truncated, and with those that are still there, of which it may be a copy. Decides nothing: it only finds.

use super::fingerprint::{Inode, Mark, WINDOW, hash};
use super::reader::Reader;
use crate::batch::{FileId, Position};
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::io;
use std::path::{Path, PathBuf};

/// The positions of files that are not being followed.
#[derive(Default)]
pub(super) struct Registry {
    absent: BTreeMap<FileId, Absent>,
    /// Kept positions whose file has not been looked for yet.
    unmet: HashMap<Inode, FileId>,
    /// The absent by their paths.
    paths: HashMap<PathBuf, BTreeSet<FileId>>,
    next_id: FileId,
}

/// A kept position.
#[derive(Clone, Debug)]
pub(super) struct Absent {
    pub(super) position: Position,
    pub(super) marks: VecDeque<Mark>,
}

/// A file whose beginning is that of the file in question.
#[derive(Clone, Debug)]
pub(super) struct Relative {
    pub(super) id: FileId,
    /// The furthest place up to which both are known to be the same; `None` when only the head is.
    pub(super) mark: Option<Mark>,
    /// Whether that place is the end of what was read.
    pub(super) at_position: bool,
    /// Whether the file in question ends before that, as a copy does that is still being made.
    pub(super) is_shorter: bool,
}

/// Something that may be compared with a new file.
pub(super) struct Candidate<'a> {
    pub(super) id: FileId,
    pub(super) position: &'a Position,
    pub(super) marks: &'a VecDeque<Mark>,
}

impl Registry {
    pub(super) fn new(known: Vec<(FileId, Position)>) -> Registry {
        let mut registry = Registry { next_id: 1, ..Registry::default() };
        for (id, position) in known {
            registry.next_id = registry.next_id.max(id + 1);
            if position.gone_since_ms.is_none() {
                registry.unmet.insert(Inode::of(&position), id);
            }
            registry.put(id, Absent { position, marks: VecDeque::new() });
        }
        registry
    }

    pub(super) fn new_id(&mut self) -> FileId {
        let id = self.next_id;
        self.next_id += 1;
        id
    }

    /// Takes the kept position of the file that had this inode when the agent stopped.
    pub(super) fn meet(&mut self, inode: Inode) -> Option<(FileId, Absent)> {
        let id = self.unmet.get(&inode).copied()?;
        Some((id, self.take(id)?))
    }

    /// Kept positions of files that should be there and were not met.
    pub(super) fn unmet(&self) -> impl Iterator<Item = (FileId, &Position)> {
        let there = self.absent.iter().filter(|(_, a)| a.position.gone_since_ms.is_none());
        there.map(|(id, a)| (*id, &a.position))
    }

    /// A file is gone; its position stays. Returns the position to remember.
    pub(super) fn miss(&mut self, id: FileId, now_ms: i64) -> Option<Position> {
        let absent = self.absent.get_mut(&id)?;
        let inode = Inode::of(&absent.position);
        if self.unmet.get(&inode) == Some(&id) {
            self.unmet.remove(&inode);
        }
        absent.position.gone_since_ms = Some(now_ms);
        Some(absent.position.clone())
    }

    pub(super) fn put(&mut self, id: FileId, absent: Absent) {
        self.paths.entry(absent.position.path.clone()).or_default().insert(id);
        self.absent.insert(id, absent);
    }

    pub(super) fn take(&mut self, id: FileId) -> Option<Absent> {
        let absent = self.absent.remove(&id)?;
        if let Some(ids) = self.paths.get_mut(&absent.position.path) {
            ids.remove(&id);
            if ids.is_empty() {
                self.paths.remove(&absent.position.path);
            }
        }
        let inode = Inode::of(&absent.position);
        if self.unmet.get(&inode) == Some(&id) {
            self.unmet.remove(&inode);
        }
        Some(absent)
    }

    pub(super) fn get(&self, id: FileId) -> Option<&Absent> {
        self.absent.get(&id)
    }

    /// The absent files that were last seen under this path.
    pub(super) fn at(&self, path: &Path) -> impl Iterator<Item = &Absent> {
        self.paths.get(path).into_iter().flatten().filter_map(|id| self.absent.get(id))
    }

    pub(super) fn absent(&self) -> impl Iterator<Item = Candidate<'_>> {
        self.absent.iter().map(|(id, a)| Candidate { id: *id, position: &a.position, marks: &a.marks })
    }

    /// Moves the instants at which files were missed. Returns what is to be remembered.
    pub(super) fn shift_gone(&mut self, by_ms: i64) -> Vec<(FileId, Position)> {
        let mut moved = Vec::new();
        for (id, absent) in &mut self.absent {
            if let Some(since) = &mut absent.position.gone_since_ms {
                *since = since.saturating_add(by_ms);
                moved.push((*id, absent.position.clone()));
            }
        }
        moved
    }

    /// Files that have been gone since before this instant.
    pub(super) fn gone_before(&self, instant_ms: i64) -> Vec<FileId> {
        let old = |a: &Absent| a.position.gone_since_ms.is_some_and(|since| since < instant_ms);
        self.absent.iter().filter(|(_, a)| old(a)).map(|(id, _)| *id).collect()
    }
}

/// The candidates that begin like the file behind `reader`, each with the furthest common place.
pub(super) fn relatives<'a>(
    reader: &mut Reader,
    candidates: impl Iterator<Item = Candidate<'a>>,
) -> io::Result<Vec<Relative>> {
    let head = reader.head()?.to_vec();
    let mut hashes: Vec<Option<u64>> = vec![None; WINDOW + 1];
    let mut begins_like = |len: u32, expected: u64| {
        let Some(part) = head.get(..len as usize).filter(|part| !part.is_empty()) else { return false };
        hashes.get_mut(part.len()).is_some_and(|memo| *memo.get_or_insert_with(|| hash(part)) == expected)
    };
    let mut found: Vec<Relative> = Vec::new();
    let mut places: Vec<(usize, bool, Mark)> = Vec::new();
    for c in candidates {
        let end = Mark::of(c.position);
        let earlier = c.marks.iter().filter(|m| m.offset < end.offset).map(|m| (m, false));
        let known = earlier.chain([(&end, true)]).filter(|(m, _)| begins_like(m.head_len, m.head_hash));
        let before = places.len();
        places.extend(known.map(|(mark, at_position)| (found.len(), at_position, mark.clone())));
        if places.len() > before {
            found.push(Relative { id: c.id, mark: None, at_position: false, is_shorter: false });
        }
    }
    // Forwards, because a compressed file can only be read forwards.
    places.sort_by_key(|(_, _, mark)| mark.offset);
    let mut others = vec![false; found.len()];
    for (index, at_position, mark) in places {
        let Some(bytes) = reader.before(mark.offset)? else {
            if at_position && let Some(relative) = found.get_mut(index) {
                relative.is_shorter = true;
            }
            continue;
        };
        let same = hash(bytes) == mark.tail_hash;
        if let (Some(relative), Some(other)) = (found.get_mut(index), others.get_mut(index)) {
            if same {
                (relative.mark, relative.at_position) = (Some(mark), at_position);
            } else {
                *other |= at_position;
            }
        }
    }
    // As long as what was read, and different from it: that only the head is the same means nothing.
    let mut others = others.into_iter();
    found.retain(|r| !others.next().unwrap_or(false) || r.mark.is_some());
    Ok(found)
}
