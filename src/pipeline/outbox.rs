//! From durable alerts to sinks and back: who has what still to deliver.
//!
//! Alerts wait here between their commit and a place in a sink's channel. Acknowledgements become part of the state and
//! ride in the next commit; after a crash what was not acknowledged is read back from the store and goes out again.

use crate::alert::Alert;
use crate::sink::{self, Acknowledged, Outgoing, Sink, SinkStatus};
use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use std::collections::VecDeque;
use std::sync::Arc;
use std::thread::JoinHandle;

/// Alerts that fit into a sink's channel.
const CHANNEL: usize = 1024;

/// A running sink.
pub struct SinkHandle {
    /// Name in the state.
    pub name: String,
    /// How it is doing.
    pub status: Arc<SinkStatus>,
    alerts: Sender<Outgoing>,
    stop: Sender<()>,
    thread: JoinHandle<()>,
}

impl SinkHandle {
    /// Starts the thread of a sink.
    ///
    /// # Errors
    /// When the system starts no thread.
    pub fn spawn(
        index: usize,
        name: String,
        sink: Box<dyn Sink + Send>,
        min_score: u32,
        acks: Sender<Acknowledged>,
    ) -> std::io::Result<SinkHandle> {
        let (alerts, inbox) = bounded(CHANNEL);
        let (stop, stopped) = bounded(1);
        let status = Arc::new(SinkStatus::default());
        let thread = sink::spawn(index, sink, min_score, inbox, acks, stopped, Arc::clone(&status))?;
        Ok(SinkHandle { name, status, alerts, stop, thread })
    }

    /// Ends the sink and waits for it.
    pub fn stop(self) {
        drop((self.alerts, self.stop));
        if self.thread.join().is_err() {
            log::error!("the sink {} ended abnormally", self.name);
        }
    }
}

/// One sink as the detect thread sees it.
pub struct Lane {
    /// The running sink.
    pub sink: SinkHandle,
    /// Highest acknowledged number.
    pub acked: u64,
    /// What a commit in flight says of it, and what the last durable one says.
    committing: Delivered,
    committed: Delivered,
    /// Waiting for a place in the sink's channel.
    waiting: VecDeque<Outgoing>,
}

/// How far a sink is, as its record says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delivered {
    /// All alerts up to this number.
    pub seq: u64,
    /// How many of them were below its `min_score`.
    pub below_min_score: u64,
}

/// All sinks.
pub struct Outbox {
    /// The lanes, by sink index.
    pub lanes: Vec<Lane>,
    /// Acknowledgements of all sinks.
    pub acks: Receiver<Acknowledged>,
    /// Number of the last durable alert.
    durable: u64,
    /// Durable alerts that are held back.
    suppressed: u64,
    /// The numbers of those that some sink has not durably acknowledged.
    held_back: VecDeque<u64>,
    /// Number and size of each that some sink still has to deliver.
    sizes: VecDeque<(u64, usize)>,
    /// The sum of these sizes.
    queued_bytes: usize,
}

impl Outbox {
    /// An outbox whose durable alerts end at `durable`, of which `suppressed` are held back; with each sink comes what it had
    /// delivered before.
    pub fn new(
        sinks: Vec<(SinkHandle, Delivered)>,
        acks: Receiver<Acknowledged>,
        durable: u64,
        suppressed: u64,
    ) -> Outbox {
        let lane = |(sink, at): (SinkHandle, Delivered)| Lane {
            sink,
            acked: at.seq,
            committing: at,
            committed: at,
            waiting: VecDeque::new(),
        };
        let lanes = sinks.into_iter().map(lane).collect();
        Outbox { lanes, acks, durable, suppressed, held_back: VecDeque::new(), sizes: VecDeque::new(), queued_bytes: 0 }
    }

    /// Alerts have become durable: every sink gets them.
    pub fn release(&mut self, alerts: Vec<(u64, Alert)>) {
        for (seq, alert) in alerts {
            // Those from before the start are counted already.
            self.suppressed += u64::from(alert.suppressed && seq > self.durable);
            self.durable = self.durable.max(seq);
            let size = alert.size();
            self.sizes.push_back((seq, size));
            if alert.suppressed {
                self.held_back.push_back(seq);
            }
            self.queued_bytes += size;
            let alert = Arc::new(alert);
            for lane in &mut self.lanes {
                if seq > lane.acked {
                    lane.waiting.push_back(Outgoing { seq, alert: Arc::clone(&alert) });
                }
            }
        }
        self.forget_delivered();
        self.push();
    }

    /// Hands on what fits into the sinks' channels.
    pub fn push(&mut self) {
        for lane in &mut self.lanes {
            while let Some(next) = lane.waiting.pop_front() {
                match lane.sink.alerts.try_send(next) {
                    Ok(()) => {}
                    Err(TrySendError::Full(back) | TrySendError::Disconnected(back)) => {
                        lane.waiting.push_front(back);
                        break;
                    }
                }
            }
        }
    }

    /// Takes an acknowledgement.
    pub fn acknowledge(&mut self, ack: &Acknowledged) {
        if let Some(lane) = self.lanes.get_mut(ack.sink) {
            lane.acked = lane.acked.max(ack.seq);
        }
        self.forget_delivered();
        self.push();
    }

    /// The number up to which every sink has delivered.
    pub fn delivered(&self) -> u64 {
        self.lanes.iter().map(|l| l.acked).min().unwrap_or(self.durable)
    }

    fn forget_delivered(&mut self) {
        let delivered = self.delivered();
        while let Some((seq, size)) = self.sizes.front().copied()
            && seq <= delivered
        {
            self.queued_bytes -= size;
            self.sizes.pop_front();
        }
    }

    /// About how many bytes the alerts have that some sink still has to deliver.
    pub fn queued_bytes(&self) -> usize {
        self.queued_bytes
    }

    /// The number of the last durable alert.
    pub fn durable(&self) -> u64 {
        self.durable
    }

    /// Durable alerts that are held back, acknowledged or not.
    pub fn suppressed(&self) -> u64 {
        self.suppressed
    }

    /// A commit begins that says so of the sinks, by name.
    pub fn committing(&mut self, says: impl Fn(&str) -> Delivered) {
        for lane in &mut self.lanes {
            lane.committing = says(&lane.sink.name);
        }
    }

    /// It is durable.
    pub fn committed(&mut self) {
        self.lanes.iter_mut().for_each(|lane| lane.committed = lane.committing);
        let all = self.lanes.iter().map(|lane| lane.committed.seq).min().unwrap_or(self.durable);
        while self.held_back.front().is_some_and(|seq| *seq <= all) {
            self.held_back.pop_front();
        }
    }

    /// What each sink has durably done: name, how far it is, and how many of the alerts up to there were held back. Together
    /// with [`Outbox::durable`] and [`Outbox::suppressed`] it is of one commit.
    pub fn delivered_durably(&self) -> impl Iterator<Item = (&str, Delivered, u64)> {
        self.lanes.iter().map(|lane| {
            let waiting = self.held_back.iter().filter(|seq| **seq > lane.committed.seq).count() as u64;
            (lane.sink.name.as_str(), lane.committed, self.suppressed.saturating_sub(waiting))
        })
    }

    /// Durable alerts that some sink still has to deliver.
    pub fn queued(&self) -> u64 {
        self.durable.saturating_sub(self.delivered())
    }
}
