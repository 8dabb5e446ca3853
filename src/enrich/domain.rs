//! What is known of a domain: its registrable part, file sharing, dynamic DNS, the site's own.

use super::tables::{Tables, parents};
use super::url::is_ip;
use crate::event::{Draft, Field, FieldSet, Flag, Text};

/// Adds `top_domain` and the flags of domain and category.
pub(super) fn enrich(tables: &Tables, raw: &[u8], arena: &mut Vec<u8>, draft: &mut Draft, wanted: FieldSet) {
    let span = draft.span(Field::WebDomain);
    let domain = Text { raw, arena }.get(span);
    let table = |name| tables.get(name);
    if !domain.is_empty() {
        if wanted.contains(Field::TopDomain) {
            let top = if is_ip(domain) { domain.len() } else { registrable_len(domain) };
            let top = span.part(span.len() - top, span.len());
            draft.set(Field::TopDomain, top);
        }
        if table("sanctioned_domains").is_some_and(|t| t.has_domain(domain)) {
            draft.flags.set(Flag::IsSanctioned);
        }
        if is_dynamic_dns(tables, domain) {
            draft.flags.set(Flag::IsDynamicDns);
        }
    }
    let category = Text { raw, arena }.get(draft.span(Field::Category));
    let sharing = ["file_sharing_domains", "file_sharing_suites"]
        .iter()
        .any(|name| table(name).is_some_and(|t| t.has_domain(domain)))
        || (!category.is_empty() && tables.contains("file_sharing_categories", category) == Some(true));
    if sharing && !draft.flags.has(Flag::IsSanctioned) {
        draft.flags.set(Flag::IsFileSharing);
    }
}

/// Length of the registrable domain by the public suffix list (both sections); all of it for a bare suffix.
fn registrable_len(domain: &[u8]) -> usize {
    psl::domain(domain).map_or(domain.len(), |d| d.as_bytes().len())
}

/// A proper sub-domain of a dynamic-DNS name: not the provider's own pages.
fn is_dynamic_dns(tables: &Tables, domain: &[u8]) -> bool {
    let Some(table) = tables.get("dynamic_dns_domains").filter(|t| t.on) else { return false };
    if table.exceptions.contains(domain) {
        return false;
    }
    let bare = domain.strip_prefix(b"www.").unwrap_or(domain);
    let own_page = table.entries.contains(domain) || table.entries.contains(bare);
    !own_page && parents(domain).skip(1).any(|d| table.entries.contains(d))
}
