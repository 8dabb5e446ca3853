//! What one worker keeps from record to record, so that a record costs no allocation.

use super::csv::Cell;
use super::keys::{KeyId, KeySet, Strangers};
use super::recurring::Records;
use super::sequence::Sequences;
use crate::event::{Settled, Span};

/// How text is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Form {
    /// As it is meant.
    #[default]
    Plain,
    /// Perhaps with the escapes of CEF.
    Escaped,
    /// With the doubled quotes of CSV.
    Doubled,
}

/// Memory of one worker for [`super::Workspace`]; make one with `default()` and keep it.
#[derive(Debug, Default)]
pub struct Scratch {
    /// Keys of the present record.
    pub(super) seen: KeySet,
    /// Keys whose value was decoded already.
    done: KeySet,
    /// Keys whose value holds doubled quotes, if there are any.
    doubled: KeySet,
    any_doubled: bool,
    /// How the other values are written.
    pub(super) form: Form,
    /// Whether a key was seen whose value may be JSON.
    pub(super) any_json: bool,
    /// Values as written, by key; stale where `seen` lacks the key.
    pub(super) raw: Vec<Span>,
    /// Values as meant, by key; stale where `done` lacks the key.
    decoded: Vec<Span>,
    /// Cells of the present record.
    pub(super) cells: Vec<Cell>,
    /// In which order the last lines named their keys.
    pub(super) sequences: Sequences,
    /// Names in no list that the last lines held.
    pub(super) strangers: Strangers,
    /// Which records were judged before.
    pub(super) records: Records,
    /// Text that is being decoded.
    pub(super) text: Vec<u8>,
    /// The beginning of the last header, up to its fourth delimiter, and where the vendor stands in it.
    pub(super) prefix: Vec<u8>,
    pub(super) prefix_vendor: (usize, usize),
}

impl Scratch {
    /// The event of the last record, which was [`crate::event::Recurs::Open`], is judged: its like is settled or, with `None`, is to be
    /// judged each time.
    pub fn judged(&mut self, settled: Option<Settled>) {
        self.records.judged(settled);
    }

    /// Forgets the last record. Values of the next one are written in this form.
    #[inline]
    pub(super) fn begin(&mut self, keys: usize, form: Form) {
        self.seen.clear();
        self.done.clear();
        if self.any_doubled {
            self.doubled.clear();
            self.any_doubled = false;
        }
        self.form = form;
        self.any_json = false;
        if self.raw.len() < keys {
            self.raw.resize(keys, Span::EMPTY);
            self.decoded.resize(keys, Span::EMPTY);
        }
    }

    /// Notes a value as written. The key counts as seen only when the caller says so in `seen`.
    #[inline]
    pub(super) fn note(&mut self, key: KeyId, raw: Span) {
        if let Some(slot) = self.raw.get_mut(usize::from(key)) {
            *slot = raw;
        }
    }

    /// Says that a value holds doubled quotes.
    pub(super) fn mark_doubled(&mut self, key: KeyId) {
        self.doubled.insert(key);
        self.any_doubled = true;
    }

    /// Whether some value holds doubled quotes.
    #[inline]
    pub(super) fn has_doubled(&self) -> bool {
        self.any_doubled
    }

    /// The value of a key of the present record, as written.
    #[inline]
    pub(super) fn raw(&self, key: KeyId) -> Option<Span> {
        if self.seen.contains(key) { self.raw.get(usize::from(key)).copied() } else { None }
    }

    /// How the value of a key is written.
    #[inline]
    pub(super) fn form(&self, key: KeyId) -> Form {
        if self.any_doubled && self.doubled.contains(key) { Form::Doubled } else { self.form }
    }

    /// The value of a key as meant, if it was decoded before.
    #[inline]
    pub(super) fn decoded(&self, key: KeyId) -> Option<Span> {
        if self.done.contains(key) { self.decoded.get(usize::from(key)).copied() } else { None }
    }

    /// Keeps the decoded value of a key.
    #[inline]
    pub(super) fn keep_decoded(&mut self, key: KeyId, span: Span) {
        if let Some(slot) = self.decoded.get_mut(usize::from(key)) {
            *slot = span;
            self.done.insert(key);
        }
    }
}
