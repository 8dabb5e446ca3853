//! Small rules of every form, compiled by the shipped mapping and judged on small events.

use super::*;
use crate::content::ContentFiles;
use crate::event::{Draft, EventType, EventView, Field, Text};
use crate::rule::{Judge, Scratch, Screen};
use std::sync::Arc;

fn mapping() -> Mapping {
    let mut faults = Faults::default();
    let files = ContentFiles::shipped();
    let mapping = files.document("sigma.toml").map(|d| Mapping::read(&d, &mut faults)).unwrap();
    assert!(faults.is_empty(), "{faults}");
    mapping
}

/// A rule with these detections (and its condition); `{` begins a logsource of its own.
fn yaml_of(detection: &str) -> String {
    let (logsource, detection) = match detection.strip_prefix('@') {
        Some(rest) => rest.split_once('\n').unwrap(),
        None => ("process_creation", detection),
    };
    let product = if logsource == "proxy" { "" } else { ", product: windows" };
    let indented: String = detection.trim_matches('\n').lines().map(|l| format!("    {l}\n")).collect();
    let condition = if detection.contains("condition:") { "" } else { "    condition: sel\n" };
    format!(
        "title: T\nid: x\nlogsource: {{ category: {logsource}{product} }}\ndetection:\n{indented}{condition}level: high\n"
    )
}

fn load_text(text: &str, settings: &SigmaSettings) -> (Line, Option<Rule>) {
    let file = RuleFile { shown: "t.yml".into(), stem: "t".into(), text: Ok(text.into()) };
    load_file(&file, settings, &mapping(), &mut BTreeMap::new())
}

fn settings() -> SigmaSettings {
    let placeholders = BTreeMap::from([("adm".to_owned(), vec!["adm01".to_owned(), "adm-*".to_owned()])]);
    SigmaSettings { placeholders, ..SigmaSettings::default() }
}

/// Whether a rule holds for an event of these fields.
fn holds(rule: &Rule, fields: &[(Field, &str)]) -> bool {
    let mut raw = Vec::new();
    let mut draft = Draft::empty(rule.events[0], 1_780_000_000_000); // 2026-05-28T20:26:40Z
    fields.iter().for_each(|(field, value)| draft.append(*field, value, &mut raw));
    let event = EventView { draft: &draft, text: Text { raw: &raw, arena: &[] } };
    let mut scratch = Scratch::default();
    let holds = rule.condition.holds(event, &mut scratch);
    assert_eq!(
        rule.condition.explain(event, &mut scratch).is_empty(),
        !holds || rule.condition.explain(event, &mut scratch).is_empty()
    );
    assert_eq!(rule.condition.why_not(event, &mut scratch).is_none(), holds);
    holds
}

/// Who has judged a program's start does not take another hour's, user's or number's answer for this one's.
#[test]
fn what_does_not_recur_is_asked_every_time() {
    const NIGHT: i64 = 1_780_000_000_000 + 7 * 3_600_000;
    let start = |user: &'static str, pid: &'static str| {
        [(Field::Image, "x"), (Field::CommandLine, "x --run"), (Field::User, user), (Field::Pid, pid)]
    };
    for detection in ["UtcTime|hour: 3", "User: eve", "ProcessId|gt: 99"] {
        let (line, plain) = load_text(&yaml_of("sel:\n  CommandLine|contains: '--run'"), &settings());
        assert_eq!(line.outcome, Outcome::Compiled);
        let text = yaml_of(&format!("sel:\n  CommandLine|contains: '--run'\n  {detection}"));
        let rules = [plain.unwrap(), load_text(&text, &settings()).1.unwrap()];
        let mut judge = Judge::new(Arc::new(Screen::new(&rules, &[])), 32_767);
        let mut hits_of = |time_ms: i64, fields: &[(Field, &str)]| {
            let (mut raw, mut draft) = (Vec::new(), Draft::empty(EventType::ProcessCreated, time_ms));
            fields.iter().for_each(|(field, value)| draft.append(*field, value, &mut raw));
            let mut hits = Vec::new();
            judge.judge(EventView { draft: &draft, text: Text { raw: &raw, arena: &[] } }, &mut hits, &mut Vec::new());
            hits.iter().map(|hit| hit.rule).collect::<Vec<_>>()
        };
        for _ in 0..2 {
            assert_eq!(hits_of(NIGHT - 3_600_000, &start("bob", "7")), [0], "{detection}");
            assert_eq!(hits_of(NIGHT, &start("eve", "100")), [0, 1], "{detection}");
        }
    }
}

