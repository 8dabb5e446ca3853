//! The way out: numbers batches, waits while too many are on the way, and gets emptied buffers back.
//!
//! It never blocks for good: a batch that nobody takes after a stop is dropped, and with it what was to be remembered, so
//! that its records are read again at the next start.

use super::Stop;
use crate::batch::RawBatch;
use crate::failpoint::{self, Point};
use crossbeam_channel::{Receiver, RecvTimeoutError, SendTimeoutError, Sender, TrySendError};
use std::time::Duration;

/// The pipeline is gone, or the source is to stop.
#[derive(Debug)]
pub(super) struct Stopped;

pub(super) struct Outlet {
    out: Sender<RawBatch>,
    recycled: Receiver<Vec<u8>>,
    stop: Stop,
    seq: u64,
    /// Batches whose buffers have not come back, and how many there may be: those that one slow worker holds up are put in order
    /// behind it, where no channel bounds them.
    on_the_way: usize,
    most_on_the_way: usize,
    spare: Vec<Vec<u8>>,
}

/// How long the last batch is offered after a stop.
const LAST_OFFER: Duration = Duration::from_secs(1);
const OFFER: Duration = Duration::from_millis(50);
/// Empty buffers that are kept. What is cut into several batches gives more back than were taken.
const MOST_SPARE: usize = 4;

impl Outlet {
    /// At most so many batches are on the way; the buffer of each comes back when it is done with.
    pub(super) fn new(
        out: Sender<RawBatch>,
        recycled: Receiver<Vec<u8>>,
        most_on_the_way: usize,
        stop: Stop,
    ) -> Outlet {
        Outlet { out, recycled, stop, seq: 0, on_the_way: 0, most_on_the_way, spare: Vec::new() }
    }

    pub(super) fn stop(&self) -> &Stop {
        &self.stop
    }

    /// The wake channel hung up: stop listening to it, the flag alone counts.
    pub(super) fn forget_wake(&mut self) {
        self.stop.wake = crossbeam_channel::never();
    }

    /// An empty buffer with room for at least `capacity` bytes.
    pub(super) fn buffer(&mut self, capacity: usize) -> Vec<u8> {
        self.gather();
        let mut buf = self.spare.pop().unwrap_or_default();
        buf.clear();
        buf.reserve_exact(capacity);
        buf
    }

    /// Takes back a buffer that was not sent.
    pub(super) fn give_back(&mut self, buf: Vec<u8>) {
        if self.spare.len() < MOST_SPARE && buf.capacity() > 0 {
            self.spare.push(buf);
        }
    }

    /// Lets go of the buffers that a burst left behind.
    pub(super) fn shrink(&mut self) {
        self.gather();
        self.spare = Vec::new();
    }

    /// Takes the buffers that have come back.
    fn gather(&mut self) {
        while let Ok(buf) = self.recycled.try_recv() {
            self.came_back(buf);
        }
    }

    fn came_back(&mut self, buf: Vec<u8>) {
        self.on_the_way = self.on_the_way.saturating_sub(1);
        self.give_back(buf);
    }

    /// Waits until one more may be on the way.
    fn wait_for_room(&mut self) -> Result<(), Stopped> {
        while self.on_the_way >= self.most_on_the_way {
            let stopping = self.stop.is_set();
            match self.recycled.recv_timeout(if stopping { LAST_OFFER } else { OFFER }) {
                Ok(buf) => self.came_back(buf),
                Err(RecvTimeoutError::Disconnected) => return Err(Stopped),
                Err(RecvTimeoutError::Timeout) if stopping => return Err(Stopped),
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
        Ok(())
    }

    pub(super) fn check(&self) -> Result<(), Stopped> {
        if self.stop.is_set() { Err(Stopped) } else { Ok(()) }
    }

    /// Sends a batch under the next number.
    pub(super) fn send(&mut self, mut batch: RawBatch) -> Result<(), Stopped> {
        failpoint::reach(Point::SourceSent);
        self.wait_for_room()?;
        batch.seq = self.seq;
        self.seq += 1;
        self.on_the_way += 1;
        let mut batch = match self.out.try_send(batch) {
            Ok(()) => return Ok(()),
            Err(TrySendError::Disconnected(_)) => return Err(Stopped),
            Err(TrySendError::Full(batch)) => batch,
        };
        loop {
            let stopping = self.stop.is_set();
            match self.out.send_timeout(batch, if stopping { LAST_OFFER } else { OFFER }) {
                Ok(()) => return Ok(()),
                Err(SendTimeoutError::Disconnected(_)) => return Err(Stopped),
                Err(SendTimeoutError::Timeout(_)) if stopping => return Err(Stopped),
                Err(SendTimeoutError::Timeout(back)) => batch = back,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::Remember;
    use crossbeam_channel::unbounded;

    #[test]
    fn few_buffers_are_kept_however_many_come_back() {
        let (send, out) = unbounded();
        let (give, recycled) = unbounded();
        let mut outlet = Outlet::new(send, recycled, 3, Stop::never());
        for n in 0..50 {
            let taken = outlet.buffer(100);
            assert!(taken.is_empty() && taken.capacity() >= 100);
            // One buffer, two batches.
            for data in [taken, vec![0; 50]] {
                outlet.send(RawBatch { data, ..RawBatch::empty(0, "a".into(), Remember::Forget) }).unwrap();
                let batch = out.recv().unwrap();
                give.send(batch.data).unwrap();
            }
            outlet.gather();
            assert_eq!((outlet.on_the_way, outlet.seq), (0, 2 * n + 2));
            assert!((1..=MOST_SPARE).contains(&outlet.spare.len()));
        }
        outlet.shrink();
        assert_eq!(outlet.spare.capacity(), 0);
    }
}
