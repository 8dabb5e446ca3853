//! The control socket under abuse: strangers stay out, every client is bounded in bytes, time and number, and the agent goes
//! on judging meanwhile.

use super::stream::{MONDAY, process};
use super::watched::high_water_mib;
use crate::site::{Daemon, Site, wait};
use std::fs::{self, OpenOptions, Permissions};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

struct Abused {
    site: Site,
    daemon: Daemon,
    written: u64,
}

impl Abused {
    fn new() -> Abused {
        let site = Site::new();
        fs::create_dir(site.root().join("spool")).unwrap();
        let daemon = site.start();
        let mut abused = Abused { site, daemon, written: 0 };
        abused.still_judges();
        abused
    }
    fn connect(&self) -> UnixStream {
        let stream = UnixStream::connect(self.site.root().join("control.sock")).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream
    }
    /// One more alert reaches the file, whatever the socket goes through.
    fn still_judges(&mut self) {
        self.written += 1;
        let line = process(MONDAY + self.written as i64, "WS1", &format!("u{}", self.written), "plink.exe -ssh u@h");
        let mut file = OpenOptions::new().create(true).append(true).open(self.site.spool("a.cef")).unwrap();
        file.write_all((line + "\n").as_bytes()).unwrap();
        let (site, want) = (&self.site, self.written as usize);
        wait(&format!("alert {want}; log:\n{}", site.log()), || site.alert_ids().len() == want);
    }
    fn threads(&self) -> usize {
        fs::read_dir(format!("/proc/{}/task", self.daemon.child.id())).unwrap().count()
    }
    /// An honest client is served (once there is a place again).
    fn still_answers(&self) {
        wait("an answer", || self.site.ctl(&["status"]).status.success());
    }
    fn end(self) {
        assert_eq!(self.daemon.terminate(), 0, "{}", self.site.log());
        assert!(!self.site.root().join("control.sock").exists());
    }
}

#[test]
fn a_request_without_end_is_cut_at_64_kib_and_costs_no_memory() {
    let mut abused = Abused::new();
    let before = high_water_mib(abused.daemon.child.id()).unwrap();
    let mut stream = abused.connect();
    let (mib, mut sent) = (vec![b'a'; 1 << 20], 0);
    while sent < 1024 && stream.write_all(&mib).is_ok() {
        sent += 1;
    }
    assert!(sent < 64, "{sent} MiB were taken");
    let mut said = String::new();
    let _ = BufReader::new(&stream).read_line(&mut said);
    assert!(said.contains("at most 65536 bytes"), "{said:?}");
    let after = high_water_mib(abused.daemon.child.id()).unwrap();
    assert!(after < before + 32, "{before} MiB before, {after} after");
    abused.still_judges();
    abused.still_answers();
    abused.end();
}

#[test]
fn garbage_half_requests_and_deep_nesting_are_answered_or_dropped() {
    let mut abused = Abused::new();
    let deep = "[".repeat(60_000);
    let hex = "{\"ask\":\"scan\",\"from\":\"zz\",\"prefix\":\"\"}";
    for garbage in ["", "\0\u{1}\u{2}", "{", "null", "{\"ask\":\"reboot\"}", &deep, hex, "{\"ask\":\"live\",\"x\":1}"] {
        let mut stream = abused.connect();
        stream.write_all(garbage.as_bytes()).unwrap();
        stream.write_all(b"\n").unwrap();
        let mut said = String::new();
        BufReader::new(&stream).read_line(&mut said).unwrap();
        assert!(said.contains("refused"), "{garbage:?}: {said:?}");
    }
    for half in ["{\"ask\":\"li", "\u{ff}"] {
        abused.connect().write_all(half.as_bytes()).unwrap();
    }
    abused.still_judges();
    abused.still_answers();
    abused.end();
}

#[test]
fn a_hundred_clients_are_eight_and_the_rest_is_told() {
    let mut abused = Abused::new();
    let threads = abused.threads();
    let silent: Vec<UnixStream> = (0..8).map(|_| abused.connect()).collect();
    wait("eight to be served", || abused.threads() == threads + 8);
    for _ in 0..92 {
        let mut said = String::new();
        abused.connect().read_to_string(&mut said).unwrap();
        assert!(said.contains("clients are being served; try again"), "{said:?}");
    }
    assert_eq!(abused.threads(), threads + 8, "bounded");
    let refused = abused.site.ctl(&["status"]);
    assert_eq!(refused.status.code(), Some(5));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("try again"), "{refused:?}");
    abused.still_judges();
    drop(silent);
    wait("all threads to be gone", || abused.threads() == threads);
    abused.still_answers();
    abused.end();
}

