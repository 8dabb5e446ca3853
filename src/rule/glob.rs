//! Wildcard patterns over a whole text: `*` is any run of characters, `?` is any one character.
//!
//! Matching takes steps in proportion to pattern times text at worst, never recurses and never allocates.

use super::text::Literal;
use std::fmt;

/// A part of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// These characters.
    Text(String),
    /// `*`: any run of characters, none too.
    Any,
    /// `?`: one character.
    One,
}

/// A pattern, compiled.
#[derive(Clone)]
pub struct Glob {
    tokens: Box<[Token]>,
    case: bool,
    /// Its longest text: what every text that passes has.
    longest: Option<Literal>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    Byte(u8),
    One,
    Any,
}

impl Glob {
    /// Compiles a pattern; `case` says whether case counts. `None` where case does not count and a letter is not ASCII: that is
    /// left to a regular expression.
    pub fn new(parts: &[Part], case: bool) -> Option<Glob> {
        let mut tokens = Vec::new();
        let mut longest: Option<&str> = None;
        for part in parts {
            match part {
                Part::Any if tokens.last() == Some(&Token::Any) => {}
                Part::Any => tokens.push(Token::Any),
                Part::One => tokens.push(Token::One),
                Part::Text(text) => {
                    if !case && !text.is_ascii() {
                        return None;
                    }
                    let fold = |b: u8| if case { b } else { b.to_ascii_lowercase() };
                    tokens.extend(text.bytes().map(|b| Token::Byte(fold(b))));
                    longest = longest.filter(|l| l.len() >= text.len()).or(Some(text));
                }
            }
        }
        Some(Glob { tokens: tokens.into(), case, longest: longest.map(|text| Literal::new(text, case)) })
    }

    /// The longest text of the pattern, which is a part of every text that passes.
    pub fn longest(&self) -> Option<&Literal> {
        self.longest.as_ref()
    }

    /// Whether the whole text matches.
    pub fn holds(&self, text: &[u8]) -> bool {
        let (mut at, mut token) = (0, 0);
        // Where to go on when what follows the last `*` does not fit: the token after it, and the next place to try.
        let mut again: Option<(usize, usize)> = None;
        while let Some(&byte) = text.get(at) {
            match self.tokens.get(token) {
                Some(Token::Any) => {
                    token += 1;
                    again = Some((token, at));
                    continue;
                }
                Some(Token::One) => {
                    at += char_len(text, at);
                    token += 1;
                    continue;
                }
                Some(Token::Byte(b)) if *b == if self.case { byte } else { byte.to_ascii_lowercase() } => {
                    at += 1;
                    token += 1;
                    continue;
                }
                _ => {}
            }
            let Some((after, tried)) = again else { return false };
            let next = tried + char_len(text, tried);
            (at, token, again) = (next, after, Some((after, next)));
        }
        self.tokens.get(token..).unwrap_or_default().iter().all(|t| *t == Token::Any)
    }
}

/// Bytes of the character that begins at a place.
fn char_len(text: &[u8], at: usize) -> usize {
    let rest = text.get(at + 1..).unwrap_or_default();
    1 + rest.iter().take_while(|b| **b & 0xC0 == 0x80).count()
}

/// The pattern as written; texts with `*` or `?` of their own look like wildcards.
impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes: Vec<u8> = self
            .tokens
            .iter()
            .map(|token| match token {
                Token::Byte(b) => *b,
                Token::One => b'?',
                Token::Any => b'*',
            })
            .collect();
        f.write_str(&String::from_utf8_lossy(&bytes))
    }
}

/// Says everything that makes a difference.
impl fmt::Debug for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Glob({:?}, {})", self.tokens, self.case)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parts(pattern: &str) -> Vec<Part> {
        let part = |c: char| match c {
            '*' => Part::Any,
            '?' => Part::One,
            c => Part::Text(c.into()),
        };
        pattern.chars().map(part).collect()
    }

    /// The same by the definition: recursion over characters.
    fn plain(pattern: &[char], text: &[char]) -> bool {
        match (pattern.split_first(), text.split_first()) {
            (None, None) => true,
            (Some(('*', rest)), _) => {
                plain(rest, text) || text.split_first().is_some_and(|(_, tail)| plain(pattern, tail))
            }
            (Some(('?', rest)), Some((_, tail))) => plain(rest, tail),
            (Some((p, rest)), Some((t, tail))) => p.eq_ignore_ascii_case(t) && plain(rest, tail),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn patterns_match_as_their_definition_says(pattern in "[ab*?]{0,8}", text in "[abABé]{0,10}") {
            let glob = Glob::new(&parts(&pattern), false).unwrap();
            let wanted = plain(&pattern.chars().collect::<Vec<_>>(), &text.chars().collect::<Vec<_>>());
            prop_assert_eq!(glob.holds(text.as_bytes()), wanted, "{} on {}", pattern, text);
        }
    }

    #[test]
    fn case_counts_where_it_is_told_to_and_the_longest_text_is_known() {
        let pattern = [Part::Text("Ab".into()), Part::Any, Part::Text("cde".into())];
        assert!(Glob::new(&pattern, false).unwrap().holds(b"aBxxCDE"));
        assert!(!Glob::new(&pattern, true).unwrap().holds(b"aBxxCDE"));
        let glob = Glob::new(&pattern, true).unwrap();
        assert!(glob.holds(b"Abcde") && !glob.holds(b"Abcdef"));
        assert_eq!(glob.longest().map(|l| &*l.text), Some("cde"));
        assert!(Glob::new(&[Part::Text("é".into())], false).is_none());
        assert_eq!(glob.to_string(), "Ab*cde");
    }
}
