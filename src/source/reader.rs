//! One open file: bytes at a place, the head, and what stands before a place, plain or decoded alike.
//!
//! Opens regular files only, never follows a symbolic link found in a spool, never blocks on a FIFO, never writes.

use super::decode::{End, Kind, Stream};
use super::fingerprint::{Stat, WINDOW, hash};
use crate::batch::Position;
use rustix::buffer::spare_capacity;
use rustix::fs::OFlags;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

/// Opens a regular file. `follow` is for paths that the user named; a spool's entries are never followed.
pub(super) fn open_regular(path: &Path, follow: bool) -> io::Result<(Arc<File>, Stat)> {
    let mut flags = OFlags::NONBLOCK;
    if !follow {
        flags |= OFlags::NOFOLLOW;
    }
    let file = OpenOptions::new().read(true).custom_flags(flags.bits() as i32).open(path)?;
    let meta = file.metadata()?;
    if !meta.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    Ok((Arc::new(file), Stat::of(&meta)))
}

pub(super) enum Reader {
    Plain { file: Arc<File>, scratch: Vec<u8> },
    Decoded(Box<Stream>),
}

impl Reader {
    /// `None` while the file is too short to say what it is; with `finished` it is plain then.
    pub(super) fn new(file: &Arc<File>, max_expansion: u64, finished: bool) -> io::Result<Option<Reader>> {
        let mut first = [0; 4];
        let n = file.read_at(&mut first, 0)?;
        let kind = match Kind::of(first.get(..n).unwrap_or_default()) {
            Some(kind) => kind,
            None if finished => Kind::Plain,
            None => return Ok(None),
        };
        let file = Arc::clone(file);
        Ok(Some(match kind {
            Kind::Plain => Reader::Plain { file, scratch: Vec::new() },
            _ => Reader::Decoded(Box::new(Stream::new(file, kind, max_expansion))),
        }))
    }

    pub(super) fn is_plain(&self) -> bool {
        matches!(self, Reader::Plain { .. })
    }

    pub(super) fn stat(&self) -> io::Result<Stat> {
        Ok(Stat::of(&self.file().metadata()?))
    }

    /// How far the file on disk has been read when its uncompressed bytes were read up to `offset`.
    pub(super) fn stored_offset(&self, offset: u64) -> u64 {
        match self {
            Reader::Plain { .. } => offset,
            Reader::Decoded(stream) => stream.stored_offset(),
        }
    }

    /// The descriptor, to look at the file afresh.
    pub(super) fn share(&self) -> Arc<File> {
        match self {
            Reader::Plain { file, .. } => Arc::clone(file),
            Reader::Decoded(stream) => stream.share(),
        }
    }

    fn file(&self) -> &File {
        match self {
            Reader::Plain { file, .. } => file,
            Reader::Decoded(stream) => stream.file(),
        }
    }

    /// Appends bytes from `offset` on: up to `max` decoded ones, or as many plain ones as `buf` has room for.
    /// `Some(end)` says that nothing follows them now.
    pub(super) fn read(&mut self, offset: u64, max: usize, buf: &mut Vec<u8>) -> io::Result<Option<End>> {
        match self {
            Reader::Plain { file, .. } => {
                let size = file.metadata()?.len();
                loop {
                    let at = offset + buf.len() as u64;
                    if buf.len() == buf.capacity() {
                        return Ok(None);
                    }
                    match rustix::io::pread(&**file, spare_capacity(buf), at) {
                        Ok(0) => return Ok(Some(End::Complete)),
                        Ok(_) if buf.len() < buf.capacity() && offset + buf.len() as u64 >= size => {
                            return Ok(Some(End::Complete));
                        }
                        Ok(_) | Err(rustix::io::Errno::INTR) => {}
                        Err(e) => return Err(e.into()),
                    }
                }
            }
            Reader::Decoded(stream) => stream.read(offset, max, buf),
        }
    }

    /// The first (at most) 4 KiB.
    pub(super) fn head(&mut self) -> io::Result<&[u8]> {
        match self {
            Reader::Plain { file, scratch } => {
                read_exactly(file, scratch, 0, WINDOW)?;
                Ok(scratch)
            }
            Reader::Decoded(stream) => stream.head(),
        }
    }

    /// The (at most 4 KiB of) bytes before `offset`; `None` when the file is shorter.
    pub(super) fn before(&mut self, offset: u64) -> io::Result<Option<&[u8]>> {
        match self {
            Reader::Plain { file, scratch } => {
                let from = offset.saturating_sub(WINDOW as u64);
                let want = (offset - from) as usize;
                read_exactly(file, scratch, from, want)?;
                Ok((scratch.len() == want).then_some(scratch))
            }
            Reader::Decoded(stream) => stream.before(offset),
        }
    }

    /// Whether what was read up to this position still stands there, as far as its head and the bytes before it tell.
    pub(super) fn holds(&mut self, p: &Position) -> io::Result<bool> {
        if p.offset == 0 {
            return Ok(true);
        }
        let head_is_same = self.head()?.get(..p.head_len as usize).map(hash) == Some(p.head_hash);
        Ok(head_is_same && self.before(p.offset)?.map(hash) == Some(p.tail_hash))
    }

    /// How decoding ended, for a compressed file whose end was met.
    pub(super) fn end(&self) -> Option<&End> {
        match self {
            Reader::Plain { .. } => None,
            Reader::Decoded(stream) => stream.end(),
        }
    }

    /// Whether a plain file holds nothing but NUL bytes from `offset` on: space that its writer reserved and may still fill.
    pub(super) fn is_reserved_from(&mut self, offset: u64) -> io::Result<bool> {
        let Reader::Plain { file, scratch } = self else { return Ok(false) };
        let is_nul = |bytes: &[u8]| bytes.iter().all(|b| *b == 0);
        // The end first: it nearly always answers.
        read_exactly(file, scratch, file.metadata()?.len().saturating_sub(WINDOW as u64).max(offset), WINDOW)?;
        let mut at = offset;
        while is_nul(scratch) {
            read_exactly(file, scratch, at, 16 * WINDOW)?;
            if scratch.is_empty() {
                return Ok(true);
            }
            at += scratch.len() as u64;
        }
        Ok(false)
    }
}

/// Fills `scratch` with up to `want` bytes from `offset`; less only at the end of the file.
fn read_exactly(file: &File, scratch: &mut Vec<u8>, offset: u64, want: usize) -> io::Result<()> {
    scratch.resize(want, 0);
    let mut done = 0;
    while let Some(room) = scratch.get_mut(done..).filter(|r| !r.is_empty()) {
        match file.read_at(room, offset + done as u64) {
            Ok(0) => break,
            Ok(n) => done += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    scratch.truncate(done);
    Ok(())
}
