//! The shipped content's own tests, hard lines, and arbitrary bytes.

use super::*;
use crate::content::section::Document;
use proptest::prelude::*;
use std::path::Path;
use std::sync::OnceLock;

fn documents(folder: &str) -> Vec<Document> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/content").join(folder);
    let mut paths: Vec<_> = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).collect();
    paths.sort();
    let name = |p: &Path| format!("{folder}/{}", p.file_name().unwrap().to_str().unwrap());
    paths.iter().map(|p| Document::new(name(p), std::fs::read_to_string(p).unwrap())).collect()
}

fn cef_keys() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/content/tables/cef_keys.txt");
    std::fs::read_to_string(path).unwrap()
}

fn shipped() -> &'static ParserTable {
    static TABLE: OnceLock<ParserTable> = OnceLock::new();
    TABLE.get_or_init(|| {
        let mut faults = crate::content::Faults::default();
        let table = ParserTable::compile(&documents("fieldmaps"), &documents("parsers"), &cef_keys(), &mut faults);
        assert!(faults.is_empty(), "{faults}");
        table
    })
}

/// What became of a record: type, time, fields, oddities.
#[derive(Debug)]
struct Event {
    kind: EventType,
    time_ms: i64,
    fields: Vec<(Field, String)>,
    odd: Counts,
}

impl Event {
    fn get(&self, name: &str) -> &str {
        let field = Field::resolve(name).unwrap();
        self.fields.iter().find(|(f, _)| *f == field).map_or("", |(_, v)| v)
    }

    fn odd(&self, oddity: Oddity) -> u64 {
        self.odd.get(oddity.index())
    }
}

/// Parses `raw`, from the arena when `lossy`, and checks that every span lies in its text.
fn parse_at(raw: &[u8], lossy: bool, csv: Option<Option<&Columns>>, extract: Extract) -> Result<Event, Reject> {
    parse_by(shipped(), &mut Scratch::default(), raw, lossy, csv, extract)
}

fn parse_by(
    table: &ParserTable,
    scratch: &mut Scratch,
    raw: &[u8],
    lossy: bool,
    csv: Option<Option<&Columns>>,
    extract: Extract,
) -> Result<Event, Reject> {
    let (mut draft, mut odd) = (Draft::default(), Counts::default());
    let mut arena = b"before".to_vec();
    let record = if lossy {
        arena.extend_from_slice(raw);
        Span::arena(6, arena.len())
    } else {
        Span::raw(0, raw.len())
    };
    let work = &mut Workspace {
        raw: if lossy { b"" } else { raw },
        arena: &mut arena,
        draft: &mut draft,
        oddities: &mut odd,
        scratch,
    };
    match csv {
        None => table.parse_cef(work, record, extract)?,
        Some(columns) => table.parse_csv(work, record, columns, &Zone::utc(), extract)?,
    };
    let text = Text { raw: if lossy { b"" } else { raw }, arena: &arena };
    let value = |f: Field| {
        let (span, bytes) = (draft.span(f), text.get(draft.span(f)));
        assert!(!span.is_empty() && bytes.len() == span.len(), "{f} is no piece of its text");
        let valid = std::str::from_utf8(raw).is_err() || std::str::from_utf8(bytes).is_ok();
        assert!(valid, "{f} cuts a character in two");
        (f, String::from_utf8_lossy(bytes).into_owned())
    };
    let fields = draft.present.iter().map(value).collect();
    Ok(Event { kind: draft.kind, time_ms: draft.time_ms, fields, odd })
}

fn parse(line: &str) -> Result<Event, Reject> {
    parse_at(line.as_bytes(), false, None, Extract::All)
}

const PROCESS: &str = r"CEF:0|Dtex|DTEX InTERCEPT|6.0|ProcessCreated|Running C:\d\x.exe|5|";
const WHO: &str = r"start=1612345678901 Device_Name=CORP\WS1 User_Name=CORP\jdoe";

