//! The real daemon: asked while it runs and when it is stopped, given bad starts.

use crate::site::{Site, assert_same_ids, detections, office, uninterrupted, wait};
use crate::support::Replay;
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use tempfile::TempDir;

#[test]
fn a_running_and_a_stopped_agent_show_the_same() {
    let lines = office(900);
    let site = Site::new();
    // The directory is missing at start: the agent waits for it and says so.
    let daemon = site.start();
    wait("the missing spool to be noticed", || site.log().contains("waiting for it"));
    fs::create_dir(site.root().join("spool")).unwrap();
    let text = lines.join("\n") + "\n";
    fs::write(site.spool("a.cef"), &text).unwrap();
    site.wait_for_bytes(text.len() as u64);

    let status: serde_json::Value = serde_json::from_slice(&site.ctl(&["status"]).stdout).unwrap();
    let sum = |name: &str| status[name].as_object().unwrap().values().map(|v| v.as_u64().unwrap()).sum::<u64>();
    assert_eq!(status["records"].as_u64().unwrap(), lines.len() as u64);
    assert_eq!(sum("events") + sum("rejects"), lines.len() as u64);
    let inert: BTreeMap<&str, &str> = status["inert"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| (r["rule"].as_str().unwrap(), r["reason"].as_str().unwrap()))
        .collect();
    assert_eq!(inert["WEB-New-File-20"], "no event has carried bytes_out");
    assert!(inert["WebShell-WebServer"].contains("parent_image"), "{inert:?}");

    let questions: [&[&str]; 3] = [&["state", "dump"], &["alerts", "list"], &["rules", "list"]];
    let ask = || questions.map(|q| String::from_utf8(site.ctl(q).stdout).unwrap());
    let live = ask();
    assert!(live.iter().all(|text| !text.is_empty()));
    let busy = Command::new(env!("CARGO_BIN_EXE_agentctl"))
        .args(["state", "dump", "--state"])
        .arg(site.root().join("state"))
        .output()
        .unwrap();
    assert_eq!(busy.status.code(), Some(5), "a store in use is not read behind the agent's back");

    let second =
        Command::new(env!("CARGO_BIN_EXE_exfil-agent")).args(["run", "--config"]).arg(site.config()).output().unwrap();
    assert_eq!(second.status.code(), Some(75));
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(said.contains(&daemon.child.id().to_string()), "names the pid: {said}");

    assert_eq!(daemon.terminate(), 0);
    assert_eq!(ask(), live);
    let id = &site.alert_ids()[0];
    let shown = site.ctl(&["--format", "table", "alerts", "show", id]);
    assert!(shown.status.success());
    assert!(String::from_utf8_lossy(&shown.stdout).contains(id.as_str()));
}

#[test]
fn bad_starts_end_with_their_exit_code_and_say_everything_at_once() {
    let run = |site: &Site| {
        let out = Command::new(env!("CARGO_BIN_EXE_exfil-agent"))
            .args(["run", "--config"])
            .arg(site.config())
            .output()
            .unwrap();
        (out.status.code().unwrap(), String::from_utf8_lossy(&out.stderr).into_owned())
    };
    let site = Site::new();
    let good = fs::read_to_string(site.config()).unwrap();
    fs::write(site.config(), format!("{good}\n[detection]\nlate_dais = 3\ndisabled_rules = [\"WEB-FX\"]\n")).unwrap();
    let (code, said) = run(&site);
    assert_eq!(code, 78);
    assert!(said.contains("did you mean \"late_days\"?"), "{said}");

    fs::write(site.config(), format!("{good}\n[detection]\ndisabled_rules = [\"WEB-FX\", \"nonsense\"]\n")).unwrap();
    let (code, said) = run(&site);
    assert_eq!(code, 78);
    assert!(said.contains("WEB-FX") && said.contains("nonsense"), "{said}");

    // A state whose database was deleted behind the agent's back is refused, not relearned, if no snapshot is left.
    fs::write(site.config(), &good).unwrap();
    fs::create_dir(site.root().join("spool")).unwrap();
    let text = office(50).join("\n") + "\n";
    fs::write(site.spool("a.cef"), &text).unwrap();
    let daemon = site.start();
    site.wait_for_bytes(text.len() as u64);
    assert_eq!(daemon.terminate(), 0);
    fs::remove_file(site.root().join("state/sled/db")).unwrap();
    fs::remove_dir_all(site.root().join("state/snapshots")).unwrap();
    let (code, said) = run(&site);
    assert_eq!(code, 65, "{said}");
    assert!(said.contains("--accept-empty-state"), "{said}");
}

