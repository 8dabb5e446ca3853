//! Finds and folds bytes eight at a time. Keys, names and values are a few words long, and over such distances this is
//! cheaper than calling a vectorised search, and than looking at each byte.

const LOW: u64 = 0x7f7f_7f7f_7f7f_7f7f;
const HIGH: u64 = !LOW;

/// A word with this byte in all its places.
const fn splat(byte: u8) -> u64 {
    0x0101_0101_0101_0101 * byte as u64
}

/// The high bit of every byte of `word` that equals `byte`, and no other bit.
#[inline]
fn matches(word: u64, byte: u8) -> u64 {
    let x = word ^ splat(byte);
    !(((x & LOW) + LOW) | x | LOW)
}

/// The high bit of every byte of `word` that is a capital letter of ASCII, and no other bit.
#[inline]
fn capitals(word: u64) -> u64 {
    let low = word & LOW;
    let from_a = low + splat(0x80 - b'A');
    let behind_z = low + splat(0x80 - b'Z' - 1);
    from_a & !behind_z & !word & HIGH
}

/// The word in lower case: capital letters of ASCII become small, everything else stays.
#[inline]
fn lower(word: u64) -> u64 {
    word | capitals(word) >> 2
}

/// The last, incomplete word of a text, zeros behind it.
#[inline]
fn last_word(text: &[u8], tail: &[u8]) -> u64 {
    match text.last_chunk::<8>() {
        Some(chunk) => (u64::from_le_bytes(*chunk) >> 1) >> (63 - 8 * tail.len() as u32),
        None => tail.iter().rev().fold(0, |word, b| word << 8 | u64::from(*b)),
    }
}

/// The words of a text, the last one filled up with zeros.
#[inline]
fn words(text: &[u8]) -> impl Iterator<Item = u64> {
    let (words, tail) = text.as_chunks::<8>();
    words.iter().map(|bytes| u64::from_le_bytes(*bytes)).chain(std::iter::once(last_word(text, tail)))
}

/// Whether the text is ASCII without capital letters.
#[inline]
pub fn is_plain_lower(text: &[u8]) -> bool {
    words(text).fold(0, |odd, word| odd | word & HIGH | capitals(word)) == 0
}

/// Appends an ASCII text in lower case; leaves `out` alone and says `false` when the text is not ASCII.
#[inline]
pub fn push_lower(text: &[u8], out: &mut Vec<u8>) -> bool {
    let from = out.len();
    out.reserve(text.len() + 8);
    let mut all = 0;
    for word in words(text) {
        all |= word;
        out.extend_from_slice(&lower(word).to_le_bytes());
    }
    let is_ascii = all & HIGH == 0;
    // What the last word was filled up with goes.
    out.truncate(if is_ascii { from + text.len() } else { from });
    is_ascii
}

/// All positions of a byte, in order. The byte is not 0.
#[inline]
pub fn positions(text: &[u8], byte: u8) -> Positions<'_> {
    positions2(text, byte, byte)
}

/// All positions of two bytes, in order. Neither is 0.
#[inline]
pub fn positions2(text: &[u8], a: u8, b: u8) -> Positions<'_> {
    let (words, tail) = text.as_chunks::<8>();
    Positions { words: words.iter(), last: Some(last_word(text, tail)), bytes: (a, b), base: 0, next_base: 0, hits: 0 }
}

/// See [`positions`].
pub struct Positions<'t> {
    words: std::slice::Iter<'t, [u8; 8]>,
    last: Option<u64>,
    bytes: (u8, u8),
    base: usize,
    next_base: usize,
    hits: u64,
}

impl Iterator for Positions<'_> {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        while self.hits == 0 {
            self.base = self.next_base;
            let word = match self.words.next() {
                Some(word) => u64::from_le_bytes(*word),
                None => self.last.take()?,
            };
            self.hits = matches(word, self.bytes.0) | matches(word, self.bytes.1);
            self.next_base += 8;
        }
        let at = self.base + self.hits.trailing_zeros() as usize / 8;
        self.hits &= self.hits - 1;
        Some(at)
    }
}

/// The last position of one of two bytes.
#[inline]
pub fn last_of(text: &[u8], a: u8, b: u8) -> Option<usize> {
    let (rest, words) = text.as_rchunks::<8>();
    for (i, word) in words.iter().enumerate().rev() {
        let word = u64::from_le_bytes(*word);
        let hits = matches(word, a) | matches(word, b);
        if hits != 0 {
            return Some(rest.len() + 8 * i + 7 - hits.leading_zeros() as usize / 8);
        }
    }
    rest.iter().rposition(|c| *c == a || *c == b)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(crate::effort::cases())]

        #[test]
        fn the_positions_are_those_of_a_plain_search(text in prop::collection::vec(prop_oneof![Just(b'='), Just(b'<'), Just(0xbd), Just(0), any::<u8>()], 0..60), byte in prop_oneof![Just(b'='), 1..=255u8]) {
            let plain: Vec<usize> = (0..text.len()).filter(|i| text[*i] == byte).collect();
            prop_assert_eq!(positions(&text, byte).collect::<Vec<_>>(), plain);
            let both: Vec<usize> = (0..text.len()).filter(|i| text[*i] == byte || text[*i] == b'<').collect();
            prop_assert_eq!(positions2(&text, byte, b'<').collect::<Vec<_>>(), both);
            let last = text.iter().rposition(|b| *b == byte || *b == b'<');
            prop_assert_eq!(last_of(&text, byte, b'<'), last);
        }

        #[test]
        fn lower_case_is_that_of_every_byte(text in prop::collection::vec(prop_oneof![0x3fu8..0x5d, 0..=0x7fu8, any::<u8>()], 0..40)) {
            let small = text.to_ascii_lowercase();
            let mut out = b"before".to_vec();
            prop_assert_eq!(push_lower(&text, &mut out), text.is_ascii());
            prop_assert_eq!(out, if text.is_ascii() { [b"before", &*small].concat() } else { b"before".to_vec() });
            prop_assert_eq!(is_plain_lower(&text), text.is_ascii() && small == text);
            prop_assert_eq!(is_plain_lower(&small), small.is_ascii());
        }
    }
}
