//! The changes that are not folded yet: what the pages say of these keys does not count.
//!
//! Kept as they were committed, as sorted runs; of several changes of a key the one of the latest run counts. Runs of about one
//! size are merged when there are many of them, so that reading looks into few. They stay packed; readers unpack what they look at.

use super::layer::{Layer, LayerReader, Writer};
use super::run::{BrokenRun, family_len, head_of};
use std::cmp::Ordering;
use std::sync::Arc;

/// As many layers of one size are merged.
const FAN: usize = 8;

/// Layers are merged that are shorter than this, or than this share of all. Of longer ones there are few before they are folded,
/// which reads them side by side.
const MERGED_BYTES: usize = 64 * 1024;
const MERGED_SHARE: usize = 128;

/// Unfolded changes.
#[derive(Debug, Default)]
pub(super) struct Overlay {
    /// Oldest first.
    layers: Vec<Arc<Layer>>,
    /// How many of them, from the first on, are being folded.
    frozen: usize,
}

impl Overlay {
    /// How many changes there are: of keys that were changed again, more than one.
    pub(super) fn len(&self) -> u64 {
        self.layers.iter().map(|layer| layer.len()).sum()
    }

    /// How many of them remove.
    pub(super) fn removals(&self) -> u64 {
        self.layers.iter().map(|layer| layer.removals()).sum()
    }

    /// What they take in memory, bytes.
    pub(super) fn bytes(&self) -> usize {
        self.layers.iter().map(|layer| layer.packed_len()).sum()
    }

    /// Takes the changes of a commit.
    pub(super) fn push(&mut self, layer: Layer) -> Result<(), BrokenRun> {
        self.layers.push(Arc::new(layer));
        let longest = MERGED_BYTES.max(self.bytes() / MERGED_SHARE);
        loop {
            let free = self.layers.get(self.frozen..).unwrap_or_default();
            let Some(size) = free.last().map(|layer| layer.packed_len()).filter(|size| *size < longest) else {
                return Ok(());
            };
            let is_alike = |len: usize| len < longest && size_class(len) <= size_class(size);
            let alike = free.iter().rev().take_while(|layer| is_alike(layer.packed_len())).count();
            if alike < FAN {
                return Ok(());
            }
            self.merge(self.layers.len() - alike)?;
        }
    }

    /// All changes up to now stay as they are until [`Overlay::drop_frozen`].
    pub(super) fn freeze(&mut self) {
        self.frozen = self.layers.len();
    }

    /// What was frozen is in the pages.
    pub(super) fn drop_frozen(&mut self) {
        self.layers.drain(..std::mem::take(&mut self.frozen));
    }

    /// The latest change of each key from `start` on.
    pub(super) fn from(&self, start: &[u8]) -> Result<Cursor, BrokenRun> {
        Cursor::over(&self.layers, start)
    }

    /// The same, as long as the keys begin with `prefix`; which of the others there are is not certain.
    pub(super) fn within(&self, prefix: &[u8], start: &[u8]) -> Result<Cursor, BrokenRun> {
        let Some(family) = family_len(prefix).and_then(|len| prefix.get(..len)) else { return self.from(start) };
        Cursor::over(self.layers.iter().filter(|layer| layer.may_know(family)), start)
    }

    /// The same, of what is frozen, from the first one on.
    pub(super) fn frozen(&self) -> Result<Cursor, BrokenRun> {
        Cursor::over(self.layers.get(..self.frozen).unwrap_or_default(), b"")
    }

    /// The layers from `first` on become one.
    fn merge(&mut self, first: usize) -> Result<(), BrokenRun> {
        let merged = self.layers.split_off(first);
        let mut cursor = Cursor::over(&merged, b"")?;
        let mut writer = Writer::default();
        while cursor.stand()? {
            writer.push(cursor.key(), cursor.value());
            cursor.pass();
        }
        let mut layer = writer.finish();
        layer.shrink();
        self.layers.push(Arc::new(layer));
        Ok(())
    }
}

fn size_class(bytes: usize) -> u32 {
    bytes.max(1).ilog2() / FAN.ilog2()
}

/// Walks several layers together, in the order of their keys: stand, look, pass.
pub(super) struct Cursor {
    heads: Vec<Head>,
    /// Places in `heads` of those that have not ended. What comes next is last, and of equal keys the latest.
    order: Vec<usize>,
    /// Key of the current change, and its beginning.
    key: Vec<u8>,
    first: [u128; 2],
    begun: bool,
    /// Whether the current change has not been passed.
    stands: bool,
}

