//! The same steps as a batch goes through them: a worker's whole work, and detection's.

use crate::stage::{Stage, traffic};
use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use exfil_agent::batch::{EventBatch, Format};

/// Cut, parsed, enriched and screened.
#[divan::bench(args = [Format::Cef, Format::Csv])]
fn worker(bencher: Bencher<'_, '_>, format: Format) {
    let stage = Stage::new();
    let piece = traffic().iter().filter(|p| p.format == format).max_by_key(|p| p.data.len()).unwrap();
    let (mut worker, mut out) = (stage.worker(), EventBatch::default());
    let mut screen = |data| {
        out = worker.screen(piece.batch(data), &stage.content.parsers, std::mem::take(&mut out));
        out.events.len()
    };
    let events = screen(piece.data.clone());
    let bencher = bencher.counter(BytesCount::new(piece.data.len())).counter(ItemsCount::new(events));
    bencher.with_inputs(|| piece.data.clone()).bench_local_values(screen);
}

/// Events that teach nothing new: scored, judged, not trained again.
#[divan::bench]
fn judge_known(bencher: Bencher<'_, '_>) {
    let stage = Stage::new();
    let batches = stage.screened(Format::Cef);
    let (mut detector, mut raised) = (stage.detector(), Vec::new());
    batches.iter().for_each(|batch| detector.judge(batch, &mut raised));
    bencher.counter(events(&batches)).bench_local(|| {
        batches.iter().for_each(|batch| detector.judge(batch, &mut raised));
        assert!(std::mem::take(&mut raised).len() < 100_000);
    });
}

/// All events of two days for a detector that knows nothing yet: entities are made, models trained, alerts raised.
#[divan::bench(sample_count = 20)]
fn judge_all_new(bencher: Bencher<'_, '_>) {
    let stage = Stage::new();
    let batches = stage.screened(Format::Cef);
    let bencher = bencher.counter(events(&batches));
    bencher.with_inputs(|| (stage.detector(), Vec::new())).bench_local_refs(|(detector, raised)| {
        batches.iter().for_each(|batch| detector.judge(batch, raised));
    });
}

fn events(batches: &[EventBatch]) -> ItemsCount {
    ItemsCount::new(batches.iter().map(|batch| batch.events.len()).sum::<usize>())
}
