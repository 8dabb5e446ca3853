//! Regular expressions of a site's rules: too large ones are refused with file and line, costly ones stay harmless.

use super::stream::{MONDAY, process};
use super::watched::Watched;
use crate::effort;
use std::fs;
use std::path::Path;
use std::process::Command;

/// A site's rule that asks for an expression.
fn site_with(regex: &str) -> Watched {
    let agent = Watched::new("");
    let rule = format!(
        r#"id = "SITE-1"
name = "A site's own."
revision = 1
why = "To try it."
triage = ["Look."]
false_positives = ["None."]
attack = ["T1048"]
score = 10
events = ["process-created"]
entity = "user"
period = "day"

[condition]
command_line = {{ regex = '{regex}' }}

[[test]]
name = "fires"
fields = {{ command_line = "xaaaaaaaaa" }}
fires = true

[[test]]
name = "near"
fields = {{ command_line = "b" }}
fires = false

[[test]]
name = "nearer"
fields = {{ command_line = "c" }}
fires = false
"#
    );
    fs::create_dir_all(agent.at("content/rules")).unwrap();
    fs::write(agent.at("content/rules/site_1.toml"), rule).unwrap();
    let config = format!("[detection]\ncontent_dir = {:?}\n", agent.at("content"));
    fs::write(agent.at("agent.toml"), config).unwrap();
    agent
}

#[test]
fn an_expression_that_grows_too_large_is_refused_with_its_place() {
    for bomb in ["(x{300}){300}", "(x{1000}){1000}", "((((x{50}){50}){50}){50}){50}", "[^a]{100000}", "\\pL{5000}"] {
        let agent = site_with(bomb);
        fs::write(agent.at("a.cef"), "").unwrap();
        let out = Command::new(env!("CARGO_BIN_EXE_exfil-agent"))
            .args(["replay", "--config"])
            .arg(agent.at("agent.toml"))
            .arg(agent.at("a.cef"))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        assert_eq!(out.status.code(), Some(78), "{bomb}: {said}");
        assert!(said.contains("site_1.toml:14") && said.contains("compiled"), "{bomb}: {said}");
    }
}

#[test]
fn nested_repetition_over_the_longest_command_lines_ends() {
    for (regex, hits) in [("x(a+)+", true), ("(a|a)*b(a|aa)+c$", false), ("(.*)*(.*)*q$", false)] {
        let agent = site_with(regex);
        let n = effort::of(40, 2_000) as i64;
        // As long as a record may be; the head and the tail are judged.
        let command = |i: i64| format!("x{}{}", "a".repeat(262_144 - 400), if i % 2 == 0 { "" } else { "!" });
        let lines: Vec<String> = (0..n)
            .map(|i| {
                process(MONDAY + i, "WS1", &format!("u{i}"), "").replace("reason=", &format!("reason={}", command(i)))
            })
            .collect();
        fs::write(agent.at("a.cef"), lines.join("\n") + "\n").unwrap();
        let peak = agent.replay(&agent.at("a.cef"), "2026-03-04T00:00:00Z");
        assert!(peak < 256, "{peak} MiB");
        let status = agent.status();
        assert_eq!(status["events"]["process-created"], n, "{status}");
        let fired = agent.alerts_of("SITE-1") as i64;
        assert!(if hits { fired > 0 } else { fired == 0 }, "{regex}: {fired}");
    }
}

/// Searching for every match of an expression costs the square of the text's length; whether there is one does not.
#[test]
fn expressions_are_asked_whether_they_match_and_nothing_else() {
    let mut paths = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src/rule")];
    while let Some(path) = paths.pop() {
        if path.is_dir() {
            paths.extend(fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        for call in [".find_iter(", ".captures_iter(", ".captures(", ".replace_all(", ".splitn("] {
            let uses = text.contains("regex::") && text.contains(call);
            assert!(!uses, "{} calls {call} near a regular expression", path.display());
        }
    }
}
