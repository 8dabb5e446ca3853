//! What was delivered in the last moments, kept to be delivered again when the place that had taken it turns out to have
//! lost it: a daemon that ended with messages unread, a file that was truncated after it was copied.
//!
//! Bounded in bytes, and in time before the latest delivery. Repeats have the same id, so a receiver can drop them. Touches
//! no file, no socket and no clock.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Most bytes kept of what a unix socket or a datagram socket took: more than the kernel holds for a socket that is not read,
/// with its default limits.
const MAX_BYTES: usize = 256 << 10;
/// The same for a file: what can be written between its copying and its truncation, which follow one another at once unless the
/// program that does both has to wait for a busy machine.
pub(super) const MAX_FILE_BYTES: usize = 1 << 20;
/// The same for a TCP connection: the buffer at its other end grows to 6 MiB with the default limits. Linux 6.18 has 32 MiB there,
/// to which only bursts of that size make it grow.
pub(super) const MAX_TCP_BYTES: usize = 8 << 20;
/// How long before the latest delivery one may lie.
const MAX_AGE: Duration = Duration::from_secs(60);

/// Something that was delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sent {
    /// The alert's id.
    pub id: String,
    /// What was written or sent.
    pub bytes: Vec<u8>,
}

/// The latest deliveries, in order.
#[derive(Debug)]
pub(super) struct Recent {
    kept: VecDeque<(Instant, Sent)>,
    bytes: usize,
    most: usize,
    stalled: bool,
}

impl Default for Recent {
    fn default() -> Self {
        Recent::within(MAX_BYTES)
    }
}

impl Recent {
    /// Keeps so many bytes at most.
    pub(super) fn within(most: usize) -> Recent {
        Recent { kept: VecDeque::new(), bytes: 0, most, stalled: false }
    }

    /// Something has been delivered.
    pub(super) fn keep(&mut self, sent: Sent, now: Instant) {
        if std::mem::take(&mut self.stalled) {
            // Until a moment ago it may still have waited to be taken in earnest.
            self.kept.iter_mut().for_each(|(at, _)| *at = now);
        }
        self.bytes += sent.bytes.len();
        self.kept.push_back((now, sent));
        while let Some((at, first)) = self.kept.front()
            && (self.bytes > self.most || now.saturating_duration_since(*at) > MAX_AGE)
        {
            self.bytes -= first.bytes.len();
            self.kept.pop_front();
        }
    }

    /// A delivery has failed: what was delivered before does not grow old until one succeeds.
    pub(super) fn stall(&mut self) {
        self.stalled = true;
    }

    /// The place has lost what it had taken: gives all of it, oldest first.
    pub(super) fn take(&mut self) -> impl DoubleEndedIterator<Item = Sent> + use<> {
        self.bytes = 0;
        std::mem::take(&mut self.kept).into_iter().map(|(_, sent)| sent)
    }

    /// The place is another now: nothing of it is of interest any more.
    pub(super) fn clear(&mut self) {
        self.take().for_each(drop);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(n: usize, bytes: usize) -> Sent {
        Sent { id: n.to_string(), bytes: vec![b'x'; bytes] }
    }

    fn ids(recent: &mut Recent) -> Vec<String> {
        recent.take().map(|s| s.id).collect()
    }

    #[test]
    fn the_last_minute_before_the_latest_delivery_is_kept_within_a_bound() {
        let (start, mut recent) = (Instant::now(), Recent::default());
        for n in 0..5 {
            recent.keep(sent(n, 10), start + Duration::from_secs(25 * n as u64));
        }
        assert_eq!(ids(&mut recent), ["2", "3", "4"]);
        (0..10).for_each(|n| recent.keep(sent(n, MAX_BYTES / 3), start));
        assert_eq!(ids(&mut recent), ["7", "8", "9"]);
        assert_eq!(recent.bytes, 0);
        let mut wide = Recent::within(MAX_TCP_BYTES);
        (0..120).for_each(|n| wide.keep(sent(n, MAX_BYTES / 3), start));
        assert_eq!(ids(&mut wide).len(), 96);
    }

    #[test]
    fn nothing_grows_old_while_the_place_does_not_take() {
        let (start, mut recent) = (Instant::now(), Recent::default());
        (0..3).for_each(|n| recent.keep(sent(n, 10), start));
        recent.stall();
        recent.keep(sent(3, 10), start + Duration::from_secs(1000));
        recent.keep(sent(4, 10), start + Duration::from_secs(1030));
        assert_eq!(ids(&mut recent), ["0", "1", "2", "3", "4"]);
    }
}
