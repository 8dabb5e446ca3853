//! Enrichment as tables: what goes in, what comes out, with the shipped lists.

use super::{Enricher, Tables, directory::Directory};
use crate::content::Faults;
use crate::event::{Counts, Draft, EventType, EventView, Field, FieldSet, Flag, Oddity, Span, Text};
use proptest::prelude::*;
use std::collections::BTreeMap;

fn shipped(switches: &[(&str, bool)], sanctioned: &[&str]) -> Enricher {
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir("config/content/tables").unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        files.insert(name, std::fs::read_to_string(path).unwrap());
    }
    files.insert("enrichment".into(), std::fs::read_to_string("config/content/enrichment.toml").unwrap());
    let switches = switches.iter().map(|(n, on)| ((*n).to_owned(), *on)).collect();
    let sanctioned: Vec<String> = sanctioned.iter().map(|s| (*s).to_owned()).collect();
    let mut faults = Faults::default();
    let tables = Tables::compile(&files, &switches, &sanctioned, &mut faults);
    faults.check(()).unwrap();
    Enricher::new(&tables)
}

struct Enriched {
    raw: Vec<u8>,
    arena: Vec<u8>,
    draft: Draft,
    oddities: Counts,
}

impl Enriched {
    fn of(enricher: &Enricher, fields: &[(Field, &[u8])]) -> Enriched {
        let (mut raw, mut draft) = (Vec::new(), Draft::empty(EventType::FileWrite, 0));
        for (field, value) in fields {
            let start = raw.len();
            raw.extend_from_slice(value);
            draft.set(*field, Span::raw(start, raw.len()));
        }
        let (mut arena, mut oddities) = (b"before".to_vec(), Counts::default());
        enricher.enrich(&raw, &mut arena, &mut draft, FieldSet(u64::MAX), &mut oddities);
        Enriched { raw, arena, draft, oddities }
    }
    fn get(&self, field: Field) -> String {
        let view = EventView { draft: &self.draft, text: Text { raw: &self.raw, arena: &self.arena } };
        String::from_utf8_lossy(view.get(field).unwrap_or(b"none")).into_owned()
    }
}

#[test]
fn keys_are_lower_case_and_machine_accounts_belong_to_their_host() {
    let e = shipped(&[], &[]);
    for (domain, user, host, want) in [
        ("CORP", "JDoe", "WS1", "corp\\jdoe"),
        ("", "JDoe", "WS1", "jdoe"),
        ("CORP", "WS1$", "WS1", "ws1\\ws1$"),
        ("NT AUTHORITY", "SYSTEM", "WS1", "ws1\\system"),
        ("", "local service", "WS1", "ws1\\local service"),
        ("IIS APPPOOL", "Default", "WEB1", "web1\\default"),
        ("nt service", "anything", "WEB1", "web1\\anything"),
        ("CORP", "Ärger", "WS1", "corp\\ärger"),
        ("-", "jdoe", "WS1", "jdoe"),
        ("CORP", "-", "WS1", "none"),
        ("", "", "WS1", "none"),
        ("", "SYSTEM", "", "system"),
    ] {
        let got = Enriched::of(
            &e,
            &[(Field::UserDomain, domain.as_bytes()), (Field::User, user.as_bytes()), (Field::Host, host.as_bytes())],
        );
        assert_eq!(got.get(Field::UserKey), want, "{domain}\\{user}");
    }
    assert_eq!(Enriched::of(&e, &[(Field::Host, b"WS-01")]).get(Field::HostKey), "ws-01");
    assert_eq!(Enriched::of(&e, &[(Field::Host, b" - ")]).get(Field::HostKey), "none");
}

#[test]
fn temporary_directories_are_whole_components_or_posix_prefixes() {
    let e = shipped(&[], &[]);
    for (dir, want) in [
        ("C:\\Users\\a\\AppData\\Local\\Temp", true),
        ("C:\\TEMP\\", true),
        ("C:/Temp/x", true),
        ("C:\\temporal", false),
        ("C:\\mytemp\\x", false),
        ("C:\\Windows\\Temporary Internet Files\\x", true),
        ("/tmp", true),
        ("/tmp/x", true),
        ("/tmpfiles", false),
        ("/private/var/folders/ab/T", true),
        ("/var/lib", false),
        ("", false),
    ] {
        let got = Enriched::of(&e, &[(Field::ProcessDir, dir.as_bytes())]);
        assert_eq!(got.draft.flags.has(Flag::IsTemp), want, "{dir}");
    }
}

