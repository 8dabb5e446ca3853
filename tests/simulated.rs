//! Offices that the simulator plans: what the plan says must be found, and nothing else.

use crate::support::Replay;
use exfil_agent::simulate::{self, FileLayout, Options};
use std::collections::BTreeMap;
use tempfile::TempDir;

/// Rule, entity, sequence, value.
type What = (String, String, String, String);

fn what(
    v: &serde_json::Value,
    rule: &serde_json::Value,
    entity: &serde_json::Value,
    sequence: &serde_json::Value,
) -> What {
    let text = |v: &serde_json::Value| v.as_str().unwrap_or_default().to_owned();
    (text(rule), text(&entity["value"]), text(sequence), text(&v["value"]))
}

fn lines(path: &std::path::Path) -> Vec<serde_json::Value> {
    std::fs::read_to_string(path).unwrap().lines().map(|l| serde_json::from_str(l).unwrap()).collect()
}

#[test]
fn the_truth_of_five_offices_is_found_and_nothing_else() {
    for seed in [1, 2, 3, 7, 11] {
        found_as_planned(&Options { seed, ..Options::demo() });
    }
}

/// With joiners, movers, roll-outs, habits and whatever else goes on in an office.
#[test]
fn the_truth_of_an_office_that_lives_is_found_and_nothing_else() {
    let files = FileLayout { csv_exports: true, malformed: true };
    found_as_planned(&Options { users: 90, days: 45, rate: 0.6, files, ..Options::life(3) });
}

fn found_as_planned(options: &Options) {
    let (dir, seed) = (TempDir::new().unwrap(), options.seed);
    simulate::write(options, dir.path()).unwrap();
    let mut truths: BTreeMap<What, u32> = BTreeMap::new();
    let mut near_misses = 0;
    for t in lines(&dir.path().join("truth.jsonl")) {
        if t["blind_spot"] == true {
            continue;
        }
        if t["near_miss"] == true {
            near_misses += 1;
            continue;
        }
        let sequence = if t["day"].is_string() { &t["day"] } else { &t["month"] };
        *truths.entry(what(&t, &t["rule"], &t["entity"], sequence)).or_default() += 1;
    }
    assert!(near_misses > 20);
    let mut replay = Replay::new("", 2);
    replay.step(&[dir.path().join("spool")]);
    let mut found: BTreeMap<What, u32> = BTreeMap::new();
    for a in lines(&replay.alert_file()) {
        *found.entry(what(&a, &a["rule"]["id"], &a["entity"], &a["sequence"])).or_default() += 1;
    }
    let rules: std::collections::BTreeSet<&String> = found.keys().map(|k| &k.0).collect();
    assert_eq!(rules.len(), 20, "seed {seed}: every rule fires");
    assert_eq!(found, truths, "seed {seed}");
}

#[test]
fn a_spool_with_a_tenth_of_its_lines_damaged_is_judged_and_adds_up() {
    let dir = TempDir::new().unwrap();
    simulate::write(&Options { seed: 5, days: 5, ..Options::demo() }, dir.path()).unwrap();
    let spool = dir.path().join("spool");
    let mut seed = 1u64;
    let mut damaged = 0;
    for entry in std::fs::read_dir(&spool).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|e| e != "cef") {
            continue;
        }
        let bytes = std::fs::read(&path).unwrap();
        let mut out = Vec::new();
        for line in bytes.split_inclusive(|b| *b == b'\n') {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let mut line = line.to_vec();
            if (seed >> 33).is_multiple_of(10) && line.len() > 20 {
                damaged += 1;
                let at = (seed >> 40) as usize % (line.len() - 2);
                match (seed >> 36) % 3 {
                    0 => drop(line.drain(at..line.len() - 1)),
                    1 => line[at] = 0xFF,
                    _ => line[at] = 0,
                }
            }
            out.extend_from_slice(&line);
        }
        std::fs::write(&path, out).unwrap();
    }
    assert!(damaged > 100);
    // `step` asserts conservation file by file.
    let mut replay = Replay::new("", 2);
    replay.step(std::slice::from_ref(&spool));
    let once = replay.outcome();
    assert!(once.alerts.lines().count() > 10);
    replay.step(&[spool]);
    assert_eq!(replay.outcome(), once);
}
