//! Targets `cef` and `csv`: any record gives an event or a reason; fields are pieces of the record; what a rule gets is
//! what an analyst is shown; and the plain readers find the same.

use super::plain_cef::{PlainVendor, account};
use super::plain_csv;
use super::split_choice;
use crate::calendar::Zone;
use crate::config::DetectionSettings;
use crate::content::{Content, ContentFiles};
use crate::event::{Counts, Draft, EventType, Field, Oddity, Reject, Span, Text};
use crate::parse::{Columns, Extract, Scratch, Workspace};
use std::collections::BTreeMap;
use std::sync::OnceLock;

/// What became of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parsed {
    /// The type.
    pub kind: EventType,
    /// The time, ms.
    pub time_ms: i64,
    /// The fields that hold something.
    pub fields: BTreeMap<&'static str, String>,
    /// Unknown keys, and identity behind free text.
    pub odd: (u64, u64),
}

fn shipped() -> &'static Content {
    static CONTENT: OnceLock<Content> = OnceLock::new();
    CONTENT.get_or_init(|| match crate::content::load(&DetectionSettings::default()) {
        Ok(content) => content,
        Err(faults) => panic!("{faults}"),
    })
}

/// Parses a record with the shipped parsers and the memory of a worker. `columns` is `None` for CEF; text before it in the
/// arena stands for earlier records.
pub fn parse(
    scratch: &mut Scratch,
    record: &str,
    columns: Option<Option<&Columns>>,
    in_arena: bool,
    extract: Extract,
) -> Result<Parsed, Reject> {
    let (mut draft, mut odd) = (Draft::default(), Counts::default());
    let mut arena = b"before".to_vec();
    let (raw, span) = if in_arena {
        arena.extend_from_slice(record.as_bytes());
        (&b""[..], Span::arena(6, arena.len()))
    } else {
        (record.as_bytes(), Span::raw(0, record.len()))
    };
    let work = &mut Workspace { raw, arena: &mut arena, draft: &mut draft, oddities: &mut odd, scratch };
    match columns {
        None => shipped().parsers.parse_cef(work, span, extract)?,
        Some(columns) => shipped().parsers.parse_csv(work, span, columns, &Zone::utc(), extract)?,
    };
    let text = Text { raw, arena: &arena };
    let mut fields = BTreeMap::new();
    for field in draft.present.iter() {
        let bytes = text.get(draft.span(field));
        assert!(!bytes.is_empty() && bytes.len() == draft.span(field).len(), "{field} is no piece of its text");
        match std::str::from_utf8(bytes) {
            Ok(value) => fields.insert(field.name(), value.to_owned()),
            Err(_) => panic!("{field} cuts a character in two"),
        };
    }
    let odd = |o: Oddity| odd.get(o.index());
    let odd = (odd(Oddity::UnknownKey), odd(Oddity::IdentityAfterReason));
    Ok(Parsed { kind: draft.kind, time_ms: draft.time_ms, fields, odd })
}

/// Parses a record in every way, for the first time and again, and checks that all agree.
fn parse_checked(record: &str, columns: Option<Option<&Columns>>) -> Result<Parsed, Reject> {
    let scratch = &mut Scratch::default();
    let all = parse(scratch, record, columns, false, Extract::All);
    assert_eq!(parse(scratch, record, columns, true, Extract::All), all, "a record in the arena reads otherwise");
    match (&all, parse(scratch, record, columns, false, Extract::Wanted)) {
        (Ok(all), Ok(wanted)) => {
            assert_eq!((wanted.kind, wanted.time_ms, wanted.odd), (all.kind, all.time_ms, all.odd));
            for (field, value) in &wanted.fields {
                assert_eq!(all.fields.get(field), Some(value), "{field} of a rule is not the one that is shown");
            }
        }
        (Err(a), Err(b)) => assert_eq!(*a, b),
        (a, b) => panic!("{a:?} when everything is wanted, {b:?} else"),
    }
    let _ = shipped().parsers.sniff(record.as_bytes(), true);
    all
}

