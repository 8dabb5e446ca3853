//! Versions of shipped items, and for which of them a site's file or patch was written.
//!
//! A version is the item's revision, if it has one, and a digest of what it says: comments, the order of keys, descriptions and
//! tests do not count, so that an upgrade is told of when it changes what is detected and not when it mends a sentence.

use super::fault::Faults;
use super::section::{Section, Value};
use std::fmt;

/// Keys that describe an item and do not change what it detects.
const DESCRIPTIONS: &[&str] = &[
    "based_on",
    "revision",
    "name",
    "why",
    "triage",
    "false_positives",
    "blind_spots",
    "references",
    "license",
    "source",
    "test",
    "test_history",
];
/// Of models: what decides when they speak, and not what they learn.
const THRESHOLDS: &[&str] = &["alpha", "cut_off"];
/// Characters of a digest that people see: 48 bits, against accidents.
const DIGEST_CHARS: usize = 12;
/// How a table names what it is based on.
const TABLE_HEADER: &str = "# based_on:";

/// A version of an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// Its revision; none for what has none.
    pub revision: Option<u32>,
    /// Digest of what it says, the beginning.
    pub digest: String,
}

/// The version that a site's file names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BasedOn {
    revision: Option<u32>,
    digest: Option<String>,
}

impl Version {
    /// Of a document.
    pub fn of(top: &Section<'_>) -> Version {
        let revision = top.unsigned("revision", &mut Faults::default()).and_then(|n| u32::try_from(n).ok());
        Version { revision, digest: short(&top.canonical(DESCRIPTIONS)) }
    }

    /// Of a table: its entries in their order, and whether it is optional.
    pub fn of_table(text: &str) -> Version {
        let counts = |line: &&str| !line.is_empty() && (!line.starts_with('#') || is_switch(line));
        let lines: Vec<&str> = text.lines().map(str::trim).filter(counts).collect();
        Version { revision: None, digest: short(&lines.join("\n")) }
    }

    /// What is to be said when something was written for `based_on` and this is shipped: nothing while it is the same.
    pub(super) fn compare(&self, based_on: Option<&BasedOn>) -> Option<String> {
        match based_on {
            None => Some(format!(
                "does not say which shipped version it was written for, so that no upgrade can be told of; \
                 write based_on = \"{self}\""
            )),
            Some(based_on) if based_on.is(self) => None,
            Some(based_on) => Some(format!(
                "was written for the shipped version \"{based_on}\", which has changed: now it is \"{self}\"; \
                 compare them (agentctl content export), then write based_on = \"{self}\""
            )),
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.revision {
            Some(revision) => write!(f, "{revision} {}", self.digest),
            None => f.write_str(&self.digest),
        }
    }
}

impl BasedOn {
    /// Reads the key `based_on`: `"1 3f2a9c04d1b7"` (revision and digest), `"3f2a9c04d1b7"`, or a revision alone.
    pub(super) fn read(section: &Section<'_>, faults: &mut Faults) -> Option<BasedOn> {
        let found = match section.value("based_on", faults)? {
            Value::Text(text) => BasedOn::parse(&text),
            Value::Integer(n) => u32::try_from(n).ok().map(|n| BasedOn { revision: Some(n), digest: None }),
            _ => None,
        };
        if found.is_none() {
            let message =
                "based_on names no version; write the revision and the digest that `agentctl content check` shows";
            section.fault(faults, section.line_of("based_on"), message);
        }
        found
    }

    /// The comment `# based_on: …` of a table, with its line.
    pub(super) fn of_table(text: &str) -> Option<(BasedOn, usize)> {
        let header = |(at, line): (usize, &str)| Some((line.trim().strip_prefix(TABLE_HEADER)?.to_owned(), at + 1));
        let (value, line) = text.lines().enumerate().find_map(header)?;
        Some((BasedOn::parse(value.trim())?, line))
    }

    fn parse(text: &str) -> Option<BasedOn> {
        let is_digest = |word: &str| word.len() == DIGEST_CHARS && word.bytes().all(|b| b.is_ascii_hexdigit());
        let revision = |word: &str| word.parse::<u32>().ok().filter(|_| !is_digest(word));
        let digest = |word: &str| is_digest(word).then(|| word.to_ascii_lowercase());
        match text.split_whitespace().collect::<Vec<_>>()[..] {
            [word] => match digest(word) {
                Some(digest) => Some(BasedOn { revision: None, digest: Some(digest) }),
                None => Some(BasedOn { revision: Some(revision(word)?), digest: None }),
            },
            [first, second] => Some(BasedOn { revision: Some(revision(first)?), digest: Some(digest(second)?) }),
            _ => None,
        }
    }

