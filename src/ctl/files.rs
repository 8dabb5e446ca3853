//! The spool files of a status report: each one's row, and how far reading is behind in all of them.
//!
//! From committed records and what the running source says; reads nothing itself. Units: bytes and seconds.

use crate::batch::Position;
use crate::calendar::format_instant;
use crate::control::Live;
use crate::source::{FileSnapshot, FileState};
use crate::state::record::FileRecord;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// A spool file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FileRow {
    /// Its path.
    pub path: String,
    /// `cef` or `csv`, once known.
    pub format: Option<String>,
    /// Bytes consumed.
    pub offset: u64,
    /// Lines consumed.
    pub lines: u64,
    /// Bytes that wait; unknown of a stopped agent. Of a compressed file bytes on disk, which will become more.
    pub lag_bytes: Option<u64>,
    /// Whether `lag_bytes` are bytes of a compressed file.
    #[serde(default)]
    pub compressed: bool,
    /// Seconds between the event at which reading stands and the agent's clock; 0 when nothing waits, unknown when only commits
    /// are behind.
    pub lag_secs: Option<u64>,
    /// Records of it that were no events.
    pub rejects: u64,
    /// What is done with it, in a word.
    pub state: String,
    /// The trouble with it.
    pub error: Option<String>,
}

/// How far reading is behind what stands in the spools.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lag {
    /// Bytes not judged and committed yet, in all files; of compressed ones bytes on disk, which will become more.
    pub bytes: u64,
    /// Of these, bytes of compressed files.
    pub compressed_bytes: u64,
    /// Time of the oldest unread event, when there is one; one that is read and not committed yet is none.
    pub oldest_unread: Option<String>,
    /// Seconds between it and the agent's clock; 0 when nothing waits, unknown before the files were looked at.
    pub secs: Option<u64>,
    /// Files that wait until older ones are read.
    pub waiting_files: u64,
    /// Bytes of these.
    pub waiting_bytes: u64,
}

/// One row a file.
pub(super) fn file_rows(files: &[(u64, FileRecord)], live: Option<&Live>) -> Vec<FileRow> {
    let followed: BTreeMap<u64, (&FileSnapshot, i64)> =
        live.iter().flat_map(|l| l.source.files.iter().map(|s| (s.id, (s, l.now_ms)))).collect();
    let mut rows: Vec<FileRow> = files
        .iter()
        .map(|(id, f)| {
            let now = followed.get(id).copied();
            let waiting = now.map(|(n, _)| waiting_bytes(n, Some(&f.position)));
            FileRow {
                path: f.position.path.display().to_string(),
                format: f.position.format.map(|x| format!("{x:?}").to_lowercase()),
                offset: f.position.offset,
                lines: f.position.lines,
                lag_bytes: waiting,
                compressed: now.is_some_and(|(n, _)| n.compressed),
                // Only a file with unread bytes is behind; of a stopped agent nobody knows.
                lag_secs: now.zip(waiting).and_then(|((n, now_ms), waiting)| match waiting {
                    0 => Some(0),
                    _ => Some(seconds(unread_since(n, Some(f))?, now_ms)),
                }),
                rejects: f.tally.rejects.total(),
                state: match now {
                    Some((n, _)) => state_word(n.state).into(),
                    None if f.position.complete => "read to its end".into(),
                    None => "not open".into(),
                },
                error: now.and_then(|(n, _)| n.error.clone()),
            }
        })
        .collect();
    if let Some(live) = live {
        rows.extend(uncommitted(files, live).map(|s| FileRow {
            path: s.path.clone(),
            offset: s.offset,
            lines: s.lines,
            lag_bytes: Some(waiting_bytes(s, None)),
            compressed: s.compressed,
            lag_secs: unread_since(s, None).map(|at| seconds(at, live.now_ms)),
            state: state_word(s.state).into(),
            error: s.error.clone(),
            ..FileRow::default()
        }));
    }
    rows.sort_by(|a, b| a.path.cmp(&b.path));
    rows
}

/// Files of which nothing is committed yet.
fn uncommitted<'a>(files: &[(u64, FileRecord)], live: &'a Live) -> impl Iterator<Item = &'a FileSnapshot> {
    let known: BTreeSet<u64> = files.iter().map(|(id, _)| *id).collect();
    live.source.files.iter().filter(move |s| !known.contains(&s.id))
}