#[test]
fn the_shipped_parsers_pass_their_own_tests() {
    let mut faults = crate::content::Faults::default();
    shipped().run_tests(&mut faults);
    assert!(faults.is_empty(), "{faults}");
    assert!(shipped().test_count() >= 19 * 3);
}

#[test]
fn there_are_nineteen_parsers_and_their_ids_are_these() {
    let mut ids = shipped().ids();
    ids.sort_unstable();
    let cef = "dir-created dir-delete dir-moved dir-renamed file-copied file-created file-delete file-modified file-moved \
               file-read file-renamed local-logon print-activity process-created remote-logon web-activity \
               workstation-locked workstation-unlocked";
    let mut wanted: Vec<String> = cef.split_whitespace().map(|n| format!("cef-dtex-{n}")).collect();
    wanted.push("s-dtex".into());
    assert_eq!(ids, wanted);
}

#[test]
fn every_event_type_is_made_and_says_which_fields_it_can_carry() {
    let produces = shipped().produces();
    for kind in EventType::ALL {
        assert!(produces[kind.index()].contains(Field::User), "{kind}");
    }
    assert!(produces[EventType::WebActivityAllowed.index()].contains(Field::BytesOut));
    assert!(!produces[EventType::ProcessCreated.index()].contains(Field::BytesOut));
    let ids = shipped().ids();
    let index = ids.iter().position(|id| *id == "cef-dtex-file-copied").unwrap();
    assert_eq!(shipped().event_types(index as u16), [EventType::FileWrite, EventType::UsbWrite]);
}

#[test]
fn hard_extensions_are_cut_where_keys_begin_and_nowhere_else() {
    let cases: &[(&str, &[(&str, &str)])] = &[
        ("reason=curl --data a=b http://x/?q=1", &[("command_line", "curl --data a=b http://x/?q=1")]),
        ("reason=sc create x start= auto", &[("command_line", "sc create x start= auto")]),
        ("reason=dd if=/dev/sda out=x of=y in=z", &[("command_line", "dd if=/dev/sda out=x of=y in=z")]),
        (r"reason=x.exe User_Name=CORP\boss", &[("command_line", r"x.exe User_Name=CORP\boss"), ("user", "jdoe")]),
        ("reason=x.exe Some_New_Key=1 outcome=Success", &[("command_line", "x.exe Some_New_Key=1")]),
        ("reason=x.exe User_Department=Sales", &[("command_line", "x.exe"), ("department", "Sales")]),
        ("reason=x.exe Device_Type=Laptop", &[("command_line", "x.exe")]),
        ("reason=x.exe Activity_Category=P", &[("command_line", "x.exe")]),
        ("reason=x.exe Website_Query=u", &[("command_line", "x.exe Website_Query=u")]),
        ("reason=x.exe Printer_Name=u", &[("command_line", "x.exe Printer_Name=u")]),
        (
            "reason=x.exe Parent_Process_Name=w3wp.exe",
            &[("command_line", "x.exe"), ("parent_process_name", "w3wp.exe")],
        ),
        ("reason=x.exe process_name=y", &[("command_line", "x.exe process_name=y")]),
        ("reason=x.exe\tUser_Department=y", &[("command_line", "x.exe\tUser_Department=y")]),
        ("reason= x.exe  outcome=Success", &[("command_line", "x.exe")]),
        ("reason= Process_Parameters=y.exe a=b", &[("command_line", "y.exe a=b")]),
        ("reason=- Process_Parameters=y.exe", &[("command_line", "y.exe")]),
        (r"Process_Parameters=y.exe Foo_Bar=1 a=b reason=", &[("command_line", "y.exe Foo_Bar=1 a=b")]),
        ("Process_Parameters=sc start= auto src=1 x", &[("command_line", "sc start= auto")]),
        (r"User_Department=A\=B", &[("department", "A=B")]),
        (r"User_Department=A\\B C\\D", &[("department", r"A\B C\D")]),
        (r"User_Department=A\\B C\D", &[("department", r"A\\B C\D")]),
        (r"User_Department=A\\B x\=1", &[("department", r"A\B x=1")]),
        (r"User_Department=A\new", &[("department", r"A\new")]),
        ("User_Department=A Foo_Bar=2 x", &[("department", "A")]),
        ("User_Department=A Foo_Bar =2 x", &[("department", "A")]),
        ("User_Department=A foo_Bar=2", &[("department", "A foo_Bar=2")]),
        ("User_Department=A Foo=2", &[("department", "A Foo=2")]),
        ("User_Department=A src=1", &[("department", "A")]),
        ("User_Department=A Src=1", &[("department", "A Src=1")]),
        ("User_Department  = A", &[("department", "A")]),
        ("User_Department=", &[("department", "")]),
    ];
    for (rest, wanted) in cases {
        let event = parse(&format!("{PROCESS}{WHO} {rest}")).unwrap();
        for (field, value) in *wanted {
            assert_eq!(event.get(field), *value, "{field} of {rest}");
        }
    }
}

