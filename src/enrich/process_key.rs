//! The key of a process: where it ran from and its name, without what differs from one run or version to the next.
//!
//! Lower-case; `/` becomes `\`, runs of separators become one, none at the end. In directories the owner of a profile
//! becomes `%user%`, GUIDs and long hexadecimal numbers `*` in place, and an installer's scratch directory `*`. In the
//! file name GUIDs and version numbers become `*`, and a name from the list of patterns becomes the pattern. The key of
//! a key is the key itself.

use super::arena::Arena;
use super::lists::Lists;
use super::random_part::{Replace, changes, is_braced_guid, push_replaced};
use crate::event::{Draft, Field, FieldSet};
use memchr::memchr2;

/// What [`set_process_key`] reads.
pub(super) const READS: FieldSet = FieldSet::of(Field::ProcessDir).union(FieldSet::of(Field::ProcessName));

/// What stands for the name of a profile's owner.
const OWNER: &[u8] = b"%user%";

/// Sets the key; none without a name.
pub(super) fn set_process_key(lists: &Lists, arena: &mut Arena<'_>, draft: &mut Draft) {
    let (directory, name) = (draft.span(Field::ProcessDir), draft.span(Field::ProcessName));
    if arena.get(name).iter().all(|b| is_separator(*b)) {
        return;
    }
    let path = arena.mark();
    if !directory.is_empty() {
        arena.copy(directory);
        arena.push(b"\\");
    }
    arena.copy(name);
    arena.lower_since(path);
    let behind = arena.since(path).iter().rev().take_while(|b| is_separator(**b)).count();
    arena.forget(arena.mark() - behind);
    if let Some(rest) = first_change(lists, arena.since(path)) {
        let key = arena.mark();
        arena.repeat(path, path + rest.from);
        push_key(lists, arena, (path, key), rest);
        arena.close_gap(path, key);
    }
    let span = arena.span_since(path);
    draft.set(Field::ProcessKey, span);
}

/// Where a path stops being its own key.
struct Rest {
    /// The beginning of a component, or the path's.
    from: usize,
    /// Whether that component is named after its owner.
    below_profile_root: bool,
}

/// The first component at which a lower-case path is not its own key; `None` when the whole path is.
fn first_change(lists: &Lists, path: &[u8]) -> Option<Rest> {
    let (mut from, mut below_profile_root) = (0, false);
    loop {
        let rest = Some(Rest { from, below_profile_root });
        let component = path.get(from..).unwrap_or_default();
        match memchr2(b'\\', b'/', component) {
            Some(0) if from == 0 && path.first() == Some(&b'\\') => from = 1,
            Some(length) if length > 0 && component.get(length) == Some(&b'\\') => {
                let name = component.get(..length).unwrap_or_default();
                let replace = Replace::HexRuns(lists.min_hex_run);
                if below_profile_root || is_scratch(lists, name) || changes(name, replace) {
                    return rest;
                }
                below_profile_root = lists.profile_roots.contains(name);
                from += length + 1;
            }
            Some(_) => return rest,
            None if lists.scratch_files.find(component).is_some() => return rest,
            None => return if changes(component, Replace::Versions) { rest } else { None },
        }
    }
}

/// Appends the key of what is left of the lower-case path that stands at `path` in the arena.
fn push_key(lists: &Lists, arena: &mut Arena<'_>, path: (usize, usize), rest: Rest) {
    let (mut at, end) = (path.0 + rest.from, path.1);
    let mut below_profile_root = rest.below_profile_root;
    if rest.from == 0 && arena.between(at, end).first().copied().is_some_and(is_separator) {
        arena.push(b"\\");
    }
    while at < end {
        let rest = arena.between(at, end);
        match memchr2(b'\\', b'/', rest) {
            Some(0) => at += 1,
            Some(length) => {
                below_profile_root = push_directory(lists, arena, at, at + length, below_profile_root);
                arena.push(b"\\");
                at += length + 1;
            }
            None => {
                push_file_name(lists, arena, at, end);
                at = end;
            }
        }
    }
}

