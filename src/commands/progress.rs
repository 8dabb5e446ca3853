//! How far a replay is, on one line of a terminal that is written over.
//!
//! Nothing is shown where stderr is no terminal. Our own, since the crates for it bring the C library's mathematics into the
//! memory of every agent that runs.

use crate::pipeline::detecting::Progress;
use rustix::termios::tcgetwinsize;
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// Cells of the bar.
const CELLS: u64 = 30;
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(100);

/// The line. It goes away with [`Bar::clear`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Bar {
    /// Bytes in all.
    total: u64,
    shown: bool,
}

impl Bar {
    /// Of so many bytes.
    pub(super) fn new(total: u64) -> Bar {
        Bar { total, shown: std::io::stderr().is_terminal() }
    }

    /// Shows what a pipeline says, ten times a second.
    pub(super) fn shower(self) -> Box<dyn FnMut(&Progress) + Send> {
        let (started, mut last) = (Instant::now(), Instant::now());
        Box::new(move |p: &Progress| {
            if self.shown && last.elapsed() >= PAUSE {
                last = Instant::now();
                // Some terminals do not know how wide they are.
                let columns = tcgetwinsize(std::io::stderr()).map_or(0, |size| usize::from(size.ws_col));
                let room = if columns == 0 { 79 } else { columns - 1 };
                let line: String = self.line(p, started.elapsed()).chars().take(room).collect();
                self.write(&line);
            }
        })
    }

    /// Takes the line away.
    pub(super) fn clear(self) {
        self.write("");
    }

    /// Over what stood there. A terminal that is gone is no reason to stop.
    fn write(self, line: &str) {
        if self.shown {
            let _ = write!(std::io::stderr(), "\r{line}\x1b[K");
        }
    }

    fn line(self, p: &Progress, elapsed: Duration) -> String {
        // More than all is read where files grow, or were packed.
        let total = self.total.max(p.bytes);
        let full = (u128::from(p.bytes) * u128::from(CELLS) / u128::from(total.max(1))) as usize;
        let rate = p.events as f64 / elapsed.as_secs_f64().max(1e-3);
        let bar = "█".repeat(full) + &"░".repeat(CELLS as usize - full);
        let (read, all) = (size(p.bytes), size(total));
        format!("{bar} {read} of {all}, {} events, {rate:.0} events/s, {} alerts", p.events, p.alerts)
    }
}

/// Bytes for people.
fn size(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} B"),
        1024..1_048_576 => format!("{:.1} KiB", bytes as f64 / 1024.0),
        1_048_576..1_073_741_824 => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
        _ => format!("{:.2} GiB", bytes as f64 / 1_073_741_824.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_says_how_far_it_is_and_never_more_than_all() {
        let line = |bytes, total| {
            let progress = Progress { bytes, events: 5000, alerts: 3, ..Progress::default() };
            Bar { total, shown: true }.line(&progress, Duration::from_secs(2))
        };
        let empty = "░".repeat(30);
        assert_eq!(line(0, 0), format!("{empty} 0 B of 0 B, 5000 events, 2500 events/s, 3 alerts"));
        let half = "█".repeat(15) + &"░".repeat(15);
        assert!(line(3 << 20, 6 << 20).starts_with(&format!("{half} 3.0 MiB of 6.0 MiB, ")));
        assert!(line(7 << 30, 6 << 30).starts_with(&format!("{} 7.00 GiB of 7.00 GiB, ", "█".repeat(30))));
        assert!(line(u64::MAX, u64::MAX).starts_with(&"█".repeat(30)) && size(2048) == "2.0 KiB");
    }
}
