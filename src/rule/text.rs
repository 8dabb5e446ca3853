//! Comparisons of one text: what a field, token, argument or switch value is tested with.
//!
//! Without regard to case unless told otherwise: ASCII letters for ASCII literals, Unicode lower case for others. The
//! only module that names the regex crate. Never allocates while comparing.

use super::glob::{Glob, Part};
use super::literals::{AnyOf, Single};
use super::network::Network;
use super::required;
use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

/// Largest compiled size of one regex, bytes.
const REGEX_SIZE: usize = 1 << 20;
/// Literals of one `contains` from which an automaton is worth its memory.
const AUTOMATON_FROM: usize = 4;

/// Tests that one text must pass, all of them.
#[derive(Clone, Debug)]
pub struct TextTest {
    /// The tests.
    pub ops: Vec<TextOp>,
}

/// One comparison; lists mean "any of".
#[derive(Clone)]
pub enum TextOp {
    /// The whole text.
    Equals(Vec<Literal>),
    /// A part of the text.
    Contains(Needles),
    /// The beginning of the text.
    StartsWith(Vec<Literal>),
    /// The end of the text.
    EndsWith(Vec<Literal>),
    /// What follows the last `\` or `/`.
    PathComponent(Vec<Literal>),
    /// A pattern with `*` and `?` over the whole text.
    Glob(Patterns),
    /// A regular expression, unanchored.
    Regex(Box<Regex>),
    /// An address of one of the networks.
    Within(Vec<Network>),
    /// An entry of a table: its name and its entries in lower case.
    InTable(String, Arc<HashSet<Vec<u8>>>),
    /// A path of the form `\\server\…` (or `\\?\UNC\…`); device paths are none.
    Unc,
}

/// A literal and how it is compared.
#[derive(Clone, Debug)]
pub struct Literal {
    /// The literal; in lower case unless case counts.
    pub text: Box<str>,
    fold: Fold,
    /// How it is found within a text; for ASCII case alone.
    within: Option<Single>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fold {
    Exact,
    Ascii,
    Unicode,
}

/// A regular expression.
#[derive(Clone)]
pub struct Regex {
    regex: regex::bytes::Regex,
    case: bool,
    /// Literals of which every match has one; empty when there are none.
    required: Vec<Literal>,
}

/// Wildcard patterns.
#[derive(Clone, Debug)]
pub struct Patterns {
    /// The patterns.
    pub globs: Vec<Glob>,
    /// The longest text of each; empty when one has none.
    required: Vec<Literal>,
}

impl Patterns {
    /// Of these patterns.
    pub fn new(globs: Vec<Glob>) -> Patterns {
        let required = globs.iter().map(|g| g.longest().cloned()).collect::<Option<_>>().unwrap_or_default();
        Patterns { globs, required }
    }
}

/// The literals of a `contains`.
#[derive(Clone)]
pub struct Needles {
    /// The literals.
    pub literals: Vec<Literal>,
    /// Of the literals that are compared by ASCII case alone, where they are many.
    automaton: Option<Arc<AnyOf>>,
    /// Whether some are compared by Unicode case.
    folds_unicode: bool,
}

impl TextTest {
    /// A test for equality with any of the literals.
    pub fn equals<'a>(literals: impl IntoIterator<Item = &'a str>, case: bool) -> TextTest {
        TextTest { ops: vec![TextOp::Equals(Literal::list(literals, case))] }
    }

    /// Whether the text passes.
    #[inline]
    pub fn holds(&self, text: &[u8]) -> bool {
        self.ops.iter().all(|op| op.holds(text))
    }

    /// How dear it is to ask, in rough multiples of one comparison.
    pub fn cost(&self) -> u32 {
        self.ops.iter().map(TextOp::cost).sum()
    }

