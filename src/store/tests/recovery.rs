//! Snapshots and falling back to them: what is damaged is replaced by something sound and said, never by something else.

use super::damage::{Specimen, damage_db, specimen};
use super::*;
use crate::effort::{self, Draw};
use crate::store::{StoreError, read_snapshot, read_stopped};
use std::path::PathBuf;

fn restoring() -> StoreOptions {
    StoreOptions { on_damage: OnDamage::Restore, ..options() }
}

fn snapshots(dir: &Path) -> Vec<PathBuf> {
    let mut all: Vec<_> = fs::read_dir(dir.join("snapshots"))
        .map(|entries| entries.map(|e| e.unwrap().path()).collect())
        .unwrap_or_default();
    all.sort();
    all
}

/// Takes one.
fn snapshot_of(store: &mut Store, dir: &Path) -> PathBuf {
    store.snapshot().unwrap();
    snapshots(dir).pop().unwrap()
}

#[test]
fn a_snapshot_holds_what_the_store_holds_and_only_the_newest_are_kept() {
    let dir = scratch();
    let mut store = open(dir.path());
    let mut model = Model::new();
    assert!(!store.snapshot_due(), "nothing was committed");
    for round in 0..6u64 {
        let edits = (0..300).map(|i| put(format!("{:05}", (i * 31 + round * 7) % 900), noise(i + round, 200)));
        commit(&mut store, &mut model, edits.collect());
        assert!(store.snapshot_due());
        let path = snapshot_of(&mut store, dir.path());
        assert!(!store.snapshot_due());
        let read = read_snapshot(&path).unwrap();
        assert_eq!(contents(|from| read.scan(from, b"", 3_000).unwrap()), model);
        assert_eq!((read.stats().epoch, read.stats().schema), (round + 1, SCHEMA));
    }
    assert_eq!(snapshots(dir.path()).len(), 3);
    let stats = store.stats();
    assert_eq!((stats.snapshots, stats.snapshot_epoch), (3, Some(6)));
    assert!(stats.snapshot_bytes > 1000);
    drop(store);
    assert!(!open(dir.path()).snapshot_due(), "the newest snapshot is found again");
}

#[test]
fn records_of_all_sizes_survive_a_snapshot() {
    let dir = scratch();
    let mut store = open(dir.path());
    let mut model = Model::new();
    let sizes = [0usize, 1, 5_000, 6_200, 70_000, 2 << 20];
    let edits = sizes.iter().enumerate().map(|(i, n)| put(vec![b'k'; 1 + i * 999], noise(i as u64, *n))).collect();
    commit(&mut store, &mut model, edits);
    let path = snapshot_of(&mut store, dir.path());
    drop(store);
    fs::write(dir.path().join("sled/db"), "").unwrap();
    let (store, opened) = Store::open(dir.path(), &restoring()).unwrap();
    assert_eq!(opened.recovered.unwrap().epoch, Some(1));
    assert_eq!(all(&store), model);
    let read = read_snapshot(&path).unwrap();
    assert_eq!(contents(|from| read.scan(from, b"", 1 << 20).unwrap()), model);
}

/// Large enough that sled is opened anew afterwards, so that the walk leaves nothing in its cache.
#[test]
fn a_large_store_goes_on_after_a_snapshot() {
    let dir = scratch();
    let mut store = open(dir.path());
    let mut model = Model::new();
    for round in 0..60u64 {
        let edits = (0..1000u64).map(|i| put(format!("{:06}", round * 1000 + i), noise(round + i, 100)));
        commit(&mut store, &mut model, edits.collect());
        fold_all(&mut store);
    }
    assert!(store.stats().page_bytes > 4 << 20);
    let path = snapshot_of(&mut store, dir.path());
    commit(&mut store, &mut model, vec![put("zz", "1"), removal("000001")]);
    fold_all(&mut store);
    assert!(all(&store) == model);
    drop(store);
    assert!(all(&open(dir.path())) == model);
    model.remove(b"zz".as_slice());
    model.insert(b"000001".to_vec(), noise(1, 100));
    let read = read_snapshot(&path).unwrap();
    assert!(contents(|from| read.scan(from, b"", 1 << 20).unwrap()) == model);

    // A block that is gone as a whole leaves only sound checksums behind.
    let mut bytes = fs::read(&path).unwrap();
    let stored = u32::from_le_bytes(bytes[40..44].try_into().unwrap()) as usize;
    bytes.drain(36..48 + stored);
    fs::write(&path, bytes).unwrap();
    assert!(matches!(read_snapshot(&path), Err(StoreError::BadSnapshot { .. })));
}

