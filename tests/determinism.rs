//! Determinism: the same input gives the same alerts and the same state, byte for byte, with any number of threads and
//! whatever pauses they make between the stages.

use crate::effort;
use crate::site::office;
use crate::support::dump;
use exfil_agent::config::Settings;
use exfil_agent::content;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// Spools that between them hold every kind of rule: those of the cases, and an office over five weeks in three files.
fn spools(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for (n, part) in office(3000).chunks(1000).enumerate() {
        let file = dir.join(format!("office-{n}.cef"));
        fs::write(&file, part.join("\n") + "\n").unwrap();
        files.push(file);
    }
    let mut cases: Vec<PathBuf> = fs::read_dir("tests/cases").unwrap().map(|e| e.unwrap().path()).collect();
    cases.sort();
    for case in cases {
        let mut spool: Vec<PathBuf> = fs::read_dir(case.join("spool")).unwrap().map(|e| e.unwrap().path()).collect();
        spool.sort();
        files.extend(spool);
    }
    files
}

fn replay(files: &[PathBuf], workers: usize, jitter: Option<u64>, resident: &str) -> (String, String) {
    let dir = TempDir::new().unwrap();
    let config = dir.path().join("agent.toml");
    fs::write(&config, format!("[limits]\n{resident}")).unwrap();
    let (state, alerts) = (dir.path().join("state"), dir.path().join("alerts.jsonl"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_exfil-agent"));
    command.arg("replay").arg("--config").arg(&config).args(files).arg("--state").arg(&state).arg("--out").arg(&alerts);
    command.args(["--now", "2026-12-31T00:00:00Z", "--workers", &workers.to_string()]);
    if let Some(seed) = jitter {
        command.env("EXFIL_AGENT_FAIL", format!("jitter={seed}"));
    }
    let out = command.output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let settings = Settings::default();
    let content = content::load(&settings.detection).unwrap();
    (fs::read_to_string(alerts).unwrap(), dump(&state, &content, &settings).0)
}

#[test]
fn threads_and_their_timing_change_nothing() {
    let dir = TempDir::new().unwrap();
    let files = spools(dir.path());
    let one = replay(&files, 1, None, "");
    assert!(one.0.lines().count() > 100);
    effort::for_seeds("threads_and_their_timing", 3, 100, |seed| {
        for (workers, resident) in [(1, ""), (2, ""), (4, ""), (2, "max_resident_bytes = 0\nread_bytes = 4096\n")] {
            let (alerts, state) = replay(&files, workers, Some(seed * 10 + workers as u64), resident);
            assert!(alerts == one.0, "other alerts with {workers} workers, {resident}");
            assert!(state == one.1, "another state with {workers} workers, {resident}");
        }
    });
}