    /// The literals of which one must occur in every text that passes, with the fewest and longest; `None` if there are none.
    pub fn required(&self) -> impl Iterator<Item = &[Literal]> {
        self.ops.iter().filter_map(|op| match op {
            TextOp::Equals(l) | TextOp::StartsWith(l) | TextOp::EndsWith(l) | TextOp::PathComponent(l) => {
                Some(l.as_slice())
            }
            TextOp::Contains(n) => Some(n.literals.as_slice()),
            TextOp::Regex(regex) => Some(regex.required.as_slice()).filter(|r| !r.is_empty()),
            TextOp::Glob(patterns) => Some(patterns.required.as_slice()).filter(|r| !r.is_empty()),
            TextOp::Within(_) | TextOp::InTable(..) | TextOp::Unc => None,
        })
    }
}

impl TextOp {
    /// Compiles a regular expression with bounded memory.
    ///
    /// # Errors
    /// A sentence that says what is wrong with it.
    pub fn regex(pattern: &str, case: bool) -> Result<TextOp, String> {
        TextOp::regex_of(pattern, case, true)
    }

    /// The same with `\w`, `\d`, `\s`, `.` and case for ASCII alone, where it would else be too large: the classes of PCRE.
    ///
    /// # Errors
    /// A sentence that says what is wrong with it.
    pub fn pcre(pattern: &str, case: bool) -> Result<TextOp, String> {
        TextOp::regex_of(pattern, case, true)
            .or_else(|message| TextOp::regex_of(pattern, case, false).map_err(|_| message))
    }

    fn regex_of(pattern: &str, case: bool, unicode: bool) -> Result<TextOp, String> {
        let required = required::of(pattern, !case).unwrap_or_default();
        regex::bytes::RegexBuilder::new(pattern)
            .unicode(unicode)
            .case_insensitive(!case)
            .size_limit(REGEX_SIZE)
            .dfa_size_limit(REGEX_SIZE)
            .build()
            .map(|regex| {
                let required = Literal::list(required.iter().map(String::as_str), false);
                TextOp::Regex(Box::new(Regex { regex, case, required }))
            })
            .map_err(|e| match e {
                regex::Error::CompiledTooBig(_) => {
                    format!("regex {pattern:?} needs more than {REGEX_SIZE} bytes compiled; make it smaller")
                }
                other => {
                    let text = other.to_string();
                    let last = text.lines().last().unwrap_or_default();
                    format!("regex {pattern:?} is not valid: {}", last.trim_start_matches("error: "))
                }
            })
    }

    /// A wildcard pattern without regard to case as a regular expression: for letters that are not ASCII.
    ///
    /// # Errors
    /// A sentence that says what is wrong with it.
    pub fn like(parts: &[Part]) -> Result<TextOp, String> {
        let mut pattern = String::from("(?s)^");
        for part in parts {
            match part {
                Part::Any => pattern.push_str(".*"),
                Part::One => pattern.push('.'),
                Part::Text(text) => pattern.push_str(&regex::escape(text)),
            }
        }
        pattern.push('$');
        TextOp::regex(&pattern, false)
    }

    /// Whether the text passes.
    pub fn holds(&self, text: &[u8]) -> bool {
        match self {
            TextOp::Equals(list) => list.iter().any(|l| l.equals(text)),
            TextOp::Contains(needles) => needles.within(text),
            TextOp::StartsWith(list) => list.iter().any(|l| l.begins(text)),
            TextOp::EndsWith(list) => list.iter().any(|l| l.ends(text)),
            TextOp::PathComponent(list) => {
                let last = last_component(text);
                list.iter().any(|l| l.equals(last))
            }
            TextOp::Glob(patterns) => patterns.globs.iter().any(|g| g.holds(text)),
            TextOp::Regex(regex) => regex.regex.is_match(text),
            TextOp::Within(networks) => networks.iter().any(|n| n.holds(text)),
            TextOp::InTable(_, entries) => in_table(entries, text),
            TextOp::Unc => is_unc(text),
        }
    }

    fn cost(&self) -> u32 {
        match self {
            TextOp::Equals(_) | TextOp::StartsWith(_) | TextOp::EndsWith(_) | TextOp::Unc => 1,
            TextOp::PathComponent(_) | TextOp::InTable(..) => 2,
            TextOp::Contains(_) | TextOp::Within(_) => 6,
            TextOp::Glob(_) => 8,
            TextOp::Regex(_) => 12,
        }
    }
}

