//! One user with processes and domains without end: the models and sums stay bounded, "first" is no longer said of what was
//! pushed out, and many small sums do not hide a large one.

use super::stream::{DAY, MONDAY, temp_write, visit, write_zst};
use super::watched::Watched;
use crate::effort;
use std::fs;

#[test]
fn a_user_with_processes_without_end_has_a_full_model_that_says_so() {
    let n = effort::of(20_000, 1_000_000) as i64;
    for days in [1, 30] {
        let agent = Watched::new("[limits]\nmax_bins = 500\nmax_alerts_per_day = 10\n");
        let lines = (0..n).map(|i| temp_write(MONDAY + i * days * DAY / n, "WS1", "eve", &format!("p{i}.exe")));
        write_zst(&agent.at("eve.zst"), lines);
        let peak = agent.replay(&agent.at("eve.zst"), "2026-06-01T00:00:00Z");
        assert!(peak < 150, "{peak} MiB for {n} processes");
        let (status, stats) = (agent.status(), agent.stats());
        let model = &stats["models"].as_array().unwrap().iter().find(|m| m["model"] == "FA-UP-TEMP").unwrap();
        assert_eq!((&model["bins"], &model["saturated"]), (&500.into(), &1.into()));
        assert_eq!(status["limits"]["max_bins"], n - 500, "over {days} days");
        // Saturated long before its 14th day: what was pushed out would look new for ever.
        assert_eq!(agent.alerts_of("FA-TEMP-DIRECTORY-F"), 0);
    }
}

#[test]
fn many_small_uploads_to_as_many_domains_do_not_hide_a_large_one() {
    let n = effort::of(5_000, 1_000_000) as i64;
    let agent = Watched::new("");
    // The reading of the rule that adds up by domain.
    let shipped = include_str!("../../config/content/rules/web_new_file_20.toml");
    let by_domain = shipped
        .replace("history = \"user\"", "history = \"user_domain\"")
        .replace("period = \"day\"", "per = \"top_domain\"\nperiod = \"day\"");
    fs::create_dir_all(agent.at("content/rules")).unwrap();
    fs::write(agent.at("content/rules/web_new_file_20.toml"), by_domain).unwrap();
    let config = format!("[detection]\ncontent_dir = {:?}\n[limits]\nmax_values = 200\n", agent.at("content"));
    fs::write(agent.at("agent.toml"), config).unwrap();
    let before = (1..=16).map(|day| visit(MONDAY - day * DAY, "WS1", "anna", "example.org", "out=10"));
    // The large one begins when the small ones have long taken every place.
    let large = |i: i64| i >= n / 10 && i % (n / 25) == 5;
    let flood = (0..n).map(|i| {
        let ms = MONDAY + i;
        match large(i) {
            true => visit(ms, "WS2", "eve", "drop.example", "out=1000000"),
            false => visit(ms, "WS2", "eve", &format!("d{i}.example"), "out=1"),
        }
    });
    write_zst(&agent.at("eve.zst"), before.collect::<Vec<_>>().into_iter().rev().chain(flood));
    let peak = agent.replay(&agent.at("eve.zst"), "2026-03-04T00:00:00Z");
    assert!(peak < 150, "{peak} MiB for {n} domains");
    let status = agent.status();
    // 200 sums and 200 histories stay; of each domain one of either came.
    let domains = (0..n).filter(|i| !large(*i)).count() as u64 + 1;
    assert_eq!(status["limits"]["max_values"].as_u64().unwrap(), 2 * (domains - 200));
    let fired: Vec<_> = agent.alerts().filter(|a| a["rule"]["id"] == "WEB-New-File-20").collect();
    assert_eq!(fired.len(), 1, "{fired:?}");
    assert_eq!(fired[0]["value"], "drop.example");
    assert_eq!(fired[0]["evidence"]["sum"]["total"], 20_000_000);
}
