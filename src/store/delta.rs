//! The changes of one commit, one after the other in one piece of memory: a commit holds many of them, and they all leave
//! together.

use super::error::StoreError;
use super::order::Order;
use super::{MAX_KEY_BYTES, MAX_VALUE_BYTES};
use std::ops::Range;

/// The length that stands for "removed".
const REMOVES: u32 = u32::MAX;

/// Bytes or changes for which memory is always kept.
const KEPT: usize = 4096;

/// The changes of one commit. Values are absolute: applying a delta twice is the same as once. Of several changes of one key
/// the last one counts.
#[derive(Clone, Debug, Default)]
pub struct Delta {
    bytes: Vec<u8>,
    spans: Vec<Span>,
    /// What begins with one of these leaves before anything else is changed.
    prefixes: Vec<Vec<u8>>,
}

/// A key and its new value, or its removal.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    /// Where the key begins; the value follows it.
    at: usize,
    key_len: u32,
    value_len: u32,
}

/// A key and its new value; `None` removes it.
pub type Edit<'a> = (&'a [u8], Option<&'a [u8]>);

impl Delta {
    /// A new value. `key` and `value` append themselves.
    pub fn write(&mut self, key: impl FnOnce(&mut Vec<u8>), value: impl FnOnce(&mut Vec<u8>)) {
        let at = self.bytes.len();
        key(&mut self.bytes);
        let middle = self.bytes.len();
        value(&mut self.bytes);
        // A value too long for a span is far above what a commit takes.
        let value_len = u32::try_from(self.bytes.len() - middle).unwrap_or(REMOVES - 1).min(REMOVES - 1);
        self.spans.push(Span { at, key_len: len(middle - at), value_len });
    }

    /// A new value.
    pub fn put(&mut self, key: &[u8], value: &[u8]) {
        self.write(|out| out.extend_from_slice(key), |out| out.extend_from_slice(value));
    }

    /// A removal. `key` appends itself.
    pub fn remove(&mut self, key: impl FnOnce(&mut Vec<u8>)) {
        let at = self.bytes.len();
        key(&mut self.bytes);
        self.spans.push(Span { at, key_len: len(self.bytes.len() - at), value_len: REMOVES });
    }

    /// Takes what another one holds, after what this one holds.
    pub fn append(&mut self, other: &mut Delta) {
        let moved = self.bytes.len();
        self.bytes.append(&mut other.bytes);
        self.prefixes.append(&mut other.prefixes);
        self.spans.extend(other.spans.drain(..).map(|span| Span { at: span.at + moved, ..span }));
    }

    /// Removes what the store has at this commit of the keys that begin with `prefix`. All other changes come after it.
    pub fn remove_all(&mut self, prefix: Vec<u8>) {
        self.prefixes.push(prefix);
    }

    /// What [`Delta::remove_all`] was called with.
    pub fn prefixes(&self) -> &[Vec<u8>] {
        &self.prefixes
    }

    /// What [`Delta::remove_all`] was called with; it is done with now.
    pub(super) fn take_prefixes(&mut self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.prefixes)
    }

    /// How many changes there are.
    pub fn len(&self) -> usize {
        self.spans.len() + self.prefixes.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Keys and values, bytes.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Forgets the changes. Memory stays for about as many.
    pub fn clear(&mut self) {
        clear_kept(&mut self.bytes);
        clear_kept(&mut self.spans);
        self.prefixes.clear();
    }

    /// The changes.
    pub fn iter(&self) -> impl Iterator<Item = Edit<'_>> {
        self.spans.iter().map(|span| (span.key(&self.bytes), span.value(&self.bytes)))
    }

    /// Where those stand of a delta in order whose keys begin with `prefix`.
    pub(super) fn under(&self, prefix: &[u8]) -> Range<usize> {
        let key = |span: &Span| span.key(&self.bytes);
        let from = self.spans.partition_point(|span| key(span) < prefix);
        let len = self.spans.get(from..).unwrap_or_default().partition_point(|span| key(span).starts_with(prefix));
        from..from + len
    }

    /// The change at a place.
    pub(super) fn edit(&self, at: usize) -> Option<Edit<'_>> {
        self.spans.get(at).map(|span| (span.key(&self.bytes), span.value(&self.bytes)))
    }

    /// By ascending key, the last one of each; `order` is memory for that.
    pub(super) fn put_in_order(&mut self, order: &mut Order) -> Result<(), StoreError> {
        for (key, value) in self.iter() {
            let (key_len, value_len) = (key.len(), value.map_or(0, <[u8]>::len));
            if key_len == 0 || key_len > MAX_KEY_BYTES || value_len > MAX_VALUE_BYTES {
                let what = format!("a key of {key_len} bytes with a value of {value_len} bytes");
                return Err(StoreError::Invalid { what });
            }
        }
        let bytes = &self.bytes;
        order.sort(&mut self.spans, bytes);
        self.spans.dedup_by(|later, kept| {
            let same = later.key(bytes) == kept.key(bytes);
            if same {
                *kept = *later;
            }
            same
        });
        Ok(())
    }
}

impl Span {
    /// Which of two changes came later: the one with the higher number.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    pub(super) fn key<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        bytes.get(self.at..self.at + self.key_len as usize).unwrap_or_default()
    }

    fn value<'a>(&self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        let from = self.at + self.key_len as usize;
        if self.value_len == REMOVES { None } else { bytes.get(from..from + self.value_len as usize) }
    }
}

/// Empties it. Keeps memory in proportion to what it was needed for: one large commit must not hold it for good.
pub(super) fn clear_kept<T>(all: &mut Vec<T>) {
    let needed = all.len().max(KEPT);
    all.clear();
    if all.capacity() / 4 > needed {
        all.shrink_to(needed * 2);
    }
}

fn len(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

impl<K: AsRef<[u8]>, V: AsRef<[u8]>> FromIterator<(K, Option<V>)> for Delta {
    fn from_iter<I: IntoIterator<Item = (K, Option<V>)>>(edits: I) -> Delta {
        let mut delta = Delta::default();
        for (key, value) in edits {
            match value {
                Some(value) => delta.put(key.as_ref(), value.as_ref()),
                None => delta.remove(|out| out.extend_from_slice(key.as_ref())),
            }
        }
        delta
    }
}
