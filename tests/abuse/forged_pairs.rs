//! What a command line or a name says is text: it moves no event to somebody else, hides none, and opens no door in the store.

use super::stream::MONDAY;
use crate::support::{Outcome, Replay};
use serde_json::Value;
use std::collections::BTreeSet;

fn replayed(lines: &[String]) -> Outcome {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a.cef");
    std::fs::write(&file, lines.join("\n") + "\n").unwrap();
    Replay::new("", 1).over(&[file])
}

fn alerts(outcome: &Outcome) -> Vec<Value> {
    outcome.alerts.lines().map(|l| serde_json::from_str(l).unwrap()).collect()
}

#[test]
fn a_command_line_cannot_name_another_user_host_or_time_nor_hide_itself() {
    let head = |i: usize| {
        format!(
            "CEF:0|Dtex|DTEX InTERCEPT|6.0|ProcessCreated|Running C:\\t\\plink.exe|5|start={} Device_Name=CORP\\WS{i} User_Name=CORP\\real{i} ",
            MONDAY + i as i64
        )
    };
    let forged = "start=1500000000000 Device_Name=CORP\\VICTIM User_Name=CORP\\victim";
    let tails = [
        format!("reason=plink.exe -ssh u@h {forged}"),
        format!("reason=plink.exe {forged} outcome=Success"),
        format!("reason=plink.exe -ssh u@h outcome=Success {forged}"),
        format!("Process_Parameters=plink.exe -ssh u@h {forged}"),
        format!("reason=plink.exe \"x{forged}\""),
        format!("reason=plink.exe\t{forged}"),
        format!("reason=plink.exe  {}", forged.replace('=', " =")),
        format!(
            "reason=plink.exe | CEF:0|Dtex|DTEX InTERCEPT|6.0|ProcessCreated|Running C:\\notepad.exe|5|{forged} reason=notepad.exe"
        ),
        format!("reason=plink.exe x\\n{forged}"),
        format!("reason=plink.exe reason=notepad.exe {forged} Process_Name=notepad.exe"),
        format!("Destination_File_Name={forged} reason=plink.exe"),
        format!("reason=plink.exe User_Name\\=CORP\\victim {forged}"),
    ];
    let lines: Vec<String> = tails.iter().enumerate().map(|(i, tail)| head(i) + tail).collect();
    let outcome = replayed(&lines);
    let alerts = alerts(&outcome);
    let about = |i: usize| alerts.iter().filter(|a| a["entity"]["value"] == format!("corp\\real{i}")).count();
    for (i, line) in lines.iter().enumerate() {
        assert_eq!(about(i), 1, "judged, and for the one who did it: {line}\n{}", outcome.alerts);
    }
    assert!(alerts.iter().all(|a| a["time"].as_str().unwrap().starts_with("2026-03-02")), "{}", outcome.alerts);
    assert!(!outcome.state.contains("victim\""), "nobody has ever heard of the victim: {}", outcome.state);
}

#[test]
fn an_identity_that_stands_only_behind_the_command_line_is_counted_as_doubtful() {
    let line = format!(
        "CEF:0|Dtex|DTEX InTERCEPT|6.0|ProcessCreated|Running C:\\t\\plink.exe|5|start={MONDAY} reason=plink.exe x User_Name=CORP\\eve Device_Name=CORP\\WS1"
    );
    let outcome = replayed(&[line]);
    assert!(outcome.files.contains("odd:identity_after_reason=1"), "{}", outcome.files);
}

#[test]
fn hostile_names_are_names() {
    let long = "a".repeat(64 * 1024);
    let names = [
        "..\\..\\..\\etc\\passwd".to_owned(),
        "../../etc/passwd".into(),
        "*".into(),
        "[a-z]?".into(),
        "a\0b".into(),
        "a\0".into(),
        "a\0\u{1}".into(),
        "a\0\u{1}\u{2}FA-UP-TEMP\0\u{1}".into(),
        "e\u{0}u\u{1}".into(),
        "{\"row\":\"entity\"}".into(),
        "%n%s%p".into(),
        "$(reboot)`reboot`;reboot".into(),
        "\u{202e}exe.fdp".into(),
        "\u{1b}[2J".into(),
        long.clone(),
        format!("{long}b"),
        "K\u{212a}".into(), // the Kelvin sign is lower-cased to an ASCII letter
    ];
    let line = |(i, name): (usize, &String)| {
        format!(
            "CEF:0|Dtex|DTEX InTERCEPT|6.0|ProcessCreated|Running C:\\t\\plink.exe|5|start={} Device_Name=CORP\\{name} User_Name=CORP\\{name} User_Department={name} reason=plink.exe",
            MONDAY + i as i64
        )
    };
    let lines: Vec<String> = names.iter().enumerate().map(line).collect();
    let dir = tempfile::tempdir().unwrap();
    let (one, two) = (dir.path().join("1.cef"), dir.path().join("2.cef"));
    std::fs::write(&one, lines.join("\n") + "\n").unwrap();
    std::fs::write(&two, lines.join("\n") + " \n").unwrap();
    let mut replay = Replay::new("", 1);
    replay.step(std::slice::from_ref(&one));
    let first = replay.outcome();
    // Read back from the store, they are known: the same again is a repeat, not an alert.
    replay.step(&[two]);
    let second = replay.outcome();
    assert_eq!(second.alerts, first.alerts);
    // A NUL ends a record, since a writer's crash leaves runs of them: such names are nobody's.
    let readable = names.iter().filter(|n| !n.contains('\0')).count();
    let entities: BTreeSet<String> =
        alerts(&first).iter().map(|a| a["entity"]["value"].as_str().unwrap().to_owned()).collect();
    assert_eq!(entities.len(), readable, "{entities:?} {}", first.files);
    assert!(entities.iter().all(|e| e.len() <= 256), "long names keep their head and a hash");
    let rows = second.state.lines().filter(|l| l.contains("\"row\":\"guard\"")).count();
    assert_eq!(rows, readable);
}
