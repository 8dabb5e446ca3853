//! Finds one member of a JSON object without building anything.
//!
//! Text from a log is often almost JSON: paths with single backslashes, escapes of the line around it, a cut end. A
//! strict scan comes first; where it fails, members are searched for pair by pair. Nothing here rejects a line.

use memchr::{memchr, memmem};

/// Where a scalar stands: offsets within the text, quotes excluded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Scalar {
    pub from: usize,
    pub to: usize,
    /// It was written in quotes and may hold escapes.
    pub quoted: bool,
}

/// The text is not JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Broken;

/// Deeper nesting counts as broken: no producer needs it, and the scan must not exhaust its stack.
const MAX_DEPTH: usize = 32;

/// The scalar at a path of member names; with `deep`, the path may begin in any nested object. `null` is nothing.
///
/// # Errors
/// The text was found broken before the scalar was.
pub(super) fn find(text: &[u8], path: &[Box<[u8]>], deep: bool) -> Result<Option<Scalar>, Broken> {
    let mut scan = Scan { text, at: 0, path, deep };
    scan.blanks();
    if scan.peek() != Some(b'{') {
        return Err(Broken);
    }
    let found = scan.value(Some(0), 0)?;
    scan.blanks();
    if found.is_none() && scan.at < text.len() { Err(Broken) } else { Ok(found) }
}

/// The same in broken text: each name in quotes and a colon after it, in the order of the path.
pub(super) fn find_pair(text: &[u8], path: &[Box<[u8]>]) -> Option<Scalar> {
    let mut at = 0;
    for name in path {
        at = member(text, at, name)?;
    }
    loose_scalar(text, at)
}

struct Scan<'t> {
    text: &'t [u8],
    at: usize,
    path: &'t [Box<[u8]>],
    deep: bool,
}

impl Scan<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn take(&mut self, wanted: u8) -> Result<(), Broken> {
        self.blanks();
        if self.peek() != Some(wanted) {
            return Err(Broken);
        }
        self.at += 1;
        Ok(())
    }

    /// Passes a value. `matched` is how many names of the path lead to it; `None` when it lies off the path.
    fn value(&mut self, matched: Option<usize>, depth: usize) -> Result<Option<Scalar>, Broken> {
        if depth > MAX_DEPTH {
            return Err(Broken);
        }
        self.blanks();
        let wanted = matched == Some(self.path.len());
        let off = if self.deep { Some(0) } else { None };
        match self.peek() {
            Some(b'{') => self.object(if wanted { off } else { matched }, depth),
            Some(b'[') => self.array(off, depth),
            Some(b'"') => {
                let (from, to) = self.string()?;
                Ok(wanted.then_some(Scalar { from, to, quoted: true }))
            }
            _ => {
                let from = self.at;
                self.word()?;
                let null = self.text.get(from..self.at) == Some(b"null");
                Ok((wanted && !null).then_some(Scalar { from, to: self.at, quoted: false }))
            }
        }
    }

    fn object(&mut self, matched: Option<usize>, depth: usize) -> Result<Option<Scalar>, Broken> {
        self.take(b'{')?;
        self.blanks();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(None);
        }
        loop {
            self.blanks();
            let (from, to) = self.string()?;
            self.take(b':')?;
            let name = self.text.get(from..to);
            let next = matched.filter(|n| self.path.get(*n).map(|p| &**p) == name).map(|n| n + 1);
            let next = next.or(if self.deep { Some(0) } else { None });
            if let Some(found) = self.value(next, depth + 1)? {
                return Ok(Some(found));
            }
            self.blanks();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    return Ok(None);
                }
                _ => return Err(Broken),
            }
        }
    }

    fn array(&mut self, matched: Option<usize>, depth: usize) -> Result<Option<Scalar>, Broken> {
        self.take(b'[')?;
        self.blanks();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(None);
        }
        loop {
            if let Some(found) = self.value(matched, depth + 1)? {
                return Ok(Some(found));
            }
            self.blanks();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => {
                    self.at += 1;
                    return Ok(None);
                }
                _ => return Err(Broken),
            }
        }
    }

    /// Passes a string; the answer excludes the quotes.
    fn string(&mut self) -> Result<(usize, usize), Broken> {
        self.take(b'"')?;
        let from = self.at;
        loop {
            match self.peek() {
                None => return Err(Broken),
                Some(b'"') => {
                    self.at += 1;
                    return Ok((from, self.at - 1));
                }
                Some(b'\\') => {
                    match self.text.get(self.at + 1) {
                        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {}
                        Some(b'u') if self.hex4() => {}
                        _ => return Err(Broken),
                    }
                    self.at += 2;
                }
                Some(_) => self.at += 1,
            }
        }
    }

    fn hex4(&self) -> bool {
        self.text.get(self.at + 2..self.at + 6).is_some_and(|d| d.iter().all(u8::is_ascii_hexdigit))
    }

    /// Passes a number, `true`, `false` or `null`.
    fn word(&mut self) -> Result<(), Broken> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let len = rest.iter().take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'+' | b'.')).count();
        let word = rest.get(..len).unwrap_or_default();
        let number = matches!(word.first(), Some(b'-' | b'0'..=b'9'));
        if !number && !matches!(word, b"true" | b"false" | b"null") {
            return Err(Broken);
        }
        self.at += len;
        Ok(())
    }
}

