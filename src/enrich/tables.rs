//! Tables: plain files of names, one entry a line, compiled once and shared by all workers.
//!
//! `#` begins a comment line; a line that begins with `!` names an exception; a comment `# default: off` before the first
//! entry marks a table that is empty until the site switches it on. Nothing here reads a file or decides about an event.

use super::case;
use super::domain::{self, Domains};
use super::lists::Lists;
use super::temp::{self, TempDirectories};
use crate::content::Faults;
use crate::content::fault::suggest;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The key of the lists (`enrichment.toml`) among the files.
const LISTS: &str = "enrichment";
/// Where the site switches tables.
const SWITCHES: &str = "detection.tables";

/// A set of lower-case names. The members come from content, never from events.
pub(super) type ByteSet = hashbrown::HashSet<Box<[u8]>, foldhash::fast::FixedState>;

/// The tables of names, compiled. Cloning shares them.
#[derive(Clone, Debug, Default)]
pub struct Tables {
    pub(super) compiled: Arc<Compiled>,
}

/// All that enrichers look up.
#[derive(Debug, Default)]
pub(super) struct Compiled {
    sets: BTreeMap<String, Arc<NameSet>>,
    pub lists: Lists,
    pub temp: TempDirectories,
    pub domains: Domains,
}

/// One table as a set of names, compared without regard to case. A table that is switched off is empty.
#[derive(Debug, Default)]
pub struct NameSet {
    names: ByteSet,
    /// Bytes of the longest name.
    longest: usize,
}

/// One line of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// The entry, trimmed, as written.
    pub text: String,
    /// 1-based line.
    pub line: usize,
    /// Whether it names an exception.
    pub except: bool,
}

/// One table as written.
#[derive(Debug, Default)]
struct Lines {
    entries: Vec<Entry>,
    /// Off until the site switches it on.
    optional: bool,
}

impl Tables {
    /// Compiles `tables/*.txt` (name without `.txt` → text) and `enrichment.toml` (under `enrichment`). `switches` turns
    /// tables on or off; `sanctioned` are the site's own domains.
    pub fn compile(
        files: &BTreeMap<String, String>,
        switches: &BTreeMap<String, bool>,
        sanctioned: &[String],
        faults: &mut Faults,
    ) -> Tables {
        let names = || files.keys().map(String::as_str).filter(|n| *n != LISTS);
        for unknown in switches.keys().filter(|s| !names().any(|n| n == *s)) {
            let message = format!("there is no table {unknown:?}{}", suggest(unknown, names()));
            faults.add(SWITCHES, 0, "", message);
        }
        let mut out = Compiled::default();
        if let Some(text) = files.get(LISTS) {
            out.lists = Lists::parse(text, faults);
        }
        for (name, text) in files.iter().filter(|(n, _)| *n != LISTS) {
            let file = format!("tables/{name}.txt");
            let lines = Lines::read(text, &file, faults);
            let on = switches.get(name).copied().unwrap_or(!lines.optional);
            // What is switched off is checked all the same, into nothing.
            let mut nowhere = Domains::default();
            match (domain::role_of(name), on) {
                (Some(role), true) => out.domains.add(role, &lines.entries, &file, faults),
                (Some(role), false) => nowhere.add(role, &lines.entries, &file, faults),
                (None, _) => {}
            }
            if name == temp::TABLE {
                let compiled = TempDirectories::compile(&lines.entries, &file, faults);
                out.temp = if on { compiled } else { TempDirectories::default() };
            }
            let set = if on { NameSet::new(&lines.entries) } else { NameSet::default() };
            out.sets.insert(name.clone(), Arc::new(set));
        }
        out.domains.add_sanctioned(sanctioned, faults);
        Tables { compiled: Arc::new(out) }
    }

    /// Whether `value` (any case) is an entry of a plain table; `None` when there is no such table. A table that is
    /// switched off contains nothing.
    pub fn contains(&self, table: &str, value: &[u8]) -> Option<bool> {
        self.compiled.sets.get(table).map(|set| set.contains(value))
    }

    /// A table to be asked often; `None` when there is no such table.
    pub fn set(&self, table: &str) -> Option<Arc<NameSet>> {
        self.compiled.sets.get(table).cloned()
    }

    /// The tables' names, in alphabetical order, switched off or not.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.compiled.sets.keys().map(String::as_str)
    }

    /// The entry of the file-sharing tables that a canonical host falls under: the host itself or a parent of it.
    pub fn file_sharing_entry<'h>(&self, web_domain: &'h [u8]) -> Option<&'h [u8]> {
        self.compiled.domains.file_sharing_entry(web_domain)
    }
}

impl NameSet {
    pub(super) fn new(entries: &[Entry]) -> NameSet {
        let lower = |e: &Entry| case::lower(e.text.as_bytes()).into_boxed_slice();
        let mut names: ByteSet = entries.iter().filter(|e| !e.except).map(lower).collect();
        for exception in entries.iter().filter(|e| e.except) {
            names.remove(&lower(exception));
        }
        let longest = names.iter().map(|n| n.len()).max().unwrap_or(0);
        NameSet { names, longest }
    }

