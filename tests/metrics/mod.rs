//! Metrics of the real daemon: over a unix socket, over loopback, in a file; what they say, and who cannot do harm with them.

mod agree;
mod clients;
mod packaged;
mod starts;

use crate::site::{Daemon, Site, office, wait};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

/// A port of loopback that nobody listens on at the moment.
fn free_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// A site with metrics in every way.
struct Watched {
    site: Site,
    port: SocketAddr,
}

impl Watched {
    fn new() -> Watched {
        let watched = Watched { site: Site::new(), port: free_port() };
        let Watched { site, port } = &watched;
        site.configure(&format!(
            "[metrics]\nsocket = {:?}\nlisten = \"{port}\"\ntextfile = {:?}\ntextfile_secs = 1\n",
            watched.socket(),
            watched.file()
        ));
        fs::create_dir(site.root().join("spool")).unwrap();
        watched
    }
    fn socket(&self) -> PathBuf {
        self.site.root().join("metrics.sock")
    }
    fn file(&self) -> PathBuf {
        self.site.root().join("agent.prom")
    }
    /// Starts the daemon and waits until it answers on the socket.
    fn start(&self) -> Daemon {
        let daemon = self.site.start();
        let answers = || UnixStream::connect(self.socket()).is_ok() && self.page().contains("_observed_");
        wait(&format!("metrics; log:\n{}", self.site.log()), answers);
        daemon
    }
    /// Starts it over so many lines of an office, and waits until they are judged.
    fn with_office(&self, lines: usize) -> Daemon {
        let text = office(lines).join("\n") + "\n";
        fs::write(self.site.spool("a.cef"), &text).unwrap();
        let daemon = self.start();
        self.site.wait_for_bytes(text.len() as u64);
        daemon
    }
    /// The figures from the socket.
    fn page(&self) -> String {
        let answer = self.ask_socket(GET);
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {answer:?}"));
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        body.to_owned()
    }
    fn ask_socket(&self, request: &[u8]) -> String {
        until_there_is_a_place(|| exchange(UnixStream::connect(self.socket()).unwrap(), request))
    }
    fn ask_port(&self, request: &[u8]) -> String {
        until_there_is_a_place(|| exchange(TcpStream::connect(self.port).unwrap(), request))
    }
}

const GET: &[u8] = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n";

/// On a slow machine places of clients that have gone take a moment to be free.
fn until_there_is_a_place(ask: impl Fn() -> String) -> String {
    let mut answer = String::new();
    wait("a place", || {
        answer = ask();
        !answer.starts_with("HTTP/1.1 503 ")
    });
    answer
}

fn exchange(mut stream: impl Read + Write, request: &[u8]) -> String {
    // One who is refused early is not heard to the end.
    let _ = stream.write_all(request);
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    answer
}

/// The samples of a page: `name{labels}` and its value.
fn samples(page: &str) -> BTreeMap<String, f64> {
    let samples = page.lines().filter(|l| !l.starts_with('#'));
    samples
        .map(|l| {
            let (name, value) = l.rsplit_once(' ').unwrap();
            (name.to_owned(), value.parse().unwrap_or_else(|_| panic!("{l}")))
        })
        .collect()
}

/// Sums of a metric's samples by the value of a label.
fn by(page: &str, metric: &str, label: &str) -> BTreeMap<String, u64> {
    let mut out = BTreeMap::new();
    for (name, value) in samples(page) {
        if let Some(labels) = name.strip_prefix(metric).and_then(|rest| rest.strip_prefix('{')) {
            let at = labels.find(&format!("{label}=\"")).unwrap_or_else(|| panic!("{name} has no {label}"));
            let text = labels[at + label.len() + 2..].split('"').next().unwrap();
            *out.entry(text.to_owned()).or_default() += value as u64;
        }
    }
    assert!(!out.is_empty(), "no sample of {metric}:\n{page}");
    out
}

fn value(page: &str, sample: &str) -> f64 {
    *samples(page).get(sample).unwrap_or_else(|| panic!("no {sample} in\n{page}"))
}

/// What a page tells about its metrics, without values: help, type, and names with their labels' names.
fn outline(page: &str) -> BTreeSet<String> {
    let labels = |name: &str| -> String {
        let Some((name, labels)) = name.split_once('{') else { return name.to_owned() };
        let mut names = Vec::new();
        let mut rest = labels;
        while let Some((label, after)) = rest.split_once("=\"") {
            names.push(label.trim_start_matches(',').to_owned());
            let end = after.match_indices('"').find(|(at, _)| !after[..*at].ends_with('\\')).unwrap().0;
            rest = &after[end + 1..];
        }
        format!("{name}{{{}}}", names.join(","))
    };
    page.lines()
        .map(|l| if l.starts_with('#') { l.to_owned() } else { labels(l.rsplit_once(' ').unwrap().0) })
        .collect()
}
