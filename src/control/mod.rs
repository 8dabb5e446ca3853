//! The control socket: how `agentctl` looks into a running agent.
//!
//! One JSON object a line in each direction. Two questions: a page of committed records (the caller turns them into rows
//! with the same code that reads a stopped store, so that both give the same data), and what only the process knows. And
//! changes, which only root and the agent's own user may ask for.
//! Everything is bounded: length of a request, bytes of an answer, clients at once, time to wait.

mod change;
pub mod client;
mod conversation;
pub mod listen;
mod server;

pub use crate::pipeline::summary::{SinkProgress, Summary};
pub use change::{Asked, Change, Outcome, Reason, Refusal, Reloaded};
pub use server::{Control, serve};

use crate::pipeline::committer::CommitStatus;
use crate::sink::SinkSnapshot;
use crate::source::SourceSnapshot;
use serde::{Deserialize, Serialize};

/// A question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "lowercase", deny_unknown_fields)]
pub enum Request {
    /// Committed records in the order of their keys.
    Scan {
        /// First key, hexadecimal.
        from: String,
        /// Prefix of the keys, hexadecimal.
        prefix: String,
    },
    /// What only the running process knows.
    Live,
    /// Change something.
    Change(Change),
}

/// An answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "lowercase")]
pub enum Response {
    /// A page of records; an empty one is the end.
    Records {
        /// Epoch that was read.
        epoch: u64,
        /// Keys and values, hexadecimal.
        pairs: Vec<(String, String)>,
    },
    /// See [`Live`].
    Live(Box<Live>),
    /// What came of a change.
    Changed(Outcome),
    /// The question cannot be answered.
    Refused(Refusal),
}

/// What only the running process knows.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Live {
    /// Process id.
    pub pid: u32,
    /// Version of the agent.
    pub version: String,
    /// Start, ms since the epoch.
    pub started_ms: i64,
    /// The agent's clock, ms since the epoch.
    pub now_ms: i64,
    /// Reading.
    pub source: SourceSnapshot,
    /// Sinks by name.
    pub sinks: Vec<(String, SinkSnapshot)>,
    /// Commits.
    pub commits: CommitStatus,
    /// Detection: what is kept, what waits, what was learned.
    pub summary: Summary,
}

/// Bytes as hexadecimal digits.
pub fn to_hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |n: u8| char::from(DIGITS.get(n as usize).copied().unwrap_or(b'0'));
    bytes.iter().flat_map(|b| [digit(b >> 4), digit(b & 15)]).collect()
}

/// Hexadecimal digits as bytes; `None` for anything else.
pub fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |c: u8| char::from(c).to_digit(16);
    let pairs = text.as_bytes().chunks(2);
    pairs
        .map(|pair| match pair {
            [high, low] => Some((digit(*high)? << 4 | digit(*low)?) as u8),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_reads_back() {
        assert_eq!(from_hex(&to_hex(&[0, 1, 0xAB, 0xFF])), Some(vec![0, 1, 0xAB, 0xFF]));
        assert_eq!(from_hex("0"), None);
        assert_eq!(from_hex("zz"), None);
    }
}
