//! A flood of invented users, hosts, peer groups, processes and domains: memory stays within the limits, every limit that
//! cuts is counted, who is known stays known, and who leaves follows from the events alone.

use super::stream::{DAY, MONDAY, process, temp_write, visit, write_zst};
use super::watched::Watched;
use crate::effort;
use crate::support::Replay;
use exfil_agent::alert::EntityKind;
use exfil_agent::config::FormatSetting;
use exfil_agent::pipeline::Pipeline;
use exfil_agent::source::Mode;

/// Low enough that a small flood reaches each of them.
const LIMITS: &str = "[limits]
max_entities = 2000
max_instances = 1000
max_bins_wide = 1500
max_guards = 3000
max_uncommitted_bytes = 1048576
max_delta_bytes = 262144
max_queued_alert_bytes = 4194304
";

/// One in so many strangers runs a tool that is reported: alerts are no part of the flood, they would fill the disk.
const TOOLS: u64 = 30;

/// Three weeks of someone who is known, then one day of `n` strangers, then one more day of her.
fn flood(n: u64) -> impl Iterator<Item = String> {
    let known = (0..20).flat_map(|day| {
        let at = MONDAY - (20 - day) * DAY;
        (0..3).map(move |i| temp_write(at + i, "WS1", "anna", &format!("updater{i}.exe")))
    });
    let strangers = (0..n).map(|i| {
        let (ms, host, user) = (MONDAY + i as i64 % (DAY / 3), format!("PC{i}"), format!("u{i}"));
        match i % 3 {
            0 => temp_write(ms, &host, &user, &format!("p{i}.exe")),
            1 => visit(
                ms,
                &host,
                &user,
                &format!("d{i}.example"),
                &format!("Website_Category=File Sharing User_Department=Dep{i}"),
            ),
            _ if i % TOOLS == 2 => process(ms, &host, &user, "plink.exe -ssh u@h"),
            _ => process(ms, &host, &user, "notepad.exe"),
        }
    });
    let after = std::iter::once(temp_write(MONDAY + DAY, "WS1", "anna", "dropper.exe"));
    known.chain(strangers).chain(after)
}

#[test]
fn invented_names_cost_bounded_memory_and_push_out_nobody_who_is_known() {
    let n = effort::of(100_000, 10_000_000) as u64;
    let agent = Watched::new(&format!("[detection]\ndisabled_rules = [\"WEB-FS\"]\n{LIMITS}"));
    write_zst(&agent.at("flood.zst"), flood(n));
    let peak = agent.replay(&agent.at("flood.zst"), "2026-03-04T00:00:00Z");
    // Content, buffers and the database take most of it, what the limits above allow less than 10 MiB: a hundred times the
    // flood changes nothing.
    assert!(peak < 300, "{peak} MiB for {n} strangers");

    let status = agent.status();
    assert_eq!(status["records"].as_u64().unwrap(), 60 + n + 1);
    assert_eq!(status["rejects"], serde_json::json!({}));
    let stats = agent.stats();
    for kind in ["users", "hosts", "groups"] {
        let kept = stats[kind].as_u64().unwrap();
        assert!((1000..=2000).contains(&kept), "{kept} {kind} of at most 2000");
    }
    assert!(stats["guards"].as_u64().unwrap() <= 3000, "{stats}");
    let model = |id: &str| stats["models"].as_array().unwrap().iter().find(|m| m["model"] == id).unwrap().clone();
    assert!(model("FA-UP-TEMP")["instances"].as_u64().unwrap() <= 1000, "{stats}");
    assert!(model("WEB-OU-FS")["bins"].as_u64().unwrap() <= 1500, "{stats}");

    // Each limit says how much it cut: what came less what is there.
    let limit = |name: &str| status["limits"][name].as_u64().unwrap();
    let kept: u64 = ["users", "hosts", "groups"].iter().map(|k| stats[*k].as_u64().unwrap()).sum();
    // Her host is as unknown as the strangers', since no model keeps history of hosts: it left and came again.
    assert_eq!(limit("max_entities"), 2 * (n + 1) + (n + 1) / 3 + 1 - kept);
    let bins = model("WEB-OU-FS")["bins"].as_u64().unwrap();
    assert_eq!(limit("max_bins_wide"), (n + 1) / 3 - bins);
    assert!(limit("max_instances") > 0 && limit("max_guards") > 0, "{status}");
    let warnings = status["warnings"].to_string();
    for name in ["max_entities", "max_instances", "max_bins_wide", "max_guards"] {
        assert!(warnings.contains(&format!("limits.{name} was reached")), "{name}: {warnings}");
    }

    // Every stranger's tool was reported, and she whom the agent has known for weeks is judged as before.
    assert_eq!(agent.alerts_of("Exfil-Tunnel-Tools-Exec") as u64, (n - 2).div_ceil(TOOLS));
    let droppers: Vec<_> = agent.alerts().filter(|a| a["rule"]["id"] == "FA-TEMP-DIRECTORY-F").collect();
    assert_eq!(droppers.len(), 1);
    assert_eq!(droppers[0]["entity"]["value"], "corp\\anna");
    assert_eq!(droppers[0]["evidence"]["model"]["history_days"], 20);
}

