//! The working set from the store's records: one thread reads and unpacks them, another one decodes them.
//!
//! What is decoded is made by one thread only: malloc keeps memory for each thread apart, and what is made by one and let go by
//! another costs more than the second core brings. Both are new threads, made one after the other: malloc hands its arenas out in
//! turn, of which the unit lets it have two, and in one and the same they would wait for each other, record after record.

use crate::alert::Alert;
use crate::state::State;
use crate::state::key::{ALERTS, BEHIND_ALERTS, Key};
use crate::state::restoring::Restoring;
use crate::store::{Store, codec};
use crossbeam_channel::{Receiver, Sender, bounded};
use std::thread::{self, Scope, ScopedJoinHandle};

/// Records that are handed over together, bytes.
const TOGETHER: usize = 100 * 1024;
/// How often the reading thread may be ahead by as much.
const AHEAD: usize = 4;

/// Records one behind the other.
#[derive(Default)]
struct Records {
    bytes: Vec<u8>,
    /// Lengths of each key and value.
    lens: Vec<(usize, usize)>,
}

/// Rebuilds an empty working set. Users and hosts stay in the store alone where `max_bytes` are in memory already. Alerts are
/// left where they are.
///
/// # Errors
/// What cannot be read, as a sentence.
pub(super) fn restore(store: &Store, state: &mut State, max_bytes: usize) -> Result<(), String> {
    let has_cores = thread::available_parallelism().is_ok_and(|cores| cores.get() > 1);
    restore_on(has_cores, TOGETHER, store, state.restoring(max_bytes))
}

fn restore_on(has_cores: bool, together: usize, store: &Store, mut restoring: Restoring<'_>) -> Result<(), String> {
    if has_cores {
        thread::scope(|scope| {
            let read = read_ahead(scope, store, together)?;
            let restoring = &mut restoring;
            let decode = move || {
                for records in read {
                    records?.each(|key, value| restoring.take(key, value).map_err(|e| e.to_string()))?;
                }
                Ok::<_, String>(())
            };
            let decoding = named("decode", scope, decode)?;
            decoding.join().unwrap_or_else(|_| Err("the thread that decodes ended abnormally".into()))
        })?;
    } else {
        let mut bad = None;
        walk(store, |key, value| {
            bad = restoring.take(key, value).err();
            bad.is_none()
        })?;
        bad.map_or(Ok(()), |bad| Err(bad.to_string()))?;
    }
    restoring.finish();
    Ok(())
}

/// Alerts from this number on.
///
/// # Errors
/// What cannot be read, as a sentence.
pub(super) fn alerts_from(store: &Store, first: u64) -> Result<Vec<(u64, Alert)>, String> {
    let (mut alerts, mut bad) = (Vec::new(), None);
    let take = |key: &[u8], value: &[u8]| {
        if !key.starts_with(ALERTS) {
            return false;
        }
        match (Key::decode_alert(key), codec::decode(value)) {
            (Some(seq), Ok(alert)) => alerts.push((seq, alert)),
            (None, _) => bad = Some(format!("the key {} is of no kind known to this version", key.escape_ascii())),
            (_, Err(e)) => bad = Some(format!("the record {}: {e}", key.escape_ascii())),
        }
        bad.is_none()
    };
    store.each_from(&Key::Alert(first).encode(), take).map_err(|e| e.to_string())?;
    bad.map_or(Ok(alerts), Err)
}

/// All records but alerts, in the order of their keys, as long as `take` says that it goes on.
fn walk(store: &Store, mut take: impl FnMut(&[u8], &[u8]) -> bool) -> Result<(), String> {
    let mut has_stopped = false;
    let before_alerts = |key: &[u8], value: &[u8]| {
        key < ALERTS && {
            has_stopped = !take(key, value);
            !has_stopped
        }
    };
    store.each_from(b"", before_alerts).map_err(|e| e.to_string())?;
    if has_stopped {
        return Ok(());
    }
    store.each_from(BEHIND_ALERTS, take).map_err(|e| e.to_string())
}

/// Walks on a thread of its own.
fn read_ahead<'scope, 'env: 'scope>(
    scope: &'scope Scope<'scope, 'env>,
    store: &'env Store,
    together: usize,
) -> Result<Receiver<Result<Records, String>>, String> {
    let (sender, receiver) = bounded(AHEAD);
    named("restore", scope, move || read(store, together, &sender))?;
    Ok(receiver)
}

/// A thread with a name.
fn named<'scope, T: Send + 'scope>(
    name: &str,
    scope: &'scope Scope<'scope, '_>,
    run: impl FnOnce() -> T + Send + 'scope,
) -> Result<ScopedJoinHandle<'scope, T>, String> {
    let spawned = thread::Builder::new().name(name.into()).spawn_scoped(scope, run);
    spawned.map_err(|e| format!("no thread can be started: {e}"))
}

