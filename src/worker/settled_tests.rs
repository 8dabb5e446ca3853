//! Records whose like was judged before, against workers that remember nothing.

use super::*;
use crate::batch::Remember;
use crate::config::DetectionSettings;
use crate::content::{self, Content};
use crate::enrich::Enricher;
use proptest::prelude::*;
use std::sync::LazyLock;

/// Rules that ask for more than what recurs: for who, for what is not there, and (the last one) for what any event may say.
const SITE: &[(&str, &str)] = &[
    ("by_user", "image = 'whoami', user = 'admin'"),
    ("not_user", "not = { user = 'jdoe' }, command_line = { contains = 'net use' }"),
    ("not_cmd", "not = { image = 'cmd' }, user = 'admin', token = 'copy'"),
    ("quotes", "command_line = { ends_with = 'say \"\"' }"),
    ("any_host", "any = [{ image = 'cmd', host = 'WS2' }, { token = 'put' }]"),
    ("temp", "is_temp = true, command_line = { contains = 'setup' }"),
    ("no_parent", "parent_image = { exists = false }, image = 'cmd'"),
    ("product", "app = 'Tool', department = 'Sales'"),
    ("sharing", "any = [{ is_file_sharing = true }, { image = 'ftp' }]"),
];

struct Shipped {
    content: Arc<Content>,
    screen: Arc<Screen>,
    wanted: [FieldSet; EventType::COUNT],
}

/// The shipped content with so many of the rules.
fn with_rules(count: usize) -> Shipped {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("rules")).unwrap();
    for (name, condition) in SITE.iter().take(count) {
        let text = format!(
            "id = {name:?}\nname = {name:?}\nrevision = 1\nwhy = 'x'\nattack = 'T1048'\nscore = 1\nentity = 'user'\n\
             events = ['process-created', 'web-activity-allowed']\nper = 'user'\ncondition = {{ {condition} }}\n"
        );
        std::fs::write(dir.path().join(format!("rules/{name}.toml")), text).unwrap();
    }
    let settings = DetectionSettings { content_dir: Some(dir.path().to_path_buf()), ..DetectionSettings::default() };
    let mut content = content::load(&settings).unwrap_or_else(|f| panic!("{f}"));
    let screen = Arc::new(Screen::new(&content.rules, &content.models));
    let wanted = content::wanted(&screen, &Enricher::new(&content.tables));
    content.parsers.set_wanted(wanted);
    Shipped { content: Arc::new(content), screen, wanted }
}

static SHIPPED: LazyLock<[Shipped; 3]> =
    LazyLock::new(|| [with_rules(0), with_rules(SITE.len() - 1), with_rules(SITE.len())]);

impl Shipped {
    fn worker(&self, hasher: &KeyHasher) -> Worker {
        let extractor = Extractor::new(Arc::clone(&self.content), self.wanted, Vec::new());
        let visits = Visit::of(&self.content.rules);
        Worker::new(extractor, Arc::clone(&self.screen), Zone::utc(), hasher.clone(), 60, visits)
    }

    /// Screens a batch of records.
    fn screen(&self, worker: &mut Worker, format: Format, header: Option<&str>, records: &[Vec<u8>]) -> EventBatch {
        let batch = RawBatch {
            format: Some(format),
            header: header.map(|header| header.as_bytes().into()),
            data: records.concat(),
            ..RawBatch::empty(0, "test".into(), Remember::Forget)
        };
        worker.screen(batch, &self.content.parsers, EventBatch::default())
    }
}

/// All that is told of a batch.
fn told(out: &EventBatch) -> Vec<String> {
    let text = |span: Span| String::from_utf8_lossy(out.text().get(span)).into_owned();
    let mut told = Vec::new();
    for event in &out.events {
        let hits = out.hits.get(event.hits.0 as usize..event.hits.1 as usize).unwrap();
        let trainings = out.trainings.get(event.trainings.0 as usize..event.trainings.1 as usize).unwrap();
        told.push(format!(
            "{:?} {} {:?} {:?} {:?} {:?} {:?} {:?}",
            event.kind,
            event.time_ms,
            (text(event.user), event.user_hash, text(event.host), event.host_hash),
            text(event.department),
            text(event.record),
            hits.iter().map(|hit| (hit.rule, text(hit.value), hit.amount)).collect::<Vec<_>>(),
            trainings.iter().map(|t| (t.model, text(t.value), text(t.once))).collect::<Vec<_>>(),
            event.day,
        ));
    }
    told
}

