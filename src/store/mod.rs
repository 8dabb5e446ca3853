//! The store: an ordered map of byte keys to byte values that survives kill -9 and power loss (invariants 2 and 7).
//!
//! The only user of sled and bincode. It knows nothing of models or rules: records are typed in `record`.

/// A key and its new value; `None` removes it.
pub type Pair = (Box<[u8]>, Option<Box<[u8]>>);

/// The encoding of record types.
pub mod codec {
    use serde::{Serialize, de::DeserializeOwned};
    /// Bytes that cannot be read.
    pub type CodecError = bincode::error::DecodeError;
    /// Encodes a record.
    pub fn encode<T: Serialize>(value: &T) -> Vec<u8> {
        bincode::serde::encode_to_vec(value, bincode::config::standard()).unwrap_or_default()
    }
    /// Decodes a record.
    ///
    /// # Errors
    /// When the bytes are no record of this type.
    pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
        bincode::serde::decode_from_slice(bytes, bincode::config::standard()).map(|v| v.0)
    }
}
