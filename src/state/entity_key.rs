//! The key of an entity: in place when it is short, so that comparing one costs no further look into memory.

use crate::swar::same;
use std::ops::Deref;

/// Keys up to this length stand in place, bytes; with it, a key takes three words.
const SHORT: usize = 22;

/// Bytes that are compared often and never change.
#[derive(Debug)]
pub struct EntityKey(Held);

#[derive(Debug)]
enum Held {
    Short(u8, [u8; SHORT]),
    Long(Box<[u8]>),
}

impl From<&[u8]> for EntityKey {
    fn from(key: &[u8]) -> EntityKey {
        let mut short = [0; SHORT];
        EntityKey(match short.get_mut(..key.len()) {
            Some(place) => {
                place.copy_from_slice(key);
                Held::Short(key.len() as u8, short)
            }
            None => Held::Long(key.into()),
        })
    }
}

impl Deref for EntityKey {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match &self.0 {
            Held::Short(len, bytes) => bytes.get(..usize::from(*len)).unwrap_or_default(),
            Held::Long(key) => key,
        }
    }
}

impl EntityKey {
    /// Whether it is this text.
    #[inline]
    pub fn is(&self, text: &[u8]) -> bool {
        same(self, text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_every_length_are_what_they_were_and_take_three_words() {
        let text: Vec<u8> = (0..100).collect();
        for len in 0..=100 {
            let key = EntityKey::from(&text[..len]);
            assert_eq!(*key, text[..len]);
            for other in 0..=100 {
                assert_eq!(key.is(&text[..other]), other == len);
            }
            for at in 0..len {
                let mut other = text[..len].to_vec();
                other[at] ^= 1;
                assert!(!key.is(&other), "{len} bytes, another one at {at}");
            }
        }
        assert_eq!(size_of::<EntityKey>(), 24);
    }
}
