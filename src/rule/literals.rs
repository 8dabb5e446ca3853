//! Many literals searched at once. The only module that names aho-corasick.
//!
//! [`LiteralSet`] is the screen's prefilter: a vectorised search says "none of them" at memory speed; only a text with
//! a match is read again to learn which. Texts are lower-cased by [`prepare`] first.

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind, packed};

/// Whether any of some literals is within a text.
#[derive(Clone, Debug)]
pub struct AnyOf(AhoCorasick);

impl AnyOf {
    /// Compiles the literals; `None` when they are too many.
    pub fn new<'a>(literals: impl Iterator<Item = &'a [u8]>, case: bool) -> Option<AnyOf> {
        AhoCorasick::builder().ascii_case_insensitive(!case).build(literals).ok().map(AnyOf)
    }

    /// Whether one of them is within the text.
    pub fn within(&self, text: &[u8]) -> bool {
        self.0.is_match(text)
    }
}

/// Lower-case literals, each with a number to report.
#[derive(Debug)]
pub struct LiteralSet {
    shortest: usize,
    /// `None` when the literals are too many or the processor too old for it.
    gate: Option<packed::Searcher>,
    automaton: AhoCorasick,
    /// Numbers to report, by literal.
    numbers: Vec<Vec<usize>>,
}

impl LiteralSet {
    /// Compiles literals and the numbers that each reports; `None` when they are too many for an automaton.
    pub fn new(literals: &[(Vec<u8>, Vec<usize>)]) -> Option<LiteralSet> {
        let texts = || literals.iter().map(|(text, _)| text.as_slice());
        let gate = packed::Config::new().match_kind(packed::MatchKind::LeftmostFirst).builder().extend(texts()).build();
        let kind = if gate.is_some() { AhoCorasickKind::ContiguousNFA } else { AhoCorasickKind::DFA };
        let automaton = AhoCorasick::builder().match_kind(MatchKind::Standard).kind(Some(kind)).build(texts()).ok()?;
        Some(LiteralSet {
            shortest: texts().map(<[u8]>::len).min().unwrap_or(0),
            gate,
            automaton,
            numbers: literals.iter().map(|(_, numbers)| numbers.clone()).collect(),
        })
    }

    /// Reports the numbers of every literal within a prepared text, some of them more than once.
    #[inline]
    pub fn search(&self, prepared: &[u8], mut report: impl FnMut(usize)) {
        if prepared.len() < self.shortest || self.gate.as_ref().is_some_and(|g| g.find(prepared).is_none()) {
            return;
        }
        for found in self.automaton.find_overlapping_iter(prepared) {
            for number in self.numbers.get(found.pattern().as_usize()).into_iter().flatten() {
                report(*number);
            }
        }
    }
}

/// Copies a text in lower case. Of a command line, carets and quotes go where they may stand within a word, so that a
/// literal without blanks, quotes and carets is found in the copy whenever it is in the normalised text or an argument.
#[inline]
pub fn prepare(text: &[u8], command_line: bool, out: &mut Vec<u8>) {
    out.clear();
    if command_line && hides_words(text) {
        let mut copied = 0;
        for at in memchr::memchr2_iter(b'^', b'"', text) {
            out.extend_from_slice(text.get(copied..at).unwrap_or_default());
            copied = at + 1;
        }
        out.extend_from_slice(text.get(copied..).unwrap_or_default());
    } else {
        out.extend_from_slice(text);
    }
    out.make_ascii_lowercase();
}

/// Whether a caret or a quote stands where removing it joins a word.
fn hides_words(text: &[u8]) -> bool {
    let solid = |at: Option<usize>| at.and_then(|i| text.get(i)).is_some_and(|b| !matches!(b, b' ' | b'\t'..=b'\r'));
    memchr::memchr2_iter(b'^', b'"', text)
        .any(|at| text.get(at) == Some(&b'^') || (solid(at.checked_sub(1)) && solid(at.checked_add(1))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_literal_within_a_text_is_reported_with_all_its_numbers() {
        let set = LiteralSet::new(&[(b"eprod".to_vec(), vec![3]), (b"prod".to_vec(), vec![1, 2])]).unwrap();
        let found = |text: &str| {
            let (mut out, mut prepared) = (Vec::new(), Vec::new());
            prepare(text.as_bytes(), true, &mut prepared);
            set.search(&prepared, |n| out.push(n));
            out.sort_unstable();
            out
        };
        assert_eq!(found("copy EPROD.ldf"), [1, 2, 3]);
        assert_eq!(found(r#"copy e^Pr"o"d.ldf"#), [1, 2, 3]);
        assert_eq!(found(r#""c:\my prod" x"#), [1, 2]);
        assert!(found("nothing here").is_empty());
    }

    #[test]
    fn many_literals_are_found_too() {
        let many: Vec<_> = (0..500).map(|n| (format!("word{n:04}").into_bytes(), vec![n])).collect();
        let set = LiteralSet::new(&many).unwrap();
        let mut out = Vec::new();
        set.search(b"xx word0123 word0499", |n| out.push(n));
        assert_eq!(out, [123, 499]);
    }
}
