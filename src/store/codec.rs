//! How typed records become bytes and back: bincode's standard configuration through serde. The only file that names bincode.
//!
//! Decoding never trusts its input: the whole of it must be used, and no more than [`MAX_DECODED_BYTES`] may be claimed.
//! The limit stops neither collections of unit values nor recursive types, so stored types have neither.
//! What this file never does: check sums (see `envelope`) or choose versions (the typed records do).

use bincode::config::{Configuration, Limit, LittleEndian, Varint};
use serde::{Serialize, de::DeserializeOwned};

/// The most memory that decoding one value may claim, bytes.
pub const MAX_DECODED_BYTES: usize = 64 << 20;

type Config = Configuration<LittleEndian, Varint, Limit<MAX_DECODED_BYTES>>;

const CONFIG: Config = bincode::config::standard().with_limit::<MAX_DECODED_BYTES>();

/// Stored bytes that do not decode to the wanted type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// The bytes end early, claim too much or break a rule of the type.
    #[error("a stored value does not decode: {0}")]
    Malformed(String),
    /// Bytes are left over after the value.
    #[error("a stored value has {left} bytes too many")]
    TooLong {
        /// How many bytes are left.
        left: usize,
    },
}

/// The bytes of a value.
///
/// # Panics
/// On a type that has no encoding (`#[serde(flatten)]`, a sequence of unknown length): a fault of the program, which the
/// first test of that type shows. Values of other types always encode.
pub fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    let mut out = Vec::new();
    encode_into(value, &mut out);
    out
}

/// Appends the bytes of a value to `out`.
///
/// # Panics
/// As [`encode`].
#[expect(
    clippy::panic,
    reason = "an unencodable type is a fault of the program; storing nothing would lose state silently"
)]
pub fn encode_into<T: Serialize>(value: &T, out: &mut Vec<u8>) {
    if let Err(e) = bincode::serde::encode_into_std_write(value, out, CONFIG) {
        panic!("the type {} has no encoding: {e}", std::any::type_name::<T>());
    }
}

/// The value that `bytes` encode.
///
/// # Errors
/// When the bytes are not exactly one value of the type.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
    let (value, used) =
        bincode::serde::decode_from_slice(bytes, CONFIG).map_err(|e| CodecError::Malformed(e.to_string()))?;
    match bytes.len().saturating_sub(used) {
        0 => Ok(value),
        left => Err(CodecError::TooLong { left }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;
    use std::collections::BTreeMap;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Sample {
        small: u8,
        big: u64,
        negative: i32,
        text: String,
        maybe: Option<u32>,
        map: BTreeMap<String, u32>,
    }

    fn sample() -> Sample {
        Sample {
            small: 7,
            big: 1_000_000,
            negative: -2,
            text: "jdoe".into(),
            maybe: Some(300),
            map: BTreeMap::from([("a".into(), 1)]),
        }
    }

    /// Stores written today must be read for ever: these bytes may never change.
    const GOLDEN: &[u8] =
        &[7, 252, 0x40, 0x42, 0x0f, 0, 3, 4, b'j', b'd', b'o', b'e', 1, 251, 0x2c, 0x01, 1, 1, b'a', 1];

    #[test]
    fn the_encoding_is_the_one_on_disk() {
        assert_eq!(encode(&sample()), GOLDEN);
        assert_eq!(decode::<Sample>(GOLDEN), Ok(sample()));
    }

    #[test]
    fn leftover_and_missing_bytes_are_errors() {
        let mut long = GOLDEN.to_vec();
        long.push(0);
        assert_eq!(decode::<Sample>(&long), Err(CodecError::TooLong { left: 1 }));
        for end in 0..GOLDEN.len() {
            assert!(decode::<Sample>(&GOLDEN[..end]).is_err(), "{end} bytes");
        }
    }

    #[test]
    fn a_claimed_length_beyond_the_limit_is_refused_without_allocating() {
        let mut bytes = vec![253];
        bytes.extend_from_slice(&u64::MAX.to_le_bytes());
        assert!(decode::<Vec<u64>>(&bytes).is_err());
    }

    #[test]
    fn appending_keeps_what_is_there() {
        let mut out = vec![9];
        encode_into(&300u32, &mut out);
        assert_eq!(out, [9, 251, 0x2c, 0x01]);
    }
}
