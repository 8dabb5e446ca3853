//! Guards: what has fired, so that the same does not fire again in its period, and how often it came again.

use super::guard_day::GuardDay;
use super::key::{Guard, GuardKey, Key, StoredGuard};
use super::put::Put;
use super::record::{GuardRecord, SuppressedRecord};
use crate::alert::EntityKind;
use crate::batch::KeyHasher;
use crate::calendar::Day;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// Rule, kind, entity.
type Subject = (String, EntityKind, Vec<u8>);

/// Guards that leave at once at most: they all stand in one commit.
const MAX_REMOVED: usize = 10_000;

/// All guards.
#[derive(Debug)]
pub struct Guards {
    days: BTreeMap<Day, GuardDay>,
    hasher: KeyHasher,
    len: usize,
    dirty: usize,
    removed: Vec<Box<[u8]>>,
    suppressed: BTreeMap<(Day, Subject), SuppressedRecord>,
    suppressed_dirty: BTreeSet<(Day, Subject)>,
    /// Memory for the key that is looked up.
    key: Vec<u8>,
}

/// Alerts that were held back and that no summary has told yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Untold {
    /// The day, or the first of the month.
    pub day: Day,
    /// Id of the rule.
    pub rule: String,
    /// Kind of the entity.
    pub kind: EntityKind,
    /// Key of the entity.
    pub entity: Vec<u8>,
    /// How many.
    pub count: u64,
    /// How many earlier summaries have told.
    pub told_before: u64,
}

impl Guards {
    /// No guards yet.
    pub fn new(hasher: KeyHasher) -> Guards {
        Guards {
            days: BTreeMap::new(),
            hasher,
            len: 0,
            dirty: 0,
            removed: Vec::new(),
            suppressed: BTreeMap::new(),
            suppressed_dirty: BTreeSet::new(),
            key: Vec::new(),
        }
    }

