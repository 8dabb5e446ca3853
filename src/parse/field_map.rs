//! Field maps: which text of a record becomes which field.
//!
//! A field has sources, tried in order; the first that gives something wins. A source is data from content: a key, a
//! member of a JSON value, a piece of the header's text, another field, or two of them joined; and what is to be cut
//! out of it. Compiled here, read by `table`, evaluated by `reading`.

use super::keys::{KeyId, KeySet};
use super::recurring::Recurring;
use crate::event::{EventType, Field, FieldSet};
use crate::swar::last_of;
use memchr::memmem;
use std::sync::Arc;

/// Where text comes from.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Base {
    /// The value of a key.
    Key(KeyId),
    /// A scalar in the JSON value of one of these keys.
    Json { keys: Arc<[KeyId]>, path: Arc<[Box<[u8]>]>, deep: bool },
    /// A piece of the header's text.
    Header(Piece),
    /// A field that was filled before.
    Field(Field),
    /// A directory and a name.
    Join(Box<[Source; 2]>),
}

/// A piece of the header's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// All of it.
    Text,
    /// Up to the size at its end, if it looks like a path.
    Path,
    /// Before the arrow.
    OldPath,
    /// After the arrow, up to the size.
    NewPath,
    /// After the word that announces an image.
    Running,
}

impl Piece {
    /// The spellings in content.
    pub const NAMES: [(&'static str, Piece); 5] = [
        ("text", Piece::Text),
        ("path", Piece::Path),
        ("old_path", Piece::OldPath),
        ("new_path", Piece::NewPath),
        ("running", Piece::Running),
    ];
}

/// What is cut out of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// `name` of `DOMAIN\name`.
    Account,
    /// `DOMAIN` of `DOMAIN\name`.
    Domain,
    /// The last component of a path.
    Name,
    /// A path without its last component.
    Dir,
    /// The extension of the last component, without its dot.
    Ext,
    /// What stands in the quotes with which a text begins.
    Quoted,
}

impl Part {
    /// The spellings in content.
    pub const NAMES: [(&'static str, Part); 6] = [
        ("account", Part::Account),
        ("domain", Part::Domain),
        ("name", Part::Name),
        ("dir", Part::Dir),
        ("ext", Part::Ext),
        ("quoted", Part::Quoted),
    ];

    /// The bounds of the part; empty bounds when there is none.
    pub fn cut(self, text: &[u8]) -> (usize, usize) {
        match self {
            Part::Account => (last_of(text, b'\\', b'\\').map_or(0, |i| i + 1), text.len()),
            Part::Domain => {
                let end = last_of(text, b'\\', b'\\').unwrap_or(0);
                let run = text.get(..end).unwrap_or_default().iter().rev().take_while(|b| **b == b'\\').count();
                (0, end - run)
            }
            Part::Name => last_component(text),
            Part::Dir => {
                let (name, _) = last_component(text);
                // The separator goes, unless it is the root's.
                let end = name.saturating_sub(1);
                let root = name == 1 || (name > 1 && text.get(end - 1) == Some(&b':'));
                (0, if root { name } else { end })
            }
            Part::Ext => {
                let (from, to) = last_component(text);
                let name = text.get(from..to).unwrap_or_default();
                match name.iter().rposition(|b| *b == b'.') {
                    Some(dot) if dot > 0 => (from + dot + 1, to),
                    _ => (0, 0),
                }
            }
            Part::Quoted => {
                let inside = text.strip_prefix(b"\"").unwrap_or_default();
                inside.iter().position(|b| *b == b'"').map_or((0, 0), |len| (1, len + 1))
            }
        }
    }
}

/// The bounds of the last component of a path; separators at its end do not count.
fn last_component(text: &[u8]) -> (usize, usize) {
    let separator = |b: &u8| matches!(b, b'\\' | b'/');
    let to = text.iter().rposition(|b| !separator(b)).map_or(0, |i| i + 1);
    let from = text.get(..to).and_then(|t| last_of(t, b'\\', b'/')).map_or(0, |i| i + 1);
    (from, to)
}

/// Digits between two literals, as in `[12 page(s)]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NumberMark {
    pub before: Vec<u8>,
    pub after: Vec<u8>,
}

impl NumberMark {
    /// The bounds of the digits at the last place where both literals enclose some.
    pub fn find_last(&self, text: &[u8]) -> Option<(usize, usize)> {
        let mut end = text.len();
        loop {
            let head = text.get(..end)?;
            let to = if head.ends_with(&self.after) {
                end - self.after.len() // where it nearly always stands
            } else {
                memmem::rfind(head, &self.after)?
            };
            let head = text.get(..to)?;
            let digits = head.iter().rev().take_while(|b| b.is_ascii_digit()).count();
            let from = to - digits;
            if digits > 0 && text.get(..from)?.ends_with(&self.before) {
                return Some((from, to));
            }
            end = (to + self.after.len()).checked_sub(1)?;
        }
    }
}

