//! Where `agentctl` reads committed records: from the running agent, or from a verified copy of a stopped store.
//!
//! Everything above this file is the same for both, so that both show the same data.

use crate::control::Live;
use crate::control::client::Client;
use crate::state::record::SCHEMA;
use crate::store::{self, ReadStore, StoreError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// A key and its value.
pub type Record = (Vec<u8>, Vec<u8>);

/// Committed records, and what only a running process knows.
pub enum Records {
    /// The agent runs.
    Running {
        /// The connection.
        client: Client,
        /// The socket.
        socket: PathBuf,
        /// First and last epoch seen.
        epochs: Option<(u64, u64)>,
    },
    /// The agent is stopped, or the directory was named.
    Stopped {
        /// The verified copy.
        store: Box<ReadStore>,
        /// The directory, or the snapshot file.
        dir: PathBuf,
        /// Why no running agent was asked, where one was looked for.
        not_running: Option<String>,
    },
}

/// Why nothing can be read.
#[derive(Debug, thiserror::Error)]
pub enum RecordsError {
    /// The store refuses.
    #[error(transparent)]
    Store(StoreError),
    /// The running agent does not answer, or its answer is not understood.
    #[error("the agent at {socket}: {source}")]
    Agent {
        /// The socket.
        socket: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The running agent may not be asked.
    #[error(
        "{socket}: permission denied; root, the agent's own user and the members of its group may ask: try it with sudo"
    )]
    Forbidden {
        /// The socket.
        socket: PathBuf,
    },
    /// Neither a running agent nor a state.
    #[error(
        "the agent is not running ({why}), and there is no state in {dir}; start it, or say where it is: --config FILE, \
         --socket PATH or --state DIR"
    )]
    Nothing {
        /// Why no agent was asked.
        why: String,
        /// The directory.
        dir: PathBuf,
    },
    /// The state is that of a running agent, which was not asked.
    #[error(
        "{dir}: {} works with this state; ask it through its socket, with --config FILE or --socket PATH{}",
        pid.map_or_else(|| "another process".to_owned(), |p| format!("process {p}")),
        why.as_ref().map_or_else(String::new, |why| format!(" ({why})"))
    )]
    Held {
        /// The directory.
        dir: PathBuf,
        /// The process.
        pid: Option<u32>,
        /// Why it was not asked, where it was looked for.
        why: Option<String>,
    },
    /// The state may not be read.
    #[error("{path}: permission denied; only root and the agent's own user may read its state: try it with sudo")]
    Locked {
        /// What may not be read.
        path: PathBuf,
    },
}

impl From<StoreError> for RecordsError {
    fn from(error: StoreError) -> RecordsError {
        match error {
            StoreError::InUse { path, pid } => RecordsError::Held { dir: path, pid, why: None },
            StoreError::Io { path, source, .. } | StoreError::Create { path, source }
                if source.kind() == ErrorKind::PermissionDenied =>
            {
                RecordsError::Locked { path }
            }
            other => RecordsError::Store(other),
        }
    }
}

impl Records {
    /// The running agent if one answers on the socket, else the stopped state of the directory.
    ///
    /// # Errors
    /// When neither can be read.
    pub fn find(socket: &Path, dir: &Path) -> Result<Records, RecordsError> {
        match Client::connect(socket) {
            Ok(client) => Ok(Records::Running { client, socket: socket.to_owned(), epochs: None }),
            Err(e) if e.kind() == ErrorKind::PermissionDenied => {
                Err(RecordsError::Forbidden { socket: socket.to_owned() })
            }
            Err(e) => Records::instead(unanswered(socket, &e), dir),
        }
    }

    /// The stopped state of a directory, since no agent answers.
    fn instead(why: String, dir: &Path) -> Result<Records, RecordsError> {
        match Records::stopped(dir) {
            Ok(Records::Stopped { store, dir, .. }) => Ok(Records::Stopped { store, dir, not_running: Some(why) }),
            Ok(running) => Ok(running),
            Err(RecordsError::Store(StoreError::Missing { .. })) => {
                Err(RecordsError::Nothing { why, dir: dir.to_owned() })
            }
            Err(RecordsError::Held { dir, pid, .. }) => Err(RecordsError::Held { dir, pid, why: Some(why) }),
            Err(other) => Err(other),
        }
    }

    /// The stopped state of a directory, or what a snapshot file holds.
    ///
    /// # Errors
    /// When it cannot be read, or an agent holds it.
    pub fn stopped(dir: &Path) -> Result<Records, RecordsError> {
        let store = if dir.is_file() { store::read_snapshot(dir)? } else { store::read_stopped(dir)? };
        store.check_schema(SCHEMA)?;
        Ok(Records::Stopped { store: Box::new(store), dir: dir.to_owned(), not_running: None })
    }

    /// Feeds every record with a prefix, in the order of the keys, until `each` says stop (`false`).
    ///
    /// # Errors
    /// When records cannot be read.
    pub fn each(&mut self, prefix: &[u8], mut each: impl FnMut(&[u8], &[u8]) -> bool) -> Result<(), RecordsError> {
        let mut from = prefix.to_vec();
        loop {
            let page = self.page(&from, prefix)?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            from.clone_from(last);
            from.push(0);
            for (key, value) in &page {
                if !each(key, value) {
                    return Ok(());
                }
            }
        }
    }

    /// The records with exactly this prefix, for small tables.
    ///
    /// # Errors
    /// When records cannot be read.
    pub fn page(&mut self, from: &[u8], prefix: &[u8]) -> Result<Vec<Record>, RecordsError> {
        match self {
            Records::Running { client, socket, epochs } => {
                let agent = |source| RecordsError::Agent { socket: socket.clone(), source };
                let (epoch, pairs) = client.scan(from, prefix).map_err(agent)?;
                let first = epochs.map_or(epoch, |e| e.0);
                *epochs = Some((first, epoch));
                Ok(pairs)
            }
            Records::Stopped { store, .. } => Ok(store.scan(from, prefix, 1 << 20)?),
        }
    }

    /// What only the running process knows; `None` when it is stopped.
    ///
    /// # Errors
    /// When the agent does not answer.
    pub fn live(&mut self) -> Result<Option<Live>, RecordsError> {
        match self {
            Records::Running { client, socket, .. } => {
                let agent = |source| RecordsError::Agent { socket: socket.clone(), source };
                client.live().map(Some).map_err(agent)
            }
            Records::Stopped { .. } => Ok(None),
        }
    }
}

/// Why nobody answers at a socket.
pub(super) fn unanswered(socket: &Path, error: &std::io::Error) -> String {
    match error.kind() {
        ErrorKind::NotFound => format!("no socket at {}", socket.display()),
        ErrorKind::ConnectionRefused => format!("nobody listens at {}", socket.display()),
        _ => format!("{}: {error}", socket.display()),
    }
}
