//! A sorted run of changes in memory, packed as a delta stores it, with marks from which it can be read.
//!
//! The run is cut between records into groups, each packed in blocks of its own, so that a group can be read alone: a search
//! unpacks one group, a walk one after the other. What is on the disk and what is in memory are the same bytes, packed once;
//! what a commit has written is even the same memory that sled keeps of it. Units: bytes.

use super::delta::{Delta, clear_kept};
use super::engine::Value;
use super::envelope::{FORMAT, PART_BYTES, PLAIN_STREAMS, piece};
use super::packed::{Packer, unpack, unpack_block};
use super::root::short_hash;
use super::run::{BrokenRun, Reader, family_len, put_number, put_record, take_number, take_record};
use std::ops::Range;
use std::sync::Arc;

/// A group is closed when its run is so long.
const GROUP_BYTES: usize = 16 * 1024;

/// Changes by ascending key.
#[derive(Debug, Default)]
pub(super) struct Layer {
    /// What a delta stores: the number of records, in a block of its own, then the groups. Without the number when layers have
    /// been merged.
    packed: Packed,
    groups: Vec<Group>,
    /// The keys of the groups.
    keys: Vec<u8>,
    families: Families,
    plain: u64,
    records: u64,
    removals: u64,
}

/// Which families of keys a layer has changes of: what it has none of is not looked for in it.
#[derive(Debug, Default)]
struct Families {
    /// Of each family's name, ascending once all are there.
    hashes: Vec<u32>,
    /// The name of the last one.
    last: Vec<u8>,
}

/// The packed bytes of a layer.
#[derive(Debug)]
enum Packed {
    /// Its own.
    Whole(Vec<u8>),
    /// In the parts of a delta, which sled shares as long as it keeps them.
    Parts { parts: Vec<Value>, len: usize },
}

/// Some consecutive records.
#[derive(Clone, Copy, Debug)]
struct Group {
    /// Where its first block begins.
    at: usize,
    /// The key before its first record, in `keys`.
    key_from: usize,
    key_end: usize,
}

impl Layer {
    /// The changes of a commit, which must be in order, but those at `left_out`, packed into the memory of `used`.
    pub(super) fn compose(delta: &Delta, left_out: &Range<usize>, used: Vec<u8>) -> Layer {
        let mut writer = Writer::numbered((delta.len() - left_out.len()) as u64, used);
        let before = delta.iter().take(left_out.start);
        let behind = delta.iter().skip(left_out.end);
        before.chain(behind).for_each(|(key, value)| writer.push(key, value));
        writer.finish()
    }

    /// What a delta on the disk stores in a format.
    pub(super) fn read(format: u16, stored: Vec<u8>) -> Result<Layer, BrokenRun> {
        if format != PLAIN_STREAMS {
            let (mut rest, mut head) = (stored.as_slice(), Vec::new());
            if !rest.is_empty() {
                unpack_block(&mut rest, &mut head)?;
            }
            let mut head = head.as_slice();
            let count = take_number(&mut head)?;
            if head.is_empty() {
                let first = stored.len() - rest.len();
                return Layer::in_groups(stored, first, count);
            }
        }
        Layer::from_stream(format, &stored)
    }

    /// A delta whose groups begin at `first`.
    fn in_groups(packed: Vec<u8>, first: usize, count: u64) -> Result<Layer, BrokenRun> {
        let mut layer = Layer::default();
        let mut rest = packed.get(first..).unwrap_or_default();
        let (mut run, mut key) = (Vec::new(), Vec::new());
        while !rest.is_empty() {
            layer.begin_group(packed.len() - rest.len(), &key);
            run.clear();
            let mut done = 0;
            // A record that is longer than a block goes on in the next one.
            while done < run.len() || run.is_empty() {
                unpack_block(&mut rest, &mut run)?;
                let mut input = run.get(done..).unwrap_or_default();
                while !input.is_empty() {
                    match take_record(&mut input, &mut key, layer.records == 0) {
                        Ok(value) => layer.count(&key, value.is_none()),
                        Err(broken) if rest.is_empty() => return Err(broken),
                        Err(_) => break,
                    }
                }
                done = run.len() - input.len();
            }
            layer.plain += run.len() as u64;
        }
        layer.packed = Packed::Whole(packed);
        layer.families.finish();
        if layer.records == count { Ok(layer) } else { Err(BrokenRun) }
    }

