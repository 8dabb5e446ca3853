//! The files of a layer of content: the shipped ones, embedded in the binary, or those of a site's directory.
//!
//! The only file of this folder that reads a disk. What cannot be content is refused here, with a reason: what is no regular
//! file, leads out of the tree, is too large or is no text.

use super::fault::{Fault, Faults, suggest};
use super::section::Document;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

include!(concat!(env!("OUT_DIR"), "/embedded.rs"));

/// Folders below which a site's directory is not searched.
const MAX_DEPTH: usize = 8;
/// Largest file of TOML, bytes: the largest that is shipped has 12 KiB.
const MAX_TOML_BYTES: u64 = 1 << 20;
/// Largest table, bytes: some 400,000 domains.
const MAX_TABLE_BYTES: u64 = 8 << 20;
/// What the name of a file with patches ends with.
pub const OVERRIDE_SUFFIX: &str = ".override.toml";

/// One file of the content.
#[derive(Clone, Debug)]
pub struct ContentFile {
    /// The file, as the user knows it: the name of a shipped file, the path of a site's.
    pub shown: String,
    /// Its text.
    pub text: String,
    /// Whether it is the shipped one.
    pub shipped: bool,
}

/// A shipped file as it stands in the binary.
#[derive(Clone, Copy, Debug)]
struct Embedded {
    name: &'static str,
    /// What an agent loads.
    loaded: &'static str,
    /// The tests of a rule, which follow.
    tests: &'static str,
}

/// The shipped files, by name.
fn embedded() -> impl Iterator<Item = Embedded> + Clone {
    let (mut loaded, mut tests) = (LOADED, TESTS);
    EMBEDDED.iter().map(move |(name, loaded_len, tests_len)| {
        let take = |from: &mut &'static str, len: usize| {
            let (taken, rest) = from.split_at_checked(len).unwrap_or_default();
            *from = rest;
            taken
        };
        Embedded { name, loaded: take(&mut loaded, *loaded_len), tests: take(&mut tests, *tests_len) }
    })
}

impl Embedded {
    fn read(&self, text: String) -> (String, ContentFile) {
        (self.name.to_owned(), ContentFile { shown: self.name.to_owned(), text, shipped: true })
    }
}

/// The files of a layer, by name relative to the content directory, with `/`.
#[derive(Clone, Debug, Default)]
pub struct ContentFiles(pub BTreeMap<String, ContentFile>);

impl ContentFiles {
    /// The shipped files.
    pub fn shipped() -> ContentFiles {
        ContentFiles(embedded().map(|file| file.read([file.loaded, file.tests].concat())).collect())
    }

    /// The shipped files without the tests of their rules: an agent that starts has no use for them.
    pub fn shipped_to_load() -> ContentFiles {
        ContentFiles(embedded().map(|file| file.read(file.loaded.to_owned())).collect())
    }

    /// The files of a site's directory. `notes` gets what lies there and is not read, though it looks as if it should be.
    pub fn of_site(dir: &Path, faults: &mut Faults, notes: &mut Vec<Fault>) -> ContentFiles {
        let mut walk = Walk { root: dir.canonicalize().ok(), files: ContentFiles::default(), faults, notes };
        walk.folder(dir, "", 0);
        walk.files
    }

    /// The documents of a folder (`rules/`), by name, with whether each is shipped.
    pub fn documents(&self, folder: &str) -> Vec<(Document, bool)> {
        let inside = self.0.iter().filter(|(name, _)| name.starts_with(folder) && name.ends_with(".toml"));
        inside.map(|(_, file)| (file.document(), file.shipped)).collect()
    }

    /// One file, by name.
    pub fn document(&self, name: &str) -> Option<Document> {
        self.0.get(name).map(ContentFile::document)
    }
}

impl ContentFile {
    /// As TOML. The layers read its header.
    pub fn document(&self) -> Document {
        let header: &[&str] = if self.shipped { &[] } else { &["based_on"] };
        Document::new(&self.shown, &self.text).with_header(header)
    }
}

