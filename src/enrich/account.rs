//! Keys of users and hosts: lower-case, with the domain; accounts that exist on every machine belong to their host.

use super::tables::Lists;
use crate::event::{Draft, Field, Span, Text};

/// Adds `host_key` and `user_key`.
#[inline]
pub(super) fn enrich(lists: &Lists, raw: &[u8], arena: &mut Vec<u8>, draft: &mut Draft) {
    for field in [Field::Host, Field::User, Field::UserDomain] {
        let text = Text { raw, arena }.get(draft.span(field)).trim_ascii();
        if text.is_empty() || text == b"-" {
            draft.unset(field);
        }
    }
    let start = arena.len();
    append_lower(raw, arena, draft.span(Field::Host));
    let host = Span::arena(start, arena.len());
    draft.set(Field::HostKey, host);

    let user = draft.span(Field::User);
    if user.is_empty() {
        return;
    }
    let start = arena.len();
    append_lower(raw, arena, draft.span(Field::UserDomain));
    let domain_end = arena.len();
    if domain_end > start {
        arena.push(b'\\');
    }
    let name_start = arena.len();
    append_lower(raw, arena, user);
    let of_machine = {
        let name = arena.get(name_start..).unwrap_or_default();
        let domain = arena.get(start..domain_end).unwrap_or_default();
        lists.machine_suffixes.iter().any(|s| name.ends_with(s))
            || lists.machine_names.contains(name)
            || lists.machine_domains.contains(domain)
    };
    if of_machine && !host.is_empty() {
        let name = Span::arena(name_start, arena.len());
        let start = arena.len();
        copy(arena, host);
        arena.push(b'\\');
        copy(arena, name);
        draft.set(Field::UserKey, Span::arena(start, arena.len()));
    } else {
        draft.set(Field::UserKey, Span::arena(start, arena.len()));
    }
}

/// Appends a span's text in lower case.
#[inline]
pub(super) fn append_lower(raw: &[u8], arena: &mut Vec<u8>, span: Span) {
    if span.is_empty() {
        return;
    }
    let start = arena.len();
    match span.arena_range() {
        Some(_) => copy(arena, span),
        None => arena.extend_from_slice(Text { raw, arena: &[] }.get(span)),
    }
    let Some(text) = arena.get_mut(start..) else { return };
    if text.is_ascii() {
        text.make_ascii_lowercase();
    } else {
        let lowered = String::from_utf8_lossy(text).to_lowercase();
        arena.truncate(start);
        arena.extend_from_slice(lowered.as_bytes());
    }
}

/// Appends a copy of a piece of the arena.
fn copy(arena: &mut Vec<u8>, span: Span) {
    if let Some(range) = span.arena_range()
        && range.end <= arena.len()
    {
        arena.extend_from_within(range);
    }
}