/// Snapshots written today must be read for ever: these bytes may never change but for the id.
#[test]
fn the_snapshot_is_the_one_on_disk() {
    let dir = scratch();
    let mut store = open(dir.path());
    store.commit(&mut delta([put("ab", "1"), put("ac", "")])).unwrap();
    let bytes = fs::read(snapshot_of(&mut store, dir.path())).unwrap();
    assert_eq!(&bytes[..8], b"EXSS\x01\0\x03\0");
    assert_eq!(&bytes[24..32], 1u64.to_le_bytes());
    assert_eq!(&bytes[32..36], crc32c::crc32c(&bytes[..32]).to_le_bytes());
    let block = &bytes[36..];
    let [raw, stored] = [0, 4].map(|at| u32::from_le_bytes(block[at..at + 4].try_into().unwrap()) as usize);
    let run = zstd::bulk::decompress(&block[12..12 + stored], raw).unwrap();
    assert_eq!(run, b"\x02\x00\x02ab\x021\x01\x01c\x01");
    let end = &block[12 + stored..];
    assert_eq!(&end[..8], [0, 0, 0, 0, 24, 0, 0, 0]);
    assert_eq!(&end[12..20], 2u64.to_le_bytes());
    let digest = xxhash_rust::xxh3::xxh3_128(b"ab\x001").wrapping_add(xxhash_rust::xxh3::xxh3_128(b"ac\0"));
    assert_eq!(&end[20..], digest.to_le_bytes());
}

#[test]
fn every_flipped_byte_and_every_cut_of_a_snapshot_is_noticed() {
    let dir = scratch();
    let mut store = open(dir.path());
    store.commit(&mut (0..20).map(|i| put(format!("{i:02}"), noise(i, 20))).collect()).unwrap();
    let path = snapshot_of(&mut store, dir.path());
    let good = fs::read(&path).unwrap();
    // All but the magic and the versions: another version is told as such.
    for at in (0..4).chain(8..good.len()) {
        let mut bad = good.clone();
        bad[at] ^= 0x10;
        fs::write(&path, bad).unwrap();
        assert!(matches!(read_snapshot(&path), Err(StoreError::BadSnapshot { .. })), "byte {at}");
    }
    for end in 0..good.len() {
        fs::write(&path, &good[..end]).unwrap();
        assert!(matches!(read_snapshot(&path), Err(StoreError::BadSnapshot { .. })), "cut at {end}");
    }
    fs::write(&path, [good.as_slice(), b"x"].concat()).unwrap();
    assert!(matches!(read_snapshot(&path), Err(StoreError::BadSnapshot { .. })));
    let mut newer = good;
    newer[4] = 9;
    let crc = crc32c::crc32c(&newer[..32]).to_le_bytes();
    newer[32..36].copy_from_slice(&crc);
    fs::write(&path, newer).unwrap();
    let error = read_snapshot(&path).map(|_| ()).unwrap_err();
    assert!(error.to_string().contains("format 9, this program knows only 1"), "{error}");
}

#[test]
fn a_damaged_store_is_replaced_by_its_newest_snapshot_and_kept_and_told_until_a_commit() {
    let specimen = specimen();
    for damage in ["emptied", "deleted", "old"] {
        let dir = scratch();
        copy_dir(&specimen.closed, dir.path());
        spoil(damage, &specimen, dir.path());
        let refused = Store::open(dir.path(), &options()).map(|_| ()).unwrap_err();
        assert_eq!(refused.exit_code(), 65, "{refused}");
        let reading = read_stopped(dir.path()).map(|_| ()).unwrap_err().to_string();
        assert!(reading.contains("falls back to a sound snapshot"), "{reading}");
        for attempt in 0..2 {
            // Nothing was committed in between: it is told again.
            let (store, opened) = Store::open(dir.path(), &restoring()).unwrap();
            let told = opened.recovered.unwrap();
            assert_eq!(all(&store), specimen.snapshot.1, "{damage} {attempt}");
            assert_eq!((told.epoch, told.lost_commits), (Some(specimen.snapshot.0), Some(12 - specimen.snapshot.0)));
            assert_eq!(told.kept.is_some(), damage != "deleted");
            assert_eq!(opened.epoch, specimen.snapshot.0);
        }
        let (mut store, _) = Store::open(dir.path(), &restoring()).unwrap();
        assert_eq!(store.commit(&mut delta([put("a", "1")])).unwrap(), specimen.snapshot.0 + 1);
        drop(store);
        assert_eq!(Store::open(dir.path(), &options()).unwrap().1.recovered, None);
        assert_eq!(dir.path().join("damaged-1/sled").exists(), damage != "deleted");
    }
}

