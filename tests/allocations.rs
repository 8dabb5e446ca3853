//! Allocations on the hot path, counted: what the agent does for an event that teaches it nothing new takes no memory.
//!
//! A binary of its own, because the crate that counts takes the place of the allocator. It counts for each thread alone.
//! The traffic is that of the micro-benchmarks: process, file, web, print and session events of an office, CEF and CSV,
//! some of them with invalid UTF-8, some of which rules and models ask for.

#![allow(missing_docs)]
// Tests say what went wrong by panicking.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

#[path = "../benches/micro/stage.rs"]
#[allow(dead_code)] // the micro-benchmarks are built with it too, and use other parts
mod stage;

use allocation_counter::measure;
use exfil_agent::batch::{EventBatch, Format};
use exfil_agent::detect::Detector;
use stage::{Piece, Stage, traffic};
use std::hint::black_box;

/// Events counted at least; all of the traffic.
const EVENTS: usize = 10_000;

/// What the position of a file takes, which is remembered once a batch: its path, and in CSV the header in force.
const PER_BATCH: u64 = 2;

const FORMATS: [Format; 2] = [Format::Cef, Format::Csv];

#[test]
fn an_allocation_is_counted() {
    assert_eq!(measure(|| drop(black_box(Box::new(1)))).count_total, 1);
}

#[test]
fn a_worker_takes_no_memory_once_its_buffers_have_their_size() {
    for format in FORMATS {
        let stage = Stage::new();
        let mut worker = stage.worker();
        let pieces: Vec<&Piece> = traffic().iter().filter(|piece| piece.format == format).collect();
        let mut out = EventBatch::default();
        let mut screen = |piece: &Piece| {
            let mut buffer = std::mem::take(&mut out.raw);
            buffer.clear();
            buffer.extend_from_slice(&piece.data);
            let (batch, room) = (piece.batch(buffer), std::mem::take(&mut out));
            let taken = measure(|| out = worker.screen(batch, &stage.content.parsers, room)).count_total;
            assert!(out.tally.adds_up() && out.rejected.is_empty());
            (out.events.len(), taken)
        };
        for piece in &pieces {
            screen(piece);
        }
        let mut events = 0;
        while events < EVENTS {
            for piece in &pieces {
                let (screened, taken) = screen(piece);
                assert_eq!(taken, 0, "{format:?}, {screened} events of {}", piece.path);
                events += screened;
            }
        }
    }
}

/// Judges what it has judged before until there were enough events. How much memory was taken how often, and by how many
/// batches.
fn judged_again(detector: &mut Detector, batches: &[EventBatch]) -> (u64, u64) {
    let (mut events, mut taken, mut judged) = (0, 0, 0);
    let mut raised = Vec::new();
    while events < EVENTS {
        for batch in batches {
            taken += measure(|| detector.judge(batch, &mut raised)).count_total;
            assert!(raised.is_empty(), "what has fired fires again");
            (events, judged) = (events + batch.events.len(), judged + 1);
        }
    }
    (taken, judged)
}

#[test]
fn detection_takes_no_memory_for_an_event_that_teaches_nothing_new() {
    for format in FORMATS {
        let stage = Stage::new();
        let batches = stage.screened(format);
        let mut detector = stage.detector();
        let mut raised = Vec::new();
        batches.iter().for_each(|batch| detector.judge(batch, &mut raised));
        let repeats = |detector: &Detector| detector.state.guards.iter().map(|(_, n)| n).sum::<u64>();
        let before = repeats(&detector);
        assert!(!raised.is_empty() && batches.iter().any(|batch| !batch.trainings.is_empty()), "something was learned");
        // Once more: guards that come again for the first time are listed for the next commit.
        judged_again(&mut detector, &batches);
        let (taken, judged) = judged_again(&mut detector, &batches);
        assert!(taken <= judged * PER_BATCH, "{format:?}: {taken} allocations for {judged} batches");
        assert!(repeats(&detector) > before, "known alerts came again");

        // After a commit the lists of what changed grow anew: by doubling.
        detector.state.drain(exfil_agent::store::Delta::default());
        let (taken, judged) = judged_again(&mut detector, &batches);
        assert!(
            taken <= judged * PER_BATCH + 32,
            "{format:?}: {taken} allocations for {judged} batches after a commit"
        );
    }
}
