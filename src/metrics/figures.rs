//! What a page is made from, and where it comes from: what the threads of a pipeline say about themselves, and one answer of
//! detection. Instants are milliseconds since the epoch.

use crate::calendar::wall_clock_ms;
use crate::content::Content;
use crate::detect::counted::Counted;
use crate::event::FieldSet;
use crate::pipeline::Pipeline;
use crate::pipeline::committer::CommitStatus;
use crate::pipeline::detecting::Question;
use crate::pipeline::summary::Summary;
use crate::sink::{SinkSnapshot, SinkStatus};
use crate::source::{ReadProgress, SourceStatus};
use crossbeam_channel::{Sender, bounded};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How long detection may take to answer; it does within a batch.
const PATIENCE: Duration = Duration::from_secs(2);

/// The figures of one moment.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    /// When the process began to tell.
    pub started_ms: i64,
    /// Now.
    pub now_ms: i64,
    /// When detection answered last.
    pub observed_ms: Option<i64>,
    /// What it said.
    pub summary: Summary,
    /// What it has done.
    pub counted: Counted,
    /// Rules that are switched on, but for those that come from Sigma rules, and whether each is inert: a set of three thousand
    /// must not make as many series. One of them has a series once it has raised an alert.
    pub rules: Vec<(String, bool)>,
    /// How many rules are switched on.
    pub enabled_rules: usize,
    /// Rules that are switched off.
    pub disabled_rules: usize,
    /// Parsers, by index.
    pub parsers: Vec<String>,
    /// Reading.
    pub reading: ReadProgress,
    /// Sinks by name.
    pub sinks: Vec<(String, SinkSnapshot)>,
    /// Commits.
    pub commits: CommitStatus,
}

/// The ways to a running pipeline's figures.
#[derive(Clone)]
pub(super) struct Sources {
    questions: Sender<Question>,
    commits: Arc<Mutex<CommitStatus>>,
    source: Arc<SourceStatus>,
    sinks: Vec<(String, Arc<SinkStatus>)>,
    content: Arc<Content>,
}

/// What detection answers.
struct Answer {
    summary: Summary,
    counted: Counted,
    carried: Vec<FieldSet>,
    /// Event types of which something was read.
    read: Vec<bool>,
}

impl Figures {
    /// Nothing yet.
    pub(super) fn starting_at(started_ms: i64) -> Figures {
        Figures { started_ms, now_ms: started_ms, ..Figures::default() }
    }

    /// Bytes of a spool that are not judged yet: unread, and read but still on their way. Of compressed files the unread part
    /// is counted as it stands on the disk.
    pub fn lag_bytes(&self, spool: usize) -> u64 {
        let Some(reading) = self.reading.spools.get(spool) else { return 0 };
        let judged = self.counted.spools.get(spool).map_or(0, |s| s.tally.bytes);
        reading.unread_bytes + reading.consumed_bytes.saturating_sub(judged)
    }

    /// Seconds from the oldest event that waits to now; 0 when nothing waits, `None` while nobody knows.
    pub fn lag_secs(&self) -> Option<f64> {
        if !self.reading.surveyed {
            return None;
        }
        let behind = (0..self.reading.spools.len()).filter(|at| self.lag_bytes(*at) > 0);
        let oldest_of = |at: usize| {
            let next = self.reading.spools.get(at).and_then(|s| s.next_event_ms);
            next.or(self.counted.spools.get(at).and_then(|s| s.newest_event_ms))
        };
        let mut behind = behind.peekable();
        if behind.peek().is_none() {
            return Some(0.0);
        }
        let oldest = self.reading.oldest_unread_ms.or_else(|| behind.filter_map(oldest_of).min())?;
        Some((self.now_ms.saturating_sub(oldest)).max(0) as f64 / 1000.0)
    }
}

