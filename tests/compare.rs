//! `replay --compare`: two contents over one spool, against two plain replays.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

fn exfil_agent(dir: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_exfil-agent")).args(arguments).current_dir(dir).output().unwrap()
}

fn succeeded(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// A site's content: a score, a switch, a threshold, a condition and an exception.
fn changed_content(dir: &Path) {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/content/rules/certutil_encode.toml");
    let rule = fs::read_to_string(shipped).unwrap();
    let condition = "\n[condition]\n";
    assert!(rule.contains(condition));
    fs::create_dir_all(dir.join("rules")).unwrap();
    fs::write(
        dir.join("rules/certutil.toml"),
        rule.replacen(condition, "\n[condition]\nuser = \"nobody-of-that-name\"\n", 1),
    )
    .unwrap();
    let patches = r#"
        [[override]]
        rule = "WEB-FS"
        reason = "test"
        score = 3
        [[override]]
        rule = "A-Certutil-Encode"
        reason = "test"
        enabled = false
        [[override]]
        rule = "WEB-New-File-20"
        reason = "test"
        reaches = 900_000_000
        [[exception]]
        id = "tunnels"
        rule = "Exfil-Tunnel-Tools-Exec"
        process = ["plink", "socat", "stunnel", "httptunnel"]
        reason = "we like tunnels"
    "#;
    fs::write(dir.join("site.override.toml"), patches).unwrap();
}

type Subject = (String, String, String, String);

/// What a plain replay alerts about, with the score.
fn replayed(dir: &Path, config: Option<&str>) -> BTreeMap<Subject, u64> {
    let mut arguments = vec!["replay", "office/spool", "--now", NOW];
    arguments.extend(config.into_iter().flat_map(|config| ["--config", config]));
    let lines = succeeded(&exfil_agent(dir, &arguments));
    let alerts = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    alerts
        .filter(|a| a["kind"] == "detection")
        .map(|a| {
            let subject =
                (text(&a["rule"]["id"]), text(&a["entity"]["value"]), text(&a["value"]), text(&a["sequence"]));
            (subject, a["score"].as_u64().unwrap())
        })
        .collect()
}

const NOW: &str = "2026-04-30T00:00:00Z";

#[test]
fn what_differs_is_what_two_replays_say() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    succeeded(&exfil_agent(dir, &["simulate", "--seed", "7", "--users", "60", "--days", "21", "--out", "office"]));
    changed_content(&dir.join("changed"));
    fs::write(dir.join("changed.toml"), "[detection]\ncontent_dir = \"changed\"\n").unwrap();

    let compare = |a: &str, b: &str, more: &[&str]| {
        let arguments = ["replay", "--compare", a, b, "office/spool", "--now", NOW];
        succeeded(&exfil_agent(dir, &[&arguments[..], more].concat()))
    };
    let found: Value = serde_json::from_str(&compare("shipped", "changed", &["--json", "--explain"])).unwrap();
    let (a, b) = (replayed(dir, None), replayed(dir, Some("changed.toml")));

    // Against two plain replays, alert by alert.
    let subjects: BTreeSet<&Subject> = a.keys().chain(b.keys()).collect();
    let wanted: BTreeSet<_> = subjects
        .iter()
        .filter(|s| a.get(s) != b.get(s))
        .map(|s| ((*s).clone(), a.get(s).copied(), b.get(s).copied()))
        .collect();
    let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    let differences = found["differences"].as_array().unwrap();
    let said: BTreeSet<_> = differences
        .iter()
        .map(|d| {
            let subject = (text(&d["rule"]), text(&d["entity"]), text(&d["value"]), text(&d["sequence"]));
            (subject, d["score_a"].as_u64(), d["score_b"].as_u64())
        })
        .collect();
    assert_eq!(said, wanted);
    assert_eq!(said.len(), differences.len());
    assert_eq!(found["same"].as_u64(), Some((subjects.len() - wanted.len()) as u64));
    assert_eq!(found["a"]["alerts"].as_u64(), Some(a.len() as u64));
    assert_eq!(found["b"]["alerts"].as_u64(), Some(b.len() as u64));

    // Each change has made differences, and says so.
    for (rule, why) in [
        ("WEB-FS", "the rule has another score there"),
        ("A-Certutil-Encode", "A-Certutil-Encode is switched off there"),
        ("WEB-New-File-20", "the condition holds there, too, but reaches is 900000000 there and 20000000 here"),
        ("Certutil-Encode", "the condition does not hold there: user is "),
        ("Exfil-Tunnel-Tools-Exec", "the exception tunnels silences it there: we like tunnels"),
    ] {
        let mut of_rule = differences.iter().filter(|d| d["rule"] == rule).peekable();
        assert!(of_rule.peek().is_some(), "{rule} differs");
        for d in of_rule {
            assert!(d["why"].as_str().unwrap().starts_with(why), "{d}");
        }
    }

    // The other way round it is the mirror image, and a config is as good as its content.
    let back: Value = serde_json::from_str(&compare("changed.toml", "shipped", &["--json"])).unwrap();
    assert_eq!((&back["only_a"], &back["only_b"]), (&found["only_b"], &found["only_a"]));
    assert_eq!(back["score_changed"], found["score_changed"]);
    assert!(back["differences"].as_array().unwrap().iter().all(|d| d["why"].is_null()));

    let table = compare("shipped", "changed", &["--explain", "--limit", "3"]);
    for part in ["from shipped (", "WEB-FS", "only A", "and ", "more differences; --limit"] {
        assert!(table.contains(part), "{part}: {table}");
    }
    assert!(compare("shipped", "shipped", &[]).ends_with("Nothing differs.\n"));
}

