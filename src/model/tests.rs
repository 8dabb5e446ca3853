//! The histogram against a plain model that keeps every training and counts again each time.

use super::histogram::{Bounds, Change, Instance};
use crate::calendar::Day;
use proptest::prelude::*;
use std::collections::BTreeMap;

#[derive(Clone, Default)]
struct Plain {
    trained: Vec<Trained>,
    latest: Option<Day>,
    saturated: bool,
}

#[derive(Clone)]
struct Trained {
    value: Vec<u8>,
    day: Day,
    time_ms: i64,
}

impl Plain {
    fn train(&mut self, value: &[u8], day: Day, time_ms: i64, bounds: &Bounds) -> bool {
        if self.latest.is_some_and(|l| day <= l - bounds.window_days as i32) {
            return false;
        }
        let latest = self.latest.map_or(day, |l| l.max(day));
        self.latest = Some(latest);
        self.trained.retain(|t| t.day > latest - bounds.window_days as i32);
        let counts = self.counts(bounds.window_days);
        if !counts.contains_key(value) && counts.len() >= bounds.max_bins {
            let oldest = counts.keys().min_by_key(|v| (self.seen(v).map(|s| s.1), (*v).clone())).unwrap().clone();
            self.trained.retain(|t| t.value != oldest);
            self.saturated = true;
        }
        self.trained.push(Trained { value: value.to_vec(), day, time_ms });
        true
    }
    /// First and latest training of a value that is still there.
    fn seen(&self, value: &[u8]) -> Option<(i64, i64)> {
        let times = || self.trained.iter().filter(|t| t.value == value).map(|t| t.time_ms);
        Some((times().min()?, times().max()?))
    }
    fn counts(&self, days: u32) -> BTreeMap<Vec<u8>, u64> {
        let Some(latest) = self.latest else { return BTreeMap::new() };
        let mut out = BTreeMap::new();
        for trained in self.trained.iter().filter(|t| t.day > latest - days as i32) {
            *out.entry(trained.value.clone()).or_default() += 1;
        }
        out
    }
    fn abnormal_below(&self, percentile: f64, days: u32) -> u64 {
        let mut counts: Vec<u64> = self.counts(days).into_values().collect();
        counts.sort();
        if counts.iter().min() == counts.iter().max() {
            return 0;
        }
        let n: u64 = counts.iter().sum();
        let mut sum = 0;
        counts
            .into_iter()
            .find(|c| {
                sum += c;
                sum as f64 > percentile * n as f64
            })
            .unwrap_or(0)
    }
}

/// Rebuilds an instance from what `drain_dirty` says, as the store would.
#[derive(Default)]
struct Shelf {
    meta: Option<(Option<Day>, bool)>,
    bins: BTreeMap<Vec<u8>, super::histogram::Bin>,
}

impl Shelf {
    fn absorb(&mut self, instance: &mut Instance) {
        instance.drain_dirty(|change| match change {
            Change::Meta { latest, saturated } => self.meta = Some((latest, saturated)),
            Change::Bin(bin) => {
                self.bins.insert(bin.value.to_vec(), bin.clone());
            }
            Change::Removed(value) => {
                self.bins.remove(value);
            }
        });
    }
    fn restore(&self, bounds: &Bounds) -> Instance {
        let (latest, saturated) = self.meta.unwrap_or_default();
        Instance::restore(latest, saturated, self.bins.values().cloned().collect(), bounds)
    }
}