/// One source of a field.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Source {
    pub base: Base,
    /// Digits to look for in it.
    pub number: Option<NumberMark>,
    /// What to cut out of it.
    pub part: Option<Part>,
    /// It counts only when it holds a separator of paths.
    pub path_only: bool,
    /// It counts only when none of these gives anything.
    pub unless: Vec<Source>,
}

impl Source {
    /// The source that is simply this.
    pub fn plain(base: Base) -> Source {
        Source { base, number: None, part: None, path_only: false, unless: Vec::new() }
    }

    /// Calls `see` for this source and all inside it.
    pub fn visit(&self, see: &mut impl FnMut(&Source)) {
        see(self);
        if let Base::Join(pair) = &self.base {
            pair.iter().for_each(|s| s.visit(see));
        }
        self.unless.iter().for_each(|s| s.visit(see));
    }
}

/// A field and its sources.
pub(super) type FieldSources = (Field, Arc<[Source]>);

/// Fields that replace others when one of some keys is there.
#[derive(Clone, Debug)]
pub(super) struct Variant {
    pub when_any: Vec<KeyId>,
    pub fields: Vec<FieldSources>,
}

/// Makes an event another one when a text says so.
#[derive(Clone, Debug)]
pub(super) struct TypeOverride {
    pub event_type: EventType,
    pub instead_of: Vec<EventType>,
    pub value: Arc<[Source]>,
    /// The whole text is one of these; case does not count.
    pub equals: Vec<String>,
    /// One of these is a word of the text; case does not count.
    pub words: Vec<String>,
}

impl TypeOverride {
    /// Whether a text says so.
    pub fn holds(&self, text: &[u8]) -> bool {
        let text = text.trim_ascii();
        self.equals.iter().any(|e| text.eq_ignore_ascii_case(e.as_bytes()))
            || (!self.words.is_empty()
                && text
                    .split(|b| b.is_ascii() && !b.is_ascii_alphanumeric())
                    .any(|word| self.words.iter().any(|w| word.eq_ignore_ascii_case(w.as_bytes()))))
    }
}

/// The fields of a record in the order in which they can be filled.
#[derive(Clone, Debug, Default)]
pub(super) struct Plan {
    pub fields: Vec<FieldSources>,
    /// Indices of `fields` that [`super::Extract::Wanted`] fills.
    pub wanted: Vec<u16>,
    /// What of them recurs, where it is worth a look.
    pub recurring: Option<Recurring>,
    /// By index of `fields`: the keys without which the field is missing; `None` when something else can fill it.
    only_by: Vec<Option<KeySet>>,
    /// By index of `fields`: the only source, where that is a key and at most a part of its value.
    direct: Vec<Option<(KeyId, Option<Part>)>>,
}

impl Plan {
    /// Orders fields so that each comes after those it is made of.
    ///
    /// # Errors
    /// A field that is made of itself.
    pub fn new(mut fields: Vec<FieldSources>) -> Result<Plan, Field> {
        let mut plan = Plan::default();
        let mut done = FieldSet::default();
        let all = fields.iter().fold(FieldSet::default(), |set, (f, _)| set.union(FieldSet::of(*f)));
        while !fields.is_empty() {
            let ready =
                |(_, sources): &FieldSources| reads(sources).iter().all(|f| done.contains(f) || !all.contains(f));
            let Some(next) = fields.iter().position(ready) else {
                return Err(fields.first().map_or(Field::Activity, |(f, _)| *f));
            };
            let field = fields.remove(next);
            done.insert(field.0);
            plan.fields.push(field);
        }
        plan.only_by = plan.fields.iter().map(|(_, sources)| only_keys(sources)).collect();
        plan.direct = plan.fields.iter().map(|(_, sources)| direct(sources)).collect();
        plan.want(FieldSet::default());
        Ok(plan)
    }

    /// A field of the plan, unless the record cannot fill it by the keys that it has: nearly all fields are only by keys, and
    /// a record has a few of them.
    #[inline]
    pub fn field(&self, index: u16, seen: &KeySet) -> Option<&FieldSources> {
        let index = usize::from(index);
        match self.only_by.get(index) {
            Some(Some(keys)) if !keys.meets(seen) => None,
            _ => self.fields.get(index),
        }
    }

    /// The field and its only source, where that is a key and at most a part of its value.
    #[inline]
    pub fn direct(&self, index: u16) -> Option<(Field, KeyId, Option<Part>)> {
        let index = usize::from(index);
        let (key, part) = (*self.direct.get(index)?)?;
        Some((self.fields.get(index)?.0, key, part))
    }

    /// Chooses the fields that `wanted` needs, and those that these are made of.
    pub fn want(&mut self, wanted: FieldSet) {
        let mut needed = wanted;
        self.wanted.clear();
        for (i, (field, sources)) in self.fields.iter().enumerate().rev() {
            if needed.contains(*field) {
                needed = needed.union(reads(sources));
                self.wanted.push(i as u16);
            }
        }
        self.wanted.reverse();
        self.recurring = Recurring::among(&self.fields, &self.wanted);
    }

    /// The fields it can fill.
    pub fn produces(&self) -> FieldSet {
        self.fields.iter().fold(FieldSet::default(), |set, (f, _)| set.union(FieldSet::of(*f)))
    }
}

