//! The way out: numbers batches, waits while the pipeline is busy, and gets emptied buffers back.
//!
//! It never blocks for good: a batch that nobody takes after a stop is dropped, and with it what was to be remembered, so
//! that its records are read again at the next start.

use super::Stop;
use crate::batch::RawBatch;
use crate::failpoint::{self, Point};
use crossbeam_channel::{Receiver, SendTimeoutError, Sender, TrySendError};
use std::time::Duration;

/// The pipeline is gone, or the source is to stop.
#[derive(Debug)]
pub(super) struct Stopped;

pub(super) struct Outlet {
    out: Sender<RawBatch>,
    recycled: Receiver<Vec<u8>>,
    stop: Stop,
    seq: u64,
    spare: Option<Vec<u8>>,
}

/// How long the last batch is offered after a stop.
const LAST_OFFER: Duration = Duration::from_secs(1);
const OFFER: Duration = Duration::from_millis(50);

impl Outlet {
    pub(super) fn new(out: Sender<RawBatch>, recycled: Receiver<Vec<u8>>, stop: Stop) -> Outlet {
        Outlet { out, recycled, stop, seq: 0, spare: None }
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
        let mut buf = self.spare.take().or_else(|| self.recycled.try_recv().ok()).unwrap_or_default();
        buf.clear();
        buf.reserve_exact(capacity);
        buf
    }

    /// Takes back a buffer that was not sent.
    pub(super) fn give_back(&mut self, buf: Vec<u8>) {
        self.spare = Some(buf);
    }

    /// Lets go of the buffers that a burst left behind.
    pub(super) fn shrink(&mut self) {
        self.spare = None;
        while self.recycled.try_recv().is_ok() {}
    }

    pub(super) fn check(&self) -> Result<(), Stopped> {
        if self.stop.is_set() { Err(Stopped) } else { Ok(()) }
    }

    /// Sends a batch under the next number.
    pub(super) fn send(&mut self, mut batch: RawBatch) -> Result<(), Stopped> {
        failpoint::reach(Point::SourceSent);
        batch.seq = self.seq;
        self.seq += 1;
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
