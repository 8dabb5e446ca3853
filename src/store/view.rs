//! What a store holds, and how it is read: pages on disk under an overlay of the deltas that are not folded yet.
//!
//! The writer and the reader of a stopped store share this. The live value of a key is the overlay's, else the page's.
//! What this file never does: write.

use super::engine::Engine;
use super::error::StoreError;
use super::overlay::{Cursor, Overlay};
use super::page::{self, Index};
use super::root::Root;
use super::run::{BrokenRun, Reader};
use super::{Record, StoreStats};
use std::collections::VecDeque;
use std::path::PathBuf;

/// A delta in sled.
#[derive(Debug)]
pub(super) struct DeltaRef {
    /// Its epoch.
    pub epoch: u64,
    /// The number of the first part that is still there.
    pub from: u16,
    /// What the parts from there on add to the digest of the store: they can be removed without being read again.
    pub digests: VecDeque<u128>,
    /// Length of its stream; 0 of one that was dead when the store was opened.
    pub bytes: u64,
    /// Length of what was stored for it.
    pub stored: u64,
}

/// An open store, as far as reading goes.
pub(super) struct View {
    pub dir: PathBuf,
    pub engine: Engine,
    pub root: Root,
    pub index: Index,
    pub overlay: Overlay,
    /// Deltas in sled, oldest first; those up to `root.folded` are dead.
    pub deltas: VecDeque<DeltaRef>,
    /// Length of the deltas that are not dead.
    pub delta_bytes: u64,
}

impl View {
    /// The live value of a key.
    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let broken = page::broken(&self.dir);
        let mut changes = self.overlay.within(key, key).map_err(&broken)?;
        if changes.stand().map_err(&broken)? && changes.key() == key {
            return Ok(changes.value().map(<[u8]>::to_vec));
        }
        let Some((_, page)) = self.index.covering(key) else { return Ok(None) };
        let stream = page::read(&self.engine, &self.dir, page, None)?;
        let mut records = page::records(&self.dir, &stream)?;
        while records.advance().map_err(page::broken(&self.dir))? {
            if records.key() >= key {
                return Ok(records.value().filter(|_| records.key() == key).map(<[u8]>::to_vec));
            }
        }
        Ok(None)
    }

    /// Live records from `from` on whose keys begin with `prefix`, until their size reaches `max_bytes`.
    pub(super) fn scan(&self, from: &[u8], prefix: &[u8], max_bytes: usize) -> Result<Vec<Record>, StoreError> {
        let mut out = Vec::new();
        let mut bytes = 0;
        self.each(from, prefix, |key, value| {
            if bytes >= max_bytes && !out.is_empty() {
                return false;
            }
            bytes += key.len() + value.len();
            out.push((key.to_vec(), value.to_vec()));
            true
        })?;
        Ok(out)
    }

    /// Hands over live records from `from` on whose keys begin with `prefix`, as long as `take` says that it goes on.
    pub(super) fn each(
        &self,
        from: &[u8],
        prefix: &[u8],
        mut take: impl FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), StoreError> {
        let mut start = from.max(prefix);
        let mut changes = self.overlay.within(prefix, start).map_err(page::broken(&self.dir))?;
        loop {
            let page = self.index.covering(start).map(|(_, page)| page);
            let end = self.index.above(start).map(|(low, _)| low);
            let stream = page.map(|page| page::read(&self.engine, &self.dir, page, None)).transpose()?;
            let records = stream.as_deref().map(|stream| page::records(&self.dir, stream)).transpose()?;
            let mut merge = Merge::new(records, &mut changes, end);
            while let Some((key, value)) = merge.next().map_err(page::broken(&self.dir))? {
                if key < start {
                    continue;
                }
                if !key.starts_with(prefix) || !take(key, value) {
                    return Ok(());
                }
            }
            match end {
                Some(low) if low.starts_with(prefix) => start = low,
                _ => return Ok(()),
            }
        }
    }

    /// Brings the counts of the root up to date.
    pub(super) fn recount(&mut self) {
        self.root.pages = self.index.len() as u64;
        self.root.page_bytes = self.index.bytes();
        self.root.page_records = self.index.records();
        let folded = self.root.folded;
        self.delta_bytes = self.deltas.iter().filter(|d| d.epoch > folded).map(|d| d.bytes).sum();
    }

    /// Sizes, for status; without the snapshots.
    pub(super) fn stats(&self) -> StoreStats {
        let (disk_bytes, blobs) = self.engine.disk();
        StoreStats {
            epoch: self.root.epoch,
            schema: self.root.schema,
            pages: self.index.len() as u64,
            page_bytes: self.index.bytes(),
            deltas: self.deltas.iter().filter(|d| d.epoch > self.root.folded).count() as u64,
            delta_bytes: self.delta_bytes,
            overlay_records: self.overlay.len(),
            records: self.records(),
            disk_bytes,
            blobs,
            ..StoreStats::default()
        }
    }

    /// About how many records there are: exact when nothing is unfolded.
    pub(super) fn records(&self) -> u64 {
        let removed = self.overlay.removals();
        (self.index.records() + self.overlay.len() - removed).saturating_sub(removed)
    }
}