/// Detections, and command lines with whether they hold.
type Case<'c> = (&'c str, &'c [(&'c str, bool)]);

#[test]
fn every_form_of_a_detection_of_the_command_line() {
    let cases: &[Case<'_>] = &[
        // Without modifiers: the whole text, without regard to case.
        ("sel:\n  CommandLine: 'WhoAmI'", &[("whoami", true), ("whoami /all", false)]),
        ("sel:\n  CommandLine|cased: 'WhoAmI'", &[("whoami", false), ("WhoAmI", true)]),
        // Wildcards and what escapes them.
        ("sel:\n  CommandLine: '*-enc *'", &[("powershell -ENC x", true), ("powershell -encx", false)]),
        ("sel:\n  CommandLine: 'net*user ?'", &[("net.exe user x", true), ("net user xy", false)]),
        ("sel:\n  CommandLine: 'dir \\*'", &[("dir *", true), ("dir x", false)]),
        ("sel:\n  CommandLine: 'größe*x*'", &[("GRÖßE a X", true), ("grösse a x", false)]),
        ("sel:\n  CommandLine: '*'", &[("x", true), ("", false)]),
        // Places.
        ("sel:\n  CommandLine|contains: 'a b'", &[("xA Bx", true), ("a", false)]),
        ("sel:\n  CommandLine|startswith: 'cmd'", &[("CMD /c", true), ("xcmd", false)]),
        ("sel:\n  CommandLine|endswith: ' -x'", &[("a -X", true), ("a -x b", false)]),
        ("sel:\n  CommandLine|contains: 'a*b'", &[("xaxbx", true), ("ba", false)]),
        // Lists are any, all is all, maps are all, lists of maps are any.
        ("sel:\n  CommandLine|contains:\n    - foo\n    - bar", &[("xbar", true), ("baz", false)]),
        ("sel:\n  CommandLine|contains|all:\n    - foo\n    - bar", &[("bar foo", true), ("foo", false)]),
        ("sel:\n  CommandLine|contains: foo\n  CommandLine|endswith: bar", &[("foo bar", true), ("bar foo", false)]),
        ("sel:\n  - CommandLine|contains: foo\n  - CommandLine|contains: bar", &[("bar", true), ("baz", false)]),
        // Numbers and truth values are texts as written.
        ("sel:\n  CommandLine: 42", &[("42", true), ("43", false)]),
        ("sel:\n  CommandLine|contains: true", &[("x TRUE", true)]),
        // Words without a field.
        ("sel:\n  - foo\n  - 'b*r'", &[("xfoo", true), ("bxxr", true), ("x", false)]),
        ("sel:\n  '|all':\n    - foo\n    - bar", &[("foobar", true), ("foo", false)]),
        // Missing, empty, there or not.
        ("sel:\n  CommandLine: null", &[("", true), ("x", false)]),
        ("sel:\n  CommandLine: ''", &[("", true), ("x", false)]),
        ("sel:\n  CommandLine:\n    - ''\n    - x", &[("", true), ("x", true), ("y", false)]),
        ("sel:\n  CommandLine|exists: true", &[("x", true), ("", false)]),
        ("sel:\n  CommandLine|exists: false", &[("x", false), ("", true)]),
        // Regular expressions: case counts unless told otherwise, no anchors of their own.
        ("sel:\n  CommandLine|re: 'a\\d+'", &[("xa12", true), ("xA12", false)]),
        ("sel:\n  CommandLine|re|i: '^a\\d+$'", &[("A12", true), ("xA12", false)]),
        ("sel:\n  CommandLine|re|m: '^b'", &[("a\nb", true), ("ab", false)]),
        ("sel:\n  CommandLine|re: '^a.b$'", &[("axb", true), ("xaxb", false)]),
        ("sel:\n  CommandLine|re|s: 'a.b'", &[("a\nb", true)]),
        ("sel:\n  CommandLine|re|all:\n    - a\\d\n    - b\\d", &[("a1 b1", true), ("a1", false)]),
        // Encodings and dashes.
        ("sel:\n  CommandLine|base64offset|contains: 'http://'", &[("x aHR0cDovL2", true), ("http://", false)]),
        ("sel:\n  CommandLine|wide|base64offset|contains: 'IEX'", &[("SQBFAFgA", true), ("IEX", false)]),
        ("sel:\n  CommandLine|base64|contains: 'foo'", &[("Zm9v", true)]),
        (
            "sel:\n  CommandLine|windash|contains: ' -enc '",
            &[("p /enc x", true), ("p –enc x", true), ("p +enc x", false)],
        ),
        ("sel:\n  CommandLine|windash|contains|all:\n    - ' -a'\n    - ' -b'", &[("x /a -b", true), ("x -a", false)]),
        // Placeholders, not equal.
        (
            "sel:\n  CommandLine|expand|contains: '\\\\%adm%\\'",
            &[(r"\adm01\x", true), (r"\adm-7\x", true), (r"\pc1\x", false)],
        ),
        ("sel:\n  CommandLine|neq: x", &[("x", false), ("y", true), ("", true)]),
        ("sel:\n  CommandLine|contains|neq:\n    - x\n    - y", &[("ax", false), ("ay", false), ("b", true)]),
        // Conditions.
        (
            "a1:\n  CommandLine|contains: a\na2:\n  CommandLine|contains: b\ncondition: all of a*",
            &[("ab", true), ("a", false)],
        ),
        (
            "a1:\n  CommandLine|contains: a\nb1:\n  CommandLine|contains: b\ncondition: 1 of them and not b1",
            &[("a", true), ("ab", false)],
        ),
        ("a:\n  CommandLine|contains: a\n_b:\n  CommandLine|contains: b\ncondition: all of them", &[("a", true)]),
        (
            "a:\n  CommandLine: a\nb:\n  CommandLine: b\ncondition:\n  - a\n  - b",
            &[("a", true), ("b", true), ("c", false)],
        ),
        // The time of the event: 2026-05-28, 20:26 UTC, week 22.
        ("sel:\n  UtcTime|hour|gte: 20\n  UtcTime|minute: 26", &[("x", true)]),
        ("sel:\n  UtcTime|hour:\n    - 3\n    - 4", &[("x", false)]),
        ("sel:\n  UtcTime|day: 28\n  UtcTime|week: 22\n  UtcTime|month: 5\n  UtcTime|year|gt: 2025", &[("x", true)]),
        // What no record carries never holds, and its absence always does.
        ("sel:\n  - OriginalFileName: x\n  - CommandLine: y", &[("y", true), ("x", false)]),
        ("sel:\n  CommandLine: y\nf:\n  Company: z\ncondition: sel and not f", &[("y", true)]),
        ("sel:\n  CommandLine: y\n  OriginalFileName: null", &[("y", true), ("x", false)]),
        // Nothing that hides a word hides it, and nothing is lost: carets and blanks can be looked for.
        ("sel:\n  CommandLine|contains: 'certutil -enc'", &[("cert^util   -e^nc", true), ("c\"ert\"util -enc", true)]),
        ("sel:\n  CommandLine|contains: '^'", &[("a^b", true), ("ab", false)]),
        ("sel:\n  CommandLine|contains: 'a  b'", &[("a  b", true), ("a b", false)]),
        ("sel:\n  CommandLine|re: '\\^.*\\^'", &[("a^b^c", true), ("a^b", false)]),
        ("sel:\n  CommandLine|endswith: ' x'", &[("a ^x", true), ("a  x  ", true)]),
        // But an exception is as wide as it was written.
        (
            "sel:\n  CommandLine|contains: a\nf:\n  CommandLine|contains: good\ncondition: sel and not f",
            &[("a go^od", true), ("a good", false)],
        ),
        (
            "sel:\n  CommandLine|contains: a\nf:\n  CommandLine|contains: good\ncondition: not (not sel or f)",
            &[("a go^od", true), ("^a good", false)],
        ),
    ];
    for (detection, lines) in cases {
        let (said, rule) = load_text(&yaml_of(detection), &settings());
        let rule = rule.unwrap_or_else(|| panic!("{detection}\n{:?}", said.reasons));
        assert!(matches!(said.outcome, Outcome::Compiled | Outcome::Reduced), "{detection}\n{said:?}");
        for (line, wanted) in *lines {
            let fields = [(Field::CommandLine, *line), (Field::UserKey, "u")];
            assert_eq!(holds(&rule, &fields), *wanted, "{detection}\non {line:?}");
        }
    }
}

