//! The image of a process and of its parent: the file name of the program, lower-case, without `.exe` or `.com`.
//!
//! Taken from the path, else the name, else the first argument of the command line. Never looks at a disk.

use super::arena::Arena;
use super::lists::Lists;
use crate::event::{Draft, Field, FieldSet, Span};
use crate::swar::last_of;

/// What [`set_image`] reads.
pub(super) const IMAGE_READS: FieldSet =
    FieldSet::of(Field::ProcessPath).union(FieldSet::of(Field::ProcessName)).union(FieldSet::of(Field::CommandLine));

/// What [`set_parent_image`] reads.
pub(super) const PARENT_READS: FieldSet =
    FieldSet::of(Field::ParentProcessPath).union(FieldSet::of(Field::ParentProcessName));

/// Sets the image of the process.
pub(super) fn set_image(lists: &Lists, arena: &mut Arena<'_>, draft: &mut Draft) {
    let mut name = file_name(arena, draft, [Field::ProcessPath, Field::ProcessName]);
    if name.is_empty() {
        let argument = push_first_argument(arena, draft.span(Field::CommandLine));
        name = last_component(arena, argument);
    }
    set(lists, arena, draft, Field::Image, name);
}

/// Whether the image is that of the command line's first argument.
pub(super) fn is_from_command_line(arena: &Arena<'_>, draft: &Draft) -> bool {
    file_name(arena, draft, [Field::ProcessPath, Field::ProcessName]).is_empty()
}

/// Sets the image of the parent.
pub(super) fn set_parent_image(lists: &Lists, arena: &mut Arena<'_>, draft: &mut Draft) {
    let name = file_name(arena, draft, [Field::ParentProcessPath, Field::ParentProcessName]);
    set(lists, arena, draft, Field::ParentImage, name);
}

fn set(lists: &Lists, arena: &mut Arena<'_>, draft: &mut Draft, field: Field, name: Span) {
    let name = without_suffix(lists, arena, name);
    let image = arena.lowered(name);
    draft.set(field, image);
}

/// The last component of the first of two fields that has one.
fn file_name(arena: &Arena<'_>, draft: &Draft, fields: [Field; 2]) -> Span {
    let [path, name] = fields.map(|f| draft.span(f));
    let found = last_component(arena, path);
    if found.is_empty() { last_component(arena, name) } else { found }
}

/// The last component of a path, without quotes and blanks around the path.
fn last_component(arena: &Arena<'_>, path: Span) -> Span {
    let text = arena.get(path);
    let is_padding = |b: &u8| b.is_ascii_whitespace() || *b == b'"';
    let behind = text.iter().rev().take_while(|b| is_padding(b) || is_separator(**b)).count();
    let text = text.get(..text.len() - behind).unwrap_or_default();
    let start = last_of(text, b'\\', b'/').map_or(0, |i| i + 1);
    let before = text.get(start..).unwrap_or_default().iter().take_while(|b| is_padding(b)).count();
    path.part(start + before, text.len())
}

/// The name without the first of the suffixes that it ends with; a name that is nothing else keeps it.
fn without_suffix(lists: &Lists, arena: &Arena<'_>, name: Span) -> Span {
    let text = arena.get(name);
    let last = text.last().map(u8::to_ascii_lowercase);
    let ends_with = |suffix: &[u8]| {
        if suffix.last().copied() != last {
            return false;
        }
        let tail = text.len().checked_sub(suffix.len()).filter(|n| *n > 0).and_then(|n| text.get(n..));
        tail.is_some_and(|t| t.iter().map(u8::to_ascii_lowercase).eq(suffix.iter().copied()))
    };
    match lists.executable_suffixes.iter().find(|s| ends_with(s)) {
        Some(suffix) => name.part(0, text.len() - suffix.len()),
        None => name,
    }
}