#[test]
fn a_client_that_trickles_and_one_that_never_reads_lose_their_places() {
    let mut abused = Abused::new();
    let threads = abused.threads();
    let mut slow = abused.connect();
    let deaf = abused.connect();
    let mut asking = deaf.try_clone().unwrap();
    let trickle = std::thread::spawn(move || {
        while slow.write_all(b"x").is_ok() {
            std::thread::sleep(Duration::from_millis(500));
        }
    });
    // Asks and asks; the answers stay where they are until the agent gives up.
    let ask =
        std::thread::spawn(
            move || while asking.write_all(b"{\"ask\":\"scan\",\"from\":\"\",\"prefix\":\"\"}\n").is_ok() {},
        );
    wait("both to be served", || abused.threads() == threads + 2);
    abused.still_answers();
    abused.still_judges();
    wait("both to be dropped", || abused.threads() == threads);
    trickle.join().unwrap();
    ask.join().unwrap();
    drop(deaf);
    abused.still_answers();
    abused.end();
}

#[test]
fn a_stranger_on_the_machine_is_not_let_in() {
    let name = "a_stranger_on_the_machine_is_not_let_in";
    if !rustix::process::geteuid().is_root() || !crate::skip::has_command("setpriv") {
        crate::skip::skip(name, "needs root and setpriv, to become somebody else");
        return;
    }
    let abused = Abused::new();
    let closed = |dir: &Path| fs::metadata(dir).is_ok_and(|m| m.permissions().mode() & 0o001 == 0);
    if let Some(dir) = abused.site.root().ancestors().skip(1).find(|dir| closed(dir)) {
        crate::skip::skip(name, &format!("{} is closed to others; set TMPDIR elsewhere", dir.display()));
        return;
    }
    // Nothing but the mode of the socket stands between them.
    fs::set_permissions(abused.site.root(), Permissions::from_mode(0o755)).unwrap();
    let binary = abused.site.root().join("agentctl");
    // The program goes by the name under which it is called.
    fs::copy(env!("CARGO_BIN_EXE_exfil-agent"), &binary).unwrap();
    fs::set_permissions(&binary, Permissions::from_mode(0o755)).unwrap();
    let socket = abused.site.root().join("control.sock");
    let ask = |gid: &str| {
        Command::new("setpriv")
            .args(["--reuid=65534", &format!("--regid={gid}"), "--clear-groups"])
            .arg(&binary)
            .args(["status", "--socket"])
            .arg(&socket)
            .output()
            .unwrap()
    };
    let stranger = ask("65534");
    assert_eq!(stranger.status.code(), Some(5), "{stranger:?}");
    assert!(String::from_utf8_lossy(&stranger.stderr).contains("ermission denied"), "{stranger:?}");
    assert!(ask("0").status.success(), "the socket's group may look");
    abused.end();
}

#[test]
fn the_socket_of_a_killed_agent_is_replaced_and_nothing_else_is() {
    let site = Site::new();
    fs::create_dir(site.root().join("spool")).unwrap();
    let answers = || wait("an answer", || site.ctl(&["status"]).status.success());
    let daemon = site.start();
    answers();
    daemon.kill();
    let socket = site.root().join("control.sock");
    assert!(socket.exists());
    let daemon = site.start();
    answers();
    assert_eq!(daemon.terminate(), 0);

    let precious = site.root().join("precious");
    for link in [false, true] {
        fs::write(&precious, "keep me").unwrap();
        if link {
            std::os::unix::fs::symlink(&precious, &socket).unwrap();
        } else {
            fs::write(&socket, "keep me").unwrap();
        }
        let out = Command::new(env!("CARGO_BIN_EXE_exfil-agent"))
            .args(["run", "--config"])
            .arg(site.config())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        assert_eq!(out.status.code(), Some(73), "{said}");
        assert!(said.contains("it exists and is no socket"), "{said}");
        assert_eq!(fs::read_to_string(&socket).unwrap(), "keep me");
        fs::remove_file(&socket).unwrap();
    }
}
