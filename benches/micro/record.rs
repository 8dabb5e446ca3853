//! The state into records and back: what a commit encodes, what a start decodes.

use crate::stage::Stage;
use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use exfil_agent::batch::Format;
use exfil_agent::detect::Detector;
use exfil_agent::store::{Edit, Record};
use std::collections::BTreeMap;

/// Everything learned from the traffic, not yet encoded.
fn learned(stage: &Stage) -> Detector {
    let (mut detector, mut raised) = (stage.detector(), Vec::new());
    stage.screened(Format::Cef).iter().for_each(|batch| detector.judge(batch, &mut raised));
    detector
}

fn sizes(edits: &[Edit]) -> (ItemsCount, BytesCount) {
    (ItemsCount::new(edits.len()), BytesCount::new(edits.iter().map(Edit::size).sum::<usize>()))
}

/// All changes of some batches, as one delta's edits.
#[divan::bench(sample_count = 20)]
fn encode(bencher: Bencher<'_, '_>) {
    let stage = Stage::new();
    let (records, bytes) = sizes(&learned(&stage).state.drain());
    let bencher = bencher.counter(records).counter(bytes);
    bencher.with_inputs(|| learned(&stage)).bench_local_refs(|detector| detector.state.drain());
}

/// The same records, as a start reads them from the store.
#[divan::bench]
fn decode(bencher: Bencher<'_, '_>) {
    let stage = Stage::new();
    let edits = learned(&stage).state.drain();
    let live = edits.iter().filter_map(|edit| Some((edit.key().to_vec(), edit.value()?.to_vec())));
    let pairs: Vec<Record> = live.collect::<BTreeMap<_, _>>().into_iter().collect();
    let (records, bytes) = sizes(&edits);
    let bencher = bencher.counter(records).counter(bytes);
    bencher.with_inputs(|| (stage.state(), pairs.clone())).bench_local_values(|(mut state, pairs)| {
        state.restore(pairs).unwrap();
        state
    });
}
