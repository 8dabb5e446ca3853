//! Against real sockets of this machine: a daemon that goes and comes back, that does not read, that wants a stream, that takes little.

use super::super::samples::{agent, batch, hostile, id};
use super::*;
use crate::config::AlertFormat;
use std::io::{BufRead, BufReader};
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::sync::Arc;

struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Place {
        Place { dir: tempfile::tempdir().unwrap() }
    }
    fn socket(&self) -> std::path::PathBuf {
        self.dir.path().join("log")
    }
    fn bind(&self) -> UnixDatagram {
        let _ = std::fs::remove_file(self.socket());
        let daemon = UnixDatagram::bind(self.socket()).unwrap();
        // A test that fails must not hang.
        daemon.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        daemon
    }
    fn sink(&self, format: AlertFormat) -> SyslogSink {
        let target = SyslogTarget::Local(self.socket());
        let settings = SyslogSinkSettings { target, format, ..SyslogSinkSettings::default() };
        let mut sink = SyslogSink::new(settings, agent());
        sink.opening.patience = Duration::from_millis(5);
        sink
    }
}

fn receive(daemon: &UnixDatagram) -> String {
    let mut bytes = vec![0; 1 << 18];
    let n = daemon.recv(&mut bytes).unwrap();
    String::from_utf8(bytes[..n].to_vec()).unwrap()
}

fn holds(message: &str, n: u64) -> bool {
    message.contains(&format!("externalId={} ", id(n)))
}

#[test]
fn a_message_has_the_local_form_without_a_host_name() {
    let place = Place::new();
    let daemon = place.bind();
    let mut sink = place.sink(AlertFormat::Cef);
    assert_eq!(sink.deliver(&batch(1, 2)), Ok(1));
    let message = receive(&daemon);
    // local0 is 16; an alert of 20 is high, which is err: 16 * 8 + 3.
    let form = format!(r"^<131>[A-Z][a-z]{{2}} [ 0-9]\d \d\d:\d\d:\d\d exfil-agent\[{}\]: CEF:0\|", std::process::id());
    assert!(regex::Regex::new(&form).unwrap().is_match(&message), "{message}");
    assert!(holds(&message, 1) && !message.contains('\n'));
}

#[test]
fn severities_and_facilities_make_the_priority() {
    let place = Place::new();
    let daemon = place.bind();
    for (facility, score, priority) in [("local0", 2, 133), ("local7", 10, 188), ("user", 20, 11), ("authpriv", 40, 82)]
    {
        let mut sink = place.sink(AlertFormat::Json);
        sink.settings.facility = facility.into();
        let mut sink = SyslogSink::new(sink.settings, agent());
        let alert = Alert { score, ..super::super::samples::detection(1) };
        sink.deliver(&[Outgoing { seq: 1, alert: Arc::new(alert) }]).unwrap();
        let message = receive(&daemon);
        assert!(message.starts_with(&format!("<{priority}>")), "{message}");
        assert!(message.contains("]: {\"id\":\""), "{message}");
    }
}

#[test]
fn a_daemon_that_is_not_there_is_an_error_that_says_so_until_it_comes() {
    let place = Place::new();
    let mut sink = place.sink(AlertFormat::Cef);
    let error = sink.deliver(&batch(1, 2)).unwrap_err().to_string();
    assert!(error.contains("log: ") && error.contains("start the syslog daemon"), "{error}");
    let daemon = place.bind();
    assert_eq!(sink.deliver(&batch(1, 3)), Ok(2));
    assert!(holds(&receive(&daemon), 1) && holds(&receive(&daemon), 2));
}

#[test]
fn a_daemon_that_was_restarted_is_found_again_at_once() {
    let place = Place::new();
    let daemon = place.bind();
    let mut sink = place.sink(AlertFormat::Cef);
    sink.deliver(&batch(1, 2)).unwrap();
    assert!(holds(&receive(&daemon), 1));
    drop(daemon);
    let daemon = place.bind();
    assert_eq!(sink.deliver(&batch(2, 3)), Ok(1));
    // The one before it, too: nobody knows whether the old daemon lived to store it.
    assert!(holds(&receive(&daemon), 1) && holds(&receive(&daemon), 2));
    // Gone for longer: an error each time, and then again a connection.
    drop(daemon);
    sink.deliver(&batch(3, 4)).unwrap_err();
    sink.deliver(&batch(3, 4)).unwrap_err();
    let daemon = place.bind();
    sink.deliver(&batch(3, 4)).unwrap();
    assert!((1..4).all(|n| holds(&receive(&daemon), n)));
}

#[test]
fn a_full_queue_is_an_error_after_a_bounded_wait_and_nothing_is_lost_or_sent_twice() {
    let place = Place::new();
    let daemon = place.bind();
    let mut sink = place.sink(AlertFormat::Cef);
    let mut sent = 0;
    let error = loop {
        match sink.deliver(&batch(sent + 1, sent + 101)) {
            Ok(n) => sent += n as u64,
            Err(e) => break e.to_string(),
        }
    };
    assert!(sent > 0 && error.contains("does not read"), "{error}");
    let last = sent + 20;
    let reader = std::thread::spawn(move || (1..=last).all(|n| holds(&receive(&daemon), n)));
    while sent < last {
        sent += sink.deliver(&batch(sent + 1, last + 1)).unwrap_or(0) as u64;
    }
    assert!(reader.join().unwrap());
}