/// Bytes not read yet, and read but not judged and committed yet.
fn waiting_bytes(now: &FileSnapshot, committed: Option<&Position>) -> u64 {
    match committed {
        _ if !now.compressed => now.lag_bytes + now.offset.saturating_sub(committed.map_or(0, |p| p.offset)),
        // How much of it is decoded, its committed position tells in bytes on disk.
        Some(p) if p.complete && p.stored_size == now.size => 0,
        Some(p) => now.size.saturating_sub(p.stored_size).max(now.lag_bytes.min(1)),
        None => now.size,
    }
}

/// Event time at which a file stands that has unread bytes. When it is read to its end, and commits are behind, it has no
/// unread event: the last committed one would be older than what was told before.
fn unread_since(now: &FileSnapshot, committed: Option<&FileRecord>) -> Option<i64> {
    if now.lag_bytes == 0 { None } else { now.next_event_ms.or(committed.and_then(|f| f.last_event_ms)) }
}

fn seconds(event_ms: i64, now_ms: i64) -> u64 {
    now_ms.saturating_sub(event_ms).max(0).unsigned_abs() / 1000
}

/// How far reading is behind; `None` before the first look at the spools.
pub(super) fn lag(files: &[(u64, FileRecord)], live: &Live) -> Option<Lag> {
    if !live.source.surveyed {
        return None;
    }
    let records: BTreeMap<u64, &FileRecord> = files.iter().map(|(id, f)| (*id, f)).collect();
    let (mut lag, mut oldest) = (Lag::default(), live.source.oldest_unread_ms);
    for file in &live.source.files {
        let record = records.get(&file.id);
        let bytes = waiting_bytes(file, record.map(|f| &f.position));
        lag.bytes += bytes;
        lag.compressed_bytes += if file.compressed { bytes } else { 0 };
        if file.state == FileState::Later {
            lag.waiting_files += 1;
            lag.waiting_bytes += bytes;
        }
        // Without a backlog: what has just been written.
        if live.source.oldest_unread_ms.is_none() && file.state == FileState::Reading {
            oldest = [oldest, unread_since(file, record.copied())].into_iter().flatten().min();
        }
    }
    lag.oldest_unread = oldest.map(format_instant);
    lag.secs = if lag.bytes == 0 { Some(0) } else { oldest.map(|at| seconds(at, live.now_ms)) };
    Some(lag)
}

const fn state_word(state: FileState) -> &'static str {
    match state {
        FileState::Reading => "reading",
        FileState::Later => "waits for older files",
        FileState::Waiting => "waiting",
        FileState::Held => "held: not told from another file yet",
        FileState::Incomplete => "incomplete",
        FileState::Corrupt => "corrupt",
        FileState::TooLarge => "too large",
        FileState::Unreadable => "unreadable",
        FileState::Gone => "gone",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_MS: i64 = 86_400_000;

    /// How far a file of 100 bytes is behind that was committed up to byte 20 and day 2; in bytes, and the day it says.
    fn lag_of(read: u64, stands: Option<i64>, backlog: Option<i64>) -> (u64, Option<i64>) {
        let mut live = Live { now_ms: 9 * DAY_MS, ..Live::default() };
        (live.source.surveyed, live.source.oldest_unread_ms) = (true, backlog.map(|day| day * DAY_MS));
        live.source.files = vec![FileSnapshot {
            id: 1,
            size: 100,
            offset: read,
            lag_bytes: 100 - read,
            next_event_ms: stands.map(|day| day * DAY_MS),
            ..FileSnapshot::default()
        }];
        let mut record = FileRecord { last_event_ms: Some(2 * DAY_MS), ..FileRecord::default() };
        record.position.offset = 20;
        let files = [(1, record)];
        let lag = lag(&files, &live).unwrap();
        assert_eq!(lag.secs.is_some(), lag.oldest_unread.is_some());
        assert_eq!(file_rows(&files, Some(&live))[0].lag_secs, lag.secs, "of one file, the row says the same");
        (lag.bytes, lag.secs.map(|s| 9 - i64::try_from(s).unwrap() * 1000 / DAY_MS))
    }

    #[test]
    fn the_oldest_unread_event_does_not_become_older_when_reading_is_ahead_of_commits() {
        let looks = [
            (lag_of(40, Some(4), Some(4)), (80, Some(4)), "in a backlog"),
            (lag_of(99, Some(7), None), (80, Some(7)), "a live file"),
            (lag_of(99, None, None), (80, Some(2)), "of which it is not known where it stands"),
            (lag_of(100, None, None), (80, None), "read to its end, and commits are behind"),
        ];
        for (got, expected, case) in looks {
            assert_eq!(got, expected, "{case}");
        }
    }
}
