//! The working set from the store's records: two threads read, unpack and decode them, every other piece each, and one of them
//! puts the pieces together in the order of the keys. So the same comes out on one core and on two.

use crate::alert::Alert;
use crate::state::State;
use crate::state::key::{ALERTS, BEHIND_ALERTS, Key, whole};
use crate::state::restoring::{Pieces, RecordReader};
use crate::store::{Store, codec};
use crossbeam_channel::{Receiver, bounded};
use std::thread::{self, Scope};

/// Pages of one piece: 400 KB, with 6 KB each. What is read ahead is in memory twice for a while.
const PAGES: usize = 64;
/// Pieces that the other thread may be ahead.
const AHEAD: usize = 4;

/// Keys from, and up to but not including; `None` is the end.
type Range = (Vec<u8>, Option<Vec<u8>>);

/// Rebuilds an empty working set. Users and hosts stay in the store alone where `max_bytes` are in memory already. Alerts are
/// left where they are.
///
/// # Errors
/// What cannot be read, as a sentence.
pub(super) fn restore(store: &Store, state: &mut State, max_bytes: usize) -> Result<(), String> {
    let has_cores = thread::available_parallelism().is_ok_and(|cores| cores.get() > 1);
    restore_in(ranges(store.cuts(PAGES)), has_cores, store, state, max_bytes)
}

fn restore_in(
    ranges: Vec<Range>,
    has_cores: bool,
    store: &Store,
    state: &mut State,
    max_bytes: usize,
) -> Result<(), String> {
    let reader = state.reader();
    let mut add = |read: Result<Pieces, String>| state.add(read?, max_bytes).map_err(|e| e.to_string());
    if !has_cores || ranges.len() < 2 {
        ranges.iter().try_for_each(|range| add(read(store, &reader, range)))?;
    } else {
        thread::scope(|scope| {
            let other = spawn(scope, store, &reader, ranges.iter().skip(1).step_by(2))?;
            for range in ranges.iter().step_by(2) {
                add(read(store, &reader, range))?;
                if let Ok(read) = other.recv() {
                    add(read)?;
                }
            }
            Ok::<_, String>(())
        })?;
    }
    state.restored();
    Ok(())
}

/// Alerts from this number on.
///
/// # Errors
/// What cannot be read, as a sentence.
pub(super) fn alerts_from(store: &Store, first: u64) -> Result<Vec<(u64, Alert)>, String> {
    let (mut alerts, mut bad) = (Vec::new(), None);
    let take = |key: &[u8], value: &[u8]| match Key::decode_alert(key).map(|seq| (seq, codec::decode(value))) {
        Some((seq, Ok(alert))) => {
            alerts.push((seq, alert));
            true
        }
        Some((_, Err(e))) => {
            bad = Some(e.to_string());
            false
        }
        None => false,
    };
    store.each_from(&Key::Alert(first).encode(), take).map_err(|e| e.to_string())?;
    bad.map_or(Ok(alerts), Err)
}

/// All keys but those of alerts, cut in such places, or before the entity in whose middle they are.
fn ranges(mut cuts: Vec<Vec<u8>>) -> Vec<Range> {
    cuts.retain(|cut| !cut.starts_with(ALERTS));
    cuts.iter_mut().for_each(|cut| cut.truncate(whole(cut).len()));
    cuts.extend([Vec::new(), ALERTS.to_vec(), BEHIND_ALERTS.to_vec()]);
    cuts.sort_unstable();
    cuts.dedup();
    let ends = cuts.iter().skip(1).cloned().map(Some).chain([None]);
    let ranges: Vec<Range> = cuts.iter().cloned().zip(ends).collect();
    ranges.into_iter().filter(|(from, _)| from != ALERTS).collect()
}

/// Reads ranges on a thread of its own.
fn spawn<'scope, 'env: 'scope>(
    scope: &'scope Scope<'scope, 'env>,
    store: &'env Store,
    reader: &'env RecordReader,
    ranges: impl Iterator<Item = &'env Range> + Send + 'scope,
) -> Result<Receiver<Result<Pieces, String>>, String> {
    let (sender, receiver) = bounded(AHEAD);
    let work = move || {
        for range in ranges {
            // Nobody waits for the rest once something was not readable.
            if sender.send(read(store, reader, range)).is_err() {
                return;
            }
        }
    };
    let name = "restore".to_owned();
    thread::Builder::new()
        .name(name)
        .spawn_scoped(scope, work)
        .map_err(|e| format!("no thread can be started: {e}"))?;
    Ok(receiver)
}