#[test]
fn fields_are_what_the_mapping_says() {
    use Field::{
        BytesOut, FileName, FilePath, ParentProcessName, ParentProcessPath, ProcessName, ProcessPath, UriPath, Url,
        User, UserDomain,
    };
    let path = r"C:\Windows\System32\cmd.exe";
    type Case<'c> = (&'c str, &'c [(Field, &'c str)], bool);
    let cases: &[Case<'_>] = &[
        ("sel:\n  Image|endswith: '\\cmd.exe'", &[(ProcessPath, path)], true),
        ("sel:\n  Image|endswith: '\\cmd.exe'", &[(ProcessName, "cmd.exe")], true),
        ("sel:\n  Image|endswith: '\\cmd.exe'", &[(ProcessPath, r"C:\x.exe"), (ProcessName, "cmd.exe")], false),
        ("sel:\n  Image|endswith: '\\cmd.exe'", &[(ProcessName, "xcmd.exe")], false),
        ("sel:\n  Image: null", &[(ProcessName, "x")], false),
        ("sel:\n  Image: null", &[(User, "x")], true),
        ("sel:\n  ParentImage|endswith: '\\w3wp.exe'", &[(ParentProcessName, "w3wp.exe")], true),
        ("sel:\n  User|contains: 'AUTHORI'", &[(UserDomain, "NT AUTHORITY"), (User, "SYSTEM")], true),
        ("sel:\n  User: 'corp\\jdoe'", &[(UserDomain, "CORP"), (User, "jdoe")], true),
        ("sel:\n  User: 'jdoe'", &[(User, "jdoe")], true),
        ("sel:\n  Image|fieldref: ParentImage", &[(ProcessPath, path), (ParentProcessPath, path)], true),
        ("sel:\n  Image|fieldref: ParentImage", &[(ProcessPath, path), (ParentProcessPath, "x")], false),
        ("sel:\n  Image|fieldref|endswith: ParentImage", &[(ProcessPath, path), (ParentProcessName, "cmd.exe")], true),
        ("sel:\n  Image|fieldref: OriginalFileName\n", &[(ProcessPath, path)], false),
        ("@file_event\nsel:\n  TargetFilename|endswith: '.dmp'", &[(FilePath, r"C:\a.DMP")], true),
        ("@file_event\nsel:\n  TargetFilename|endswith: '\\a.dmp'", &[(FileName, "a.dmp")], true),
        ("@proxy\nsel:\n  c-uri-extension: exe", &[(UriPath, "/a.b/c.EXE")], true),
        ("@proxy\nsel:\n  c-uri-extension: exe", &[(UriPath, "/a.exe/c")], false),
        ("@proxy\nsel:\n  c-uri|contains: '/x?'", &[(Url, "https://h/x1")], true),
        ("@proxy\nsel:\n  c-uri|contains: '/x\\?'", &[(Url, "https://h/x?a")], true),
        ("@proxy\nsel:\n  cs-bytes|gt: 1000", &[(BytesOut, "1001")], true),
        ("@proxy\nsel:\n  cs-bytes|lte: 1000.5", &[(BytesOut, "1001")], false),
        ("@proxy\nsel:\n  cs-bytes|gte: -1", &[(BytesOut, "0")], true),
        ("@proxy\nsel:\n  r-dns|cidr: 10.0.0.0/8", &[(Field::WebDomain, "10.1.2.3")], true),
        ("@proxy\nsel:\n  r-dns|cidr: 10.0.0.0/8", &[(Field::WebDomain, "11.1.2.3")], false),
    ];
    for (detection, fields, wanted) in cases {
        let (said, rule) = load_text(&yaml_of(detection), &settings());
        let rule = rule.unwrap_or_else(|| panic!("{detection}\n{:?}", said.reasons));
        assert_eq!(rule.judges() && holds(&rule, fields), *wanted, "{detection}\non {fields:?}\n{said:?}");
    }
}

