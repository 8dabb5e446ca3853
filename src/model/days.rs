//! Sets of calendar days, for history ("on how many earlier days has this been seen?").

use crate::calendar::Day;
use crate::few::Few;
use serde::{Deserialize, Serialize};

/// A set of days as bits, from a base that is a multiple of 64. Small: a year takes six words; two stand in place.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DaySet {
    base: Day,
    #[serde(with = "crate::few")]
    words: Few<u64>,
}

impl DaySet {
    /// Adds a day and drops days that left the window of `window_days` ending with the newest day. Says whether the
    /// set changed. A day that is itself outside the window is not added.
    pub fn insert(&mut self, day: Day, window_days: u32) -> bool {
        if self.contains(day) {
            return false;
        }
        let newest = self.newest().map_or(day, |n| n.max(day));
        if i64::from(day) <= i64::from(newest) - i64::from(window_days) {
            return false;
        }
        let block = day.div_euclid(64);
        if self.words.is_empty() {
            self.base = block * 64;
        }
        let first = self.base.div_euclid(64);
        if block < first {
            let missing = (first - block) as usize;
            self.words.insert_many(0, std::iter::repeat_n(0, missing));
            self.base = block * 64;
        }
        let at = (block - self.base.div_euclid(64)) as usize;
        if self.words.len() <= at {
            self.words.resize(at + 1, 0);
        }
        if let Some(word) = self.words.get_mut(at) {
            *word |= 1 << day.rem_euclid(64);
        }
        self.drop_until(newest.saturating_sub_unsigned(window_days));
        true
    }

    /// How much memory it takes, bytes.
    pub fn size(&self) -> usize {
        size_of::<DaySet>() + if self.words.spilled() { self.words.capacity() * 8 } else { 0 }
    }

    /// Whether the day is in the set.
    pub fn contains(&self, day: Day) -> bool {
        let at = i64::from(day.div_euclid(64)) - i64::from(self.base.div_euclid(64));
        usize::try_from(at).ok().and_then(|at| self.words.get(at)).is_some_and(|w| w & (1 << day.rem_euclid(64)) != 0)
    }

    /// The newest day.
    pub fn newest(&self) -> Option<Day> {
        self.iter().last()
    }

    /// Days in `from..to`.
    pub fn count(&self, from: Day, to: Day) -> u32 {
        self.iter().filter(|d| *d >= from && *d < to).count() as u32
    }

    /// The days, ascending.
    pub fn iter(&self) -> impl Iterator<Item = Day> + '_ {
        self.words.iter().enumerate().flat_map(move |(i, word)| {
            let start = self.base + (i as Day) * 64;
            let mut left = *word;
            std::iter::from_fn(move || {
                if left == 0 {
                    return None;
                }
                let bit = left.trailing_zeros();
                left &= left - 1;
                Some(start + bit as Day)
            })
        })
    }

    /// Takes away all days up to and including `last`.
    fn drop_until(&mut self, last: Day) {
        let gone = (i64::from(last) + 1 - i64::from(self.base)).div_euclid(64);
        if gone > 0 {
            let gone = (gone as usize).min(self.words.len());
            self.words.drain(..gone);
            self.base += gone as Day * 64;
        }
        if last >= self.base
            && let Some(word) = self.words.first_mut()
        {
            *word &= u64::MAX << (last - self.base + 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #![proptest_config(crate::effort::cases())]

        #[test]
        fn behaves_like_a_set_of_days_with_a_window(days in prop::collection::vec(-400i32..800, 1..80), window in 1u32..300) {
            let mut set = DaySet::default();
            let mut model = BTreeSet::new();
            for day in days {
                let newest = model.last().copied().unwrap_or(day).max(day);
                let fresh = day > newest - window as i32 && model.insert(day);
                model.retain(|d| *d > newest - window as i32);
                prop_assert_eq!(set.insert(day, window), fresh);
                prop_assert_eq!(set.iter().collect::<Vec<_>>(), model.iter().copied().collect::<Vec<_>>());
                prop_assert_eq!(set.count(day - 20, day), model.range(day - 20..day).count() as u32);
            }
        }
    }
}