    /// How many guards are kept.
    pub fn len(&self) -> usize {
        self.len
    }
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
    /// All guards with their repeats, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = (StoredGuard<'_>, u64)> {
        self.days
            .values()
            .flat_map(GuardDay::iter)
            .filter_map(|(key, repeats)| Some((StoredGuard::read(key)?, repeats)))
    }

    /// The guards of one day, in no particular order.
    pub fn of_day(&self, day: Day) -> impl Iterator<Item = StoredGuard<'_>> {
        self.days.get(&day).into_iter().flat_map(GuardDay::iter).filter_map(|(key, _)| StoredGuard::read(key))
    }

    /// Whether this has not fired yet. If it has, it is counted as a repeat.
    pub fn is_fresh(&mut self, guard: Guard<'_>) -> bool {
        let Some(day) = self.days.get_mut(&guard.day) else { return true };
        self.key.clear();
        guard.append_to(&mut self.key);
        let before = day.dirty_count();
        let is_fresh = !day.repeat(&self.key, &self.hasher);
        self.dirty += day.dirty_count() - before;
        is_fresh
    }

    /// For how many of these days, or first days of months, the same has fired, whatever the guard's own day. Counts no repeat.
    pub fn count_days(&mut self, guard: Guard<'_>, days: Range<Day>) -> u64 {
        let mut count = 0;
        for (day, fired) in self.days.range(days) {
            self.key.clear();
            Guard { day: *day, ..guard }.append_to(&mut self.key);
            count += u64::from(fired.has(&self.key, &self.hasher));
        }
        count
    }

    /// Notes that this has fired. Returns how many alerts of this rule and entity the period had before.
    pub fn set(&mut self, guard: Guard<'_>) -> u32 {
        let mut key = std::mem::take(&mut self.key);
        key.clear();
        let subject = guard.append_to(&mut key);
        let before = self.keep(guard.day, &key, subject, (0, true));
        self.key = key;
        before
    }

    fn keep(&mut self, day: Day, key: &[u8], subject: usize, repeats: (u64, bool)) -> u32 {
        let day = self.days.entry(day).or_default();
        let (len, dirty_before) = (day.len(), day.dirty_count());
        let before = day.keep(key, subject, repeats, &self.hasher);
        self.len += day.len() - len;
        self.dirty += day.dirty_count() - dirty_before;
        before
    }

    /// Takes the guard away that leaves first of those of the oldest day.
    fn take_oldest(&mut self) {
        let Some(mut day) = self.days.first_entry() else { return };
        let removed = &mut self.removed;
        if !day.get_mut().take_first(&self.hasher, |key| removed.push(key.into())) {
            self.dirty -= day.get().dirty_count();
            day.remove();
        }
        self.len -= 1;
    }

    /// Counts an alert that was held back.
    pub fn suppress(&mut self, key: &GuardKey) {
        let at = subject(key);
        self.suppressed.entry(at.clone()).or_default().count += 1;
        self.suppressed_dirty.insert(at);
    }

    /// What was held back in closed periods and has not been told; marks it as told. A late event may add to a period that
    /// was told: then the rest is told at the next call.
    pub fn take_untold(&mut self, is_closed: impl Fn(Day, &str, EntityKind) -> bool) -> Vec<Untold> {
        let mut out = Vec::new();
        for ((day, subject), record) in &mut self.suppressed {
            if record.count > record.told && is_closed(*day, &subject.0, subject.1) {
                out.push(Untold::of(*day, subject, record));
                record.told = record.count;
                self.suppressed_dirty.insert((*day, subject.clone()));
            }
        }
        out
    }

    /// Guards of days up to `last_gone` leave, then the oldest while there are more than `max`: a step at a time, in the order
    /// of their keys. Returns how many left because of `max`, and what was held back and would otherwise never be told.
    pub fn age(&mut self, last_gone: Day, max: usize) -> (u64, Vec<Untold>) {
        let (mut dropped, mut untold) = (0, Vec::new());
        // When there are too many, a few more leave than need to: the next ones then do not each take a step.
        let keep = if self.len() > max { max - max / 100 } else { max };
        for _ in 0..MAX_REMOVED {
            let over = self.len() > keep;
            let Some((day, _)) = self.days.first_key_value() else { break };
            let expired = *day <= last_gone;
            if !expired && !over {
                break;
            }
            dropped += u64::from(!expired);
            self.take_oldest();
        }
        for _ in 0..MAX_REMOVED {
            let too_many = self.suppressed.len() > max;
            let Some(entry) = self.suppressed.first_entry() else { break };
            if entry.key().0 > last_gone && !too_many {
                break;
            }
            let (at, record) = entry.remove_entry();
            if record.count > record.told {
                untold.push(Untold::of(at.0, &at.1, &record));
            }
            self.suppressed_dirty.insert(at);
        }
        (dropped, untold)
    }

    /// How many records have changed since the last drain.
    pub fn dirty_count(&self) -> usize {
        self.dirty + self.removed.len() + self.suppressed_dirty.len()
    }

    /// Writes what changed since the last call.
    pub fn drain(&mut self, put: &mut Put<'_>) {
        for key in self.removed.drain(..) {
            put.remove(|out| out.extend_from_slice(&key));
        }
        if std::mem::take(&mut self.dirty) > 0 {
            for day in self.days.values_mut() {
                day.drain(|key, repeats| put.record(|out| out.extend_from_slice(key), &GuardRecord { repeats }));
            }
        }
        for at in std::mem::take(&mut self.suppressed_dirty) {
            let record = self.suppressed.get(&at);
            let key = Key::Suppressed(at.0, at.1.0, at.1.1, at.1.2);
            match record {
                Some(record) => put.keyed(&key, record),
                None => put.remove(|out| key.append_to(out)),
            }
        }
    }

    /// Takes a guard as the store kept it, under a key that was [read](StoredGuard::read).
    pub fn restore(&mut self, key: &[u8], guard: &StoredGuard<'_>, record: &GuardRecord) {
        self.keep(guard.day, key, guard.subject, (record.repeats, false));
    }

    /// Takes a suppression as the store kept it.
    pub fn restore_suppressed(
        &mut self,
        day: Day,
        rule: String,
        kind: EntityKind,
        entity: Vec<u8>,
        record: SuppressedRecord,
    ) {
        self.suppressed.insert((day, (rule, kind, entity)), record);
    }
}

