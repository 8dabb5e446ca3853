//! The working set from the store's records after a start.
//!
//! Where reading goes on, and every alert that has to go out, is there before anything else. The rest comes while the agent is at
//! work already: the store thread reads some of it ahead while what was read before is decoded here. First what any event may be
//! about: nothing is judged before that. Then users and hosts; whom an event is about is asked for at once (`line`).

use super::committer::{Command, Committer, Piece, Restored, ask_again};
use crate::alert::Alert;
use crate::detect::Detector;
use crate::exit::{self, Failure};
use crate::state::State;
use crate::state::key::{ALERTS, BEHIND_ALERTS, BEHIND_USERS, ENTITIES, FILES, HOSTS_AND_USERS, Key, SINKS};
use crate::store::{Store, codec};
use std::time::Instant;

/// Everything but alerts in the order in which it is read back; groups and the agent's models are in the first.
const RANGES: [(&[u8], &[u8]); 4] =
    [(b"", HOSTS_AND_USERS), (BEHIND_USERS, ALERTS), (BEHIND_ALERTS, b"\xff"), (HOSTS_AND_USERS, BEHIND_USERS)];
/// The last of them.
const USERS: usize = RANGES.len() - 1;

/// Takes what a start needs into an empty working set: the agent's own record, those of files and of sinks.
///
/// # Errors
/// What cannot be read, as a sentence.
pub(super) fn restore_first(store: &Store, state: &mut State) -> Result<(), String> {
    let mut restoring = state.restoring(usize::MAX);
    for prefix in [Key::Agent.encode().as_slice(), FILES, SINKS] {
        let mut bad = None;
        let take = |key: &[u8], value: &[u8]| {
            let is_wanted = key.starts_with(prefix);
            if is_wanted {
                bad = restoring.take(key, value).err();
            }
            is_wanted && bad.is_none()
        };
        store.each_from(prefix, take).map_err(|e| e.to_string())?;
        if let Some(bad) = bad {
            return Err(bad.to_string());
        }
    }
    restoring.finish();
    state.some_are_missing(store.most_records());
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

/// When users and hosts are read back that no event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Others {
    /// At once, beside everything else.
    AtOnce,
    /// When all input has been judged, or all of them are needed. The outcome is the same.
    Last,
}

/// The working set on its way from the store.
pub(super) struct Restoring {
    /// Nothing is asked for at the moment.
    is_idle: bool,
    /// Users and hosts stay in the store alone where so much is in memory already.
    max_bytes: usize,
    /// Which of [`RANGES`] is being read, and from which key on the store was asked last.
    range: usize,
    from: Vec<u8>,
    /// When it is to be asked again, since it could not answer.
    again: Option<Instant>,
}

impl Restoring {
    /// Nothing is asked for yet.
    pub(super) fn new(max_bytes: usize) -> Restoring {
        Restoring { is_idle: true, max_bytes, range: 0, from: Vec::new(), again: None }
    }

    /// Whether what any event may be about is there. Only users and hosts may be missing then.
    pub(super) fn has_common(&self) -> bool {
        self.range == USERS
    }

    /// Whether nobody comes at the moment: the store cannot answer, or nobody was asked for.
    pub(super) fn is_held_up(&self) -> bool {
        self.is_idle || self.again.is_some()
    }

    /// Asks for what comes next, or once more where the store could not answer.
    pub(super) fn go_on(&mut self, committer: &Committer) {
        if self.again.map_or(self.is_idle, |again| again <= Instant::now()) {
            self.again = None;
            self.ask(committer);
        }
    }

