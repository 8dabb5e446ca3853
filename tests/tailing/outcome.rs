//! What a run left: read from the stopped store, the alert file and the source's last words; compared with what a script
//! expects. Conservation is asserted for every run.

use super::act::numbers;
use super::agent::Agent;
use super::script::Expect;
use crate::support::stopped;
use exfil_agent::batch::Tally;
use exfil_agent::event::{Oddity, Reject};
use exfil_agent::source::{FileState, SourceSnapshot};
use exfil_agent::state::key::Key;
use exfil_agent::state::record::{AgentRecord, FileRecord, SinkRecord};
use exfil_agent::store::codec;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::Path;

/// An alert that says which record was judged.
#[derive(Debug)]
pub struct Judged {
    pub number: usize,
    pub file: String,
    pub offset: usize,
    pub line: usize,
}

#[derive(Debug, Default)]
pub struct Outcome {
    pub judged: Vec<Judged>,
    pub files: Vec<FileRecord>,
    pub total: Tally,
    agent: AgentRecord,
    sink: SinkRecord,
    delivered: u64,
}

impl Outcome {
    /// Of a stopped agent.
    pub fn of(state_dir: &Path, alert_file: &Path) -> Outcome {
        let mut out = Outcome::default();
        let store = stopped(state_dir);
        let mut from = Vec::new();
        loop {
            let page = store.scan(&from, b"", 1 << 20).unwrap();
            let Some((last, _)) = page.last() else { break };
            from = last.clone();
            from.push(0);
            for (key, value) in &page {
                match Key::decode(key) {
                    Some(Key::File(_)) => out.files.push(codec::decode(value).unwrap()),
                    Some(Key::Agent) => out.agent = codec::decode(value).unwrap(),
                    Some(Key::Sink(name)) if name == "file" => out.sink = codec::decode(value).unwrap(),
                    _ => {}
                }
            }
        }
        out.total = out.agent.forgotten.clone();
        out.files.iter().for_each(|f| out.total.merge(&f.tally));
        let alerts = std::fs::read_to_string(alert_file).unwrap_or_default();
        let mut ids = BTreeSet::new();
        for line in alerts.lines() {
            let alert: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
            assert!(ids.insert(alert["id"].to_string()), "an alert twice: {line}");
            out.delivered += 1;
            if alert["rule"]["id"] == "Exfil-Tunnel-Tools-Exec" {
                let user = alert["entity"]["value"].as_str().unwrap();
                let origin = &alert["origin"];
                out.judged.push(Judged {
                    number: user.trim_start_matches("corp\\u").parse().unwrap_or_else(|e| panic!("{e}: {line}")),
                    file: origin["file"].as_str().unwrap().to_owned(),
                    offset: origin["offset"].as_u64().unwrap() as usize,
                    line: origin["line"].as_u64().unwrap() as usize,
                });
            }
        }
        out
    }

    /// What is counted adds up, and what was read is accounted for.
    pub fn check_conservation(&self, source: &SourceSnapshot) {
        for f in &self.files {
            assert!(f.tally.adds_up(), "records = events + rejects + headers + blank: {f:?}");
        }
        assert!(self.total.adds_up());
        for f in &source.files {
            let is_whole = matches!(f.state, FileState::Reading | FileState::Waiting | FileState::Unreadable);
            let is_plain = ![".gz", ".zst", ".u16"].iter().any(|end| f.path.ends_with(end));
            if is_whole && is_plain {
                assert_eq!(f.offset + f.lag_bytes, f.size, "bytes = consumed + pending: {f:?}");
            }
        }
        assert_eq!(self.sink.seq, self.agent.alerts, "nothing is queued after a graceful stop");
        let kept_back = self.sink.below_min_score + self.agent.suppressed;
        assert_eq!(self.delivered, self.agent.alerts - kept_back, "alerts = delivered + below + suppressed + queued");
    }

    /// Each of these records was judged once and no other, in order, and its alert says where it stands.
    pub fn check_judged(&self, expected: &[usize], unordered: bool, spool: &Path) {
        self.check_times(expected, 0);
        if !unordered {
            self.check_order();
        }
        self.check_places(spool);
    }

    /// Each record was judged, and `again` of them a second time.
    fn check_times(&self, expected: &[usize], again: u64) {
        let got: BTreeSet<usize> = self.judged.iter().map(|j| j.number).collect();
        let want: BTreeSet<usize> = expected.iter().copied().collect();
        let missing: Vec<_> = want.difference(&got).collect();
        let extra: Vec<_> = got.difference(&want).collect();
        assert!(
            missing.is_empty() && extra.is_empty(),
            "never judged: {missing:?}; judged, though nobody expects: {extra:?}"
        );
        // A record that is judged again raises no second alert, but it is counted.
        let times = self.total.events.total();
        assert_eq!(times, want.len() as u64 + again, "records judged, of {} different ones", want.len());
    }

    fn check_order(&self) {
        let mut last: BTreeMap<&str, usize> = BTreeMap::new();
        for j in &self.judged {
            let before = last.insert(&j.file, j.number);
            assert!(before.is_none_or(|b| b < j.number), "record {} of {} came after {before:?}", j.number, j.file);
        }
    }

