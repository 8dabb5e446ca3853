//! Live records one behind the other, in the order of their keys, in two pieces of memory.

/// Bytes for which memory is taken beforehand.
const MOST_ROOM: usize = 2 << 20;

/// Some records.
#[derive(Debug, Default)]
pub struct Records {
    bytes: Vec<u8>,
    /// Lengths of each key and value.
    lens: Vec<(usize, usize)>,
}

impl Records {
    /// None yet, with room for so many bytes, if that is not much: what grows is moved again and again.
    pub(super) fn with_room(bytes: usize) -> Records {
        Records { bytes: Vec::with_capacity(bytes.min(MOST_ROOM)), lens: Vec::new() }
    }

    /// The next one.
    pub(super) fn push(&mut self, key: &[u8], value: &[u8]) {
        self.bytes.extend_from_slice(key);
        self.bytes.extend_from_slice(value);
        self.lens.push((key.len(), value.len()));
    }

    /// Keys and values, bytes.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.lens.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.lens.is_empty()
    }

    /// Each key with its value.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let mut rest = self.bytes.as_slice();
        self.lens.iter().map_while(move |&(key_len, value_len)| {
            let (key, behind) = rest.split_at_checked(key_len)?;
            let (value, behind) = behind.split_at_checked(value_len)?;
            rest = behind;
            Some((key, value))
        })
    }
}
