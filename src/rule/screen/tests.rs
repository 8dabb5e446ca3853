//! The screen against the plain truth: every rule judged by its own condition, over random events made of the words that
//! the rules themselves care about.

use super::*;
use crate::config::DetectionSettings;
use crate::content::{self, Content};
use crate::event::{Draft, Flag, Flags, Span, Text};
use crate::rule::Scratch;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use std::sync::LazyLock;

/// Rules of a site, for anchors that the shipped ones do not have.
const SITE: &[(&str, &str)] = &[
    ("path_ends", r"process_path = { ends_with = ['\xcopy.exe', '/plink'] }, token = 'put'"),
    ("parent_path", r"parent_process_path = { ends_with = '\w3wp.exe' }"),
    ("name_within", "process_name = { contains = ['cop', 'lin', 'x64'] }"),
    ("line_words", "command_line = { contains = ['copy .', 'a b', 'ürgen'] }"),
    ("line_regex", "command_line = { regex = 'put|copy' }"),
    ("line_end", r#"command_line = { ends_with = ['ldf"', 'share'] }"#),
    ("mixed", "any = [{ image = 'ftp' }, { is_sanctioned = true }, { token = { starts_with = 'ftp://' } }]"),
    ("negative", "is_temp = false, not = { image = 'cmd' }"),
    ("method", "method = { starts_with = 'PO' }"),
    ("number", "bytes_out = { ge = 20 }"),
    ("there", "parent_image = { exists = true }"),
];

static CONTENT: LazyLock<Content> = LazyLock::new(|| {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("rules")).unwrap();
    for (name, condition) in SITE {
        let text = format!(
            "id = {name:?}\nname = {name:?}\nrevision = 1\nwhy = 'x'\nattack = 'T1048'\nscore = 1\nentity = 'user'\n\
             events = ['process-created', 'file-write', 'web-activity-allowed']\nper = 'image'\n\
             condition = {{ {condition} }}\n"
        );
        std::fs::write(dir.path().join(format!("rules/{name}.toml")), text).unwrap();
    }
    let mut settings =
        DetectionSettings { content_dir: Some(dir.path().to_path_buf()), ..DetectionSettings::default() };
    settings.tables.insert("tunnel_tools_extended".into(), true);
    settings.disabled_rules.push("Tap-Installer".into());
    content::load(&settings).unwrap_or_else(|f| panic!("{f}"))
});

static SCREEN: LazyLock<Arc<Screen>> = LazyLock::new(|| Arc::new(Screen::new(&CONTENT.rules, &CONTENT.models)));

fn judge() -> Judge {
    Judge::new(Arc::clone(&SCREEN), 32_767)
}

/// Fields of the events in the tests of the shipped rules.
static TESTED: LazyLock<Vec<(Field, String)>> = LazyLock::new(|| {
    let mut faults = content::Faults::default();
    let layers = content::Layers::shipped();
    let (settings, mut tests) = (DetectionSettings::default(), Vec::new());
    content::compile(layers, &settings, &mut |rule| tests.push(rule), &mut faults);
    use content::cases::Kind::{Evasion, Form, Plain, Spelling};
    // One of those that `for_each` makes of a block: the words of all would drown those of the others.
    let mut blocks: Vec<_> =
        tests.into_iter().flat_map(|r| r.tests.into_iter().map(move |t| (r.rule.clone(), t))).collect();
    blocks.dedup_by_key(|(rule, test)| (rule.clone(), test.line));
    let fires =
        blocks.into_iter().map(|(_, test)| test).filter(|t| matches!(t.kind, Some(Plain | Spelling | Form | Evasion)));
    let records = fires.map(|test| test.record);
    records.flat_map(|r| if let content::cases::Record::Fields(_, fields) = r { fields } else { Vec::new() }).collect()
});

/// Values of a field in the tests of the shipped rules.
fn values(fields: &[Field]) -> Vec<String> {
    let is_short = |value: &str| value.len() < 1000;
    let named = TESTED.iter().filter(|(f, v)| fields.contains(f) && is_short(v));
    let mut values: Vec<String> = named.map(|(_, v)| v.clone()).collect();
    values.extend(["C:\\Tools\\ngrok.exe".into(), "jürgen".into()]);
    values.sort();
    values.dedup();
    values
}

