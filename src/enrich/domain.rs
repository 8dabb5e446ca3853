//! What a host is: its registrable domain, and whether it is a file-sharing service, under a dynamic-DNS service, or the
//! site's own.
//!
//! The only module that names psl. Hosts are in their one spelling. An entry covers its sub-domains.

use super::arena::Arena;
use super::host_name;
use super::lists::Lists;
use super::tables::{Entry, NameSet};
use crate::content::Faults;
use crate::event::{Draft, Field, FieldSet, Flag};
use memchr::memchr;

/// What [`Domains::judge`] reads besides the host.
pub(super) const READS: FieldSet = FieldSet::of(Field::Category);

/// Where the site lists its own domains.
const SANCTIONED: &str = "detection.sanctioned_domains";

/// What a table of this kind says about its entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Domains of file-sharing services.
    FileSharing,
    /// Categories of web filters that mean file sharing.
    FileSharingCategory,
    /// Domains under which dynamic-DNS services hand out names.
    DynamicDns,
    /// The site's own domains.
    Sanctioned,
}

/// The role of a table, by its name.
pub(super) fn role_of(table: &str) -> Option<Role> {
    match table {
        "file_sharing_domains" | "file_sharing_suites" => Some(Role::FileSharing),
        "file_sharing_categories" => Some(Role::FileSharingCategory),
        "dynamic_dns_domains" => Some(Role::DynamicDns),
        "sanctioned_domains" => Some(Role::Sanctioned),
        _ => None,
    }
}

/// What is known about one name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Marks(u8);

impl Marks {
    const FILE_SHARING: Marks = Marks(1);
    const DYNAMIC_DNS: Marks = Marks(2);
    const SANCTIONED: Marks = Marks(4);
    /// This very host is none, whatever its parents are.
    const NOT_FILE_SHARING: Marks = Marks(8);
    const NOT_DYNAMIC_DNS: Marks = Marks(16);
    const NOT_SANCTIONED: Marks = Marks(32);

    fn has(self, other: Marks) -> bool {
        self.0 & other.0 != 0
    }
    fn add(&mut self, other: Marks) {
        self.0 |= other.0;
    }
}

/// All tables of domains in one map, so that a host's parents are walked once.
#[derive(Debug, Default)]
pub(super) struct Domains {
    marks: hashbrown::HashMap<Box<[u8]>, Marks, foldhash::fast::FixedState>,
    /// Bytes of the longest name in the map.
    longest: usize,
    categories: NameSet,
}

impl Domains {
    /// Adds a table; entries that are no domains are faults.
    pub fn add(&mut self, role: Role, entries: &[Entry], file: &str, faults: &mut Faults) {
        let (mark, exception) = match role {
            Role::FileSharing => (Marks::FILE_SHARING, Marks::NOT_FILE_SHARING),
            Role::DynamicDns => (Marks::DYNAMIC_DNS, Marks::NOT_DYNAMIC_DNS),
            Role::Sanctioned => (Marks::SANCTIONED, Marks::NOT_SANCTIONED),
            Role::FileSharingCategory => {
                self.categories = NameSet::new(entries);
                return;
            }
        };
        for entry in entries {
            match usable(&entry.text) {
                Ok(domain) => self.mark(domain, if entry.except { exception } else { mark }),
                Err(message) => faults.add(file, entry.line, "", message),
            }
        }
    }

    /// Adds the domains of the site's configuration.
    pub fn add_sanctioned(&mut self, domains: &[String], faults: &mut Faults) {
        for domain in domains {
            match usable(domain.trim()) {
                Ok(domain) => self.mark(domain, Marks::SANCTIONED),
                Err(message) => faults.add(SANCTIONED, 0, "", message),
            }
        }
    }

    fn mark(&mut self, domain: String, mark: Marks) {
        self.longest = self.longest.max(domain.len());
        self.marks.entry(domain.into_bytes().into()).or_default().add(mark);
    }