    /// Whether it names this version, as far as it says.
    fn is(&self, version: &Version) -> bool {
        self.digest.as_ref().is_none_or(|d| *d == version.digest)
            && self.revision.is_none_or(|r| version.revision == Some(r))
    }
}

impl fmt::Display for BasedOn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let revision = self.revision.map(|r| r.to_string());
        let words: Vec<&str> = revision.as_deref().into_iter().chain(self.digest.as_deref()).collect();
        f.write_str(&words.join(" "))
    }
}

/// A content file with the header that says what it is based on: what an export writes.
pub fn with_header(kind: super::layers::Kind, text: &str, version: &Version) -> String {
    if kind == super::layers::Kind::Table {
        return format!("{TABLE_HEADER} {version}\n{text}");
    }
    format!("based_on = \"{version}\"\n{text}")
}

/// Digest of what a model learns from: its definition without what describes it and without the thresholds that only decide
/// when it speaks. Kept with what was learned, so that two definitions are never mixed. Tables and enrichment, which conditions
/// ask, are not part of it.
pub(super) fn definition_of_model(top: &Section<'_>) -> String {
    let except: Vec<&str> = DESCRIPTIONS.iter().chain(THRESHOLDS).copied().collect();
    digest(&top.canonical(&except))
}

fn digest(text: &str) -> String {
    blake3::hash(text.as_bytes()).to_hex().to_string()
}

fn short(text: &str) -> String {
    digest(text).chars().take(DIGEST_CHARS).collect()
}

/// Whether a comment of a table says something.
fn is_switch(line: &str) -> bool {
    line.trim_start_matches('#').trim() == "default: off"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::section::Document;

    fn version(text: &str) -> Version {
        Document::new("a.toml", text).read(&mut Faults::default(), |top, _| Some(Version::of(top))).unwrap()
    }

    #[test]
    fn a_version_changes_with_what_is_detected_and_not_with_words_and_tests() {
        let rule = "id = 'x'\nrevision = 1\nname = 'a'\nscore = 5\n[condition]\nimage = 'b'\n";
        let one = version(rule);
        assert_eq!(one.revision, Some(1));
        for same in [
            rule.replace("'a'", "'other'") + "[[test]]\nname = 'more'\n",
            format!("# a comment\nwhy = 'because'\n{rule}"),
            rule.replace("score = 5\n", "").replace("[cond", "score = 0x5\n[cond"),
        ] {
            assert_eq!(version(&same).digest, one.digest, "{same}");
        }
        assert_eq!(version(&rule.replace("revision = 1", "revision = 2")).digest, one.digest);
        for other in [rule.replace("'b'", "'c'"), rule.replace("score = 5", "score = 6")] {
            assert_ne!(version(&other).digest, one.digest, "{other}");
        }
        let table = Version::of_table("# text\na\n\n b\n");
        assert_eq!(table, Version::of_table("a\nb"));
        assert_ne!(table, Version::of_table("# default: off\na\nb"));
        assert_ne!(table, Version::of_table("a\n!b"));
    }

    #[test]
    fn what_something_is_based_on_is_compared_as_far_as_it_says() {
        let now = Version { revision: Some(2), digest: "00ff00ff00ff".into() };
        for (text, wanted) in [
            ("2 00ff00ff00ff", true),
            ("2 00FF00FF00FF", true),
            ("00ff00ff00ff", true),
            ("2", true),
            ("1", false),
            ("1 00ff00ff00ff", false),
            ("2 00ff00ff00fe", false),
            ("000000000002", false),
        ] {
            let based_on = BasedOn::parse(text).unwrap();
            assert_eq!(now.compare(Some(&based_on)).is_none(), wanted, "{text}");
        }
        for nothing in ["", "x", "2 x", "00ff00ff00ff 2", "-1", "1 2 3"] {
            assert_eq!(BasedOn::parse(nothing), None, "{nothing}");
        }
        let exported = with_header(super::super::layers::Kind::Table, "a\n", &Version::of_table("a\n"));
        let (based_on, line) = BasedOn::of_table(&exported).unwrap();
        assert!(line == 1 && based_on.is(&Version::of_table(&exported)));
    }
}