    /// The store has answered. Once what is common is there, nothing more is asked for until [`Restoring::go_on`].
    ///
    /// # Errors
    /// When it cannot read what it has, or what it has are no records.
    pub(super) fn answered(
        &mut self,
        detector: &mut Detector,
        restored: Restored,
        committer: &Committer,
    ) -> Result<(), Failure> {
        let (records, next) = match restored {
            Ok(some) => some,
            Err(e) => {
                self.again = Some(ask_again(&e)?);
                return Ok(());
            }
        };
        let had_common = self.has_common();
        let is_last = had_common && next.is_none();
        match next {
            Some(next) => self.from = next,
            None if is_last => {}
            None => {
                self.range += 1;
                self.from.clear();
            }
        }
        self.is_idle = true;
        if !is_last && self.has_common() == had_common {
            self.ask(committer);
        }
        let state = &mut detector.state;
        state.restore(records.iter(), self.max_bytes).map_err(|e| Failure::new(exit::STATE, e.to_string()))?;
        state.fewer_are_missing(records.len() as u64);
        if is_last {
            state.none_is_missing();
        } else if self.has_common() != had_common {
            detector.guards_are_here();
        }
        Ok(())
    }

    fn ask(&mut self, committer: &Committer) {
        let Some((first, end)) = RANGES.get(self.range) else { return };
        let from = if self.from.is_empty() { first.to_vec() } else { self.from.clone() };
        let is_in_families = end.starts_with(ENTITIES);
        // If the store thread is gone, its end is noticed where commits are waited for.
        let _ = committer.commands.send(Command::Restore(Piece { from, end, is_in_families }));
        self.is_idle = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::EntityKind;
    use crate::batch::KeyHasher;
    use crate::config::Settings;
    use crate::content;
    use crate::enrich::Enricher;
    use crate::extract::Extractor;
    use crate::model::histogram::{Bounds, Instance};
    use crate::pipeline::committer::Backing;
    use crate::rule::Screen;
    use crate::state::key::Guard;
    use crate::state::key::entity_prefix;
    use crate::state::names::Names;
    use crate::state::record::{BinRecord, EntityRecord, InstanceRecord, SilencedRecord, SinkRecord, SuppressedRecord};
    use crate::store::{Delta, OnDamage, StoreError, StoreOptions};
    use std::path::Path;
    use std::sync::Arc;

    const OPTIONS: StoreOptions = StoreOptions {
        max_delta_bytes: 1 << 20,
        schema: 1,
        ascending: ALERTS,
        on_damage: OnDamage::Refuse,
        snapshots_kept: 1,
    };

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
                let value = format!("C:\\Users\\value number {bin}{}", "x".repeat(bin as usize)).into_bytes();
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

    /// What a state says of itself, without what hashing and the order in which they came leave to chance.
    fn told(state: &mut State, hasher: &KeyHasher) -> Vec<String> {
        let instance = |(model, i): &(u16, Instance)| {
            let mut bins: Vec<_> = i.bins().collect();
            bins.sort_unstable_by(|a, b| a.value.cmp(&b.value));
            format!("{model} {:?} {} {:?} {bins:?}", i.latest(), i.n(), i.counted)
        };
        let entities = state.entities.iter().map(|(id, entity)| {
            let known: Vec<String> = entity.known().instances.iter().map(instance).collect();
            format!("{:?} {:?} {:?} {known:?}", entity.key, entity.latest(), state.entities.department(id))
        });
        let found = |key: &[u8]| state.entities.find(EntityKind::User, key, hasher.hash(key)).is_some();
        assert!((0..60).all(|n| found(format!("user{n}").as_bytes())));
        let mut all: Vec<String> = entities.collect();
        all.sort();
        let held_back = state.guards.take_untold(|_, _, _| true);
        assert_eq!(held_back.iter().map(|untold| (untold.count, untold.told_before)).collect::<Vec<_>>(), [(5, 2)]);
        all.push(format!("{:?} {:?} {:?}", state.entities.census, state.silenced, state.sink("file")));
        assert!(all.last().is_some_and(|last| last.contains("count: 4") && last.contains("seq: 1990")), "{all:?}");
        all
    }

    #[test]
    fn whoever_comes_first_the_state_is_the_same() {
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
        let met = [b"user33".as_slice(), b"user0", b"user59", b"new", b"user33"];
        for most in [1, 1000, usize::MAX] {
            // Met before the first, after some, after all others.
            for when in [0, 20, usize::MAX] {
                let mut state = empty(&hasher);
                restore_first(&store, &mut state).unwrap();
                assert_eq!((state.delivered(&["file"]), state.delivered(&["file", "syslog"])), (1990, 0));
                // Delivered since: what is read back later does not undo it.
                state.change_sink("file").seq = 1995;
                for (from, end) in RANGES.into_iter().take(USERS) {
                    let mut next = Some(from.to_vec());
                    while let Some(from) = next {
                        let (records, then) = store.piece(&from, end, most, end == HOSTS_AND_USERS).unwrap();
                        state.restore(records.iter(), usize::MAX).unwrap();
                        next = then;
                    }
                }
                assert!(state.is_some_missing() && state.entities.count(EntityKind::User) == 0);
                assert_eq!(state.delivered(&["file"]), 1995);
                state.change_sink("file").seq = 1990;
                let (mut next, mut n) = (Some(HOSTS_AND_USERS.to_vec()), 0);
                loop {
                    if n == when || (next.is_none() && n < when) {
                        for key in met {
                            let records = store.read_all(&[entity_prefix(EntityKind::User, key)]).unwrap();
                            state.bring(EntityKind::User, key, &records[0]).unwrap();
                        }
                    }
                    let Some(from) = next else { break };
                    let (records, then) = store.piece(&from, BEHIND_USERS, most, true).unwrap();
                    state.restore(records.iter(), usize::MAX).unwrap();
                    (next, n) = (then, n + 1);
                }
                state.none_is_missing();
                assert!(told(&mut state, &hasher) == wanted, "{most} bytes together, met after {when}");
            }
        }
        let alerts = alerts_from(&store, 1991).unwrap();
        assert!(alerts.iter().map(|(seq, _)| *seq).eq(1991..=2000));
    }

    /// A user who came, and left memory again, before the answer to the question for them was there.
    #[test]
    fn who_came_and_left_before_the_answer_comes_back() {
        let dir = tempfile::tempdir().unwrap();
        let (mut store, _) = Store::open(dir.path(), &OPTIONS).unwrap();
        fill(&mut store);
        let (hasher, key) = (KeyHasher::default(), b"user33".as_slice());
        let mut state = empty(&hasher);
        restore_first(&store, &mut state).unwrap();
        let asked = store.read_all(&[entity_prefix(EntityKind::User, key)]).unwrap();
        let (records, _) = store.piece(HOSTS_AND_USERS, BEHIND_USERS, usize::MAX, true).unwrap();
        state.restore(records.iter(), 0).unwrap();
        let away = |state: &State| {
            let id = state.entities.find(EntityKind::User, key, hasher.hash(key)).unwrap();
            state.entities.get(id).unwrap().is_away()
        };
        assert!(away(&state));
        state.bring(EntityKind::User, key, &asked[0]).unwrap();
        assert!(!away(&state));
        assert_eq!((state.entities.count(EntityKind::User), state.memory().away), (60, 59));
    }

    /// A detector with a state that holds what a start needs.
    fn started(store: &Store, hasher: &KeyHasher) -> Detector {
        let settings = Settings::default();
        let content = Arc::new(content::load(&settings.detection).unwrap());
        let mut state = empty(hasher);
        restore_first(store, &mut state).unwrap();
        let screen = Screen::new(&content.rules, &content.models);
        let wanted = content::wanted(&screen, &Enricher::new(&content.tables));
        let extractor = Extractor::new(Arc::clone(&content), wanted, Vec::new());
        Detector::new(content, settings.detection, settings.limits, None, extractor, state)
    }

    /// As the detect thread does it, with a store thread.
    fn restore_by_asking(store: Store, dir: &Path, detector: &mut Detector) -> Result<(), Failure> {
        let backing = Backing::Durable {
            store: Box::new(store),
            dir: dir.to_owned(),
            options: OPTIONS,
            snapshot_every: None,
            compact_min_bytes: 1 << 40,
        };
        let committer = Committer::spawn(backing).unwrap();
        let mut restoring = Restoring::new(usize::MAX);
        assert!(restoring.is_held_up() && !restoring.has_common());
        let (mut outcome, mut answers) = (Ok(()), 0);
        while detector.state.is_some_missing() && outcome.is_ok() {
            let users = detector.state.entities.count(EntityKind::User);
            assert!(restoring.has_common() || users == 0, "what is common comes first");
            assert_eq!(
                restoring.has_common() && users == 0,
                answers > 0 && restoring.is_held_up(),
                "it waits there, and only there"
            );
            restoring.go_on(&committer);
            restoring.go_on(&committer);
            assert!(!restoring.is_held_up());
            answers += 1;
            assert!(answers < 12, "it does not get on");
            outcome = restoring.answered(detector, committer.restored.recv().unwrap(), &committer);
        }
        committer.close().unwrap();
        assert!(outcome.is_err() || answers > RANGES.len(), "more than what is read together");
        outcome
    }

    #[test]
    fn a_store_that_cannot_answer_is_asked_again() {
        let dir = tempfile::tempdir().unwrap();
        let (mut store, _) = Store::open(dir.path(), &OPTIONS).unwrap();
        fill(&mut store);
        let hasher = KeyHasher::default();
        let mut detector = started(&store, &hasher);
        let committer = Committer::spawn(Backing::Volatile).unwrap();
        let mut restoring = Restoring::new(usize::MAX);
        restoring.go_on(&committer);
        let fails = || Err(StoreError::Failed { path: dir.path().to_owned() });
        restoring.answered(&mut detector, fails(), &committer).unwrap();
        assert!(restoring.is_held_up() && detector.state.is_some_missing());
        // Not at once.
        restoring.go_on(&committer);
        assert!(restoring.is_held_up());
        restoring.again = Some(Instant::now());
        restoring.go_on(&committer);
        assert!(!restoring.is_held_up());
        committer.close().unwrap();
        restore_by_asking(store, dir.path(), &mut detector).unwrap();
        told(&mut detector.state, &hasher);
    }

    #[test]
    fn what_cannot_be_read_is_said() {
        let dir = tempfile::tempdir().unwrap();
        let guard = Guard { day: 3, rule: "R", kind: EntityKind::User, entity: b"user1", value: b"" };
        for (bad, is_at_once) in [
            (Key::Sink("file".into()), true),
            (Key::Entity(EntityKind::Group, b"sales".to_vec()), false),
            (Key::Guard(guard.to_key()), false),
            (Key::Entity(EntityKind::User, b"user33".to_vec()), false),
        ] {
            let dir = dir.path().join(format!("{bad:?}").replace(|c: char| !c.is_ascii_alphanumeric(), ""));
            let (mut store, _) = Store::open(&dir, &OPTIONS).unwrap();
            fill(&mut store);
            let mut delta = Delta::default();
            delta.put(&bad.encode(), b"no record");
            store.commit(&mut delta).unwrap();
            let said = restore_first(&store, &mut empty(&KeyHasher::default()));
            assert_eq!(said.is_err(), is_at_once, "{bad:?}: {said:?}");
            let said = match said {
                Err(said) => said,
                Ok(()) => {
                    let mut detector = started(&store, &KeyHasher::default());
                    let failure = restore_by_asking(store, &dir, &mut detector).unwrap_err();
                    assert_eq!(failure.code, exit::STATE);
                    failure.message
                }
            };
            let key = bad.encode().escape_ascii().to_string();
            assert!(said.contains(&key) && said.contains("cannot be read"), "{said}");
        }
        let (mut store, _) = Store::open(dir.path(), &OPTIONS).unwrap();
        fill(&mut store);
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
