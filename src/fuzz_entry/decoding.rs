//! Target `decode`: compressed and UTF-16 files give the same bytes whatever is read in which order, within the limit, and
//! the text that went into them comes out.
//!
//! Mounted in `source`.

#![allow(clippy::panic, clippy::indexing_slicing)] // a property that does not hold is a panic

use super::decode::{End, Kind, Stream};
use crate::fuzz_entry::split_steering;
use std::fs::File;
use std::io::{Read, Write};
use std::sync::Arc;

/// Decoded bytes of which a file may have as many as it likes.
const ALWAYS_ALLOWED: u64 = 1 << 20;
const MAX_EXPANSION: u64 = 4;

/// The target. Steering: what is made of the rest, where it is cut, sizes of the readings.
pub fn decode(data: &[u8]) {
    let (steering, rest) = split_steering(data, 6);
    let byte = |i: usize| steering.get(i).copied().unwrap_or(9);
    let steps: Vec<usize> = (2..6).map(|i| 100 + usize::from(byte(i)) * 97).collect();
    let text = String::from_utf8_lossy(rest).into_owned();
    let made = match byte(0) % 6 {
        0 => None,
        1 => Some(gz(text.as_bytes())),
        2 => zstd::encode_all(text.as_bytes(), 1).ok(),
        3 => Some(utf16(&text, u16::to_le_bytes)),
        4 => Some(utf16(&text, u16::to_be_bytes)),
        _ => Some(gz(&utf16(&text, u16::to_le_bytes))),
    };
    let Some(made) = made else {
        // A file as somebody else made it.
        let (decoded, _) = same_in_any_order(rest, &steps);
        if matches!(Kind::of(rest.get(..4).unwrap_or(rest)), Some(Kind::Utf16)) {
            assert_eq!(decoded, plain_utf16(rest).into_bytes());
        }
        return;
    };
    let (decoded, end) = same_in_any_order(&made, &steps);
    assert_eq!((decoded.as_slice(), end), (text.as_bytes(), End::Complete), "what went in comes out");
    let kept = made.len() * usize::from(byte(1)) / 256;
    let cut = made.get(..kept).unwrap_or_default();
    if Kind::of(cut.get(..4).unwrap_or(cut)).is_some_and(|kind| kind != Kind::Plain) {
        let (decoded, end) = same_in_any_order(cut, &steps);
        let compressed = !matches!(byte(0) % 6, 3 | 4);
        if compressed {
            assert!(text.as_bytes().starts_with(&decoded), "a file that is still growing gives its beginning");
            assert_eq!(end, End::Incomplete, "and says so");
        }
    }
}

/// Reads a file to its end in one go, in pieces, and once more from the beginning. Returns what it holds.
fn same_in_any_order(bytes: &[u8], steps: &[usize]) -> (Vec<u8>, End) {
    let kind = match Kind::of(bytes.get(..4).unwrap_or(bytes)) {
        Some(kind) if kind != Kind::Plain => kind,
        _ => return (Vec::new(), End::Complete),
    };
    let file = memory_file(bytes);
    let mut stream = Stream::new(Arc::clone(&file), kind, MAX_EXPANSION);
    let (whole, end) = to_end(&mut stream, &mut || 64 * 1024);
    let limit = (bytes.len() as u64 * MAX_EXPANSION).max(ALWAYS_ALLOWED);
    assert!(whole.len() as u64 <= limit + 4, "{} bytes are more than {limit}", whole.len());
    assert_eq!(end == End::TooLarge, whole.len() as u64 >= limit && end != End::Complete);

    // Going back means decoding again, and gives the same.
    let half = (whole.len() / 2) as u64;
    let mut again = Vec::new();
    let _ = stream.read(half, 1 << 20, &mut again).map(|_| ());
    assert_eq!(Some(again.as_slice()), whole.get(half as usize..).map(|w| w.get(..1 << 20).unwrap_or(w)));
    let before = stream.before(half).ok().flatten().map(<[u8]>::to_vec);
    let window = half.saturating_sub(4096) as usize;
    assert_eq!(before.as_deref(), whole.get(window..half as usize));
    let head = stream.head().map(<[u8]>::to_vec).unwrap_or_default();
    assert_eq!(Some(head.as_slice()), whole.get(..4096.min(whole.len())));

    let mut turn = steps.iter().cycle();
    let mut pieces = Stream::new(file, kind, MAX_EXPANSION);
    assert_eq!(to_end(&mut pieces, &mut || turn.next().copied().unwrap_or(1)), (whole.clone(), end.clone()));
    (whole, end)
}

fn to_end(stream: &mut Stream, step: &mut dyn FnMut() -> usize) -> (Vec<u8>, End) {
    let mut all = Vec::new();
    loop {
        let before = all.len();
        let end = match stream.read(before as u64, step(), &mut all) {
            Ok(end) => end,
            Err(e) => panic!("a file in memory cannot be read: {e}"),
        };
        if let Some(end) = end {
            return (all, end);
        }
        assert!(all.len() > before, "a reading gives bytes or the end");
    }
}

fn memory_file(bytes: &[u8]) -> Arc<File> {
    let made = rustix::fs::memfd_create("fuzz", rustix::fs::MemfdFlags::CLOEXEC);
    let file = made.map_err(std::io::Error::from).and_then(|fd| {
        let mut file = File::from(fd);
        file.write_all(bytes).map(|()| file)
    });
    match file {
        Ok(file) => Arc::new(file),
        Err(e) => panic!("no file in memory: {e}"),
    }
}

fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    match flate2::read::GzEncoder::new(bytes, flate2::Compression::fast()).read_to_end(&mut out) {
        Ok(_) => out,
        Err(e) => panic!("{e}"),
    }
}

fn utf16(text: &str, unit: impl Fn(u16) -> [u8; 2]) -> Vec<u8> {
    std::iter::once(0xfeff).chain(text.encode_utf16()).flat_map(unit).collect()
}

/// UTF-16 with its mark as text, by the standard library. A lone half of a pair at the end waits for the other.
fn plain_utf16(bytes: &[u8]) -> String {
    let big = bytes.starts_with(&[0xfe, 0xff]);
    let units: Vec<u16> = bytes
        .get(2..)
        .unwrap_or_default()
        .chunks_exact(2)
        .map(|pair| match pair {
            [a, b] if big => u16::from_be_bytes([*a, *b]),
            [a, b] => u16::from_le_bytes([*a, *b]),
            _ => 0,
        })
        .collect();
    let waiting = units.last().is_some_and(|u| (0xd800..=0xdbff).contains(u));
    let units = units.get(..units.len() - usize::from(waiting)).unwrap_or_default();
    char::decode_utf16(units.iter().copied()).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
}
