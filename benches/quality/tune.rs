//! Numbers of the options, tried on the tuning seed alone.

use crate::measured::office::measure;
use crate::measured::tables::{Setup, options, roll_outs};
use exfil_agent::config::Settings;
use exfil_agent::simulate::Options;
use std::fs;

/// The office of tuning; never reported.
const TUNING: u64 = 7;
const RULES: &str = "config/content/rules";

/// Prints roll-outs and volume for each pair of numbers.
pub fn run(of: impl Fn(u64) -> Options) {
    let mut setups = Vec::new();
    let grid = [(3, 14), (5, 7), (5, 14), (5, 30), (10, 14)];
    for (at_least, within_days) in grid {
        let name = format!("`prevalence`, {at_least} in {within_days} days");
        let changes = [("at_least = 5", at_least, "at_least"), ("within_days = 14", within_days, "within_days")];
        let rules = ["fa_temp_directory_f", "fa_temp_directory_a"];
        setups.push(measured(name, "prevalence", &rules, &changes, &of));
    }
    for (at_least, within_days) in [(2, 30), (3, 14), (3, 30), (5, 30)] {
        let name = format!("`habits`, {at_least} in {within_days} days");
        let changes = [("at_least = 3", at_least, "at_least"), ("within_days = 30", within_days, "within_days")];
        let rules = ["atp_ftp_exfil", "exfil_tunnel_tools_exec", "nsniff_cred"];
        setups.push(measured(name, "habits", &rules, &changes, &of));
    }
    println!("{}\n{}", roll_outs(&setups), options(&setups));
}

fn measured(
    name: String,
    option: &str,
    rules: &[&str],
    changes: &[(&str, u32, &str)],
    of: &impl Fn(u64) -> Options,
) -> Setup {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("rules")).unwrap();
    for rule in rules {
        let mut text = fs::read_to_string(format!("{RULES}/{rule}.toml")).unwrap();
        for (line, number, key) in changes {
            assert!(text.contains(line), "{rule} has no {line}");
            text = text.replace(line, &format!("{key} = {number}"));
        }
        fs::write(dir.path().join("rules").join(format!("{rule}.toml")), text).unwrap();
    }
    let mut settings = Settings::default();
    settings.detection.options = vec![option.to_owned()];
    settings.detection.content_dir = Some(dir.path().to_owned());
    let offices = vec![measure(&of(TUNING), settings)];
    Setup { name: name.leak(), offices }
}
