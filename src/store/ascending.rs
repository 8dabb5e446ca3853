//! Keys that are written in ascending order only, such as those of alerts, which are numbered: of what a commit has many of, it
//! writes pages at once, instead of carrying them in its delta.
//!
//! Nothing is known of such keys that a page would have to be merged with: as unfolded changes they would take memory, make a
//! start longer and be written a second time. What does not fill a page stays in the delta; removals, too.
//! Units: bytes. What this file never does: put a record over another one.

use super::delta::Delta;
use super::engine::Change;
use super::error::StoreError;
use super::fold::Shelf;
use super::page;
use super::run::{encoded_len, put_record};
use super::view::View;
use std::ops::Range;

/// A page is closed when its run is so long. Packed, alerts of that length are about one part.
const RUN_BYTES: usize = 18 * 1024;

/// Which keys they are, and how far they have come.
#[derive(Debug)]
pub(super) struct Ascending {
    /// What they begin with; where this is empty there are none.
    prefix: &'static [u8],
    /// No change of a higher one is in the store; `None` when that has not been looked for.
    last: Option<Vec<u8>>,
}

impl Ascending {
    /// Those with this prefix, in a store that was opened just now.
    pub(super) fn new(prefix: &'static [u8]) -> Ascending {
        Ascending { prefix, last: None }
    }

    /// The pages that are to be written of a delta in order: of each the places of its records. They follow each other.
    pub(super) fn pages(&mut self, view: &View, delta: &Delta) -> Result<Vec<Range<usize>>, StoreError> {
        let ours = if self.prefix.is_empty() { 0..0 } else { delta.under(self.prefix) };
        let Some((highest, _)) = ours.clone().next_back().and_then(|at| delta.edit(at)) else {
            return Ok(Vec::new());
        };
        let pages = full_pages(delta, ours, self.last.as_deref());
        let is_known = match pages.first().and_then(|page| delta.edit(page.start)) {
            Some((first, _)) if self.last.is_none() => nothing_from(view, self.prefix, first)?,
            _ => self.last.is_some(),
        };
        if !is_known {
            return Ok(Vec::new());
        }
        if self.last.as_deref().is_none_or(|last| last < highest) {
            self.last = Some(highest.to_vec());
        }
        Ok(pages)
    }

    /// Writes them.
    pub(super) fn write(
        &self,
        view: &mut View,
        change: &mut Change,
        delta: &Delta,
        pages: &[Range<usize>],
    ) -> Result<(), StoreError> {
        let Some((first, _)) = pages.first().and_then(|page| delta.edit(page.start)) else { return Ok(()) };
        let mut writer = page::Writer::default();
        let mut shelf = Shelf::of(view, change, &mut writer);
        shelf.divide(first, &behind(self.prefix))?;
        for places in pages {
            let Some((low, _)) = delta.edit(places.start) else { continue };
            let (mut run, mut records, mut last) = (Vec::new(), 0, low);
            for (key, value) in places.clone().filter_map(|at| delta.edit(at)) {
                put_record(&mut run, last, key, value);
                records += 1;
                last = key;
            }
            shelf.write_page(None, low.into(), records, &run)?;
        }
        view.recount();
        Ok(())
    }
}

/// As many pages as the records fill that are above `last` and behind the last removal.
fn full_pages(delta: &Delta, ours: Range<usize>, last: Option<&[u8]>) -> Vec<Range<usize>> {
    let (mut pages, mut from, mut bytes, mut before) = (Vec::new(), ours.start, 0, b"".as_slice());
    for at in ours {
        let Some((key, value)) = delta.edit(at) else { break };
        if value.is_none() || last.is_some_and(|last| key <= last) {
            pages.clear();
            (from, bytes, before) = (at + 1, 0, b"");
            continue;
        }
        bytes += encoded_len(before, key, value);
        before = key;
        if bytes >= RUN_BYTES {
            pages.push(from..at + 1);
            (from, bytes, before) = (at + 1, 0, b"");
        }
    }
    pages
}

/// Whether the store knows nothing of `first` and the keys with this prefix that are above it, not even that they left.
fn nothing_from(view: &View, prefix: &[u8], first: &[u8]) -> Result<bool, StoreError> {
    let broken = page::broken(&view.dir);
    let mut changes = view.overlay.within(prefix, first).map_err(&broken)?;
    let is_changed = changes.stand().map_err(&broken)? && changes.key().starts_with(prefix);
    let begins_there = view.index.above(first).is_some_and(|(low, _)| low.starts_with(prefix));
    Ok(!is_changed && !begins_there && view.scan(first, prefix, 1)?.is_empty())
}

/// The first key behind all that begin with a prefix; empty where there is none.
fn behind(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while let Some(byte) = end.last_mut() {
        if let Some(next) = byte.checked_add(1) {
            *byte = next;
            break;
        }
        end.pop();
    }
    end
}
