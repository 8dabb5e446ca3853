//! The root record: which state the store is in, and the digest that every other sled record must add up to.
//!
//! The digest is the sum, modulo 2^128, of XXH3-128 over key, a zero byte and value of every live sled record but the root.
//! It is kept up by adding what a batch puts and subtracting what it takes away; at open it is computed anew. Stale, mixed or
//! lost records, each with a good checksum of its own, make the sums differ.
//! What this file never does: I/O.

use super::envelope::{FORMAT, Kind, PLAIN_STREAMS, seal, unseal};
use xxhash_rust::xxh3::Xxh3;

/// Names a store for life, so that files of two stores are not taken for one.
pub(super) type StoreId = [u8; 16];

/// The root record.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(super) struct Root {
    /// Random, given at creation.
    pub id: StoreId,
    /// Version of the records above this module.
    pub schema: u16,
    /// The last committed delta.
    pub epoch: u64,
    /// Deltas up to this one are in the pages; what is left of them is dead.
    pub folded: u64,
    /// The next free page id.
    pub next_page: u64,
    /// Over all sled records but this one.
    pub digest: u128,
    /// Number of pages.
    pub pages: u64,
    /// Encoded bytes of all pages.
    pub page_bytes: u64,
    /// Records in all pages.
    pub page_records: u64,
}

/// Why a root record cannot be used.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum BadRoot {
    /// It is damaged.
    Broken(&'static str),
    /// A newer program wrote it, in this format.
    Newer(u16),
}

impl Root {
    /// The root as a sled value.
    pub(super) fn seal(&self) -> Vec<u8> {
        seal(
            Kind::Root,
            &[
                &self.id,
                &self.schema.to_le_bytes(),
                &self.epoch.to_le_bytes(),
                &self.folded.to_le_bytes(),
                &self.next_page.to_le_bytes(),
                &self.digest.to_le_bytes(),
                &self.pages.to_le_bytes(),
                &self.page_bytes.to_le_bytes(),
                &self.page_records.to_le_bytes(),
            ],
        )
    }

    /// The root in a sled value.
    pub(super) fn unseal(value: &[u8]) -> Result<Root, BadRoot> {
        let (version, mut rest) = unseal(Kind::Root, value).map_err(BadRoot::Broken)?;
        if version > FORMAT {
            return Err(BadRoot::Newer(version));
        }
        if version < PLAIN_STREAMS {
            return Err(BadRoot::Broken("the root record has a format that no program wrote"));
        }
        let mut read = || -> Option<Root> {
            Some(Root {
                id: take(&mut rest)?,
                schema: u16::from_le_bytes(take(&mut rest)?),
                epoch: u64::from_le_bytes(take(&mut rest)?),
                folded: u64::from_le_bytes(take(&mut rest)?),
                next_page: u64::from_le_bytes(take(&mut rest)?),
                digest: u128::from_le_bytes(take(&mut rest)?),
                pages: u64::from_le_bytes(take(&mut rest)?),
                page_bytes: u64::from_le_bytes(take(&mut rest)?),
                page_records: u64::from_le_bytes(take(&mut rest)?),
            })
        };
        let root = read().ok_or(BadRoot::Broken("the root record is too short"))?;
        if rest.is_empty() { Ok(root) } else { Err(BadRoot::Broken("the root record is too long")) }
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, left) = rest.split_first_chunk::<N>()?;
    *rest = left;
    Some(*taken)
}

/// What one sled record adds to the digest.
pub(super) fn digest_of(key: &[u8], value: &[u8]) -> u128 {
    let mut hash = Xxh3::new();
    hash.update(key);
    hash.update(&[0]);
    hash.update(value);
    hash.digest128()
}

/// A short hash of bytes.
pub(super) fn short_hash(bytes: &[u8]) -> u32 {
    xxhash_rust::xxh3::xxh3_64(bytes) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Root {
        Root {
            id: *b"0123456789abcdef",
            schema: 2,
            epoch: 3,
            folded: 4,
            next_page: 5,
            digest: 6,
            pages: 7,
            page_bytes: 8,
            page_records: 9,
        }
    }

    /// Stores written today must be read for ever: these bytes may never change.
    #[test]
    fn the_root_is_the_one_on_disk() {
        let fields = b"0123456789abcdef\x02\0\x03\0\0\0\0\0\0\0\x04\0\0\0\0\0\0\0\x05\0\0\0\0\0\0\0\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x07\0\0\0\0\0\0\0\x08\0\0\0\0\0\0\0\x09\0\0\0\0\0\0\0";
        let of_format = |head: [u8; 12]| [head.as_slice(), fields].concat();
        let newest = of_format([0xA7, 1, 2, 0, 82, 0, 0, 0, 0x56, 0xb4, 0xfb, 0x0d]);
        let first = of_format([0xA7, 1, 1, 0, 82, 0, 0, 0, 0xa3, 0xe6, 0xc5, 0x04]);
        assert_eq!(sample().seal(), newest);
        assert_eq!((Root::unseal(&newest), Root::unseal(&first)), (Ok(sample()), Ok(sample())));
        assert_eq!(digest_of(b"key", b"value"), xxhash_rust::xxh3::xxh3_128(b"key\0value"));
    }

    #[test]
    fn a_newer_root_is_told_from_a_broken_one() {
        let mut newer = vec![0xA7, 1, 9, 0, 1, 0, 0, 0];
        newer.extend_from_slice(&crc32c::crc32c_append(crc32c::crc32c(&newer), b"x").to_le_bytes());
        newer.push(b'x');
        assert_eq!(Root::unseal(&newer), Err(BadRoot::Newer(9)));
        assert!(matches!(Root::unseal(b"junk"), Err(BadRoot::Broken(_))));
        let mut zero = sample().seal();
        zero[20] ^= 1;
        assert!(matches!(Root::unseal(&zero), Err(BadRoot::Broken(_))));
    }
}
