//! What can go wrong with the store, in words that say what, where and what to do, and the exit code of each.

use std::io;
use std::path::{Path, PathBuf};

/// A failure of the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The bytes on disk are not what was committed last.
    #[error(
        "{}: the state is damaged: {what}; {advice}",
        path.display()
    )]
    Corrupt {
        /// The state directory.
        path: PathBuf,
        /// What was found.
        what: String,
        /// What to do.
        advice: String,
    },
    /// The bytes of a snapshot are not what was written.
    #[error("{}: this snapshot cannot be used: {what}; take another one", path.display())]
    BadSnapshot {
        /// The file.
        path: PathBuf,
        /// What was found.
        what: &'static str,
    },
    /// A newer program wrote the store.
    #[error(
        "{}: the state has {what} {found}, this program knows only {ours}; install the newer program again, or use another state directory",
        path.display()
    )]
    Newer {
        /// The state directory.
        path: PathBuf,
        /// `format` (of this module) or `schema` (of the typed records).
        what: &'static str,
        /// The version found.
        found: u16,
        /// The newest version that this program knows.
        ours: u16,
    },
    /// The directory or a file in it cannot be made.
    #[error("{}: cannot create: {source}; check that the parent directory exists and is writable", path.display())]
    Create {
        /// What could not be made.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another process has the store open.
    #[error(
        "{}: in use by {}; stop it first, or use another state directory",
        path.display(),
        pid.map_or_else(|| "another process".to_owned(), |p| format!("process {p}"))
    )]
    InUse {
        /// The state directory.
        path: PathBuf,
        /// Id of the process, when its lock file tells.
        pid: Option<u32>,
    },
    /// There is no store to read.
    #[error("{}: holds no state; check the path, or start the agent once", path.display())]
    Missing {
        /// The state directory.
        path: PathBuf,
    },
    /// The store that was open is no longer at its place.
    #[error(
        "{}: the state that the agent works with is gone from there, or another one was put in its place; put it back, and the agent goes on, or stop the agent",
        path.display()
    )]
    Gone {
        /// The state directory.
        path: PathBuf,
    },
    /// The system refused a read or write. The store takes nothing more until it is opened again.
    #[error("{}: {doing} failed: {source}; check space, permissions and the disk", path.display())]
    Io {
        /// What was accessed.
        path: PathBuf,
        /// What was tried.
        doing: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// The store has failed before; it must be opened again.
    #[error("{}: the store is closed after an earlier failure; the agent opens it again by itself", path.display())]
    Failed {
        /// The state directory.
        path: PathBuf,
    },
    /// The caller's record breaks a limit; nothing was written.
    #[error("a record cannot be stored: {what}")]
    Invalid {
        /// Which limit.
        what: String,
    },
}

impl StoreError {
    /// The exit code of a program that gives up because of this error.
    pub fn exit_code(&self) -> u8 {
        match self {
            StoreError::Corrupt { .. } | StoreError::BadSnapshot { .. } | StoreError::Newer { .. } => 65,
            StoreError::Create { source, .. } if denied(source) => 77,
            StoreError::Io { source, .. } if denied(source) => 77,
            StoreError::Create { .. } => 73,
            StoreError::InUse { .. } => 75,
            StoreError::Missing { .. }
            | StoreError::Gone { .. }
            | StoreError::Io { .. }
            | StoreError::Failed { .. }
            | StoreError::Invalid { .. } => 1,
        }
    }

    /// Whether waiting and opening again may help.
    pub fn is_transient(&self) -> bool {
        match self {
            StoreError::Io { .. }
            | StoreError::Create { .. }
            | StoreError::Failed { .. }
            | StoreError::Gone { .. }
            | StoreError::InUse { .. } => true,
            StoreError::Corrupt { .. }
            | StoreError::BadSnapshot { .. }
            | StoreError::Newer { .. }
            | StoreError::Missing { .. }
            | StoreError::Invalid { .. } => false,
        }
    }

    pub(super) fn corrupt(path: &Path, what: impl Into<String>) -> StoreError {
        let advice = "restore a backup of this directory, or run the agent once with --accept-empty-state to begin anew (the damaged files are kept)";
        StoreError::Corrupt { path: path.to_owned(), what: what.into(), advice: advice.into() }
    }

    pub(super) fn io(path: &Path, doing: &'static str) -> impl FnOnce(io::Error) -> StoreError + use<> {
        let path = path.to_owned();
        move |source| StoreError::Io { path, doing, source }
    }

    pub(super) fn create(path: &Path) -> impl FnOnce(io::Error) -> StoreError + use<> {
        let path = path.to_owned();
        move |source| StoreError::Create { path, source }
    }
}

fn denied(e: &io::Error) -> bool {
    matches!(e.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_has_its_exit_code_and_names_the_place() {
        let path = PathBuf::from("/state");
        let io = |kind: io::ErrorKind| io::Error::from(kind);
        let cases = [
            (StoreError::corrupt(&path, "x"), 65),
            (StoreError::Newer { path: path.clone(), what: "schema", found: 3, ours: 2 }, 65),
            (StoreError::create(&path)(io(io::ErrorKind::NotFound)), 73),
            (StoreError::create(&path)(io(io::ErrorKind::PermissionDenied)), 77),
            (StoreError::InUse { path: path.clone(), pid: Some(12) }, 75),
            (StoreError::io(&path, "writing")(io(io::ErrorKind::StorageFull)), 1),
            (StoreError::io(&path, "writing")(io(io::ErrorKind::ReadOnlyFilesystem)), 77),
            (StoreError::Missing { path: path.clone() }, 1),
            (StoreError::Gone { path: path.clone() }, 1),
            (StoreError::Failed { path: path.clone() }, 1),
        ];
        for (error, code) in cases {
            assert_eq!(error.exit_code(), code, "{error}");
            assert!(error.to_string().starts_with("/state: "), "{error}");
        }
    }
}
