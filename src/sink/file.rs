//! The alert file: one alert a line, appended, each line in one write.
//!
//! The file may be renamed, truncated or removed at any time: it is looked at before each delivery. A line that was
//! written in part is finished, or ended before the next one. Alerts that the file holds already after a crash are not
//! written again. The sink never makes directories, never follows a link at the path and never writes into anything but
//! a regular file. Lengths are bytes.

use super::recall::{id_number, ids_around, recall};
use super::recent::{MAX_FILE_BYTES, Recent, Sent};
use super::{FileMark, Outgoing, Sink, SinkError, SinkNotes, render};
use crate::alert::{AgentIdentity, Alert, AlertKind};
use crate::config::{FileSinkSettings, FsyncSetting};
use crate::failpoint::{self, Point};
use rustix::fs::OFlags;
use rustix::io::Errno;
use std::collections::{HashMap, VecDeque};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::Instant;

/// Appends alerts to a file.
pub struct FileSink {
    settings: FileSinkSettings,
    identity: AgentIdentity,
    open: Option<OpenFile>,
    /// The mark of the last commit, until the first file is open and has been read back.
    resume: Option<FileMark>,
    /// Alerts that are in the file already, with the mark behind each.
    delivered: HashMap<u128, FileMark>,
    /// The mark behind the last alert that the file held already, while there are more of them.
    reached: Option<FileMark>,
    /// What is safe to commit together with what is acknowledged.
    mark: FileMark,
    half: Option<HalfLine>,
    recent: Recent,
    /// Lines that a truncation took before they were copied, to be written before anything else.
    owed: VecDeque<Sent>,
    /// A sync failed: nothing is written before one succeeds.
    sync_failed: bool,
    notes: SinkNotes,
    disk: Box<dyn Disk>,
}

struct OpenFile {
    file: File,
    device: u64,
    inode: u64,
    /// How long it was when it was last written to: shorter means truncated.
    length: u64,
}

/// A line of which the file holds a part.
struct HalfLine {
    id: String,
    rest: Vec<u8>,
    /// How much of it the file holds.
    written: u64,
    /// Length of the file right after that part.
    file_length: u64,
}

/// The calls that can fail when a disk is full or broken.
trait Disk: Send {
    fn write(&mut self, mut file: &File, bytes: &[u8]) -> io::Result<usize> {
        file.write(bytes)
    }
    fn sync(&mut self, file: &File) -> io::Result<()> {
        file.sync_data()
    }
}

struct RealDisk;
impl Disk for RealDisk {}

