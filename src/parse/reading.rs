//! One record while its fields are filled: decodes values when somebody asks for them, and evaluates sources.
//!
//! Decoded text goes to the arena once a value, however many fields are cut from it.

use super::Workspace;
use super::claim::Claim;
use super::escape;
use super::field_map::{Base, Part, Piece, Plan, Source};
use super::json::{self, Scalar};
use super::keys::KeyId;
use super::layout::Marks;
use super::scratch::Form;
use crate::event::{Oddity, Span, Text};
use memchr::memchr;

/// A header's text and what its pieces are known by.
#[derive(Clone, Copy)]
pub(super) struct Header<'r> {
    pub text: Span,
    pub form: Form,
    decoded: bool,
    marks: &'r Marks,
}

/// A record whose values are known by position.
pub(super) struct Reading<'r, 'w> {
    pub(super) work: &'r mut Workspace<'w>,
    /// `None` for formats without one.
    pub(super) header: Option<Header<'r>>,
    broken_json: bool,
    /// Something was looked for in a JSON value.
    pub(super) asked_json: bool,
}

impl<'r, 'w> Reading<'r, 'w> {
    /// A record with a header's text (`Form::Plain` when its backslashes are no escapes).
    pub fn with_header(work: &'r mut Workspace<'w>, text: Span, form: Form, marks: &'r Marks) -> Self {
        let header = Header { text, form, decoded: false, marks };
        Reading { work, header: Some(header), broken_json: false, asked_json: false }
    }

    /// A record without one.
    pub fn without_header(work: &'r mut Workspace<'w>) -> Self {
        Reading { work, header: None, broken_json: false, asked_json: false }
    }

    /// Fills the draft's fields and settles its type.
    #[inline]
    pub fn fill(&mut self, claim: &Claim, all: bool) {
        let plan = self.plan(claim);
        if all {
            for (field, sources) in &plan.fields {
                let span = self.first(sources);
                self.work.draft.set(*field, span);
            }
        } else if let Some(recurring) = &plan.recurring {
            if self.is_settled(recurring) {
                self.fill_some(plan, &recurring.others);
            } else {
                self.fill_some(plan, &plan.wanted);
                self.may_settle(recurring);
            }
        } else {
            self.fill_some(plan, &plan.wanted);
        }
        for change in &claim.overrides {
            if change.instead_of.contains(&self.work.draft.kind) {
                let span = self.first(&change.value);
                if change.holds(self.bytes(span)) {
                    self.work.draft.kind = change.event_type;
                    break;
                }
            }
        }
        if self.broken_json {
            self.work.oddities.add(Oddity::BrokenJson.index(), 1);
        }
    }

    #[inline]
    fn fill_some(&mut self, plan: &Plan, fields: &[u16]) {
        for index in fields {
            if let Some((field, key, part)) = plan.direct(*index) {
                let span = self.value(key);
                let span = if let Some(part) = part { self.part_of(span, part) } else { span };
                self.work.draft.set(field, span);
                continue;
            }
            let Some((field, sources)) = plan.field(*index, &self.work.scratch.seen) else { continue };
            let span = self.first(sources);
            self.work.draft.set(*field, span);
        }
    }

    #[inline]
    fn part_of(&self, span: Span, part: Part) -> Span {
        let (from, to) = part.cut(self.bytes(span));
        self.unless_nothing(span.part(from, to))
    }

