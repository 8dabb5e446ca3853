//! Sinks: where durable alerts go. One sink a file; each runs in its own thread and owns its retries.
//!
//! A sink gets alerts in order of their sequence number, after the batch that caused them is durable, and reports the
//! highest number that is safely delivered. It never drops an alert and never blocks the pipeline: the outbox waits.

mod cef;
mod ecs;
pub mod escape;
mod file;
mod ocsf;
mod recall;
mod recent;
mod render;
mod runner;
#[cfg(test)]
mod samples;
mod status;
mod stdout;
mod syslog;
mod tree;

#[cfg(any(test, fuzzing))]
#[path = "../fuzz_entry/recalled.rs"]
pub mod fuzz_recalled;

pub use file::FileSink;
pub use render::{Rendered, render, render_within};
pub use runner::spawn;
pub use status::{SinkSnapshot, SinkStatus};
pub use stdout::StdoutSink;
pub use syslog::SyslogSink;

use crate::alert::{AgentIdentity, Alert};
use crate::config::Settings;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A durable alert on its way out.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// Position in the outbox, from 1, without gaps.
    pub seq: u64,
    /// The alert.
    pub alert: Arc<Alert>,
}

/// What a sink tells the detect thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acknowledged {
    /// Index of the sink.
    pub sink: usize,
    /// All alerts up to this number are delivered (or were below `min_score`, or suppressed).
    pub seq: u64,
    /// How many of them, since the last acknowledgement, were below `min_score`.
    pub below_min_score: u64,
    /// How far the sink's file reached when `seq` was delivered; commit it together with `seq`.
    pub mark: Option<FileMark>,
}

/// How far an alert file had been written. Committed with the acknowledged number, it says where to look for alerts that
/// were delivered but not acknowledged when the agent died.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileMark {
    /// Device number.
    pub device: u64,
    /// Inode number; 0 when there was no file.
    pub inode: u64,
    /// Bytes up to the end of the last whole line that is acknowledged.
    pub length: u64,
}

impl FileMark {
    /// There was no alert file: whatever is in one that has come since was written since.
    pub const ABSENT: FileMark = FileMark { device: 0, inode: 0, length: 0 };
}

/// Why a delivery failed: what, where and what to do, one sentence. Every failure is tried again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SinkError(pub String);

/// What a sink has to say about itself besides errors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SinkNotes {
    /// Alerts that were found delivered already and not delivered again.
    pub repeats_dropped: u64,
    /// Alerts that had to be cut to fit.
    pub truncated: u64,
    /// Alerts that were delivered again because the place that had taken them lost them.
    pub delivered_again: u64,
    /// The alert file of the last run is gone: what was delivered just before the agent died may be delivered again.
    pub dedup_lost: bool,
}

/// A place where alerts go.
pub trait Sink {
    /// A short name that stays the same over restarts: `file`, `syslog`.
    fn name(&self) -> &str;

    /// Delivers alerts from the front of the batch and says how many, at least one unless the batch is empty.
    ///
    /// # Errors
    /// When not even the first could be delivered. It is given again later.
    fn deliver(&mut self, batch: &[Outgoing]) -> Result<usize, SinkError>;

    /// Makes what was delivered safe, as far as the sink promises it. Called before an acknowledgement.
    ///
    /// # Errors
    /// When that failed: everything since the last good flush is delivered again.
    fn flush(&mut self) -> Result<(), SinkError>;

    /// Whether it could deliver now; opens what it delivers to. Asked before there is anything to deliver.
    ///
    /// # Errors
    /// Why not. It is asked again later.
    fn probe(&mut self) -> Result<(), SinkError> {
        Ok(())
    }

    /// Does before the first delivery what a start need not wait for. Called once, after the first probe.
    fn prepare(&mut self) {}

    /// How far the file of this sink reaches, valid after a good flush.
    fn mark(&self) -> Option<FileMark> {
        None
    }

    /// What there is to say besides errors.
    fn notes(&self) -> SinkNotes {
        SinkNotes::default()
    }
}

/// A sink and the score from which detections are delivered to it.
pub struct Configured {
    /// The sink.
    pub sink: Box<dyn Sink + Send>,
    /// Detections below this score are not delivered.
    pub min_score: u32,
}

/// The sinks that the settings name: the file first, then syslog. `resume` is the file's mark of the last commit, `None`
/// when there was none.
pub fn configured(settings: &Settings, identity: &AgentIdentity, resume: Option<FileMark>) -> Vec<Configured> {
    let mut sinks = Vec::new();
    if let Some(file) = &settings.sink_file {
        let sink = FileSink::new(file.clone(), identity.clone(), resume);
        sinks.push(Configured { sink: Box::new(sink), min_score: file.min_score });
    }
    if let Some(syslog) = &settings.sink_syslog {
        let sink = SyslogSink::new(syslog.clone(), identity.clone());
        sinks.push(Configured { sink: Box::new(sink), min_score: syslog.min_score });
    }
    sinks
}

#[cfg(test)]
mod tests;
