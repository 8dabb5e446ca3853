//! The steps of the pipeline by hand, on one thread: shipped content, simulated traffic, a worker, a detector.
//!
//! Also used by `tests/allocations.rs`. No threads, no store, no sinks.

use exfil_agent::batch::{EventBatch, Format, KeyHasher, Position, RawBatch, Remember};
use exfil_agent::calendar::Zone;
use exfil_agent::config::Settings;
use exfil_agent::content::{self, Content};
use exfil_agent::detect::{Clock, Detector};
use exfil_agent::enrich::Enricher;
use exfil_agent::event::{EventType, FieldSet};
use exfil_agent::extract::Extractor;
use exfil_agent::pipeline;
use exfil_agent::rule::Screen;
use exfil_agent::simulate::{self, Profile};
use exfil_agent::source::csv_record;
use exfil_agent::state::State;
use exfil_agent::worker::{Visit, Worker};
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};

/// About how many bytes the source hands on at once.
const BATCH_BYTES: usize = 256 * 1024;

/// Content and what follows from it.
pub struct Stage {
    pub settings: Settings,
    pub content: Arc<Content>,
    pub screen: Arc<Screen>,
    pub wanted: [FieldSet; EventType::COUNT],
    hasher: KeyHasher,
}

impl Stage {
    pub fn new() -> Stage {
        Stage::with(Settings::default())
    }

    /// Under other settings than the default.
    pub fn with(settings: Settings) -> Stage {
        let content = Arc::new(content::load(&settings.detection).unwrap_or_else(|f| panic!("{f}")));
        let screen = Arc::new(Screen::new(&content.rules, &content.models));
        let wanted = content::wanted(&screen, &Enricher::new(&content.tables));
        Stage { settings, content, screen, wanted, hasher: KeyHasher::default() }
    }

    fn extractor(&self) -> Extractor {
        Extractor::new(Arc::clone(&self.content), self.wanted, vec![Zone::utc()])
    }

    pub fn worker(&self) -> Worker {
        let visits = Visit::of(&self.content.rules);
        let longest = self.settings.limits.max_command_chars;
        Worker::new(self.extractor(), Arc::clone(&self.screen), Zone::utc(), self.hasher.clone(), longest, visits)
    }

    pub fn state(&self) -> State {
        let bounds = pipeline::bounds(&self.content, &self.settings).unwrap();
        State::new(pipeline::names(&self.content), bounds, self.hasher.clone())
    }

    /// Over an empty state, with a clock that no event is ahead of.
    pub fn detector(&self) -> Detector {
        let (detection, limits) = (self.settings.detection.clone(), self.settings.limits.clone());
        let content = Arc::clone(&self.content);
        let mut detector = Detector::new(content, detection, limits, None, self.extractor(), self.state());
        detector.set_clock(Clock { today: simulate::DEFAULT_START + 365, detected_ms: None });
        detector
    }

    /// All traffic of a format, screened.
    pub fn screened(&self, format: Format) -> Vec<EventBatch> {
        let mut worker = self.worker();
        let pieces = traffic().iter().filter(|piece| piece.format == format);
        pieces.map(|p| worker.screen(p.batch(p.data.clone()), &self.content.parsers, EventBatch::default())).collect()
    }
}

/// Whole records of one file.
pub struct Piece {
    pub path: Arc<str>,
    pub format: Format,
    /// The header in force, which does not stand in `data`.
    pub header: Option<Arc<[u8]>>,
    pub data: Vec<u8>,
}

impl Piece {
    /// As the source hands it on; `data` is a copy of its own, perhaps in memory used before.
    pub fn batch(&self, data: Vec<u8>) -> RawBatch {
        let header = self.header.as_ref().map(|header| header.to_vec());
        let position = Position { path: PathBuf::from(&*self.path), header, ..Position::default() };
        RawBatch {
            format: Some(self.format),
            header: self.header.clone(),
            data,
            ..RawBatch::empty(1, Arc::clone(&self.path), Remember::Position(Box::new(position)))
        }
    }
}

/// Two days of an office in which many events teach something: process, file, web, print and session events, CEF and CSV,
/// in pieces as large as a batch. Always the same.
pub fn traffic() -> &'static [Piece] {
    static TRAFFIC: LazyLock<Vec<Piece>> = LazyLock::new(|| {
        let dir = tempfile::tempdir().unwrap();
        let files = simulate::FileLayout { csv_exports: true, malformed: false };
        let profile = Profile::Training;
        let office = simulate::Options { users: 240, days: 2, rate: 4.0, profile, files, ..Default::default() };
        let summary = simulate::write(&office, dir.path()).unwrap();
        let read = |name: &str| (name.to_owned(), std::fs::read(dir.path().join("spool").join(name)).unwrap());
        summary.files.iter().flat_map(|file| pieces(read(&file.name))).collect()
    });
    &TRAFFIC
}

/// The records of all pieces of a format, in one text.
pub fn text_of(format: Format) -> Vec<u8> {
    traffic().iter().filter(|piece| piece.format == format).flat_map(|piece| piece.data.iter().copied()).collect()
}

/// A file in pieces of about the size of a batch.
pub fn pieces((name, text): (String, Vec<u8>)) -> Vec<Piece> {
    let format = if name.ends_with(".csv") { Format::Csv } else { Format::Cef };
    let path: Arc<str> = name.into();
    let mut pieces: Vec<Piece> = Vec::new();
    let mut header: Option<Arc<[u8]>> = None;
    let mut rest = &text[..];
    while !rest.is_empty() {
        let (record, behind) = rest.split_at(record_len(rest, format));
        rest = behind;
        // An export that was interrupted writes its header again.
        if format == Format::Csv && record == &**header.get_or_insert_with(|| record.into()) {
            continue;
        }
        match pieces.last_mut().filter(|piece| piece.data.len() < BATCH_BYTES) {
            Some(piece) => piece.data.extend_from_slice(record),
            None => {
                let (path, header) = (Arc::clone(&path), header.clone());
                pieces.push(Piece { path, format, header, data: record.to_vec() });
            }
        }
    }
    pieces
}

/// The length of the first record, with its line end.
pub fn record_len(text: &[u8], format: Format) -> usize {
    match format {
        Format::Cef => memchr::memchr(b'\n', text).map_or(text.len(), |end| end + 1),
        Format::Csv => csv_record(text).0,
    }
}
