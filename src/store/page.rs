//! Pages: runs of consecutive records, each under an id of its own, found through a sorted index of their lowest keys.
//!
//! A page covers the keys from its low key up to the low key of the next page. Its stream is: low key length, low key,
//! number of records, run (lengths and number in LEB128). The run is stored packed, so that opening, which needs no
//! records, unpacks none. Ids keep sled's keys short, whatever the records' keys are.
//! What this file never does: keep a decoded page.

use super::engine::{Change, Engine};
use super::envelope::{self, Kind, cut};
use super::error::StoreError;
use super::packed::{Packer, plain_len, unpack};
use super::root::digest_of;
use super::run::{BrokenRun, Reader, put_number, take_bytes, take_number};
use std::collections::BTreeMap;
use std::ops::Bound;
use std::path::Path;

/// First byte of the sled keys of deltas.
pub(super) const DELTA: u8 = b'd';
/// First byte of the sled keys of pages.
pub(super) const PAGE: u8 = b'p';

/// The sled key of one part of a delta or page: prefix, slash, id u64 BE, part number u16 BE.
pub(super) fn part_key(prefix: u8, id: u64, n: u16) -> [u8; 12] {
    let [a, b, c, d, e, f, g, h] = id.to_be_bytes();
    let [i, j] = n.to_be_bytes();
    [prefix, b'/', a, b, c, d, e, f, g, h, i, j]
}

/// Prefix, id and part number of a sled key; `None` if it is not the key of a part.
pub(super) fn parse_key(key: &[u8]) -> Option<(u8, u64, u16)> {
    match key {
        &[prefix @ (DELTA | PAGE), b'/', a, b, c, d, e, f, g, h, i, j] => {
            Some((prefix, u64::from_be_bytes([a, b, c, d, e, f, g, h]), u16::from_be_bytes([i, j])))
        }
        _ => None,
    }
}

/// What memory knows of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PageRef {
    /// Names it in sled.
    pub id: u64,
    /// Length of its stream.
    pub bytes: u32,
    /// The same as stored.
    pub stored: u32,
    /// Number of its records.
    pub records: u32,
}

/// All pages by low key.
#[derive(Default)]
pub(super) struct Index {
    pages: BTreeMap<Box<[u8]>, PageRef>,
    bytes: u64,
    stored: u64,
    records: u64,
}

impl Index {
    /// The page whose range holds `key`, with its low key.
    pub(super) fn covering(&self, key: &[u8]) -> Option<(&[u8], PageRef)> {
        let range = self.pages.range::<[u8], _>((Bound::Unbounded, Bound::Included(key)));
        range.map(|(low, page)| (low.as_ref(), *page)).next_back()
    }

    /// The lowest low key above `key`, with its page.
    pub(super) fn above(&self, key: &[u8]) -> Option<(&[u8], PageRef)> {
        let mut range = self.pages.range::<[u8], _>((Bound::Excluded(key), Bound::Unbounded));
        range.next().map(|(low, page)| (low.as_ref(), *page))
    }

    /// Adds a page; `false` if there is one with this low key.
    pub(super) fn insert(&mut self, low: Box<[u8]>, page: PageRef) -> bool {
        if self.pages.contains_key(&low) {
            return false;
        }
        self.bytes += u64::from(page.bytes);
        self.stored += u64::from(page.stored);
        self.records += u64::from(page.records);
        self.pages.insert(low, page);
        true
    }

    /// Takes a page out.
    pub(super) fn remove(&mut self, low: &[u8]) {
        if let Some(page) = self.pages.remove(low) {
            self.bytes -= u64::from(page.bytes);
            self.stored -= u64::from(page.stored);
            self.records -= u64::from(page.records);
        }
    }

    /// Number of pages.
    pub(super) fn len(&self) -> usize {
        self.pages.len()
    }
    /// Length of all streams.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Length of all streams as stored.
    pub(super) fn stored(&self) -> u64 {
        self.stored
    }

    /// Number of all records.
    pub(super) fn records(&self) -> u64 {
        self.records
    }
}

/// Writes one page after the other, with the memory that the first one took.
#[derive(Default)]
pub(super) struct Writer {
    packer: Packer,
    stored: Vec<u8>,
}

impl Writer {
    /// Writes a page with this id.
    pub(super) fn write(
        &mut self,
        change: &mut Change,
        id: u64,
        (low, records, run): (&[u8], u32, &[u8]),
    ) -> Result<PageRef, StoreError> {
        let too_long = || StoreError::Invalid { what: "a page would have too many parts".into() };
        self.stored.clear();
        put_head(&mut self.stored, low, records);
        let head = self.stored.len();
        self.packer.append(run, &mut self.stored);
        for (n, value) in cut(Kind::Page, &self.stored).ok_or_else(too_long)? {
            change.put(&part_key(PAGE, id, n), value);
        }
        let len = |len: usize| u32::try_from(len).map_err(|_| too_long());
        Ok(PageRef { id, bytes: len(head + run.len())?, stored: len(self.stored.len())?, records })
    }
}

