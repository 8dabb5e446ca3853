//! Enrichment: facts that follow from one event and the tables. One enricher a file.
//!
//! Stateless and deterministic: no I/O, no clock. Peer groups from departments are state and live in `detect`. Nothing
//! allocates per event but for the arena, save for hosts in other scripts and IPv6 addresses.

mod account;
mod arena;
mod case;
mod directory;
mod domain;
mod glob;
mod host_name;
mod image;
mod lists;
mod process_key;
mod program;
mod random_part;
mod tables;
mod temp;
mod url;

pub use case::lower;
pub use directory::Directory;
pub use glob::Glob;
pub use tables::{NameSet, Tables};

use crate::event::{Counts, Draft, Field, FieldSet, Recurs};
use arena::Arena;
use program::Programs;

/// Adds the enriched fields and flags to a parsed event. One per worker; all share the tables.
#[derive(Clone, Debug, Default)]
pub struct Enricher {
    tables: Tables,
    programs: Programs,
}

impl Enricher {
    /// An enricher over compiled tables.
    pub fn new(tables: &Tables) -> Enricher {
        Enricher { tables: tables.clone(), programs: Programs::default() }
    }

    /// Fields that enrichment itself reads, for [`crate::parse::ParserTable::set_wanted`]: those behind the wanted
    /// enriched fields.
    pub fn reads(&self, wanted: FieldSet) -> FieldSet {
        let behind = |field: Field| match field {
            Field::UserKey => account::USER_KEY_READS,
            Field::HostKey => FieldSet::of(Field::Host),
            Field::Image => image::IMAGE_READS,
            Field::ParentImage => image::PARENT_READS,
            Field::ProcessKey => process_key::READS,
            Field::WebDomain | Field::TopDomain => url::READS,
            _ => FieldSet::default(),
        };
        wanted.iter().map(behind).fold(FieldSet::default(), FieldSet::union)
    }

    /// Enriches one event. `wanted` limits the work to enriched fields that someone reads; flags are set by the fields that
    /// are there.
    /// Identities that are empty or `-` are taken away.
    pub fn enrich(
        &mut self,
        raw: &[u8],
        arena: &mut Vec<u8>,
        draft: &mut Draft,
        wanted: FieldSet,
        oddities: &mut Counts,
    ) {
        let Enricher { tables, programs } = self;
        let compiled = &*tables.compiled;
        let (lists, arena) = (&compiled.lists, &mut Arena::new(raw, arena));
        account::drop_placeholders(arena, draft);
        if wanted.contains(Field::HostKey) {
            account::set_host_key(arena, draft);
        }
        if wanted.contains(Field::UserKey) {
            account::set_user_key(lists, arena, draft);
        }
        if !matches!(draft.recurs, Recurs::Settled(_)) {
            programs.set(compiled, arena, draft, wanted);
        }
        if draft.present.0 & WEB.0 == 0 {
            return;
        }
        url::set_parts(arena, draft, oddities);
        if wanted.contains(Field::TopDomain) {
            domain::set_top_domain(arena, draft);
        }
        compiled.domains.judge(lists, arena, draft);
    }
}

/// An event with none of these has nothing to do with the web.
const WEB: FieldSet = url::READS.union(domain::READS);