/// A command line: a shipped one, or words of several, with carets, quotes and blanks put in.
fn command_line() -> impl Strategy<Value = String> {
    let whole = values(&[Field::CommandLine]);
    let words: Vec<String> = whole.iter().flat_map(|v| v.split(' ')).map(str::to_owned).collect();
    let mixed = proptest::collection::vec(proptest::sample::select(words), 1..8).prop_map(|w| w.join(" "));
    let noise = proptest::collection::vec((any::<proptest::sample::Index>(), "[\"^ '\t]"), 0..4);
    (prop_oneof![proptest::sample::select(whole), mixed], noise).prop_map(|(mut line, noise)| {
        for (at, text) in noise {
            let starts: Vec<usize> = line.char_indices().map(|(i, _)| i).collect();
            if !starts.is_empty() {
                line.insert_str(starts[at.index(starts.len())], &text);
            }
        }
        line
    })
}

fn image_of(path: &str) -> String {
    let lower = path.to_lowercase();
    let last = lower.rsplit(['\\', '/']).next().unwrap_or_default();
    last.strip_suffix(".exe").or(last.strip_suffix(".com")).unwrap_or(last).to_owned()
}

type Fields = Vec<(Field, Option<String>)>;

fn fields() -> impl Strategy<Value = Fields> {
    let paths = values(&[Field::ProcessPath, Field::ProcessName]);
    let parents = values(&[Field::ParentProcessPath, Field::ParentProcessName]);
    let maybe = |values: Vec<String>| proptest::option::of(proptest::sample::select(values));
    let web = |texts: &[&str]| maybe(texts.iter().map(|t| (*t).to_owned()).collect());
    (
        maybe(paths),
        maybe(parents),
        proptest::option::of(command_line()),
        web(&["GET", "POST", "post", "CONNECT"]),
        web(&["0", "19", "20", "1000000"]),
        web(&["a.duckdns.org"]),
    )
        .prop_map(|(path, parent, line, method, bytes, domain)| {
            let name = path.as_ref().map(|p| p.rsplit('\\').next().unwrap_or_default().to_owned());
            vec![
                (Field::Image, path.as_deref().map(image_of)),
                (Field::ProcessKey, path.clone()),
                (Field::ProcessName, name),
                (Field::ProcessPath, path),
                (Field::ParentImage, parent.as_deref().map(image_of)),
                (Field::ParentProcessPath, parent),
                (Field::CommandLine, line),
                (Field::Method, method),
                (Field::BytesOut, bytes),
                (Field::TopDomain, domain.clone()),
                (Field::WebDomain, domain),
                (Field::UserKey, Some("corp\\jdoe".into())),
            ]
        })
}

fn kind() -> impl Strategy<Value = EventType> {
    use EventType::{FileDelete, FileWrite, ProcessCreated, UsbWrite, WebActivityAllowed};
    proptest::sample::select(vec![ProcessCreated, ProcessCreated, FileWrite, UsbWrite, WebActivityAllowed, FileDelete])
}

/// Judges an event by every rule and model in turn.
fn truth(event: EventView<'_>, scratch: &mut Scratch) -> (Vec<Hit>, Vec<Training>) {
    let kind = event.draft.kind;
    let declared = |events: &[EventType]| events.iter().any(|e| kind.is_a(*e));
    let (mut hits, mut trainings) = (Vec::new(), Vec::new());
    for (index, rule) in CONTENT.rules.iter().enumerate() {
        if rule.enabled && declared(&rule.events) && rule.condition.holds(event, scratch) {
            hits.extend(hit_of(index, rule, &CONTENT.models, event));
        }
    }
    for (index, model) in CONTENT.models.iter().enumerate() {
        let there = event.draft.present.contains(model.feature);
        if there && declared(&model.events) && model.condition.holds(event, scratch) {
            trainings.push(Training {
                model: index as u16,
                value: event.draft.span(model.feature),
                once: model.once_per.map_or(Span::EMPTY, |f| event.draft.span(f)),
            });
        }
    }
    (hits, trainings)
}

