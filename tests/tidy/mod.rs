//! The house rules that a program can check, against the tables of ARCHITECTURE.md.
//!
//! By text, not by compiler: comments and tests are taken out first, strings stay in.

mod source_text;
mod tables;

use source_text::{SourceFile, contains_word, source_files};
use std::collections::BTreeSet;
use tables::{architecture, content_ids, dependency_names, table_domains, vendor_keys};

const LONGEST_FILE: usize = 500;

/// Documents with places: whoever compiles content or config reads them.
const LEAVES: &[&str] = &[
    "calendar",
    "event",
    "alert",
    "batch",
    "few",
    "memo",
    "swar",
    "config",
    "exit",
    "failpoint",
    "content::section",
    "content::fault",
    "content::Fault",
    "content::Faults",
];

fn none(faults: Vec<String>, what_to_do: &str) {
    assert!(faults.is_empty(), "{what_to_do}\n{}", faults.join("\n"));
}

fn is_under(path: &str, entry: &str) -> bool {
    entry == "*" || path == entry || path.strip_prefix(entry).is_some_and(|rest| rest.starts_with("::"))
}

#[test]
fn every_module_has_a_line_in_each_table() {
    let known: BTreeSet<String> = architecture("## 4. Module edges").into_iter().flat_map(|row| row.names).collect();
    let mapped: BTreeSet<String> =
        architecture("## 2. The modules in reading order").into_iter().flat_map(|row| row.names).collect();
    let mut faults = Vec::new();
    for file in source_files() {
        let module = file.top_module();
        if module != "lib" && !known.contains(module) {
            faults.push(format!("{}: module {module} has no line in section 4", file.path));
        }
        if module != "lib" && !mapped.contains(module) {
            faults.push(format!("{}: module {module} has no line in section 2", file.path));
        }
    }
    none(faults, "add the module to ARCHITECTURE.md: what it does, what it never does, what it may use");
}

#[test]
fn modules_use_only_what_their_line_allows() {
    let edges = architecture("## 4. Module edges");
    let mut faults = Vec::new();
    for file in source_files() {
        let module = file.top_module();
        let allowed: Vec<&str> = edges
            .iter()
            .filter(|row| row.names.iter().any(|n| n == module))
            .flat_map(|row| &row.items)
            .map(|s| &**s)
            .collect();
        for path in file.uses() {
            let same = is_under(&path, module);
            let fine = same || LEAVES.iter().chain(&allowed).any(|entry| is_under(&path, entry));
            if !fine && module != "lib" {
                faults.push(format!("{}: {module} may not use {path}", file.path));
            }
        }
    }
    none(faults, "use what the module may use, or change its line in section 4 of ARCHITECTURE.md with a reason");
}

#[test]
fn judging_does_no_io_and_reads_no_clock() {
    let rows = architecture("What no line allows");
    assert!(!rows.is_empty(), "ARCHITECTURE.md lost its table of what no line allows");
    let mut faults = Vec::new();
    for file in source_files() {
        for row in rows.iter().filter(|row| row.names.iter().any(|n| n == file.top_module())) {
            for name in row.items.iter().filter(|name| contains_word(&file.code, name)) {
                faults.push(format!("{}: names {name}", file.path));
            }
        }
    }
    none(faults, "ask for what is needed as an argument; see section 4 of ARCHITECTURE.md");
}

#[test]
fn a_crate_is_named_in_one_place() {
    let homes = architecture("## 5. Crates");
    let mut faults = Vec::new();
    for name in dependency_names() {
        let Some(row) = homes.iter().find(|row| row.names.contains(&name)) else {
            faults.push(format!("Cargo.toml: {name} has no line in section 5"));
            continue;
        };
        for file in source_files().iter().filter(|f| f.names_crate(&name.replace('-', "_"))) {
            if !row.items.iter().any(|home| is_under(&file.module(), home)) {
                faults.push(format!("{}: names {name}, whose home is {}", file.path, row.items.join(", ")));
            }
        }
    }
    none(faults, "go through the module that owns the crate, or change its line in section 5 of ARCHITECTURE.md");
}

#[test]
fn every_file_says_what_it_does_and_is_short() {
    let mut faults = Vec::new();
    for file in source_files() {
        if !file.text.starts_with("//! ") {
            faults.push(format!("{}: does not begin with //!", file.path));
        }
        if file.lines_before_tests > LONGEST_FILE {
            faults.push(format!(
                "{}: {} lines before its tests, {LONGEST_FILE} at most",
                file.path, file.lines_before_tests
            ));
        }
        for part in file.module().split("::") {
            if ["utils", "util", "common", "helper", "helpers", "manager", "misc"].contains(&part) {
                faults.push(format!("{}: {part} is no noun of the field", file.path));
            }
        }
    }
    none(faults, "say what the file does and never does; cut it where its nouns change");
}

#[test]
fn vendors_and_rules_are_named_in_content_only() {
    let words: Vec<String> = vendor_keys().into_iter().chain(content_ids()).collect();
    assert!(words.len() > 20, "the vendor's keys are read from config/content/tables/cef_keys.txt");
    let domains = table_domains();
    assert!(domains.contains("dropbox.com"));
    let mut faults = Vec::new();
    for file in source_files().iter().filter(|f| !["simulate", "fuzz_entry"].contains(&f.top_module())) {
        for word in words.iter().filter(|w| contains_word(&file.code, w)) {
            faults.push(format!("{}: names {word}", file.path));
        }
        for literal in file.string_literals().filter(|l| domains.contains(*l)) {
            faults.push(format!("{}: names the domain {literal}", file.path));
        }
    }
    none(faults, "detections are data: move it into config/content");
}

#[test]
fn comments_and_tests_are_no_code_and_strings_are() {
    let text = "//! doc User_Name\nuse crate::{alert::{Alert, self}, rule::*}; // crate::sink\nlet q = '\"'; /* crate::store */\n\
                let s = \"a // b\"; let r = r#\"x \"y\" z\"#; super::super::batch::X; std::io::x; sled::open(); a::toml::b();\n\
                #[cfg(test)]\nmod tests {\n    use crate::pipeline;\n}\n";
    let file = SourceFile::new("content/section.rs".into(), text.into());
    assert_eq!(file.module(), "content::section");
    assert_eq!(file.uses(), ["alert::Alert", "alert", "rule::*", "batch::X"]);
    assert_eq!(file.string_literals().collect::<Vec<_>>(), ["a // b", "x \"y\" z"]);
    assert!(file.names_crate("sled") && !file.names_crate("toml") && !file.names_crate("io"));
    assert!(contains_word(&file.code, "open") && !contains_word(&file.code, "ope"));
    assert_eq!(file.lines_before_tests, 4);
    assert!(!contains_word(&file.code, "User_Name"));
}