    /// Sets the flags of the event's host and category.
    pub fn judge(&self, lists: &Lists, arena: &Arena<'_>, draft: &mut Draft) {
        let host = arena.get(draft.span(Field::WebDomain));
        let category = arena.get(draft.span(Field::Category)).trim_ascii();
        let (own, parents, parent) = self.look_up(host);
        let any = Marks(own.0 | parents.0);
        let is_sanctioned = any.has(Marks::SANCTIONED) && !own.has(Marks::NOT_SANCTIONED);
        let by_domain = any.has(Marks::FILE_SHARING) && !own.has(Marks::NOT_FILE_SHARING);
        if is_sanctioned {
            draft.flags.set(Flag::IsSanctioned);
        } else if by_domain || (!category.is_empty() && self.categories.contains(category)) {
            draft.flags.set(Flag::IsFileSharing);
        }
        if parents.has(Marks::DYNAMIC_DNS) && !own.has(Marks(Marks::DYNAMIC_DNS.0 | Marks::NOT_DYNAMIC_DNS.0)) {
            let first_label = host.split(|b| *b == b'.').next().unwrap_or_default();
            let of_provider =
                parent.has(Marks::DYNAMIC_DNS) && lists.provider_labels.iter().any(|l| l.as_ref() == first_label);
            if !of_provider {
                draft.flags.set(Flag::IsDynamicDns);
            }
        }
    }

    /// The file-sharing entry that a host falls under.
    pub fn file_sharing_entry<'h>(&self, host: &'h [u8]) -> Option<&'h [u8]> {
        if self.get(host).has(Marks::NOT_FILE_SHARING) {
            return None;
        }
        with_parents(host).find(|name| self.get(name).has(Marks::FILE_SHARING))
    }

    /// The marks of the host itself, of all its parents together, and of its direct parent.
    fn look_up(&self, host: &[u8]) -> (Marks, Marks, Marks) {
        let mut names = with_parents(host);
        let own = names.next().map_or(Marks::default(), |n| self.get(n));
        let parent = names.next().map_or(Marks::default(), |n| self.get(n));
        let mut parents = parent;
        names.for_each(|n| parents.add(self.get(n)));
        (own, parents, parent)
    }

    fn get(&self, name: &[u8]) -> Marks {
        if name.len() > self.longest { Marks::default() } else { self.marks.get(name).copied().unwrap_or_default() }
    }
}

/// Sets the registrable domain: by the public suffix list with both its sections; the host itself when it is an address
/// or a suffix.
pub(super) fn set_top_domain(arena: &Arena<'_>, draft: &mut Draft) {
    let span = draft.span(Field::WebDomain);
    let host = arena.get(span);
    let length = if host_name::is_address(host) { host.len() } else { registrable(host).len() };
    draft.set(Field::TopDomain, span.part(host.len() - length.min(host.len()), host.len()));
}

fn registrable(host: &[u8]) -> &[u8] {
    psl::domain(host).map_or(host, |d| d.as_bytes())
}

/// The host, then its parents up to the top-level domain.
fn with_parents(host: &[u8]) -> impl Iterator<Item = &[u8]> {
    let first = (!host.is_empty()).then_some(host);
    std::iter::successors(first, |name| name.get(memchr(b'.', name)? + 1..))
}

/// An entry in its one spelling, or what is wrong with it.
fn usable(entry: &str) -> Result<String, String> {
    let wrong = |why: &str| Err(format!("{entry:?} is no domain: {why}"));
    if entry.contains('*') || entry.starts_with('.') {
        return wrong("write the domain alone; its sub-domains count anyway");
    }
    if entry.contains("://") || entry.contains(['/', '@']) {
        return wrong("write the host alone, without scheme, path and user");
    }
    if entry.contains(char::is_whitespace) {
        return wrong("it holds blanks; write one domain a line, and comments on lines of their own");
    }
    match host_name::canonical_text(entry.as_bytes()) {
        Some(domain) => Ok(domain),
        None => wrong("write a host name such as example.com"),
    }
}

