//! A connected socket to a syslog daemon: how it is opened, how a message goes out, what is known of its arrival.
//!
//! Every call ends in bounded time. On a stream no message is ever torn: what the socket took a part of is finished before
//! anything else. Keeps no message but that one.

use super::super::recent::Sent;
use super::names::Names;
use super::unread::unacknowledged;
use crate::config::{Remote, SyslogTarget};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::sockopt::{
    Timeout, set_socket_keepalive, set_socket_send_buffer_size, set_socket_timeout, set_tcp_keepcnt, set_tcp_keepidle,
    set_tcp_keepintvl, set_tcp_nodelay, set_tcp_user_timeout, socket_error,
};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType};
use rustix::net::{connect, recv, send, socket_with};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

/// How long a send, and a connect on this machine, may wait for a daemon that does not read.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long a name, and then a connection through the network, may take.
const REMOTE_PATIENCE: Duration = Duration::from_secs(5);
/// After how long without any sign of life of the other end a connection is given up, if something waits to be acknowledged.
const GIVE_UP: Duration = Duration::from_secs(120);
/// The same if nothing waits: after a minute of silence it is asked three times, ten seconds apart.
const KEEPALIVE: (Duration, Duration, u32) = (Duration::from_secs(60), Duration::from_secs(10), 3);

/// Why nothing goes out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// What the system says.
    System(Errno),
    /// The receiver's name leads nowhere: a sentence.
    NoAddress(String),
}

impl From<Errno> for Trouble {
    fn from(error: Errno) -> Trouble {
        Trouble::System(error)
    }
}

/// Opens lines.
pub(super) struct Opening {
    /// How long a send may wait, and a datagram for its refusal.
    pub patience: Duration,
    /// Size of the socket's send buffer; `None` leaves it to the system.
    pub send_buffer: Option<usize>,
    names: Names,
    /// How many addresses of the receiver to pass over: those that refused a datagram.
    passed_over: usize,
}

impl Default for Opening {
    fn default() -> Self {
        Opening { patience: PATIENCE, send_buffer: None, names: Names::default(), passed_over: 0 }
    }
}

/// What a line is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Datagrams to a unix socket, which are there when they are taken.
    Datagram,
    /// Datagrams through the network; the first one waits for its refusal.
    Udp { tried: bool },
    /// A stream to a unix socket in which each message ends with a line end, which no payload holds.
    Lines,
    /// A stream to a unix socket in which the length of each message stands before it.
    Counted,
    /// The same through the network.
    Tcp,
}

/// A connected socket.
pub(super) struct Line {
    socket: OwnedFd,
    kind: Kind,
    /// How long a send may wait.
    patience: Duration,
    /// The message of which the stream has taken a part, and the rest of it.
    half: Option<Sent>,
    /// Bytes that the stream has taken.
    written: u64,
}

impl Opening {
    /// Connects.
    ///
    /// # Errors
    /// When nobody listens there, or nothing came of it in time.
    pub(super) fn open(&mut self, target: &SyslogTarget) -> Result<Line, Trouble> {
        match target {
            SyslogTarget::Local(path) => Ok(self.open_unix(path, Kind::Lines)?),
            SyslogTarget::Unix(path) => Ok(self.open_unix(path, Kind::Counted)?),
            SyslogTarget::Udp(remote) => self.open_udp(remote),
            SyslogTarget::Tcp(remote) => self.open_tcp(remote),
        }
    }

    /// The line that was opened last refused its first datagram: the next one goes to another address, if there is one.
    pub(super) fn refused(&mut self) {
        self.passed_over = self.passed_over.wrapping_add(1);
    }

    /// Datagrams, or a stream where the daemon wants one.
    fn open_unix(&self, path: &Path, stream: Kind) -> Result<Line, Errno> {
        let address = SocketAddrUnix::new(path)?;
        let open = |kind| -> Result<OwnedFd, Errno> {
            let socket = socket_with(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None)?;
            self.limit(&socket)?;
            connect(&socket, &address)?;
            Ok(socket)
        };
        match open(SocketType::DGRAM) {
            Err(Errno::PROTOTYPE) => Ok(self.line(open(SocketType::STREAM)?, stream)),
            socket => Ok(self.line(socket?, Kind::Datagram)),
        }
    }

    fn open_udp(&mut self, remote: &Remote) -> Result<Line, Trouble> {
        let addresses = self.names.addresses(remote, REMOTE_PATIENCE)?;
        self.open_udp_to(addresses)
    }

