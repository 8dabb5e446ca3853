//! The changes that are not folded yet: what the pages say of these keys does not count.
//!
//! Kept as they were committed, as sorted runs; of several changes of a key the one of the latest run counts. Runs of about one
//! size are merged when there are many of them, so that reading looks into few.

use super::layer::{Layer, Writer};
use super::run::{BrokenRun, Reader};
use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;

/// As many layers of one size are merged.
const FAN: usize = 8;

/// Unfolded changes.
#[derive(Debug, Default)]
pub(super) struct Overlay {
    /// Oldest first.
    layers: Vec<Layer>,
    /// How many of them, from the first on, are being folded.
    frozen: usize,
}

impl Overlay {
    /// How many changes there are: of keys that were changed again, more than one.
    pub(super) fn len(&self) -> u64 {
        self.layers.iter().map(Layer::len).sum()
    }

    /// How many of them remove.
    pub(super) fn removals(&self) -> u64 {
        self.layers.iter().map(Layer::removals).sum()
    }

    /// Takes the changes of a commit.
    pub(super) fn push(&mut self, layer: Layer) -> Result<(), BrokenRun> {
        self.layers.push(layer);
        loop {
            let free = self.layers.get(self.frozen..).unwrap_or_default();
            let Some(size) = free.last().map(size_class) else { return Ok(()) };
            let alike = free.iter().rev().take_while(|layer| size_class(layer) <= size).count();
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
    pub(super) fn from(&self, start: &[u8]) -> Result<Cursor<'_>, BrokenRun> {
        Cursor::over(&self.layers, start)
    }

    /// The same, of what is frozen.
    pub(super) fn frozen_from(&self, start: &[u8]) -> Result<Cursor<'_>, BrokenRun> {
        Cursor::over(self.layers.get(..self.frozen).unwrap_or_default(), start)
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
        self.layers.push(writer.finish());
        Ok(())
    }
}

fn size_class(layer: &Layer) -> u32 {
    layer.stream().len().max(1).ilog2() / FAN.ilog2()
}

/// Walks several layers together, in the order of their keys: stand, look, pass.
pub(super) struct Cursor<'a> {
    heads: BinaryHeap<Head<'a>>,
    /// The current change.
    key: Vec<u8>,
    value: Option<&'a [u8]>,
    begun: bool,
    /// Whether the current change has not been passed.
    stands: bool,
}

impl<'a> Cursor<'a> {
    fn over(layers: &'a [Layer], start: &[u8]) -> Result<Cursor<'a>, BrokenRun> {
        let mut heads = BinaryHeap::with_capacity(layers.len());
        for (age, layer) in layers.iter().enumerate() {
            if let Some(reader) = layer.seek(start)? {
                heads.push(Head { reader, age });
            }
        }
        Ok(Cursor { heads, key: Vec::new(), value: None, begun: false, stands: false })
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
        while let Some(mut head) = self.heads.peek_mut() {
            if self.begun && head.reader.key() == self.key {
                if !head.reader.advance()? {
                    PeekMut::pop(head);
                }
                continue;
            }
            self.begun = true;
            self.key.clear();
            self.key.extend_from_slice(head.reader.key());
            self.value = head.reader.value();
            return Ok(true);
        }
        Ok(false)
    }

    /// Key of the current change.
    pub(super) fn key(&self) -> &[u8] {
        &self.key
    }

    /// Value of the current change; `None` when it says "removed".
    pub(super) fn value(&self) -> Option<&'a [u8]> {
        self.value
    }
}

/// A layer's next change.
struct Head<'a> {
    reader: Reader<'a>,
    /// The higher, the later.
    age: usize,
}

impl Ord for Head<'_> {
    /// The greatest is the one with the lowest key, of equals the latest.
    fn cmp(&self, other: &Self) -> Ordering {
        other.reader.key().cmp(self.reader.key()).then(self.age.cmp(&other.age))
    }
}

impl PartialOrd for Head<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Head<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Head<'_> {}

#[cfg(test)]
mod tests {
    use super::super::Delta;
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    type Plain = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

    fn read(mut cursor: Cursor<'_>) -> Plain {
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
        delta.put_in_order().unwrap();
        Layer::compose(&delta)
    }

    fn key() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(prop::sample::select(b"ab\0".to_vec()), 1..7)
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
                let mut all = frozen.clone();
                all.extend(since.clone());
                for start in &starts {
                    prop_assert_eq!(read(overlay.from(start).unwrap()), all.split_off(start));
                    prop_assert_eq!(read(overlay.frozen_from(start).unwrap()), frozen.clone().split_off(start));
                    all = frozen.clone();
                    all.extend(since.clone());
                }
            }
        }

        #[test]
        fn what_a_delta_on_the_disk_holds_reads_the_same(edits in prop::collection::btree_map(key(), prop::option::of(key()), 0..200), start in key()) {
            let composed = layer(&edits);
            let loaded = Layer::read(composed.stream().to_vec()).unwrap();
            for layer in [composed, loaded] {
                prop_assert_eq!(layer.len(), edits.len() as u64);
                let mut overlay = Overlay::default();
                overlay.push(layer).unwrap();
                prop_assert_eq!(read(overlay.from(&start).unwrap()), edits.clone().split_off(&start));
            }
        }
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
