//! Exports and imports against stores made by hand: what is in them, that they are counted once, and that bad files change nothing.

use super::*;
use crate::alert::EntityKind;
use crate::model::days::DaySet;
use crate::state::key::{GuardKey, Key};
use crate::state::record::{AgentRecord, BinRecord, EntityRecord, GuardRecord, InstanceRecord};
use crate::store::{Delta, codec};
use portable::Export;
use std::path::PathBuf;
use tempfile::TempDir;

fn store(dir: &Path) -> Store {
    Store::open(dir, &options(&Settings::default())).unwrap().0
}

fn days(all: &[i32]) -> DaySet {
    let mut set = DaySet::default();
    all.iter().for_each(|day| _ = set.insert(*day, 1000));
    set
}

/// Records of two users, a guard and the agent; `day` and `user` make two collectors differ.
fn records(day: i32, user: &str) -> Vec<(Key, Vec<u8>)> {
    let kind = EntityKind::User;
    let both = b"corp\\both".to_vec();
    let entity = EntityRecord {
        latest: Some(day),
        department: Some("Sales".into()),
        history: vec![(3, days(&[day - 1, day]))],
        history_by_value: vec![(3, b"v".to_vec(), days(&[day]))],
        sums: vec![("S".into(), 7, b"x".to_vec(), 10)],
        once: vec![("M".into(), 7, vec![u64::from(day as u32)])],
    };
    let bin =
        BinRecord { days: [(7, 2), (day, 1)].into_iter().collect(), first_ms: i64::from(day), last_ms: i64::from(day) };
    let guard = GuardKey { day: 7, rule: "R".into(), kind, entity: both.clone(), value: b"\xff".to_vec() };
    let instance = InstanceRecord { latest: Some(day), saturated: day == 9 };
    let agent = AgentRecord { newest_day: Some(day), alerts: 5, ..AgentRecord::default() };
    vec![
        (Key::Agent, codec::encode(&agent)),
        (Key::Entity(kind, both.clone()), codec::encode(&entity)),
        (Key::Instance(kind, both.clone(), "M".into()), codec::encode(&instance)),
        (Key::Bin(kind, both, "M".into(), b"value".to_vec()), codec::encode(&bin)),
        (Key::Entity(kind, user.into()), codec::encode(&entity)),
        (Key::Guard(guard), codec::encode(&GuardRecord { repeats: 1 })),
        (Key::Sink("file".into()), b"its own".to_vec()),
    ]
}

/// A state with these records, and its export.
fn exported(dir: &Path, day: i32, user: &str) -> PathBuf {
    let mut store = store(&dir.join(user));
    let mut delta = Delta::default();
    records(day, user).iter().for_each(|(key, value)| delta.put(&key.encode(), value));
    store.commit(&mut delta).unwrap();
    let path = dir.join(format!("{user}.zst"));
    let head = Head {
        exfil_agent_export: VERSION,
        host: user.into(),
        exported_at: "2026-03-01T00:00:00.000Z".into(),
        models: [("M".to_owned(), (1, "a".to_owned()))].into(),
    };
    let mut writer = Writer::create(&path, &head).unwrap();
    store.each(|key, value| writer.add(key, value).is_ok()).unwrap();
    assert_eq!(writer.finish().unwrap().records, 5, "what is a collector's own is left out");
    assert!(Writer::create(&path, &head).is_err(), "nothing is written over");
    path
}

/// All records but those of imports, whose times differ.
fn contents(dir: &Path) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut all = Vec::new();
    let keep = |key: &[u8], value: &[u8]| {
        if !key.starts_with(b"i") {
            all.push((key.to_vec(), value.to_vec()));
        }
        true
    };
    store(dir).each(keep).unwrap();
    all
}

fn value<T: serde::de::DeserializeOwned>(dir: &Path, key: &Key) -> T {
    codec::decode(&store(dir).get(&key.encode()).unwrap().unwrap()).unwrap()
}

