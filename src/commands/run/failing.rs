//! Watches the sinks: one that has failed for five minutes is reported, once an hour while it does. The report goes out by
//! the other sinks, and by this one when it works again.

use crate::alert::Alert;
use crate::calendar::wall_clock_ms;
use crate::pipeline::Pipeline;
use crate::sink::SinkSnapshot;
use log::warn;
use std::collections::BTreeMap;

/// How long a sink may fail before it is news: a daemon that is started anew takes less.
const PATIENCE_MS: i64 = 5 * 60_000;

/// Hours of the last reports, by sink.
#[derive(Default)]
pub(super) struct Failing(BTreeMap<String, i64>);

impl Failing {
    /// Looks at the sinks and reports those that fail.
    pub(super) fn check(&mut self, pipeline: &Pipeline) {
        let sinks: Vec<SinkSnapshot> = pipeline.sinks.iter().map(|(_, status)| status.snapshot()).collect();
        for alert in self.alerts(&sinks, wall_clock_ms()) {
            warn!("{}", alert.evidence.notes.join("; "));
            let _ = pipeline.operational.try_send(alert);
        }
    }

    /// The reports that are due.
    fn alerts(&mut self, sinks: &[SinkSnapshot], now_ms: i64) -> Vec<Alert> {
        let hour = now_ms.div_euclid(3_600_000);
        let mut due = Vec::new();
        for sink in sinks {
            let failing_ms = sink.failing_since_ms.map_or(0, |since| now_ms - since);
            if failing_ms < PATIENCE_MS || self.0.get(&sink.name) == Some(&hour) {
                continue;
            }
            self.0.insert(sink.name.clone(), hour);
            let why = sink.last_error.as_deref().unwrap_or("no reason is known");
            let minutes = failing_ms / 60_000;
            let sentence = format!(
                "the sink {} has failed for {minutes} minutes; {} alerts wait for it and are kept: {why}",
                sink.name, sink.waiting
            );
            due.push(Alert::operational("sink-failing", &sink.name, sentence, now_ms));
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sink_that_fails_is_reported_after_five_minutes_and_once_an_hour() {
        let sink = |since: Option<i64>| SinkSnapshot {
            name: "syslog".into(),
            waiting: 3,
            last_error: Some("no such file".into()),
            failing_since_ms: since,
            ..SinkSnapshot::default()
        };
        let mut failing = Failing::default();
        let mut at = |minutes: i64, since: Option<i64>| -> Vec<String> {
            let alerts = failing.alerts(&[sink(since), sink(None)], minutes * 60_000);
            alerts.into_iter().map(|a| a.evidence.notes[0].clone()).collect()
        };
        assert!(at(60, None).is_empty());
        assert!(at(64, Some(60 * 60_000)).is_empty(), "it may come back by itself");
        let said = "the sink syslog has failed for 5 minutes; 3 alerts wait for it and are kept: no such file";
        assert_eq!(at(65, Some(60 * 60_000)), [said]);
        assert!(at(119, Some(60 * 60_000)).is_empty());
        assert_eq!(at(120, Some(60 * 60_000)).len(), 1);
        assert!(at(121, None).is_empty());
        assert!(at(182, Some(180 * 60_000)).is_empty(), "it failed anew, not for long");
    }
}
