//! docs/configuration.md is made from the shipped config, whose own tests hold its keys and defaults to those of the program.

use super::assert_up_to_date;
use std::fmt::Write;
use std::fs;

const HEAD: &str = "# Configuration reference

<!-- Generated from config/exfil-agent.toml by `UPDATE_EXPECT=1 cargo test documents`: change that file. -->

Settings stand in `/etc/exfil-agent/exfil-agent.toml`, which shows every one of them at its default, commented out. Unknown keys
are refused with a suggestion. `exfil-agent check` reads the file as the agent would and reports every fault at once, with its
line; `agentctl reload` puts a changed file into force, wholly or not at all. Times are in the unit that a key's name or text
says, sizes are bytes. An empty text (`\"\"`) means \"none\" where a path may be left out.
";

#[test]
fn the_configuration_reference_says_what_the_shipped_config_says() {
    let shipped = fs::read_to_string("config/exfil-agent.toml").unwrap();
    let reference = reference(&shipped);
    let keys = shipped.lines().filter(|l| setting(l).is_some()).count();
    assert_eq!(reference.matches("\n| `").count(), keys, "every setting has a line");
    assert_up_to_date("docs/configuration.md", &reference);
}

/// Key and value of a line that sets something, commented out or not.
fn setting(line: &str) -> Option<(&str, &str)> {
    let (key, value) = line.strip_prefix('#').unwrap_or(line).split_once(" = ")?;
    key.chars().all(|c| c.is_ascii_lowercase() || c == '_').then_some((key, value))
}

fn reference(shipped: &str) -> String {
    let mut out = HEAD.to_owned();
    let mut said: Vec<&str> = Vec::new();
    let mut table_is_open = false;
    let mut begun = false;
    for line in shipped.lines() {
        if line.starts_with("# ----") {
            // What stands above the first rule is about the file itself.
            (begun, table_is_open) = (true, false);
            said.clear();
        } else if !begun {
            continue;
        } else if let Some((key, value)) = setting(line) {
            if !table_is_open {
                out.push_str("\n| setting | default | |\n|--|--|--|\n");
                table_is_open = true;
            }
            assert!(!said.is_empty(), "{key} is not explained");
            let text = sentence(&said);
            writeln!(out, "| `{key}` | `{}` | {} |", value.replace('|', "\\|"), text.replace('|', "\\|")).unwrap();
            said.clear();
        } else if let Some(name) = line.strip_prefix('#').unwrap_or(line).strip_prefix('[') {
            let optional = if line.starts_with('#') { " (off as shipped)" } else { "" };
            writeln!(out, "\n## `[{name}`{optional}").unwrap();
            if !said.is_empty() {
                writeln!(out, "\n{}", sentence(&said)).unwrap();
            }
            said.clear();
            table_is_open = false;
        } else if let Some(comment) = line.strip_prefix("# ") {
            said.push(comment);
        }
    }
    out
}

/// The comment as running text; an indented line is an example.
fn sentence(lines: &[&str]) -> String {
    let shown = lines.iter().map(|l| l.strip_prefix("  ").map_or_else(|| (*l).to_owned(), |code| format!("`{code}`")));
    shown.collect::<Vec<_>>().join(" ")
}
