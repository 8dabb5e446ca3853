//! A site's own content on the real daemon: what it silences is counted whatever kills the agent, bad content is refused by a
//! start and by a reload, and a model whose definition changed is never mixed with what it had learned before.

use crate::site::{Site, assert_same_ids, detections, office, uninterrupted, wait};
use crate::support::Replay;
use exfil_agent::failpoint::Point;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::PathBuf;
use std::process::Output;
use std::time::Duration;

const EXCEPTIONS: &str = r#"
[[exception]]
id = "one-user"
rule = ["Exfil-Tunnel-Tools-Exec", "FA-TEMP-DIRECTORY-F"]
user = "user0"
until = 2026-03-25
reason = "She builds the tunnels."

[[exception]]
id = "one-site"
rule = "*"
domain = "mega.nz"
reason = "Ours."
"#;

/// A site whose content directory holds these files.
fn site_with(files: &[(&str, &str)]) -> Site {
    let site = Site::new();
    fs::create_dir(site.root().join("spool")).unwrap();
    fs::create_dir(content_of(&site)).unwrap();
    site.configure(&format!("[detection]\ncontent_dir = {:?}\n", content_of(&site)));
    files.iter().for_each(|(name, text)| put(&site, name, text));
    site
}

fn content_of(site: &Site) -> PathBuf {
    site.root().join("content")
}

