//! 180 rules more, as a content directory: what many rules cost, whatever they find.
//!
//! Half of them name programs that the traffic is full of, so that their literals are really looked for. They stand in for
//! public Sigma rules, which the product cannot load yet.

use crate::options::emptied;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

const BUSY: [&str; 15] = [
    "svchost",
    "chrome",
    "msedge",
    "outlook",
    "excel",
    "winword",
    "teams",
    "explorer",
    "cmd",
    "powershell",
    "conhost",
    "python",
    "java",
    "node",
    "certutil",
];

/// Writes them and a config that uses them. Returns the config.
pub fn write(dir: &Path) -> PathBuf {
    emptied(&dir.join("content/rules"));
    for i in 0..180 {
        fs::write(dir.join(format!("content/rules/extra_{i:03}.toml")), rule(i)).unwrap();
    }
    let config = dir.join("rules.toml");
    fs::write(&config, format!("[detection]\ncontent_dir = {:?}\n", dir.join("content"))).unwrap();
    config
}

fn rule(i: usize) -> String {
    let image = if i.is_multiple_of(2) { BUSY[i / 2 % BUSY.len()].to_owned() } else { format!("tool{i}") };
    let literal = format!("--exfil-{i} ");
    let mut text = format!(
        "id = \"EXTRA-{i:03}\"\nname = \"Extra rule {i}\"\nrevision = 1\nwhy = \"Measures what a rule costs.\"\n\
         triage = [\"None.\"]\nfalse_positives = [\"None.\"]\nattack = [\"T1048\"]\nscore = 1\nevents = [\"process-created\"]\n\
         entity = \"user\"\nper = \"image\"\nperiod = \"day\"\n\n[[condition.any]]\nimage = {image:?}\n\
         command_line = {{ contains = {literal:?} }}\n\n"
    );
    for (name, command, fires) in [
        ("with it", format!("{image}.exe {literal} x"), true),
        ("without it", format!("{image}.exe --other x"), false),
        ("another program", format!("another.exe {literal} x"), false),
    ] {
        let path = format!("C:\\\\t\\\\{}.exe", command.split(".exe").next().unwrap());
        writeln!(
            text,
            "[[test]]\nname = {name:?}\nfields = {{ process_path = \"{path}\", command_line = {command:?} }}\nfires = {fires}\n"
        )
        .unwrap();
    }
    text
}