#[test]
fn the_zone_of_a_spool_is_that_of_its_csv_times_as_in_a_plain_replay() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    // 1:30 in Tokyo is the day before in UTC.
    let rows = "Activity_Category,Activity_Type,User_Name,User_Department,User_Location,Device_Name,Process_Name,Process_Directory,Process_Parameters,Website_Query,Activity_Description,Start_Time\n\
                ProcessActivity,ProcessCreated,CORP\\jdoe,Sales,Tokyo,CORP\\WS1,plink.exe,C:\\t,plink.exe u@h,,x,2026-03-02T01:30:00\n";
    fs::create_dir_all(dir.join("office/spool")).unwrap();
    fs::write(dir.join("office/spool/a.csv"), rows).unwrap();
    fs::write(dir.join("zone.toml"), "[[spool]]\npath = \"/nowhere\"\ntimezone = \"Asia/Tokyo\"\n").unwrap();
    let days = |alerts: BTreeMap<Subject, u64>| alerts.into_keys().map(|s| s.3).collect::<Vec<_>>();
    assert_eq!(
        (days(replayed(dir, None)), days(replayed(dir, Some("zone.toml")))),
        (vec!["2026-03-02".into()], vec!["2026-03-01".to_owned()])
    );
    let arguments = ["replay", "--compare", "shipped", "zone.toml", "office/spool", "--now", NOW, "--json"];
    let found: Value = serde_json::from_str(&succeeded(&exfil_agent(dir, &arguments))).unwrap();
    assert_eq!((&found["only_a"], &found["only_b"], &found["same"]), (&1.into(), &1.into(), &0.into()));
}

#[test]
fn the_commands_of_the_document_work_as_they_stand_there() {
    let document = include_str!("../docs/backtest.md");
    let (_, block) = document.split_once("```sh\n").unwrap();
    let commands: Vec<&str> = block.split_once("```").unwrap().0.lines().collect();
    assert_eq!(commands.len(), 2);
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    succeeded(&exfil_agent(dir, &["simulate", "--users", "20", "--days", "16", "--out", "."]));
    changed_content(&dir.join("content-new"));
    fs::write(dir.join("exfil-agent.toml"), "").unwrap();
    fs::write(dir.join("candidate.toml"), "[detection]\ncontent_dir = \"content-new\"\n").unwrap();
    for command in commands {
        let words: Vec<&str> = command.split_whitespace().collect();
        let (program, arguments) = words.split_first().unwrap();
        assert_eq!(*program, "exfil-agent");
        let answer = succeeded(&exfil_agent(dir, arguments));
        assert!(answer.contains("WEB-FS"), "{command}: {answer}");
    }
}

#[test]
fn what_cannot_be_compared_is_refused_with_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    fs::write(dir.join("note.cef"), "").unwrap();
    fs::write(dir.join("bad.toml"), "[detection]\nstrikt = true\n").unwrap();
    fs::create_dir_all(dir.join("bad/rules")).unwrap();
    fs::write(dir.join("bad/rules/x.toml"), "id = 3\n").unwrap();
    for (arguments, code, says) in [
        (&["--compare", "shipped", "gone", "note.cef"][..], 2, "--compare gone: No such file or directory"),
        (&["--compare", "bad.toml", "bad", "note.cef"], 78, "did you mean \"strict\"?"),
        (&["--compare", "bad.toml", "bad", "note.cef"], 78, "x.toml:1"),
        (&["--compare", "shipped", "shipped", "note.cef", "--out", "x"], 2, "cannot be used with"),
        (&["--compare", "shipped", "shipped", "--stats", "note.cef"], 2, "cannot be used with"),
        (&["--explain", "note.cef"], 2, "--compare"),
    ] {
        let output = exfil_agent(dir, &[&["replay"][..], arguments].concat());
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {stderr}");
        assert!(stderr.contains(says), "{arguments:?}: {stderr}");
    }
}