#[test]
fn a_damaged_snapshot_is_passed_over_and_a_newer_one_is_refused() {
    let specimen = specimen();
    let dir = scratch();
    copy_dir(&specimen.closed, dir.path());
    spoil("emptied", &specimen, dir.path());
    let all_of_them = snapshots(dir.path());
    let newest = all_of_them.last().unwrap();
    let mut bytes = fs::read(newest).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(newest, &bytes).unwrap();
    let (store, opened) = Store::open(dir.path(), &restoring()).unwrap();
    let told = opened.recovered.unwrap();
    assert_eq!(told.epoch, Some(6));
    assert!(told.passed_over[0].contains(newest.to_str().unwrap()), "{told:?}");
    drop(store);

    // A snapshot of a newer program may be sound: the agent must not pass over it silently.
    let dir = scratch();
    copy_dir(&specimen.closed, dir.path());
    spoil("emptied", &specimen, dir.path());
    let older = StoreOptions { schema: SCHEMA - 1, ..restoring() };
    assert!(matches!(Store::open(dir.path(), &older), Err(StoreError::Newer { what: "schema", .. })));
}

#[test]
fn without_a_sound_snapshot_only_the_word_of_the_user_gives_an_empty_store() {
    let specimen = specimen();
    for (n, damage) in ["emptied", "deleted", "old"].into_iter().enumerate() {
        let dir = scratch();
        copy_dir(&specimen.closed, dir.path());
        spoil(damage, &specimen, dir.path());
        for path in snapshots(dir.path()) {
            fs::write(path, "no snapshot").unwrap();
        }
        let error = Store::open(dir.path(), &restoring()).map(|_| ()).unwrap_err();
        assert_eq!(error.exit_code(), 65);
        assert!(error.to_string().contains("--accept-empty-state"), "{error}");
        assert!(error.to_string().contains("too early"), "says why: {error}");
        let accept = StoreOptions { on_damage: OnDamage::RestoreOrEmpty, ..options() };
        let (mut store, opened) = Store::open(dir.path(), &accept).unwrap();
        let told = opened.recovered.unwrap();
        assert_eq!((told.epoch, told.kept.is_some()), (None, true), "{n}: the snapshots are kept, too");
        assert_eq!(all(&store), Model::new());
        store.commit(&mut delta([put("a", "1")])).unwrap();
        drop(store);
        assert_eq!(Store::open(dir.path(), &options()).unwrap().1.epoch, 1);
        assert!(dir.path().join("damaged-1/snapshots").exists(), "nothing is deleted");
    }
}

#[test]
fn a_store_is_opened_again_only_when_it_is_the_one_that_was_open() {
    let dir = scratch();
    let (path, old) = (dir.path().join("state"), dir.path().join("old"));
    let mut store = open(&path);
    store.commit(&mut delta([put("a", "1")])).unwrap();
    copy_dir(&path, &old);
    store.commit(&mut delta([put("a", "2")])).unwrap();
    let known = store.known();
    drop(store);
    assert_eq!(Store::open_again(&path, &options(), &known).unwrap().stats().epoch, 2);

    fs::remove_dir_all(&path).unwrap();
    assert!(matches!(Store::open_again(&path, &options(), &known), Err(StoreError::Gone { .. })));
    assert!(!path.join("sled").exists(), "nothing is made");
    copy_dir(&old, &path);
    assert!(matches!(Store::open_again(&path, &options(), &known), Err(StoreError::Corrupt { .. })));
    fs::remove_dir_all(&path).unwrap();
    drop(open(&path));
    assert!(matches!(Store::open_again(&path, &options(), &known), Err(StoreError::Gone { .. })));
}

