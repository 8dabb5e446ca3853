//! A syslog daemon: that of this machine over its unix socket, or another one over UDP, TCP or a unix socket.
//!
//! The local daemon gets the form of RFC 3164, others that of RFC 5424 (`message`). A delivery ends in bounded time (`line`,
//! `names`). What a socket took is not yet stored: when the daemon goes away, what it was sent last is sent again to the next
//! one (`recent`). What was given to a TCP connection is delivered when the system at the other end has it; until then it is
//! *in flight*, and the runner gives it again should the connection end. What a daemon lost while no agent ran is lost: whoever
//! needs certainty uses the alert file, too.

mod line;
mod message;
mod names;
mod unread;

use super::recent::{MAX_TCP_BYTES, Recent, Sent};
use super::{Outgoing, Rendered, Sink, SinkError, SinkNotes, render_within};
use crate::alert::{AgentIdentity, Alert};
use crate::config::{FACILITIES, SyslogSinkSettings, SyslogTarget};
use line::{Line, Opening, Trouble};
use message::{Form, head};
use rustix::io::Errno;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Longest message for a socket that refuses more, bytes.
const MAX_SMALL_MESSAGE: usize = 2048;
/// How long a delivery of many alerts may take; what is left then is delivered next.
const LONGEST_DELIVERY: Duration = Duration::from_secs(2);
/// Longest pause between two looks at what has arrived.
const LONGEST_LOOK: Duration = Duration::from_millis(20);

/// Sends alerts to a syslog daemon.
pub struct SyslogSink {
    settings: SyslogSinkSettings,
    identity: AgentIdentity,
    facility: u8,
    form: Form,
    opening: Opening,
    line: Option<Line>,
    /// What the daemon took, last of all.
    recent: Recent,
    /// What a daemon that is gone may have lost, to be sent before anything else.
    owed: VecDeque<Sent>,
    /// What the line took and may not have reached the other end, in order.
    in_flight: VecDeque<InFlight>,
    /// The highest number in the outbox that this delivery has delivered.
    arrived: u64,
    notes: SinkNotes,
}

/// A message on its way through a connection.
struct InFlight {
    /// Its number in the outbox; `None` for one that was delivered before and is sent again.
    seq: Option<u64>,
    sent: Sent,
    /// Bytes of the line up to its end.
    end: u64,
}

impl SyslogSink {
    /// A sink for this daemon. Connects when it is asked or has something to deliver.
    pub fn new(settings: SyslogSinkSettings, identity: AgentIdentity) -> SyslogSink {
        let known = FACILITIES.iter().find(|(name, _)| *name == settings.facility);
        // Reading the config refuses unknown facilities; `user` is what syslog takes for "none given".
        let facility = known.map_or(1, |(_, code)| *code);
        let (form, recent) = match &settings.target {
            SyslogTarget::Local(_) => (Form::Local, Recent::default()),
            SyslogTarget::Unix(_) | SyslogTarget::Udp(_) => (Form::Rfc5424, Recent::default()),
            SyslogTarget::Tcp(_) => (Form::Rfc5424, Recent::within(MAX_TCP_BYTES)),
        };
        SyslogSink {
            settings,
            identity,
            facility,
            form,
            opening: Opening::default(),
            line: None,
            recent,
            owed: VecDeque::new(),
            in_flight: VecDeque::new(),
            arrived: 0,
            notes: SinkNotes::default(),
        }
    }

    /// Sends what of the batch is neither delivered nor in flight, and waits for what is in flight.
    fn deliver_in_order(&mut self, batch: &[Outgoing]) -> Result<(), Trouble> {
        let until = Instant::now() + LONGEST_DELIVERY;
        if self.line.as_ref().is_some_and(|line| line.is_slow() && line.is_left()) {
            return Err(Errno::PIPE.into());
        }
        let mut result = Ok(());
        for out in batch {
            let in_flight = self.in_flight.back().and_then(|last| last.seq).unwrap_or(0);
            if out.seq <= self.arrived.max(in_flight) {
                continue;
            }
            result = self.deliver_one(out);
            if result.is_err() || Instant::now() >= until {
                break;
            }
        }
        // Where there is no room, it has been waited for.
        let patience = if result.is_ok() { self.opening.patience } else { Duration::ZERO };
        self.wait_for_arrival(Instant::now() + patience)?;
        result
    }