proptest! {
    #![proptest_config(crate::effort::cases_of(4_000))]

    #[test]
    fn the_screen_gives_exactly_the_rules_and_models_whose_condition_holds(
        kind in kind(), flags in 0_u8..16, fields in fields(),
    ) {
        let (mut raw, mut draft) = (Vec::new(), Draft::default());
        draft.kind = kind;
        draft.flags = Flags(flags);
        for (field, value) in fields {
            draft.append(field, &value.unwrap_or_default(), &mut raw);
        }
        let event = EventView { draft: &draft, text: Text { raw: &raw, arena: &[] } };
        let mut scratch = Scratch::default();
        let (hits, trainings) = truth(event, &mut scratch);
        let mut found = (Vec::new(), Vec::new());
        prop_assert!(!judge().judge(event, &mut found.0, &mut found.1).is_truncated);
        prop_assert_eq!(&found.0, &hits, "{}", String::from_utf8_lossy(&raw));
        prop_assert_eq!(found.1, trainings);
    }
}

proptest! {
    #![proptest_config(crate::effort::cases_of(200))]

    #[test]
    fn whoever_has_judged_before_says_the_same(
        events in proptest::collection::vec((kind(), 0_u8..16, fields()), 1..30),
        order in proptest::collection::vec((any::<proptest::sample::Index>(), "[a-c]?", any::<bool>()), 1..200),
    ) {
        // As enrichment numbers them: what has the same names has the same number, and not everything has one.
        let mut programs = std::collections::BTreeMap::new();
        // So small that it forgets, too.
        let mut judge = Judge { memo: Memo::new(2_000), ..judge() };
        for (index, more, is_numbered) in order {
            let (kind, flags, fields) = index.get(&events);
            let (mut raw, mut draft) = (Vec::new(), Draft::default());
            (draft.kind, draft.flags) = (*kind, Flags(*flags));
            for (field, value) in fields {
                let changed = value.as_ref().map(|v| if *field == Field::CommandLine { format!("{v}{more}") } else { v.clone() });
                draft.append(*field, &changed.unwrap_or_default(), &mut raw);
            }
            if is_numbered {
                let text = Text { raw: &raw, arena: &[] };
                let names: Vec<_> = FieldSet::OF_PROGRAM.iter().map(|f| text.get(draft.span(f)).to_vec()).collect();
                let next = programs.len() as u64 + 1;
                draft.program = *programs.entry(names).or_insert(next);
            }
            let event = EventView { draft: &draft, text: Text { raw: &raw, arena: &[] } };
            let mut found = (Vec::new(), Vec::new());
            judge.judge(event, &mut found.0, &mut found.1);
            prop_assert_eq!(&found, &truth(event, &mut Scratch::default()), "{}", String::from_utf8_lossy(&raw));
        }
    }
}

#[test]
fn random_events_do_hit_most_rules() {
    // The property above would be empty if its events never fired: every shipped process rule can be hit.
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let (mut seen, mut judge) = (std::collections::BTreeSet::new(), judge());
    for _ in 0..12_000 {
        let fields = fields().new_tree(&mut runner).unwrap().current();
        let (mut raw, mut draft) = (Vec::new(), Draft::default());
        draft.kind = EventType::ProcessCreated;
        for (field, value) in fields {
            draft.append(field, &value.unwrap_or_default(), &mut raw);
        }
        let event = EventView { draft: &draft, text: Text { raw: &raw, arena: &[] } };
        let (mut hits, mut trainings) = (Vec::new(), Vec::new());
        judge.judge(event, &mut hits, &mut trainings);
        seen.extend(hits.iter().map(|h| CONTENT.rules[usize::from(h.rule)].id.as_str()));
    }
    for rule in &CONTENT.rules {
        let shipped = !SITE.iter().any(|(name, _)| *name == rule.id);
        if shipped && rule.enabled && rule.events == [EventType::ProcessCreated] {
            assert!(seen.contains(rule.id.as_str()), "{} was never hit", rule.id);
        }
    }
}

