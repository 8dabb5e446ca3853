//! The units, with and without drop-ins, are such that systemd accepts them and calls them safe; their companions create what
//! they need.

use crate::skip::{has_command, skip};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Every unit that is shipped, alone and with drop-ins.
const UNITS: &[(&str, Option<&str>)] = &[
    ("exfil-agent.service", None),
    ("exfil-agent.service", Some("spool-group.conf")),
    ("exfil-agent.service", Some("remote-syslog.conf")),
    ("exfil-agent.service", Some("metrics-port.conf")),
    ("exfil-agent@.service", None),
    ("exfil-agent@.service", Some("remote-syslog.conf")),
];

/// A unit with the programs of this build in place of the installed ones: systemd looks whether they exist.
fn unit_for_this_build(dir: &Path, name: &str, drop_in: Option<&str>) -> PathBuf {
    let unit = std::fs::read_to_string(repository("systemd").join(name)).unwrap();
    let unit = unit
        .replace("/usr/bin/exfil-agent", env!("CARGO_BIN_EXE_exfil-agent"))
        .replace("/usr/bin/agentctl", env!("CARGO_BIN_EXE_agentctl"));
    let path = dir.join(name);
    std::fs::write(&path, unit).unwrap();
    if let Some(drop_in) = drop_in {
        let beside = dir.join(format!("{name}.d"));
        std::fs::create_dir(&beside).unwrap();
        std::fs::copy(repository("packaging/drop-ins").join(drop_in), beside.join(drop_in)).unwrap();
    }
    path
}

fn run(program: &str, args: &[&str]) -> (Output, String) {
    let output = Command::new(program).args(args).output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
        .trim()
        .to_owned();
    (output, said)
}

#[test]
fn systemd_accepts_every_unit_without_a_word() {
    if !has_command("systemd-analyze") {
        return skip("systemd_accepts_every_unit_without_a_word", "systemd-analyze is not installed");
    }
    for &(name, drop_in) in UNITS {
        let dir = tempfile::tempdir().unwrap();
        let unit = unit_for_this_build(dir.path(), name, drop_in);
        let (output, said) = run("systemd-analyze", &["verify", unit.to_str().unwrap()]);
        assert!(output.status.success() && said.is_empty(), "{name} with {drop_in:?}: {said}");
    }
}

#[test]
fn exposure_is_at_most_one_and_a_half_with_every_drop_in() {
    if !has_command("systemd-analyze") {
        return skip("exposure_is_at_most_one_and_a_half_with_every_drop_in", "systemd-analyze is not installed");
    }
    for &(name, drop_in) in UNITS {
        let dir = tempfile::tempdir().unwrap();
        let unit = unit_for_this_build(dir.path(), name, drop_in);
        let args = ["security", "--offline=yes", "--no-pager", "--threshold=15", unit.to_str().unwrap()];
        let (output, said) = run("systemd-analyze", &args);
        assert!(said.contains("Overall exposure level"), "{name} with {drop_in:?}: {said}");
        assert!(output.status.success(), "{name} with {drop_in:?}: {said}");
    }
}

#[test]
fn every_drop_in_is_tried() {
    for entry in std::fs::read_dir(repository("packaging/drop-ins")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let tried = UNITS.iter().any(|(_, drop_in)| *drop_in == Some(&name));
        assert!(tried || !name.ends_with(".conf"), "packaging/drop-ins/{name} is not in the list of this test");
    }
}

#[test]
fn the_drop_in_for_remote_syslog_opens_the_network_and_nothing_else() {
    let text = std::fs::read_to_string(repository("packaging/drop-ins/remote-syslog.conf")).unwrap();
    let settings: Vec<&str> = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).collect();
    let expected = [
        "[Unit]",
        // An order, no requirement: a start waits for no network.
        "After=network.target nss-lookup.target",
        "[Service]",
        "PrivateNetwork=no",
        "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6",
        "IPAddressDeny=",
    ];
    assert_eq!(settings, expected);
}

