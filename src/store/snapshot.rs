//! Snapshots: everything a store holds at one commit, in a file of our own format, to fall back to when sled's files are damaged.
//!
//! A snapshot is written under another name, synced, and only then named after its commit. It is read in two passes: first
//! all of it is verified, then its records are used. docs/format.md describes the bytes.
//! What this file never does: touch sled.

use super::StoreStats;
use super::error::StoreError;
use super::root::{Root, StoreId, digest_of};
use super::run::{Reader, put_number, put_record, take_number};
use super::view::View;
use crate::failpoint::{self, Point};
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use zstd::bulk::Compressor;

/// The newest snapshot format that this program reads, and the one that it writes.
pub(super) const FORMAT: u16 = 1;
/// The folder of snapshots in a state directory.
const FOLDER: &str = "snapshots";
const SUFFIX: &str = ".snapshot";
const UNFINISHED: &str = ".unfinished";
const MAGIC: &[u8; 4] = b"EXSS";
const HEADER_BYTES: usize = 36;
/// A block is closed when its records have so many bytes, before compression.
const BLOCK_BYTES: usize = 256 * 1024;
/// The largest block that is read: one record of the largest key and value, and some.
const MAX_BLOCK_BYTES: usize = 8 << 20;
/// Fast; a stronger compression would save a tenth of the space.
const COMPRESSION: i32 = 1;

/// What a snapshot is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct About {
    /// The store that it was taken of.
    pub id: StoreId,
    /// Version of the records.
    pub schema: u16,
    /// The last commit in it.
    pub epoch: u64,
    /// Number of records.
    pub records: u64,
}

/// A snapshot in a state directory, by the commit in its name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Named {
    pub epoch: u64,
    pub path: PathBuf,
}

