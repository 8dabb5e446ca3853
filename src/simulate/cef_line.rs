//! An action as a CEF line: both header forms, with or without escapes and syslog prefix.
//!
//! Values may hold spaces, `=`, JSON and single backslashes, as the vendor's do. No line holds a line break but its own.

use super::action::{Action, Deed, FileOp, Method};
use super::clock::Clock;
use super::collector::{BytesKey, Collector, Form, Prefix};
use super::details::{Details, push_number};
use super::office::{Parents, department_name};
use super::plan::{Plan, day_of};
use super::sites::site_at;
use crate::calendar::Day;

/// Writes CEF lines of one collector and day.
pub struct CefLines<'a> {
    plan: &'a Plan,
    collector: &'static Collector,
    written: Day,
    clock: Clock,
    details: Details,
    line: String,
}

impl<'a> CefLines<'a> {
    /// For the file that a collector writes on a day.
    pub fn new(plan: &'a Plan, collector: &'static Collector, written: Day) -> CefLines<'a> {
        let (clock, details, line) = (Clock::default(), Details::default(), String::new());
        CefLines { plan, collector, written, clock, details, line }
    }

    /// Appends the line of an action, with its line end. Returns whether it holds invalid UTF-8.
    pub fn push(&mut self, action: &Action, out: &mut Vec<u8>) -> bool {
        self.line.clear();
        self.details.fill(self.plan, action);
        self.prefix(action);
        self.header(action);
        self.times_and_names(action);
        match action.deed {
            Deed::File { op, removable, .. } => self.file(op, removable),
            Deed::Run(_) => self.process(action),
            Deed::Browse { site, method, sent } => self.web(site, method, sent, action),
            Deed::Print => self.print(),
            Deed::Logon | Deed::RemoteLogon | Deed::Lock | Deed::Unlock => {}
        }
        self.department(action);
        self.outcome(action);
        let odd = matches!(action.deed, Deed::File { .. }) && action.salt % 1511 == 7;
        out.extend_from_slice(self.line.as_bytes());
        if odd {
            // A name that somebody's tool wrote in another encoding.
            out.extend_from_slice(b" msg=caf\xe9 \xff");
        }
        out.extend_from_slice(if self.collector.crlf { b"\r\n" } else { b"\n" });
        odd
    }

    fn prefix(&mut self, action: &Action) {
        match self.collector.prefix {
            Prefix::None => {}
            Prefix::Rfc3164 => {
                self.line.push_str("<134>");
                self.clock.push_syslog(action.arrives_ms, &mut self.line);
                self.line.push_str(" col-london ");
            }
            Prefix::Rfc5424 => {
                self.line.push_str("<134>1 ");
                self.clock.push_iso(action.arrives_ms, &mut self.line);
                self.line.push_str("Z col-dc dtex - - - ");
            }
        }
    }

    fn header(&mut self, action: &Action) {
        let (category, activity) = names(&action.deed);
        let with_text = match self.collector.form {
            Form::ActivityAndText => true,
            Form::CategoryAndActivity => false,
            Form::Mixed => action.salt & 1 == 0,
        };
        self.line.push_str("CEF:0|Dtex|DTEX InTERCEPT|6.0|");
        if !with_text {
            for part in [category, "|", activity, "|3|"] {
                self.line.push_str(part);
            }
            return;
        }
        self.line.push_str(activity);
        self.line.push('|');
        let from = self.line.len();
        self.text(action);
        if self.collector.escapes {
            let escaped = self.line.get(from..).unwrap_or_default().replace('\\', r"\\").replace('|', r"\|");
            self.line.truncate(from);
            self.line.push_str(&escaped);
        }
        self.line.push_str(if matches!(action.deed, Deed::Run(_)) { "|5|" } else { "|3|" });
    }

    fn text(&mut self, action: &Action) {
        let (line, d) = (&mut self.line, &self.details);
        match action.deed {
            Deed::File { op, .. } => {
                push_path(line, &d.file_dir, &d.file_name);
                if op == FileOp::Renamed {
                    line.push_str(" ➔ ");
                    push_path(line, &d.target_dir, &d.target_name);
                }
                if d.file_size > 0 {
                    line.push_str(" (");
                    push_number(line, d.file_size);
                    line.push_str(" bytes)");
                } else if action.salt.is_multiple_of(3) {
                    // Some agents end a directory with a backslash, right before the bar.
                    line.push('\\');
                }
            }
            Deed::Run(_) => {
                line.push_str("Running ");
                push_path(line, &d.process_dir, &d.process_name);
            }
            Deed::Browse { .. } => line.push_str("Web page accessed"),
            Deed::Print => line.push_str("Document printed"),
            Deed::Logon => line.push_str("User logged on"),
            Deed::RemoteLogon => line.push_str("Remote session connected"),
            Deed::Lock => line.push_str("Session locked"),
            Deed::Unlock => line.push_str("Session unlocked"),
        }
    }

    fn times_and_names(&mut self, action: &Action) {
        self.line.push_str("start=");
        let time = if self.collector.seconds { action.at_ms / 1000 } else { action.at_ms };
        push_number(&mut self.line, time.unsigned_abs());
        self.pair("Device_Name", Part::Device);
        if !self.details.user.is_empty() && !self.names_come_last(action) {
            self.pair("User_Name", Part::User);
        }
    }

    /// A rare order of the keys: who it was stands only after the free text.
    fn names_come_last(&self, action: &Action) -> bool {
        self.collector.prefix == Prefix::None
            && !self.collector.seconds
            && action.scene == 0
            && matches!(action.deed, Deed::Run(_))
            && action.salt % 499 == 3
    }

    fn file(&mut self, op: FileOp, removable: bool) {
        self.process_keys();
        self.pair("Source_File_Name", Part::FileName);
        self.pair("Source_File_Directory", Part::FileDir);
        if !self.details.file_ext.is_empty() {
            self.literal("Source_File_Extension", self.details.file_ext);
        }
        self.number("Source_File_Size", self.details.file_size);
        self.json_of_file("Source_File_Details", "Fixed");
        if op.has_destination() {
            self.pair("Destination_File_Name", Part::TargetName);
            self.pair("Destination_File_Directory", Part::TargetDir);
            if !self.details.file_ext.is_empty() {
                self.literal("Destination_File_Extension", self.details.file_ext);
            }
            self.json_of_file("Destination_File_Details", if removable { "Removable" } else { "Fixed" });
        }
    }

    fn process_keys(&mut self) {
        self.pair("Process_Name", Part::ProcessName);
        self.pair("Process_Directory", Part::ProcessDir);
        if !self.details.product.is_empty() {
            for part in [r#" Process_Details={"ImageDetails":{"ProductName":""#, self.details.product, r#""}}"#] {
                self.line.push_str(part);
            }
        }
    }

    fn process(&mut self, action: &Action) {
        self.process_keys();
        let told = self.plan.carries(action, self.written).parent && !self.details.parent.is_empty();
        match self.plan.host(action).parents {
            Parents::Key if told => self.literal("Parent_Process_Name", self.details.parent),
            Parents::Json if told => {
                let parent = self.details.parent.replace('\\', r"\\");
                self.line.push_str(r#" Process_Details={"ProcessId":"#);
                push_number(&mut self.line, u64::from(self.details.pid));
                for part in [r#","ParentImage":""#, &parent, r#""}"#] {
                    self.line.push_str(part);
                }
            }
            _ => {
                self.line.push_str(r#" Process_Details={"ProcessId":"#);
                push_number(&mut self.line, u64::from(self.details.pid));
                self.line.push('}');
            }
        }
        self.department(action);
        // One collector puts the command line under the vendor's key, the others under the dictionary's.
        self.pair(if self.collector.seconds { "Process_Parameters" } else { "reason" }, Part::CommandLine);
        if self.names_come_last(action) {
            self.pair("User_Name", Part::User);
        }
    }

    fn web(&mut self, site: u16, method: Method, sent: u64, action: &Action) {
        self.pair("Website_Query", Part::Url);
        self.literal("Website_Protocol", "HTTPS");
        self.literal("Network_Remote_Port", "443");
        self.line.push_str(r#" Website_Details={"OsPlatform":"Windows 10","ContentType":"text/html"}"#);
        let carries = self.plan.carries(action, self.written);
        if carries.category {
            self.literal("Website_Category", site_at(site).category);
        }
        if carries.bytes {
            self.literal("requestMethod", method.name());
            let received = 1000 * u64::from(1 + action.salt % 97);
            match self.collector.bytes {
                BytesKey::Dictionary => {
                    self.number("out", sent);
                    self.number("in", received);
                }
                BytesKey::Vendor | BytesKey::None => {
                    self.number("Network_Bytes_Sent", sent);
                    self.number("Network_Bytes_Received", received);
                }
            }
        }
    }

    fn print(&mut self) {
        self.pair("Source_File_Name", Part::FileName);
        for part in [r#" Printer_Details={"Name":""#, self.details.printer, r#""} reason=Printed ["#] {
            self.line.push_str(part);
        }
        push_number(&mut self.line, u64::from(self.details.pages));
        self.line.push_str(" page(s)] [");
        push_number(&mut self.line, self.details.file_size);
        self.line.push_str(" bytes]");
    }

    fn department(&mut self, action: &Action) {
        let carries = self.plan.carries(action, self.written);
        let day = day_of(action.at_ms);
        if let Some(person) = self.plan.person(action).filter(|_| carries.department) {
            if let Some(department) = self.plan.office.department_on(person, day) {
                self.literal("User_Department", department_name(department));
            }
            self.literal("User_Location", self.plan.office.location_on(person, day));
        }
    }

    fn outcome(&mut self, action: &Action) {
        self.line.push_str(" outcome=Success");
        if self.collector.prefix == Prefix::Rfc5424 && action.salt.is_multiple_of(5) {
            // A key that the list does not have.
            self.line.push_str(" Agent_Version=6.2.11.4");
        }
    }

    fn pair(&mut self, key: &str, part: Part) {
        let d = &self.details;
        let value = match part {
            Part::User => &d.user,
            Part::Device => &d.device,
            Part::ProcessName => &d.process_name,
            Part::ProcessDir => &d.process_dir,
            Part::CommandLine => &d.command_line,
            Part::FileName => &d.file_name,
            Part::FileDir => &d.file_dir,
            Part::TargetName => &d.target_name,
            Part::TargetDir => &d.target_dir,
            Part::Url => &d.url,
        };
        push_pair(&mut self.line, self.collector.escapes, key, value);
    }

    fn literal(&mut self, key: &str, value: &str) {
        push_pair(&mut self.line, self.collector.escapes, key, value);
    }

    fn number(&mut self, key: &str, n: u64) {
        for part in [" ", key, "="] {
            self.line.push_str(part);
        }
        push_number(&mut self.line, n);
    }

    /// JSON is written raw by every collector.
    fn json_of_file(&mut self, key: &str, drive: &str) {
        for part in [" ", key, r#"={"Type":""#, self.details.file_kind, r#"","Drive":""#, drive, r#""}"#] {
            self.line.push_str(part);
        }
    }
}

/// A text of [`Details`].
#[derive(Clone, Copy)]
enum Part {
    User,
    Device,
    ProcessName,
    ProcessDir,
    CommandLine,
    FileName,
    FileDir,
    TargetName,
    TargetDir,
    Url,
}

fn push_pair(line: &mut String, escapes: bool, key: &str, value: &str) {
    line.push(' ');
    line.push_str(key);
    line.push('=');
    if !escapes {
        line.push_str(value);
        return;
    }
    for c in value.chars() {
        if matches!(c, '\\' | '=') {
            line.push('\\');
        }
        line.push(c);
    }
}

fn push_path(line: &mut String, dir: &str, name: &str) {
    line.push_str(dir);
    line.push('\\');
    line.push_str(name);
}

/// Category and activity of a record.
pub fn names(deed: &Deed) -> (&'static str, &'static str) {
    match deed {
        Deed::File { op, .. } => ("FileSystemActivity", op.activity()),
        Deed::Run(_) => ("ProcessActivity", "ProcessCreated"),
        Deed::Browse { .. } => ("NetworkActivity", "WebPageAccessed"),
        Deed::Print => ("PrintJobActivity", "PrintJobIssued"),
        Deed::Logon => ("SessionActivity", "SessionLogon"),
        Deed::RemoteLogon => ("SessionActivity", "SessionRemoteConnected"),
        Deed::Lock => ("SessionActivity", "SessionLocked"),
        Deed::Unlock => ("SessionActivity", "SessionUnlocked"),
    }
}
