//! Where answers come from, a running agent or a stopped one's state, and how instants are said to people.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Where answers come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "agent", rename_all = "lowercase")]
pub enum SourceLine {
    /// A running agent.
    Running {
        /// Its process id.
        pid: u32,
        /// Epoch of the first answer.
        first_epoch: u64,
        /// Epoch of the last answer.
        last_epoch: u64,
    },
    /// The state of a stopped one.
    Stopped {
        /// The state's directory.
        dir: String,
        /// When its last commit was made.
        saved: String,
        /// Its epoch.
        epoch: u64,
        /// Why no running agent was asked, where one was looked for.
        #[serde(default)]
        not_running: Option<String>,
    },
}

impl Default for SourceLine {
    fn default() -> Self {
        SourceLine::Running { pid: 0, first_epoch: 0, last_epoch: 0 }
    }
}

impl fmt::Display for SourceLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SourceLine::Running { pid, first_epoch, last_epoch } if first_epoch == last_epoch => {
                write!(f, "running agent, pid {pid}, epoch {last_epoch}")
            }
            SourceLine::Running { pid, first_epoch, last_epoch } => {
                write!(f, "running agent, pid {pid}, epochs {first_epoch} to {last_epoch}")
            }
            SourceLine::Stopped { dir, saved, epoch, .. } => {
                write!(f, "stopped state {dir} of {}, epoch {epoch}", to_the_minute(saved))
            }
        }
    }
}

impl SourceLine {
    /// That a stopped state is shown instead of the running agent that was looked for.
    pub fn instead(&self) -> Option<String> {
        match self {
            SourceLine::Stopped { saved, not_running: Some(why), .. } => {
                Some(format!("the agent is not running ({why}); showing the stopped state of {}", to_the_minute(saved)))
            }
            _ => None,
        }
    }
}

/// `2026-11-03 10:12 UTC` of an RFC 3339 instant.
pub fn to_the_minute(instant: &str) -> String {
    format!("{} UTC", instant.get(..16).unwrap_or(instant).replace('T', " "))
}

/// `2026-11-03 10:12:07 UTC` of an RFC 3339 instant.
pub fn to_the_second(instant: &str) -> String {
    format!("{} UTC", instant.get(..19).unwrap_or(instant).replace('T', " "))
}