fn agree(instance: &Instance, plain: &Plain, bounds: &Bounds) -> Result<(), TestCaseError> {
    let counts = plain.counts(bounds.window_days);
    prop_assert_eq!(instance.n(), counts.values().sum::<u64>());
    prop_assert_eq!(instance.c(), counts.len() as u64);
    prop_assert_eq!((instance.latest(), instance.saturated()), (plain.latest, plain.saturated));
    let (n, c) = (counts.values().sum::<u64>() as f64, counts.len() as f64);
    let power = if n == 0.0 { 0.0 } else { ((n - c) / n).powf(0.8) };
    prop_assert!((instance.confidence(0.8) - power).abs() <= f64::EPSILON, "{} and {power}", instance.confidence(0.8));
    prop_assert_eq!(instance.count(b"never seen"), 0);
    prop_assert_eq!(instance.bins().count(), counts.len());
    let mut largest: Vec<(u64, Vec<u8>)> = counts.iter().map(|(value, count)| (*count, value.clone())).collect();
    largest.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    largest.truncate(3);
    let shown: Vec<(u64, Vec<u8>)> = instance.largest(3).iter().map(|b| (b.total, b.value.to_vec())).collect();
    prop_assert_eq!(shown, largest);
    for (value, count) in &counts {
        prop_assert_eq!(instance.count(value), *count);
        let is_below = *count < instance.abnormal_below(0.1);
        prop_assert!(instance.may_be_abnormal(*count, 0.1) || !is_below);
        let bin = instance.bin(value).unwrap();
        let (first, last) = plain.seen(value).unwrap();
        // The first training may have left the window; the bin remembers it.
        prop_assert!(bin.first_ms <= first && bin.last_ms == last);
        let latest = plain.latest.unwrap();
        for day in latest - 3..=latest {
            let on_day = plain.trained.iter().filter(|t| t.value == *value && t.day == day).count();
            prop_assert_eq!(bin.count_on(day) as usize, on_day);
        }
    }
    prop_assert_eq!(instance.abnormal_below(0.1), plain.abnormal_below(0.1, bounds.window_days));
    if let (Some(days), Some(rank)) = (bounds.rank_days, instance.rank()) {
        let ranked = plain.counts(days);
        prop_assert_eq!(rank.bins(), ranked.len() as u64);
        let mut sorted: Vec<u64> = ranked.values().copied().collect();
        sorted.sort();
        let median = match sorted.len() {
            0 => 0.0,
            n if n % 2 == 1 => sorted[n / 2] as f64,
            n => (sorted[n / 2 - 1] + sorted[n / 2]) as f64 / 2.0,
        };
        prop_assert_eq!(rank.median(), median);
        for count in ranked.values() {
            prop_assert_eq!(rank.rank_of(*count), 1 + ranked.values().filter(|c| *c > count).count() as u64);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(crate::effort::cases())]

    #[test]
    fn a_histogram_counts_like_a_list_of_trainings_also_after_restarts(
        actions in prop::collection::vec((0u8..40, -30i32..60, prop::bool::weighted(0.1)), 1..200),
        window in 5u32..60,
        rank in 1u32..20,
        max_bins in prop_oneof![Just(1000_usize), 1..25_usize],
    ) {
        let bounds = Bounds { window_days: window, max_bins, rank_days: Some(rank.min(window)) };
        let (mut instance, mut plain, mut shelf) = (Instance::default(), Plain::default(), Shelf::default());
        for (at, (value, day, restart)) in actions.into_iter().enumerate() {
            let value = format!("value {value}").into_bytes();
            let time_ms = i64::from(day) * 86_400_000 + at as i64;
            let trained = instance.train(&value, day, time_ms, &bounds);
            prop_assert_eq!(trained, plain.train(&value, day, time_ms, &bounds));
            agree(&instance, &plain, &bounds)?;
            if restart {
                shelf.absorb(&mut instance);
                instance = shelf.restore(&bounds);
                agree(&instance, &plain, &bounds)?;
            }
        }
    }
}

#[test]
fn the_bin_seen_longest_ago_leaves_a_full_instance_and_silences_first() {
    let bounds = Bounds { window_days: 224, max_bins: 2, rank_days: None };
    let mut instance = Instance::default();
    for (value, ms) in [("a", 1), ("b", 2), ("a", 3), ("c", 4)] {
        instance.train(value.as_bytes(), 100, ms, &bounds);
    }
    assert!(instance.saturated());
    assert_eq!((instance.count(b"a"), instance.count(b"b"), instance.count(b"c")), (2, 0, 1));
    assert_eq!((instance.n(), instance.c()), (3, 2));
}

#[test]
fn values_that_come_and_go_between_two_commits_leave_nothing_to_write() {
    let bounds = Bounds { window_days: 224, max_bins: 2, rank_days: None };
    let mut instance = Instance::default();
    let changes = |instance: &mut Instance| {
        let (mut written, mut removed) = (Vec::new(), Vec::new());
        instance.drain_dirty(|change| match change {
            Change::Bin(bin) => written.push(String::from_utf8(bin.value.to_vec()).unwrap()),
            Change::Removed(value) => removed.push(String::from_utf8(value.to_vec()).unwrap()),
            Change::Meta { .. } => {}
        });
        written.sort();
        removed.sort();
        format!("+{} -{}", written.join(" +"), removed.join(" -"))
    };
    (0..9).for_each(|n| _ = instance.train(format!("v{n}").as_bytes(), 100, n, &bounds));
    assert_eq!(changes(&mut instance), "+v7 +v8 -");
    (9..20).for_each(|n| _ = instance.train(format!("v{n}").as_bytes(), 100, n, &bounds));
    assert_eq!(changes(&mut instance), "+v18 +v19 -v7 -v8");
    // One that the store knows leaves, comes back and leaves again.
    for (n, value) in (20..).zip(["v20", "v21", "v18", "v22", "v23"]) {
        instance.train(value.as_bytes(), 100, n, &bounds);
    }
    assert_eq!(changes(&mut instance), "+v22 +v23 -v18 -v19");
}

#[test]
fn nothing_is_abnormal_when_all_bins_are_equal() {
    let bounds = Bounds { window_days: 224, max_bins: 99, rank_days: None };
    let mut instance = Instance::default();
    for day in 0..5 {
        for value in [b"a", b"b"] {
            instance.train(value, day, 0, &bounds);
        }
    }
    assert_eq!(instance.abnormal_below(0.1), 0);
    instance.train(b"c", 4, 0, &bounds);
    // Ascending 1, 5, 5: 1 is not above 1.1, 6 is: T is 5, so a count of 1 is abnormal and a count of 5 is not.
    assert_eq!(instance.abnormal_below(0.1), 5);
}
