//! The files that content is made of: the shipped ones, embedded in the binary, and the site's own on top.
//!
//! A site's file of the same name (relative to its directory) replaces the shipped one; a new name extends the content.
//! The only file of this folder that reads a disk.

use super::fault::{Faults, suggest};
use super::section::Document;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

include!(concat!(env!("OUT_DIR"), "/embedded.rs"));

/// Folders below which a site's directory is not searched.
const MAX_DEPTH: usize = 8;

/// One file of the content.
#[derive(Debug)]
pub struct ContentFile {
    /// The file, as the user knows it: the name of a shipped file, the path of a site's.
    pub shown: String,
    /// Its text.
    pub text: String,
    /// Whether it is the shipped one.
    pub shipped: bool,
}

/// All files, by name relative to the content directory, with `/`.
#[derive(Debug, Default)]
pub struct ContentFiles(pub BTreeMap<String, ContentFile>);

impl ContentFiles {
    /// The shipped files alone.
    pub fn shipped() -> ContentFiles {
        ContentFiles(
            EMBEDDED
                .iter()
                .map(|(name, text)| {
                    let file = ContentFile { shown: (*name).into(), text: (*text).into(), shipped: true };
                    ((*name).to_owned(), file)
                })
                .collect(),
        )
    }

    /// The shipped files without the tests of their rules, which stand last in them: an agent that starts has no use for
    /// them, and need not read what is three quarters of the text.
    pub fn shipped_to_load() -> ContentFiles {
        let file = |(name, text): &(&str, &str)| {
            let text = before_tests(name, text).to_owned();
            ((*name).to_owned(), ContentFile { shown: (*name).into(), text, shipped: true })
        };
        ContentFiles(EMBEDDED.iter().map(file).collect())
    }

    /// Puts a site's files on top.
    pub fn overlay(&mut self, dir: &Path, faults: &mut Faults) {
        self.walk(dir, "", 0, faults);
    }

    fn walk(&mut self, dir: &Path, prefix: &str, depth: usize, faults: &mut Faults) {
        let entries = match fs::read_dir(dir) {
            Ok(entries) if depth <= MAX_DEPTH => entries,
            Ok(_) => {
                faults.add(&dir.display().to_string(), 0, "", "folders are nested too deep; content has one level");
                return;
            }
            Err(e) => {
                faults.add(&dir.display().to_string(), 0, "", format!("cannot read the content directory: {e}"));
                return;
            }
        };
        let mut names: Vec<_> = entries.filter_map(Result::ok).map(|e| e.file_name()).collect();
        names.sort();
        for name in names {
            let path = dir.join(&name);
            let name = name.to_string_lossy();
            if name.starts_with('.') {
                continue;
            }
            let relative = format!("{prefix}{name}");
            if path.is_dir() {
                self.walk(&path, &format!("{relative}/"), depth + 1, faults);
            } else if name.ends_with(".toml") || name.ends_with(".txt") {
                self.take(&path, relative, faults);
            }
        }
    }

    fn take(&mut self, path: &Path, name: String, faults: &mut Faults) {
        let shown = path.display().to_string();
        if !belongs(&name) {
            let places: BTreeSet<String> = EMBEDDED.iter().map(|(n, _)| place(n)).collect();
            let hint = suggest(&place(&name), places.iter().map(String::as_str));
            faults.add(&shown, 0, "", format!("content has no place for this file{hint}"));
            return;
        }
        match fs::read_to_string(path) {
            Ok(text) => {
                self.0.insert(name, ContentFile { shown, text, shipped: false });
            }
            Err(e) => faults.add(&shown, 0, "", format!("cannot be read: {e}")),
        }
    }

    /// The documents of a folder (`rules/`), by name, with whether each is shipped.
    pub fn documents(&self, folder: &str) -> Vec<(Document, bool)> {
        let inside = self.0.iter().filter(|(name, _)| name.starts_with(folder) && name.ends_with(".toml"));
        inside.map(|(_, file)| (Document::new(&file.shown, &file.text), file.shipped)).collect()
    }

    /// One file, by name.
    pub fn document(&self, name: &str) -> Option<Document> {
        self.0.get(name).map(|file| Document::new(&file.shown, &file.text))
    }
}

/// The text of a shipped rule up to its tests, all of any other.
fn before_tests<'t>(name: &str, text: &'t str) -> &'t str {
    let tests = ["\n[test_history]\n", "\n[[test]]\n"].iter().filter_map(|head| text.find(head)).min();
    match tests.filter(|_| name.starts_with("rules/")).and_then(|at| text.get(..=at)) {
        Some(before) => before,
        None => text,
    }
}

/// `rules/*.toml` for a file in a folder, the name itself for one that is not.
fn place(name: &str) -> String {
    match (name.rsplit_once('/'), name.rsplit_once('.')) {
        (Some((folder, _)), Some((_, ext))) => format!("{folder}/*.{ext}"),
        _ => name.to_owned(),
    }
}

/// Whether shipped content has files in the same place.
fn belongs(name: &str) -> bool {
    let wanted = place(name);
    EMBEDDED.iter().any(|(shipped, _)| place(shipped) == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_site_replaces_a_file_by_its_name_and_adds_others() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("tables")).unwrap();
        fs::write(dir.path().join("tables/temp_directories.txt"), "/scratch/\n").unwrap();
        fs::write(dir.path().join("tables/mine.txt"), "x\n").unwrap();
        fs::write(dir.path().join("tables/.mine.txt.swp"), "junk").unwrap();
        fs::write(dir.path().join("README.md"), "ignored").unwrap();
        let (mut files, mut faults) = (ContentFiles::shipped(), Faults::default());
        let shipped = files.0.len();
        files.overlay(dir.path(), &mut faults);
        assert!(faults.is_empty(), "{faults}");
        assert_eq!(files.0.len(), shipped + 1);
        let replaced = &files.0["tables/temp_directories.txt"];
        assert_eq!((replaced.text.as_str(), replaced.shipped), ("/scratch/\n", false));
        assert!(replaced.shown.starts_with(&dir.path().display().to_string()));
    }

    #[test]
    fn nothing_but_tests_stands_behind_the_first_test_of_a_shipped_rule() {
        let rules = EMBEDDED.iter().filter(|(name, _)| name.starts_with("rules/"));
        assert!(rules.clone().count() >= 20);
        for (name, text) in rules {
            let before = before_tests(name, text);
            let rest: toml::Table = text[before.len()..].parse().unwrap();
            assert!(!rest.is_empty(), "{name}");
            assert!(rest.keys().all(|key| ["test", "test_history"].contains(&&**key)), "{name}");
            assert!(!before.contains("[[test]]") && before.contains("[condition") && before.ends_with('\n'), "{name}");
        }
    }

    #[test]
    fn a_file_in_the_wrong_place_and_a_missing_directory_are_faults() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("rule")).unwrap();
        fs::write(dir.path().join("rule/mine.toml"), "").unwrap();
        let (mut files, mut faults) = (ContentFiles::shipped(), Faults::default());
        files.overlay(dir.path(), &mut faults);
        files.overlay(&dir.path().join("absent"), &mut faults);
        let all = faults.to_string();
        assert!(all.contains("no place for this file; did you mean \"rules/*.toml\"?"), "{all}");
        assert!(all.contains("cannot read the content directory"), "{all}");
    }
}
