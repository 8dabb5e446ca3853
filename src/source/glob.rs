//! File-name globs: `*` is any run of bytes, `?` is one byte, everything else is itself. Case counts.
//!
//! No character classes, no `**`: a spool is one directory.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

/// Which file names of a spool are read.
#[derive(Clone, Debug, Default)]
pub(super) struct Globs {
    include: Vec<Box<[u8]>>,
    exclude: Vec<Box<[u8]>>,
}

impl Globs {
    pub(super) fn new(include: &[String], exclude: &[String]) -> Globs {
        let bytes = |list: &[String]| list.iter().map(|g| g.as_bytes().into()).collect();
        Globs { include: bytes(include), exclude: bytes(exclude) }
    }

    /// What `replay` reads of a directory: everything but hidden files and files that are still being written.
    pub(super) fn for_replay() -> Globs {
        let default = crate::config::SpoolSettings::default();
        Globs::new(&default.include, &default.exclude)
    }

    pub(super) fn admit(&self, name: &OsStr) -> bool {
        let name = name.as_bytes();
        self.include.iter().any(|g| matches(g, name)) && !self.exclude.iter().any(|g| matches(g, name))
    }
}

/// Linear in `glob × name` at worst: on a mismatch only the last `*` is widened.
fn matches(glob: &[u8], name: &[u8]) -> bool {
    let (mut g, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while let Some(byte) = name.get(n) {
        match glob.get(g) {
            Some(b'*') => {
                star = Some((g, n));
                g += 1;
            }
            Some(c) if *c == b'?' || c == byte => {
                g += 1;
                n += 1;
            }
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    (g, n) = (at + 1, from + 1);
                }
                None => return false,
            },
        }
    }
    glob.get(g..).unwrap_or_default().iter().all(|b| *b == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_match_whole_names() {
        for (glob, name, expected) in [
            ("*", "", true),
            ("*.log", "a.log", true),
            ("*.log", "a.log.1", false),
            ("*.log*", "a.log.1", true),
            ("dtex-??.csv", "dtex-07.csv", true),
            ("dtex-??.csv", "dtex-7.csv", false),
            ("a*b*c", "aXbXbXc", true),
            ("a*b*c", "aXbX", false),
            (".*", ".hidden", true),
            (".*", "seen", false),
            ("", "", true),
            ("", "a", false),
            ("A.log", "a.log", false),
        ] {
            assert_eq!(matches(glob.as_bytes(), name.as_bytes()), expected, "{glob} {name}");
        }
    }

    #[test]
    fn excluded_names_stay_out_even_when_included() {
        let globs = Globs::new(&["*".into()], &["*.tmp".into(), ".*".into()]);
        assert!(globs.admit(OsStr::new("a.log")));
        assert!(!globs.admit(OsStr::new("a.tmp")));
        assert!(!globs.admit(OsStr::new(".a.log")));
        assert!(!Globs::new(&[], &[]).admit(OsStr::new("a")));
    }
}
