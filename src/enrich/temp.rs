//! Whether a directory is a temporary one, by the table `temp_directories`.
//!
//! Compared without regard to case, `/` and `\` alike. An entry matches as whole path components: anywhere in the path,
//! or, when it begins with `/`, at the root only. So `\temporal\` is not `\temp\`.

use super::arena::Arena;
use super::case;
use super::tables::Entry;
use crate::content::Faults;
use crate::event::{Draft, Field, Flag};
use crate::swar::positions2;

/// The table's name.
pub(super) const TABLE: &str = "temp_directories";

/// The table's entries.
#[derive(Debug)]
pub(super) struct TempDirectories {
    /// Entries that match anywhere.
    anywhere: Vec<Directory>,
    /// Entries that match behind the separator with which a path begins.
    at_root: Vec<Directory>,
    /// By byte, in either case: whether some entry that matches anywhere begins with it.
    firsts: [bool; 256],
}

#[derive(Debug)]
struct Directory {
    /// Lower-case, `\` between components, none around them.
    path: Box<[u8]>,
    /// Must have a separator before it.
    separated: bool,
}

impl Default for TempDirectories {
    fn default() -> Self {
        TempDirectories { anywhere: Vec::new(), at_root: Vec::new(), firsts: [false; 256] }
    }
}

impl TempDirectories {
    /// Compiles the table's entries; `file` is named in faults.
    pub fn compile(entries: &[Entry], file: &str, faults: &mut Faults) -> TempDirectories {
        let mut out = TempDirectories::default();
        for entry in entries.iter().filter(|e| !e.except) {
            let text = case::lower(entry.text.as_bytes());
            let parts: Vec<&[u8]> = text.split(|b| is_separator(*b)).filter(|c| !c.is_empty()).collect();
            let path = parts.join(&b'\\');
            let Some(first) = path.first().copied() else {
                faults.add(file, entry.line, "", format!("{:?} would match everything; name a directory", entry.text));
                continue;
            };
            if text.contains(&b'*') || text.contains(&b'?') || text.iter().filter(|b| **b == b'%').count() > 1 {
                let message = format!("{:?}: patterns and variables are not expanded; write \\name\\", entry.text);
                faults.add(file, entry.line, "", message);
                continue;
            }
            let separated = text.first().copied().is_some_and(is_separator);
            let directory = Directory { path: path.into(), separated };
            if text.first() == Some(&b'/') {
                out.at_root.push(directory);
            } else {
                for b in [first, first.to_ascii_uppercase()] {
                    out.firsts.get_mut(usize::from(b)).into_iter().for_each(|is_first| *is_first = true);
                }
                out.anywhere.push(directory);
            }
        }
        out
    }

    /// Sets the flag when the process ran from a temporary directory.
    #[inline]
    pub fn judge(&self, arena: &mut Arena<'_>, draft: &mut Draft) {
        let span = draft.span(Field::ProcessDir);
        if span.is_empty() {
            return;
        }
        let directory = arena.get(span);
        let is_temp = if directory.is_ascii() {
            self.contains(directory)
        } else {
            let mark = arena.mark();
            arena.copy(span);
            arena.lower_since(mark);
            let is_temp = self.contains(arena.since(mark));
            arena.forget(mark);
            is_temp
        };
        if is_temp {
            draft.flags.set(Flag::IsTemp);
        }
    }

    /// Whether the path has an entry in it. The path is ASCII of any case, or lower-case.
    fn contains(&self, path: &[u8]) -> bool {
        let components = std::iter::once(0).chain(positions2(path, b'\\', b'/').map(|separator| separator + 1));
        let anywhere = components.into_iter().any(|start| {
            let first = path.get(start).and_then(|b| self.firsts.get(usize::from(*b)));
            first == Some(&true) && self.anywhere.iter().any(|e| e.stands_at(path, start))
        });
        let begins = path.first().copied().is_some_and(is_separator);
        anywhere || (begins && self.at_root.iter().any(|e| e.stands_at(path, 1)))
    }
}

