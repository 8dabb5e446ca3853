//! One request and one answer of HTTP, each bounded in bytes and in time as a whole. `GET` and `HEAD` of `/metrics`; everything
//! else is told what to ask. A connection serves one request.

use super::exposition::CONTENT_TYPE;
use crate::control::listen::left;
use std::io::{Error, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// Longest head of a request, bytes.
pub(super) const MAX_HEAD_BYTES: usize = 8 * 1024;
/// What is read and thrown away of a request that was refused, so that its sender sees the answer.
const MAX_DRAINED_BYTES: usize = 64 * 1024;
/// How long that may take.
const DRAIN_TIME: Duration = Duration::from_millis(500);
/// Bytes read at once.
const CHUNK: usize = 1024;

/// A connection, of either kind.
pub(super) trait Connection {
    /// Reads, for so long at most.
    fn read_for(&self, wait: Duration, into: &mut [u8]) -> std::io::Result<usize>;
    /// Writes, for so long at most.
    fn write_for(&self, wait: Duration, bytes: &[u8]) -> std::io::Result<usize>;
    /// Nothing more will be written.
    fn end(&self);
    /// Reading and writing return at once from here on.
    fn without_waiting(&self) -> std::io::Result<()>;
}

macro_rules! connection {
    ($stream:ty) => {
        impl Connection for $stream {
            fn read_for(&self, wait: Duration, into: &mut [u8]) -> std::io::Result<usize> {
                self.set_read_timeout(Some(wait))?;
                let mut stream = self;
                stream.read(into)
            }
            fn write_for(&self, wait: Duration, bytes: &[u8]) -> std::io::Result<usize> {
                self.set_write_timeout(Some(wait))?;
                let mut stream = self;
                stream.write(bytes)
            }
            fn end(&self) {
                let _ = self.shutdown(Shutdown::Write);
            }
            fn without_waiting(&self) -> std::io::Result<()> {
                self.set_nonblocking(true)
            }
        }
    };
}

connection!(UnixStream);
connection!(TcpStream);

/// An answer without figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    status: &'static str,
    text: &'static str,
}

/// There is no place.
pub(super) const BUSY: Refusal =
    Refusal { status: "503 Service Unavailable", text: "too many clients are being served; try again\n" };
const MALFORMED: Refusal = Refusal { status: "400 Bad Request", text: "not a request of HTTP/1\n" };
const NOT_FOUND: Refusal = Refusal { status: "404 Not Found", text: "the figures are at /metrics\n" };
const NOT_ALLOWED: Refusal = Refusal { status: "405 Method Not Allowed", text: "only GET and HEAD\n" };
const TOO_SLOW: Refusal = Refusal { status: "408 Request Timeout", text: "the request took too long\n" };
const TOO_LARGE: Refusal =
    Refusal { status: "431 Request Header Fields Too Large", text: "a request has at most 8192 bytes\n" };

/// Whether the figures themselves are wanted, or only what would come before them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    Page,
    Head,
}

/// Serves one request; reading it and writing the answer may each take `patience`.
///
/// # Errors
/// When the connection breaks, or the answer is not taken in time.
pub(super) fn serve(
    connection: &impl Connection,
    patience: Duration,
    page: impl FnOnce() -> std::sync::Arc<str>,
) -> std::io::Result<()> {
    let mut head = Vec::new();
    let wanted = match hear(connection, patience, &mut head)? {
        Ok(()) => asked(&head),
        Err(refusal) => Err(refusal),
    };
    match wanted {
        Ok(wanted) => {
            let page = page();
            let head = head_of("200 OK", CONTENT_TYPE, page.len());
            let body = if wanted == Wanted::Page { page.as_bytes() } else { b"" };
            say(connection, patience, &[head.as_bytes(), body].concat())?;
            connection.end();
        }
        Err(refusal) => {
            say(connection, patience, refusal.answer().as_bytes())?;
            connection.end();
            // Closing with bytes unread would take the answer back.
            drain(connection);
        }
    }
    Ok(())
}

impl Refusal {
    /// All of the answer.
    pub(super) fn answer(self) -> String {
        let allow = if self == NOT_ALLOWED { "Allow: GET, HEAD\r\n" } else { "" };
        let head = head_of(self.status, "text/plain; charset=utf-8", self.text.len());
        let head = head.strip_suffix("\r\n").unwrap_or(&head);
        format!("{head}{allow}\r\n{}", self.text)
    }
}

fn head_of(status: &str, content_type: &str, length: usize) -> String {
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\nCache-Control: no-store\r\n\
         X-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n"
    )
}

/// Waits for a whole head.
fn hear(connection: &impl Connection, patience: Duration, head: &mut Vec<u8>) -> std::io::Result<Result<(), Refusal>> {
    let until = Instant::now() + patience;
    let mut chunk = [0u8; CHUNK];
    loop {
        let n = match left(until).and_then(|wait| connection.read_for(wait, &mut chunk)) {
            Ok(0) => return Err(Error::new(ErrorKind::UnexpectedEof, "hung up before the end of a request")),
            Ok(n) => n,
            Err(e) if e.kind() == ErrorKind::Interrupted => continue,
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => return Ok(Err(TOO_SLOW)),
            Err(e) => return Err(e),
        };
        // The end may lie across two reads.
        let from = head.len().saturating_sub(3);
        head.extend_from_slice(chunk.get(..n).unwrap_or_default());
        if head.len() > MAX_HEAD_BYTES {
            return Ok(Err(TOO_LARGE));
        }
        let new = head.get(from..).unwrap_or_default();
        if memchr::memmem::find(new, b"\r\n\r\n").is_some() || memchr::memmem::find(new, b"\n\n").is_some() {
            return Ok(Ok(()));
        }
    }
}

