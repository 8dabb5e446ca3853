//! The packages: what is in them, and what happens to a machine that installs, upgrades, downgrades, removes and purges the .deb.
//!
//! They are built beforehand (`make deb rpm`); `EXFIL_AGENT_DEB` and `EXFIL_AGENT_RPM` say where they lie.

mod guides;
mod machine;

use crate::skip::{has_command, skip};
use clap::CommandFactory;
use exfil_agent::store::{Delta, OnDamage, Store, StoreOptions};
use machine::Machine;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The package that a variable names, or the reason for a SKIP.
fn package(variable: &str, command: &str) -> Result<PathBuf, String> {
    let Some(path) = std::env::var_os(variable) else {
        return Err(format!("{variable} names no package; `make deb rpm` builds them"));
    };
    if !has_command(command) {
        return Err(format!("{command} is not installed"));
    }
    Ok(path.into())
}

fn deb(command: &str) -> Result<PathBuf, String> {
    package("EXFIL_AGENT_DEB", command)
}

fn output(program: &str, arguments: &[&str], path: &Path) -> String {
    let output = Command::new(program).args(arguments).arg(path).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{program} {arguments:?}: {said}{}", String::from_utf8_lossy(&output.stderr));
    said
}

/// Files of the .deb, as `/usr/bin/agentctl`, each with its mode and owner.
fn files_of_the_deb(deb: &Path) -> Vec<(String, String)> {
    output("dpkg-deb", &["--contents"], deb)
        .lines()
        .filter(|line| line.starts_with('-'))
        .map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            (words[5].trim_start_matches('.').to_owned(), format!("{} {}", words[0], words[1].replace("root", "0")))
        })
        .collect()
}

fn repository(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

#[test]
fn the_debian_changelog_begins_with_the_version_of_this_build() {
    let changelog = repository("packaging/debian/changelog");
    let expected = format!("exfil-agent ({}-1) ", env!("CARGO_PKG_VERSION"));
    assert!(changelog.starts_with(&expected), "packaging/debian/changelog has no entry for this version");
}

#[test]
fn the_deb_holds_what_its_unit_its_pages_and_its_readme_name() {
    let name = "the_deb_holds_what_its_unit_its_pages_and_its_readme_name";
    let deb = match deb("dpkg-deb") {
        Ok(deb) => deb,
        Err(reason) => return skip(name, &reason),
    };
    let files = files_of_the_deb(&deb);
    let mut wanted: BTreeSet<String> = [
        "/usr/lib/sysusers.d/exfil-agent.conf",
        "/usr/lib/tmpfiles.d/exfil-agent.conf",
        "/etc/exfil-agent/exfil-agent.toml",
        "/etc/logrotate.d/exfil-agent",
        "/usr/share/doc/exfil-agent/copyright",
        "/usr/share/doc/exfil-agent/NOTICE",
        "/usr/share/doc/exfil-agent/third-party.gz",
        "/usr/share/doc/exfil-agent/changelog.gz",
        "/usr/share/doc/exfil-agent/changelog.Debian.gz",
    ]
    .map(str::to_owned)
    .into();
    for unit in ["exfil-agent.service", "exfil-agent@.service"] {
        wanted.insert(format!("/usr/lib/systemd/system/{unit}"));
        let text = repository(&format!("systemd/{unit}"));
        for line in text.lines() {
            if let Some(program) = line.strip_prefix("ExecStart=").or(line.strip_prefix("ExecReload=")) {
                wanted.insert(program.split(' ').next().unwrap().to_owned());
            }
            if let Some(document) = line.strip_prefix("Documentation=file:") {
                wanted.insert(document.to_owned());
            }
            if let Some((_, example)) = line.split_once("cp /usr/share/") {
                wanted.insert(format!("/usr/share/{}", example.split(' ').next().unwrap()));
            }
        }
    }
    for word in repository("README.md").split(|c: char| c.is_whitespace() || "`(),;".contains(c)) {
        if word.starts_with("docs/") && word.ends_with(".md") {
            wanted.insert(format!("/usr/share/doc/exfil-agent/{word}"));
        }
    }
    pages(&exfil_agent::commands::Cli::command(), "exfil-agent", "8", &mut wanted);
    pages(&exfil_agent::ctl::Cli::command(), "agentctl", "1", &mut wanted);
    for program in ["exfil-agent", "agentctl"] {
        wanted.insert(format!("/usr/share/bash-completion/completions/{program}"));
        wanted.insert(format!("/usr/share/zsh/vendor-completions/_{program}"));
        wanted.insert(format!("/usr/share/fish/vendor_completions.d/{program}.fish"));
    }
    for (below, files) in [
        ("config/content", "/usr/share/exfil-agent/content"),
        ("packaging/content", "/etc/exfil-agent/content"),
        ("packaging/drop-ins", "/usr/share/doc/exfil-agent/examples"),
        ("packaging/metrics", "/usr/share/exfil-agent/metrics"),
    ] {
        add_files(&Path::new(env!("CARGO_MANIFEST_DIR")).join(below), files, &mut wanted);
    }
    let there: BTreeSet<String> = files.iter().map(|(path, _)| path.clone()).collect();
    let missing: Vec<&String> = wanted.difference(&there).collect();
    assert!(missing.is_empty(), "not in the package: {missing:#?}");

    for (path, mode) in files {
        let expected = if path.starts_with("/usr/bin/") { "-rwxr-xr-x 0/0" } else { "-rw-r--r-- 0/0" };
        assert_eq!(mode, expected, "{path}");
    }
    let settings = output("dpkg-deb", &["--info"], &deb);
    assert!(settings.contains(&format!("Version: {}-1\n", env!("CARGO_PKG_VERSION"))), "{settings}");
}

/// The page of a command and of all below it.
fn pages(command: &clap::Command, name: &str, section: &str, wanted: &mut BTreeSet<String>) {
    wanted.insert(format!("/usr/share/man/man{section}/{name}.{section}.gz"));
    for below in command.get_subcommands() {
        pages(below, &format!("{name}-{}", below.get_name()), section, wanted);
    }
}

fn add_files(dir: &Path, installed: &str, wanted: &mut BTreeSet<String>) {
    for entry in fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        let installed = format!("{installed}/{}", entry.file_name().to_str().unwrap());
        if entry.path().is_dir() {
            add_files(&entry.path(), &installed, wanted);
        } else {
            wanted.insert(installed);
        }
    }
}

