//! What the same records give where nothing fails, and what may never be seen where something does.

use crate::site::{self, Site, id_of, office};
use crate::support::{Replay, dump};
use exfil_agent::config::Settings;
use exfil_agent::content::{self, Content};
use serde_json::Value;
use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The outcome of an uninterrupted replay of one file, `a.cef`.
pub struct Expected {
    pub text: String,
    pub ids: Vec<String>,
    state: String,
    files: String,
    content: Arc<Content>,
}

impl Expected {
    /// Of a small office.
    pub fn of(lines: usize) -> Expected {
        let expected = Expected::of_text(office(lines).join("\n") + "\n");
        assert!(expected.ids.len() > 20, "the office must give alerts: {}", expected.ids.len());
        expected
    }

    pub fn of_text(text: String) -> Expected {
        let dir = TempDir::new().unwrap();
        let file = dir.path().join("a.cef");
        fs::write(&file, &text).unwrap();
        let outcome = Replay::new("", 1).over(&[file]);
        let ids = outcome.alerts.lines().map(id_of).collect();
        let settings = Settings::default();
        let content = Arc::new(content::load(&settings.detection).unwrap());
        Expected { text, ids, state: outcome.state, files: outcome.files, content }
    }

    /// Compares a stopped state with what it should be, and the records that were judged.
    pub fn assert_state(&self, state: &Path, about: &str) {
        let (rows, files) = dump(state, &self.content, &Settings::default());
        assert_eq!(rows, self.state, "the logical state; {about}");
        assert_eq!(files, self.files, "records judged; {about}");
    }

    /// Compares alerts, each once and in order, and state.
    pub fn assert_left(&self, state: &Path, alerts: &Path, about: &str) {
        assert_eq!(detections(alerts), self.ids, "each alert once, in order; {about}");
        self.assert_state(state, about);
    }

    /// Compares alerts, each at least once and in order where it first stands, and state.
    pub fn assert_left_with_repeats(&self, state: &Path, alerts: &Path, about: &str) {
        let mut seen = HashSet::new();
        let first: Vec<String> = detections(alerts).into_iter().filter(|id| seen.insert(id.clone())).collect();
        assert_eq!(first, self.ids, "each alert, in order; {about}");
        self.assert_state(state, about);
    }
}

/// The ids in an alert file.
pub fn detections(alerts: &Path) -> Vec<String> {
    site::detections(&fs::read_to_string(alerts).unwrap_or_default())
}

/// What the log may never show, whatever fails.
pub fn assert_decent(log: &str, about: &str) {
    for word in ["panicked at", "stack backtrace", "RUST_BACKTRACE", "sled github", "called `", "hit error while"] {
        assert!(!log.contains(word), "{word:?} in the log; {about}\n{log}");
    }
}

/// What a running agent says of itself; `None` when it does not answer.
pub fn status(site: &Site) -> Option<Value> {
    let status: Value = serde_json::from_slice(&site.ctl(&["status"]).stdout).ok()?;
    (status["source"]["agent"] == "running").then_some(status)
}

/// Waits until a running agent has judged and delivered everything, and checks that it adds up.
pub fn wait_for_all(site: &Site, expected: &Expected, alerts: &Path, about: &str) {
    let since = Instant::now();
    loop {
        let status = status(site);
        let (there, wanted) = (detections(alerts).len(), expected.ids.len());
        let judged = status.as_ref().is_some_and(|s| s["bytes"] == expected.text.len() && s["sinks"][0]["queued"] == 0);
        if there >= wanted && judged {
            break;
        }
        let late = since.elapsed() > Duration::from_secs(60);
        assert!(!late, "{there} of {wanted} alerts after a minute; {about}; {}; {status:?}", site.log());
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_conserved(site, expected.text.len());
}

/// Records and alerts add up in a running agent that has nothing to do.
fn assert_conserved(site: &Site, bytes: usize) {
    let status = status(site).unwrap_or_else(|| panic!("{:?}", site.ctl(&["status"])));
    let number = |v: &Value| v.as_u64().unwrap();
    let sum = |name: &str| status[name].as_object().unwrap().values().map(number).sum::<u64>();
    let parts = sum("events") + sum("rejects") + number(&status["headers"]) + number(&status["blank"]);
    assert_eq!(number(&status["records"]), parts, "records = events + rejects + headers + blank: {status}");
    let pending: u64 = status["files"].as_array().unwrap().iter().map(|f| f["lag_bytes"].as_u64().unwrap_or(0)).sum();
    assert_eq!(number(&status["bytes"]) + pending, bytes as u64, "bytes = consumed + pending: {status}");
    for sink in status["sinks"].as_array().unwrap() {
        let parts = ["delivered", "below_min_score", "suppressed", "queued"].map(|name| number(&sink[name]));
        assert_eq!(parts.iter().sum::<u64>(), number(&status["alerts"]), "alerts of a sink: {status}");
    }
}