/// Why a file is no snapshot that can be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum BadSnapshot {
    /// It is not what was written.
    #[error("{0}")]
    Damaged(&'static str),
    /// A newer program wrote it.
    #[error("it has {what} {found}, this program knows only {ours}")]
    Newer { what: &'static str, found: u16, ours: u16 },
    /// It cannot be read.
    #[error("it cannot be read: {0}")]
    Io(#[from] io::Error),
}

/// The snapshots of a state directory, newest first, verified or not.
pub(super) fn list(dir: &Path) -> Vec<Named> {
    let entries = fs::read_dir(dir.join(FOLDER)).into_iter().flatten().flatten();
    let mut found: Vec<Named> = entries
        .filter_map(|e| {
            let name = e.file_name();
            let epoch = name.to_str()?.strip_suffix(SUFFIX)?.parse().ok()?;
            Some(Named { epoch, path: e.path() })
        })
        .collect();
    found.sort_by(|a, b| b.cmp(a));
    found
}

/// The folder of a state directory's snapshots.
pub(super) fn folder(dir: &Path) -> PathBuf {
    dir.join(FOLDER)
}

/// What snapshots there are, for statistics.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Snapshots {
    count: u64,
    bytes: u64,
    /// The last commit in the newest one.
    pub epoch: Option<u64>,
    /// When that was written, ms since the epoch.
    at_ms: Option<i64>,
}

impl Snapshots {
    /// Looks into a state directory.
    pub(super) fn of(dir: &Path) -> Snapshots {
        let all = list(dir);
        Snapshots {
            count: all.len() as u64,
            bytes: all.iter().filter_map(|s| fs::metadata(&s.path).ok()).map(|m| m.len()).sum(),
            epoch: all.first().map(|s| s.epoch),
            at_ms: all.first().and_then(|s| fs::metadata(&s.path).ok()).map(|m| m.mtime().saturating_mul(1000)),
        }
    }

    /// The statistics of a store together with these.
    pub(super) fn with(self, stats: StoreStats) -> StoreStats {
        let Snapshots { count: snapshots, bytes: snapshot_bytes, epoch: snapshot_epoch, at_ms: snapshot_ms } = self;
        StoreStats { snapshots, snapshot_bytes, snapshot_epoch, snapshot_ms, ..stats }
    }
}

/// Writes a snapshot of what a store holds, durably.
pub(super) fn write(view: &View) -> Result<PathBuf, StoreError> {
    let mut writer = Writer::begin(view)?;
    let mut pushed = Ok(());
    view.each(b"", b"", |key, value| {
        pushed = writer.push(key, value);
        pushed.is_ok()
    })?;
    pushed?;
    writer.finish()
}

/// A snapshot that is being written. It is removed when it is dropped before it is finished: a full disk must not be filled by
/// what nobody can use.
pub(super) struct Writer {
    unfinished: PathBuf,
    path: PathBuf,
    out: BufWriter<File>,
    block: Block,
    records: u64,
    digest: u128,
}

impl Writer {
    /// Begins a snapshot of a store, all of whose records must be pushed.
    pub(super) fn begin(view: &View) -> Result<Writer, StoreError> {
        let folder = folder(&view.dir);
        if !folder.is_dir() {
            fs::DirBuilder::new().mode(0o700).create(&folder).map_err(StoreError::create(&folder))?;
        }
        let path = folder.join(format!("{:020}{SUFFIX}", view.root.epoch));
        let unfinished = path.with_extension(UNFINISHED.trim_start_matches('.'));
        let mut options = File::options();
        let file = options.write(true).create(true).truncate(true).mode(0o600).open(&unfinished);
        let out = BufWriter::with_capacity(1 << 16, file.map_err(StoreError::create(&unfinished))?);
        let block = Block::new().map_err(StoreError::io(&unfinished, "writing"))?;
        let mut writer = Writer { unfinished, path, out, block, records: 0, digest: 0 };
        failpoint::reach(Point::SnapshotBegun);
        let written = writer.out.write_all(&header(&view.root));
        written.map_err(writer.failed("writing"))?;
        Ok(writer)
    }

    /// Adds a record; its key must be above the last one.
    pub(super) fn push(&mut self, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        self.records += 1;
        self.digest = self.digest.wrapping_add(digest_of(key, value));
        self.block.push(key, value);
        if self.block.len() < BLOCK_BYTES {
            return Ok(());
        }
        self.block.finish(&mut self.out).map_err(self.failed("writing"))
    }

    /// Gives it its name, durably.
    pub(super) fn finish(mut self) -> Result<PathBuf, StoreError> {
        self.write_end().map_err(self.failed("writing"))?;
        failpoint::reach(Point::SnapshotWritten);
        self.out.get_ref().sync_all().map_err(self.failed("syncing"))?;
        fs::rename(&self.unfinished, &self.path).map_err(StoreError::io(&self.path, "renaming"))?;
        failpoint::reach(Point::SnapshotNamed);
        if let Some(folder) = self.path.parent() {
            File::open(folder).and_then(|d| d.sync_all()).map_err(StoreError::io(folder, "syncing"))?;
        }
        Ok(self.path.clone())
    }

    fn write_end(&mut self) -> io::Result<()> {
        self.block.finish(&mut self.out)?;
        put_block(&mut self.out, 0, &[self.records.to_le_bytes().as_slice(), &self.digest.to_le_bytes()].concat())?;
        self.out.flush()
    }

    fn failed(&self, doing: &'static str) -> impl FnOnce(io::Error) -> StoreError {
        StoreError::io(&self.unfinished, doing)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // Where it has its name, there is nothing under this one.
        let _ = fs::remove_file(&self.unfinished);
    }
}

/// Removes all but the newest snapshots, and what was never finished.
pub(super) fn prune(dir: &Path, keep: usize) -> Result<(), StoreError> {
    let folder = folder(dir);
    let entries = fs::read_dir(&folder).into_iter().flatten().flatten().map(|e| e.path());
    let unfinished = entries.filter(|p| p.to_str().is_some_and(|p| p.ends_with(UNFINISHED)));
    let old = list(dir).into_iter().skip(keep).map(|s| s.path);
    for path in unfinished.chain(old).collect::<Vec<_>>() {
        fs::remove_file(&path).map_err(StoreError::io(&path, "removing"))?;
    }
    Ok(())
}

/// Reads all of a snapshot and says what it is of, if every byte is as it was written.
pub(super) fn verify(path: &Path, schema: u16) -> Result<About, BadSnapshot> {
    read(path, schema, |_, _| Ok(()))
}

/// Gives every record of a snapshot, in key order. [`verify`] it first: damage shows when some have been given already.
pub(super) fn read(
    path: &Path,
    schema: u16,
    each: impl FnMut(&[u8], &[u8]) -> Result<(), BadSnapshot>,
) -> Result<About, BadSnapshot> {
    read_from(BufReader::with_capacity(1 << 16, File::open(path)?), schema, each)
}

/// [`read`], from anywhere.
pub(super) fn read_from(
    mut input: impl Read,
    schema: u16,
    mut each: impl FnMut(&[u8], &[u8]) -> Result<(), BadSnapshot>,
) -> Result<About, BadSnapshot> {
    let mut about = parse_header(&take::<HEADER_BYTES>(&mut input)?, schema)?;
    let mut digest = 0u128;
    let mut last: Option<Vec<u8>> = None;
    loop {
        let (raw_len, stored) = take_block(&mut input)?;
        if raw_len == 0 {
            let end = [about.records.to_le_bytes().as_slice(), &digest.to_le_bytes()].concat();
            if stored != end {
                return Err(BadSnapshot::Damaged("its records are not all there"));
            }
            if input.read(&mut [0])? != 0 {
                return Err(BadSnapshot::Damaged("something follows its end"));
            }
            return Ok(about);
        }
        let broken = BadSnapshot::Damaged("a block does not decode");
        let Ok(raw) = zstd::bulk::decompress(&stored, raw_len) else { return Err(broken) };
        let mut run = raw.as_slice();
        let Ok(count) = take_number(&mut run) else { return Err(broken) };
        let mut records = Reader::new(b"", run);
        let mut given = 0;
        while records.advance().map_err(|_| BadSnapshot::Damaged("a block does not decode"))? {
            let (key, Some(value)) = (records.key(), records.value()) else { return Err(broken) };
            if last.as_deref().is_some_and(|last| last >= key) {
                return Err(BadSnapshot::Damaged("its records are out of order"));
            }
            digest = digest.wrapping_add(digest_of(key, value));
            each(key, value)?;
            given += 1;
            let kept = last.get_or_insert_default();
            kept.clear();
            kept.extend_from_slice(key);
        }
        if given != count || raw.len() != raw_len {
            return Err(broken);
        }
        about.records += given;
    }
}

fn header(root: &Root) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEADER_BYTES);
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&FORMAT.to_le_bytes());
    out.extend_from_slice(&root.schema.to_le_bytes());
    out.extend_from_slice(&root.id);
    out.extend_from_slice(&root.epoch.to_le_bytes());
    out.extend_from_slice(&crc32c::crc32c(&out).to_le_bytes());
    out
}

