//! The two texts of a batch while enrichment writes into one of them.
//!
//! Derived text is appended to the batch's arena; text that needs no change stays where it is. Marks are arena lengths
//! in bytes.

use super::case;
use crate::event::{Span, Text};
use crate::swar::{is_plain_lower, push_lower};

/// The raw text and the arena that grows.
pub(super) struct Arena<'a> {
    raw: &'a [u8],
    made: &'a mut Vec<u8>,
}

impl<'a> Arena<'a> {
    /// Writes into `made`.
    pub fn new(raw: &'a [u8], made: &'a mut Vec<u8>) -> Self {
        Arena { raw, made }
    }

    /// The bytes of a span.
    pub fn get(&self, span: Span) -> &[u8] {
        Text { raw: self.raw, arena: self.made }.get(span)
    }

    /// Where the next byte goes.
    pub fn mark(&self) -> usize {
        self.made.len()
    }

    /// What was written since a mark.
    pub fn since(&self, mark: usize) -> &[u8] {
        self.made.get(mark..).unwrap_or_default()
    }

    /// What was written since a mark, as a span.
    pub fn span_since(&self, mark: usize) -> Span {
        Span::arena(mark, self.made.len())
    }

    /// What was written between two marks.
    pub fn between(&self, from: usize, to: usize) -> &[u8] {
        self.made.get(from..to).unwrap_or_default()
    }

    /// Appends bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        self.made.extend_from_slice(bytes);
    }

    /// Appends bytes `from..to` of the arena itself.
    pub fn repeat(&mut self, from: usize, to: usize) {
        if from <= to && to <= self.made.len() {
            self.made.extend_from_within(from..to);
        }
    }

    /// Appends what a span names.
    pub fn copy(&mut self, span: Span) {
        let direct = Text { raw: self.raw, arena: &[] }.get(span);
        if direct.len() == span.len() {
            self.made.extend_from_slice(direct);
            return;
        }
        let mut chunk = [0_u8; 128];
        for from in (0..span.len()).step_by(chunk.len()) {
            let piece = self.get(span.part(from, from + 128));
            let Some(room) = chunk.get_mut(..piece.len()) else { return };
            room.copy_from_slice(piece);
            self.made.extend_from_slice(room);
        }
    }

    /// Appends the lower-case form of what a span names.
    #[inline]
    pub fn copy_lower(&mut self, span: Span) {
        let direct = Text { raw: self.raw, arena: &[] }.get(span);
        if direct.len() != span.len() || !push_lower(direct, self.made) {
            let mark = self.mark();
            self.copy(span);
            self.lower_since(mark);
        }
    }

    /// Lower-cases what was written since a mark.
    pub fn lower_since(&mut self, mark: usize) {
        case::lower_from(self.made, mark);
    }

    /// The lower-case form of a span: the span itself when it already is.
    pub fn lowered(&mut self, span: Span) -> Span {
        if is_plain_lower(self.get(span)) {
            return span;
        }
        let mark = self.mark();
        self.copy_lower(span);
        self.span_since(mark)
    }

    /// Takes back what was written since a mark.
    pub fn forget(&mut self, mark: usize) {
        self.made.truncate(mark);
    }

    /// Takes back what was written from `from` to `to` and moves the rest up.
    pub fn close_gap(&mut self, from: usize, to: usize) {
        if from <= to && to <= self.made.len() {
            self.made.copy_within(to.., from);
            self.made.truncate(self.made.len() - (to - from));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_either_kind_is_copied_whole() {
        let long: Vec<u8> = (0..300).map(|i| b'a' + (i % 26) as u8).collect();
        let mut made = long.clone();
        let mut arena = Arena::new(b"raw", &mut made);
        arena.copy(Span::raw(0, 3));
        arena.copy(Span::arena(0, 300));
        assert_eq!(arena.since(300), [b"raw".as_slice(), &long].concat());
    }

    #[test]
    fn text_that_is_lower_case_already_stays_where_it_is() {
        let mut made = Vec::new();
        let mut arena = Arena::new(b"plain Mixed", &mut made);
        assert_eq!(arena.lowered(Span::raw(0, 5)), Span::raw(0, 5));
        let mixed = arena.lowered(Span::raw(6, 11));
        assert_eq!(arena.get(mixed), b"mixed");
    }

    #[test]
    fn a_closed_gap_leaves_what_came_before_and_after() {
        let mut made = b"keepDROPtail".to_vec();
        let mut arena = Arena::new(b"", &mut made);
        arena.close_gap(4, 8);
        assert_eq!(arena.since(0), b"keeptail");
    }
}
