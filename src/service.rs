//! Talks to systemd: ready, alive, stopping. Without systemd nothing happens. The only module that names sd-notify.

use crate::pipeline::Pipeline;
use sd_notify::NotifyState;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

/// The service has started: the state and the alert file are open, and every sink was tried once. What cannot be reached is
/// said, and keeps nothing from starting but the alert file.
pub fn ready(pipeline: &Pipeline) {
    let _ = sd_notify::notify(&[NotifyState::Ready, NotifyState::Status(&status(pipeline))]);
}

/// Whether the service has what it needs to be ready.
///
/// # Errors
/// What keeps it; `None` while a sink is being tried for the first time.
pub fn has_started(pipeline: &Pipeline) -> Result<(), Option<String>> {
    for (name, sink) in &pipeline.sinks {
        let now = sink.snapshot();
        if !now.tried {
            return Err(None);
        }
        if let (ALERT_FILE, Some(_), Some(why)) = (name.as_str(), now.failing_since_ms, now.last_error) {
            return Err(Some(format!("the alert file cannot be opened: {why}")));
        }
    }
    Ok(())
}

/// The sink without which nothing can be certain of its alerts.
const ALERT_FILE: &str = "file";

/// Not ready yet, and why.
pub fn starting(why: &str) {
    let _ = sd_notify::notify(&[NotifyState::Status(why)]);
}

/// How far reading is behind, and which sinks fail.
fn status(pipeline: &Pipeline) -> String {
    let source = pipeline.source.snapshot();
    let lag: u64 = source.files.iter().map(|f| f.lag_bytes).sum();
    let mut text = format!("{} files, {lag} bytes behind", source.files.len());
    for (name, sink) in &pipeline.sinks {
        let now = sink.snapshot();
        if let (Some(_), Some(why)) = (now.failing_since_ms, now.last_error) {
            text.push_str(&format!("; sink {name} fails: {why}"));
        }
    }
    // A line of its own would be another message.
    text.replace('\n', " ")
}

/// Config or content are being read anew, or the state is being changed; [`ready`] follows.
pub fn reloading() {
    // Without the time systemd takes the message for one of an older reload.
    let now = NotifyState::monotonic_usec_now().ok();
    let states: Vec<NotifyState<'_>> = std::iter::once(NotifyState::Reloading).chain(now).collect();
    let _ = sd_notify::notify(&states);
}

/// How often the watchdog is fed during a change, and for how long at most: one that takes longer hangs.
const PULSE: Duration = Duration::from_secs(5);
const LONGEST_CHANGE: Duration = Duration::from_secs(30 * 60);

/// Feeds the watchdog while it lives: a change of a large state takes longer than the watchdog waits, and there is no detect
/// thread that could show that the agent is alive.
pub struct Busy {
    /// Dropping it ends the thread.
    _end: Sender<()>,
}

impl Busy {
    /// Begins to feed.
    pub fn begin() -> Busy {
        let (end, ended) = channel::<()>();
        let feed = move || {
            let since = Instant::now();
            while since.elapsed() < LONGEST_CHANGE && ended.recv_timeout(PULSE) == Err(RecvTimeoutError::Timeout) {
                let _ = sd_notify::notify(&[NotifyState::Watchdog]);
            }
        };
        // Without the thread, a long change may be ended by systemd: it can be repeated.
        let _ = std::thread::Builder::new().name("busy".into()).spawn(feed);
        Busy { _end: end }
    }
}

/// Says how far reading is behind and which sinks fail; where detection turns, feeds the watchdog.
pub fn alive(pipeline: &Pipeline, turns: bool) {
    let text = status(pipeline);
    let watchdog = turns.then_some(NotifyState::Watchdog);
    let states: Vec<NotifyState<'_>> = watchdog.into_iter().chain([NotifyState::Status(&text)]).collect();
    let _ = sd_notify::notify(&states);
}

/// The service is about to stop.
pub fn stopping() {
    let _ = sd_notify::notify(&[NotifyState::Stopping]);
}
