//! Sigma rules on disk: the `.yml` and `.yaml` files below a directory, in order of their paths. Reads whole files, bounded.
//!
//! A link must stay within its directory; links to directories are not followed.

use super::yaml::Wrong;
use crate::content::fault::Faults;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// Largest file, bytes: the largest public rule has some 20,000.
pub const MAX_BYTES: u64 = 256 * 1024;
/// Most files of all directories.
const MAX_FILES: usize = 20_000;
/// Deepest folder.
const MAX_DEPTH: usize = 16;

/// A file and its text, or why it was not read.
#[derive(Debug)]
pub struct RuleFile {
    /// The file, as the user knows it.
    pub shown: String,
    /// The last component of its path without its ending.
    pub stem: String,
    /// Its text.
    pub text: Result<String, Wrong>,
}

/// Reads all rule files of a directory. One that cannot be listed is a fault; a file that cannot be read says why.
pub fn read(dir: &Path, files: &mut Vec<RuleFile>, faults: &mut Faults) {
    let item = "[sigma] dirs";
    let root = match dir.canonicalize() {
        Ok(root) if root.is_dir() => root,
        Ok(_) => return faults.add(&dir.display().to_string(), 0, item, "is no directory"),
        Err(e) => return faults.add(&dir.display().to_string(), 0, item, format!("cannot be read: {e}")),
    };
    let mut paths = Vec::new();
    if let Err((at, e)) = walk(dir, 0, &mut paths) {
        return faults.add(&at.display().to_string(), 0, item, format!("cannot be listed: {e}"));
    }
    if files.len() + paths.len() > MAX_FILES {
        let message = format!("more than {MAX_FILES} rule files; name fewer or smaller directories");
        return faults.add(&dir.display().to_string(), 0, item, message);
    }
    for path in paths {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        files.push(RuleFile { shown: path.display().to_string(), stem, text: text(&path, &root) });
    }
}

fn walk(dir: &Path, depth: usize, paths: &mut Vec<PathBuf>) -> Result<(), (PathBuf, std::io::Error)> {
    let cannot = |e| (dir.to_owned(), e);
    if depth > MAX_DEPTH {
        return Err(cannot(std::io::Error::other(format!("folders are nested more than {MAX_DEPTH} deep"))));
    }
    let mut entries = Vec::new();
    for entry in fs::read_dir(dir).map_err(cannot)? {
        let entry = entry.map_err(cannot)?;
        entries.push((entry.file_name(), entry.file_type().map_err(cannot)?));
    }
    entries.sort_by(|a, b| a.0.cmp(&b.0));
    for (name, kind) in entries {
        let text = name.to_string_lossy();
        if text.starts_with('.') || paths.len() > MAX_FILES {
            continue;
        }
        let path = dir.join(&name);
        if kind.is_dir() {
            walk(&path, depth + 1, paths)?;
        } else if text.ends_with(".yml") || text.ends_with(".yaml") {
            paths.push(path);
        }
    }
    Ok(())
}

fn text(path: &Path, root: &Path) -> Result<String, Wrong> {
    let cannot = |e: std::io::Error| Wrong::at(0, format!("cannot be read: {e}"));
    let real = path.canonicalize().map_err(cannot)?;
    if !real.starts_with(root) {
        return Err(Wrong::at(0, format!("is a link to {}, outside of its directory", real.display())));
    }
    let about = fs::metadata(&real).map_err(cannot)?;
    if !about.is_file() {
        return Err(Wrong::at(0, "is no plain file"));
    }
    if about.len() > MAX_BYTES {
        return Err(Wrong::at(0, format!("has {} bytes; a rule has at most {MAX_BYTES}", about.len())));
    }
    let mut bytes = Vec::new();
    File::open(&real).map_err(cannot)?.take(MAX_BYTES).read_to_end(&mut bytes).map_err(cannot)?;
    String::from_utf8(bytes).map_err(|e| {
        let before = e.as_bytes().get(..e.utf8_error().valid_up_to()).unwrap_or_default();
        Wrong::at(1 + before.iter().filter(|b| **b == b'\n').count(), "is not UTF-8")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn rule_files_are_read_in_order_and_what_cannot_be_says_why() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir_all(at("rules/sub")).unwrap();
        fs::create_dir(at("rules/folder.yml")).unwrap();
        fs::write(at("outside.yml"), "x").unwrap();
        for (name, bytes) in [("b.yml", &b"b"[..]), ("sub/a.yaml", b"a"), ("notes.txt", b""), (".c.yml", b"")] {
            fs::write(at("rules").join(name), bytes).unwrap();
        }
        fs::write(at("rules/utf.yml"), b"a\nb\n\xff").unwrap();
        fs::write(at("rules/large.yml"), vec![b'x'; MAX_BYTES as usize + 1]).unwrap();
        symlink(at("outside.yml"), at("rules/out.yml")).unwrap();
        symlink("b.yml", at("rules/in.yml")).unwrap();
        symlink(at("rules"), at("rules/round")).unwrap();
        symlink(at("nowhere"), at("rules/gone.yml")).unwrap();
        let (mut files, mut faults) = (Vec::new(), Faults::default());
        read(&at("rules"), &mut files, &mut faults);
        assert!(faults.is_empty(), "{faults}");
        let said: Vec<String> = files
            .iter()
            .map(|f| {
                let text = f.text.as_ref().map_or_else(|w| format!("{}:{}", w.line, w.message), Clone::clone);
                format!("{} {text}", f.stem)
            })
            .collect();
        let wanted = [
            "b b",
            "gone 0:cannot be read",
            "in b",
            "large 0:has 262145 bytes",
            "out 0:is a link to",
            "a a",
            "utf 3:is not UTF-8",
        ];
        assert_eq!(said.len(), wanted.len(), "{said:?}");
        for (said, wanted) in said.iter().zip(wanted) {
            assert!(said.starts_with(wanted), "{said} {wanted}");
        }
        read(&at("absent"), &mut files, &mut faults);
        read(&at("outside.yml"), &mut files, &mut faults);
        let all = faults.to_string();
        assert!(all.contains("cannot be read") && all.contains("is no directory"), "{all}");
    }
}
