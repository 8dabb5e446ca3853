//! Many literals searched at once. The only module that names aho-corasick.
//!
//! [`LiteralSet`] is the screen's prefilter: a vectorised search says "none of them" at memory speed; only a text with
//! a match is read again to learn which. [`Hint`] is the same question for one test. Case never counts here.

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

/// A literal in lower case, found by its rarest byte.
#[derive(Clone, Debug)]
pub struct Single {
    text: Box<[u8]>,
    rarest: u8,
    offset: usize,
}

/// Bytes of paths and command lines from the commonest to the rarest; what is not listed is rarer still.
const COMMON: &[u8] = b"\\ e-.ot/iasrnxcldmpufhgbwv_y10:=k2345,6789\"";

impl Single {
    /// A literal that is not empty.
    pub fn new(text: &[u8]) -> Option<Single> {
        let rank = |b: u8| COMMON.iter().position(|c| *c == b).unwrap_or(COMMON.len());
        let (offset, rarest) = text.iter().copied().enumerate().max_by_key(|(_, b)| rank(*b))?;
        Some(Single { text: text.into(), rarest, offset })
    }

    /// Whether the literal is within a text, without regard to case.
    #[inline]
    pub fn within(&self, text: &[u8]) -> bool {
        let upper = self.rarest.to_ascii_uppercase();
        memchr::memchr2_iter(self.rarest, upper, text).any(|at| {
            let start = at.checked_sub(self.offset);
            let part = start.and_then(|s| text.get(s..s + self.text.len()));
            part.is_some_and(|p| p.eq_ignore_ascii_case(&self.text))
        })
    }
}

/// Lower-case literals, each with numbers to report.
#[derive(Debug)]
pub struct LiteralSet {
    shortest: usize,
    search: Search,
    /// Numbers to report, by literal.
    numbers: Vec<Vec<usize>>,
}

#[derive(Debug)]
enum Search {
    /// One literal: no need of a lower-case copy.
    One(Single),
    Many {
        /// `None` when the literals are too many or the processor too old for it.
        gate: Option<packed::Searcher>,
        automaton: AhoCorasick,
    },
}

impl LiteralSet {
    /// Compiles literals and the numbers that each reports; `None` when they are too many for an automaton.
    pub fn new(literals: &[(Vec<u8>, Vec<usize>)]) -> Option<LiteralSet> {
        let texts = || literals.iter().map(|(text, _)| text.as_slice());
        let search = match literals {
            [(only, _)] => Search::One(Single::new(only)?),
            _ => {
                let gate = packed::Config::new()
                    .match_kind(packed::MatchKind::LeftmostFirst)
                    .builder()
                    .extend(texts())
                    .build();
                let kind = if gate.is_some() { AhoCorasickKind::ContiguousNFA } else { AhoCorasickKind::DFA };
                let builder = &mut AhoCorasick::builder();
                let automaton = builder.match_kind(MatchKind::Standard).kind(Some(kind)).build(texts()).ok()?;
                Search::Many { gate, automaton }
            }
        };
        let shortest = texts().map(<[u8]>::len).min().unwrap_or(0);
        Some(LiteralSet { shortest, search, numbers: literals.iter().map(|(_, numbers)| numbers.clone()).collect() })
    }

    /// Reports the numbers of every literal within a text, some of them more than once. `lower` is a buffer for a copy.
    #[inline]
    pub fn search(&self, text: &[u8], lower: &mut Vec<u8>, report: impl FnMut(usize)) {
        if text.len() < self.shortest {
            return;
        }
        match &self.search {
            Search::One(only) => {
                if only.within(text) {
                    self.numbers.iter().flatten().copied().for_each(report);
                }
            }
            Search::Many { .. } => {
                lower.clear();
                lower.extend_from_slice(text);
                lower.make_ascii_lowercase();
                self.search_prepared(lower, report);
            }
        }
    }

    /// The same for a text that [`prepare`] made.
    #[inline]
    pub fn search_prepared(&self, prepared: &[u8], mut report: impl FnMut(usize)) {
        match &self.search {
            Search::One(only) => {
                if only.within(prepared) {
                    self.numbers.iter().flatten().copied().for_each(report);
                }
            }
            Search::Many { gate, automaton } => {
                if prepared.len() < self.shortest || gate.as_ref().is_some_and(|g| g.find(prepared).is_none()) {
                    return;
                }
                for found in automaton.find_overlapping_iter(prepared) {
                    let numbers = self.numbers.get(found.pattern().as_usize());
                    numbers.into_iter().flatten().copied().for_each(&mut report);
                }
            }
        }
    }
}

/// Literals of which one must be within the prepared command line for a test to pass.
#[derive(Clone, Debug)]
pub struct Hint {
    singles: Vec<Single>,
    /// Instead of many singles.
    automaton: Option<AnyOf>,
}

/// Literals from which one automaton is quicker than a search for each.
const AUTOMATON_FROM: usize = 8;

impl Hint {
    /// Compiles lower-case literals; `None` when one of them is empty.
    pub fn new(literals: &[Vec<u8>]) -> Option<Hint> {
        let singles: Vec<Single> = literals.iter().map(|l| Single::new(l)).collect::<Option<_>>()?;
        if singles.len() < AUTOMATON_FROM {
            return Some(Hint { singles, automaton: None });
        }
        let automaton = AnyOf::new(literals.iter().map(Vec::as_slice), true)?;
        Some(Hint { singles: Vec::new(), automaton: Some(automaton) })
    }

    /// Whether one of the literals is within a prepared text.
    pub fn allows(&self, prepared: &[u8]) -> bool {
        match &self.automaton {
            Some(automaton) => automaton.within(prepared),
            None => self.singles.iter().any(|s| s.within(prepared)),
        }
    }
}

/// Copies a command line in lower case. Carets and quotes go where they may stand within a word, so that a literal
/// without blanks, quotes and carets is found in the copy whenever it is in the normalised text or in an argument.
#[inline]
pub fn prepare(text: &[u8], out: &mut Vec<u8>) {
    out.clear();
    if hides_words(text) {
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
            prepare(text.as_bytes(), &mut prepared);
            set.search_prepared(&prepared, |n| out.push(n));
            out.sort_unstable();
            out
        };
        assert_eq!(found("copy EPROD.ldf"), [1, 2, 3]);
        assert_eq!(found(r#"copy e^Pr"o"d.ldf"#), [1, 2, 3]);
        assert_eq!(found(r#""c:\my prod" x"#), [1, 2]);
        assert!(found("nothing here").is_empty());
    }

    #[test]
    fn one_and_many_literals_are_found_without_regard_to_case() {
        for count in [1, 3, 500] {
            let many: Vec<_> = (0..count).map(|n| (format!("word{n:04}").into_bytes(), vec![n])).collect();
            let set = LiteralSet::new(&many).unwrap();
            let mut out = Vec::new();
            set.search(b"xx wOrd0000 WORD0499", &mut Vec::new(), |n| out.push(n));
            assert_eq!(out, if count == 500 { vec![0, 499] } else { vec![0] });
        }
    }

    #[test]
    fn a_hint_allows_what_holds_one_of_its_literals() {
        for count in [1, 20] {
            let words: Vec<_> = (0..count).map(|n| format!("w{n}x").into_bytes()).collect();
            let hint = Hint::new(&words).unwrap();
            assert!(hint.allows(b"aa w0x") && !hint.allows(b"aa w0 x") && !hint.allows(b"x"));
        }
        assert!(Hint::new(&[Vec::new()]).is_none());
    }
}