#[test]
fn a_new_version_or_a_random_folder_is_the_same_process() {
    let e = shipped(&[], &[]);
    for (dir, name, want) in [
        (
            "C:\\Users\\JDoe\\AppData\\Local\\Temp",
            "Updater.exe",
            "c:\\users\\%user%\\appdata\\local\\temp\\updater.exe",
        ),
        ("C:/Users//JDoe/Temp/", "a.exe", "c:\\users\\%user%\\temp\\a.exe"),
        ("C:\\Temp\\is-A1B2C.tmp", "setup-1.20.3.exe", "c:\\temp\\*\\setup-*.exe"),
        ("C:\\Temp\\{12345678-1234-1234-1234-123456789ABC}", "x.exe", "c:\\temp\\*\\x.exe"),
        ("C:\\Temp\\pkg-12345678-1234-1234-1234-123456789ABC-z", "x.exe", "c:\\temp\\pkg-*-z\\x.exe"),
        ("C:\\Temp\\deadbeef99\\abc", "x.exe", "c:\\temp\\*\\abc\\x.exe"),
        ("C:\\Temp\\nsx1234", "x.exe", "c:\\temp\\nsx1234\\x.exe"),
        ("C:\\Temp\\nsa1b2c.tmp", "x.exe", "c:\\temp\\*\\x.exe"),
        ("C:\\Temp", "MSI1A2B.tmp", "c:\\temp\\msi*.tmp"),
        ("C:\\Temp", "un_A.exe", "c:\\temp\\un_?.exe"),
        ("C:\\Temp", "deadbeef99.exe", "c:\\temp\\deadbeef99.exe"),
        ("C:\\Temp", "{12345678-1234-1234-1234-123456789abc}.exe", "c:\\temp\\{*}.exe"),
        ("C:\\Temp", "7z1900.exe", "c:\\temp\\7z1900.exe"),
        ("C:\\Temp\\7zS1234", "v2.exe", "c:\\temp\\*\\v2.exe"),
        ("\\\\srv\\home\\jdoe\\tmp", "x.exe", "\\srv\\home\\%user%\\tmp\\x.exe"),
        ("/home/jdoe/tmp", "x", "\\home\\%user%\\tmp\\x"),
        ("", "x.exe", "x.exe"),
        ("C:\\Temp", "", "none"),
    ] {
        let got = Enriched::of(&e, &[(Field::ProcessDir, dir.as_bytes()), (Field::ProcessName, name.as_bytes())]);
        assert_eq!(got.get(Field::ProcessKey), want, "{dir} + {name}");
    }
}

#[test]
fn the_image_is_the_bare_name_of_path_name_or_command_line() {
    let e = shipped(&[], &[]);
    for (path, name, command, want) in [
        ("C:\\Windows\\CertUtil.EXE", "other.exe", "", "certutil"),
        ("", "PLINK.com", "", "plink"),
        ("", "", "c^ert\"u\"til.exe -encode", "certutil"),
        ("", "", "\"C:\\Program Files\\x\\Tool.exe\" a", "tool"),
        ("C:\\dir\\", "x.exe", "", "x"),
        ("", "", "", "none"),
        ("/usr/bin/curl", "", "", "curl"),
    ] {
        let got = Enriched::of(
            &e,
            &[
                (Field::ProcessPath, path.as_bytes()),
                (Field::ProcessName, name.as_bytes()),
                (Field::CommandLine, command.as_bytes()),
            ],
        );
        assert_eq!(got.get(Field::Image), want, "{path} {name} {command}");
    }
}

#[test]
fn addresses_are_taken_apart() {
    let e = shipped(&[], &[]);
    for (url, domain, top, path, query, bare) in [
        ("https://www.Dropbox.com/home?x=1#f", "www.dropbox.com", "dropbox.com", "/home", "x=1", 0),
        ("http://user:pw@Example.co.uk.:8080/a", "example.co.uk", "example.co.uk", "/a", "none", 0),
        ("https://foo.github.io", "foo.github.io", "foo.github.io", "none", "none", 0),
        ("https://bücher.example/x", "xn--bcher-kva.example", "xn--bcher-kva.example", "/x", "none", 0),
        ("http://[2001:db8::1]:80/x", "2001:db8::1", "2001:db8::1", "/x", "none", 0),
        ("http://203.0.113.9/x", "203.0.113.9", "203.0.113.9", "/x", "none", 0),
        ("example.org/path", "example.org", "example.org", "/path", "none", 1),
        ("example.org:443", "example.org", "example.org", "none", "none", 1),
        ("203.0.113.9:8080/x", "203.0.113.9", "203.0.113.9", "/x", "none", 1),
        ("localhost/x", "none", "none", "none", "none", 0),
        ("just words", "none", "none", "none", "none", 0),
        ("https:///nohost", "none", "none", "none", "none", 0),
        ("co.uk/x", "co.uk", "co.uk", "/x", "none", 1),
        ("1.2.3", "none", "none", "none", "none", 0),
    ] {
        let got = Enriched::of(&e, &[(Field::Url, url.as_bytes())]);
        let all = [Field::WebDomain, Field::TopDomain, Field::UriPath, Field::UriQuery].map(|f| got.get(f));
        assert_eq!(all, [domain, top, path, query], "{url}");
        assert_eq!(got.oddities.get(Oddity::UrlWithoutScheme.index()), bare, "{url}");
    }
}