/// Appends a directory; returns whether the next one is named after its owner.
fn push_directory(lists: &Lists, arena: &mut Arena<'_>, from: usize, to: usize, below_profile_root: bool) -> bool {
    let name = arena.between(from, to);
    if below_profile_root {
        arena.push(OWNER);
        return false;
    }
    let is_root = lists.profile_roots.contains(name);
    if is_scratch(lists, name) {
        arena.push(b"*");
    } else {
        push_replaced(arena, from, to, Replace::HexRuns(lists.min_hex_run));
    }
    is_root
}

fn push_file_name(lists: &Lists, arena: &mut Arena<'_>, from: usize, to: usize) {
    match lists.scratch_files.find(arena.between(from, to)) {
        Some(pattern) => arena.push(pattern.text()),
        None => push_replaced(arena, from, to, Replace::Versions),
    }
}

fn is_scratch(lists: &Lists, directory: &[u8]) -> bool {
    lists.scratch_directories.find(directory).is_some() || (lists.braced_guid_is_scratch && is_braced_guid(directory))
}

fn is_separator(b: u8) -> bool {
    b == b'\\' || b == b'/'
}

#[cfg(test)]
mod tests {
    use crate::enrich::Tables;
    use crate::enrich::tests::{enriched, shipped};
    use crate::event::{EventType, Field};
    use proptest::prelude::*;

    fn key(tables: &Tables, directory: &str, name: &str) -> Option<String> {
        let fields = [(Field::ProcessDir, directory), (Field::ProcessName, name)];
        enriched(tables, EventType::FileWrite, &fields).get(Field::ProcessKey)
    }

    #[test]
    fn keys_are_canonical_paths_without_what_differs_from_run_to_run() {
        let tables = shipped();
        for (directory, name, wanted) in [
            // canonical form
            ("C:\\Windows\\System32", "CMD.exe", "c:\\windows\\system32\\cmd.exe"),
            ("C:/Windows//System32\\\\", "cmd.exe", "c:\\windows\\system32\\cmd.exe"),
            ("\\\\srv\\share\\", "a.exe", "\\srv\\share\\a.exe"),
            ("/usr/bin", "curl", "\\usr\\bin\\curl"),
            ("/", "init", "\\init"),
            ("", "Tool.EXE", "tool.exe"),
            ("C:\\x", "sub\\tool.exe\\", "c:\\x\\sub\\tool.exe"),
            ("C:\\GRÖSSE", "Ä.exe", "c:\\grösse\\ä.exe"),
            // profiles
            ("C:\\Users\\jdoe\\AppData\\Local\\Temp", "a.exe", "c:\\users\\%user%\\appdata\\local\\temp\\a.exe"),
            ("C:\\Documents and Settings\\J Doe\\x", "a.exe", "c:\\documents and settings\\%user%\\x\\a.exe"),
            ("/home/jdoe", "a", "\\home\\%user%\\a"),
            ("C:\\Users", "deadbeef.exe", "c:\\users\\deadbeef.exe"),
            ("C:\\Users\\deadbeef01\\x", "a.exe", "c:\\users\\%user%\\x\\a.exe"),
            ("C:\\Users\\users\\deadbeef", "a.exe", "c:\\users\\%user%\\*\\a.exe"),
            ("C:\\superusers\\jdoe", "a.exe", "c:\\superusers\\jdoe\\a.exe"),
            // random parts of directories
            ("C:\\t\\{3F2504E0-4F89-41D3-9A0C-0305E82C3301}", "a.exe", "c:\\t\\*\\a.exe"),
            ("C:\\t\\3F2504E0-4F89-41D3-9A0C-0305E82C3301.d", "a.exe", "c:\\t\\*.d\\a.exe"),
            ("C:\\t\\pkg-DEADBEEF99", "a.exe", "c:\\t\\pkg-*\\a.exe"),
            ("C:\\t\\1.20.3", "a.exe", "c:\\t\\1.20.3\\a.exe"),
            ("C:\\t\\deadbee", "a.exe", "c:\\t\\deadbee\\a.exe"),
            // installer scratch
            ("C:\\t\\is-4QX1P.tmp", "a.exe", "c:\\t\\*\\a.exe"),
            ("C:\\t\\Rar$EXa0.812", "a.exe", "c:\\t\\*\\a.exe"),
            ("C:\\t\\7zS4C21", "a.exe", "c:\\t\\*\\a.exe"),
            ("C:\\t\\_MEI12402", "a.exe", "c:\\t\\*\\a.exe"),
            ("C:\\t\\nsu7.tmp", "a.exe", "c:\\t\\*\\a.exe"),
            ("C:\\t\\nsa1B2C.tmp", "a.exe", "c:\\t\\*\\a.exe"),
            ("C:\\t\\nsa1B2.tmp", "a.exe", "c:\\t\\nsa1b2.tmp\\a.exe"),
            ("C:\\t\\wac12.tmp", "a.exe", "c:\\t\\*\\a.exe"),
            ("C:\\t\\~nsuA.tmp", "a.exe", "c:\\t\\*\\a.exe"),
            ("C:\\t\\GUM5.tmp", "a.exe", "c:\\t\\*\\a.exe"),
            ("C:\\t\\CR_9.tmp", "a.exe", "c:\\t\\*\\a.exe"),
            ("C:\\t\\scoped_dir12_3", "a.exe", "c:\\t\\*\\a.exe"),
            ("/tmp/go-build123/b001/exe", "a", "\\tmp\\*\\b001\\exe\\a"),
            ("C:\\t\\this-is-x.tmp", "a.exe", "c:\\t\\this-is-x.tmp\\a.exe"),
            // file names
            ("C:\\t", "Setup-1.20.3.exe", "c:\\t\\setup-*.exe"),
            ("C:\\t", "3F2504E0-4F89-41D3-9A0C-0305E82C3301.exe", "c:\\t\\*.exe"),
            ("C:\\t", "deadbeef99.exe", "c:\\t\\deadbeef99.exe"),
            ("C:\\t", "MSI4F2A.tmp", "c:\\t\\msi*.tmp"),
            ("C:\\t", "un_A.exe", "c:\\t\\un_?.exe"),
            ("C:\\t", "un_AB.exe", "c:\\t\\un_ab.exe"),
            ("C:\\t", "_iu14D2N.tmp", "c:\\t\\_iu*.tmp"),
            ("C:\\t", "GUMF1.tmp", "c:\\t\\gum*.tmp"),
            ("C:\\t", "is-91.tmp", "c:\\t\\is-*.tmp"),
            ("C:\\t", "7z2301-x64.exe", "c:\\t\\7z2301-x64.exe"),
            ("C:\\t", "_mei12", "c:\\t\\_mei12"),
        ] {
            assert_eq!(key(&tables, directory, name).as_deref(), Some(wanted), "{directory} {name}");
        }
    }

