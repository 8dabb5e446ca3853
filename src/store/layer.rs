//! A sorted run of changes in memory, as it stands in a delta, with marks from which it can be read.

use super::delta::Delta;
use super::run::{BrokenRun, Reader, put_number, put_record, take_number};

/// Records between two marks: what a search reads at most.
const STRIDE: u64 = 32;

/// Changes by ascending key.
#[derive(Debug, Default)]
pub(super) struct Layer {
    /// What a delta holds: the number of records, then the run. Without the number when layers have been merged.
    stream: Vec<u8>,
    marks: Vec<Mark>,
    /// The keys of the marks.
    keys: Vec<u8>,
    records: u64,
    removals: u64,
}

/// A place between two records.
#[derive(Clone, Copy, Debug)]
struct Mark {
    /// Where the next record begins.
    at: usize,
    /// The key before it, in `keys`.
    key_from: usize,
    key_end: usize,
}

impl Layer {
    /// The changes of a commit, which must be in order.
    pub(super) fn compose(delta: &Delta) -> Layer {
        let mut writer = Writer::default();
        writer.layer.stream.reserve(delta.bytes());
        put_number(&mut writer.layer.stream, delta.len() as u64);
        delta.iter().for_each(|(key, value)| writer.push(key, value));
        writer.finish()
    }

    /// What a delta on the disk holds.
    pub(super) fn read(stream: Vec<u8>) -> Result<Layer, BrokenRun> {
        let mut run = stream.as_slice();
        let count = take_number(&mut run)?;
        let mut layer = Layer::default();
        let mut reader = Reader::new(b"", run);
        loop {
            if layer.records.is_multiple_of(STRIDE) {
                layer.mark(stream.len() - reader.left(), reader.key());
            }
            if !reader.advance()? {
                break;
            }
            layer.count(reader.value().is_none());
        }
        layer.stream = stream;
        if layer.records == count { Ok(layer) } else { Err(BrokenRun) }
    }

    /// The delta's stream.
    pub(super) fn stream(&self) -> &[u8] {
        &self.stream
    }

    /// How many changes there are.
    pub(super) fn len(&self) -> u64 {
        self.records
    }

    /// How many of them remove.
    pub(super) fn removals(&self) -> u64 {
        self.removals
    }

    /// A reader that stands on the first change that is not below `start`; `None` when there is none.
    pub(super) fn seek(&self, start: &[u8]) -> Result<Option<Reader<'_>>, BrokenRun> {
        let below = self.marks.partition_point(|mark| self.key_of(mark) < start);
        let Some(mark) = self.marks.get(below.saturating_sub(1)) else { return Ok(None) };
        let mut reader = Reader::new(self.key_of(mark), self.stream.get(mark.at..).unwrap_or_default());
        while reader.advance()? {
            if reader.key() >= start {
                return Ok(Some(reader));
            }
        }
        Ok(None)
    }

    fn key_of(&self, mark: &Mark) -> &[u8] {
        self.keys.get(mark.key_from..mark.key_end).unwrap_or_default()
    }

    fn mark(&mut self, at: usize, key: &[u8]) {
        let key_from = self.keys.len();
        self.keys.extend_from_slice(key);
        self.marks.push(Mark { at, key_from, key_end: self.keys.len() });
    }

    fn count(&mut self, removes: bool) {
        self.records += 1;
        self.removals += u64::from(removes);
    }
}

/// Writes a layer, one change after the other.
#[derive(Default)]
pub(super) struct Writer {
    layer: Layer,
    last: Vec<u8>,
}

impl Writer {
    /// Adds a change; its key must be above the last one.
    pub(super) fn push(&mut self, key: &[u8], value: Option<&[u8]>) {
        let layer = &mut self.layer;
        if layer.records.is_multiple_of(STRIDE) {
            layer.mark(layer.stream.len(), &self.last);
        }
        put_record(&mut layer.stream, &self.last, key, value);
        layer.count(value.is_none());
        self.last.clear();
        self.last.extend_from_slice(key);
    }

    /// What was written.
    pub(super) fn finish(mut self) -> Layer {
        self.layer.stream.shrink_to_fit();
        self.layer
    }
}
