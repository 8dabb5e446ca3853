//! Literals of which a regular expression needs one: what its matches are found by before it is run.
//!
//! The only module that names regex-syntax. Sound, never exact: a text without any of the literals, compared in ASCII lower
//! case, cannot match; one with them need not.

use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Class, Hir, HirKind};

/// Literals beyond which a list is not worth its search.
const MOST: usize = 64;

/// Literals in lower case, of which every match has one; `None` when there are none.
pub fn of(pattern: &str, case_insensitive: bool) -> Option<Vec<String>> {
    let hir = ParserBuilder::new().case_insensitive(case_insensitive).utf8(false).build().parse(pattern).ok()?;
    let found = walk(&hir);
    let best = found.best.or(found.exact.map(|text| vec![text]))?;
    (best.len() <= MOST && best.iter().all(|text| !text.is_empty())).then_some(best)
}

/// What a part of an expression needs.
#[derive(Default)]
struct Needs {
    /// The only text that it matches, in lower case.
    exact: Option<String>,
    /// Texts of which each of its matches has one.
    best: Option<Vec<String>>,
}

impl Needs {
    fn exactly(text: impl Into<String>) -> Needs {
        Needs { exact: Some(text.into()), best: None }
    }

    /// As a list, however it is known.
    fn list(self) -> Option<Vec<String>> {
        self.best.or(self.exact.filter(|text| !text.is_empty()).map(|text| vec![text]))
    }
}

fn walk(hir: &Hir) -> Needs {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => Needs::exactly(""),
        HirKind::Literal(literal) if literal.0.is_ascii() => {
            Needs::exactly(String::from_utf8_lossy(&literal.0).to_ascii_lowercase())
        }
        HirKind::Literal(_) => Needs::default(),
        HirKind::Class(class) => one_letter(class).map(|c| Needs::exactly(c.to_string())).unwrap_or_default(),
        HirKind::Repetition(repetition) if repetition.min > 0 => {
            Needs { exact: None, best: walk(&repetition.sub).list() }
        }
        HirKind::Repetition(_) => Needs::default(),
        HirKind::Capture(capture) => walk(&capture.sub),
        HirKind::Concat(parts) => concat(parts),
        HirKind::Alternation(parts) => {
            let lists: Option<Vec<Vec<String>>> = parts.iter().map(|part| walk(part).list()).collect();
            Needs { exact: None, best: lists.map(|lists| lists.concat()).filter(|all| all.len() <= MOST) }
        }
    }
}

/// Neighbours that are known exactly are one text; the best text or list of all is needed.
fn concat(parts: &[Hir]) -> Needs {
    let (mut run, mut whole, mut lists) = (String::new(), true, Vec::new());
    for part in parts {
        let needs = walk(part);
        match needs.exact {
            Some(text) => run.push_str(&text),
            None => {
                whole = false;
                lists.extend(needs.best);
                lists.push(vec![std::mem::take(&mut run)]);
            }
        }
    }
    if whole {
        return Needs::exactly(run);
    }
    lists.push(vec![run]);
    lists.retain(|list| list.iter().all(|text| !text.is_empty()));
    Needs { exact: None, best: lists.into_iter().min_by_key(|list| dear(list)) }
}

/// Short texts are found by chance.
fn dear(list: &[String]) -> usize {
    list.iter().map(|text| 4 + 256 / (text.len() * text.len()).max(1)).sum()
}

/// The letter of a class that holds nothing but its two cases.
fn one_letter(class: &Class) -> Option<char> {
    let Class::Unicode(class) = class else { return None };
    let mut letters = class.iter().flat_map(|range| [range.start(), range.end()]);
    let single = class.iter().all(|range| range.start() == range.end());
    let first = letters.next()?.to_ascii_lowercase();
    (single && first.is_ascii() && letters.all(|c| c.is_ascii() && c.to_ascii_lowercase() == first)).then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_every_match_has_is_found() {
        let cases: &[(&str, bool, &[&str])] = &[
            (r"net\s+view", false, &["view"]),
            (r"[Rr][Uu][Nn]32(?:\.[Ee][Xx][Ee])? x", false, &["run32"]),
            (r"(?i)ipfs\.io/.+", false, &[".io/"]),
            (r"a+|b", false, &["a", "b"]),
            (r"(?:foo|bar)x?", false, &["foo", "bar"]),
            (r"\d{3}", false, &[]),
            (r"x*", false, &[]),
            (r"(?:foo|)", false, &[]),
            (r"^Echo\b", true, &["echo"]),
            (r"^ask$", true, &["a"]), // s and k have other cases that are not ASCII
            (r"größe", false, &[]),
        ];
        for (pattern, fold, wanted) in cases {
            assert_eq!(of(pattern, *fold).unwrap_or_default(), *wanted, "{pattern}");
        }
    }
}
