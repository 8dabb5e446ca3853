//! The witness: a 32-byte file beside the sled directory that remembers which epoch was last made durable.
//!
//! sled can open a damaged directory as an older state, or as an empty one, without an error. The witness is written after
//! the commit is on the disk, so it is never ahead of a sound store; a store behind its witness was rolled back.
//! Layout: magic "EXWI", store id 16 bytes, epoch u64 LE, CRC-32C of these u32 LE.
//! What this file never does: sync after creation. A lost update only makes the witness older, which is harmless.

use super::error::StoreError;
use super::root::StoreId;
use std::fs::{self, File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

const MAGIC: &[u8; 4] = b"EXWI";
const BYTES: usize = 32;

/// What the witness file says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Testimony {
    /// There is no witness.
    Absent,
    /// There is a file, but it cannot be read as a witness.
    Unreadable,
    /// The store with this id had reached this epoch.
    Of { id: StoreId, epoch: u64 },
}

/// The open witness file.
pub(super) struct Witness {
    file: File,
    path: PathBuf,
    id: StoreId,
}

impl Witness {
    /// What the witness in a state directory says.
    pub(super) fn hear(dir: &Path) -> Result<Testimony, StoreError> {
        let path = dir.join("witness");
        match fs::read(&path) {
            Ok(bytes) => Ok(parse(&bytes).map_or(Testimony::Unreadable, |(id, epoch)| Testimony::Of { id, epoch })),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(Testimony::Absent),
            Err(e) => Err(StoreError::io(&path, "reading")(e)),
        }
    }

    /// Opens the witness and brings it up to date; a new or unreadable one, or that of another store, is written durably.
    pub(super) fn open(dir: &Path, id: StoreId, epoch: u64) -> Result<Witness, StoreError> {
        let before = Witness::hear(dir)?;
        let path = dir.join("witness");
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(StoreError::create(&path))?;
        let witness = Witness { file, path, id };
        if before == (Testimony::Of { id, epoch }) {
            return Ok(witness);
        }
        witness.record(epoch)?;
        // An older epoch of this store does no harm; the witness of another one would speak against it after a power loss.
        if !matches!(before, Testimony::Of { id: of, .. } if of == id) {
            let synced = witness.file.set_len(BYTES as u64).and_then(|()| witness.file.sync_all());
            synced.map_err(StoreError::io(&witness.path, "syncing"))?;
            File::open(dir).and_then(|d| d.sync_all()).map_err(StoreError::io(dir, "syncing"))?;
        }
        Ok(witness)
    }

    /// Remembers that this epoch is durable.
    pub(super) fn record(&self, epoch: u64) -> Result<(), StoreError> {
        self.file.write_all_at(&compose(self.id, epoch), 0).map_err(StoreError::io(&self.path, "writing"))
    }
}

pub(super) fn compose(id: StoreId, epoch: u64) -> Vec<u8> {
    let mut out = Vec::with_capacity(BYTES);
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&id);
    out.extend_from_slice(&epoch.to_le_bytes());
    out.extend_from_slice(&crc32c::crc32c(&out).to_le_bytes());
    out
}

pub(super) fn parse(bytes: &[u8]) -> Option<(StoreId, u64)> {
    let (id, rest) = bytes.strip_prefix(MAGIC)?.split_first_chunk::<16>()?;
    let epoch = u64::from_le_bytes(*rest.first_chunk::<8>()?);
    (compose(*id, epoch) == bytes).then_some((*id, epoch))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Stores written today must be read for ever: these bytes may never change.
    #[test]
    fn the_witness_is_the_one_on_disk() {
        let bytes = compose(*b"0123456789abcdef", 258);
        assert_eq!(bytes, b"EXWI0123456789abcdef\x02\x01\0\0\0\0\0\0\x66\x7a\x21\x49");
        assert_eq!(parse(&bytes), Some((*b"0123456789abcdef", 258)));
        for bit in 0..bytes.len() * 8 {
            let mut bad = bytes.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(parse(&bad), None, "bit {bit}");
        }
    }

    #[test]
    fn a_witness_is_made_updated_and_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = ([1; 16], [2; 16]);
        assert_eq!(Witness::hear(dir.path()).unwrap(), Testimony::Absent);
        Witness::open(dir.path(), a, 1).unwrap().record(5).unwrap();
        assert_eq!(Witness::hear(dir.path()).unwrap(), Testimony::Of { id: a, epoch: 5 });
        fs::write(dir.path().join("witness"), "a text that is longer than any witness could be").unwrap();
        assert_eq!(Witness::hear(dir.path()).unwrap(), Testimony::Unreadable);
        drop(Witness::open(dir.path(), b, 7).unwrap());
        assert_eq!(Witness::hear(dir.path()).unwrap(), Testimony::Of { id: b, epoch: 7 });
    }
}
