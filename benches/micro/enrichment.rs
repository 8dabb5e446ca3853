//! Keys of users, hosts and processes, domains and flags, from the fields of an event.

use crate::parsing::records;
use crate::stage::{Stage, text_of};
use divan::{Bencher, counter::ItemsCount};
use exfil_agent::batch::Format;
use exfil_agent::enrich::Enricher;
use exfil_agent::event::{Counts, Draft};
use exfil_agent::parse::{Extract, Scratch, Workspace};

/// Events as the parser leaves them, with their text.
pub struct Parsed {
    pub raw: Vec<u8>,
    pub arena: Vec<u8>,
    pub events: Vec<Draft>,
}

impl Parsed {
    pub fn new(stage: &Stage) -> Parsed {
        let raw = text_of(Format::Cef);
        let (mut arena, mut oddities, mut scratch) = (Vec::new(), Counts::default(), Scratch::default());
        let one = |record| {
            let mut draft = Draft::default();
            let mut work = Workspace {
                raw: &raw,
                arena: &mut arena,
                draft: &mut draft,
                oddities: &mut oddities,
                scratch: &mut scratch,
            };
            stage.content.parsers.parse_cef(&mut work, record, Extract::Wanted).unwrap();
            draft
        };
        let events = records(&raw, Format::Cef).into_iter().map(one).collect();
        Parsed { raw, arena, events }
    }

    /// Adds the enriched fields to all events.
    pub fn enrich(&mut self, stage: &Stage, enricher: &mut Enricher) {
        let mut oddities = Counts::default();
        for draft in &mut self.events {
            let wanted = stage.wanted[draft.kind.index()];
            enricher.enrich(&self.raw, &mut self.arena, draft, wanted, &mut oddities);
        }
    }
}

/// Programs that are met for the first time.
#[divan::bench]
fn enrich(bencher: Bencher<'_, '_>) {
    run(bencher, false);
}

/// Programs that this worker has met before.
#[divan::bench]
fn enrich_again(bencher: Bencher<'_, '_>) {
    run(bencher, true);
}

fn run(bencher: Bencher<'_, '_>, again: bool) {
    let stage = Stage::new();
    let (parsed, mut enricher) = (Parsed::new(&stage), Enricher::new(&stage.content.tables));
    // The arena does not grow while the clock runs: in a batch it has its size from the one before.
    let copy = || {
        let mut arena = Vec::with_capacity(parsed.arena.len() + parsed.raw.len());
        arena.extend_from_slice(&parsed.arena);
        Parsed { raw: parsed.raw.clone(), arena, events: parsed.events.clone() }
    };
    let bencher = bencher.counter(ItemsCount::new(parsed.events.len()));
    bencher.with_inputs(copy).bench_local_refs(|parsed| {
        if !again {
            enricher = Enricher::new(&stage.content.tables);
        }
        parsed.enrich(&stage, &mut enricher);
    });
}