#[test]
fn a_quiet_spool_is_reported_and_rejected_records_are_copied_where_the_config_says() {
    let site = Site::new();
    let letters = site.root().join("rejects");
    let more = format!("rescan_secs = 1\nsilent_after_secs = 1\ndead_letter = {letters:?}");
    let config = fs::read_to_string(site.config()).unwrap().replace("rescan_secs = 1", &more);
    fs::write(site.config(), config).unwrap();
    fs::create_dir(site.root().join("spool")).unwrap();
    let daemon = site.start();
    let text = format!("first bad line\n{}\nsecond bad line\n", office(1)[0]);
    fs::write(site.spool("a.cef"), &text).unwrap();
    site.wait_for_bytes(text.len() as u64);
    assert_eq!(fs::read_to_string(&letters).unwrap(), "first bad line\nsecond bad line\n");
    let alerts = || fs::read_to_string(site.root().join("alerts.jsonl")).unwrap_or_default();
    wait("the silence to be reported", || alerts().contains("spool-silent"));
    let alert: serde_json::Value = serde_json::from_str(alerts().lines().next().unwrap()).unwrap();
    assert_eq!((&alert["kind"], &alert["entity"]["kind"]), (&"operational".into(), &"agent".into()));
    assert!(site.log().contains("first bad line"), "a sample is in the log: {}", site.log());
    assert_eq!(daemon.terminate(), 0);
}

#[test]
fn a_rule_that_cannot_fire_is_reported_once_and_not_again_after_a_restart() {
    let site = Site::new();
    fs::create_dir(site.root().join("spool")).unwrap();
    let text = office(140).join("\n") + "\n";
    fs::write(site.spool("a.cef"), &text).unwrap();
    let said = || -> Vec<String> {
        let alerts = fs::read_to_string(site.root().join("alerts.jsonl")).unwrap_or_default();
        let alerts = alerts.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        let inert = alerts.filter(|a| a["rule"]["id"] == "rule-inert");
        inert.map(|a| a["value"].as_str().unwrap().to_owned()).collect()
    };
    let daemon = site.start();
    site.wait_for_bytes(text.len() as u64);
    wait("the rules to be reported", || said().len() >= 4);
    assert_eq!(daemon.terminate(), 0);
    let rules = ["A-WEB-EXFIL-ASSET", "A-WebShell-WebServer", "WEB-New-File-20", "WebShell-WebServer"];
    assert_eq!(said(), rules);
    // A spool that is found silent has been looked at, and so have the rules.
    site.reconfigure("rescan_secs = 1", "rescan_secs = 1\nsilent_after_secs = 2");
    let daemon = site.start();
    wait("a look", || fs::read_to_string(site.root().join("alerts.jsonl")).unwrap().contains("spool-silent"));
    let told = site.ctl(&["alerts", "list"]);
    assert_eq!(daemon.terminate(), 0);
    assert_eq!(String::from_utf8_lossy(&told.stdout).matches("rule-inert").count(), rules.len());
    assert_eq!(said(), rules);
}