fn spoil(damage: &str, specimen: &Specimen, dir: &Path) {
    match damage {
        "emptied" => fs::write(dir.join("sled/db"), "").unwrap(),
        "deleted" => fs::remove_dir_all(dir.join("sled")).unwrap(),
        _ => {
            fs::copy(specimen.old.join("sled/db"), dir.join("sled/db")).unwrap();
        }
    }
}

/// The damage programme: anything at all happens to the files of a state directory. Afterwards it opens with what was
/// committed last, or with what a snapshot holds and says so, or it is refused.
#[test]
fn whatever_is_damaged_the_state_is_the_last_one_or_a_told_snapshot_or_refused() {
    let specimen = specimen();
    let snapshots_held: Vec<(u64, Model)> = snapshots(&specimen.closed)
        .iter()
        .map(|path| {
            let read = read_snapshot(path).unwrap();
            (read.stats().epoch, contents(|from| read.scan(from, b"", 1 << 20).unwrap()))
        })
        .collect();
    let (mut sound, mut told, mut refused) = (0, 0, 0);
    effort::for_seeds("whatever_is_damaged", 200, 2000, |seed| {
        let mut rng = Draw::new(seed);
        let dir = scratch();
        copy_dir(if rng.below(2) == 0 { &specimen.killed } else { &specimen.closed }, dir.path());
        let mut what = Vec::new();
        for _ in 0..1 + rng.below(2) {
            what.push(damage_anything(&specimen, dir.path(), &mut rng));
        }
        match Store::open(dir.path(), &restoring()) {
            Err(StoreError::Corrupt { .. } | StoreError::Newer { .. }) => refused += 1,
            Err(other) => panic!("{what:?}: {other}"),
            Ok((store, opened)) => match opened.recovered {
                // Without the witness nobody can know whether sled has gone back, and that is said.
                None if opened.witness_renewed => told += 1,
                None => {
                    assert!(all(&store) == specimen.model, "{what:?}: other contents, and nobody is told");
                    sound += 1;
                }
                Some(recovered) => {
                    let epoch = recovered.epoch.unwrap();
                    let held = snapshots_held.iter().find(|(e, _)| *e == epoch);
                    assert!(all(&store) == held.unwrap().1, "{what:?}: not what the snapshot of {epoch} held");
                    told += 1;
                }
            },
        }
    });
    if std::env::var_os("EXFIL_AGENT_SEED").is_none() {
        assert!(sound >= 5 && told > 60, "this proves little: {sound} sound, {told} told, {refused} refused");
    }
}

fn damage_anything(specimen: &Specimen, dir: &Path, rng: &mut Draw) -> String {
    let kind = rng.below(12);
    match kind {
        0..=6 if dir.join("sled/db").metadata().is_ok_and(|m| m.len() > 4096) => damage_db(dir, rng.below(5), rng),
        7 => {
            fs::remove_dir_all(dir.join("sled")).unwrap();
            copy_dir(&specimen.old.join("sled"), &dir.join("sled"));
            "an old copy of the sled directory".into()
        }
        _ => {
            let mut files: Vec<PathBuf> = snapshots(dir);
            files.push(dir.join("witness"));
            files.extend(fs::read_dir(dir.join("sled")).into_iter().flatten().map(|e| e.unwrap().path()));
            files.retain(|p| p.is_file() && p.metadata().unwrap().len() > 0);
            let path = files[rng.below(files.len())].clone();
            let mut bytes = fs::read(&path).unwrap();
            let at = rng.below(bytes.len());
            match rng.below(4) {
                0 => fs::remove_file(&path).unwrap(),
                1 => fs::write(&path, &bytes[..at]).unwrap(),
                2 => {
                    let end = (at + 4096).min(bytes.len());
                    bytes[at..end].fill(0);
                    fs::write(&path, bytes).unwrap();
                }
                _ => {
                    bytes[at] ^= 1 << rng.below(8);
                    fs::write(&path, bytes).unwrap();
                }
            }
            format!("{}, kind {kind}", path.strip_prefix(dir).unwrap().display())
        }
    }
}