#[test]
fn escapes_are_seen_wherever_they_stand_in_a_line() {
    for pad in 0..140 {
        let pad = "x".repeat(pad);
        let event = parse(&format!(r"{PROCESS}{WHO} User_Department={pad}\=a reason={pad}\\b")).unwrap();
        assert_eq!(event.get("department"), format!("{pad}=a"));
        assert_eq!(event.get("command_line"), format!(r"{pad}\b"));
    }
}

#[test]
fn who_and_where_are_read_with_any_number_of_backslashes() {
    for (written, name, domain) in [
        (r"CORP\nancy", "nancy", "CORP"),
        (r"CORP\\nancy", "nancy", "CORP"),
        (r"CORP\\\nancy", "nancy", "CORP"),
        ("nancy", "nancy", ""),
        (r"NT AUTHORITY\SYSTEM", "SYSTEM", "NT AUTHORITY"),
        ("-", "", ""),
        ("", "", ""),
        (r"CORP\-", "", "CORP"),
    ] {
        let event =
            parse(&format!("{PROCESS}start=1612345678901 Device_Name={written} User_Name ={written} outcome=x"))
                .unwrap();
        assert_eq!((event.get("user"), event.get("user_domain")), (name, domain), "{written}");
        assert_eq!((event.get("host"), event.get("host_domain")), (name, domain), "{written}");
    }
}

#[test]
fn identity_behind_the_free_text_is_used_and_counted_once_a_line() {
    let late = parse(&format!(r"{PROCESS}start=1612345678901 reason=x User_Name=CORP\boss Device_Name=WS1")).unwrap();
    assert_eq!((late.get("user"), late.get("host")), ("boss", "WS1"));
    assert_eq!(late.odd(Oddity::IdentityAfterReason), 1);
    let behind_outcome = parse(&format!("{PROCESS}reason=x outcome=y start=1612345678901 User_Name=u")).unwrap();
    assert_eq!(behind_outcome.odd(Oddity::IdentityAfterReason), 1);
    let forged = parse(&format!(r"{PROCESS}{WHO} reason=x User_Name=CORP\boss")).unwrap();
    assert_eq!((forged.get("user"), forged.odd(Oddity::IdentityAfterReason)), ("jdoe", 0));
}

#[test]
fn unknown_keys_are_counted_where_they_end_a_value() {
    let event =
        parse(&format!("{PROCESS}{WHO} Session_Id=1 New_Key=2 Process_Parameters=x Other_Key=3 reason=A_B=1")).unwrap();
    assert_eq!(event.odd(Oddity::UnknownKey), 2);
    assert_eq!(event.get("user"), "jdoe");
}

#[test]
fn times_are_epochs_of_13_or_10_digits() {
    let time = |start: &str| parse(&format!("{PROCESS}{start} Device_Name=WS1")).map(|e| e.time_ms);
    assert_eq!(time("start=1612345678901"), Ok(1_612_345_678_901));
    assert_eq!(time("start=1612345678"), Ok(1_612_345_678_000));
    assert_eq!(time("start = 1612345678901 "), Ok(1_612_345_678_901));
    for bad in [
        "",
        "start=",
        "start=soon",
        "start=161234567890",
        "start=-1612345678",
        "Start=1612345678901",
        "rt=1612345678901",
    ] {
        assert_eq!(time(bad), Err(Reject::BadTime), "{bad}");
    }
}