fn read(store: &Store, reader: &RecordReader, (from, to): &Range) -> Result<Pieces, String> {
    let (mut reading, mut bad) = (reader.begin(), None);
    let take = |key: &[u8], value: &[u8]| {
        if to.as_deref().is_some_and(|to| key >= to) {
            return false;
        }
        bad = reading.take(key, value).err();
        bad.is_none()
    };
    store.each_from(from, take).map_err(|e| e.to_string())?;
    bad.map_or_else(|| Ok(reading.finish()), |bad| Err(bad.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::EntityKind;
    use crate::batch::KeyHasher;
    use crate::model::histogram::{Bounds, Instance};
    use crate::state::names::Names;
    use crate::state::record::{BinRecord, EntityRecord, InstanceRecord, SinkRecord, SuppressedRecord};
    use crate::store::{Delta, OnDamage, StoreOptions};

    const OPTIONS: StoreOptions =
        StoreOptions { max_delta_bytes: 1 << 20, schema: 1, on_damage: OnDamage::Refuse, snapshots_kept: 1 };

    fn empty(hasher: &KeyHasher) -> State {
        let names = Names { rules: vec!["R".into()], models: vec!["M".into()] };
        State::new(names, vec![Bounds { window_days: 30, max_bins: 1000, rank_days: Some(7) }], hasher.clone())
    }

    /// Entities of one record to five hundred, which fill some pages each, and a record of every other kind.
    fn fill(store: &mut Store) {
        let mut delta = Delta::default();
        let mut put = |key: Key, value: Vec<u8>| delta.put(&key.encode(), &value);
        for n in 0..60_i64 {
            let user = format!("user{n}").into_bytes();
            let own = EntityRecord {
                latest: Some(n as i32),
                department: Some(format!("D{}", n % 3)),
                ..EntityRecord::default()
            };
            put(Key::Entity(EntityKind::User, user.clone()), codec::encode(&own));
            put(Key::Instance(EntityKind::User, user.clone(), "M".into()), codec::encode(&InstanceRecord::default()));
            for bin in 0..(n * n) % 500 {
                let record =
                    BinRecord { days: [(bin as i32 % 20, 1)].into_iter().collect(), first_ms: n, last_ms: bin };
                let value = format!("C:\\Users\\value number {bin}").into_bytes();
                put(Key::Bin(EntityKind::User, user.clone(), "M".into(), value), codec::encode(&record));
            }
        }
        for seq in 1..=2000 {
            put(
                Key::Alert(seq),
                codec::encode(&Alert::operational("matter", "value", "x".repeat(seq as usize % 99), 5)),
            );
        }
        put(Key::Sink("file".into()), codec::encode(&SinkRecord { seq: 1990, ..SinkRecord::default() }));
        put(
            Key::Suppressed(3, "R".into(), EntityKind::User, b"user1".to_vec()),
            codec::encode(&SuppressedRecord::default()),
        );
        store.commit(&mut delta).unwrap();
        store.compact().unwrap();
    }

    fn told(state: &State, hasher: &KeyHasher) -> Vec<String> {
        let instance = |(model, i): &(u16, Instance)| {
            let mut bins: Vec<_> = i.bins().collect();
            bins.sort_unstable_by(|a, b| a.value.cmp(&b.value));
            format!("{model} {:?} {} {:?} {bins:?}", i.latest(), i.n(), i.counted)
        };
        let entities = state.entities.iter().map(|(id, entity)| {
            let known: Vec<String> = entity.known().instances.iter().map(instance).collect();
            format!("{id} {:?} {:?} {:?} {known:?}", entity.key, entity.latest(), state.entities.department(id))
        });
        let found = |key: &[u8]| state.entities.find(EntityKind::User, key, hasher.hash(key)).is_some();
        assert!((0..60).all(|n| found(format!("user{n}").as_bytes())));
        entities.chain([format!("{:?}", state.entities.census)]).collect()
    }

    #[test]
    fn pieces_of_any_size_on_one_core_or_two_give_what_one_walk_gives() {
        let dir = tempfile::tempdir().unwrap();
        let (mut store, _) = Store::open(dir.path(), &OPTIONS).unwrap();
        fill(&mut store);
        let mut all = Vec::new();
        let keep = |key: &[u8], value: &[u8]| {
            all.push((key.to_vec(), value.to_vec()));
            true
        };
        store.each(keep).unwrap();
        let hasher = KeyHasher::default();
        let mut plain = empty(&hasher);
        plain.restore(all, usize::MAX).unwrap();
        let wanted = told(&plain, &hasher);
        let pages = store.cuts(1).len();
        assert!(pages > 50, "{pages} pages");
        for (each, has_cores) in [(1, false), (1, true), (2, true), (7, true), (pages, true), (pages * 2, true)] {
            let mut state = empty(&hasher);
            restore_in(ranges(store.cuts(each)), has_cores, &store, &mut state, usize::MAX).unwrap();
            assert!(told(&state, &hasher) == wanted, "{each} pages a piece, more than one core: {has_cores}");
            let alerts = alerts_from(&store, state.delivered(&["file"]) + 1).unwrap();
            assert!(alerts.iter().map(|(seq, _)| *seq).eq(1991..=2000));
        }
    }

    #[test]
    fn what_cannot_be_read_is_said_whoever_reads_it() {
        let dir = tempfile::tempdir().unwrap();
        let (mut store, _) = Store::open(dir.path(), &OPTIONS).unwrap();
        fill(&mut store);
        for user in ["user0", "user33", "user9"] {
            let mut delta = Delta::default();
            let key = Key::Entity(EntityKind::User, user.into()).encode();
            let sound = store.get(&key).unwrap().unwrap();
            delta.put(&key, b"no record");
            store.commit(&mut delta).unwrap();
            let said = restore_in(ranges(store.cuts(1)), true, &store, &mut empty(&KeyHasher::default()), usize::MAX)
                .unwrap_err();
            assert!(said.contains(user) && said.contains("cannot be read"), "{said}");
            delta.clear();
            delta.put(&key, &sound);
            store.commit(&mut delta).unwrap();
        }
    }
}
