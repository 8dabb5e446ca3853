//! Values of Sigma rules: texts with the wildcards `*` and `?`, and a backslash that escapes them and itself.
//!
//! A backslash before anything else is a backslash: `C:\Windows` and `C:\\Windows` are the same, `\\\\server` begins with two.

use crate::rule::glob::Part;

/// A value, its wildcards told from its text.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Pattern(pub Vec<Part>);

impl Pattern {
    /// Reads a value as a rule writes it.
    pub fn parse(text: &str) -> Pattern {
        let mut pattern = Pattern::default();
        let mut escaped = false;
        for c in text.chars() {
            match c {
                '*' | '?' | '\\' if escaped => pattern.push(c),
                '\\' => {
                    escaped = true;
                    continue;
                }
                _ if escaped => {
                    pattern.push('\\');
                    pattern.push_or_wild(c);
                }
                _ => pattern.push_or_wild(c),
            }
            escaped = false;
        }
        if escaped {
            pattern.push('\\');
        }
        pattern
    }

    /// A text as it is.
    pub fn literal(text: impl Into<String>) -> Pattern {
        let text = text.into();
        if text.is_empty() { Pattern::default() } else { Pattern(vec![Part::Text(text)]) }
    }

    fn push_or_wild(&mut self, c: char) {
        match c {
            '*' => self.0.push(Part::Any),
            '?' => self.0.push(Part::One),
            _ => self.push(c),
        }
    }

    fn push(&mut self, c: char) {
        match self.0.last_mut() {
            Some(Part::Text(text)) => text.push(c),
            _ => self.0.push(Part::Text(c.into())),
        }
    }

    /// The text of a value without wildcards.
    pub fn plain(&self) -> Option<&str> {
        match self.0.as_slice() {
            [] => Some(""),
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// The value with every text replaced by several: all combinations. `None` beyond `most` of them.
    pub fn each_text(&self, most: usize, forms: impl Fn(&str) -> Option<Vec<String>>) -> Option<Vec<Pattern>> {
        let mut all = vec![Pattern::default()];
        for part in &self.0 {
            let forms = match part {
                Part::Text(text) => forms(text)?.into_iter().map(Part::Text).collect(),
                wild => vec![wild.clone()],
            };
            if all.len().saturating_mul(forms.len()) > most {
                return None;
            }
            all = all
                .iter()
                .flat_map(|begun| forms.iter().map(|form| Pattern([begun.0.clone(), vec![form.clone()]].concat())))
                .collect();
        }
        Some(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_and_escapes_are_read_as_the_specification_says() {
        let t = |text: &str| Part::Text(text.into());
        for (written, wanted) in [
            (r"C:\Windows\x", vec![t(r"C:\Windows\x")]),
            (r"C:\\Windows", vec![t(r"C:\Windows")]),
            (r"\\\\server\\s", vec![t(r"\\server\s")]),
            (r"a*b?", vec![t("a"), Part::Any, t("b"), Part::One]),
            (r"a\*b\?", vec![t("a*b?")]),
            (r"a\\*", vec![t(r"a\"), Part::Any]),
            (r"a\\\*", vec![t(r"a\*")]),
            (r"\", vec![t(r"\")]),
            (r"\b*", vec![t(r"\b"), Part::Any]),
            ("", vec![]),
            ("**", vec![Part::Any, Part::Any]),
        ] {
            assert_eq!(Pattern::parse(written).0, wanted, "{written}");
        }
        assert_eq!(Pattern::parse("a*b").plain(), None);
        assert_eq!(Pattern::parse("").plain(), Some(""));
    }

    #[test]
    fn forms_of_texts_are_combined_up_to_a_bound() {
        let forms = |text: &str| Some(vec![text.to_owned(), text.to_uppercase()]);
        let all = Pattern::parse("a*b").each_text(4, forms).unwrap();
        assert_eq!(all, ["a*b", "a*B", "A*b", "A*B"].map(Pattern::parse));
        assert_eq!(Pattern::parse("a*b").each_text(3, forms), None);
    }
}