/// The target for CEF lines.
pub fn cef(data: &[u8]) {
    let line = String::from_utf8_lossy(data);
    let line = line.split('\n').next().unwrap_or_default();
    let parsed = parse_checked(line, None);
    assert_eq!(shipped().parsers.sniff(line.as_bytes(), false).is_some() && parsed.is_err(), is_csv(line));
    if line.starts_with("CEF:") {
        compare_cef(line, parsed);
    }
}

fn is_csv(line: &str) -> bool {
    shipped().parsers.sniff(line.as_bytes(), false) == Some(crate::batch::Format::Csv)
}

/// The vendor as the plain reader must know it: keys and ends of two activities.
fn vendor() -> &'static PlainVendor<'static> {
    static VENDOR: OnceLock<PlainVendor<'static>> = OnceLock::new();
    VENDOR.get_or_init(|| {
        let list = ContentFiles::shipped().0.remove("tables/cef_keys.txt").map(|f| f.text).unwrap_or_default();
        let keys: &'static str = Box::leak(list.into_boxed_str());
        let keys = keys.lines().map(|l| l.split('#').next().unwrap_or_default().trim()).filter(|l| !l.is_empty());
        let details = [
            "Website_Details",
            "Process_Details",
            "Source_File_Details",
            "Destination_File_Details",
            "Printer_Details",
        ];
        let always = ["outcome", "start", "reason"];
        let process = [
            "Process_Name",
            "Process_Directory",
            "Process_Parameters",
            "Process_Parent_Name",
            "Parent_Process_Name",
            "Process_Parent_Path",
        ];
        let web = [
            "Process_Name",
            "Process_Directory",
            "Website_Query",
            "Website_Protocol",
            "Network_Remote_Port",
            "requestMethod",
            "Website_Category",
            "out",
            "Network_Bytes_Sent",
            "Network_Upload_Bytes",
            "Website_Upload_Size",
            "in",
            "Network_Bytes_Received",
        ];
        PlainVendor {
            vendor: "Dtex",
            keys: keys.collect(),
            free_text: "reason",
            verbatim: "Process_Parameters",
            time: "start",
            identity: ["User_Name", "Device_Name", "start"],
            activities: vec![
                ("ProcessCreated", [&always[..], &process, &details].concat()),
                ("WebPageAccessed", [&always[..], &web, &details].concat()),
            ],
            end_prefixes: ["Device_", "User_", "Activity_"],
        }
    })
}

/// Compares what the parser made of a line with what the plain reader finds.
pub fn compare_cef(line: &str, parsed: Result<Parsed, Reject>) {
    let plain = vendor().read(line);
    let Some(plain) = plain else {
        // A line of nobody, or of an activity that the plain reader does not know.
        return;
    };
    let value = |key: &str| plain.values.get(key).map(String::as_str).unwrap_or_default();
    let first = |keys: &[&str]| keys.iter().map(|k| value(k)).find(|v| !v.is_empty()).unwrap_or_default().to_owned();
    let time = value("start").parse::<i64>().ok().map(|n| if value("start").len() == 10 { n * 1000 } else { n });
    let time = time.filter(|_| matches!(value("start").len(), 10 | 13) && !value("start").starts_with(['+', '-']));
    let (parsed, time) = match (parsed, time) {
        (Ok(parsed), Some(time)) => (parsed, time),
        (Err(Reject::BadTime | Reject::Binary), None) => return,
        (parsed, time) => panic!("the parser says {parsed:?}, the plain reader {time:?}: {plain:?}"),
    };
    assert_eq!(parsed.time_ms, time);
    assert_eq!(parsed.odd, (plain.unknown_keys, u64::from(plain.identity_after_free_text)), "{plain:?}");
    let (user, user_domain) = account(value("User_Name"));
    let (host, host_domain) = account(value("Device_Name"));
    let mut wanted = vec![
        (Field::User, user),
        (Field::UserDomain, user_domain),
        (Field::Host, host),
        (Field::HostDomain, host_domain),
        (Field::Department, first(&["User_Department"])),
    ];
    if plain.activity == "ProcessCreated" {
        assert_eq!(parsed.kind, EventType::ProcessCreated);
        wanted.push((Field::Description, first(&["Activity_Description"])));
        wanted.push((Field::CommandLine, first(&["reason", "Process_Parameters"])));
    } else {
        assert_eq!(parsed.kind, EventType::WebActivityAllowed);
        wanted.push((Field::Url, first(&["Website_Query"])));
        wanted.push((Field::Method, first(&["requestMethod"])));
        wanted.push((Field::Category, first(&["Website_Category"])));
        wanted.push((
            Field::BytesOut,
            first(&["out", "Network_Bytes_Sent", "Network_Upload_Bytes", "Website_Upload_Size"]),
        ));
        wanted.push((Field::BytesIn, first(&["in", "Network_Bytes_Received"])));
    }
    for (field, value) in wanted {
        assert_eq!(parsed.fields.get(field.name()).map_or("", String::as_str), value, "{field} of {plain:?}");
    }
}

