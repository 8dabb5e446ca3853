//! The parts of an address: `web_domain`, `uri_path`, `uri_query`.
//!
//! Read as browsers do: the host ends at the first `/`, `?`, `#` or `\`, and what stands before the last `@` is no host.
//! An address without `scheme://` is taken only when it begins with a name of two labels or an IP, and is counted.
//! Never guesses beyond that; anything else has no parts.

use super::arena::Arena;
use super::host_name::{self, Canonical, canonical};
use crate::event::{Counts, Draft, Field, FieldSet, Oddity, Span};
use memchr::{memchr, memrchr};

/// What this enricher reads.
pub(super) const READS: FieldSet = FieldSet::of(Field::Url).union(FieldSet::of(Field::WebDomain));

/// Offsets into an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Parts {
    host: (usize, usize),
    /// Where the path begins.
    path: usize,
    /// Where the address ends, blanks behind it left out.
    end: usize,
    has_scheme: bool,
}

/// Sets the parts that the address has. A `web_domain` that the record itself carries is kept, in its one spelling.
pub(super) fn set_parts(arena: &mut Arena<'_>, draft: &mut Draft, oddities: &mut Counts) {
    let given = draft.span(Field::WebDomain);
    draft.unset(Field::WebDomain);
    let url = draft.span(Field::Url);
    let parts = split(arena.get(url));
    let host = match parts {
        _ if !given.is_empty() => given,
        Some(p) => url.part(p.host.0, p.host.1),
        None => return,
    };
    let Some(domain) = canonical_span(arena, host) else { return };
    draft.set(Field::WebDomain, domain);
    let Some(parts) = parts else { return };
    if !parts.has_scheme {
        oddities.add(Oddity::UrlWithoutScheme.index(), 1);
    }
    let tail = arena.get(url).get(parts.path..parts.end).unwrap_or_default();
    let end = memchr(b'#', tail).unwrap_or(tail.len());
    let tail = tail.get(..end).unwrap_or_default();
    let question = memchr(b'?', tail).unwrap_or(end);
    draft.set(Field::UriPath, url.part(parts.path, parts.path + question));
    draft.set(Field::UriQuery, url.part(parts.path + question + 1, parts.path + end));
}

/// A host in its one spelling; the span itself when it needs no change.
fn canonical_span(arena: &mut Arena<'_>, host: Span) -> Option<Span> {
    match canonical(arena.get(host))? {
        Canonical::Prefix(n) => Some(host.part(0, n)),
        Canonical::PrefixToLower(n) => Some(arena.lowered(host.part(0, n))),
        Canonical::Other(text) => {
            let mark = arena.mark();
            arena.push(text.as_bytes());
            Some(arena.span_since(mark))
        }
    }
}

fn split(url: &[u8]) -> Option<Parts> {
    let start = url.len() - url.trim_ascii_start().len();
    let url = url.trim_ascii_end();
    match after_scheme(url, start) {
        Some(authority) => split_with_scheme(url, authority),
        None => split_without_scheme(url, start),
    }
}

/// Where the authority begins, if `scheme://` stands before it.
fn after_scheme(url: &[u8], start: usize) -> Option<usize> {
    let text = url.get(start..)?;
    let is_scheme_byte = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.');
    let colon = text.iter().position(|b| !is_scheme_byte(b))?;
    let begins_with_letter = text.first().is_some_and(u8::is_ascii_alphabetic);
    (begins_with_letter && text.get(colon..)?.starts_with(b"://")).then_some(start + colon + 3)
}

fn split_with_scheme(url: &[u8], start: usize) -> Option<Parts> {
    let rest = url.get(start..)?;
    let length = rest.iter().position(|b| matches!(b, b'/' | b'?' | b'#' | b'\\')).unwrap_or(rest.len());
    let authority = rest.get(..length)?;
    let user = memrchr(b'@', authority).map_or(0, |at| at + 1);
    let host = authority.get(user..)?;
    let host_end = match host {
        [b'[', ..] => memchr(b']', host)? + 1,
        _ => memchr(b':', host).unwrap_or(host.len()),
    };
    // Nothing but a port may follow the host; the port may be empty.
    let ([] | [b':', ..]) = host.get(host_end..)? else { return None };
    if !host.get(host_end..)?.iter().skip(1).all(u8::is_ascii_digit) {
        return None;
    }
    let from = start + user;
    Some(Parts { host: (from, from + host_end), path: start + length, end: url.len(), has_scheme: true })
}

