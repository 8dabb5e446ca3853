//! Threads, channels, and the order in which they start and stop.
//!
//! source → workers → detect → store → sinks. Every channel is bounded. At the end of input the source drops its channel,
//! the workers theirs, detection commits and waits for the sinks, and the store is closed last.

pub mod committer;
pub mod dead_letter;
pub mod detecting;
pub mod latency;
mod line;
pub mod opening;
pub mod outbox;
pub mod restoring;
pub mod summary;

use crate::alert::Alert;
use crate::batch::{EventBatch, Format, KeyHasher, RawBatch};
use crate::calendar::Zone;
use crate::config::Settings;
use crate::content::{self, Content};
use crate::detect::Detector;
use crate::enrich::{Directory, Enricher};
use crate::event::{Counts, Draft, Span};
use crate::exit::{self, Failure};
use crate::extract::Extractor;
use crate::failpoint::{self, Point};
use crate::model::histogram::Bounds;
use crate::model::{Maturity, ModelSpec, Scope};
use crate::parse::{Extract, Scratch, Workspace};
use crate::rule::Screen;
use crate::rule::Verdict;
use crate::sink::{self, FileMark};
use crate::source::{self, Mode, Sniff, SourceOptions, SourceStatus};
use crate::state::State;
use crate::state::names::Names;
use crate::state::record::LimitCounts;
use crate::store::Delta;
use crate::worker::{Visit, Worker};
use committer::{CommitStatus, Committer};
use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use dead_letter::DeadLetters;
use detecting::{Detecting, Progress, Question, TimeSource};
use opening::{Opening, Restored, StatePlan};
use outbox::{Delivered, Outbox, SinkHandle};
use restoring::Others;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// What a pipeline is built from.
pub struct Plan {
    /// Settings.
    pub settings: Settings,
    /// Content.
    pub content: Arc<Content>,
    /// The site's directory of peer groups.
    pub directory: Option<Arc<Directory>>,
    /// What is read.
    pub mode: Mode,
    /// Where state is kept; `None` throws it away.
    pub state: Option<StatePlan>,
    /// When users and hosts are read back from it that no event is about.
    pub others: Others,
    /// Where alerts go.
    pub sinks: Vec<SinkPlan>,
    /// How the time is known.
    pub time: TimeSource,
    /// Wait for the sinks without limit at the end.
    pub drain_fully: bool,
}

/// A sink to be started: given where the alert file stood, it opens what it needs.
pub struct SinkPlan {
    /// Name in the state: `file`, `syslog`.
    pub name: String,
    /// Alerts below this score are not delivered.
    pub min_score: u32,
    /// Opens the sink. The argument is how far the alert file reached at the last commit.
    pub open: Box<dyn FnOnce(Option<FileMark>) -> Box<dyn sink::Sink + Send>>,
}

/// A running pipeline.
pub struct Pipeline {
    /// Ask it to stop: reading ends, everything read is judged and committed.
    pub stop: Stopper,
    /// Questions to the detect thread.
    pub questions: Sender<Question>,
    /// Alerts about the agent itself.
    pub operational: Sender<Alert>,
    /// Commands to the store thread (scans).
    pub store: Sender<committer::Command>,
    /// How commits are doing.
    pub commits: Arc<Mutex<CommitStatus>>,
    /// How often detection has looked around: it does so twice a second at least, also while it waits for room or for a sink.
    pub turns: Arc<AtomicU64>,
    /// What limits had cut off before this start.
    pub limits_at_start: LimitCounts,
    /// How many events had been ahead of the clock before this start.
    pub future_at_start: u64,
    /// How reading is doing.
    pub source: Arc<SourceStatus>,
    /// How the sinks are doing.
    pub sinks: Vec<(String, Arc<sink::SinkStatus>)>,
    detect: std::thread::JoinHandle<Result<(Detector, Progress), Failure>>,
    others: Vec<std::thread::JoinHandle<()>>,
    reading: source::SourceHandle,
}

/// Asks the source to stop.
#[derive(Clone)]
pub struct Stopper {
    flag: Arc<AtomicBool>,
    hurry: Arc<AtomicBool>,
    wake: Sender<()>,
}

impl Stopper {
    /// Stops reading. Safe to call more than once.
    pub fn stop(&self) {
        self.flag.store(true, Ordering::SeqCst);
        let _ = self.wake.try_send(());
    }

