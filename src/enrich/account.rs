//! The keys of accounts and hosts: `domain\user`, `user`, or `host\name` for accounts that belong to their host.
//!
//! What a record writes is kept for display; keys are lower-case. `jdoe` and `CORP\jdoe` are two users.

use super::arena::Arena;
use super::lists::Lists;
use crate::event::{Draft, Field, FieldSet};

/// Fields in which `-` says "none".
const IDENTITY: [Field; 5] = [Field::User, Field::UserDomain, Field::Host, Field::HostDomain, Field::Department];

/// What [`set_user_key`] reads.
pub(super) const USER_KEY_READS: FieldSet =
    FieldSet::of(Field::User).union(FieldSet::of(Field::UserDomain)).union(FieldSet::of(Field::Host));

/// Takes blanks off identities and unsets those that are empty or `-`.
pub(super) fn drop_placeholders(arena: &Arena<'_>, draft: &mut Draft) {
    for field in IDENTITY {
        if draft.present.contains(field) {
            // Nearly every value begins and ends with a letter or digit.
            if let [b'-' | ..=b' ', ..] | [.., ..=b' '] | [] = arena.get(draft.span(field)) {
                trim_or_unset(arena, draft, field);
            }
        }
    }
}

#[cold]
fn trim_or_unset(arena: &Arena<'_>, draft: &mut Draft, field: Field) {
    let span = draft.span(field);
    let text = arena.get(span);
    let from = text.len() - text.trim_ascii_start().len();
    match text.trim_ascii() {
        [] | [b'-'] => draft.unset(field),
        trimmed => draft.set(field, span.part(from, from + trimmed.len())),
    }
}

/// Sets the key of the host: its name, lower-case, without its domain.
pub(super) fn set_host_key(arena: &mut Arena<'_>, draft: &mut Draft) {
    let key = arena.lowered(draft.span(Field::Host));
    draft.set(Field::HostKey, key);
}

/// Sets the key of the account. Without a host, an account that belongs to its host is keyed like any other.
pub(super) fn set_user_key(lists: &Lists, arena: &mut Arena<'_>, draft: &mut Draft) {
    let (user, domain, host) = (draft.span(Field::User), draft.span(Field::UserDomain), draft.span(Field::Host));
    if user.is_empty() {
        return;
    }
    let mark = arena.mark();
    let mut of_host = false;
    if !domain.is_empty() {
        arena.copy_lower(domain);
        of_host = lists.machine_domains.contains(arena.since(mark));
        arena.push(b"\\");
    }
    let name_mark = arena.mark();
    arena.copy_lower(user);
    let name = arena.since(name_mark);
    of_host = of_host
        || lists.machine_suffixes.iter().any(|s| s.last() == name.last() && name.ends_with(s))
        || lists.machine_names.contains(name);
    if of_host && !host.is_empty() {
        arena.forget(mark);
        arena.copy_lower(host);
        arena.push(b"\\");
        arena.copy_lower(user);
    }
    let key = arena.span_since(mark);
    draft.set(Field::UserKey, key);
}

#[cfg(test)]
mod tests {
    use crate::enrich::tests::{enriched, shipped};
    use crate::event::{EventType, Field};
    use Field::{Department, Host, HostKey, User, UserDomain, UserKey};

    fn key(domain: &str, user: &str, host: &str) -> Option<String> {
        let fields = [(UserDomain, domain), (User, user), (Host, host)];
        enriched(&shipped(), EventType::ProcessCreated, &fields).get(UserKey)
    }

    #[test]
    fn users_are_keyed_by_domain_and_name_in_lower_case() {
        for (domain, user, wanted) in [
            ("CORP", "JDoe", Some("corp\\jdoe")),
            ("", "JDoe", Some("jdoe")),
            ("-", "jdoe", Some("jdoe")),
            ("Örtlich", "MÜLLER", Some("örtlich\\müller")),
            ("CORP", "", None),
            ("CORP", "-", None),
            ("CORP", "  - ", None),
            ("CORP", " jdoe ", Some("corp\\jdoe")),
            ("CORP", "-jdoe", Some("corp\\-jdoe")),
        ] {
            assert_eq!(key(domain, user, "WS1").as_deref(), wanted, "{domain}\\{user}");
        }
    }

    #[test]
    fn accounts_of_a_machine_belong_to_their_host() {
        for (domain, user, wanted) in [
            ("CORP", "WS1$", "ws1\\ws1$"),
            ("", "SYSTEM", "ws1\\system"),
            ("CORP", "system", "ws1\\system"),
            ("NT AUTHORITY", "Local Service", "ws1\\local service"),
            ("", "NETWORK SERVICE", "ws1\\network service"),
            ("nt authority", "IUSR", "ws1\\iusr"),
            ("NT SERVICE", "MSSQLSERVER", "ws1\\mssqlserver"),
            ("IIS APPPOOL", "DefaultAppPool", "ws1\\defaultapppool"),
            ("Window Manager", "DWM-1", "ws1\\dwm-1"),
            ("Font Driver Host", "UMFD-0", "ws1\\umfd-0"),
            ("NT VIRTUAL MACHINE", "3F25", "ws1\\3f25"),
            ("CORP", "systems", "corp\\systems"),
            ("NT AUTHORITY2", "x", "nt authority2\\x"),
        ] {
            assert_eq!(key(domain, user, "WS1").as_deref(), Some(wanted), "{domain}\\{user}");
        }
    }

    #[test]
    fn a_machine_account_without_a_host_is_keyed_like_any_other() {
        assert_eq!(key("NT AUTHORITY", "SYSTEM", "").as_deref(), Some("nt authority\\system"));
        assert_eq!(key("NT AUTHORITY", "SYSTEM", "-").as_deref(), Some("nt authority\\system"));
    }

    #[test]
    fn hosts_are_keyed_by_their_name_alone_and_shown_as_written() {
        let fields = [(Host, "Ws-Ä1"), (Field::HostDomain, "CORP"), (Department, "-")];
        let event = enriched(&shipped(), EventType::LocalLogon, &fields);
        assert_eq!(event.get(HostKey).as_deref(), Some("ws-ä1"));
        assert_eq!(event.get(Host).as_deref(), Some("Ws-Ä1"));
        assert_eq!(event.get(Department), None);
        for none in ["", "-", " "] {
            let event = enriched(&shipped(), EventType::LocalLogon, &[(Host, none)]);
            assert_eq!((event.get(HostKey), event.get(Host)), (None, None), "{none:?}");
        }
    }
}