#[test]
fn headers_are_read_in_both_forms_and_behind_any_prefix() {
    for (line, wanted) in [
        (PROCESS.to_owned(), Ok(EventType::ProcessCreated)),
        (format!("\u{feff}{PROCESS}"), Ok(EventType::ProcessCreated)),
        (format!("<134>Oct 18 14:38:11 host {PROCESS}"), Ok(EventType::ProcessCreated)),
        (format!("<134>1 2021-02-03T09:47:58Z host app 1 - - \u{feff}{PROCESS}"), Ok(EventType::ProcessCreated)),
        ("CEF:0|Dtex|P|1|ProcessActivity|ProcessCreated|5|".into(), Ok(EventType::ProcessCreated)),
        ("CEF:1|Dtex|P\\|Q|1|SessionActivity|SessionLocked|Very-High|".into(), Ok(EventType::WorkstationLocked)),
        (r"CEF:0|Dtex|P|1|FileDeleted|C:\dir\|3|".into(), Ok(EventType::FileDelete)),
        ("CEF:0|Dtex|P|1|FileDeleted|FileCreated|3|".into(), Ok(EventType::FileDelete)),
        ("CEF:0|Other|P|1|FileDeleted|x|3|".into(), Err(Reject::NoParser)),
        ("CEF:0|Dtex|P|1|FileBurned|x|3|".into(), Err(Reject::UnknownActivity)),
        ("CEF:0|Dtex|P|1|FileDeleted|x ".into(), Err(Reject::BadHeader)),
        ("hello ".into(), Err(Reject::NoParser)),
        ("CEF ".into(), Err(Reject::NoParser)),
        ("hello\0 ".into(), Err(Reject::Binary)),
    ] {
        assert_eq!(parse(&format!("{line}{WHO}")).map(|e| e.kind), wanted, "{line}");
    }
    let event = parse(&format!(r"CEF:0|Dtex|P|1|FileDeleted|C:\dir\|3|{WHO}")).unwrap();
    assert_eq!(event.get("file_path"), r"C:\dir\");
    let event = parse(&format!(r"CEF:0|Dtex|P|1|FileDeleted|C:\d\a\|b (3 bytes)|3|{WHO}")).unwrap();
    assert_eq!(event.get("file_path"), r"C:\d\a|b");
}

#[test]
fn a_line_in_the_arena_reads_like_one_as_read() {
    let line = format!("{PROCESS}{WHO} Process_Details={{\"ParentImage\":\"C:\\\\a\\\\w3wp.exe\"}} reason=a\\=b");
    let (raw, lossy) = (parse(&line).unwrap(), parse_at(line.as_bytes(), true, None, Extract::All).unwrap());
    assert_eq!(raw.fields, lossy.fields);
    assert_eq!(raw.get("command_line"), "a=b");
    assert_eq!(raw.get("parent_process_name"), "w3wp.exe");
}

#[test]
fn wanted_fields_are_filled_with_what_they_are_made_of_and_no_others() {
    let mut faults = crate::content::Faults::default();
    let mut table = ParserTable::compile(&documents("fieldmaps"), &documents("parsers"), &cef_keys(), &mut faults);
    let mut wanted = [FieldSet::default(); EventType::COUNT];
    wanted[EventType::ProcessCreated.index()] = FieldSet::of(Field::ProcessName);
    wanted[EventType::FileWrite.index()] = FieldSet::of(Field::FileExt);
    table.set_wanted(wanted);
    let fields = |line: &str| {
        let (mut arena, mut draft, mut odd) = (Vec::new(), Draft::default(), Counts::default());
        let work = &mut Workspace {
            raw: line.as_bytes(),
            arena: &mut arena,
            draft: &mut draft,
            oddities: &mut odd,
            scratch: &mut Scratch::default(),
        };
        table.parse_cef(work, Span::raw(0, line.len()), Extract::Wanted).unwrap();
        (draft.kind, draft.present.iter().collect::<Vec<_>>())
    };
    let (_, got) = fields(&format!("{PROCESS}{WHO} reason=x"));
    assert_eq!(got, [Field::Activity, Field::ProcessPath, Field::ProcessName]);
    // The drive is read although nobody wants it: it settles the type.
    let copied =
        r#"CEF:0|Dtex|P|1|FileCopied|x|3|Destination_File_Name=a.txt Destination_File_Details={"Drive":"USB"} "#;
    let (kind, got) = fields(&format!("{copied}{WHO}"));
    assert_eq!(kind, EventType::UsbWrite);
    assert!(got.contains(&Field::FileExt) && !got.contains(&Field::User), "{got:?}");
}

#[test]
fn formats_are_known_by_their_first_record() {
    let sniff = |record: &str| shipped().sniff(record.as_bytes(), false);
    assert_eq!(sniff(&format!("{PROCESS}{WHO}")), Some(Format::Cef));
    assert_eq!(sniff(&format!("<134>Oct 18 14:38:11 host {PROCESS}{WHO}")), Some(Format::Cef));
    assert_eq!(sniff(&format!("CEF:0|Other|P|1|FileRead|x|1|{WHO}")), None);
    assert_eq!(sniff("User_Name,\"User_Department\",x, User_Location "), Some(Format::Csv));
    assert_eq!(sniff("User_Name,User_Department"), None);
    assert_eq!(sniff(""), None);
    let row = ",,,,,,FileRead,,2021-02-03T09:47:58,,,,,jdoe";
    assert_eq!(sniff(row), None);
    assert_eq!(shipped().sniff(row.as_bytes(), true), Some(Format::Csv));
    assert_eq!(sniff(&format!("{row},User_Department User_Location")), Some(Format::Csv));
    assert_eq!(shipped().sniff(b"a,b,c", true), None);
}

#[test]
fn records_of_the_other_format_are_told_apart() {
    assert_eq!(parse("User_Name,User_Department,User_Location").unwrap_err(), Reject::WrongFormat);
    assert_eq!(parse(",,,,,,FileRead,,2021-02-03T09:47:58").unwrap_err(), Reject::WrongFormat);
    let columns = shipped().csv_header(b"User_Name,User_Department,User_Location,Activity_Type,Start_Time").unwrap();
    let row = |text: &str| parse_at(text.as_bytes(), false, Some(Some(&columns)), Extract::All).map(|e| e.kind);
    assert_eq!(row(&format!("{PROCESS}{WHO}")), Err(Reject::WrongFormat));
    assert_eq!(row("u,d,l,FileRead,2021-02-03T09:47:58"), Ok(EventType::FileRead));
    assert_eq!(row("u,d,l,FileRead"), Err(Reject::ShortRow));
    assert_eq!(row("u,d,l,FileBurned,2021-02-03T09:47:58"), Err(Reject::UnknownActivity));
    assert_eq!(row("u,d,l,FileRead,"), Err(Reject::BadTime));
}

#[test]
fn faults_of_field_maps_name_file_line_and_remedy() {
    let map = "id = \"m\"\n[cef]\nvendor = \"V\"\ntime = \"start\"\nfree_txt = \"x\"\n\
               [fields]\nuser = [\"Usr_Name\", { key = \"User_Name\", part = \"acount\" }]\nusr = \"User_Name\"\n\
               file_name = { field = \"file_path\" }\nfile_path = { field = \"file_name\" }\n";
    let parser = "id = \"p\"\nformat = \"cef\"\nactivities = \"A\"\nevent_type = \"file-writ\"\nfieldmaps = \"n\"\n";
    let second = "id = \"q\"\nformat = \"cef\"\nactivities = \"A\"\nevent_type = \"file-write\"\nfieldmaps = \"m\"\n";
    let mut faults = crate::content::Faults::default();
    let docs = [Document::new("p.toml", parser), Document::new("q.toml", second)];
    let table = ParserTable::compile(&[Document::new("m.toml", map)], &docs, "start\nUser_Name\n", &mut faults);
    table.run_tests(&mut faults);
    let all = faults.check(()).unwrap_err().to_string();
    for wanted in [
        "(m.toml:7): key \"Usr_Name\" is neither in the list of CEF keys nor a column of [csv]; did you mean \"User_Name\"?",
        "m.toml:5: unknown key \"free_txt\"; did you mean \"free_text\"?",
        "field map m (m.toml:7): unknown part \"acount\"; did you mean \"account\"?",
        "field map m (m.toml:8): unknown field \"usr\"; did you mean \"user\"?",
        "parser p (p.toml:4): unknown event type \"file-writ\"; did you mean \"file-write\"?",
        "parser p (p.toml:3): unknown field map \"n\"; did you mean \"m\"?",
        "parser q (q.toml:1): field file_name is made of itself",
        "parser p (p.toml): no [[test]] block",
    ] {
        assert!(all.contains(wanted), "{wanted}\nis not in\n{all}");
    }
}

/// Lines that are nearly right, so that arbitrary bytes get past the header.
fn nearly_a_line() -> impl Strategy<Value = Vec<u8>> {
    let head = prop_oneof![
        Just(PROCESS.to_owned()),
        Just(r"CEF:0|Dtex|P|1|FileRenamed|C:\a ➔ C:\b\|c (12 bytes)|3|".to_owned()),
        Just("CEF:0|Dtex|P|1|NetworkActivity|WebPageAccessed|3|".to_owned()),
        Just("CEF:0|Dtex|P|1|PrintJobIssued|➔ (3 bytes)|3|".to_owned()),
    ];
    let piece = prop_oneof![
        Just("start=1612345678901 ".to_owned()),
        Just(" reason=".to_owned()),
        Just(" User_Name =".to_owned()),
        Just(" Source_File_Details={\"Type\":\"".to_owned()),
        Just(" Destination_File_Details={\"Drive\":".to_owned()),
        Just(" Process_Details={\"ParentImage\":\"C:\\\\x\\\\ud83d\",\"ProcessId\":".to_owned()),
        Just(" Process_Parameters=\"".to_owned()),
        Just("\\u00e9\\\"\\\\\\=\\|".to_owned()),
        Just(" Foo_Bar=[12 page(s)] [3 bytes".to_owned()),
        "[\\PC\\x00]{0,12}",
        "[\\\\\"{}|=é ➔:,/-]{0,12}",
    ];
    let text = (head, prop::collection::vec(piece, 0..12)).prop_map(|(h, p)| (h + &p.concat()).into_bytes());
    (text, prop::option::of((any::<prop::sample::Index>(), any::<u8>()))).prop_map(|(mut line, hit)| {
        if let Some((at, byte)) = hit {
            let at = at.index(line.len());
            line[at] = byte;
        }
        line
    })
}

proptest! {
    #![proptest_config(crate::effort::cases_of(2000))]

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), lossy: bool) {
        let _ = parse_at(&bytes, lossy, None, Extract::All);
        let _ = parse_at(&bytes, lossy, Some(None), Extract::All);
        let _ = (shipped().sniff(&bytes, true), shipped().csv_header(&bytes));
    }

    #[test]
    fn nearly_right_lines_never_panic_and_their_fields_are_pieces_of_them(line in nearly_a_line(), lossy: bool) {
        let _ = parse_at(&line, lossy, None, Extract::All);
    }

    #[test]
    fn rows_never_panic_and_cells_survive_quoting(cells in prop::collection::vec("[\\PC,\"\n]{0,8}", 15)) {
        let mut cells = cells;
        cells[6] = "FileRead".into();
        cells[8] = "2021-02-03T09:47:58".into();
        let row: Vec<String> = cells.iter().map(|c| format!("\"{}\"", c.replace('"', "\"\""))).collect();
        let event = parse_at(row.join(",").as_bytes(), false, Some(None), Extract::All).unwrap();
        let written = cells[10].trim_ascii();
        prop_assert_eq!(event.get("description"), if written == "-" { "" } else { written });
    }

    #[test]
    fn a_command_line_without_keys_survives_whatever_stands_in_it(text in "[a-z0-9=:/.\" {}|-]{1,40}") {
        let event = parse(&format!("{PROCESS}{WHO} Process_Details={{}} reason={text} outcome=Success")).unwrap();
        let wanted = text.trim_ascii();
        prop_assert_eq!(event.get("command_line"), if wanted == "-" { "" } else { wanted });
        prop_assert_eq!(event.get("user"), "jdoe");
    }
    #[test]
    fn a_line_says_what_the_plain_reader_finds(line in hostile_line()) {
        let parsed = crate::fuzz_entry::parsed::parse(&mut Scratch::default(), &line, None, false, Extract::All);
        crate::fuzz_entry::parsed::compare_cef(&line, parsed);
    }

    #[test]
    fn records_of_any_shape_have_the_wanted_fields_of_a_full_reading(
        records in prop::collection::vec(line_of_any_shape(), 1..12),
        order in prop::collection::vec((any::<prop::sample::Index>(), 0..WANTED.len()), 1..40),
    ) {
        // One memory for all, as a worker has it.
        let mut scratch = Scratch::default();
        for (index, wanted) in order {
            let (line, table) = (index.get(&records).as_bytes(), &wanting()[wanted]);
            let some = parse_by(table, &mut scratch, line, false, None, Extract::Wanted).unwrap();
            let all = parse_by(table, &mut Scratch::default(), line, false, None, Extract::All).unwrap();
            prop_assert_eq!(some.kind, all.kind);
            prop_assert!(some.fields.iter().all(|field| all.fields.contains(field)), "{:?} of {:?}", some, all);
            let missed = all.fields.iter().find(|f| WANTED[wanted] >> f.0.index() & 1 == 1 && !some.fields.contains(f));
            prop_assert_eq!(missed, None);
        }
    }

    #[test]
    fn a_row_says_what_the_plain_reader_finds(row in hostile_row()) {
        let columns = shipped().csv_header(crate::fuzz_entry::parsed::COLUMNS.as_bytes()).unwrap();
        let parsed = crate::fuzz_entry::parsed::parse(&mut Scratch::default(), &row, Some(Some(&columns)), false, Extract::All);
        crate::fuzz_entry::parsed::compare_csv(&row, parsed);
    }
}

