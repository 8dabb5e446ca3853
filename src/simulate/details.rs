//! The particulars of a record: names, paths, sizes and addresses that follow from an action and its salt.
//!
//! One `Details` is filled again and again, so that writing a record allocates nothing once its strings have grown.

use super::action::{Action, Actor, Deed, FileOp, Image, Start};
use super::more_commands::command_at;
use super::plan::Plan;
use super::programs::{INSTALLED, ROUTINE, TEMPORARY};
use super::rng::Rng;
use super::sites::site_at;

const WORDS: &[&str] = &[
    "Budget",
    "Forecast",
    "Offer",
    "Contract",
    "Minutes",
    "Roadmap",
    "Invoice",
    "Report",
    "Draft",
    "Plan",
    "Review",
    "Survey",
    "Design",
    "Campaign",
    "Payroll",
    "Audit",
    "Summary",
    "Checklist",
    "Agenda",
    "Timeline",
    "Übersicht",
];
const SUBJECTS: &[&str] = &[
    "Alpha",
    "Borealis",
    "Customer list",
    "Q1",
    "Q2",
    "Q3",
    "Berlin",
    "London",
    "Austin",
    "Launch",
    "Pricing",
    "Team",
    "Supplier",
    "Prototype",
    "a=b",
    "R&D",
];
const ENDINGS: &[&str] = &["", "", "", " 2026", " (2)", " final", " v=2", " - copy"];
const PRINTERS: &[&str] = &["HQ-2F-Color", "HQ-3F", "LON-1F", "AUS-Lobby"];

/// What a record says besides who, where and when.
#[derive(Debug, Default)]
pub struct Details {
    /// Account as written, with its domain.
    pub user: String,
    /// Machine as written.
    pub device: String,
    /// Directory of the process.
    pub process_dir: String,
    /// File name of the process.
    pub process_name: String,
    /// Product of the process.
    pub product: &'static str,
    /// Command line.
    pub command_line: String,
    /// Full path of the parent process; empty when the record does not tell it.
    pub parent: &'static str,
    /// Process id.
    pub pid: u32,
    /// Directory of the file.
    pub file_dir: String,
    /// Name of the file.
    pub file_name: String,
    /// Extension of the file, without a dot.
    pub file_ext: &'static str,
    /// The vendor's word for the kind of file.
    pub file_kind: &'static str,
    /// Bytes of the file.
    pub file_size: u64,
    /// Where the file was copied, moved or renamed to; empty otherwise.
    pub target_dir: String,
    /// The name it got.
    pub target_name: String,
    /// Address visited.
    pub url: String,
    /// Printer.
    pub printer: &'static str,
    /// Pages printed.
    pub pages: u32,
    account: String,
}

impl Details {
    /// Fills in an action's particulars.
    pub fn fill(&mut self, plan: &Plan, action: &Action) {
        let mut rng = Rng::of(&[plan.seed, u64::from(action.salt)]);
        self.name_actor(plan, action);
        self.pid = 4 * (200 + rng.below(3000));
        self.target_dir.clear();
        self.target_name.clear();
        self.parent = "";
        match action.deed {
            Deed::File { op, image, removable } => {
                self.process_of(image, &mut rng);
                self.file(op, removable, &mut rng);
            }
            Deed::Run(start) => self.process_start(start, &mut rng),
            Deed::Browse { site, .. } => self.address(site, &mut rng),
            Deed::Print => {
                self.process_of(Image::Installed(2), &mut rng);
                self.file(FileOp::Read, false, &mut rng);
                self.printer = rng.pick(PRINTERS);
                self.pages = 1 + rng.below(12);
            }
            Deed::Logon | Deed::RemoteLogon | Deed::Lock | Deed::Unlock => {}
        }
    }

