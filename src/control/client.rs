//! The other side of the control socket: what `agentctl` uses.

use super::{Change, Live, Outcome, Refusal, Request, Response, from_hex, to_hex};
use std::io::{BufRead, BufReader, Error, ErrorKind, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A connection to a running agent.
pub struct Client {
    socket: PathBuf,
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
        Ok(Client { socket: socket.to_owned(), reader: open(socket)? })
    }

    fn ask(&mut self, request: &Request) -> std::io::Result<Response> {
        let answer = match self.exchange(request) {
            // The agent gives the place of an idle client to others: someone may be reading our rows in a pager. Each
            // question stands for itself, so it is asked again on a new connection.
            Err(e)
                if matches!(
                    e.kind(),
                    ErrorKind::BrokenPipe | ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof
                ) =>
            {
                self.reader = open(&self.socket)?;
                self.exchange(request)?
            }
            answer => answer?,
        };
        match serde_json::from_str(&answer)? {
            Response::Refused(refusal) => Err(Error::other(refusal.why)),
            response => Ok(response),
        }
    }

    fn exchange(&mut self, request: &Request) -> std::io::Result<String> {
        let mut line = serde_json::to_vec(request)?;
        line.push(b'\n');
        // One that is turned away has its answer already, and the connection is closed behind it.
        let sent = self.reader.get_mut().write_all(&line);
        let mut answer = String::new();
        self.reader.read_line(&mut answer)?;
        if answer.is_empty() {
            sent?;
            return Err(Error::new(ErrorKind::UnexpectedEof, "the agent closed the connection"));
        }
        Ok(answer)
    }

    /// A page of committed records from a key on; an empty page is the end.
    ///
    /// # Errors
    /// When the agent does not answer or refuses.
    pub fn scan(&mut self, from: &[u8], prefix: &[u8]) -> std::io::Result<Page> {
        let bad =
            || Error::new(ErrorKind::InvalidData, "the agent's answer is not understood; is it of the same version?");
        match self.ask(&Request::Scan { from: to_hex(from), prefix: to_hex(prefix) })? {
            Response::Records { epoch, pairs } => {
                let pairs = pairs.iter().map(|(k, v)| Some((from_hex(k)?, from_hex(v)?))).collect::<Option<_>>();
                Ok((epoch, pairs.ok_or_else(bad)?))
            }
            _ => Err(bad()),
        }
    }

    /// Asks for a change and waits until it is made, however long that takes; or until it is refused.
    ///
    /// # Errors
    /// When the agent went away before it answered: then nobody knows.
    pub fn change(&mut self, change: Change) -> std::io::Result<Result<Outcome, Refusal>> {
        self.reader.get_ref().set_read_timeout(None)?;
        // Asked once: a change whose answer got lost may have been made.
        let answer = self.exchange(&Request::Change(change))?;
        match serde_json::from_str(&answer)? {
            Response::Changed(outcome) => Ok(Ok(outcome)),
            Response::Refused(refusal) => Ok(Err(refusal)),
            _ => Err(Error::new(ErrorKind::InvalidData, "the agent's answer is not understood")),
        }
    }

    /// What only the running process knows.
    ///
    /// # Errors
    /// When the agent does not answer or refuses.
    pub fn live(&mut self) -> std::io::Result<Live> {
        match self.ask(&Request::Live)? {
            Response::Live(live) => Ok(*live),
            _ => Err(Error::new(ErrorKind::InvalidData, "the agent's answer is not understood")),
        }
    }
}

fn open(socket: &Path) -> std::io::Result<BufReader<UnixStream>> {
    let stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    stream.set_write_timeout(Some(Duration::from_secs(30)))?;
    Ok(BufReader::new(stream))
}
