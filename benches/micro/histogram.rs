//! A model's instance: asked about a value, and trained with one. Most instances have one to three bins, few thousands.

use divan::{Bencher, black_box, counter::ItemsCount};
use exfil_agent::calendar::Day;
use exfil_agent::model::histogram::{Bounds, Instance};

const BINS: [usize; 4] = [1, 3, 100, 10_000];
const DAYS: Day = 30;
const BOUNDS: Bounds = Bounds { window_days: 60, max_bins: 20_000, rank_days: None };

fn values(bins: usize) -> Vec<Vec<u8>> {
    (0..bins).map(|i| format!("c:\\users\\*\\appdata\\local\\temp\\setup_{i}.exe").into_bytes()).collect()
}

/// A month of trainings, every value on every third day.
fn instance(values: &[Vec<u8>]) -> Instance {
    let mut instance = Instance::default();
    for day in 0..DAYS {
        for (_, value) in values.iter().enumerate().filter(|(i, _)| (*i as Day + day) % 3 == 0) {
            instance.train(value, day, i64::from(day) * 86_400_000, &BOUNDS);
        }
    }
    instance
}

/// All that a verdict asks: count, confidence, the threshold below which a count is abnormal.
#[divan::bench(args = BINS)]
fn score(bencher: Bencher<'_, '_>, bins: usize) {
    let values = values(bins);
    let instance = instance(&values);
    let mut at = 0;
    bencher.bench_local(|| {
        at = (at + 1) % bins;
        let value = black_box(&values[at]);
        (instance.count(value), instance.confidence(0.5), instance.abnormal_below(0.1))
    });
}

/// Every value once more, on the latest day.
#[divan::bench(args = BINS)]
fn train_known(bencher: Bencher<'_, '_>, bins: usize) {
    let values = values(bins);
    let mut instance = instance(&values);
    bencher.counter(ItemsCount::new(bins)).bench_local(|| {
        for value in &values {
            black_box(instance.train(black_box(value), DAYS - 1, 0, &BOUNDS));
        }
    });
}

/// Every value for the first time.
#[divan::bench(args = BINS)]
fn train_new(bencher: Bencher<'_, '_>, bins: usize) {
    let values = values(bins);
    bencher.counter(ItemsCount::new(bins)).bench_local(|| {
        let mut instance = Instance::default();
        for value in &values {
            instance.train(black_box(value), 0, 0, &BOUNDS);
        }
        instance
    });
}