#[test]
fn a_service_that_many_users_meet_is_suggested_for_sanctioning() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("a.cef");
    let visit = |i: usize| {
        let domain = if i < 4 { "dropbox.com" } else { "example.org" };
        format!(
            "CEF:0|Dtex|DTEX InTERCEPT|6.0|WebPageAccessed|x|3|start={} Device_Name=WS{i} User_Name=CORP\\user{i} Website_Query=https://{domain}/\n",
            1_772_442_000_000i64 + i as i64
        )
    };
    fs::write(&file, (0..16).map(visit).collect::<String>()).unwrap();
    let mut replay = Replay::new("", 1);
    replay.step(&[file]);
    let out = Command::new(env!("CARGO_BIN_EXE_agentctl"))
        .args(["status", "--state"])
        .arg(replay.state_dir())
        .output()
        .unwrap();
    let status: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    let warnings = status["warnings"].to_string();
    assert!(warnings.contains("4 of 16 users met dropbox.com"), "{warnings}");
    assert!(warnings.contains("detection.sanctioned_domains"), "{warnings}");
}

#[test]
fn a_sink_that_fails_with_a_full_queue_does_not_keep_the_agent_from_stopping() {
    let lines = office(2000);
    let (ids, state) = uninterrupted(&lines);
    let site = Site::new();
    let alerts = site.root().join("alerts.jsonl");
    let missing = site.root().join("missing/alerts.jsonl");
    site.reconfigure(&format!("{alerts:?}"), &format!("{missing:?}"));
    site.configure("[limits]\nmax_queued_alerts = 20\n");
    fs::create_dir(site.root().join("spool")).unwrap();
    // Two batches at least: the second finds no room.
    let text = lines.join("\n") + "\n";
    fs::write(site.spool("a.cef"), &text).unwrap();
    let mut daemon = site.start_with(&[("EXFIL_AGENT_LONGEST_PAUSE_MS", "500")]);
    wait("the queue to be full", || site.judged_bytes().is_some_and(|n| n > 0));
    let more = site.spool("b.cef");
    fs::write(&more, "not an event\n").unwrap();
    std::thread::sleep(std::time::Duration::from_millis(1500));
    let pid = rustix::process::Pid::from_child(&daemon.child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    wait(&format!("the agent to stop; log:\n{}", site.log()), || daemon.has_ended());
    assert_eq!(daemon.terminate(), 0, "{}", site.log());

    fs::create_dir(missing.parent().unwrap()).unwrap();
    let daemon = site.start();
    let all = text.len() as u64 + fs::metadata(&more).unwrap().len();
    site.wait_for_bytes(all);
    let delivered = || detections(&fs::read_to_string(&missing).unwrap_or_default());
    wait("all alerts", || delivered().len() >= ids.len());
    assert_eq!(daemon.terminate(), 0, "{}", site.log());
    assert_same_ids(&delivered(), &ids, "after a stop with a full queue");
    assert!(site.dump() == state, "another state");
}

#[test]
fn a_watched_status_follows_the_agent_until_its_reader_has_gone() {
    let site = Site::new();
    fs::create_dir(site.root().join("spool")).unwrap();
    let daemon = site.start();
    wait("the agent to answer", || site.judged_bytes() == Some(0));
    let mut watching = Command::new(env!("CARGO_BIN_EXE_agentctl"))
        .arg("--config")
        .arg(site.config())
        .args(["status", "--watch"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(watching.stdout.take().unwrap()).lines();
    let mut next = || serde_json::from_str::<serde_json::Value>(&lines.next().unwrap().unwrap()).unwrap();
    assert_eq!(next()["bytes"], 0);
    let text = office(30).join("\n") + "\n";
    fs::write(site.spool("a.cef"), &text).unwrap();
    site.wait_for_bytes(text.len() as u64);
    while next()["bytes"] != text.len() as u64 {}
    // A stopped agent is watched, too.
    assert_eq!(daemon.terminate(), 0);
    while next()["source"]["agent"] != "stopped" {}
    drop(lines);
    assert!(watching.wait().unwrap().success(), "a reader that has seen enough is no trouble");
}
