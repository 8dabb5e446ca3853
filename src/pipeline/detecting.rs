//! The detect thread: takes screened batches in order, judges, commits in groups, releases durable alerts.
//!
//! It waits for four things at once: batches, finished commits, acknowledgements and questions. It stops taking batches
//! while too much is uncommitted or undelivered, so that a slow disk or sink slows reading down.

use super::committer::{Command, Committer};
use super::dead_letter::DeadLetters;
use super::line::Line;
use super::outbox::{Delivered, Outbox};
use super::restoring::{Others, Restoring};
use crate::alert::Alert;
use crate::batch::EventBatch;
use crate::calendar::{Zone, wall_clock_ms};
use crate::config::Limits;
use crate::detect::{Clock, Detector};
use crate::exit::Failure;
use crate::failpoint::{self, Point};
use crate::state::record::SinkRecord;
use crate::store::Delta;
use crossbeam_channel::{Receiver, Sender, never, select};
use log::{info, warn};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How often it looks around when nothing happens.
const TICK: Duration = Duration::from_millis(500);
/// Idle time after which acknowledgements are committed by themselves.
const ACK_DELAY: Duration = Duration::from_secs(1);
/// How long undelivered alerts are waited for at the end.
const DRAIN_TIME: Duration = Duration::from_secs(10);

/// The same where the pipeline begins again at once: enough for sinks that work.
const SHORT_DRAIN_TIME: Duration = Duration::from_secs(1);

/// Least time from one commit to the next: a disk that syncs in no time must not be kept busy with many small ones. An event
/// that comes later than this after the last commit waits for nothing.
const COMMIT_PAUSE: Duration = Duration::from_millis(5);
/// The same while more is read than comes: nobody waits for a single event of a backlog, and fewer commits cost less.
const BACKLOG_PAUSE: Duration = Duration::from_millis(100);
/// Changes with which a commit waits for no pause, bytes: what is committed is in memory several times over for a moment.
const COMMIT_BYTES: usize = 2 << 20;

/// Pause between two rejected records in the log.
const SAMPLE_PAUSE: Duration = Duration::from_secs(10);
/// Bytes of such a record.
const SAMPLE_BYTES: usize = 160;

/// A question to the detect thread.
/// The last argument is the number of batches that wait for detection.
pub type Question = Box<dyn FnOnce(&Detector, &Outbox, usize) + Send>;

/// How detection knows the time.
#[derive(Clone, Copy, Debug)]
pub enum TimeSource {
    /// The wall clock.
    Wall,
    /// A fixed instant, ms; `detected_at` is the event's time.
    Fixed(i64),
}

/// What the detect thread works with.
pub struct Detecting {
    /// Judge and state.
    pub detector: Detector,
    /// Screened batches, in any order.
    pub batches: Receiver<EventBatch>,
    /// Batches to use again.
    pub used: Sender<EventBatch>,
    /// Read buffers to use again.
    pub buffers: Sender<Vec<u8>>,
    /// The store thread.
    pub committer: Committer,
    /// An empty delta, whose memory is used again.
    pub used_delta: Delta,
    /// The sinks.
    pub outbox: Outbox,
    /// Questions from the control socket.
    pub questions: Receiver<Question>,
    /// Alerts about the agent itself.
    pub operational: Receiver<Alert>,
    /// The same, of the start: they are part of the first commit.
    pub reports: Vec<Alert>,
    /// Where days begin.
    pub zone: Zone,
    /// How the time is known.
    pub time: TimeSource,
    /// Bounds.
    pub limits: Limits,
    /// Told after each batch: events so far.
    pub progress: Box<dyn FnMut(&Progress) + Send>,
    /// Whether to wait without limit for sinks at the end (`replay`).
    pub drain_fully: bool,
    /// When users and hosts are read back that no event is about.
    pub others: Others,
    /// Where rejected records are copied.
    pub dead_letters: DeadLetters,
    /// Set when reading is to end.
    pub stop: Arc<AtomicBool>,
    /// Set when the end is to wait only for sinks that work.
    pub hurry: Arc<AtomicBool>,
    /// Counts the turns of the loop: while it grows, detection is alive.
    pub turns: Arc<AtomicU64>,
    /// When a rejected record was last shown in the log.
    pub last_sample: Option<Instant>,
    /// When the last batch as large as a read was judged: more waits behind such a one, be it in the next file.
    pub behind_at: Option<Instant>,
}

