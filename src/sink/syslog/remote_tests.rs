//! Against real sockets, in the form of RFC 5424: over UDP, TCP and unix sockets, to receivers that refuse, hang up, stall and
//! come back. Whatever happens, every alert arrives, whole and in order.

use super::super::samples::{agent, batch, detection, hostile, id};
use super::*;
use crate::config::{AlertFormat, Remote};
use std::collections::BTreeSet;
use std::io::Read;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::sync::Arc;
use std::thread::JoinHandle;

/// A test that fails must not hang.
const LONG: Option<Duration> = Some(Duration::from_secs(20));

fn sink(target: SyslogTarget) -> SyslogSink {
    let mut sink = SyslogSink::new(SyslogSinkSettings { target, ..SyslogSinkSettings::default() }, agent());
    sink.opening.patience = Duration::from_millis(50);
    sink
}

fn tcp(listener: &TcpListener) -> SyslogSink {
    let port = listener.local_addr().unwrap().port();
    sink(SyslogTarget::Tcp(Remote { host: "127.0.0.1".into(), port }))
}

fn listen() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").unwrap()
}

/// The next connection of those that were made.
fn accept(listener: &TcpListener) -> TcpStream {
    let stream = listener.accept().unwrap().0;
    stream.set_read_timeout(LONG).unwrap();
    stream
}

/// The messages in a stream, and what of the last one has come.
fn messages(mut bytes: &[u8]) -> (Vec<String>, usize) {
    let mut out = Vec::new();
    loop {
        let Some(blank) = bytes.iter().position(|b| *b == b' ') else { return (out, bytes.len()) };
        let length: usize = std::str::from_utf8(&bytes[..blank]).unwrap().parse().expect("a length stands there");
        let Some(message) = bytes.get(blank + 1..blank + 1 + length) else { return (out, bytes.len()) };
        out.push(String::from_utf8(message.to_vec()).unwrap());
        bytes = &bytes[blank + 1 + length..];
    }
}

/// Reads so many messages.
fn receive(stream: &mut impl Read, wanted: usize) -> Vec<String> {
    let mut bytes = Vec::new();
    let mut some = [0; 4096];
    loop {
        let (messages, _) = messages(&bytes);
        if messages.len() >= wanted {
            return messages;
        }
        let n = stream.read(&mut some).unwrap();
        assert!(n > 0, "the stream ended after {} of {wanted} messages", messages.len());
        bytes.extend(&some[..n]);
    }
}

/// Reads so many messages from the next connection, which ends when they are asked for: were it to end when they are there, the
/// sink might not know yet that they are, and nobody would be there to get them again.
fn read_aside(listener: TcpListener, wanted: u64) -> JoinHandle<(Vec<String>, TcpStream)> {
    std::thread::spawn(move || {
        let mut stream = accept(&listener);
        (receive(&mut stream, wanted as usize), stream)
    })
}

/// The numbers of the samples in messages.
fn numbers(messages: &[String]) -> Vec<u64> {
    // What a log held looks like one, too.
    let id = regex::Regex::new(r"\|externalId=([0-9a-f]{32}) ").unwrap();
    let number = |message: &String| u64::from_str_radix(&id.captures(message).expect(message)[1], 16).unwrap();
    messages.iter().map(number).collect()
}

fn well_formed(message: &str) -> bool {
    let form = format!(
        r"^<131>1 2026-03-01T08:25:01\.000Z collector1 exfil-agent {} R-ENCODE - CEF:0\|.*cn1Label=score$",
        std::process::id()
    );
    regex::Regex::new(&form).unwrap().is_match(message)
}

/// Delivers until nothing more goes; returns the last number that was.
fn fill(sink: &mut SyslogSink, from: u64) -> u64 {
    let mut delivered = from - 1;
    while let Ok(n) = sink.deliver(&batch(delivered + 1, delivered + 200)) {
        delivered += n as u64;
    }
    delivered
}

/// Delivers everything up to a number, however often it takes.
fn deliver_up_to(sink: &mut SyslogSink, mut delivered: u64, last: u64) {
    let since = Instant::now();
    while delivered < last {
        let result = sink.deliver(&batch(delivered + 1, last + 1));
        delivered += *result.as_ref().unwrap_or(&0) as u64;
        let waited = since.elapsed();
        assert!(waited < Duration::from_secs(60), "only {delivered} of {last} are delivered: {result:?}");
    }
}