impl Directory {
    /// Whether the entry stands at the component that begins at `start`.
    fn stands_at(&self, path: &[u8], start: usize) -> bool {
        let end = start + self.path.len();
        let Some(found) = path.get(start..end) else { return false };
        path.get(end).is_none_or(|b| is_separator(*b))
            && self.path.iter().zip(found).all(|(wanted, b)| *wanted == folded(*b))
            && !(self.separated && start == 0)
    }
}

fn folded(b: u8) -> u8 {
    if b == b'/' { b'\\' } else { b.to_ascii_lowercase() }
}

fn is_separator(b: u8) -> bool {
    b == b'\\' || b == b'/'
}

#[cfg(test)]
mod tests {
    use crate::content::Faults;
    use crate::enrich::tests::{compiled, enriched, shipped};
    use crate::event::{EventType, Field, Flag};

    #[test]
    fn temporary_directories_match_as_whole_components() {
        let tables = shipped();
        for (directory, wanted) in [
            ("C:\\Users\\jdoe\\AppData\\Local\\Temp", true),
            ("C:\\Users\\jdoe\\AppData\\Local\\Temp\\", true),
            ("c:/users/jdoe/appdata/local/TEMP/x", true),
            ("C:\\Temp", true),
            ("C:\\Windows\\Temp\\7zS1", true),
            ("C:\\temporal\\x", false),
            ("C:\\xtemp", false),
            ("C:\\temp.d", false),
            ("C:\\Users\\x\\AppData\\Local\\Microsoft\\Windows\\INetCache\\IE", true),
            ("C:\\Users\\x\\Temporary Internet Files\\Content.Outlook\\ABC", true),
            ("C:\\Users\\x\\Temporary Internet", false),
            ("C:\\Program Files\\Temp Tools", false),
            ("D:\\build\\tmp\\obj", true),
            ("C:\\\\Temp\\\\x", true),
            ("\\\\server\\temp\\x", true),
            ("Temp", false),
            ("/tmp", true),
            ("/tmp/x", true),
            ("/var/tmp", true),
            ("/dev/shm", true),
            ("/dev/shm/x/y", true),
            ("/dev/shmem", false),
            ("/mnt/dev/shm", false),
            ("C:\\dev\\shm", false),
            ("\\\\dev\\shm\\x", false),
            ("/private/var/folders/ab/cd", true),
            ("/data/private/var/folders/ab", false),
            ("/opt/tmpfiles", false),
            ("", false),
            ("\\", false),
        ] {
            let event = enriched(&tables, EventType::FileWrite, &[(Field::ProcessDir, directory)]);
            assert_eq!(event.flags.has(Flag::IsTemp), wanted, "{directory}");
        }
    }

    #[test]
    fn entries_of_a_site_may_have_letters_of_any_script_and_several_components() {
        let tables = compiled(&[("temp_directories", "\\Zwischen Ablagé\\\nC:\\Scratch\\Out")]);
        for (directory, wanted) in [
            ("D:\\ZWISCHEN ABLAGÉ\\x", true),
            ("D:\\zwischen ablage\\x", false),
            ("c:\\scratch\\out\\x", true),
            ("c:\\scratch\\x", false),
            ("c:\\x\\scratch\\out", false),
        ] {
            let event = enriched(&tables, EventType::FileWrite, &[(Field::ProcessDir, directory)]);
            assert_eq!(event.flags.has(Flag::IsTemp), wanted, "{directory}");
        }
    }

    #[test]
    fn entries_that_could_never_match_or_always_would_are_faults() {
        let mut faults = Faults::default();
        let files = [("temp_directories".into(), "\\temp\\\n/\n%TEMP%\n\\t*mp\\\n".into())].into();
        crate::enrich::Tables::compile(&files, &Default::default(), &[], &mut faults);
        let lines: Vec<usize> = faults.0.iter().map(|f| f.line).collect();
        assert_eq!(lines, [2, 3, 4]);
        assert!(faults.0.iter().all(|f| f.file == "tables/temp_directories.txt"));
    }
}
