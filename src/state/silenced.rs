//! What exceptions silenced: counted by exception and rule, so that somebody can see what an exception hides.
//!
//! The same alert is counted once in its period, as it would have been made once. What keeps that is a guard under a name of its
//! own: the rule's own guard stays open, so that the rule speaks as soon as the exception has ended.

use super::key::Key;
use super::put::Put;
use super::record::SilencedRecord;
use crate::calendar::Day;
use std::collections::{BTreeMap, BTreeSet};

/// Exception, rule.
type Of = (String, String);

/// All counts.
#[derive(Debug, Default)]
pub struct Silenced {
    counts: BTreeMap<Of, SilencedRecord>,
    dirty: BTreeSet<Of>,
}

/// The name under which an alert of a rule that an exception silenced is guarded. No rule has such an id by accident, and one
/// that has shares a guard and no more.
pub fn guard_name(rule: &str, exception: &str) -> String {
    format!("{rule} (exception {exception})")
}

impl Silenced {
    /// Counts an alert that was not made.
    pub fn count(&mut self, exception: &str, rule: &str, (day, entity): (Day, &[u8])) {
        let of = (exception.to_owned(), rule.to_owned());
        let record = self.counts.entry(of.clone()).or_default();
        if record.count == 0 || day >= record.last_day {
            record.last_day = day;
            record.last_entity = entity.to_vec();
        }
        record.count += 1;
        self.dirty.insert(of);
    }

    /// Exceptions that have silenced nothing since a day leave.
    pub fn age(&mut self, last_gone: Day) {
        let dirty = &mut self.dirty;
        self.counts.retain(|of, record| {
            let stays = record.last_day > last_gone;
            if !stays {
                dirty.insert(of.clone());
            }
            stays
        });
    }

    /// How many records have changed since the last drain.
    pub fn dirty_count(&self) -> usize {
        self.dirty.len()
    }

    /// Writes what changed since the last call.
    pub fn drain(&mut self, put: &mut Put<'_>) {
        for of in std::mem::take(&mut self.dirty) {
            let record = self.counts.get(&of);
            let key = Key::Silenced(of.0, of.1);
            match record {
                Some(record) => put.keyed(&key, record),
                None => put.remove(|out| key.append_to(out)),
            }
        }
    }

    /// Takes a count as the store kept it.
    pub fn restore(&mut self, exception: String, rule: String, record: SilencedRecord) {
        self.counts.insert((exception, rule), record);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_is_the_one_of_the_latest_day_and_what_is_idle_for_a_window_leaves() {
        let mut silenced = Silenced::default();
        silenced.count("e", "R", (10, b"ann"));
        silenced.count("e", "R", (10, b"bob"));
        silenced.count("e", "R", (9, b"eve"));
        silenced.count("e", "S", (-5, b"eve"));
        let of = |rule: &str| ("e".to_owned(), rule.to_owned());
        let record = SilencedRecord { count: 3, last_day: 10, last_entity: b"bob".to_vec() };
        assert_eq!(silenced.counts[&of("R")], record);
        assert_eq!(silenced.counts[&of("S")].last_day, -5);
        assert_eq!(silenced.dirty_count(), 2);
        silenced.dirty.clear();
        silenced.age(9);
        assert_eq!((silenced.counts.len(), silenced.dirty_count()), (1, 1));
    }
}