    /// Sends one alert; a message that is too long for the socket is cut further.
    fn deliver_one(&mut self, out: &Outgoing) -> Result<(), Trouble> {
        let (message, cut) = self.message(&out.alert, self.settings.max_message_bytes);
        let cut = match self.send_in_order(out.seq, message) {
            Err(Trouble::System(Errno::MSGSIZE)) => {
                let (message, cut) = self.message(&out.alert, MAX_SMALL_MESSAGE);
                self.send_in_order(out.seq, message)?;
                cut
            }
            sent => sent.map(|()| cut)?,
        };
        self.notes.truncated += u64::from(cut);
        Ok(())
    }

    /// The message in at most `limit` bytes, and whether it was cut.
    fn message(&self, alert: &Alert, limit: usize) -> (Sent, bool) {
        let mut message = head(self.form, self.facility, alert, &self.identity, std::process::id());
        let room = limit.saturating_sub(message.len());
        let Rendered { line, cut } = render_within(self.settings.format, alert, &self.identity, room);
        message.push_str(&line);
        (Sent { id: alert.id.clone(), bytes: message.into_bytes() }, cut)
    }

    /// Sends a message after those that are owed.
    fn send_in_order(&mut self, seq: u64, message: Sent) -> Result<(), Trouble> {
        while let Some(first) = self.owed.pop_front() {
            if let Err((e, first)) = self.send(None, first) {
                self.owed.push_front(first);
                return Err(e);
            }
        }
        self.send(Some(seq), message).map_err(|(e, _)| e)
    }

    /// Gives a message to the line, or back.
    fn send(&mut self, seq: Option<u64>, sent: Sent) -> Result<(), (Trouble, Sent)> {
        let line = match &mut self.line {
            Some(line) => line,
            None => match self.opening.open(&self.settings.target) {
                Ok(line) => self.line.insert(line),
                Err(e) => return Err((e, sent)),
            },
        };
        let untried = line.is_untried();
        if let Err(e) = line.send(&sent) {
            if untried && is_gone(e) {
                self.opening.refused();
            }
            return Err((e.into(), sent));
        }
        let in_flight = InFlight { seq, sent, end: line.written() };
        if line.is_slow() {
            self.in_flight.push_back(in_flight);
        } else {
            self.keep(in_flight);
        }
        Ok(())
    }

    /// A message is where it should go.
    fn keep(&mut self, InFlight { seq, sent, .. }: InFlight) {
        match seq {
            Some(seq) => self.arrived = seq,
            None => self.notes.delivered_again += 1,
        }
        self.recent.keep(sent, Instant::now());
    }