    /// Stops reading, for a moment: a sink that does not deliver is not waited for long. Its alerts are durable, and go out
    /// when the state is opened again.
    pub fn pause(&self) {
        self.hurry.store(true, Ordering::SeqCst);
        self.stop();
    }
}

impl Pipeline {
    /// Opens the state and starts all threads.
    ///
    /// # Errors
    /// What cannot be opened, with the exit code.
    pub fn start(plan: Plan, progress: Box<dyn FnMut(&Progress) + Send>) -> Result<Pipeline, Failure> {
        let Plan { settings, content, directory, mode, state: state_plan, others: order, sinks, time, drain_fully } =
            plan;
        let limits = settings.limits.clone();
        let zone = Zone::named(&settings.detection.timezone).map_err(|e| Failure::new(exit::CONFIG, e))?;
        let zones = spool_zones(&settings)?;
        let screen = Arc::new(Screen::new(&content.rules, &content.models));
        let wanted = content::wanted(&screen, &Enricher::new(&content.tables));
        let hasher = KeyHasher::default();

        let state = State::new(names(&content), bounds(&content, &settings)?, hasher.clone());
        let mut state = state.counting(maturity(&content, &settings));
        let sinks_by_name: Vec<&str> = sinks.iter().map(|sink| sink.name.as_str()).collect();
        let models = &content.models;
        let opening = Opening { plan: state_plan, settings: &settings, sinks: &sinks_by_name, models };
        let Restored { backing, undelivered, reports } = opening.open(&mut state)?;

        // Unbounded: a sink must never wait for the detect thread; there are fewer acknowledgements than queued alerts.
        let (ack_sender, acks) = unbounded();
        let (lanes, sink_status) = start_sinks(sinks, &mut state, &ack_sender)?;
        drop(ack_sender);
        let (limits_at_start, future_at_start) = (state.agent.limits.clone(), state.agent.future);
        let mut outbox = Outbox::new(lanes, acks, state.agent.alerts, state.agent.suppressed);
        outbox.release(undelivered);

        let known = state.files().iter().map(|(id, f)| (*id, f.position.clone())).collect();
        let (raw_sender, raw) = bounded::<RawBatch>(limits.max_batches);
        let (event_sender, batches) = bounded::<EventBatch>(limits.max_batches);
        // In the two channels, with each worker, and with detection.
        let most_batches = limits.max_batches * 2 + workers(&settings) + 1;
        let (buffer_sender, buffers) = bounded(most_batches);
        let (used_sender, used) = bounded(most_batches);
        let (wake, woken) = bounded(1);
        let [flag, hurry] = [(); 2].map(|()| Arc::new(AtomicBool::new(false)));
        let stop = Stopper { flag, hurry, wake };
        let turns = Arc::new(AtomicU64::new(0));
        let source_status = Arc::new(SourceStatus::default());
        let options = SourceOptions {
            mode,
            limits: limits.clone(),
            known,
            sniff: Arc::new(ContentSniff { content: Arc::clone(&content), zones: Mutex::new(zones.clone()) }),
            refuse_files: settings.sink_file.iter().map(|s| s.path.clone()).collect(),
            most_batches,
            late_days: settings.detection.late_days,
        };
        let source_stop = source::Stop { flag: Arc::clone(&stop.flag), wake: woken };
        let source = source::spawn(options, raw_sender, buffers, source_stop, Arc::clone(&source_status))
            .map_err(|e| Failure::new(exit::RUNTIME, e.to_string()))?;
        let mut others = Vec::new();
        for n in 0..workers(&settings) {
            let extractor = Extractor::new(Arc::clone(&content), wanted, zones.clone());
            let worker = Worker::new(
                extractor,
                Arc::clone(&screen),
                zone.clone(),
                hasher.clone(),
                limits.max_command_chars,
                Visit::of(&content.rules),
            );
            let (raw, out, used, content) = (raw.clone(), event_sender.clone(), used.clone(), Arc::clone(&content));
            others.push(spawn(&format!("worker-{n}"), move || work(worker, &content, &raw, &out, &used))?);
        }
        drop((raw, event_sender, used));

        let committer = Committer::spawn(backing)
            .map_err(|e| Failure::new(exit::RUNTIME, format!("cannot start the store thread: {e}")))?;
        let (store, commits) = (committer.commands.clone(), Arc::clone(&committer.status));
        let (questions, inbox) = bounded(16);
        let (operational, operational_inbox) = bounded(64);
        let mut detector = Detector::new(
            Arc::clone(&content),
            settings.detection.clone(),
            limits.clone(),
            directory,
            Extractor::new(content, wanted, zones),
            state,
        );
        detector.delivered = outbox.delivered();
        let detecting = Detecting {
            detector,
            batches,
            used: used_sender,
            buffers: buffer_sender,
            committer,
            used_delta: Delta::default(),
            outbox,
            questions: inbox,
            operational: operational_inbox,
            zone,
            time,
            dead_letters: DeadLetters::of(&settings.spools, limits.max_dead_letter_bytes),
            limits,
            progress,
            drain_fully,
            others: order,
            reports,
            stop: Arc::clone(&stop.flag),
            hurry: Arc::clone(&stop.hurry),
            turns: Arc::clone(&turns),
            last_sample: None,
            behind_at: None,
        };
        let detect = std::thread::Builder::new()
            .name("detect".into())
            .spawn(move || detecting.run())
            .map_err(|e| Failure::new(exit::RUNTIME, format!("cannot start the detect thread: {e}")))?;
        Ok(Pipeline {
            stop,
            questions,
            operational,
            store,
            commits,
            turns,
            limits_at_start,
            future_at_start,
            source: source_status,
            sinks: sink_status,
            detect,
            others,
            reading: source,
        })
    }