fn put(site: &Site, name: &str, text: &str) {
    let path = content_of(site).join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn append(site: &Site, text: &str) {
    let mut file = OpenOptions::new().create(true).append(true).open(site.spool("a.cef")).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Starts the daemon, which ends by itself.
fn refused(site: &Site) -> i32 {
    let mut daemon = site.start();
    wait("the start to be refused", || daemon.has_ended());
    daemon.terminate()
}

fn rows(site: &Site, what: &[&str]) -> Vec<serde_json::Value> {
    let out = site.ctl(what);
    assert!(out.status.success(), "{}", said(&out));
    eprint!("{}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap().lines().map(|l| serde_json::from_str(l).unwrap()).collect()
}

#[test]
fn what_exceptions_silence_is_counted_once_whatever_kills_the_agent() {
    let lines = office(2100);
    let text = lines.join("\n") + "\n";
    let site = site_with(&[("us.override.toml", EXCEPTIONS)]);
    site.reconfigure("[state]\n", "[state]\ncompact_min_bytes = 0\n");
    site.configure("[limits]\nmax_delta_bytes = 16384\nmax_resident_bytes = 0\n");
    let all = site.root().join("all.cef");
    fs::write(&all, &text).unwrap();
    let config = format!("[detection]\ncontent_dir = {:?}\n", content_of(&site));
    let outcome = Replay::new(&config, 4).over(&[all]);
    let (ids, state) = (detections(&outcome.alerts), outcome.state);
    let without = uninterrupted(&lines).0;
    assert!(!ids.is_empty() && ids.len() < without.len() && ids.iter().all(|id| without.contains(id)));
    assert_eq!(state.matches("\"row\":\"silenced\"").count(), 3, "{state}");

    const KILLS: usize = 12;
    let mut daemon = site.start();
    for (n, piece) in text.as_bytes().chunks(text.len().div_ceil(KILLS)).enumerate() {
        append(&site, &String::from_utf8_lossy(piece));
        std::thread::sleep(Duration::from_millis(13 * n as u64));
        daemon.kill();
        daemon = site.start();
    }
    site.wait_for_bytes(text.len() as u64);
    wait("all alerts", || site.alert_ids().len() >= ids.len());
    wait("the agent to answer", || site.judged_bytes().is_some());

    // Running and stopped say the same, everywhere.
    let shown = |what: &[&str]| rows(&site, what);
    let exceptions = shown(&["content", "exceptions"]);
    let status = shown(&["status"]);
    let of = |rows: &[serde_json::Value]| -> Vec<(String, u64)> {
        rows.iter().map(|r| (format!("{} {}", r["exception"], r["rule"]), r["silenced"].as_u64().unwrap())).collect()
    };
    let total: u64 = of(&exceptions).iter().map(|(_, n)| n).sum();
    assert_eq!(total as usize, without.len() - ids.len(), "each alert that was not made is counted once");
    assert_eq!((status[0]["silenced"].as_u64(), status[0]["silencing"].as_u64()), (Some(total), Some(2)));
    let listed = shown(&["rules", "list"]);
    assert_eq!(listed.iter().map(|r| r["silenced"].as_u64().unwrap()).sum::<u64>(), total);
    let rule = &shown(&["rules", "show", "Exfil-Tunnel-Tools-Exec"])[0]["exceptions"];
    assert_eq!((rule[0]["id"].as_str(), rule[0]["last_entity"].as_str()), (Some("one-user"), Some("corp\\user0")));
    assert!(rule[0]["last_day"].as_str().unwrap() <= "2026-03-25" && rule[1]["silenced"] == 0, "{rule}");
    assert_eq!(daemon.terminate(), 0, "{}", site.log());
    assert_same_ids(&site.alert_ids(), &ids, "with exceptions");
    assert!(site.dump() == state, "another state");
    assert_eq!(of(&shown(&["content", "exceptions"])), of(&exceptions));

    // Whose exception is gone is still told of; who is forgotten is not.
    put(&site, "us.override.toml", "");
    assert!(shown(&["content", "exceptions"]).iter().all(|r| r["state"] == "not in the content"));
    assert!(site.ctl(&["state", "forget", "--user", r"corp\user0", "--yes"]).status.success());
    let about = |r: &serde_json::Value| r["last_entity"].as_str() == Some(r"corp\user0");
    assert!(!shown(&["content", "exceptions"]).iter().any(about));
}

#[test]
fn bad_content_stops_a_start_with_every_fault_and_a_reload_keeps_what_was() {
    let lines = office(600);
    let bad = "[[override]]\nrule = \"WEB-SF\"\nscore = 1\nreason = \"r\"\n[[exception]]\nid = \"x\"\nrule = \"*\"\nreason = \"r\"\n";
    let site = site_with(&[("us.override.toml", bad), ("models/m.toml", "id = \"M\"\n")]);
    assert_eq!(refused(&site), 78);
    for fault in
        ["us.override.toml:1", "did you mean \"WEB-FS\"", "us.override.toml:5", "m.toml:1", "cut_off is missing"]
    {
        assert!(site.log().contains(fault), "{fault} in {}", site.log());
    }

    fs::remove_file(content_of(&site).join("models/m.toml")).unwrap();
    put(&site, "us.override.toml", EXCEPTIONS);
    let daemon = site.start();
    let (first, rest) = lines.split_at(300);
    append(&site, &(first.join("\n") + "\n"));
    let bytes = |lines: &[String]| lines.join("\n").len() as u64 + 1;
    site.wait_for_bytes(bytes(first));
    put(&site, "us.override.toml", bad);
    let reload = site.ctl(&["reload"]);
    assert_eq!(reload.status.code(), Some(1));
    assert!(said(&reload).contains("us.override.toml:5") && said(&reload).contains("WEB-SF"), "{}", said(&reload));
    append(&site, &(rest.join("\n") + "\n"));
    site.wait_for_bytes(bytes(&lines));
    assert_eq!(daemon.terminate(), 0);
    // The exceptions went on as they were.
    put(&site, "us.override.toml", EXCEPTIONS);
    let all = site.root().join("all.cef");
    fs::write(&all, lines.join("\n") + "\n").unwrap();
    let outcome = Replay::new(&format!("[detection]\ncontent_dir = {:?}\n", content_of(&site)), 1).over(&[all]);
    assert_same_ids(&site.alert_ids(), &detections(&outcome.alerts), "after a refused reload");
    assert!(site.dump() == outcome.state, "another state");
}

/// The shipped model of temporary processes with another condition or thresholds.
fn model(replace: &[(&str, &str)]) -> String {
    let text = fs::read_to_string("config/content/models/fa_up_temp.toml").unwrap();
    replace.iter().fold(text, |text, (from, to)| {
        assert!(text.contains(from), "{from}");
        text.replace(from, to)
    })
}

const OTHER: (&str, &str) = ("is_temp = true", "is_temp = true\nnot = { process_name = \"updater0.exe\" }");
const REVISED: (&str, &str) = ("revision = 1", "revision = 2");

/// Rows of a dump that a model gave.
fn learned(dump: &str) -> Vec<&str> {
    dump.lines().filter(|l| l.contains("\"model\":\"FA-UP-TEMP\"")).collect()
}

#[test]
fn a_model_goes_on_with_other_thresholds_and_is_refused_with_another_definition_under_its_revision() {
    let lines = office(900);
    let text = lines.join("\n") + "\n";
    let site = site_with(&[]);
    append(&site, &text);
    let daemon = site.start();
    site.wait_for_bytes(text.len() as u64);
    let before = rows(&site, &["state", "dump", "--model", "FA-UP-TEMP"]);
    assert!(!before.is_empty());

    // Comments and thresholds are no other definition.
    put(
        &site,
        "models/temp.toml",
        &model(&[("cut_off = 30", "# sooner\ncut_off = 25"), ("alpha = 0.8", "alpha = 0.9")]),
    );
    assert!(site.ctl(&["reload"]).status.success());
    let counts = |rows: &[serde_json::Value]| -> Vec<String> {
        rows.iter().map(|r| format!("{} {} {}", r["scope"], r["value"], r["count"])).collect()
    };
    assert_eq!(counts(&rows(&site, &["state", "dump", "--model", "FA-UP-TEMP"])), counts(&before));

    // Another condition is: a running agent refuses it and goes on.
    put(&site, "models/temp.toml", &model(&[OTHER]));
    let reload = site.ctl(&["reload"]);
    assert_eq!(reload.status.code(), Some(1));
    let fault =
        "its definition is not the one by which it has learned, but it has the same revision 1; give it a new revision";
    assert!(said(&reload).contains("models/temp.toml") && said(&reload).contains(fault), "{}", said(&reload));
    assert!(site.judged_bytes().is_some(), "it goes on");
    assert_eq!(daemon.terminate(), 0);
    assert_eq!(refused(&site), 78);
    assert!(site.log().matches(fault).count() >= 2, "{}", site.log());

    // Forgetting is the other way out.
    assert!(site.ctl(&["state", "forget", "--model", "FA-UP-TEMP", "--yes"]).status.success());
    let daemon = site.start();
    wait("the agent to answer", || site.judged_bytes().is_some());
    assert_eq!(daemon.terminate(), 0);
}

#[test]
fn a_model_of_a_new_revision_learns_anew_and_says_so_whatever_interrupts_it() {
    let lines = office(1500);
    let (first, rest) = lines.split_at(1200);
    let (first, rest) = (first.join("\n") + "\n", rest.join("\n") + "\n");
    let lived = |points: &[(Point, usize)]| {
        let site = site_with(&[]);
        append(&site, &first);
        let daemon = site.start();
        site.wait_for_bytes(first.len() as u64);
        assert_eq!(daemon.terminate(), 0);
        assert!(learned(&site.dump()).len() > 10);
        put(&site, "models/temp.toml", &model(&[OTHER, REVISED]));
        let mut died = 0;
        for (point, nth) in points {
            let fail = format!("abort={}:{nth}", point.name());
            let started = site.log().matches("reading 1 spool(s)").count();
            let mut daemon = site.start_with(&[("EXFIL_AGENT_FAIL", &fail)]);
            let goes_on = || site.log().matches("reading 1 spool(s)").count() > started;
            wait("it dies or goes on", || daemon.has_ended() || goes_on());
            died += usize::from(daemon.has_ended());
            daemon.kill();
        }
        let daemon = site.start();
        wait("the agent to answer", || site.judged_bytes().is_some());
        append(&site, &rest);
        site.wait_for_bytes((first.len() + rest.len()) as u64);
        (site, daemon, died)
    };
    let (site, daemon, _) = lived(&[]);
    assert!(site.log().contains("the model FA-UP-TEMP has revision 2 and had learned by revision 1"), "{}", site.log());
    let alerts = fs::read_to_string(site.root().join("alerts.jsonl")).unwrap();
    assert_eq!(alerts.matches("\"model-relearns\"").count(), 1, "told once");
    let status = &rows(&site, &["status"])[0];
    let progress = status["models"].as_array().unwrap().iter().find(|m| m["model"] == "FA-UP-TEMP").unwrap();
    assert_eq!((progress["revision"].as_u64(), progress["anew_since"].is_string()), (Some(2), true), "{progress}");
    assert!(status["warnings"].to_string().contains("the model FA-UP-TEMP learns anew since 2026-"), "{status}");
    assert_eq!(daemon.terminate(), 0);
    let whole = site.dump();
    // Nothing of what it had learned before is left: it knows what an agent knows that begins here, and no more.
    let fresh = site_with(&[("models/temp.toml", &model(&[OTHER, REVISED]))]);
    append(&fresh, &rest);
    let daemon = fresh.start();
    fresh.wait_for_bytes(rest.len() as u64);
    assert_eq!(daemon.terminate(), 0);
    let bins = |dump: &str| -> Vec<String> {
        learned(dump).iter().filter(|l| l.contains("\"row\":\"bin\"")).map(|l| (*l).to_owned()).collect()
    };
    assert_eq!(bins(&whole), bins(&fresh.dump()));

    // The three commits of it: that it is on its way out, what leaves, that it has begun anew.
    let synced = |nth| (Point::CommitSynced, nth);
    let applied = |nth| (Point::CommitApplied, nth);
    for points in [vec![applied(1)], vec![synced(1)], vec![applied(2)], vec![synced(2), synced(1), synced(3)]] {
        let (site, daemon, died) = lived(&points);
        assert!(died > 0, "{points:?} were never reached");
        assert_eq!(daemon.terminate(), 0);
        assert!(site.dump() == whole, "another state after {points:?}");
    }
}

/// The `sh` blocks of a document, in order, as one script.
fn script(document: &str) -> String {
    let (mut out, mut inside) = (String::new(), false);
    for line in fs::read_to_string(document).unwrap().lines() {
        match line {
            "```sh" => inside = true,
            "```" => inside = false,
            _ if inside => out.extend([line, "\n"]),
            _ => {}
        }
    }
    out
}

#[test]
fn the_guide_to_content_works_as_it_stands() {
    use std::os::unix::fs::PermissionsExt;
    let site = site_with(&[]);
    let daemon = site.start();
    wait("the agent to answer", || site.judged_bytes().is_some());
    // The programs of this build, asked about this site; the places of an installed agent are this site's.
    let bin = site.root().join("bin");
    fs::create_dir(&bin).unwrap();
    let wrapper =
        format!("#!/bin/sh\nexec {} --config {} \"$@\"\n", env!("CARGO_BIN_EXE_agentctl"), site.config().display());
    fs::write(bin.join("agentctl"), wrapper).unwrap();
    fs::set_permissions(bin.join("agentctl"), PermissionsExt::from_mode(0o755)).unwrap();
    let script = script("docs/content.md")
        .replace("/tmp/", &format!("{}/", site.root().display()))
        .replace("/etc/exfil-agent/content", content_of(&site).to_str().unwrap());
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let out = std::process::Command::new("sh").args(["-euc", &script]).env("PATH", path).output().unwrap();
    let (shown, warned) = (String::from_utf8_lossy(&out.stdout).into_owned(), said(&out));
    assert!(out.status.success(), "{shown}\n{warned}");
    for wanted in [
        "web_fs.toml",
        "sanctioned_domains.txt",
        "ours.override.toml:1",
        "exfil_tunnel_tools_exec.toml",
        "backup-tunnel",
    ] {
        assert!(shown.contains(wanted), "{wanted} in {shown}");
    }
    // What the guide has written is in force: the patches, the copy, the exceptions.
    let rules = rows(&site, &["rules", "list"]);
    let rule = |id: &str| rules.iter().find(|r| r["id"] == id).unwrap();
    assert_eq!(rule("WEB-FS")["score"], 1);
    assert!(rule("Exfil-Tunnel-Tools-Exec")["origin"].as_str().unwrap().ends_with("exfil_tunnel_tools_exec.toml"));
    let fires = rule_shown(&site, "Exfil-Tunnel-Tools-Exec");
    assert_eq!(fires["revision"], 2);
    let copy = fs::read_to_string(content_of(&site).join("rules/exfil_tunnel_tools_exec.toml")).unwrap();
    assert!(copy.starts_with("based_on = \"1 ") && copy.contains("\"acme-tunnel\""), "{copy}");
    assert_eq!(fires["exceptions"][0]["id"], "backup-tunnel");
    assert!(site.ctl(&["content", "test"]).status.success());
    // The patches of the guide do not say what they are based on, which is told.
    assert!(warned.contains("ours.override.toml:1") && warned.contains("write based_on = \"1 "), "{warned}");
    assert_eq!(daemon.terminate(), 0);
}

fn rule_shown(site: &Site, id: &str) -> serde_json::Value {
    rows(site, &["rules", "show", id]).remove(0)
}
