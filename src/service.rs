//! Talks to systemd: ready, alive, stopping. Without systemd nothing happens. The only module that names sd-notify.

use crate::pipeline::Pipeline;
use sd_notify::NotifyState;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

/// State and sinks are open: the service has started.
pub fn ready() {
    let _ = sd_notify::notify(&[NotifyState::Ready]);
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
    let status = pipeline.source.snapshot();
    let lag: u64 = status.files.iter().map(|f| f.lag_bytes).sum();
    let mut text = format!("{} files, {lag} bytes behind", status.files.len());
    for sink in pipeline.sinks.iter().map(|(_, sink)| sink.snapshot()).filter(|s| s.failing_since_ms.is_some()) {
        text += &format!("; sink {} fails: {}", sink.name, sink.last_error.unwrap_or_default());
    }
    // A line of its own would be another message.
    let text = text.replace('\n', " ");
    let watchdog = turns.then_some(NotifyState::Watchdog);
    let states: Vec<NotifyState<'_>> = watchdog.into_iter().chain([NotifyState::Status(&text)]).collect();
    let _ = sd_notify::notify(&states);
}

/// The service is about to stop.
pub fn stopping() {
    let _ = sd_notify::notify(&[NotifyState::Stopping]);
}
