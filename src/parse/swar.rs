//! Finds bytes eight at a time. Keys and values are a few words long, and over such distances this is cheaper than
//! calling a vectorised search for each.

const LOW: u64 = 0x7f7f_7f7f_7f7f_7f7f;

/// The high bit of every byte of `word` that equals `byte`, and no other bit.
#[inline]
pub(super) fn matches(word: u64, byte: u8) -> u64 {
    let x = word ^ (0x0101_0101_0101_0101 * byte as u64);
    !(((x & LOW) + LOW) | x | LOW)
}

/// All positions of a byte, in order. The byte is not 0.
#[inline]
pub(super) fn positions(text: &[u8], byte: u8) -> Positions<'_> {
    let (words, tail) = text.as_chunks::<8>();
    let last = match text.last_chunk::<8>() {
        // The end of the text as a word of its own, zeros behind it.
        Some(chunk) => (u64::from_le_bytes(*chunk) >> 1) >> (63 - 8 * tail.len() as u32),
        None => tail.iter().rev().fold(0, |word, b| word << 8 | u64::from(*b)),
    };
    Positions { words: words.iter(), last: Some(last), byte, base: 0, next_base: 0, hits: 0 }
}

/// See [`positions`].
pub(super) struct Positions<'t> {
    words: std::slice::Iter<'t, [u8; 8]>,
    last: Option<u64>,
    byte: u8,
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
            self.hits = matches(word, self.byte);
            self.next_base += 8;
        }
        let at = self.base + self.hits.trailing_zeros() as usize / 8;
        self.hits &= self.hits - 1;
        Some(at)
    }
}

/// The last position of one of two bytes.
#[inline]
pub(super) fn last_of(text: &[u8], a: u8, b: u8) -> Option<usize> {
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
            let last = text.iter().rposition(|b| *b == byte || *b == b'<');
            prop_assert_eq!(last_of(&text, byte, b'<'), last);
        }
    }
}
