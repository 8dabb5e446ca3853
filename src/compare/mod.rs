//! Two ways to judge the same records, side by side: which alerts only one of them makes, which differ in score, and how much
//! each of them makes, by rule, day and user.
//!
//! Both sides are whole pipelines with a state of their own that is thrown away; they read the same files at the same time.
//! What differs is paired as it comes, so that memory holds differences and counts, and not all alerts.

mod collector;
mod pairing;
mod why;

pub use pairing::{Counted, Difference, Subject, Which};

use crate::calendar::Zone;
use crate::config::{FormatSetting, Settings};
use crate::content::Content;
use crate::enrich::Directory;
use crate::exit::{self, Failure};
use crate::pipeline::detecting::{Progress, TimeSource};
use crate::pipeline::restoring::Others;
use crate::pipeline::{Pipeline, Plan, SinkPlan};
use crate::source::Mode;
use collector::Collector;
use pairing::Pairing;
use serde::Serialize;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// One way to judge.
#[derive(Clone)]
pub struct Side {
    /// What the user calls it.
    pub label: String,
    /// Settings.
    pub settings: Settings,
    /// Content.
    pub content: Arc<Content>,
    /// The site's directory of peer groups.
    pub directory: Option<Arc<Directory>>,
}

/// What both sides read.
#[derive(Clone)]
pub struct Input {
    /// Files and directories, in this order.
    pub paths: Vec<PathBuf>,
    /// Their format.
    pub format: FormatSetting,
    /// What the collector's clock says, ms since the epoch.
    pub now_ms: i64,
}

/// What came out, for one side.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Total {
    /// What the user calls it.
    pub label: String,
    /// Records that became events.
    pub events: u64,
    /// Records that did not.
    pub rejects: u64,
    /// Alerts that sinks would have got.
    pub alerts: u64,
}

/// The two sides compared.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    /// The first side.
    pub a: Total,
    /// The second side.
    pub b: Total,
    /// Alerts that both make, with the same score.
    pub same: u64,
    /// Alerts that both make, with another score.
    pub score_changed: u64,
    /// Alerts of the first side alone.
    pub only_a: u64,
    /// Alerts of the second side alone.
    pub only_b: u64,
    /// By rule id.
    pub rules: Vec<Counted>,
    /// By day of the events, `2026-03-14`.
    pub days: Vec<Counted>,
    /// By user, and by host where a rule is about hosts: most differences first.
    pub entities: Vec<Counted>,
    /// What differs, by time.
    pub differences: Vec<Difference>,
    /// Files that could not be read to their end.
    pub not_read: Vec<String>,
}

/// Judges the same records both ways. With `explain`, each difference says what made it. `progress` hears of the first side.
///
/// # Errors
/// What keeps a pipeline from starting or made it end.
pub fn compare(
    sides: &[Side; 2],
    input: &Input,
    explain: bool,
    progress: Box<dyn FnMut(&Progress) + Send>,
) -> Result<Comparison, Failure> {
    let [a, b] = sides;
    let zone = Zone::named(&a.settings.detection.timezone).map_err(|e| Failure::new(exit::CONFIG, e))?;
    let pairing = Arc::new(Mutex::new(Pairing::new(zone, explain)));
    let first = start(a, input, Collector::new(Which::A, Arc::clone(&pairing)), progress)?;
    let second = match start(b, input, Collector::new(Which::B, Arc::clone(&pairing)), Box::new(|_| {})) {
        Ok(second) => second,
        Err(e) => {
            first.stop.stop();
            let _ = first.join();
            return Err(e);
        }
    };
    let sources = [Arc::clone(&first.source), Arc::clone(&second.source)];
    let (_, done_a) = first.join()?;
    let (_, done_b) = second.join()?;
    let mut not_read: Vec<String> = sources.iter().flat_map(|source| source.snapshot().failed).collect();
    not_read.sort();
    not_read.dedup();
    let pairing = std::mem::take(&mut *pairing.lock().unwrap_or_else(PoisonError::into_inner));
    let total = |side: &Side, done: &Progress, alerts: u64| Total {
        label: side.label.clone(),
        events: done.events,
        rejects: done.rejects,
        alerts,
    };
    let paired = pairing.finish(|alert, which| {
        let (here, there) = if which == Which::A { (a, b) } else { (b, a) };
        why::only_here(alert, here, there)
    });
    Ok(Comparison {
        a: total(a, &done_a, paired.alerts.a),
        b: total(b, &done_b, paired.alerts.b),
        same: paired.same,
        score_changed: paired.alerts.changed,
        only_a: paired.alerts.only_a,
        only_b: paired.alerts.only_b,
        rules: paired.rules,
        days: paired.days,
        entities: paired.entities,
        differences: paired.differences,
        not_read,
    })
}

fn start(
    side: &Side,
    input: &Input,
    collector: Collector,
    progress: Box<dyn FnMut(&Progress) + Send>,
) -> Result<Pipeline, Failure> {
    let plan = Plan {
        settings: Settings { sink_file: None, sink_syslog: None, ..side.settings.clone() },
        content: Arc::clone(&side.content),
        directory: side.directory.clone(),
        mode: Mode::Once { paths: input.paths.clone(), format: input.format },
        state: None,
        others: Others::AtOnce,
        sinks: vec![SinkPlan { name: "compare".into(), min_score: 0, open: Box::new(move |_| Box::new(collector)) }],
        time: TimeSource::Fixed(input.now_ms),
        drain_fully: true,
    };
    Pipeline::start(plan, progress)
}

#[cfg(test)]
mod tests;
