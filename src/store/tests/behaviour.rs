//! What the store promises, one promise a test.

use super::super::{MAX_KEY_BYTES, MAX_VALUE_BYTES, StoreError, read_stopped};
use super::*;
use std::os::unix::fs::PermissionsExt;

#[test]
fn the_last_of_several_changes_to_a_key_counts() {
    let dir = scratch();
    let mut store = open(dir.path());
    let edits = vec![put("a", "1"), put("b", "1"), removal("a"), put("b", "2"), put("c", ""), removal("d")];
    assert_eq!(store.commit(&mut delta(edits)).unwrap(), 1);
    let expected = Model::from([(b"b".to_vec(), b"2".to_vec()), (b"c".to_vec(), vec![])]);
    assert_eq!(all(&store), expected);
    drop(store);
    assert_eq!(all(&open(dir.path())), expected);
}

#[test]
fn an_empty_delta_writes_nothing() {
    let dir = scratch();
    let mut store = open(dir.path());
    let before = fs::read(dir.path().join("sled/db")).unwrap();
    assert_eq!(store.commit(&mut Delta::default()).unwrap(), 0);
    assert_eq!(fs::read(dir.path().join("sled/db")).unwrap(), before);
}

#[test]
fn opening_tells_what_was_found() {
    let dir = scratch();
    let path = dir.path().join("deep/state");
    let (mut store, opened) = Store::open(&path, &options()).unwrap();
    assert!(opened.created && opened.epoch == 0 && !opened.witness_renewed, "{opened:?}");
    for mode in [fs::metadata(&path), fs::metadata(path.join("sled"))] {
        assert_eq!(mode.unwrap().permissions().mode() & 0o777, 0o700);
    }
    store.commit(&mut delta([put("a", "1")])).unwrap();
    store.close().unwrap();
    let opened = Store::open(&path, &options()).unwrap().1;
    assert_eq!((opened.created, opened.epoch, opened.records, opened.schema), (false, 1, 1, SCHEMA));
}

#[test]
fn records_of_all_sizes_come_back() {
    let dir = scratch();
    let mut store = open(dir.path());
    let mut model = Model::new();
    let sizes = [0, 1, 5_990, 6_000, 6_130, 6_131, 7_168, 50_000, 1 << 20, MAX_VALUE_BYTES];
    let mut edits: Vec<Owned> = sizes.iter().map(|&n| put(format!("v{n:08}"), noise(n as u64 + 1, n))).collect();
    edits.push(put(vec![b'k'; MAX_KEY_BYTES], noise(1, 7_000)));
    edits.push(put(vec![b'k'; MAX_KEY_BYTES - 1], "shorter"));
    commit(&mut store, &mut model, edits);
    assert_eq!(all(&store), model);
    fold_all(&mut store);
    assert_eq!(all(&store), model);
    commit(&mut store, &mut model, vec![put("v01048576", "small now"), removal("v00050000"), put("v00000001", "y")]);
    fold_all(&mut store);
    store.close().unwrap();
    let store = open(dir.path());
    assert_eq!(all(&store), model);
    assert_eq!(store.stats().blobs, 0);
}

#[test]
fn a_record_beyond_the_limits_is_refused_and_the_store_goes_on() {
    let dir = scratch();
    let mut store = open(dir.path());
    for bad in [put("", "v"), put(vec![0; MAX_KEY_BYTES + 1], ""), put("k", vec![0; MAX_VALUE_BYTES + 1])] {
        let refused = store.commit(&mut delta([put("good", "1"), bad]));
        assert!(matches!(refused, Err(StoreError::Invalid { .. })));
    }
    assert_eq!(all(&store), Model::new());
    assert_eq!(store.commit(&mut delta([put("good", "1")])).unwrap(), 1);
}

#[test]
fn sled_never_makes_blob_files_under_heavy_churn() {
    let dir = scratch();
    let mut store = open(dir.path());
    let mut model = Model::new();
    for round in 0..60u64 {
        let edits = (0..40).map(|i| {
            let n = round.wrapping_mul(31).wrapping_add(i * 17) % 400;
            let len = if i % 13 == 0 { 90_000 } else { 3_000 + (i * 97 % 3_200) as usize };
            if (n + round) % 5 == 0 { removal(format!("{n:04}")) } else { put(format!("{n:04}"), noise(n, len)) }
        });
        commit(&mut store, &mut model, edits.collect());
        while store.fold_due() {
            store.fold_step().unwrap();
        }
        assert_eq!(store.stats().blobs, 0, "round {round}");
    }
    assert_eq!(all(&store), model);
    assert_eq!(fs::read_dir(dir.path().join("sled/blobs")).unwrap().count(), 0);
}

