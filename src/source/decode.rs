//! Compressed and UTF-16 files as a stream of plain bytes. What a file is, its first bytes say, never its name.
//!
//! A stream is read forwards; going back means decoding from the start again. It keeps the first 4 KiB and the window
//! around the place of reading. Never more than `max_expansion` times the size on disk, or 1 MiB where that is less.

use super::fingerprint::WINDOW;
use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind, Read};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What a file turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Plain,
    Gzip,
    Zstd,
    /// Little-endian or big-endian.
    Utf16,
}

const MAGICS: [(&[u8], Kind); 4] = [
    (&[0x1f, 0x8b], Kind::Gzip),
    (&[0x28, 0xb5, 0x2f, 0xfd], Kind::Zstd),
    (&[0xff, 0xfe], Kind::Utf16),
    (&[0xfe, 0xff], Kind::Utf16),
];

impl Kind {
    /// What the first (at most 4) bytes of a file say; `None` while they may become either.
    pub(super) fn of(first: &[u8]) -> Option<Kind> {
        // Zstandard may begin with a skippable frame: 5? 2a 4d 18.
        if let [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] = first {
            return Some(Kind::Zstd);
        }
        if let Some((_, kind)) = MAGICS.iter().find(|(magic, _)| first.starts_with(magic)) {
            return Some(*kind);
        }
        let open = first.is_empty()
            || MAGICS.iter().any(|(magic, _)| magic.starts_with(first))
            || matches!(first, [0x50..=0x5f] | [0x50..=0x5f, 0x2a] | [0x50..=0x5f, 0x2a, 0x4d]);
        if open { None } else { Some(Kind::Plain) }
    }
}

/// Where reading a file came to an end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Everything that is there was read.
    Complete,
    /// A compressed file stops in the middle: it is still being written.
    Incomplete,
    /// The bytes make no sense to the decoder.
    Corrupt(String),
    /// The file expands beyond the limit.
    TooLarge,
}

/// A file decoded on the way.
pub(super) struct Stream {
    file: Arc<File>,
    kind: Kind,
    max_expansion: u64,
    /// Bytes taken from the disk by the present decoder.
    taken: Arc<AtomicU64>,
    decoder: Option<Box<dyn Read + Send>>,
    /// Decoded bytes from `start` on.
    window: Vec<u8>,
    start: u64,
    head: Vec<u8>,
    end: Option<End>,
    /// Decoded bytes that are allowed for the size on disk as last seen.
    allowed: u64,
}

/// Decoded at once between two looks at the limits.
const STEP: usize = 64 * 1024;
const ALWAYS_ALLOWED: u64 = 1 << 20;

