//! Whether what decides over detection can be changed by strangers: the config, content, tables and the directory of users,
//! and the folders that they lie in.
//!
//! Looks at owners and modes; opens and changes nothing. A path is judged with all folders above it, as written and with links
//! followed: who can write one of them can put another file in the place of ours.

use super::Settings;
use crate::content::fault::{Fault, Faults};
use std::collections::BTreeSet;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Folders below which a content directory is not searched.
const MAX_DEPTH: usize = 16;

/// What was found.
#[derive(Debug, Default)]
pub struct Trust {
    /// What `run` refuses.
    pub faults: Faults,
    /// What is unwise but allowed, one sentence each.
    pub warnings: Vec<String>,
}

impl Trust {
    /// Everything as warnings, for commands that change nothing lasting.
    pub fn into_warnings(self) -> Vec<String> {
        self.faults.0.into_iter().map(|fault| fault.to_string()).chain(self.warnings).collect()
    }
}

/// Judges the config and all files that the settings name, for an agent that runs as `euid`. What is missing is not judged.
pub fn check_trust(config: Option<&Path>, settings: &Settings, euid: u32) -> Trust {
    let mut judge = Judge { euid, seen: BTreeSet::new(), trust: Trust::default() };
    let detection = &settings.detection;
    if let Some(config) = config {
        judge.file("config", config);
    }
    if let Some(dir) = &detection.content_dir {
        judge.tree("detection.content_dir", dir, 0);
    }
    for dir in &detection.sigma.dirs {
        judge.tree("sigma.dirs", dir, 0);
    }
    for (table, file) in &detection.table_files {
        judge.file(&format!("detection.table_files.{table}"), file);
    }
    if let Some(file) = &detection.directory {
        judge.file("detection.directory", file);
    }
    judge.trust
}

struct Judge {
    euid: u32,
    seen: BTreeSet<PathBuf>,
    trust: Trust,
}

impl Judge {
    /// A file or directory that is read, and the folders above it.
    fn file(&mut self, item: &str, path: &Path) {
        let written = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let real = path.canonicalize().unwrap_or_else(|_| written.clone());
        self.one(item, &real, true);
        for place in [&written, &real] {
            for (distance, folder) in place.ancestors().skip(1).enumerate() {
                self.one(item, folder, distance == 0);
            }
        }
    }

    /// A content directory: each folder and each file in it.
    fn tree(&mut self, item: &str, dir: &Path, depth: usize) {
        self.file(item, dir);
        let Ok(entries) = std::fs::read_dir(dir) else { return };
        for entry in entries.flatten() {
            let path = entry.path();
            if path.is_dir() && depth < MAX_DEPTH {
                self.tree(item, &path, depth + 1);
            } else {
                self.file(item, &path);
            }
        }
    }

    /// One place. Groups are looked at only `near` a file that is read: a group that may write somewhere above is common.
    fn one(&mut self, item: &str, path: &Path, near: bool) {
        if !self.seen.insert(path.to_owned()) {
            return;
        }
        let Ok(about) = std::fs::metadata(path) else { return };
        match verdict(path, &Facts::of(&about), self.euid) {
            Ok(Some(warning)) if near => self.trust.warnings.push(warning),
            Ok(_) => {}
            Err(message) => {
                let file = path.display().to_string();
                self.trust.faults.0.push(Fault { file, line: 0, item: item.into(), message });
            }
        }
    }
}

/// Mode and owner.
struct Facts {
    mode: u32,
    owner: u32,
    is_dir: bool,
}

impl Facts {
    fn of(about: &Metadata) -> Facts {
        Facts { mode: about.mode(), owner: about.uid(), is_dir: about.is_dir() }
    }
}

