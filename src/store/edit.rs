//! A change of one record: its key with a new value, or without one when it is removed. A commit holds many of them, so each
//! is one piece of memory.
//!
//! Edits are equal and ordered by their keys alone.

use std::borrow::Borrow;
use std::cmp::Ordering;

/// A key and its new value, or its removal.
#[derive(Clone, Debug)]
pub struct Edit {
    /// Key, value.
    bytes: Box<[u8]>,
    key_len: u32,
    removes: bool,
}

impl Edit {
    /// A new value.
    pub fn put(key: &[u8], value: &[u8]) -> Edit {
        Edit { bytes: [key, value].concat().into(), key_len: key.len() as u32, removes: false }
    }

    /// A new value: the first `key_len` bytes are the key, the rest is the value.
    pub fn put_joined(bytes: &[u8], key_len: usize) -> Edit {
        Edit { bytes: bytes.into(), key_len: key_len.min(bytes.len()) as u32, removes: false }
    }

    /// A removal.
    pub fn removal(key: &[u8]) -> Edit {
        Edit { bytes: key.into(), key_len: key.len() as u32, removes: true }
    }

    /// The key.
    #[inline]
    pub fn key(&self) -> &[u8] {
        self.bytes.get(..self.key_len as usize).unwrap_or_default()
    }

    /// The new value; `None` when the record is removed.
    #[inline]
    pub fn value(&self) -> Option<&[u8]> {
        if self.removes { None } else { self.bytes.get(self.key_len as usize..) }
    }

    /// Key and value, bytes.
    pub fn size(&self) -> usize {
        self.bytes.len()
    }
}

impl Borrow<[u8]> for Edit {
    fn borrow(&self) -> &[u8] {
        self.key()
    }
}

impl PartialEq for Edit {
    fn eq(&self, other: &Edit) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Edit {}

impl PartialOrd for Edit {
    fn partial_cmp(&self, other: &Edit) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Edit {
    fn cmp(&self, other: &Edit) -> Ordering {
        self.key().cmp(other.key())
    }
}
