//! Modifiers of Sigma: what stands after a field, `CommandLine|windash|contains|all`, and what they make of a value.

use super::value::Pattern;
use crate::rule::condition::TimePart;
use crate::rule::glob::Part;

/// Most values that one value may become.
pub const MOST_FORMS: usize = 3125;

/// Where a value must stand in the field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Place {
    /// It is all of it.
    #[default]
    Whole,
    /// It is a part of it.
    Contains,
    /// It begins it.
    StartsWith,
    /// It ends it.
    EndsWith,
}

/// What a field is compared as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Kind {
    /// A text.
    #[default]
    Text,
    /// A text that a regular expression matches.
    Regex {
        /// Case does not count.
        i: bool,
        /// `^` and `$` match at lines.
        m: bool,
        /// `.` matches the end of a line.
        s: bool,
    },
    /// An address in a network.
    Cidr,
    /// A field that is there or not.
    Exists,
    /// The text of another field.
    FieldRef,
    /// A number.
    Number(Order),
}

/// How numbers are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Less than.
    Lt,
    /// At most.
    Lte,
    /// More than.
    Gt,
    /// At least.
    Gte,
}

/// What is made of a value before it is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Windash,
    Utf16Le,
    Utf16Be,
    /// Little-endian with the mark of the byte order.
    Utf16,
    Base64,
    Base64Offset,
}

/// The modifiers of a field.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Modifiers {
    /// Where.
    pub place: Place,
    /// As what.
    pub kind: Kind,
    /// All values must match, not one.
    pub all: bool,
    /// Case counts.
    pub cased: bool,
    /// The values must not match.
    pub neq: bool,
    /// `%name%` stands for values of the site.
    pub expand: bool,
    /// The part of a time that is compared.
    pub time: Option<TimePart>,
    forms: Vec<Form>,
}

/// Every modifier, for suggestions.
pub const NAMES: &[&str] = &[
    "contains",
    "startswith",
    "endswith",
    "all",
    "cased",
    "exists",
    "re",
    "i",
    "m",
    "s",
    "cidr",
    "fieldref",
    "neq",
    "gt",
    "gte",
    "lt",
    "lte",
    "expand",
    "windash",
    "wide",
    "utf16le",
    "utf16be",
    "utf16",
    "base64",
    "base64offset",
    "minute",
    "hour",
    "day",
    "week",
    "month",
    "year",
];

impl Modifiers {
    /// Reads modifiers in the order in which they stand.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn parse<'n>(names: impl Iterator<Item = &'n str>) -> Result<Modifiers, String> {
        let mut all = Modifiers::default();
        for name in names {
            all.add(name)?;
        }
        let has_place = all.place != Place::Whole;
        let clash = match all.kind {
            Kind::Text => None,
            Kind::FieldRef if all.forms.is_empty() && !all.expand => None,
            Kind::FieldRef => Some("fieldref"),
            Kind::Regex { .. } if has_place || !all.forms.is_empty() || all.cased => Some("re"),
            Kind::Cidr if has_place || !all.forms.is_empty() || all.cased => Some("cidr"),
            Kind::Exists if has_place || !all.forms.is_empty() || all.cased || all.all || all.expand => Some("exists"),
            Kind::Number(_) if has_place || !all.forms.is_empty() || all.cased || all.expand => Some("a number"),
            Kind::Regex { .. } | Kind::Cidr | Kind::Exists | Kind::Number(_) => None,
        };
        if let Some(kind) = clash {
            return Err(format!("{kind} does not go together with the other modifiers here"));
        }
        if all.time.is_some() && (!matches!(all.kind, Kind::Text | Kind::Number(_)) || has_place) {
            return Err("a part of a time is compared as a number alone".into());
        }
        if let Some(Form::Utf16 | Form::Utf16Be | Form::Utf16Le) = all.forms.last() {
            return Err("wide and utf16 give bytes that no field holds; write base64 or base64offset after them".into());
        }
        Ok(all)
    }

    fn add(&mut self, name: &str) -> Result<(), String> {
        let place = match name {
            "contains" => Some(Place::Contains),
            "startswith" => Some(Place::StartsWith),
            "endswith" => Some(Place::EndsWith),
            _ => None,
        };
        if let Some(place) = place {
            if self.place != Place::Whole {
                return Err(format!("{name} and another modifier of place; write one of them"));
            }
            self.place = place;
            return Ok(());
        }
        let time = match name {
            "minute" => Some(TimePart::Minute),
            "hour" => Some(TimePart::Hour),
            "day" => Some(TimePart::Day),
            "week" => Some(TimePart::Week),
            "month" => Some(TimePart::Month),
            "year" => Some(TimePart::Year),
            _ => None,
        };
        if time.is_some() {
            self.time = time;
            return Ok(());
        }
        match name {
            "all" => self.all = true,
            "cased" => self.cased = true,
            "neq" => self.neq = true,
            "expand" => self.expand = true,
            "windash" => self.forms.push(Form::Windash),
            "wide" | "utf16le" => self.forms.push(Form::Utf16Le),
            "utf16be" => self.forms.push(Form::Utf16Be),
            "utf16" => self.forms.push(Form::Utf16),
            "base64" => self.forms.push(Form::Base64),
            "base64offset" => self.forms.push(Form::Base64Offset),
            "i" | "m" | "s" => match &mut self.kind {
                Kind::Regex { i, m, s } => {
                    *i |= name == "i";
                    *m |= name == "m";
                    *s |= name == "s";
                }
                _ => return Err(format!("{name} is a flag of re; write re|{name}")),
            },
            _ => {
                let kind = match name {
                    "re" => Kind::Regex { i: false, m: false, s: false },
                    "cidr" => Kind::Cidr,
                    "exists" => Kind::Exists,
                    "fieldref" => Kind::FieldRef,
                    "lt" => Kind::Number(Order::Lt),
                    "lte" => Kind::Number(Order::Lte),
                    "gt" => Kind::Number(Order::Gt),
                    "gte" => Kind::Number(Order::Gte),
                    _ => {
                        let hint = crate::content::fault::suggest(name, NAMES.iter().copied());
                        return Err(format!("unknown modifier {name:?}{hint}"));
                    }
                };
                if self.kind != Kind::Text {
                    return Err(format!("{name} and another kind of comparison; write one of them"));
                }
                self.kind = kind;
            }
        }
        Ok(())
    }

    /// What a value becomes: values of which one must match.
    ///
    /// # Errors
    /// What is wrong with the value.
    pub fn forms_of(&self, value: Pattern) -> Result<Vec<Pattern>, String> {
        let mut values = vec![value];
        let mut bytes: Option<Vec<u8>> = None;
        for form in &self.forms {
            if *form == Form::Windash {
                values = windashes(&values)?;
                continue;
            }
            let mut made = Vec::new();
            for value in &values {
                let plain = value.plain().ok_or("a value with wildcards cannot be encoded; escape them with \\")?;
                let input = bytes.take().unwrap_or_else(|| plain.as_bytes().to_vec());
                match form {
                    Form::Base64 => made.push(Pattern::literal(base64(&input))),
                    Form::Base64Offset => {
                        made.extend(offsets(&input).into_iter().map(Pattern::literal));
                    }
                    _ if values.len() > 1 => return Err("wide and utf16 stand before what makes several values".into()),
                    _ => bytes = Some(utf16(plain, *form)),
                }
            }
            if bytes.is_none() {
                values = made;
            }
        }
        Ok(values)
    }
}

