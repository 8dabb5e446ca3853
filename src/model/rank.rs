//! Ranks by the counts of the last days: kept as a count of counts, so that rank and median cost nothing per bin.

use crate::calendar::Day;
use std::collections::BTreeMap;

/// Counts of each bin in a window of `rank_days` that ends with the latest trained day, inclusive.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RankIndex {
    /// Slot → count in the window.
    counts: Vec<u32>,
    /// Count → how many bins have it (counts above 0).
    table: BTreeMap<u32, u64>,
    /// Day → slots that were trained on it.
    by_day: BTreeMap<Day, Slots>,
}

/// Slots of one day. One that was given to another value stands in `gone`, too, once for each time, and cancels out:
/// a search for it each time would cost too much under a flood of new values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Slots {
    trained: Vec<u32>,
    gone: Vec<u32>,
}

impl Slots {
    /// Cancels out what stands in both.
    fn settle(&mut self) {
        if self.gone.is_empty() {
            return;
        }
        self.gone.sort_unstable();
        self.trained.sort_unstable();
        let mut gone = std::mem::take(&mut self.gone).into_iter().peekable();
        self.trained.retain(|slot| {
            while gone.peek().is_some_and(|g| g < slot) {
                gone.next();
            }
            gone.next_if_eq(slot).is_none()
        });
    }
}

impl RankIndex {
    /// So many more trainings of a slot on a day. `first_of_day` says that the slot had none on that day before.
    pub(super) fn count(
        &mut self,
        slot: u32,
        (day, times): (Day, u32),
        first_of_day: bool,
        latest: Day,
        rank_days: u32,
    ) {
        if i64::from(day) <= i64::from(latest) - i64::from(rank_days) {
            return;
        }
        if first_of_day {
            self.by_day.entry(day).or_default().trained.push(slot);
        }
        let count = self.of(slot);
        self.set(slot, count.saturating_add(times));
    }

    /// The window moves: days that left are subtracted. `count_on` gives a slot's count on a day.
    pub(super) fn advance(&mut self, latest: Day, rank_days: u32, count_on: impl Fn(u32, Day) -> u32) {
        let last_gone = latest.saturating_sub_unsigned(rank_days);
        while let Some(entry) = self.by_day.first_entry() {
            if *entry.key() > last_gone {
                break;
            }
            let (day, mut slots) = entry.remove_entry();
            slots.settle();
            for slot in slots.trained {
                let count = self.of(slot);
                self.set(slot, count.saturating_sub(count_on(slot, day)));
            }
        }
    }

    /// A slot is given to another value; `days` are those on which it was trained.
    pub(super) fn forget(&mut self, slot: u32, days: impl Iterator<Item = Day>) {
        self.set(slot, 0);
        for day in days {
            let Some(slots) = self.by_day.get_mut(&day) else { continue };
            slots.gone.push(slot);
            if slots.gone.len() > slots.trained.len() / 2 {
                slots.settle();
            }
        }
    }

    fn of(&self, slot: u32) -> u32 {
        self.counts.get(slot as usize).copied().unwrap_or(0)
    }

    fn set(&mut self, slot: u32, count: u32) {
        let at = slot as usize;
        if self.counts.len() <= at {
            self.counts.resize(at + 1, 0);
        }
        let Some(place) = self.counts.get_mut(at) else { return };
        let old = std::mem::replace(place, count);
        if old > 0
            && let Some(bins) = self.table.get_mut(&old)
        {
            *bins -= 1;
            if *bins == 0 {
                self.table.remove(&old);
            }
        }
        if count > 0 {
            *self.table.entry(count).or_default() += 1;
        }
    }

    /// Bins with a count in the window.
    pub fn bins(&self) -> u64 {
        self.table.values().sum()
    }

    /// Rank of a count, 1 for the largest; ties share the best rank.
    pub fn rank_of(&self, count: u64) -> u64 {
        1 + self.table.iter().rev().take_while(|(c, _)| u64::from(**c) > count).map(|(_, bins)| bins).sum::<u64>()
    }

    /// The median count of the bins; of an even number of bins, the mean of the middle two. 0 without bins.
    pub fn median(&self) -> f64 {
        let bins = self.bins();
        if bins == 0 {
            return 0.0;
        }
        let at = |position: u64| {
            let mut seen = 0;
            for (count, n) in &self.table {
                seen += n;
                if seen > position {
                    return f64::from(*count);
                }
            }
            0.0
        };
        if bins % 2 == 1 { at(bins / 2) } else { f64::midpoint(at(bins / 2 - 1), at(bins / 2)) }
    }
}
