//! The syslog daemon of this machine, over its unix socket: datagrams, or a stream where the daemon wants one.
//!
//! Messages have the local form of RFC 3164, `<PRI>Mmm dd hh:mm:ss tag[pid]: payload`, without a host name, which daemons
//! expect there. A send waits for `PATIENCE` at most. What the socket took is not yet stored: when the daemon goes away,
//! what it was sent last is sent again to the next one (`recent`). What it lost while no agent ran is lost: whoever needs
//! certainty uses the alert file, too.

use super::recent::{Recent, Sent};
use super::{Outgoing, Rendered, Sink, SinkError, SinkNotes, render_within};
use crate::alert::{AgentIdentity, Alert, Severity};
use crate::calendar::{format_rfc3164, wall_clock_ms};
use crate::config::{FACILITIES, SyslogSinkSettings};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_send_buffer_size, set_socket_timeout};
use rustix::net::{AddressFamily, SendFlags, SocketAddrUnix, SocketFlags, SocketType, connect, send, socket_with};
use std::collections::VecDeque;
use std::path::Path;
use std::time::{Duration, Instant};

/// Longest message, bytes: daemons cut what is longer, wherever that may be.
const MAX_MESSAGE: usize = 8192;
/// Longest message for a socket that refuses more, bytes.
const MAX_SMALL_MESSAGE: usize = 2048;
/// How long a send or a connect may wait for a daemon that does not read.
const PATIENCE: Duration = Duration::from_secs(1);

/// Sends alerts to the local syslog daemon.
pub struct SyslogSink {
    settings: SyslogSinkSettings,
    identity: AgentIdentity,
    facility: u8,
    line: Option<Line>,
    recent: Recent,
    /// What a daemon that is gone may have lost, to be sent before anything else.
    owed: VecDeque<Sent>,
    notes: SinkNotes,
    patience: Duration,
    /// Size of the socket's send buffer; `None` leaves it to the system.
    send_buffer: Option<usize>,
}

/// A connected socket.
struct Line {
    socket: OwnedFd,
    is_stream: bool,
    /// The message of which the stream has taken a part, and the rest of it.
    half: Option<Sent>,
}

impl SyslogSink {
    /// A sink for this daemon. Connects at the first delivery.
    pub fn new(settings: SyslogSinkSettings, identity: AgentIdentity) -> SyslogSink {
        let known = FACILITIES.iter().find(|(name, _)| *name == settings.facility);
        // Reading the config refuses unknown facilities; `user` is what syslog takes for "none given".
        let facility = known.map_or(1, |(_, code)| *code);
        let notes = SinkNotes::default();
        SyslogSink {
            settings,
            identity,
            facility,
            line: None,
            recent: Recent::default(),
            owed: VecDeque::new(),
            notes,
            patience: PATIENCE,
            send_buffer: None,
        }
    }

    /// Sends one alert; a message that is too long for the socket is cut further.
    fn deliver_one(&mut self, alert: &Alert) -> Result<(), Errno> {
        let (message, cut) = self.message(alert, MAX_MESSAGE);
        let cut = match self.send(&alert.id, message) {
            Err(Errno::MSGSIZE) => {
                let (message, _) = self.message(alert, MAX_SMALL_MESSAGE);
                self.send(&alert.id, message)?;
                true
            }
            sent => sent.map(|()| cut)?,
        };
        self.notes.truncated += u64::from(cut);
        Ok(())
    }

    /// The message in at most `limit` bytes, and whether it was cut.
    fn message(&self, alert: &Alert, limit: usize) -> (Vec<u8>, bool) {
        let priority = self.facility * 8 + severity_code(alert.severity());
        let time = format_rfc3164(wall_clock_ms());
        let mut message = format!("<{priority}>{time} exfil-agent[{}]: ", std::process::id());
        let room = limit.saturating_sub(message.len());
        let Rendered { line, cut } = render_within(self.settings.format, alert, &self.identity, room);
        message.push_str(&line);
        (message.into_bytes(), cut)
    }

    /// Sends a message, over a new connection when the daemon of the old one is gone.
    fn send(&mut self, id: &str, bytes: Vec<u8>) -> Result<(), Errno> {
        let had_line = self.line.is_some();
        let message = Sent { id: id.to_owned(), bytes };
        let result = match self.send_in_order(&message) {
            Err(e) if had_line && is_gone(e) => self.send_in_order(&message),
            result => result,
        };
        match result {
            Ok(()) => self.recent.keep(message, Instant::now()),
            Err(_) => self.recent.stall(),
        }
        result
    }

    /// Sends a message after those that are owed.
    fn send_in_order(&mut self, message: &Sent) -> Result<(), Errno> {
        while let Some(first) = self.owed.pop_front() {
            if let Err(e) = self.send_once(&first) {
                self.owed.push_front(first);
                return Err(e);
            }
            self.notes.delivered_again += 1;
            self.recent.keep(first, Instant::now());
        }
        self.send_once(message)
    }

