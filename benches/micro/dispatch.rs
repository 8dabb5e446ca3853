//! Which rules' and models' conditions hold for an event: the screen over all of them.

use crate::enrichment::Parsed;
use crate::stage::Stage;
use divan::{Bencher, counter::ItemsCount};
use exfil_agent::enrich::Enricher;
use exfil_agent::event::{EventView, Text};
use exfil_agent::rule::Judge;
use std::sync::Arc;

/// Every event for the first time.
#[divan::bench]
fn screen(bencher: Bencher<'_, '_>) {
    run(bencher, false);
}

/// Events that this worker has judged before.
#[divan::bench]
fn screen_again(bencher: Bencher<'_, '_>) {
    run(bencher, true);
}

fn run(bencher: Bencher<'_, '_>, again: bool) {
    let stage = Stage::new();
    let mut parsed = Parsed::new(&stage);
    parsed.enrich(&stage, &mut Enricher::new(&stage.content.tables));
    let text = Text { raw: &parsed.raw, arena: &parsed.arena };
    let new = || Judge::new(Arc::clone(&stage.screen), stage.settings.limits.max_command_chars);
    let mut judge = new();
    let (mut hits, mut trainings) = (Vec::new(), Vec::new());
    bencher.counter(ItemsCount::new(parsed.events.len())).bench_local(|| {
        if !again {
            judge = new();
        }
        hits.clear();
        trainings.clear();
        for draft in &parsed.events {
            judge.judge(EventView { draft, text }, &mut hits, &mut trainings);
        }
        (hits.len(), trainings.len())
    });
}