impl Stream {
    pub(super) fn new(file: Arc<File>, kind: Kind, max_expansion: u64) -> Stream {
        Stream {
            file,
            kind,
            max_expansion,
            taken: Arc::default(),
            decoder: None,
            window: Vec::new(),
            start: 0,
            head: Vec::new(),
            end: None,
            allowed: ALWAYS_ALLOWED,
        }
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// How far the file on disk was read.
    pub(super) fn stored_offset(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }

    pub(super) fn share(&self) -> Arc<File> {
        Arc::clone(&self.file)
    }

    /// Appends up to `max` bytes from `offset` on. With `Some(end)` there is nothing after them.
    pub(super) fn read(&mut self, offset: u64, max: usize, buf: &mut Vec<u8>) -> io::Result<Option<End>> {
        self.reach(offset)?;
        self.fill(offset.saturating_add(max as u64))?;
        let from = usize::try_from(offset.saturating_sub(self.start)).unwrap_or(usize::MAX);
        let rest = self.window.get(from..).unwrap_or_default();
        let taken = rest.get(..max).unwrap_or(rest);
        buf.extend_from_slice(taken);
        Ok(if taken.len() < max { self.end.clone() } else { None })
    }

    /// The (at most 4 KiB of) bytes before `offset`; `None` when the stream ends earlier.
    pub(super) fn before(&mut self, offset: u64) -> io::Result<Option<&[u8]>> {
        let from = offset.saturating_sub(WINDOW as u64);
        self.reach(from)?;
        self.fill(offset)?;
        let index = |at: u64| usize::try_from(at.saturating_sub(self.start)).unwrap_or(usize::MAX);
        Ok(self.window.get(index(from)..index(offset)))
    }

    /// The first (at most) 4 KiB.
    pub(super) fn head(&mut self) -> io::Result<&[u8]> {
        if self.head.len() < WINDOW && self.start == 0 {
            self.fill(WINDOW as u64)?;
        }
        Ok(&self.head)
    }

    /// How decoding ended, when it did.
    pub(super) fn end(&self) -> Option<&End> {
        self.end.as_ref()
    }

    /// Moves the window so that it begins at most 4 KiB before `offset`.
    fn reach(&mut self, offset: u64) -> io::Result<()> {
        let keep = offset.saturating_sub(WINDOW as u64);
        if keep < self.start {
            self.restart();
        }
        loop {
            let have = self.start + self.window.len() as u64;
            let drop = keep.min(have).saturating_sub(self.start);
            if drop > 0 {
                self.window.drain(..usize::try_from(drop).unwrap_or(usize::MAX).min(self.window.len()));
                self.start += drop;
            }
            if have >= keep || self.end.is_some() {
                return Ok(());
            }
            self.fill(have + STEP as u64)?;
        }
    }

    fn restart(&mut self) {
        self.decoder = None;
        self.window.clear();
        self.head.clear();
        self.start = 0;
        self.end = None;
    }

    /// Decodes until the window reaches `target` or the stream ends.
    fn fill(&mut self, target: u64) -> io::Result<()> {
        loop {
            let have = self.start + self.window.len() as u64;
            if have >= target || self.end.is_some() {
                return Ok(());
            }
            if have >= self.allowed {
                let limit = self.file.metadata()?.len().saturating_mul(self.max_expansion).max(ALWAYS_ALLOWED);
                if have >= limit {
                    self.end = Some(End::TooLarge);
                    return Ok(());
                }
                self.allowed = limit;
            }
            let want = (target - have).min(STEP as u64).min(self.allowed - have);
            self.decode(want)?;
        }
    }

    fn decode(&mut self, want: u64) -> io::Result<()> {
        let old = self.window.len();
        let decoder = match &mut self.decoder {
            Some(decoder) => decoder,
            None => match open_decoder(&self.file, self.kind, &self.taken) {
                Ok(decoder) => self.decoder.insert(decoder),
                Err(e) => return self.stop(e),
            },
        };
        let read = decoder.by_ref().take(want).read_to_end(&mut self.window);
        if self.head.len() < WINDOW {
            let missing = WINDOW - self.head.len();
            let new = self.window.get(old..).unwrap_or_default();
            self.head.extend_from_slice(new.get(..missing).unwrap_or(new));
        }
        match read {
            Ok(n) if (n as u64) < want => self.end = Some(End::Complete),
            Ok(_) => {}
            Err(e) => return self.stop(e),
        }
        Ok(())
    }

    /// Tells trouble with the disk from trouble with the bytes.
    fn stop(&mut self, e: io::Error) -> io::Result<()> {
        if e.raw_os_error().is_some() {
            return Err(e);
        }
        self.end = Some(match e.kind() {
            ErrorKind::UnexpectedEof => End::Incomplete,
            _ => End::Corrupt(e.to_string()),
        });
        Ok(())
    }
}

/// Reads a shared descriptor from its own place.
struct At {
    file: Arc<File>,
    offset: u64,
    taken: Arc<AtomicU64>,
}

impl Read for At {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.file.read_at(buf, self.offset)?;
        self.offset += n as u64;
        self.taken.store(self.offset, Ordering::Relaxed);
        Ok(n)
    }
}

