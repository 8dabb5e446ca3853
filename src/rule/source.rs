//! Where a test finds its text when that is not simply one field: the first of several fields that is there, fields put
//! together, a part of a field.

use super::text::last_component;
use crate::event::{EventView, Field, FieldSet};
use std::fmt;

/// Alternatives; the first whose fields are all there gives the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The name that explanations use.
    pub name: Box<str>,
    /// The alternatives, at least one.
    pub alternatives: Vec<Alternative>,
}

/// One way to make the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alternative {
    /// What stands before the first field.
    pub before: Box<str>,
    /// What stands between two fields.
    pub between: Box<str>,
    /// The fields, at least one.
    pub fields: Vec<Field>,
    /// Which part of it counts.
    pub part: Part,
}

/// A part of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// All of it.
    Whole,
    /// What follows the last `\` or `/`.
    Name,
    /// What follows the last dot of the name.
    Extension,
}

impl Part {
    fn of(self, text: &[u8]) -> Option<&[u8]> {
        match self {
            Part::Whole => Some(text),
            Part::Name => Some(last_component(text)),
            Part::Extension => {
                let name = last_component(text);
                memchr::memrchr(b'.', name).and_then(|at| name.get(at + 1..)).filter(|ext| !ext.is_empty())
            }
        }
    }
}

impl Alternative {
    /// A field as it is.
    pub fn plain(field: Field) -> Alternative {
        Alternative { before: "".into(), between: "".into(), fields: vec![field], part: Part::Whole }
    }

    /// The field that it is, when it is nothing but a field.
    pub fn field(&self) -> Option<Field> {
        match self.fields.as_slice() {
            [field] if self.before.is_empty() && self.part == Part::Whole => Some(*field),
            _ => None,
        }
    }

    fn is_there(&self, event: &EventView<'_>) -> bool {
        self.fields.iter().all(|f| event.draft.present.contains(*f))
    }

    /// Its fields.
    pub fn reads(&self) -> FieldSet {
        self.fields.iter().fold(FieldSet::default(), |all, f| all.union(FieldSet::of(*f)))
    }
}

impl Source {
    /// The field that it is, when it is nothing but a field.
    pub fn field(&self) -> Option<Field> {
        match self.alternatives.as_slice() {
            [only] => only.field(),
            _ => None,
        }
    }

    /// Every field that it may read.
    pub fn reads(&self) -> FieldSet {
        self.alternatives.iter().fold(FieldSet::default(), |all, a| all.union(a.reads()))
    }

    /// The text of an event, made in `buffer` where it is more than a field.
    pub fn text<'t>(&self, event: EventView<'t>, buffer: &'t mut Vec<u8>) -> Option<&'t [u8]> {
        let alternative = self.alternatives.iter().find(|a| a.is_there(&event))?;
        let whole = match alternative.fields.as_slice() {
            [field] if alternative.before.is_empty() => event.get(*field)?,
            fields => {
                buffer.clear();
                buffer.extend_from_slice(alternative.before.as_bytes());
                for (n, field) in fields.iter().enumerate() {
                    if n > 0 {
                        buffer.extend_from_slice(alternative.between.as_bytes());
                    }
                    buffer.extend_from_slice(event.get(*field)?);
                }
                buffer.as_slice()
            }
        };
        alternative.part.of(whole)
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Draft, EventType, Span, Text};

    #[test]
    fn the_first_alternative_that_is_there_gives_the_text() {
        let source = Source {
            name: "x".into(),
            alternatives: vec![
                Alternative {
                    between: "\\".into(),
                    fields: vec![Field::UserDomain, Field::User],
                    ..Alternative::plain(Field::User)
                },
                Alternative { before: "\\".into(), ..Alternative::plain(Field::User) },
                Alternative { part: Part::Extension, ..Alternative::plain(Field::UriPath) },
            ],
        };
        let raw = b"CORPjdoe/a.b/c.tar.gz";
        let mut draft = Draft::empty(EventType::ProcessCreated, 0);
        let text = |draft: &Draft| {
            let event = EventView { draft, text: Text { raw, arena: &[] } };
            source.text(event, &mut Vec::new()).map(|t| String::from_utf8_lossy(t).into_owned())
        };
        assert_eq!(text(&draft), None);
        draft.set(Field::UriPath, Span::raw(8, 12));
        assert_eq!(text(&draft), Some("b".into()));
        draft.set(Field::UriPath, Span::raw(8, 14));
        assert_eq!(text(&draft), None, "a dot in a directory is no extension");
        draft.set(Field::UriPath, Span::raw(8, raw.len()));
        assert_eq!(text(&draft), Some("gz".into()));
        draft.set(Field::User, Span::raw(4, 8));
        assert_eq!(text(&draft), Some("\\jdoe".into()));
        draft.set(Field::UserDomain, Span::raw(0, 4));
        assert_eq!(text(&draft), Some("CORP\\jdoe".into()));
    }
}