/// A header with what the plain reader looks at.
pub const COLUMNS: &str = "Activity_Type,Start_Time,User_Name,User_Department,User_Location,Device_Name,\
                           Process_Parameters,Website_Query,Activity_Description";

/// The target for CSV records. Steering: by name, by position, or with the first record as the header.
pub fn csv(data: &[u8]) {
    let (choice, rest) = split_choice(data);
    let text = String::from_utf8_lossy(rest).into_owned();
    match choice % 3 {
        0 => {
            let columns = shipped().parsers.csv_header(COLUMNS.as_bytes());
            let parsed = parse_checked(&text, Some(columns.as_ref()));
            compare_csv(&text, parsed);
        }
        1 => {
            let _ = parse_checked(&text, Some(None));
        }
        _ => {
            let (header, row) = text.split_once('\n').unwrap_or((&text, ""));
            if let Some(columns) = shipped().parsers.csv_header(header.as_bytes()) {
                let _ = parse_checked(row, Some(Some(&columns)));
                let names: Vec<String> = plain_csv::cells(header).iter().map(|c| c.trim().to_owned()).collect();
                let named = |name: &str| names.iter().any(|n| n.trim_matches('"') == name);
                assert!(named("User_Name") && named("User_Department") && named("User_Location"), "{names:?}");
            }
        }
    }
}

/// Compares what the parser made of a row under [`COLUMNS`] with what the plain reader finds.
pub fn compare_csv(record: &str, parsed: Result<Parsed, Reject>) {
    let cells = plain_csv::cells(record);
    let cell = |name: &str| {
        let column = COLUMNS.split(',').position(|c| c == name)?;
        let text = cells.get(column)?.trim_ascii();
        (!text.is_empty() && text != "-").then(|| text.to_owned())
    };
    let Ok(parsed) = parsed else { return };
    let (user, user_domain) = account(&cell("User_Name").unwrap_or_default());
    let (host, host_domain) = account(&cell("Device_Name").unwrap_or_default());
    let mut wanted = vec![
        (Field::User, user),
        (Field::UserDomain, user_domain),
        (Field::Host, host),
        (Field::HostDomain, host_domain),
        (Field::Department, cell("User_Department").unwrap_or_default()),
    ];
    match parsed.kind {
        EventType::ProcessCreated => {
            wanted.push((Field::CommandLine, cell("Process_Parameters").unwrap_or_default()));
        }
        EventType::WebActivityAllowed => wanted.push((Field::Url, cell("Website_Query").unwrap_or_default())),
        _ => {}
    }
    assert_eq!(parsed.fields.get("activity").map(|a| a.trim_ascii()), cells.first().map(|c| c.trim_ascii()));
    for (field, value) in wanted {
        assert_eq!(parsed.fields.get(field.name()).map_or("", String::as_str), value, "{field} of {cells:?}");
    }
}
