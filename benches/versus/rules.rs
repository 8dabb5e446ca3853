//! Public Sigma rules beside ours: what many rules cost, whatever they find.
//!
//! Of the rules about processes, the first 180 by path that compile and are not inert; and all of them. Copies of the 180 lie in
//! the directory of the benchmark alone. Rules that the made-up traffic meets all the time (programs in odd directories, with odd
//! parents) are left out: what their alerts cost is another question.

use crate::data::Input;
use crate::options::emptied;
use crate::product::Product;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Rules that are added to ours for the row "200 rules".
const ADDED: usize = 180;
/// Events for each alert of a rule, below which it is left out.
const EVENTS_PER_ALERT: u64 = 1000;

/// A config and what its row is called.
pub struct Row {
    pub name: String,
    pub shown: String,
    pub config: PathBuf,
}

/// Writes the configs of both rows.
///
/// # Errors
/// Why there can be none.
pub fn write(product: &Product, rules: &Path, dir: &Path, sample: &Input) -> Result<Vec<Row>, String> {
    let rules = rules.canonicalize().map_err(|e| format!("Sigma rules in {}: {e}", rules.display()))?;
    let empty = config(&emptied(dir), "none", None, &[]);
    let noisy = noisy(product, &config(dir, "trial", Some(&rules), &[]), sample);
    let answer = Command::new(&product.ctl)
        .arg("sigma")
        .arg(&rules)
        .args(["--format", "json", "--config"])
        .arg(empty)
        .output()
        .map_err(|e| e.to_string())?;
    let files: Vec<Value> =
        String::from_utf8_lossy(&answer.stdout).lines().filter_map(|l| serde_json::from_str(l).ok()).collect();
    let judges = |f: &&Value| matches!(f["outcome"].as_str(), Some("compiled" | "compiled in part"));
    let file = |f: &Value| PathBuf::from(f["file"].as_str().unwrap_or_default());
    let quiet = |f: &&Value| !noisy.iter().any(|id| f["id"] == id.as_str());
    let mut processes: Vec<PathBuf> = files.iter().filter(judges).filter(quiet).map(file).collect();
    processes.retain(|path| path.components().any(|part| part.as_os_str() == "process_creation"));
    processes.sort();
    if processes.len() < ADDED {
        return Err(format!("only {} Sigma rules about processes in {}", processes.len(), rules.display()));
    }
    let few = emptied(&dir.join("few"));
    for path in &processes[..ADDED] {
        fs::copy(path, few.join(path.file_name().unwrap())).unwrap();
    }
    let all = files.iter().filter(judges).filter(quiet).count();
    Ok(vec![
        Row {
            name: "200 rules".into(),
            shown: format!("exfil-agent, durable, one core, ours and {ADDED} Sigma rules"),
            config: config(dir, "few", Some(&few), &[]),
        },
        Row {
            name: "1,400 rules".into(),
            shown: format!(
                "exfil-agent, durable, one core, ours and {all} Sigma rules, all of {} files but {} that fire all the time",
                files.len(),
                noisy.len()
            ),
            config: config(dir, "all", Some(&rules), &noisy),
        },
    ])
}

/// Ids of the rules that a sample of the traffic meets all the time.
fn noisy(product: &Product, config: &Path, sample: &Input) -> Vec<String> {
    let dir = emptied(&config.with_extension("run"));
    let words = product.replay(&sample.paths, &["--config", &config.display().to_string()]);
    let done = Command::new(&words[0]).args(&words[1..]).current_dir(&dir).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for line in fs::read_to_string(dir.join("alerts.jsonl")).unwrap_or_default().lines() {
        let alert: Value = serde_json::from_str(line).unwrap();
        *counts.entry(alert["rule"]["id"].as_str().unwrap_or_default().to_owned()).or_default() += 1;
    }
    counts.into_iter().filter(|(_, n)| n * EVENTS_PER_ALERT > sample.events).map(|(id, _)| id).collect()
}

fn config(dir: &Path, name: &str, rules: Option<&Path>, disabled: &[String]) -> PathBuf {
    let config = dir.join(format!("{name}.toml"));
    let dirs = rules.map(|r| format!("{r:?}")).unwrap_or_default();
    let text = format!("[sigma]\ndirs = [{dirs}]\n[detection]\ndisabled_rules = {disabled:?}\n");
    fs::write(&config, text).unwrap();
    config
}
