//! Many literals searched at once. The only module that names aho-corasick.
//!
//! [`LiteralSet`] is the prefilter of the screen and of single tests: a vectorised search that is over at memory speed
//! where there is nothing to find. Case never counts in it; texts and literals are in lower case.

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind, Span, packed};

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
#[derive(Clone, Debug)]
pub struct LiteralSet {
    shortest: usize,
    search: Search,
}

#[derive(Clone, Debug)]
enum Search {
    /// A search for each: no need of a lower-case copy.
    Few(Vec<(Single, Vec<usize>)>),
    Chunks(Vec<Chunk>),
    /// Where there are many, or the processor has no vectors, with numbers by literal.
    Automaton(AhoCorasick, Vec<Vec<usize>>),
}

/// Some literals that are searched at once.
#[derive(Clone, Debug)]
struct Chunk {
    searcher: packed::Searcher,
    /// Numbers of each literal and of all that begin it: of those at one place, only the longest is found.
    numbers: Vec<Vec<usize>>,
}

/// Literals up to which a search for each is quickest.
const FEW: usize = 2;
/// Literals that are searched at once: more would slow the vectors down.
const CHUNK: usize = 48;
/// Literals beyond which one automaton is quicker than a search for each chunk; it takes some 2 KiB a literal.
const MANY: usize = 3 * CHUNK;

impl LiteralSet {
    /// Compiles literals and the numbers that each reports; `None` when one is empty or they are too many.
    pub fn new(literals: &[(Vec<u8>, Vec<usize>)]) -> Option<LiteralSet> {
        let mut literals = without_implied(literals);
        let shortest = literals.iter().map(|(text, _)| text.len()).min().unwrap_or(0);
        if literals.len() <= FEW {
            let few = literals.into_iter().map(|(text, numbers)| Some((Single::new(&text)?, numbers)));
            return Some(LiteralSet { shortest, search: Search::Few(few.collect::<Option<_>>()?) });
        }
        // Literals of like length together: the shortest of a chunk sets its pace.
        literals.sort_by_key(|(text, _)| text.len());
        let chunks: Option<Vec<Chunk>> =
            if literals.len() > MANY { None } else { literals.chunks(CHUNK).map(Chunk::new).collect() };
        let search = match chunks {
            Some(chunks) => Search::Chunks(chunks),
            None => {
                let builder = &mut AhoCorasick::builder();
                let kind = Some(AhoCorasickKind::DFA);
                let texts = literals.iter().map(|(text, _)| text);
                let automaton = builder.match_kind(MatchKind::Standard).kind(kind).build(texts).ok()?;
                Search::Automaton(automaton, literals.into_iter().map(|(_, numbers)| numbers).collect())
            }
        };
        Some(LiteralSet { shortest, search })
    }

    /// Reports the numbers of every literal within a text, some of them more than once. `lower` is a buffer for a copy.
    #[inline]
    pub fn search(&self, text: &[u8], lower: &mut Vec<u8>, report: impl FnMut(usize)) {
        if text.len() < self.shortest {
            return;
        }
        if matches!(self.search, Search::Few(_)) {
            return self.search_prepared(text, report);
        }
        lower.clear();
        lower.extend_from_slice(text);
        lower.make_ascii_lowercase();
        self.search_prepared(lower, report);
    }

    /// The same for a text that [`prepare`] made.
    #[inline]
    pub fn search_prepared(&self, prepared: &[u8], mut report: impl FnMut(usize)) {
        match &self.search {
            Search::Few(few) => {
                for (single, numbers) in few {
                    if single.within(prepared) {
                        numbers.iter().copied().for_each(&mut report);
                    }
                }
            }
            Search::Chunks(chunks) => chunks.iter().for_each(|chunk| chunk.search(prepared, &mut report)),
            Search::Automaton(automaton, all) => {
                for found in automaton.find_overlapping_iter(prepared) {
                    let numbers = all.get(found.pattern().as_usize());
                    numbers.into_iter().flatten().copied().for_each(&mut report);
                }
            }
        }
    }