    /// If a record still stands somewhere, then at the place that its alert names.
    fn check_places(&self, spool: &Path) {
        let Ok(entries) = std::fs::read_dir(spool) else { return };
        let files = entries.map(|e| e.unwrap().path()).filter(|p| p.symlink_metadata().is_ok_and(|m| m.is_file()));
        let texts: Vec<Vec<u8>> = files.filter_map(|p| decoded(&p)).collect();
        for j in &self.judged {
            let names = [format!("CORP\\u{} ", j.number), format!("CORP\\u{},", j.number)];
            let names = |text: &[u8]| names.iter().any(|n| memchr::memmem::find(text, n.as_bytes()).is_some());
            let there: Vec<&Vec<u8>> = texts.iter().filter(|t| names(t)).collect();
            let is_there = |text: &&Vec<u8>| {
                let Some(record) = text.get(j.offset..).and_then(|r| r.split(|b| *b == b'\n').next()) else {
                    return false;
                };
                let line = text[..j.offset].iter().filter(|b| **b == b'\n').count() + 1;
                names(record) && line == j.line && (record.starts_with(b"CEF:") || record.starts_with(b"ProcessA"))
            };
            assert!(there.is_empty() || there.iter().any(is_there), "not where its alert says: {j:?}");
        }
    }

    /// Compares with what a script expects.
    pub fn check(&self, expect: &Expect, agent: &dyn Agent) {
        let source = agent.lives().last().cloned().unwrap_or_default();
        self.check_conservation(&source);
        if !agent.was_killed() {
            let consumed: u64 = agent.lives().iter().map(|life| life.consumed_bytes).sum();
            assert_eq!(self.total.bytes, consumed, "bytes judged = bytes consumed");
        }
        let judged = expect.judged.as_deref().expect("every script says which lines are judged");
        self.check_times(&numbers(judged), expect.judged_again.unwrap_or(0));
        if !expect.unordered.unwrap_or(false) {
            self.check_order();
        }
        self.check_places(&agent.spool());
        let named = |of: &dyn Fn(usize) -> (String, u64), n: usize| -> BTreeMap<String, u64> {
            (0..n).map(of).filter(|(_, count)| *count > 0).collect()
        };
        let rejects = named(&|i| (Reject::ALL[i].name().to_owned(), self.total.rejects.get(i)), Reject::ALL.len());
        let oddities = named(&|i| (Oddity::ALL[i].name().to_owned(), self.total.oddities.get(i)), Oddity::ALL.len());
        assert_eq!(rejects, expect.rejects.clone().unwrap_or_default(), "rejects");
        if let Some(want) = &expect.oddities {
            assert_eq!(&oddities, want, "oddities");
        }
        if let Some(want) = expect.headers {
            assert_eq!(self.total.headers, want, "header records");
        }
        if let Some(want) = expect.blank {
            assert_eq!(self.total.blank, want, "blank lines");
        }
        if let Some(want) = expect.positions {
            assert_eq!(self.files.len(), want, "positions kept");
        }
        if let Some(want) = expect.pending {
            assert_eq!(source.pending_bytes(), want, "bytes that wait: {:?}", source.files);
        }
        // Counters do not outlive a process that is killed.
        if let Some(want) = &expect.counters
            && !agent.was_killed()
        {
            let got = counters(agent.lives());
            for (name, want) in want {
                assert_eq!(got.get(name), Some(want), "{name} of {got:?}");
            }
        }
        for (name, want) in expect.states.iter().flatten() {
            let end = format!("/{name}");
            let states: Vec<String> = source
                .files
                .iter()
                .filter(|f| f.path.ends_with(&end))
                .map(|f| serde_json::to_value(f.state).unwrap().as_str().unwrap().to_owned())
                .collect();
            assert!(states.contains(want), "{name} is {states:?}, not {want}; {:?}", source.files);
        }
        if let Some(want) = &expect.missing {
            let why = source.spools[0].missing.clone().unwrap_or_default();
            assert!(why.starts_with(want.as_str()), "the spool is missing because {why:?}");
        } else {
            assert_eq!(source.spools[0].missing, None);
        }
        if let Some(log) = agent.log() {
            for (text, times) in expect.says.iter().flatten() {
                assert_eq!(log.matches(text.as_str()).count(), *times, "{text:?} in the log:\n{log}");
            }
        }
    }
}

/// All counters, summed over the lives of an agent.
fn counters(lives: &[SourceSnapshot]) -> BTreeMap<String, u64> {
    let mut sum = BTreeMap::new();
    for life in lives {
        let counters = serde_json::to_value(&life.counters).unwrap();
        for (name, n) in counters.as_object().unwrap() {
            *sum.entry(name.clone()).or_default() += n.as_u64().unwrap();
        }
    }
    sum
}

/// The uncompressed text of a file, as far as it goes; by means of its own.
fn decoded(path: &Path) -> Option<Vec<u8>> {
    let raw = std::fs::read(path).ok()?;
    let mut text = Vec::new();
    match raw.get(..2) {
        Some([0x1f, 0x8b]) => {
            let _ = flate2::read::MultiGzDecoder::new(&raw[..]).read_to_end(&mut text);
        }
        Some([0x28, 0xb5]) => {
            let _ = zstd::stream::read::Decoder::new(&raw[..]).ok()?.read_to_end(&mut text);
        }
        Some([0xff, 0xfe]) => {
            let units = raw[2..].chunks_exact(2).map(|c| u16::from_le_bytes([c[0], c[1]]));
            text = char::decode_utf16(units).map(|c| c.unwrap_or('\u{fffd}')).collect::<String>().into_bytes();
        }
        Some([0xfe, 0xff]) => {
            let units = raw[2..].chunks_exact(2).map(|c| u16::from_be_bytes([c[0], c[1]]));
            text = char::decode_utf16(units).map(|c| c.unwrap_or('\u{fffd}')).collect::<String>().into_bytes();
        }
        _ => text = raw,
    }
    Some(text)
}
