//! Memory for what is learned: whoever leaves it comes back as if they had never been gone.

use crate::support::{Outcome, Replay};
use crossbeam_channel::bounded;
use exfil_agent::alert::EntityKind;
use exfil_agent::config::{FormatSetting, Settings};
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
        // Commits become durable between the files at the latest, and then whoever is not needed leaves.
        let recalled = files.iter().map(|file| replay.step(std::slice::from_ref(file)).recalled).sum();
        (replay.outcome(), recalled)
    };
    let (all, none) = with(usize::MAX);
    assert_eq!(none, 0, "there is room for all");
    for bytes in [0, 100_000] {
        let (outcome, recalled) = with(bytes);
        assert!(recalled > 0, "nobody was away and came back with {bytes} bytes");
        assert!(outcome == all, "another outcome with {bytes} bytes");
    }
    for bytes in [0, 100_000, usize::MAX] {
        let mut replay = Replay::with(settings.clone(), Arc::clone(&content)).resident(bytes).reluctant();
        files.iter().for_each(|file| _ = replay.step(std::slice::from_ref(file)));
        assert!(
            replay.outcome() == all,
            "another outcome where users and hosts come back as they are met, {bytes} bytes"
        );
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
    let replay = Replay::with(Settings::default(), content);
    let mode = Mode::Once { paths: vec![dir.path().join("spool")], format: FormatSetting::Auto };
    let (detector, _) = replay.start(&mode).join().unwrap();
    let entities = &detector.state.entities;
    let all = (entities.count(EntityKind::User), entities.count(EntityKind::Host), detector.services());
    assert!(all.0 >= 200 && all.1 >= 100 && !all.2.is_empty(), "{all:?}");
    let told = || {
        let nothing = replay.start(&Mode::Live(Vec::new()));
        let (sender, answer) = bounded(1);
        let question = Box::new(move |detector: &Detector, _: &Outbox, _| {
            let entities = &detector.state.entities;
            let counts = (entities.count(EntityKind::User), entities.count(EntityKind::Host), detector.services());
            sender.send(counts).unwrap();
        });
        nothing.questions.send(question).unwrap();
        let answer = answer.recv_timeout(Duration::from_secs(60)).unwrap();
        nothing.stop.stop();
        nothing.join().unwrap();
        answer
    };
    for _ in 0..20 {
        assert_eq!(told(), all);
    }
}

/// The store has much to do before it can answer, and the spool is short: what has fired must be known all the same.
#[test]
fn nothing_is_judged_before_it_is_known_what_has_fired() {
    let dir = TempDir::new().unwrap();
    let office = Options { users: 300, days: 2, rate: 1.0, profile: Profile::Training, ..Options::default() };
    simulate::write(&office, dir.path()).unwrap();
    // Some of it is in another encoding; that is left out.
    let spool = fs::read_dir(dir.path().join("spool")).unwrap().map(|e| e.unwrap().path());
    let cef = spool.filter(|path| path.extension().is_some_and(|e| e == "cef"));
    let cef: String = cef.filter_map(|path| fs::read_to_string(path).ok()).collect();
    let file = |name: &str, text: &str| {
        let path = dir.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let content = Arc::new(content::load(&Settings::default().detection).unwrap());
    let mut replay = Replay::with(Settings::default(), content);
    assert!(replay.step(&[file("all.cef", &cef)]).alerts > 100);
    let lines: Vec<&str> = cef.lines().collect();
    let alerts = fs::read_to_string(replay.alert_file()).unwrap();
    let line_of = |alert: &str| serde_json::from_str::<serde_json::Value>(alert).unwrap()["origin"]["line"].as_u64();
    let that_fired = alerts.lines().filter_map(line_of).map(|n| lines[n as usize - 1].to_owned() + "\n").take(20);
    let again: String = that_fired.collect();
    // All of the state is to be folded first, a little between any two answers.
    replay.settings.limits.max_delta_bytes = 16_384;
    for n in 0..10 {
        let again = file(&format!("again{n}.cef"), &again);
        assert_eq!(replay.step(&[again]).alerts, 0, "what has fired fires again at start {n}");
    }
}
