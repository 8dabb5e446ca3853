//! Host names in one spelling: lower-case, without a trailing dot, international names as punycode, IPv6 without
//! brackets and in its short form.
//!
//! The only module that names idna. Never resolves anything. Lengths are bytes: at most 253 a name, 63 a label.

use std::net::{Ipv4Addr, Ipv6Addr};

const MAX_NAME: usize = 253;
const MAX_LABEL: usize = 63;
/// Longest name in letters outside ASCII that is worth converting.
const MAX_UNICODE: usize = 1024;

/// A host name in its one spelling, with as little copying as it takes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Canonical {
    /// The first so many bytes of what was given.
    Prefix(usize),
    /// The same, to be lower-cased.
    PrefixToLower(usize),
    /// Another text.
    Other(String),
}

/// The one spelling of a host, `None` when it cannot be a host. IPv6 may stand in brackets.
pub(super) fn canonical(host: &[u8]) -> Option<Canonical> {
    if let [b'[', inner @ .., b']'] = host {
        return address_v6(inner).map(Canonical::Other);
    }
    let end = host.len() - usize::from(host.last() == Some(&b'.'));
    let name = host.get(..end)?;
    match check(name) {
        Some(Spelling::Canonical) => Some(Canonical::Prefix(end)),
        Some(Spelling::Capitals) => Some(Canonical::PrefixToLower(end)),
        Some(Spelling::Foreign) => to_ascii(name).map(Canonical::Other),
        None => address_v6(host).map(Canonical::Other),
    }
}

/// The same as an owned text.
pub(super) fn canonical_text(host: &[u8]) -> Option<String> {
    let prefix = |n: usize| host.get(..n).map(|p| String::from_utf8_lossy(p).to_ascii_lowercase());
    match canonical(host)? {
        Canonical::Prefix(n) | Canonical::PrefixToLower(n) => prefix(n),
        Canonical::Other(text) => Some(text),
    }
}

/// Whether a canonical host is an address and not a name: IPv6, or its last label is a number.
pub(super) fn is_address(host: &[u8]) -> bool {
    let last = host.rsplit(|b| *b == b'.').next().unwrap_or_default();
    last.iter().all(u8::is_ascii_digit) || host.contains(&b':')
}

/// Whether a canonical host is a dotted IPv4 address.
pub(super) fn is_v4(host: &[u8]) -> bool {
    std::str::from_utf8(host).is_ok_and(|t| t.parse::<Ipv4Addr>().is_ok())
}

/// The short form of an IPv6 address without brackets; a zone is left out.
pub(super) fn address_v6(text: &[u8]) -> Option<String> {
    let address = text.split(|b| *b == b'%').next()?;
    let address: Ipv6Addr = std::str::from_utf8(address).ok()?.parse().ok()?;
    Some(address.to_string())
}

/// Whether a byte can stand in a host name.
pub(super) fn is_host_byte(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_') || !b.is_ascii()
}

enum Spelling {
    Canonical,
    Capitals,
    /// Letters outside ASCII, or percent-encoded.
    Foreign,
}

/// Looks a name over once. `None`: empty, too long, an empty or too long label, or a byte that no host name has.
fn check(name: &[u8]) -> Option<Spelling> {
    let (mut label, mut capitals, mut foreign) = (0_usize, false, false);
    for b in name {
        match b {
            b'.' if label == 0 => return None,
            b'.' => label = 0,
            b'A'..=b'Z' => {
                capitals = true;
                label += 1;
            }
            b'%' => {
                foreign = true;
                label += 1;
            }
            b if is_host_byte(*b) => {
                foreign |= !b.is_ascii();
                label += 1;
            }
            _ => return None,
        }
        if label > MAX_LABEL && !foreign {
            return None;
        }
    }
    if label == 0 || name.len() > if foreign { MAX_UNICODE } else { MAX_NAME } {
        return None;
    }
    Some(match (foreign, capitals) {
        (true, _) => Spelling::Foreign,
        (false, true) => Spelling::Capitals,
        (false, false) => Spelling::Canonical,
    })
}

