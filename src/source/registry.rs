//! Knowing a file again: which kept position a file that has just appeared continues.
//!
//! By its device and inode when head and tail agree; else by its content, compared with the files that are gone or were
//! truncated, and with those that are still there, of which it may be a copy. Decides nothing: it only finds.

use super::fingerprint::{Inode, Mark, WINDOW, hash};
use super::reader::Reader;
use crate::batch::{FileId, Position};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io;

/// The positions of files that are not being followed.
#[derive(Default)]
pub(super) struct Registry {
    absent: BTreeMap<FileId, Absent>,
    /// Kept positions whose file has not been looked for yet.
    unmet: HashMap<Inode, FileId>,
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
    /// The furthest place up to which both are the same; `None` when the new file is shorter than every place known.
    pub(super) mark: Option<Mark>,
    /// Whether that place is the end of what was read.
    pub(super) at_position: bool,
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
            registry.absent.insert(id, Absent { position, marks: VecDeque::new() });
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
        let id = self.unmet.remove(&inode)?;
        Some((id, self.absent.remove(&id)?))
    }

    /// Kept positions that were not met, by the path at which each was last seen.
    pub(super) fn unmet(&self) -> impl Iterator<Item = (FileId, &Position)> {
        self.unmet.values().filter_map(|id| self.absent.get(id).map(|a| (*id, &a.position)))
    }

    /// A file is gone; its position stays. Returns the position to remember.
    pub(super) fn miss(&mut self, id: FileId, now_ms: i64) -> Option<Position> {
        let absent = self.absent.get_mut(&id)?;
        self.unmet.remove(&Inode::of(&absent.position));
        absent.position.gone_since_ms = Some(now_ms);
        Some(absent.position.clone())
    }

    pub(super) fn put(&mut self, id: FileId, absent: Absent) {
        self.absent.insert(id, absent);
    }

    pub(super) fn take(&mut self, id: FileId) -> Option<Absent> {
        let absent = self.absent.remove(&id)?;
        let inode = Inode::of(&absent.position);
        if self.unmet.get(&inode) == Some(&id) {
            self.unmet.remove(&inode);
        }
        Some(absent)
    }

    pub(super) fn get(&self, id: FileId) -> Option<&Absent> {
        self.absent.get(&id)
    }

    pub(super) fn absent(&self) -> impl Iterator<Item = Candidate<'_>> {
        self.absent.iter().map(|(id, a)| Candidate { id: *id, position: &a.position, marks: &a.marks })
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
    let mut found: Vec<Relative> = Vec::new();
    let mut places: Vec<(u64, u64, usize, bool, Mark)> = Vec::new();
    for c in candidates {
        let len = c.position.head_len as usize;
        let Some(part) = head.get(..len).filter(|part| !part.is_empty()) else { continue };
        let Some(memo) = hashes.get_mut(len) else { continue };
        if *memo.get_or_insert_with(|| hash(part)) != c.position.head_hash {
            continue;
        }
        let index = found.len();
        found.push(Relative { id: c.id, mark: None, at_position: false });
        let end = Mark::of(c.position);
        places.extend(c.marks.iter().filter(|m| m.offset < end.offset).map(|m| (m, false)).chain([(&end, true)]).map(
            |(mark, at_position)| (mark.offset, mark.tail_hash, index, at_position, mark.clone()),
        ));
    }
    // Forwards, because a compressed file can only be read forwards.
    places.sort_by_key(|(offset, ..)| *offset);
    let mut longer = vec![false; found.len()];
    for (offset, tail_hash, index, at_position, mark) in places {
        let Some(bytes) = reader.before(offset)? else { continue };
        if let (Some(relative), Some(longer)) = (found.get_mut(index), longer.get_mut(index)) {
            *longer |= at_position;
            if hash(bytes) == tail_hash {
                (relative.mark, relative.at_position) = (Some(mark), at_position);
            }
        }
    }
    // As long as what was read and yet different: no relative at all.
    let mut longer = longer.into_iter();
    found.retain(|r| !longer.next().unwrap_or(false) || r.at_position);
    Ok(found)
}
