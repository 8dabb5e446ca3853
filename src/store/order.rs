//! Puts the changes of a commit in order.
//!
//! What is known of somebody stands under keys with a long beginning in common. Keys are therefore compared piece by piece: all of
//! them by their first bytes, those that are alike by the next ones, and so on, each time as two numbers that stand beside the
//! change. What this file never does: allocate for a commit what the one before has left.

use super::delta::{Span, clear_kept};
use super::run::head_of;

/// As many bytes of a key are compared at a time.
const PIECE_BYTES: usize = 32;
/// What is alike up to here is compared as a whole.
const PIECES_END: usize = 16 * PIECE_BYTES;

/// A change behind the piece of its key that is being compared.
type Headed = ([u128; 2], Span);

/// Memory in which changes are put in order.
#[derive(Debug, Default)]
pub(super) struct Order(Vec<Headed>);

impl Order {
    /// By ascending key; of one key, in the order in which they came.
    pub(super) fn sort(&mut self, spans: &mut [Span], bytes: &[u8]) {
        let Order(headed) = self;
        headed.extend(spans.iter().map(|span| ([0; 2], *span)));
        by_pieces(headed, bytes, 0);
        spans.iter_mut().zip(&*headed).for_each(|(place, (_, span))| *place = *span);
        clear_kept(headed);
    }
}

/// Sorts changes whose keys are alike up to `from`.
fn by_pieces(alike: &mut [Headed], bytes: &[u8], from: usize) {
    for (head, span) in alike.iter_mut() {
        *head = head_of(span.key(bytes).get(from..).unwrap_or_default());
    }
    alike.sort_unstable_by_key(|(head, span)| (*head, span.at()));
    let to = from + PIECE_BYTES;
    for alike in alike.chunk_by_mut(|(a, _), (b, _)| a == b).filter(|alike| alike.len() > 1) {
        let longest = alike.iter().map(|(_, span)| span.key(bytes).len()).max().unwrap_or(0);
        // Where none goes on, they differ, if at all, in how many zeros they end with.
        if longest > to && to < PIECES_END {
            by_pieces(alike, bytes, to);
        } else {
            alike.sort_unstable_by(|(_, a), (_, b)| a.key(bytes).cmp(b.key(bytes)).then(a.at().cmp(&b.at())));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::delta::Delta;
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    /// Keys that are alike for long, up to the ends of pieces and beyond, and that go on with zeros.
    fn key() -> impl Strategy<Value = Vec<u8>> {
        let lengths = prop_oneof![0..3_usize, 28..36_usize, 60..70_usize, 500..560_usize];
        (lengths, prop::collection::vec(prop::sample::select(b"\0\0ab".to_vec()), 1..6)).prop_map(|(alike, end)| {
            let mut key = vec![b'k'; alike];
            key.extend(end);
            key
        })
    }

    proptest! {
        #![proptest_config(crate::effort::cases())]

        #[test]
        fn changes_stand_as_in_a_plain_map(edits in prop::collection::vec((key(), any::<Option<u8>>()), 0..80)) {
            let edits: Vec<_> = edits.into_iter().map(|(key, value)| (key, value.map(|value| vec![value]))).collect();
            let mut order = Order::default();
            // The second commit takes what the first one has left.
            for edits in [&edits[..], &edits[edits.len() / 2..]] {
                let mut delta: Delta = edits.iter().cloned().collect();
                delta.put_in_order(&mut order).unwrap();
                let plain: BTreeMap<_, _> = edits.iter().cloned().collect();
                let found: Vec<_> = delta.iter().map(|(key, value)| (key.to_vec(), value.map(<[u8]>::to_vec))).collect();
                prop_assert_eq!(found, plain.into_iter().collect::<Vec<_>>());
            }
        }
    }
}