/// How far a run is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Bytes judged.
    pub bytes: u64,
    /// Events judged.
    pub events: u64,
    /// Records refused.
    pub rejects: u64,
    /// Alerts raised.
    pub alerts: u64,
    /// Commits made.
    pub commits: u64,
    /// Users and hosts that came back into memory.
    pub recalled: u64,
}

/// What a commit in flight will release.
struct InFlight {
    alerts: Vec<(u64, Alert)>,
}

impl Detecting {
    /// Runs until the input ends. Returns the final working set's owner and what was done.
    ///
    /// # Errors
    /// Why the store thread gave up before: what was judged since the last commit will be judged again.
    pub fn run(mut self) -> Result<(Detector, Progress), Failure> {
        let mut line = Line::default();
        let max_resident = if self.committer.keeps { self.limits.max_resident_bytes } else { usize::MAX };
        let mut restoring = Restoring::new(max_resident);
        let mut raised: Vec<(u64, Alert)> = Vec::new();
        let mut in_flight: Option<InFlight> = None;
        let mut acks_since: Option<Instant> = None;
        let mut committed_at: Option<Instant> = None;
        let mut ended = false;
        let mut since_end: Option<Instant> = None;
        let mut since_stop: Option<Instant> = None;
        let mut progress = Progress::default();
        for report in std::mem::take(&mut self.reports) {
            self.detector.outbox(report, &mut raised);
        }
        let mut alerts_before = self.detector.state.agent.alerts;
        loop {
            self.turns.fetch_add(1, Ordering::Relaxed);
            // Whatever else keeps this thread busy, acknowledgements do not wait longer than this.
            let acks_are_due = acks_since.is_some_and(|t| t.elapsed() >= ACK_DELAY);
            let changed = self.detector.state.pending() > 0 || self.detector.state.agent_dirty;
            let is_behind = self.behind_at.is_some_and(|t| t.elapsed() < BACKLOG_PAUSE);
            let pause = if is_behind { BACKLOG_PAUSE } else { COMMIT_PAUSE };
            let pause = committed_at.map_or(Duration::ZERO, |t| pause.saturating_sub(t.elapsed()));
            let is_due = in_flight.is_none() && (changed || acks_are_due);
            let is_large = self.detector.state.pending_bytes() >= COMMIT_BYTES;
            if is_due && (pause.is_zero() || is_large || ended || !self.has_room()) {
                in_flight = self.commit(&mut raised);
                (acks_since, committed_at) = (None, Some(Instant::now()));
            }
            let is_some_missing = self.detector.state.is_some_missing();
            // Nothing is judged before what any event may be about is there.
            let can_judge = !is_some_missing || restoring.has_common();
            if is_some_missing && (!can_judge || self.others == Others::AtOnce || ended || line.needs_everybody()) {
                restoring.go_on(&self.committer);
            }
            // Who waits for the end of all input looks at the state afterwards.
            if ended && in_flight.is_none() && raised.is_empty() && !(is_some_missing && self.drain_fully) {
                break;
            }
            let room = self.has_room();
            let waits = !can_judge || line.is_waiting();
            let stuck = !room || waits;
            if stuck && !ended && !self.drain_fully && self.stop.load(Ordering::Relaxed) {
                // A sink or a disk that fails must not keep the agent from stopping: what was read and not judged is read again.
                let waited = since_stop.get_or_insert_with(Instant::now).elapsed();
                if waited >= failpoint::pause(DRAIN_TIME) || (!room && self.hurry.load(Ordering::Relaxed)) {
                    self.batches = never();
                    ended = true;
                    continue;
                }
            }
            let batches = if room && !ended && !waits { self.batches.clone() } else { never() };
            // They are about everybody. Who asks why nothing can be read is not kept waiting for it.
            let questions = if is_some_missing && !restoring.is_held_up() { never() } else { self.questions.clone() };
            let acks = if self.outbox.lanes.is_empty() { never() } else { self.outbox.acks.clone() };
            select! {
                recv(batches) -> batch => match batch {
                    Ok(batch) => line.add(batch),
                    Err(_) => ended = true,
                },
                recv(self.committer.loaded) -> loaded => match loaded {
                    Ok(loaded) => line.answered(&mut self.detector, loaded)?,
                    Err(_) => self.committer.loaded = never(),
                },
                recv(self.committer.restored) -> restored => match restored {
                    Ok(restored) => restoring.answered(&mut self.detector, restored, &self.committer)?,
                    Err(_) => self.committer.restored = never(),
                },
                recv(self.committer.committed) -> done => match done {
                    Ok(used) => {
                        self.used_delta = used;
                        progress.commits += 1;
                        failpoint::reach(Point::DetectReleasing);
                        if let Some(done) = in_flight.take() {
                            self.outbox.release(done.alerts);
                        }
                        self.outbox.committed();
                        self.detector.state.committed();
                    }
                    // The store thread gave up because the agent shuts down: what is not durable is not released.
                    Err(_) => break,
                },
                recv(acks) -> ack => if let Ok(ack) = ack {
                    self.acknowledge(&ack);
                    acks_since.get_or_insert_with(Instant::now);
                },
                recv(self.operational) -> alert => match alert {
                    Ok(alert) => {
                        self.detector.report(alert, &mut raised);
                        alerts_before = self.detector.state.agent.alerts;
                    }
                    Err(_) => self.operational = never(),
                },
                recv(questions) -> question => if let Ok(question) = question {
                    question(&self.detector, &self.outbox, self.batches.len() + line.len());
                },
                default(if is_due && in_flight.is_none() { pause } else { TICK }) => self.outbox.push(),
            }
            while let Some(batch) = line.take(&self.detector, &self.committer) {
                self.tick();
                if batch.tally.bytes >= self.limits.read_bytes as u64 / 2 {
                    self.behind_at = Some(Instant::now());
                }
                self.detector.judge(&batch, &mut raised);
                failpoint::reach(Point::DetectJudged);
                self.log_sample(&batch);
                self.dead_letters.copy(&batch);
                progress.recalled = self.detector.state.memory().recalled;
                progress.bytes += batch.tally.bytes;
                progress.events += batch.tally.events.total();
                progress.rejects += batch.tally.rejects.total();
                progress.alerts += self.detector.state.agent.alerts - alerts_before;
                alerts_before = self.detector.state.agent.alerts;
                (self.progress)(&progress);
                self.recycle(batch);
                self.detector.state.page_out(max_resident);
            }
            // Looked at after whatever happened: somebody who asks for the status all the time must not hold it up.
            if ended && !self.drain_fully && since_end.get_or_insert_with(Instant::now).elapsed() >= DRAIN_TIME {
                warn!(
                    "the state cannot be committed; what was judged since the last commit will be judged again at the next start"
                );
                let closed = self.committer.close();
                self.outbox.lanes.drain(..).for_each(|lane| lane.sink.stop());
                return closed.map(|()| (self.detector, progress));
            }
        }
        self.finish(progress, since_stop.unwrap_or_else(Instant::now))
    }

