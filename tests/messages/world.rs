//! The worlds in which cases happen: a directory with a config, and with nothing, a stopped agent's state, or an agent.

use super::case::Case;
use crate::site::{Daemon, Site, office, wait};
use regex::Regex;
use std::fs::{self, File};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};
use tempfile::TempDir;

/// When the state of the stopped agent was last written.
const SAVED_SECS: u64 = 1_793_700_720; // 2026-11-03T10:12:00Z

pub struct World {
    site: Site,
    daemon: Option<Daemon>,
    /// Copies for cases with a setup, until the end.
    copies: Vec<TempDir>,
}

impl World {
    pub fn of(name: &str) -> World {
        let site = Site::new();
        let mut world = World { site, daemon: None, copies: Vec::new() };
        world.relative();
        match name {
            // Bound, and nobody listens any more.
            "nothing" => drop(UnixListener::bind(world.site.root().join("dead.sock")).unwrap()),
            "stopped" => {
                let daemon = world.learn();
                world.export();
                assert_eq!(daemon.terminate(), 0);
                world.age();
            }
            "running" => {
                world.daemon = Some(world.learn());
                world.export();
            }
            other => panic!("no world {other:?}"),
        }
        world
    }

    /// Paths of the config as one writes them by hand: a copy of the directory is a world of its own.
    fn relative(&self) {
        let root = format!("{}/", self.site.root().display());
        let config = fs::read_to_string(self.site.config()).unwrap().replace(&root, "");
        fs::write(self.site.config(), config).unwrap();
    }

    /// An agent that has judged five weeks of an office.
    fn learn(&self) -> Daemon {
        let text = office(900).join("\n").replace("user0", "jdoe") + "\n";
        fs::create_dir(self.site.root().join("spool")).unwrap();
        fs::write(self.site.spool("a.cef"), &text).unwrap();
        let daemon = self.site.start();
        self.site.wait_for_bytes(text.len() as u64);
        let waiting = || {
            let status: serde_json::Value = serde_json::from_slice(&self.site.ctl(&["status"]).stdout).unwrap();
            status["sinks"][0]["queued"].as_u64().unwrap()
        };
        wait("all alerts to be delivered", || waiting() == 0);
        daemon
    }

    /// An export, one of which a record was changed, and one of a newer version.
    fn export(&self) {
        let whole = self.site.root().join("whole.zst");
        assert!(self.site.ctl(&["state", "export", "whole.zst"]).status.success());
        let text = String::from_utf8(zstd::decode_all(File::open(&whole).unwrap()).unwrap()).unwrap();
        let newer = text.replacen("\"exfil_agent_export\":2", "\"exfil_agent_export\":9", 1);
        for (name, text) in [("changed.zst", text.replace("jdoe", "jdeo")), ("newer.zst", newer)] {
            fs::write(self.site.root().join(name), zstd::encode_all(text.as_bytes(), 3).unwrap()).unwrap();
        }
    }

    /// Its files are of one known moment.
    fn age(&self) {
        let when = SystemTime::UNIX_EPOCH + Duration::from_secs(SAVED_SECS);
        let database = self.site.state_dir().join("sled/db");
        File::options().append(true).open(database).unwrap().set_modified(when).unwrap();
    }

    pub fn play(&mut self, case: &Case) -> Case {
        if self.daemon.is_none() && self.site.state_dir().exists() {
            self.age(); // somebody opened it, to find that there is nothing to change
        }
        let mut dir = self.site.root().to_owned();
        if !case.setup.is_empty() && self.daemon.is_none() {
            let copy = TempDir::new().unwrap();
            let copied = Command::new("cp").args(["-a", "."]).arg(copy.path()).current_dir(&dir).status().unwrap();
            assert!(copied.success());
            dir = copy.path().to_owned();
            self.copies.push(copy);
        }
        // A stranger must be able to come by.
        fs::set_permissions(&dir, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        if !case.setup.is_empty() {
            let prepared = self.shell(&case.setup, &dir).output().unwrap();
            assert!(prepared.status.success(), "{}: {}", case.name, String::from_utf8_lossy(&prepared.stderr));
        }
        let output = self.shell(&case.run, &dir).output().unwrap();
        let said = |bytes: &[u8]| self.named(&String::from_utf8_lossy(bytes), &dir);
        Case {
            code: output.status.code().unwrap_or(-1),
            stdout: said(&output.stdout),
            stderr: said(&output.stderr),
            ..case.clone()
        }
    }

    fn shell(&self, script: &str, dir: &Path) -> Command {
        let programs = Path::new(env!("CARGO_BIN_EXE_agentctl")).parent().unwrap();
        let path = std::env::var("PATH").unwrap_or_default();
        let mut command = Command::new("sh");
        command
            .args(["-c", script])
            .current_dir(dir)
            .env("PATH", format!("{}:{path}", programs.display()))
            .env("TMPDIR", self.site.root())
            .env("RULES", std::fs::canonicalize("config/content/rules").unwrap())
            .env("LC_ALL", "C.UTF-8")
            .env_remove("COLUMNS")
            .env_remove("NO_COLOR");
        if let Some(daemon) = &self.daemon {
            command.env("AGENT_PID", daemon.child.id().to_string());
        }
        command
    }

    /// What differs from run to run, by its name.
    fn named(&self, text: &str, dir: &Path) -> String {
        static INSTANT: OnceLock<Regex> = OnceLock::new();
        static EPOCH: OnceLock<Regex> = OnceLock::new();
        let instant = INSTANT.get_or_init(|| Regex::new(r"20[2-9]\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z").unwrap());
        let epoch = EPOCH.get_or_init(|| Regex::new(r"epochs? \d+( to \d+)?").unwrap());
        // Of a terminal: its escapes, to be seen.
        let text = text.replace('\x1b', "␛").replace('\r', "");
        let text = text.replace(&dir.display().to_string(), "$DIR");
        let text = text.replace(&self.site.root().display().to_string(), "$DIR");
        let text = match &self.daemon {
            Some(daemon) => text.replace(&format!("pid {}", daemon.child.id()), "pid $PID"),
            None => text,
        };
        let text = match &self.daemon {
            Some(daemon) => text.replace(&format!("process {}", daemon.child.id()), "process $PID"),
            None => text,
        };
        let text = instant.replace_all(&text, "$$TIME");
        epoch.replace_all(&text, "epoch $$EPOCH").into_owned()
    }

    pub fn end(self) {
        if let Some(daemon) = self.daemon {
            assert_eq!(daemon.terminate(), 0, "{}", self.site.log());
        }
    }
}
