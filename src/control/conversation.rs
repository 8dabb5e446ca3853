//! One client's requests and answers, each bounded in bytes and in time as a whole: a client that sends a byte a second,
//! or never reads, loses its place like one that sends nothing.

use super::listen::left;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// Bytes read at once.
const CHUNK: usize = 4096;

/// A connection to a client.
pub(super) struct Conversation<'s> {
    stream: &'s UnixStream,
    /// Read, not yet taken.
    buffer: Vec<u8>,
    max_request: usize,
    patience: Duration,
}

/// What a client has sent.
pub(super) enum Heard {
    /// One request, without its newline.
    Request(Vec<u8>),
    /// More bytes than a request may have, and no newline.
    TooLong,
    /// The client has hung up.
    End,
}

impl<'s> Conversation<'s> {
    /// A conversation in which each request and each answer may take `patience`.
    pub(super) fn new(stream: &'s UnixStream, max_request: usize, patience: Duration) -> Conversation<'s> {
        Conversation { stream, buffer: Vec::new(), max_request, patience }
    }

    /// Waits for a request.
    ///
    /// # Errors
    /// When it does not arrive in time, or the connection breaks.
    pub(super) fn hear(&mut self) -> std::io::Result<Heard> {
        let until = Instant::now() + self.patience;
        let mut chunk = [0u8; CHUNK];
        loop {
            if let Some(end) = memchr::memchr(b'\n', &self.buffer) {
                let mut request: Vec<u8> = self.buffer.drain(..=end).collect();
                request.pop();
                return Ok(if request.len() > self.max_request { Heard::TooLong } else { Heard::Request(request) });
            }
            if self.buffer.len() > self.max_request {
                return Ok(Heard::TooLong);
            }
            self.stream.set_read_timeout(Some(left(until)?))?;
            let mut stream = self.stream;
            let n = match stream.read(&mut chunk) {
                Ok(0) => return Ok(Heard::End),
                Ok(n) => n,
                Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                Err(e) => return Err(e),
            };
            self.buffer.extend_from_slice(chunk.get(..n).unwrap_or_default());
        }
    }

    /// Sends an answer.
    ///
    /// # Errors
    /// When it is not taken in time, or the connection breaks.
    pub(super) fn say(&self, answer: &[u8]) -> std::io::Result<()> {
        let until = Instant::now() + self.patience;
        let mut rest = answer;
        while !rest.is_empty() {
            self.stream.set_write_timeout(Some(left(until)?))?;
            let mut stream = self.stream;
            match stream.write(rest) {
                Ok(n) => rest = rest.get(n..).unwrap_or_default(),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(patience_ms: u64) -> (UnixStream, UnixStream, Duration) {
        let (near, far) = UnixStream::pair().unwrap();
        (near, far, Duration::from_millis(patience_ms))
    }

    #[test]
    fn requests_come_one_by_one_however_they_are_cut() {
        let (near, mut far, patience) = pair(60_000);
        let mut c = Conversation::new(&near, 10, patience);
        far.write_all(b"one\ntwo\nthr").unwrap();
        assert!(matches!(c.hear().unwrap(), Heard::Request(r) if r == b"one"));
        assert!(matches!(c.hear().unwrap(), Heard::Request(r) if r == b"two"));
        far.write_all(b"ee\n").unwrap();
        assert!(matches!(c.hear().unwrap(), Heard::Request(r) if r == b"three"));
        far.write_all(b"0123456789\n").unwrap();
        assert!(matches!(c.hear().unwrap(), Heard::Request(r) if r.len() == 10));
        far.write_all(b"0123456789a").unwrap();
        assert!(matches!(c.hear().unwrap(), Heard::TooLong));
        drop(far);
    }

    #[test]
    fn half_a_request_is_no_request() {
        let (near, mut far, patience) = pair(60_000);
        far.write_all(b"{\"ask\":").unwrap();
        drop(far);
        assert!(matches!(Conversation::new(&near, 100, patience).hear().unwrap(), Heard::End));
    }

    #[test]
    fn a_client_that_sends_a_byte_now_and_then_runs_out_of_time() {
        let (near, mut far, patience) = pair(300);
        let writer = std::thread::spawn(move || {
            while far.write_all(b"x").is_ok() {
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        let said = Conversation::new(&near, 1 << 20, patience).hear();
        assert!(said.is_err(), "a byte arrives within each single wait, the whole never does");
        drop(near);
        writer.join().unwrap();
    }

    #[test]
    fn a_client_that_reads_a_byte_now_and_then_runs_out_of_time() {
        let (near, mut far, patience) = pair(300);
        let (done, stop) = std::sync::mpsc::channel::<()>();
        let reader = std::thread::spawn(move || {
            let mut some = [0u8; 512];
            while stop.try_recv().is_err() {
                let _ = far.read(&mut some);
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        assert!(Conversation::new(&near, 100, patience).say(&vec![b'x'; 64 << 20]).is_err());
        done.send(()).unwrap();
        drop(near);
        reader.join().unwrap();
    }
}
