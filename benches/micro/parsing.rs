//! A record into an event: its spans alone, and with the fields that somebody reads.
//!
//! The spans of CEF are found whatever is wanted: what the field map costs is the difference to `cef_spans`.

use crate::stage::{Stage, record_len, text_of, traffic};
use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use exfil_agent::batch::Format;
use exfil_agent::calendar::Zone;
use exfil_agent::content;
use exfil_agent::event::{Counts, Draft, EventType, FieldSet, Span};
use exfil_agent::parse::{Extract, ParserTable, Scratch, Workspace};

/// The records of a text, without their line ends.
pub fn records(text: &[u8], format: Format) -> Vec<Span> {
    let (mut spans, mut at) = (Vec::new(), 0);
    while at < text.len() {
        let len = record_len(&text[at..], format);
        spans.push(Span::raw(at, at + text[at..at + len].trim_ascii_end().len()));
        at += len;
    }
    spans
}

/// Key spans, the claim on the line and its time: no field is wanted.
#[divan::bench]
fn cef_spans(bencher: Bencher<'_, '_>) {
    let stage = Stage::new();
    let mut content = content::load(&stage.settings.detection).unwrap();
    content.parsers.set_wanted([FieldSet::default(); EventType::COUNT]);
    cef(bencher, &content.parsers, Extract::Wanted);
}

/// And the fields that rules and models read.
#[divan::bench]
fn cef_fields(bencher: Bencher<'_, '_>) {
    cef(bencher, &Stage::new().content.parsers, Extract::Wanted);
}

/// And all others, as for an event that is shown.
#[divan::bench]
fn cef_all_fields(bencher: Bencher<'_, '_>) {
    cef(bencher, &Stage::new().content.parsers, Extract::All);
}

fn cef(bencher: Bencher<'_, '_>, parsers: &ParserTable, extract: Extract) {
    let text = text_of(Format::Cef);
    parse(bencher, &text, Format::Cef, |work, record| parsers.parse_cef(work, record, extract).is_ok());
}

/// Cells by the names of a header, and the fields that rules and models read.
#[divan::bench]
fn csv_fields(bencher: Bencher<'_, '_>) {
    let (stage, text, zone) = (Stage::new(), text_of(Format::Csv), Zone::utc());
    let parsers = &stage.content.parsers;
    let header = traffic().iter().find_map(|piece| piece.header.clone()).unwrap();
    let columns = parsers.csv_header(header.trim_ascii_end()).unwrap();
    parse(bencher, &text, Format::Csv, |work, record| {
        parsers.parse_csv(work, record, Some(&columns), &zone, Extract::Wanted).is_ok()
    });
}

fn parse(bencher: Bencher<'_, '_>, text: &[u8], format: Format, mut one: impl FnMut(&mut Workspace<'_>, Span) -> bool) {
    let records = records(text, format);
    let (mut arena, mut draft, mut oddities, mut scratch) =
        (Vec::new(), Draft::default(), Counts::default(), Scratch::default());
    bencher.counter(BytesCount::new(text.len())).counter(ItemsCount::new(records.len())).bench_local(|| {
        arena.clear();
        let mut work = Workspace {
            raw: text,
            arena: &mut arena,
            draft: &mut draft,
            oddities: &mut oddities,
            scratch: &mut scratch,
        };
        let parsed = records.iter().filter(|record| one(&mut work, **record)).count();
        assert_eq!(parsed, records.len(), "the traffic has no record that is no event");
    });
}
