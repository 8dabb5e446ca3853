//! Tests of the source as a whole: what arrives, once and in order, whatever happens to the files.

mod backlog;
mod compressed;
mod copies;
mod cutting;
mod live;
mod model;
mod once;
mod threads;

use super::live::{Live, LiveSettings, Timing};
use super::outlet::Outlet;
use super::*;
use crate::batch::{Refused, Remember};
use crate::event::Reject;
use crossbeam_channel::{Receiver, unbounded};
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

pub(super) const HEADER: &str = "Activity_Type,User_Name,User_Department,User_Location";

/// CEF lines begin with `CEF:`, a time is written `t=<ms>`.
pub(super) struct Fake;

impl Sniff for Fake {
    fn sniff(&self, record: &[u8], csv_by_position: bool) -> Option<Format> {
        if record.starts_with(b"CEF:") {
            return Some(Format::Cef);
        }
        (csv_by_position || self.is_csv_header(record)).then_some(Format::Csv)
    }
    fn is_csv_header(&self, record: &[u8]) -> bool {
        let has = |name: &[u8]| memchr::memmem::find(record, name).is_some();
        has(b"User_Department") && has(b"User_Location") && has(b"User_Name")
    }
    fn record_time(&self, record: &[u8]) -> Option<i64> {
        let text = std::str::from_utf8(record).ok()?;
        let digits = text.split("t=").nth(1)?;
        digits.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
    }
    fn header_mark(&self) -> &[u8] {
        b"User_Department"
    }
}

/// What came out, and what a store would have kept of it.
#[derive(Default)]
pub(super) struct Taken {
    /// Whole lines (or the last piece of a file) with the name of their file, in order of arrival.
    pub(super) lines: Vec<(String, String)>,
    pub(super) refused: Vec<Refused>,
    pub(super) known: BTreeMap<FileId, Position>,
    pub(super) batches: Vec<RawBatch>,
    seq: u64,
}

impl Taken {
    pub(super) fn drain(&mut self, out: &Receiver<RawBatch>) {
        while let Ok(batch) = out.try_recv() {
            self.take(batch);
        }
    }

    pub(super) fn take(&mut self, batch: RawBatch) {
        assert_eq!(batch.seq, self.seq, "numbers have no gap");
        self.seq += 1;
        let name = Path::new(&*batch.path).file_name().unwrap().to_string_lossy().into_owned();
        if !batch.data.is_empty() {
            assert!(batch.format.is_some());
        }
        assert!([0, 3].contains(&batch.skipped), "only a byte order mark is no record: {}", batch.skipped);
        match &batch.remember {
            Remember::Position(p) => {
                assert!(batch.data.is_empty() || p.offset >= batch.offset + batch.data.len() as u64);
                self.known.insert(batch.file, (**p).clone());
            }
            Remember::Forget => {
                self.known.remove(&batch.file);
            }
        }
        for line in batch.data.split_inclusive(|b| *b == b'\n') {
            self.lines.push((name.clone(), String::from_utf8_lossy(line).into_owned()));
        }
        self.refused.extend(batch.refused.iter().cloned());
        self.batches.push(batch);
    }

    pub(super) fn texts(&self) -> Vec<&str> {
        self.lines.iter().map(|(_, line)| line.trim_end_matches(['\r', '\n'])).collect()
    }

    /// A new life after a stop: numbers begin again.
    pub(super) fn restart(&mut self) {
        self.seq = 0;
    }
}

/// A live source over one directory, driven by hand.
pub(super) struct Bench {
    pub(super) dir: tempfile::TempDir,
    pub(super) spool: SpoolSettings,
    pub(super) limits: Limits,
    pub(super) refuse_files: Vec<PathBuf>,
    pub(super) late_days: u32,
    pub(super) sniff: Arc<dyn Sniff>,
    pub(super) taken: Taken,
    pub(super) status: Arc<SourceStatus>,
    live: Option<(Live, Receiver<RawBatch>)>,
}