    fn open_udp_to(&self, mut addresses: Vec<SocketAddr>) -> Result<Line, Trouble> {
        let first = self.passed_over.checked_rem(addresses.len()).unwrap_or(0);
        addresses.rotate_left(first);
        first_that_works(&addresses, |address, _| {
            let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
            let socket = socket_with(family, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
            self.limit(&socket)?;
            connect(&socket, address)?;
            Ok(self.line(socket, Kind::Udp { tried: false }))
        })
    }

    fn open_tcp(&mut self, remote: &Remote) -> Result<Line, Trouble> {
        let addresses = self.names.addresses(remote, REMOTE_PATIENCE)?;
        self.open_tcp_to(&addresses)
    }

    fn open_tcp_to(&self, addresses: &[SocketAddr]) -> Result<Line, Trouble> {
        first_that_works(addresses, |address, patience| {
            let stream = TcpStream::connect_timeout(address, patience).map_err(|e| errno_of(&e))?;
            let socket = OwnedFd::from(stream);
            self.limit(&socket)?;
            set_tcp_nodelay(&socket, true)?;
            set_tcp_user_timeout(&socket, u32::try_from(GIVE_UP.as_millis()).unwrap_or(u32::MAX))?;
            let (idle, between, times) = KEEPALIVE;
            set_socket_keepalive(&socket, true)?;
            set_tcp_keepidle(&socket, idle)?;
            set_tcp_keepintvl(&socket, between)?;
            set_tcp_keepcnt(&socket, times)?;
            Ok(self.line(socket, Kind::Tcp))
        })
    }

    fn line(&self, socket: OwnedFd, kind: Kind) -> Line {
        Line { socket, kind, patience: self.patience, half: None, written: 0 }
    }

    /// A blocking socket with a time limit waits for room by itself, in connect and in sending a datagram.
    fn limit(&self, socket: &OwnedFd) -> Result<(), Errno> {
        set_socket_timeout(socket, Timeout::Send, Some(self.patience))?;
        self.send_buffer.map_or(Ok(()), |bytes| set_socket_send_buffer_size(socket, bytes))
    }
}

/// Tries one address after the other, each for its share of the time; the first reason counts when none works.
fn first_that_works(
    addresses: &[SocketAddr],
    mut open: impl FnMut(&SocketAddr, Duration) -> Result<Line, Errno>,
) -> Result<Line, Trouble> {
    let until = Instant::now() + REMOTE_PATIENCE;
    let mut why = None;
    for (tried, address) in addresses.iter().enumerate() {
        let shares = u32::try_from(addresses.len() - tried).unwrap_or(u32::MAX);
        let share = until.saturating_duration_since(Instant::now()) / shares;
        match open(address, share.max(Duration::from_millis(100))) {
            Ok(line) => return Ok(line),
            Err(e) => drop(why.get_or_insert(e)),
        }
    }
    Err(why.unwrap_or(Errno::ADDRNOTAVAIL).into())
}

fn errno_of(error: &std::io::Error) -> Errno {
    // A connect that took too long has no number.
    Errno::from_io_error(error).unwrap_or(Errno::TIMEDOUT)
}

impl Line {
    /// Whether a message that was taken may not have left this machine, which [`Line::arrived`] tells.
    pub(super) fn is_slow(&self) -> bool {
        self.kind == Kind::Tcp
    }

    /// Whether nothing was sent yet for which a refusal would have come.
    pub(super) fn is_untried(&self) -> bool {
        self.kind == Kind::Udp { tried: false }
    }

    /// Bytes that the stream has taken.
    pub(super) fn written(&self) -> u64 {
        self.written
    }

    /// Bytes that the system at the other end has. Its daemon may not have read them.
    pub(super) fn arrived(&self) -> Result<u64, Errno> {
        Ok(self.written.saturating_sub(unacknowledged(&self.socket)?))
    }

    /// Whether the other end of a connection through the network has hung up. A daemon says nothing; what it says all the
    /// same is read and dropped.
    pub(super) fn is_left(&self) -> bool {
        let mut said = [0u8; 512];
        for _ in 0..16 {
            match recv(&self.socket, &mut said[..], RecvFlags::DONTWAIT) {
                Ok((0, _)) => return true,
                Ok(_) | Err(Errno::INTR) => {}
                Err(e) => return e != Errno::AGAIN,
            }
        }
        false
    }

    /// Waits until the other end hangs up, or for so long.
    pub(super) fn wait(&self, longest: Duration) {
        self.poll(PollFlags::IN, longest);
    }

