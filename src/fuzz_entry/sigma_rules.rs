//! Fuzz target `sigma`: the bytes are a Sigma rule. Whatever it says, loading ends with a rule or a reason; a rule judges events
//! of every kind without a panic, by itself and by the screen alike.

use super::{Mapping, RuleFile, load_file};
use crate::config::SigmaSettings;
use crate::content::ContentFiles;
use crate::content::fault::Faults;
use crate::event::{Draft, EventType, EventView, Field, Span, Text};
use crate::rule::{Judge, Scratch, Screen};
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

fn mapping() -> &'static Mapping {
    static MAPPING: OnceLock<Mapping> = OnceLock::new();
    MAPPING.get_or_init(|| {
        let mut faults = Faults::default();
        let files = ContentFiles::shipped();
        let mapping = files.document("sigma.toml").map(|d| Mapping::read(&d, &mut faults)).unwrap_or_default();
        assert!(faults.is_empty(), "{faults}");
        mapping
    })
}

/// The target.
pub fn sigma(data: &[u8]) {
    let text = String::from_utf8_lossy(data).into_owned();
    let settings = SigmaSettings {
        placeholders: BTreeMap::from([("x".to_owned(), vec!["a".to_owned(), "b*".to_owned()])]),
        ..SigmaSettings::default()
    };
    let file = RuleFile { shown: "fuzzed.yml".into(), stem: "fuzzed".into(), text: Ok(text.clone()) };
    let (line, rule) = load_file(&file, &settings, mapping(), &mut BTreeMap::new());
    let Some(rule) = rule else {
        assert!(!line.reasons.is_empty(), "neither a rule nor a reason");
        return;
    };
    let rules = [rule];
    let mut judge = Judge::new(Arc::new(Screen::new(&rules, &[])), 32_767);
    let mut scratch = Scratch::default();
    // The rule's own text is full of what it looks for: each of its lines is the value of every field once.
    for line in text.lines().take(40) {
        let value = line.trim().trim_start_matches("- ").trim_matches(['\'', '"']);
        for kind in EventType::ALL {
            let mut draft = Draft::empty(*kind, 1_700_000_000_000);
            Field::ALL.iter().for_each(|f| draft.set(*f, Span::raw(0, value.len())));
            let event = EventView { draft: &draft, text: Text { raw: value.as_bytes(), arena: &[] } };
            let is_declared = rules[0].judges() && rules[0].types().any(|t| t == *kind);
            let alone = is_declared && rules[0].condition.holds(event, &mut scratch);
            // The image is what enrichment makes of the path; here it is the path itself, so only one direction is certain.
            let mut hits = Vec::new();
            judge.judge(event, &mut hits, &mut Vec::new());
            assert!(alone || hits.is_empty(), "the screen finds what the rule does not");
            let why = rules[0].condition.why_not(event, &mut scratch);
            assert_eq!(rules[0].condition.holds(event, &mut scratch), why.is_none(), "the explanation contradicts");
        }
    }
}
