//! The condition of a Sigma rule: `and`, `or`, `not`, parentheses, names of detections, `1 of`, `all of`.
//!
//! `not` binds strongest, then `and`, then `or`. Depth and length are bounded.

use super::yaml::Wrong;

/// Deepest nesting.
const MAX_DEPTH: usize = 48;
/// Longest condition, bytes.
const MAX_BYTES: usize = 16_384;

/// A condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expression {
    /// One of them holds.
    Or(Vec<Expression>),
    /// All of them hold.
    And(Vec<Expression>),
    /// It does not hold.
    Not(Box<Expression>),
    /// A detection by its name.
    Name(String),
    /// Detections whose names are like a pattern; `None` is `them`.
    Of {
        /// All of them, or one.
        all: bool,
        /// The pattern, `*` for any run of characters.
        like: Option<String>,
    },
}

/// Parses a condition that stands at a line.
///
/// # Errors
/// What is wrong with it.
pub fn parse(text: &str, line: usize) -> Result<Expression, Wrong> {
    let wrong = |message: String| Wrong::at(line, format!("condition {:?}: {message}", shortened(text)));
    if text.len() > MAX_BYTES {
        return Err(wrong(format!("longer than {MAX_BYTES} bytes")));
    }
    if text.contains('|') {
        return Err(wrong("aggregations (| count() and the like) are not supported".into()));
    }
    let tokens = tokens(text).map_err(wrong)?;
    let mut reader = Reader { tokens: &tokens, at: 0 };
    let expression = reader.or(0).map_err(wrong)?;
    match reader.peek() {
        None => Ok(expression),
        Some(token) => Err(wrong(format!("{token:?} is not expected here; write and, or, or nothing"))),
    }
}

fn shortened(text: &str) -> String {
    const SHOWN: usize = 80;
    let mut shown: String = text.chars().take(SHOWN).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}

fn tokens(text: &str) -> Result<Vec<&str>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '(' | ')' => 1,
            _ => {
                let is_word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '*' | '?' | '$');
                rest.find(|c: char| !is_word(c)).unwrap_or(rest.len())
            }
        };
        if length == 0 {
            return Err(format!("{first:?} means nothing here"));
        }
        let (token, after) = rest.split_at(length);
        tokens.push(token);
        rest = after.trim_start();
    }
    Ok(tokens)
}

struct Reader<'t> {
    tokens: &'t [&'t str],
    at: usize,
}

impl<'t> Reader<'t> {
    fn peek(&self) -> Option<&'t str> {
        self.tokens.get(self.at).copied()
    }

    fn next(&mut self) -> Option<&'t str> {
        let token = self.peek();
        self.at += usize::from(token.is_some());
        token
    }

    fn takes(&mut self, word: &str) -> bool {
        let found = self.peek().is_some_and(|t| t.eq_ignore_ascii_case(word));
        self.at += usize::from(found);
        found
    }

    fn or(&mut self, depth: usize) -> Result<Expression, String> {
        let mut members = vec![self.and(depth)?];
        while self.takes("or") {
            members.push(self.and(depth)?);
        }
        Ok(one_or(members, Expression::Or))
    }

    fn and(&mut self, depth: usize) -> Result<Expression, String> {
        let mut members = vec![self.not(depth)?];
        while self.takes("and") {
            members.push(self.not(depth)?);
        }
        Ok(one_or(members, Expression::And))
    }

    fn not(&mut self, depth: usize) -> Result<Expression, String> {
        if depth > MAX_DEPTH {
            return Err(format!("nested more than {MAX_DEPTH} deep"));
        }
        if self.takes("not") {
            return Ok(Expression::Not(Box::new(self.not(depth + 1)?)));
        }
        let token = self.next().ok_or("it ends where a detection should stand")?;
        let quantity = match token.to_ascii_lowercase().as_str() {
            "1" | "any" => Some(false),
            "all" => Some(true),
            _ => None,
        };
        match (token, quantity) {
            ("(", _) => {
                let inner = self.or(depth + 1)?;
                if self.takes(")") { Ok(inner) } else { Err("a parenthesis is not closed".into()) }
            }
            (_, Some(all)) if self.takes("of") => {
                let like = self.next().filter(|t| !matches!(*t, "(" | ")")).ok_or("a name is missing after of")?;
                let like = (!like.eq_ignore_ascii_case("them")).then(|| like.to_owned());
                Ok(Expression::Of { all, like })
            }
            (")", _) => Err("a parenthesis closes where a detection should stand".into()),
            (_, None) if self.peek().is_some_and(|t| t.eq_ignore_ascii_case("of")) => {
                Err(format!("{token} of is not supported; write 1 of or all of"))
            }
            _ if ["and", "or", "of"].iter().any(|w| token.eq_ignore_ascii_case(w)) => {
                Err(format!("{token} stands where a detection should"))
            }
            _ => Ok(Expression::Name(token.to_owned())),
        }
    }
}

fn one_or(mut members: Vec<Expression>, make: fn(Vec<Expression>) -> Expression) -> Expression {
    match members.pop() {
        Some(only) if members.is_empty() => only,
        Some(last) => {
            members.push(last);
            make(members)
        }
        None => make(members),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With all its parentheses.
    fn shown(e: &Expression) -> String {
        let list = |members: &[Expression], word: &str| {
            format!("({})", members.iter().map(shown).collect::<Vec<_>>().join(word))
        };
        match e {
            Expression::Or(members) => list(members, " or "),
            Expression::And(members) => list(members, " and "),
            Expression::Not(inner) => format!("not {}", shown(inner)),
            Expression::Name(name) => name.clone(),
            Expression::Of { all, like } => {
                format!("{} of {}", if *all { "all" } else { "1" }, like.as_deref().unwrap_or("THEM"))
            }
        }
    }

    #[test]
    fn precedence_is_not_then_and_then_or() {
        for (text, wanted) in [
            ("a", "a"),
            ("a or b and not c", "(a or (b and not c))"),
            ("(a or b) and c", "((a or b) and c)"),
            ("not (a and b) or c", "(not (a and b) or c)"),
            ("not not a", "not not a"),
            ("1 of sel_* and not 1 of filter*", "(1 of sel_* and not 1 of filter*)"),
            ("all of them", "all of THEM"),
            ("any of x or ALL OF y", "(1 of x or all of y)"),
            (" a  AND\n b ", "(a and b)"),
            ("selection-1 and x.y", "(selection-1 and x.y)"),
            ("all", "all"),
        ] {
            assert_eq!(parse(text, 1).map(|e| shown(&e)), Ok(wanted.to_owned()), "{text}");
        }
    }

    #[test]
    fn what_is_no_condition_is_refused_with_a_reason() {
        let deep = format!("{}a{}", "(".repeat(60), ")".repeat(60));
        let nots = format!("{}a", "not ".repeat(100));
        for (text, words) in [
            ("", "ends where a detection"),
            ("a and", "ends where a detection"),
            ("a b", "\"b\" is not expected"),
            ("(a", "not closed"),
            ("a)", "not expected"),
            ("()", "closes where"),
            ("or a", "or stands where"),
            ("1 of", "missing after of"),
            ("2 of x*", "2 of is not supported"),
            ("a | count() > 5", "aggregations"),
            ("a & b", "'&' means nothing"),
            (&deep, "deep"),
            (&nots, "deep"),
            (&"a or ".repeat(9000), "longer"),
        ] {
            let wrong = parse(text, 7).unwrap_err();
            assert!(wrong.message.contains(words) && wrong.line == 7, "{text:.40}: {wrong:?}");
        }
    }
}