#[test]
fn the_rpm_holds_the_same_files() {
    let name = "the_rpm_holds_the_same_files";
    let (deb, rpm) = match (deb("dpkg-deb"), package("EXFIL_AGENT_RPM", "rpm")) {
        (Ok(deb), Ok(rpm)) => (deb, rpm),
        (Err(reason), _) | (_, Err(reason)) => return skip(name, &reason),
    };
    // What belongs to one kind of system, or has another place there.
    let elsewhere =
        ["/usr/share/lintian/", "/usr/share/doc/exfil-agent/copyright", "changelog.Debian.gz", "/licenses/"];
    let shared = |path: &String| !elsewhere.iter().any(|part| path.contains(part));
    let from_deb: BTreeSet<String> = files_of_the_deb(&deb)
        .into_iter()
        .map(|(path, _)| path.replace("/zsh/vendor-completions/", "/zsh/site-functions/"))
        .filter(shared)
        .collect();
    let from_rpm = output("rpm", &["-qlp"], &rpm).lines().map(str::to_owned).filter(shared).collect();
    let differ: Vec<&String> = from_deb.symmetric_difference(&from_rpm).collect();
    assert!(differ.is_empty(), "in one of the packages only: {differ:#?}");
    let settings = output("rpm", &["-qp", "--qf", "[%{filenames} %{fileflags:fflags}\\n]"], &rpm);
    for kept in ["/etc/exfil-agent/exfil-agent.toml cn", "/etc/logrotate.d/exfil-agent cn"] {
        assert!(settings.contains(kept), "{kept} is no %config(noreplace)");
    }
    let scripts = output("rpm", &["-qp", "--scripts"], &rpm);
    assert!(scripts.contains("postinstall") && scripts.contains("preuninstall") && scripts.contains("postuninstall"));
}

#[test]
fn lintian_has_nothing_to_say() {
    let deb = match deb("lintian") {
        Ok(deb) => deb,
        Err(reason) => return skip("lintian_has_nothing_to_say", &reason),
    };
    let arguments = ["--allow-root", "--fail-on", "error,warning", "--tag-display-limit", "0"];
    let output = Command::new("lintian").args(arguments).arg(&deb).env("LC_ALL", "C.UTF-8").output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.trim().is_empty() && output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    for line in repository("packaging/debian/lintian-overrides").split("\n\n") {
        assert!(line.starts_with('#'), "every override has its reason in front of it:\n{line}");
    }
}

