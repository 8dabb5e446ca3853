//! How long commits take, counted in buckets by the one thread that makes them.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Upper bounds of the buckets, seconds: from a fast disk to one that somebody should look at.
pub const BUCKETS_SECS: [f64; 14] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0];

/// The counts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// Commits that took up to each bound and longer than the one before; the last are those beyond all bounds.
    pub buckets: [u64; BUCKETS_SECS.len() + 1],
    /// Sum of all, seconds.
    pub sum_secs: f64,
}

impl Latency {
    /// Counts one.
    pub(super) fn add(&mut self, took: Duration) {
        let secs = took.as_secs_f64();
        let at = BUCKETS_SECS.partition_point(|bound| *bound < secs);
        if let Some(bucket) = self.buckets.get_mut(at) {
            *bucket += 1;
        }
        self.sum_secs += secs;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_belongs_to_its_bucket() {
        let mut latency = Latency::default();
        for us in [0, 1_000, 1_001, 60_000_000, 60_000_001] {
            latency.add(Duration::from_micros(us));
        }
        assert_eq!(latency.buckets, [2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1]);
        assert!((latency.sum_secs - 120.002_002).abs() < 1e-9, "{}", latency.sum_secs);
    }
}
