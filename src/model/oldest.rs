//! The bins seen longest ago: which one leaves next, without a look at every bin each time.
//!
//! Answers exactly what a search over all bins would. Kept only by instances that are full.

use super::histogram::Bin;

/// A share of the bins is sorted at a time, so that a flood of new values costs little for each.
const SHARE: usize = 64;

/// The oldest bins, as they were when they were noted.
#[derive(Clone, Debug, Default)]
pub(super) struct Oldest {
    /// Latest training, value, slot; the oldest stands last.
    queue: Vec<(i64, Box<[u8]>, u32)>,
    /// Every bin up to this key stands in `queue`. Without it nothing is known.
    complete_to: Option<(i64, Box<[u8]>)>,
    /// Entries at which the queue holds too much that has changed since.
    most: usize,
}

impl Oldest {
    /// Takes out the slot of the bin seen longest ago (of equals, the smallest value).
    pub(super) fn take(&mut self, bins: &[Bin]) -> Option<u32> {
        loop {
            if self.queue.is_empty() && !self.fill(bins) {
                return None;
            }
            while let Some((last_ms, value, slot)) = self.queue.pop() {
                let bin = bins.get(slot as usize);
                if bin.is_some_and(|b| b.total > 0 && b.last_ms == last_ms && b.value == value) {
                    return Some(slot);
                }
            }
        }
    }

    /// A bin is new or has been trained later than before.
    pub(super) fn note(&mut self, slot: u32, bin: &Bin) {
        let Some((to_ms, to_value)) = &self.complete_to else { return };
        if (bin.last_ms, &bin.value) > (*to_ms, to_value) {
            return;
        }
        if self.queue.len() >= self.most {
            *self = Oldest::default();
            return;
        }
        let younger = |e: &(i64, Box<[u8]>, u32)| (e.0, &e.1) > (bin.last_ms, &bin.value);
        let at = self.queue.partition_point(younger);
        self.queue.insert(at, (bin.last_ms, bin.value.clone(), slot));
    }

    /// Looks at every bin; says whether there is one.
    fn fill(&mut self, bins: &[Bin]) -> bool {
        let key = |slot: &u32| bins.get(*slot as usize).map(|b| (b.last_ms, &b.value));
        let mut all: Vec<u32> = (0u32..).zip(bins).filter(|(_, bin)| bin.total > 0).map(|(slot, _)| slot).collect();
        let share = (all.len() / SHARE).max(1);
        if share < all.len() {
            all.select_nth_unstable_by(share - 1, |a, b| key(a).cmp(&key(b)));
            all.truncate(share);
        }
        all.sort_unstable_by(|a, b| key(b).cmp(&key(a)));
        let entry = |slot: &u32| bins.get(*slot as usize).map(|b| (b.last_ms, b.value.clone(), *slot));
        self.queue = all.iter().filter_map(entry).collect();
        self.complete_to = self.queue.first().map(|e| (e.0, e.1.clone()));
        self.most = share * 2 + SHARE;
        !self.queue.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::super::histogram::{Bounds, Instance};
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

        /// Against a search over all bins at each removal. Full instances of a few hundred bins sort several at a time.
        #[test]
        fn the_bin_seen_longest_ago_leaves(
            trainings in prop::collection::vec((0u16..600, 0i64..500), 1..1500),
            max_bins in prop_oneof![1usize..24, 130usize..400],
        ) {
            let bounds = Bounds { window_days: 10_000, max_bins, rank_days: Some(30) };
            let mut instance = Instance::default();
            let mut plain: BTreeMap<u16, i64> = BTreeMap::new();
            let mut pushed_out = 0;
            for (n, (value, time)) in trainings.into_iter().enumerate() {
                if !plain.contains_key(&value) && plain.len() >= max_bins {
                    let oldest = *plain.iter().min_by_key(|(value, time)| (**time, **value)).unwrap().0;
                    plain.remove(&oldest);
                    pushed_out += 1;
                }
                let last = plain.entry(value).or_insert(time);
                *last = (*last).max(time);
                instance.train(&value.to_be_bytes(), (time / 100) as i32, time, &bounds);
                if n % 25 == 0 {
                    prop_assert_eq!(left(&instance), plain.clone());
                }
            }
            prop_assert_eq!(left(&instance), plain);
            prop_assert_eq!(instance.take_pushed_out(), pushed_out);
        }
    }

    fn left(instance: &Instance) -> BTreeMap<u16, i64> {
        let number = |value: &[u8]| u16::from_be_bytes(value.try_into().unwrap());
        instance.bins().map(|b| (number(&b.value), b.last_ms)).collect()
    }
}
