//! Clients that ask for something else, for too much, too slowly, or too many at once.

use super::{GET, Watched, value};
use crate::site::wait;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;

#[test]
fn a_bad_request_is_told_what_is_wrong_and_the_next_one_is_served() {
    let watched = Watched::new();
    let daemon = watched.start();
    let long = [b"GET /metrics HTTP/1.1\r\nCookie: ".as_slice(), &vec![b'x'; 20_000], b"\r\n\r\n"].concat();
    let requests: [(&[u8], &str); 6] = [
        (&long, "HTTP/1.1 431 "),
        (b"POST /metrics HTTP/1.1\r\nContent-Length: 2\r\n\r\nxx", "HTTP/1.1 405 "),
        (b"GET /../../etc/passwd HTTP/1.1\r\n\r\n", "HTTP/1.1 404 "),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", "HTTP/1.1 400 "),
        (b"\r\n\r\n", "HTTP/1.1 400 "),
        (GET, "HTTP/1.1 200 "),
    ];
    for (request, wanted) in requests {
        for answer in [watched.ask_socket(request), watched.ask_port(request)] {
            assert!(answer.starts_with(wanted), "{}\ngave {answer}", String::from_utf8_lossy(request));
            assert!(answer.contains("\r\nConnection: close\r\n"), "{answer}");
        }
    }
    assert_eq!(daemon.terminate(), 0);
}

#[test]
fn clients_that_never_finish_lose_their_places_and_hold_up_nobody_but_their_like() {
    let watched = Watched::new();
    let daemon = watched.start();
    // One that says nothing takes one of eight places.
    let mut idle = vec![UnixStream::connect(watched.socket()).unwrap()];
    assert!(watched.page().contains("exfil_agent_build_info"));
    // All places: places are taken in the order of connecting, so the next one is turned away, also from the port.
    wait("a client to be turned away", || {
        idle.push(UnixStream::connect(watched.socket()).unwrap());
        let mut over_port = TcpStream::connect(watched.port).unwrap();
        over_port.write_all(GET).unwrap();
        let mut answer = String::new();
        let _ = over_port.read_to_string(&mut answer);
        answer.starts_with("HTTP/1.1 503 ") && answer.ends_with("try again\n")
    });
    wait("the log", || watched.site.log().contains("turned away, since 8 are being served"));
    // The agent itself goes on meanwhile.
    assert!(watched.site.judged_bytes().is_some());
    // They have run out of time, hung up or not.
    wait("places to be free again", || watched.ask_port(GET).starts_with("HTTP/1.1 200 "));
    let mut answer = String::new();
    let _ = idle[0].read_to_string(&mut answer);
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(watched.site.log().matches("turned away").count() < 3, "told once a minute, not once a client");
    assert_eq!(daemon.terminate(), 0);
}

#[test]
fn whoever_asks_all_the_time_gets_the_page_of_this_second() {
    let watched = Watched::new();
    let daemon = watched.start();
    let seen: std::collections::BTreeSet<String> = (0..200).map(|_| watched.page()).collect();
    let first = value(seen.first().unwrap(), "exfil_agent_observed_timestamp_seconds");
    let last = value(seen.last().unwrap(), "exfil_agent_observed_timestamp_seconds");
    // However slow the machine: pages differ by a second at least.
    assert!(seen.len() as f64 <= (last - first).abs() + 2.0, "{} pages in {} s", seen.len(), last - first);
    wait("a newer page", || value(&watched.page(), "exfil_agent_observed_timestamp_seconds") > last);
    assert_eq!(daemon.terminate(), 0);
}

#[test]
fn a_reload_begins_the_counters_anew_and_leaves_the_endpoints_as_they_are() {
    let watched = Watched::new();
    let daemon = watched.with_office(200);
    let site = &watched.site;
    let sample = format!("exfil_agent_read_bytes_total{{spool=\"{}\"}}", site.root().join("spool").display());
    wait("the bytes", || value(&watched.page(), &sample) > 0.0);
    let started = value(&watched.page(), "exfil_agent_start_time_seconds");
    assert!(site.ctl(&["reload"]).status.success());
    wait("counters to begin anew", || value(&watched.page(), &sample) == 0.0);
    assert_eq!(value(&watched.page(), "exfil_agent_start_time_seconds"), started);
    assert!(watched.ask_port(GET).starts_with("HTTP/1.1 200 "));

    site.reconfigure("textfile_secs = 1", "textfile_secs = 2");
    let refused = site.ctl(&["reload"]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        said.contains("[metrics] is not what it was: that takes a restart of the service; nothing has changed"),
        "{said}"
    );
    assert_eq!(daemon.terminate(), 0);
}