    /// A delta that was not stored in groups: it is packed anew.
    fn from_stream(format: u16, stored: &[u8]) -> Result<Layer, BrokenRun> {
        let mut stream = Vec::new();
        unpack(format, stored, &mut stream)?;
        let mut run = stream.as_slice();
        let count = take_number(&mut run)?;
        let mut writer = Writer::default();
        let mut reader = Reader::new(b"", run);
        while reader.advance()? {
            writer.push(reader.key(), reader.value());
        }
        let mut layer = writer.finish();
        layer.shrink();
        if layer.records == count { Ok(layer) } else { Err(BrokenRun) }
    }

    /// What the delta stores, unless it [lies in parts](Layer::lie_in).
    pub(super) fn packed(&self) -> &[u8] {
        match &self.packed {
            Packed::Whole(bytes) => bytes,
            Packed::Parts { .. } => &[],
        }
    }

    /// How long that is, wherever it lies.
    pub(super) fn packed_len(&self) -> usize {
        match &self.packed {
            Packed::Whole(bytes) => bytes.len(),
            Packed::Parts { len, .. } => *len,
        }
    }

    /// The parts in which it was stored hold it from here on. Returns the memory that held it, empty.
    pub(super) fn lie_in(&mut self, parts: Vec<Value>) -> Vec<u8> {
        let in_parts = Packed::Parts { parts, len: self.packed_len() };
        match std::mem::replace(&mut self.packed, in_parts) {
            Packed::Whole(mut bytes) => {
                clear_kept(&mut bytes);
                bytes
            }
            Packed::Parts { .. } => Vec::new(),
        }
    }

    /// Takes no more memory than it needs.
    pub(super) fn shrink(&mut self) {
        if let Packed::Whole(bytes) = &mut self.packed {
            bytes.shrink_to_fit();
        }
    }

    /// Length of the run before it was packed.
    pub(super) fn plain_len(&self) -> u64 {
        self.plain
    }

    /// How many changes there are.
    pub(super) fn len(&self) -> u64 {
        self.records
    }

    /// How many of them remove.
    pub(super) fn removals(&self) -> u64 {
        self.removals
    }

    /// Whether it may have changes of the family with this name, all of it; `false` is certain.
    pub(super) fn may_know(&self, family: &[u8]) -> bool {
        self.families.hashes.binary_search(&short_hash(family)).is_ok()
    }

    /// A reader that stands on the first change that is not below `start`; `None` when there is none.
    pub(super) fn seek(self: &Arc<Layer>, start: &[u8]) -> Result<Option<LayerReader>, BrokenRun> {
        let below = self.groups.partition_point(|group| self.key_before(group) < start);
        let mut reader = LayerReader::new(self, below.saturating_sub(1));
        while reader.advance()? {
            if reader.key() >= start {
                return Ok(Some(reader));
            }
        }
        Ok(None)
    }

    fn key_before(&self, group: &Group) -> &[u8] {
        self.keys.get(group.key_from..group.key_end).unwrap_or_default()
    }

    fn begin_group(&mut self, at: usize, key_before: &[u8]) {
        let key_from = self.keys.len();
        self.keys.extend_from_slice(key_before);
        self.groups.push(Group { at, key_from, key_end: self.keys.len() });
    }

    fn count(&mut self, key: &[u8], removes: bool) {
        self.families.note(key);
        self.records += 1;
        self.removals += u64::from(removes);
    }
}

impl Families {
    /// Takes the next key; those of a family come one after the other.
    fn note(&mut self, key: &[u8]) {
        if !self.last.is_empty() && key.starts_with(&self.last) {
            return;
        }
        self.last.clear();
        if let Some(family) = family_len(key).and_then(|len| key.get(..len)) {
            self.last.extend_from_slice(family);
            self.hashes.push(short_hash(family));
        }
    }

    fn finish(&mut self) {
        self.last = Vec::new();
        self.hashes.sort_unstable();
        self.hashes.dedup();
        self.hashes.shrink_to_fit();
    }
}

impl Default for Packed {
    fn default() -> Packed {
        Packed::Whole(Vec::new())
    }
}

