//! Folding: moving what the deltas say into the pages, a small durable batch at a time, while commits go on in between.
//!
//! A pass fixes a target epoch, walks the overlay in key order, merges each touched page with what the overlay says of its
//! range, and at the end declares all deltas up to the target folded; they are dead from then on and removed in batches.
//! Stopping anywhere is harmless: deltas hold absolute values, so reading them over pages that already contain them, or even
//! values of later deltas, gives the same records.
//! Units: bytes. What this file never does: decide when (see `Store::fold_due`).

use super::engine::Change;
use super::error::StoreError;
use super::page::{self, DELTA, PageRef, part_key};
use super::run::{encoded_len, put_record, separator};
use super::view::{Merge, View};

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
#[derive(Debug)]
pub(super) struct Pass {
    /// The deltas up to this epoch will be folded.
    target: u64,
    /// Everything below is done.
    cursor: Box<[u8]>,
}

impl Pass {
    /// A pass over all that is committed now.
    pub(super) fn begin(view: &mut View) -> Result<Pass, StoreError> {
        view.overlay.freeze().map_err(page::broken(&view.dir))?;
        Ok(Pass { target: view.root.epoch, cursor: Box::default() })
    }

    /// Does one step in memory and in `change`; `false` when that was the last one.
    pub(super) fn step(&mut self, view: &mut View, change: &mut Change) -> Result<bool, StoreError> {
        while change.keys() < STEP_VALUES {
            let stop = match first_from(view, &self.cursor)? {
                Some(key) => fold_range(view, change, key)?,
                None => Stop::End,
            };
            match stop {
                Stop::At(low) => self.cursor = low,
                Stop::Within(key) => {
                    self.cursor = key;
                    break; // the pages of this range are not readable before the batch is applied
                }
                Stop::End => {
                    view.root.folded = self.target;
                    view.overlay.drop_frozen();
                    view.recount();
                    return Ok(false);
                }
            }
        }
        view.recount();
        Ok(true)
    }
}

/// Whether dead parts of deltas are left.
pub(super) fn has_dead(view: &View) -> bool {
    view.deltas.front().is_some_and(|d| d.epoch <= view.root.folded)
}

/// Removes dead parts of deltas, as many as one batch takes.
pub(super) fn remove_dead(view: &mut View, change: &mut Change) -> Result<(), StoreError> {
    while change.keys() < REMOVED_VALUES {
        let Some(delta) = view.deltas.front_mut().filter(|d| d.epoch <= view.root.folded) else { return Ok(()) };
        let key = part_key(DELTA, delta.epoch, delta.from);
        let value = view.engine.get(&key)?;
        let value = value.ok_or_else(|| StoreError::corrupt(&view.dir, "a part of a delta has vanished"))?;
        change.remove(&key, &value);
        delta.from += 1;
        if delta.from == delta.parts {
            view.deltas.pop_front();
        }
    }
    Ok(())
}

/// Where folding a range stopped.
enum Stop {
    /// At the end of the range, which is the low key of the next page.
    At(Box<[u8]>),
    /// In the middle: the overlay from this key on is left.
    Within(Box<[u8]>),
    /// At the end of all keys.
    End,
}

/// The first key to be folded that is not below `cursor`.
fn first_from(view: &View, cursor: &[u8]) -> Result<Option<Box<[u8]>>, StoreError> {
    let broken = page::broken(&view.dir);
    let mut changes = view.overlay.frozen_from(cursor).map_err(&broken)?;
    let found = changes.advance().map_err(&broken)?;
    Ok(found.then(|| changes.key().into()))
}

/// Whether something is to be folded into the page with this low key.
fn is_touched(view: &View, low: &[u8]) -> Result<bool, StoreError> {
    let end = view.index.above(low).map(|(end, _)| end);
    Ok(first_from(view, low)?.is_some_and(|key| end.is_none_or(|end| &*key < end)))
}