    fn name_actor(&mut self, plan: &Plan, action: &Action) {
        let host = plan.host(action);
        let shouts = plan.collector(action).shouts;
        self.device.clear();
        if !shouts {
            self.device.push_str("CORP\\");
        }
        self.device.push_str(&host.name);
        self.user.clear();
        self.account.clear();
        match action.actor {
            Actor::Person(_) => {
                if let Some(person) = plan.person(action) {
                    self.account.push_str(&person.account);
                    if !person.domain.is_empty() {
                        self.user.push_str(person.domain);
                        self.user.push('\\');
                    }
                    self.user.push_str(&person.account);
                    if shouts {
                        self.user.make_ascii_uppercase();
                    }
                }
            }
            Actor::System => self.user.push_str("NT AUTHORITY\\SYSTEM"),
            Actor::Machine => {
                self.user.push_str("CORP\\");
                self.user.push_str(&host.name);
                self.user.push('$');
            }
            Actor::AppPool => self.user.push_str("IIS APPPOOL\\DefaultAppPool"),
            Actor::Nobody => {}
        }
        if self.account.is_empty() {
            self.account.push_str("Public");
        }
    }

    fn process_of(&mut self, image: Image, rng: &mut Rng) {
        let (dir, name, product, ext, kind) = match image {
            Image::Installed(i) => INSTALLED
                .get(usize::from(i))
                .map_or(("", "", "", "", ""), |p| (p.dir, p.name, p.product, p.ext, p.kind)),
            Image::Temporary(i) => TEMPORARY
                .get(usize::from(i))
                .map_or(("", "", "", "", ""), |p| (p.dir, p.name, p.product, "dll", "Executable")),
        };
        self.process_dir.clear();
        expand(dir, &self.account, rng, &mut self.process_dir);
        self.process_name.clear();
        expand(name, &self.account, rng, &mut self.process_name);
        self.product = product;
        self.file_ext = ext;
        self.file_kind = kind;
    }

    fn process_start(&mut self, start: Start, rng: &mut Rng) {
        let (dir, name, line, parent) = match start {
            Start::Routine(i) => ROUTINE.get(usize::from(i)).map_or(("", "", "", ""), |p| (p.dir, p.name, p.line, "")),
            Start::Planted(i) => command_at(i).map_or(("", "", "", ""), |p| (p.dir, p.name, p.line, p.parent)),
        };
        self.process_dir.clear();
        self.process_name.clear();
        self.process_name.push_str(name);
        self.command_line.clear();
        if matches!(start, Start::Routine(_)) {
            expand(dir, &self.account, rng, &mut self.process_dir);
            expand(line, &self.account, rng, &mut self.command_line);
        } else {
            // Planted lines are taken as they stand.
            self.process_dir.push_str(dir);
            self.command_line.push_str(line);
        }
        self.product = "";
        self.parent = parent;
    }

    fn file(&mut self, op: FileOp, removable: bool, rng: &mut Rng) {
        let directory = matches!(op, FileOp::DirectoryCreated | FileOp::DirectoryDeleted);
        self.file_size = if directory { 0 } else { 512 * u64::from(1 + rng.below(1 + rng.clone().below(4000))) };
        self.file_dir.clear();
        match rng.below(4) {
            0 => expand(r"C:\Users\%u\Documents", &self.account, rng, &mut self.file_dir),
            1 => expand(r"C:\Users\%u\Downloads", &self.account, rng, &mut self.file_dir),
            2 => self.file_dir.push_str(r"\\fs01\projects"),
            _ => expand(r"C:\Users\%u\AppData\Local\Work", &self.account, rng, &mut self.file_dir),
        }
        self.file_dir.push('\\');
        self.file_dir.push_str(rng.pick(SUBJECTS));
        self.file_name.clear();
        self.name_file(directory, rng);
        if op.has_destination() {
            self.target_name.push_str(&self.file_name);
            if removable {
                self.target_dir.push_str(r"E:\Backup");
            } else if op == FileOp::Renamed {
                self.target_dir.push_str(&self.file_dir);
                self.target_name.insert_str(0, "Old ");
            } else {
                expand(r"C:\Users\%u\Desktop", &self.account, rng, &mut self.target_dir);
            }
        }
    }

