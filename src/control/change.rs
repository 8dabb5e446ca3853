//! What changes a running agent, who may ask for it, and what comes of it.
//!
//! A change takes place between two runs of the pipeline: what has been read is judged and committed, the state is closed,
//! changed, and opened again. So it can lose or repeat no more than a restart, which is nothing.

use crate::upkeep::{Compacted, Forgotten, Subject};
use crossbeam_channel::Sender;
use serde::{Deserialize, Serialize};

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
    /// What was asked about is not there.
    #[serde(default)]
    pub missing: bool,
}

impl From<&str> for Refusal {
    fn from(why: &str) -> Refusal {
        why.to_owned().into()
    }
}

impl From<String> for Refusal {
    fn from(why: String) -> Refusal {
        Refusal { why, missing: false }
    }
}

impl Change {
    /// In words, for the log.
    pub fn describe(&self) -> String {
        match self {
            Change::Reload => "reload config and content".into(),
            Change::Compact => "write the database anew".into(),
            Change::Forget(subject) => format!("forget {subject}"),
        }
    }
}
