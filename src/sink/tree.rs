//! A line of nested JSON from a flat list of paths and values, for formats whose objects are not those of the alert.
//!
//! Nothing is built on the way: the paths are constants, the values stand in the alert. `a.b` is member `b` of object `a`;
//! `a[].b` is member `b` of the only object in the list `a`. A path is taken once, and no path may lie above another.

use crate::alert::{Alert, Evidence, Origin, Reasons};
use crate::event::{EventType, Field, parse_decimal};
use serde::ser::{Serialize, SerializeMap, Serializer};
use std::borrow::Cow;

/// A value at the end of a path.
pub enum Leaf<'a> {
    /// Text, as it was.
    Text(Cow<'a, str>),
    /// A number that every reader can hold.
    Number(i64),
    /// Yes or no.
    Flag(bool),
    /// A list of texts.
    Texts(Vec<&'a str>),
    /// Names and texts.
    Named(Vec<(&'a str, &'a str)>),
    /// Why the rule fired.
    Evidence(&'a Evidence),
    /// Where the event came from.
    Origin(&'a Origin),
    /// A list of objects.
    Trees(Vec<Tree<'a>>),
}

/// Where a field of the event goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// To this path, as text.
    Text(&'static str),
    /// To this path as a number up to a largest one; what is no such number has no place.
    Number(&'static str, i64),
    /// To this path, when it is one of these words in whatever case.
    Word(&'static str, &'static [&'static str]),
    /// The schema has no place for it.
    None,
}

/// Paths and values, in the order in which they are written.
#[derive(Default)]
pub struct Tree<'a>(Vec<(&'static str, Leaf<'a>)>);

impl<'a> Tree<'a> {
    /// Puts a value at a path that is free; says whether it was.
    pub fn put(&mut self, path: &'static str, leaf: Leaf<'a>) -> bool {
        let free = !self.has(path);
        if free {
            self.0.push((path, leaf));
        }
        free
    }

    /// Puts a text, unless it is empty or the path is taken.
    pub fn text(&mut self, path: &'static str, text: impl Into<Cow<'a, str>>) -> bool {
        let text = text.into();
        !text.is_empty() && self.put(path, Leaf::Text(text))
    }

    /// Puts a number.
    pub fn number(&mut self, path: &'static str, number: impl Into<i64>) -> bool {
        self.put(path, Leaf::Number(number.into()))
    }

    /// Puts a list of texts, unless it is empty.
    pub fn texts(&mut self, path: &'static str, texts: impl IntoIterator<Item = &'a str>) {
        let texts: Vec<&str> = texts.into_iter().collect();
        if !texts.is_empty() {
            self.put(path, Leaf::Texts(texts));
        }
    }

    /// Whether a value stands at this path.
    pub fn has(&self, path: &str) -> bool {
        self.0.iter().any(|(taken, _)| *taken == path)
    }

    /// Whether a value stands below a path that ends in a dot.
    pub fn has_below(&self, prefix: &str) -> bool {
        self.0.iter().any(|(taken, _)| taken.starts_with(prefix))
    }

    /// Puts the fields of the event where `place` says, and those without a place together at `own`, under our names.
    pub fn fields(&mut self, alert: &'a Alert, own: &'static str, place: impl Fn(Field) -> Place) {
        let mut rest = Vec::new();
        for (name, value) in alert.fields.iter() {
            let placed = match Field::resolve(name).map_or(Place::None, &place) {
                Place::Text(path) => self.text(path, value),
                Place::Number(path, most) => {
                    let number = parse_decimal(value.as_bytes()).and_then(|n| i64::try_from(n).ok());
                    number.filter(|n| *n <= most).is_some_and(|n| self.number(path, n))
                }
                Place::Word(path, words) => words
                    .iter()
                    .find(|word| word.eq_ignore_ascii_case(value))
                    .is_some_and(|word| self.text(path, *word)),
                Place::None => false,
            };
            if !placed {
                rest.push((name, value));
            }
        }
        if !rest.is_empty() {
            self.put(own, Leaf::Named(rest));
        }
    }

    /// The tree as JSON on one line.
    pub fn to_text(&self) -> String {
        // Nothing in a tree can fail to become JSON.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The same as a value.
    pub fn to_value(&self) -> serde_json::Value {
        serde_json::to_value(self).unwrap_or_default()
    }
}

/// The kind of the alert's event, if it has one that is known.
pub fn kind_of(alert: &Alert) -> Option<EventType> {
    EventType::from_name(&alert.event_type)
}

/// The value of a field, empty when the event has none.
pub fn field_of(alert: &Alert, field: Field) -> &str {
    let found = alert.fields.iter().find(|(name, value)| Field::resolve(name) == Some(field) && !value.is_empty());
    found.map_or("", |(_, value)| value)
}

/// The first part of an ATT&CK id, and the whole id where it names a sub-technique: `T1048.003` is one of `T1048`.
pub fn technique(id: &str) -> (&str, Option<&str>) {
    id.split_once('.').map_or((id, None), |(technique, _)| (technique, Some(id)))
}

/// The part of a tree below a path.
struct Branch<'t, 'a> {
    tree: &'t Tree<'a>,
    prefix: &'static str,
}

impl Serialize for Tree<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Branch { tree: self, prefix: "" }.serialize(serializer)
    }
}

impl Serialize for Branch<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut o = serializer.serialize_map(None)?;
        for (at, (path, leaf)) in self.tree.0.iter().enumerate() {
            let Some(rest) = path.strip_prefix(self.prefix) else { continue };
            let Some((name, _)) = rest.split_once('.') else {
                o.serialize_entry(rest, leaf)?;
                continue;
            };
            let prefix = path.get(..self.prefix.len() + name.len() + 1).unwrap_or(path);
            // An object is written where the first of its members stands.
            if self.tree.0.iter().take(at).any(|(earlier, _)| earlier.starts_with(prefix)) {
                continue;
            }
            let branch = Branch { tree: self.tree, prefix };
            match name.strip_suffix("[]") {
                Some(list) => o.serialize_entry(list, &[branch])?,
                None => o.serialize_entry(name, &branch)?,
            }
        }
        o.end()
    }
}

impl Serialize for Leaf<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Leaf::Text(text) => serializer.serialize_str(text),
            Leaf::Number(number) => serializer.serialize_i64(*number),
            Leaf::Flag(flag) => serializer.serialize_bool(*flag),
            Leaf::Texts(texts) => texts.serialize(serializer),
            Leaf::Named(named) => serializer.collect_map(named.iter().copied()),
            Leaf::Evidence(evidence) => Reasons(evidence).serialize(serializer),
            Leaf::Origin(origin) => origin.serialize(serializer),
            Leaf::Trees(trees) => trees.serialize(serializer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_of_an_object_come_together_and_a_path_is_taken_once() {
        let mut tree = Tree::default();
        assert!(tree.text("a.x", "1"));
        assert!(tree.number("b", 2));
        assert!(tree.text("a.y.z", "3"));
        assert!(tree.text("ab.x", "4"));
        assert!(tree.text("c[].d", "5"));
        assert!(tree.text("c[].e.f", "6"));
        assert!(!tree.text("a.x", "twice"));
        assert!(!tree.text("e", ""));
        assert_eq!(
            tree.to_text(),
            r#"{"a":{"x":"1","y":{"z":"3"}},"b":2,"ab":{"x":"4"},"c":[{"d":"5","e":{"f":"6"}}]}"#
        );
    }

    #[test]
    fn a_technique_is_told_from_its_part() {
        assert_eq!(technique("T1048.003"), ("T1048", Some("T1048.003")));
        assert_eq!(technique("T1105"), ("T1105", None));
    }
}