    /// Whether any of the literals is within a prepared text.
    pub fn any_within(&self, prepared: &[u8]) -> bool {
        match &self.search {
            Search::Few(few) => few.iter().any(|(single, _)| single.within(prepared)),
            Search::Chunks(chunks) => chunks.iter().any(|chunk| chunk.searcher.find(prepared).is_some()),
            Search::Automaton(automaton, _) => automaton.is_match(prepared),
        }
    }
}

impl Chunk {
    fn new(literals: &[(Vec<u8>, Vec<usize>)]) -> Option<Chunk> {
        // The longest first: of several at one place, the searcher finds the first.
        let texts = || literals.iter().rev().map(|(text, _)| text);
        let config = packed::Config::new().match_kind(packed::MatchKind::LeftmostFirst).to_owned();
        let searcher = config.builder().extend(texts()).build()?;
        let begun_by = |text: &Vec<u8>| {
            let begin = literals.iter().filter(|(other, _)| text.starts_with(other));
            begin.flat_map(|(_, numbers)| numbers.iter().copied()).collect()
        };
        Some(Chunk { searcher, numbers: texts().map(begun_by).collect() })
    }

    #[inline]
    fn search(&self, prepared: &[u8], report: &mut impl FnMut(usize)) {
        let mut rest = Span::from(0..prepared.len());
        while let Some(found) = self.searcher.find_in(prepared, rest) {
            let numbers = self.numbers.get(found.pattern().as_usize());
            numbers.into_iter().flatten().copied().for_each(&mut *report);
            rest.start = found.start() + 1;
        }
    }
}

/// Drops the numbers that a shorter literal within a longer one reports as well, and literals left without any.
fn without_implied(literals: &[(Vec<u8>, Vec<usize>)]) -> Vec<(Vec<u8>, Vec<usize>)> {
    let implied = |text: &Vec<u8>, number: usize| {
        literals.iter().any(|(other, numbers)| {
            other.len() < text.len() && numbers.contains(&number) && memchr::memmem::find(text, other).is_some()
        })
    };
    let kept = literals.iter().map(|(text, numbers)| {
        let kept: Vec<usize> = numbers.iter().copied().filter(|n| !implied(text, *n)).collect();
        (text.clone(), kept)
    });
    kept.filter(|(_, numbers)| !numbers.is_empty()).collect()
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
        for count in [1, 2, 3, 500] {
            let many: Vec<_> = (0..count).map(|n| (format!("word{n:04}").into_bytes(), vec![n])).collect();
            let set = LiteralSet::new(&many).unwrap();
            let mut out = Vec::new();
            set.search(b"xx wOrd0000 WORD0499", &mut Vec::new(), |n| out.push(n));
            out.sort_unstable();
            assert_eq!(out, if count == 500 { vec![0, 499] } else { vec![0] });
            assert!(set.any_within(b"xx word0000") && !set.any_within(b"xx word000 0"));
        }
        assert!(LiteralSet::new(&[(Vec::new(), vec![1])]).is_none());
    }

    #[test]
    fn literals_at_one_place_and_within_each_other_are_all_reported() {
        let words = ["cmd", "cmd.exe", "cmd.exe/c", "md.e", "exe/", "mdx"];
        let set = LiteralSet::new(
            &words.iter().enumerate().map(|(n, w)| (w.as_bytes().to_vec(), vec![n])).collect::<Vec<_>>(),
        );
        let found = |text: &str| {
            let mut out = std::collections::BTreeSet::new();
            set.as_ref().unwrap().search_prepared(text.as_bytes(), |n| {
                out.insert(n);
            });
            out.into_iter().collect::<Vec<_>>()
        };
        assert_eq!(found("a cmd.exe/c b"), [0, 1, 2, 3, 4]);
        assert_eq!(found("cmdx"), [0, 5]);
        assert_eq!(found("cm"), [0; 0]);
        // What a shorter literal reports anyway need not be searched for again.
        let same = without_implied(&[(b"cmd".to_vec(), vec![1]), (b"cmd.exe".to_vec(), vec![1, 2])]);
        assert_eq!(same, [(b"cmd".to_vec(), vec![1]), (b"cmd.exe".to_vec(), vec![2])]);
    }
}
