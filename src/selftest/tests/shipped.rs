//! The tests beside the shipped rules pass, and are enough: so many of each kind, and every evasion that applies.

use super::*;

use crate::content::cases::{Evasion, Kind, Record};
use crate::event::Field;
use crate::rule::Rule;
use std::collections::BTreeSet;

/// Tools whose letters come in bundles, in the rules that name them.
const BUNDLING: [&str; 5] = ["curl", "tcpdump", "tshark", "dumpcap", "sftp"];

#[test]
fn shipped_rules_pass_their_tests() {
    let files = tree();
    let outcomes = run_all(&layers(&files)).unwrap_or_else(|faults| panic!("{} faults\n{faults}", faults.0.len()));
    let tests: usize = outcomes.iter().map(|o| o.tests).sum();
    assert_eq!(outcomes.len(), 20);
    assert!(tests > 700, "{tests} tests");
}

#[test]
fn shipped_rules_show_what_they_find_and_what_they_leave_alone() {
    let files = tree();
    let mut faults = Faults::default();
    let (settings, mut all) = (DetectionSettings::default(), Vec::new());
    let content = content::compile(layers(&files), &settings, &mut |rule| all.push(rule), &mut faults);
    let mut wrong = Vec::new();
    for tests in &all {
        let rule = content.rules.iter().find(|r| r.id == tests.rule).unwrap();
        // Blocks, not what `for_each` makes of them.
        let blocks: BTreeMap<usize, &Test> = tests.tests.iter().map(|t| (t.line, t)).collect();
        let count = |kind: Kind| blocks.values().filter(|t| t.kind == Some(kind)).count();
        let mut must = vec![(Kind::Plain, 1), (Kind::Spelling, 1), (Kind::Form, 1), (Kind::NearMiss, 4)];
        must.extend([(Kind::Sequence, 2), (Kind::BlindSpot, 2)]);
        for (kind, least) in must {
            if count(kind) < least {
                wrong.push(format!("{}: {} tests of the kind {}, at least {least}", rule.id, count(kind), kind.name()));
            }
        }
        if rule.blind_spots.len() < 2 {
            wrong.push(format!("{}: blind_spots says too little", rule.id));
        }
        let shown: BTreeSet<Evasion> = blocks.values().flat_map(|t| t.evasions.iter().copied()).collect();
        let missing = promised(rule, &files.0[&tests.file].text).into_iter().filter(|e| !shown.contains(e));
        wrong.extend(missing.map(|e| format!("{}: no test of the evasion {}", rule.id, e.name())));
        for test in &tests.tests {
            let untrue = test.evasions.iter().filter(|e| !is_tried(**e, &test.filled().record));
            wrong.extend(untrue.map(|e| format!("{}:{}: nothing of {} in it", tests.file, test.line, e.name())));
        }
    }
    assert!(wrong.is_empty(), "{} faults\n{}", wrong.len(), wrong.join("\n"));
}

/// The evasions that a rule withstands by what it asks.
fn promised(rule: &Rule, text: &str) -> Vec<Evasion> {
    let condition = text.split("\n[[test]]").next().unwrap_or_default();
    let reads = |field: Field| rule.needs.iter().fold(rule.condition.reads(), |a, b| a.union(*b)).contains(field);
    let mut evasions = vec![Evasion::Case, Evasion::Long];
    if reads(Field::Image) || reads(Field::ProcessKey) {
        evasions.push(Evasion::Extension);
    }
    if reads(Field::Image) {
        // Where the record has no path, the image is a part of the command line.
        evasions.extend([Evasion::Carets, Evasion::Quotes, Evasion::Blanks, Evasion::Tabs]);
    }
    if condition.contains("\nswitch") {
        evasions.extend([Evasion::Slash, Evasion::UnicodeDash]);
    }
    if condition.contains("\nswitch_") || condition.contains("interface") {
        evasions.push(Evasion::AttachedValue);
    }
    if BUNDLING.iter().any(|tool| condition.contains(&format!("{tool:?}"))) && condition.contains("\nswitch") {
        evasions.push(Evasion::Bundle);
    }
    if reads(Field::ProcessKey) || reads(Field::ParentImage) {
        evasions.push(Evasion::Slash);
    }
    if reads(Field::WebDomain) {
        evasions.push(Evasion::Address);
    }
    evasions
}