/// The position after `"name" :`, searched from `at`.
fn member(text: &[u8], mut at: usize, name: &[u8]) -> Option<usize> {
    loop {
        let rest = text.get(at..)?;
        let hit = at + memmem::find(rest, name)?;
        let after = hit + name.len();
        at = hit + 1;
        if hit == 0 || text.get(hit - 1) != Some(&b'"') || text.get(after) != Some(&b'"') {
            continue;
        }
        let colon = skip_blanks(text, after + 1);
        if text.get(colon) == Some(&b':') {
            return Some(skip_blanks(text, colon + 1));
        }
    }
}

fn skip_blanks(text: &[u8], at: usize) -> usize {
    at + text.get(at..).unwrap_or_default().iter().take_while(|b| b.is_ascii_whitespace()).count()
}

/// A scalar of broken text. A quote after a backslash ends a string only where a member could end: `"C:\dir\",`.
fn loose_scalar(text: &[u8], from: usize) -> Option<Scalar> {
    let rest = text.get(from..)?;
    match rest.first()? {
        b'"' => {
            let mut at = from + 1;
            loop {
                let quote = at + memchr(b'"', text.get(at..)?)?;
                let escaped = text.get(quote.checked_sub(1)?) == Some(&b'\\') && quote > from + 1;
                let next = text.get(skip_blanks(text, quote + 1));
                if !escaped || matches!(next, None | Some(b',' | b'}' | b']')) {
                    return Some(Scalar { from: from + 1, to: quote, quoted: true });
                }
                at = quote + 1;
            }
        }
        b'{' | b'[' => None,
        _ => {
            let ends = |b: &u8| matches!(b, b',' | b'}' | b']') || b.is_ascii_whitespace();
            let len = rest.iter().position(ends).unwrap_or(rest.len());
            (rest.get(..len)? != b"null").then_some(Scalar { from, to: from + len, quoted: false })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(dotted: &str) -> Vec<Box<[u8]>> {
        dotted.split('.').map(|p| p.as_bytes().into()).collect()
    }

    fn strict(text: &str, dotted: &str, deep: bool) -> Result<Option<String>, Broken> {
        find(text.as_bytes(), &path(dotted), deep).map(|s| s.map(|s| text[s.from..s.to].to_string()))
    }

    #[test]
    fn members_are_found_by_their_path() {
        let text =
            r#" {"a":{"Type":"inner","n":-1.5e3},"list":[1,{"x":true}],"Type" : "outer","z":null,"o":{"p":{"q":7}}} "#;
        let found = |p, deep| strict(text, p, deep).unwrap();
        assert_eq!(found("Type", false).as_deref(), Some("outer"));
        assert_eq!(found("Type", true).as_deref(), Some("inner"));
        assert_eq!(found("a.n", false).as_deref(), Some("-1.5e3"));
        assert_eq!(found("o.p.q", false).as_deref(), Some("7"));
        assert_eq!(found("p.q", false), None);
        assert_eq!(found("p.q", true).as_deref(), Some("7"));
        assert_eq!(found("x", true).as_deref(), Some("true"));
        assert_eq!(found("z", false), None);
        assert_eq!(found("a", false), None);
        assert_eq!(strict("{}", "a", true), Ok(None));
    }

    #[test]
    fn broken_text_is_said_to_be_broken() {
        for text in [
            "",
            "-",
            "[1]",
            "{",
            r#"{"a"}"#,
            r#"{"a":}"#,
            r#"{"a":"C:\x"}"#,
            r#"{"a":1,}"#,
            r#"{"a":1} x"#,
            r#"{"a":tru}"#,
        ] {
            assert_eq!(strict(text, "b", true), Err(Broken), "{text}");
        }
        assert_eq!(strict(&"{\"a\":".repeat(100_000), "b", true), Err(Broken));
        assert_eq!(strict(&format!("{{\"a\":{}", "[".repeat(100_000)), "b", true), Err(Broken));
    }

    #[test]
    fn pairs_of_broken_text_are_found_all_the_same() {
        let loose = |text: &str, p: &str| find_pair(text.as_bytes(), &path(p)).map(|s| text[s.from..s.to].to_string());
        let text = r#"{"Dir":"C:\temp\","Drive":"Removable","Name":"say \"hi\" x","N": 12}"#;
        assert_eq!(loose(text, "Dir").as_deref(), Some(r"C:\temp\"));
        assert_eq!(loose(text, "Drive").as_deref(), Some("Removable"));
        assert_eq!(loose(text, "Name").as_deref(), Some(r#"say \"hi\" x"#));
        assert_eq!(loose(text, "N").as_deref(), Some("12"));
        assert_eq!(loose(text, "Type"), None);
        assert_eq!(loose(r#""a" "b":1,"a":2"#, "a").as_deref(), Some("2"));
        assert_eq!(loose(r#"{"I":{"P":"x","#, "I.P").as_deref(), Some("x"));
        assert_eq!(loose(r#"{"I":{"P":"x"#, "I.P"), None);
        assert_eq!(loose(r#"{"P":"#, "P"), None);
        assert_eq!(loose(r#"{"P":"""#, "P").as_deref(), Some(""));
    }
}