/// What follows the last `\` or `/`.
pub fn last_component(path: &[u8]) -> &[u8] {
    match memchr::memrchr2(b'\\', b'/', path) {
        Some(at) => path.get(at + 1..).unwrap_or_default(),
        None => path,
    }
}

/// Whether a path names a share: `\\server\…` or `\\?\UNC\server\…`, but not a device or a local `\\?\C:\…`.
fn is_unc(path: &[u8]) -> bool {
    let Some(rest) = path.strip_prefix(b"\\\\") else { return false };
    match rest {
        [b'?' | b'.', b'\\', tail @ ..] => tail.get(..4).is_some_and(|t| t.eq_ignore_ascii_case(b"unc\\")),
        [b'\\' | b'/', ..] | [] => false,
        _ => true,
    }
}

fn in_table(entries: &HashSet<Vec<u8>>, text: &[u8]) -> bool {
    let mut lower = [0_u8; 256];
    match lower.get_mut(..text.len()) {
        Some(slot) if text.is_ascii() => {
            slot.copy_from_slice(text);
            slot.make_ascii_lowercase();
            entries.contains(&*slot)
        }
        // Over-long or not ASCII: rare enough for a copy.
        _ => entries.contains(String::from_utf8_lossy(text).to_lowercase().as_bytes()),
    }
}

impl Literal {
    /// A literal; `case` says whether case counts.
    pub fn new(text: &str, case: bool) -> Literal {
        let fold = match (case, text.chars().all(|c| c.is_ascii() || has_no_case(c))) {
            (true, _) => Fold::Exact,
            (false, true) => Fold::Ascii,
            (false, false) => Fold::Unicode,
        };
        let text: Box<str> = if case { text.into() } else { text.to_lowercase().into() };
        let within = if fold == Fold::Ascii { Single::new(text.as_bytes()) } else { None };
        Literal { text, fold, within }
    }

    /// A list of literals.
    pub fn list<'a>(texts: impl IntoIterator<Item = &'a str>, case: bool) -> Vec<Literal> {
        texts.into_iter().map(|t| Literal::new(t, case)).collect()
    }

    /// Whether only this literal's own bytes, in either case, can match it: false where Unicode folding takes part.
    pub fn is_plain(&self) -> bool {
        self.fold != Fold::Unicode
    }

    /// Whether the text is this literal.
    #[inline]
    pub fn equals(&self, text: &[u8]) -> bool {
        let own = self.text.as_bytes();
        match self.fold {
            Fold::Exact => own == text,
            Fold::Ascii => own.len() == text.len() && own.eq_ignore_ascii_case(text),
            Fold::Unicode => self.text.chars().eq(lower_chars(text)),
        }
    }

    fn begins(&self, text: &[u8]) -> bool {
        let own = self.text.as_bytes();
        match self.fold {
            Fold::Exact => text.starts_with(own),
            Fold::Ascii => text.get(..own.len()).is_some_and(|head| head.eq_ignore_ascii_case(own)),
            Fold::Unicode => {
                // No more characters than the literal has, of at most 4 bytes each.
                let mut chars = lower_chars(text.get(..4 * own.len()).unwrap_or(text));
                self.text.chars().all(|c| chars.next() == Some(c))
            }
        }
    }

    fn ends(&self, text: &[u8]) -> bool {
        let own = self.text.as_bytes();
        let tail = || text.len().checked_sub(own.len()).and_then(|from| text.get(from..));
        match self.fold {
            Fold::Exact => text.ends_with(own),
            Fold::Ascii => tail().is_some_and(|t| t.eq_ignore_ascii_case(own)),
            // Lower case may differ in length, by a factor of at most 3.
            Fold::Unicode => starts(text, text.len().saturating_sub(3 * own.len())).any(|rest| self.equals(rest)),
        }
    }

    fn within(&self, text: &[u8]) -> bool {
        let own = self.text.as_bytes();
        match self.fold {
            Fold::Exact => memchr::memmem::find(text, own).is_some(),
            // An empty one is within every text.
            Fold::Ascii => self.within.as_ref().is_none_or(|single| single.within(text)),
            Fold::Unicode => starts(text, 0).any(|rest| self.begins(rest)),
        }
    }
}