#[cfg(test)]
mod tests {
    use crate::content::Faults;
    use crate::enrich::Tables;
    use crate::enrich::tests::{compiled, enriched, shipped, shipped_files};
    use crate::event::{EventType, Field, Flag};
    use Field::{Category, TopDomain, Url, WebDomain};

    fn has(tables: &Tables, flag: Flag, host: &str, category: &str) -> bool {
        let fields = [(WebDomain, host), (Category, category)];
        enriched(tables, EventType::WebActivityAllowed, &fields).flags.has(flag)
    }

    #[test]
    fn the_top_domain_is_the_registrable_domain_by_both_sections_of_the_list() {
        let tables = shipped();
        for (host, wanted) in [
            ("www.example.com", "example.com"),
            ("example.com", "example.com"),
            ("a.b.example.co.uk", "example.co.uk"),
            ("evil.duckdns.org", "evil.duckdns.org"),
            ("a.evil.duckdns.org", "evil.duckdns.org"),
            ("user.github.io", "user.github.io"),
            ("co.uk", "co.uk"),
            ("com", "com"),
            ("localhost", "localhost"),
            ("10.1.2.3", "10.1.2.3"),
            ("2001:db8::1", "2001:db8::1"),
            ("www.xn--bcher-kva.de", "xn--bcher-kva.de"),
            ("a.unknowntld", "a.unknowntld"),
        ] {
            let event = enriched(&tables, EventType::WebActivityAllowed, &[(WebDomain, host)]);
            assert_eq!(event.get(TopDomain).as_deref(), Some(wanted), "{host}");
        }
    }

    #[test]
    fn a_file_sharing_domain_covers_its_sub_domains() {
        let tables = shipped();
        for (host, wanted) in [
            ("dropbox.com", true),
            ("WWW.Dropbox.com.", true),
            ("a.b.dropbox.com", true),
            ("notdropbox.com", false),
            ("dropbox.com.evil.net", false),
            ("com", false),
            ("drive.google.com", true),
            ("www.google.com", false),
            ("we.tl", true),
        ] {
            assert_eq!(has(&tables, Flag::IsFileSharing, host, ""), wanted, "{host}");
        }
    }

    #[test]
    fn a_category_of_file_sharing_counts_whole_and_without_regard_to_case_and_blanks() {
        let tables = shipped();
        for (category, wanted) in [
            ("File Sharing", true),
            ("  cloud STORAGE ", true),
            ("File Sharing Services", true),
            ("File Sharing and more", false),
            ("Web Hosting", false),
            ("", false),
        ] {
            assert_eq!(has(&tables, Flag::IsFileSharing, "x.example", category), wanted, "{category}");
            assert_eq!(has(&tables, Flag::IsFileSharing, "", category), wanted, "{category} without a host");
        }
    }

    #[test]
    fn company_suites_count_only_when_they_are_switched_on() {
        let on = [("file_sharing_suites".to_owned(), true)].into();
        let mut faults = Faults::default();
        let tables = Tables::compile(&shipped_files(), &on, &["corp.box.com".into()], &mut faults);
        assert!(faults.is_empty(), "{faults}");
        assert!(!has(&shipped(), Flag::IsFileSharing, "app.box.com", ""));
        assert!(has(&tables, Flag::IsFileSharing, "app.box.com", ""));
        assert!(!has(&tables, Flag::IsFileSharing, "corp.box.com", ""));
        assert_eq!(shipped().contains("file_sharing_suites", b"box.com"), Some(false));
        assert_eq!(tables.contains("file_sharing_suites", b"BOX.com"), Some(true));
    }