#[test]
fn domains_are_looked_up_with_their_parents_and_the_sites_own_do_not_count() {
    let e = shipped(&[], &["tenant.dropbox.com"]);
    for (url, category, sharing, dynamic) in [
        ("https://dropbox.com/", "", true, false),
        ("https://a.b.dropbox.com/", "", true, false),
        ("https://x.tenant.dropbox.com/", "", false, false),
        ("https://notdropbox.com/", "", false, false),
        ("https://box.com/", "", false, false),
        ("https://example.org/", " file storage/sharing ", true, false),
        ("https://example.org/", "Web Hosting", false, false),
        ("https://evil.duckdns.org/", "", false, true),
        ("https://duckdns.org/", "", false, false),
        ("https://www.duckdns.org/", "", false, false),
        ("https://freedns.afraid.org/", "", false, false),
        ("https://x.afraid.org/", "", false, true),
    ] {
        let got = Enriched::of(&e, &[(Field::Url, url.as_bytes()), (Field::Category, category.as_bytes())]);
        let flags = got.draft.flags;
        assert_eq!(
            (flags.has(Flag::IsFileSharing), flags.has(Flag::IsDynamicDns)),
            (sharing, dynamic),
            "{url} {category}"
        );
    }
    let on = shipped(&[("file_sharing_suites", true)], &[]);
    assert!(Enriched::of(&on, &[(Field::Url, b"https://x.box.com/")]).draft.flags.has(Flag::IsFileSharing));
}

#[test]
fn a_switch_for_an_unknown_table_is_a_fault() {
    let mut faults = Faults::default();
    let switches = BTreeMap::from([("file_sharing_suits".to_owned(), true)]);
    let files = BTreeMap::from([("file_sharing_suites".to_owned(), "# default: off\nbox.com\n".to_owned())]);
    let tables = Tables::compile(&files, &switches, &[], &mut faults);
    assert_eq!(tables.contains("file_sharing_suites", b"box.com"), Some(false));
    assert!(faults.0[0].message.contains("did you mean \"file_sharing_suites\"?"), "{faults}");
}

#[test]
fn the_directory_knows_users_with_and_without_domain() {
    let mut faults = Faults::default();
    let text = "user,peer_group\nCORP\\JDoe,Sales\nasmith,\"R&D, Berlin\"\nnobody,\nbroken\n";
    let directory = Directory::parse(text, "d.csv", &mut faults);
    assert_eq!(directory.group_of(b"corp\\jdoe"), Some("Sales"));
    assert_eq!(directory.group_of(b"jdoe"), None);
    assert_eq!(directory.group_of(b"corp\\asmith"), Some("R&D, Berlin"));
    assert_eq!(directory.group_of(b"nobody"), None);
    assert_eq!(faults.0.len(), 1);
    assert_eq!(faults.0[0].line, 5);
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(values in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 10)) {
        let e = shipped(&[], &[]);
        let fields = [Field::Url, Field::ProcessDir, Field::ProcessName, Field::ProcessPath, Field::User, Field::UserDomain,
            Field::Host, Field::Category, Field::CommandLine, Field::ParentProcessName];
        let pairs: Vec<(Field, &[u8])> = fields.into_iter().zip(values.iter().map(Vec::as_slice)).collect();
        let got = Enriched::of(&e, &pairs);
        let _ = Field::ALL.iter().map(|f| got.get(*f)).collect::<Vec<_>>();
    }

    #[test]
    fn a_key_made_of_a_key_is_the_same(dir in "[A-Za-z]:(\\\\[a-zA-Z0-9{}.~-]{1,12}){1,4}", name in "[a-z0-9.-]{1,12}\\.exe") {
        let e = shipped(&[], &[]);
        let key = Enriched::of(&e, &[(Field::ProcessDir, dir.as_bytes()), (Field::ProcessName, name.as_bytes())]).get(Field::ProcessKey);
        let (dir, name) = key.rsplit_once('\\').unwrap();
        let again = Enriched::of(&e, &[(Field::ProcessDir, dir.as_bytes()), (Field::ProcessName, name.as_bytes())]).get(Field::ProcessKey);
        prop_assert_eq!(again, key);
    }
}