impl Bench {
    pub(super) fn new() -> Bench {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("spool");
        fs::create_dir(&path).unwrap();
        Bench {
            spool: SpoolSettings { path, ..SpoolSettings::default() },
            dir,
            limits: Limits::default(),
            refuse_files: Vec::new(),
            late_days: 3,
            sniff: Arc::new(Fake),
            taken: Taken::default(),
            status: Arc::default(),
            live: None,
        }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.spool.path.join(name)
    }
    pub(super) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.path(name), bytes).unwrap();
    }
    pub(super) fn append(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let mut file = fs::OpenOptions::new().append(true).create(true).open(self.path(name)).unwrap();
        file.write_all(bytes.as_ref()).unwrap();
    }
    pub(super) fn rename(&self, from: &str, to: &str) {
        fs::rename(self.path(from), self.path(to)).unwrap();
    }
    pub(super) fn remove(&self, name: &str) {
        fs::remove_file(self.path(name)).unwrap();
    }
    /// Copies, then truncates, as `logrotate` does with `copytruncate`.
    pub(super) fn copytruncate(&self, from: &str, to: &str) {
        fs::copy(self.path(from), self.path(to)).unwrap();
        fs::OpenOptions::new().write(true).open(self.path(from)).unwrap().set_len(0).unwrap();
    }
    pub(super) fn compress(&self, from: &str, to: &str) {
        let bytes = fs::read(self.path(from)).unwrap();
        self.write(to, if to.ends_with(".gz") { gz(&bytes) } else { zstd::encode_all(&bytes[..], 3).unwrap() });
        self.remove(from);
    }

    pub(super) fn live(&mut self) -> &mut Live {
        if self.live.is_none() {
            let (send, out) = unbounded();
            let outlet = Outlet::new(send, crossbeam_channel::never(), usize::MAX, Stop::never());
            let settings = LiveSettings {
                spools: vec![self.spool.clone()],
                limits: self.limits.clone(),
                known: self.taken.known.clone().into_iter().collect(),
                sniff: Arc::clone(&self.sniff),
                refuse_files: self.refuse_files.clone(),
                late_days: self.late_days,
            };
            self.status = Arc::default();
            self.live = Some((Live::new(settings, outlet, Arc::clone(&self.status)), out));
        }
        &mut self.live.as_mut().unwrap().0
    }

    /// Looks at the spool and reads all there is.
    pub(super) fn settle(&mut self) {
        self.live().settle();
        let out = self.live.as_ref().unwrap().1.clone();
        self.taken.drain(&out);
    }

    /// Reads all there is and is killed: only the first batches were committed, each with its position.
    pub(super) fn settle_and_kill(&mut self, committed: usize) {
        self.live().settle();
        let out = self.live.as_ref().unwrap().1.clone();
        for batch in out.try_iter().take(committed) {
            self.taken.take(batch);
        }
        self.stop();
    }

    /// The clock moves, then everything is looked at again.
    pub(super) fn after(&mut self, time: Duration) {
        self.live().skew += time;
        self.settle();
    }

    /// Long enough for every pause to be over.
    pub(super) fn after_all_pauses(&mut self) {
        let Timing { slow_hold, grace, .. } = self.live().timing;
        self.after(slow_hold + grace);
        self.after(slow_hold + grace);
    }

    pub(super) fn stop(&mut self) {
        self.live = None;
        self.taken.restart();
    }

    /// Stops, and starts again with what was remembered.
    pub(super) fn restart(&mut self) {
        self.stop();
        self.settle();
    }

    pub(super) fn counters(&self) -> SourceCounters {
        self.status.snapshot().counters
    }

    pub(super) fn state(&self, name: &str) -> Option<FileState> {
        let files = self.status.snapshot().files;
        let end = format!("/{name}");
        files.iter().find(|f| f.path.ends_with(&end) && f.state != FileState::Gone).map(|f| f.state)
    }
}

pub(super) fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut e = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    e.write_all(bytes).unwrap();
    e.finish().unwrap()
}

/// `CEF:<from>` … `CEF:<to - 1>`, a line each.
pub(super) fn lines(from: usize, to: usize) -> String {
    (from..to).map(|i| format!("CEF:{i}\n")).collect()
}

pub(super) fn names(from: usize, to: usize) -> Vec<String> {
    (from..to).map(|i| format!("CEF:{i}")).collect()
}