impl Packed {
    /// Some of the bytes, put together in `gathered` where they do not lie together.
    fn range<'a>(&'a self, range: Range<usize>, gathered: &'a mut Vec<u8>) -> &'a [u8] {
        let parts = match self {
            Packed::Whole(bytes) => return bytes.get(range).unwrap_or_default(),
            Packed::Parts { parts, .. } => parts,
        };
        gathered.clear();
        let mut at = range.start;
        while let Some(part) = parts.get(at / PART_BYTES).filter(|_| at < range.end) {
            let piece = piece(part).get(at % PART_BYTES..).unwrap_or_default();
            let wanted = piece.len().min(range.end - at);
            if wanted == 0 {
                break;
            }
            gathered.extend_from_slice(piece.get(..wanted).unwrap_or_default());
            at += wanted;
        }
        gathered
    }
}

/// Reads the changes of a layer, one at a time. What it has unpacked is its own, so that the layer may lie anywhere.
pub(super) struct LayerReader {
    layer: Arc<Layer>,
    /// The group to be unpacked next.
    next: usize,
    /// The group before it, as stored where it had to be put together, and unpacked.
    gathered: Vec<u8>,
    run: Vec<u8>,
    /// Where the next record begins in it.
    at: usize,
    key: Vec<u8>,
    value: Option<Range<usize>>,
}

impl LayerReader {
    fn new(layer: &Arc<Layer>, first: usize) -> LayerReader {
        let key = layer.groups.get(first).map_or(b"".as_slice(), |group| layer.key_before(group)).to_vec();
        LayerReader {
            layer: Arc::clone(layer),
            next: first,
            gathered: Vec::new(),
            run: Vec::new(),
            at: 0,
            key,
            value: None,
        }
    }

    /// Moves to the next change; `false` at the end.
    pub(super) fn advance(&mut self) -> Result<bool, BrokenRun> {
        while self.at == self.run.len() {
            if !self.unpack_next()? {
                return Ok(false);
            }
        }
        let mut input = self.run.get(self.at..).unwrap_or_default();
        let is_first = self.next == 1 && self.at == 0;
        let value_len = take_record(&mut input, &mut self.key, is_first)?.map(<[u8]>::len);
        self.at = self.run.len() - input.len();
        self.value = value_len.map(|len| self.at - len..self.at);
        Ok(true)
    }

    fn unpack_next(&mut self) -> Result<bool, BrokenRun> {
        let layer = &self.layer;
        let Some(group) = layer.groups.get(self.next) else { return Ok(false) };
        self.next += 1;
        let end = layer.groups.get(self.next).map_or(layer.packed_len(), |after| after.at);
        self.run.clear();
        self.at = 0;
        let stored = layer.packed.range(group.at..end, &mut self.gathered);
        unpack(FORMAT, stored, &mut self.run)?;
        Ok(true)
    }

    /// Key of the current change.
    pub(super) fn key(&self) -> &[u8] {
        &self.key
    }

    /// Value of the current change; `None` when it says "removed".
    pub(super) fn value(&self) -> Option<&[u8]> {
        self.value.clone().and_then(|range| self.run.get(range))
    }
}

/// Writes a layer, one change after the other.
#[derive(Default)]
pub(super) struct Writer {
    layer: Layer,
    packed: Vec<u8>,
    packer: Packer,
    run: Vec<u8>,
    /// The key before the run.
    low: Vec<u8>,
    last: Vec<u8>,
}

impl Writer {
    /// A writer of what a delta of so many changes stores, into the memory of `used`.
    fn numbered(changes: u64, used: Vec<u8>) -> Writer {
        let mut writer = Writer { packed: used, ..Writer::default() };
        writer.packed.clear();
        let mut number = Vec::new();
        put_number(&mut number, changes);
        writer.packer.append(&number, &mut writer.packed);
        writer
    }

    /// Adds a change; its key must be above the last one.
    pub(super) fn push(&mut self, key: &[u8], value: Option<&[u8]>) {
        put_record(&mut self.run, &self.last, key, value);
        self.layer.count(key, value.is_none());
        self.last.clear();
        self.last.extend_from_slice(key);
        if self.run.len() >= GROUP_BYTES {
            self.close_group();
        }
    }

    /// What was written.
    pub(super) fn finish(mut self) -> Layer {
        if !self.run.is_empty() {
            self.close_group();
        }
        self.layer.packed = Packed::Whole(self.packed);
        self.layer.families.finish();
        self.layer
    }

    fn close_group(&mut self) {
        self.layer.begin_group(self.packed.len(), &self.low);
        self.layer.plain += self.run.len() as u64;
        self.packer.append(&self.run, &mut self.packed);
        self.run.clear();
        self.low.clone_from(&self.last);
    }
}
