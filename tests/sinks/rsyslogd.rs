//! A real rsyslogd with a config of its own, in a directory of its own. It can be stopped, killed and stalled.
//!
//! What it stores is one line a message. In the local form: the program, the priority, a bar, and the message as it came. In
//! that of RFC 5424: an object of what the daemon took for the parts of the message.

use crate::site::wait;
use crate::skip;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::fs;
use std::net::{TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

/// How the daemon listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Socket {
    /// Datagrams, as at /dev/log.
    Datagram,
    /// A stream, a line a message.
    Stream,
    /// Datagrams in the form of RFC 5424.
    Datagram5424,
    /// A stream of counted messages in the form of RFC 5424.
    Stream5424,
    /// UDP, at this host.
    Udp(&'static str),
    /// TCP, at this host.
    Tcp(&'static str),
}

impl Socket {
    fn is_local_form(self) -> bool {
        matches!(self, Socket::Datagram | Socket::Stream)
    }
}

/// What the daemon took for the parts of a message.
const PARTS: &str = r#"
template(name="raw" type="list") {
  constant(value="{") property(name="app-name" outname="app" format="jsonf")
  constant(value=",") property(name="msgid" outname="msgid" format="jsonf")
  constant(value=",") property(name="procid" outname="procid" format="jsonf")
  constant(value=",") property(name="hostname" outname="host" format="jsonf")
  constant(value=",") property(name="timereported" outname="time" dateFormat="rfc3339" format="jsonf")
  constant(value=",") property(name="syslogfacility-text" outname="facility" format="jsonf")
  constant(value=",") property(name="syslogseverity-text" outname="severity" format="jsonf")
  constant(value=",") property(name="structured-data" outname="data" format="jsonf")
  constant(value=",") property(name="protocol-version" outname="version" format="jsonf")
  constant(value=",") property(name="inputname" outname="input" format="jsonf")
  constant(value=",") property(name="msg" outname="msg" format="jsonf")
  constant(value="}\n")
}
"#;

/// The daemon; killed when dropped.
pub struct Rsyslogd {
    program: PathBuf,
    dir: PathBuf,
    child: Option<Child>,
    socket: Socket,
    /// Where it listens on the network.
    port: u16,
}

/// A message as the daemon stored it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Program and priority as the daemon understood them: `exfil-agent local0.err`.
    pub header: String,
    /// What stands behind the tag.
    pub payload: String,
    /// In the form of RFC 5424, all parts; else nothing.
    pub parts: Value,
}

impl Rsyslogd {
    /// A daemon that is not started; `None`, and said, when this machine has none.
    pub fn new(test: &str, dir: &Path, socket: Socket) -> Option<Rsyslogd> {
        let Some(program) = skip::command("rsyslogd") else {
            skip::skip(test, "rsyslogd is not installed");
            return None;
        };
        let at = |name: &str| dir.join(name).display().to_string();
        let (port, path) = (free_port(), at("log.sock"));
        let address = |host: &str| if host == "localhost" { "127.0.0.1".into() } else { host.replace(['[', ']'], "") };
        let input = match socket {
            Socket::Datagram => {
                format!("module(load=\"imuxsock\" SysSock.Use=\"off\")\ninput(type=\"imuxsock\" Socket=\"{path}\")")
            }
            Socket::Datagram5424 => format!(
                "module(load=\"imuxsock\" SysSock.Use=\"off\")\ninput(type=\"imuxsock\" Socket=\"{path}\" UseSpecialParser=\"off\" ParseHostname=\"on\" UseSysTimeStamp=\"off\" IgnoreTimestamp=\"off\")"
            ),
            Socket::Stream | Socket::Stream5424 => {
                format!("module(load=\"imptcp\")\ninput(type=\"imptcp\" path=\"{path}\" unlink=\"on\")")
            }
            Socket::Udp(host) => {
                format!("module(load=\"imudp\")\ninput(type=\"imudp\" address=\"{}\" port=\"{port}\")", address(host))
            }
            Socket::Tcp(host) => {
                format!("module(load=\"imtcp\")\ninput(type=\"imtcp\" address=\"{}\" port=\"{port}\")", address(host))
            }
        };
        let template = if socket.is_local_form() {
            "template(name=\"raw\" type=\"string\" string=\"%programname% %syslogfacility-text%.%syslogseverity-text%|%rawmsg%\\n\")\n"
        } else {
            PARTS
        };
        let conf = format!(
            "global(workDirectory=\"{}\")\n{input}\n{template}action(type=\"omfile\" file=\"{}\" template=\"raw\")\n",
            dir.display(),
            at("messages")
        );
        fs::write(dir.join("rsyslog.conf"), conf).unwrap();
        Some(Rsyslogd { program, dir: dir.to_owned(), child: None, socket, port })
    }

    /// Where to send to.
    pub fn target(&self) -> String {
        let (path, port) = (self.path().display().to_string(), self.port);
        match self.socket {
            Socket::Datagram | Socket::Stream => path,
            Socket::Datagram5424 | Socket::Stream5424 => format!("unix://{path}"),
            Socket::Udp(host) => format!("udp://{host}:{port}"),
            Socket::Tcp(host) => format!("tcp://{host}:{port}"),
        }
    }

    fn path(&self) -> PathBuf {
        self.dir.join("log.sock")
    }

    /// `[sink.syslog]` for it.
    pub fn settings(&self) -> String {
        format!("[sink.syslog]\ntarget = {:?}\n", self.target())
    }

    fn listens(&self) -> bool {
        match self.socket {
            Socket::Udp(_) => is_open("udp", self.port),
            Socket::Tcp(_) => is_open("tcp", self.port),
            _ => self.path().exists(),
        }
    }

    /// Starts it and waits until it listens.
    pub fn start(&mut self) {
        // A daemon that was killed leaves its socket and its pid behind, and an own start refuses the pid of another.
        let _ = fs::remove_file(self.dir.join("pid"));
        let _ = fs::remove_file(self.path());
        let mut command = Command::new(&self.program);
        command.arg("-n").arg("-f").arg(self.dir.join("rsyslog.conf")).arg("-i").arg(self.dir.join("pid"));
        self.child = Some(command.spawn().unwrap());
        wait("rsyslogd to listen", || self.listens());
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
        let read = if self.socket.is_local_form() { message } else { message_5424 };
        whole.split('\n').filter_map(read).filter(|message| !message.header.starts_with("rsyslogd ")).collect()
    }
}

fn message(line: &str) -> Option<Message> {
    let (header, raw) = line.split_once('|')?;
    // What the daemon says about itself has another tag.
    let (_, payload) = raw.split_once("]: ").or(header.starts_with("rsyslogd ").then_some(("", raw)))?;
    Some(Message { header: header.to_owned(), payload: payload.to_owned(), parts: Value::Null })
}

fn message_5424(line: &str) -> Option<Message> {
    if line.is_empty() {
        return None;
    }
    let parts: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
    let part = |name: &str| parts[name].as_str().unwrap().to_owned();
    let header = format!("{} {}.{}", part("app"), part("facility"), part("severity"));
    Some(Message { header, payload: part("msg"), parts })
}

/// A port at which nobody listens, nor did a moment ago.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    if UdpSocket::bind(("127.0.0.1", port)).is_ok() { port } else { free_port() }
}

/// Whether somebody listens at a port of this machine.
fn is_open(protocol: &str, port: u16) -> bool {
    let tables = [format!("/proc/net/{protocol}"), format!("/proc/net/{protocol}6")];
    let text: String = tables.iter().filter_map(|table| fs::read_to_string(table).ok()).collect();
    text.lines().any(|line| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let here = columns.get(1).is_some_and(|local| local.ends_with(&format!(":{port:04X}")));
        here && (protocol == "udp" || columns.get(3) == Some(&"0A"))
    })
}

/// The host under which this machine can be reached over IPv6, or over IPv4 where it has no IPv6.
pub fn ipv6_or_ipv4() -> &'static str {
    if UdpSocket::bind("[::1]:0").is_ok() { "[::1]" } else { "127.0.0.1" }
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