    /// Whether a batch more may be judged.
    fn has_room(&self) -> bool {
        self.detector.state.pending_bytes() < self.limits.max_uncommitted_bytes
            // Also those that are not durable yet: a slow commit must not let any number of them gather.
            && self.undelivered() < self.limits.max_queued_alerts as u64
            && self.outbox.queued_bytes() < self.limits.max_queued_alert_bytes
    }

    /// Alerts that were raised and that some sink has still to deliver.
    fn undelivered(&self) -> u64 {
        self.detector.state.agent.alerts.saturating_sub(self.outbox.delivered())
    }

    fn tick(&mut self) {
        let clock = match self.time {
            TimeSource::Wall => {
                let now = wall_clock_ms();
                Clock { today: self.zone.day_of(now), detected_ms: Some(now) }
            }
            TimeSource::Fixed(now) => Clock { today: self.zone.day_of(now), detected_ms: None },
        };
        self.detector.set_clock(clock);
    }

    fn acknowledge(&mut self, ack: &crate::sink::Acknowledged) {
        self.outbox.acknowledge(ack);
        self.detector.delivered = self.outbox.delivered();
        if let Some(lane) = self.outbox.lanes.get(ack.sink) {
            let record = self.detector.state.change_sink(&lane.sink.name);
            record.seq = record.seq.max(ack.seq);
            record.below_min_score += ack.below_min_score;
            if let Some(mark) = ack.mark {
                record.mark = Some((mark.device, mark.inode, mark.length));
            }
        }
        failpoint::reach(Point::DetectAcknowledged);
    }