impl Cursor {
    fn over<'a>(layers: impl IntoIterator<Item = &'a Arc<Layer>>, start: &[u8]) -> Result<Cursor, BrokenRun> {
        let mut heads = Vec::new();
        for layer in layers {
            if let Some(reader) = layer.seek(start)? {
                heads.push(Head { first: head_of(reader.key()), reader, age: heads.len() });
            }
        }
        let mut order: Vec<usize> = (0..heads.len()).collect();
        order.sort_unstable_by(|a, b| heads.get(*b).cmp(&heads.get(*a)));
        Ok(Cursor { heads, order, key: Vec::new(), first: [0; 2], begun: false, stands: false })
    }

    /// Moves to the next change, if the one that it stands on has been passed; `false` at the end.
    pub(super) fn stand(&mut self) -> Result<bool, BrokenRun> {
        if !self.stands {
            self.stands = self.advance()?;
        }
        Ok(self.stands)
    }

    /// The change that it stands on is done with. Key and value stay readable until it moves.
    pub(super) fn pass(&mut self) {
        self.stands = false;
    }

    fn advance(&mut self) -> Result<bool, BrokenRun> {
        while let Some(&place) = self.order.last() {
            let Some(head) = self.heads.get_mut(place) else { return Ok(false) };
            if !(self.begun && head.first == self.first && head.reader.key() == self.key) {
                self.begun = true;
                self.first = head.first;
                self.key.clear();
                self.key.extend_from_slice(head.reader.key());
                return Ok(true);
            }
            self.order.pop();
            if head.reader.advance()? {
                head.first = head_of(head.reader.key());
                self.put_in_order(place);
            }
        }
        Ok(false)
    }

    fn put_in_order(&mut self, place: usize) {
        let head = self.heads.get(place);
        let later = self.order.partition_point(|other| self.heads.get(*other) > head);
        self.order.insert(later, place);
    }

    /// Key of the current change.
    pub(super) fn key(&self) -> &[u8] {
        &self.key
    }

    /// Value of the current change; `None` when it says "removed".
    pub(super) fn value(&self) -> Option<&[u8]> {
        self.heads.get(*self.order.last()?)?.reader.value()
    }
}

/// A layer's next change.
struct Head {
    /// The beginning of its key: most comparisons end there.
    first: [u128; 2],
    reader: LayerReader,
    /// The higher, the later.
    age: usize,
}

impl Ord for Head {
    /// The least is the one with the lowest key, of equals the latest.
    fn cmp(&self, other: &Self) -> Ordering {
        self.first
            .cmp(&other.first)
            .then_with(|| self.reader.key().cmp(other.reader.key()))
            .then(other.age.cmp(&self.age))
    }
}

impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Head {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Head {}

#[cfg(test)]
mod tests {
    use super::super::Delta;
    use super::super::envelope::{FORMAT, Kind, PLAIN_STREAMS, cut};
    use super::super::order::Order;
    use super::super::packed::{pack, unpack};
    use super::super::run::{put_number, put_record};
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    type Plain = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

    fn read(mut cursor: Cursor) -> Plain {
        let mut all = Plain::new();
        while cursor.stand().unwrap() {
            assert!(all.last_key_value().is_none_or(|(last, _)| last.as_slice() < cursor.key()), "ascending");
            all.insert(cursor.key().to_vec(), cursor.value().map(<[u8]>::to_vec));
            cursor.pass();
        }
        all
    }

    fn layer(edits: &Plain) -> Layer {
        let mut delta: Delta = edits.iter().map(|(k, v)| (k, v.clone())).collect();
        delta.put_in_order(&mut Order::default()).unwrap();
        Layer::compose(&delta, &(0..0), b"what it held before".to_vec())
    }

    fn key() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(prop::sample::select(b"ab\0\x01".to_vec()), 1..7)
    }

    /// Short ones; such as fill a group; such as take several blocks.
    fn value() -> impl Strategy<Value = Option<Vec<u8>>> {
        let long =
            (any::<u8>(), 3_000..200_000_usize).prop_map(|(n, len)| (0..len).map(|i| (i / 3) as u8 ^ n).collect());
        prop::option::of(prop_oneof![40 => prop::collection::vec(any::<u8>(), 0..300), 1 => long])
    }

    #[derive(Clone, Debug)]
    enum Step {
        Push(Plain),
        Freeze,
        DropFrozen,
    }

    fn step() -> impl Strategy<Value = Step> {
        let value = prop::option::of(prop::collection::vec(any::<u8>(), 0..9));
        prop_oneof![
            12 => prop::collection::btree_map(key(), value, 1..90).prop_map(Step::Push),
            1 => Just(Step::Freeze),
            1 => Just(Step::DropFrozen),
        ]
    }

    proptest! {
        #![proptest_config(crate::effort::cases())]

        #[test]
        fn the_latest_change_of_each_key_counts_and_what_is_frozen_stays(
            steps in prop::collection::vec(step(), 1..40), starts in prop::collection::vec(key(), 4),
        ) {
            let mut overlay = Overlay::default();
            let (mut frozen, mut since, mut is_frozen) = (Plain::new(), Plain::new(), false);
            for step in steps {
                match step {
                    Step::Push(edits) => {
                        overlay.push(layer(&edits)).unwrap();
                        since.extend(edits);
                    }
                    // A pass begins when the one before has ended.
                    Step::Freeze if is_frozen => {}
                    Step::Freeze => {
                        overlay.freeze();
                        frozen = std::mem::take(&mut since);
                        is_frozen = true;
                    }
                    Step::DropFrozen => {
                        overlay.drop_frozen();
                        (frozen, is_frozen) = (Plain::new(), false);
                    }
                }
                prop_assert_eq!(read(overlay.frozen().unwrap()), frozen.clone());
                let mut all = frozen.clone();
                all.extend(since.clone());
                for start in &starts {
                    let family = |all: Plain| -> Plain { all.into_iter().filter(|(key, _)| key.starts_with(start)).collect() };
                    prop_assert_eq!(family(read(overlay.within(start, start).unwrap())), family(all.clone()));
                    prop_assert_eq!(read(overlay.from(start).unwrap()), all.split_off(start));

                    all = frozen.clone();
                    all.extend(since.clone());
                }
            }
        }

        #[test]
        fn what_a_delta_on_the_disk_holds_reads_the_same(edits in prop::collection::btree_map(key(), value(), 0..200), start in key()) {
            let composed = layer(&edits);
            let mut stream = Vec::new();
            put_number(&mut stream, edits.len() as u64);
            let mut last = Vec::new();
            for (key, value) in &edits {
                put_record(&mut stream, &last, key, value.as_deref());
                last.clone_from(key);
            }
            let mut unpacked = Vec::new();
            unpack(FORMAT, composed.packed(), &mut unpacked).unwrap();
            prop_assert_eq!(&unpacked, &stream, "in groups or not, it is the same stream");

            let in_groups = Layer::read(FORMAT, composed.packed().to_vec()).unwrap();
            let cut_anywhere = Layer::read(FORMAT, pack(&stream)).unwrap();
            let plain = Layer::read(PLAIN_STREAMS, stream).unwrap();
            prop_assert_eq!(in_groups.packed(), composed.packed());
            let mut in_parts = layer(&edits);
            in_parts.lie_in(cut(Kind::Delta, composed.packed()).unwrap().map(|(_, part)| part.into()).collect());
            for layer in [composed, in_groups, cut_anywhere, plain, in_parts] {
                prop_assert_eq!(layer.len(), edits.len() as u64);
                prop_assert_eq!(layer.removals(), edits.values().filter(|value| value.is_none()).count() as u64);
                let mut overlay = Overlay::default();
                overlay.push(layer).unwrap();
                prop_assert_eq!(read(overlay.from(&start).unwrap()), edits.clone().split_off(&start));
            }
        }

        #[test]
        fn a_delta_changed_or_cut_short_is_read_or_is_broken(
            edits in prop::collection::btree_map(key(), value(), 1..40), at: prop::sample::Index, bit in 0_u8..8,
        ) {
            let mut stored = layer(&edits).packed().to_vec();
            let at = at.index(stored.len());
            prop_assert!(Layer::read(FORMAT, stored[..at].to_vec()).is_err());
            stored[at] ^= 1 << bit;
            if let Ok(layer) = Layer::read(FORMAT, stored) {
                prop_assert_eq!(layer.len(), edits.len() as u64);
            }
        }
    }

    #[test]
    fn many_large_commits_are_not_many_layers() {
        let mut overlay = Overlay::default();
        let mut noise = 1_u64;
        for n in 0..400_u32 {
            let value = std::iter::repeat_with(|| {
                noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (noise >> 56) as u8
            });
            let value = value.take(MERGED_BYTES).collect();
            overlay.push(layer(&Plain::from([(n.to_be_bytes().to_vec(), Some(value))]))).unwrap();
        }
        assert_eq!(read(overlay.from(b"").unwrap()).len(), 400);
        assert!(overlay.layers.len() < 2 * MERGED_SHARE, "{} layers", overlay.layers.len());
    }

    #[test]
    fn many_small_commits_are_few_layers() {
        let mut overlay = Overlay::default();
        let mut most = 0;
        for n in 0..5_000u32 {
            overlay.push(layer(&Plain::from([(n.to_be_bytes().to_vec(), None)]))).unwrap();
            most = most.max(overlay.layers.len());
        }
        assert_eq!(read(overlay.from(b"").unwrap()).len(), 5_000);
        assert!(most <= FAN * 6, "{most} layers");
    }
}
