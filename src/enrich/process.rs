//! Processes: the image's bare name, whether it ran from a temporary directory, and a key under which a new version or a
//! random installer folder is still the same process.

use super::account::append_lower;
use super::tables::{Lists, Names, Table};
use crate::event::{Draft, Field, FieldSet, Flag, Span, Text};

/// Adds `image`, `parent_image`, `process_key` and the flag `is_temp`.
#[inline]
pub(super) fn enrich(
    lists: &Lists,
    temp: Option<&TempDirectories>,
    raw: &[u8],
    arena: &mut Vec<u8>,
    draft: &mut Draft,
    wanted: FieldSet,
) {
    if wanted.contains(Field::Image) {
        let name = first_of(raw, arena, draft, &[Field::ProcessPath, Field::ProcessName]);
        let name = if name.is_empty() { program_of(raw, arena, draft.span(Field::CommandLine)) } else { name };
        set_image(lists, raw, arena, draft, Field::Image, name);
    }
    if wanted.contains(Field::ParentImage) {
        let name = first_of(raw, arena, draft, &[Field::ParentProcessPath, Field::ParentProcessName]);
        set_image(lists, raw, arena, draft, Field::ParentImage, name);
    }
    let dir = draft.span(Field::ProcessDir);
    if let (Some(temp), false) = (temp, dir.is_empty()) {
        let start = arena.len();
        append_lower(raw, arena, dir);
        if temp.contain(arena, start) {
            draft.flags.set(Flag::IsTemp);
        }
        arena.truncate(start);
    }
    if wanted.contains(Field::ProcessKey) && !draft.span(Field::ProcessName).is_empty() {
        set_key(lists, raw, arena, draft);
    }
}

/// The last component of the first of these fields that has one.
#[inline]
fn first_of(raw: &[u8], arena: &[u8], draft: &Draft, fields: &[Field]) -> Span {
    for field in fields {
        let span = draft.span(*field);
        let text = Text { raw, arena }.get(span);
        let start = memchr::memrchr2(b'\\', b'/', text).map_or(0, |i| i + 1);
        let name = span.part(start, span.len());
        if !name.is_empty() {
            return name;
        }
    }
    Span::EMPTY
}

/// The program that a command line names first: cut at the first blank outside double quotes, without quotes and
/// carets. Only where no field names the image, so that an allocation does not hurt.
fn program_of(raw: &[u8], arena: &mut Vec<u8>, command: Span) -> Span {
    let mut quoted = false;
    let mut program = Vec::new();
    let text = Text { raw, arena };
    for byte in text.get(command).trim_ascii_start() {
        match byte {
            b'"' => quoted = !quoted,
            b'^' => {}
            b if b.is_ascii_whitespace() && !quoted => break,
            b'\\' | b'/' => program.clear(),
            b => program.push(*b),
        }
    }
    let start = arena.len();
    arena.extend_from_slice(&program);
    Span::arena(start, arena.len())
}

#[inline]
fn set_image(lists: &Lists, raw: &[u8], arena: &mut Vec<u8>, draft: &mut Draft, field: Field, name: Span) {
    let start = arena.len();
    append_lower(raw, arena, name);
    let text = arena.get(start..).unwrap_or_default();
    let bare = lists.executable_suffixes.iter().find_map(|s| text.strip_suffix(&**s)).unwrap_or(text).len();
    draft.set(field, Span::arena(start, start + bare));
}

/// The table of temporary directories, split by its two kinds of entries.
#[derive(Clone, Debug, Default)]
pub(super) struct TempDirectories {
    /// `\temp\`: whole components anywhere.
    anywhere: Vec<memchr::memmem::Finder<'static>>,
    /// `/tmp/`: prefixes.
    prefixes: Vec<Box<[u8]>>,
}

impl TempDirectories {
    pub(super) fn of(table: &Table) -> TempDirectories {
        let mut out = TempDirectories::default();
        if table.on {
            for entry in &table.entries {
                match entry.first() {
                    Some(b'/') => out.prefixes.push(entry.clone()),
                    _ => out.anywhere.push(memchr::memmem::Finder::new(entry).into_owned()),
                }
            }
        }
        out
    }

    /// Whether the lower-case directory that begins at `start` is one. Appends to and folds that part of the buffer.
    fn contain(&self, buffer: &mut Vec<u8>, start: usize) -> bool {
        let dir = buffer.get(start..).unwrap_or_default();
        let posix = |p: &[u8]| dir.starts_with(p) || (p.len() == dir.len() + 1 && p.starts_with(dir));
        if dir.first() == Some(&b'/') && self.prefixes.iter().any(|p| posix(p)) {
            return true;
        }
        buffer.push(b'\\');
        let Some(dir) = buffer.get_mut(start..) else { return false };
        dir.iter_mut().filter(|b| **b == b'/').for_each(|b| *b = b'\\');
        self.anywhere.iter().any(|f| f.find(dir).is_some())
    }
}

