//! The four collectors of the office and what their records look like and carry.
//!
//! Real records of this vendor mostly lack upload bytes and parent processes. Here, too, only some carry them: bytes and
//! method in London and in the data centre, the web filter's category in London, the parent process on the two web
//! servers. What a record does not carry, no rule can see, and the plan does not expect it.

use super::action::{Action, Deed};

/// Which of the two header forms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `|FileCreated|C:\x.txt (12 bytes)|3|`
    ActivityAndText,
    /// `|FileSystemActivity|FileCreated|3|`
    CategoryAndActivity,
    /// Now this, now that.
    Mixed,
}

/// What stands before `CEF:`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prefix {
    /// Nothing.
    None,
    /// `<134>Mar  2 08:00:00 host `
    Rfc3164,
    /// `<134>1 2026-03-02T08:00:00.000Z host app - - - `
    Rfc5424,
}

/// Under which key a record tells the bytes sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BytesKey {
    /// It does not.
    None,
    /// The vendor's key.
    Vendor,
    /// The key of the CEF dictionary.
    Dictionary,
}

/// Which records name the department.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DepartmentOn {
    /// Session records.
    Sessions,
    /// Session and file records.
    SessionsAndFiles,
}

/// A collector.
#[derive(Clone, Copy, Debug)]
pub struct Collector {
    /// Name, also in file names.
    pub name: &'static str,
    /// Header form.
    pub form: Form,
    /// Syslog prefix.
    pub prefix: Prefix,
    /// Lines end in CR LF.
    pub crlf: bool,
    /// Doubles backslashes and escapes `=`.
    pub escapes: bool,
    /// Times in seconds instead of milliseconds.
    pub seconds: bool,
    /// Bytes sent and HTTP method.
    pub bytes: BytesKey,
    /// The web filter's category.
    pub category: bool,
    /// Department.
    pub department: DepartmentOn,
    /// Names hosts and people in capitals and hosts without their domain.
    pub shouts: bool,
}

/// Index of the collector of the head office.
pub const HQ: u8 = 0;
/// Index of the collector in London.
pub const LONDON: u8 = 1;
/// Index of the collector of the data centre and its administrators.
pub const DATACENTER: u8 = 2;
/// Index of the collector in Austin, which exports CSV on some days.
pub const AUSTIN: u8 = 3;

/// The collectors. Their files of a day are read in this order, since each begins with a record of the collector's own at
/// that many seconds after midnight.
pub const COLLECTORS: [Collector; 4] = [
    Collector {
        name: "hq",
        form: Form::ActivityAndText,
        prefix: Prefix::None,
        crlf: false,
        escapes: false,
        seconds: false,
        bytes: BytesKey::None,
        category: false,
        department: DepartmentOn::SessionsAndFiles,
        shouts: false,
    },
    Collector {
        name: "london",
        form: Form::Mixed,
        prefix: Prefix::Rfc3164,
        crlf: true,
        escapes: true,
        seconds: false,
        bytes: BytesKey::Vendor,
        category: true,
        department: DepartmentOn::Sessions,
        shouts: false,
    },
    Collector {
        name: "datacenter",
        form: Form::ActivityAndText,
        prefix: Prefix::Rfc5424,
        crlf: false,
        escapes: false,
        seconds: false,
        bytes: BytesKey::Dictionary,
        category: false,
        department: DepartmentOn::SessionsAndFiles,
        shouts: false,
    },
    Collector {
        name: "austin",
        form: Form::CategoryAndActivity,
        prefix: Prefix::None,
        crlf: false,
        escapes: false,
        seconds: true,
        bytes: BytesKey::None,
        category: false,
        department: DepartmentOn::Sessions,
        shouts: true,
    },
];

/// In what a collector writes on a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Medium {
    /// CEF lines.
    Cef,
    /// A CSV export with a header row.
    CsvByName,
    /// A CSV export without one.
    CsvByPosition,
}

/// What a record of an action tells besides who, where, when and what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Carries {
    /// Bytes sent and method.
    pub bytes: bool,
    /// The web filter's category.
    pub category: bool,
    /// The department.
    pub department: bool,
    /// The parent process, where the host tells it at all.
    pub parent: bool,
}

impl Collector {
    /// What the record of this action carries.
    pub fn carries(&self, medium: Medium, action: &Action) -> Carries {
        let cef = medium == Medium::Cef;
        let department = match medium {
            Medium::CsvByName => true,
            Medium::CsvByPosition => false,
            Medium::Cef => match action.deed {
                Deed::Logon | Deed::RemoteLogon | Deed::Lock | Deed::Unlock => true,
                Deed::File { .. } => self.department == DepartmentOn::SessionsAndFiles,
                _ => false,
            },
        };
        Carries { bytes: cef && self.bytes != BytesKey::None, category: cef && self.category, department, parent: cef }
    }
}
