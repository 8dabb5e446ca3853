//! When something that failed is tried again.

use crate::failpoint;
use std::time::{Duration, Instant};

/// Time to the second attempt; it doubles with every failure in a row.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// It grows no longer than this.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// What has failed lately, and how often in a row.
#[derive(Debug, Default)]
pub(super) struct Setback {
    failures: u32,
    until: Option<Instant>,
}

impl Setback {
    /// It has failed. Says how long until the next attempt.
    pub(super) fn failed(&mut self) -> Duration {
        let wait = FIRST_WAIT.saturating_mul(1 << self.failures.min(16)).min(LONGEST_WAIT);
        self.failures += 1;
        self.until = Some(Instant::now() + failpoint::pause(wait));
        wait
    }

    /// It has not failed. Says whether it had before.
    pub(super) fn passed(&mut self) -> bool {
        std::mem::take(self).until.is_some()
    }

    /// Whether it has failed, and has not passed since.
    pub(super) fn lasts(&self) -> bool {
        self.until.is_some()
    }

    /// How long until the next attempt; nothing where none has failed.
    pub(super) fn left(&self) -> Duration {
        self.until.map_or(Duration::ZERO, |until| until.saturating_duration_since(Instant::now()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_in_a_row_doubles_the_wait_up_to_a_minute() {
        let mut setback = Setback::default();
        assert!(!setback.lasts() && setback.left().is_zero() && !setback.passed());
        let waits: Vec<u64> = (0..8).map(|_| setback.failed().as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert!(setback.lasts() && setback.left() <= LONGEST_WAIT);
        assert!(setback.passed());
        assert!(!setback.lasts() && setback.left().is_zero());
        assert_eq!(setback.failed(), FIRST_WAIT);
        for _ in 0..100 {
            assert!(setback.failed() <= LONGEST_WAIT);
        }
    }
}
