//! The real daemon with a damaged state: it falls back to a snapshot and reads on from there, or learns anew when told so.

use crate::site::{Site, assert_same_ids, office, uninterrupted, wait};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::process::Command;

fn operational(site: &Site) -> Vec<serde_json::Value> {
    let text = fs::read_to_string(site.root().join("alerts.jsonl")).unwrap_or_default();
    let alerts = text.lines().map(|l| serde_json::from_str::<serde_json::Value>(l).unwrap());
    alerts.filter(|a| a["kind"] == "operational").collect()
}

fn append(site: &Site, text: &str) {
    let mut file = OpenOptions::new().create(true).append(true).open(site.spool("a.cef")).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

/// A site whose agent has judged half of an office, was stopped, has judged more, and was killed.
fn worked(lines: &[String]) -> Site {
    let site = Site::new();
    fs::create_dir(site.root().join("spool")).unwrap();
    let (first, second) = lines.split_at(lines.len() / 2);
    let (first, second) = (first.join("\n") + "\n", second[..second.len() / 2].join("\n") + "\n");
    append(&site, &first);
    let daemon = site.start();
    site.wait_for_bytes(first.len() as u64);
    assert_eq!(daemon.terminate(), 0);
    let daemon = site.start();
    append(&site, &second);
    site.wait_for_bytes((first.len() + second.len()) as u64);
    daemon.kill();
    site
}

#[test]
fn a_damaged_state_is_put_back_to_its_snapshot_and_the_spool_is_read_again_from_there() {
    let lines = office(1400);
    let (ids, state) = uninterrupted(&lines);
    let site = worked(&lines);
    let db = site.root().join("state/sled/db");
    let mut bytes = fs::read(&db).unwrap();
    let end = bytes.iter().rposition(|b| *b != 0).unwrap();
    bytes[end - 3000..end].fill(0x55);
    fs::write(&db, bytes).unwrap();

    // Whoever looks before the agent starts is told where to look.
    let looked = site.ctl(&["state", "stats"]);
    assert_eq!(looked.status.code(), Some(4));
    let said = String::from_utf8(looked.stderr).unwrap();
    let snapshot = said.split("--state ").nth(1).unwrap().split(' ').next().unwrap().to_owned();
    let read =
        Command::new(env!("CARGO_BIN_EXE_agentctl")).args(["state", "stats", "--state", &snapshot]).output().unwrap();
    assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));

    let daemon = site.start();
    let text = lines.join("\n") + "\n";
    let judged = fs::metadata(site.spool("a.cef")).unwrap().len() as usize;
    append(&site, &text[judged..]);
    site.wait_for_bytes(text.len() as u64);
    wait("all alerts", || site.alert_ids().len() >= ids.len());
    assert_eq!(daemon.terminate(), 0);
    assert_same_ids(&site.alert_ids(), &ids, "the file sink drops what is raised again");
    assert!(site.dump() == state, "another state");
    let told = operational(&site);
    assert_eq!(told.len(), 1, "{told:?}");
    let told = told[0].to_string();
    assert!(told.contains("state-recovered") && told.contains("snapshot of commit"), "{told}");
    assert!(told.contains("damaged-1"), "names where the damaged files are: {told}");
    assert!(site.root().join("state/damaged-1/sled/db").exists());
}

#[test]
fn a_lost_state_is_refused_and_learned_anew_quietly_when_told_so() {
    let lines = office(1400);
    let site = worked(&lines);
    let before = site.alert_ids();
    fs::remove_dir_all(site.root().join("state/snapshots")).unwrap();
    fs::remove_file(site.root().join("state/sled/db")).unwrap();
    let run = || Command::new(env!("CARGO_BIN_EXE_exfil-agent")).args(["run", "--config"]).arg(site.config()).output();
    let refused = run().unwrap();
    assert_eq!(refused.status.code(), Some(65));
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(said.contains("the database is gone") && said.contains("--accept-empty-state"), "{said}");
    assert!(!site.root().join("state/sled/db").exists(), "a refused start changes nothing");

    let daemon = site.start_with_arguments(&["--accept-empty-state"]);
    let judged = fs::metadata(site.spool("a.cef")).unwrap().len();
    site.wait_for_bytes(judged);
    wait("the loss to be told", || !operational(&site).is_empty());
    let told = operational(&site)[0].to_string();
    assert!(told.contains("state-lost") && told.contains("the database is gone"), "{told}");
    let status: serde_json::Value = serde_json::from_slice(&site.ctl(&["status"]).stdout).unwrap();
    assert!(status["warnings"].to_string().contains("learned anew"), "{status}");
    assert_eq!(site.alert_ids(), before, "the past is learned, and its alerts are not delivered again");
    let listed = String::from_utf8(site.ctl(&["alerts", "list", "--limit", "5"]).stdout).unwrap();
    assert!(listed.contains("\"suppressed\":true"), "they can be read: {listed}");

    // The present alerts as ever: absolute rules do not wait for learning.
    let now = exfil_agent::calendar::wall_clock_ms() + 60_000;
    append(
        &site,
        &format!(
            "CEF:0|Dtex|DTEX InTERCEPT|6.0|ProcessCreated|Running C:\\t\\plink.exe|5|start={now} Device_Name=CORP\\WS9 User_Name=CORP\\new Process_Name=plink.exe reason=plink.exe -ssh u@h outcome=Success\n"
        ),
    );
    wait(&format!("the alert of today; log:\n{}", site.log()), || site.alert_ids().len() > before.len());
    assert_eq!(daemon.terminate(), 0);

    // A restart without the word of the user goes on with what is there.
    let daemon = site.start();
    wait("the agent to be up", || site.judged_bytes().is_some());
    assert_eq!(daemon.terminate(), 0);
    assert_eq!(site.alert_ids().len(), before.len() + 1);
}