    fn plan<'c>(&mut self, claim: &'c Claim) -> &'c Plan {
        for (keys, plan) in &claim.variants {
            if keys.iter().any(|k| !self.value(*k).is_empty()) {
                return plan;
            }
        }
        &claim.plan
    }

    fn bytes(&self, span: Span) -> &[u8] {
        Text { raw: self.work.raw, arena: self.work.arena }.get(span)
    }

    /// The first source that gives something.
    #[inline]
    fn first(&mut self, sources: &[Source]) -> Span {
        for source in sources {
            let span = match source.base {
                // Most sources of most records are keys that are not there.
                Base::Key(key) => self.value(key),
                Base::Field(field) => self.work.draft.span(field),
                _ => self.eval_base(&source.base),
            };
            if span.is_empty() {
                continue;
            }
            let span = self.cut(span, source);
            if !span.is_empty() && (source.unless.is_empty() || self.first(&source.unless).is_empty()) {
                return span;
            }
        }
        Span::EMPTY
    }

    /// The sources that take more than a look.
    fn eval_base(&mut self, base: &Base) -> Span {
        match base {
            Base::Key(key) => self.value(*key),
            Base::Field(field) => self.work.draft.span(*field),
            Base::Header(piece) => self.header(*piece),
            Base::Json { keys, path, deep } => self.json(keys, path, *deep),
            Base::Join(pair) => {
                let [directory, name] = &**pair;
                self.join(directory, name)
            }
        }
    }

    /// What a source takes out of its text.
    #[inline]
    fn cut(&self, mut span: Span, source: &Source) -> Span {
        if let Some(mark) = &source.number {
            let bounds = mark.find_last(self.bytes(span));
            span = bounds.map_or(Span::EMPTY, |(from, to)| span.part(from, to));
        }
        if let Some(part) = source.part {
            span = self.part_of(span, part);
        }
        // A plain loop: a full path has its first separator within three bytes.
        if source.path_only && !self.bytes(span).iter().any(|b| matches!(b, b'\\' | b'/')) {
            return Span::EMPTY;
        }
        span
    }

    /// A lone `-` is how logs say "nothing".
    #[inline]
    fn unless_nothing(&self, span: Span) -> Span {
        if span.len() == 1 && self.bytes(span) == b"-" { Span::EMPTY } else { span }
    }

    /// The decoded value of a key; empty when the record lacks it.
    #[inline]
    fn value(&mut self, key: KeyId) -> Span {
        if let Some(span) = self.work.scratch.decoded(key) {
            return span;
        }
        let Some(raw) = self.work.scratch.raw(key) else { return Span::EMPTY };
        let span = self.decode(raw, self.work.scratch.form(key), false);
        let span = self.unless_nothing(span);
        self.work.scratch.keep_decoded(key, span);
        span
    }

    #[inline]
    fn decode(&mut self, raw: Span, form: Form, pipes: bool) -> Span {
        let span = self.trim(raw);
        if form == Form::Plain { span } else { self.unescape(span, form, pipes) }
    }

    fn unescape(&mut self, span: Span, form: Form, pipes: bool) -> Span {
        let text = Text { raw: self.work.raw, arena: self.work.arena }.get(span);
        let out = &mut self.work.scratch.text;
        out.clear();
        let changed = match form {
            Form::Plain => false,
            Form::Escaped => escape::unescape(text, pipes, out),
            Form::Doubled => {
                super::csv::unquote(text, out);
                true
            }
        };
        if changed { self.keep() } else { span }
    }

    /// Moves the decoded text into the arena.
    fn keep(&mut self) -> Span {
        let from = self.work.arena.len();
        self.work.arena.extend_from_slice(&self.work.scratch.text);
        Span::arena(from, self.work.arena.len())
    }

    #[inline]
    fn trim(&self, span: Span) -> Span {
        let text = self.bytes(span);
        // Nearly every value begins and ends with something to see.
        if let [b'!'..=u8::MAX, .., b'!'..=u8::MAX] = text {
            return span;
        }
        let from = text.len() - text.trim_ascii_start().len();
        span.part(from, text.trim_ascii_end().len().max(from))
    }

    fn header(&mut self, piece: Piece) -> Span {
        let Some(mut header) = self.header else { return Span::EMPTY };
        if !header.decoded {
            header.text = self.decode(header.text, header.form, true);
            header.decoded = true;
            self.header = Some(header);
        }
        let (from, to) = header.marks.piece(piece, self.bytes(header.text));
        self.trim(header.text.part(from, to))
    }

    fn join(&mut self, directory: &Source, name: &Source) -> Span {
        let one = std::slice::from_ref::<Source>;
        let (directory, name) = (self.first(one(directory)), self.first(one(name)));
        if directory.is_empty() || name.is_empty() {
            return Span::EMPTY;
        }
        let text = Text { raw: self.work.raw, arena: self.work.arena };
        let (head, tail) = (text.get(directory), text.get(name));
        let out = &mut self.work.scratch.text;
        out.clear();
        out.extend_from_slice(head);
        if !head.ends_with(b"\\") && !head.ends_with(b"/") {
            let posix = memchr(b'/', head).is_some() && memchr(b'\\', head).is_none();
            out.push(if posix { b'/' } else { b'\\' });
        }
        out.extend_from_slice(tail);
        self.keep()
    }

    fn json(&mut self, keys: &[KeyId], path: &[Box<[u8]>], deep: bool) -> Span {
        if !self.work.scratch.any_json {
            return Span::EMPTY;
        }
        for key in keys {
            let span = self.json_of(*key, path, deep);
            if !span.is_empty() {
                return span;
            }
        }
        Span::EMPTY
    }

    /// Raw first, then decoded, then pair by pair.
    fn json_of(&mut self, key: KeyId, path: &[Box<[u8]>], deep: bool) -> Span {
        let Some(raw) = self.work.scratch.raw(key) else { return Span::EMPTY };
        self.asked_json = true;
        if self.work.scratch.form(key) != Form::Doubled {
            let raw = self.trim(raw);
            if let Ok(found) = look(self.bytes(raw), path, deep) {
                return self.scalar(raw, found);
            }
        }
        let decoded = self.value(key);
        if decoded.is_empty() {
            return Span::EMPTY;
        }
        if let Ok(found) = look(self.bytes(decoded), path, deep) {
            return self.scalar(decoded, found);
        }
        self.broken_json = true;
        let found = json::find_pair(self.bytes(decoded), path);
        self.scalar(decoded, found)
    }

    fn scalar(&mut self, text: Span, found: Option<Scalar>) -> Span {
        let Some(scalar) = found else { return Span::EMPTY };
        let mut span = text.part(scalar.from, scalar.to);
        if scalar.quoted && memchr(b'\\', self.bytes(span)).is_some() {
            let text = Text { raw: self.work.raw, arena: self.work.arena }.get(span);
            let out = &mut self.work.scratch.text;
            out.clear();
            escape::unescape_json(text, out);
            span = self.keep();
        }
        let span = self.trim(span);
        self.unless_nothing(span)
    }
}

/// At the top first, so that a nested namesake does not win.
fn look(text: &[u8], path: &[Box<[u8]>], deep: bool) -> Result<Option<Scalar>, json::Broken> {
    match json::find(text, path, false)? {
        None if deep => json::find(text, path, true),
        found => Ok(found),
    }
}