#[test]
fn what_cannot_fire_or_cannot_be_compiled_says_why() {
    let cases: &[(&str, Outcome, &str)] = &[
        ("sel:\n  OriginalFileName: x", Outcome::Inert, "it needs OriginalFileName: of the version information"),
        ("sel:\n  Foo: x", Outcome::Inert, "it needs Foo: sigma.toml has no field for it"),
        ("sel:\n  CommandLine|expand: '%nobody%'", Outcome::Inert, "[sigma.placeholders] has no nobody"),
        (
            "sel:\n  CommandLine: x\nf:\n  Company: null\ncondition: sel and not f",
            Outcome::Inert,
            "leaves out every record without Company",
        ),
        ("sel:\n  Company: ''", Outcome::Inert, "it looks for records without Company"),
        ("sel:\n  Image: x\n  UtcTime: y", Outcome::Inert, "compared by its minute"),
        (
            "@driver_load\nsel:\n  Image: x",
            Outcome::Inert,
            "no event is of its logsource (category driver_load, product windows)",
        ),
        (
            "@file_executable_detected\nsel:\n  Image: x",
            Outcome::Inert,
            "whether the file that was written is a program",
        ),
        (
            "sel:\n  - OriginalFileName: x\n  - CommandLine: y",
            Outcome::Reduced,
            "what asks for OriginalFileName never holds",
        ),
        (
            "sel:\n  CommandLine: y\nf:\n  Company: z\ncondition: sel and not f",
            Outcome::Reduced,
            "fires more often: exceptions by Company",
        ),
        (
            "sel:\n  CommandLine|conains: x",
            Outcome::Refused,
            "CommandLine|conains: unknown modifier \"conains\"; did you mean \"contains\"?",
        ),
        ("sel:\n  CommandLine|re: '(?=x)'", Outcome::Refused, "look-around"),
        ("sel:\n  Company|re: '('", Outcome::Refused, "unclosed group"),
        ("sel:\n  CommandLine: []", Outcome::Refused, "the list is empty"),
        ("sel:\n  CommandLine:\n    a: b", Outcome::Refused, "a map stands where a value should"),
        ("sel:\n  CommandLine|contains: null", Outcome::Refused, "null goes together with no modifier"),
        ("sel:\n  CommandLine|exists: maybe", Outcome::Refused, "exists wants true or false"),
        ("sel:\n  ProcessId|gt: many", Outcome::Refused, "\"many\" is no number"),
        ("sel:\n  Image|gt: 5", Outcome::Refused, "made of several fields"),
        ("sel:\n  CommandLine|hour: 5", Outcome::Refused, "it is no time"),
        (
            "sel:\n  CommandLine: x\ncondition: sell",
            Outcome::Refused,
            "there is no detection \"sell\"; did you mean \"sel\"?",
        ),
        ("sel:\n  CommandLine: x\ncondition: 1 of foo*", Outcome::Refused, "no detection is like \"foo*\""),
        ("sel:\n  CommandLine: x\ncondition: sel | count() > 5", Outcome::Refused, "aggregations"),
        ("sel: {}", Outcome::Refused, "a detection is empty"),
        ("sel:\n  CommandLine: '*'\n  Image: x\nf:\n  Image: x\ncondition: sel or not sel", Outcome::Compiled, ""),
        ("a:\n  CommandLine: x\nb:\n  Foo|re: '['\ncondition: a", Outcome::Refused, "Foo|re: regex"),
    ];
    for (detection, wanted, words) in cases {
        let (said, rule) = load_text(&yaml_of(detection), &settings());
        assert_eq!(said.outcome, *wanted, "{detection}\n{said:?}");
        assert!(said.reasons.join("; ").contains(words), "{detection}\n{:?}", said.reasons);
        assert_eq!(rule.is_some(), *wanted != Outcome::Refused);
        assert_eq!(rule.is_some_and(|r| !r.judges()), *wanted == Outcome::Inert, "{detection}");
    }
}