/// Whether a record has in it what it claims to try.
fn is_tried(evasion: Evasion, record: &Record) -> bool {
    let Record::Fields(_, fields) = record else { return false };
    let of = |wanted: &[Field]| -> Vec<&str> {
        fields.iter().filter(|(f, _)| wanted.contains(f)).map(|(_, v)| v.as_str()).collect()
    };
    let line = of(&[Field::CommandLine]).join(" ");
    let paths = of(&[Field::ProcessPath, Field::ProcessDir, Field::ParentProcessPath, Field::ProcessName]);
    let any = |texts: &[&str], test: &dyn Fn(&str) -> bool| texts.iter().any(|text| test(text));
    let words: Vec<&str> = line.split_whitespace().collect();
    let solid = |c: Option<char>| c.is_some_and(|c| !c.is_whitespace());
    match evasion {
        Evasion::Carets => line.contains('^'),
        Evasion::Quotes => line.match_indices('"').any(|(at, _)| {
            solid(line[..at].chars().next_back()) && solid(line[at + 1..].chars().next()) || line.contains("\"&\"")
        }),
        Evasion::Case => any(&of(Field::ALL), &|text| {
            let letters = || text.chars().filter(|c| c.is_ascii_alphabetic());
            let upper = letters().filter(char::is_ascii_uppercase).count();
            upper * 3 > letters().count() || (text == text.to_lowercase() && text.len() > 2)
        }),
        Evasion::Slash => any(&words, &|w| w.starts_with('/')) || any(&paths, &|p| p.contains('/')),
        Evasion::UnicodeDash => any(&words, &|w| w.starts_with(|c: char| !c.is_ascii())),
        Evasion::AttachedValue => {
            any(&words, &|w| w.starts_with(['-', '/']) && w.contains([':', '=']) || w.len() > 2 && w.starts_with("-i"))
        }
        Evasion::Extension => {
            any(&of(&[Field::ProcessPath, Field::ProcessName]), &|p| !p.to_lowercase().ends_with(".exe"))
        }
        Evasion::Blanks => line.contains("   "),
        Evasion::Tabs => line.contains('\t'),
        Evasion::Long => any(&of(Field::ALL), &|text| text.len() >= 30_000),
        Evasion::Bundle => {
            any(&words, &|w| w.len() > 2 && w.starts_with('-') && w[1..].starts_with(|c: char| c.is_ascii_alphabetic()))
        }
        Evasion::Address => any(&of(&[Field::Url]), &|url| url.contains('@')),
        Evasion::RandomName => any(&paths, &|p| p.contains(".tmp")),
    }
}

/// What `promised` asks for is not empty for any rule, and differs between them.
#[test]
fn evasions_are_asked_of_the_rules_that_they_apply_to() {
    let content = content::load(&DetectionSettings::default()).unwrap_or_else(|f| panic!("{f}"));
    let of = |id: &str| {
        let rule = content.rules.iter().find(|r| r.id == id).unwrap();
        promised(rule, &ContentFiles::shipped().0[&rule.file].text)
    };
    assert!(of("NSniff-Cred").contains(&Evasion::Bundle) && of("NSniff-Cred").contains(&Evasion::AttachedValue));
    assert!(of("Certutil-Encode").contains(&Evasion::UnicodeDash) && !of("Certutil-Encode").contains(&Evasion::Bundle));
    assert!(of("Tap-Installer").contains(&Evasion::Carets) && !of("Tap-Installer").contains(&Evasion::UnicodeDash));
    assert_eq!(of("WEB-FS"), [Evasion::Case, Evasion::Long, Evasion::Address]);
}
