//! Whether a directory is a temporary one, by the table `temp_directories`.
//!
//! Compared without regard to case, `/` and `\` alike. An entry matches as whole path components: anywhere in the path,
//! or, when it begins with `/`, at the root only. So `\temporal\` is not `\temp\`.

use super::case;
use super::tables::Entry;
use crate::content::Faults;
use crate::event::{Draft, Field, Flag};
use memchr::memchr2;

use super::arena::Arena;

/// The table's name.
pub(super) const TABLE: &str = "temp_directories";

/// The table, cut into components.
#[derive(Debug, Default)]
pub(super) struct TempDirectories {
    entries: Vec<Directory>,
    /// Bit n: some entry's first component has n bytes (63: or more).
    first_lengths: u64,
}

#[derive(Debug)]
struct Directory {
    first: Box<[u8]>,
    rest: Vec<Box<[u8]>>,
    /// Must stand at the beginning of the path.
    at_root: bool,
    /// Must have a separator before it.
    separated: bool,
}

impl TempDirectories {
    /// Compiles the table's entries; `file` is named in faults.
    pub fn compile(entries: &[Entry], file: &str, faults: &mut Faults) -> TempDirectories {
        let mut out = TempDirectories::default();
        for entry in entries.iter().filter(|e| !e.except) {
            let text = case::lower(entry.text.as_bytes());
            let mut parts = text.split(|b| is_separator(*b)).filter(|c| !c.is_empty()).map(Box::from);
            let (Some(first), rest) = (parts.next(), parts.collect()) else {
                faults.add(file, entry.line, "", format!("{:?} would match everything; name a directory", entry.text));
                continue;
            };
            if text.contains(&b'*') || text.contains(&b'?') || text.iter().filter(|b| **b == b'%').count() > 1 {
                let message = format!("{:?}: patterns and variables are not expanded; write \\name\\", entry.text);
                faults.add(file, entry.line, "", message);
                continue;
            }
            out.first_lengths |= length_bit(&first);
            let at_root = text.first() == Some(&b'/');
            let separated = text.first().copied().is_some_and(is_separator);
            out.entries.push(Directory { first, rest, at_root, separated });
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
        let mut rest = path;
        let mut start = 0;
        loop {
            let end = memchr2(b'\\', b'/', rest).unwrap_or(rest.len());
            let component = rest.get(..end).unwrap_or_default();
            let after = rest.get(end + 1..).unwrap_or_default();
            if !component.is_empty()
                && self.first_lengths & length_bit(component) != 0
                && self.entries.iter().any(|e| e.matches(component, after, start))
            {
                return true;
            }
            if after.is_empty() {
                return false;
            }
            start += end + 1;
            rest = after;
        }
    }
}

impl Directory {
    /// Whether the entry begins with this component, which stands at `start`, and goes on with what is after it.
    fn matches(&self, component: &[u8], after: &[u8], start: usize) -> bool {
        if !self.first.eq_ignore_ascii_case(component) || (self.separated && start == 0) || (self.at_root && start != 1)
        {
            return false;
        }
        let mut following = after.split(|b| is_separator(*b)).filter(|c| !c.is_empty());
        self.rest.iter().all(|wanted| following.next().is_some_and(|c| wanted.eq_ignore_ascii_case(c)))
    }
}

fn length_bit(component: &[u8]) -> u64 {
    1 << component.len().min(63)
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
