//! `enrichment.toml`: the names and patterns that enrichers go by, read and checked. Lower-case from here on.
//!
//! Never decides anything about an event.

use super::case;
use super::glob::{Glob, Globs};
use crate::content::Faults;
use crate::content::section::{Document, Section};

/// Hexadecimal digits in a row that are a number, where the content does not say.
const DEFAULT_MIN_HEX_RUN: u64 = 8;

/// The lists, compiled.
#[derive(Debug, Default)]
pub(super) struct Lists {
    /// Accounts that belong to their host.
    pub machine_names: Names,
    /// Endings of such accounts.
    pub machine_suffixes: Vec<Box<[u8]>>,
    /// Domains of such accounts.
    pub machine_domains: Names,
    /// Endings of program names.
    pub executable_suffixes: Vec<Box<[u8]>>,
    /// Directories below which a directory is named after its owner.
    pub profile_roots: Names,
    /// Directories made for one run.
    pub scratch_directories: Globs,
    /// Whether a GUID in braces is one of them.
    pub braced_guid_is_scratch: bool,
    /// Programs unpacked under a random name.
    pub scratch_files: Globs,
    /// Hexadecimal digits in a row that are a number.
    pub min_hex_run: usize,
    /// Labels before a dynamic-DNS entry that name the provider's own page.
    pub provider_labels: Vec<Box<[u8]>>,
}

/// A handful of lower-case names. Most candidates have a length that none of them has.
#[derive(Debug, Default)]
pub(super) struct Names {
    names: Vec<Box<[u8]>>,
    /// Bit n: some name has n bytes (63: or more).
    lengths: u64,
}

impl Names {
    fn new(names: Vec<Box<[u8]>>) -> Names {
        let lengths = names.iter().fold(0, |bits, n| bits | 1 << n.len().min(63));
        Names { names, lengths }
    }

    /// Whether the lower-case name is one of them.
    #[inline]
    pub fn contains(&self, name: &[u8]) -> bool {
        self.lengths & (1 << name.len().min(63)) != 0 && self.names.iter().any(|n| n.as_ref() == name)
    }
}

impl Lists {
    /// Reads the file's text.
    pub fn parse(text: &str, faults: &mut Faults) -> Lists {
        let document = Document::new("enrichment.toml", text).with_header(&["based_on"]);
        document.read(faults, |top, faults| Some(read(top, faults))).unwrap_or_default()
    }
}

fn read(top: &Section<'_>, faults: &mut Faults) -> Lists {
    let mut lists = Lists::default();
    if let Some(s) = top.table("accounts", faults) {
        lists.machine_names = Names::new(names(&s, "machine_names", faults));
        lists.machine_suffixes = names(&s, "machine_suffixes", faults);
        lists.machine_domains = Names::new(names(&s, "machine_domains", faults));
        s.finish(&["machine_names", "machine_suffixes", "machine_domains"], faults);
    }
    if let Some(s) = top.table("image", faults) {
        lists.executable_suffixes = names(&s, "executable_suffixes", faults);
        s.finish(&["executable_suffixes"], faults);
    }
    if let Some(s) = top.table("process_key", faults) {
        read_process_key(&s, &mut lists, faults);
    }
    if let Some(s) = top.table("dynamic_dns", faults) {
        lists.provider_labels = names(&s, "provider_labels", faults);
        s.finish(&["provider_labels"], faults);
    }
    top.finish(&["accounts", "image", "process_key", "dynamic_dns"], faults);
    lists
}

