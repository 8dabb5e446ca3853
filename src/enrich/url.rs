//! The parts of an address: host, path, query. Tolerant of what proxies write; never guesses a host.

use crate::event::{Counts, Draft, Field, FieldSet, Oddity, Span, Text};
use std::net::{Ipv4Addr, Ipv6Addr};

/// Adds `web_domain`, `uri_path` and `uri_query`.
pub(super) fn enrich(raw: &[u8], arena: &mut Vec<u8>, draft: &mut Draft, wanted: FieldSet, oddities: &mut Counts) {
    let span = draft.span(Field::Url);
    let text = Text { raw, arena }.get(span);
    let authority = match scheme_len(text) {
        Some(len) => len,
        None if is_bare(text) => {
            oddities.add(Oddity::UrlWithoutScheme.index(), 1);
            0
        }
        None => return,
    };
    let rest = text.get(authority..).unwrap_or_default();
    let end = rest.iter().position(|b| matches!(b, b'/' | b'?' | b'#' | b'\\')).unwrap_or(rest.len());
    let host = host_of(rest.get(..end).unwrap_or_default());
    let Some(host) = normal(host) else { return };
    if wanted.contains(Field::UriPath) || wanted.contains(Field::UriQuery) {
        let tail = rest.get(end..).unwrap_or_default();
        let fragment = memchr::memchr(b'#', tail).unwrap_or(tail.len());
        let query = memchr::memchr(b'?', tail.get(..fragment).unwrap_or_default()).unwrap_or(fragment);
        let base = authority + end;
        draft.set(Field::UriPath, span.part(base, base + query));
        draft.set(Field::UriQuery, span.part(base + query + 1, base + fragment));
    }
    let start = arena.len();
    match host {
        Host::Plain(range) => {
            let from = range.0;
            let text = Text { raw, arena }.get(span);
            let host = text.get(from + authority..range.1 + authority).unwrap_or_default();
            // The raw text and the arena may be one: a short copy keeps the borrow apart.
            let mut small = [0u8; 256];
            let len = host.len().min(small.len());
            if let (Some(to), Some(from)) = (small.get_mut(..len), host.get(..len)) {
                to.copy_from_slice(from);
                to.make_ascii_lowercase();
                arena.extend_from_slice(to);
            }
        }
        Host::Punycode(name) => arena.extend_from_slice(name.as_bytes()),
    }
    draft.set(Field::WebDomain, Span::arena(start, arena.len()));
}

enum Host {
    /// ASCII: a range of the text behind the scheme.
    Plain((usize, usize)),
    /// An internationalised name as punycode.
    Punycode(String),
}

/// Longest host that is kept, bytes: names have at most 253.
const MAX_HOST: usize = 255;

/// Length of `scheme://`.
fn scheme_len(text: &[u8]) -> Option<usize> {
    let colon = memchr::memmem::find(text.get(..40.min(text.len()))?, b"://")?;
    let scheme = text.get(..colon)?;
    let good = scheme.first()?.is_ascii_alphabetic()
        && scheme.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'));
    good.then_some(colon + 3)
}

/// Where the host of an authority lies: without userinfo, port and brackets.
fn host_of(authority: &[u8]) -> (usize, usize, &[u8]) {
    let from = memchr::memrchr(b'@', authority).map_or(0, |i| i + 1);
    let rest = authority.get(from..).unwrap_or_default();
    if rest.first() == Some(&b'[') {
        let to = memchr::memchr(b']', rest).unwrap_or(rest.len());
        return (from + 1, from + to, rest.get(1..to).unwrap_or_default());
    }
    let to = memchr::memchr(b':', rest).unwrap_or(rest.len());
    (from, from + to, rest.get(..to).unwrap_or_default())
}

fn normal((from, to, host): (usize, usize, &[u8])) -> Option<Host> {
    let trimmed = host.strip_suffix(b".").unwrap_or(host);
    let to = to - (host.len() - trimmed.len());
    if trimmed.is_empty() || trimmed.len() > MAX_HOST {
        return None;
    }
    if trimmed.is_ascii() {
        let bad =
            |b: &u8| b.is_ascii_control() || matches!(b, b' ' | b'"' | b'<' | b'>' | b'|' | b'^' | b'`' | b'{' | b'}');
        return (!trimmed.iter().any(bad)).then_some(Host::Plain((from, to)));
    }
    let name = std::str::from_utf8(trimmed).ok()?;
    idna::domain_to_ascii(name).ok().filter(|n| !n.is_empty()).map(Host::Punycode)
}

/// Whether a value without a scheme begins with a host: an IP or a name of two labels or more, then `/`, a port or the end.
fn is_bare(text: &[u8]) -> bool {
    let end = text.iter().position(|b| matches!(b, b'/' | b':')).unwrap_or(text.len());
    let host = text.get(..end).unwrap_or_default();
    let tail_good = match text.get(end) {
        Some(b':') => {
            let digits = text.iter().skip(end + 1).take_while(|b| b.is_ascii_digit()).count();
            (1..=5).contains(&digits) && matches!(text.get(end + 1 + digits), None | Some(b'/'))
        }
        _ => true,
    };
    tail_good && (is_ip(host) || is_name(host))
}

fn is_name(host: &[u8]) -> bool {
    let host = host.strip_suffix(b".").unwrap_or(host);
    let mut labels = 0;
    let mut last_numeric = false;
    for label in host.split(|b| *b == b'.') {
        let good = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_') || !b.is_ascii();
        if label.is_empty() || label.len() > 63 || !label.iter().all(good) || label.first() == Some(&b'-') {
            return false;
        }
        labels += 1;
        last_numeric = label.iter().all(u8::is_ascii_digit);
    }
    labels >= 2 && !last_numeric
}

/// Whether a host is an address and not a name.
pub(super) fn is_ip(host: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(host) else { return false };
    text.parse::<Ipv4Addr>().is_ok() || text.parse::<Ipv6Addr>().is_ok()
}
