//! The real daemon in a directory of its own, and a small office to feed it with.

use crate::support::{Replay, dump};
use exfil_agent::alert::Alert;
use exfil_agent::config::Settings;
use exfil_agent::content;
use exfil_agent::state::key::ALERTS;
use exfil_agent::store::{self, codec};
use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Five weeks of one small office: temp processes, file sharing, a few attack commands, three users.
pub fn office(lines: usize) -> Vec<String> {
    let start = 1_772_442_000_000i64; // 2026-03-02T09:00:00Z
    (0..lines)
        .map(|i| {
            let ms = start + (i as i64) * 35 * 86_400_000 / lines as i64;
            let user = i % 3;
            let head = format!("start={ms} Device_Name=CORP\\WS{user} User_Name=CORP\\user{user}");
            match i % 7 {
                0 | 1 => {
                    let name = if i % 97 == 0 { format!("new{i}.exe") } else { format!("updater{}.exe", i % 4) };
                    format!(
                        "CEF:0|Dtex|DTEX InTERCEPT|6.0|FileCreated|C:\\d\\a{i}.txt (10 bytes)|3|{head} Process_Name={name} Process_Directory=C:\\Users\\user{user}\\Temp"
                    )
                }
                2 | 3 => {
                    let domain = ["dropbox.com", "mega.nz", "example.org", "gofile.io"][i % 4];
                    format!("CEF:0|Dtex|DTEX InTERCEPT|6.0|WebPageAccessed|x|3|{head} Website_Query=https://{domain}/{i} User_Department=Sales")
                }
                4 if i % 5 == 0 => format!("not an event {i}"),
                _ => {
                    let command = if i % 41 == 0 { "plink.exe -ssh u@h" } else { "notepad.exe" };
                    let name = command.split(' ').next().unwrap();
                    format!("CEF:0|Dtex|DTEX InTERCEPT|6.0|ProcessCreated|Running C:\\t\\{name}|5|{head} reason={command} outcome=Success")
                }
            }
        })
        .collect()
}

/// A directory with a config, a spool, a state and an alert file, for the real daemon.
pub struct Site {
    dir: TempDir,
}

impl Site {
    pub fn new() -> Site {
        let site = Site { dir: TempDir::new().unwrap() };
        let root = site.root();
        let config = format!(
            "[[spool]]\npath = {:?}\nrescan_secs = 1\n[state]\ndir = {:?}\n[sink.file]\npath = {:?}\n[control]\nsocket = {:?}\n",
            root.join("spool"),
            root.join("state"),
            root.join("alerts.jsonl"),
            root.join("control.sock")
        );
        fs::write(site.config(), config).unwrap();
        site
    }
    pub fn root(&self) -> &Path {
        self.dir.path()
    }
    pub fn config(&self) -> PathBuf {
        self.root().join("agent.toml")
    }
    pub fn spool(&self, name: &str) -> PathBuf {
        self.root().join("spool").join(name)
    }
    /// Adds to the config.
    pub fn configure(&self, more: &str) {
        let config = fs::read_to_string(self.config()).unwrap();
        fs::write(self.config(), config + more).unwrap();
    }
    /// Changes the config.
    pub fn reconfigure(&self, from: &str, to: &str) {
        let config = fs::read_to_string(self.config()).unwrap();
        assert!(config.contains(from), "the config has no {from:?}:\n{config}");
        fs::write(self.config(), config.replace(from, to)).unwrap();
    }
    pub fn start(&self) -> Daemon {
        self.start_with(&[])
    }
    /// Starts the daemon with these arguments more.
    pub fn start_with_arguments(&self, arguments: &[&str]) -> Daemon {
        self.spawn(&[], arguments, &[])
    }
    /// Starts the daemon with these variables in its environment.
    pub fn start_with(&self, environment: &[(&str, &str)]) -> Daemon {
        self.spawn(&[], &[], environment)
    }
    /// Starts the daemon through a program that replaces itself by it, such as `setpriv`.
    pub fn start_through(&self, through: &[&str], environment: &[(&str, &str)]) -> Daemon {
        self.spawn(through, &[], environment)
    }
    fn spawn(&self, through: &[&str], arguments: &[&str], environment: &[(&str, &str)]) -> Daemon {
        let log = OpenOptions::new().create(true).append(true).open(self.root().join("log")).unwrap();
        let mut words = through.iter().copied().chain([env!("CARGO_BIN_EXE_exfil-agent"), "run", "--config"]);
        let child = Command::new(words.next().unwrap())
            .args(words)
            .arg(self.config())
            .args(arguments)
            .envs(environment.iter().copied())
            .current_dir(self.root())
            .stderr(Stdio::from(log))
            .spawn()
            .unwrap();
        Daemon { child }
    }
    pub fn ctl(&self, args: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_agentctl"))
            .arg("--config")
            .arg(self.config())
            .args(args)
            .current_dir(self.root())
            .output()
            .unwrap()
    }
    pub fn alert_ids(&self) -> Vec<String> {
        detections(&fs::read_to_string(self.root().join("alerts.jsonl")).unwrap_or_default())
    }
    /// Lines of the alert file.
    pub fn alert_lines(&self) -> u64 {
        fs::read_to_string(self.root().join("alerts.jsonl")).unwrap_or_default().lines().count() as u64
    }
    pub fn state_dir(&self) -> PathBuf {
        self.root().join("state")
    }
    /// Of a stopped agent: the canonical dump. Every file's records must add up.
    pub fn dump(&self) -> String {
        let settings = Settings::default();
        let content = content::load(&settings.detection).unwrap();
        dump(&self.state_dir(), &content, &settings).0
    }
    /// Of an agent that was killed: what the alert file holds has been committed before it was delivered.
    pub fn assert_that_delivered_is_committed(&self, alert_files: &[&str]) {
        let Ok(store) = store::read_stopped(&self.state_dir()) else { return };
        let mut committed = BTreeSet::new();
        let mut from = ALERTS.to_vec();
        loop {
            let page = store.scan(&from, ALERTS, 1 << 20).unwrap();
            let Some((last, _)) = page.last() else { break };
            from = [last.as_slice(), &[0]].concat();
            committed.extend(page.iter().map(|(_, value)| codec::decode::<Alert>(value).unwrap().id));
        }
        for name in alert_files {
            let text = fs::read_to_string(self.root().join(name)).unwrap_or_default();
            for alert in whole_alerts(&text) {
                let id = alert["id"].as_str().unwrap();
                assert!(committed.contains(id), "the alert {id} left before it was committed");
            }
        }
    }
    /// Bytes judged and committed, as a running agent tells. Before that has the lock, agentctl reads the files of the one before,
    /// and a signal would kill it.
    pub fn judged_bytes(&self) -> Option<u64> {
        let status: serde_json::Value = serde_json::from_slice(&self.ctl(&["status"]).stdout).ok()?;
        status["bytes"].as_u64().filter(|_| status["source"]["agent"] == "running")
    }
    pub fn wait_for_bytes(&self, bytes: u64) {
        wait(&format!("{bytes} bytes to be judged; log:\n{}", self.log()), || self.judged_bytes() == Some(bytes));
    }
    pub fn log(&self) -> String {
        fs::read_to_string(self.root().join("log")).unwrap_or_default()
    }
}

