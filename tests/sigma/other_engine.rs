//! Another engine (sigma-rust) over the same events: every difference has a cause that docs/sigma.md explains.

use super::public::{Public, event, processes, text};
use exfil_agent::event::{EventView, Field};
use exfil_agent::rule::{Rule, Scratch};
use exfil_agent::simulate::{self, Options};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// A rule in both engines.
struct Both<'p> {
    file: String,
    ours: &'p Rule,
    theirs: sigma_rust::Rule,
    /// Whether a value has a wildcard for one character.
    has_question_mark: bool,
}

/// What of an event the other engine is told besides, since ours knows it.
#[derive(Clone, Copy, Default, PartialEq)]
struct Told {
    /// The command line without what hides words.
    normalised: bool,
    /// That what is missing is null.
    nulls: bool,
    /// The name of an image where its path is not known.
    names: bool,
}

/// Fields that a rule may look for the absence of.
const NULLABLE: [&str; 13] = [
    "Image",
    "CommandLine",
    "ParentImage",
    "User",
    "Product",
    "OriginalFileName",
    "CurrentDirectory",
    "LogonId",
    "ParentUser",
    "Company",
    "Description",
    "ParentCommandLine",
    "IntegrityLevel",
];

const NULL: &str = "null holds for what is missing";
const HIDDEN: &str = "carets, blanks and quotes hide nothing";
const WRITTEN: &str = "an exception counts as the line was written";
const WILD: &str = "a wildcard is tried at every place";
const NAME: &str = "a name alone counts as a path";

#[test]
fn another_engine_says_the_same_but_for_known_causes() {
    let Some(public) = super::public("another_engine_says_the_same_but_for_known_causes") else { return };
    let (rules, unread) = both(public);
    // It takes the flag i in another place alone.
    assert!(unread.iter().all(|why| why.contains("modifier 'i'")), "only we read {unread:?}");
    let mut records: BTreeSet<String> = simulated();
    for rule in &rules {
        records.extend(processes(&std::fs::read_to_string(&rule.ours.file).unwrap()).iter().map(|p| p.record()));
    }
    let mut scratch = Scratch::default();
    let mut causes: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let (mut met, mut unexplained) = (BTreeSet::new(), Vec::new());
    for record in &records {
        event(&public.content, record, |view| {
            let other = seen(view, Told::default());
            for rule in &rules {
                let ours = rule.ours.judges() && rule.ours.condition.holds(view, &mut scratch);
                let theirs = rule.theirs.is_match(&other);
                if ours && theirs {
                    met.insert(rule.file.as_str());
                }
                if ours != theirs {
                    match cause(public, rule, (record, ours), view) {
                        Some(cause) => drop(causes.entry(cause).or_default().insert(rule.file.as_str())),
                        None => unexplained.push(format!("{} ours {ours}: {record}", rule.file)),
                    }
                }
            }
        });
    }
    let counts: Vec<String> = causes.iter().map(|(cause, files)| format!("{cause}: {}", files.len())).collect();
    eprintln!("{} rules over {} events, {} met by both; {}", rules.len(), records.len(), met.len(), counts.join("; "));
    assert!(unexplained.is_empty(), "{}\n{}", unexplained.len(), unexplained[..unexplained.len().min(20)].join("\n"));
    assert!(met.len() > 700, "{} rules met", met.len());
    // What the document explains happens, or it explains too much.
    assert_eq!(causes.keys().copied().collect::<Vec<_>>(), [NAME, WILD, WRITTEN, HIDDEN, NULL]);
    let document = include_str!("../../docs/sigma.md");
    for cause in [NULL, HIDDEN, WRITTEN, WILD, NAME] {
        assert!(document.contains(cause), "docs/sigma.md does not say {cause:?}");
    }
}

/// Text, a wildcard for one character, more text: the other engine looks at the first place of the text only.
#[test]
fn the_other_engine_gives_a_wildcard_one_try() {
    let rule = |value: &str| {
        let text = format!(
            "title: t\nlogsource: {{ category: process_creation }}\ndetection:\n  s:\n    CommandLine|contains: '{value}'\n  condition: s\n"
        );
        sigma_rust::rule_from_yaml(&text).unwrap()
    };
    let meets = |value: &str, line: &str| {
        let event = serde_json::json!({ "CommandLine": line }).to_string();
        rule(value).is_match(&sigma_rust::event_from_json(&event).unwrap())
    };
    assert!(meets(" ?:x", "a b:x"));
    assert!(!meets(" ?:x", "a a b:x"), "it tries every place now: the cause in docs/sigma.md is gone");
}