/// What a head asks for.
fn asked(head: &[u8]) -> Result<Wanted, Refusal> {
    let line = head.split(|b| *b == b'\n').next().unwrap_or_default();
    let line = std::str::from_utf8(line).map_err(|_| MALFORMED)?.trim_end_matches('\r');
    let mut words = line.split(' ');
    let (Some(method), Some(target), Some(version), None) = (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(MALFORMED);
    };
    if !version.starts_with("HTTP/1.") || method.is_empty() || !method.bytes().all(|b| b.is_ascii_uppercase()) {
        return Err(MALFORMED);
    }
    let wanted = match method {
        "GET" => Wanted::Page,
        "HEAD" => Wanted::Head,
        _ => return Err(NOT_ALLOWED),
    };
    match target.split('?').next() {
        Some("/metrics") => Ok(wanted),
        _ => Err(NOT_FOUND),
    }
}

fn say(connection: &impl Connection, patience: Duration, answer: &[u8]) -> std::io::Result<()> {
    let until = Instant::now() + patience;
    let mut rest = answer;
    while !rest.is_empty() {
        match connection.write_for(left(until)?, rest) {
            Ok(n) => rest = rest.get(n..).unwrap_or_default(),
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

fn drain(connection: &impl Connection) {
    let until = Instant::now() + DRAIN_TIME;
    let (mut chunk, mut all) = ([0u8; CHUNK], 0);
    while let Ok(wait) = left(until)
        && let Ok(n @ 1..) = connection.read_for(wait, &mut chunk)
        && all < MAX_DRAINED_BYTES
    {
        all += n;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_figures_can_be_asked_for() {
        for (line, wanted) in [
            ("GET /metrics HTTP/1.1", Ok(Wanted::Page)),
            ("GET /metrics?name[]=up HTTP/1.0", Ok(Wanted::Page)),
            ("HEAD /metrics HTTP/1.1", Ok(Wanted::Head)),
            ("GET / HTTP/1.1", Err(NOT_FOUND)),
            ("GET /metrics/../etc/passwd HTTP/1.1", Err(NOT_FOUND)),
            ("GET http://x/metrics HTTP/1.1", Err(NOT_FOUND)),
            ("POST /metrics HTTP/1.1", Err(NOT_ALLOWED)),
            ("PRI * HTTP/2.0", Err(MALFORMED)),
            ("GET /metrics", Err(MALFORMED)),
            ("get /metrics HTTP/1.1", Err(MALFORMED)),
            ("GET  /metrics HTTP/1.1", Err(MALFORMED)),
            ("", Err(MALFORMED)),
            ("\u{16}\u{3}\u{1}", Err(MALFORMED)),
        ] {
            assert_eq!(asked(format!("{line}\r\nHost: x\r\n\r\n").as_bytes()), wanted, "{line}");
        }
        assert_eq!(asked(b"GET /\xff HTTP/1.1\r\n\r\n"), Err(MALFORMED));
    }

    /// Serves one client, which sends the pieces with a pause between them. Its answer.
    fn answer_to(pieces: &[&[u8]], patience_ms: u64) -> String {
        let (near, mut far) = UnixStream::pair().unwrap();
        let serving = std::thread::spawn(move || {
            let _ = serve(&near, Duration::from_millis(patience_ms), || "a 1\n".into());
        });
        for piece in pieces {
            // One that is refused early is not read to its end.
            let _ = far.write_all(piece);
            std::thread::sleep(Duration::from_millis(20));
        }
        let mut answer = String::new();
        let _ = far.read_to_string(&mut answer);
        serving.join().unwrap();
        answer
    }

    #[test]
    fn a_request_may_come_in_pieces_and_gets_one_answer() {
        let answer = answer_to(&[b"GET /metrics HT", b"TP/1.1\r\nHost: x\r\n\r", b"\n"], 60_000);
        assert!(
            answer.starts_with("HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"),
            "{answer}"
        );
        assert!(answer.contains("\r\nContent-Length: 4\r\n") && answer.ends_with("\r\n\r\na 1\n"), "{answer}");
        let head = answer_to(&[b"HEAD /metrics HTTP/1.1\n\n"], 60_000);
        assert_eq!(head, answer.strip_suffix("a 1\n").unwrap());
        let refused = answer_to(&[b"PUT /metrics HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc"], 60_000);
        assert!(refused.starts_with("HTTP/1.1 405 ") && refused.contains("\r\nAllow: GET, HEAD\r\n\r\n"), "{refused}");
    }

    #[test]
    fn a_request_without_end_is_refused_and_its_sender_is_told() {
        let long = vec![b'x'; MAX_HEAD_BYTES + 10_000];
        assert!(answer_to(&[b"GET /metrics HTTP/1.1\r\nX: ", &long], 60_000).starts_with("HTTP/1.1 431 "));
    }

    #[test]
    fn a_client_that_sends_a_byte_now_and_then_runs_out_of_time() {
        assert!(answer_to(&[b"G".as_slice(); 20], 100).starts_with("HTTP/1.1 408 "));
        let (near, far) = UnixStream::pair().unwrap();
        let (done, stop) = std::sync::mpsc::channel::<()>();
        let reader = std::thread::spawn(move || {
            let (mut far, mut some) = (far, [0u8; 512]);
            far.write_all(b"GET /metrics HTTP/1.1\r\n\r\n").unwrap();
            while stop.try_recv().is_err() {
                let _ = far.read(&mut some);
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        let page = "x".repeat(64 << 20);
        assert!(serve(&near, Duration::from_millis(300), || page.into()).is_err());
        done.send(()).unwrap();
        drop(near);
        reader.join().unwrap();
    }
}