    /// Sends a message, or a part of it that the next call for the same message goes on from.
    ///
    /// # Errors
    /// When there was no room in time, or nobody is there any more.
    pub(super) fn send(&mut self, message: &Sent) -> Result<(), Errno> {
        match self.kind {
            Kind::Datagram => self.send_datagram(message),
            Kind::Udp { tried } => {
                self.send_datagram(message)?;
                // A refusal comes back as a message of its own: from this machine at once, from another one a little later.
                if self.poll(PollFlags::empty(), if tried { Duration::ZERO } else { self.patience }) {
                    socket_error(&self.socket)??;
                }
                self.kind = Kind::Udp { tried: true };
                Ok(())
            }
            Kind::Lines | Kind::Counted | Kind::Tcp => self.send_to_stream(message),
        }
    }

    fn send_datagram(&self, message: &Sent) -> Result<(), Errno> {
        loop {
            match send(&self.socket, &message.bytes, SendFlags::NOSIGNAL) {
                Err(Errno::INTR) => {}
                sent => return sent.map(drop),
            }
        }
    }

    /// What the stream took of a message is finished before anything else, also when the same message is sent once more.
    fn send_to_stream(&mut self, message: &Sent) -> Result<(), Errno> {
        if let Some(half) = self.half.take() {
            let is_this = half.id == message.id;
            self.send_rest(half)?;
            if is_this {
                return Ok(());
            }
        }
        let whole = match self.kind {
            Kind::Lines => [&message.bytes, &b"\n"[..]].concat(),
            _ => [format!("{} ", message.bytes.len()).as_bytes(), &message.bytes].concat(),
        };
        let length = whole.len();
        let sent = self.send_rest(Sent { id: message.id.clone(), bytes: whole });
        if self.half.as_ref().is_some_and(|half| half.bytes.len() == length) {
            self.half = None;
        }
        sent
    }

    /// Sends all of it, or keeps what is left. A blocking call would wait for each piece anew, for as long as one who takes a
    /// little now and then likes.
    fn send_rest(&mut self, mut rest: Sent) -> Result<(), Errno> {
        let until = Instant::now() + self.patience;
        while !rest.bytes.is_empty() {
            match send(&self.socket, &rest.bytes, SendFlags::NOSIGNAL | SendFlags::DONTWAIT) {
                Ok(n) => {
                    self.written += n as u64;
                    rest.bytes.drain(..n);
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) if self.has_room_before(until) => {}
                Err(error) => {
                    self.half = Some(rest);
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    fn has_room_before(&self, until: Instant) -> bool {
        let left = until.saturating_duration_since(Instant::now());
        !left.is_zero() && self.poll(PollFlags::OUT, left)
    }

    /// Whether something happened to the socket within a time.
    fn poll(&self, what: PollFlags, longest: Duration) -> bool {
        let longest = Timespec::try_from(longest).ok();
        poll(&mut [PollFd::new(&self.socket, what)], longest.as_ref()).is_ok_and(|ready| ready > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, UdpSocket};

    /// An address that refuses, and this one.
    fn behind_a_refusing_one(address: SocketAddr) -> Vec<SocketAddr> {
        let refusing = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        vec![refusing, address]
    }

    #[test]
    fn a_connection_goes_to_the_first_address_that_takes_it() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addresses = behind_a_refusing_one(listener.local_addr().unwrap());
        let opening = Opening::default();
        assert!(opening.open_tcp_to(&addresses).is_ok());
        assert_eq!(opening.open_tcp_to(&addresses[..1]).err(), Some(Errno::CONNREFUSED.into()));
        assert!(opening.open_tcp_to(&[]).is_err());
    }

    #[test]
    fn a_datagram_that_is_refused_goes_to_the_next_address() {
        let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
        let addresses = behind_a_refusing_one(receiver.local_addr().unwrap());
        let mut opening = Opening::default();
        let message = Sent { id: "x".into(), bytes: b"<131>1".to_vec() };
        let mut line = opening.open_udp_to(addresses.clone()).ok().unwrap();
        assert!(line.is_untried());
        assert_eq!(line.send(&message), Err(Errno::CONNREFUSED));
        opening.refused();
        let mut line = opening.open_udp_to(addresses).ok().unwrap();
        assert_eq!(line.send(&message), Ok(()));
        assert!(!line.is_untried());
        assert!(opening.open_udp_to(Vec::new()).is_err());
    }

    #[test]
    fn a_datagram_reaches_an_ipv6_address_where_there_is_one() {
        let receiver = UdpSocket::bind("[::1]:0").or_else(|_| UdpSocket::bind("127.0.0.1:0")).unwrap();
        let mut line = Opening::default().open_udp_to(vec![receiver.local_addr().unwrap()]).ok().unwrap();
        assert_eq!(line.send(&Sent { id: "x".into(), bytes: b"<131>1".to_vec() }), Ok(()));
        assert_eq!(receiver.recv(&mut [0; 10]).unwrap(), 6);
    }
}
