//! Streams as they stand on the disk: in blocks, each compressed by LZ4 where that makes it shorter.
//!
//! sled copies every value several times, and keeps some of them in memory: what is shorter costs less of everything. A block
//! is: its length in the stream, its length as stored (both LEB128), the stored bytes. Where both lengths are the same, these are
//! those of the stream; else one LZ4 block. Units: bytes.
//! What this file never does: I/O, or trust its input: a broken block is an error, never a panic.

use super::envelope::PLAIN_STREAMS;
use super::run::{BrokenRun, put_number, take_bytes, take_number};
use lz4_flex::block::{self, CompressTable};

/// The longest block: as far back as LZ4 looks.
pub(super) const BLOCK_BYTES: usize = 64 * 1024;

/// A stream as it is stored.
#[cfg(any(test, fuzzing))]
pub(super) fn pack(stream: &[u8]) -> Vec<u8> {
    let mut packed = Vec::with_capacity(stream.len() / 2);
    Packer::default().append(stream, &mut packed);
    packed
}

/// Packs one piece of a stream after the other.
pub(super) struct Packer {
    shorter: Vec<u8>,
    /// LZ4's memory for blocks below [`SHORT_BYTES`], and for longer ones. What was packed before must not decide how a block
    /// is packed, so neither takes the other's.
    short: CompressTable,
    long: Option<CompressTable>,
}

/// From this length on LZ4 numbers the places in a block with 32 bits.
const SHORT_BYTES: usize = u16::MAX as usize;

impl Default for Packer {
    fn default() -> Packer {
        Packer { shorter: Vec::new(), short: CompressTable::small(), long: None }
    }
}

impl Packer {
    /// Appends a piece in blocks of its own.
    pub(super) fn append(&mut self, piece: &[u8], packed: &mut Vec<u8>) {
        for plain in piece.chunks(BLOCK_BYTES) {
            let most = block::get_maximum_output_size(plain.len());
            if self.shorter.len() < most {
                self.shorter.resize(most, 0);
            }
            let table = match plain.len() {
                ..SHORT_BYTES => &mut self.short,
                _ => self.long.get_or_insert_with(CompressTable::large),
            };
            let stored = match block::compress_into_with_table(plain, &mut self.shorter, table) {
                Ok(len) if len < plain.len() => self.shorter.get(..len).unwrap_or(plain),
                _ => plain,
            };
            put_number(packed, plain.len() as u64);
            put_number(packed, stored.len() as u64);
            packed.extend_from_slice(stored);
        }
    }
}

/// How long the stream is that is stored so in a format.
pub(super) fn plain_len(format: u16, mut packed: &[u8]) -> Result<usize, BrokenRun> {
    if format == PLAIN_STREAMS {
        return Ok(packed.len());
    }
    let mut sum = 0;
    while !packed.is_empty() {
        sum += take_block(&mut packed)?.0;
    }
    Ok(sum)
}

/// Takes a block off the front: its length in the stream, and what is stored of it.
fn take_block<'a>(packed: &mut &'a [u8]) -> Result<(usize, &'a [u8]), BrokenRun> {
    let len = usize::try_from(take_number(packed)?).ok().filter(|len| *len <= BLOCK_BYTES).ok_or(BrokenRun)?;
    let stored_len = take_number(packed)?;
    Ok((len, take_bytes(packed, stored_len)?))
}

/// Appends the stream that is stored so in a format.
pub(super) fn unpack(format: u16, mut packed: &[u8], stream: &mut Vec<u8>) -> Result<(), BrokenRun> {
    if format == PLAIN_STREAMS {
        stream.extend_from_slice(packed);
        return Ok(());
    }
    while !packed.is_empty() {
        unpack_block(&mut packed, stream)?;
    }
    Ok(())
}