/// Writes the first argument of a command line: cut at blanks outside double quotes, quotes and carets removed.
fn push_first_argument(arena: &mut Arena<'_>, command: Span) -> Span {
    let text = arena.get(command);
    let start = text.len() - text.trim_ascii_start().len();
    let mut quoted = false;
    let is_end = |b: &u8| {
        quoted ^= *b == b'"';
        !quoted && b.is_ascii_whitespace()
    };
    let length = text.get(start..).unwrap_or_default().iter().position(is_end).unwrap_or(text.len() - start);
    let mark = arena.mark();
    // Copied piece by piece, because the command line may stand in the arena itself.
    let mut from = start;
    let end = start + length;
    while from < end {
        let piece = arena.get(command.part(from, end));
        let kept = piece.iter().position(|b| matches!(b, b'"' | b'^')).unwrap_or(piece.len());
        arena.copy(command.part(from, from + kept));
        from += kept + 1;
    }
    arena.span_since(mark)
}

fn is_separator(b: u8) -> bool {
    b == b'\\' || b == b'/'
}

#[cfg(test)]
mod tests {
    use crate::enrich::tests::{enriched, shipped};
    use crate::event::{EventType, Field};
    use Field::{CommandLine, Image, ParentImage, ParentProcessName, ParentProcessPath, ProcessName, ProcessPath};

    #[test]
    fn the_image_is_the_last_component_in_lower_case_without_its_suffix() {
        let tables = shipped();
        for (path, wanted) in [
            ("C:\\Windows\\System32\\CertUtil.exe", Some("certutil")),
            ("C:\\Windows\\System32\\more.COM", Some("more")),
            ("/usr/bin/curl", Some("curl")),
            ("C:/Tools\\plink.exe", Some("plink")),
            ("socat", Some("socat")),
            ("C:\\x\\tool.com.exe", Some("tool.com")),
            ("C:\\x\\setup.msi", Some("setup.msi")),
            ("C:\\x\\.exe", Some(".exe")),
            ("\"C:\\Program Files\\x\\a b.exe\" ", Some("a b")),
            ("C:\\x\\Größe.EXE", Some("größe")),
            ("C:\\x\\dir\\", Some("dir")),
            ("\\\\", None),
            ("", None),
        ] {
            let event = enriched(&tables, EventType::ProcessCreated, &[(ProcessPath, path)]);
            assert_eq!(event.get(Image).as_deref(), wanted, "{path}");
            let event = enriched(&tables, EventType::ProcessCreated, &[(ParentProcessPath, path)]);
            assert_eq!(event.get(ParentImage).as_deref(), wanted, "{path}");
            assert_eq!(event.get(Image), None);
        }
    }

    #[test]
    fn the_path_comes_before_the_name_and_the_name_before_the_command_line() {
        let tables = shipped();
        let (p, n, c) = ((ProcessPath, "C:\\a\\path.exe"), (ProcessName, "name.exe"), (CommandLine, "cmd.exe /c x"));
        let image = |fields: &[(Field, &str)]| enriched(&tables, EventType::ProcessCreated, fields).get(Image).unwrap();
        assert_eq!(image(&[p, n, c]), "path");
        assert_eq!(image(&[n, c]), "name");
        assert_eq!(image(&[c]), "cmd");
        assert_eq!(image(&[(ProcessPath, "\\"), n, c]), "name");
        let event = enriched(&tables, EventType::ProcessCreated, &[(ParentProcessName, "W3WP.exe"), c]);
        assert_eq!(event.get(ParentImage).as_deref(), Some("w3wp"));
        assert_eq!(enriched(&tables, EventType::ProcessCreated, &[c]).get(ParentImage), None);
    }

    #[test]
    fn the_first_argument_is_cut_at_blanks_outside_quotes_and_freed_of_quotes_and_carets() {
        let tables = shipped();
        for (command, wanted) in [
            ("certutil -encode a b", Some("certutil")),
            ("  c^ert\"u\"til.exe -f", Some("certutil")),
            ("\"C:\\Program Files\\x\\Tool.exe\" -a", Some("tool")),
            ("C:\\Pro\"gram Fi\"les\\x\\t.exe -a", Some("t")),
            ("\"C:\\open quote\\a b.exe -x", Some("a b.exe -x")),
            ("C:\\Program Files\\x\\tool.exe", Some("program")),
            ("ftp\t-s:x", Some("ftp")),
            ("\"\" x", None),
            ("^^ x", None),
            ("   ", None),
        ] {
            let event = enriched(&tables, EventType::ProcessCreated, &[(CommandLine, command)]);
            assert_eq!(event.get(Image).as_deref(), wanted, "{command}");
        }
    }
}
