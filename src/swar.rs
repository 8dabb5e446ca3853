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

/// The number that eight digits are.
#[inline]
pub fn eight_digits(text: &[u8; 8]) -> Option<u32> {
    let word = u64::from_le_bytes(*text) ^ splat(b'0');
    // What is above nine after that has a high bit, or gets one.
    if (word | ((word & LOW) + splat(0x80 - 10))) & HIGH != 0 {
        return None;
    }
    // Neighbours become numbers of two digits, those of four, those of eight; the first digit is the lowest byte.
    let pairs = (word * 10 + (word >> 8)) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs * 100 + (pairs >> 16)) & 0x0000_ffff_0000_ffff;
    Some((fours * 10_000 + (fours >> 32)) as u32)
}

/// Whether two texts are the same: up to 24 bytes without a call, so that looks into memory that lie behind each other in
/// the program can run side by side.
#[inline]
pub fn same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    match (a.first_chunk::<8>(), a.last_chunk::<8>(), b.first_chunk::<8>(), b.last_chunk::<8>()) {
        (Some(first), Some(last), Some(others_first), Some(others_last)) if a.len() <= 24 => {
            // Up to 16 bytes these two are all of it.
            let inner = a.len() <= 16 || a.get(8..16) == b.get(8..16);
            first == others_first && last == others_last && inner
        }
        _ => a == b,
    }
}

/// Whether the text is ASCII without capital letters.
#[inline]
pub fn is_plain_lower(text: &[u8]) -> bool {
    words(text).fold(0, |odd, word| odd | word & HIGH | capitals(word)) == 0
}

/// Appends an ASCII text in lower case; leaves `out` alone and says `false` when the text is not ASCII.
#[inline]
pub fn push_lower(text: &[u8], out: &mut Vec<u8>) -> bool {
    match (text.first_chunk::<8>(), text.last_chunk::<8>()) {
        (Some(first), Some(last)) if text.len() <= 16 => {
            let (first, last) = (u64::from_le_bytes(*first), u64::from_le_bytes(*last));
            if (first | last) & HIGH != 0 {
                return false;
            }
            // What of the last word stands in the first one is shifted out, and the zeros that come in go.
            let behind = text.len() - 8;
            out.extend_from_slice(&lower(first).to_le_bytes());
            let rest = lower(last).checked_shr(64 - 8 * behind as u32).unwrap_or(0);
            out.extend_from_slice(&rest.to_le_bytes());
            out.truncate(out.len() - (8 - behind));
            true
        }
        (None, _) if let (Some(first), Some(last)) = (text.first_chunk::<4>(), text.last_chunk::<4>()) => {
            // Where the two overlap they say the same.
            let (first, last) = (u64::from(u32::from_le_bytes(*first)), u64::from(u32::from_le_bytes(*last)));
            let word = first | last << (8 * (text.len() - 4) as u32);
            if word & HIGH != 0 {
                return false;
            }
            out.extend_from_slice(&lower(word).to_le_bytes());
            out.truncate(out.len() - (8 - text.len()));
            true
        }
        _ => push_lower_words(text, out),
    }
}

/// The same for a text of any length.
fn push_lower_words(text: &[u8], out: &mut Vec<u8>) -> bool {
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
        fn eight_digits_are_a_number(digits in prop::collection::vec(prop_oneof![30 => 0x30u8..0x3a, 1 => any::<u8>()], 8)) {
            let plain = if digits.iter().all(u8::is_ascii_digit) {
                Some(digits.iter().fold(0, |n, b| n * 10 + u32::from(b - b'0')))
            } else {
                None
            };
            prop_assert_eq!(eight_digits(digits.first_chunk().unwrap()), plain);
        }

        #[test]
        fn the_same_is_what_is_equal(a in prop::collection::vec(0u8..2, 0..40), b in prop::collection::vec(0u8..2, 0..40), at in 0usize..40) {
            prop_assert_eq!(same(&a, &b), a == b);
            let mut other = a.clone();
            prop_assert!(same(&a, &other));
            if let Some(byte) = other.get_mut(at) {
                *byte ^= 1;
                prop_assert!(!same(&a, &other));
            }
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
