//! Floods of alerts: after a number of a rule, entity and day the rest is held back, counted and summed up; never the first
//! of a kind; the same over restarts, threads and midnight.

use super::stream::{DAY, MONDAY, visit};
use crate::effort;
use crate::site::{Daemon, Site, id_of, wait};
use crate::support::Replay;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::time::Duration;

const LIMITS: &str = "[limits]\nmax_alerts_per_day = 20\n";

/// Names under a dynamic-DNS service: on two days around a midnight, then, after days, a few late ones.
fn lines(a_day: i64) -> Vec<String> {
    let midnight = MONDAY + 15 * DAY / 24;
    let name = |i: i64| format!("x{i}.duckdns.org");
    let mut all: Vec<String> = (-a_day..a_day).map(|i| visit(midnight + i * 100, "WSX", "eve", &name(i), "")).collect();
    all.push(visit(midnight + a_day * 100, "WSX", "bob", "once.duckdns.org", ""));
    // The two days are closed once the newest is more than late_days ahead.
    all.push(visit(midnight + 5 * DAY, "WS1", "carol", "example.org", ""));
    // Not late for eve, who has not been seen since; her first day was told already.
    all.extend((0..3).map(|i| visit(midnight - 1_000 + i, "WSX", "eve", &name(a_day + i), "")));
    all.push(visit(midnight + 6 * DAY, "WS1", "carol", "example.org", ""));
    all
}

/// Summaries as (rule, entity, day) → numbers told.
fn told(alerts: &str) -> BTreeMap<(String, String), Vec<u64>> {
    let mut out = BTreeMap::<_, Vec<u64>>::new();
    for line in alerts.lines() {
        let alert: Value = serde_json::from_str(line).unwrap();
        if alert["kind"] == "summary" {
            let text = |v: &Value| v.as_str().unwrap().to_owned();
            let note = text(&alert["evidence"]["notes"][0]);
            let number = note.split(' ').next().unwrap().parse().unwrap();
            let who = text(&alert["entity"]["value"]);
            out.entry((who, text(&alert["sequence"]))).or_default().push(number);
        }
    }
    out
}

#[test]
fn a_flood_is_held_back_and_summed_up_the_same_over_kills_threads_and_midnight() {
    let a_day = effort::of(300, 20_000) as i64;
    let lines = lines(a_day);
    let text = lines.join("\n") + "\n";
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a.cef");
    fs::write(&file, &text).unwrap();
    let reference = Replay::new(LIMITS, 1).over(std::slice::from_ref(&file));
    assert_eq!(Replay::new(LIMITS, 3).over(&[file]), reference);

    let held = a_day as u64 - 20;
    // bob's one alert counts for his host, which has passed its number.
    let expected = [
        ("corp\\eve", "2026-03-02", vec![held, 3]),
        ("corp\\eve", "2026-03-03", vec![held]),
        ("wsx", "2026-03-02", vec![held, 3]),
        ("wsx", "2026-03-03", vec![held + 1]),
    ];
    let expected: BTreeMap<_, _> =
        expected.into_iter().map(|(who, day, n)| ((who.to_owned(), day.to_owned()), n)).collect();
    assert_eq!(told(&reference.alerts), expected);
    let ids: Vec<String> = reference.alerts.lines().map(id_of).collect();
    let distinct: std::collections::BTreeSet<_> = ids.iter().collect();
    assert_eq!(distinct.len(), ids.len(), "two summaries of one day are two alerts");
    assert!(reference.alerts.contains("once.duckdns.org"), "the first of a kind is never held back");
    // Four subjects with 20 each, bob's, and the summaries.
    assert_eq!(ids.len(), 4 * 20 + 1 + 6);

    // The same bytes through the daemon, killed again and again.
    let site = Site::new();
    site.configure(LIMITS);
    fs::create_dir(site.root().join("spool")).unwrap();
    let kills = effort::of(5, 40);
    let mut daemon: Option<Daemon> = Some(site.start());
    for (round, piece) in text.as_bytes().chunks(text.len() / kills + 1).enumerate() {
        let mut out = OpenOptions::new().create(true).append(true).open(site.spool("a.cef")).unwrap();
        out.write_all(piece).unwrap();
        std::thread::sleep(Duration::from_millis(20 + 61 * (round as u64 % 4)));
        daemon.take().unwrap().kill();
        daemon = Some(site.start());
    }
    site.wait_for_bytes(text.len() as u64);
    wait(&format!("all alerts; log:\n{}", site.log()), || site.alert_ids().len() >= ids.len());
    assert_eq!(daemon.take().unwrap().terminate(), 0);
    let status: Value = serde_json::from_slice(&site.ctl(&["status"]).stdout).unwrap();
    assert_eq!(site.alert_ids(), ids);
    let suppressed: u64 = expected.values().flatten().sum();
    assert_eq!(status["suppressed"], suppressed, "the summaries tell them all");
    let sink = &status["sinks"][0];
    let of = |name: &str| sink[name].as_u64().unwrap();
    assert_eq!(status["alerts"], of("delivered") + of("below_min_score") + of("suppressed") + of("queued"));
}