fn parse_header(bytes: &[u8; HEADER_BYTES], schema: u16) -> Result<About, BadSnapshot> {
    let (summed, crc) = bytes.split_at(HEADER_BYTES - 4);
    let mut rest = summed.strip_prefix(MAGIC).ok_or(BadSnapshot::Damaged("it is no snapshot"))?;
    if crc != crc32c::crc32c(summed).to_le_bytes() {
        return Err(BadSnapshot::Damaged("its header is damaged"));
    }
    let format = u16::from_le_bytes(part(&mut rest)?);
    if format > FORMAT {
        return Err(BadSnapshot::Newer { what: "format", found: format, ours: FORMAT });
    }
    let found = u16::from_le_bytes(part(&mut rest)?);
    if found > schema {
        return Err(BadSnapshot::Newer { what: "schema", found, ours: schema });
    }
    Ok(About { id: part(&mut rest)?, schema: found, epoch: u64::from_le_bytes(part(&mut rest)?), records: 0 })
}

fn part<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], BadSnapshot> {
    let (taken, left) = rest.split_first_chunk::<N>().ok_or(BadSnapshot::Damaged("it ends too early"))?;
    *rest = left;
    Ok(*taken)
}

fn take<const N: usize>(input: &mut impl Read) -> Result<[u8; N], BadSnapshot> {
    let mut bytes = [0; N];
    fill(input, &mut bytes)?;
    Ok(bytes)
}

fn fill(input: &mut impl Read, bytes: &mut [u8]) -> Result<(), BadSnapshot> {
    input.read_exact(bytes).map_err(|e| match e.kind() {
        io::ErrorKind::UnexpectedEof => BadSnapshot::Damaged("it ends too early"),
        _ => e.into(),
    })
}