/// The only source, where that is a key and at most a part of its value.
fn direct(sources: &[Source]) -> Option<(KeyId, Option<Part>)> {
    match sources {
        [Source { base: Base::Key(key), number: None, part, path_only: false, unless }] if unless.is_empty() => {
            Some((*key, *part))
        }
        _ => None,
    }
}

/// The keys of sources that are nothing but keys.
fn only_keys(sources: &[Source]) -> Option<KeySet> {
    let mut keys = KeySet::default();
    for source in sources {
        match source.base {
            Base::Key(key) => keys.insert(key),
            _ => return None,
        }
    }
    Some(keys)
}

/// The fields that sources are made of.
pub(super) fn reads(sources: &[Source]) -> FieldSet {
    let mut set = FieldSet::default();
    for source in sources {
        source.visit(&mut |s| {
            if let Base::Field(f) = s.base {
                set.insert(f);
            }
        });
    }
    set
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_cut_from_accounts_and_paths() {
        for (part, text, wanted) in [
            (Part::Account, r"CORP\jdoe", "jdoe"),
            (Part::Account, r"CORP\\\jdoe", "jdoe"),
            (Part::Account, "jdoe", "jdoe"),
            (Part::Account, r"CORP\", ""),
            (Part::Domain, r"CORP\jdoe", "CORP"),
            (Part::Domain, r"CORP\\\jdoe", "CORP"),
            (Part::Domain, "jdoe", ""),
            (Part::Domain, r"\\jdoe", ""),
            (Part::Name, r"C:\d\x.exe", "x.exe"),
            (Part::Name, "/usr/bin/x", "x"),
            (Part::Name, r"C:\d\", "d"),
            (Part::Name, "x.exe", "x.exe"),
            (Part::Name, r"\\", ""),
            (Part::Dir, r"C:\d\x.exe", r"C:\d"),
            (Part::Dir, r"C:\x.exe", r"C:\"),
            (Part::Dir, "/x", "/"),
            (Part::Dir, "x.exe", ""),
            (Part::Dir, r"C:\d\e\", r"C:\d"),
            (Part::Ext, r"C:\d.e\x.tar.gz", "gz"),
            (Part::Ext, r"C:\d.e\x", ""),
            (Part::Ext, ".bashrc", ""),
            (Part::Quoted, "\"C:\\P F\\x.exe\" -a", r"C:\P F\x.exe"),
            (Part::Quoted, "C:\\x.exe \"a\"", ""),
            (Part::Quoted, "\"C:\\x.exe", ""),
        ] {
            let (from, to) = part.cut(text.as_bytes());
            assert_eq!(&text[from..to], wanted, "{part:?} of {text}");
        }
    }

    #[test]
    fn the_last_marked_number_is_found() {
        let mark = NumberMark { before: b"[".to_vec(), after: b" page(s)]".to_vec() };
        let find = |text: &str| mark.find_last(text.as_bytes()).map(|(f, t)| text[f..t].to_string());
        assert_eq!(find("a [3 page(s)] b [12 page(s)] [x page(s)]").as_deref(), Some("12"));
        assert_eq!(find("12 page(s)]"), None);
        assert_eq!(find(""), None);
    }

    #[test]
    fn words_are_whole_and_case_does_not_count() {
        let o = TypeOverride {
            event_type: EventType::UsbWrite,
            instead_of: vec![EventType::FileWrite],
            value: Arc::from([]),
            equals: vec!["Removable".into()],
            words: vec!["usb".into()],
        };
        assert!(o.holds(b" removable "));
        assert!(o.holds(b"Copied to USB-drive"));
        assert!(!o.holds(b"removable disk"));
        assert!(!o.holds(b"usbstor"));
    }

    #[test]
    fn a_field_that_is_made_of_itself_is_refused() {
        let of = |f: Field| Arc::from([Source::plain(Base::Field(f))]);
        let plan =
            Plan::new(vec![(Field::FileName, of(Field::FilePath)), (Field::FilePath, of(Field::Activity))]).unwrap();
        assert_eq!(plan.fields.iter().map(|f| f.0).collect::<Vec<_>>(), [Field::FilePath, Field::FileName]);
        assert!(
            Plan::new(vec![(Field::FileName, of(Field::FilePath)), (Field::FilePath, of(Field::FileName))]).is_err()
        );
    }

    #[test]
    fn wanting_a_field_wants_what_it_is_made_of() {
        let of = |f: Field| Arc::from([Source::plain(Base::Field(f))]);
        let mut plan = Plan::new(vec![
            (Field::FileName, of(Field::FilePath)),
            (Field::FilePath, of(Field::Activity)),
            (Field::Bytes, of(Field::Activity)),
        ])
        .unwrap();
        plan.want(FieldSet::of(Field::FileName));
        let wanted: Vec<_> = plan.wanted.iter().map(|i| plan.fields[usize::from(*i)].0).collect();
        assert_eq!(wanted, [Field::FilePath, Field::FileName]);
    }
}
