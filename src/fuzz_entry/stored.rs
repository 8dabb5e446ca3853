//! Target `stored`: whatever bytes a stored value has, reading it gives a value or an error, and what was read is written
//! back to the same.
//!
//! Mounted in `store`. A new kind of file or value gets a line in [`stored`].

#![allow(clippy::panic, clippy::indexing_slicing)] // a property that does not hold is a panic

use super::codec;
use super::envelope::{self, FORMAT, Kind, PLAIN_STREAMS};
use super::layer::Layer;
use super::packed;
use super::page;
use super::root::{Root, digest_of};
use super::run::{self, Reader};
use super::{snapshot, witness};
use crate::alert::Alert;
use crate::batch::KeyHasher;
use crate::fuzz_entry::split_choice;
use crate::model::histogram::Bounds;
use crate::state::State;
use crate::state::key::Key;
use crate::state::names::Names;
use crate::state::record::{
    AgentRecord, BinRecord, EntityRecord, FileRecord, GuardRecord, InstanceRecord, SinkRecord, SuppressedRecord,
};
use serde::{Serialize, de::DeserializeOwned};
use std::sync::Arc;

/// The target. Steering: what the rest is taken for.
pub fn stored(data: &[u8]) {
    let (choice, bytes) = split_choice(data);
    match choice % 20 {
        0 => record::<EntityRecord>(bytes),
        1 => record::<InstanceRecord>(bytes),
        2 => record::<BinRecord>(bytes),
        3 => record::<GuardRecord>(bytes),
        4 => record::<SuppressedRecord>(bytes),
        5 => record::<FileRecord>(bytes),
        6 => record::<SinkRecord>(bytes),
        7 => record::<AgentRecord>(bytes),
        8 => record::<Alert>(bytes),
        9 => key(bytes),
        10 => sealed(bytes),
        11 => run_of_records(bytes),
        12 => page_stream(bytes),
        13 => root(bytes),
        14 => witness_file(bytes),
        15 => stream_in_parts(bytes),
        16 => working_set(bytes),
        17 => packed_stream(bytes),
        18 => snapshot_file(bytes),
        _ => delta(bytes),
    }
}

/// A snapshot: whatever is accepted is in order, and is accepted again when it is written anew.
fn snapshot_file(bytes: &[u8]) {
    let _ = snapshot::read_from(bytes, u16::MAX, |_, _| Ok(()));
    let mut records: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
    let mut digest = 0u128;
    let Ok(file) = snapshot::framed(bytes, 0, 0) else { return };
    // The count and the digest at the end are wrong, so it fails there at the latest.
    let gather = |key: &[u8], value: &[u8]| {
        digest = digest.wrapping_add(digest_of(key, value));
        records.push((key.to_vec(), value.to_vec()));
        Ok(())
    };
    let _ = snapshot::read_from(file.as_slice(), u16::MAX, gather);
    assert!(records.windows(2).all(|w| w[0].0 < w[1].0), "keys ascend");
    let Ok(file) = snapshot::framed(bytes, records.len() as u64, digest) else { return };
    let mut again = Vec::new();
    let read = snapshot::read_from(file.as_slice(), u16::MAX, |key, value| {
        again.push((key.to_vec(), value.to_vec()));
        Ok(())
    });
    if let Ok(about) = read {
        assert_eq!(about.records, again.len() as u64);
        assert!(again == records);
    }
}

/// A typed record: decoding accepts nothing that encoding does not give back.
fn record<T: Serialize + DeserializeOwned>(bytes: &[u8]) {
    let Ok(value) = codec::decode::<T>(bytes) else { return };
    let written = codec::encode(&value);
    assert!(written.len() <= bytes.len(), "the shortest form is written");
    match codec::decode::<T>(&written) {
        Ok(again) => assert_eq!(codec::encode(&again), written),
        Err(e) => panic!("what was written cannot be read: {e}"),
    }
}

/// Keys have one form only, or two records could have the same key.
fn key(bytes: &[u8]) {
    if let Some(key) = Key::decode(bytes) {
        assert_eq!(*key.encode(), *bytes, "{key:?}");
    }
}

/// An envelope that is accepted is the one that would be written, and one flipped bit spoils it.
fn sealed(bytes: &[u8]) {
    for kind in [Kind::Root, Kind::Delta, Kind::Page] {
        if let Ok((version, payload)) = envelope::unseal(kind, bytes) {
            let again = envelope::seal(kind, &[payload]);
            assert_eq!(version == FORMAT, again == bytes);
        }
        let sealed = envelope::seal(kind, &[bytes]);
        assert_eq!(envelope::unseal(kind, &sealed), Ok((FORMAT, bytes)));
        let bit =
            bytes.iter().fold(0_usize, |n, b| n.wrapping_mul(31).wrapping_add(usize::from(*b))) % (sealed.len() * 8);
        let mut spoiled = sealed;
        if let Some(byte) = spoiled.get_mut(bit / 8) {
            *byte ^= 1 << (bit % 8);
        }
        assert!(envelope::unseal(kind, &spoiled).is_err(), "bit {bit}");
    }
}

