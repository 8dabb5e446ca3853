//! Pieces of the two texts of a batch: what was read, and what was made of it on the way.
//!
//! What this file never does: look into the text for anything but its bounds.

/// A piece of text of a batch. Never dereferenced without bounds: an impossible span reads as empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    start: u32,
    len: u32,
}

const ARENA: u32 = 1 << 31;

impl Span {
    /// Nothing.
    pub const EMPTY: Span = Span { start: 0, len: 0 };

    /// Bytes `start..end` of the raw text. Batches are far smaller than 2 GiB.
    pub fn raw(start: usize, end: usize) -> Span {
        Span { start: start as u32 & !ARENA, len: end.saturating_sub(start) as u32 }
    }
    /// Bytes `start..end` of the arena.
    pub fn arena(start: usize, end: usize) -> Span {
        Span { start: start as u32 | ARENA, len: end.saturating_sub(start) as u32 }
    }
    /// Where in the arena it lies; `None` for a piece of the raw text.
    pub fn arena_range(self) -> Option<std::ops::Range<usize>> {
        let start = (self.start & !ARENA) as usize;
        (self.start & ARENA != 0).then_some(start..start + self.len as usize)
    }
    /// Length in bytes.
    pub const fn len(self) -> usize {
        self.len as usize
    }
    /// Whether there is nothing in it.
    pub const fn is_empty(self) -> bool {
        self.len == 0
    }
    /// The part `from..to` of this span (offsets within it).
    #[must_use]
    pub fn part(self, from: usize, to: usize) -> Span {
        let to = (to as u32).min(self.len);
        let from = (from as u32).min(to);
        Span { start: self.start + from, len: to - from }
    }
}

/// The two texts that spans point into.
#[derive(Clone, Copy, Debug)]
pub struct Text<'a> {
    /// The bytes as read (valid UTF-8 wherever a span points).
    pub raw: &'a [u8],
    /// Text made while parsing and enriching.
    pub arena: &'a [u8],
}

impl<'a> Text<'a> {
    /// The bytes of a span.
    #[inline]
    pub fn get(self, span: Span) -> &'a [u8] {
        let (text, start) = if span.start & ARENA == 0 {
            (self.raw, span.start as usize)
        } else {
            (self.arena, (span.start & !ARENA) as usize)
        };
        text.get(start..start + span.len as usize).unwrap_or_default()
    }
}
