//! Where changed records go: into the changes of one commit, encoded as they are written.

use super::key::Key;
use crate::store::{Delta, codec};
use serde::Serialize;

/// Writes records into the changes of a commit.
pub struct Put<'a>(pub &'a mut Delta);

impl Put<'_> {
    /// Writes a record. `key` appends its key.
    pub fn record<T: Serialize>(&mut self, key: impl FnOnce(&mut Vec<u8>), record: &T) {
        self.0.write(key, |out| codec::encode_into(record, out));
    }

    /// Writes a record under a key.
    pub fn keyed<T: Serialize>(&mut self, key: &Key, record: &T) {
        self.record(|out| key.append_to(out), record);
    }

    /// Removes all records that the store has now whose keys begin with `prefix`.
    pub fn remove_all(&mut self, prefix: Vec<u8>) {
        self.0.remove_all(prefix);
    }

    /// Removes a record. `key` appends its key.
    pub fn remove(&mut self, key: impl FnOnce(&mut Vec<u8>)) {
        self.0.remove(key);
    }
}