    /// Hands everything that changed to the store thread.
    fn commit(&mut self, raised: &mut Vec<(u64, Alert)>) -> Option<InFlight> {
        let alerts = std::mem::take(raised);
        let state = &self.detector.state;
        self.outbox.committing(|name| {
            let SinkRecord { seq, below_min_score, .. } = state.sink(name);
            Delivered { seq, below_min_score }
        });
        let delta = self.detector.state.drain(std::mem::take(&mut self.used_delta));
        match self.committer.commands.send(Command::Commit(delta)) {
            Ok(()) => {
                failpoint::reach(Point::DetectHandedOver);
                Some(InFlight { alerts })
            }
            Err(_) => {
                warn!("the store thread is gone; what was judged since the last commit will be judged again");
                None
            }
        }
    }

    fn recycle(&self, mut batch: EventBatch) {
        let buffer = std::mem::take(&mut batch.raw);
        let _ = self.buffers.try_send(buffer);
        let _ = self.used.try_send(batch);
    }

    /// Shows the first bytes of one rejected record now and then, so that a broken export is noticed and a flood of bad
    /// lines does not flood the log.
    fn log_sample(&mut self, batch: &EventBatch) {
        let Some((line, reason, record)) = batch.rejected.first() else { return };
        if self.last_sample.is_some_and(|t| t.elapsed() < SAMPLE_PAUSE) {
            return;
        }
        self.last_sample = Some(Instant::now());
        let text = batch.text().get(*record);
        let head = String::from_utf8_lossy(text.get(..SAMPLE_BYTES).unwrap_or(text)).escape_debug().to_string();
        let path = batch.path.as_deref().unwrap_or_default();
        info!(
            "{path}:{line}: {} of {} records in this batch are no events; the first: {reason}: {head}",
            batch.rejected.len(),
            batch.tally.records
        );
    }

    /// Delivers what is durable, for a while after `since`, commits the acknowledgements, closes the store.
    fn finish(mut self, mut progress: Progress, since: Instant) -> Result<(Detector, Progress), Failure> {
        let limit = if self.hurry.load(Ordering::Relaxed) { SHORT_DRAIN_TIME } else { DRAIN_TIME };
        while self.outbox.queued() > 0 && (self.drain_fully || since.elapsed() < limit) {
            match self.outbox.acks.recv_timeout(Duration::from_millis(100)) {
                Ok(ack) => self.acknowledge(&ack),
                Err(crossbeam_channel::RecvTimeoutError::Timeout) => self.outbox.push(),
                Err(crossbeam_channel::RecvTimeoutError::Disconnected) => break,
            }
        }
        if self.outbox.queued() > 0 {
            info!(
                "{} alerts are not delivered yet; they are kept and go out after the next start",
                self.outbox.queued()
            );
        }
        if !self.detector.state.is_clean() && self.commit(&mut Vec::new()).is_some() {
            // On a full disk that may never come to an end; what was delivered and not committed is delivered again, at most.
            let limit = if self.drain_fully { Duration::MAX } else { DRAIN_TIME };
            match self.committer.committed.recv_timeout(limit) {
                Ok(_) => progress.commits += 1,
                Err(_) => warn!(
                    "the last acknowledgements cannot be committed; their alerts will be looked at again at the next start"
                ),
            }
        }
        failpoint::reach(Point::Closing);
        let closed = self.committer.close();
        for lane in self.outbox.lanes {
            lane.sink.stop();
        }
        closed.map(|()| (self.detector, progress))
    }
}