#[test]
fn hits_carry_what_the_rule_is_per_and_what_it_adds_up() {
    let rule = |id: &str| CONTENT.rules.iter().position(|r| r.id == id).unwrap() as u16;
    let of = |fields: &[(Field, &str)], flags: &[Flag], kind: EventType| {
        let (mut raw, mut draft) = (Vec::new(), Draft::default());
        draft.kind = kind;
        flags.iter().for_each(|f| draft.flags.set(*f));
        for (field, value) in fields {
            draft.append(*field, value, &mut raw);
        }
        let (mut hits, mut trainings) = (Vec::new(), Vec::new());
        let event = EventView { draft: &draft, text: Text { raw: &raw, arena: &[] } };
        judge().judge(event, &mut hits, &mut trainings);
        let text = |span: Span| String::from_utf8_lossy(event.text.get(span)).into_owned();
        let hits: Vec<_> = hits.iter().map(|h| (h.rule, text(h.value), h.amount)).collect();
        let trainings: Vec<_> = trainings.iter().map(|t| (text(t.value), text(t.once))).collect();
        (hits, trainings)
    };
    let web = EventType::WebActivityAllowed;
    let fields =
        [(Field::TopDomain, "gofile.io"), (Field::UserKey, "jdoe"), (Field::BytesOut, "7"), (Field::Method, "PUT")];
    let (hits, trainings) = of(&fields, &[Flag::IsFileSharing], web);
    assert!(hits.contains(&(rule("WEB-FS"), "gofile.io".into(), 0)));
    assert!(hits.contains(&(rule("WEB-OU-FS"), String::new(), 0)));
    assert!(hits.contains(&(rule("WEB-New-File-20"), String::new(), 7)));
    assert_eq!(trainings, vec![("jdoe".to_owned(), "gofile.io".to_owned()); 2]);
    // Without the user there is nobody to count; without bytes nothing to add up.
    let (hits, trainings) = of(&fields[..1], &[Flag::IsFileSharing], web);
    let ids: Vec<u16> = hits.iter().map(|h| h.0).collect();
    assert!(ids.contains(&rule("WEB-FS")) && !ids.contains(&rule("WEB-OU-FS")), "{ids:?}");
    assert!(!ids.contains(&rule("A-WEB-EXFIL-ASSET")) && trainings.is_empty());
    // A write to a stick is judged by the rules for file writes.
    let (hits, trainings) = of(&[(Field::ProcessKey, "k")], &[Flag::IsTemp], EventType::UsbWrite);
    assert!(hits.contains(&(rule("FA-TEMP-DIRECTORY-F"), "k".into(), 0)));
    assert_eq!(trainings, [("k".to_owned(), String::new())]);
}

#[test]
fn an_over_long_command_line_is_reported_whether_or_not_a_rule_holds() {
    let raw = format!("x {}", "a".repeat(40_000));
    let mut draft = Draft::default();
    draft.kind = EventType::ProcessCreated;
    draft.set(Field::CommandLine, Span::raw(0, raw.len()));
    let event = EventView { draft: &draft, text: Text { raw: raw.as_bytes(), arena: &[] } };
    assert!(judge().judge(event, &mut Vec::new(), &mut Vec::new()).is_truncated);
    draft.set(Field::CommandLine, Span::raw(0, 32_767));
    let event = EventView { draft: &draft, text: Text { raw: raw.as_bytes(), arena: &[] } };
    assert!(!judge().judge(event, &mut Vec::new(), &mut Vec::new()).is_truncated);
}

#[test]
fn wanted_fields_are_those_of_enabled_rules_and_models_of_the_type() {
    let content = content::load(&DetectionSettings::default()).unwrap_or_else(|f| panic!("{f}"));
    let wanted = Screen::new(&content.rules, &content.models).wanted();
    let of = |kind: EventType| wanted[kind.index()].iter().map(Field::name).collect::<Vec<_>>();
    assert_eq!(of(EventType::FileWrite), ["user_key", "process_dir", "process_key"]);
    assert_eq!(of(EventType::UsbWrite), ["user_key", "process_dir", "process_key"]);
    assert_eq!(
        of(EventType::WebActivityAllowed),
        ["user_key", "host_key", "web_domain", "top_domain", "method", "category", "bytes_out"]
    );
    assert_eq!(
        of(EventType::ProcessCreated),
        ["user_key", "host_key", "process_path", "image", "parent_image", "command_line", "parent_process_path"]
    );
    assert!(of(EventType::PrintActivity).is_empty());
}