/// Takes a block off the front, and appends what it holds of the stream.
pub(super) fn unpack_block(packed: &mut &[u8], stream: &mut Vec<u8>) -> Result<(), BrokenRun> {
    let (len, stored) = take_block(packed)?;
    if stored.len() == len {
        stream.extend_from_slice(stored);
        return Ok(());
    }
    let at = stream.len();
    stream.resize(at + len, 0);
    let plain = stream.get_mut(at..).unwrap_or_default();
    if block::decompress_into(stored, plain).ok() == Some(len) { Ok(()) } else { Err(BrokenRun) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::envelope::FORMAT;
    use proptest::prelude::*;

    fn unpacked(packed: &[u8]) -> Result<Vec<u8>, BrokenRun> {
        let mut stream = b"before".to_vec();
        unpack(FORMAT, packed, &mut stream)?;
        assert_eq!(stream.drain(..6).collect::<Vec<u8>>(), b"before");
        Ok(stream)
    }

    /// Bytes that repeat themselves, and bytes that do not.
    fn stream() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            prop::collection::vec(any::<u8>(), 0..2000),
            (prop::collection::vec(any::<u8>(), 1..20), 1_usize..4000).prop_map(|(word, n)| word.repeat(n)),
        ];
        prop::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #![proptest_config(crate::effort::cases())]
        #[test]
        fn streams_come_back(stream in stream()) {
            let packed = pack(&stream);
            prop_assert!(packed.len() <= stream.len() + 6 * stream.len().div_ceil(BLOCK_BYTES), "{}", packed.len());
            prop_assert_eq!(plain_len(FORMAT, &packed), Ok(stream.len()));
            prop_assert_eq!(unpacked(&packed), Ok(stream));
        }

        #[test]
        fn what_was_packed_before_decides_nothing(before in stream(), stream in stream()) {
            let (mut packer, mut packed) = (Packer::default(), Vec::new());
            packer.append(&before, &mut Vec::new());
            packer.append(&stream, &mut packed);
            prop_assert_eq!(packed, pack(&stream));
        }

        #[test]
        fn hostile_bytes_never_panic_and_grow_within_bounds(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            if let Ok(stream) = unpacked(&bytes) {
                prop_assert!(stream.len() <= bytes.len() * BLOCK_BYTES / 3);
            }
        }

        #[test]
        fn a_stream_cut_short_or_changed_never_panics(stream in stream(), at: prop::sample::Index, bit in 0_u8..8) {
            let mut packed = pack(&stream);
            if packed.is_empty() {
                return Ok(());
            }
            let at = at.index(packed.len());
            prop_assert_ne!(unpacked(&packed[..at]), Ok(stream));
            packed[at] ^= 1 << bit;
            let _ = unpacked(&packed);
        }
    }

    /// Stores written today must be read for ever: these bytes may never change their meaning.
    #[test]
    fn the_blocks_are_those_on_disk() {
        assert_eq!(pack(b""), b"");
        assert_eq!(pack(b"ab"), b"\x02\x02ab");
        assert_eq!(unpacked(b"\x02\x02ab\x03\x03cde"), Ok(b"abcde".to_vec()));
        // Eight literals and a match of 19 bytes, eight back; five literals.
        let block = b"\x20\x12\x8fabcdefgh\x08\x00\x00\x50vwxyz";
        assert_eq!(unpacked(block), Ok(b"abcdefghabcdefghabcdefghabcvwxyz".to_vec()));
    }

    #[test]
    fn what_cannot_be_shortened_is_kept_and_long_streams_are_cut() {
        let noise: Vec<u8> =
            (0_u32..70_000).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8 ^ (n >> 3) as u8).collect();
        let long = [vec![7; BLOCK_BYTES], noise].concat();
        assert_eq!(unpacked(&pack(&long)), Ok(long));
        assert_eq!(unpacked(b"\x81\x80\x04\x01a"), Err(BrokenRun), "a block of more than 64 KiB");
        assert_eq!(unpacked(b"\x05\x02ab"), Err(BrokenRun), "no LZ4 block");
        assert_eq!(unpacked(b"\x05\x09ab"), Err(BrokenRun), "more than there is");
    }
}
