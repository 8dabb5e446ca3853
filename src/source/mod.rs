//! Reading: spool directories become batches of whole records. notify is a hint, the rescan is the truth.
//!
//! The source never interprets a record beyond where it ends, never holds more than its limits, and never moves a
//! position past a record that it has not handed on. It writes nothing: what is to be remembered travels with each batch.
//!
//! One thread reads. `live` follows spools for ever, `once` reads paths to their end; both turn files (`tail`) into parts
//! (`cut`, `rows`) and hand them to the `outlet`. `scan` lists directories, `watch` hears the kernel's hints, `registry`
//! knows a file again by its `fingerprint` (`heads` is its index), `reader` and `decode` give its uncompressed bytes, `order` sorts a
//! replay, `times` tells how old unread bytes are.

mod cut;
mod decode;
mod fingerprint;
mod glance;
mod glob;
mod heads;
mod live;
mod once;
mod order;
mod outlet;
mod progress;
mod reader;
mod registry;
mod rows;
mod scan;
mod status;
mod tail;
mod times;
mod watch;

#[cfg(any(test, fuzzing))]
#[path = "../fuzz_entry/cutting.rs"]
pub mod fuzz_cutting;
#[cfg(any(test, fuzzing))]
#[path = "../fuzz_entry/decoding.rs"]
pub mod fuzz_decoding;

#[cfg(test)]
mod tests;

pub use cut::empty_lines;
pub use progress::{ReadProgress, SpoolProgress};
pub use rows::csv_record;
pub use status::{FileSnapshot, FileState, SourceCounters, SourceSnapshot, SourceStatus, SpoolSnapshot};

use crate::batch::{FileId, Format, Position, RawBatch};
use crate::config::{FormatSetting, Limits, SpoolSettings};
use crossbeam_channel::{Receiver, Sender};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

/// What to read.
#[derive(Clone, Debug)]
pub enum Mode {
    /// Follow these spools until told to stop.
    Live(Vec<SpoolSettings>),
    /// Read these paths to their end, in the order given, then finish. The files of a directory come oldest first: by the
    /// time of the first readable record, then by name, a higher rotation number first (`a.log.2`, `a.log.1`, `a.log`).
    Once {
        /// Files and directories.
        paths: Vec<PathBuf>,
        /// Format of the files.
        format: FormatSetting,
    },
}

/// What the source must know about formats. The parsers implement it.
pub trait Sniff: Send + Sync {
    /// The format of a record that would be accepted as the first of its file; `None` while that is open.
    fn sniff(&self, record: &[u8], csv_by_position: bool) -> Option<Format>;

    /// Whether a CSV record is a header row.
    fn is_csv_header(&self, record: &[u8]) -> bool;

    /// The time of a record in milliseconds since the epoch, for ordering the files of a directory.
    fn record_time(&self, record: &[u8]) -> Option<i64>;

    /// The same for a CSV row under this header row.
    fn row_time(&self, _header: &[u8], record: &[u8]) -> Option<i64> {
        self.record_time(record)
    }

    /// The time of a record of this spool (an index of the settings), under the header in force if there is one. Rows
    /// without a zone are in that of the spool.
    fn event_time(&self, _spool: u16, header: Option<&[u8]>, record: &[u8]) -> Option<i64> {
        match header {
            Some(header) => self.row_time(header, record),
            None => self.record_time(record),
        }
    }

    /// Bytes that every header row contains, so that [`Self::is_csv_header`] is asked about few records; empty asks about all.
    fn header_mark(&self) -> &[u8] {
        b""
    }
}

/// How the source is told to stop.
#[derive(Clone, Debug)]
pub struct Stop {
    /// Set first.
    pub flag: Arc<AtomicBool>,
    /// Then anything sent here (or the sender dropped) ends the wait for new bytes.
    pub wake: Receiver<()>,
}

impl Stop {
    /// A stop that never comes.
    pub fn never() -> Stop {
        Stop { flag: Arc::new(AtomicBool::new(false)), wake: crossbeam_channel::never() }
    }

    fn is_set(&self) -> bool {
        self.flag.load(Ordering::Relaxed)
    }
}

/// What [`spawn`] needs.
pub struct SourceOptions {
    /// What to read.
    pub mode: Mode,
    /// Limits; see invariant "memory is bounded".
    pub limits: Limits,
    /// The positions that the store kept.
    pub known: Vec<(FileId, Position)>,
    /// What the parsers know about formats.
    pub sniff: Arc<dyn Sniff>,
    /// Files that are never read, such as the agent's own alert file.
    pub refuse_files: Vec<PathBuf>,
    /// Batches that may be on the way at once, until their buffers come back.
    pub most_batches: usize,
    /// Days that an event may be behind the latest one of its entity before it is late. Nothing is read so far ahead of an
    /// older unread file that its events become late.
    pub late_days: u32,
}

/// Why reading could not begin.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// A path to replay is missing or cannot be opened.
    #[error("cannot read {}: {source}; name a file or a directory that this user may read", path.display())]
    Unreadable {
        /// The path.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The thread could not be started, or it panicked.
    #[error("the source thread failed: {0}")]
    Thread(String),
}

/// The running source.
#[derive(Debug)]
pub struct SourceHandle {
    thread: JoinHandle<()>,
}

impl SourceHandle {
    /// Waits until the source has finished; it has then dropped its end of the channel.
    ///
    /// # Errors
    /// When the thread panicked.
    pub fn join(self) -> Result<(), SourceError> {
        self.thread.join().map_err(|_| SourceError::Thread("it panicked; please report this".into()))
    }

    /// Whether the source has finished.
    pub fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }
}

/// Starts the source thread. It drops `out` when everything is read ([`Mode::Once`]) or after `stop`; the emptied
/// buffer of each batch comes back through `recycled`, is used again, and lets another batch on its way.
///
/// # Errors
/// When a path to replay cannot be read, or the thread not started.
pub fn spawn(
    options: SourceOptions,
    out: Sender<RawBatch>,
    recycled: Receiver<Vec<u8>>,
    stop: Stop,
    status: Arc<SourceStatus>,
) -> Result<SourceHandle, SourceError> {
    let outlet = outlet::Outlet::new(out, recycled, options.most_batches, stop);
    let run: Box<dyn FnOnce() + Send> = match options.mode {
        Mode::Live(spools) => {
            let settings = live::LiveSettings {
                spools,
                limits: options.limits,
                known: options.known,
                sniff: options.sniff,
                refuse_files: options.refuse_files,
                late_days: options.late_days,
            };
            let mut live = live::Live::new(settings, outlet, status);
            Box::new(move || live.run())
        }
        Mode::Once { paths, format } => {
            let settings = once::OnceSettings {
                format,
                limits: options.limits,
                known: options.known,
                sniff: options.sniff,
                refuse_files: options.refuse_files,
            };
            let once = once::Once::new(&paths, settings, outlet, status)?;
            Box::new(move || once.run())
        }
    };
    let thread = std::thread::Builder::new().name("source".into()).spawn(run);
    Ok(SourceHandle { thread: thread.map_err(|e| SourceError::Thread(e.to_string()))? })
}

/// The format that a setting fixes before the first record.
fn fixed_format(setting: FormatSetting) -> Option<Format> {
    match setting {
        FormatSetting::Auto => None,
        FormatSetting::Cef => Some(Format::Cef),
        FormatSetting::Csv => Some(Format::Csv),
    }
}
