//! What the tidy rules compare with: the tables of ARCHITECTURE.md, the manifest, the shipped content.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// A line of a table: the names in its first cell, the code spans in its second.
pub struct Row {
    /// Modules or a crate.
    pub names: Vec<String>,
    /// What they may or may not name.
    pub items: Vec<String>,
}

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The table that follows this text in ARCHITECTURE.md, without its two head lines.
pub fn architecture(after: &str) -> Vec<Row> {
    let text = std::fs::read_to_string(repository("ARCHITECTURE.md")).unwrap();
    let from = text.find(after).unwrap_or_else(|| panic!("ARCHITECTURE.md has no {after:?}"));
    let table = text[from..].lines().skip_while(|l| !l.starts_with('|')).take_while(|l| l.starts_with('|'));
    let rows: Vec<Row> = table.skip(2).map(row).collect();
    assert!(!rows.is_empty(), "ARCHITECTURE.md has no table after {after:?}");
    rows
}

fn row(line: &str) -> Row {
    let mut cells = line.trim_matches('|').split('|');
    let first = cells.next().unwrap_or_default();
    let names = if first.contains('`') { code_spans(first) } else { vec![first.trim().to_owned()] };
    Row { names, items: code_spans(cells.next().unwrap_or_default()) }
}

fn code_spans(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// Names under `[dependencies]` of Cargo.toml.
pub fn dependency_names() -> Vec<String> {
    let text = std::fs::read_to_string(repository("Cargo.toml")).unwrap();
    let section = text.split("\n[dependencies]\n").nth(1).unwrap().split("\n[").next().unwrap();
    section
        .lines()
        .filter_map(|l| l.split_once('='))
        .map(|(name, _)| name.trim().to_owned())
        .filter(|name| !name.is_empty() && !name.starts_with('#'))
        .collect()
}

fn lines_of(path: PathBuf) -> Vec<String> {
    std::fs::read_to_string(path).unwrap().lines().map(|l| l.trim().to_owned()).collect()
}

/// The keys of the table of CEF keys that are a vendor's own: `Capital_Capital`.
pub fn vendor_keys() -> Vec<String> {
    let keys = lines_of(repository("config/content/tables/cef_keys.txt"));
    let own = |k: &String| k.contains('_') && k.starts_with(|c: char| c.is_ascii_uppercase());
    keys.into_iter().filter(own).collect()
}

/// Ids of the shipped rules and models.
pub fn content_ids() -> Vec<String> {
    let mut ids = Vec::new();
    for folder in ["rules", "models"] {
        let Ok(entries) = std::fs::read_dir(repository("config/content").join(folder)) else { continue };
        for entry in entries {
            let path = entry.unwrap().path();
            let before = ids.len();
            let id = |l: String| Some(l.strip_prefix("id = \"")?.split('"').next()?.to_owned());
            ids.extend(lines_of(path.clone()).into_iter().filter_map(id));
            assert!(ids.len() > before, "no id found in {}", path.display());
        }
    }
    ids
}

/// The entries of the tables of domains.
pub fn table_domains() -> BTreeSet<String> {
    let tables = ["file_sharing_domains", "file_sharing_suites", "dynamic_dns_domains"];
    let lines = tables.iter().flat_map(|t| lines_of(repository(&format!("config/content/tables/{t}.txt"))));
    lines.filter(|l| !l.is_empty() && !l.starts_with('#')).collect()
}
