//! Folding: moving what the deltas say into the pages, a small durable batch at a time, while commits go on in between.
//!
//! A pass fixes a target epoch, walks the overlay in key order, merges each touched page with what the overlay says of its
//! range, and at the end declares all deltas up to the target folded; they are dead from then on and removed in batches.
//! Stopping anywhere is harmless: deltas hold absolute values, so reading them over pages that already contain them, or even
//! values of later deltas, gives the same records.
//! Units: bytes. What this file never does: decide when (see `Store::fold_due`).

use super::engine::{Change, Engine};
use super::error::StoreError;
use super::overlay::Cursor;
use super::page::{self, DELTA, Index, PageRef, part_key};
use super::records::Records;
use super::root::Root;
use super::run::{encoded_len, put_record, separator};
use super::view::{Merge, View};
use std::path::Path;

/// A page is split when its run is longer.
const PAGE_BYTES: usize = 6 * 1000;
/// How full the pages are made that come out of a split.
const FILL_BYTES: usize = PAGE_BYTES / 10 * 9;
/// A shorter run is joined with the next page, if both fit.
const SMALL_BYTES: usize = PAGE_BYTES / 3;
/// A step ends when it has put or removed about so many values; a record of many parts may exceed it.
const STEP_VALUES: usize = 64;
/// Dead parts of deltas removed in one batch.
const REMOVED_VALUES: usize = 500;

/// A pass under way.
pub(super) struct Pass {
    /// The deltas up to this epoch will be folded.
    target: u64,
    /// What they say, from where folding goes on.
    changes: Cursor,
    pages: page::Writer,
}

impl Pass {
    /// A pass over all that is committed now.
    pub(super) fn begin(view: &mut View) -> Result<Pass, StoreError> {
        view.overlay.freeze();
        let changes = view.overlay.frozen().map_err(page::broken(&view.dir))?;
        Ok(Pass { target: view.root.epoch, changes, pages: page::Writer::default() })
    }

    /// Does one step in memory and in `change`; `false` when that was the last one.
    pub(super) fn step(&mut self, view: &mut View, change: &mut Change) -> Result<bool, StoreError> {
        let mut shelf = Shelf::of(view, change, &mut self.pages);
        let is_done = loop {
            if shelf.change.keys() >= STEP_VALUES {
                break false;
            }
            match shelf.fold_range(&mut self.changes)? {
                Stop::At => {}
                Stop::Within => break false, // the pages of this range are not readable before the batch is applied
                Stop::End => break true,
            }
        };
        if is_done {
            view.root.folded = self.target;
            view.overlay.drop_frozen();
        }
        view.recount();
        Ok(!is_done)
    }
}

/// Whether dead parts of deltas are left.
pub(super) fn has_dead(view: &View) -> bool {
    view.deltas.front().is_some_and(|d| d.epoch <= view.root.folded)
}

/// Removes dead parts of deltas, as many as one batch takes.
pub(super) fn remove_dead(view: &mut View, change: &mut Change) {
    while change.keys() < REMOVED_VALUES {
        let Some(delta) = view.deltas.front_mut().filter(|d| d.epoch <= view.root.folded) else { return };
        match delta.digests.pop_front() {
            Some(digest) => {
                change.remove(&part_key(DELTA, delta.epoch, delta.from), digest);
                delta.from += 1;
            }
            None => {
                view.deltas.pop_front();
            }
        }
    }
}

/// Where folding a range stopped.
enum Stop {
    /// At the end of the range.
    At,
    /// In the middle: some of its changes are left.
    Within,
    /// At the end of all keys.
    End,
}

/// The pages, while a batch is made that changes them.
pub(super) struct Shelf<'v> {
    dir: &'v Path,
    engine: &'v Engine,
    root: &'v mut Root,
    index: &'v mut Index,
    change: &'v mut Change,
    pages: &'v mut page::Writer,
}

