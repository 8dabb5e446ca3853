//! Whatever happens to the files: the store opens with exactly what was committed last, or says that it is damaged.

use super::super::StoreError;
use super::super::engine::{Engine, ROOT_KEY};
use super::*;
use crate::effort::Draw;
use std::path::PathBuf;

/// A store with pages, dead and live deltas, in two states: closed, and as after kill -9. `old` is an earlier state.
pub(super) struct Specimen {
    _root: TempDir,
    pub closed: PathBuf,
    pub killed: PathBuf,
    pub old: PathBuf,
    pub model: Model,
    /// What the newest snapshot holds, and its commit.
    pub snapshot: (u64, Model),
}

pub(super) fn specimen() -> Specimen {
    let root = scratch();
    let [live, killed, old] = ["closed", "killed", "old"].map(|name| root.path().join(name));
    let mut store = open(&live);
    let mut model = Model::new();
    let mut snapshot = (0, Model::new());
    for round in 0..12u64 {
        let edits = (0..120).map(|i| {
            let n = (i * 37 + round * 11) % 700;
            if (i + round) % 9 == 0 { removal(format!("{n:04}")) } else { put(format!("{n:04}"), noise(i + round, 80)) }
        });
        commit(&mut store, &mut model, edits.collect());
        if round % 4 == 2 {
            store.fold_step().unwrap();
            store.fold_step().unwrap();
        }
        if round == 8 {
            copy_dir(&live, &old);
        }
        if round == 5 || round == 9 {
            store.snapshot().unwrap();
            snapshot = (store.stats().epoch, model.clone());
        }
    }
    copy_dir(&live, &killed);
    store.close().unwrap();
    Specimen { _root: root, closed: live, killed, old, model, snapshot }
}

/// Opens a damaged copy. An error is right, and so is the last state; anything else is not.
fn judge(dir: &Path, model: &Model, case: &str) -> bool {
    match Store::open(dir, &options()) {
        Err(StoreError::Corrupt { .. }) => true,
        Err(other) => panic!("{case}: {other}"),
        Ok((store, _)) => {
            assert!(all(&store) == *model, "{case}: opened with other contents, and no error");
            false
        }
    }
}

/// A place in a file that holds something.
fn used_byte(bytes: &[u8], rng: &mut Draw) -> usize {
    (0..10_000).map(|_| rng.below(bytes.len())).find(|&at| bytes[at] != 0).unwrap_or(0)
}

pub(super) fn damage_db(dir: &Path, kind: usize, rng: &mut Draw) -> String {
    let path = dir.join("sled/db");
    let mut bytes = fs::read(&path).unwrap();
    let at = used_byte(&bytes, rng);
    let what = match kind {
        0 => {
            bytes[at] ^= 1 << rng.below(8);
            format!("bit flipped at {at}")
        }
        1 => {
            bytes.truncate(at);
            format!("cut at {at}")
        }
        2 => {
            let end = bytes.iter().rposition(|&b| b != 0).unwrap();
            let at = end - rng.below(30_000.min(end));
            bytes.truncate(at);
            format!("end cut off at {at}")
        }
        3 => {
            let end = (at + 4096).min(bytes.len());
            bytes[at..end].fill(0);
            format!("4 KiB zeroed at {at}")
        }
        _ => {
            let end = (at + 512).min(bytes.len());
            let from = rng.below(bytes.len() - 512);
            bytes.copy_within(from..from + (end - at), at);
            format!("512 bytes of {from} repeated at {at}")
        }
    };
    fs::write(&path, bytes).unwrap();
    what
}

#[test]
fn a_damaged_data_file_is_never_opened_with_other_contents() {
    let specimen = specimen();
    let mut rng = Draw::new(7);
    let mut noticed = 0;
    for case in 0..120 {
        let dir = scratch();
        copy_dir(if case % 2 == 0 { &specimen.killed } else { &specimen.closed }, dir.path());
        let what = damage_db(dir.path(), case % 5, &mut rng);
        noticed += usize::from(judge(dir.path(), &specimen.model, &format!("case {case}: {what}")));
    }
    assert!(noticed >= 30, "only {noticed} of 120 damages mattered: this test proves little");
}

#[test]
fn other_damaged_files_are_never_opened_with_other_contents() {
    let specimen = specimen();
    let mut rng = Draw::new(9);
    for case in 0..30 {
        let dir = scratch();
        copy_dir(&specimen.closed, dir.path());
        let sled = fs::read_dir(dir.path().join("sled")).unwrap().map(|e| e.unwrap().path());
        let files: Vec<_> =
            sled.filter(|p| p.is_file() && !p.ends_with("db")).chain([dir.path().join("witness")]).collect();
        let path = &files[case % files.len()];
        let mut bytes = fs::read(path).unwrap();
        let at = rng.below(bytes.len());
        if case % 4 == 0 {
            bytes.truncate(at)
        } else {
            bytes[at] ^= 1 << rng.below(8)
        }
        fs::write(path, bytes).unwrap();
        judge(dir.path(), &specimen.model, &format!("case {case}: {} at {at}", path.display()));
    }
}