/// Reads a file that somebody wrote by hand.
///
/// # Errors
/// Why it cannot be content, as a sentence without the file's name.
pub(super) fn read_text(path: &Path, max_bytes: u64) -> Result<String, String> {
    let about = fs::metadata(path).map_err(|e| format!("cannot be read: {e}"))?;
    if about.is_dir() {
        return Err("is a directory; a file must stand here".into());
    }
    if !about.is_file() {
        return Err("is no regular file".into());
    }
    if about.len() > max_bytes {
        return Err(format!("has {} bytes; at most {max_bytes} are read", about.len()));
    }
    let bytes = fs::read(path).map_err(|e| format!("cannot be read: {e}"))?;
    String::from_utf8(bytes).map_err(|e| {
        let good = e.as_bytes().get(..e.utf8_error().valid_up_to()).unwrap_or_default();
        let line = good.iter().filter(|b| **b == b'\n').count() + 1;
        format!("is not UTF-8 (line {line}); save it as UTF-8")
    })
}

/// Whether nothing stands at a path.
pub(super) fn is_absent(path: &Path) -> bool {
    fs::symlink_metadata(path).is_err_and(|e| e.kind() == std::io::ErrorKind::NotFound)
}

/// The most bytes that a content file of this name may have.
pub(super) fn max_bytes(name: &str) -> u64 {
    if name.ends_with(".txt") { MAX_TABLE_BYTES } else { MAX_TOML_BYTES }
}

/// A look through a site's directory.
struct Walk<'a> {
    /// The directory with links followed.
    root: Option<PathBuf>,
    files: ContentFiles,
    faults: &'a mut Faults,
    notes: &'a mut Vec<Fault>,
}

