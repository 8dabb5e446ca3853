//! What one worker keeps from record to record, so that a record costs no allocation.

use super::csv::Cell;
use super::keys::{KeyId, KeySet};
use crate::event::Span;

/// How a value is written.
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

/// The value of a key: where it stands, and what it means once somebody asked.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Value {
    /// As written.
    pub raw: Span,
    pub form: Form,
    /// Decoded, blanks around it cut off; empty when it says "nothing".
    pub decoded: Option<Span>,
}

impl Value {
    pub fn new(raw: Span, form: Form) -> Value {
        Value { raw, form, decoded: None }
    }
}

/// Memory of one worker for [`super::Workspace`]; make one with `default()` and keep it.
#[derive(Debug, Default)]
pub struct Scratch {
    /// Keys of the present record.
    pub(super) seen: KeySet,
    /// By key; stale where `seen` lacks the key.
    values: Vec<Value>,
    /// Cells of the present record.
    pub(super) cells: Vec<Cell>,
    /// Text that is being decoded.
    pub(super) text: Vec<u8>,
    /// The beginning of the last header, up to its fourth delimiter, and where the vendor stands in it.
    pub(super) prefix: Vec<u8>,
    pub(super) prefix_vendor: (usize, usize),
}

impl Scratch {
    /// Forgets the last record.
    #[inline]
    pub(super) fn begin(&mut self, keys: usize) {
        self.seen.clear();
        if self.values.len() < keys {
            self.values.resize(keys, Value::default());
        }
    }

    /// Notes a value. The key counts as seen only when the caller says so in `seen`.
    #[inline]
    pub(super) fn note(&mut self, key: KeyId, value: Value) {
        if let Some(slot) = self.values.get_mut(usize::from(key)) {
            *slot = value;
        }
    }

    /// The value of a key of the present record.
    #[inline]
    pub(super) fn value(&self, key: KeyId) -> Option<Value> {
        if self.seen.contains(key) { self.values.get(usize::from(key)).copied() } else { None }
    }
}