/// Whether a character is its own lower and upper case, as a dash is.
fn has_no_case(c: char) -> bool {
    c.to_lowercase().eq([c]) && c.to_uppercase().eq([c])
}

/// The suffixes of a text that begin at a character, from an offset on.
fn starts(text: &[u8], from: usize) -> impl Iterator<Item = &[u8]> {
    (from..text.len()).filter_map(|at| text.get(at..).filter(|rest| rest.first().is_some_and(|b| b & 0xC0 != 0x80)))
}

fn lower_chars(text: &[u8]) -> impl Iterator<Item = char> {
    text.utf8_chunks().flat_map(|chunk| chunk.valid().chars()).flat_map(char::to_lowercase)
}

impl Needles {
    /// The literals of a `contains`.
    pub fn new<'a>(texts: impl IntoIterator<Item = &'a str>, case: bool) -> Needles {
        let literals = Literal::list(texts, case);
        let plain = || literals.iter().filter(|l| l.is_plain());
        let automaton = if plain().count() >= AUTOMATON_FROM {
            AnyOf::new(plain().map(|l| l.text.as_bytes()), case).map(Arc::new)
        } else {
            None
        };
        let folds_unicode = literals.iter().any(|l| !l.is_plain());
        Needles { literals, automaton, folds_unicode }
    }

    fn within(&self, text: &[u8]) -> bool {
        let plain = match &self.automaton {
            Some(automaton) => automaton.within(text),
            None => self.literals.iter().any(|l| l.is_plain() && l.within(text)),
        };
        // A letter that is not ASCII is the lower case of none that is: most texts need no second look.
        plain
            || (self.folds_unicode && !text.is_ascii() && self.literals.iter().any(|l| !l.is_plain() && l.within(text)))
    }
}

/// The test in words: `equals certutil`, `contains any of a, b`.
impl fmt::Display for TextTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, op) in self.ops.iter().enumerate() {
            if i > 0 {
                f.write_str(" and ")?;
            }
            write!(f, "{op}")?;
        }
        Ok(())
    }
}

impl fmt::Display for TextOp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TextOp::Equals(list) => words(f, "equals", list),
            TextOp::Contains(needles) => words(f, "contains", &needles.literals),
            TextOp::StartsWith(list) => words(f, "starts with", list),
            TextOp::EndsWith(list) => words(f, "ends with", list),
            TextOp::PathComponent(list) => words(f, "has the last path component", list),
            TextOp::Glob(patterns) => many(f, "is like", &patterns.globs),
            TextOp::Regex(regex) => write!(f, "matches {}", regex.regex.as_str()),
            TextOp::Within(networks) => many(f, "is an address in", networks),
            TextOp::InTable(name, _) => write!(f, "is in table {name}"),
            TextOp::Unc => f.write_str("is a UNC path"),
        }
    }
}

/// Says everything that makes a difference: two tests that print alike are alike.
impl fmt::Debug for TextOp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, list) = match self {
            TextOp::Equals(list) => ("Equals", list),
            TextOp::Contains(needles) => ("Contains", &needles.literals),
            TextOp::StartsWith(list) => ("StartsWith", list),
            TextOp::EndsWith(list) => ("EndsWith", list),
            TextOp::PathComponent(list) => ("PathComponent", list),
            TextOp::Glob(patterns) => return write!(f, "Like({:?})", patterns.globs),
            TextOp::Regex(regex) => return write!(f, "Regex({:?}, {})", regex.regex.as_str(), regex.case),
            TextOp::Within(networks) => return write!(f, "Within({networks:?})"),
            TextOp::InTable(name, _) => return write!(f, "InTable({name:?})"),
            TextOp::Unc => return f.write_str("Unc"),
        };
        f.debug_tuple(name).field(list).finish()
    }
}

fn many(f: &mut fmt::Formatter<'_>, verb: &str, list: &[impl fmt::Display]) -> fmt::Result {
    f.write_str(verb)?;
    if list.len() > 1 {
        f.write_str(" any of")?;
    }
    for (i, member) in list.iter().enumerate() {
        write!(f, "{} {member}", if i == 0 { "" } else { "," })?;
    }
    Ok(())
}

