//! A sink that fails as a script says: nothing is lost, reordered or acknowledged too early.

use super::super::samples::detection;
use super::super::{FileMark, SinkNotes};
use super::*;
use crate::alert::{Alert, AlertKind};
use crossbeam_channel::{bounded, unbounded};
use proptest::prelude::*;
use std::sync::Mutex;

/// What one delivery does.
#[derive(Clone, Copy, Debug)]
enum Turn {
    Fails,
    /// Takes at most so many.
    Takes(usize),
    FlushFails,
}

#[derive(Default)]
struct Shared {
    script: VecDeque<Turn>,
    /// After the script: fail for ever instead of working.
    broken: bool,
    /// Numbers in the order of delivery, and how many of them were flushed.
    delivered: Vec<u64>,
    flushed: usize,
}

#[derive(Clone, Default)]
struct ScriptedSink {
    shared: Arc<Mutex<Shared>>,
    flush_fails: bool,
    is_prepared: bool,
}

impl Sink for ScriptedSink {
    fn name(&self) -> &str {
        "scripted"
    }
    fn deliver(&mut self, batch: &[Outgoing]) -> Result<usize, SinkError> {
        assert!(self.is_prepared && !batch.is_empty() && batch.len() <= MAX_BATCH);
        let mut shared = self.shared.lock().unwrap();
        let after = if shared.broken { Turn::Fails } else { Turn::Takes(usize::MAX) };
        let turn = shared.script.pop_front().unwrap_or(after);
        self.flush_fails = matches!(turn, Turn::FlushFails);
        let n = match turn {
            Turn::Fails => return Err(SinkError("no".into())),
            Turn::Takes(n) => n.clamp(1, batch.len()),
            Turn::FlushFails => batch.len(),
        };
        shared.delivered.extend(batch.iter().take(n).map(|o| o.seq));
        Ok(n)
    }
    fn prepare(&mut self) {
        assert!(!self.is_prepared, "once");
        self.is_prepared = true;
    }
    fn flush(&mut self) -> Result<(), SinkError> {
        if self.flush_fails {
            return Err(SinkError("no flush".into()));
        }
        let mut shared = self.shared.lock().unwrap();
        shared.flushed = shared.delivered.len();
        Ok(())
    }
    fn mark(&self) -> Option<FileMark> {
        let length = self.shared.lock().unwrap().flushed as u64;
        Some(FileMark { device: 0, inode: 0, length })
    }
    fn notes(&self) -> SinkNotes {
        SinkNotes { truncated: 7, ..SinkNotes::default() }
    }
}

const QUICK: Pace = Pace {
    first_wait: Duration::from_micros(10),
    longest_wait: Duration::from_micros(100),
    last_wait: Duration::from_micros(100),
    grace: Duration::from_secs(60),
};

struct Running {
    shared: Arc<Mutex<Shared>>,
    alerts: Option<Sender<Outgoing>>,
    acks: Receiver<Acknowledged>,
    stop: Option<Sender<()>>,
    status: Arc<SinkStatus>,
    thread: JoinHandle<()>,
}

fn start(script: Vec<Turn>, broken: bool, min_score: u32, pace: Pace) -> Running {
    let (alerts, alerts_in) = bounded(1);
    let (acks_out, acks) = unbounded();
    let (stop, stop_in) = bounded(1);
    let status = Arc::new(SinkStatus::default());
    let shared = Arc::new(Mutex::new(Shared { script: script.into(), broken, ..Shared::default() }));
    let sink = ScriptedSink { shared: Arc::clone(&shared), ..ScriptedSink::default() };
    let runner = Runner {
        index: 3,
        sink: Box::new(sink),
        min_score,
        alerts: alerts_in,
        acks: acks_out,
        stop: stop_in,
        status: Arc::clone(&status),
        pace,
        wait: pace.first_wait,
        waiting: VecDeque::new(),
        leave_by: None,
        heard: true,
        unreached: false,
    };
    let thread = std::thread::spawn(move || runner.run());
    Running { shared, alerts: Some(alerts), acks, stop: Some(stop), status, thread }
}