/// Numbered records that a commit has many of are in pages at once: nothing of them is unfolded, or folded.
#[test]
fn what_only_ascends_goes_into_pages_at_once() {
    let dir = scratch();
    let mut store = open(dir.path());
    let mut model = Model::new();
    let number = |n: u32| [ASCENDING, &n.to_be_bytes()].concat();
    let mut next = 0;
    let mut more = |store: &mut Store, model: &mut Model, count: u32| {
        let edits = (next..next + count).map(|n| put(number(n), noise(n.into(), 600)));
        commit(store, model, edits.collect());
        next += count;
    };
    // What stands before and behind them is in one page at first.
    commit(&mut store, &mut model, vec![put("m", "before"), put("s", "behind"), put("z", "last")]);
    fold_all(&mut store);
    for round in 1..=20 {
        more(&mut store, &mut model, 95);
        let stats = store.stats();
        // 31 of them fill a page; two are left. What was in one page is in two from the first time on.
        assert_eq!((stats.overlay_records, stats.pages), (2 * round, 2 + 3 * round));
        assert_eq!(all(&store), model);
    }
    // Too few for a page.
    more(&mut store, &mut model, 7);
    assert_eq!(store.stats().overlay_records, 47);
    // Opened again it knows that nothing stands behind the next one.
    store.close().unwrap();
    let mut store = open(dir.path());
    more(&mut store, &mut model, 95);
    assert_eq!((store.stats().overlay_records, all(&store) == model), (49, true));
    // They leave as everything else does.
    commit(&mut store, &mut model, (0..1_900).map(|n| removal(number(n))).collect());
    fold_all(&mut store);
    assert!(store.stats().pages < 12, "{} pages for {} records", store.stats().pages, model.len());
    store.close().unwrap();
    assert_eq!(all(&open(dir.path())), model);
}

/// The promise is not relied on: what does not ascend, or was there before, is written as everything else is.
#[test]
fn what_was_said_to_ascend_and_does_not_is_kept_all_the_same() {
    let dir = scratch();
    let number = |n: u32| [ASCENDING, &n.to_be_bytes()].concat();
    let records =
        |from: u32, seed: u64| (from..from + 95).map(move |n| put(number(n), noise(seed + u64::from(n), 600)));
    let mut model = Model::new();
    let mut store = open(dir.path());
    let mut new_pages = |store: &mut Store, edits: Vec<Owned>| {
        let before = store.stats().pages;
        commit(store, &mut model, edits);
        assert_eq!(all(store), model);
        store.stats().pages - before
    };
    assert_eq!(new_pages(&mut store, records(1_000, 1).collect()), 3);
    assert_eq!(new_pages(&mut store, records(500, 2).collect()), 0, "lower than what is there");
    assert_eq!(new_pages(&mut store, records(1_000, 3).collect()), 0, "the same again");
    assert_eq!(new_pages(&mut store, records(1_050, 4).collect()), 1, "some of them again");
    assert_eq!(new_pages(&mut store, records(3_000, 5).chain([removal(number(3_050))]).collect()), 1, "one leaves");
    store.close().unwrap();
    let mut store = open(dir.path());
    assert_eq!(new_pages(&mut store, records(2_900, 6).collect()), 0, "lower than what is there, after a start");
    assert_eq!(new_pages(&mut store, vec![removal(number(9_000))]), 0);
    store.close().unwrap();
    let mut store = open(dir.path());
    assert_eq!(new_pages(&mut store, records(8_950, 7).collect()), 0, "lower than one of which a removal is unfolded");
    fold_all(&mut store);
    store.close().unwrap();
    let mut store = open(dir.path());
    assert_eq!(new_pages(&mut store, records(9_045, 8).collect()), 3);
    fold_all(&mut store);
    store.close().unwrap();
    assert_eq!(all(&open(dir.path())), model);
}

/// A page begins with a number that has left, and holds what stands behind all numbers: pages of lower ones must not come to
/// stand on both sides of it.
#[test]
fn what_was_said_to_ascend_begins_anew_below_a_page_that_is_left() {
    let dir = scratch();
    let number = |n: u32| [ASCENDING, &n.to_be_bytes()].concat();
    let mut model = Model::new();
    let mut store = open(dir.path());
    let behind = (0..3).map(|n| put(format!("s{n}"), noise(n, 900)));
    commit(&mut store, &mut model, (80..100).map(|n| put(number(n), noise(n.into(), 600))).chain(behind).collect());
    fold_all(&mut store);
    commit(&mut store, &mut model, (80..100).map(|n| removal(number(n))).collect());
    fold_all(&mut store);
    store.close().unwrap();
    let mut store = open(dir.path());
    commit(&mut store, &mut model, (40..135).map(|n| put(number(n), noise(n.into(), 600))).collect());
    assert_eq!(all(&store), model);
    fold_all(&mut store);
    assert_eq!(all(&store), model);
}