/// The verdict on one path: a warning, or why it must not be used.
fn verdict(path: &Path, about: &Facts, euid: u32) -> Result<Option<String>, String> {
    const STICKY: u32 = 0o1000;
    let Facts { mode, owner, is_dir } = *about;
    let what = if is_dir { format!("the directory {}", path.display()) } else { format!("{}", path.display()) };
    // In a sticky directory only the owner of a file can replace it.
    let guarded = is_dir && mode & STICKY != 0;
    if mode & 0o002 != 0 && !guarded {
        return Err(format!("{what} can be written by everyone; run chmod o-w {}", path.display()));
    }
    if owner != 0 && owner != euid {
        return Err(format!("{what} belongs to user {owner}; give it to root or to the agent's own user ({euid})"));
    }
    if mode & 0o020 != 0 && !guarded {
        return Ok(Some(format!("{what} can be written by its group; run chmod g-w {}", path.display())));
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn what_others_can_write_is_refused_and_group_writable_is_a_warning() {
        let word = |mode, owner, is_dir| match verdict(Path::new("c"), &Facts { mode, owner, is_dir }, 500) {
            Ok(None) => "good",
            Ok(Some(_)) => "warning",
            Err(_) => "refused",
        };
        for (mode, owner, is_dir, wanted) in [
            (0o100_644, 0, false, "good"),
            (0o100_600, 500, false, "good"),
            (0o100_600, 501, false, "refused"),
            (0o100_646, 0, false, "refused"),
            (0o100_664, 0, false, "warning"),
            (0o101_646, 0, false, "refused"),
            (0o040_755, 0, true, "good"),
            (0o040_777, 0, true, "refused"),
            (0o041_777, 0, true, "good"),
            (0o040_775, 500, true, "warning"),
            (0o040_755, 501, true, "refused"),
        ] {
            assert_eq!(word(mode, owner, is_dir), wanted, "{mode:o} of {owner}");
        }
    }

    #[test]
    fn everything_that_decides_over_detection_is_judged_with_the_folders_above() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let euid = std::fs::metadata(dir.path()).unwrap().uid();
        std::fs::create_dir_all(at("site/content/rules")).unwrap();
        std::fs::create_dir(at("shared")).unwrap();
        std::fs::create_dir_all(at("sigma/windows")).unwrap();
        for file in [
            "sigma/windows/a.yml",
            "c.toml",
            "site/content/rules/mine.toml",
            "table.txt",
            "users.csv",
            "shared/real.txt",
        ] {
            std::fs::write(at(file), "").unwrap();
        }
        symlink(at("shared/real.txt"), at("link.txt")).unwrap();
        let mut settings = Settings::default();
        settings.detection.content_dir = Some(at("site/content"));
        settings.detection.directory = Some(at("users.csv"));
        settings.detection.sigma.dirs = vec![at("sigma")];
        settings.detection.table_files.insert("t".into(), at("table.txt"));
        settings.detection.table_files.insert("u".into(), at("link.txt"));
        let check = || check_trust(Some(&at("c.toml")), &settings, euid);
        let chmod = |name: &str, mode| std::fs::set_permissions(at(name), PermissionsExt::from_mode(mode)).unwrap();
        for (name, mode) in [
            ("c.toml", 0o644),
            ("site", 0o755),
            ("site/content", 0o755),
            ("site/content/rules", 0o755),
            ("site/content/rules/mine.toml", 0o644),
            ("table.txt", 0o644),
            ("users.csv", 0o644),
            ("sigma", 0o755),
            ("sigma/windows", 0o755),
            ("sigma/windows/a.yml", 0o644),
            ("shared", 0o755),
            ("shared/real.txt", 0o644),
        ] {
            chmod(name, mode);
            assert_eq!(check().faults.0, [], "{name} as it should be");
            chmod(name, mode | 0o002);
            let trust = check();
            assert_eq!(trust.faults.0.len(), 1, "{name} {:?}", trust.faults);
            assert_eq!(trust.faults.0[0].file, at(name).canonicalize().unwrap().display().to_string());
            assert!(trust.faults.0[0].message.contains("chmod o-w"), "{}", trust.faults);
            assert_eq!(trust.into_warnings().len(), 1);
            chmod(name, mode);
        }
        chmod("table.txt", 0o664);
        assert_eq!(check().warnings.len(), 1);
        if euid == 0 {
            std::os::unix::fs::chown(at("site"), Some(12_345), None).unwrap();
            assert!(check().faults.to_string().contains("belongs to user 12345"), "{}", check().faults);
        }
    }
}
