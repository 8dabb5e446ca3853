//! What somebody did: one action becomes one record of a spool, and one fact for the truth.
//!
//! Units: milliseconds since the Unix epoch, UTC; bytes.

/// Who did it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Actor {
    /// A person, by index in the office.
    Person(u32),
    /// `NT AUTHORITY\SYSTEM` of the host.
    System,
    /// The machine account of the host, `HOST$`.
    Machine,
    /// The account of an IIS application pool of the host.
    AppPool,
    /// The record names nobody.
    Nobody,
}

/// What is done to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[allow(missing_docs)]
pub enum FileOp {
    #[default]
    Created,
    Modified,
    Copied,
    Moved,
    Renamed,
    Read,
    Deleted,
    DirectoryCreated,
    DirectoryDeleted,
}

impl FileOp {
    /// The activity in a record.
    pub const fn activity(self) -> &'static str {
        match self {
            FileOp::Created => "FileCreated",
            FileOp::Modified => "FileModified",
            FileOp::Copied => "FileCopied",
            FileOp::Moved => "FileMoved",
            FileOp::Renamed => "FileRenamed",
            FileOp::Read => "FileRead",
            FileOp::Deleted => "FileDeleted",
            FileOp::DirectoryCreated => "DirectoryCreated",
            FileOp::DirectoryDeleted => "DirectoryDeleted",
        }
    }

    /// Whether something was written.
    pub const fn writes(self) -> bool {
        !matches!(self, FileOp::Read | FileOp::Deleted | FileOp::DirectoryDeleted)
    }

    /// Whether the record names a destination.
    pub const fn has_destination(self) -> bool {
        matches!(self, FileOp::Copied | FileOp::Moved | FileOp::Renamed)
    }
}

/// The program behind a file action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Image {
    /// Index into `super::programs::INSTALLED`.
    Installed(u8),
    /// Index into `super::programs::TEMPORARY`.
    Temporary(u8),
}

/// What was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// Index into `super::programs::ROUTINE`.
    Routine(u8),
    /// Index into `super::commands::COMMANDS`.
    Planted(u8),
}

/// HTTP method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Method {
    Get,
    Post,
    Put,
}

impl Method {
    /// As in a record.
    pub const fn name(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Post => "POST",
            Method::Put => "PUT",
        }
    }
}

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// Log-on at the console.
    Logon,
    /// Log-on over the network.
    RemoteLogon,
    /// Session locked.
    Lock,
    /// Session unlocked.
    Unlock,
    /// Something was done to a file; `removable` when its target is a stick.
    File {
        /// What.
        op: FileOp,
        /// By which program.
        image: Image,
        /// Whether the target is removable media.
        removable: bool,
    },
    /// A process was started.
    Run(Start),
    /// A page was visited: index into `super::sites::SITES`.
    Browse {
        /// The site.
        site: u16,
        /// Method.
        method: Method,
        /// Bytes sent, whether or not the record will say so.
        sent: u64,
    },
    /// Something was printed.
    Print,
}

/// One thing that somebody did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Action {
    /// When it happened.
    pub at_ms: i64,
    /// When the collector wrote it down: at once, minutes or days later.
    pub arrives_ms: i64,
    /// Who.
    pub actor: Actor,
    /// Where: index of the host.
    pub host: u32,
    /// Which scene of the plan it belongs to; 0 is office routine.
    pub scene: u16,
    /// Chooses names, sizes and numbers of the record.
    pub salt: u32,
    /// What.
    pub deed: Deed,
}
