//! The envelope around every value in sled, and how a longer stream of bytes is cut into several such values.
//!
//! Envelope: magic u8, kind u8, version u16 LE, payload length u32 LE, CRC-32C of what comes before and of the payload u32 LE, payload.
//! A stream (a delta, a page) is cut into parts; each part's payload begins with the number of parts, u16 LE.
//! Units: bytes. What this file never does: I/O.

/// The newest format that this program reads, and the one that it writes.
pub(super) const FORMAT: u16 = 2;
/// The format in which streams were stored as they are, and not packed. What is written over becomes one of the newest.
pub(super) const PLAIN_STREAMS: u16 = 1;

/// The largest sled value, envelope included. A leaf of sled holds up to 20 values: 16, one more before it splits, three of
/// a neighbour that is merged into it. A leaf above a quarter of a segment (131,020 bytes) would be moved to a file of its
/// own, which sled neither syncs nor deletes.
pub(super) const MAX_VALUE_BYTES: usize = 6 * 1024;

/// The largest fragment of a stream in one part.
pub(super) const PART_BYTES: usize = MAX_VALUE_BYTES - HEADER_BYTES - PART_COUNT_BYTES;

const MAGIC: u8 = 0xA7;
const HEADER_BYTES: usize = 12;
const SUMMED_BYTES: usize = 8;
const PART_COUNT_BYTES: usize = 2;

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    Root = 1,
    Delta = 2,
    Page = 3,
}

/// Wraps a payload.
pub(super) fn seal(kind: Kind, payload: &[&[u8]]) -> Vec<u8> {
    let len = payload.iter().map(|p| p.len()).sum::<usize>();
    let mut out = Vec::with_capacity(HEADER_BYTES + len);
    out.push(MAGIC);
    out.push(kind as u8);
    out.extend_from_slice(&FORMAT.to_le_bytes());
    out.extend_from_slice(&u32::try_from(len).unwrap_or(u32::MAX).to_le_bytes());
    let mut crc = crc32c::crc32c(&out);
    for piece in payload {
        crc = crc32c::crc32c_append(crc, piece);
    }
    out.extend_from_slice(&crc.to_le_bytes());
    for piece in payload {
        out.extend_from_slice(piece);
    }
    out
}

/// The version that a sound value of this kind claims, and its payload.
pub(super) fn unseal(kind: Kind, value: &[u8]) -> Result<(u16, &[u8]), &'static str> {
    let (header, payload) = value.split_at_checked(HEADER_BYTES).ok_or("a value is shorter than its envelope")?;
    let (summed, crc) = header.split_at_checked(SUMMED_BYTES).ok_or("a value is shorter than its envelope")?;
    let &[magic, found_kind, v0, v1, l0, l1, l2, l3] = summed else {
        return Err("a value is shorter than its envelope");
    };
    if magic != MAGIC {
        return Err("a value has no envelope");
    }
    if u32::from_le_bytes([l0, l1, l2, l3]) as usize != payload.len() {
        return Err("the length of a value is not the one in its envelope");
    }
    if crc != crc32c::crc32c_append(crc32c::crc32c(summed), payload).to_le_bytes() {
        return Err("the checksum of a value does not match");
    }
    if found_kind != kind as u8 {
        return Err("a value is of another kind than its key says");
    }
    Ok((u16::from_le_bytes([v0, v1]), payload))
}

/// How many parts a stream of `len` bytes has.
pub(super) fn part_count(len: usize) -> usize {
    len.div_ceil(PART_BYTES).max(1)
}

/// Cuts a stream into sealed parts. `None` if it has more parts than can be numbered.
pub(super) fn cut(kind: Kind, stream: &[u8]) -> Option<impl Iterator<Item = (u16, Vec<u8>)>> {
    let count = u16::try_from(part_count(stream.len())).ok()?.to_le_bytes();
    let pieces = stream.chunks(PART_BYTES).chain(stream.is_empty().then_some(stream));
    Some((0..=u16::MAX).zip(pieces.map(move |piece| seal(kind, &[&count, piece]))))
}

/// A sound part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part<'a> {
    /// The format in which its stream is stored.
    pub format: u16,
    /// The number of parts that it claims.
    pub count: u16,
    /// Its fragment of the stream.
    pub piece: &'a [u8],
}

/// Reads a part.
pub(super) fn part(kind: Kind, value: &[u8]) -> Result<Part<'_>, &'static str> {
    let (format, payload) = unseal(kind, value)?;
    if !(PLAIN_STREAMS..=FORMAT).contains(&format) {
        return Err("a value has a format that no program wrote");
    }
    let (count, piece) = payload.split_first_chunk::<PART_COUNT_BYTES>().ok_or("a part is too short")?;
    Ok(Part { format, count: u16::from_le_bytes(*count), piece })
}

/// The fragment in a part that is known to be sound.
pub(super) fn piece(value: &[u8]) -> &[u8] {
    value.get(HEADER_BYTES + PART_COUNT_BYTES..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Stores written today must be read for ever: these bytes may never change.
    #[test]
    fn the_envelope_is_the_one_on_disk() {
        let value = seal(Kind::Delta, &[b"ab", b"c"]);
        assert_eq!(value, [0xA7, 2, 2, 0, 3, 0, 0, 0, 0x9b, 0x24, 0x37, 0x8c, b'a', b'b', b'c']);
        assert_eq!(unseal(Kind::Delta, &value), Ok((2, b"abc".as_slice())));
        let old = [0xA7, 2, 1, 0, 3, 0, 0, 0, 0xb2, 0x28, 0x98, 0x95, b'a', b'b', b'c'];
        assert_eq!(unseal(Kind::Delta, &old), Ok((1, b"abc".as_slice())));
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_noticed() {
        let value = seal(Kind::Page, &[b"payload"]);
        for bit in 0..value.len() * 8 {
            let mut bad = value.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(unseal(Kind::Page, &bad).is_err(), "bit {bit}");
        }
        for end in 0..value.len() {
            assert!(unseal(Kind::Page, &value[..end]).is_err(), "{end} bytes");
        }
        assert!(unseal(Kind::Delta, &value).is_err());
    }

    #[test]
    fn streams_come_back_from_their_parts() {
        for len in [0, 1, PART_BYTES - 1, PART_BYTES, PART_BYTES + 1, 5 * PART_BYTES] {
            let stream: Vec<u8> = (0..len).map(|i| (i % 251) as u8).collect();
            let mut back = Vec::new();
            let parts: Vec<_> = cut(Kind::Delta, &stream).unwrap().collect();
            assert_eq!(parts.len(), part_count(len));
            for (i, (n, value)) in parts.iter().enumerate() {
                assert!(value.len() <= MAX_VALUE_BYTES);
                let part = part(Kind::Delta, value).unwrap();
                assert_eq!((*n as usize, part.count as usize, part.format), (i, parts.len(), FORMAT));
                assert_eq!(piece(value), part.piece);
                back.extend_from_slice(part.piece);
            }
            assert_eq!(back, stream);
        }
    }
}