#[test]
fn who_leaves_follows_from_the_events_alone() {
    let dir = tempfile::tempdir().unwrap();
    let n = effort::of(6_000, 100_000) as u64;
    let lines: Vec<String> = flood(n).collect();
    let limits = "[limits]\nmax_entities = 200\nmax_instances = 90\nmax_bins_wide = 150\nmax_guards = 300\n";
    let write = |name: &str, lines: &[String]| {
        let path = dir.path().join(name);
        std::fs::write(&path, lines.join("\n") + "\n").unwrap();
        path
    };
    let whole = write("a.cef", &lines);
    let reference = Replay::new(limits, 1).over(std::slice::from_ref(&whole));
    assert_eq!(Replay::new(limits, 3).over(&[whole]), reference);
    // The same file, grown between five runs: what is kept and what leaves is in the state, not in the process.
    let mut replay = Replay::new(limits, 2);
    for part in 1..=5 {
        let path = write("a.cef", &lines[..lines.len() * part / 5]);
        replay.step(&[path]);
    }
    let outcome = replay.outcome();
    assert_eq!(outcome.state, reference.state);
    assert_eq!(outcome.alerts, reference.alerts);
}

#[test]
fn who_leaves_and_comes_again_within_one_batch_is_who_they_are() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a.cef");
    let n = effort::of(8_000, 100_000) as u64;
    // More names than there is room for, met again and again; who was met on the oldest day leaves. Each tool is one user's
    // and one host's.
    let name = |i: u64| (i * i + i / 7) % 311;
    let line = |i: u64| {
        let command = format!("plink.exe -ssh u{}@h", name(i));
        process(MONDAY + i as i64 * 200 * DAY / n as i64, &format!("PC{}", name(i)), &format!("u{}", name(i)), &command)
    };
    std::fs::write(&file, (0..n).map(|i| line(i) + "\n").collect::<String>()).unwrap();
    let limits = "[limits]\nmax_entities = 100\n";
    let one_by_one = Replay::new(&format!("{limits}read_bytes = 4096\n"), 1).over(std::slice::from_ref(&file));
    let at_once = Replay::new(limits, 1).over(&[file]);
    assert_eq!(at_once.state, one_by_one.state);
    assert_eq!(at_once.alerts, one_by_one.alerts);
    for alert in at_once.alerts.lines() {
        let alert: serde_json::Value = serde_json::from_str(alert).unwrap();
        let (event, entity) = (&alert["event"], &alert["entity"]["value"]);
        assert!(*entity == event["user_key"] || *entity == event["host_key"], "{alert}");
    }
}

#[test]
fn a_future_date_leaves_no_trace_of_the_name_that_bears_it() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a.cef");
    let lines: Vec<String> =
        (0..500).map(|i| process(MONDAY + 40 * DAY, &format!("PC{i}"), &format!("u{i}"), "notepad.exe")).collect();
    std::fs::write(&file, lines.join("\n") + "\n").unwrap();
    // The replay's clock says March.
    let replay = Replay::new("# now: 2026-03-04", 1);
    let mode = Mode::Once { paths: vec![file], format: FormatSetting::Auto };
    let (detector, _) = Pipeline::start(replay.plan(mode), Box::new(|_| {})).unwrap().join().unwrap();
    assert_eq!(detector.state.agent.future, 500);
    let known = |kind| detector.state.entities.count(kind);
    assert_eq!((known(EntityKind::User), known(EntityKind::Host)), (0, 0));
}
