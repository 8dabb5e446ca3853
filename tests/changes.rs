//! What changes a running agent: reloads, compaction and forgetting, under load, with faults, and asked for by strangers.

use crate::effort;
use crate::site::{Site, assert_same_ids, office, uninterrupted, wait};
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, Ordering};
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

/// A rule that never fires, so that nothing differs from content without it.
const SITE_RULE: &str = r#"id = "Site-Never"
name = "Never"
revision = 1
why = "It is there to be read."
attack = ["T1020"]
score = 1
events = ["process-created"]
entity = "user"
period = "day"
[condition]
image = "nothing-of-the-kind"
[[test]]
name = "it fires"
fields = { process_path = 'C:\nothing-of-the-kind.exe' }
fires = true
[[test]]
name = "it does not"
fields = { process_path = 'C:\b.exe' }
fires = false
"#;

#[test]
fn a_hundred_reloads_under_load_half_of_them_refused_lose_and_repeat_nothing() {
    const RELOADS: usize = 100;
    let lines = office(3000);
    let (ids, dump) = uninterrupted(&lines);
    let site = Site::new();
    fs::create_dir(site.root().join("spool")).unwrap();
    let content = site.root().join("content");
    fs::create_dir_all(content.join("rules")).unwrap();
    site.configure(&format!("[detection]\ncontent_dir = {content:?}\n"));
    let daemon = site.start();
    wait("the agent to answer", || site.judged_bytes().is_some());
    let stop = AtomicBool::new(false);
    let appended = std::thread::scope(|scope| {
        // Appends as long as reloads go on, and the rest at once when they are done.
        let writer = scope.spawn(|| {
            let mut file = File::create(site.spool("a.cef")).unwrap();
            let mut under_load = 0;
            for piece in lines.chunks(7) {
                file.write_all((piece.join("\n") + "\n").as_bytes()).unwrap();
                if !stop.load(Ordering::Relaxed) {
                    under_load += piece.len();
                    std::thread::sleep(Duration::from_millis(20));
                }
            }
            under_load
        });
        for n in 0..RELOADS {
            let good = n % 2 == 0;
            let faulty = SITE_RULE.replace("revision = 1", "revision = 0").replace("\"day\"", "\"dya\"");
            fs::write(content.join("rules/own.toml"), if good { SITE_RULE } else { &faulty }).unwrap();
            let done = site.ctl(&["reload"]);
            if good {
                assert_eq!(json(&done)["rules"], 21, "number {n}");
            } else {
                let said = said(&done);
                assert_eq!(done.status.code(), Some(1), "number {n}: {said}");
                for fault in ["nothing was reloaded", "own.toml:3", "revision", "own.toml:9", "dya"] {
                    assert!(said.contains(fault), "number {n}: {fault} in {said}");
                }
            }
        }
        stop.store(true, Ordering::Relaxed);
        writer.join().unwrap()
    });
    assert!(appended > 0);
    site.wait_for_bytes(lines.join("\n").len() as u64 + 1);
    assert_eq!(site.log().matches("done: reload").count(), RELOADS / 2);
    assert_eq!(site.log().matches("nothing was reloaded").count(), RELOADS / 2);
    assert_eq!(daemon.terminate(), 0);
    assert_same_ids(&site.alert_ids(), &ids, "a hundred reloads");
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

/// In which file below a directory a name stands, in whatever case.
fn stands_in(dir: &Path, name: &str) -> Option<String> {
    for entry in fs::read_dir(dir).unwrap().flatten() {
        let path = entry.path();
        let found = if path.is_dir() {
            stands_in(&path, name)
        } else {
            let text = fs::read(&path).unwrap();
            let holds = text.windows(name.len()).any(|w| w.eq_ignore_ascii_case(name.as_bytes()));
            holds.then(|| path.display().to_string())
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
    // The name alone, with or without its domain.
    assert_eq!(stands_in(&site.state_dir(), "user1"), None);
    // Snapshots are compressed: they are asked.
    for snapshot in fs::read_dir(site.state_dir().join("snapshots")).unwrap().flatten() {
        let path = snapshot.path().display().to_string();
        for what in [&["state", "dump"][..], &["alerts", "list"]] {
            let rows = site.ctl(&[&["--state", &path], what].concat());
            let text = String::from_utf8_lossy(&rows.stdout).to_lowercase();
            assert!(rows.status.success() && !text.is_empty() && !text.contains("user1"), "{path} {what:?}");
        }
    }

    // Of a stopped agent: a host, a model.
    let host = json(&site.ctl(&["state", "forget", "--host", "ws2", "--yes"]));
    assert_eq!(host["entities"], 1, "{host}");
    assert_eq!(stands_in(&site.state_dir(), "ws2"), None);
    let model = json(&site.ctl(&["state", "forget", "--model", "FA-UP-TEMP", "--yes"]));
    assert!(model["instances"].as_u64().unwrap() > 0, "{model}");
    assert!(!rows(&["state", "dump"]).contains("FA-UP-TEMP"));
    let again = site.ctl(&["state", "forget", "--model", "FA-UP-TEMP", "--yes"]);
    assert_eq!(again.status.code(), Some(3));
    let compacted = json(&site.ctl(&["state", "compact"]));
    assert!(compacted["after_bytes"].as_u64().unwrap() > 0);
    let nobody = site.ctl(&["reload"]);
    assert_eq!(nobody.status.code(), Some(5));
    assert!(said(&nobody).contains("the agent is not running"), "{}", said(&nobody));
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

/// Ready means that alerts have somewhere to go. What is not there is said; but for the alert file it keeps nobody waiting.
#[test]
fn systemd_hears_that_it_is_ready_once_the_alert_file_is_open_and_what_else_is_missing() {
    let site = Site::new();
    let (alerts, missing) = (site.root().join("alerts.jsonl"), site.root().join("missing/alerts.jsonl"));
    site.reconfigure(&format!("{alerts:?}"), &format!("{missing:?}"));
    let nobody = site.root().join("no-syslog");
    site.configure(&format!("[sink.syslog]\nenabled = true\ntarget = {nobody:?}\n"));
    fs::create_dir(site.root().join("spool")).unwrap();
    let (socket, hear) = systemd(&site);
    let daemon = site.start_with(&[("NOTIFY_SOCKET", socket.to_str().unwrap())]);
    let mut heard = hear();
    while !heard.contains("the alert file cannot be opened") {
        assert!(!heard.contains("READY=1"), "{heard}");
        heard = hear();
    }
    assert!(heard.contains("missing/alerts.jsonl") && !heard.contains("READY=1"), "{heard}");
    fs::create_dir(missing.parent().unwrap()).unwrap();
    let mut heard = hear();
    while !heard.contains("READY=1") {
        heard = hear();
    }
    assert!(heard.contains("STATUS=0 files, 0 bytes behind; sink syslog fails: "), "{heard}");
    let status = json(&site.ctl(&["status"]));
    assert_eq!((&status["health"], &status["sinks"][1]["name"]), (&"attention".into(), &"syslog".into()));
    assert!(status["warnings"][0].as_str().unwrap().starts_with("the sink syslog has failed since "), "{status}");
    assert_eq!(daemon.terminate(), 0, "{}", site.log());
}

/// Waiting for a sink, and for the room that it leaves, is no reason to be taken for dead.
#[test]
fn systemd_hears_that_it_lives_while_it_waits_for_room() {
    let site = Site::new();
    let nobody = site.root().join("no-syslog");
    site.configure(&format!(
        "[sink.syslog]\nenabled = true\nmin_score = 0\ntarget = {nobody:?}\n[limits]\nmax_queued_alerts = 20\n"
    ));
    fs::create_dir(site.root().join("spool")).unwrap();
    let (socket, hear) = systemd(&site);
    let short = ("EXFIL_AGENT_LONGEST_PAUSE_MS", "500");
    let daemon = site.start_with(&[("NOTIFY_SOCKET", socket.to_str().unwrap()), short]);
    while !hear().contains("READY=1") {}
    fs::write(site.spool("a.cef"), office(2000).join("\n") + "\n").unwrap();
    let waiting = || {
        let status: serde_json::Value = serde_json::from_slice(&site.ctl(&["status"]).stdout).unwrap();
        status["sinks"][1]["queued"].as_u64().unwrap()
    };
    wait("the queue to be full", || waiting() >= 20);
    for _ in 0..2 {
        let mut heard = hear();
        while !heard.contains("WATCHDOG=1") {
            heard = hear();
        }
        assert!(heard.contains("sink syslog fails"), "{heard}");
    }
    assert_eq!(daemon.terminate(), 0, "{}", site.log());
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
    while !hear().contains("READY=1") {}
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
