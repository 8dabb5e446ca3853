//! How far the wall clock was set: instants that were kept by it move along.
//!
//! A clock that is set forward by a year must not make every vanished file look long gone. Decides nothing; units are ms.

use crate::calendar::wall_clock_ms;
use std::time::Instant;

/// Less than this is the ordinary correction of a clock.
const NOTEWORTHY_MS: i64 = 60_000;

/// Both clocks, read together.
pub(in crate::source) struct Clock {
    wall_ms: i64,
    steady: Instant,
    /// Added to the wall clock; tests set it.
    pub(in crate::source) set_by_ms: i64,
}

impl Clock {
    pub(super) fn new() -> Clock {
        Clock { wall_ms: wall_clock_ms(), steady: Instant::now(), set_by_ms: 0 }
    }

    /// The wall clock, as if nobody had set it since the last look.
    pub(super) fn now_ms(&self) -> i64 {
        self.wall_ms.saturating_add(i64::try_from(self.steady.elapsed().as_millis()).unwrap_or(i64::MAX))
    }

    /// By how much the wall clock was set since the last look; 0 when it only went on.
    pub(super) fn set_since(&mut self) -> i64 {
        let wall_ms = wall_clock_ms().saturating_add(self.set_by_ms);
        let by_ms = wall_ms.saturating_sub(self.now_ms());
        (self.wall_ms, self.steady) = (wall_ms, Instant::now());
        if by_ms.saturating_abs() < NOTEWORTHY_MS { 0 } else { by_ms }
    }
}
