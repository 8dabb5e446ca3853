//! Compaction: the same records in a smaller database, whatever interrupts it.

use super::*;
use crate::store::StoreError;

/// A store whose file has grown to many times its contents.
fn wasteful(dir: &Path) -> (Store, Model) {
    let (mut store, mut model) = (open(dir), Model::new());
    for round in 0..40 {
        commit(&mut store, &mut model, (0..600).map(|i| put(format!("{i:05}"), noise(i + round, 90))).collect());
        fold_all(&mut store);
    }
    commit(&mut store, &mut model, vec![put("unfolded", "1"), removal("00003")]);
    (store, model)
}

#[test]
fn a_compacted_store_holds_the_same_takes_less_and_goes_on() {
    let dir = scratch();
    let (mut store, mut model) = wasteful(dir.path());
    let before = store.stats();
    assert!(store.compact_due(0) && !store.compact_due(before.disk_bytes), "{before:?}");
    store.compact().unwrap();
    let after = store.stats();
    assert!(after.disk_bytes * 2 < before.disk_bytes, "{} -> {}", before.disk_bytes, after.disk_bytes);
    assert_eq!((after.epoch, after.schema, after.deltas), (before.epoch, before.schema, 0));
    assert_eq!(all(&store), model);
    commit(&mut store, &mut model, vec![put("later", "2")]);
    drop(store);
    let store = open(dir.path());
    assert_eq!(all(&store), model);
    let names: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(!names.iter().any(|n| n.to_string_lossy().contains("unfinished")), "{names:?}");
}

#[test]
fn dying_on_either_side_of_the_exchange_leaves_the_same_records_and_no_litter() {
    let dir = scratch();
    let (store, model) = wasteful(dir.path());
    let known = store.known();
    drop(store);
    // Before: the new database is there, whole or not.
    let (old, new) = (dir.path().join("sled"), dir.path().join("sled.unfinished"));
    copy_dir(&old, &new);
    fs::write(new.join("db"), "half").unwrap();
    let mut store = open(dir.path());
    assert!(!new.exists());
    assert_eq!(all(&store), model);
    store.compact().unwrap();
    assert_eq!(store.known(), known);
    drop(store);
    // After: the old one is still there.
    copy_dir(&old, &new);
    let store = open(dir.path());
    assert!(!new.exists());
    assert_eq!(all(&store), model);
}

#[test]
fn a_snapshot_taken_on_the_way_is_the_one_that_would_be_taken_alone() {
    let (alone, together) = (scratch(), scratch());
    let (mut store, model) = wasteful(alone.path());
    store.snapshot().unwrap();
    let (mut other, _) = wasteful(together.path());
    other.snapshot_and_compact().unwrap();
    assert!(!other.snapshot_due());
    assert!(other.stats().disk_bytes * 2 < store.stats().disk_bytes);
    assert_eq!((all(&other), other.stats().deltas, other.stats().snapshots), (model, 0, 1));
    let written = |dir: &Path| {
        let entries = fs::read_dir(dir.join("snapshots")).unwrap().map(|e| e.unwrap().path());
        let [path] = entries.collect::<Vec<_>>().try_into().unwrap();
        // The head holds the store's id, which is random, and its checksum.
        fs::read(path).unwrap().split_off(36)
    };
    assert_eq!(written(alone.path()), written(together.path()));
}

/// As where a file system cannot exchange names: it fails each time, after the snapshot.
#[test]
fn snapshots_do_not_gather_where_the_new_database_cannot_take_its_place() {
    let dir = scratch();
    let (mut store, mut model) = wasteful(dir.path());
    for n in 0..3 {
        store.snapshot().unwrap();
        commit(&mut store, &mut model, vec![put("later", n.to_string())]);
    }
    fs::rename(dir.path().join("sled"), dir.path().join("elsewhere")).unwrap();
    assert!(matches!(store.snapshot_and_compact(), Err(StoreError::Io { .. })));
    assert!(!store.snapshot_due() && !store.is_usable());
    assert_eq!(fs::read_dir(dir.path().join("snapshots")).unwrap().count(), 3);
}

#[test]
fn a_new_database_that_cannot_be_made_leaves_the_old_one_in_use() {
    let dir = scratch();
    let (mut store, mut model) = wasteful(dir.path());
    fs::write(dir.path().join("sled.unfinished"), "in the way").unwrap();
    assert!(matches!(store.compact(), Err(StoreError::Io { .. })));
    assert!(matches!(store.snapshot_and_compact(), Err(StoreError::Io { .. })));
    assert_eq!(fs::read_dir(dir.path().join("snapshots")).unwrap().count(), 0, "half a snapshot is of no use");
    assert!(store.snapshot_due());
    assert!(store.is_usable());
    commit(&mut store, &mut model, vec![put("later", "2")]);
    assert_eq!(all(&store), model);
}
