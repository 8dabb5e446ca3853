//! Where changed records go: the edits of one commit, each encoded into one piece.

use super::key::Key;
use crate::store::{Edit, codec};
use serde::Serialize;

/// Gathers edits.
pub struct Put<'a> {
    edits: &'a mut Vec<Edit>,
    buffer: Vec<u8>,
}

impl Put<'_> {
    /// Gathers into `edits`.
    pub fn into(edits: &mut Vec<Edit>) -> Put<'_> {
        Put { edits, buffer: Vec::with_capacity(256) }
    }

    /// Writes a record. `key` appends its key.
    pub fn record<T: Serialize>(&mut self, key: impl FnOnce(&mut Vec<u8>), record: &T) {
        self.buffer.clear();
        key(&mut self.buffer);
        let key_len = self.buffer.len();
        codec::encode_into(record, &mut self.buffer);
        self.edits.push(Edit::put_joined(&self.buffer, key_len));
    }

    /// Writes a record under a key.
    pub fn keyed<T: Serialize>(&mut self, key: &Key, record: &T) {
        self.record(|out| key.append_to(out), record);
    }

    /// Removes a record. `key` appends its key.
    pub fn remove(&mut self, key: impl FnOnce(&mut Vec<u8>)) {
        self.buffer.clear();
        key(&mut self.buffer);
        self.edits.push(Edit::removal(&self.buffer));
    }
}