/// A second instance is held to the same limits: what differs is its name in paths.
#[test]
fn the_unit_of_a_second_instance_differs_only_in_its_paths() {
    let settings = |name: &str| -> Vec<String> {
        let unit = std::fs::read_to_string(repository("systemd").join(name)).unwrap();
        unit.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).map(str::to_owned).collect()
    };
    let (first, second) = (settings("exfil-agent.service"), settings("exfil-agent@.service"));
    let only = |of: &[String], other: &[String]| -> Vec<String> {
        of.iter().filter(|line| !other.contains(line)).cloned().collect()
    };
    assert_eq!(
        only(&second, &first),
        [
            "Description=Data-exfiltration detection agent for DTEX spools (%i)",
            "ExecStart=/usr/bin/exfil-agent run --config /etc/exfil-agent/%i.toml",
            "ExecReload=/usr/bin/agentctl --config /etc/exfil-agent/%i.toml reload",
            "StateDirectory=exfil-agent-%i",
            "RuntimeDirectory=exfil-agent-%i",
            "LogsDirectory=exfil-agent-%i",
        ]
    );
    // Its spool is elsewhere: two of the first's lines name /var/spool/dtex.
    assert_eq!(only(&first, &second).len(), 6 + 2);

    let settings = exfil_agent::config::load(&repository("packaging/drop-ins/second.toml")).unwrap();
    let paths = [&settings.state.dir, &settings.sink_file.unwrap().path, &settings.control.socket];
    let expected = [
        "/var/lib/exfil-agent-second",
        "/var/log/exfil-agent-second/alerts.jsonl",
        "/run/exfil-agent-second/control.sock",
    ];
    assert_eq!(paths.map(|path| path.to_str().unwrap()), expected);
}

#[test]
fn the_unit_never_loops_on_an_error_that_a_restart_cannot_mend() {
    let unit = std::fs::read_to_string(repository("systemd/exfil-agent.service")).unwrap();
    let value = |key: &str| unit.lines().find_map(|l| l.strip_prefix(key)).unwrap_or_default();
    assert_eq!(value("RestartPreventExitStatus="), "2 65 73 77 78");
    assert_eq!(value("Restart="), "on-failure");
    assert_eq!(value("ExecStart="), "/usr/bin/exfil-agent run --config /etc/exfil-agent/exfil-agent.toml");
    assert_eq!(value("ExecReload="), "/usr/bin/agentctl reload");
    assert_eq!(value("Type="), "notify");
}

/// The state is nobody else's business, the alert file is for readers of logs, and an existing spool is left alone.
#[test]
fn user_and_directories_are_created_with_their_modes() {
    let name = "user_and_directories_are_created_with_their_modes";
    if !has_command("systemd-sysusers") || !has_command("systemd-tmpfiles") {
        return skip(name, "systemd-sysusers and systemd-tmpfiles are not installed");
    }
    if !is_root() {
        return skip(name, "only root can create users and give directories away");
    }
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let root = tempfile::tempdir().unwrap();
    let at = |path: &str| root.path().join(path);
    std::fs::create_dir_all(at("etc")).unwrap();
    std::fs::write(at("etc/group"), "root:x:0:\nadm:x:4:\n").unwrap();
    std::fs::write(at("etc/passwd"), "root:x:0:0:root:/root:/bin/sh\n").unwrap();
    std::fs::create_dir_all(at("var/spool/dtex")).unwrap();
    std::fs::set_permissions(at("var/spool/dtex"), std::fs::Permissions::from_mode(0o2775)).unwrap();

    let in_root = format!("--root={}", root.path().display());
    let sysusers = repository("systemd/exfil-agent.sysusers.conf");
    let (output, said) = run("systemd-sysusers", &[&in_root, sysusers.to_str().unwrap()]);
    assert!(output.status.success(), "{said}");
    let tmpfiles = repository("systemd/exfil-agent.tmpfiles.conf");
    let (output, said) = run("systemd-tmpfiles", &[&in_root, "--create", tmpfiles.to_str().unwrap()]);
    assert!(output.status.success() && said.is_empty(), "{said}");

    let passwd = std::fs::read_to_string(at("etc/passwd")).unwrap();
    let entry = passwd.lines().find(|l| l.starts_with("exfil-agent:")).expect("the user was created");
    let uid: u32 = entry.split(':').nth(2).unwrap().parse().unwrap();
    assert!(entry.ends_with(":/usr/sbin/nologin"), "{entry}");
    for (path, mode, owner) in [
        ("var/lib/exfil-agent", 0o700, uid),
        ("var/log/exfil-agent", 0o750, uid),
        ("run/exfil-agent-metrics", 0o755, uid),
        ("etc/exfil-agent/content", 0o755, 0),
        ("var/spool/dtex", 0o2775, 0),
    ] {
        let meta = std::fs::metadata(at(path)).unwrap();
        assert_eq!((meta.mode() & 0o7777, meta.uid()), (mode, owner), "{path}");
    }
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|m| std::os::unix::fs::MetadataExt::uid(&m) == 0)
}
