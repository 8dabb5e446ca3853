//! Tables of names as content sees them: texts, switched on or off, and plain sets for `in_table`.
//!
//! A table whose comments say `# default: off` is optional: it counts only where a site switches it on.

use super::fault::{Faults, suggest};
use super::files::ContentFiles;
use crate::config::DetectionSettings;
use std::cell::RefCell;
use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::sync::Arc;

/// Where faults of settings are found.
const CONFIG: &str = "config";

/// The texts of all tables, by name without `.txt`.
#[derive(Debug, Default)]
pub struct TableTexts {
    /// Name → text.
    pub texts: BTreeMap<String, String>,
    switches: BTreeMap<String, bool>,
    sets: RefCell<BTreeMap<String, Arc<HashSet<Vec<u8>>>>>,
}

impl TableTexts {
    /// The tables of the content, with the site's additional files appended.
    pub fn gather(files: &ContentFiles, settings: &DetectionSettings, faults: &mut Faults) -> TableTexts {
        let mut texts: BTreeMap<String, String> = files
            .0
            .iter()
            .filter_map(|(name, file)| {
                let name = name.strip_prefix("tables/")?.strip_suffix(".txt")?;
                Some((name.to_owned(), file.text.clone()))
            })
            .collect();
        if let Some(lists) = files.0.get("enrichment.toml") {
            texts.insert("enrichment".into(), lists.text.clone());
        }
        for name in settings.tables.keys().filter(|n| !texts.contains_key(*n)) {
            let hint = suggest(name, texts.keys().map(String::as_str));
            faults.add(CONFIG, 0, "[detection.tables]", format!("there is no table {name:?}{hint}"));
        }
        for (name, path) in &settings.table_files {
            let hint = suggest(name, texts.keys().map(String::as_str));
            match (texts.get_mut(name), fs::read_to_string(path)) {
                (Some(text), Ok(more)) => {
                    text.push('\n');
                    text.push_str(&more);
                }
                (None, _) => {
                    faults.add(CONFIG, 0, "[detection.table_files]", format!("there is no table {name:?}{hint}"));
                }
                (_, Err(e)) => faults.add(&path.display().to_string(), 0, "", format!("cannot be read: {e}")),
            }
        }
        TableTexts { texts, switches: settings.tables.clone(), sets: RefCell::default() }
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