fn split_without_scheme(url: &[u8], start: usize) -> Option<Parts> {
    let rest = url.get(start..)?;
    let host_end = match rest {
        [b'[', ..] => memchr(b']', rest)? + 1,
        _ => rest.iter().position(|b| !host_name::is_host_byte(*b)).unwrap_or(rest.len()),
    };
    let host = rest.get(..host_end)?;
    let after = rest.get(host_end..)?;
    let port = match after {
        [b':', digits @ ..] => digits.iter().take_while(|b| b.is_ascii_digit()).count(),
        _ => 0,
    };
    let path = host_end + if port > 0 { port + 1 } else { 0 };
    let ([] | [b'/', ..]) = rest.get(path..)? else { return bare_v6(rest, start) };
    let is_host = host.first() == Some(&b'[') || is_name_of_two_labels(host);
    is_host.then_some(Parts { host: (start, start + host_end), path: start + path, end: url.len(), has_scheme: false })
}

/// An IPv6 address without brackets, followed by `/` or the end.
fn bare_v6(rest: &[u8], start: usize) -> Option<Parts> {
    let end = memchr(b'/', rest).unwrap_or(rest.len());
    host_name::address_v6(rest.get(..end)?)?;
    Some(Parts { host: (start, start + end), path: start + end, end: start + rest.len(), has_scheme: false })
}

