//! Targets `content` and `config`: any text gives settings and content, or faults with a place in that text.
//!
//! Mounted in `content`.

#![allow(clippy::panic, clippy::indexing_slicing)] // a property that does not hold is a panic

use super::section::Document;
use super::{ContentFile, ContentFiles, Faults, Layers, compile};
use crate::config::DetectionSettings;
use crate::fuzz_entry::split_choice;
use std::sync::OnceLock;

/// Content that is quick to compile: the shipped parsers and models without the long tables, and one rule.
fn small() -> &'static [(String, String)] {
    static FILES: OnceLock<Vec<(String, String)>> = OnceLock::new();
    FILES.get_or_init(|| {
        let mut kept_rule = false;
        let mut files = Vec::new();
        for (name, file) in ContentFiles::shipped().0 {
            let text = match &*name {
                _ if name.starts_with("rules/") && std::mem::replace(&mut kept_rule, true) => continue,
                _ if name.starts_with("tables/") && !name.ends_with("keys.txt") => {
                    file.text.lines().filter(|l| !l.starts_with('#')).take(3).flat_map(|l| [l, "\n"]).collect()
                }
                _ => file.text,
            };
            files.push((name, text));
        }
        files
    })
}

/// The target. Steering: which file the rest replaces or is added as.
pub fn content(data: &[u8]) {
    let (choice, rest) = split_choice(data);
    let text = String::from_utf8_lossy(rest).into_owned();
    let names = [
        "rules/zz.toml",
        "models/zz.toml",
        "parsers/zz.toml",
        "fieldmaps/zz.toml",
        "commandline.toml",
        "enrichment.toml",
    ];
    let tables: Vec<&str> = small().iter().map(|(n, _)| &**n).filter(|n| n.starts_with("tables/")).collect();
    let all: Vec<&str> = names.into_iter().chain(tables).collect();
    let Some(name) = all.get(usize::from(choice) % all.len()) else { return };
    let mut files = ContentFiles::default();
    for (n, t) in small() {
        files.0.insert(n.clone(), ContentFile { shown: n.clone(), text: t.clone(), shipped: false });
    }
    let mut layers = Layers::default();
    if name.ends_with(".override.toml") {
        layers.patches.push(Document::new(*name, text.clone()));
    } else {
        files.0.insert((*name).into(), ContentFile { shown: (*name).into(), text: text.clone(), shipped: false });
    }
    layers.files = files.clone();
    let mut faults = Faults::default();
    compile(layers.clone(), &DetectionSettings::default(), &mut |_| (), &mut faults);
    if faults.is_empty()
        && let Err(failed) = crate::selftest::run_all(&layers)
    {
        faults.0.extend(failed.0);
    }
    let lines = text.lines().count() + 1;
    for fault in &faults.0 {
        assert!(!fault.message.is_empty());
        // A line of another file may become wrong through this one, but never a line that is not there.
        let of = files.0.values().find(|f| f.shown == fault.file);
        let count = of.map_or(lines, |f| f.text.lines().count() + 1);
        assert!(fault.line <= count, "{fault} is beyond the {count} lines of its file");
    }
    assert_eq!(faults.clone().check(()).is_ok(), faults.is_empty());
}

/// The target: settings that are read are written and read again as the same settings.
pub fn config(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    match crate::config::parse("fuzz.toml", &text) {
        Ok(settings) => {
            let written = settings.to_toml();
            match crate::config::parse("written.toml", &written) {
                Ok(again) => assert_eq!(again, settings, "{written}"),
                Err(faults) => panic!("settings that were accepted are refused when written: {faults}\n{written}"),
            }
        }
        Err(faults) => {
            assert!(!faults.is_empty());
            let lines = text.lines().count() + 1;
            for fault in &faults.0 {
                assert!(fault.line <= lines && !fault.message.is_empty(), "{fault} of {lines} lines");
            }
        }
    }
}
