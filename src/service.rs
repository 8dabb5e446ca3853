//! Talks to systemd: ready, alive, stopping. Without systemd nothing happens. The only module that names sd-notify.

use crate::pipeline::Pipeline;
use sd_notify::NotifyState;

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

/// Says how far reading is behind; where detection turns, feeds the watchdog.
pub fn alive(pipeline: &Pipeline, turns: bool) {
    let status = pipeline.source.snapshot();
    let lag: u64 = status.files.iter().map(|f| f.lag_bytes).sum();
    let text = format!("{} files, {lag} bytes behind", status.files.len());
    let watchdog = turns.then_some(NotifyState::Watchdog);
    let states: Vec<NotifyState<'_>> = watchdog.into_iter().chain([NotifyState::Status(&text)]).collect();
    let _ = sd_notify::notify(&states);
}

/// The service is about to stop.
pub fn stopping() {
    let _ = sd_notify::notify(&[NotifyState::Stopping]);
}
