//! Which known files begin like a new one: an index by length and hash of their heads, so that a burst of new files does not
//! compare each with all. It only names candidates; whoever asks compares their bytes.

use super::fingerprint::{Mark, hash};
use crate::batch::{FileId, Position};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Length and hash of a head.
type Head = (u32, u64);

/// Heads kept of one file: as many as there are marks, and its position.
const KEPT: usize = 33;

#[derive(Default)]
pub(super) struct Heads {
    by_head: HashMap<Head, BTreeSet<FileId>>,
    of: HashMap<FileId, Vec<Head>>,
    /// Lengths that occur, and how often.
    lengths: BTreeMap<u32, usize>,
}

impl Heads {
    /// A file has been read to here; cheap when its head has not grown.
    pub(super) fn learn(&mut self, id: FileId, position: &Position) {
        self.add(id, (position.head_len, position.head_hash));
    }

    /// A file may go on at any of these places.
    pub(super) fn learn_marks<'a>(&mut self, id: FileId, marks: impl IntoIterator<Item = &'a Mark>) {
        marks.into_iter().for_each(|m| self.add(id, (m.head_len, m.head_hash)));
    }

    fn add(&mut self, id: FileId, head: Head) {
        let own = self.of.entry(id).or_default();
        if head.0 == 0 || own.contains(&head) {
            return;
        }
        own.push(head);
        let oldest = (own.len() > KEPT).then(|| own.remove(0));
        self.by_head.entry(head).or_default().insert(id);
        *self.lengths.entry(head.0).or_default() += 1;
        if let Some(oldest) = oldest {
            self.drop_head(id, oldest);
        }
    }

    /// The file is known no more.
    pub(super) fn forget(&mut self, id: FileId) {
        for head in self.of.remove(&id).unwrap_or_default() {
            self.drop_head(id, head);
        }
    }

    fn drop_head(&mut self, id: FileId, head: Head) {
        if let Some(ids) = self.by_head.get_mut(&head) {
            ids.remove(&id);
            if ids.is_empty() {
                self.by_head.remove(&head);
            }
        }
        if let Some(count) = self.lengths.get_mut(&head.0) {
            *count -= 1;
            if *count == 0 {
                self.lengths.remove(&head.0);
            }
        }
    }

    /// Files that had a head with which this begins.
    pub(super) fn like(&self, head: &[u8]) -> BTreeSet<FileId> {
        let lengths = self.lengths.keys().filter_map(|len| Some((*len, head.get(..*len as usize)?)));
        let alike = lengths.filter_map(|(len, part)| self.by_head.get(&(len, hash(part))));
        alike.flatten().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position(head: &[u8]) -> Position {
        Position { head_len: head.len() as u32, head_hash: hash(head), ..Position::default() }
    }

    #[test]
    fn files_are_found_by_any_head_that_they_had_and_leave_nothing_behind() {
        let mut heads = Heads::default();
        heads.learn(1, &position(b"abc"));
        heads.learn(1, &position(b"abcdef"));
        heads.learn(2, &position(b"abc"));
        heads.learn(3, &position(b"x"));
        heads.learn(4, &position(b""));
        let like = |heads: &Heads, head: &[u8]| heads.like(head).into_iter().collect::<Vec<_>>();
        assert_eq!(like(&heads, b"abcdefgh"), [1, 2]);
        assert_eq!(like(&heads, b"abcd"), [1, 2]);
        assert_eq!(like(&heads, b"ab"), [0; 0]);
        assert_eq!(like(&heads, b"xyz"), [3]);
        (1..5).for_each(|id| heads.forget(id));
        assert!(heads.by_head.is_empty() && heads.of.is_empty() && heads.lengths.is_empty());
        (0..100).for_each(|n| heads.learn(9, &position(&vec![b'a'; n])));
        assert_eq!((heads.of[&9].len(), heads.by_head.len()), (KEPT, KEPT));
    }
}