/// Lines of two activities with hostile blanks, escapes, unknown and repeated keys, `=` and keys in values.
fn hostile_line() -> impl Strategy<Value = String> {
    let header = prop_oneof![
        Just(PROCESS.to_owned()),
        Just("CEF:0|Dtex|P|1|NetworkActivity|WebPageAccessed|3|".to_owned()),
        Just("CEF:1|Dtex|P\\\\|1|WebPageAccessed|a\\|b\\\\=|High|".to_owned()),
        Just("CEF:0|Dtex|P|1|ProcessCreated|C:\\dir\\|3|".to_owned()),
        "CEF:0\\|Dtex\\|P\\|1\\|ProcessCreated\\|[a\\\\|]{0,6}\\|[3x]{0,2}\\|",
    ];
    let key = prop::sample::select(vec![
        "start",
        "User_Name",
        "Device_Name",
        "User_Department",
        "Activity_Description",
        "reason",
        "outcome",
        "out",
        "in",
        "requestMethod",
        "Process_Parameters",
        "Process_Name",
        "Website_Query",
        "Website_Category",
        "src",
        "fname",
        "Session_Id",
        "New_Key2",
        "foo_Bar",
        "Foo",
        "Process_Parent_Name",
        "Printer_Details",
        "user_name",
    ]);
    let value = prop_oneof![
        3 => Just("1612345678901".to_owned()),
        1 => Just("1612345678".to_owned()),
        2 => Just(r"CORP\nancy".to_owned()),
        4 => "[a-zA-Z=\\\\ |._:/\"-]{0,14}",
        1 => "\\PC{0,6}",
    ];
    let blanks = |most: usize| " {0,2}".prop_map(move |b: String| b[..b.len().min(most)].to_owned());
    let pair = (key, blanks(2), value, prop::sample::select(vec![" ", " ", "  ", "", "\t"]))
        .prop_map(|(key, before, value, after)| format!("{key}{before}={value}{after}"));
    let extension = prop::collection::vec(pair, 0..14).prop_map(|pairs| pairs.concat());
    let time = prop_oneof![Just("start=1612345678901 "), Just("")];
    (header, time, extension).prop_map(|(header, time, extension)| format!("{header}{time}{extension}"))
}

