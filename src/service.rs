//! Talks to systemd: ready, alive, stopping. Without systemd nothing happens. The only module that names sd-notify.

use crate::pipeline::Pipeline;
use sd_notify::NotifyState;

/// State and sinks are open: the service has started.
pub fn ready() {
    let _ = sd_notify::notify(&[NotifyState::Ready]);
}

/// The agent turns: feeds the watchdog and says how far reading is behind.
pub fn alive(pipeline: &Pipeline) {
    let status = pipeline.source.snapshot();
    let lag: u64 = status.files.iter().map(|f| f.lag_bytes).sum();
    let text = format!("{} files, {lag} bytes behind", status.files.len());
    let _ = sd_notify::notify(&[NotifyState::Watchdog, NotifyState::Status(&text)]);
}

/// The service is about to stop.
pub fn stopping() {
    let _ = sd_notify::notify(&[NotifyState::Stopping]);
}