    #[test]
    fn sanctioned_domains_are_marked_and_are_never_file_sharing() {
        let mut faults = Faults::default();
        let own = ["Files.Corp.example.".to_owned(), "dropbox.com".into(), "10.0.0.8".into(), "BÜCHER.example".into()];
        let tables = Tables::compile(&shipped_files(), &Default::default(), &own, &mut faults);
        assert!(faults.is_empty(), "{faults}");
        for (host, wanted) in [
            ("files.corp.example", true),
            ("a.files.corp.example", true),
            ("corp.example", false),
            ("www.dropbox.com", true),
            ("10.0.0.8", true),
            ("xn--bcher-kva.example", true),
            ("wetransfer.com", false),
        ] {
            assert_eq!(has(&tables, Flag::IsSanctioned, host, "File Sharing"), wanted, "{host}");
            assert_eq!(has(&tables, Flag::IsFileSharing, host, "File Sharing"), !wanted, "{host}");
        }
    }

    #[test]
    fn dynamic_dns_is_a_proper_sub_domain_and_no_page_of_the_provider() {
        let tables = shipped();
        for (host, wanted) in [
            ("evil.duckdns.org", true),
            ("a.evil.duckdns.org", true),
            ("duckdns.org", false),
            ("www.duckdns.org", false),
            ("www.evil.duckdns.org", true),
            ("www2.duckdns.org", true),
            ("notduckdns.org", false),
            ("freedns.afraid.org", false),
            ("x.afraid.org", true),
            ("update.dedyn.io", false),
            ("checkipv4.dedyn.io", false),
            ("checkipv6.dedyn.io", true),
            ("x.sn.mynetname.net", true),
            ("sn.mynetname.net", false),
            ("mynetname.net", false),
        ] {
            assert_eq!(has(&tables, Flag::IsDynamicDns, host, ""), wanted, "{host}");
        }
    }

    #[test]
    fn an_entry_below_another_entry_is_a_page_of_the_provider_too() {
        let tables = compiled(&[("dynamic_dns_domains", "a.example\nb.a.example\n")]);
        for (host, wanted) in
            [("b.a.example", false), ("www.b.a.example", false), ("c.a.example", true), ("x.b.a.example", true)]
        {
            assert_eq!(has(&tables, Flag::IsDynamicDns, host, ""), wanted, "{host}");
        }
    }

    #[test]
    fn the_entry_that_was_hit_is_told() {
        let tables = compiled(&[("file_sharing_domains", "a.example\nx.b.example\n!own.a.example\n")]);
        let entry = |host: &'static str| tables.file_sharing_entry(host.as_bytes()).map(|e| String::from_utf8_lossy(e));
        assert_eq!(entry("w.a.example").as_deref(), Some("a.example"));
        assert_eq!(entry("x.b.example").as_deref(), Some("x.b.example"));
        assert_eq!(entry("b.example"), None);
        assert_eq!(entry("own.a.example"), None);
        assert!(!has(&tables, Flag::IsFileSharing, "own.a.example", ""));
    }

    #[test]
    fn flags_follow_the_host_of_an_address() {
        let fields = [(Url, "https://User@EVIL.duckdns.org:8443/x")];
        assert!(enriched(&shipped(), EventType::WebActivityAllowed, &fields).flags.has(Flag::IsDynamicDns));
    }

    #[test]
    fn entries_that_are_no_domains_are_faults_that_say_what_to_write() {
        let table = "ok.example\n*.a.example\n.b.example\nhttp://c.example\nd.example/x\ne.example # note\na..b\n";
        let mut faults = Faults::default();
        let files = [("dynamic_dns_domains".to_owned(), table.to_owned())].into();
        Tables::compile(&files, &Default::default(), &["x y".into()], &mut faults);
        let lines: Vec<usize> = faults.0.iter().filter(|f| f.file.starts_with("tables/")).map(|f| f.line).collect();
        assert_eq!(lines, [2, 3, 4, 5, 6, 7]);
        let own = faults.0.iter().find(|f| f.file == "detection.sanctioned_domains").unwrap();
        assert!(own.message.starts_with("\"x y\" is no domain: it holds blanks"), "{}", own.message);
    }
}
