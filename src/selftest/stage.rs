//! One set of compiled content with what a worker and the detect thread do to its events.

use super::saying;
use crate::alert::{Alert, AlertKind};
use crate::batch::{EventBatch, Format, KeyHasher, RawBatch, Remember};
use crate::calendar::{DAY_MS, Zone};
use crate::config::{DetectionSettings, Limits, Settings};
use crate::content::cases::{Earlier, Record, Test};
use crate::content::{self, Content};
use crate::detect::why_not::WhyNot;
use crate::detect::{Clock, Detector};
use crate::enrich::Enricher;
use crate::event::{EventType, FieldSet};
use crate::extract::Extractor;
use crate::pipeline::{bounds, names};
use crate::rule::Screen;
use crate::state::State;
use crate::worker::{Visit, Worker};
use std::sync::Arc;

/// Content and a worker that screens by it. Every test has a detector of its own.
pub(super) struct Stage {
    pub content: Arc<Content>,
    worker: Worker,
    wanted: [FieldSet; EventType::COUNT],
    hasher: KeyHasher,
}

/// What became of a test's last event.
pub(super) struct Judged {
    /// The alert of the rule.
    pub alert: Option<Alert>,
    /// Why the rule's hit raised none.
    pub why_not: Option<WhyNot>,
}

impl Stage {
    /// All rules are on: a rule that is switched off is tested like the others.
    pub fn new(mut content: Content) -> Stage {
        content.rules.iter_mut().for_each(|r| r.enabled = true);
        let screen = Arc::new(Screen::new(&content.rules, &content.models));
        let wanted = content::wanted(&screen, &Enricher::new(&content.tables));
        content.parsers.set_wanted(wanted);
        let content = Arc::new(content);
        let hasher = KeyHasher::default();
        let worker = Worker::new(
            Extractor::new(Arc::clone(&content), wanted, Vec::new()),
            screen,
            Zone::utc(),
            hasher.clone(),
            Limits::default().max_command_chars,
            Visit::of(&content.rules),
        );
        Stage { content, worker, wanted, hasher }
    }

    /// The content back, to change it.
    #[cfg(test)]
    pub fn into_content(self) -> Content {
        drop(self.worker);
        Arc::try_unwrap(self.content).unwrap()
    }

    /// What went otherwise than a test says, as a sentence.
    pub fn surprise(&mut self, rule: &str, test: &Test) -> Option<String> {
        let content = Arc::clone(&self.content);
        let Some((index, rule)) = content.rules.iter().enumerate().find(|(_, r)| r.id == rule) else {
            return Some("there is no such rule any more".into());
        };
        let test = &*test.filled();
        let judged = match self.play(index as u16, test) {
            Ok(judged) => judged,
            Err(why) => return Some(why),
        };
        saying::surprise(&content, rule, test, &judged)
    }

    /// Plays the events of a test, the last of them to an ear that hears why the rule says nothing.
    fn play(&mut self, rule: u16, test: &Test) -> Result<Judged, String> {
        let mut detector = self.detector(test)?;
        let last = self.screened(&test.record, test.time_ms)?;
        let Some(event) = last.events.first() else { return Err("the record is no event".into()) };
        let (time_ms, day) = (event.time_ms, event.day);
        let behind = test.clock_behind.unwrap_or_default();
        // Whatever comes ahead of the tested event is not in the future, unless the test is about the clock.
        let today = if test.clock_behind.is_some() { day.saturating_sub_unsigned(behind) } else { i32::MAX / 2 };
        detector.set_clock(Clock { today, detected_ms: None });
        let mut raised = Vec::new();
        for (earlier, ago, nth, n) in in_order(&test.history) {
            let record = earlier.record.numbered(n, nth);
            let at = time_ms.saturating_sub(ago.saturating_mul(DAY_MS));
            let mut batch = self.screened(&record, Some(at)).map_err(|e| format!("in the history: {e}"))?;
            for event in &mut batch.events {
                (event.time_ms, event.day) = (at, Zone::utc().day_of(at));
            }
            detector.judge(&batch, &mut raised);
        }
        raised.clear();
        detector.listen();
        detector.judge(&last, &mut raised);
        let id = self.content.rules.get(usize::from(rule)).map_or("", |r| r.id.as_str());
        let is_it = |alert: &Alert| alert.kind == AlertKind::Detection && alert.rule.id == id;
        Ok(Judged {
            alert: raised.into_iter().map(|(_, alert)| alert).find(is_it),
            why_not: detector.heard().into_iter().find(|(r, _)| *r == rule).map(|(_, why)| why),
        })
    }

    fn detector(&self, test: &Test) -> Result<Detector, String> {
        let mut limits = Limits::default();
        if let Some(max_bins) = test.settings.max_bins {
            limits.max_bins = max_bins;
        }
        let detection = DetectionSettings { strict: test.settings.strict, ..DetectionSettings::default() };
        let settings = Settings { detection: detection.clone(), limits: limits.clone(), ..Settings::default() };
        let bounds = bounds(&self.content, &settings).map_err(|e| e.to_string())?;
        let state = State::new(names(&self.content), bounds, self.hasher.clone());
        let extractor = Extractor::new(Arc::clone(&self.content), self.wanted, Vec::new());
        Ok(Detector::new(Arc::clone(&self.content), detection, limits, None, extractor, state))
    }

    /// One record as a worker screens it.
    fn screened(&mut self, record: &Record, time_ms: Option<i64>) -> Result<EventBatch, String> {
        let parsers = &self.content.parsers;
        match record {
            Record::Fields(kind, fields) => {
                let mut out = self.worker.screen(batch_of(None, None, Vec::new()), parsers, EventBatch::default());
                self.worker.screen_fields(*kind, time_ms.unwrap_or_default(), fields, &mut out);
                Ok(out)
            }
            Record::Line(line, header) => {
                let is_row = header.is_some() || !line.contains("CEF:");
                let format = if is_row { Format::Csv } else { Format::Cef };
                let batch = batch_of(Some(format), header.as_deref(), line.clone().into_bytes());
                let out = self.worker.screen(batch, parsers, EventBatch::default());
                match (out.rejected.first(), out.events.len()) {
                    (Some((_, reject, _)), _) => Err(format!("the line is no event: {reject}")),
                    (None, 1) => Ok(out),
                    (None, n) => Err(format!("the line holds {n} events; write one")),
                }
            }
        }
    }
}

/// The events of a history as they are read: entry, days before the tested event, number of the day in its entry, number of the
/// event on its day. In the order of the days, but for what comes late.
fn in_order(history: &[Earlier]) -> Vec<(&Earlier, i64, u64, u64)> {
    let mut events = Vec::new();
    for earlier in history {
        for (ago, nth) in (earlier.to..=earlier.from).rev().zip(1..) {
            events.extend((1..=earlier.each).map(|n| (earlier, ago, nth, n)));
        }
    }
    events.sort_by_key(|(earlier, ago, ..)| (earlier.late, if earlier.late { 0 } else { -ago }));
    events
}

/// A batch as the source would hand it on.
fn batch_of(format: Option<Format>, header: Option<&str>, data: Vec<u8>) -> RawBatch {
    RawBatch {
        format,
        header: header.map(|h| h.as_bytes().into()),
        data,
        ..RawBatch::empty(0, "test".into(), Remember::Forget)
    }
}
