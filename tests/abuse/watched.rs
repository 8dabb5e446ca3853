//! `exfil-agent replay` as a child process whose memory is watched, and what its state says afterwards.

use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// A directory with a config, a state and an alert file.
pub struct Watched {
    dir: TempDir,
}

impl Watched {
    pub fn new(config: &str) -> Watched {
        let watched = Watched { dir: TempDir::new().unwrap() };
        fs::write(watched.at("agent.toml"), config).unwrap();
        watched
    }

    pub fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Replays a file over the state. Returns the most memory that the agent ever had, MiB.
    pub fn replay(&self, file: &Path, now: &str) -> u64 {
        let mut child = Command::new(env!("CARGO_BIN_EXE_exfil-agent"))
            .args(["replay", "--workers", "2", "--now", now, "--config"])
            .arg(self.at("agent.toml"))
            .arg("--state")
            .arg(self.at("state"))
            .arg("--out")
            .arg(self.at("alerts.jsonl"))
            .arg(file)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut peak = 0;
        let ended = loop {
            peak = peak.max(high_water_mib(child.id()).unwrap_or(0));
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        let said = std::io::read_to_string(child.stderr.take().unwrap()).unwrap();
        assert!(ended.success(), "{said}");
        assert!(peak > 0, "the memory was never seen");
        if crate::effort::is_torture() {
            eprintln!("{}: {peak} MiB; {}", file.display(), said.trim_end());
        }
        peak
    }

    fn ctl(&self, args: &[&str]) -> Value {
        let out = Command::new(env!("CARGO_BIN_EXE_agentctl"))
            .args(args)
            .arg("--config")
            .arg(self.at("agent.toml"))
            .arg("--state")
            .arg(self.at("state"))
            .output()
            .unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        serde_json::from_slice(&out.stdout).unwrap()
    }

    /// `agentctl status`, after the laws of conservation have been asserted.
    pub fn status(&self) -> Value {
        let status = self.ctl(&["status"]);
        let sum = |name: &str| status[name].as_object().unwrap().values().map(|v| v.as_u64().unwrap()).sum::<u64>();
        let n = |name: &str| status[name].as_u64().unwrap();
        assert_eq!(n("records"), sum("events") + sum("rejects") + n("headers") + n("blank"));
        for sink in status["sinks"].as_array().unwrap() {
            let of = |name: &str| sink[name].as_u64().unwrap();
            let all = of("delivered") + of("below_min_score") + of("suppressed") + of("queued");
            assert_eq!(n("alerts"), all, "{sink}");
        }
        status
    }

    pub fn stats(&self) -> Value {
        self.ctl(&["state", "stats"])
    }

    /// The alerts in the file, one after the other: there may be millions.
    pub fn alerts(&self) -> impl Iterator<Item = Value> {
        let file = fs::File::open(self.at("alerts.jsonl")).map(BufReader::new);
        file.into_iter().flat_map(BufRead::lines).map(|line| serde_json::from_str(&line.unwrap()).unwrap())
    }

    /// How many alerts of a rule have reached the file.
    pub fn alerts_of(&self, rule: &str) -> usize {
        self.alerts().filter(|a| a["rule"]["id"] == rule && a["kind"] == "detection").count()
    }
}

/// The most memory that a process ever had, MiB; `None` when it is gone.
pub fn high_water_mib(pid: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = text.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()? / 1024)
}
