//! The thread of one sink: takes alerts as they come, delivers them in order, tries again until it succeeds, acknowledges.
//!
//! It never drops an alert, never changes their order, never acknowledges what was not flushed, and always empties its
//! channel, so that a sink that fails never holds up the pipeline. The channel of acknowledgements must be unbounded.

use super::{Acknowledged, Outgoing, Sink, SinkError, SinkStatus};
use crate::failpoint::{self, Point};
use crossbeam_channel::{Receiver, Sender, TryRecvError, never, select};
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Most alerts in one delivery.
const MAX_BATCH: usize = 256;
/// Most alerts in one delivery once the end is announced: a slow delivery must not outlast the grace by much.
const MAX_LAST_BATCH: usize = 16;

/// How long a sink that works and has nothing to do is left alone.
const IDLE: Duration = Duration::from_secs(3600);

/// How long the runner waits, and for what.
#[derive(Clone, Copy, Debug)]
struct Pace {
    /// Wait after the first failure; each further one doubles it.
    first_wait: Duration,
    /// Longest wait between two attempts.
    longest_wait: Duration,
    /// Longest wait between two attempts once the end is announced.
    last_wait: Duration,
    /// How long a sink may still try once the end is announced.
    grace: Duration,
}

const PACE: Pace = Pace {
    first_wait: Duration::from_millis(100),
    longest_wait: Duration::from_secs(30),
    last_wait: Duration::from_millis(500),
    grace: Duration::from_secs(10),
};

/// Starts the thread of a sink. Detections below `min_score` are acknowledged without being delivered; operational alerts
/// always are delivered.
///
/// The thread ends when `alerts` is disconnected and delivered, or after `stop` gives a message or is disconnected: then it
/// delivers what is in the channel, for 10 s at most, and leaves the rest unacknowledged.
///
/// # Errors
/// When the system starts no thread.
pub fn spawn(
    index: usize,
    sink: Box<dyn Sink + Send>,
    min_score: u32,
    alerts: Receiver<Outgoing>,
    acks: Sender<Acknowledged>,
    stop: Receiver<()>,
    status: Arc<SinkStatus>,
) -> io::Result<JoinHandle<()>> {
    status.named(sink.name());
    let runner = Runner {
        index,
        sink,
        min_score,
        alerts,
        acks,
        stop,
        status,
        pace: PACE,
        wait: PACE.first_wait,
        waiting: VecDeque::new(),
        leave_by: None,
        heard: true,
        unreached: false,
    };
    let name = format!("sink-{}", runner.sink.name());
    std::thread::Builder::new().name(name).spawn(move || runner.run())
}

struct Runner {
    index: usize,
    sink: Box<dyn Sink + Send>,
    min_score: u32,
    alerts: Receiver<Outgoing>,
    acks: Sender<Acknowledged>,
    stop: Receiver<()>,
    status: Arc<SinkStatus>,
    pace: Pace,
    /// Wait after the next failure.
    wait: Duration,
    /// Taken from the channel and not acknowledged, in order.
    waiting: VecDeque<Outgoing>,
    /// Set once the end is announced.
    leave_by: Option<Instant>,
    /// Whether someone still listens to acknowledgements.
    heard: bool,
    /// It could not be reached when it was last tried without anything to deliver.
    unreached: bool,
}

impl Runner {
    fn run(mut self) {
        self.probe();
        self.sink.prepare();
        loop {
            self.gather();
            if self.waiting.is_empty() && self.leave_by.is_some() {
                break;
            }
            match self.attempt() {
                Ok(()) if !self.unreached => self.wait = self.pace.first_wait,
                Ok(()) => {}
                Err(error) => {
                    self.report(&error);
                    self.back_off();
                }
            }
            if !self.heard || self.leave_by.is_some_and(|by| Instant::now() >= by) {
                break;
            }
        }
        if !self.waiting.is_empty() {
            log::warn!("sink {}: {} alerts stay in the outbox", self.sink.name(), self.waiting.len());
        }
    }

    /// Takes what is in the channel; waits for something when nothing is in hand.
    fn gather(&mut self) {
        if self.waiting.is_empty() && self.leave_by.is_none() {
            select! {
                recv(self.alerts) -> got => self.take(got.map_err(|_| TryRecvError::Disconnected)),
                recv(self.stop) -> _ => self.end(),
                default(if self.unreached { self.wait } else { IDLE }) => self.probe_again(),
            }
        }
        loop {
            let got = self.alerts.try_recv();
            let more = got.is_ok();
            self.take(got);
            if !more {
                break;
            }
        }
        self.status.waiting(self.waiting.len());
    }

