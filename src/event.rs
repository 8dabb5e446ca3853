//! One event: what a line of a spool means, as spans into its batch.
//!
//! The hot path allocates nothing per event. A record stays where it was read ([`Text::raw`]); text that had to be
//! changed (unescaped, lower-cased, joined) is appended to the batch's arena. A [`Span`] names a piece of either.
//! Units: `time_ms` is milliseconds since the Unix epoch, UTC. What this file never does: know a vendor's key names.

mod span;

pub use span::{Span, Text};

use serde::{Deserialize, Serialize};

/// Declares an enum whose members have one spelling, used by content, alerts and the control socket alike.
macro_rules! named_enum {
    ($(#[$meta:meta])* $name:ident { $($(#[$vmeta:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum $name { $($(#[$vmeta])* $variant),+ }

        impl $name {
            /// Every member, in declaration order.
            pub const ALL: &'static [$name] = &[$($name::$variant),+];
            /// How many members there are.
            pub const COUNT: usize = Self::ALL.len();

            /// The spelling in content, alerts and output.
            pub const fn name(self) -> &'static str {
                match self { $($name::$variant => $text),+ }
            }

            /// The member with this spelling.
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($text => Some($name::$variant),)+ _ => None }
            }

            /// Position in [`Self::ALL`], for tables indexed by member.
            pub const fn index(self) -> usize { self as usize }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.write_str(self.name()) }
        }
    };
}

pub(crate) use named_enum;

named_enum! {
    /// What happened, in the vocabulary of the content.
    EventType {
        /// A file was created, changed, copied, moved or renamed.
        FileWrite = "file-write",
        /// A file was read.
        FileRead = "file-read",
        /// A file or directory was deleted.
        FileDelete = "file-delete",
        /// A file write whose target is removable media. Rules for `file-write` see it too.
        UsbWrite = "usb-write",
        /// A process was started.
        ProcessCreated = "process-created",
        /// A web request that was let through.
        WebActivityAllowed = "web-activity-allowed",
        /// A print job.
        PrintActivity = "print-activity",
        /// A log-on at the console.
        LocalLogon = "local-logon",
        /// A log-on over the network.
        RemoteLogon = "remote-logon",
        /// The session was locked.
        WorkstationLocked = "workstation-locked",
        /// The session was unlocked.
        WorkstationUnlocked = "workstation-unlocked",
    }
}

impl EventType {
    /// The type under which content declares itself: `usb-write` is also a `file-write`.
    pub fn is_a(self, declared: EventType) -> bool {
        self == declared || (self == EventType::UsbWrite && declared == EventType::FileWrite)
    }

    /// The name of the host field for this type: the destination for what happens on a host, the source for what leaves it.
    pub fn host_alias(self) -> &'static str {
        match self {
            EventType::WebActivityAllowed | EventType::PrintActivity => "src_host",
            _ => "dest_host",
        }
    }
}

