//! Memory for what is learned: whoever leaves it comes back as if they had never been gone.

use crate::support::{Outcome, Replay};
use crossbeam_channel::bounded;
use exfil_agent::alert::EntityKind;
use exfil_agent::config::Settings;
use exfil_agent::content;
use exfil_agent::detect::Detector;
use exfil_agent::pipeline::outbox::Outbox;
use exfil_agent::simulate::{self, Options, Profile};
use exfil_agent::source::Mode;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
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
    for bytes in [0, 100_000, usize::MAX] {
        let mut replay = Replay::with(settings.clone(), Arc::clone(&content)).resident(bytes).reluctant();
        files.iter().for_each(|file| _ = replay.step(std::slice::from_ref(file)));
        let outcome = replay.outcome();
        assert!(outcome.alerts == all.alerts, "other alerts with restarts, {bytes} bytes");
        assert!(outcome.state == all.state, "another state with restarts, {bytes} bytes");
    }
}

/// Who leaves for good follows from everybody: after a restart nobody may leave before all are there.
#[test]
fn whom_a_limit_makes_leave_is_the_same_whoever_has_come_back_by_then() {
    let dir = TempDir::new().unwrap();
    let office = Options { users: 120, days: 3, rate: 0.5, profile: Profile::Training, ..Options::default() };
    simulate::write(&office, dir.path()).unwrap();
    let mut files: Vec<PathBuf> = fs::read_dir(dir.path().join("spool")).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    let content = Arc::new(content::load(&Settings::default().detection).unwrap());
    for (max_entities, max_instances) in [(40, 1_000), (1_000, 25), (1_000, 1_000)] {
        let mut settings = Settings::default();
        (settings.limits.max_entities, settings.limits.max_instances) = (max_entities, max_instances);
        (settings.limits.read_bytes, settings.limits.workers) = (4 << 10, 2);
        let new = || Replay::with(settings.clone(), Arc::clone(&content));
        let in_steps = |mut replay: Replay| {
            files.iter().for_each(|file| _ = replay.step(std::slice::from_ref(file)));
            replay.outcome()
        };
        let whole = new().over(&files);
        assert!(in_steps(new()) == whole, "{max_entities} entities, {max_instances} instances");
        assert!(
            in_steps(new().reluctant()) == whole,
            "{max_entities} entities, {max_instances} instances, as they are met"
        );
        assert!(in_steps(new().reluctant().resident(0)) == whole, "and hardly any memory");
    }
}

/// Whoever asks is told about everybody, also just after a start.
#[test]
fn a_question_right_after_a_start_waits_until_all_are_there() {
    let dir = TempDir::new().unwrap();
    let office = Options { users: 200, days: 2, rate: 0.2, ..Options::default() };
    simulate::write(&office, dir.path()).unwrap();
    let content = Arc::new(content::load(&Settings::default().detection).unwrap());
    let mut replay = Replay::with(Settings::default(), content);
    replay.step(&[dir.path().join("spool")]);
    let users_of = |replay: &Replay| {
        let nothing = replay.start(&Mode::Live(Vec::new()));
        let (sender, answer) = bounded(1);
        let question = Box::new(move |detector: &Detector, _: &Outbox, _| {
            let entities = &detector.state.entities;
            sender.send((entities.count(EntityKind::User), entities.count(EntityKind::Host))).unwrap();
        });
        nothing.questions.send(question).unwrap();
        let answer = answer.recv_timeout(Duration::from_secs(60)).unwrap();
        nothing.stop.stop();
        nothing.join().unwrap();
        answer
    };
    let all = users_of(&replay);
    assert!(all.0 >= 200 && all.1 >= 100, "{all:?}");
    for _ in 0..20 {
        assert_eq!(users_of(&replay), all);
    }
}
