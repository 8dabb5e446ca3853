//! The guards of one day: their keys stand one after the other in one piece of memory, since they leave together.

use crate::batch::KeyHasher;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

/// Number of a guard within its day.
type GuardId = u32;

/// What fired on one day, or in the month that it begins.
#[derive(Debug, Default)]
pub(super) struct GuardDay {
    keys: Vec<u8>,
    guards: Vec<Held>,
    by_key: HashTable<GuardId>,
    /// Alerts raised by who they are about: for flood suppression.
    fired: HashTable<Fired>,
    dirty: Vec<GuardId>,
    /// Those that are left, by descending key; empty when that has to be found out anew.
    leaving: Vec<GuardId>,
}

/// What has fired.
#[derive(Clone, Copy, Debug)]
struct Held {
    /// Where its key begins, as in the store.
    at: usize,
    len: u32,
    /// How many bytes of the key name the day and who the alert is about.
    subject: u32,
    repeats: u64,
    dirty: bool,
    gone: bool,
}

/// How often something fired about somebody.
#[derive(Clone, Copy, Debug)]
struct Fired {
    /// Where the name of the subject stands in the keys.
    at: usize,
    len: u32,
    times: u32,
}

impl GuardDay {
    /// How many guards there are.
    pub(super) fn len(&self) -> usize {
        self.by_key.len()
    }

    /// How many have changed since the last drain.
    pub(super) fn dirty_count(&self) -> usize {
        self.dirty.len()
    }

    /// Keys and repeats.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&[u8], u64)> {
        self.guards.iter().filter(|held| !held.gone).map(|held| (key_of(&self.keys, held), held.repeats))
    }

    /// Whether this has fired. If it has, it is counted as a repeat.
    pub(super) fn repeat(&mut self, key: &[u8], hasher: &KeyHasher) -> bool {
        let Some(id) = self.find(key, hasher) else { return false };
        if let Some(held) = self.guards.get_mut(id as usize) {
            held.repeats += 1;
            if !held.dirty {
                held.dirty = true;
                self.dirty.push(id);
            }
        }
        true
    }

    /// Keeps a guard; the first `subject` bytes of its key name the day and who it is about. Returns how many guards the
    /// subject had before.
    pub(super) fn keep(
        &mut self,
        key: &[u8],
        subject: usize,
        (repeats, dirty): (u64, bool),
        hasher: &KeyHasher,
    ) -> u32 {
        let GuardDay { keys, guards, by_key, fired, dirty: dirties, leaving } = self;
        let (at, id) = (keys.len(), guards.len() as GuardId);
        let place = by_key.entry(
            hasher.hash(key),
            |id| key_in(keys, guards, *id) == key,
            |id| hasher.hash(key_in(keys, guards, *id)),
        );
        let is_new = match place {
            Entry::Occupied(_) => false,
            Entry::Vacant(place) => {
                place.insert(id);
                true
            }
        };
        if is_new {
            leaving.clear();
            keys.extend_from_slice(key);
            guards.push(Held { at, len: key.len() as u32, subject: subject as u32, repeats, dirty, gone: false });
            if dirty {
                dirties.push(id);
            }
        }
        let name = key.get(..subject).unwrap_or(key);
        let hash = hasher.hash(name);
        match (fired.find_mut(hash, |fired| name_of(keys, fired) == name), is_new) {
            (Some(fired), true) => {
                fired.times += 1;
                fired.times - 1
            }
            (Some(fired), false) => fired.times,
            (None, true) => {
                let first = Fired { at, len: subject as u32, times: 1 };
                fired.insert_unique(hash, first, |fired| hasher.hash(name_of(keys, fired)));
                0
            }
            (None, false) => 0,
        }
    }

    /// Takes the guard with the lowest key away; `each` gets its key. Whether one is left.
    pub(super) fn take_first(&mut self, hasher: &KeyHasher, each: impl FnOnce(&[u8])) -> bool {
        if self.leaving.is_empty() {
            self.settle(hasher);
            let (keys, guards) = (&self.keys, &self.guards);
            self.leaving = (0..guards.len() as GuardId).collect();
            self.leaving.sort_unstable_by(|a, b| key_in(keys, guards, *b).cmp(key_in(keys, guards, *a)));
        }
        let Some(id) = self.leaving.pop() else { return false };
        let Some(held) = self.guards.get_mut(id as usize) else { return false };
        held.gone = true;
        let held = *held;
        let key = key_of(&self.keys, &held);
        each(key);
        if let Ok(entry) = self.by_key.find_entry(hasher.hash(key), |other| *other == id) {
            entry.remove();
        }
        let name = key.get(..held.subject as usize).unwrap_or(key);
        let keys = &self.keys;
        if let Ok(mut entry) = self.fired.find_entry(hasher.hash(name), |fired| name_of(keys, fired) == name) {
            entry.get_mut().times -= 1;
            if entry.get().times == 0 {
                entry.remove();
            }
        }
        !self.leaving.is_empty()
    }

    /// Hands over keys and repeats of what changed since the last call.
    pub(super) fn drain(&mut self, mut each: impl FnMut(&[u8], u64)) {
        for id in self.dirty.drain(..) {
            if let Some(held) = self.guards.get_mut(id as usize)
                && std::mem::take(&mut held.dirty)
                && !held.gone
            {
                each(key_of(&self.keys, held), held.repeats);
            }
        }
    }

    /// Gives the memory back of those that are gone.
    fn settle(&mut self, hasher: &KeyHasher) {
        if self.guards.len() == self.by_key.len() {
            return;
        }
        let before = std::mem::take(self);
        for held in before.guards.iter().filter(|held| !held.gone) {
            let key = key_of(&before.keys, held);
            self.keep(key, held.subject as usize, (held.repeats, held.dirty), hasher);
        }
    }

    /// Whether there is a guard with this key.
    pub(super) fn has(&self, key: &[u8], hasher: &KeyHasher) -> bool {
        self.find(key, hasher).is_some()
    }

    fn find(&self, key: &[u8], hasher: &KeyHasher) -> Option<GuardId> {
        self.by_key.find(hasher.hash(key), |id| key_in(&self.keys, &self.guards, *id) == key).copied()
    }
}

fn key_in<'a>(keys: &'a [u8], guards: &[Held], id: GuardId) -> &'a [u8] {
    guards.get(id as usize).map_or(&[], |held| key_of(keys, held))
}

fn key_of<'a>(keys: &'a [u8], held: &Held) -> &'a [u8] {
    keys.get(held.at..held.at + held.len as usize).unwrap_or_default()
}

fn name_of<'a>(keys: &'a [u8], fired: &Fired) -> &'a [u8] {
    keys.get(fired.at..fired.at + fired.len as usize).unwrap_or_default()
}