/// What is known of a page as it is stored in a format, with its low key.
pub(super) fn describe(format: u16, id: u64, stored: &[u8]) -> Result<(&[u8], PageRef), BrokenRun> {
    let (low, records, packed) = parse(stored)?;
    let bytes = stored.len() - packed.len() + plain_len(format, packed)?;
    let len = |len: usize| u32::try_from(len).map_err(|_| BrokenRun);
    Ok((low, PageRef { id, bytes: len(bytes)?, stored: len(stored.len())?, records }))
}

/// The stream of a page as it is stored in a format.
fn stream_of(format: u16, stored: &[u8], bytes: u32) -> Result<Vec<u8>, BrokenRun> {
    let (_, _, packed) = parse(stored)?;
    let mut stream = Vec::with_capacity(bytes as usize);
    stream.extend_from_slice(stored.get(..stored.len() - packed.len()).unwrap_or_default());
    unpack(format, packed, &mut stream)?;
    Ok(stream)
}

/// The stream of a page, up to its run.
pub(super) fn put_head(out: &mut Vec<u8>, low: &[u8], records: u32) {
    put_number(out, low.len() as u64);
    out.extend_from_slice(low);
    put_number(out, records.into());
}

/// Low key, number of records and run of a stream.
pub(super) fn parse(mut stream: &[u8]) -> Result<(&[u8], u32, &[u8]), BrokenRun> {
    let low_len = take_number(&mut stream)?;
    let low = take_bytes(&mut stream, low_len)?;
    let records = u32::try_from(take_number(&mut stream)?).map_err(|_| BrokenRun)?;
    Ok((low, records, stream))
}

/// A reader of a page's records.
pub(super) fn records<'a>(dir: &Path, stream: &'a [u8]) -> Result<Reader<'a>, StoreError> {
    let (low, _, run) = parse(stream).map_err(broken(dir))?;
    Ok(Reader::new(low, run))
}

/// The error for a run that passed its checksum and still cannot be read.
pub(super) fn broken(dir: &Path) -> impl Fn(BrokenRun) -> StoreError {
    // Asked for with every record: nothing may be made before it is needed.
    move |_| StoreError::corrupt(dir, "a page or delta holds records that cannot be read")
}

/// Reads the stream of a page; `removing` takes its parts away.
pub(super) fn read(
    engine: &Engine,
    dir: &Path,
    page: PageRef,
    mut removing: Option<&mut Change>,
) -> Result<Vec<u8>, StoreError> {
    let (mut stored, mut format) = (Vec::with_capacity(page.stored as usize), envelope::FORMAT);
    let count = u16::try_from(envelope::part_count(page.stored as usize)).unwrap_or(u16::MAX);
    for n in 0..count {
        let key = part_key(PAGE, page.id, n);
        let value = engine.get(&key)?.ok_or_else(|| StoreError::corrupt(dir, "a page has vanished"))?;
        let part = envelope::part(Kind::Page, &value).map_err(|what| StoreError::corrupt(dir, what))?;
        format = part.format;
        stored.extend_from_slice(part.piece);
        if let Some(change) = removing.as_deref_mut() {
            change.remove(&key, digest_of(&key, &value));
        }
    }
    let stream = stream_of(format, &stored, page.bytes).map_err(broken(dir))?;
    if stream.len() == page.bytes as usize { Ok(stream) } else { Err(StoreError::corrupt(dir, "a page has changed")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn part_keys_sort_by_id_and_number_and_come_back() {
        let keys = [(DELTA, 1, 0), (DELTA, 1, 300), (DELTA, 256, 1), (PAGE, 0, 0), (PAGE, u64::MAX, u16::MAX)];
        let encoded = keys.map(|(p, id, n)| part_key(p, id, n));
        assert!(encoded.is_sorted());
        assert_eq!(encoded.map(|k| parse_key(&k).unwrap()), keys);
        assert!(super::super::engine::ROOT_KEY > b"p".as_slice(), "deltas and pages are read before the root");
        for bad in [b"r".as_slice(), b"d/", b"x/0123456789", b"d/01234567890"] {
            assert_eq!(parse_key(bad), None);
        }
    }

    #[test]
    fn the_index_finds_the_page_below_and_the_page_above() {
        let mut index = Index::default();
        let page = |id| PageRef { id, bytes: 10, stored: 5, records: 2 };
        assert!(index.insert((*b"c").into(), page(1)));
        assert!(index.insert((*b"m").into(), page(2)));
        assert!(!index.insert((*b"m").into(), page(2)));
        assert_eq!(index.covering(b"b"), None);
        assert_eq!(index.covering(b"c"), Some((b"c".as_slice(), page(1))));
        assert_eq!(index.covering(b"z"), Some((b"m".as_slice(), page(2))));
        assert_eq!(index.above(b""), Some((b"c".as_slice(), page(1))));
        assert_eq!(index.above(b"c"), Some((b"m".as_slice(), page(2))));
        assert_eq!(index.above(b"m"), None);
    }
}
