//! Sinks: where durable alerts go. One sink a file; each runs in its own thread and owns its retries.
//!
//! A sink gets alerts in order of their sequence number, after the batch that caused them is durable, and reports the
//! highest number that is safely delivered. It never drops an alert and never blocks the pipeline: the outbox waits.

use crate::alert::Alert;
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
    /// All alerts up to this number are delivered (or were below `min_score`).
    pub seq: u64,
    /// How many of them were below `min_score`.
    pub below_min_score: u64,
}