    /// Whether everything has been read and judged.
    pub fn is_finished(&self) -> bool {
        self.detect.is_finished()
    }

    /// Waits for the end of the input (or of a stop) and returns what was done.
    ///
    /// # Errors
    /// When a thread ended abnormally, or the store gave up.
    pub fn join(self) -> Result<(Detector, Progress), Failure> {
        let abnormal = || {
            Failure::new(exit::RUNTIME, "a thread ended abnormally; what was committed is safe, start the agent again")
        };
        let done = self.detect.join().map_err(|_| abnormal())?;
        for thread in self.others {
            thread.join().map_err(|_| abnormal())?;
        }
        self.reading.join().map_err(|e| Failure::new(exit::RUNTIME, e.to_string()))?;
        done
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<std::thread::JoinHandle<()>, Failure> {
    std::thread::Builder::new()
        .name(name.into())
        .spawn(run)
        .map_err(|e| Failure::new(exit::RUNTIME, format!("cannot start the thread {name}: {e}")))
}

fn work(
    mut worker: Worker,
    content: &Content,
    raw: &Receiver<RawBatch>,
    out: &Sender<EventBatch>,
    used: &Receiver<EventBatch>,
) {
    for batch in raw {
        let room = used.try_recv().unwrap_or_default();
        let screened = worker.screen(batch, &content.parsers, room);
        failpoint::reach(Point::WorkerScreened);
        if out.send(screened).is_err() {
            return;
        }
    }
}

fn workers(settings: &Settings) -> usize {
    match settings.limits.workers {
        0 => std::thread::available_parallelism().map_or(1, |n| n.get().min(4)),
        n => n,
    }
}

fn spool_zones(settings: &Settings) -> Result<Vec<Zone>, Failure> {
    let zones = settings.spools.iter().map(|s| Zone::named(&s.timezone));
    zones.collect::<Result<_, _>>().map_err(|e| Failure::new(exit::CONFIG, e))
}

/// The ids that stand in the state, by index.
pub fn names(content: &Content) -> Names {
    Names {
        rules: content.rules.iter().map(|r| r.id.clone()).collect(),
        models: content.models.iter().map(|m| m.id.clone()).collect(),
    }
}

/// The limits of each model's instances; the rank window is that of the rules which rank it.
///
/// # Errors
/// When rules disagree on the window.
pub fn bounds(content: &Content, settings: &Settings) -> Result<Vec<Bounds>, Failure> {
    let rank_days = |index: usize, model: &ModelSpec| {
        let mut found = None;
        for rule in content.rules.iter().filter(|r| r.enabled) {
            if let Verdict::Top { model: m, rank_days, .. } = &rule.verdict
                && *m as usize == index
                && found.replace(*rank_days).is_some_and(|other| other != *rank_days)
            {
                return Err(Failure::new(
                    exit::CONFIG,
                    format!("rules that rank the model {} disagree on rank_days; give them the same", model.id),
                ));
            }
        }
        Ok(found)
    };
    let one = |(index, model): (usize, &ModelSpec)| {
        Ok(Bounds {
            window_days: settings.detection.window_days,
            max_bins: match model.scope {
                Scope::User | Scope::Host => settings.limits.max_bins,
                Scope::PeerGroup | Scope::Org => settings.limits.max_bins_wide,
            },
            rank_days: rank_days(index, model)?,
        })
    };
    content.models.iter().enumerate().map(one).collect()
}

/// From when on the instances of each model have converged.
fn maturity(content: &Content, settings: &Settings) -> Vec<Maturity> {
    let min_confidence = settings.detection.min_confidence;
    let of = |m: &ModelSpec| Maturity { alpha: m.alpha, cut_off: m.cut_off, min_confidence };
    content.models.iter().map(of).collect()
}

type Started = (Vec<(SinkHandle, Delivered)>, Vec<(String, Arc<sink::SinkStatus>)>);

fn start_sinks(plans: Vec<SinkPlan>, state: &mut State, acks: &Sender<sink::Acknowledged>) -> Result<Started, Failure> {
    let (mut lanes, mut status) = (Vec::new(), Vec::new());
    for (index, plan) in plans.into_iter().enumerate() {
        let record = state.sink(&plan.name);
        let sink = (plan.open)(record.mark.map(|(device, inode, length)| FileMark { device, inode, length }));
        if let (None, Some(mark)) = (record.mark, sink.mark()) {
            // Committed before the first delivery, so that a crash right after that one finds it again.
            state.change_sink(&plan.name).mark = Some((mark.device, mark.inode, mark.length));
        }
        let handle = SinkHandle::spawn(index, plan.name.clone(), sink, plan.min_score, acks.clone())
            .map_err(|e| Failure::new(exit::RUNTIME, format!("cannot start the sink {}: {e}", plan.name)))?;
        status.push((plan.name, Arc::clone(&handle.status)));
        lanes.push((handle, Delivered { seq: record.seq, below_min_score: record.below_min_score }));
    }
    Ok((lanes, status))
}

/// How the source learns what a record is.
struct ContentSniff {
    content: Arc<Content>,
    /// Of the spools, as configured. The source's one thread asks.
    zones: Mutex<Vec<Zone>>,
}

impl ContentSniff {
    fn time(&self, record: &[u8], columns: Option<&crate::parse::Columns>, format: Format, zone: &Zone) -> Option<i64> {
        let (mut arena, mut draft, mut oddities) = (Vec::new(), Draft::default(), Counts::default());
        let mut work = Workspace {
            raw: record,
            arena: &mut arena,
            draft: &mut draft,
            oddities: &mut oddities,
            scratch: &mut Scratch::default(),
        };
        let span = Span::raw(0, record.len());
        let parsers = &self.content.parsers;
        let parsed = match format {
            Format::Cef => parsers.parse_cef(&mut work, span, Extract::Wanted),
            Format::Csv => parsers.parse_csv(&mut work, span, columns, zone, Extract::Wanted),
        };
        parsed.ok().map(|_| draft.time_ms)
    }
}

impl Sniff for ContentSniff {
    fn sniff(&self, record: &[u8], csv_by_position: bool) -> Option<Format> {
        self.content.parsers.sniff(record, csv_by_position)
    }
    fn header_mark(&self) -> &[u8] {
        self.content.parsers.csv_header_mark()
    }
    fn is_csv_header(&self, record: &[u8]) -> bool {
        self.content.parsers.csv_header(record).is_some()
    }
    fn record_time(&self, record: &[u8]) -> Option<i64> {
        let utc = Zone::utc();
        self.time(record, None, Format::Cef, &utc).or_else(|| self.time(record, None, Format::Csv, &utc))
    }
    fn row_time(&self, header: &[u8], record: &[u8]) -> Option<i64> {
        let columns = self.content.parsers.csv_header(header)?;
        self.time(record, Some(&columns), Format::Csv, &Zone::utc())
    }
    fn event_time(&self, spool: u16, header: Option<&[u8]>, record: &[u8]) -> Option<i64> {
        let utc = Zone::utc();
        let zones = self.zones.lock().unwrap_or_else(PoisonError::into_inner);
        let zone = zones.get(usize::from(spool)).unwrap_or(&utc);
        let columns = header.and_then(|header| self.content.parsers.csv_header(header));
        let csv = || self.time(record, columns.as_ref(), Format::Csv, zone);
        if columns.is_some() { csv() } else { self.time(record, None, Format::Cef, zone).or_else(csv) }
    }
}