    /// Tries the sink without anything to deliver, so that its trouble is known before the first alert has to wait.
    fn probe(&mut self) {
        match self.sink.probe() {
            Ok(()) => {
                self.unreached = false;
                if self.status.reached() {
                    log::info!("sink {}: can be reached again", self.sink.name());
                }
            }
            Err(error) => {
                self.unreached = true;
                self.report(&error);
            }
        }
    }

    fn probe_again(&mut self) {
        if self.unreached {
            self.wait = (self.wait * 2).min(self.pace.longest_wait);
            self.probe();
        }
    }

    fn take(&mut self, got: Result<Outgoing, TryRecvError>) {
        match got {
            Ok(alert) => self.waiting.push_back(alert),
            Err(TryRecvError::Disconnected) => {
                // A disconnected channel is always ready, which would turn every wait into a busy loop.
                self.alerts = never();
                self.end();
            }
            Err(TryRecvError::Empty) => {}
        }
    }

    /// The end is announced: no more waiting for alerts, and only so much for the sink.
    fn end(&mut self) {
        self.leave_by.get_or_insert_with(|| Instant::now() + self.pace.grace);
        self.stop = never();
    }

    /// Delivers from the front, once.
    fn attempt(&mut self) -> Result<(), SinkError> {
        self.release(0);
        let most = if self.leave_by.is_some() { MAX_LAST_BATCH } else { MAX_BATCH };
        let due: Vec<Outgoing> = self.waiting.iter().filter(|o| self.is_due(o)).take(most).cloned().collect();
        if due.is_empty() {
            return Ok(());
        }
        failpoint::reach(Point::DeliverBegun);
        let delivered = self.sink.deliver(&due)?.min(due.len());
        if delivered == 0 {
            return Err(SinkError("took none of the alerts".into()));
        }
        failpoint::reach(Point::DeliverWritten);
        self.sink.flush()?;
        failpoint::reach(Point::DeliverFlushed);
        self.unreached = false;
        self.release(delivered);
        Ok(())
    }

    fn is_due(&self, out: &Outgoing) -> bool {
        let alert = &out.alert;
        !alert.suppressed && alert.is_worth(self.min_score)
    }

    /// Lets go of the first `delivered` alerts that were due, and of those before the next one that are not, and
    /// acknowledges them.
    fn release(&mut self, delivered: usize) {
        let (mut due_left, mut below, mut suppressed, mut last) = (delivered, 0, 0, None);
        while let Some(front) = self.waiting.front() {
            match (self.is_due(front), due_left) {
                (true, 0) => break,
                (true, _) => due_left -= 1,
                (false, _) if front.alert.suppressed => suppressed += 1,
                (false, _) => below += 1,
            }
            last = Some(front.seq);
            self.waiting.pop_front();
        }
        self.status.noted(self.sink.notes());
        let Some(seq) = last else { return };
        let failing_since = self.status.acknowledged(seq, delivered as u64, below, suppressed);
        self.status.waiting(self.waiting.len());
        if failing_since.is_some() {
            log::info!("sink {}: delivers again", self.sink.name());
        }
        let ack = Acknowledged { sink: self.index, seq, below_min_score: below, mark: self.sink.mark() };
        self.heard = self.acks.send(ack).is_ok();
    }

    fn report(&self, error: &SinkError) {
        self.status.noted(self.sink.notes());
        if self.status.failed(error) {
            log::warn!("sink {}: {error}; {} alerts wait in the outbox", self.sink.name(), self.waiting.len());
        }
    }

    /// Waits before the next attempt; ends early when the end is announced.
    fn back_off(&mut self) {
        let mut until = Instant::now() + self.wait;
        self.wait = (self.wait * 2).min(self.pace.longest_wait);
        loop {
            if let Some(by) = self.leave_by {
                until = until.min(by).min(Instant::now() + self.pace.last_wait);
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            select! {
                recv(self.alerts) -> got => self.take(got.map_err(|_| TryRecvError::Disconnected)),
                recv(self.stop) -> _ => self.end(),
                default(left) => return,
            }
        }
    }
}

#[cfg(test)]
mod tests;
