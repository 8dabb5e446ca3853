//! Tables of names: plain files, one entry a line, `#` comments, `!` exceptions; and the lists of `enrichment.toml`.
//!
//! A table with the comment `# default: off` contains nothing until a site switches it on.

use crate::content::fault::suggest;
use crate::content::section::Document;
use crate::content::{Fault, Faults};
use hashbrown::HashSet;
use std::collections::BTreeMap;

/// A set of lower-case names, seeded like every table that outside text is looked up in.
pub(super) type Names = HashSet<Box<[u8]>, foldhash::fast::RandomState>;

/// One table.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// Whether it is used.
    pub on: bool,
    pub(super) entries: Names,
    /// Lines with `!`: names that do not count.
    pub(super) exceptions: Names,
}

/// All tables, compiled.
#[derive(Clone, Debug, Default)]
pub struct Tables {
    tables: BTreeMap<String, Table>,
    pub(super) lists: Lists,
}

/// What `enrichment.toml` says.
#[derive(Clone, Debug, Default)]
pub(super) struct Lists {
    pub machine_suffixes: Vec<Box<[u8]>>,
    pub machine_names: Names,
    pub machine_domains: Names,
    pub executable_suffixes: Vec<Box<[u8]>>,
    pub profile_roots: Names,
    pub scratch_directories: Vec<Box<[u8]>>,
    pub scratch_files: Vec<Box<[u8]>>,
}

/// The name of the TOML file among the tables.
const LISTS: &str = "enrichment";
/// The table that the setting `sanctioned_domains` extends.
const SANCTIONED: &str = "sanctioned_domains";

impl Tables {
    /// Compiles tables (name without `.txt` → text; `enrichment` is TOML). `switches` turns tables on or off;
    /// `sanctioned` are the site's own domains.
    pub fn compile(
        files: &BTreeMap<String, String>,
        switches: &BTreeMap<String, bool>,
        sanctioned: &[String],
        faults: &mut Faults,
    ) -> Tables {
        let mut tables = Tables::default();
        for (name, text) in files {
            if name == LISTS {
                let document = Document::new("enrichment.toml", text.clone());
                tables.lists = Lists::read(&document, faults).unwrap_or_default();
            } else {
                tables.tables.insert(name.clone(), Table::read(name, text, faults));
            }
        }
        for (name, on) in switches {
            match tables.tables.get_mut(name) {
                Some(table) => table.on = *on,
                None => {
                    let known = suggest(name, tables.tables.keys().map(String::as_str));
                    faults.add("config", 0, "detection.tables", format!("unknown table {name:?}{known}"));
                }
            }
        }
        let own = tables.tables.entry(SANCTIONED.into()).or_insert_with(|| Table { on: true, ..Table::default() });
        for domain in sanctioned {
            let domain = domain.trim().trim_start_matches("*.").trim_matches('.').to_lowercase();
            if domain.is_empty() || domain.contains(char::is_whitespace) {
                faults.add("config", 0, "detection.sanctioned_domains", format!("{domain:?} is not a domain"));
            } else {
                own.entries.insert(domain.into_bytes().into());
            }
        }
        tables
    }

    /// Whether `value` (any case) is an entry of a table; `None` when there is no such table.
    pub fn contains(&self, table: &str, value: &[u8]) -> Option<bool> {
        let table = self.tables.get(table)?;
        let value = value.trim_ascii();
        let known = match table.entries.contains(value) {
            true => true,
            false => table.entries.contains(lower(value).as_slice()),
        };
        Some(table.on && known)
    }

    /// A table, switched off or not.
    pub fn get(&self, name: &str) -> Option<&Table> {
        self.tables.get(name)
    }

    /// Names of the tables.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tables.keys().map(String::as_str)
    }
}

impl Table {
    fn read(name: &str, text: &str, faults: &mut Faults) -> Table {
        let mut table = Table { on: true, ..Table::default() };
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if let Some(comment) = line.strip_prefix('#') {
                if comment.trim() == "default: off" {
                    table.on = false;
                }
                continue;
            }
            if line.is_empty() {
                continue;
            }
            let (set, entry) = match line.strip_prefix('!') {
                Some(entry) => (&mut table.exceptions, entry.trim()),
                None => (&mut table.entries, line),
            };
            let entry = lower(entry.as_bytes());
            if name.ends_with("_domains")
                && entry.iter().any(|b| b.is_ascii_whitespace() || matches!(b, b'/' | b':' | b'*'))
            {
                faults.0.push(Fault {
                    file: format!("tables/{name}.txt"),
                    line: index + 1,
                    item: String::new(),
                    message: format!("{line:?} is not a domain; write it bare, as in example.org"),
                });
                continue;
            }
            set.insert(entry.into());
        }
        table
    }

    /// Whether a domain or one of its parents is an entry. Switched off, it contains nothing.
    pub(super) fn has_domain(&self, domain: &[u8]) -> bool {
        self.on && parents(domain).any(|d| self.entries.contains(d))
    }
}

impl Lists {
    fn read(document: &Document, faults: &mut Faults) -> Option<Lists> {
        document.read(faults, |top, faults| {
            let mut lists = Lists::default();
            let list =
                |section: &crate::content::section::Section<'_>, key: &str, faults: &mut Faults| -> Vec<Box<[u8]>> {
                    let texts = section.strings(key, faults).unwrap_or_default();
                    texts.iter().map(|t| lower(t.as_bytes()).into()).collect()
                };
            if let Some(accounts) = top.table("accounts", faults) {
                lists.machine_suffixes = list(&accounts, "machine_suffixes", faults);
                lists.machine_names = list(&accounts, "machine_names", faults).into_iter().collect();
                lists.machine_domains = list(&accounts, "machine_domains", faults).into_iter().collect();
                accounts.finish(&["machine_suffixes", "machine_names", "machine_domains"], faults);
            }
            if let Some(process) = top.table("process", faults) {
                lists.executable_suffixes = list(&process, "executable_suffixes", faults);
                lists.profile_roots = list(&process, "profile_roots", faults).into_iter().collect();
                lists.scratch_directories = list(&process, "scratch_directories", faults);
                lists.scratch_files = list(&process, "scratch_files", faults);
                process
                    .finish(&["executable_suffixes", "profile_roots", "scratch_directories", "scratch_files"], faults);
            }
            top.finish(&["accounts", "process"], faults);
            Some(lists)
        })
    }
}

/// A domain and its parents: `a.b.c`, `b.c`, `c`.
pub(super) fn parents(domain: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(domain);
    std::iter::from_fn(move || {
        let this = rest.filter(|d| !d.is_empty())?;
        rest = memchr::memchr(b'.', this).and_then(|dot| this.get(dot + 1..));
        Some(this)
    })
}

/// Lower-case, also beyond ASCII.
pub(super) fn lower(text: &[u8]) -> Vec<u8> {
    if text.is_ascii() { text.to_ascii_lowercase() } else { String::from_utf8_lossy(text).to_lowercase().into_bytes() }
}
