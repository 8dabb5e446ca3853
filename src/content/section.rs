//! TOML with places: a table whose keys are taken one by one, so that what nobody took is an unknown key.
//!
//! The only module that names the toml crate's parsed documents. Lines are 1-based.

use super::fault::{Faults, suggest};
use crate::calendar::{Day, parse_day};
use std::cell::RefCell;
use std::fmt::Write as _;
use toml::de::{DeTable, DeValue};

/// The text of one TOML file and where its lines begin.
#[derive(Clone, Debug)]
pub struct Document {
    /// The file, as the user knows it.
    pub file: String,
    text: String,
    line_starts: Vec<usize>,
    /// Keys of the top table that somebody else reads.
    header: &'static [&'static str],
}

impl Document {
    /// Takes a file's text.
    pub fn new(file: impl Into<String>, text: impl Into<String>) -> Document {
        let text = text.into();
        let line_starts = std::iter::once(0)
            .chain(text.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(i, _)| i + 1))
            .collect();
        Document { file: file.into(), text, line_starts, header: &[] }
    }

    /// These keys of the top table are somebody else's: they are not unknown.
    pub fn with_header(mut self, keys: &'static [&'static str]) -> Document {
        self.header = keys;
        self
    }

    /// The 1-based line of a byte offset.
    pub fn line(&self, offset: usize) -> usize {
        self.line_starts.partition_point(|s| *s <= offset)
    }

    /// Parses the file and hands its top table to `read`; a syntax error becomes a fault and `None`.
    pub fn read<T>(&self, faults: &mut Faults, read: impl FnOnce(&Section<'_>, &mut Faults) -> Option<T>) -> Option<T> {
        match DeTable::parse(&self.text) {
            Ok(root) => {
                let section = Section::new(self, root.get_ref(), 1, String::new());
                section.taken.borrow_mut().extend(self.header);
                read(&section, faults)
            }
            Err(e) => {
                let line = e.span().map_or(0, |s| self.line(s.start));
                faults.add(&self.file, line, "", format!("not valid TOML: {}", e.message()));
                None
            }
        }
    }
}

/// One table. Every getter marks its key as taken and reports a value of the wrong type as a fault.
pub struct Section<'d> {
    doc: &'d Document,
    table: &'d DeTable<'d>,
    /// The line where the table begins.
    pub line: usize,
    item: RefCell<String>,
    taken: RefCell<Vec<&'d str>>,
}

/// A value that is neither text, number, list nor table where one of them is wanted.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Text.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// A number with a fraction.
    Float(f64),
    /// True or false.
    Boolean(bool),
    /// A list of texts.
    Texts(Vec<String>),
}

impl<'d> Section<'d> {
    fn new(doc: &'d Document, table: &'d DeTable<'d>, line: usize, item: String) -> Section<'d> {
        Section { doc, table, line, item: RefCell::new(item), taken: RefCell::default() }
    }

    /// Names the item that faults of this section (and of sections opened from now on) belong to.
    pub fn set_item(&self, item: impl Into<String>) {
        *self.item.borrow_mut() = item.into();
    }

    /// The file of this section.
    pub fn file(&self) -> &'d str {
        &self.doc.file
    }

    /// Adds a fault at a line of this file.
    pub fn fault(&self, faults: &mut Faults, line: usize, message: impl Into<String>) {
        faults.add(&self.doc.file, line, &self.item.borrow(), message);
    }

    /// Keys in alphabetical order, taken or not.
    pub fn keys(&self) -> impl Iterator<Item = &'d str> + use<'d> {
        self.table.keys().map(|k| k.get_ref().as_ref())
    }

