//! What the fuzz targets of `fuzz/` do with their bytes: one function a target, one file a target.
//!
//! Compiled for fuzzing (`--cfg fuzzing`) and for the library's own tests, which run every target over its committed
//! corpus, so that a crash found once stays mended. Each target asserts properties (the same answer by a slower way, a
//! round trip, a bound) and not only that nothing panics. Code that is private to a module is reached by mounting the
//! target's file inside that module. Never part of a built agent.

#![allow(clippy::panic, clippy::indexing_slicing)] // a property that does not hold is a panic

pub mod asked;
pub mod parsed;
pub mod plain_cef;
pub mod plain_csv;

/// A target: what it does with some bytes. It panics when a property does not hold.
pub type Target = fn(&[u8]);

/// All targets by the name of their binary and of their corpus.
pub const TARGETS: &[(&str, Target)] = &[
    ("cut", crate::source::fuzz_cutting::cut),
    ("decode", crate::source::fuzz_decoding::decode),
    ("cef", parsed::cef),
    ("csv", parsed::csv),
    ("stored", crate::store::fuzz_stored::stored),
    ("content", crate::content::fuzz_written::content),
    ("config", crate::content::fuzz_written::config),
    ("control", asked::control),
    ("sigma", crate::sigma::fuzz_rules::sigma),
    ("recall", crate::sink::fuzz_recalled::recall),
];

/// The target of a name. A binary of `fuzz/` names one that there is.
///
/// # Panics
/// When there is none of that name.
pub fn target(name: &str) -> Target {
    match TARGETS.iter().find(|(n, _)| *n == name) {
        Some((_, target)) => *target,
        None => panic!("there is no fuzz target {name:?}"),
    }
}

/// The first byte, which chooses between ways of reading the rest, and the rest.
pub(crate) fn split_choice(data: &[u8]) -> (u8, &[u8]) {
    data.split_first().map_or((0, data), |(first, rest)| (*first, rest))
}

/// Splits off `n` bytes that steer the target; fewer when there are fewer.
pub(crate) fn split_steering(data: &[u8], n: usize) -> (&[u8], &[u8]) {
    data.split_at(n.min(data.len()))
}

#[cfg(test)]
mod tests {
    use super::TARGETS;
    use std::path::Path;

    #[test]
    fn every_target_holds_over_its_corpus() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
        for (name, target) in TARGETS {
            let mut files: Vec<_> = std::fs::read_dir(root.join(name))
                .unwrap_or_else(|e| panic!("fuzz/corpus/{name}: {e}"))
                .map(|e| e.unwrap().path())
                .collect();
            files.sort();
            assert!(files.len() >= 10, "fuzz/corpus/{name} is the seed of that target: {} files", files.len());
            for file in files {
                eprintln!("{}", file.display()); // the last one is the one that fails
                target(&std::fs::read(&file).unwrap());
            }
        }
    }

    #[test]
    fn every_target_has_a_binary() {
        let manifest = include_str!("../../fuzz/Cargo.toml");
        for (name, _) in TARGETS {
            assert!(manifest.contains(&format!("name = \"{name}\"\npath = \"fuzz_targets/{name}.rs\"")), "{name}");
        }
    }
}
