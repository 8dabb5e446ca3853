//! Runs of records in key order, front-coded: each key is stored as the bytes that differ from the key before it.
//!
//! A record is: shared length, suffix length, suffix, value tag, value. The tag is 0 for "removed", else the value's length
//! plus one. Numbers are LEB128. Deltas and pages hold such runs.
//! What this file never does: I/O, or trust its input: a broken run is an error, never a panic.

/// A run that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BrokenRun;

/// Appends a number.
pub(super) fn put_number(out: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        out.push((n & 0x7f) as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

/// Takes a number off the front.
pub(super) fn take_number(input: &mut &[u8]) -> Result<u64, BrokenRun> {
    let mut n = 0u64;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = input.split_first().ok_or(BrokenRun)?;
        *input = rest;
        let bits = u64::from(byte & 0x7f);
        if shift == 63 && bits > 1 {
            return Err(BrokenRun);
        }
        n |= bits << shift;
        if byte & 0x80 == 0 {
            return Ok(n);
        }
    }
    Err(BrokenRun)
}

/// Takes `len` bytes off the front.
pub(super) fn take_bytes<'a>(input: &mut &'a [u8], len: u64) -> Result<&'a [u8], BrokenRun> {
    let (taken, rest) = usize::try_from(len).ok().and_then(|len| input.split_at_checked(len)).ok_or(BrokenRun)?;
    *input = rest;
    Ok(taken)
}

/// How many bytes two keys have in common at their beginning.
#[inline]
pub(super) fn shared_len(a: &[u8], b: &[u8]) -> usize {
    let (words, _) = a.as_chunks::<8>();
    let (others, _) = b.as_chunks::<8>();
    for (n, (word, other)) in words.iter().zip(others).enumerate() {
        let differs = u64::from_le_bytes(*word) ^ u64::from_le_bytes(*other);
        if differs != 0 {
            return n * 8 + differs.trailing_zeros() as usize / 8;
        }
    }
    let same = words.len().min(others.len()) * 8;
    let (a, b) = (a.get(same..).unwrap_or_default(), b.get(same..).unwrap_or_default());
    same + a.iter().zip(b).take_while(|(x, y)| x == y).count()
}

/// The first bytes of a key, as numbers: where these differ they compare as the keys do.
#[inline]
pub(super) fn head_of(key: &[u8]) -> [u128; 2] {
    let mut head = [[0; 16]; 2];
    let held = key.len().min(32);
    if let (Some(to), Some(from)) = (head.as_flattened_mut().get_mut(..held), key.get(..held)) {
        to.copy_from_slice(from);
    }
    head.map(u128::from_be_bytes)
}

/// How long the name of a key's family is: up to the first `00 01`, by which a text in a key is ended (`state::key`). What is
/// known of somebody is a family, and is looked up together. `None` where a key has no such name.
pub(super) fn family_len(key: &[u8]) -> Option<usize> {
    key.windows(2).position(|pair| pair == [0, 1]).map(|at| at + 2)
}

/// The shortest key that is above `below` and not above `key` (`below` < `key`).
pub(super) fn separator<'a>(below: &[u8], key: &'a [u8]) -> &'a [u8] {
    key.get(..shared_len(below, key) + 1).unwrap_or(key)
}

/// The encoded size of a record after the key `last`, bytes.
pub(super) fn encoded_len(last: &[u8], key: &[u8], value: Option<&[u8]>) -> usize {
    let shared = shared_len(last, key);
    let suffix = key.len() - shared;
    let value_len = value.map_or(0, |v| v.len());
    number_len(shared) + number_len(suffix) + suffix + number_len(value.map_or(0, |v| v.len() + 1)) + value_len
}

fn number_len(n: usize) -> usize {
    let bits = usize::BITS - n.leading_zeros();
    (bits as usize).div_ceil(7).max(1)
}

/// Appends the record that follows the key `last`.
pub(super) fn put_record(out: &mut Vec<u8>, last: &[u8], key: &[u8], value: Option<&[u8]>) {
    let shared = shared_len(last, key);
    let suffix = key.get(shared..).unwrap_or_default();
    put_number(out, shared as u64);
    put_number(out, suffix.len() as u64);
    out.extend_from_slice(suffix);
    put_number(out, value.map_or(0, |v| v.len() as u64 + 1));
    out.extend_from_slice(value.unwrap_or_default());
}

/// Takes a record off the front: `key`, which is the key before it, becomes its own. Returns its value; `None` when it says
/// "removed". Keys ascend; the first one may equal the key before it. After an error nothing has moved.
pub(super) fn take_record<'a>(
    input: &mut &'a [u8],
    key: &mut Vec<u8>,
    is_first: bool,
) -> Result<Option<&'a [u8]>, BrokenRun> {
    let mut rest = *input;
    let shared = usize::try_from(take_number(&mut rest)?).map_err(|_| BrokenRun)?;
    let suffix_len = take_number(&mut rest)?;
    let suffix = take_bytes(&mut rest, suffix_len)?;
    let value = match take_number(&mut rest)? {
        0 => None,
        tag => Some(take_bytes(&mut rest, tag - 1)?),
    };
    let replaced = key.get(shared..).ok_or(BrokenRun)?;
    if suffix < replaced || (suffix == replaced && !is_first) {
        return Err(BrokenRun);
    }
    key.truncate(shared);
    key.extend_from_slice(suffix);
    *input = rest;
    Ok(value)
}

