//! Short lists that stand in their owner: two elements in place, more on the heap.
//!
//! The crate's own reading trusts the length that the input claims and asks for that much memory at once, so that five
//! damaged bytes end the process; this one grows with what is really there.

use serde::de::{Deserialize, Deserializer, SeqAccess, Visitor};
use serde::ser::{Serialize, Serializer};
use smallvec::SmallVec;
use std::fmt;
use std::marker::PhantomData;

/// A list that is mostly of one or two elements.
pub type Few<T> = SmallVec<[T; 2]>;

/// The most elements that a claimed length makes room for.
const TRUSTED: usize = 1024;

/// Writes it as a sequence; with [`deserialize`] for `#[serde(with = "crate::few")]`.
pub fn serialize<T: Serialize, S: Serializer>(few: &Few<T>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(few)
}

/// Reads a sequence of any length.
///
/// # Errors
/// What the sequence's elements or its end say.
pub fn deserialize<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Few<T>, D::Error> {
    struct Elements<T>(PhantomData<T>);
    impl<'de, T: Deserialize<'de>> Visitor<'de> for Elements<T> {
        type Value = Few<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a sequence")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Few<T>, A::Error> {
            let mut few = Few::with_capacity(elements.size_hint().unwrap_or(0).min(TRUSTED));
            while let Some(element) = elements.next_element()? {
                few.push(element);
            }
            Ok(few)
        }
    }
    deserializer.deserialize_seq(Elements(PhantomData))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::de::value::{Error, SeqDeserializer};

    /// Claims four thousand million elements and has three.
    struct Boaster(std::array::IntoIter<u64, 3>);

    impl Iterator for Boaster {
        type Item = u64;
        fn next(&mut self) -> Option<u64> {
            self.0.next()
        }
        fn size_hint(&self) -> (usize, Option<usize>) {
            let claimed = 4_000_000_000 + self.0.len();
            (claimed, Some(claimed))
        }
    }

    #[test]
    fn a_claimed_length_is_not_trusted() {
        let few: Few<u64> = deserialize(SeqDeserializer::<_, Error>::new(Boaster([1, 2, 3].into_iter()))).unwrap();
        assert_eq!(few.as_slice(), [1, 2, 3]);
        assert!(few.capacity() <= TRUSTED);
    }
}
