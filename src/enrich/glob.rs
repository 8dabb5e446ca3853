//! Patterns for one name: `*` stands for any run of characters, `?` for one. Compared with lower-case names.
//!
//! Never a regular expression, never over more than one path component. `?` does not stand for a literal `*`, so that a
//! name in which `*` already replaced something is not matched by what the original escaped.

/// One pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob {
    text: Box<[u8]>,
}

impl Glob {
    /// Takes a pattern, any case.
    pub fn new(pattern: &str) -> Glob {
        Glob { text: super::case::lower(pattern.as_bytes()).into() }
    }

    /// The pattern, lower-case.
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// Whether the whole name matches. Linear for ordinary patterns, at worst pattern times name.
    pub fn matches(&self, name: &[u8]) -> bool {
        let (mut pattern, mut rest) = (self.text.as_ref(), name);
        // Where to go on when what follows the last `*` does not fit: the star takes one byte more.
        let mut retry: Option<(&[u8], &[u8])> = None;
        loop {
            match (pattern.split_first(), rest.split_first()) {
                (None, None) => return true,
                (Some((b'*', after)), _) => {
                    retry = Some((after, rest));
                    pattern = after;
                    continue;
                }
                (Some((b'?', after)), Some((b, tail))) if *b != b'*' => {
                    pattern = after;
                    rest = skip_continuation(tail);
                    continue;
                }
                (Some((p, after)), Some((b, tail))) if p == b && *p != b'?' => {
                    (pattern, rest) = (after, tail);
                    continue;
                }
                _ => {}
            }
            match retry {
                Some((after, [_, tail @ ..])) => {
                    retry = Some((after, tail));
                    (pattern, rest) = (after, tail);
                }
                _ => return false,
            }
        }
    }
}

/// Several patterns, with a quick way to say no.
#[derive(Clone, Debug, Default)]
pub(super) struct Globs {
    /// For each first byte of a name, the patterns that can match it, in order of precedence. Empty: no patterns.
    by_first: Vec<Vec<Glob>>,
}

impl Globs {
    /// Takes patterns, in order of precedence.
    pub fn new(globs: Vec<Glob>) -> Globs {
        let can_begin = |glob: &Glob, b: u8| match glob.text.first() {
            Some(b'*' | b'?') => true,
            first => first == Some(&b),
        };
        let list = |b: u8| globs.iter().filter(|g| can_begin(g, b)).cloned().collect();
        Globs { by_first: (0..=u8::MAX).map(list).collect() }
    }

    /// The first pattern that the whole name matches.
    #[inline]
    pub fn find(&self, name: &[u8]) -> Option<&Glob> {
        let candidates = self.by_first.get(usize::from(*name.first()?))?;
        candidates.iter().find(|g| g.matches(name))
    }
}

fn skip_continuation(mut rest: &[u8]) -> &[u8] {
    while let [b, tail @ ..] = rest
        && b & 0xc0 == 0x80
    {
        rest = tail;
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_and_question_marks_match_whole_names() {
        for (pattern, name, wanted) in [
            ("is-*.tmp", "is-4q7ab.tmp", true),
            ("is-*.tmp", "is-.tmp", true),
            ("is-*.tmp", "is-x.tmp.exe", false),
            ("is-*.tmp", "xis-1.tmp", false),
            ("ns?????.tmp", "nsa1b2c.tmp", true),
            ("ns?????.tmp", "nsa1b2.tmp", false),
            ("ns?????.tmp", "nsäbcde.tmp", true),
            ("7z*", "7z", true),
            ("*a*b", "xaxxab", true),
            ("*a*b", "xaxxabc", false),
            ("*", "", true),
            ("?", "", false),
            ("", "", true),
            ("", "a", false),
            ("RAR$*", "rar$exa0.123", true),
            ("un_?.exe", "un_?.exe", true),
            ("un_?.exe", "un_*.exe", false),
            ("msi*.tmp", "msi*.tmp", true),
        ] {
            assert_eq!(Glob::new(pattern).matches(name.as_bytes()), wanted, "{pattern} {name}");
        }
    }

    #[test]
    fn the_first_pattern_of_a_list_wins() {
        let globs = Globs::new(vec![Glob::new("ab*"), Glob::new("a*")]);
        assert_eq!(globs.find(b"abc").unwrap().text(), b"ab*");
        assert_eq!(globs.find(b"acc").unwrap().text(), b"a*");
        assert_eq!(globs.find(b"b"), None);
        assert_eq!(globs.find(b""), None);
        assert!(Globs::new(vec![Glob::new("*z")]).find(b"xyz").is_some());
    }
}