/// The length of a block before compression, and its bytes.
fn take_block(input: &mut impl Read) -> Result<(usize, Vec<u8>), BadSnapshot> {
    let raw_len = take::<4>(input)?;
    let stored_len = take::<4>(input)?;
    let crc = take::<4>(input)?;
    let sizes = [raw_len, stored_len].map(|n| u32::from_le_bytes(n) as usize);
    // The lengths are read before the checksum can be checked.
    if sizes.iter().any(|n| *n > MAX_BLOCK_BYTES) {
        return Err(BadSnapshot::Damaged("a block has an impossible length"));
    }
    let mut stored = vec![0; sizes[1]];
    fill(input, &mut stored)?;
    if crc != sum(&raw_len, &stored_len, &stored).to_le_bytes() {
        return Err(BadSnapshot::Damaged("the checksum of a block does not match"));
    }
    Ok((sizes[0], stored))
}

fn put_block(out: &mut impl Write, raw_len: usize, stored: &[u8]) -> io::Result<()> {
    let number = |n: usize| u32::try_from(n).map(u32::to_le_bytes).map_err(io::Error::other);
    let (raw_len, stored_len) = (number(raw_len)?, number(stored.len())?);
    out.write_all(&raw_len)?;
    out.write_all(&stored_len)?;
    out.write_all(&sum(&raw_len, &stored_len, stored).to_le_bytes())?;
    out.write_all(stored)
}

fn sum(raw_len: &[u8; 4], stored_len: &[u8; 4], stored: &[u8]) -> u32 {
    let lengths = crc32c::crc32c_append(crc32c::crc32c(raw_len), stored_len);
    crc32c::crc32c_append(lengths, stored)
}

/// A snapshot with sound checksums around one block of any bytes, so that fuzzing gets beyond them.
#[cfg(any(test, fuzzing))]
pub(super) fn framed(raw: &[u8], records: u64, digest: u128) -> io::Result<Vec<u8>> {
    let mut out = header(&Root { epoch: 1, ..Root::default() });
    put_block(&mut out, raw.len(), &zstd::bulk::compress(raw, COMPRESSION)?)?;
    put_block(&mut out, 0, &[records.to_le_bytes().as_slice(), &digest.to_le_bytes()].concat())?;
    Ok(out)
}

/// Records on their way into a block.
struct Block {
    records: u64,
    /// Room for their number, then they.
    raw: Vec<u8>,
    last: Vec<u8>,
    compressor: Compressor<'static>,
    stored: Vec<u8>,
}

/// The most bytes of a number.
const NUMBER_BYTES: usize = 10;

impl Block {
    fn new() -> io::Result<Block> {
        let (raw, last, stored) = (vec![0; NUMBER_BYTES], Vec::new(), Vec::new());
        Ok(Block { records: 0, raw, last, compressor: Compressor::new(COMPRESSION)?, stored })
    }

    /// Length of the records.
    fn len(&self) -> usize {
        self.raw.len() - NUMBER_BYTES
    }

    fn push(&mut self, key: &[u8], value: &[u8]) {
        put_record(&mut self.raw, &self.last, key, Some(value));
        self.records += 1;
        self.last.clear();
        self.last.extend_from_slice(key);
    }

    /// Writes the block, unless it is empty, and begins the next.
    fn finish(&mut self, out: &mut impl Write) -> io::Result<()> {
        if self.records == 0 {
            return Ok(());
        }
        let mut number = Vec::with_capacity(NUMBER_BYTES);
        put_number(&mut number, self.records);
        let from = NUMBER_BYTES - number.len();
        if let Some(place) = self.raw.get_mut(from..NUMBER_BYTES) {
            place.copy_from_slice(&number);
        }
        let raw = self.raw.get(from..).unwrap_or_default();
        self.stored.clear();
        self.stored.reserve(zstd::zstd_safe::compress_bound(raw.len()));
        self.compressor.compress_to_buffer(raw, &mut self.stored)?;
        put_block(out, raw.len(), &self.stored)?;
        self.records = 0;
        self.raw.truncate(NUMBER_BYTES);
        self.last.clear();
        Ok(())
    }
}