    fn name_file(&mut self, directory: bool, rng: &mut Rng) {
        for part in [rng.pick(WORDS), " ", rng.pick(SUBJECTS), rng.pick(ENDINGS)] {
            self.file_name.push_str(part);
        }
        if directory {
            self.file_ext = "";
            self.file_kind = "Folder";
        } else {
            self.file_name.push('.');
            self.file_name.push_str(self.file_ext);
        }
    }

    fn address(&mut self, site: u16, rng: &mut Rng) {
        let host = site_at(site).host;
        self.url.clear();
        match rng.below(200) {
            // Without a scheme; with a port; in capitals: the same host every time.
            0 => self.url.push_str(host),
            1 => {
                self.url.push_str("https://");
                self.url.push_str(host);
                self.url.push_str(":8443");
            }
            2 => {
                self.url.push_str("HTTPS://");
                self.url.push_str(&host.to_ascii_uppercase());
            }
            _ => {
                self.url.push_str("https://");
                self.url.push_str(host);
            }
        }
        self.url.push_str(rng.pick(&["/", "/home", "/s/list", "/api/v2/items", "/search?q=a%20b&in=all", "/d?id="]));
        push_number(&mut self.url, u64::from(rng.below(90)));
    }
}

/// Writes a decimal number.
pub fn push_number(text: &mut String, mut n: u64) {
    let mut digits = [0u8; 20];
    let mut used = 0;
    for slot in &mut digits {
        *slot = b'0' + (n % 10) as u8;
        used += 1;
        n /= 10;
        if n == 0 {
            break;
        }
    }
    text.extend(digits.iter().take(used).rev().map(|d| char::from(*d)));
}

/// Replaces the marks of a template: see [`super::programs`].
fn expand(template: &str, account: &str, rng: &mut Rng, out: &mut String) {
    let mut parts = template.split('%');
    out.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let mut rest = part.chars();
        match rest.next() {
            Some('u') => out.push_str(account),
            Some('5') => random(out, rng, 5, b"ABCDEFGHJKMNPQRSTUVWXYZ23456789"),
            Some('d') => random(out, rng, 6, b"123456789"),
            Some('x') => random(out, rng, 8, b"0123456789ABCDEF"),
            Some('v') => {
                for (i, n) in [5, rng.below(20), rng.below(9)].into_iter().enumerate() {
                    if i > 0 {
                        out.push('.');
                    }
                    push_number(out, u64::from(n));
                }
            }
            Some('g') => {
                for (i, length) in [8, 4, 4, 4, 12].into_iter().enumerate() {
                    if i > 0 {
                        out.push('-');
                    }
                    random(out, rng, length, b"0123456789abcdef");
                }
            }
            Some(other) => {
                out.push('%');
                out.push(other);
            }
            None => out.push('%'),
        }
        out.push_str(rest.as_str());
    }
}

fn random(out: &mut String, rng: &mut Rng, length: usize, letters: &[u8]) {
    out.extend((0..length).map(|_| char::from(rng.pick(letters))));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_filled_and_other_percent_signs_stay() {
        let mut out = String::new();
        expand(r"C:\Users\%u\is-%5.tmp %A %v %g", "jdoe", &mut Rng::of(&[3]), &mut out);
        let parts: Vec<&str> = out.split(' ').collect();
        assert!(parts[0].starts_with(r"C:\Users\jdoe\is-") && parts[0].len() == r"C:\Users\jdoe\is-12345.tmp".len());
        assert_eq!(parts[1], "%A");
        assert_eq!(parts[2].split('.').count(), 3);
        assert_eq!(parts[3].len(), 36);
    }

    #[test]
    fn numbers_are_written_in_decimal() {
        for n in [0, 7, 10, 90_210, u64::MAX] {
            let mut text = String::new();
            push_number(&mut text, n);
            assert_eq!(text, n.to_string());
        }
    }
}
