//! Watches the limits and the clock: a limit that cuts something off, and events that are ahead of the collector's clock, are
//! reported, once an hour each, not once an event.

use crate::alert::Alert;
use crate::calendar::wall_clock_ms;
use crate::pipeline::Pipeline;
use crate::pipeline::detecting::Question;
use crate::state::record::LimitCounts;
use log::warn;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

/// How long the detect thread may take to answer; a busy one is asked again at the next turn.
const PATIENCE: Duration = Duration::from_secs(2);

/// What has been reported, limit by limit.
pub(super) struct Reached {
    limits: Vec<Report>,
    future: Report,
}

struct Report {
    /// The count that the last report told, or that stood at the start.
    told: u64,
    /// Hour of the last report.
    hour: i64,
}

impl Reached {
    /// `at_start`: what was cut off before this start was reported then.
    pub(super) fn since(at_start: &LimitCounts, future_at_start: u64) -> Reached {
        let told = |told| Report { told, hour: i64::MIN };
        Reached { limits: at_start.all().iter().map(|(_, n, _)| told(*n)).collect(), future: told(future_at_start) }
    }

    /// Looks at the counters and reports the limits that were reached since the last report.
    pub(super) fn check(&mut self, pipeline: &Pipeline) {
        let (reply, answer) = sync_channel(1);
        let ask: Question = Box::new(move |detector, _, _| {
            let _ = reply.send((detector.state.agent.limits.clone(), detector.state.agent.future));
        });
        if pipeline.questions.try_send(ask).is_err() {
            return;
        }
        let Ok((counts, future)) = answer.recv_timeout(PATIENCE) else { return };
        for alert in self.alerts(&counts, future, wall_clock_ms()) {
            warn!("{}", alert.evidence.notes.join("; "));
            let _ = pipeline.operational.try_send(alert);
        }
    }

    /// The reports that are due.
    fn alerts(&mut self, counts: &LimitCounts, future: u64, now_ms: i64) -> Vec<Alert> {
        let hour = now_ms.div_euclid(3_600_000);
        let mut due = Vec::new();
        for ((name, count, what), report) in counts.all().into_iter().zip(&mut self.limits) {
            let Some(new) = report.news(count, hour) else { continue };
            let sentence = format!("limits.{name} was reached {new} times since the last report: {what}");
            due.push(Alert::operational("limit-reached", name, sentence, now_ms));
        }
        if let Some(new) = self.future.news(future, hour) {
            let sentence = format!(
                "{new} events since the last report are ahead of this collector's clock, and teach nothing; \
                 if it is behind, set it (is time synchronised?), if the endpoints' clocks are ahead, set theirs"
            );
            due.push(Alert::operational("clock-differs", "clock", sentence, now_ms));
        }
        due
    }
}

impl Report {
    /// How much a count has grown since the last report, if a report is due. Then it counts as made.
    fn news(&mut self, count: u64, hour: i64) -> Option<u64> {
        if count <= self.told || self.hour == hour {
            return None;
        }
        let new = count - self.told;
        *self = Report { told: count, hour };
        Some(new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_reported_once_an_hour_with_all_that_came_since() {
        let mut counts = LimitCounts { max_guards: 7, ..LimitCounts::default() };
        let mut reached = Reached::since(&counts, 4);
        let mut at = |counts: &LimitCounts, minutes: i64| -> Vec<String> {
            let alerts = reached.alerts(counts, 4, minutes * 60_000);
            alerts.iter().map(|a| a.evidence.notes[0].split(" since").next().unwrap().to_owned()).collect()
        };
        assert!(at(&counts, 0).is_empty(), "what was cut before the start");
        counts.max_guards += 5;
        assert_eq!(at(&counts, 1), ["limits.max_guards was reached 5 times"]);
        counts.max_guards += 5;
        counts.max_bins += 1;
        assert_eq!(at(&counts, 2), ["limits.max_bins was reached 1 times"], "one limit does not silence another");
        counts.max_guards += 5;
        assert_eq!(at(&counts, 61), ["limits.max_guards was reached 10 times"]);
        assert!(at(&counts, 200).is_empty());
    }

    #[test]
    fn events_ahead_of_the_clock_are_reported_once_an_hour() {
        let counts = LimitCounts::default();
        let mut reached = Reached::since(&counts, 4);
        let mut at = |future: u64, minutes: i64| -> Vec<String> {
            let alerts = reached.alerts(&counts, future, minutes * 60_000);
            alerts.iter().map(|a| a.evidence.notes[0].split(" since").next().unwrap().to_owned()).collect()
        };
        assert!(at(4, 0).is_empty(), "those before the start");
        assert_eq!(at(6, 1), ["2 events"]);
        assert!(at(9, 59).is_empty());
        assert_eq!(at(9, 60), ["3 events"]);
    }
}
