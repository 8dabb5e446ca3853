//! The documents: what is generated is up to date, and what they tell somebody to type is understood.
//! `UPDATE_EXPECT=1 cargo test documents` writes the generated ones anew.

mod blocks;
mod commands;
mod configuration;
mod examples;
mod metrics;
mod output;

use std::fs;
use std::path::Path;

/// Whether the generated document is what lies in the repository; with `UPDATE_EXPECT` it is made so.
fn assert_up_to_date(path: &str, generated: &str) {
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        fs::write(path, generated).unwrap();
    }
    let there = fs::read_to_string(path).unwrap_or_default();
    let differs = there.lines().zip(generated.lines()).position(|(a, b)| a != b);
    assert!(
        there == generated,
        "{path} is not what its source says (line {}): UPDATE_EXPECT=1 cargo test documents",
        differs.unwrap_or_else(|| there.lines().count().min(generated.lines().count())) + 1
    );
}

/// Every document for users, with its text.
fn documents() -> Vec<(String, String)> {
    let mut all = vec!["README.md".to_owned(), "config/content/README.md".to_owned()];
    let docs = fs::read_dir("docs").unwrap().map(|e| e.unwrap().path());
    all.extend(docs.filter(|p| p.extension().is_some_and(|e| e == "md")).map(|p| p.display().to_string()));
    all.sort();
    all.into_iter().map(|path| (path.clone(), fs::read_to_string(Path::new(&path)).unwrap())).collect()
}
