//! Tables of names as content sees them: texts, switched on or off, and plain sets for `in_table`.
//!
//! A table whose comments say `# default: off` is optional: it counts only where a site switches it on.

use super::fault::{Faults, suggest};
use super::files::{ContentFiles, max_bytes, read_text};
use crate::config::DetectionSettings;
use std::cell::RefCell;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

/// Where faults of settings are found.
const CONFIG: &str = "config";
/// The file whose lists enrichment reads like tables.
const LISTS: &str = "enrichment.toml";

/// The texts of all tables, by name without `.txt`.
#[derive(Debug, Default)]
pub struct TableTexts {
    /// Name → text.
    pub texts: BTreeMap<String, String>,
    switches: BTreeMap<String, bool>,
    /// Tables that the settings switch, whatever a patch says.
    settled: Vec<String>,
    /// Where the lines of a table come from, by name: pieces in the order of their first lines.
    pieces: BTreeMap<String, Vec<Piece>>,
    sets: RefCell<BTreeMap<String, Arc<HashSet<Vec<u8>>>>>,
}

/// Lines of a table that stand together in a file.
#[derive(Debug)]
struct Piece {
    /// The first of them in the table's text.
    from: usize,
    file: String,
    /// Its line in the file, 1-based.
    line: usize,
    /// Whether all of them stand in that line.
    in_one_line: bool,
}

impl TableTexts {
    /// The tables of the content, with the site's additional files appended.
    pub fn gather(files: &ContentFiles, settings: &DetectionSettings, faults: &mut Faults) -> TableTexts {
        let mut tables = TableTexts {
            switches: settings.tables.clone(),
            settled: settings.tables.keys().cloned().collect(),
            ..TableTexts::default()
        };
        for (name, file) in &files.0 {
            if let Some(name) = name.strip_prefix("tables/").and_then(|n| n.strip_suffix(".txt")) {
                tables.append(name, &file.text, (&file.shown, 1, false));
            }
        }
        if let Some(lists) = files.0.get(LISTS) {
            let name = LISTS.trim_end_matches(".toml");
            tables.append(name, &lists.text, (&lists.shown, 1, false));
        }
        for name in settings.tables.keys().filter(|n| !tables.texts.contains_key(*n)) {
            let message = format!("there is no table {name:?}{}", tables.suggest(name));
            faults.add(CONFIG, 0, "[detection.tables]", message);
        }
        for (name, path) in &settings.table_files {
            let shown = path.display().to_string();
            match read_text(path, max_bytes("x.txt")) {
                _ if !tables.texts.contains_key(name) => {
                    let message = format!("there is no table {name:?}{}", tables.suggest(name));
                    faults.add(CONFIG, 0, "[detection.table_files]", message);
                }
                Ok(more) => tables.append(name, &more, (&shown, 1, false)),
                Err(message) => faults.add(&shown, 0, "", message),
            }
        }
        tables
    }

    /// `; did you mean …` for a table that there is not.
    pub fn suggest(&self, name: &str) -> String {
        suggest(name, self.texts.keys().map(String::as_str))
    }

    /// Adds lines that stand in a file from a line on, or all in that line.
    fn append(&mut self, name: &str, lines: &str, (file, line, in_one_line): (&str, usize, bool)) {
        let text = self.texts.entry(name.to_owned()).or_default();
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        let from = text.lines().count() + 1;
        text.push_str(lines);
        self.pieces.entry(name.to_owned()).or_default().push(Piece { from, file: file.to_owned(), line, in_one_line });
    }

    /// Adds entries that a patch lists in one line of a file. Gives those that the table had already.
    pub(super) fn add(&mut self, name: &str, new: &[String], file: &str, line: usize) -> Vec<String> {
        let text = self.texts.get(name).map_or("", String::as_str);
        let known: HashSet<String> = entries(text).map(str::to_lowercase).collect();
        let (old, new): (Vec<&String>, Vec<&String>) = new.iter().partition(|e| known.contains(&e.to_lowercase()));
        let lines: String = new.iter().flat_map(|entry| [entry.as_str(), "\n"]).collect();
        self.append(name, &lines, (file, line, true));
        old.into_iter().cloned().collect()
    }

    /// Takes entries out. Gives those that the table has not.
    pub(super) fn remove(&mut self, name: &str, gone: &[String]) -> Vec<String> {
        let Some(text) = self.texts.get_mut(name) else { return gone.to_vec() };
        let mut left: Vec<String> = gone.to_vec();
        let mut out = String::with_capacity(text.len());
        for line in text.lines() {
            let is_gone = gone.iter().find(|g| g.to_lowercase() == line.trim().to_lowercase());
            match is_gone {
                // The line stays, empty: those after it keep their numbers.
                Some(entry) => left.retain(|l| l != entry),
                None => out.push_str(line),
            }
            out.push('\n');
        }
        *text = out;
        left
    }

