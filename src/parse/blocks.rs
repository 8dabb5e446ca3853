//! Where some bytes stand in a text, 64 positions at a time, as the bits of a word. The only module that names `wide`.

use wide::u8x16;

/// Bytes that are looked at together.
pub(super) const BLOCK: usize = 64;

/// 64 bytes of a text.
pub(super) struct Block([u8x16; 4]);

impl Block {
    #[inline]
    pub fn new(bytes: &[u8; BLOCK]) -> Block {
        let (quarters, _) = bytes.as_chunks::<16>();
        let quarter = |i: usize| quarters.get(i).copied().map_or(u8x16::splat(0), u8x16::new);
        Block([quarter(0), quarter(1), quarter(2), quarter(3)])
    }

    /// A bit for each position of a byte; the lowest bit is the first position.
    #[inline]
    pub fn mask(&self, byte: u8) -> u64 {
        let byte = u8x16::splat(byte);
        let [a, b, c, d] = self.0.map(|quarter| u64::from(quarter.cmp_eq(byte).move_mask() as u16));
        a | b << 16 | c << 32 | d << 48
    }
}

/// The blocks of a text, the last one filled up with zeros.
#[inline]
pub(super) fn blocks(text: &[u8]) -> impl Iterator<Item = Block> {
    let (whole, tail) = text.as_chunks::<BLOCK>();
    let mut last = [0; BLOCK];
    last.iter_mut().zip(tail).for_each(|(to, from)| *to = *from);
    let last = (!tail.is_empty()).then(|| Block::new(&last));
    whole.iter().map(Block::new).chain(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(crate::effort::cases())]

        #[test]
        fn the_bits_are_the_positions(text in prop::collection::vec(prop_oneof![Just(b'='), Just(0), any::<u8>()], 0..200)) {
            let found: Vec<usize> = blocks(&text)
                .enumerate()
                .flat_map(|(n, b)| (0..BLOCK).filter(move |i| b.mask(b'=') >> i & 1 == 1).map(move |i| n * BLOCK + i))
                .collect();
            let plain: Vec<usize> = (0..text.len()).filter(|i| text[*i] == b'=').collect();
            prop_assert_eq!(found, plain);
        }
    }
}
