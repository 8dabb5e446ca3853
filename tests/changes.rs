//! What changes a running agent: reloads, compaction and forgetting, under load, with faults, and asked for by strangers.

use crate::effort;
use crate::site::{Site, assert_same_ids, office, uninterrupted, wait};
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn json(output: &Output) -> serde_json::Value {
    assert!(output.status.success(), "{}", said(output));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A site whose spool holds these lines, all judged.
fn site_with(lines: &[String]) -> (Site, crate::site::Daemon) {
    let site = Site::new();
    fs::create_dir(site.root().join("spool")).unwrap();
    let text = lines.join("\n") + "\n";
    fs::write(site.spool("a.cef"), &text).unwrap();
    let daemon = site.start();
    site.wait_for_bytes(text.len() as u64);
    (site, daemon)
}

#[test]
fn any_number_of_changes_under_load_loses_and_repeats_nothing() {
    let changes = effort::of(12, 100);
    let lines = office(changes * 60);
    let (ids, dump) = uninterrupted(&lines);
    let site = Site::new();
    fs::create_dir(site.root().join("spool")).unwrap();
    let daemon = site.start();
    wait("the agent to answer", || site.judged_bytes().is_some());
    let spool = site.spool("a.cef");
    let load = lines.clone();
    let writer = std::thread::spawn(move || {
        let mut file = File::create(spool).unwrap();
        for piece in load.chunks(7) {
            file.write_all((piece.join("\n") + "\n").as_bytes()).unwrap();
            std::thread::sleep(Duration::from_millis(5));
        }
    });
    for n in 0..changes {
        let what: &[&str] = if n % 3 == 2 { &["state", "compact"] } else { &["reload"] };
        json(&site.ctl(what));
    }
    writer.join().unwrap();
    site.wait_for_bytes(lines.join("\n").len() as u64 + 1);
    assert_eq!(daemon.terminate(), 0);
    assert_same_ids(&site.alert_ids(), &ids, "changes under load");
    assert_eq!(site.dump(), dump);
}

#[test]
fn a_reload_takes_all_or_nothing_and_names_every_fault() {
    let lines = office(400);
    let (site, daemon) = site_with(&lines[..200]);
    let good = fs::read_to_string(site.config()).unwrap();
    let faulty = format!("{good}\n[detection]\nlate_dais = 3\ndisabled_rules = [\"nonsense\"]\n");
    fs::write(site.config(), &faulty).unwrap();
    // The config is read by agentctl too, for the socket: here it is named.
    let reload = || {
        Command::new(env!("CARGO_BIN_EXE_agentctl"))
            .args(["reload", "--socket"])
            .arg(site.root().join("control.sock"))
            .output()
            .unwrap()
    };
    let refused = reload();
    assert_eq!(refused.status.code(), Some(1));
    assert!(said(&refused).contains("did you mean \"late_days\"?"), "{}", said(&refused));
    assert!(site.log().contains("nothing was reloaded"), "{}", site.log());

    fs::write(site.config(), good.replace("/state\"", "/elsewhere\"")).unwrap();
    let refused = reload();
    assert_eq!(refused.status.code(), Some(1));
    assert!(said(&refused).contains("state.dir") && said(&refused).contains("restart"), "{}", said(&refused));

    // Still the old content: a rule that is about to be switched off fires.
    fs::write(site.config(), &good).unwrap();
    let append = |lines: &[String]| {
        let mut file = OpenOptions::new().append(true).open(site.spool("a.cef")).unwrap();
        file.write_all((lines.join("\n") + "\n").as_bytes()).unwrap();
    };
    append(&lines[200..300]);
    site.wait_for_bytes(lines[..300].join("\n").len() as u64 + 1);
    let alerts = || fs::read_to_string(site.root().join("alerts.jsonl")).unwrap();
    let tunnels = || alerts().matches("Exfil-Tunnel-Tools-Exec").count();
    let before = tunnels();
    assert!(before > 0);

    site.configure("\n[detection]\ndisabled_rules = [\"Exfil-Tunnel-Tools-Exec\"]\n");
    let reloaded = json(&reload());
    assert_eq!((&reloaded["change"], &reloaded["spools"]), (&"reloaded".into(), &1.into()));
    append(&lines[300..]);
    site.wait_for_bytes(lines.join("\n").len() as u64 + 1);
    assert_eq!(tunnels(), before, "what is switched off does not fire");
    // A signal does the same.
    fs::write(site.config(), &good).unwrap();
    let pid = rustix::process::Pid::from_child(&daemon.child);
    rustix::process::kill_process(pid, rustix::process::Signal::HUP).unwrap();
    wait("the second reload", || site.log().matches("done: reload").count() == 2);
    assert_eq!(daemon.terminate(), 0);
}

/// Whether the bytes stand in any file below a directory.
fn stands_in(dir: &Path, bytes: &[u8]) -> Option<String> {
    for entry in fs::read_dir(dir).unwrap().flatten() {
        let path = entry.path();
        let found = if path.is_dir() {
            stands_in(&path, bytes)
        } else {
            let text = fs::read(&path).unwrap();
            text.windows(bytes.len()).any(|w| w == bytes).then(|| path.display().to_string())
        };
        if found.is_some() {
            return found;
        }
    }
    None
}

#[test]
fn what_is_forgotten_leaves_no_trace_and_the_rest_stays_as_it_was() {
    let lines = office(900);
    let (site, daemon) = site_with(&lines);
    let rows = |what: &[&str]| String::from_utf8(site.ctl(what).stdout).unwrap();
    let (dump, alerts) = (rows(&["state", "dump"]), rows(&["alerts", "list"]));
    let of_user = |text: &str| text.lines().filter(|l| l.contains(r"corp\\user1")).count();
    assert!(of_user(&dump) > 0 && of_user(&alerts) > 0);

    let asked = site.ctl(&["state", "forget", "--user", r"CORP\user1"]);
    assert_eq!(asked.status.code(), Some(2));
    assert!(said(&asked).contains("--yes"), "{}", said(&asked));
    let unknown = site.ctl(&["state", "forget", "--user", r"other\user1", "--yes"]);
    assert_eq!(unknown.status.code(), Some(3), "{}", said(&unknown));
    assert!(said(&unknown).contains(r"corp\user1"), "{}", said(&unknown));

    let forgotten = json(&site.ctl(&["state", "forget", "--user", r"CORP\user1", "--yes"]));
    assert_eq!(forgotten["entities"], 1);
    for what in ["instances", "bins", "guards", "alerts"] {
        assert!(forgotten[what].as_u64().unwrap() > 0, "{what}: {forgotten}");
    }
    let without =
        |text: &str| text.lines().filter(|l| !l.contains(r"corp\\user1")).map(str::to_owned).collect::<Vec<_>>();
    // Where peers and the organisation counted the user, the shares of all others are larger now.
    let counts = |row: &String| {
        let row: serde_json::Value = serde_json::from_str(row).unwrap();
        ["model", "scope", "value", "count", "first_seen", "last_seen"].map(|name| row[name].to_string())
    };
    let left: Vec<String> = rows(&["state", "dump"]).lines().map(str::to_owned).collect();
    let of = |rows: &[String]| rows.iter().map(counts).collect::<Vec<_>>();
    assert_eq!(of(&left), of(&without(&dump)), "all others are as they were");
    assert_eq!(of_user(&rows(&["alerts", "list"])), 0);
    assert!(site.log().contains(r"forget the user CORP\user1"), "it is in the log: {}", site.log());
    assert_eq!(daemon.terminate(), 0);
    assert_eq!(stands_in(&site.state_dir(), br"corp\user1"), None);
    for snapshot in fs::read_dir(site.state_dir().join("snapshots")).unwrap().flatten() {
        let path = snapshot.path().display().to_string();
        let dump = site.ctl(&["--state", &path, "state", "dump"]);
        assert!(dump.status.success() && of_user(&String::from_utf8_lossy(&dump.stdout)) == 0, "{path}");
    }

    // Of a stopped agent: a host, a model.
    let host = json(&site.ctl(&["state", "forget", "--host", "ws2", "--yes"]));
    assert_eq!(host["entities"], 1, "{host}");
    let model = json(&site.ctl(&["state", "forget", "--model", "FA-UP-TEMP", "--yes"]));
    assert!(model["instances"].as_u64().unwrap() > 0, "{model}");
    assert!(!rows(&["state", "dump"]).contains("FA-UP-TEMP"));
    let again = site.ctl(&["state", "forget", "--model", "FA-UP-TEMP", "--yes"]);
    assert_eq!(again.status.code(), Some(3));
    let compacted = json(&site.ctl(&["state", "compact"]));
    assert!(compacted["after_bytes"].as_u64().unwrap() > 0);
    let nobody = site.ctl(&["reload"]);
    assert_eq!(nobody.status.code(), Some(5));
    assert!(said(&nobody).contains("no agent answers"), "{}", said(&nobody));
    // What is left is whole: the agent goes on with it.
    let daemon = site.start();
    site.wait_for_bytes(lines.join("\n").len() as u64 + 1);
    assert_eq!(daemon.terminate(), 0);
}

/// Plays systemd: its socket, and what the agent says there next.
fn systemd(site: &Site) -> (PathBuf, impl Fn() -> String + use<>) {
    let socket = site.root().join("notify");
    let systemd = UnixDatagram::bind(&socket).unwrap();
    systemd.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let hear = move || {
        let mut message = [0; 1024];
        let n = systemd.recv(&mut message).unwrap();
        String::from_utf8(message[..n].to_vec()).unwrap()
    };
    (socket, hear)
}

/// What the agent says of itself, in order.
#[test]
fn systemd_hears_of_start_reload_life_and_end() {
    let site = Site::new();
    fs::create_dir(site.root().join("spool")).unwrap();
    let (socket, hear) = systemd(&site);
    let daemon = site.start_with(&[("NOTIFY_SOCKET", socket.to_str().unwrap())]);
    assert!(hear().contains("READY=1"));
    assert_eq!(json(&site.ctl(&["reload"]))["change"], "reloaded");
    let reloading = hear();
    assert!(reloading.contains("RELOADING=1") && reloading.contains("MONOTONIC_USEC="), "{reloading}");
    assert!(hear().contains("READY=1"));
    // A reload that is refused is none.
    site.configure("nonsense = 1\n");
    assert_eq!(
        site.ctl(&["--socket", site.root().join("control.sock").to_str().unwrap(), "reload"]).status.code(),
        Some(1)
    );
    let alive = hear();
    assert!(alive.contains("WATCHDOG=1") && alive.contains("STATUS=0 files, 0 bytes behind"), "{alive}");
    assert_eq!(daemon.terminate(), 0);
    assert!(hear().contains("STOPPING=1"));
}

/// Who waits for the service at boot does not wait for a receiver of alerts; what is wrong is said beside it.
#[test]
fn a_receiver_that_is_down_at_start_delays_no_readiness() {
    let site = Site::new();
    fs::create_dir(site.root().join("spool")).unwrap();
    fs::write(site.spool("a.cef"), office(900).join("\n") + "\n").unwrap();
    site.configure("[sink.syslog]\ntarget = \"tcp://127.0.0.1:1\"\n");
    let (socket, hear) = systemd(&site);
    let daemon = site.start_with(&[("NOTIFY_SOCKET", socket.to_str().unwrap())]);
    assert!(hear().contains("READY=1"));
    let failing = "bytes behind; sink syslog fails: tcp://127.0.0.1:1: Connection refused";
    let mut said = hear();
    while !said.contains(failing) {
        said = hear();
    }
    assert_eq!(daemon.terminate(), 0, "{}", site.log());
}

/// A change may take longer than systemd's patience: it hears that the agent is alive.
#[test]
fn systemd_is_kept_patient_during_a_long_change() {
    let site = Site::new();
    fs::create_dir(site.root().join("spool")).unwrap();
    let (socket, hear) = systemd(&site);
    let stalls = ("EXFIL_AGENT_FAIL", "stall=compact-built");
    let daemon = site.start_with(&[("NOTIFY_SOCKET", socket.to_str().unwrap()), stalls]);
    assert!(hear().contains("READY=1"));
    fs::write(site.spool("a.cef"), office(50).join("\n") + "\n").unwrap();
    wait("some commits", || site.judged_bytes().is_some_and(|bytes| bytes > 0));
    let mut asking = Command::new(env!("CARGO_BIN_EXE_agentctl"))
        .arg("--config")
        .arg(site.config())
        .args(["state", "compact"])
        .spawn()
        .unwrap();
    while !hear().contains("RELOADING=1") {}
    let alive = hear();
    assert_eq!(alive.trim(), "WATCHDOG=1", "not the watch of the main thread, which says more");
    daemon.kill();
    let code = asking.wait().unwrap().code();
    assert_eq!(code, Some(5), "nobody knows what came of it");
}

#[test]
fn who_may_look_may_not_change() {
    if !rustix::process::geteuid().is_root() {
        crate::skip::skip("changes::who_may_look_may_not_change", "only root can become somebody else");
        return;
    }
    let (site, daemon) = site_with(&office(50));
    // Its group may look: this stranger is in it.
    let stranger = |args: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_agentctl"))
            .arg("--socket")
            .arg(site.root().join("control.sock"))
            .args(args)
            .uid(65_534)
            .gid(0)
            .output()
            .unwrap()
    };
    fs::set_permissions(site.root(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let looks = stranger(&["state", "stats"]);
    assert!(looks.status.success(), "{}", said(&looks));
    for change in [&["reload"][..], &["state", "compact"], &["state", "forget", "--host", "ws1", "--yes"]] {
        let refused = stranger(change);
        assert_eq!(refused.status.code(), Some(1), "{change:?}");
        assert!(said(&refused).contains("only root and the agent's own user"), "{}", said(&refused));
    }
    assert!(json(&site.ctl(&["state", "stats"]))["hosts"].as_u64().unwrap() > 0);
    assert_eq!(daemon.terminate(), 0);
}

#[test]
fn two_collectors_make_the_baseline_that_one_would_have_made() {
    let lines = office(900);
    let of = |wanted: &dyn Fn(&String) -> bool| lines.iter().filter(|l| wanted(l)).cloned().collect::<Vec<_>>();
    let is_two = |line: &String| line.contains(r"\user2");
    let ((one, daemon), (two, other)) = (site_with(&of(&|l| !is_two(l))), site_with(&of(&is_two)));
    let learned = |site: &Site| {
        let dump = site.ctl(&["state", "dump"]);
        let mut rows: Vec<String> = String::from_utf8(dump.stdout).unwrap().lines().map(str::to_owned).collect();
        rows.sort_unstable();
        rows
    };
    let (all, third) = site_with(&lines);
    let wanted = learned(&all);
    assert_eq!(third.terminate(), 0);

    let file = two.root().join("learned.zst");
    let path = file.to_str().unwrap();
    assert!(json(&two.ctl(&["state", "export", path]))["records"].as_u64().unwrap() > 10);
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&file).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(two.ctl(&["state", "export", path]).status.code(), Some(1), "nothing is written over");
    let refused = one.ctl(&["state", "import", path]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(said(&refused).contains("--merge"), "{}", said(&refused));
    let imported = json(&one.ctl(&["state", "import", "--merge", path]));
    assert_eq!(imported["change"], "imported");
    assert_eq!(learned(&one), wanted);
    let again = one.ctl(&["state", "import", "--merge", path]);
    assert_eq!(again.status.code(), Some(1));
    assert!(said(&again).contains("already"), "{}", said(&again));
    fs::write(&file, "nonsense").unwrap();
    assert_eq!(one.ctl(&["state", "import", "--merge", path]).status.code(), Some(4));
    assert_eq!(daemon.terminate(), 0);
    assert_eq!(other.terminate(), 0);
    assert_eq!(learned(&one), wanted, "and it is kept");
}
