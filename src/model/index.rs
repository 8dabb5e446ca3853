//! Where the bin of a value stands, for an instance of more than a few bins. Hashes are seeded: values are an attacker's choice.

use super::histogram::Bin;
use foldhash::fast::RandomState;
use hashbrown::HashTable;
use std::hash::BuildHasher;

/// Slots of bins by their value.
#[derive(Clone, Debug)]
pub(super) struct Index {
    hasher: RandomState,
    table: HashTable<u32>,
    /// Slots whose record must be written. Where there is no index, all bins are looked at.
    pub(super) dirty: Vec<u32>,
}

impl Index {
    /// An empty one.
    pub(super) fn with_room_for(bins: usize) -> Index {
        Index { hasher: RandomState::default(), table: HashTable::with_capacity(bins), dirty: Vec::new() }
    }

    /// The slot of a value.
    pub(super) fn find(&self, value: &[u8], bins: &[Bin]) -> Option<u32> {
        let is_it = |slot: &u32| bins.get(*slot as usize).is_some_and(|b| *b.value == *value);
        self.table.find(self.hasher.hash_one(value), is_it).copied()
    }

    /// Adds a slot, whose bin is there.
    pub(super) fn insert(&mut self, slot: u32, bins: &[Bin]) {
        let key = |s: u32| bins.get(s as usize).map(|b| &*b.value).unwrap_or_default();
        let hasher = &self.hasher;
        self.table.insert_unique(hasher.hash_one(key(slot)), slot, |s| hasher.hash_one(key(*s)));
    }

    /// Takes the slot of a value out.
    pub(super) fn remove(&mut self, slot: u32, value: &[u8]) {
        if let Ok(entry) = self.table.find_entry(self.hasher.hash_one(value), |s| *s == slot) {
            entry.remove();
        }
    }
}
