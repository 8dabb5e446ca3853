//! The parts of a file or directory name that differ from one run or version to the next: GUIDs, runs of hexadecimal
//! digits and version numbers. Each becomes `*`, in place.
//!
//! Names are lower-case. Lengths are bytes. Neighbouring replacements become one `*`.

use super::arena::Arena;
use memchr::memchr_iter;

/// Length of a GUID without braces.
const GUID: usize = 36;

/// What is replaced besides GUIDs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Replace {
    /// Runs of at least so many hexadecimal digits.
    HexRuns(usize),
    /// Digits with at least one dot between them.
    Versions,
}

/// Appends the arena's bytes `from..to` with their random parts replaced.
pub(super) fn push_replaced(arena: &mut Arena<'_>, from: usize, to: usize, what: Replace) {
    let out = arena.mark();
    let mut at = from;
    // GUIDs go first: what they leave over is looked through for the rest.
    while let Some(guid) = find_guid(arena.between(at, to)) {
        push_segment(arena, out, at, at + guid, what);
        push_star(arena, out);
        at += guid + GUID;
    }
    push_segment(arena, out, at, to, what);
}

/// The same for a stretch without GUIDs. `out` is where the name's output begins.
fn push_segment(arena: &mut Arena<'_>, out: usize, from: usize, to: usize, what: Replace) {
    let mut at = from;
    while let Some((start, end)) = find(arena.between(at, to), what) {
        arena.repeat(at, at + start);
        push_star(arena, out);
        at += end;
    }
    arena.repeat(at, to);
}

fn push_star(arena: &mut Arena<'_>, out: usize) {
    if arena.since(out).last() != Some(&b'*') {
        arena.push(b"*");
    }
}

/// Whether a name has a part to replace.
pub(super) fn changes(name: &[u8], what: Replace) -> bool {
    find_guid(name).is_some() || find(name, what).is_some()
}

/// Whether this is a GUID in braces and nothing else.
pub(super) fn is_braced_guid(name: &[u8]) -> bool {
    match name {
        [b'{', inner @ .., b'}'] => is_guid(inner),
        _ => false,
    }
}

/// The first part to replace besides GUIDs.
fn find(name: &[u8], what: Replace) -> Option<(usize, usize)> {
    match what {
        Replace::HexRuns(min) => find_hex_run(name, min),
        Replace::Versions => find_version(name),
    }
}

fn find_guid(name: &[u8]) -> Option<usize> {
    if name.len() < GUID {
        return None;
    }
    memchr_iter(b'-', name)
        .filter_map(|dash| dash.checked_sub(8))
        .find(|start| name.get(*start..start + GUID).is_some_and(is_guid))
}

fn is_guid(text: &[u8]) -> bool {
    text.len() == GUID
        && text.iter().enumerate().all(|(i, b)| match i {
            8 | 13 | 18 | 23 => *b == b'-',
            _ => is_hex(*b),
        })
}

fn find_hex_run(name: &[u8], min: usize) -> Option<(usize, usize)> {
    // A run of `min` covers one of every `min` positions, so most bytes are never looked at.
    let mut probe = min.checked_sub(1)?;
    while let Some(b) = name.get(probe) {
        if !is_hex(*b) {
            probe += min;
            continue;
        }
        let left = name.get(..probe)?.iter().rev().take_while(|b| is_hex(**b)).count();
        let right = name.get(probe..)?.iter().take_while(|b| is_hex(**b)).count();
        if left + right >= min {
            return Some((probe - left, probe + right));
        }
        probe += right + min;
    }
    None
}

fn find_version(name: &[u8]) -> Option<(usize, usize)> {
    let digits = |from: usize| name.get(from..).unwrap_or_default().iter().take_while(|b| b.is_ascii_digit()).count();
    for dot in memchr_iter(b'.', name) {
        let before = name.get(..dot)?.iter().rev().take_while(|b| b.is_ascii_digit()).count();
        let after = digits(dot + 1);
        if before == 0 || after == 0 {
            continue;
        }
        let mut end = dot + 1 + after;
        while name.get(end) == Some(&b'.') && digits(end + 1) > 0 {
            end += 1 + digits(end + 1);
        }
        return Some((dot - before, end));
    }
    None
}

fn is_hex(b: u8) -> bool {
    b.is_ascii_hexdigit()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replaced(name: &str, what: Replace) -> String {
        let mut made = name.as_bytes().to_vec();
        let mut arena = Arena::new(b"", &mut made);
        push_replaced(&mut arena, 0, name.len(), what);
        String::from_utf8(arena.since(name.len()).to_vec()).unwrap()
    }

    #[test]
    fn guids_and_long_hex_runs_of_directories_are_replaced_in_place() {
        for (name, wanted) in [
            ("plain", "plain"),
            ("deadbee", "deadbee"),
            ("deadbeef", "*"),
            ("tmp-deadbeef01-x", "tmp-*-x"),
            ("20240131", "*"),
            ("a-1234567-12345678", "a-1234567-*"),
            ("12345678x12345678", "*x*"),
            ("3f2504e0-4f89-41d3-9a0c-0305e82c3301", "*"),
            ("{3f2504e0-4f89-41d3-9a0c-0305e82c3301}.x", "{*}.x"),
            ("update3f2504e0-4f89-41d3-9a0c-0305e82c3301", "update*"),
            ("3f2504e0-4f89-41d3-9a0c-0305e82c3301deadbeef", "*"),
            ("3f2504e0-4f89-41d3-9a0c", "*-4f89-41d3-9a0c"),
            ("1.20.3", "1.20.3"),
        ] {
            assert_eq!(replaced(name, Replace::HexRuns(8)), wanted, "{name}");
        }
    }

    #[test]
    fn guids_and_versions_of_file_names_are_replaced_in_place() {
        for (name, wanted) in [
            ("setup-1.20.3.exe", "setup-*.exe"),
            ("python3.11.exe", "python*.exe"),
            ("a1.2b3.4.exe", "a*b*.exe"),
            ("7z2301.exe", "7z2301.exe"),
            ("1..2.exe", "1..2.exe"),
            ("file.7z", "file.7z"),
            ("deadbeef.exe", "deadbeef.exe"),
            ("up-3f2504e0-4f89-41d3-9a0c-0305e82c3301.exe", "up-*.exe"),
            ("1.3f2504e0-4f89-41d3-9a0c-0305e82c3301.exe", "1.*.exe"),
            ("1.2-3f2504e0-4f89-41d3-9a0c-0305e82c3301-3.4", "*-*-*"),
        ] {
            assert_eq!(replaced(name, Replace::Versions), wanted, "{name}");
        }
    }

    #[test]
    fn only_a_whole_guid_in_braces_is_one() {
        assert!(is_braced_guid(b"{3f2504e0-4f89-41d3-9a0c-0305e82c3301}"));
        for other in ["{}", "{3f2504e0-4f89-41d3-9a0c-0305e82c330g}", "3f2504e0-4f89-41d3-9a0c-0305e82c3301"] {
            assert!(!is_braced_guid(other.as_bytes()), "{other}");
        }
    }
}
