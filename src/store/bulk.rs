//! A new store made of many records at once: pages are written one after the other, without deltas.
//!
//! The store can be opened when [`Builder::finish`] has returned, not before: until then the counts in its root are not those
//! of its pages. What this file never does: read.

use super::engine::{Change, Engine};
use super::error::StoreError;
use super::page;
use super::root::Root;
use super::run::{encoded_len, put_record, separator};

/// A page is closed before its run would be longer.
const FILL_BYTES: usize = 5400;
/// About how many values one batch puts.
const BATCH_VALUES: usize = 64;

/// Writes pages into an empty sled directory.
pub(super) struct Builder<'a> {
    engine: &'a Engine,
    root: Root,
    change: Change,
    pages: page::Writer,
    low: Box<[u8]>,
    run: Vec<u8>,
    records: u32,
    last: Vec<u8>,
}

impl<'a> Builder<'a> {
    /// A builder of a store that will have this id, schema and epoch.
    pub(super) fn new(engine: &'a Engine, root: Root) -> Builder<'a> {
        Builder {
            engine,
            root: Root { folded: root.epoch, ..root },
            change: Change::default(),
            pages: page::Writer::default(),
            low: Box::default(),
            run: Vec::new(),
            records: 0,
            last: Vec::new(),
        }
    }

    /// Adds a record; its key must be above the last one.
    pub(super) fn push(&mut self, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        if self.records > 0 && self.run.len() + encoded_len(&self.last, key, Some(value)) > FILL_BYTES {
            self.close_page()?;
            self.low = separator(&self.last, key).into();
            self.last.clear();
            self.last.extend_from_slice(&self.low);
        }
        put_record(&mut self.run, &self.last, key, Some(value));
        self.records += 1;
        self.last.clear();
        self.last.extend_from_slice(key);
        Ok(())
    }

    /// Writes what is left, and the root that makes it a store. Returns the root.
    pub(super) fn finish(mut self) -> Result<Root, StoreError> {
        if self.records > 0 {
            self.close_page()?;
        }
        self.engine.apply(std::mem::take(&mut self.change), &mut self.root)?;
        self.engine.sync_files()?;
        Ok(self.root)
    }

    fn close_page(&mut self) -> Result<(), StoreError> {
        let contents = (&*self.low, self.records, &*self.run);
        let page = self.pages.write(&mut self.change, self.root.next_page, contents)?;
        self.root.next_page += 1;
        self.root.pages += 1;
        self.root.page_bytes += u64::from(page.bytes);
        self.root.page_records += u64::from(self.records);
        self.run.clear();
        self.records = 0;
        if self.change.keys() >= BATCH_VALUES {
            self.engine.apply(std::mem::take(&mut self.change), &mut self.root)?;
        }
        Ok(())
    }
}
