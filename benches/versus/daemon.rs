//! A running `exfil-agent run` in a directory of its own, watched from outside through /proc.

use crate::options::emptied;
use crate::product::Product;
use crate::unit_environment::environment_of_the_unit;
use exfil_agent::control::client::Client;
use exfil_agent::state::record::FileRecord;
use exfil_agent::store::codec;
use std::fs::{self, File};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

/// The directory of an agent: `spool/`, `state/`, `alerts.jsonl`, `agent.toml`.
pub struct Site<'a> {
    product: &'a Product,
    dir: PathBuf,
}

/// Killed with -9 when dropped.
pub struct Daemon {
    child: Child,
    since: Instant,
    /// From the start of the process to its READY: state and sinks are open, the control socket listens.
    pub ready_after: Duration,
}

impl<'a> Site<'a> {
    pub fn new(product: &'a Product, dir: &Path) -> Site<'a> {
        let site = Site { product, dir: emptied(dir) };
        fs::create_dir(site.at("spool")).unwrap();
        site.reads(&site.at("spool"));
        site
    }

    /// Lets it read another directory.
    pub fn reads(&self, spool: &Path) {
        let at = |name| self.at(name);
        let config = format!(
            "[[spool]]\npath = {spool:?}\n[state]\ndir = {:?}\n[sink.file]\npath = {:?}\n[control]\nsocket = {:?}\n",
            at("state"),
            at("alerts.jsonl"),
            at("control.sock")
        );
        fs::write(self.at("agent.toml"), config).unwrap();
    }

    /// Puts a table behind what the config holds.
    pub fn configure(&self, table: &str) {
        let config = fs::read_to_string(self.at("agent.toml")).unwrap();
        fs::write(self.at("agent.toml"), config + table).unwrap();
    }

    pub fn at(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    pub fn start(&self) -> Daemon {
        let _ = fs::remove_file(self.at("notify"));
        let notify = UnixDatagram::bind(self.at("notify")).unwrap();
        notify.set_read_timeout(Some(Duration::from_secs(300))).unwrap();
        let since = Instant::now();
        let child = Command::new(&self.product.agent)
            .args(["run", "--config"])
            .arg(self.at("agent.toml"))
            .env("NOTIFY_SOCKET", self.at("notify"))
            .stderr(File::create(self.at("log")).unwrap())
            .envs(environment_of_the_unit())
            .spawn()
            .unwrap();
        let mut daemon = Daemon { child, since, ready_after: Duration::ZERO };
        let mut message = [0; 256];
        let got = notify.recv(&mut message).unwrap_or(0);
        assert!(message[..got].starts_with(b"READY=1"), "the agent does not get ready: {}", self.log());
        daemon.ready_after = since.elapsed();
        daemon
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.at("log")).unwrap_or_default()
    }

    /// From the start of the process until every user and host was there: questions about all of them wait until then.
    pub fn all_there_after(&self, daemon: &Daemon) -> Duration {
        Client::connect(&self.at("control.sock")).and_then(|mut client| client.live()).unwrap();
        daemon.since.elapsed()
    }

    /// Waits until so many bytes have been read, judged and committed.
    pub fn wait_for_bytes(&self, bytes: u64) {
        let since = Instant::now();
        while self.judged_bytes() != Some(bytes) {
            assert!(since.elapsed() < Duration::from_secs(900), "{bytes} bytes are not read: {}", self.log());
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Asks for the records of the files alone: for `agentctl status` the agent reads its whole state, which would be
    /// measured with it.
    fn judged_bytes(&self) -> Option<u64> {
        let (_, files) = Client::connect(&self.at("control.sock")).ok()?.scan(b"f", b"f").ok()?;
        files.iter().map(|(_, file)| Some(codec::decode::<FileRecord>(file).ok()?.tally.bytes)).sum()
    }
}

impl Daemon {
    fn proc(&self, file: &str) -> String {
        fs::read_to_string(format!("/proc/{}/{file}", self.child.id())).unwrap()
    }

    /// The number behind a name in a file of /proc.
    fn number(&self, file: &str, name: &str) -> u64 {
        let text = self.proc(file);
        let line = text.lines().find_map(|l| l.strip_prefix(name)).unwrap();
        line.split_whitespace().next().unwrap().parse().unwrap()
    }

    pub fn rss_kib(&self) -> u64 {
        self.number("status", "VmRSS:")
    }

    /// The most that it ever was.
    pub fn peak_rss_kib(&self) -> u64 {
        self.number("status", "VmHWM:")
    }

    pub fn written_bytes(&self) -> u64 {
        self.number("io", "write_bytes:")
    }

    /// CPU time of all its threads, those that have ended included: the files of /proc have only the others in more than clock
    /// ticks, which are as long as what is measured. Meanwhile it stands still.
    pub fn cpu(&self) -> Duration {
        self.signal("-STOP");
        // The clock of a process, by its number (<linux/posix-timers.h>, which every C library follows).
        let clock = (!i64::from(self.child.id()) << 3) | 2;
        let script = format!("import time; print(time.clock_gettime_ns({clock}))");
        let told = Command::new("python3").args(["-c", &script]).output().unwrap().stdout;
        self.signal("-CONT");
        Duration::from_nanos(String::from_utf8(told).unwrap().trim().parse().unwrap())
    }

    fn signal(&self, signal: &str) {
        assert!(Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap().success());
    }
}

impl Daemon {
    /// Ends it as systemd does: it takes a snapshot, and writes the database anew where it is mostly waste.
    pub fn stop(mut self) {
        self.signal("-TERM");
        assert!(self.child.wait().unwrap().success(), "the agent does not stop cleanly");
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
