//! Files into records: the source as it is, from a file in the page cache to batches, and the cutting of CSV alone.

use crate::stage::{Stage, text_of};
use divan::{Bencher, counter::BytesCount};
use exfil_agent::batch::Format;
use exfil_agent::config::FormatSetting;
use exfil_agent::content::Content;
use exfil_agent::source::{self, Mode, Sniff, SourceOptions, SourceStatus, Stop, csv_record};
use std::path::Path;
use std::sync::Arc;

/// Answers as the pipeline does; the order of files is of no interest here.
struct Formats(Arc<Content>);

impl Sniff for Formats {
    fn sniff(&self, record: &[u8], csv_by_position: bool) -> Option<Format> {
        self.0.parsers.sniff(record, csv_by_position)
    }
    fn is_csv_header(&self, record: &[u8]) -> bool {
        self.0.parsers.csv_header(record).is_some()
    }
    fn record_time(&self, _: &[u8]) -> Option<i64> {
        None
    }
    fn header_mark(&self) -> &[u8] {
        self.0.parsers.csv_header_mark()
    }
}

/// Reads a file of some megabytes to its end; the start of a thread is part of it.
#[divan::bench(args = [Format::Cef, Format::Csv])]
fn read_and_cut(bencher: Bencher<'_, '_>, format: Format) {
    let (stage, dir) = (Stage::new(), tempfile::tempdir().unwrap());
    let path = dir.path().join("spool.log");
    let header = crate::stage::traffic().iter().filter(|p| p.format == format).find_map(|p| p.header.clone());
    let text = [header.as_deref().unwrap_or_default(), &text_of(format).repeat(4)].concat();
    std::fs::write(&path, &text).unwrap();
    bencher.counter(BytesCount::new(text.len())).bench_local(|| assert_eq!(bytes_cut(&stage, &path), text.len()));
}

fn bytes_cut(stage: &Stage, path: &Path) -> usize {
    let (out, batches) = crossbeam_channel::bounded(stage.settings.limits.max_batches);
    let (used, recycled) = crossbeam_channel::bounded(16);
    let options = SourceOptions {
        mode: Mode::Once { paths: vec![path.into()], format: FormatSetting::Auto },
        limits: stage.settings.limits.clone(),
        known: Vec::new(),
        sniff: Arc::new(Formats(Arc::clone(&stage.content))),
        refuse_files: Vec::new(),
        most_batches: usize::MAX,
        late_days: stage.settings.detection.late_days,
    };
    let source = source::spawn(options, out, recycled, Stop::never(), Arc::new(SourceStatus::default())).unwrap();
    let mut bytes = 0;
    for batch in batches {
        bytes += batch.data.len();
        let _ = used.try_send(batch.data);
    }
    source.join().unwrap();
    bytes
}

/// Where each record of a CSV text ends.
#[divan::bench]
fn csv_records(bencher: Bencher<'_, '_>) {
    let text = text_of(Format::Csv);
    bencher.counter(BytesCount::new(text.len())).bench_local(|| {
        let (mut at, mut records) = (0, 0);
        while at < text.len() {
            at += csv_record(&text[at..]).0;
            records += 1;
        }
        records
    });
}