/// A run is read to its end or is broken; its keys ascend, and written again it reads the same.
fn run_of_records(bytes: &[u8]) {
    let (low_len, rest) = split_choice(bytes);
    let (low, input) = rest.split_at(usize::from(low_len % 16).min(rest.len()));
    let Some(records) = read_run(low, input) else { return };
    let (mut again, mut last) = (Vec::new(), low.to_vec());
    for (i, (key, value)) in records.iter().enumerate() {
        assert!(key.as_slice() > last.as_slice() || (i == 0 && key == &last), "keys ascend");
        let before = again.len();
        run::put_record(&mut again, &last, key, value.as_deref());
        assert_eq!(again.len() - before, run::encoded_len(&last, key, value.as_deref()));
        last.clone_from(key);
    }
    assert!(again.len() <= input.len(), "the shortest form is written");
    assert_eq!(read_run(low, &again), Some(records));
}

type RunRecords = Vec<(Vec<u8>, Option<Vec<u8>>)>;

fn read_run(low: &[u8], input: &[u8]) -> Option<RunRecords> {
    let mut reader = Reader::new(low, input);
    let mut records = Vec::new();
    while reader.advance().ok()? {
        records.push((reader.key().to_vec(), reader.value().map(<[u8]>::to_vec)));
    }
    Some(records)
}

fn page_stream(bytes: &[u8]) {
    if let Ok((low, records, run)) = page::parse(bytes) {
        let mut again = Vec::new();
        page::put_head(&mut again, low, records);
        again.extend_from_slice(run);
        assert_eq!(page::parse(&again), Ok((low, records, run)));
    }
}

fn root(bytes: &[u8]) {
    if let Ok(root) = Root::unseal(bytes) {
        let newest = bytes.get(2..4) == Some(FORMAT.to_le_bytes().as_slice());
        assert_eq!(newest, root.seal() == bytes);
    }
    // The fields themselves, which a random checksum never reaches.
    if let Ok(root) = Root::unseal(&envelope::seal(Kind::Root, &[bytes])) {
        assert_eq!(Root::unseal(&root.seal()), Ok(root));
    }
}

fn witness_file(bytes: &[u8]) {
    if let Some((id, epoch)) = witness::parse(bytes) {
        assert_eq!(witness::compose(id, epoch), bytes);
    }
    if let Some((id, rest)) = bytes.split_first_chunk::<16>() {
        let epoch = rest.iter().fold(0_u64, |n, b| n << 8 | u64::from(*b));
        assert_eq!(witness::parse(&witness::compose(*id, epoch)), Some((*id, epoch)));
    }
}

/// Whatever is unpacked is no longer than its blocks may be, and comes back when it is packed again.
fn packed_stream(bytes: &[u8]) {
    let mut stream = Vec::new();
    if packed::unpack(FORMAT, bytes, &mut stream).is_ok() {
        assert!(stream.len() <= bytes.len() * packed::BLOCK_BYTES);
    }
    for stream in [stream.as_slice(), bytes] {
        let mut back = Vec::new();
        assert_eq!(packed::unpack(FORMAT, &packed::pack(stream), &mut back), Ok(()));
        assert_eq!(back, stream);
    }
}

/// A delta that is accepted holds the records of its stream, wherever that was cut.
fn delta(bytes: &[u8]) {
    for format in [PLAIN_STREAMS, FORMAT] {
        let Ok(layer) = Layer::read(format, bytes.to_vec()) else { continue };
        let (layer, mut stream) = (Arc::new(layer), Vec::new());
        assert_eq!(packed::unpack(format, bytes, &mut stream), Ok(()));
        let mut run = stream.as_slice();
        assert_eq!(run::take_number(&mut run), Ok(layer.len()));
        let mut plain = Reader::new(b"", run);
        let mut records = layer.seek(b"").unwrap_or_else(|e| panic!("accepted, and then {e:?}"));
        while plain.advance().unwrap_or_else(|e| panic!("accepted, and then {e:?}")) {
            let ours = records.as_mut().map(|reader| (reader.key(), reader.value()));
            assert_eq!(ours, Some((plain.key(), plain.value())));
            if !records.as_mut().is_some_and(|reader| reader.advance() == Ok(true)) {
                records = None;
            }
        }
        assert!(records.is_none(), "a record that the stream has not");
    }
}

/// A stream comes back from its parts, none of which is too large.
fn stream_in_parts(bytes: &[u8]) {
    let (times, piece) = split_choice(bytes);
    let stream = piece.repeat(usize::from(times) + 1);
    let Some(parts) = envelope::cut(Kind::Delta, &stream) else { return };
    let mut back = Vec::new();
    for (n, value) in parts {
        assert!(value.len() <= envelope::MAX_VALUE_BYTES);
        match envelope::part(Kind::Delta, &value) {
            Ok(part) => {
                assert!(n < part.count && usize::from(part.count) == envelope::part_count(stream.len()));
                back.extend_from_slice(part.piece);
            }
            Err(what) => panic!("{what}"),
        }
    }
    assert_eq!(back, stream);
}

/// The working set is rebuilt from whatever a sound page holds, or says which record it cannot read. What it then writes
/// is what it was rebuilt from.
fn working_set(bytes: &[u8]) {
    let Some(records) = read_run(b"", bytes) else { return };
    let pairs = records.into_iter().filter_map(|(key, value)| Some((key, value?)));
    let names = Names { rules: vec!["R".into()], models: vec!["M".into()] };
    let bounds = vec![Bounds { window_days: 30, max_bins: 8, rank_days: Some(7) }];
    let mut state = State::new(names, bounds, KeyHasher::default());
    if let Err(bad) = state.restore(pairs, usize::MAX) {
        assert!(!bad.to_string().is_empty());
        return;
    }
    assert!(state.is_clean(), "what was read back has not changed");
}