impl Walk<'_> {
    fn fault(&mut self, path: &Path, message: impl Into<String>) {
        self.faults.add(&path.display().to_string(), 0, "", message);
    }

    fn folder(&mut self, dir: &Path, prefix: &str, depth: usize) {
        let entries = match fs::read_dir(dir) {
            Ok(entries) if depth <= MAX_DEPTH => entries,
            Ok(_) => return self.fault(dir, "folders are nested too deep; content has one level"),
            Err(e) => return self.fault(dir, format!("cannot read the content directory: {e}")),
        };
        let mut names: Vec<_> = entries.filter_map(Result::ok).map(|e| e.file_name()).collect();
        names.sort();
        for name in names {
            let path = dir.join(&name);
            let Some(name) = name.to_str() else {
                self.fault(&path, "the name is not UTF-8");
                continue;
            };
            if name.starts_with('.') {
                continue;
            }
            if self.leads_out(&path) {
                self.fault(&path, "is a link that leads out of the content directory; put a copy here");
                continue;
            }
            let relative = format!("{prefix}{name}");
            if name.ends_with(".toml") || name.ends_with(".txt") {
                self.file(&path, relative);
            } else if path.is_dir() {
                self.folder(&path, &format!("{relative}/"), depth + 1);
            } else {
                self.look_at_stranger(&path, prefix, name);
            }
        }
    }

    /// Whether a link stands at a path that leads to another place than the site's directory.
    fn leads_out(&self, path: &Path) -> bool {
        let is_link = fs::symlink_metadata(path).is_ok_and(|about| about.is_symlink());
        let Some(root) = self.root.as_ref().filter(|_| is_link) else { return false };
        // One that leads nowhere cannot be read, which is said as of every file.
        path.canonicalize().is_ok_and(|target| !target.starts_with(root))
    }

    fn file(&mut self, path: &Path, name: String) {
        if !name.ends_with(OVERRIDE_SUFFIX) && !belongs(&name) {
            let places: BTreeSet<String> = EMBEDDED.iter().map(|(n, ..)| place(n)).collect();
            let hint = suggest(&place(&name), places.iter().map(String::as_str));
            return self.fault(path, format!("content has no place for this file{hint}"));
        }
        match read_text(path, max_bytes(&name)) {
            Ok(text) => {
                let shown = path.display().to_string();
                self.files.0.insert(name, ContentFile { shown, text, shipped: false });
            }
            Err(message) => self.fault(path, message),
        }
    }

    /// A file that is no content: fine where it explains something, worth a word where content is expected.
    fn look_at_stranger(&mut self, path: &Path, folder: &str, name: &str) {
        let explains = name.ends_with(".md") || name.starts_with("README");
        if !folder.is_empty() && !explains {
            let message = "is not read: content files end in .toml or .txt";
            let file = path.display().to_string();
            self.notes.push(Fault { file, line: 0, item: String::new(), message: message.into() });
        }
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
    EMBEDDED.iter().any(|(shipped, ..)| place(shipped) == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn read(dir: &Path) -> (ContentFiles, String, Vec<Fault>) {
        let (mut faults, mut notes) = (Faults::default(), Vec::new());
        let files = ContentFiles::of_site(dir, &mut faults, &mut notes);
        (files, faults.to_string().replace(&dir.display().to_string(), "DIR"), notes)
    }

    #[test]
    fn nothing_but_tests_stands_behind_the_first_test_of_a_shipped_rule() {
        let rules = embedded().filter(|file| file.name.starts_with("rules/"));
        assert!(rules.clone().count() >= 20);
        for Embedded { name, loaded, tests } in rules {
            let rest: toml::Table = tests.parse().unwrap();
            assert!(!rest.is_empty(), "{name}");
            assert!(rest.keys().all(|key| ["test", "test_history"].contains(&&**key)), "{name}");
            assert!(!loaded.contains("[[test]]") && loaded.contains("[condition") && loaded.ends_with('\n'), "{name}");
        }
    }

    #[test]
    fn a_shipped_file_is_in_the_binary_as_it_stands_in_the_tree() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/content");
        for (name, file) in ContentFiles::shipped().0 {
            assert_eq!(file.text, fs::read_to_string(root.join(&name)).unwrap(), "{name}");
        }
    }

    #[test]
    fn a_sites_files_are_those_that_are_content() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir(at("tables")).unwrap();
        fs::write(at("tables/mine.txt"), "x\n").unwrap();
        fs::write(at("tables/.mine.txt.swp"), "junk").unwrap();
        fs::write(at("tables/mine.tx"), "junk").unwrap();
        fs::write(at("README"), "ignored").unwrap();
        fs::write(at("us.override.toml"), "").unwrap();
        symlink("mine.txt", at("tables/link.txt")).unwrap();
        let (files, faults, notes) = read(dir.path());
        assert_eq!(faults, "");
        assert_eq!(files.0.keys().collect::<Vec<_>>(), ["tables/link.txt", "tables/mine.txt", "us.override.toml"]);
        assert!(files.0.values().all(|f| !f.shipped && f.shown.starts_with(&dir.path().display().to_string())));
        assert_eq!(notes.len(), 1);
        assert!(notes[0].to_string().ends_with("tables/mine.tx: is not read: content files end in .toml or .txt"));
    }

    #[test]
    fn what_cannot_be_content_is_refused_with_a_reason() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        ["rule", "rules", "tables", "rules/folder.toml"].iter().for_each(|d| fs::create_dir(at(d)).unwrap());
        fs::write(at("rule/mine.toml"), "").unwrap();
        fs::write(at("rules/latin.toml"), b"id = 'x'\nname = 'caf\xe9'\n").unwrap();
        fs::write(at("rules/large.toml"), "#".repeat(10 << 20)).unwrap();
        fs::write(at("tables/large.txt"), "#".repeat(10 << 20)).unwrap();
        symlink("/etc/hostname", at("rules/out.toml")).unwrap();
        symlink("/etc", at("tables/folder")).unwrap();
        symlink("nowhere", at("rules/gone.toml")).unwrap();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            at("rules/pipe.toml"),
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR,
            0,
        )
        .unwrap();
        expect_test::expect![[r#"
            DIR/rule/mine.toml: content has no place for this file; did you mean "rules/*.toml"?
            DIR/rules/folder.toml: is a directory; a file must stand here
            DIR/rules/gone.toml: cannot be read: No such file or directory (os error 2)
            DIR/rules/large.toml: has 10485760 bytes; at most 1048576 are read
            DIR/rules/latin.toml: is not UTF-8 (line 2); save it as UTF-8
            DIR/rules/out.toml: is a link that leads out of the content directory; put a copy here
            DIR/rules/pipe.toml: is no regular file
            DIR/tables/folder: is a link that leads out of the content directory; put a copy here
            DIR/tables/large.txt: has 10485760 bytes; at most 8388608 are read"#]]
        .assert_eq(&read(dir.path()).1);
        let (_, faults, _) = read(&at("absent"));
        assert_eq!(faults, "DIR: cannot read the content directory: No such file or directory (os error 2)");
    }
}