fn open_decoder(file: &Arc<File>, kind: Kind, taken: &Arc<AtomicU64>) -> io::Result<Box<dyn Read + Send>> {
    let raw = BufReader::with_capacity(STEP, At { file: Arc::clone(file), offset: 0, taken: Arc::clone(taken) });
    let mut plain: BufReader<Box<dyn Read + Send>> = BufReader::with_capacity(
        WINDOW,
        match kind {
            Kind::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(raw)),
            Kind::Zstd => Box::new(zstd::stream::read::Decoder::with_buffer(raw)?),
            Kind::Plain | Kind::Utf16 => Box::new(raw),
        },
    );
    // A compressed file may hold UTF-16, too. One byte of its mark may come alone.
    let mut first = Vec::new();
    plain.by_ref().take(2).read_to_end(&mut first)?;
    let big = first == [0xfe, 0xff];
    if big || first == [0xff, 0xfe] {
        return Ok(Box::new(Utf16 { inner: plain, big, half: None, high: None, out: Vec::new(), given: 0 }));
    }
    Ok(Box::new(io::Cursor::new(first).chain(plain)))
}

/// UTF-16 as UTF-8. What is no character becomes U+FFFD.
struct Utf16<R> {
    inner: R,
    big: bool,
    half: Option<u8>,
    high: Option<u16>,
    out: Vec<u8>,
    given: usize,
}

impl<R: BufRead> Utf16<R> {
    fn unit(&mut self, unit: u16) {
        let mut put = |c: char| self.out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        if let Some(high) = self.high.take() {
            if let Some(Ok(c)) = char::decode_utf16([high, unit]).next() {
                return put(c);
            }
            put(char::REPLACEMENT_CHARACTER);
        }
        match unit {
            0xd800..=0xdbff => self.high = Some(unit),
            _ => put(char::from_u32(u32::from(unit)).unwrap_or(char::REPLACEMENT_CHARACTER)),
        }
    }
}