/// Merges what is to be folded from `from` on into the page that covers it, and into the pages after it while the result stays
/// small.
fn fold_range(view: &mut View, change: &mut Change, mut from: Box<[u8]>) -> Result<Stop, StoreError> {
    let low: Box<[u8]> = view.index.covering(&from).map_or(Box::default(), |(low, _)| low.into());
    let id = view.index.covering(&from).map(|(_, page)| page.id);
    let mut gathered = Gathered::default();
    let mut start = low.clone();
    let stop = loop {
        let page = view.index.covering(&start).map(|(_, page)| page);
        let next: Option<(Box<[u8]>, PageRef)> = view.index.above(&start).map(|(low, page)| (low.into(), page));
        let stream = page.map(|page| page::read(&view.engine, &view.dir, page, Some(&mut *change))).transpose()?;
        view.index.remove(&start);

        let end = next.as_ref().map(|(low, _)| low.as_ref());
        let budget = STEP_VALUES.saturating_sub(change.keys() + 1).max(2) * FILL_BYTES;
        if let Some(last) = gather(view, stream.as_deref(), (&from, end), budget, &mut gathered)? {
            let after = [&last, &[0][..]].concat();
            break first_from(view, &after)?.map_or(Stop::End, Stop::Within);
        }
        match next {
            None => break Stop::End,
            Some((low, page)) => {
                let fits = gathered.encoded + page.bytes as usize <= FILL_BYTES;
                let small = !gathered.spans.is_empty() && gathered.encoded < SMALL_BYTES;
                if !small || !(fits || is_touched(view, &low)?) {
                    break Stop::At(low);
                }
                from.clone_from(&low);
                start = low;
            }
        }
    };
    write_pages(view, change, &low, id, &gathered)?;
    Ok(stop)
}

/// Merges a page with what is to be folded of its range, from `from` on. Once the overlay has given `budget`
/// bytes, what it says after the key returned is left for the next step.
fn gather(
    view: &View,
    stream: Option<&[u8]>,
    (from, end): (&[u8], Option<&[u8]>),
    budget: usize,
    gathered: &mut Gathered,
) -> Result<Option<Box<[u8]>>, StoreError> {
    let changes = view.overlay.frozen_from(from).map_err(page::broken(&view.dir))?;
    let mut merge = Merge::new(view.reader(stream)?, changes, end);
    let mut stopped_after: Option<Box<[u8]>> = None;
    while let Some((key, value)) = merge.next().map_err(page::broken(&view.dir))? {
        gathered.push(key, value);
        if stopped_after.is_none() && merge.taken() >= budget {
            stopped_after = gathered.last_key();
            merge.leave_overlay();
        }
    }
    Ok(stopped_after)
}

/// Writes gathered records as pages of about equal size. The first one gets the low key and, if given, the id of the range.
fn write_pages(
    view: &mut View,
    change: &mut Change,
    low: &[u8],
    mut id: Option<u64>,
    gathered: &Gathered,
) -> Result<(), StoreError> {
    let total = gathered.encoded;
    let mut boundary = if total <= PAGE_BYTES { total } else { share(total) };
    let mut done = 0;
    let mut low: Box<[u8]> = low.into();
    let (mut run, mut records, mut last) = (Vec::new(), 0u32, low.to_vec());
    let mut finish = |low: Box<[u8]>, records: u32, run: &[u8]| -> Result<(), StoreError> {
        let id = id.take().unwrap_or_else(|| {
            let id = view.root.next_page;
            view.root.next_page += 1;
            id
        });
        let page = page::write(change, id, (&low, records, run))?;
        view.index.insert(low, page);
        Ok(())
    };
    for (key, value) in gathered.records() {
        let size = encoded_len(&last, key, Some(value));
        if records > 0 && done + size / 2 > boundary {
            let next: Box<[u8]> = separator(&last, key).into();
            finish(std::mem::replace(&mut low, next), records, &run)?;
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
    if records > 0 { finish(low, records, &run) } else { Ok(()) }
}

/// The size of each of the pages over which so many bytes are spread evenly.
fn share(bytes: usize) -> usize {
    bytes.div_ceil(bytes.div_ceil(FILL_BYTES).max(1))
}

/// Records of one range, one after the other.
#[derive(Default)]
struct Gathered {
    bytes: Vec<u8>,
    spans: Vec<(usize, usize)>,
    /// About the length of their run.
    encoded: usize,
    last: Vec<u8>,
}

impl Gathered {
    fn push(&mut self, key: &[u8], value: &[u8]) {
        self.encoded += encoded_len(&self.last, key, Some(value));
        self.last.clear();
        self.last.extend_from_slice(key);
        self.bytes.extend_from_slice(key);
        self.bytes.extend_from_slice(value);
        self.spans.push((key.len(), value.len()));
    }

    fn last_key(&self) -> Option<Box<[u8]>> {
        Some(self.last.as_slice().into())
    }

    fn records(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let mut rest = self.bytes.as_slice();
        self.spans.iter().map_while(move |&(key_len, value_len)| {
            let (key, after) = rest.split_at_checked(key_len)?;
            let (value, after) = after.split_at_checked(value_len)?;
            rest = after;
            Some((key, value))
        })
    }
}