#[test]
fn tcp_messages_are_counted_and_have_the_form_of_rfc_5424() {
    let listener = listen();
    let mut sink = tcp(&listener);
    assert_eq!(sink.deliver(&batch(1, 4)), Ok(3));
    let received = receive(&mut accept(&listener), 3);
    assert_eq!(numbers(&received), [1, 2, 3]);
    assert!(received.iter().all(|message| well_formed(message)), "{received:?}");
}

#[test]
fn a_receiver_that_refuses_is_an_error_that_says_so_until_it_comes() {
    let listener = listen();
    let (mut sink, address) = (tcp(&listener), listener.local_addr().unwrap());
    drop(listener);
    let error = sink.deliver(&batch(1, 3)).unwrap_err().to_string();
    assert!(error.starts_with(&format!("tcp://{address}: ")) && error.contains("start the syslog daemon"), "{error}");
    let listener = TcpListener::bind(address).unwrap();
    assert_eq!(sink.deliver(&batch(1, 3)), Ok(2));
    assert_eq!(numbers(&receive(&mut accept(&listener), 2)), [1, 2]);
    assert_eq!(sink.notes().delivered_again, 0);
}

#[test]
fn a_receiver_that_hung_up_is_found_again_at_once_and_gets_the_last_alerts_again() {
    let listener = listen();
    let mut sink = tcp(&listener);
    sink.deliver(&batch(1, 3)).unwrap();
    let mut first = accept(&listener);
    receive(&mut first, 2);
    drop(first);
    assert_eq!(sink.deliver(&batch(3, 4)), Ok(1));
    assert_eq!(numbers(&receive(&mut accept(&listener), 3)), [1, 2, 3], "in order");
    assert_eq!(sink.notes().delivered_again, 2);
}

/// What the system at the other end acknowledged, and its daemon did not read, dies with it; so does what had not left.
#[test]
fn what_a_killed_receiver_had_not_read_is_sent_again_and_what_had_not_left_is_not_delivered() {
    let listener = listen();
    let mut sink = tcp(&listener);
    let delivered = fill(&mut sink, 1);
    assert!(delivered > 10, "a receiver that reads nothing takes some: {delivered}");
    assert!(!sink.in_flight.is_empty(), "what the socket took and the other end did not is not delivered");
    let waiting = sink.in_flight.len() as u64;
    assert!(sink.deliver(&batch(delivered + 1, delivered + 2)).unwrap_err().to_string().contains("does not read"));
    assert_eq!(sink.in_flight.len() as u64, waiting, "and is not given to it twice");
    drop(accept(&listener));
    let last = delivered + waiting + 5;
    let reader = read_aside(listener, last);
    deliver_up_to(&mut sink, delivered, last);
    assert_eq!(numbers(&reader.join().unwrap().0), (1..=last).collect::<Vec<_>>(), "all of them, in order");
    assert_eq!(sink.notes().delivered_again, delivered);
}

/// Twice: what is sent again is owed until it has arrived.
#[test]
fn a_receiver_that_dies_again_while_it_gets_the_last_alerts_again_loses_none() {
    let listener = listen();
    let mut sink = tcp(&listener);
    let delivered = fill(&mut sink, 1);
    drop(accept(&listener));
    // What is owed goes first, and fills the buffer of this one more or less.
    let delivered = fill(&mut sink, delivered + 1);
    drop(accept(&listener));
    let last = delivered + 50;
    let reader = read_aside(listener, last);
    deliver_up_to(&mut sink, delivered, last);
    let received = numbers(&reader.join().unwrap().0);
    assert_eq!(received, (1..=last).collect::<Vec<_>>(), "all of them, in order");
}