impl<R: BufRead> Read for Utf16<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        while self.given == self.out.len() {
            self.out.clear();
            self.given = 0;
            let chunk = self.inner.fill_buf()?.to_vec();
            if chunk.is_empty() {
                return Ok(0);
            }
            self.inner.consume(chunk.len());
            for byte in chunk {
                match self.half.take() {
                    None => self.half = Some(byte),
                    Some(first) => {
                        let pair = [first, byte];
                        self.unit(if self.big { u16::from_be_bytes(pair) } else { u16::from_le_bytes(pair) });
                    }
                }
            }
        }
        let rest = self.out.get(self.given..).unwrap_or_default();
        let n = rest.len().min(buf.len());
        if let (Some(to), Some(from)) = (buf.get_mut(..n), rest.get(..n)) {
            to.copy_from_slice(from);
        }
        self.given += n;
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn file_of(bytes: &[u8]) -> Arc<File> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        Arc::new(file)
    }

    fn gz(bytes: &[u8]) -> Vec<u8> {
        let mut e = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        e.write_all(bytes).unwrap();
        e.finish().unwrap()
    }

    fn all(kind: Kind, raw: &[u8], expansion: u64) -> (Vec<u8>, Option<End>) {
        let mut stream = Stream::new(file_of(raw), kind, expansion);
        let mut out = Vec::new();
        loop {
            if let Some(end) = stream.read(out.len() as u64, 1000, &mut out).unwrap() {
                return (out, Some(end));
            }
        }
    }

    #[test]
    fn the_first_bytes_say_what_a_file_is() {
        for (first, expected) in [
            (&b"CEF:"[..], Some(Kind::Plain)),
            (b"", None),
            (b"\x1f", None),
            (b"\x1f\x8b", Some(Kind::Gzip)),
            (b"\x28\xb5", None),
            (b"(a)", Some(Kind::Plain)),
            (b"\x28\xb5\x2f\xfd", Some(Kind::Zstd)),
            (b"P", None),
            (b"PC", Some(Kind::Plain)),
            (b"\x50\x2a\x4d\x18", Some(Kind::Zstd)),
            (b"\xff\xfeC\0", Some(Kind::Utf16)),
            (b"\xef\xbb\xbf", Some(Kind::Plain)),
        ] {
            assert_eq!(Kind::of(first), expected, "{first:?}");
        }
    }

    #[test]
    fn all_members_and_frames_are_read() {
        let text: Vec<u8> = (0..5000).flat_map(|i| format!("line {i}\n").into_bytes()).collect();
        let (a, b) = text.split_at(20_000);
        assert_eq!(all(Kind::Gzip, &[gz(a), gz(b)].concat(), 1000), (text.clone(), Some(End::Complete)));
        let z = |part: &[u8]| zstd::encode_all(part, 3).unwrap();
        assert_eq!(all(Kind::Zstd, &[z(a), z(b)].concat(), 1000), (text.clone(), Some(End::Complete)));
    }

    #[test]
    fn a_cut_file_is_incomplete_after_what_could_be_read() {
        let text: Vec<u8> = (0..5000).flat_map(|i| format!("line {} {i}\n", i * 7919 % 5003).into_bytes()).collect();
        for (kind, raw) in [(Kind::Gzip, gz(&text)), (Kind::Zstd, zstd::encode_all(&text[..], 3).unwrap())] {
            for cut in [raw.len() - 1, raw.len() / 2, 5] {
                let (out, end) = all(kind, &raw[..cut], 1000);
                assert_eq!(end, Some(End::Incomplete), "{kind:?} {cut}");
                assert!(text.starts_with(&out));
            }
        }
        assert!(matches!(all(Kind::Gzip, b"\x1f\x8bnonsense that is no gzip", 1000).1, Some(End::Corrupt(_))));
    }

    #[test]
    fn a_bomb_is_stopped_at_the_limit() {
        let bomb = zstd::encode_all(&vec![b'a'; 50 << 20][..], 3).unwrap();
        let (out, end) = all(Kind::Zstd, &bomb, 100);
        assert_eq!(end, Some(End::TooLarge));
        assert_eq!(out.len() as u64, (bomb.len() as u64 * 100).max(ALWAYS_ALLOWED));
    }

    #[test]
    fn utf16_of_either_order_becomes_utf8_also_inside_gzip() {
        let text = "CEF:0|Dtex|ä€😀\r\n".repeat(3000);
        let le: Vec<u8> = [0xff, 0xfe].into_iter().chain(text.encode_utf16().flat_map(u16::to_le_bytes)).collect();
        let be: Vec<u8> = [0xfe, 0xff].into_iter().chain(text.encode_utf16().flat_map(u16::to_be_bytes)).collect();
        let expected = (text.clone().into_bytes(), Some(End::Complete));
        assert_eq!(all(Kind::Utf16, &le, 1000), expected);
        assert_eq!(all(Kind::Utf16, &be, 1000), expected);
        assert_eq!(all(Kind::Gzip, &gz(&le), 1000), expected);
        assert_eq!(all(Kind::Utf16, b"\xff\xfe\x00\xd8a\0", 1000).0, "\u{fffd}a".as_bytes());
    }

    #[test]
    fn going_back_decodes_again() {
        let text: Vec<u8> = (0..20_000).flat_map(|i| format!("line {i}\n").into_bytes()).collect();
        let mut stream = Stream::new(file_of(&gz(&text)), Kind::Gzip, 1000);
        for offset in [100_000_u64, 5, 150_000, 0, 60_000] {
            let at = offset as usize;
            let mut out = Vec::new();
            assert_eq!(stream.read(offset, 500, &mut out).unwrap(), None);
            assert_eq!(out, &text[at..at + 500]);
            assert_eq!(stream.before(offset).unwrap(), Some(&text[at.saturating_sub(WINDOW)..at]));
            assert_eq!(stream.head().unwrap(), &text[..WINDOW]);
        }
        assert_eq!(stream.before(1 << 40).unwrap(), None);
    }
}
