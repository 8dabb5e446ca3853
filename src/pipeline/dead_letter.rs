//! Dead letters: records that are no events, copied as they were to a file of the spool's choice.
//!
//! A help for whoever mends an export, not a record of truth: a record may be copied twice after a crash, and a file that
//! cannot be written costs a warning and nothing else. A file that has grown to its limit is renamed to `*.1` and begun anew,
//! so that a flood of bad lines takes twice the limit and no more.

use crate::batch::EventBatch;
use crate::config::SpoolSettings;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

/// Bytes written at once, and one record more: by so much a file may pass its limit.
const CHUNK_BYTES: usize = 32 * 1024;

/// The dead-letter files by spool.
#[derive(Debug, Default)]
pub struct DeadLetters {
    files: Vec<Option<Letter>>,
    max_bytes: u64,
}

#[derive(Debug)]
struct Letter {
    path: PathBuf,
    open: Option<File>,
    bytes: u64,
    warned: bool,
}

impl DeadLetters {
    /// The files that the spools name; each may grow to `max_bytes`.
    pub fn of(spools: &[SpoolSettings], max_bytes: u64) -> DeadLetters {
        let letter = |path: &PathBuf| Letter { path: path.clone(), open: None, bytes: 0, warned: false };
        DeadLetters { files: spools.iter().map(|s| s.dead_letter.as_ref().map(letter)).collect(), max_bytes }
    }

    /// Copies a batch's rejected records.
    pub fn copy(&mut self, batch: &EventBatch) {
        let Some(Some(letter)) = self.files.get_mut(batch.spool as usize) else { return };
        if batch.rejected.is_empty() {
            return;
        }
        let mut text = Vec::new();
        for (_, _, record) in &batch.rejected {
            text.extend_from_slice(batch.text().get(*record));
            text.push(b'\n');
            if text.len() >= CHUNK_BYTES {
                letter.put(&mut text, self.max_bytes);
            }
        }
        letter.put(&mut text, self.max_bytes);
    }
}

impl Letter {
    /// Writes what has gathered; trouble is said once.
    fn put(&mut self, text: &mut Vec<u8>, max_bytes: u64) {
        match self.write(text, max_bytes) {
            Ok(()) => self.warned = false,
            Err(e) => {
                self.open = None;
                if !std::mem::replace(&mut self.warned, true) {
                    log::warn!(
                        "dead-letter file {}: {e}; rejected records are counted but not copied",
                        self.path.display()
                    );
                }
            }
        }
        text.clear();
    }

    fn write(&mut self, text: &[u8], max_bytes: u64) -> std::io::Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        if self.open.is_none() {
            self.reopen()?;
        }
        if self.bytes > 0 && self.bytes + text.len() as u64 > max_bytes {
            let mut older = self.path.clone().into_os_string();
            older.push(".1");
            std::fs::rename(&self.path, older)?;
            self.reopen()?;
        }
        if let Some(file) = &mut self.open {
            file.write_all(text)?;
            self.bytes += text.len() as u64;
        }
        Ok(())
    }

    fn reopen(&mut self) -> std::io::Result<()> {
        let file = OpenOptions::new().create(true).append(true).mode(0o640).open(&self.path)?;
        self.bytes = file.metadata()?.len();
        self.open = Some(file);
        Ok(())
    }
}
