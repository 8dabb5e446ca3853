//! The changes that are not folded yet, by key: what the pages say of these keys does not count.

use super::edit::Edit;
use std::collections::BTreeSet;
use std::collections::btree_set::Range;
use std::ops::Bound;

/// Unfolded changes, the latest of each key.
#[derive(Debug, Default)]
pub(super) struct Overlay {
    edits: BTreeSet<Edit>,
    removals: usize,
}

impl Overlay {
    /// How many keys are changed.
    pub fn len(&self) -> usize {
        self.edits.len()
    }

    /// How many of them are removed.
    pub fn removals(&self) -> usize {
        self.removals
    }

    /// Takes a change; it replaces an earlier one of the same key.
    pub fn insert(&mut self, edit: Edit) {
        self.removals += usize::from(edit.value().is_none());
        let before = self.edits.replace(edit);
        self.removals -= usize::from(before.is_some_and(|edit| edit.value().is_none()));
    }

    /// The change of a key.
    pub fn get(&self, key: &[u8]) -> Option<&Edit> {
        self.edits.get(key)
    }

    /// The changes from `start` to `end`, in the order of their keys.
    pub fn range(&self, start: &[u8], end: Bound<&[u8]>) -> Range<'_, Edit> {
        self.edits.range::<[u8], _>((Bound::Included(start), end))
    }

    /// Drops the changes from `start` to `end`.
    pub fn forget(&mut self, start: &[u8], end: Bound<&[u8]>) {
        let keys: Vec<Box<[u8]>> = self.range(start, end).map(|edit| edit.key().into()).collect();
        for key in keys {
            let edit = self.edits.take::<[u8]>(&key);
            self.removals -= usize::from(edit.is_some_and(|edit| edit.value().is_none()));
        }
    }
}