#[test]
fn settings_leave_rules_out_and_the_rule_keeps_whose_it_is() {
    let text = "title: T\nstatus: deprecated\nlevel: low\nauthor: A. Author\nlicense: MIT\nmodified: 2026-01-02\n\
                references: [https://example.com]\ntags: [attack.t1048]\n\
                logsource: { category: process_creation, product: windows }\ndetection: { s: { Image: x }, condition: s }\n";
    let why = |settings: &SigmaSettings| load_text(text, settings).0.reasons.join("");
    assert!(why(&SigmaSettings::default()).contains("its status is deprecated"));
    let all = SigmaSettings { statuses: vec!["deprecated".into()], license: Some("DRL-1.1".into()), ..settings() };
    assert!(why(&SigmaSettings { min_level: "medium".into(), ..all.clone() }).contains("its level is low"));
    let rule = load_text(text, &all).1.unwrap();
    assert_eq!((rule.id.as_str(), rule.revision, rule.score), ("t", 20_260_102, 5));
    assert_eq!((rule.author, rule.license), (vec!["A. Author".to_owned()], Some("MIT".into())));
    assert_eq!((rule.references, rule.attack), (vec!["https://example.com".to_owned()], vec!["T1048".to_owned()]));
    assert_eq!((rule.events, rule.per), (vec![EventType::ProcessCreated], Some(Field::Image)));
    let unlicensed = load_text(&text.replace("license: MIT\n", ""), &all).1.unwrap();
    assert_eq!(unlicensed.license.as_deref(), Some("DRL-1.1"));
}