/// Characters that a switch may begin with.
const DASHES: [char; 5] = ['-', '/', '\u{2013}', '\u{2014}', '\u{2015}'];

/// Each value with every dash before a word in all its forms.
fn windashes(values: &[Pattern]) -> Result<Vec<Pattern>, String> {
    let too_many = || format!("windash makes more than {MOST_FORMS} values of it");
    let mut all = Vec::new();
    for value in values {
        all.extend(value.each_text(MOST_FORMS, dashed).ok_or_else(too_many)?);
    }
    if all.len() > MOST_FORMS { Err(too_many()) } else { Ok(all) }
}

/// A text with each dash that begins a word in all its forms; `None` beyond the bound.
fn dashed(text: &str) -> Option<Vec<String>> {
    let is_word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    let chars: Vec<char> = text.chars().collect();
    let at = |i: Option<usize>| i.and_then(|i| chars.get(i)).copied();
    let mut all = vec![String::new()];
    for (i, c) in chars.iter().enumerate() {
        let begins = DASHES.contains(c) && !is_word(at(i.checked_sub(1))) && is_word(at(Some(i + 1)));
        if !begins {
            all.iter_mut().for_each(|text| text.push(*c));
            continue;
        }
        if all.len() * DASHES.len() > MOST_FORMS {
            return None;
        }
        all = all.iter().flat_map(|text| DASHES.iter().map(move |dash| format!("{text}{dash}"))).collect();
    }
    Some(all)
}

fn utf16(text: &str, form: Form) -> Vec<u8> {
    let mark = (form == Form::Utf16).then_some(0xFEFF);
    let units = mark.into_iter().chain(text.encode_utf16());
    units.flat_map(|unit| if form == Form::Utf16Be { unit.to_be_bytes() } else { unit.to_le_bytes() }).collect()
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Base64 with padding (RFC 4648).
fn base64(bytes: &[u8]) -> String {
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let byte = |i: usize| u32::from(chunk.get(i).copied().unwrap_or_default());
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for i in 0..4 {
            let six = bits >> (18 - 6 * i) & 63;
            let letter = ALPHABET.get(six as usize).copied().unwrap_or(b'=');
            out.push(if i > chunk.len() { '=' } else { char::from(letter) });
        }
    }
    out
}

/// What of the encoding is certain when the bytes stand somewhere in a longer text: for each of the three alignments.
fn offsets(bytes: &[u8]) -> Vec<String> {
    let mut all = Vec::new();
    for offset in 0..3_usize {
        let shifted = [vec![0; offset], bytes.to_vec()].concat();
        let encoded = base64(&shifted);
        let from = [0, 2, 3].get(offset).copied().unwrap_or_default();
        let cut = [0, 3, 2].get(shifted.len() % 3).copied().unwrap_or_default();
        let text = encoded.get(from..encoded.len().saturating_sub(cut)).unwrap_or_default();
        if !text.is_empty() {
            all.push(text.to_owned());
        }
    }
    all
}