#[test]
fn folding_is_due_by_size_and_ends() {
    let dir = scratch();
    let mut store = open(dir.path());
    store.commit(&mut delta([put("a", noise(1, 4_000))])).unwrap();
    assert!(!store.fold_due(), "half of the limit");
    store.commit(&mut delta([put("b", noise(2, 5_000))])).unwrap();
    assert!(store.fold_due());
    fold_all(&mut store);
    assert!(!store.fold_due());
    let stats = store.stats();
    assert_eq!((stats.deltas, stats.delta_bytes, stats.overlay_records, stats.records), (0, 0, 0, 2));
}

#[test]
fn pages_that_lose_their_records_are_joined_and_removed() {
    let dir = scratch();
    let mut store = open(dir.path());
    let mut model = Model::new();
    commit(&mut store, &mut model, (0..3_000).map(|i| put(format!("{i:05}"), noise(i, 60))).collect());
    fold_all(&mut store);
    let full = store.stats().pages;
    assert!(full > 30, "{full}");
    commit(&mut store, &mut model, (0..3_000).filter(|i| i % 20 != 0).map(|i| removal(format!("{i:05}"))).collect());
    fold_all(&mut store);
    assert!(store.stats().pages * 5 < full, "{} of {full} pages are left", store.stats().pages);
    assert_eq!(all(&store), model);
    commit(&mut store, &mut model, (0..3_000).map(|i| removal(format!("{i:05}"))).collect());
    fold_all(&mut store);
    assert_eq!((store.stats().pages, all(&store)), (0, Model::new()));
}

#[test]
fn a_second_opener_is_told_who_holds_the_store() {
    let dir = scratch();
    let store = open(dir.path());
    let me = Some(std::process::id());
    let second = Store::open(dir.path(), &options()).map(|_| ()).unwrap_err();
    assert!(matches!(second, StoreError::InUse { pid, .. } if pid == me), "{second}");
    assert_eq!(second.exit_code(), 75);
    let reader = read_stopped(dir.path()).map(|_| ()).unwrap_err();
    assert!(matches!(reader, StoreError::InUse { pid, .. } if pid == me), "{reader}");
    drop(store);
    assert!(Store::open(dir.path(), &options()).is_ok());
}

#[test]
fn a_store_of_a_newer_schema_is_refused_and_an_older_one_is_raised_by_a_commit() {
    let dir = scratch();
    open(dir.path()).close().unwrap();
    let with = |schema| StoreOptions { schema, ..options() };
    let refused = Store::open(dir.path(), &with(SCHEMA - 1)).map(|_| ()).unwrap_err();
    assert!(matches!(refused, StoreError::Newer { found: SCHEMA, ours, .. } if ours == SCHEMA - 1), "{refused}");
    assert_eq!(refused.exit_code(), 65);
    let (mut store, opened) = Store::open(dir.path(), &with(SCHEMA + 1)).unwrap();
    assert_eq!(opened.schema, SCHEMA);
    store.commit(&mut delta([put("a", "1")])).unwrap();
    drop(store);
    let reader = read_stopped(dir.path()).unwrap();
    assert!(matches!(reader.check_schema(SCHEMA), Err(StoreError::Newer { .. })));
    assert!(reader.check_schema(SCHEMA + 1).is_ok());
}

fn tree(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
        let name = entry.path().display().to_string();
        if entry.file_type().unwrap().is_dir() {
            files.extend(tree(&entry.path()));
            files.insert(name, vec![]);
        } else {
            files.insert(name, fs::read(entry.path()).unwrap());
        }
    }
    files
}