    /// Waits until everything in flight has arrived, or for so long.
    fn wait_for_arrival(&mut self, until: Instant) -> Result<(), Errno> {
        let mut pause = Duration::from_millis(1);
        while let (Some(line), false) = (&self.line, self.in_flight.is_empty()) {
            let arrived = line.arrived()?;
            while self.in_flight.front().is_some_and(|first| first.end <= arrived) {
                if let Some(first) = self.in_flight.pop_front() {
                    self.keep(first);
                }
            }
            let Some(line) = self.line.as_ref().filter(|_| !self.in_flight.is_empty()) else { break };
            if line.is_left() {
                return Err(Errno::PIPE);
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            line.wait(pause.min(left));
            pause = (pause * 2).min(LONGEST_LOOK);
        }
        Ok(())
    }

    /// The daemon is gone: nobody knows what it has stored of what it took last.
    fn hang_up(&mut self) {
        self.line = None;
        // What is in flight for the first time is given again by the runner.
        let in_flight = self.in_flight.drain(..).filter(|message| message.seq.is_none()).map(|message| message.sent);
        let lost: Vec<Sent> = self.recent.take().chain(in_flight).collect();
        if !lost.is_empty() {
            log::info!("sink syslog: the daemon went away; the last {} alerts that it took are sent again", lost.len());
        }
        lost.into_iter().rev().for_each(|sent| self.owed.push_front(sent));
    }

    fn error(&self, trouble: &Trouble) -> SinkError {
        let target = &self.settings.target;
        let error = match trouble {
            Trouble::NoAddress(why) => {
                return SinkError(format!("{target}: {why}; correct sink.syslog.target, or look at the name server"));
            }
            Trouble::System(error) => *error,
        };
        let advice = match (error, target.is_remote()) {
            (Errno::AGAIN | Errno::NOBUFS, _) => "the daemon does not read; look at its log",
            (Errno::CONNREFUSED, _) | (Errno::NOENT, false) => "start the syslog daemon, or correct sink.syslog.target",
            (Errno::ACCESS | Errno::PERM, false) => "let the agent's user write to the socket",
            (Errno::ACCESS | Errno::PERM | Errno::AFNOSUPPORT | Errno::NETUNREACH, true) => {
                "the network is closed, or has no route there; the drop-in remote-syslog.conf opens it for the service"
            }
            (Errno::TIMEDOUT | Errno::HOSTUNREACH, true) => {
                "nobody answers; look at the receiver, and at firewalls on the way"
            }
            _ => "look at the syslog daemon and at sink.syslog.target",
        };
        SinkError(format!("{target}: {error}; {advice}"))
    }
}

impl Sink for SyslogSink {
    fn name(&self) -> &str {
        "syslog"
    }

    fn probe(&mut self) -> Result<(), SinkError> {
        if self.line.is_none() {
            let opened = self.opening.open(&self.settings.target);
            self.line = Some(opened.map_err(|e| self.error(&e))?);
        }
        Ok(())
    }

    fn deliver(&mut self, batch: &[Outgoing]) -> Result<usize, SinkError> {
        self.arrived = 0;
        let had_line = self.line.is_some();
        let mut result = self.deliver_in_order(batch);
        for again in [had_line, false] {
            let gone = matches!(&result, Err(Trouble::System(e)) if is_gone(*e));
            // A full queue and a long message are no reason to hang up.
            if gone {
                self.hang_up();
            }
            // The daemon of the old line is gone: there may be a new one.
            if !(gone && again) {
                break;
            }
            result = self.deliver_in_order(batch);
        }
        if result.is_err() {
            self.recent.stall();
        }
        // The next delivery begins with what is left and tells what is wrong.
        match (batch.iter().take_while(|out| out.seq <= self.arrived).count(), result) {
            (0, Err(trouble)) => Err(self.error(&trouble)),
            (0, Ok(())) if !batch.is_empty() => Err(self.error(&Errno::AGAIN.into())),
            (delivered, _) => Ok(delivered),
        }
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        Ok(())
    }

    fn notes(&self) -> SinkNotes {
        self.notes
    }
}

/// Whether the daemon at the other end is gone, so that a new connection may help.
fn is_gone(error: Errno) -> bool {
    matches!(
        error,
        Errno::CONNREFUSED
            | Errno::NOTCONN
            | Errno::NOENT
            | Errno::PIPE
            | Errno::CONNRESET
            | Errno::CONNABORTED
            | Errno::TIMEDOUT
            | Errno::HOSTUNREACH
            | Errno::HOSTDOWN
            | Errno::NETUNREACH
            | Errno::NETDOWN
            | Errno::NETRESET
    )
}

#[cfg(test)]
mod remote_tests;
#[cfg(test)]
mod tests;