/// Sets `process_key`.
fn set_key(lists: &Lists, raw: &[u8], arena: &mut Vec<u8>, draft: &mut Draft) {
    let start = arena.len();
    append_lower(raw, arena, draft.span(Field::ProcessDir));
    let dir_end = arena.len();
    append_lower(raw, arena, draft.span(Field::ProcessName));
    let end = arena.len();
    let slashed = |b: &u8| matches!(b, b'\\' | b'/');
    // The key is built behind the lowered text and then moved over it.
    let mut at = start;
    let mut after_root = false;
    let rooted = arena.get(start).is_some_and(slashed);
    if rooted {
        arena.push(b'\\');
    }
    while at < dir_end {
        let rest = arena.get(at..dir_end).unwrap_or_default();
        let len = rest.iter().position(slashed).unwrap_or(rest.len());
        if len > 0 {
            after_root = directory(lists, arena, at, at + len, after_root);
            arena.push(b'\\');
        }
        at += len + 1;
    }
    file(&lists.scratch_files, arena, dir_end, end);
    arena.drain(start..end);
    draft.set(Field::ProcessKey, Span::arena(start, arena.len()));
}

/// Appends a directory component; says whether the next one is a profile name.
fn directory(lists: &Lists, arena: &mut Vec<u8>, from: usize, to: usize, profile: bool) -> bool {
    let part = arena.get(from..to).unwrap_or_default();
    if profile {
        arena.extend_from_slice(b"%user%");
        return false;
    }
    let is_root = is_in(&lists.profile_roots, part);
    let braced = part.strip_prefix(b"{").and_then(|p| p.strip_suffix(b"}"));
    if braced.is_some_and(|p| p.len() == GUID_LEN && guid_at(p))
        || lists.scratch_directories.iter().any(|g| glob(g, part))
    {
        arena.push(b'*');
        return false;
    }
    let mut at = from;
    while at < to {
        let rest = arena.get(at..to).unwrap_or_default();
        let hex = rest.iter().take_while(|b| b.is_ascii_hexdigit()).count();
        let skip = if guid_at(rest) {
            GUID_LEN
        } else if hex >= MIN_HEX {
            hex
        } else {
            0
        };
        if skip > 0 {
            arena.push(b'*');
            at += skip;
        } else {
            let take = hex.max(1);
            arena.extend_from_within(at..at + take);
            at += take;
        }
    }
    is_root
}

/// Appends the file name: a pattern for made-up names, `*` for GUIDs and version numbers.
fn file(patterns: &[Box<[u8]>], arena: &mut Vec<u8>, from: usize, to: usize) {
    let name = arena.get(from..to).unwrap_or_default();
    if let Some(pattern) = patterns.iter().find(|g| glob(g, name)) {
        arena.extend_from_slice(pattern);
        return;
    }
    let mut at = from;
    while at < to {
        let rest = arena.get(at..to).unwrap_or_default();
        let version = version_len(rest);
        if guid_at(rest) || version > 0 {
            at += if guid_at(rest) { GUID_LEN } else { version };
            arena.push(b'*');
        } else {
            let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count().max(1);
            arena.extend_from_within(at..at + digits);
            at += digits;
        }
    }
}

/// Shortest run of hexadecimal digits that counts as random.
const MIN_HEX: usize = 8;
const GUID_LEN: usize = 36;

/// Whether a text begins with a GUID: 8-4-4-4-12 hexadecimal digits.
fn guid_at(text: &[u8]) -> bool {
    text.len() >= GUID_LEN
        && text.iter().take(GUID_LEN).enumerate().all(|(i, b)| match i {
            8 | 13 | 18 | 23 => *b == b'-',
            _ => b.is_ascii_hexdigit(),
        })
}

/// Length of the version number a text begins with: digits with at least one dot between them; 0 when it is none.
fn version_len(text: &[u8]) -> usize {
    let digits = |t: &[u8]| t.iter().take_while(|b| b.is_ascii_digit()).count();
    let mut len = digits(text);
    let mut dots = 0;
    while len > 0 && text.get(len) == Some(&b'.') {
        let more = digits(text.get(len + 1..).unwrap_or_default());
        if more == 0 {
            break;
        }
        len += 1 + more;
        dots += 1;
    }
    if dots > 0 { len } else { 0 }
}

fn is_in(names: &Names, part: &[u8]) -> bool {
    names.contains(part)
}

/// Whether a lower-case text matches a pattern of `*` and `?`.
pub(super) fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(b'?') => (p, t) = (p + 1, t + 1),
            Some(b) if text.get(t) == Some(b) => (p, t) = (p + 1, t + 1),
            _ => match star {
                Some((at, seen)) => {
                    star = Some((at, seen + 1));
                    (p, t) = (at + 1, seen + 1);
                }
                None => return false,
            },
        }
    }
    pattern.get(p..).unwrap_or_default().iter().all(|b| *b == b'*')
}