// What is settled is known by the fields that recur: nothing else may decide what follows from a program's names.
const _: () = assert!(
    image::IMAGE_READS.union(image::PARENT_READS).union(process_key::READS).0 & !FieldSet::RECURRING.0 == 0,
    "an enriched field that recurs is made of one that does not"
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::Faults;
    use crate::event::{EventType, Flags, Span, Text};
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    const ENRICHED: [Field; 6] =
        [Field::UserKey, Field::HostKey, Field::Image, Field::ParentImage, Field::ProcessKey, Field::TopDomain];

    /// An enriched event with its text.
    pub(in crate::enrich) struct Enriched {
        pub flags: Flags,
        pub oddities: Counts,
        draft: Draft,
        raw: Vec<u8>,
        arena: Vec<u8>,
    }

    impl Enriched {
        pub fn get(&self, field: Field) -> Option<String> {
            let text = Text { raw: &self.raw, arena: &self.arena }.get(self.draft.span(field));
            self.draft.present.contains(field).then(|| String::from_utf8(text.to_vec()).unwrap())
        }
    }

    pub(in crate::enrich) fn shipped_files() -> BTreeMap<String, String> {
        [
            ("enrichment", include_str!("../../config/content/enrichment.toml")),
            ("temp_directories", include_str!("../../config/content/tables/temp_directories.txt")),
            ("file_sharing_domains", include_str!("../../config/content/tables/file_sharing_domains.txt")),
            ("file_sharing_suites", include_str!("../../config/content/tables/file_sharing_suites.txt")),
            ("file_sharing_categories", include_str!("../../config/content/tables/file_sharing_categories.txt")),
            ("dynamic_dns_domains", include_str!("../../config/content/tables/dynamic_dns_domains.txt")),
            ("cef_keys", include_str!("../../config/content/tables/cef_keys.txt")),
        ]
        .map(|(name, text)| (name.to_owned(), text.to_owned()))
        .into()
    }

    /// The shipped tables, compiled once.
    pub(in crate::enrich) fn shipped() -> Tables {
        static TABLES: std::sync::OnceLock<Tables> = std::sync::OnceLock::new();
        let compile = || {
            let mut faults = Faults::default();
            let tables = Tables::compile(&shipped_files(), &BTreeMap::new(), &[], &mut faults);
            assert!(faults.is_empty(), "{faults}");
            tables
        };
        TABLES.get_or_init(compile).clone()
    }

    /// The shipped lists with these tables.
    pub(in crate::enrich) fn compiled(files: &[(&str, &str)]) -> Tables {
        let mut all: BTreeMap<String, String> = files.iter().map(|(n, t)| ((*n).into(), (*t).into())).collect();
        all.insert("enrichment".into(), shipped_files().remove("enrichment").unwrap());
        let mut faults = Faults::default();
        let tables = Tables::compile(&all, &BTreeMap::new(), &[], &mut faults);
        assert!(faults.is_empty(), "{faults}");
        tables
    }

    /// Every second field stands in the arena already, as after unescaping.
    fn draft_of<T: AsRef<[u8]>>(fields: &[(Field, T)]) -> (Draft, Vec<u8>, Vec<u8>) {
        let (mut draft, mut raw, mut arena) = (Draft::default(), Vec::new(), Vec::new());
        for (i, (field, value)) in fields.iter().enumerate() {
            let text = if i % 2 == 0 { &mut raw } else { &mut arena };
            let start = text.len();
            text.extend_from_slice(value.as_ref());
            let end = text.len();
            draft.set(*field, if i % 2 == 0 { Span::raw(start, end) } else { Span::arena(start, end) });
        }
        (draft, raw, arena)
    }

    pub(in crate::enrich) fn enriched(tables: &Tables, kind: EventType, fields: &[(Field, &str)]) -> Enriched {
        let (mut draft, raw, mut arena) = draft_of(fields);
        draft.kind = kind;
        let mut oddities = Counts::default();
        Enricher::new(tables).enrich(&raw, &mut arena, &mut draft, FieldSet(u64::MAX), &mut oddities);
        Enriched { flags: draft.flags, oddities, draft, raw, arena }
    }

    #[test]
    fn only_wanted_fields_are_set_and_flags_by_what_is_there() {
        let fields = [
            (Field::User, "JDoe"),
            (Field::Host, "WS1"),
            (Field::ProcessPath, "C:\\Temp\\A.exe"),
            (Field::ProcessName, "A.exe"),
            (Field::ProcessDir, "C:\\Temp"),
            (Field::ParentProcessName, "B.exe"),
            (Field::Url, "https://x.dropbox.com/"),
        ];
        for wanted in ENRICHED {
            let (mut draft, raw, mut arena) = draft_of(&fields);
            let mut enricher = Enricher::new(&shipped());
            enricher.enrich(&raw, &mut arena, &mut draft, FieldSet::of(wanted), &mut Counts::default());
            for field in ENRICHED {
                assert_eq!(draft.present.contains(field), field == wanted, "{field} when {wanted} is wanted");
            }
            assert!(draft.flags.has(crate::event::Flag::IsTemp) && draft.flags.has(crate::event::Flag::IsFileSharing));
        }
    }

    #[test]
    fn the_fields_behind_wanted_fields_are_read() {
        let enricher = Enricher::default();
        assert_eq!(enricher.reads(FieldSet::default()), FieldSet::default());
        for (wanted, behind) in [
            (Field::UserKey, [Field::User, Field::UserDomain, Field::Host].as_slice()),
            (Field::HostKey, &[Field::Host]),
            (Field::Image, &[Field::ProcessPath, Field::ProcessName, Field::CommandLine]),
            (Field::ParentImage, &[Field::ParentProcessPath, Field::ParentProcessName]),
            (Field::ProcessKey, &[Field::ProcessDir, Field::ProcessName]),
            (Field::TopDomain, &[Field::Url, Field::WebDomain]),
            (Field::WebDomain, &[Field::Url, Field::WebDomain]),
        ] {
            let all = behind.iter().fold(FieldSet::default(), |set, f| set.union(FieldSet::of(*f)));
            assert_eq!(enricher.reads(FieldSet::of(wanted)), all, "{wanted}");
        }
    }

    #[test]
    fn without_tables_nothing_is_flagged() {
        let fields = [(Field::ProcessDir, "C:\\Temp"), (Field::Url, "https://a.duckdns.org/")];
        let event = enriched(&Tables::default(), EventType::FileWrite, &fields);
        assert_eq!(event.flags, Flags::default());
        assert_eq!(event.get(Field::WebDomain).as_deref(), Some("a.duckdns.org"));
    }

    fn hostile() -> impl Strategy<Value = Vec<u8>> {
        let pieces = prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..12),
            "[\\\\/\"^ .:@?#\\[\\]%$*-]{1,4}".prop_map(String::into_bytes),
            "(https?://|users|\\{?[0-9a-f]{8}-[0-9a-f]{4}-|[0-9a-f]{9}|xn--|\\.tmp|ü|Σ|İ|。)"
                .prop_map(String::into_bytes),
        ];
        proptest::collection::vec(pieces, 0..10).prop_map(|p| p.concat())
    }

    proptest! {
        #![proptest_config(crate::effort::cases())]

        #[test]
        fn no_bytes_make_enrichment_panic(values in proptest::collection::vec(hostile(), Field::COUNT)) {
            let parsed = Field::ALL.iter().copied().filter(|f| !ENRICHED.contains(f));
            let fields: Vec<(Field, Vec<u8>)> = parsed.zip(values).collect();
            let (mut draft, raw, mut arena) = draft_of(&fields);
            let mut enricher = Enricher::new(&shipped());
            enricher.enrich(&raw, &mut arena, &mut draft, FieldSet(u64::MAX), &mut Counts::default());
            let text = Text { raw: &raw, arena: &arena };
            for field in [Field::UserKey, Field::HostKey, Field::ProcessKey] {
                let key = text.get(draft.span(field));
                prop_assert_eq!(lower(key), key, "{} is lower-case", field);
            }
            let (host, top) = (text.get(draft.span(Field::WebDomain)), text.get(draft.span(Field::TopDomain)));
            prop_assert!(host.ends_with(top) && host.is_ascii());
        }

        #[test]
        fn no_text_makes_tables_and_directories_panic(text in "(\\PC|[!#\n\r\",.*/{}-]){0,60}") {
            let mut faults = Faults::default();
            let names = ["temp_directories", "file_sharing_domains", "file_sharing_categories", "x", "enrichment"];
            let files = names.map(|n| (n.to_owned(), text.clone())).into();
            Tables::compile(&files, &BTreeMap::new(), std::slice::from_ref(&text), &mut faults);
            Directory::parse(&text, "d.csv", &mut faults);
        }
    }
}
