//! An alert file that a spool would read is refused at start, however the path is written: the agent would read its own
//! alerts for ever.

use crate::site::{Daemon, Site};
use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::process::Command;
use std::time::{Duration, Instant};

/// Starts the agent in the site's directory; its exit code and what it says.
fn start(site: &Site) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_exfil-agent"));
    let said = File::create(site.root().join("log")).unwrap();
    command.args(["run", "--config"]).arg(site.config()).current_dir(site.root()).stderr(said);
    let mut daemon = Daemon { child: command.spawn().unwrap() };
    let since = Instant::now();
    while !daemon.has_ended() && since.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(5));
    }
    (daemon.child.try_wait().unwrap().and_then(|status| status.code()), site.log())
}

/// A site whose spools and sinks are these lines of config.
fn site(config: &str) -> Site {
    let site = Site::new();
    for dir in ["spool", "spool/deep", "logs", "other"] {
        fs::create_dir(site.root().join(dir)).unwrap();
    }
    symlink("spool", site.root().join("link")).unwrap();
    symlink("../spool", site.root().join("logs/up")).unwrap();
    symlink("../spool/dangling", site.root().join("logs/alias.jsonl")).unwrap();
    symlink("../spool/letters", site.root().join("other/letters")).unwrap();
    let root = site.root().display().to_string();
    let state = format!("[state]\ndir = \"{root}/state\"\n[control]\nsocket = \"{root}/control.sock\"\n");
    fs::write(site.config(), config.replace("ROOT", &root) + &state).unwrap();
    site
}

#[test]
fn an_alert_file_that_a_spool_would_read_is_refused_however_it_is_written() {
    for (spool, alerts) in [
        ("ROOT/spool", "ROOT/spool/alerts.jsonl"),
        ("ROOT/spool/", "ROOT/logs/../spool/alerts.jsonl"),
        ("ROOT/link", "ROOT/spool/alerts.jsonl"),
        ("ROOT/spool", "ROOT/link/alerts.jsonl"),
        ("ROOT/spool", "ROOT/logs/up/alerts.jsonl"),
        ("ROOT/link/../spool", "ROOT/logs/up/../link/alerts.jsonl"),
        // The file is a link into the spool, to a file that may not be there yet.
        ("ROOT/spool", "ROOT/logs/alias.jsonl"),
        // Neither exists yet.
        ("ROOT/new", "ROOT/new/alerts.jsonl"),
        ("ROOT/link/new", "ROOT/spool/new/alerts.jsonl"),
        // Relative paths, from where the agent is started.
        ("spool", "ROOT/spool/alerts.jsonl"),
        ("./spool", "link/alerts.jsonl"),
        // The alert file itself is not read, but what logrotate makes of it is: alerts.jsonl.1.
        ("ROOT/spool\"\nexclude = [\"*.jsonl\"]\n#\"", "ROOT/spool/alerts.jsonl"),
        ("ROOT/spool\"\ninclude = [\"*.1\"]\n#\"", "ROOT/spool/alerts.jsonl"),
    ] {
        let site = site(&format!("[[spool]]\npath = \"{spool}\"\n[sink.file]\npath = \"{alerts}\"\n"));
        let (code, said) = start(&site);
        assert_eq!(code, Some(78), "spool {spool}, alerts {alerts}: {said}");
        assert!(said.contains("read its own alerts"), "spool {spool}, alerts {alerts}: {said}");
        assert!(!site.root().join("state").exists() && !site.root().join("spool/alerts.jsonl").exists());
    }
}

#[test]
fn a_dead_letter_file_in_a_spool_is_refused_too() {
    for letters in
        ["ROOT/spool/letters", "ROOT/link/letters", "ROOT/other/letters", "ROOT/spool2/x/../letters", "spool/letters"]
    {
        let config = format!(
            "[[spool]]\npath = \"ROOT/spool\"\ndead_letter = \"{letters}\"\n[[spool]]\npath = \"ROOT/spool2\"\n[sink.file]\npath = \"ROOT/alerts.jsonl\"\n"
        );
        let site = site(&config);
        let (code, said) = start(&site);
        assert_eq!(code, Some(78), "{letters}: {said}");
        assert!(said.contains("read its own rejects"), "{letters}: {said}");
    }
}

#[test]
fn a_file_beside_the_spool_is_no_loop() {
    let site = site("[[spool]]\npath = \"ROOT/spool\"\n[sink.file]\npath = \"ROOT/spool.alerts/alerts.jsonl\"\n");
    fs::create_dir(site.root().join("spool.alerts")).unwrap();
    let daemon = site.start();
    fs::write(site.spool("a.cef"), super::runs(0..3)).unwrap();
    site.wait_for_bytes(super::runs(0..3).len() as u64);
    assert_eq!(daemon.terminate(), 0, "{}", site.log());
    assert_eq!(fs::read_to_string(site.root().join("spool.alerts/alerts.jsonl")).unwrap().lines().count(), 3);
}