#[test]
fn lost_and_swapped_files_are_damage() {
    let specimen = specimen();
    type Damage = fn(&Specimen, &Path);
    let cases: [(&str, Damage); 8] = [
        ("data file deleted", |_, dir| fs::remove_file(dir.join("sled/db")).unwrap()),
        ("data file emptied", |_, dir| fs::write(dir.join("sled/db"), "").unwrap()),
        ("data file zeroed", |_, dir| fs::write(dir.join("sled/db"), vec![0; 1 << 20]).unwrap()),
        ("sled directory deleted", |_, dir| fs::remove_dir_all(dir.join("sled")).unwrap()),
        ("sled directory emptied", |_, dir| {
            fs::remove_dir_all(dir.join("sled")).unwrap();
            fs::create_dir(dir.join("sled")).unwrap();
        }),
        ("older sled directory", |s, dir| {
            fs::remove_dir_all(dir.join("sled")).unwrap();
            copy_dir(&s.old.join("sled"), &dir.join("sled"));
        }),
        ("older data file", |s, dir| {
            fs::copy(s.old.join("sled/db"), dir.join("sled/db")).unwrap();
        }),
        ("sled directory of another store", |_, dir| {
            fs::remove_dir_all(dir.join("sled")).unwrap();
            let other = scratch();
            let mut store = open(other.path());
            for _ in 0..20 {
                store.commit(&mut delta([put("a", "1")])).unwrap();
            }
            store.close().unwrap();
            copy_dir(&other.path().join("sled"), &dir.join("sled"));
        }),
    ];
    for state in [&specimen.closed, &specimen.killed] {
        for (what, damage) in cases {
            let dir = scratch();
            copy_dir(state, dir.path());
            damage(&specimen, dir.path());
            assert!(judge(dir.path(), &specimen.model, what), "{what}: not noticed in {}", state.display());
        }
    }
}

fn raw(dir: &Path) -> Model {
    let engine = Engine::open(dir, &dir.join("sled")).unwrap();
    let mut records = Model::new();
    let mut keep = |key: &[u8], value: &[u8]| {
        records.insert(key.to_vec(), value.to_vec());
        Ok(())
    };
    engine.each(&mut keep).unwrap();
    records
}

/// What sled itself may do after damage: bring back an old value with a good checksum, or lose a record.
#[test]
fn a_lost_or_outdated_record_is_damage_even_if_its_checksum_is_good() {
    let specimen = specimen();
    let work = scratch();
    let [now_dir, old_dir] = ["now", "old"].map(|name| work.path().join(name));
    copy_dir(&specimen.closed, &now_dir);
    copy_dir(&specimen.old, &old_dir);
    let (now, old) = (raw(&now_dir), raw(&old_dir));
    let outdated = old.iter().filter(|(key, value)| now.get(*key) != Some(value)).map(|(k, v)| (k, Some(v)));
    let lost = now.keys().map(|key| (key, None));
    let mut kinds = BTreeMap::new();
    for (key, value) in outdated.chain(lost).filter(|(key, _)| key.as_slice() != ROOT_KEY) {
        let dir = scratch();
        copy_dir(&now_dir, dir.path());
        let engine = Engine::open(dir.path(), &dir.path().join("sled")).unwrap();
        engine.meddle(key, value.map(Vec::as_slice));
        engine.close().unwrap();
        let case = format!("{} {:?}", if value.is_some() { "old" } else { "lost" }, key);
        assert!(judge(dir.path(), &specimen.model, &case), "{case}: not noticed");
        *kinds.entry((key[0], value.is_some(), now.contains_key(key))).or_insert(0) += 1;
    }
    let expected = [(b'd', false, true), (b'd', true, false), (b'p', false, true), (b'p', true, true)];
    assert!(expected.iter().all(|kind| kinds.contains_key(kind)), "{kinds:?}");
}

#[test]
fn what_sled_was_still_writing_and_a_lost_witness_do_no_harm() {
    let specimen = specimen();
    let dir = scratch();
    copy_dir(&specimen.killed, dir.path());
    fs::write(dir.path().join("sled/snap.00000000000F0000.generating"), "half").unwrap();
    fs::remove_file(dir.path().join("witness")).unwrap();
    let (store, opened) = Store::open(dir.path(), &options()).unwrap();
    assert!(opened.witness_renewed);
    assert_eq!(all(&store), specimen.model);
    drop(store);
    assert!(!Store::open(dir.path(), &options()).unwrap().1.witness_renewed);
}