const COLUMNS: [&str; 10] = [
    "User_Name",
    "Device_Name",
    "User_Department",
    "Process_Name",
    "Process_Directory",
    "Parent_Process_Name",
    "Process_Parent_Name",
    "Process_Parameters",
    "Process_Details",
    "reason",
];

fn values() -> impl Strategy<Value = Vec<&'static str>> {
    let among = |values: &[&'static str]| prop::sample::select(values.to_vec());
    let line = [
        "",
        "net use \\\\srv\\x",
        "setup.exe /s",
        "put a b",
        "copy a b",
        "say \"",
        "say \"\"",
        "certutil -encode a b",
        "\"C:\\P F\\cmd.exe\" /c dir",
        "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx put",
        "größe \u{fffd}",
    ];
    (
        (
            among(&["CORP\\admin", "CORP\\jdoe", "SYSTEM", "-", ""]),
            among(&["CORP\\WS1", "WS2", ""]),
            among(&["Sales", "IT", ""]),
        ),
        among(&["cmd.exe", "whoami.exe", "C:\\Temp\\x.exe", "certutil.exe", "ftp", "-", ""]),
        among(&["C:\\Windows\\Temp", "C:\\d\\", ""]),
        (among(&["explorer.exe", "C:\\w\\w3wp.exe", ""]), among(&["", "", "-", "C:\\w\\w3wp.exe"])),
        among(&line),
        among(&[
            "",
            "",
            "{\"ParentImage\":\"C:\\\\w3wp.exe\",\"ImageDetails\":{\"ProductName\":\"Tool\"}}",
            "{\"Paren",
        ]),
        among(&line),
    )
        .prop_map(|((user, host, department), name, dir, (parent, other), parameters, json, reason)| {
            vec![user, host, department, name, dir, parent, other, parameters, json, reason]
        })
}

fn record(
    format: Format,
    activity: &str,
    text: &str,
    time: i64,
    values: &[&str],
    is_bare: bool,
    is_broken: bool,
) -> Vec<u8> {
    let mut record = match format {
        Format::Cef => {
            let there = COLUMNS.iter().zip(values).filter(|(_, value)| !value.is_empty());
            let pairs: String = there.map(|(key, value)| format!(" {key}={value}")).collect();
            format!("CEF:0|Dtex|P|6.0|{activity}|{text}|5|start={time}{pairs}")
        }
        Format::Csv => {
            // A cell without quotes around it says what stands there.
            let quoted = |value: &&str| match is_bare {
                true => format!(",{value}"),
                false => format!(",\"{}\"", value.replace('"', "\"\"")),
            };
            let cells: String = values.iter().map(quoted).collect();
            format!("Bonn,{activity},{time}{cells}")
        }
    }
    .into_bytes();
    if is_broken {
        record.push(0xff);
    }
    record.push(b'\n');
    record
}

