//! Behaviour of the store as a whole: against a model, after crashes, after damage.

mod behaviour;
mod compaction;
mod damage;
mod model;
mod recovery;

use super::{Delta, OnDamage, Store, StoreOptions};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use tempfile::TempDir;

/// What a store should hold.
type Model = BTreeMap<Vec<u8>, Vec<u8>>;

const SCHEMA: u16 = 3;

/// What keys begin with that are said to ascend.
const ASCENDING: &[u8] = b"o/";

/// A temporary directory in memory, unless TMPDIR says otherwise.
fn scratch() -> TempDir {
    let memory = Path::new("/dev/shm");
    if std::env::var_os("TMPDIR").is_none() && memory.is_dir() {
        tempfile::tempdir_in(memory).unwrap()
    } else {
        tempfile::tempdir().unwrap()
    }
}

fn options() -> StoreOptions {
    StoreOptions {
        max_delta_bytes: 8 << 10,
        schema: SCHEMA,
        ascending: ASCENDING,
        on_damage: OnDamage::Refuse,
        snapshots_kept: 3,
    }
}

fn open(dir: &Path) -> Store {
    Store::open(dir, &options()).unwrap().0
}

/// A change.
type Owned = (Vec<u8>, Option<Vec<u8>>);

fn put(key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Owned {
    (key.as_ref().to_vec(), Some(value.as_ref().to_vec()))
}

fn removal(key: impl AsRef<[u8]>) -> Owned {
    (key.as_ref().to_vec(), None)
}

fn delta(edits: impl IntoIterator<Item = Owned>) -> Delta {
    edits.into_iter().collect()
}

/// Commits changes and does the same to the model.
fn commit(store: &mut Store, model: &mut Model, edits: Vec<Owned>) -> u64 {
    for (key, value) in edits.clone() {
        match value {
            Some(value) => model.insert(key, value),
            None => model.remove(&key),
        };
    }
    store.commit(&mut delta(edits)).unwrap()
}

fn fold_all(store: &mut Store) {
    while store.fold_step().unwrap() {}
}

/// Everything in a store, read in small pieces.
fn contents(scan: impl Fn(&[u8]) -> Vec<(Vec<u8>, Vec<u8>)>) -> Model {
    let (mut all, mut from) = (Model::new(), Vec::new());
    loop {
        let piece = scan(&from);
        let Some((last, _)) = piece.last() else { return all };
        from = [last.as_slice(), b"\0"].concat();
        for (key, value) in piece {
            assert!(all.last_key_value().is_none_or(|(last, _)| *last < key), "out of order");
            all.insert(key, value);
        }
    }
}

fn all(store: &Store) -> Model {
    contents(|from| store.scan(from, b"", 3_000).unwrap())
}

/// What kill -9 would leave behind.
fn copy_dir(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_dir(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Bytes that follow from a seed and look random.
fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    (0..len)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 32) as u8
        })
        .collect()
}
