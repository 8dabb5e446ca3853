//! One look at a whole buffer, for all that is asked of every byte of it: a pass over memory each is what reading costs most
//! after the copy out of the page cache.

/// Bytes that are looked at together.
const LANES: usize = 32;
/// As many groups of lanes until a count of one byte could overflow.
const GROUPS: usize = 255;

/// What is in some bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Glance {
    /// How many newlines.
    pub newlines: u64,
    /// Whether there is a NUL.
    pub has_nul: bool,
    /// Whether all of it is ASCII, and so valid UTF-8 wherever it is cut.
    pub is_ascii: bool,
}

/// Looks at bytes once. Lane by lane, so that the compiler makes vector instructions of it.
pub(super) fn glance(bytes: &[u8]) -> Glance {
    let (groups, rest) = bytes.as_chunks::<LANES>();
    let (mut newlines, mut all, mut least) = (0, [0u8; LANES], [u8::MAX; LANES]);
    for groups in groups.chunks(GROUPS) {
        let mut counts = [0u8; LANES];
        for group in groups {
            for (((byte, count), all), least) in group.iter().zip(&mut counts).zip(&mut all).zip(&mut least) {
                *count += u8::from(*byte == b'\n');
                *all |= *byte;
                *least = (*least).min(*byte);
            }
        }
        newlines += counts.iter().map(|count| u64::from(*count)).sum::<u64>();
    }
    newlines += rest.iter().filter(|byte| **byte == b'\n').count() as u64;
    Glance {
        newlines,
        has_nul: least.iter().chain(rest).any(|byte| *byte == 0),
        is_ascii: all.iter().chain(rest).all(u8::is_ascii),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(crate::effort::cases())]

        #[test]
        fn one_look_sees_what_three_see(
            text in prop::collection::vec(prop_oneof![8 => Just(b'\n'), 8 => 1u8..128, 1 => any::<u8>()], 0..200), times in 1usize..200,
        ) {
            let bytes = text.repeat(times);
            let plain = Glance {
                newlines: bytes.iter().filter(|b| **b == b'\n').count() as u64,
                has_nul: bytes.contains(&0),
                is_ascii: bytes.is_ascii(),
            };
            prop_assert_eq!(glance(&bytes), plain);
        }
    }
}