impl<'v> Shelf<'v> {
    /// Those of a store.
    pub(super) fn of(view: &'v mut View, change: &'v mut Change, pages: &'v mut page::Writer) -> Shelf<'v> {
        let View { dir, engine, root, index, .. } = view;
        Shelf { dir, engine, root, index, change, pages }
    }

    /// Makes room for pages from `first` on, where the store has no records up to `end`: no page covers keys on both sides
    /// of it.
    pub(super) fn divide(&mut self, first: &[u8], end: &[u8]) -> Result<(), StoreError> {
        let Some((low, page)) = self.index.covering(first) else { return Ok(()) };
        if end.is_empty() || self.index.above(first).is_some_and(|(above, _)| above == end) {
            return Ok(());
        }
        let low: Box<[u8]> = low.into();
        let stream = page::read(self.engine, self.dir, page, None)?;
        let (mut below, mut behind) = (Gathered::default(), Gathered::default());
        let mut records = page::records(self.dir, &stream)?;
        while records.advance().map_err(page::broken(self.dir))? {
            let side = if records.key() < first { &mut below } else { &mut behind };
            side.push(records.key(), records.value().unwrap_or_default());
        }
        if behind.records.is_empty() {
            return Ok(());
        }
        page::read(self.engine, self.dir, page, Some(&mut *self.change))?;
        self.index.remove(&low);
        self.write_pages(low, Some(page.id), &below)?;
        self.write_pages(end.into(), None, &behind)
    }

    /// Merges what is to be folded next into the page that covers it, and into the pages after it while the result stays small.
    fn fold_range(&mut self, changes: &mut Cursor) -> Result<Stop, StoreError> {
        if !self.stand(changes)? {
            return Ok(Stop::End);
        }
        let covering = self.index.covering(changes.key());
        let id = covering.map(|(_, page)| page.id);
        let low: Box<[u8]> = covering.map_or(Box::default(), |(low, _)| low.into());
        let mut gathered = Gathered::default();
        let mut start = low.clone();
        let stop = loop {
            let page = self.index.covering(&start).map(|(_, page)| page);
            let next: Option<(Box<[u8]>, PageRef)> = self.index.above(&start).map(|(low, page)| (low.into(), page));
            let stream =
                page.map(|page| page::read(self.engine, self.dir, page, Some(&mut *self.change))).transpose()?;
            self.index.remove(&start);

            let end = next.as_ref().map(|(low, _)| low.as_ref());
            if self.gather(stream.as_deref(), changes, end, &mut gathered)? {
                break if self.stand(changes)? { Stop::Within } else { Stop::End };
            }
            match next {
                None => break Stop::End,
                Some((low, page)) => {
                    let fits = gathered.encoded + page.bytes as usize <= FILL_BYTES;
                    let small = !gathered.records.is_empty() && gathered.encoded < SMALL_BYTES;
                    if !small || !(fits || self.is_touched(&low, changes)?) {
                        break Stop::At;
                    }
                    start = low;
                }
            }
        };
        self.write_pages(low, id, &gathered)?;
        Ok(stop)
    }

    fn stand(&self, changes: &mut Cursor) -> Result<bool, StoreError> {
        changes.stand().map_err(page::broken(self.dir))
    }

    /// Whether what is to be folded next goes into the page with this low key.
    fn is_touched(&self, low: &[u8], changes: &mut Cursor) -> Result<bool, StoreError> {
        let end = self.index.above(low).map(|(end, _)| end);
        Ok(self.stand(changes)? && end.is_none_or(|end| changes.key() < end))
    }

    /// Merges a page with what is to be folded below `end`. Once that has given as many bytes as a step may write, the rest of it
    /// is left for the next step: `true`.
    fn gather(
        &self,
        stream: Option<&[u8]>,
        changes: &mut Cursor,
        end: Option<&[u8]>,
        gathered: &mut Gathered,
    ) -> Result<bool, StoreError> {
        let budget = STEP_VALUES.saturating_sub(self.change.keys() + 1).max(2) * FILL_BYTES;
        let records = stream.map(|stream| page::records(self.dir, stream)).transpose()?;
        let mut merge = Merge::new(records, changes, end);
        let mut is_full = false;
        while let Some((key, value)) = merge.next().map_err(page::broken(self.dir))? {
            gathered.push(key, value);
            if !is_full && merge.taken() >= budget {
                is_full = true;
                merge.leave_changes();
            }
        }
        Ok(is_full)
    }

    /// Writes gathered records as pages of about equal size. The first one gets the low key and, if given, the id of the range.
    fn write_pages(&mut self, low: Box<[u8]>, mut id: Option<u64>, gathered: &Gathered) -> Result<(), StoreError> {
        let total = gathered.encoded;
        let mut boundary = if total <= PAGE_BYTES { total } else { share(total) };
        let mut done = 0;
        let (mut run, mut records, mut last) = (Vec::new(), 0u32, low.to_vec());
        let mut low = low;
        for (key, value) in gathered.records.iter() {
            let size = encoded_len(&last, key, Some(value));
            if records > 0 && done + size / 2 > boundary {
                let next: Box<[u8]> = separator(&last, key).into();
                self.write_page(id.take(), std::mem::replace(&mut low, next), records, &run)?;
                boundary = done + share(total.saturating_sub(done));
                run.clear();
                records = 0;
                last.clear();
                last.extend_from_slice(&low);
            }
            put_record(&mut run, &last, key, Some(value));
            records += 1;
            done += size;
            last.clear();
            last.extend_from_slice(key);
        }
        if records > 0 { self.write_page(id, low, records, &run) } else { Ok(()) }
    }

    /// Writes a page, under a new id if none is given.
    pub(super) fn write_page(
        &mut self,
        id: Option<u64>,
        low: Box<[u8]>,
        records: u32,
        run: &[u8],
    ) -> Result<(), StoreError> {
        let id = id.unwrap_or_else(|| {
            let id = self.root.next_page;
            self.root.next_page += 1;
            id
        });
        let page = self.pages.write(self.change, id, (&low, records, run))?;
        self.index.insert(low, page);
        Ok(())
    }
}

/// The size of each of the pages over which so many bytes are spread evenly.
fn share(bytes: usize) -> usize {
    bytes.div_ceil(bytes.div_ceil(FILL_BYTES).max(1))
}

/// Records of one range, one after the other.
#[derive(Default)]
struct Gathered {
    records: Records,
    /// About the length of their run.
    encoded: usize,
    last: Vec<u8>,
}

impl Gathered {
    fn push(&mut self, key: &[u8], value: &[u8]) {
        self.encoded += encoded_len(&self.last, key, Some(value));
        self.last.clear();
        self.last.extend_from_slice(key);
        self.records.push(key, value);
    }
}