#[test]
fn an_export_is_what_was_learned_and_merging_adds_it_once() {
    let dir = TempDir::new().unwrap();
    let (one, two) = (exported(dir.path(), 8, "corp\\one"), exported(dir.path(), 9, "corp\\two"));
    let settings = Settings::default();
    let into = dir.path().join("into");
    let first = import(&into, &settings, &one, false).unwrap();
    assert_eq!((first.records, first.new, first.host.as_str()), (5, 5, "corp\\one"));
    let refused = import(&into, &settings, &one, true).unwrap_err();
    assert!(matches!(&refused, UpkeepError::Refused(why) if why.contains("already")), "{refused}");
    let refused = import(&into, &settings, &two, false).unwrap_err();
    assert!(matches!(&refused, UpkeepError::Refused(why) if why.contains("--merge")), "{refused}");
    let second = import(&into, &settings, &two, true).unwrap();
    assert_eq!((second.records, second.new), (5, 1));

    let (kind, both) = (EntityKind::User, b"corp\\both".to_vec());
    let entity: EntityRecord = value(&into, &Key::Entity(kind, both.clone()));
    assert_eq!(entity.latest, Some(9));
    assert_eq!(entity.history, [(3, days(&[7, 8, 9]))]);
    assert_eq!(entity.history_by_value, [(3, b"v".to_vec(), days(&[8, 9]))]);
    assert_eq!(entity.sums, [("S".into(), 7, b"x".to_vec(), 20)]);
    assert_eq!(entity.once, [("M".into(), 7, vec![8, 9])]);
    let instance: InstanceRecord = value(&into, &Key::Instance(kind, both.clone(), "M".into()));
    assert_eq!(instance, InstanceRecord { latest: Some(9), saturated: true });
    let bin: BinRecord = value(&into, &Key::Bin(kind, both.clone(), "M".into(), b"value".to_vec()));
    assert_eq!(bin.days.as_slice(), [(7, 4), (8, 1), (9, 1)]);
    assert_eq!((bin.first_ms, bin.last_ms), (8, 9));
    let guard = GuardKey { day: 7, rule: "R".into(), kind, entity: both, value: b"\xff".to_vec() };
    assert_eq!(value::<GuardRecord>(&into, &Key::Guard(guard)).repeats, 3);
    let agent: AgentRecord = value(&into, &Key::Agent);
    assert_eq!((agent.newest_day, agent.alerts), (Some(9), 0), "counters are a collector's own");

    // The other way round gives the same.
    let other = dir.path().join("other");
    import(&other, &settings, &two, false).unwrap();
    import(&other, &settings, &one, true).unwrap();
    assert_eq!(contents(&other), contents(&into));
}

#[test]
fn an_import_that_was_interrupted_goes_on_where_it_ended() {
    let dir = TempDir::new().unwrap();
    let (one, two) = (exported(dir.path(), 8, "corp\\one"), exported(dir.path(), 9, "corp\\two"));
    let settings = Settings::default();
    let whole = dir.path().join("whole");
    import(&whole, &settings, &one, false).unwrap();
    import(&whole, &settings, &two, true).unwrap();
    for records in 0..5 {
        let parts = dir.path().join(records.to_string());
        import(&parts, &settings, &one, false).unwrap();
        let mut short = Export::open(&two).unwrap();
        short.records = records;
        import::import(&mut store(&parts), &short, true).unwrap();
        import(&parts, &settings, &two, true).unwrap();
        assert_eq!(contents(&parts), contents(&whole), "interrupted after {records}");
    }
}

#[test]
fn a_file_that_is_not_whole_or_not_known_changes_nothing() {
    let dir = TempDir::new().unwrap();
    let good = exported(dir.path(), 8, "corp\\one");
    let bytes = std::fs::read(&good).unwrap();
    let text = String::from_utf8(zstd::decode_all(bytes.as_slice()).unwrap()).unwrap();
    let packed = |text: &str| zstd::encode_all(text.as_bytes(), 1).unwrap();
    let settings = Settings::default();
    for (name, bytes, wanted) in [
        ("cut", bytes[..bytes.len() - 9].to_vec(), "ends in the middle"),
        ("no end", packed(text.trim_end().rsplit_once('\n').unwrap().0), "ends in the middle"),
        ("plain text", b"hello\n".to_vec(), "no export"),
        ("other zst", packed("hello\n"), "no export"),
        ("newer", packed(&text.replacen("\"exfil_agent_export\":2", "\"exfil_agent_export\":3", 1)), "newer agent"),
        ("changed", packed(&text.replacen("Sales", "Sails", 1)), "not those that were written"),
        ("one less", packed(&text.replacen("{\"record\":\"guard\"", "{\"record\":\"gourd\"", 1)), "line 6"),
    ] {
        let file = dir.path().join(name);
        std::fs::write(&file, bytes).unwrap();
        let into = dir.path().join(format!("into {name}"));
        let error = import(&into, &settings, &file, false).unwrap_err();
        assert!(matches!(&error, UpkeepError::Unreadable(what) if what.contains(wanted)), "{name}: {error}");
        assert!(error.to_string().contains("nothing was imported"), "{error}");
        assert!(!into.exists(), "{name}");
    }
    let error = import(dir.path(), &settings, &dir.path().join("nowhere"), false).unwrap_err();
    assert!(matches!(&error, UpkeepError::NotFound(what) if what.contains("nowhere")), "{error}");
}
