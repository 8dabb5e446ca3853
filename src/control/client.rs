//! The other side of the control socket: what `agentctl` uses.

use super::{Live, Request, Response, from_hex, to_hex};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// A connection to a running agent.
pub struct Client {
    reader: BufReader<UnixStream>,
}

/// A page of records: epoch, keys and values.
pub type Page = (u64, Vec<(Vec<u8>, Vec<u8>)>);

impl Client {
    /// Connects.
    ///
    /// # Errors
    /// When nobody answers there, or it is not allowed.
    pub fn connect(socket: &Path) -> std::io::Result<Client> {
        let stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        stream.set_write_timeout(Some(Duration::from_secs(30)))?;
        Ok(Client { reader: BufReader::new(stream) })
    }

    fn ask(&mut self, request: &Request) -> std::io::Result<Response> {
        let mut line = serde_json::to_vec(request)?;
        line.push(b'\n');
        self.reader.get_mut().write_all(&line)?;
        let mut answer = String::new();
        self.reader.read_line(&mut answer)?;
        if answer.is_empty() {
            return Err(std::io::Error::new(std::io::ErrorKind::UnexpectedEof, "the agent closed the connection"));
        }
        match serde_json::from_str(&answer)? {
            Response::Refused { why } => Err(std::io::Error::other(why)),
            response => Ok(response),
        }
    }

    /// A page of committed records from a key on; an empty page is the end.
    ///
    /// # Errors
    /// When the agent does not answer or refuses.
    pub fn scan(&mut self, from: &[u8], prefix: &[u8]) -> std::io::Result<Page> {
        let bad = || {
            std::io::Error::new(
                std::io::ErrorKind::InvalidData,
                "the agent's answer is not understood; is it of the same version?",
            )
        };
        match self.ask(&Request::Scan { from: to_hex(from), prefix: to_hex(prefix) })? {
            Response::Records { epoch, pairs } => {
                let pairs = pairs.iter().map(|(k, v)| Some((from_hex(k)?, from_hex(v)?))).collect::<Option<_>>();
                Ok((epoch, pairs.ok_or_else(bad)?))
            }
            _ => Err(bad()),
        }
    }

    /// What only the running process knows.
    ///
    /// # Errors
    /// When the agent does not answer or refuses.
    pub fn live(&mut self) -> std::io::Result<Live> {
        match self.ask(&Request::Live)? {
            Response::Live(live) => Ok(*live),
            _ => Err(std::io::Error::new(std::io::ErrorKind::InvalidData, "the agent's answer is not understood")),
        }
    }
}