named_enum! {
    /// A normalised field. Parsers fill them, enrichment adds some, rules and models read them.
    Field {
        /// What the record calls the activity.
        Activity = "activity",
        /// Account name without its domain, as written.
        User = "user",
        /// Domain of the account, as written.
        UserDomain = "user_domain",
        /// Enriched: the lower-case key of the account (`domain\name`, or `host\name` for accounts of a machine).
        UserKey = "user_key",
        /// Host name without its domain, as written. Content may also say `dest_host` or `src_host`.
        Host = "host",
        /// Domain of the host, as written.
        HostDomain = "host_domain",
        /// Enriched: the lower-case key of the host.
        HostKey = "host_key",
        /// Department of the account, as the record names it.
        Department = "department",
        /// Full path of the file.
        FilePath = "file_path",
        /// File name.
        FileName = "file_name",
        /// Directory of the file.
        FileDir = "file_dir",
        /// Extension of the file.
        FileExt = "file_ext",
        /// Type of the file as the vendor classifies it.
        FileType = "file_type",
        /// Kind of drive of the file.
        DriveType = "drive_type",
        /// Size in bytes of the file or print job.
        Bytes = "bytes",
        /// Directory that a renamed or copied file came from.
        SrcFileDir = "src_file_dir",
        /// Name that a renamed or copied file had.
        SrcFileName = "src_file_name",
        /// Full path of the process image.
        ProcessPath = "process_path",
        /// File name of the process image.
        ProcessName = "process_name",
        /// Directory of the process image.
        ProcessDir = "process_dir",
        /// Enriched: canonical directory and name of the process.
        ProcessKey = "process_key",
        /// Enriched: file name of the process, lower-case, without `.exe` or `.com`.
        Image = "image",
        /// Enriched: the same of the parent process.
        ParentImage = "parent_image",
        /// Product name of the process image.
        App = "app",
        /// Command line.
        CommandLine = "command_line",
        /// Process id.
        Pid = "pid",
        /// Full path of the parent process image.
        ParentProcessPath = "parent_process_path",
        /// File name of the parent process image.
        ParentProcessName = "parent_process_name",
        /// The address visited.
        Url = "url",
        /// Host of the address: lower-case, punycode.
        WebDomain = "web_domain",
        /// Registrable domain of `web_domain`.
        TopDomain = "top_domain",
        /// Path of the address.
        UriPath = "uri_path",
        /// Query of the address.
        UriQuery = "uri_query",
        /// Application protocol.
        Protocol = "protocol",
        /// Remote port.
        DestPort = "dest_port",
        /// Operating system of the host.
        Os = "os",
        /// Media type of the answer.
        Mime = "mime",
        /// Referring address.
        Referrer = "referrer",
        /// HTTP method.
        Method = "method",
        /// Category that a web filter gave.
        Category = "category",
        /// Bytes sent.
        BytesOut = "bytes_out",
        /// Bytes received.
        BytesIn = "bytes_in",
        /// Name of the printer.
        PrinterName = "printer_name",
        /// Pages printed.
        NumPages = "num_pages",
        /// What was printed.
        Object = "object",
        /// Code of a session event.
        EventCode = "event_code",
        /// Free text of the record.
        Description = "description",
    }
}

// `FieldSet` is a u64.
const _: () = assert!(Field::COUNT <= 64);

impl Field {
    /// The field that content means, with the aliases of the host.
    pub fn resolve(name: &str) -> Option<Field> {
        match name {
            "dest_host" | "src_host" => Some(Field::Host),
            _ => Field::from_name(name),
        }
    }

    /// The name to print for an event of this type.
    pub fn display_name(self, kind: EventType) -> &'static str {
        match self {
            Field::Host => kind.host_alias(),
            _ => self.name(),
        }
    }
}

/// A set of fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldSet(pub u64);

impl FieldSet {
    /// How a program and its parent are named, and what follows from that alone: see [`Draft::program`].
    pub const OF_PROGRAM: FieldSet = FieldSet::of(Field::ProcessPath)
        .union(FieldSet::of(Field::ProcessName))
        .union(FieldSet::of(Field::ProcessDir))
        .union(FieldSet::of(Field::ParentProcessPath))
        .union(FieldSet::of(Field::ParentProcessName))
        .union(FieldSet::of(Field::Image))
        .union(FieldSet::of(Field::ParentImage))
        .union(FieldSet::of(Field::ProcessKey));

    /// Which program was started, and how: few texts, met again and again. Whose it is, where and when is no part of it.
    pub const RECURRING: FieldSet =
        FieldSet::OF_PROGRAM.union(FieldSet::of(Field::App)).union(FieldSet::of(Field::CommandLine));

    /// The set with this field alone.
    pub const fn of(field: Field) -> Self {
        FieldSet(1 << (field as u8))
    }
    /// Adds a field.
    pub fn insert(&mut self, field: Field) {
        self.0 |= 1 << (field as u8);
    }
    /// Whether the field is in the set.
    pub const fn contains(self, field: Field) -> bool {
        self.0 & (1 << (field as u8)) != 0
    }
    /// Members of both.
    #[must_use]
    pub const fn union(self, other: FieldSet) -> FieldSet {
        FieldSet(self.0 | other.0)
    }
    /// The fields, in declaration order.
    pub fn iter(self) -> impl Iterator<Item = Field> {
        Field::ALL.iter().copied().filter(move |f| self.contains(*f))
    }
}

named_enum! {
    /// A yes-or-no fact that enrichment adds to an event.
    Flag {
        /// The process ran from a temporary directory.
        IsTemp = "is_temp",
        /// The domain or its category is a file-sharing service, and not the site's own tenant.
        IsFileSharing = "is_file_sharing",
        /// The domain is a name under a dynamic-DNS service.
        IsDynamicDns = "is_dynamic_dns",
        /// The domain belongs to the site itself (`sanctioned_domains`).
        IsSanctioned = "is_sanctioned",
    }
}