/// A live key and its value.
type Live<'a> = (&'a [u8], &'a [u8]);

/// Walks page records and changes together, in key order, and yields what is live. Afterwards the changes stand on the first
/// one that was not taken.
pub(super) struct Merge<'a, 'c> {
    page: Option<Reader<'a>>,
    /// Whether `page` stands on a record that has not been yielded.
    page_stands: bool,
    changes: Option<&'c mut Cursor>,
    end: Option<&'a [u8]>,
    taken: usize,
}

/// Where the next live record comes from.
enum From {
    Page,
    Change,
}

impl<'a, 'c> Merge<'a, 'c> {
    /// Over a page and changes up to, not including, `end`.
    pub(super) fn new(page: Option<Reader<'a>>, changes: &'c mut Cursor, end: Option<&'a [u8]>) -> Merge<'a, 'c> {
        Merge { page, page_stands: false, changes: Some(changes), end, taken: 0 }
    }

    /// Bytes of the changes taken so far, removals included.
    pub(super) fn taken(&self) -> usize {
        self.taken
    }

    /// From here on only the page's own records are yielded.
    pub(super) fn leave_changes(&mut self) {
        self.changes = None;
    }

    /// The next live record.
    pub(super) fn next(&mut self) -> Result<Option<Live<'_>>, BrokenRun> {
        let from = loop {
            self.stand()?;
            match (&self.page, &mut self.changes) {
                (None, None) => return Ok(None),
                (Some(page), changes) if changes.as_ref().is_none_or(|changes| page.key() < changes.key()) => {
                    self.page_stands = false;
                    break From::Page;
                }
                (page, Some(changes)) => {
                    if page.as_ref().is_some_and(|page| page.key() == changes.key()) {
                        self.page_stands = false;
                    }
                    let value_len = changes.value().map(<[u8]>::len);
                    self.taken += changes.key().len() + value_len.unwrap_or(0);
                    changes.pass();
                    if value_len.is_some() {
                        break From::Change;
                    }
                }
                (Some(_), None) => return Err(BrokenRun),
            }
        };
        match from {
            From::Change => Ok(self.changes.as_ref().and_then(|changes| Some((changes.key(), changes.value()?)))),
            From::Page => {
                let page = self.page.as_ref().ok_or(BrokenRun)?;
                Ok(Some((page.key(), page.value().ok_or(BrokenRun)?)))
            }
        }
    }

    /// Moves both to what has not been yielded.
    fn stand(&mut self) -> Result<(), BrokenRun> {
        if let (false, Some(page)) = (self.page_stands, &mut self.page) {
            self.page_stands = page.advance()?;
            if !self.page_stands {
                self.page = None;
            }
        }
        if let Some(changes) = &mut self.changes
            && !(changes.stand()? && self.end.is_none_or(|end| changes.key() < end))
        {
            self.changes = None;
        }
        Ok(())
    }
}
