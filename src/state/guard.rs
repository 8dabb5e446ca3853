//! Guards: what has fired, so that the same does not fire again in its period, and how often it came again.

use super::entity::Put;
use super::key::{GuardKey, Key};
use super::record::{GuardRecord, SuppressedRecord};
use crate::alert::EntityKind;
use crate::calendar::Day;
use std::collections::{BTreeMap, BTreeSet};

/// A day's guards: key without the day → repeats.
type DayGuards = std::collections::HashMap<GuardKey, u64, foldhash::fast::RandomState>;
/// Rule, kind, entity.
type Subject = (String, EntityKind, Vec<u8>);

/// All guards.
#[derive(Debug, Default)]
pub struct Guards {
    days: BTreeMap<Day, DayGuards>,
    len: usize,
    dirty: BTreeSet<GuardKey>,
    removed: Vec<GuardKey>,
    /// Alerts raised by day and subject, for flood suppression.
    fired: BTreeMap<Day, BTreeMap<Subject, u32>>,
    suppressed: BTreeMap<(Day, Subject), SuppressedRecord>,
    suppressed_dirty: BTreeSet<(Day, Subject)>,
}

impl Guards {
    /// How many guards are kept.
    pub fn len(&self) -> usize {
        self.len
    }
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
    /// All guards with their repeats.
    pub fn iter(&self) -> impl Iterator<Item = (&GuardKey, u64)> {
        self.days.values().flatten().map(|(k, r)| (k, *r))
    }

    /// Whether this has not fired yet. If it has, it is counted as a repeat.
    pub fn is_fresh(&mut self, key: &GuardKey) -> bool {
        match self.days.get_mut(&key.day).and_then(|day| day.get_mut(key)) {
            Some(repeats) => {
                *repeats += 1;
                if !self.dirty.contains(key) {
                    self.dirty.insert(key.clone());
                }
                false
            }
            None => true,
        }
    }

    /// Notes that this has fired. Returns how many alerts of this rule and entity the period had before.
    pub fn set(&mut self, key: GuardKey) -> u32 {
        let before = self.note_fired(&key);
        self.dirty.insert(key.clone());
        if self.days.entry(key.day).or_default().insert(key, 0).is_none() {
            self.len += 1;
        }
        before
    }

    fn note_fired(&mut self, key: &GuardKey) -> u32 {
        let subject = (key.rule.clone(), key.kind, key.entity.clone());
        let count = self.fired.entry(key.day).or_default().entry(subject).or_default();
        *count += 1;
        *count - 1
    }

    /// Counts an alert that was held back.
    pub fn suppress(&mut self, key: &GuardKey) {
        let at = (key.day, (key.rule.clone(), key.kind, key.entity.clone()));
        self.suppressed.entry(at.clone()).or_default().count += 1;
        self.suppressed_dirty.insert(at);
    }

    /// Suppressions of days before `day` that have not been reported; marks them.
    pub fn take_unreported(&mut self, day: Day) -> Vec<(Day, String, EntityKind, Vec<u8>, u64)> {
        let mut out = Vec::new();
        for ((d, subject), record) in &mut self.suppressed {
            if *d < day && !record.reported {
                record.reported = true;
                self.suppressed_dirty.insert((*d, subject.clone()));
                out.push((*d, subject.0.clone(), subject.1, subject.2.clone(), record.count));
            }
        }
        out
    }

    /// Guards of days up to `last_gone` leave; then the oldest days, while there are more than `max`. Returns how many
    /// left because of `max`.
    pub fn age(&mut self, last_gone: Day, max: usize) -> u64 {
        let mut dropped = 0;
        while let Some(entry) = self.days.first_entry() {
            let over = self.len > max;
            if *entry.key() > last_gone && !over {
                break;
            }
            let by_limit = *entry.key() > last_gone;
            let (day, guards) = entry.remove_entry();
            self.len -= guards.len();
            if by_limit {
                dropped += guards.len() as u64;
            }
            for (key, _) in guards {
                self.dirty.remove(&key);
                self.removed.push(key);
            }
            self.fired.remove(&day);
            let old: Vec<_> = self.suppressed.keys().filter(|k| k.0 <= day).cloned().collect();
            for key in old {
                self.suppressed.remove(&key);
                self.suppressed_dirty.insert(key);
            }
        }
        dropped
    }

    /// How many records have changed since the last drain.
    pub fn dirty_count(&self) -> usize {
        self.dirty.len() + self.removed.len()
    }

    /// Writes what changed since the last call.
    pub fn drain(&mut self, put: &mut Put<'_>) {
        for key in self.removed.drain(..) {
            put.remove(Key::Guard(key).encode());
        }
        for key in std::mem::take(&mut self.dirty) {
            let repeats = self.days.get(&key.day).and_then(|d| d.get(&key)).copied().unwrap_or(0);
            put.record(Key::Guard(key).encode(), &GuardRecord { repeats });
        }
        for at in std::mem::take(&mut self.suppressed_dirty) {
            let record = self.suppressed.get(&at);
            let key = Key::Suppressed(at.0, at.1.0, at.1.1, at.1.2).encode();
            match record {
                Some(record) => put.record(key, record),
                None => put.remove(key),
            }
        }
    }

    /// Takes a guard as the store kept it.
    pub fn restore(&mut self, key: GuardKey, record: &GuardRecord) {
        self.note_fired(&key);
        if self.days.entry(key.day).or_default().insert(key, record.repeats).is_none() {
            self.len += 1;
        }
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