/// The flags of one event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags(pub u8);

impl Flags {
    /// Sets a flag.
    pub fn set(&mut self, flag: Flag) {
        self.0 |= 1 << (flag as u8);
    }
    /// Whether a flag is set.
    pub const fn has(self, flag: Flag) -> bool {
        self.0 & (1 << (flag as u8)) != 0
    }
}

/// What is known of an event by those of its fields that recur: see [`FieldSet::RECURRING`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Recurs {
    /// Nothing: it is judged like any other.
    #[default]
    Unknown,
    /// Its like was not met before. Who judges it says whether it is settled.
    Open,
    /// No rule and no model concerns itself with its like, whatever the other fields say. Fields that recur are not filled.
    Settled(Settled),
}

/// What is told of a settled event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// Fields that it has and that are not filled.
    pub present: FieldSet,
    /// Its command line is too long to be judged whole.
    pub is_truncated: bool,
}

/// The event that a worker is filling. Reused from event to event; `present` says which spans count.
#[derive(Clone, Debug)]
pub struct Draft {
    /// What happened.
    pub kind: EventType,
    /// When, in milliseconds since the epoch, UTC.
    pub time_ms: i64,
    /// Facts from enrichment.
    pub flags: Flags,
    /// Which fields are there.
    pub present: FieldSet,
    /// Events with the same number, but 0, have the same texts in all of [`FieldSet::OF_PROGRAM`].
    pub program: u64,
    /// What is known of its like.
    pub recurs: Recurs,
    spans: [Span; Field::COUNT],
}

impl Default for Draft {
    fn default() -> Self {
        Draft {
            kind: EventType::FileWrite,
            time_ms: 0,
            flags: Flags::default(),
            present: FieldSet::default(),
            program: 0,
            recurs: Recurs::Unknown,
            spans: [Span::EMPTY; Field::COUNT],
        }
    }
}

impl Draft {
    /// A draft of this kind and time without fields.
    pub fn empty(kind: EventType, time_ms: i64) -> Draft {
        Draft { kind, time_ms, ..Draft::default() }
    }

    /// Empties the draft for the next event.
    #[inline]
    pub fn clear(&mut self) {
        self.flags = Flags::default();
        self.present = FieldSet::default();
        self.program = 0;
        self.recurs = Recurs::Unknown;
    }

    /// Sets a field to a text that no record holds: it is put behind `raw`, the record's bytes so far.
    pub fn append(&mut self, field: Field, value: &str, raw: &mut Vec<u8>) {
        let from = raw.len();
        raw.extend_from_slice(value.as_bytes());
        self.set(field, Span::raw(from, raw.len()));
    }

    /// Sets a field. An empty span leaves the field missing.
    #[inline]
    pub fn set(&mut self, field: Field, span: Span) {
        if span.is_empty() {
            return;
        }
        if let Some(slot) = self.spans.get_mut(field.index()) {
            *slot = span;
            self.present.insert(field);
        }
    }

    /// Takes a field away.
    pub fn unset(&mut self, field: Field) {
        self.present.0 &= !FieldSet::of(field).0;
    }

    /// The span of a field; empty when it is missing.
    #[inline]
    pub fn span(&self, field: Field) -> Span {
        if self.present.contains(field) {
            self.spans.get(field.index()).copied().unwrap_or(Span::EMPTY)
        } else {
            Span::EMPTY
        }
    }
}

/// A draft together with its text: what enrichment, rules and models read.
#[derive(Clone, Copy)]
pub struct EventView<'a> {
    /// The event.
    pub draft: &'a Draft,
    /// Its text.
    pub text: Text<'a>,
}

impl<'a> EventView<'a> {
    /// The value of a field, or `None` when the event does not carry it.
    #[inline]
    pub fn get(&self, field: Field) -> Option<&'a [u8]> {
        if self.draft.present.contains(field) { Some(self.text.get(self.draft.span(field))) } else { None }
    }

    /// A decimal field as a number; `None` when missing or not a number.
    pub fn number(&self, field: Field) -> Option<u64> {
        parse_decimal(self.get(field)?)
    }
}

