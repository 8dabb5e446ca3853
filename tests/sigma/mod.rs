//! Public Sigma rules, where they lie beside the repository: all of them load, the screen finds exactly what they say, and
//! another engine says the same but for what docs/sigma.md explains.

mod other_engine;
mod public;

use crate::skip::skip;
use exfil_agent::batch::Hit;
use exfil_agent::rule::{Judge, Scratch, Screen};
use exfil_agent::sigma::Outcome;
use public::{PUBLIC, Public, event, processes};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The rules, unless they are not there.
fn public(test: &str) -> Option<&'static Public> {
    let found = PUBLIC.as_ref();
    if found.is_none() {
        skip(test, "../shared/data/sigma/rules is not there");
    }
    found
}

#[test]
fn all_public_sigma_rules_load_or_say_why_not() {
    let Some(public) = public("all_public_sigma_rules_load_or_say_why_not") else { return };
    let report = &public.content.sigma;
    assert!(report.files.len() > 1000);
    for file in &report.files {
        let whole = file.outcome == Outcome::Compiled;
        assert_eq!(whole, file.reasons.is_empty(), "{file:?}");
        assert!(!file.id.is_empty() && !file.title.is_empty() && !file.level.is_empty(), "{file:?}");
    }
    // The table of docs/sigma.md is about these files.
    let document = include_str!("../../docs/sigma.md");
    if document.contains(&format!("{} public rules", report.files.len())) {
        for outcome in Outcome::ALL.into_iter().filter(|o| *o != Outcome::LeftOut) {
            let row = format!("| {} | {} |", outcome.name(), report.count(outcome));
            assert!(document.contains(&row), "docs/sigma.md has no line {row:?}");
        }
    }
}

#[test]
fn the_screen_finds_what_each_public_rule_says() {
    let Some(public) = public("the_screen_finds_what_each_public_rule_says") else { return };
    let content = &public.content;
    let mut judge = Judge::new(Arc::new(Screen::new(&content.rules, &content.models)), 32_767);
    let mut scratch = Scratch::default();
    let mut fired = BTreeSet::new();
    for file in &public.content.sigma.files {
        for process in processes(&std::fs::read_to_string(&file.file).unwrap()) {
            let record = process.record();
            event(content, &record, |event| {
                let mut hits: Vec<Hit> = Vec::new();
                judge.judge(event, &mut hits, &mut Vec::new());
                // Once more, from memory.
                let mut again: Vec<Hit> = Vec::new();
                judge.judge(event, &mut again, &mut Vec::new());
                assert_eq!(hits, again, "{record}");
                let found: BTreeSet<usize> = hits.iter().map(|h| usize::from(h.rule)).collect();
                let kind = event.draft.kind;
                let told: BTreeSet<usize> = content
                    .rules
                    .iter()
                    .enumerate()
                    .filter(|(_, r)| r.judges() && r.events.iter().any(|e| kind.is_a(*e)))
                    .filter(|(_, r)| r.condition.holds(event, &mut scratch))
                    .map(|(n, _)| n)
                    .collect();
                let name = |n: &usize| content.rules[*n].id.clone();
                let (more, less): (Vec<_>, Vec<_>) =
                    (found.difference(&told).map(name).collect(), told.difference(&found).map(name).collect());
                assert!(
                    more.is_empty() && less.is_empty(),
                    "{record}\nonly the screen: {more:?}\nnot the screen: {less:?}"
                );
                fired.extend(found);
            });
        }
    }
    // Most rules about processes can be met by a process made of their own values.
    assert!(fired.len() > 700, "{} rules fired", fired.len());
}
