//! `make quality` on a small office, so that it cannot rot; and the intervals that it tells.

#[path = "../benches/quality/measured/mod.rs"]
#[allow(dead_code)] // the benchmark uses other parts
mod measured;

use exfil_agent::config::Settings;
use exfil_agent::simulate::Options;
use measured::interval::{rate, share};
use measured::office::{Office, measure};
use measured::tables::{self, Setup};

/// Sixty people, forty days.
fn small(options: &[&str]) -> Office {
    let mut settings = Settings::default();
    settings.detection.options = options.iter().map(|o| (*o).to_owned()).collect();
    measure(&Options { users: 60, days: 40, rate: 0.5, ..Options::life(1) }, settings)
}

#[test]
fn a_small_office_is_measured_and_its_truth_is_that_of_the_agent() {
    let shipped = small(&[]);
    assert_eq!((shipped.unexplained, shipped.missing), (0, 0));
    for (id, rule) in &shipped.rules {
        // Of heavy sharers and of developers there are few in a small office; of everything else five variants at least.
        let few = id.starts_with("WEB-O") || *id == "FA-TEMP-DIRECTORY-A";
        let least = if few { 2 } else { 5 };
        assert!(rule.variants.len() >= least && rule.planted >= least as u64, "{id}: {:?}", rule.variants);
        assert!(rule.found <= rule.planted && rule.unseen_found <= rule.unseen, "{id}");
    }
    let setups = [Setup { name: "as shipped", offices: vec![shipped] }];
    for text in [tables::rules(&setups[0]), tables::seeds(&setups[0]), tables::days(&setups), tables::changed(&setups)]
    {
        assert!(text.lines().count() > 3 || text.lines().count() == 2, "{text}");
    }
}

#[test]
fn options_make_less_to_read_of_roll_outs_and_habits_and_lose_no_attack() {
    let (shipped, on) = (small(&[]), small(&["prevalence", "known-programs", "habits"]));
    assert!(shipped.roll_outs[0] > 20 && on.roll_outs[0] < 12, "{:?} {:?}", shipped.roll_outs, on.roll_outs);
    assert!(on.outside_from_ten() < shipped.outside_from_ten());
    for (id, rule) in &on.rules {
        assert_eq!(rule.found + rule.grouped, shipped.rules[id].found, "{id}");
    }
}

/// Against published examples: Wilson for 10 of 10 and 81 of 263, Poisson for 0 and 10 events.
#[test]
fn intervals_are_those_of_the_literature() {
    let close = |a: f64, b: f64, by: f64| assert!((a - b).abs() < by, "{a} is not {b}");
    let of = |hits, all| share(hits, all).unwrap();
    close(of(10, 10).low, 0.7225, 0.001);
    close(of(10, 10).high, 1.0, 0.001);
    close(of(81, 263).low, 0.2553, 0.001);
    close(of(81, 263).high, 0.3662, 0.001);
    close(of(0, 20).high, 0.1611, 0.001);
    assert!(share(0, 0).is_none() && rate(1, 0).is_none());
    let ten = rate(10, 1000).unwrap();
    close(ten.low, 4.795, 0.03);
    close(ten.high, 18.39, 0.03);
    let none = rate(0, 1000).unwrap();
    close(none.low, 0.0, 1e-9);
    close(none.high, 3.69, 0.1);
}

/// What `replay --stats` tells of a spool is what the alerts themselves say.
#[test]
fn stats_of_a_replay_add_up_to_its_alerts() {
    let dir = tempfile::tempdir().unwrap();
    let office = Options { users: 40, days: 30, rate: 0.3, ..Options::life(2) };
    exfil_agent::simulate::write(&office, dir.path()).unwrap();
    let (spool, out) = (dir.path().join("spool"), dir.path().join("alerts.jsonl"));
    let stats = |format: &str| {
        let mut command = assert_cmd::Command::new(env!("CARGO_BIN_EXE_exfil-agent"));
        command.args(["replay", "--now", "2026-12-31T00:00:00Z", format, "--out"]).arg(&out).arg(&spool);
        String::from_utf8(command.assert().success().get_output().stdout.clone()).unwrap()
    };
    let told: serde_json::Value = serde_json::from_str(&stats("--stats=json")).unwrap();
    let alerts: Vec<serde_json::Value> =
        std::fs::read_to_string(&out).unwrap().lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert!(alerts.len() > 50);
    assert_eq!(told["alerts"], alerts.iter().filter(|a| a["kind"] == "detection").count());
    for rule in told["rules"].as_array().unwrap() {
        let n = alerts.iter().filter(|a| a["rule"]["id"] == rule["rule"] && a["kind"] == "detection").count();
        assert_eq!(rule["alerts"], n, "{rule}");
    }
    // Everybody of the plan who worked, day by day; nobody but they has an account of their own.
    let plan = exfil_agent::simulate::Plan::new(&office);
    let worked = |day| plan.office.people.iter().filter(|p| plan.works(p, day)).count();
    let user_days: usize = plan.all_days().map(worked).sum();
    assert_eq!(told["user_days"], user_days);
    assert_eq!(told["days"], 30);
    assert!(
        told["maturity"].as_array().unwrap().iter().any(|m| m["rule"] == "FA-TEMP-DIRECTORY-F" && m["mature"] != 0)
    );
    assert!(told["inert"].as_array().unwrap().is_empty(), "{}", told["inert"]);
    let table = stats("--stats");
    for word in ["FA-TEMP-DIRECTORY-F", "per 1,000 days", "critical", "sum of scores", "Every rule could fire."] {
        assert!(table.contains(word), "{word} is not in\n{table}");
    }
}