    /// Keys in the order of the file, taken or not.
    pub fn keys_as_written(&self) -> Vec<&'d str> {
        let mut keys: Vec<_> = self.table.keys().map(|k| (k.span().start, k.get_ref().as_ref())).collect();
        keys.sort_unstable();
        keys.into_iter().map(|(_, key)| key).collect()
    }

    /// Whether the key is there.
    pub fn has(&self, key: &str) -> bool {
        self.table.keys().any(|k| k.get_ref() == key)
    }

    /// The line of a key; the section's own line when the key is missing.
    pub fn line_of(&self, key: &str) -> usize {
        let found = self.table.keys().find(|k| k.get_ref() == key);
        found.map_or(self.line, |k| self.doc.line(k.span().start))
    }

    fn take(&self, key: &str) -> Option<&'d DeValue<'d>> {
        let (k, v) = self.table.iter().find(|(k, _)| k.get_ref() == key)?;
        self.taken.borrow_mut().push(k.get_ref());
        Some(v.get_ref())
    }

    fn wrong_type(&self, key: &str, found: &DeValue<'_>, wanted: &str, faults: &mut Faults) {
        let message = format!("{key} is a {}; write {wanted}", found.type_str());
        self.fault(faults, self.line_of(key), message);
    }

    /// Text, or `None` when missing.
    pub fn string(&self, key: &str, faults: &mut Faults) -> Option<String> {
        match self.take(key)? {
            DeValue::String(s) => Some(s.to_string()),
            other => {
                self.wrong_type(key, other, "a text in quotes", faults);
                None
            }
        }
    }

    /// Text that must be there.
    pub fn required(&self, key: &str, faults: &mut Faults) -> Option<String> {
        if !self.has(key) {
            self.fault(faults, self.line, format!("{key} is missing"));
            return None;
        }
        self.string(key, faults)
    }

    /// A list of texts; a single text counts as a list of one. `None` when missing.
    pub fn strings(&self, key: &str, faults: &mut Faults) -> Option<Vec<String>> {
        match self.take(key)? {
            DeValue::String(s) => Some(vec![s.to_string()]),
            DeValue::Array(items) => {
                let texts: Vec<String> = items.iter().filter_map(|v| v.get_ref().as_str().map(str::to_owned)).collect();
                if texts.len() != items.len() {
                    self.fault(
                        faults,
                        self.line_of(key),
                        format!("{key} holds something that is not a text in quotes"),
                    );
                }
                Some(texts)
            }
            other => {
                self.wrong_type(key, other, "a list of texts", faults);
                None
            }
        }
    }

    /// A whole number, or `None` when missing.
    pub fn integer(&self, key: &str, faults: &mut Faults) -> Option<i64> {
        let value = self.take(key)?;
        let parsed = value.as_integer().and_then(|n| i64::from_str_radix(n.as_str(), n.radix()).ok());
        if parsed.is_none() {
            self.wrong_type(key, value, "a whole number", faults);
        }
        parsed
    }

    /// A whole number from 0, or `None` when missing.
    pub fn unsigned(&self, key: &str, faults: &mut Faults) -> Option<u64> {
        let n = self.integer(key, faults)?;
        let unsigned = u64::try_from(n).ok();
        if unsigned.is_none() {
            self.fault(faults, self.line_of(key), format!("{key} is {n}; write a number from 0"));
        }
        unsigned
    }

    /// A number, or `None` when missing.
    pub fn float(&self, key: &str, faults: &mut Faults) -> Option<f64> {
        let value = self.take(key)?;
        let parsed = match value {
            DeValue::Float(f) => f.as_str().parse().ok(),
            DeValue::Integer(n) => i64::from_str_radix(n.as_str(), n.radix()).ok().map(|n| n as f64),
            _ => None,
        };
        if parsed.is_none() {
            self.wrong_type(key, value, "a number", faults);
        }
        parsed
    }

    /// True or false, or `None` when missing.
    pub fn boolean(&self, key: &str, faults: &mut Faults) -> Option<bool> {
        let value = self.take(key)?;
        let parsed = value.as_bool();
        if parsed.is_none() {
            self.wrong_type(key, value, "true or false", faults);
        }
        parsed
    }

    /// A day, written as a date of TOML (`2026-12-31`) or as the same in quotes; `None` when missing.
    pub fn day(&self, key: &str, faults: &mut Faults) -> Option<Day> {
        let value = self.take(key)?;
        let text = match value {
            DeValue::Datetime(date) => date.to_string(),
            DeValue::String(text) => text.to_string(),
            other => {
                self.wrong_type(key, other, "a date such as 2026-12-31", faults);
                return None;
            }
        };
        let day = parse_day(&text).filter(|_| text.len() == "2026-12-31".len());
        if day.is_none() {
            self.fault(faults, self.line_of(key), format!("{key} is {text:?}; write a date such as 2026-12-31"));
        }
        day
    }

    /// What the table says, the same for every way to write it: keys in alphabetical order, without comments and without the
    /// top keys of `except`. For digests; nothing counts as taken.
    pub fn canonical(&self, except: &[&str]) -> String {
        let mut out = String::new();
        put_table(&mut out, self.table, except);
        out
    }

    /// Whatever scalar or list of texts stands there, for keys whose type depends on something else.
    pub fn value(&self, key: &str, faults: &mut Faults) -> Option<Value> {
        let peek = self.table.iter().find(|(k, _)| k.get_ref() == key).map(|(_, v)| v.get_ref())?;
        match peek {
            DeValue::String(_) => self.string(key, faults).map(Value::Text),
            DeValue::Integer(_) => self.integer(key, faults).map(Value::Integer),
            DeValue::Float(_) => self.float(key, faults).map(Value::Float),
            DeValue::Boolean(_) => self.boolean(key, faults).map(Value::Boolean),
            DeValue::Array(_) => self.strings(key, faults).map(Value::Texts),
            other => {
                self.wrong_type(key, other, "a text, number or list", faults);
                self.take(key);
                None
            }
        }
    }

    fn open(&self, table: &'d DeTable<'d>, line: usize) -> Section<'d> {
        Section::new(self.doc, table, line, self.item.borrow().clone())
    }

    /// A sub-table, or `None` when missing.
    pub fn table(&self, key: &str, faults: &mut Faults) -> Option<Section<'d>> {
        match self.take(key)? {
            DeValue::Table(t) => Some(self.open(t, self.line_of(key))),
            other => {
                self.wrong_type(key, other, "a table", faults);
                None
            }
        }
    }

    /// Whether the value at a key is a table (`{ … }` or `[x]`), without taking it.
    pub fn is_table(&self, key: &str) -> bool {
        self.table.iter().any(|(k, v)| k.get_ref() == key && v.get_ref().is_table())
    }

    /// A list of sub-tables (`[[key]]` or `key = [{…}]`); a single table counts as a list of one. Empty when missing.
    pub fn tables(&self, key: &str, faults: &mut Faults) -> Vec<Section<'d>> {
        match self.take(key) {
            None => Vec::new(),
            Some(DeValue::Table(t)) => vec![self.open(t, self.line_of(key))],
            Some(DeValue::Array(items)) => {
                let mut out = Vec::new();
                for item in items.iter() {
                    let line = self.doc.line(item.span().start);
                    match item.get_ref() {
                        DeValue::Table(t) => out.push(self.open(t, line)),
                        _ => self.fault(faults, line, format!("{key} holds something that is not a table")),
                    }
                }
                out
            }
            Some(other) => {
                self.wrong_type(key, other, "a list of tables", faults);
                Vec::new()
            }
        }
    }

    /// A list whose members are texts or tables, in order; a single one counts as a list of one.
    pub fn texts_or_tables(&self, key: &str, faults: &mut Faults) -> Vec<TextOrTable<'d>> {
        let Some(value) = self.take(key) else { return Vec::new() };
        let one = |v: &'d DeValue<'d>, line: usize, faults: &mut Faults| match v {
            DeValue::String(s) => Some(TextOrTable::Text(s.to_string(), line)),
            DeValue::Table(t) => Some(TextOrTable::Table(self.open(t, line))),
            other => {
                self.fault(faults, line, format!("{key} holds a {}; write a text or a table", other.type_str()));
                None
            }
        };
        match value {
            DeValue::Array(items) => {
                items.iter().filter_map(|i| one(i.get_ref(), self.doc.line(i.span().start), faults)).collect()
            }
            other => one(other, self.line_of(key), faults).into_iter().collect(),
        }
    }

    /// Reports every key that nobody took. `known` are the keys to suggest.
    pub fn finish(&self, known: &[&str], faults: &mut Faults) {
        let taken = self.taken.borrow();
        for key in self.keys().filter(|k| !taken.contains(k)) {
            self.fault(
                faults,
                self.line_of(key),
                format!("unknown key {key:?}{}", suggest(key, known.iter().copied())),
            );
        }
    }
}