impl Running {
    fn send(&self, seq: u64, alert: Alert) {
        self.alerts.as_ref().unwrap().send(Outgoing { seq, alert: Arc::new(alert) }).unwrap();
    }
    fn send_all(&self, seqs: std::ops::RangeInclusive<u64>) {
        seqs.for_each(|seq| self.send(seq, detection(seq)));
    }
    /// No more alerts: waits for the thread and gives all acknowledgements.
    fn finish(mut self) -> (Vec<Acknowledged>, Vec<u64>, super::super::SinkSnapshot) {
        drop(self.alerts.take());
        self.thread.join().unwrap();
        let delivered = self.shared.lock().unwrap().delivered.clone();
        (self.acks.iter().collect(), delivered, self.status.snapshot())
    }
}

fn turn() -> impl Strategy<Value = Turn> {
    prop_oneof![Just(Turn::Fails), (1usize..5).prop_map(Turn::Takes), Just(Turn::FlushFails)]
}

proptest! {
    #![proptest_config(crate::effort::cases())]

    /// Whatever fails: the first deliveries of the alerts are the input in its order, and all is acknowledged at the end.
    #[test]
    fn what_is_delivered_equals_the_input(
        script in prop::collection::vec(turn(), 0..40),
        low in prop::collection::vec(any::<bool>(), 1..80),
    ) {
        let running = start(script, false, 5, QUICK);
        for (i, low) in low.iter().enumerate() {
            let alert = Alert { score: if *low { 4 } else { 5 }, ..detection(1) };
            running.send(i as u64 + 1, alert);
        }
        let (acks, delivered, status) = running.finish();
        let due: Vec<u64> = (1u64..).zip(&low).filter(|(_, low)| !**low).map(|(seq, _)| seq).collect();
        let mut first_times = Vec::new();
        for seq in &delivered {
            if !first_times.contains(seq) {
                first_times.push(*seq);
            }
        }
        prop_assert_eq!(&first_times, &due);
        prop_assert_eq!(acks.last().unwrap().seq, low.len() as u64);
        prop_assert!(acks.windows(2).all(|w| w[0].seq < w[1].seq));
        let below = acks.iter().map(|a| a.below_min_score).sum::<u64>();
        prop_assert_eq!(below as usize, low.len() - due.len());
        prop_assert_eq!((status.delivered, status.below_min_score, status.waiting), (due.len() as u64, below, 0));
        prop_assert_eq!(status.failing_since_ms, None);
        // Each acknowledgement covers only what was flushed at that time.
        for ack in &acks {
            let flushed = &delivered[..ack.mark.unwrap().length as usize];
            prop_assert!(due.iter().filter(|d| **d <= ack.seq).all(|d| flushed.contains(d)));
        }
    }
}

#[test]
fn below_min_score_and_suppressed_are_acknowledged_undelivered_and_operational_always_passes() {
    let running = start(vec![], false, 30, QUICK);
    running.send(1, detection(1));
    running.send(2, Alert { score: 30, ..detection(2) });
    running.send(3, Alert { kind: AlertKind::Operational, ..detection(3) });
    running.send(4, Alert { score: 99, suppressed: true, ..detection(4) });
    running.send(5, Alert { kind: AlertKind::Summary, ..detection(5) });
    let (acks, delivered, status) = running.finish();
    assert_eq!(delivered, [2, 3]);
    assert_eq!(acks.last().map(|a| (a.sink, a.seq)), Some((3, 5)));
    assert_eq!((status.delivered, status.below_min_score, status.suppressed, status.waiting), (2, 2, 1, 0));
    assert_eq!((status.name.as_str(), status.truncated, status.acknowledged_seq), ("", 7, 5));
}

