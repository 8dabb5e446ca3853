//! The store: an ordered map of byte keys to byte values that survives kill -9 and power loss (invariants 2 and 7).
//!
//! The only user of sled and bincode. It knows nothing of models or rules: records are typed in `record`.