#[test]
fn a_stalled_receiver_that_reads_on_gets_everything_once_and_no_message_is_torn() {
    for send_buffer in [None, Some(4096), Some(9000)] {
        let listener = listen();
        let mut sink = tcp(&listener);
        sink.opening.send_buffer = send_buffer;
        let big = |n: u64| Outgoing { seq: n, alert: Arc::new(Alert { id: id(n), ..hostile(4096) }) };
        let mut delivered = 0;
        while let Ok(n) = sink.deliver(&(delivered + 1..delivered + 9).map(big).collect::<Vec<_>>()) {
            delivered += n as u64;
        }
        let last = delivered + 30;
        let reader = read_aside(listener, last);
        let since = Instant::now();
        while delivered < last {
            delivered += sink.deliver(&(delivered + 1..=last).map(big).collect::<Vec<_>>()).unwrap_or(0) as u64;
            assert!(since.elapsed() < Duration::from_secs(60), "{delivered} of {last} with {send_buffer:?}");
        }
        let (received, _) = reader.join().unwrap();
        assert_eq!(numbers(&received), (1..=last).collect::<Vec<_>>(), "with {send_buffer:?}");
        assert!(received.iter().all(|m| m.ends_with("cn1Label=score") && m.matches("<131>1 ").count() == 1));
        assert!(received.iter().all(|m| m.len() <= 8000 && m.contains("truncated")));
    }
}

/// A piece within each wait for room would keep a delivery going for as long as the receiver likes.
#[test]
fn a_delivery_to_a_receiver_that_takes_a_little_now_and_then_ends_and_is_gone_on_with() {
    let dir = tempfile::tempdir().unwrap();
    let listener = UnixListener::bind(dir.path().join("log")).unwrap();
    let mut sink = sink(SyslogTarget::Unix(dir.path().join("log")));
    sink.settings.max_message_bytes = 65_000;
    sink.settings.format = AlertFormat::Json;
    sink.opening.send_buffer = Some(4096);
    sink.opening.patience = Duration::from_millis(100);
    let (ended, end) = std::sync::mpsc::channel::<()>();
    let reader = std::thread::spawn(move || {
        let mut stream = listener.accept().unwrap().0;
        let (mut bytes, mut some) = (Vec::new(), [0; 2048]);
        while let Err(std::sync::mpsc::RecvTimeoutError::Timeout) = end.recv_timeout(Duration::from_millis(40)) {
            let n = stream.read(&mut some).unwrap();
            bytes.extend(&some[..n]);
        }
        stream.read_to_end(&mut bytes).unwrap();
        messages(&bytes)
    });
    let long = [Outgoing { seq: 1, alert: Arc::new(hostile(12_000)) }];
    assert!(sink.deliver(&long).unwrap_err().to_string().contains("does not read"));
    drop(ended);
    while sink.deliver(&long).is_err() {}
    drop(sink);
    let (received, rest) = reader.join().unwrap();
    assert_eq!((received.len(), rest), (1, 0), "one message, whole");
    assert!(received[0].len() > 30_000, "{} bytes", received[0].len());
}

#[test]
fn a_datagram_that_nobody_receives_is_not_delivered_and_arrives_when_somebody_comes() {
    let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = receiver.local_addr().unwrap();
    let mut sink = sink(SyslogTarget::Udp(Remote { host: "127.0.0.1".into(), port: address.port() }));
    drop(receiver);
    for _ in 0..2 {
        let error = sink.deliver(&batch(1, 3)).unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("udp://{address}: ")) && error.contains("start the syslog daemon"),
            "{error}"
        );
    }
    let bind = || {
        let receiver = UdpSocket::bind(address).unwrap();
        receiver.set_read_timeout(LONG).unwrap();
        receiver
    };
    let receive = |receiver: &UdpSocket, n: usize| {
        let mut bytes = vec![0; 1 << 16];
        let all: Vec<String> = (0..n)
            .map(|_| {
                let n = receiver.recv(&mut bytes).unwrap();
                String::from_utf8(bytes[..n].to_vec()).unwrap()
            })
            .collect();
        assert!(all.iter().all(|message| well_formed(message)), "{all:?}");
        numbers(&all)
    };
    let receiver = bind();
    assert_eq!(sink.deliver(&batch(1, 3)), Ok(2));
    assert_eq!(receive(&receiver, 2), [1, 2]);
    // It goes and comes: the refusal tells, and the last minute is sent again.
    drop(receiver);
    sink.deliver(&batch(3, 4)).unwrap_err();
    let receiver = bind();
    assert_eq!(sink.deliver(&batch(3, 4)), Ok(1));
    assert_eq!(receive(&receiver, 3), [1, 2, 3]);
    assert_eq!(sink.notes().delivered_again, 2);
}

