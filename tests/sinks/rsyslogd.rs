//! A real rsyslogd with a config of its own, in a directory of its own. It can be stopped, killed and stalled.
//!
//! What it stores is one line a message: the program, the priority, a bar, and the message as it came.

use crate::site::wait;
use crate::skip;
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

/// How the daemon listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Socket {
    /// Datagrams, as at /dev/log.
    Datagram,
    /// A stream, a line a message.
    Stream,
}

/// The daemon; killed when dropped.
pub struct Rsyslogd {
    program: PathBuf,
    dir: PathBuf,
    child: Option<Child>,
}

/// A message as the daemon stored it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Program and priority as the daemon understood them: `exfil-agent local0.err`.
    pub header: String,
    /// What stands behind the tag.
    pub payload: String,
}

impl Rsyslogd {
    /// A daemon that is not started; `None`, and said, when this machine has none.
    pub fn new(test: &str, dir: &Path, socket: Socket) -> Option<Rsyslogd> {
        let Some(program) = skip::command("rsyslogd") else {
            skip::skip(test, "rsyslogd is not installed");
            return None;
        };
        let at = |name: &str| dir.join(name).display().to_string();
        let input = match socket {
            Socket::Datagram => format!(
                "module(load=\"imuxsock\" SysSock.Use=\"off\")\ninput(type=\"imuxsock\" Socket=\"{}\")",
                at("log.sock")
            ),
            Socket::Stream => {
                format!("module(load=\"imptcp\")\ninput(type=\"imptcp\" path=\"{}\" unlink=\"on\")", at("log.sock"))
            }
        };
        let conf = format!(
            "global(workDirectory=\"{}\")\n{input}\n\
             template(name=\"raw\" type=\"string\" string=\"%programname% %syslogfacility-text%.%syslogseverity-text%|%rawmsg%\\n\")\n\
             action(type=\"omfile\" file=\"{}\" template=\"raw\")\n",
            dir.display(),
            at("messages")
        );
        fs::write(dir.join("rsyslog.conf"), conf).unwrap();
        Some(Rsyslogd { program, dir: dir.to_owned(), child: None })
    }

    /// The path to send to.
    pub fn socket(&self) -> PathBuf {
        self.dir.join("log.sock")
    }

    /// `[sink.syslog]` for it.
    pub fn settings(&self) -> String {
        format!("[sink.syslog]\ntarget = {:?}\n", self.socket())
    }

    /// Starts it and waits until it listens.
    pub fn start(&mut self) {
        // A daemon that was killed leaves its socket and its pid behind, and an own start refuses the pid of another.
        let _ = fs::remove_file(self.dir.join("pid"));
        let _ = fs::remove_file(self.socket());
        let mut command = Command::new(&self.program);
        command.arg("-n").arg("-f").arg(self.dir.join("rsyslog.conf")).arg("-i").arg(self.dir.join("pid"));
        self.child = Some(command.spawn().unwrap());
        wait("rsyslogd to listen", || self.socket().exists());
    }

    /// Asks it to end, and waits.
    pub fn stop(&mut self) {
        self.signal(Signal::TERM);
        if let Some(mut child) = self.child.take() {
            child.wait().unwrap();
        }
    }

    /// kill -9.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// It no longer reads.
    pub fn stall(&self) {
        self.signal(Signal::STOP);
    }

    /// It reads again.
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(self.child.as_ref().unwrap()), signal).unwrap();
    }

    /// What has been stored, in order; the daemon's own messages left out.
    pub fn messages(&self) -> Vec<Message> {
        let bytes = fs::read(self.dir.join("messages")).unwrap_or_default();
        let text = String::from_utf8(bytes).expect("what the agent sends is UTF-8");
        // A last line without an end is being written.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.split('\n').filter(|line| !line.starts_with("rsyslogd ")).filter_map(message).collect()
    }
}

fn message(line: &str) -> Option<Message> {
    let (header, raw) = line.split_once('|')?;
    let (_, payload) = raw.split_once("]: ").unwrap_or_else(|| panic!("no tag in {line}"));
    Some(Message { header: header.to_owned(), payload: payload.to_owned() })
}

impl Message {
    /// The id of the alert, whatever the format.
    pub fn id(&self) -> String {
        if self.payload.starts_with('{') {
            crate::site::id_of(&self.payload)
        } else {
            super::cef::parse(&self.payload).pairs["externalId"].clone()
        }
    }
}

impl Drop for Rsyslogd {
    fn drop(&mut self) {
        self.kill();
    }
}