/// Why the engines differ: what the other one must be told besides to say what ours says; and of words that are hidden, what
/// both say of the same event without that.
fn cause(public: &Public, rule: &Both<'_>, (record, ours): (&str, bool), view: EventView<'_>) -> Option<&'static str> {
    let agrees = |told: Told| rule.theirs.is_match(&seen(view, told)) == ours;
    let none = Told::default();
    if !ours {
        // Ours says less in one case alone.
        let nulls = agrees(Told { nulls: true, ..none }) || agrees(Told { nulls: true, names: true, ..none });
        return nulls.then_some(NULL);
    }
    if agrees(Told { names: true, ..none }) {
        return Some(NAME);
    }
    let shown =
        agrees(Told { normalised: true, ..none }) || agrees(Told { normalised: true, names: true, nulls: false });
    match (ours_of_the_normal_line(public, rule, record, view), shown) {
        (Some(true), true) => Some(HIDDEN),
        _ if agrees(Told { nulls: true, ..none }) => Some(NULL),
        // Without what hides words, an exception holds in both: for ours, it counts as the line was written.
        (Some(false), false) => Some(WRITTEN),
        (Some(true), false) if rule.has_question_mark => Some(WILD),
        _ => None,
    }
}

/// What ours says of the same event when nothing in its command line is hidden; `None` where nothing is.
fn ours_of_the_normal_line(public: &Public, rule: &Both<'_>, record: &str, view: EventView<'_>) -> Option<bool> {
    let line = text(view, Field::CommandLine)?;
    let plain = normal(&line);
    if plain == line {
        return None;
    }
    // The simulator escapes, and [`Process::record`] does not.
    let escaped = |line: &str| line.replace('\\', "\\\\").replace('=', "\\=");
    let written = [(line.clone(), plain.clone()), (escaped(&line), escaped(&plain))];
    let (hidden, plain) = written.into_iter().find(|(hidden, _)| record.contains(hidden))?;
    let mut holds = None;
    event(&public.content, &record.replace(&hidden, &plain), |view| {
        holds = Some(rule.ours.condition.holds(view, &mut Scratch::default()));
    });
    holds
}

/// The command line without carets, doubled blanks and quotes within words.
fn normal(line: &str) -> String {
    let line = line.replace('^', "");
    let words: Vec<&str> = line.split_whitespace().collect();
    let line: Vec<char> = words.join(" ").chars().collect();
    let solid = |at: Option<usize>| at.and_then(|i| line.get(i)).is_some_and(|c| *c != ' ');
    let kept = |i: &usize| line[*i] != '"' || !(solid(i.checked_sub(1)) && solid(Some(i + 1)));
    (0..line.len()).filter(kept).map(|i| line[i]).collect()
}

/// The event as the other engine sees it.
fn seen(view: EventView<'_>, told: Told) -> sigma_rust::Event {
    let mut fields = Map::new();
    if told.nulls {
        fields.extend(NULLABLE.map(|name| (name.to_owned(), Value::Null)));
    }
    let mut put = |name: &str, text: Option<String>| {
        if let Some(text) = text {
            fields.insert(name.into(), text.into());
        }
    };
    let path = |path: Field, name: Field| {
        text(view, path).or_else(|| text(view, name).filter(|_| told.names).map(|n| format!("\\{n}")))
    };
    put("Image", path(Field::ProcessPath, Field::ProcessName));
    put("ParentImage", path(Field::ParentProcessPath, Field::ParentProcessName));
    put("CommandLine", text(view, Field::CommandLine).map(|l| if told.normalised { normal(&l) } else { l }));
    put("Product", text(view, Field::App));
    let user = text(view, Field::User);
    put("User", text(view, Field::UserDomain).zip(user.clone()).map(|(d, u)| format!("{d}\\{u}")).or(user));
    sigma_rust::event_from_json(&Value::Object(fields).to_string()).unwrap()
}

/// The rules about processes that both engines read, and those that only ours does.
fn both(public: &Public) -> (Vec<Both<'_>>, Vec<String>) {
    let (mut rules, mut unread) = (Vec::new(), Vec::new());
    for ours in public.content.rules.iter().filter(|r| r.file.contains("process_creation")) {
        let yaml = std::fs::read_to_string(&ours.file).unwrap();
        let file = ours.file.rsplit('/').next().unwrap().to_owned();
        match sigma_rust::rule_from_yaml(&yaml) {
            Ok(theirs) => {
                let has_question_mark = yaml.lines().any(|l| l.trim().starts_with("- '") && l.contains('?'));
                rules.push(Both { file, ours, theirs, has_question_mark });
            }
            Err(e) => unread.push(format!("{file}: {e}")),
        }
    }
    (rules, unread)
}

/// Records of processes of a simulated office.
fn simulated() -> BTreeSet<String> {
    let dir = tempfile::TempDir::new().unwrap();
    simulate::write(&Options { seed: 5, days: 2, ..Options::demo() }, dir.path()).unwrap();
    let mut records = BTreeSet::new();
    for entry in std::fs::read_dir(dir.path().join("spool")).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap_or_default();
        records
            .extend(text.lines().filter(|l| l.contains("CEF:") && l.contains("|ProcessCreated|")).map(str::to_owned));
    }
    records.into_iter().take(300).collect()
}
