//! Where some bytes stand in a text, 64 positions at a time, as the bits of a word; and whether a text ends with a short one. The
//! only module that names `wide`.

use wide::u8x16;

/// Bytes that are looked at together.
pub(super) const BLOCK: usize = 64;

/// 64 bytes of a text.
pub(super) struct Block {
    quarters: [u8x16; 4],
    /// As many bytes at the beginning were looked at before.
    before: u32,
}

impl Block {
    #[inline]
    fn new(bytes: &[u8; BLOCK], before: usize) -> Block {
        let (quarters, _) = bytes.as_chunks::<16>();
        let quarter = |i: usize| quarters.get(i).copied().map_or(u8x16::splat(0), u8x16::new);
        Block { quarters: [quarter(0), quarter(1), quarter(2), quarter(3)], before: before as u32 }
    }

    /// A bit for each position of a byte; the lowest bit is the first position.
    #[inline]
    pub fn mask(&self, byte: u8) -> u64 {
        let byte = u8x16::splat(byte);
        let [a, b, c, d] = self.quarters.map(|quarter| u64::from(quarter.cmp_eq(byte).move_mask() as u16));
        (a | b << 16 | c << 32 | d << 48) >> self.before
    }

    /// The last, incomplete block of a text: its last 64 bytes once more, without those that stand in the block before.
    #[inline]
    fn last(text: &[u8], tail: usize) -> Block {
        match text.last_chunk::<BLOCK>() {
            Some(bytes) => Block::new(bytes, BLOCK - tail),
            None => {
                let mut bytes = [0; BLOCK];
                bytes.iter_mut().zip(text).for_each(|(to, from)| *to = *from);
                Block::new(&bytes, 0)
            }
        }
    }
}

/// The blocks of a text; the byte that is looked for is not 0.
#[inline]
pub(super) fn blocks(text: &[u8]) -> impl Iterator<Item = Block> {
    let (whole, tail) = text.as_chunks::<BLOCK>();
    let last = (!tail.is_empty()).then_some(tail.len());
    whole.iter().map(|bytes| Block::new(bytes, 0)).chain(last.into_iter().map(|tail| Block::last(text, tail)))
}

/// How long a [`Tail`] may be, bytes: so many are compared.
pub(super) const TAIL: usize = 32;

/// The end of a text, to be compared with the ends of others.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tail {
    /// What is compared, at the end of so many bytes; zeros before it.
    bytes: [u8x16; 2],
    mask: [u8x16; 2],
}

impl Tail {
    /// The last `len` bytes of these, at most all.
    pub fn new(bytes: &[u8; TAIL], len: usize) -> Tail {
        let mut mask = [0; TAIL];
        mask.iter_mut().rev().take(len).for_each(|byte| *byte = u8::MAX);
        let ([a, b], mask) = (halves(bytes), halves(&mask));
        let [c, d] = mask;
        Tail { bytes: [a & c, b & d], mask }
    }

    /// Whether a text that ends with these bytes ends with it.
    #[inline]
    pub fn ends(&self, bytes: &[u8; TAIL]) -> bool {
        let ([a, b], [c, d], [e, f]) = (halves(bytes), self.mask, self.bytes);
        ((a & c).cmp_eq(e) & (b & d).cmp_eq(f)).all()
    }
}

#[inline]
fn halves(bytes: &[u8; TAIL]) -> [u8x16; 2] {
    let (halves, _) = bytes.as_chunks::<16>();
    let half = |i: usize| halves.get(i).copied().map_or(u8x16::splat(0), u8x16::new);
    [half(0), half(1)]
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

        #[test]
        fn a_text_ends_with_its_own_tail_and_no_other(
            text in prop::collection::vec(b'a'..=b'b', TAIL),
            at in 0..TAIL,
            len in 0..=TAIL,
        ) {
            let text: [u8; TAIL] = text.try_into().unwrap();
            let tail = Tail::new(&text, len);
            prop_assert!(tail.ends(&text));
            let mut other = text;
            other[at] = 0;
            prop_assert_eq!(tail.ends(&other), at < TAIL - len);
        }
    }
}