/// Reads an unsigned decimal, surrounding blanks tolerated; saturates at `u64::MAX`. `None` for anything else.
pub fn parse_decimal(text: &[u8]) -> Option<u64> {
    let text = text.trim_ascii();
    if text.is_empty() {
        return None;
    }
    let mut n: u64 = 0;
    for b in text {
        if !b.is_ascii_digit() {
            return None;
        }
        n = n.saturating_mul(10).saturating_add(u64::from(b - b'0'));
    }
    Some(n)
}

named_enum! {
    /// Why a record is not an event. Counted per file and reason.
    Reject {
        /// No parser claims the line.
        NoParser = "no_parser",
        /// The line begins like CEF but its header is broken.
        BadHeader = "bad_header",
        /// The activity is missing or unknown.
        UnknownActivity = "unknown_activity",
        /// The time is missing or unreadable.
        BadTime = "bad_time",
        /// The record is longer than `max_line_bytes`.
        TooLong = "too_long",
        /// The record is of the other format than its file.
        WrongFormat = "wrong_format",
        /// A quote of a CSV record never closes within the limits.
        OpenQuote = "open_quote",
        /// A CSV row with fewer cells than its layout needs.
        ShortRow = "short_row",
        /// The record holds NUL bytes or is otherwise binary.
        Binary = "binary",
    }
}

named_enum! {
    /// Things worth counting in a record that was used all the same.
    Oddity {
        /// `User_Name`, `Device_Name` or the time stood only after the free text: may be forged.
        IdentityAfterReason = "identity_after_reason",
        /// Invalid UTF-8 was replaced.
        InvalidUtf8 = "invalid_utf8",
        /// A key that is not in the list ended a value and was ignored.
        UnknownKey = "unknown_key",
        /// An address without `scheme://` was taken.
        UrlWithoutScheme = "url_without_scheme",
        /// A command line longer than the limit was judged on its head and tail.
        TruncatedCommandLine = "truncated_command_line",
        /// A JSON value could not be read.
        BrokenJson = "broken_json",
    }
}

/// Counts of one reason type, indexed by member.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts(pub Vec<u64>);

impl Counts {
    /// Adds to a member's count.
    pub fn add(&mut self, index: usize, n: u64) {
        if self.0.len() <= index {
            self.0.resize(index + 1, 0);
        }
        if let Some(slot) = self.0.get_mut(index) {
            *slot += n;
        }
    }
    /// A member's count.
    pub fn get(&self, index: usize) -> u64 {
        self.0.get(index).copied().unwrap_or(0)
    }
    /// Adds all counts of another.
    pub fn merge(&mut self, other: &Counts) {
        for (i, n) in other.0.iter().enumerate() {
            if *n > 0 {
                self.add(i, *n);
            }
        }
    }
    /// The sum of all members.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }
    /// Sets every count to zero, keeping the allocation.
    pub fn clear(&mut self) {
        self.0.iter_mut().for_each(|n| *n = 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_outside_their_text_read_as_empty() {
        let text = Text { raw: b"abc", arena: b"xyz" };
        assert_eq!(text.get(Span::raw(1, 3)), b"bc");
        assert_eq!(text.get(Span::arena(0, 2)), b"xy");
        assert_eq!(text.get(Span::raw(2, 9)), b"");
        assert_eq!(text.get(Span::arena(0, 3).part(1, 9)), b"yz");
    }

    #[test]
    fn every_field_has_one_spelling() {
        for f in Field::ALL {
            assert_eq!(Field::from_name(f.name()), Some(*f));
        }
        assert_eq!(Field::resolve("src_host"), Some(Field::Host));
    }

    #[test]
    fn usb_writes_are_file_writes_but_not_the_reverse() {
        assert!(EventType::UsbWrite.is_a(EventType::FileWrite));
        assert!(!EventType::FileWrite.is_a(EventType::UsbWrite));
    }

    #[test]
    fn decimals_saturate_and_refuse_signs() {
        assert_eq!(parse_decimal(b" 42 "), Some(42));
        assert_eq!(parse_decimal(b"99999999999999999999999"), Some(u64::MAX));
        assert_eq!(parse_decimal(b"-1"), None);
        assert_eq!(parse_decimal(b""), None);
    }
}
