//! The state into records and back: what a commit encodes, what a start decodes.

use crate::stage::Stage;
use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use exfil_agent::batch::Format;
use exfil_agent::detect::Detector;
use exfil_agent::store::{Delta, Record};
use std::collections::BTreeMap;

/// Everything learned from the traffic, not yet encoded.
fn learned(stage: &Stage) -> Detector {
    let (mut detector, mut raised) = (stage.detector(), Vec::new());
    stage.screened(Format::Cef).iter().for_each(|batch| detector.judge(batch, &mut raised));
    detector
}

fn sizes(delta: &Delta) -> (ItemsCount, BytesCount) {
    (ItemsCount::new(delta.len()), BytesCount::new(delta.bytes()))
}

/// All changes of some batches, as one delta.
#[divan::bench(sample_count = 20)]
fn encode(bencher: Bencher<'_, '_>) {
    let stage = Stage::new();
    let (records, bytes) = sizes(&learned(&stage).state.drain(Delta::default()));
    let bencher = bencher.counter(records).counter(bytes);
    bencher.with_inputs(|| learned(&stage)).bench_local_refs(|detector| detector.state.drain(Delta::default()));
}

/// The same records, as a start reads them from the store.
#[divan::bench]
fn decode(bencher: Bencher<'_, '_>) {
    let stage = Stage::new();
    let delta = learned(&stage).state.drain(Delta::default());
    let live = delta.iter().filter_map(|(key, value)| Some((key.to_vec(), value?.to_vec())));
    let pairs: Vec<Record> = live.collect::<BTreeMap<_, _>>().into_iter().collect();
    let (records, bytes) = sizes(&delta);
    let bencher = bencher.counter(records).counter(bytes);
    bencher.with_inputs(|| (stage.state(), pairs.clone())).bench_local_values(|(mut state, pairs)| {
        state.restore(pairs, usize::MAX).unwrap();
        state
    });
}