/// Reads a run, one record at a time.
pub(super) struct Reader<'a> {
    input: &'a [u8],
    key: Vec<u8>,
    value: Option<&'a [u8]>,
    is_first: bool,
}

impl<'a> Reader<'a> {
    /// A reader of the run that follows the key `low`.
    pub(super) fn new(low: &[u8], input: &'a [u8]) -> Reader<'a> {
        Reader { input, key: low.to_vec(), value: None, is_first: true }
    }

    /// Moves to the next record; `false` at the end.
    pub(super) fn advance(&mut self) -> Result<bool, BrokenRun> {
        if self.input.is_empty() {
            return Ok(false);
        }
        self.value = take_record(&mut self.input, &mut self.key, self.is_first)?;
        self.is_first = false;
        Ok(true)
    }

    /// Key of the current record.
    pub(super) fn key(&self) -> &[u8] {
        &self.key
    }

    /// Value of the current record; `None` when it says "removed".
    pub(super) fn value(&self) -> Option<&'a [u8]> {
        self.value
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn encode(low: &[u8], records: &BTreeMap<Vec<u8>, Option<Vec<u8>>>) -> Vec<u8> {
        let (mut out, mut last) = (Vec::new(), low);
        for (key, value) in records {
            let before = out.len();
            put_record(&mut out, last, key, value.as_deref());
            assert_eq!(out.len() - before, encoded_len(last, key, value.as_deref()));
            last = key;
        }
        out
    }

    fn decode(low: &[u8], run: &[u8]) -> Result<BTreeMap<Vec<u8>, Option<Vec<u8>>>, BrokenRun> {
        let mut reader = Reader::new(low, run);
        let mut back = BTreeMap::new();
        while reader.advance()? {
            back.insert(reader.key().to_vec(), reader.value().map(<[u8]>::to_vec));
        }
        Ok(back)
    }

    proptest! {
        #![proptest_config(crate::effort::cases())]

        #[test]
        fn runs_come_back(records: BTreeMap<Vec<u8>, Option<Vec<u8>>>) {
            prop_assert_eq!(decode(b"", &encode(b"", &records)), Ok(records));
        }

        #[test]
        fn hostile_runs_never_panic(bytes: Vec<u8>) {
            let _ = decode(b"low", &bytes);
        }

        #[test]
        fn what_keys_share_is_counted_byte_by_byte(both in prop::collection::vec(0u8..3, 0..40), a in prop::collection::vec(0u8..3, 0..9), b in prop::collection::vec(0u8..3, 0..9)) {
            let (a, b) = ([&*both, &*a].concat(), [&*both, &*b].concat());
            let plain = a.iter().zip(&b).take_while(|(x, y)| x == y).count();
            prop_assert_eq!(shared_len(&a, &b), plain);
        }

        #[test]
        fn heads_compare_as_keys_do(both in prop::collection::vec(0u8..3, 0..40), a in prop::collection::vec(0u8..3, 0..9), b in prop::collection::vec(0u8..3, 0..9)) {
            let (a, b) = ([&*both, &*a].concat(), [&*both, &*b].concat());
            let (a_head, b_head) = (head_of(&a), head_of(&b));
            prop_assert!(a_head == b_head || a_head.cmp(&b_head) == a.cmp(&b));
        }

        #[test]
        fn numbers_come_back(n: u64) {
            let mut out = Vec::new();
            put_number(&mut out, n);
            prop_assert_eq!(out.len(), number_len(n as usize));
            prop_assert_eq!(take_number(&mut out.as_slice()), Ok(n));
        }

        #[test]
        fn separators_lie_between(a: Vec<u8>, b: Vec<u8>) {
            prop_assume!(a != b);
            let (below, key) = if a < b { (&a, &b) } else { (&b, &a) };
            let s = separator(below, key);
            prop_assert!(below.as_slice() < s && s <= key.as_slice());
        }
    }

    /// Stores written today must be read for ever: these bytes may never change.
    #[test]
    fn the_run_is_the_one_on_disk() {
        let records = BTreeMap::from([(b"user/ann".to_vec(), Some(b"1".to_vec())), (b"user/bob".to_vec(), None)]);
        let run = encode(b"user/", &records);
        assert_eq!(run, b"\x05\x03ann\x02\x31\x05\x03bob\x00");
    }

    #[test]
    fn keys_out_of_order_are_broken() {
        let mut run = Vec::new();
        put_record(&mut run, b"", b"b", None);
        put_record(&mut run, b"b", b"a", None);
        assert_eq!(decode(b"", &run), Err(BrokenRun));
        let mut twice = Vec::new();
        put_record(&mut twice, b"", b"b", None);
        put_record(&mut twice, b"b", b"b", None);
        assert_eq!(decode(b"", &twice), Err(BrokenRun));
        let mut below = Vec::new();
        put_record(&mut below, b"", b"a", None);
        assert_eq!(decode(b"b", &below), Err(BrokenRun), "a record below its page");
    }
}