/// Percent-decoded, mapped and encoded as browsers do it.
fn to_ascii(name: &[u8]) -> Option<String> {
    let decoded = percent_decoded(name)?;
    let ascii = idna::domain_to_ascii_cow(&decoded, idna::AsciiDenyList::URL).ok()?;
    let ascii = ascii.strip_suffix('.').unwrap_or(&ascii);
    match check(ascii.as_bytes())? {
        Spelling::Canonical | Spelling::Capitals => Some(ascii.to_ascii_lowercase()),
        Spelling::Foreign => None,
    }
}

fn percent_decoded(name: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(name.len());
    let mut rest = name;
    while let Some((b, tail)) = rest.split_first() {
        if *b != b'%' {
            out.push(*b);
            rest = tail;
            continue;
        }
        let [high, low, tail @ ..] = tail else { return None };
        let digit = |b: &u8| char::from(*b).to_digit(16);
        out.push(u8::try_from(digit(high)? * 16 + digit(low)?).ok()?);
        rest = tail;
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_have_one_spelling() {
        for (host, wanted) in [
            ("example.com", Some("example.com")),
            ("WWW.Example.COM.", Some("www.example.com")),
            ("my_host.example-1.com", Some("my_host.example-1.com")),
            ("localhost", Some("localhost")),
            ("bücher.example", Some("xn--bcher-kva.example")),
            ("BÜCHER.example.", Some("xn--bcher-kva.example")),
            ("xn--bcher-kva.example", Some("xn--bcher-kva.example")),
            ("例え.テスト", Some("xn--r8jz45g.xn--zckzah")),
            ("evil。duckdns。org", Some("evil.duckdns.org")),
            ("%65vil.duckdns.org", Some("evil.duckdns.org")),
            ("１２７.0.0.1", Some("127.0.0.1")),
            ("[2001:DB8:0:0::1]", Some("2001:db8::1")),
            ("[fe80::1%25eth0]", Some("fe80::1")),
            ("10.0.0.1", Some("10.0.0.1")),
            ("", None),
            (".", None),
            ("a..b", None),
            (".a", None),
            ("a b.com", None),
            ("a,b.com", None),
            ("*.example.com", None),
            ("[::g]", None),
            ("[]", None),
            ("%2e%2e", None),
            ("a%2fb.com", None),
            ("%zz.com", None),
            ("a%", None),
            ("\u{ad}", None),
        ] {
            assert_eq!(canonical_text(host.as_bytes()).as_deref(), wanted, "{host}");
        }
    }

    #[test]
    fn names_beyond_the_limits_of_dns_are_no_hosts() {
        let label = "a".repeat(63);
        assert!(canonical(label.as_bytes()).is_some());
        assert_eq!(canonical("a".repeat(64).as_bytes()), None);
        let name = [label.as_str(); 4].join(".");
        assert_eq!(canonical(name.as_bytes()), None);
        assert!(canonical(&name.as_bytes()[2..]).is_some());
        assert_eq!(canonical("ü".repeat(600).as_bytes()), None);
        assert_eq!(canonical("ü".repeat(300).as_bytes()), None);
    }

    #[test]
    fn canonical_names_are_not_copied() {
        assert_eq!(canonical(b"a.example."), Some(Canonical::Prefix(9)));
        assert_eq!(canonical(b"A.example"), Some(Canonical::PrefixToLower(9)));
    }

    #[test]
    fn addresses_are_told_from_names() {
        for (host, wanted) in
            [("10.0.0.1", true), ("2001:db8::1", true), ("3232235521", true), ("a.b1", false), ("1.2.3.com", false)]
        {
            assert_eq!(is_address(host.as_bytes()), wanted, "{host}");
        }
    }
}