    /// Whether `value` (any case) is an entry.
    pub fn contains(&self, value: &[u8]) -> bool {
        // No letter outside ASCII shrinks below a third of its bytes when lower-cased.
        if value.len() > self.longest.saturating_mul(3) {
            return false;
        }
        case::with_lower(value, |lower| self.names.contains(lower))
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }
}

impl Lines {
    fn read(text: &str, file: &str, faults: &mut Faults) -> Lines {
        let mut out = Lines::default();
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        for (i, line) in text.lines().enumerate() {
            let (line, number) = (line.trim(), i + 1);
            if let Some(comment) = line.strip_prefix('#') {
                if out.entries.is_empty() {
                    out.read_default(comment, file, number, faults);
                }
                continue;
            }
            let (text, except) = match line.strip_prefix('!') {
                Some(rest) => (rest.trim(), true),
                None => (line, false),
            };
            if text.is_empty() && !except {
                continue;
            }
            if text.is_empty() || text.chars().any(char::is_control) {
                faults.add(file, number, "", format!("{line:?} is no entry; write one name a line"));
                continue;
            }
            out.entries.push(Entry { text: text.into(), line: number, except });
        }
        out
    }

    fn read_default(&mut self, comment: &str, file: &str, line: usize, faults: &mut Faults) {
        let Some(value) = comment.trim().strip_prefix("default:") else { return };
        match value.trim() {
            "off" => self.optional = true,
            "on" => self.optional = false,
            other => {
                faults.add(file, line, "", format!("default is {other:?}; write \"# default: off\" or leave it out"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compile(files: &[(&str, &str)], switches: &[(&str, bool)]) -> (Tables, Faults) {
        let files = files.iter().map(|(n, t)| ((*n).to_owned(), (*t).to_owned())).collect();
        let switches = switches.iter().map(|(n, on)| ((*n).to_owned(), *on)).collect();
        let mut faults = Faults::default();
        (Tables::compile(&files, &switches, &[], &mut faults), faults)
    }

    #[test]
    fn entries_are_lines_and_comments_and_blank_lines_are_not() {
        let text = "\u{feff}# first\r\n\r\n  Plink \r\n#socat\nSTUNNEL\nÄrger\n!ngrok\nngrok\n";
        let (tables, faults) = compile(&[("tools", text)], &[]);
        assert!(faults.is_empty(), "{faults}");
        for (value, wanted) in [
            ("plink", true),
            ("PLINK", true),
            ("stunnel", true),
            ("ÄRGER", true),
            ("socat", false),
            ("#socat", false),
            ("ngrok", false),
            ("plin", false),
            ("", false),
        ] {
            assert_eq!(tables.contains("tools", value.as_bytes()), Some(wanted), "{value}");
        }
        assert_eq!(tables.contains("tool", b"plink"), None);
        assert!(!tables.contains("tools", &vec![b'x'; 100_000]).unwrap());
        assert_eq!(tables.set("tools").unwrap().len(), 3);
        assert!(!tables.set("tools").unwrap().is_empty());
        assert_eq!(tables.names().collect::<Vec<_>>(), ["tools"]);
    }

    #[test]
    fn optional_tables_are_empty_until_they_are_switched_on() {
        let files = [("extra", "# About it.\n# default: off\nngrok\n"), ("plain", "ngrok\n# default: off\n")];
        let has = |switches: &[(&str, bool)], table: &str| compile(&files, switches).0.contains(table, b"ngrok");
        assert_eq!(has(&[], "extra"), Some(false));
        assert_eq!(has(&[("extra", true)], "extra"), Some(true));
        assert_eq!(has(&[("extra", false)], "extra"), Some(false));
        assert_eq!(has(&[], "plain"), Some(true));
        assert_eq!(has(&[("plain", false)], "plain"), Some(false));
    }

    #[test]
    fn switches_of_tables_that_are_not_there_are_faults_with_a_suggestion() {
        let (_, faults) = compile(&[("file_sharing_suites", ""), ("enrichment", "")], &[("file_sharing_suite", true)]);
        assert_eq!(
            faults.to_string(),
            "detection.tables: there is no table \"file_sharing_suite\"; did you mean \"file_sharing_suites\"?"
        );
    }

    #[test]
    fn lines_that_are_no_entries_are_faults_with_their_place() {
        let (_, faults) = compile(&[("x", "# default: maybe\na\n!\nb\u{1}c\n")], &[]);
        let places: Vec<_> = faults.0.iter().map(|f| (f.file.as_str(), f.line)).collect();
        assert_eq!(places, [("tables/x.txt", 1), ("tables/x.txt", 3), ("tables/x.txt", 4)]);
    }

    #[test]
    fn a_table_that_is_switched_off_is_checked_all_the_same() {
        let (_, faults) = compile(&[("file_sharing_suites", "# default: off\nbox com\n")], &[]);
        assert_eq!(faults.0.len(), 1);
        assert_eq!(faults.0[0].line, 2);
    }
}