/// Ends early when nobody takes what is read.
fn read(store: &Store, together: usize, sender: &Sender<Result<Records, String>>) {
    let mut records = Records::default();
    let end = walk(store, |key, value| {
        records.push(key, value);
        if records.bytes.len() < together {
            return true;
        }
        let next = records.as_many_again();
        sender.send(Ok(std::mem::replace(&mut records, next))).is_ok()
    });
    let _ = sender.send(end.map(|()| records));
}

impl Records {
    /// None yet, with room for about as many: what grows is moved again and again.
    fn as_many_again(&self) -> Records {
        Records { bytes: Vec::with_capacity(self.bytes.len()), lens: Vec::with_capacity(self.lens.len()) }
    }

    fn push(&mut self, key: &[u8], value: &[u8]) {
        self.bytes.extend_from_slice(key);
        self.bytes.extend_from_slice(value);
        self.lens.push((key.len(), value.len()));
    }

    fn each(&self, mut take: impl FnMut(&[u8], &[u8]) -> Result<(), String>) -> Result<(), String> {
        let mut rest = self.bytes.as_slice();
        for (key_len, value_len) in &self.lens {
            let (key, behind) = rest.split_at_checked(*key_len).unwrap_or_default();
            let (value, behind) = behind.split_at_checked(*value_len).unwrap_or_default();
            take(key, value)?;
            rest = behind;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::EntityKind;
    use crate::batch::KeyHasher;
    use crate::model::histogram::{Bounds, Instance};
    use crate::state::names::Names;
    use crate::state::record::{BinRecord, EntityRecord, InstanceRecord, SilencedRecord, SinkRecord, SuppressedRecord};
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
                codec::encode(&Alert::operational("rule-inert", "value", "x".repeat(seq as usize % 99), 5)),
            );
        }
        put(Key::Sink("file".into()), codec::encode(&SinkRecord { seq: 1990, ..SinkRecord::default() }));
        // Alerts stand between these two and the others.
        put(
            Key::Suppressed(3, "R".into(), EntityKind::User, b"user1".to_vec()),
            codec::encode(&SuppressedRecord { count: 7, told: 2 }),
        );
        put(
            Key::Silenced("X".into(), "R".into()),
            codec::encode(&SilencedRecord { count: 4, ..SilencedRecord::default() }),
        );
        store.commit(&mut delta).unwrap();
        store.compact().unwrap();
    }

    /// What a state says of itself, without what hashing leaves to chance.
    fn told(state: &mut State, hasher: &KeyHasher) -> Vec<String> {
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
        let mut all: Vec<String> = entities.collect();
        let held_back = state.guards.take_untold(|_, _, _| true);
        assert_eq!(held_back.iter().map(|untold| (untold.count, untold.told_before)).collect::<Vec<_>>(), [(5, 2)]);
        all.push(format!("{:?} {:?} {:?}", state.entities.census, state.silenced, state.sink("file")));
        assert!(all.last().is_some_and(|last| last.contains("count: 4") && last.contains("seq: 1990")), "{all:?}");
        all
    }

    #[test]
    fn records_together_or_one_by_one_on_one_core_or_two_give_the_same() {
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
        let wanted = told(&mut plain, &hasher);
        for (together, has_cores) in [(1, false), (1, true), (1000, true), (TOGETHER, true), (usize::MAX, true)] {
            let mut state = empty(&hasher);
            restore_on(has_cores, together, &store, state.restoring(usize::MAX)).unwrap();
            assert!(told(&mut state, &hasher) == wanted, "{together} bytes together, more than one core: {has_cores}");
            assert_eq!((state.delivered(&["file"]), state.delivered(&["file", "syslog"])), (1990, 0));
            let alerts = alerts_from(&store, 1991).unwrap();
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
            for has_cores in [false, true] {
                let mut state = empty(&KeyHasher::default());
                let said = restore_on(has_cores, 1, &store, state.restoring(usize::MAX)).unwrap_err();
                assert!(said.contains(user) && said.contains("cannot be read"), "{said}");
            }
            delta.clear();
            delta.put(&key, &sound);
            store.commit(&mut delta).unwrap();
        }
        let alert = Key::Alert(1995).encode();
        for (key, value) in [(alert.clone(), b"no alert".to_vec()), ([alert, b"x".to_vec()].concat(), Vec::new())] {
            let mut delta = Delta::default();
            delta.put(&key, &value);
            store.commit(&mut delta).unwrap();
            assert!(alerts_from(&store, 1991).unwrap_err().contains(&key.escape_ascii().to_string()));
            delta.clear();
            delta.remove(|out| out.extend_from_slice(&key));
            store.commit(&mut delta).unwrap();
        }
        assert_eq!(alerts_from(&store, 1991).unwrap().len(), 9);
    }
}
