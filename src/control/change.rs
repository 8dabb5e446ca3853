//! What changes a running agent, who may ask for it, and what comes of it.
//!
//! A change takes place between two runs of the pipeline: what has been read is judged and committed, the state is closed,
//! changed, and opened again. So it can lose or repeat no more than a restart, which is nothing.

use crate::upkeep::{Compacted, Forgotten, Imported, Subject, UpkeepError};
use crossbeam_channel::Sender;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// A change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Change {
    /// Read config, content and tables anew.
    Reload,
    /// Write the database anew.
    Compact,
    /// Remove what was learned about somebody.
    Forget(Subject),
    /// Add what another agent has learned.
    Import {
        /// The export; the agent itself must be able to read it.
        path: PathBuf,
        /// Also to a state that has learned something.
        merge: bool,
    },
}

/// What came of a change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "lowercase")]
pub enum Outcome {
    /// The agent works with config and content as they are now.
    Reloaded(Reloaded),
    /// The database was written anew.
    Compacted(Compacted),
    /// Something was forgotten.
    Forgotten(Forgotten),
    /// An export was added.
    Imported(Imported),
}

/// What the agent works with after a reload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reloaded {
    /// Rules, those that are switched off included.
    pub rules: usize,
    /// Models.
    pub models: usize,
    /// Spools.
    pub spools: usize,
}

/// A change that a client asks for and waits for.
pub struct Asked {
    /// What.
    pub change: Change,
    /// User id of who asks.
    pub uid: u32,
    /// Where the answer goes: what came of it, or why nothing did.
    pub reply: Sender<Result<Outcome, Refusal>>,
}

/// Why something was not done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Why.
    pub why: String,
    /// What kind of reason that is.
    #[serde(default)]
    pub kind: Reason,
}

/// Kinds of reasons.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reason {
    /// What was asked about is not there.
    Missing,
    /// A file is damaged, or of a newer version.
    Unusable,
    /// Any other.
    #[default]
    Other,
}

impl From<UpkeepError> for Refusal {
    fn from(error: UpkeepError) -> Refusal {
        let kind = match &error {
            UpkeepError::NotFound(_) => Reason::Missing,
            UpkeepError::Unreadable(_) => Reason::Unusable,
            UpkeepError::Store(_) | UpkeepError::Refused(_) => Reason::Other,
        };
        Refusal { why: error.to_string(), kind }
    }
}

impl From<&str> for Refusal {
    fn from(why: &str) -> Refusal {
        why.to_owned().into()
    }
}

impl From<String> for Refusal {
    fn from(why: String) -> Refusal {
        Refusal { why, kind: Reason::Other }
    }
}

impl Change {
    /// In words, for the log.
    pub fn describe(&self) -> String {
        match self {
            Change::Reload => "reload config and content".into(),
            Change::Compact => "write the database anew".into(),
            Change::Forget(subject) => format!("forget {subject}"),
            Change::Import { path, .. } => format!("import {}", path.display()),
        }
    }
}
