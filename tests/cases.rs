//! Cases in folders: `tests/cases/<behaviour>/spool/*` in, `alerts.jsonl`, `state.jsonl` and `files.txt` out.
//!
//! Each case runs in ways that must not differ: one worker, four workers, hardly any memory for what is learned, a restart
//! between any two files, after which users and hosts come back at once or as they are met, and a second replay over the kept state, which must find nothing new. `UPDATE_EXPECT=1` writes the expected files.
//! `case.toml` may hold a config; its line `# now: 2026-03-22` sets the clock.

use crate::support::{Outcome, Replay};
use std::path::{Path, PathBuf};

fn cases() -> Vec<PathBuf> {
    // Relative, as `origin.file` shows it: tests run in the root of the package.
    let root = Path::new("tests/cases");
    let mut all: Vec<PathBuf> =
        std::fs::read_dir(root).unwrap().map(|e| e.unwrap().path()).filter(|p| p.is_dir()).collect();
    all.sort();
    all
}

fn spool_files(case: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(case.join("spool")).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    files
}

fn check(case: &Path, name: &str, got: &str) {
    let path = case.join(name);
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(&path, got).unwrap();
        return;
    }
    let want = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(got, want, "\n{} differs; UPDATE_EXPECT=1 cargo test writes it anew", path.display());
}

#[test]
fn every_case_gives_its_alerts_and_state_whatever_the_threads_and_restarts() {
    let all = cases();
    assert!(!all.is_empty());
    for case in all {
        let files = spool_files(&case);
        let config = std::fs::read_to_string(case.join("case.toml")).unwrap_or_default();
        let replay = |workers| Replay::new(&config, workers);
        let one: Outcome = replay(1).over(&files);
        check(&case, "alerts.jsonl", &one.alerts);
        check(&case, "state.jsonl", &one.state);
        check(&case, "files.txt", &one.files);

        let four = replay(4).over(&files);
        assert_eq!(four, one, "{}: four workers differ from one", case.display());

        for bytes in [0, 2_000] {
            let paged = replay(2).resident(bytes).over(&files);
            assert_eq!(paged, one, "{}: with {bytes} bytes for users and hosts the outcome differs", case.display());
            let mut paged = replay(2).resident(bytes);
            for file in &files {
                paged.step(std::slice::from_ref(file));
            }
            assert_eq!(paged.outcome(), one, "{}: and with restarts, too", case.display());
        }

        let mut restarted = replay(2);
        for file in &files {
            restarted.step(std::slice::from_ref(file));
        }
        assert_eq!(restarted.outcome(), one, "{}: restarts between the files change the outcome", case.display());

        for bytes in [0, usize::MAX] {
            let mut reluctant = replay(2).resident(bytes).reluctant();
            for file in &files {
                reluctant.step(std::slice::from_ref(file));
            }
            assert_eq!(reluctant.outcome(), one, "{}: who comes back when differs", case.display());
        }

        restarted.step(&files);
        assert_eq!(
            restarted.outcome(),
            one,
            "{}: a second replay over the kept state changes the outcome",
            case.display()
        );
    }
}