impl Untold {
    fn of(day: Day, (rule, kind, entity): &Subject, record: &SuppressedRecord) -> Untold {
        let (count, told_before) = (record.count - record.told, record.told);
        Untold { day, rule: rule.clone(), kind: *kind, entity: entity.clone(), count, told_before }
    }
}

fn subject(key: &GuardKey) -> (Day, Subject) {
    (key.day, (key.rule.clone(), key.kind, key.entity.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Delta;

    fn key(day: Day, entity: &str, value: &str) -> GuardKey {
        GuardKey { day, rule: "R".into(), kind: EntityKind::User, entity: entity.into(), value: value.into() }
    }

    /// A day with `held` alerts held back.
    fn flooded(guards: &mut Guards, day: Day, held: usize) {
        for i in 0..held {
            let key = key(day, "eve", &format!("{i}"));
            guards.set(key.as_guard());
            guards.suppress(&key);
        }
    }

    #[test]
    fn what_was_held_back_is_told_when_the_period_is_closed_and_the_numbers_add_up() {
        let mut guards = Guards::new(KeyHasher::default());
        flooded(&mut guards, 10, 3);
        flooded(&mut guards, 12, 4);
        let told = |guards: &mut Guards, open_from: Day| -> Vec<(Day, u64, u64)> {
            guards.take_untold(|day, _, _| day < open_from).iter().map(|u| (u.day, u.count, u.told_before)).collect()
        };
        assert_eq!(told(&mut guards, 10), []);
        assert_eq!(told(&mut guards, 11), [(10, 3, 0)]);
        assert_eq!(told(&mut guards, 11), []);
        // A late event adds to a day that was told.
        guards.suppress(&key(10, "eve", "late"));
        assert_eq!(told(&mut guards, 13), [(10, 1, 3), (12, 4, 0)]);
    }

    #[test]
    fn days_on_which_the_same_fired_are_counted_and_make_no_repeat() {
        let mut guards = Guards::new(KeyHasher::default());
        for (day, entity, value) in
            [(3, "ann", "x"), (5, "ann", "x"), (5, "ann", "y"), (6, "bob", "x"), (8, "ann", "x")]
        {
            guards.set(key(day, entity, value).as_guard());
        }
        guards.drain(&mut Put(&mut Delta::default()));
        let same = key(8, "ann", "x");
        for (days, count) in [(0..9, 3), (0..8, 2), (4..8, 1), (4..5, 0), (6..8, 0), (8..8, 0)] {
            assert_eq!(guards.count_days(same.as_guard(), days.clone()), count, "{days:?}");
        }
        assert_eq!(guards.dirty_count(), 0);
    }

    #[test]
    fn the_oldest_guards_leave_first_a_step_at_a_time_and_nothing_is_lost_untold() {
        let mut guards = Guards::new(KeyHasher::default());
        for i in 0..MAX_REMOVED + 50 {
            guards.set(key(1, "old", &format!("{i:06}")).as_guard());
        }
        flooded(&mut guards, 5, 7);
        assert_eq!(guards.age(1, usize::MAX).0, 0, "expiry is no loss by a limit");
        assert_eq!(guards.len(), 50 + 7, "one commit is not asked to hold them all");
        guards.age(1, usize::MAX);
        assert_eq!(guards.len(), 7);

        flooded(&mut guards, 6, 400);
        let (dropped, _) = guards.age(1, 300);
        assert_eq!((dropped, guards.len()), (407 - 297, 297), "a little more than needed");
        assert!(guards.is_fresh(key(5, "eve", "0").as_guard()), "the oldest day left");
        assert!(!guards.is_fresh(key(6, "eve", "99").as_guard()));
        let (_, untold) = guards.age(6, usize::MAX);
        assert_eq!(untold.iter().map(|u| (u.day, u.count)).collect::<Vec<_>>(), [(5, 7), (6, 400)]);
        assert!(guards.is_empty());
    }
}
