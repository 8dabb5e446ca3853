//! Config, content and tables that strangers can write: `run` refuses them, commands that change nothing lasting warn.

use crate::site::Site;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::process::Command;

fn exfil_agent(site: &Site, command: &[&str]) -> (i32, String) {
    let out = Command::new(env!("CARGO_BIN_EXE_exfil-agent"))
        .args(command)
        .arg("--config")
        .arg(site.config())
        .output()
        .unwrap();
    (out.status.code().unwrap_or(-1), String::from_utf8_lossy(&out.stderr).into_owned())
}

/// A site with everything that decides over detection in files of its own.
fn site() -> Site {
    let site = Site::new();
    let at = |name: &str| site.root().join(name);
    fs::create_dir_all(at("etc/content/tables")).unwrap();
    fs::create_dir(at("spool")).unwrap();
    let table = include_str!("../../config/content/tables/temp_directories.txt");
    fs::write(at("etc/content/tables/temp_directories.txt"), table).unwrap();
    fs::write(at("etc/users.csv"), "user,peer_group\nanna,Sales\n").unwrap();
    fs::write(at("etc/more.txt"), "evil.example\n").unwrap();
    site.configure(&format!(
        "[detection]\ncontent_dir = {:?}\n[detection.directory]\nfile = {:?}\n[detection.table_files]\nfile_sharing_domains = {:?}\n",
        at("etc/content"),
        at("etc/users.csv"),
        at("etc/more.txt"),
    ));
    site
}

const PLACES: [&str; 7] = [
    "agent.toml",
    "etc",
    "etc/content",
    "etc/content/tables",
    "etc/content/tables/temp_directories.txt",
    "etc/users.csv",
    "etc/more.txt",
];

#[test]
fn what_everyone_can_write_is_refused_by_run_and_a_warning_of_check_and_replay() {
    let site = site();
    let spool = site.root().join("spool");
    let spool = spool.to_str().unwrap();
    for place in PLACES {
        let path = site.root().join(place);
        let before = fs::metadata(&path).unwrap().permissions();
        fs::set_permissions(&path, Permissions::from_mode(before.mode() | 0o002)).unwrap();
        let (code, said) = exfil_agent(&site, &["run"]);
        assert_eq!(code, 78, "{place}: {said}");
        assert!(said.contains(&format!("{} can be written by everyone; run chmod o-w", path.display())), "{said}");
        for command in [&["check"][..], &["replay", spool]] {
            let (code, said) = exfil_agent(&site, command);
            assert_eq!(code, 0, "{command:?} {place}: {said}");
            assert!(said.contains("warning") && said.contains("chmod o-w"), "{command:?} {place}: {said}");
        }
        fs::set_permissions(&path, before).unwrap();
    }
    let (code, said) = exfil_agent(&site, &["check"]);
    assert_eq!((code, said.as_str()), (0, ""), "and nothing is said of a good one");
    let daemon = site.start();
    site.wait_for_bytes(0);
    assert_eq!(daemon.terminate(), 0);
}

#[test]
fn what_belongs_to_a_stranger_is_refused() {
    if !rustix::process::geteuid().is_root() {
        crate::skip::skip("what_belongs_to_a_stranger_is_refused", "only root can give files away");
        return;
    }
    let site = site();
    for place in PLACES {
        chown(site.root().join(place), Some(12_345), None).unwrap();
        let (code, said) = exfil_agent(&site, &["run"]);
        assert_eq!(code, 78, "{place}: {said}");
        assert!(said.contains("belongs to user 12345"), "{place}: {said}");
        chown(site.root().join(place), Some(0), None).unwrap();
    }
}
