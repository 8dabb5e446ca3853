//! The environment that the systemd unit gives the agent, for who starts one to see what it takes. The benchmark uses it, too.

use std::fs;

/// Names and values.
pub fn environment_of_the_unit() -> Vec<(String, String)> {
    let unit = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/systemd/exfil-agent.service")).unwrap();
    let lines = unit.lines().filter_map(|line| line.strip_prefix("Environment="));
    let pairs = lines.flat_map(str::split_whitespace).filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}