fn read_process_key(s: &Section<'_>, lists: &mut Lists, faults: &mut Faults) {
    lists.profile_roots = Names::new(names(s, "profile_roots", faults));
    let (guid, globs): (Vec<_>, Vec<_>) =
        patterns(s, "scratch_directories", faults).into_iter().partition(|p| p.text() == b"{guid}");
    lists.braced_guid_is_scratch = !guid.is_empty();
    lists.scratch_directories = Globs::new(globs);
    lists.scratch_files = Globs::new(patterns(s, "scratch_files", faults));
    let min = s.unsigned("min_hex_run", faults).unwrap_or(DEFAULT_MIN_HEX_RUN);
    if min < 2 {
        s.fault(faults, s.line_of("min_hex_run"), format!("min_hex_run is {min}; write a number from 2"));
    }
    lists.min_hex_run = usize::try_from(min).unwrap_or(usize::MAX);
    s.finish(&["profile_roots", "scratch_directories", "scratch_files", "min_hex_run"], faults);
}

fn names(s: &Section<'_>, key: &str, faults: &mut Faults) -> Vec<Box<[u8]>> {
    let texts = s.strings(key, faults).unwrap_or_default();
    if texts.iter().any(|t| t.trim().is_empty()) {
        s.fault(faults, s.line_of(key), format!("{key} holds an empty name; take it out"));
    }
    texts.iter().map(|t| t.trim()).filter(|t| !t.is_empty()).map(|t| case::lower(t.as_bytes()).into()).collect()
}

fn patterns(s: &Section<'_>, key: &str, faults: &mut Faults) -> Vec<Glob> {
    let names = names(s, key, faults);
    for name in &names {
        let text = String::from_utf8_lossy(name);
        if text.contains(['\\', '/']) {
            s.fault(faults, s.line_of(key), format!("{text:?} in {key} holds a separator; write one name, not a path"));
        }
        if text.contains("{guid}") && (key == "scratch_files" || text != "{guid}") {
            s.fault(
                faults,
                s.line_of(key),
                format!("{text:?} in {key} is not understood; {{guid}} stands alone, for a directory"),
            );
        }
        if text.chars().all(|c| c == '*') {
            s.fault(faults, s.line_of(key), format!("{text:?} in {key} matches every name; write a part of the name"));
        }
    }
    names.iter().map(|n| Glob::new(&String::from_utf8_lossy(n))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_file_is_read_without_faults_and_nothing_is_left_out() {
        let mut faults = Faults::default();
        let lists = Lists::parse(include_str!("../../config/content/enrichment.toml"), &mut faults);
        assert!(faults.is_empty(), "{faults}");
        assert!(lists.machine_names.contains(b"local service"));
        assert!(lists.machine_domains.contains(b"window manager"));
        assert_eq!(lists.machine_suffixes, [b"$".to_vec().into_boxed_slice()]);
        assert_eq!(lists.executable_suffixes.len(), 2);
        assert!(lists.profile_roots.contains(b"home"));
        assert_eq!((lists.min_hex_run, lists.braced_guid_is_scratch), (8, true));
        assert_eq!(lists.provider_labels.len(), 1);
    }

    #[test]
    fn each_mistake_is_a_fault_at_its_line() {
        for (text, line, wanted) in [
            ("[acounts]\n", 1, "unknown key \"acounts\"; did you mean \"accounts\"?"),
            ("[process_key]\nmin_hex_run = 1\n", 2, "min_hex_run is 1; write a number from 2"),
            ("[process_key]\n\nscratch_files = [\"*\"]\n", 3, "\"*\" in scratch_files matches every name"),
            ("[process_key]\nscratch_files = [\"a/b\"]\n", 2, "\"a/b\" in scratch_files holds a separator"),
            ("[process_key]\nscratch_directories = [\"x{guid}\"]\n", 2, "\"x{guid}\" in scratch_directories is not"),
            ("[process_key]\nscratch_files = [\"{guid}\"]\n", 2, "\"{guid}\" in scratch_files is not understood"),
            ("[image]\nexecutable_suffixes = [\" \"]\n", 2, "executable_suffixes holds an empty name"),
        ] {
            let mut faults = Faults::default();
            Lists::parse(text, &mut faults);
            assert_eq!(faults.0.len(), 1, "{text}: {faults}");
            assert_eq!(faults.0[0].line, line, "{text}");
            assert!(faults.0[0].message.starts_with(wanted), "{}", faults.0[0].message);
        }
    }
}