#[test]
fn a_sink_that_fails_never_holds_up_the_sender_and_says_why() {
    let running = start(vec![], true, 0, Pace { grace: Duration::ZERO, ..QUICK });
    // The channel holds one alert: this would block for ever if the runner did not empty it.
    running.send_all(1..=2000);
    let (acks, delivered, status) = running.finish();
    assert_eq!((acks.len(), delivered.len()), (0, 0));
    assert_eq!(status.last_error.as_deref(), Some("no"));
    assert!(status.failing_since_ms.is_some() && status.errors > 0);
}

#[test]
fn stop_leaves_the_rest_in_the_outbox_when_the_sink_fails_for_longer_than_the_grace() {
    // The wait is longer than any test: only the end of the grace can end it.
    let day = Duration::from_secs(86_400);
    let pace = Pace { first_wait: day, longest_wait: day, last_wait: day, grace: Duration::from_millis(1) };
    for by_message in [true, false] {
        let mut running = start(vec![Turn::Takes(2)], true, 0, pace);
        running.send_all(1..=9);
        let stop = running.stop.take().unwrap();
        if by_message {
            stop.send(()).unwrap();
        }
        drop(stop);
        running.thread.join().unwrap();
        let acked = running.acks.iter().last().map_or(0, |a| a.seq);
        assert!(acked <= 2);
        assert_eq!(running.shared.lock().unwrap().delivered.len() as u64, acked);
    }
}

#[test]
fn stop_delivers_what_is_in_the_channel() {
    let mut running = start(vec![Turn::Fails, Turn::Fails], false, 0, QUICK);
    running.send_all(1..=600);
    drop(running.stop.take());
    let alerts = running.alerts.take();
    running.thread.join().unwrap();
    drop(alerts);
    // Up to one alert may have been sent after the thread had looked for the last time.
    assert!(running.shared.lock().unwrap().delivered.len() >= 599);
}

#[test]
fn waits_double_up_to_the_longest() {
    let (mut runner, _ends) = idle();
    let mut waits = Vec::new();
    for _ in 0..5 {
        waits.push(runner.wait.as_micros());
        runner.back_off();
    }
    assert_eq!(waits, [10, 20, 40, 80, 100]);
}

#[test]
fn a_channel_that_was_closed_no_longer_wakes_the_runner() {
    let (mut runner, ends) = idle();
    drop(ends);
    assert_eq!(runner.alerts.try_recv().map(|o| o.seq), Err(TryRecvError::Disconnected));
    assert_eq!(runner.stop.try_recv(), Err(TryRecvError::Disconnected));
    // Which of the two is seen first is left to chance.
    while runner.leave_by.is_none() {
        runner.gather();
    }
    runner.gather();
    assert_eq!(runner.alerts.try_recv().map(|o| o.seq), Err(TryRecvError::Empty));
    assert_eq!(runner.stop.try_recv(), Err(TryRecvError::Empty));
}

/// The other ends of a runner's channels.
type Ends = (Sender<Outgoing>, Receiver<Acknowledged>, Sender<()>);

/// A runner that is not started, and the other ends of its channels.
fn idle() -> (Runner, Ends) {
    let (alerts_out, alerts) = unbounded();
    let (acks, acks_in) = unbounded();
    let (stop_out, stop) = bounded(1);
    let runner = Runner {
        index: 0,
        sink: Box::new(ScriptedSink::default()),
        min_score: 0,
        alerts,
        acks,
        stop,
        status: Arc::default(),
        pace: QUICK,
        wait: QUICK.first_wait,
        waiting: VecDeque::new(),
        leave_by: None,
        heard: true,
        unreached: false,
    };
    (runner, (alerts_out, acks_in, stop_out))
}

#[test]
fn the_thread_ends_when_nobody_hears_its_acknowledgements() {
    let mut running = start(vec![], false, 0, QUICK);
    running.acks = never();
    running.send(1, detection(1));
    running.thread.join().unwrap();
}