/// Flags with which an alert file is opened: no link at the path, and no waiting should it be a FIFO.
pub(super) fn safe_flags() -> i32 {
    (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed()
}

impl FileSink {
    /// A sink for this file. `resume` is the mark that was committed last, `None` when nothing was. Trouble with the file
    /// shows at the first delivery.
    pub fn new(settings: FileSinkSettings, identity: AgentIdentity, resume: Option<FileMark>) -> FileSink {
        FileSink::on(Box::new(RealDisk), settings, identity, resume)
    }

    fn on(
        disk: Box<dyn Disk>,
        settings: FileSinkSettings,
        identity: AgentIdentity,
        resume: Option<FileMark>,
    ) -> FileSink {
        let mut sink = FileSink {
            settings,
            identity,
            open: None,
            resume,
            delivered: HashMap::new(),
            reached: None,
            mark: resume.unwrap_or(FileMark::ABSENT),
            half: None,
            recent: Recent::within(MAX_FILE_BYTES),
            owed: VecDeque::new(),
            sync_failed: false,
            notes: SinkNotes::default(),
            disk,
        };
        if resume.is_none() {
            // Without a commit nothing can have been delivered, so what the file holds is of no interest.
            match sink.opened() {
                Ok(()) => sink.mark = sink.end_of_file().unwrap_or(FileMark::ABSENT),
                Err(e) => log::warn!("sink file: {}", sink.explain(&e)),
            }
        }
        sink
    }

    /// Makes sure that the open file is the one at the path, and that what the last run delivered is known.
    fn ready(&mut self) -> io::Result<()> {
        self.opened()?;
        if let Some(mark) = self.resume.take() {
            let found = recall(&self.settings.path, mark);
            self.delivered = found.delivered;
            self.notes.dedup_lost = found.lost;
            if found.lost {
                log::warn!(
                    "sink file: the alert file of the last run is gone from {}; alerts of its last moments may come twice",
                    self.settings.path.display()
                );
            }
        }
        Ok(())
    }

    /// Makes sure that the open file is the one at the path.
    fn opened(&mut self) -> io::Result<()> {
        let path = &self.settings.path;
        if let Some(open) = &self.open {
            match path.symlink_metadata() {
                Ok(about) if about.dev() == open.device && about.ino() == open.inode => {
                    if about.len() < open.length {
                        self.truncated(about.len());
                    }
                    return Ok(());
                }
                Ok(_) => {}
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(e) => return Err(e),
            }
            // What is half written stays behind in the old file; its alert goes into the new one, whole.
            self.open = None;
            self.half = None;
            self.recent.clear();
            failpoint::reach(Point::DeliverReopening);
        }
        let mut open = open_for_append(path, self.settings.fsync != FsyncSetting::Never)?;
        end_last_line(&open.file, self.disk.as_mut())?;
        open.length = open.file.metadata()?.len();
        self.open = Some(open);
        Ok(())
    }

    /// The open file was truncated, after somebody had copied it: what was written after the copy is in neither, and is owed.
    fn truncated(&mut self, length: u64) {
        if let Some(open) = &mut self.open {
            open.length = length;
        }
        let number = |s: &Sent| id_number(s.id.as_bytes());
        let recent: Vec<Sent> = self.recent.take().collect();
        let around = ids_around(&self.settings.path, &recent.iter().filter_map(number).collect());
        let before = self.owed.len();
        self.owed.extend(recent.into_iter().filter(|s| number(s).is_none_or(|id| !around.contains(&id))));
        if self.owed.len() > before {
            log::info!(
                "sink file: truncated; {} alerts that no copy holds are written again",
                self.owed.len() - before
            );
        }
    }

    fn write_owed(&mut self) -> io::Result<()> {
        while let Some(first) = self.owed.pop_front() {
            let written = match self.finish_half_line(&first.id) {
                Ok(true) => Ok(()),
                Ok(false) => self.write(&first.id, first.bytes.clone(), 0),
                Err(e) => Err(e),
            };
            if let Err(e) = written {
                self.owed.push_front(first);
                return Err(e);
            }
            self.notes.delivered_again += 1;
            self.recent.keep(first, Instant::now());
        }
        Ok(())
    }

    fn deliver_one(&mut self, alert: &Alert) -> io::Result<()> {
        if let Some(mark) = id_number(alert.id.as_bytes()).and_then(|id| self.delivered.remove(&id)) {
            self.notes.repeats_dropped += 1;
            self.reached = Some(mark);
            return Ok(());
        }
        let mut line = render(self.settings.format, alert, &self.identity).into_bytes();
        line.push(b'\n');
        if !self.finish_half_line(&alert.id)? {
            self.write(&alert.id, line.clone(), 0)?;
        }
        self.recent.keep(Sent { id: alert.id.clone(), bytes: line }, Instant::now());
        // Alerts about events come in order: those that the file held already have all been passed. What the agent says of
        // itself may come in front of them.
        if alert.kind != AlertKind::Operational {
            self.delivered.clear();
        }
        if self.settings.fsync == FsyncSetting::Always { self.sync() } else { Ok(()) }
    }

    /// Finishes the line that was written in part, if it is this alert's. Says whether it was.
    fn finish_half_line(&mut self, id: &str) -> io::Result<bool> {
        let (Some(half), Some(open)) = (self.half.take(), &mut self.open) else { return Ok(false) };
        let untouched = open.file.metadata()?.len() == half.file_length;
        if untouched && half.id == id {
            self.write(id, half.rest, half.written)?;
            return Ok(true);
        }
        match end_last_line(&open.file, self.disk.as_mut()).and_then(|()| open.file.metadata()) {
            Ok(about) => open.length = about.len(),
            Err(e) => {
                self.half = Some(half);
                return Err(e);
            }
        }
        Ok(false)
    }

    /// Appends the rest of a line of which the file holds `written` bytes. What fails half-way is kept.
    fn write(&mut self, id: &str, rest: Vec<u8>, mut written: u64) -> io::Result<()> {
        let Some(open) = &mut self.open else { return Err(io::ErrorKind::NotFound.into()) };
        let mut left = rest.as_slice();
        while !left.is_empty() {
            let error = match self.disk.write(&open.file, left) {
                Ok(0) => io::ErrorKind::WriteZero.into(),
                Ok(n) => {
                    left = left.get(n..).unwrap_or_default();
                    written += n as u64;
                    open.length += n as u64;
                    continue;
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => e,
            };
            if written > 0 {
                let file_length = open.file.metadata().map_or(0, |about| about.len());
                self.half = Some(HalfLine { id: id.to_owned(), rest: left.to_vec(), written, file_length });
            }
            return Err(error);
        }
        Ok(())
    }

    /// What was just written must not be acknowledged when its file went away or was truncated in the meantime.
    fn check_still_there(&mut self) -> io::Result<()> {
        let Some(open) = &self.open else { return Ok(()) };
        let about = open.file.metadata()?;
        if about.nlink() == 0 {
            // Delivered again to the file that takes its place; what stood in it before is not this agent's to restore.
            self.open = None;
            (self.half, self.reached) = (None, None);
            self.recent.clear();
            return Err(io::Error::other("it was removed while it was written"));
        }
        if about.len() < open.length {
            self.truncated(about.len());
            self.write_owed()?;
            self.sync()?;
        }
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        let Some(open) = &self.open else { return Ok(()) };
        let result = self.disk.sync(&open.file);
        self.sync_failed = result.is_err();
        result
    }

    /// The mark behind the last whole line of the open file.
    fn end_of_file(&self) -> io::Result<FileMark> {
        let Some(open) = &self.open else { return Ok(FileMark::ABSENT) };
        let length = open.file.metadata()?.len();
        let half = self.half.as_ref().map_or(0, |half| half.written);
        Ok(FileMark { device: open.device, inode: open.inode, length: length.saturating_sub(half) })
    }

    fn error(&self, error: &io::Error) -> SinkError {
        SinkError(self.explain(error))
    }

    fn explain(&self, error: &io::Error) -> String {
        let advice = match error.kind() {
            _ if error.raw_os_error() == Some(Errno::LOOP.raw_os_error()) => {
                "it is a symbolic link; set sink.file.path to the file itself"
            }
            io::ErrorKind::NotFound => "make its directory, writable for the agent's user",
            io::ErrorKind::PermissionDenied => "let the agent's user write there",
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "free some space",
            io::ErrorKind::ReadOnlyFilesystem => "mount it writable, or set sink.file.path elsewhere",
            _ => "look at the disk and at sink.file.path",
        };
        format!("{}: {error}; {advice}", self.settings.path.display())
    }
}

impl Sink for FileSink {
    fn name(&self) -> &str {
        "file"
    }

    fn deliver(&mut self, batch: &[Outgoing]) -> Result<usize, SinkError> {
        self.ready().map_err(|e| self.error(&e))?;
        if self.sync_failed {
            self.sync().map_err(|e| self.error(&e))?;
        }
        self.write_owed().map_err(|e| self.error(&e))?;
        for (delivered, out) in batch.iter().enumerate() {
            match self.deliver_one(&out.alert) {
                Ok(()) => {}
                Err(e) if delivered == 0 => return Err(self.error(&e)),
                // The next delivery begins with this alert and tells what is wrong.
                Err(_) => return Ok(delivered),
            }
        }
        Ok(batch.len())
    }

    fn probe(&mut self) -> Result<(), SinkError> {
        self.opened().map_err(|e| self.error(&e))
    }

    /// Reading back what was delivered takes longer than opening the file.
    fn prepare(&mut self) {
        // Trouble shows at the first delivery, which does this where it was not done.
        let _ = self.ready();
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        if self.settings.fsync == FsyncSetting::Batch {
            self.sync().map_err(|e| self.error(&e))?;
        }
        self.check_still_there().map_err(|e| self.error(&e))?;
        if self.delivered.is_empty() {
            self.reached = None;
            self.mark = self.end_of_file().map_err(|e| self.error(&e))?;
        } else if let Some(mark) = self.reached {
            self.mark = mark;
        }
        Ok(())
    }

    fn mark(&self) -> Option<FileMark> {
        Some(self.mark)
    }

    fn notes(&self) -> SinkNotes {
        self.notes
    }
}

/// Opens the file at a path, or makes it; a new file is made durable in its directory when `durable`.
fn open_for_append(path: &Path, durable: bool) -> io::Result<OpenFile> {
    let mut options = OpenOptions::new();
    options.read(true).append(true).mode(0o640).custom_flags(safe_flags());
    let file = match options.open(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            let file = options.create(true).open(path)?;
            if durable {
                sync_directory_of(path)?;
            }
            file
        }
        opened => opened?,
    };
    let about = file.metadata()?;
    if !about.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    Ok(OpenFile { file, device: about.dev(), inode: about.ino(), length: about.len() })
}

fn sync_directory_of(path: &Path) -> io::Result<()> {
    let dir = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match File::open(dir).and_then(|dir| dir.sync_all()) {
        // Some file systems cannot sync a directory, and some directories may be written but not read.
        Err(e) if matches!(e.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::PermissionDenied) => Ok(()),
        result => result,
    }
}

/// Ends a last line that has no line end.
fn end_last_line(file: &File, disk: &mut dyn Disk) -> io::Result<()> {
    let length = file.metadata()?.len();
    let mut last = *b"\n";
    if length > 0 {
        file.read_exact_at(&mut last, length - 1)?;
    }
    if last == *b"\n" {
        return Ok(());
    }
    match disk.write(file, b"\n")? {
        0 => Err(io::ErrorKind::WriteZero.into()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