/// A whole life of the package on one machine. One test, since every step stands on the one before.
#[test]
fn a_machine_installs_runs_upgrades_downgrades_removes_and_purges_it() {
    let name = "a_machine_installs_runs_upgrades_downgrades_removes_and_purges_it";
    let deb = match deb("mmdebstrap") {
        Ok(deb) => deb,
        Err(reason) => return skip(name, &reason),
    };
    let machine = match Machine::new() {
        Ok(machine) => machine,
        Err(reason) => return skip(name, &reason),
    };
    installed(&machine, &deb);
    let learned = ran(&machine);
    upgraded(&machine, &deb, &learned);
    downgraded(&machine, &deb);
    removed(&machine);
    purged(&machine);
}

const CONFIG: &str = "etc/exfil-agent/exfil-agent.toml";
const ALERTS: &str = "var/log/exfil-agent/alerts.jsonl";

/// The user and the directories exist, nothing is started, and what is installed works as it is.
fn installed(machine: &Machine, deb: &Path) {
    let said = machine.dpkg(&["--install"], Some(deb));
    assert!(said.contains("installed and not started"), "{said}");
    assert_eq!(machine.asked_of_systemd(), ["--system daemon-reload"]);

    let user = machine.uid("exfil-agent");
    for (path, mode, owner) in [
        ("var/lib/exfil-agent", 0o700, user),
        ("var/log/exfil-agent", 0o750, user),
        ("etc/exfil-agent", 0o755, 0),
        (CONFIG, 0o644, 0),
        ("etc/exfil-agent/content", 0o755, 0),
        ("var/spool/dtex", 0o750, 0),
    ] {
        let meta = fs::metadata(machine.path(path)).unwrap();
        assert_eq!((meta.mode() & 0o7777, meta.uid()), (mode, owner), "{path}");
    }
    machine.run(&["exfil-agent", "check", "--config", "/etc/exfil-agent/exfil-agent.toml"]);
    // What is shipped for reading is what is compiled in: whole, and free of faults.
    let shipped = fs::read_to_string(machine.path(CONFIG)).unwrap();
    let content_dir = "content_dir = \"/usr/share/exfil-agent/content\"";
    fs::write(
        machine.path("tmp/all.toml"),
        shipped.replace("#content_dir = \"/etc/exfil-agent/content\"", content_dir),
    )
    .unwrap();
    machine.run(&["exfil-agent", "check", "--config", "/tmp/all.toml"]);
    machine.run(&["exfil-agent", "check", "--config", "/usr/share/doc/exfil-agent/examples/second.toml"]);
    machine.run(&["logrotate", "--debug", "/etc/logrotate.d/exfil-agent"]);
}

/// Started by hand as the unit would, the agent turns a line of the spool into an alert. Gives what it has learned.
fn ran(machine: &Machine) -> String {
    let daemon = machine.start();
    machine.feed("plink.exe");
    daemon.wait_until("the alert of a tunnel", || machine.alerts().len() == 1);
    let alert = &machine.alerts()[0];
    assert!(alert.contains("plink.exe"), "{alert}");
    let meta = fs::metadata(machine.path(ALERTS)).unwrap();
    assert_eq!((meta.mode() & 0o7777, meta.uid()), (0o640, machine.uid("exfil-agent")));
    let status = machine.run(&["agentctl", "status", "--format", "json"]);
    assert!(status.contains("/var/spool/dtex"), "{status}");
    daemon.stop();
    machine.run(&["agentctl", "alerts", "list", "--format", "csv"])
}

/// A newer package with other settings: the site's stay, what was learned stays, and what ran is restarted.
fn upgraded(machine: &Machine, deb: &Path, learned: &str) {
    let config = fs::read_to_string(machine.path(CONFIG)).unwrap() + "# changed by the site\n";
    fs::write(machine.path(CONFIG), &config).unwrap();
    fs::write(machine.path("etc/exfil-agent/content/README"), "of the site").unwrap();
    let newer = machine.newer(deb, CONFIG);
    let said = machine.dpkg(&["--force-confold", "--install"], Some(&newer));
    assert!(!said.contains("not started"), "{said}");
    assert_eq!(machine.asked_of_systemd(), ["--system daemon-reload", "--system daemon-reload", RESTART]);
    assert_eq!(fs::read_to_string(machine.path(CONFIG)).unwrap(), config);
    assert!(machine.path(&format!("{CONFIG}.dpkg-dist")).exists(), "the new settings lie beside the site's");

    assert_eq!(machine.run(&["agentctl", "alerts", "list", "--format", "csv"]), learned);
    let daemon = machine.start();
    machine.feed("stunnel.exe");
    daemon.wait_until("one alert more", || machine.alerts().len() > 1);
    daemon.stop();
    let alerts = machine.alerts();
    assert!(
        alerts.len() == 2 && alerts[1].contains("stunnel.exe"),
        "what was read before is not read again: {alerts:#?}"
    );
}