fn words(f: &mut fmt::Formatter<'_>, verb: &str, list: &[Literal]) -> fmt::Result {
    f.write_str(verb)?;
    if list.len() > 1 {
        f.write_str(" any of")?;
    }
    for (i, literal) in list.iter().enumerate() {
        f.write_str(if i == 0 { " " } else { ", " })?;
        if literal.text.is_empty() || literal.text.contains([' ', ',']) {
            write!(f, "\"{}\"", literal.text)?;
        } else {
            f.write_str(&literal.text)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comparisons_ignore_case_unless_told_otherwise_and_are_exact_about_the_rest() {
        let many = ["alpha", "beta", "gamma", "straße"];
        let cases: &[(TextOp, &str, bool)] = &[
            (TextOp::Equals(Literal::list(["CertUtil"], false)), "CERTUTIL", true),
            (TextOp::Equals(Literal::list(["CertUtil"], true)), "CERTUTIL", false),
            (TextOp::Equals(Literal::list(["a"], false)), "ab", false),
            (TextOp::Equals(Literal::list(["Übertragung"], false)), "ÜBERTRAGUNG", true),
            (TextOp::StartsWith(Literal::list(["s:"], false)), "S:up.txt", true),
            (TextOp::StartsWith(Literal::list(["s:"], false)), "xs:", false),
            (TextOp::EndsWith(Literal::list([r"\a.exe"], false)), r"C:\A.EXE", true),
            (TextOp::EndsWith(Literal::list(["größe"], false)), "DIE GRÖßE", true),
            (TextOp::EndsWith(Literal::list(["größe"], false)), "GRÖßEN", false),
            (TextOp::Contains(Needles::new(many, false)), "xxGAMMAxx", true),
            (TextOp::Contains(Needles::new(["alpha", "beta", "gamma", "delta"], false)), "xDELTAx", true),
            (TextOp::Contains(Needles::new(["alpha", "beta", "gamma", "delta"], true)), "xDELTAx", false),
            (TextOp::Contains(Needles::new(["ftp://"], false)), "xFTP:/FTP://", true),
            (TextOp::Contains(Needles::new([" –Enc", "größe"], false)), "x –eNC", true),
            (TextOp::StartsWith(Literal::list(["ﬃx"], false)), "ﬃX", true),
            (TextOp::Contains(Needles::new([""], false)), "", true),
            (TextOp::PathComponent(Literal::list(["1.7z"], false)), r"C:/x\1.7Z", true),
            (TextOp::PathComponent(Literal::list(["1.7z"], false)), r"C:\11.7z", false),
            (TextOp::Unc, r"\\server\share", true),
            (TextOp::Unc, r"\\?\UNC\server\share", true),
            (TextOp::Unc, r"\\?\C:\x", false),
            (TextOp::Unc, r"\\.\pipe\x", false),
            (TextOp::Unc, r"C:\x", false),
            (TextOp::Unc, r"\\", false),
            (TextOp::regex("^a+$", false).unwrap(), "AAA", true),
            (TextOp::regex("^a+$", true).unwrap(), "AAA", false),
            (
                TextOp::InTable("t".into(), Arc::new([b"ngrok".to_vec(), "übel".into()].into_iter().collect())),
                "NGROK",
                true,
            ),
            (TextOp::InTable("t".into(), Arc::new(["übel".into()].into_iter().collect())), "ÜBEL", true),
            (TextOp::InTable("t".into(), Arc::new(["x".into()].into_iter().collect())), "y", false),
        ];
        for (op, text, wanted) in cases {
            assert_eq!(op.holds(text.as_bytes()), *wanted, "{op} on {text}");
        }
    }

    #[test]
    fn a_bad_or_huge_regex_is_a_sentence() {
        assert_eq!(TextOp::regex("a(", false).err().unwrap(), "regex \"a(\" is not valid: unclosed group");
        let huge = TextOp::regex(r"\w{1000}{50}", false).err().unwrap();
        assert!(huge.contains("make it smaller"), "{huge}");
    }
}