/// A value with `%name%` replaced by values of the site; the name that has none.
///
/// # Errors
/// The placeholder that nobody fills.
pub fn expanded<'v>(text: &str, values: impl Fn(&str) -> Option<&'v [String]>) -> Result<Vec<String>, String> {
    let mut all = vec![String::new()];
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        all.iter_mut().for_each(|t| t.push_str(before));
        let Some((name, tail)) = after.split_once('%').filter(|(name, _)| !name.is_empty()) else {
            all.iter_mut().for_each(|t| t.push('%'));
            rest = after;
            continue;
        };
        let values = values(name).ok_or_else(|| name.to_owned())?;
        all = all.iter().flat_map(|t| values.iter().map(move |v| format!("{t}{v}"))).take(MOST_FORMS).collect();
        rest = tail;
    }
    all.iter_mut().for_each(|t| t.push_str(rest));
    Ok(all)
}

/// A pattern with what its place allows around it.
pub fn placed(pattern: Pattern, place: Place) -> Vec<Part> {
    let mut parts = pattern.0;
    if matches!(place, Place::Contains | Place::EndsWith) {
        parts.insert(0, Part::Any);
    }
    if matches!(place, Place::Contains | Place::StartsWith) {
        parts.push(Part::Any);
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Modifiers, String> {
        Modifiers::parse(text.split('|'))
    }

    fn forms(modifiers: &str, value: &str) -> Vec<String> {
        let all = parse(modifiers).unwrap().forms_of(Pattern::parse(value)).unwrap();
        all.iter().map(|p| p.plain().unwrap().to_owned()).collect()
    }

    #[test]
    fn values_are_encoded_as_the_specification_says() {
        assert_eq!(forms("base64", "foo"), ["Zm9v"]);
        assert_eq!(forms("base64", "fo"), ["Zm8="]);
        assert_eq!(forms("base64", "f"), ["Zg=="]);
        assert_eq!(forms("wide|base64", "ab"), ["YQBiAA=="]);
        assert_eq!(forms("utf16be|base64", "ab"), ["AGEAYg=="]);
        assert_eq!(forms("utf16|base64", "a"), ["//5hAA=="]);
        // The known three forms of "foobar" in a longer text.
        assert_eq!(forms("base64offset|contains", "foobar"), ["Zm9vYmFy", "Zvb2Jhc", "mb29iYX"]);
        let dashes = forms("windash|contains", " -enc a-b");
        assert_eq!(dashes, [" -enc a-b", " /enc a-b", " –enc a-b", " —enc a-b", " ―enc a-b"]);
        assert_eq!(forms("windash", "-a -b").len(), 25);
        assert_eq!(forms("windash", "/ - c:").len(), 1);
    }

    #[test]
    fn an_offset_encoding_is_within_every_encoding_of_a_longer_text() {
        for value in ["abc", "abcd", "abcde", "IEX(New"] {
            let found = offsets(value.as_bytes());
            for (before, after) in [("", ""), ("x", "yy"), ("xx", "y"), ("xxx", "yyy"), ("xxxx", "")] {
                let whole = base64(format!("{before}{value}{after}").as_bytes());
                assert!(found.iter().any(|f| whole.contains(f.as_str())), "{value} in {whole}: {found:?}");
            }
        }
    }

    #[test]
    fn modifiers_that_do_not_go_together_are_refused_with_a_reason() {
        for (text, words) in [
            ("conains", "did you mean \"contains\"?"),
            ("contains|startswith", "one of them"),
            ("re|contains", "re does not go together"),
            ("re|cidr", "another kind"),
            ("i", "write re|i"),
            ("cidr|cased", "cidr does not"),
            ("wide", "write base64"),
            ("base64|wide", "write base64"),
            ("gt|contains", "a number does not"),
            ("hour|contains", "as a number alone"),
            ("exists|all", "exists does not"),
        ] {
            assert!(parse(text).unwrap_err().contains(words), "{text}: {:?}", parse(text));
        }
        let many = "-a ".repeat(6);
        assert!(parse("windash").unwrap().forms_of(Pattern::parse(&many)).unwrap_err().contains("3125"));
        assert!(parse("base64").unwrap().forms_of(Pattern::parse("a*")).unwrap_err().contains("wildcards"));
    }

    #[test]
    fn placeholders_become_the_values_of_the_site() {
        let servers = ["a".to_owned(), "b".to_owned()];
        let values = |name: &str| (name == "srv").then_some(servers.as_slice());
        assert_eq!(expanded(r"\\%srv%\c$", values), Ok(vec![r"\\a\c$".into(), r"\\b\c$".into()]));
        assert_eq!(expanded("100 % of %srv%", values), Err(" of ".into()));
        assert_eq!(expanded("50%", values), Ok(vec!["50%".into()]));
        assert_eq!(expanded("%other%", values), Err("other".into()));
    }
}