    #[test]
    fn there_is_no_key_without_a_name() {
        let tables = shipped();
        assert_eq!(key(&tables, "C:\\Temp", ""), None);
        assert_eq!(key(&tables, "C:\\Temp", "\\/"), None);
    }

    #[test]
    fn a_new_run_and_a_new_version_have_the_same_key() {
        let tables = shipped();
        let first = key(&tables, "C:\\Users\\ann\\AppData\\Local\\Temp\\is-AB12.tmp", "setup_2.1.exe");
        let second = key(&tables, "C:\\Users\\bob\\AppData\\Local\\Temp\\is-ZZ99.tmp", "setup_2.2.14.exe");
        assert_eq!(first, second);
    }

    proptest! {
        #![proptest_config(crate::effort::cases())]

        #[test]
        fn the_key_of_a_key_is_itself(
            directory in "([A-Za-z:\\\\/ .*?{}~$%_\\-]|[0-9a-f]{1,9}|users|ns|\\.tmp|Ä|is-|3f2504e0-4f89-41d3-9a0c-0305e82c3301){0,24}",
            name in "([A-Za-z0-9. \\\\*?{}\\-]|1\\.2|msi|\\.tmp|un_|\\.exe|Σ|3f2504e0-4f89-41d3-9a0c-0305e82c3301){1,16}",
        ) {
            let tables = shipped();
            if let Some(once) = key(&tables, &directory, &name) {
                let (dir, file) = match once.rfind('\\') {
                    Some(i) => (once[..=i].to_owned(), once[i + 1..].to_owned()),
                    None => (String::new(), once.clone()),
                };
                prop_assert_eq!(key(&tables, &dir, &file), Some(once));
            }
        }
    }
}