    fn send_once(&mut self, message: &Sent) -> Result<(), Errno> {
        let result = self.try_send(message);
        // A full queue and a long message are no reason to hang up.
        if let Err(e) = result
            && is_gone(e)
        {
            self.line = None;
            let lost: Vec<Sent> = self.recent.take().collect();
            if !lost.is_empty() {
                log::info!(
                    "sink syslog: the daemon went away; the last {} alerts that it took are sent again",
                    lost.len()
                );
            }
            lost.into_iter().rev().for_each(|sent| self.owed.push_front(sent));
        }
        result
    }

    fn try_send(&mut self, message: &Sent) -> Result<(), Errno> {
        let line = match &mut self.line {
            Some(line) => line,
            None => self.line.insert(open_line(&self.settings.target, self.patience, self.send_buffer)?),
        };
        if line.is_stream { send_to_stream(line, message) } else { send_datagram(line, message) }
    }

    fn error(&self, error: Errno) -> SinkError {
        let advice = match error {
            Errno::AGAIN | Errno::NOBUFS => "the daemon does not read; look at its log",
            Errno::ACCESS | Errno::PERM => "let the agent's user write to the socket",
            Errno::NOENT | Errno::CONNREFUSED => "start the syslog daemon, or correct sink.syslog.target",
            _ => "look at the syslog daemon and at sink.syslog.target",
        };
        SinkError(format!("{}: {error}; {advice}", self.settings.target.display()))
    }
}

impl Sink for SyslogSink {
    fn name(&self) -> &str {
        "syslog"
    }

    fn probe(&mut self) -> Result<(), SinkError> {
        if self.line.is_none() {
            let opened = open_line(&self.settings.target, self.patience, self.send_buffer);
            self.line = Some(opened.map_err(|e| self.error(e))?);
        }
        Ok(())
    }

    fn deliver(&mut self, batch: &[Outgoing]) -> Result<usize, SinkError> {
        for (delivered, out) in batch.iter().enumerate() {
            match self.deliver_one(&out.alert) {
                Ok(()) => {}
                Err(e) if delivered == 0 => return Err(self.error(e)),
                // The next delivery begins with this alert and tells what is wrong.
                Err(_) => return Ok(delivered),
            }
        }
        Ok(batch.len())
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        Ok(())
    }

    fn notes(&self) -> SinkNotes {
        self.notes
    }
}

/// The severity of syslog: 2 critical, 3 error, 4 warning, 5 notice.
fn severity_code(severity: Severity) -> u8 {
    match severity {
        Severity::Low => 5,
        Severity::Medium => 4,
        Severity::High => 3,
        Severity::Critical => 2,
    }
}

/// Whether the daemon at the other end is gone, so that a new connection may help.
fn is_gone(error: Errno) -> bool {
    matches!(error, Errno::CONNREFUSED | Errno::NOTCONN | Errno::NOENT | Errno::PIPE | Errno::CONNRESET)
}

fn open_line(target: &Path, patience: Duration, send_buffer: Option<usize>) -> Result<Line, Errno> {
    let address = SocketAddrUnix::new(target)?;
    let open = |kind| -> Result<OwnedFd, Errno> {
        let socket = socket_with(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None)?;
        // A blocking socket with a time limit waits for room by itself, in connect as in send.
        set_socket_timeout(&socket, Timeout::Send, Some(patience))?;
        if let Some(bytes) = send_buffer {
            set_socket_send_buffer_size(&socket, bytes)?;
        }
        connect(&socket, &address)?;
        Ok(socket)
    };
    match open(SocketType::DGRAM) {
        Err(Errno::PROTOTYPE) => Ok(Line { socket: open(SocketType::STREAM)?, is_stream: true, half: None }),
        socket => Ok(Line { socket: socket?, is_stream: false, half: None }),
    }
}

fn send_datagram(line: &Line, message: &Sent) -> Result<(), Errno> {
    loop {
        match send(&line.socket, &message.bytes, SendFlags::NOSIGNAL) {
            Err(Errno::INTR) => {}
            sent => return sent.map(drop),
        }
    }
}

/// In a stream each message ends with a line end, which no payload holds. What the stream took of a message is finished
/// before anything else, also when the same message is sent once more.
fn send_to_stream(line: &mut Line, message: &Sent) -> Result<(), Errno> {
    if let Some(half) = line.half.take() {
        let is_this = half.id == message.id;
        send_rest(line, half)?;
        if is_this {
            return Ok(());
        }
    }
    let whole = [&message.bytes, &b"\n"[..]].concat();
    let length = whole.len();
    let sent = send_rest(line, Sent { id: message.id.clone(), bytes: whole });
    if line.half.as_ref().is_some_and(|half| half.bytes.len() == length) {
        line.half = None;
    }
    sent
}

/// Sends all of it, or keeps what is left.
fn send_rest(line: &mut Line, mut rest: Sent) -> Result<(), Errno> {
    while !rest.bytes.is_empty() {
        match send(&line.socket, &rest.bytes, SendFlags::NOSIGNAL) {
            Ok(n) => drop(rest.bytes.drain(..n)),
            Err(Errno::INTR) => {}
            Err(error) => {
                line.half = Some(rest);
                return Err(error);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
