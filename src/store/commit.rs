//! Committing: a delta, or the part of it that does not go into pages at once, becomes durable.
//!
//! What this file never does: decide when, or deliver anything.

use super::Store;
use super::delta::Delta;
use super::engine::{Change, Value};
use super::envelope::{Kind, cut, part_count};
use super::error::StoreError;
use super::layer::Layer;
use super::page::{self, DELTA, part_key};
use super::recovery;
use super::view::DeltaRef;
use crate::failpoint::{self, Point};
use std::collections::VecDeque;

/// Parts that one delta may have; larger batches make sled keep memory for good.
const MAX_DELTA_PARTS: usize = 16_384;

impl Store {
    /// Makes a delta durable, all of it or nothing, and returns its epoch. The delta is empty afterwards. An empty delta
    /// writes nothing.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] writes nothing. After any other error, drop this store and open it again: it then holds the
    /// delta or does not, and repeating the delta is harmless. The delta keeps its changes, in the order of their keys.
    pub fn commit(&mut self, delta: &mut Delta) -> Result<u64, StoreError> {
        self.check_usable()?;
        self.remove_prefixes(delta)?;
        delta.put_in_order(&mut self.order)?;
        if delta.is_empty() {
            return Ok(self.view.root.epoch);
        }
        let paged = self.ascending.pages(&self.view, delta);
        let paged = self.note(paged)?;
        let left_out = paged.first().map_or(0, |first| first.start)..paged.last().map_or(0, |last| last.end);
        let mut layer = Layer::compose(delta, &left_out, std::mem::take(&mut self.packed));
        let (bytes, stored) = (layer.plain_len(), layer.packed().len());
        let parts = part_count(stored);
        let (Ok(parts), true) = (u16::try_from(parts), parts <= MAX_DELTA_PARTS) else {
            return Err(StoreError::Invalid { what: format!("a delta of {bytes} bytes is too large") });
        };
        let mut change = Change::default();
        let written = self.ascending.write(&mut self.view, &mut change, delta, &paged);
        let result = written.and_then(|()| self.write_delta(change, parts, layer.packed()));
        let (parts, digests) = self.note(result)?;
        self.packed = layer.lie_in(parts);
        let epoch = self.view.root.epoch;
        self.view.deltas.push_back(DeltaRef { epoch, from: 0, digests, bytes, stored: stored as u64 });
        self.view.delta_bytes += bytes;
        let result = self.view.overlay.push(layer).map_err(page::broken(&self.view.dir));
        self.note(result)?;
        delta.clear();
        if std::mem::take(&mut self.recovery_noted)
            && let Err(e) = recovery::remove_note(&self.view.dir)
        {
            log::warn!("{e}; the recovery will be reported again at the next start");
        }
        Ok(epoch)
    }

    /// What is to leave by prefix leaves by key: the delta says the same whenever it is tried again.
    fn remove_prefixes(&mut self, delta: &mut Delta) -> Result<(), StoreError> {
        let prefixes = delta.take_prefixes();
        if prefixes.is_empty() {
            return Ok(());
        }
        let mut whole = Delta::default();
        for prefix in &prefixes {
            match self.view.scan(prefix, prefix, usize::MAX) {
                Ok(records) => records.iter().for_each(|(key, _)| whole.remove(|out| out.extend_from_slice(key))),
                Err(e) => {
                    prefixes.into_iter().for_each(|prefix| delta.remove_all(prefix));
                    return self.note(Err(e));
                }
            }
        }
        whole.append(delta);
        *delta = whole;
        Ok(())
    }

    /// Writes the next delta, with what is in `change` already; returns its parts, and what each adds to the digest.
    fn write_delta(
        &mut self,
        mut change: Change,
        parts: u16,
        packed: &[u8],
    ) -> Result<(Vec<Value>, VecDeque<u128>), StoreError> {
        let epoch = self.view.root.epoch + 1;
        let values = cut(Kind::Delta, packed).into_iter().flatten().take(parts.into());
        let written = values.map(|(n, value)| change.put(&part_key(DELTA, epoch, n), value)).unzip();
        self.view.root.epoch = epoch;
        self.view.root.schema = self.schema;
        failpoint::reach(Point::CommitComposed);
        self.view.engine.apply(change, &mut self.view.root)?;
        self.witness.record(epoch)?;
        failpoint::reach(Point::CommitWitnessed);
        Ok(written)
    }
}