fn put_table(out: &mut String, table: &DeTable<'_>, except: &[&str]) {
    let mut keys: Vec<_> = table.iter().map(|(k, v)| (k.get_ref().as_ref(), v.get_ref())).collect();
    keys.retain(|(key, _)| !except.contains(key));
    keys.sort_unstable_by_key(|(key, _)| *key);
    out.push('{');
    for (key, value) in keys {
        let _ = write!(out, "{key:?}=");
        put_value(out, value);
        out.push(',');
    }
    out.push('}');
}

fn put_value(out: &mut String, value: &DeValue<'_>) {
    // Writing into a text does not fail.
    let _ = match value {
        DeValue::String(s) => write!(out, "{s:?}"),
        DeValue::Integer(n) => match i64::from_str_radix(n.as_str(), n.radix()) {
            Ok(n) => write!(out, "{n}"),
            Err(_) => write!(out, "{}", n.as_str()),
        },
        DeValue::Float(f) => match f.as_str().parse::<f64>() {
            Ok(f) => write!(out, "{f:?}"),
            Err(_) => write!(out, "{}", f.as_str()),
        },
        DeValue::Boolean(b) => write!(out, "{b}"),
        DeValue::Datetime(d) => write!(out, "{d}"),
        DeValue::Array(items) => {
            out.push('[');
            for item in items.iter() {
                put_value(out, item.get_ref());
                out.push(',');
            }
            out.push(']');
            Ok(())
        }
        DeValue::Table(table) => {
            put_table(out, table, &[]);
            Ok(())
        }
    };
}