/// The older package is back. It goes on with a state that it understands, refuses one that a newer agent has written, and leaves
/// that as it is.
fn downgraded(machine: &Machine, deb: &Path) {
    machine.dpkg(&["--force-confold", "--install"], Some(deb));
    assert_eq!(machine.asked_of_systemd(), ["--system daemon-reload", "--system daemon-reload", RESTART]);
    assert!(fs::read_to_string(machine.path(CONFIG)).unwrap().ends_with("# changed by the site\n"));
    let alerts = machine.run(&["agentctl", "alerts", "list", "--format", "csv"]);
    assert_eq!(alerts.lines().count(), 3, "{alerts}");

    let (state, kept) = (machine.path(STATE), machine.path("tmp/kept"));
    machine.run(&["cp", "--archive", "/var/lib/exfil-agent", "/tmp/kept"]);
    write_with_a_newer_schema(&state);
    machine.run(&["chown", "--recursive", "exfil-agent:", "/var/lib/exfil-agent"]);
    let newer = database_of(&state);
    let (code, said) = machine.start().end();
    assert_eq!(code, Some(65), "{said}");
    assert!(said.contains("install the newer program again"), "{said}");
    assert!(database_of(&state) == newer, "a state that is refused is not touched");
    fs::remove_dir_all(&state).unwrap();
    machine.run(&["mv", "/tmp/kept", "/var/lib/exfil-agent"]);
    assert!(!kept.exists());
    let daemon = machine.start();
    daemon.wait_until("its socket", || machine.path("run/exfil-agent/control.sock").exists());
    daemon.stop();
}

const STATE: &str = "var/lib/exfil-agent";
const RESTART: &str = "try-restart exfil-agent.service exfil-agent@*.service";

/// Makes a commit as an agent of a later version would.
fn write_with_a_newer_schema(state: &Path) {
    let schema = exfil_agent::state::record::SCHEMA + 1;
    let options = StoreOptions {
        max_delta_bytes: 1 << 20,
        schema,
        ascending: b"",
        on_damage: OnDamage::Refuse,
        snapshots_kept: 0,
    };
    let (mut store, _) = Store::open(state, &options).unwrap();
    let mut delta = Delta::default();
    delta.put(b"of a later version", b"");
    store.commit(&mut delta).unwrap();
    store.close().unwrap();
}

/// The bytes of the database and of its witness.
fn database_of(state: &Path) -> [Vec<u8>; 2] {
    ["sled/db", "witness"].map(|file| fs::read(state.join(file)).unwrap())
}

/// The programs are gone and were stopped before; state, alerts and settings are there.
fn removed(machine: &Machine) {
    machine.dpkg(&["--remove", "exfil-agent"], None);
    let stop = "stop exfil-agent.service exfil-agent@*.service";
    assert_eq!(machine.asked_of_systemd(), [stop, "--system daemon-reload"]);
    for gone in
        ["usr/bin/exfil-agent", "usr/bin/agentctl", "usr/share/exfil-agent", "usr/lib/sysusers.d/exfil-agent.conf"]
    {
        assert!(!machine.path(gone).exists(), "{gone} is still there");
    }
    assert!(fs::read_to_string(machine.path(CONFIG)).unwrap().ends_with("# changed by the site\n"));
    assert_eq!(machine.alerts().len(), 2);
    assert!(fs::read_dir(machine.path("var/lib/exfil-agent")).unwrap().count() > 0, "the state is gone");
}

/// State, alerts and settings are gone, also those of a second instance. What is not the agent's is there.
fn purged(machine: &Machine) {
    for (instance, owner) in [("exfil-agent-second", "exfil-agent"), ("exfil-agent-of-root", "root")] {
        let path = format!("/var/lib/{instance}");
        machine.run(&["install", "--directory", "--owner", owner, &path]);
    }
    machine.dpkg(&["--purge", "exfil-agent"], None);
    for gone in ["etc/exfil-agent", "etc/logrotate.d/exfil-agent", "var/lib/exfil-agent", "var/log/exfil-agent"] {
        assert!(!machine.path(gone).exists(), "{gone} is still there");
    }
    assert!(!machine.path("var/lib/exfil-agent-second").exists(), "the state of a second instance is still there");
    for kept in ["var/lib/exfil-agent-of-root", "var/spool/dtex/a.cef"] {
        assert!(machine.path(kept).exists(), "{kept} is gone");
    }
}
