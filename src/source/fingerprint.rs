//! How a file is known again: device and inode, a hash of its head that grows up to 4 KiB, and a hash of the (at most)
//! 4 KiB before the place up to which it was read. All bytes are uncompressed ones, so that a compressed copy is the same file.
//!
//! Never the first line alone: files of a spool often share it (a CSV header).

use crate::batch::{Format, Position};
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;

/// Bytes under the hash of the head, and of the tail.
pub(super) const WINDOW: usize = 4096;

/// The hash that positions keep. It need not resist an attacker: who can write a spool can write any event.
pub(super) fn hash(bytes: &[u8]) -> u64 {
    xxhash_rust::xxh3::xxh3_64(bytes)
}

/// Names a file on this machine while it exists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Inode {
    pub(super) device: u64,
    pub(super) number: u64,
}

impl Inode {
    pub(super) fn of(position: &Position) -> Inode {
        Inode { device: position.device, number: position.inode }
    }
}

/// What `stat` says; two equal ones mean that nothing was written in between.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Stat {
    pub(super) inode: Inode,
    pub(super) size: u64,
    pub(super) modified_ns: i128,
    pub(super) changed_ns: i128,
}

impl Stat {
    pub(super) fn of(meta: &Metadata) -> Stat {
        let ns = |secs: i64, nanos: i64| i128::from(secs) * 1_000_000_000 + i128::from(nanos);
        Stat {
            inode: Inode { device: meta.dev(), number: meta.ino() },
            size: meta.size(),
            modified_ns: ns(meta.mtime(), meta.mtime_nsec()),
            changed_ns: ns(meta.ctime(), meta.ctime_nsec()),
        }
    }
}

impl Stat {
    /// Whether the same bytes are there. A compressed file is not decoded again for a new name, which changes `changed_ns`.
    pub(super) fn same_bytes(&self, other: &Stat, plain: bool) -> bool {
        let quiet = self.inode == other.inode && self.size == other.size && self.modified_ns == other.modified_ns;
        quiet && (!plain || self.changed_ns == other.changed_ns)
    }
}

/// A place in a file at which reading may go on: the end of a batch.
#[derive(Clone, Debug)]
pub(super) struct Mark {
    pub(super) offset: u64,
    pub(super) lines: u64,
    pub(super) head_len: u32,
    pub(super) head_hash: u64,
    pub(super) tail_hash: u64,
    pub(super) format: Option<Format>,
    pub(super) header: Option<Arc<[u8]>>,
}

impl Mark {
    pub(super) fn of(position: &Position) -> Mark {
        Mark {
            offset: position.offset,
            lines: position.lines,
            head_len: position.head_len,
            head_hash: position.head_hash,
            tail_hash: position.tail_hash,
            format: position.format,
            header: position.header.as_deref().map(Arc::from),
        }
    }

    /// The position of another file that shares its first `offset` bytes with `of`.
    pub(super) fn apply(&self, of: &Position) -> Position {
        Position {
            offset: self.offset,
            lines: self.lines,
            head_len: self.head_len,
            head_hash: self.head_hash,
            tail_hash: self.tail_hash,
            format: self.format,
            header: self.header.as_deref().map(<[u8]>::to_vec),
            complete: false,
            ..of.clone()
        }
    }
}
