//! Public Sigma rules beside ours: what many rules cost, whatever they find.
//!
//! Of the rules about processes, the first 180 by path that compile and are not inert; and all of them. Copies of the 180 lie in
//! the directory of the benchmark alone.

use crate::options::emptied;
use crate::product::Product;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Rules that are added to ours for the row "200 rules".
const ADDED: usize = 180;

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
pub fn write(product: &Product, rules: &Path, dir: &Path) -> Result<Vec<Row>, String> {
    let rules = rules.canonicalize().map_err(|e| format!("Sigma rules in {}: {e}", rules.display()))?;
    let empty = config(&emptied(dir), "none", None);
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
    let mut processes: Vec<PathBuf> = files.iter().filter(judges).map(file).collect();
    processes.retain(|path| path.components().any(|part| part.as_os_str() == "process_creation"));
    processes.sort();
    if processes.len() < ADDED {
        return Err(format!("only {} Sigma rules about processes in {}", processes.len(), rules.display()));
    }
    let few = emptied(&dir.join("few"));
    for path in &processes[..ADDED] {
        fs::copy(path, few.join(path.file_name().unwrap())).unwrap();
    }
    let all = files.iter().filter(judges).count();
    Ok(vec![
        Row {
            name: "200 rules".into(),
            shown: format!("exfil-agent, durable, one core, ours and {ADDED} Sigma rules"),
            config: config(dir, "few", Some(&few)),
        },
        Row {
            name: "1,400 rules".into(),
            shown: format!("exfil-agent, durable, one core, ours and all {all} Sigma rules of {} files", files.len()),
            config: config(dir, "all", Some(&rules)),
        },
    ])
}

fn config(dir: &Path, name: &str, rules: Option<&Path>) -> PathBuf {
    let config = dir.join(format!("{name}.toml"));
    let dirs = rules.map(|r| format!("{r:?}")).unwrap_or_default();
    fs::write(&config, format!("[sigma]\ndirs = [{dirs}]\n")).unwrap();
    config
}