#[test]
fn a_daemon_that_wants_a_stream_gets_lines_also_after_it_came_back() {
    let place = Place::new();
    let mut sink = place.sink(AlertFormat::Cef);
    for round in 0..2 {
        let _ = std::fs::remove_file(place.socket());
        let listener = UnixListener::bind(place.socket()).unwrap();
        let from = 1 + round * 3;
        assert_eq!(sink.deliver(&batch(from, from + 3)), Ok(3));
        let (stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut lines = BufReader::new(stream).lines();
        for n in 1..from + 3 {
            let line = lines.next().unwrap().unwrap();
            assert!(line.starts_with("<131>") && holds(&line, n), "{line}");
        }
    }
}

#[test]
fn a_message_of_which_a_stream_took_a_part_is_finished_and_none_is_torn_or_sent_twice() {
    // With some of these buffers the socket takes a part of a message before it is full.
    for send_buffer in [4096, 6000, 8000, 16_000] {
        let place = Place::new();
        let listener = UnixListener::bind(place.socket()).unwrap();
        let mut sink = place.sink(AlertFormat::Cef);
        sink.opening.send_buffer = Some(send_buffer);
        let big = |n: u64| Outgoing { seq: n, alert: Arc::new(Alert { id: id(n), ..hostile(4096) }) };
        let mut sent = 0;
        while sink.deliver(&[big(sent + 1)]).is_ok() {
            sent += 1;
        }
        let mut stream = listener.accept().unwrap().0;
        stream.set_nonblocking(true).unwrap();
        let mut text = Vec::new();
        for _ in 0..6 {
            let _ = std::io::Read::read_to_end(&mut stream, &mut text);
            sent += u64::from(sink.deliver(&[big(sent + 1)]).is_ok());
        }
        drop(sink);
        stream.set_nonblocking(false).unwrap();
        std::io::Read::read_to_end(&mut stream, &mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert!(sent > 6, "with {send_buffer}");
        for (n, line) in (1..=sent).zip(&lines) {
            let whole = line.ends_with("cn1Label=score") && line.matches("<131>").count() == 1;
            assert!(whole && holds(line, n), "{n} of {sent} with {send_buffer}: {line}");
        }
        assert!(lines.len() as u64 <= sent + 1, "only the last one may be unfinished");
    }
}

#[test]
fn what_a_daemon_took_and_did_not_read_is_sent_again_to_the_next_one() {
    let place = Place::new();
    let daemon = place.bind();
    let mut sink = place.sink(AlertFormat::Cef);
    let mut sent = 0;
    while sink.deliver(&batch(sent + 1, sent + 2)).is_ok() {
        sent += 1;
    }
    assert!(holds(&receive(&daemon), 1));
    drop(daemon);
    sink.deliver(&batch(sent + 1, sent + 2)).unwrap_err();
    let daemon = place.bind();
    let reader = std::thread::spawn(move || (1..=sent + 1).all(|n| holds(&receive(&daemon), n)));
    while sink.deliver(&batch(sent + 1, sent + 2)).is_err() {}
    assert!(reader.join().unwrap(), "all of them, in order");
    assert_eq!(sink.notes().delivered_again, sent);
}

#[test]
fn a_long_alert_is_cut_to_what_daemons_take_and_further_for_a_small_socket() {
    for (send_buffer, limit) in [(None, 8000), (Some(2048), MAX_SMALL_MESSAGE)] {
        for format in AlertFormat::ALL {
            let place = Place::new();
            let daemon = place.bind();
            let mut sink = place.sink(*format);
            sink.opening.send_buffer = send_buffer;
            let alert = Arc::new(hostile(4096));
            assert_eq!(sink.deliver(&[Outgoing { seq: 1, alert: Arc::clone(&alert) }]), Ok(1));
            let message = receive(&daemon);
            assert!(message.len() <= limit && message.len() > limit / 4, "{} bytes", message.len());
            assert!(message.contains(&alert.id) && message.contains(&alert.rule.id), "{message}");
            assert!(message.contains("truncated"), "{message}");
            assert_eq!(sink.notes().truncated, 1);
        }
    }
}

#[test]
fn hostile_text_makes_no_second_message_in_a_stream() {
    let place = Place::new();
    let listener = UnixListener::bind(place.socket()).unwrap();
    let mut sink = place.sink(AlertFormat::Cef);
    sink.deliver(&[Outgoing { seq: 1, alert: Arc::new(hostile(100)) }]).unwrap();
    drop(sink);
    let lines: Vec<_> = BufReader::new(listener.accept().unwrap().0).lines().map(Result::unwrap).collect();
    assert_eq!(lines.len(), 1);
}