/// A member of a mixed list.
pub enum TextOrTable<'d> {
    /// A text and its line.
    Text(String, usize),
    /// A table.
    Table(Section<'d>),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_types_and_unknown_keys_are_all_reported_with_their_lines() {
        let doc = Document::new("a.toml", "id = 3\nscor = 5\n[[test]]\nline = \"x\"\n");
        let mut faults = Faults::default();
        doc.read(&mut faults, |s, f| {
            s.set_item("rule A");
            assert_eq!(s.string("id", f), None);
            let tests = s.tables("test", f);
            assert_eq!(tests[0].string("line", f).as_deref(), Some("x"));
            s.finish(&["id", "score", "test"], f);
            Some(())
        });
        let all = faults.check(()).unwrap_err().to_string();
        assert_eq!(
            all,
            "rule A (a.toml:1): id is a integer; write a text in quotes\n\
             rule A (a.toml:2): unknown key \"scor\"; did you mean \"score\"?"
        );
    }

    #[test]
    fn what_a_table_says_does_not_depend_on_how_it_is_written() {
        let canonical = |text: &str| {
            let read = |s: &Section<'_>, _: &mut Faults| Some(s.canonical(&["why"]));
            Document::new("a.toml", text).read(&mut Faults::default(), read).unwrap()
        };
        let one = canonical("id = 'x'\nwhy = \"a\"\nn = 0x10 # sixteen\n[condition]\nimage = ['a', \"b\"]\n");
        assert_eq!(one, canonical("n = 16\nwhy = 'b'\ncondition = { image = ['a', 'b'] }\nid = \"x\""));
        for other in [
            "n = 16\nid = 'x'\ncondition = { image = ['b', 'a'] }",
            "n = 17\nid = 'x'\ncondition = { image = ['a', 'b'] }",
            "n = 16\nid = 'x'\ncondition = { image = ['a', 'b'], why = 'x' }",
        ] {
            assert_ne!(one, canonical(other), "{other}");
        }
    }

    #[test]
    fn days_are_dates_with_and_without_quotes() {
        let mut faults = Faults::default();
        let doc = Document::new(
            "a.toml",
            "a = 2026-12-31\nb = \"2026-12-31\"\nc = 3\nd = \"soon\"\ne = 2026-12-31T10:00:00Z\n",
        );
        doc.read(&mut faults, |s, f| {
            assert_eq!(s.day("a", f), s.day("b", f));
            assert!(s.day("a", f).is_some());
            assert_eq!((s.day("c", f), s.day("d", f), s.day("e", f)), (None, None, None));
            Some(())
        });
        let lines: Vec<usize> = faults.0.iter().map(|f| f.line).collect();
        assert_eq!(lines, [3, 4, 5], "{faults}");
    }

    #[test]
    fn broken_toml_is_one_fault_with_a_line() {
        let mut faults = Faults::default();
        Document::new("b.toml", "a = 1\nb = = 2\n").read(&mut faults, |_, _| Some(()));
        assert_eq!(faults.0[0].line, 2);
    }
}
