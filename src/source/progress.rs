//! How far reading is, added up by spool: what somebody who watches asks every few seconds, without a copy of every file.

use super::status::{FileState, SourceCounters, SourceStatus};

/// Everything, at one instant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadProgress {
    /// The spools, as configured.
    pub spools: Vec<SpoolProgress>,
    /// Files by what is done with them, in the order of [`FileState::ALL`].
    pub states: Vec<u64>,
    /// The counters.
    pub counters: SourceCounters,
    /// Whether every spool was listed once, so that all that waits is known.
    pub surveyed: bool,
    /// Event time of the oldest record that was found unread, ms, while a backlog is read.
    pub oldest_unread_ms: Option<i64>,
}

/// One spool.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SpoolProgress {
    /// The directory.
    pub path: String,
    /// Whether it can be listed.
    pub available: bool,
    /// Files that match its globs.
    pub files: u64,
    /// When a new byte was last read from it, ms.
    pub last_data_ms: Option<i64>,
    /// Bytes handed on since the start, as they are when decoded.
    pub consumed_bytes: u64,
    /// Bytes not read yet; of compressed files as they stand on the disk.
    pub unread_bytes: u64,
    /// Event time of the earliest file that has unread bytes, ms, as far as it is known.
    pub next_event_ms: Option<i64>,
}

impl SourceStatus {
    /// Adds up; holds the lock for a look at each file.
    pub fn progress(&self) -> ReadProgress {
        self.look(|files, rest| {
            let spool = |s: &super::SpoolSnapshot| SpoolProgress {
                path: s.path.clone(),
                available: s.missing.is_none(),
                files: s.files,
                last_data_ms: s.last_data_ms,
                consumed_bytes: s.consumed_bytes,
                ..SpoolProgress::default()
            };
            let mut all = ReadProgress {
                spools: rest.spools.iter().map(spool).collect(),
                states: vec![0; FileState::ALL.len()],
                counters: rest.counters.clone(),
                surveyed: rest.surveyed,
                oldest_unread_ms: rest.oldest_unread_ms,
            };
            for file in files {
                let state = file.state_beside(rest.waits_beyond_ms);
                if let Some(count) =
                    FileState::ALL.iter().position(|s| *s == state).and_then(|at| all.states.get_mut(at))
                {
                    *count += 1;
                }
                let Some(spool) = all.spools.get_mut(file.spool).filter(|_| file.lag_bytes > 0) else { continue };
                spool.unread_bytes += file.lag_bytes;
                spool.next_event_ms = [spool.next_event_ms, file.next_event_ms].into_iter().flatten().min();
            }
            all
        })
    }
}