#[test]
fn a_message_has_at_most_the_bytes_that_are_set_and_keeps_id_and_rule() {
    let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
    receiver.set_read_timeout(LONG).unwrap();
    let port = receiver.local_addr().unwrap().port();
    for limit in [1024, 1400, 65_000] {
        for format in AlertFormat::ALL {
            let mut sink = sink(SyslogTarget::Udp(Remote { host: "127.0.0.1".into(), port }));
            sink.settings.max_message_bytes = limit;
            sink.settings.format = *format;
            // No more than a datagram holds over IPv4, and nothing is cut without need.
            let alert = Arc::new(hostile(12_000));
            assert_eq!(sink.deliver(&[Outgoing { seq: 1, alert: Arc::clone(&alert) }]), Ok(1));
            let mut bytes = vec![0; 1 << 17];
            let n = receiver.recv(&mut bytes).unwrap();
            let message = std::str::from_utf8(&bytes[..n]).unwrap();
            assert!(n <= limit && n > limit / 8, "{n} bytes for {limit}");
            assert!(message.contains(&alert.id) && message.contains(&alert.rule.id), "{message}");
            assert_eq!(sink.notes().truncated, u64::from(message.contains("truncated")));
        }
    }
}

#[test]
fn a_unix_target_gets_rfc_5424_as_datagrams_or_counted_in_a_stream() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let daemon = UnixDatagram::bind(&path).unwrap();
    daemon.set_read_timeout(LONG).unwrap();
    sink(SyslogTarget::Unix(path.clone())).deliver(&batch(1, 2)).unwrap();
    let mut bytes = [0; 8192];
    let n = daemon.recv(&mut bytes).unwrap();
    assert!(well_formed(std::str::from_utf8(&bytes[..n]).unwrap()));

    std::fs::remove_file(&path).unwrap();
    let listener = UnixListener::bind(&path).unwrap();
    assert_eq!(sink(SyslogTarget::Unix(path)).deliver(&batch(1, 4)), Ok(3));
    let mut stream = listener.accept().unwrap().0;
    let received = receive(&mut stream, 3);
    assert_eq!(numbers(&received), [1, 2, 3]);
    assert!(received.iter().all(|message| well_formed(message)), "{received:?}");
}

#[test]
fn hostile_text_makes_no_second_message() {
    let listener = listen();
    let mut sink = tcp(&listener);
    let hostile = Alert { id: id(1), ..hostile(100) };
    let after = Outgoing { seq: 2, alert: Arc::new(detection(2)) };
    sink.deliver(&[Outgoing { seq: 1, alert: Arc::new(hostile) }, after]).unwrap();
    drop(sink);
    let mut bytes = Vec::new();
    accept(&listener).read_to_end(&mut bytes).unwrap();
    let (received, rest) = messages(&bytes);
    assert_eq!((received.len(), rest), (2, 0));
    assert!(!received[0].contains(['\n', '\r', '\0', '\u{1b}']), "{}", received[0]);
    assert!(well_formed(&received[1]));
}

#[test]
fn what_each_trouble_calls_for_is_said() {
    let remote = |make: fn(Remote) -> SyslogTarget| sink(make(Remote { host: "h".into(), port: 1 }));
    let said = |sink: &SyslogSink, trouble: Trouble| sink.error(&trouble).to_string();
    let (tcp, udp, unix) =
        (remote(SyslogTarget::Tcp), remote(SyslogTarget::Udp), sink(SyslogTarget::Unix("/x".into())));
    for (sink, error, wanted) in [
        (&tcp, Errno::AFNOSUPPORT, "drop-in remote-syslog.conf"),
        (&udp, Errno::PERM, "drop-in remote-syslog.conf"),
        (&udp, Errno::NETUNREACH, "drop-in remote-syslog.conf"),
        (&tcp, Errno::TIMEDOUT, "nobody answers"),
        (&tcp, Errno::AGAIN, "does not read"),
        (&unix, Errno::ACCESS, "let the agent's user write"),
        (&unix, Errno::NOENT, "start the syslog daemon"),
    ] {
        let said = said(sink, error.into());
        assert!(said.contains(wanted) && said.starts_with(&sink.settings.target.to_string()), "{error}: {said}");
    }
    let unknown = said(&tcp, Trouble::NoAddress("the name \"h\" cannot be resolved: no".into()));
    assert_eq!(
        unknown,
        "tcp://h:1: the name \"h\" cannot be resolved: no; correct sink.syslog.target, or look at the name server"
    );
    let texts: BTreeSet<String> = [Errno::CONNREFUSED, Errno::IO].map(|e| said(&tcp, e.into())).into();
    assert_eq!(texts.len(), 2);
}
