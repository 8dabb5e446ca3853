//! `agentctl alerts follow` on a real agent: what comes, over a restart, into a pipe that is closed, and on a stopped one.

use crate::site::{Site, office, wait};
use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

struct Follower {
    child: Child,
    lines: Receiver<String>,
}

impl Drop for Follower {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn start(site: &Site, arguments: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_agentctl"))
        .args(["alerts", "follow", "--config"])
        .arg(site.config())
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn follow(site: &Site, arguments: &[&str]) -> Follower {
    let mut child = start(site, arguments);
    let stdout: ChildStdout = child.stdout.take().unwrap();
    let (send, lines) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            let _ = send.send(line);
        }
    });
    Follower { child, lines }
}

impl Follower {
    /// The next so many lines, for which it waits a minute.
    fn next(&self, n: usize) -> Vec<String> {
        let next = |at| {
            let line = self.lines.recv_timeout(Duration::from_secs(60));
            line.unwrap_or_else(|e| panic!("line {at} of {n}: {e}"))
        };
        (0..n).map(next).collect()
    }

    fn ids(&self, n: usize) -> Vec<String> {
        self.next(n).iter().map(|line| crate::site::id_of(line)).collect()
    }
}

fn append(site: &Site, lines: &[String]) {
    let mut file = OpenOptions::new().create(true).append(true).open(site.spool("a.cef")).unwrap();
    file.write_all((lines.join("\n") + "\n").as_bytes()).unwrap();
}

fn bytes(lines: &[String]) -> u64 {
    lines.join("\n").len() as u64 + 1
}

#[test]
fn alerts_come_as_they_are_kept_over_a_restart_and_from_a_known_one_on() {
    let lines = office(600);
    let (first, rest) = lines.split_at(200);
    let (second, third) = rest.split_at(200);
    let site = Site::new();
    fs::create_dir(site.root().join("spool")).unwrap();
    append(&site, first);
    let daemon = site.start();
    site.wait_for_bytes(bytes(first));
    let kept = site.alert_ids();
    assert!(kept.len() > 10);

    let mut follower = follow(&site, &[]);
    assert_eq!(follower.ids(10), kept[kept.len() - 10..], "those that are there already");
    let only_new = follow(&site, &["--limit", "0", "--format", "csv"]);
    assert!(only_new.next(1)[0].starts_with("seq,id,time,"));
    // It has asked for what is there before it writes its head: what is appended now is new to it.
    append(&site, second);
    site.wait_for_bytes(bytes(first) + bytes(second));
    let more = site.alert_ids().split_off(kept.len());
    assert!(!more.is_empty());
    assert_eq!(follower.ids(more.len()), more);

    assert_eq!(daemon.terminate(), 0);
    let mut said = String::new();
    BufReader::new(follower.child.stderr.take().unwrap()).read_line(&mut said).unwrap();
    assert!(said.contains("waiting for it"), "{said}");
    append(&site, third);
    let daemon = site.start();
    site.wait_for_bytes(bytes(first) + bytes(second) + bytes(third));
    let all = site.alert_ids();
    let last = all[kept.len() + more.len()..].to_vec();
    assert!(!last.is_empty());
    assert_eq!(follower.ids(last.len()), last, "over a restart");

    let since = follow(&site, &["--since", &kept[kept.len() - 1]]);
    assert_eq!(since.ids(more.len() + last.len()), [more, last].concat());
    let none = site.ctl(&["alerts", "follow", "--since", "0123456789abcdef"]);
    assert_eq!(none.status.code(), Some(3), "{}", String::from_utf8_lossy(&none.stderr));
    assert_eq!(daemon.terminate(), 0);

    let stopped = site.ctl(&["alerts", "follow"]);
    let said = String::from_utf8_lossy(&stopped.stderr).into_owned();
    assert_eq!((stopped.status.code(), stopped.stdout.len()), (Some(5), 0), "{said}");
    assert!(said.contains("only a running agent can be followed"), "{said}");
}

#[test]
fn a_closed_pipe_ends_it_though_nothing_comes() {
    let lines = office(100);
    let site = Site::new();
    fs::create_dir(site.root().join("spool")).unwrap();
    append(&site, &lines);
    let daemon = site.start();
    site.wait_for_bytes(bytes(&lines));
    let mut child = start(&site, &["--limit", "1"]);
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    assert!(line.starts_with('{'), "{line}");
    assert!(child.try_wait().unwrap().is_none());
    drop(stdout);
    let mut code = None;
    wait("the follower to notice that nobody reads", || {
        code = child.try_wait().unwrap();
        code.is_some()
    });
    assert_eq!(code.unwrap().code(), Some(0));
    assert_eq!(daemon.terminate(), 0);
}
