//! Listing a spool directory: its regular files that match the globs, with what `stat` says. Never descends, never follows.

use super::fingerprint::{Inode, Stat};
use super::glob::Globs;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A file of a directory.
#[derive(Clone, Debug)]
pub(super) struct Listed {
    pub(super) path: PathBuf,
    pub(super) stat: Stat,
}

/// Files that are never read.
#[derive(Clone, Debug, Default)]
pub(super) struct Refuse {
    paths: Vec<PathBuf>,
}

impl Refuse {
    pub(super) fn new(paths: &[PathBuf]) -> Refuse {
        // The file may not exist yet, its directory does.
        let resolved = paths.iter().map(|p| match (p.parent().map(fs::canonicalize), p.file_name()) {
            (Some(Ok(dir)), Some(name)) => dir.join(name),
            _ => p.clone(),
        });
        Refuse { paths: resolved.collect() }
    }

    /// The names that must not be read in this directory.
    fn names_in(&self, dir: &Path) -> Vec<OsString> {
        let Ok(dir) = fs::canonicalize(dir) else { return Vec::new() };
        let inside = self.paths.iter().filter(|p| p.parent() == Some(&dir));
        inside.filter_map(|p| p.file_name().map(OsString::from)).collect()
    }

    /// Whether a path that the user named is one of them.
    pub(super) fn covers(&self, path: &Path) -> bool {
        fs::canonicalize(path).is_ok_and(|p| self.paths.contains(&p))
    }
}

/// The regular files of `dir`, in no order, and the inode of `dir` itself. A file that vanishes meanwhile is left out.
pub(super) fn list(dir: &Path, globs: &Globs, refuse: &Refuse) -> io::Result<(Inode, Vec<Listed>)> {
    let own = Stat::of(&fs::metadata(dir)?).inode;
    let refused = if refuse.paths.is_empty() { Vec::new() } else { refuse.names_in(dir) };
    let mut files = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        if !globs.admit(&name) || refused.contains(&name) || !entry.file_type().is_ok_and(|t| t.is_file()) {
            continue;
        }
        match entry.metadata() {
            Ok(meta) if meta.is_file() => files.push(Listed { path: entry.path(), stat: Stat::of(&meta) }),
            Ok(_) => {}
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(e),
        }
    }
    Ok((own, files))
}