    /// Switches a table, unless the settings do.
    pub(super) fn switch(&mut self, name: &str, on: bool) {
        if !self.settled.iter().any(|s| s == name) {
            self.switches.insert(name.to_owned(), on);
        }
    }

    /// Which tables are switched on or off, by name.
    pub(super) fn switches(&self) -> &BTreeMap<String, bool> {
        &self.switches
    }

    /// Puts the file and line where an entry really stands in the place of the table and its line.
    pub(super) fn blame(&self, faults: &mut Faults) {
        for fault in &mut faults.0 {
            let name = fault.file.strip_prefix("tables/").and_then(|f| f.strip_suffix(".txt"));
            let Some(pieces) = self.pieces.get(name.unwrap_or(fault.file.trim_end_matches(".toml"))) else { continue };
            let Some(piece) = pieces.iter().rev().find(|p| p.from <= fault.line.max(1)) else { continue };
            if fault.line > 0 {
                fault.line = if piece.in_one_line { piece.line } else { piece.line + fault.line - piece.from };
            }
            fault.file.clone_from(&piece.file);
        }
    }

    /// Whether a table counts: switched on, or not off by default.
    pub fn is_on(&self, name: &str) -> bool {
        let off = self.texts.get(name).is_some_and(|text| is_off_by_default(text));
        self.switches.get(name).copied().unwrap_or(!off)
    }

    /// The entries of a table in lower case, none when it is off; `None` when there is no such table.
    pub fn set(&self, name: &str) -> Option<Arc<HashSet<Vec<u8>>>> {
        let text = self.texts.get(name)?;
        let mut sets = self.sets.borrow_mut();
        let set = sets.entry(name.to_owned()).or_insert_with(|| {
            let on = self.is_on(name);
            Arc::new(if on { entries(text).map(|e| e.to_lowercase().into_bytes()).collect() } else { HashSet::new() })
        });
        Some(set.clone())
    }
}

/// Whether a table says of itself that it is optional.
fn is_off_by_default(text: &str) -> bool {
    text.lines().filter_map(|l| l.trim().strip_prefix('#')).any(|comment| comment.trim() == "default: off")
}

/// The entries of a table: a line each, blanks trimmed, comments left out.
fn entries(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gather(settings: &DetectionSettings) -> (TableTexts, Faults) {
        let mut faults = Faults::default();
        let tables = TableTexts::gather(&ContentFiles::shipped(), settings, &mut faults);
        (tables, faults)
    }

    #[test]
    fn optional_tables_are_empty_until_switched_on() {
        let mut settings = DetectionSettings::default();
        let (tables, _) = gather(&settings);
        assert!(tables.set("tunnel_tools_extended").unwrap().is_empty());
        assert!(!tables.is_on("file_sharing_suites") && tables.is_on("file_sharing_domains"));
        assert!(tables.set("no_such_table").is_none());
        settings.tables.insert("tunnel_tools_extended".into(), true);
        let (tables, _) = gather(&settings);
        assert!(tables.set("tunnel_tools_extended").unwrap().contains(b"ngrok".as_slice()));
    }

    #[test]
    fn a_fault_names_the_file_and_line_in_which_an_entry_stands() {
        let (mut tables, _) = gather(&DetectionSettings::default());
        let (name, lines) = ("sanctioned_domains", |t: &TableTexts| t.texts["sanctioned_domains"].lines().count());
        tables.texts.insert(name.into(), "a.example\nb.example".into());
        let many = ["c.example".to_owned(), "B.example".into(), "d.example".into()];
        assert_eq!(tables.add(name, &many, "/site/x.override.toml", 7), ["B.example"]);
        assert_eq!(lines(&tables), 4);
        assert_eq!(tables.remove(name, &["A.EXAMPLE".into(), "z.example".into()]), ["z.example"]);
        assert_eq!(tables.texts[name], "\nb.example\nc.example\nd.example\n");
        let mut faults = Faults::default();
        [2, 3, 4].iter().for_each(|n| faults.add("tables/sanctioned_domains.txt", *n, "", "x"));
        faults.add("enrichment.toml", 5, "", "x");
        tables.blame(&mut faults);
        let places: Vec<(&str, usize)> = faults.0.iter().map(|f| (&*f.file, f.line)).collect();
        let patch = ("/site/x.override.toml", 7);
        assert_eq!(places, [("tables/sanctioned_domains.txt", 2), patch, patch, ("enrichment.toml", 5)]);
    }

    #[test]
    fn unknown_tables_in_settings_are_faults() {
        let mut settings = DetectionSettings::default();
        settings.tables.insert("tunnel_tool_extended".into(), true);
        settings.table_files.insert("nonsense".into(), "/nowhere".into());
        let (_, faults) = gather(&settings);
        let all = faults.to_string();
        assert!(all.contains("did you mean \"tunnel_tools_extended\"?"), "{all}");
        assert!(all.contains("there is no table \"nonsense\""), "{all}");
    }
}