/// Fields that somebody wants.
const WANTED: [u64; 4] = [u64::MAX, 0x5555_5555_5555_5555, 0x3333_3333_3333_3333, 1 << Field::ProcessPath as u64];

/// The shipped parsers when these are wanted.
fn wanting() -> &'static [ParserTable] {
    static TABLES: OnceLock<Vec<ParserTable>> = OnceLock::new();
    TABLES.get_or_init(|| {
        let table = |wanted: &u64| {
            let (fieldmaps, parsers) = (documents("fieldmaps"), documents("parsers"));
            let mut faults = crate::content::Faults::default();
            let mut table = ParserTable::compile(&fieldmaps, &parsers, &cef_keys(), &mut faults);
            table.set_wanted([FieldSet(*wanted); EventType::COUNT]);
            table
        };
        WANTED.iter().map(table).collect()
    })
}

/// Lines of any activity in either form with any keys, in the order of the list.
fn line_of_any_shape() -> impl Strategy<Value = String> {
    let mut activities: Vec<String> =
        shipped().cef_activities.keys().map(|name| String::from_utf8_lossy(name).into_owned()).collect();
    activities.sort();
    let keys: Vec<&str> =
        cef_keys().leak().lines().filter(|key| !key.is_empty() && !key.starts_with('#') && *key != "start").collect();
    let header = prop_oneof![
        Just("@|Running C:\\d\\x.exe"),
        Just("@|C:\\a.txt (3 bytes) ➔ E:\\b.txt"),
        Just("@|"),
        Just("X|@"),
    ];
    let value = prop_oneof![
        2 => prop::sample::select(vec!["-", "", "a", "CORP\\x", "C:\\d\\y.exe", "\"C:\\p q.exe\" -x", "17", "USB drive"]),
        1 => Just(r#"{"ParentImage":"C:\\a\\b.exe","Drive":"Removable","Type":"Document","Size":5}"#),
    ];
    let pairs = prop::collection::vec((prop::sample::select(keys), value), 0..14);
    (prop::sample::select(activities), header, pairs).prop_map(|(activity, header, mut pairs)| {
        pairs.sort_unstable();
        let pairs: String = pairs.iter().map(|(key, value)| format!(" {key}={value}")).collect();
        format!("CEF:0|Dtex|P|1|{}|3|start=1612345678901{pairs}", header.replace('@', &activity))
    })
}

/// Rows with quotes where they belong and where they do not.
fn hostile_row() -> impl Strategy<Value = String> {
    let cell = prop_oneof![
        3 => "[a-z\\\\ =-]{0,6}",
        3 => "[a-z,\n =]{0,6}".prop_map(|c: String| format!("\"{}\"", c.replace('a', "\"\""))),
        1 => "[a\", ]{0,6}",
    ];
    let activity = prop::sample::select(vec!["ProcessCreated", "WebPageAccessed", "\"FileRead\"", "FileRead "]);
    let time = prop::sample::select(vec!["2021-02-03T09:47:58", "\"1612345678901\"", "1612345678"]);
    (activity, time, prop::collection::vec(cell, 0..9)).prop_map(|(activity, time, cells)| {
        let mut row = vec![activity.to_owned(), time.to_owned()];
        row.extend(cells);
        row.join(",")
    })
}