#[test]
fn reading_a_stopped_store_leaves_every_byte_alone() {
    let dir = scratch();
    let live = dir.path().join("live");
    let mut store = open(&live);
    let mut model = Model::new();
    commit(&mut store, &mut model, (0..500).map(|i| put(format!("{i:05}"), noise(i, 60))).collect());
    fold_all(&mut store);
    commit(&mut store, &mut model, vec![put("x", "1"), removal("00007")]);
    let crashed = dir.path().join("crashed");
    copy_dir(&live, &crashed);
    store.close().unwrap();
    for dir in [live, crashed] {
        let before = tree(&dir);
        let reader = read_stopped(&dir).unwrap();
        assert_eq!(contents(|from| reader.scan(from, b"", 1_000).unwrap()), model);
        assert_eq!(reader.get(b"x").unwrap(), Some(b"1".to_vec()));
        assert_eq!(reader.stats().epoch, 2);
        drop(reader);
        assert_eq!(tree(&dir), before);
    }
    let nothing = read_stopped(&dir.path().join("nothing")).map(|_| ()).unwrap_err();
    assert!(matches!(nothing, StoreError::Missing { .. }), "{nothing}");
}

#[test]
fn a_store_whose_file_is_taken_away_notices_and_takes_nothing_more() {
    let dir = scratch();
    let mut store = open(dir.path());
    fs::remove_file(dir.path().join("sled/db")).unwrap();
    let lost = store.commit(&mut delta([put("a", "1")])).unwrap_err();
    assert!(matches!(lost, StoreError::Io { .. }), "{lost}");
    let after = store.commit(&mut delta([put("a", "1")])).unwrap_err();
    assert!(matches!(after, StoreError::Failed { .. }), "{after}");
    assert!(store.get(b"a").is_err() && store.fold_step().is_err());
}

#[test]
fn a_state_directory_that_cannot_be_made_says_so() {
    let dir = scratch();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let error = Store::open(&file.join("state"), &options()).map(|_| ()).unwrap_err();
    assert!(matches!(error, StoreError::Create { .. }), "{error}");
    assert_eq!(error.exit_code(), 73);
}

/// A year of small commits: what the disk holds is bounded by the deltas that may wait and by the pages, however much was
/// written. Without folding, or without room given free, it would be all of it.
#[test]
fn small_commits_for_ever_do_not_grow_the_disk() {
    let dir = scratch();
    let options = StoreOptions { max_delta_bytes: 1 << 20, ..options() };
    let mut store = Store::open(dir.path(), &options).unwrap().0;
    let (mut written, mut highest) = (0, 0);
    for n in 0..9000u64 {
        let mut edits: Vec<Owned> =
            (0..6).map(|i| put(format!("k{:04}", (n * 7 + i * 131) % 2000), noise(n + i, 120))).collect();
        edits.push(put(format!("o{n:08}"), noise(n, 4000)));
        if n >= 100 {
            edits.push(removal(format!("o{:08}", n - 100)));
        }
        written += 6 * 120 + 4000;
        store.commit(&mut delta(edits)).unwrap();
        while store.fold_due() {
            store.fold_step().unwrap();
        }
        highest = store.stats().disk_bytes.max(highest);
    }
    // A quarter of it is usual. sled gives room free when its threads get to it, which differs with what else the machine does.
    assert!(highest <= written / 2, "{highest} of {written}");
}

#[test]
fn what_leaves_by_prefix_leaves_before_the_other_changes_wherever_it_stands() {
    let dir = scratch();
    let mut store = open(dir.path());
    let mut model = Model::new();
    commit(&mut store, &mut model, (0..400).map(|i| put(format!("a/{i:03}"), noise(i, 60))).collect());
    fold_all(&mut store);
    commit(&mut store, &mut model, vec![put("a/new", "unfolded"), put("b/1", "stays"), put("a", "stays")]);
    let mut delta = delta([put("a/007", "again"), put("b/2", "new")]);
    delta.remove_all(b"a/".to_vec());
    delta.remove_all(b"nothing".to_vec());
    store.commit(&mut delta).unwrap();
    model.retain(|key, _| !key.starts_with(b"a/"));
    model.insert(b"a/007".to_vec(), b"again".to_vec());
    model.insert(b"b/2".to_vec(), b"new".to_vec());
    assert_eq!(all(&store), model);
    drop(store);
    let mut store = open(dir.path());
    fold_all(&mut store);
    assert_eq!(all(&store), model);
}

#[test]
fn folding_is_overdue_at_twice_of_what_makes_it_due_and_catches_up() {
    let dir = scratch();
    let mut store = open(dir.path());
    let mut written = 0;
    while !store.fold_overdue() {
        let due = store.fold_due();
        assert_eq!(due, store.stats().delta_bytes >= 8 << 10, "{:?}", store.stats());
        store.commit(&mut delta([put(format!("{written:04}"), noise(written, 1_000))])).unwrap();
        written += 1;
    }
    assert!((16..20).contains(&written), "{written} KB");
    fold_all(&mut store);
    assert!(!store.fold_overdue() && !store.fold_due());
}