fn is_name_of_two_labels(host: &[u8]) -> bool {
    let has_two = |name: &[u8]| name.contains(&b'.') && (!host_name::is_address(name) || host_name::is_v4(name));
    if host.is_ascii() {
        has_two(host.strip_suffix(b".").unwrap_or(host))
    } else {
        // Other scripts have dots of their own.
        host_name::canonical_text(host).is_some_and(|name| has_two(name.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use crate::enrich::tests::{enriched, shipped};
    use crate::event::{EventType, Field, Oddity};
    use Field::{UriPath, UriQuery, Url, WebDomain};

    /// Address, then host, path, query, and whether it was taken without a scheme.
    type Case = (&'static str, Option<&'static str>, &'static str, &'static str, bool);

    fn check(cases: &[Case]) {
        let tables = shipped();
        for (url, host, path, query, schemeless) in cases {
            let event = enriched(&tables, EventType::WebActivityAllowed, &[(Url, url)]);
            let some = |t: &str| (!t.is_empty()).then(|| t.to_owned());
            assert_eq!(event.get(WebDomain).as_deref(), *host, "{url}");
            assert_eq!(event.get(UriPath), some(path), "path of {url}");
            assert_eq!(event.get(UriQuery), some(query), "query of {url}");
            let counted = event.oddities.get(Oddity::UrlWithoutScheme.index());
            assert_eq!(counted, u64::from(*schemeless), "oddity of {url}");
        }
    }

    #[test]
    fn addresses_with_a_scheme_are_cut_into_host_path_and_query() {
        check(&[
            ("https://www.Example.com/a/b?x=1&y=2#frag", Some("www.example.com"), "/a/b", "x=1&y=2", false),
            ("http://example.com", Some("example.com"), "", "", false),
            ("HTTP://example.com./", Some("example.com"), "/", "", false),
            ("http://example.com:8080/x", Some("example.com"), "/x", "", false),
            ("http://example.com:/x", Some("example.com"), "/x", "", false),
            ("http://user:pa:ss@example.com:80/x", Some("example.com"), "/x", "", false),
            ("http://good.com@evil.com/", Some("evil.com"), "/", "", false),
            ("http://a@b@evil.com/", Some("evil.com"), "/", "", false),
            ("http://evil.com\\@good.com/", Some("evil.com"), "\\@good.com/", "", false),
            ("http://evil.com?u=@good.com/", Some("evil.com"), "", "u=@good.com/", false),
            ("http://evil.com#@good.com/", Some("evil.com"), "", "", false),
            ("http://example.com/a#b?c=1", Some("example.com"), "/a", "", false),
            ("http://example.com/a?b?c", Some("example.com"), "/a", "b?c", false),
            ("http://example.com/?", Some("example.com"), "/", "", false),
            ("  https://example.com/a  ", Some("example.com"), "/a", "", false),
            ("https://bücher.example/ü", Some("xn--bcher-kva.example"), "/ü", "", false),
            ("http://localhost/x", Some("localhost"), "/x", "", false),
            ("ftp://files.example.com/a", Some("files.example.com"), "/a", "", false),
            ("http://10.1.2.3:8443/a", Some("10.1.2.3"), "/a", "", false),
            ("http://[2001:DB8::1]/a", Some("2001:db8::1"), "/a", "", false),
            ("http://u@[2001:db8:0::1]:8080/a", Some("2001:db8::1"), "/a", "", false),
        ]);
    }

    #[test]
    fn addresses_without_a_scheme_are_taken_when_they_begin_with_a_name_or_an_ip() {
        check(&[
            ("example.com", Some("example.com"), "", "", true),
            ("Example.com./a?b", Some("example.com"), "/a", "b", true),
            ("example.com:443", Some("example.com"), "", "", true),
            ("example.com:8080/a#b", Some("example.com"), "/a", "", true),
            ("bücher.example/a", Some("xn--bcher-kva.example"), "/a", "", true),
            ("10.1.2.3/a", Some("10.1.2.3"), "/a", "", true),
            ("10.1.2.3:80", Some("10.1.2.3"), "", "", true),
            ("[2001:db8::1]:80/a", Some("2001:db8::1"), "/a", "", true),
            ("2001:db8::1/a", Some("2001:db8::1"), "/a", "", true),
            ("::1", Some("::1"), "", "", true),
            ("localhost/a", None, "", "", false),
            ("localhost./a", None, "", "", false),
            ("bücher/a", None, "", "", false),
            ("example.com?a=b", None, "", "", false),
            ("example.com#a", None, "", "", false),
            ("example.com:", None, "", "", false),
            ("example.com:x/a", None, "", "", false),
            ("example.com:80x", None, "", "", false),
            ("user@example.com/a", None, "", "", false),
            ("//example.com/a", None, "", "", false),
            ("/a/b.html", None, "", "", false),
            ("1.5", None, "", "", false),
            ("1.2.3.400/a", None, "", "", false),
            ("two words.com", None, "", "", false),
            ("C:\\Users\\x.htm", None, "", "", false),
        ]);
    }

    #[test]
    fn what_is_no_address_of_a_host_has_no_parts() {
        let long = format!("http://{}.com/", "a.".repeat(200));
        let tables = shipped();
        for url in [
            "",
            " ",
            "about:blank",
            "data:text/html,<b>x.com/</b>",
            "javascript:alert(1)",
            "mailto:a@b.com",
            "file:///C:/x",
            "http://",
            "http:///x",
            "http://:80/",
            "http://@/",
            "http://exa mple.com/",
            "http://example.com:80a/",
            "http://a..b/",
            "http://[::g]/",
            "http://[::1/",
            "http://[::1]x/",
            "http://2001:db8::1/",
            "://example.com",
            "1http://example.com/",
            &long,
        ] {
            let event = enriched(&tables, EventType::WebActivityAllowed, &[(Url, url)]);
            assert_eq!(event.get(WebDomain), None, "{url}");
            assert_eq!((event.get(UriPath), event.get(UriQuery)), (None, None), "{url}");
        }
    }

    #[test]
    fn a_domain_that_the_record_carries_itself_is_kept_in_its_one_spelling() {
        let fields = [(Url, "https://other.example/a?b"), (WebDomain, "WWW.Example.com.")];
        let event = enriched(&shipped(), EventType::WebActivityAllowed, &fields);
        assert_eq!(event.get(WebDomain).as_deref(), Some("www.example.com"));
        assert_eq!(event.get(UriPath).as_deref(), Some("/a"));
        let event = enriched(&shipped(), EventType::WebActivityAllowed, &[(WebDomain, "no host")]);
        assert_eq!(event.get(WebDomain), None);
    }
}