impl Sources {
    pub(super) fn of(pipeline: &Pipeline, content: &Arc<Content>) -> Sources {
        Sources {
            questions: pipeline.questions.clone(),
            commits: Arc::clone(&pipeline.commits),
            source: Arc::clone(&pipeline.source),
            sinks: pipeline.sinks.clone(),
            content: Arc::clone(content),
        }
    }

    /// Takes new figures. What detection says stays as it was when it does not answer.
    pub(super) fn look(&self, figures: &mut Figures) {
        if let Some(Answer { summary, counted, carried, read }) = self.ask() {
            let enabled = self.content.rules.iter().filter(|r| r.enabled);
            figures.enabled_rules = enabled.clone().count();
            figures.rules = enabled
                .filter(|r| r.sigma.is_none())
                .map(|r| {
                    // Before the first event of a type there is nothing to say about its fields.
                    let is_asked = r.types().any(|t| read.get(t.index()) == Some(&true));
                    (r.id.clone(), is_asked && r.inert(&carried).is_some())
                })
                .collect();
            figures.disabled_rules = self.content.rules.len() - figures.enabled_rules;
            (figures.summary, figures.counted) = (summary, counted);
            figures.observed_ms = Some(wall_clock_ms());
        }
        figures.parsers = self.content.parsers.ids().into_iter().map(Into::into).collect();
        figures.reading = self.source.progress();
        figures.sinks = self.sinks.iter().map(|(name, status)| (name.clone(), status.snapshot())).collect();
        figures.commits = super::lock(&self.commits).clone();
        figures.now_ms = wall_clock_ms();
    }

    fn ask(&self) -> Option<Answer> {
        let (reply, answer) = bounded(1);
        let ask: Question = Box::new(move |detector, outbox, queued_batches| {
            let agent = &detector.state.agent;
            let _ = reply.send(Answer {
                summary: Summary::of(detector, outbox, queued_batches),
                counted: detector.counted(),
                carried: agent.carried.clone(),
                read: agent.oldest_days.iter().map(Option::is_some).collect(),
            });
        });
        self.questions.send_timeout(ask, PATIENCE).ok()?;
        answer.recv_timeout(PATIENCE).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::counted::SpoolCount;
    use crate::source::SpoolProgress;

    #[test]
    fn lag_is_what_is_unread_and_what_is_on_its_way_and_its_age_that_of_the_oldest() {
        let spool = |unread_bytes, consumed_bytes, next_event_ms| SpoolProgress {
            unread_bytes,
            consumed_bytes,
            next_event_ms,
            ..SpoolProgress::default()
        };
        let mut figures = Figures { now_ms: 100_000, ..Figures::default() };
        figures.reading.spools = vec![spool(0, 500, None), spool(0, 0, None)];
        assert_eq!(figures.lag_secs(), None, "before the first look at the spools");
        figures.reading.surveyed = true;
        let mut count = SpoolCount { newest_event_ms: Some(40_000), ..SpoolCount::default() };
        count.tally.bytes = 500;
        figures.counted.spools = vec![count];
        assert_eq!((figures.lag_bytes(0), figures.lag_bytes(1), figures.lag_bytes(9)), (0, 0, 0));
        assert_eq!(figures.lag_secs(), Some(0.0));
        figures.reading.spools[0].consumed_bytes = 650;
        figures.reading.spools[0].unread_bytes = 7;
        assert_eq!(figures.lag_bytes(0), 157);
        assert_eq!(figures.lag_secs(), Some(60.0), "since the newest event that was judged");
        figures.reading.spools[1] = spool(1, 0, Some(30_000));
        assert_eq!(figures.lag_secs(), Some(70.0));
        figures.reading.oldest_unread_ms = Some(10_000);
        assert_eq!(figures.lag_secs(), Some(90.0), "a backlog knows its oldest");
        figures.now_ms = 0;
        assert_eq!(figures.lag_secs(), Some(0.0), "a clock that was set back");
    }
}