/// The id of a line of the alert file.
pub fn id_of(line: &str) -> String {
    let alert: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
    alert["id"].as_str().unwrap().to_owned()
}

/// Waits up to a minute.
pub fn wait(what: &str, mut until: impl FnMut() -> bool) {
    let since = Instant::now();
    while !until() {
        assert!(since.elapsed() < Duration::from_secs(60), "waited a minute for {what}");
        std::thread::sleep(Duration::from_millis(15));
    }
}

/// A running `exfil-agent run`; killed when dropped.
pub struct Daemon {
    pub child: Child,
}

impl Daemon {
    /// Whether it has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }
    /// kill -9.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
    /// Asks it to stop, if it still runs, and returns its exit code; -1 when a signal ended it.
    pub fn terminate(mut self) -> i32 {
        let pid = rustix::process::Pid::from_child(&self.child);
        if !self.has_ended() {
            rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        }
        self.child.wait().unwrap().code().unwrap_or(-1)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What an uninterrupted replay of the same bytes gives: ids in order, logical state.
pub fn uninterrupted(lines: &[String]) -> (Vec<String>, String) {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("all.cef");
    fs::write(&file, lines.join("\n") + "\n").unwrap();
    let outcome = Replay::new("", 1).over(&[file]);
    (detections(&outcome.alerts), outcome.state)
}

/// The alerts in the text of an alert file. A line that a kill or a full disk cut short, and that a restart gave up, is none.
fn whole_alerts(text: &str) -> impl Iterator<Item = serde_json::Value> {
    text.lines().filter_map(|line| serde_json::from_str(line).ok())
}

/// The ids of the detections in the text of an alert file, in order: what the agent says about itself is no part of equality.
pub fn detections(text: &str) -> Vec<String> {
    let about_events = whole_alerts(text).filter(|alert| alert["kind"] != "operational");
    about_events.map(|alert| alert["id"].as_str().unwrap().to_owned()).collect()
}

/// The same ids in the same order: none twice, none missing.
pub fn assert_same_ids(got: &[String], wanted: &[String], case: &str) {
    let first = got.iter().zip(wanted).position(|(a, b)| a != b).unwrap_or(got.len().min(wanted.len()));
    let missing = wanted.iter().filter(|id| !got.contains(id)).count();
    let repeats = got.iter().enumerate().filter(|(at, id)| got[..*at].contains(id)).count();
    assert!(
        got == wanted,
        "{case}: {} alerts instead of {}, different from number {first} on; {missing} missing, {repeats} repeated",
        got.len(),
        wanted.len()
    );
}