#[test]
fn a_bad_file_is_skipped_or_a_fault_as_the_settings_say_and_ids_are_unique() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    write("a.yml", &yaml_of("sel:\n  Image: x"));
    write("b.yml", &yaml_of("sel:\n  Image: x"));
    write("c.yml", &yaml_of("sel:\n  Image|foo: x\n  Image|bar: x").replace("id: x", "id: y"));
    let mut settings = SigmaSettings { dirs: vec![dir.path().into()], ..SigmaSettings::default() };
    let load = |settings: &SigmaSettings| {
        let mut faults = Faults::default();
        let (rules, report) = load(settings, &mapping(), BTreeMap::new(), &mut faults);
        (rules.len(), report.summary().unwrap(), faults)
    };
    let (rules, summary, faults) = load(&settings);
    assert_eq!((rules, summary.as_str(), faults.0.len()), (1, "3 Sigma files: 1 compiled, 2 refused", 0));
    settings.on_fault = OnFault::Refuse;
    let (_, _, faults) = load(&settings);
    let all = faults.to_string();
    assert_eq!(faults.0.len(), 3, "{all}");
    for words in ["b.yml:1): the id x is in", "sigma rule y", "c.yml:6", "line 7: Image|bar"] {
        assert!(all.contains(words), "{words}\n{all}");
    }
}
