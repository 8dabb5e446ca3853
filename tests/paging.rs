//! Memory for what is learned: whoever leaves it comes back as if they had never been gone.

use crate::support::{Outcome, Replay};
use exfil_agent::config::Settings;
use exfil_agent::content;
use exfil_agent::simulate::{self, Options, Profile};
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use tempfile::TempDir;

/// Many small batches about more people than memory holds, while commits come and go.
#[test]
fn with_hardly_any_memory_alerts_and_state_are_the_same() {
    let dir = TempDir::new().unwrap();
    let office = Options { users: 400, days: 2, rate: 1.0, profile: Profile::Training, ..Options::default() };
    simulate::write(&office, dir.path()).unwrap();
    let mut files: Vec<PathBuf> = fs::read_dir(dir.path().join("spool")).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    let mut settings = Settings::default();
    settings.limits.read_bytes = 8 << 10;
    settings.limits.workers = 2;
    let content = Arc::new(content::load(&settings.detection).unwrap());
    let with = |bytes: usize| -> (Outcome, u64) {
        let mut replay = Replay::with(settings.clone(), Arc::clone(&content)).resident(bytes);
        let recalled = files.iter().map(|file| replay.step(std::slice::from_ref(file)).recalled).sum();
        (replay.outcome(), recalled)
    };
    let (all, none) = with(usize::MAX);
    assert_eq!(none, 0, "there is room for all");
    for bytes in [0, 100_000] {
        let (outcome, recalled) = with(bytes);
        assert!(recalled > 100, "only {recalled} were away and came back with {bytes} bytes");
        assert!(outcome.alerts == all.alerts, "other alerts with {bytes} bytes");
        assert!(outcome.state == all.state, "another state with {bytes} bytes");
    }
}
