//! The binaries under measurement, and what they leave behind.

use crate::options::Options;
use serde_json::Value;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the collector's clock says in every replay: behind all data.
pub const NOW: &str = "2027-01-01T00:00:00Z";

pub struct Product {
    pub agent: PathBuf,
    pub ctl: PathBuf,
}

impl Product {
    pub fn find(options: &Options) -> Product {
        // Beside whatever this benchmark itself was built as: what is shipped is measured.
        let release = || Path::new(env!("CARGO_BIN_EXE_exfil-agent")).parent().unwrap().join("../release");
        let dir = std::path::absolute(options.product.clone().unwrap_or_else(release)).unwrap();
        let product = Product { agent: dir.join("exfil-agent"), ctl: dir.join("agentctl") };
        assert!(product.agent.exists(), "{} is missing: build the product in release", product.agent.display());
        product
    }

    /// `replay` of files and directories in the directory of the run.
    pub fn replay(&self, input: &[PathBuf], more: &[&str]) -> Vec<String> {
        let mut words = vec![self.agent.display().to_string(), "replay".into()];
        words.extend(["--now", NOW, "--out", "alerts.jsonl"].map(String::from));
        words.extend(more.iter().map(|w| (*w).to_owned()));
        words.extend(input.iter().map(|p| p.display().to_string()));
        words
    }

    /// An answer of agentctl.
    pub fn ask(&self, words: &[&str], place: &Path) -> Option<Value> {
        let option = if place.is_dir() { "--state" } else { "--config" };
        let answer =
            Command::new(&self.ctl).args(words).args(["--format", "json", option]).arg(place).output().unwrap();
        serde_json::from_slice(&answer.stdout).ok()
    }
}

/// How many alerts stand in a file of ours, and a digest of their ids in order.
pub fn alert_ids(file: &Path) -> (u64, u64) {
    let (mut n, mut digest) = (0, DefaultHasher::new());
    for line in fs::read_to_string(file).unwrap_or_default().lines() {
        let alert: Value = serde_json::from_str(line).unwrap();
        if alert["kind"] == "detection" {
            n += 1;
            alert["id"].as_str().unwrap().hash(&mut digest);
        }
    }
    (n, digest.finish())
}

/// Bytes in all files below a directory.
pub fn bytes_below(dir: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(dir) else { return 0 };
    let size =
        |path: PathBuf| if path.is_dir() { bytes_below(&path) } else { fs::metadata(path).map_or(0, |m| m.len()) };
    entries.map(|e| size(e.unwrap().path())).sum()
}