proptest! {
    #![proptest_config(crate::effort::cases())]

    #[test]
    fn what_is_settled_is_what_would_have_come_of_judging(
        is_csv: bool,
        rules in 0..3_usize,
        pool in prop::collection::vec(values(), 1..4),
        order in prop::collection::vec(
            (any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0..COLUMNS.len(), 0..5_usize, any::<bool>(), prop::bool::weighted(0.1)),
            1..40,
        ),
    ) {
        let shipped = &SHIPPED[rules];
        let hasher = KeyHasher::default();
        let (format, mut worker) = (if is_csv { Format::Csv } else { Format::Cef }, shipped.worker(&hasher));
        let header = format!("User_Location,Activity_Type,Start_Time,{}", COLUMNS.join(","));
        let header = is_csv.then_some(header.as_str());
        let texts = ["Running C:\\d\\cmd.exe", "Running C:\\Temp\\x.exe", "Running whoami.exe", "text", ""];
        let mut records = Vec::new();
        for (n, (index, other, exchanged, text, is_bare, is_broken)) in order.iter().enumerate() {
            // Records that differ in one value could be taken for each other.
            let mut values = index.get(&pool).clone();
            values[*exchanged] = other.get(&pool)[*exchanged];
            let activity = if n % 7 == 6 { "WebPageAccessed" } else { "ProcessCreated" };
            records.push(record(format, activity, texts[*text], 1_772_442_000_000 + n as i64, &values, *is_bare, *is_broken));
        }
        let mut events = Vec::new();
        let (mut tally, mut carried) = (crate::batch::Tally::default(), vec![FieldSet::default(); EventType::COUNT]);
        for one in records.chunks(1).map(|one| shipped.screen(&mut shipped.worker(&hasher), format, header, one)) {
            events.extend(told(&one));
            tally.merge(&one.tally);
            carried.iter_mut().zip(&one.carried).for_each(|(all, one)| *all = all.union(*one));
        }
        // The second time everything is known.
        for _ in 0..2 {
            let together = shipped.screen(&mut worker, format, header, &records);
            prop_assert_eq!(told(&together), &*events);
            prop_assert_eq!(&together.tally, &tally);
            prop_assert_eq!(&together.carried, &carried);
        }
    }
}

#[test]
fn what_concerns_nobody_is_settled_and_nothing_else() {
    let settled = |shipped: &Shipped, values: [&str; 10]| {
        let mut worker = shipped.worker(&KeyHasher::default());
        let records = [7, 8]
            .map(|time| record(Format::Cef, "ProcessCreated", "", 1_772_442_000_000 + time, &values, false, false));
        let out = shipped.screen(&mut worker, Format::Cef, None, &records);
        assert_eq!(out.events.len(), 2);
        matches!(worker.draft.recurs, Recurs::Settled(_))
    };
    let [none, some, all] = &*SHIPPED;
    let by = |parent, name, reason, json| ["CORP\\jdoe", "WS1", "", name, "C:\\d", parent, "", "", json, reason];
    let like = |name, reason, json| by("explorer.exe", name, reason, json);
    assert!(settled(some, like("notepad.exe", "notepad a", "")));
    // A JSON value may name the parent's directory; nobody asks for it where that is known.
    assert!(!settled(none, like("notepad.exe", "notepad a", "{\"ProcessId\":7}")));
    assert!(settled(none, by("C:\\w\\explorer.exe", "notepad.exe", "notepad a", "{\"ProcessId\":7}")));
    // Another user's would concern a rule, this one is a hit, and that may be a hit by its department.
    assert!(!settled(some, like("whoami.exe", "whoami /all", "")));
    assert!(!settled(some, like("notepad.exe", "put a", "")));
    assert!(!settled(some, like("x.exe", "x", "{\"ImageDetails\":{\"ProductName\":\"Tool\"}}")));
    // The same bytes of a row are another text with quotes around them and without.
    let mut worker = some.worker(&KeyHasher::default());
    let header = format!("User_Location,Activity_Type,Start_Time,{}", COLUMNS.join(","));
    let row = |reason, is_bare| {
        record(Format::Csv, "ProcessCreated", "", 1_772_442_000_000, &like("x.exe", reason, ""), is_bare, false)
    };
    let rows = [row("say \"", false), row("say \"", false), row("say \"\"", true)];
    let out = some.screen(&mut worker, Format::Csv, Some(&header), &rows);
    assert_eq!(out.events.iter().map(|event| event.hits.1 - event.hits.0).collect::<Vec<_>>(), [0, 0, 1]);
    let rows = [true, false].map(|is_bare| {
        record(Format::Csv, "ProcessCreated", "", 1_772_442_000_000, &like("x.exe", "x -a", ""), is_bare, false)
    });
    some.screen(&mut worker, Format::Csv, Some(&header), &rows);
    assert!(matches!(worker.draft.recurs, Recurs::Settled(_)), "quotes around a cell are no part of it");
    // What any event may say keeps all of them open.
    assert!(!settled(all, like("notepad.exe", "notepad a", "")));
}
