//! What an alert file says was delivered already: read once, when the agent starts after a crash.
//!
//! Only whole lines count: a line that was written in part does not prove that its alert was delivered. Nothing in here
//! writes; a file that cannot be read means that repeats are possible, never that an alert is lost.

use super::FileMark;
use super::cef::{ID_KEY, LAST_PAIR};
use super::{ecs, ocsf};
use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::fs::{File, Metadata};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Longest line that can be an alert, bytes.
const MAX_LINE: u64 = 16 << 20;
/// Most bytes that are read back from one file; more can only be there when someone else writes into it.
const MAX_READ: u64 = 256 << 20;
/// How much of the end of a file is read although it lies before the mark, bytes: a file that was copied and truncated may
/// have grown past the mark again.
const TAIL: u64 = 4 << 20;
/// How many files that are older than the mark's are looked into for copies, besides those that are as old as the last of
/// them: `copytruncate` more often than that between two commits, which are a second apart, means repeats.
pub(super) const COPIES: usize = 2;
/// The same after a truncation, when not all that is looked for has been found.
const MOST_COPIES: usize = 8;
/// How often everything is read anew when it is rotated meanwhile.
const ATTEMPTS: usize = 5;

/// Alerts that were delivered after a mark.
#[derive(Debug, Default)]
pub(super) struct Recalled {
    /// By id: the mark right behind the alert's line.
    pub delivered: HashMap<u128, FileMark>,
    /// The file of the mark is gone or was truncated, so that something may be missing here.
    pub lost: bool,
}

/// Reads what was delivered to the alert file at `path` since `mark`. A file that was rotated by renaming is found beside it.
pub(super) fn recall(path: &Path, mark: FileMark) -> Recalled {
    recall_once_listed(path, mark, || {})
}

/// The same; `listed` is called whenever it is known which files there are, and none has been read.
fn recall_once_listed(path: &Path, mark: FileMark, mut listed: impl FnMut()) -> Recalled {
    let mut attempt = 1;
    loop {
        let mut found = Recalled::default();
        let read = files_since(path, mark).and_then(|files| {
            listed();
            read_all(&files, mark, &mut found)?;
            Ok(files.all.iter().all(is_still_there))
        });
        match read {
            Ok(true) => return found,
            // Rotated while it was read: what one file no longer had, another one had not yet.
            Ok(false) | Err(_) if attempt < ATTEMPTS => attempt += 1,
            Ok(false) => return Recalled { lost: true, ..found },
            Err(e) => {
                log::warn!("{}: cannot be read back: {e}", path.display());
                return Recalled { lost: true, ..Recalled::default() };
            }
        }
    }
}

/// The id of an alert as a number; `None` when it is not 32 hexadecimal digits.
pub(super) fn id_number(id: &[u8]) -> Option<u128> {
    if id.len() != 32 || !id.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u128::from_str_radix(std::str::from_utf8(id).ok()?, 16).ok()
}

/// The alert file and those beside it that may hold alerts since a mark.
struct Files {
    /// Oldest first; the file at the path is last.
    all: Vec<(PathBuf, Metadata)>,
    /// Which of them is the file of the mark.
    marked: Option<usize>,
}

fn files_since(path: &Path, mark: FileMark) -> io::Result<Files> {
    let current = match path.symlink_metadata() {
        Ok(about) if about.is_file() => Some((path.to_owned(), about)),
        Ok(_) => None,
        Err(e) if e.kind() == io::ErrorKind::NotFound => None,
        Err(e) => return Err(e),
    };
    // A marked file that was renamed is known by its inode, whatever its name.
    let mut all: Vec<(PathBuf, Metadata)> = beside(path)
        .into_iter()
        .filter(|(other, about)| (is_named_after(other, path) && about.len() > 0) || is_marked(about, mark))
        .collect();
    all.sort_by_key(|(_, about)| modified(about));
    all.extend(current);
    let marked = all.iter().position(|(_, about)| is_marked(about, mark));
    Ok(Files { all, marked })
}

fn read_all(files: &Files, mark: FileMark, found: &mut Recalled) -> io::Result<()> {
    let Files { all, marked } = files;
    let intact = marked.and_then(|at| all.get(at)).map_or(Ok(false), |(file, _)| is_intact(file, mark))?;
    let mut copied = false;
    // Without a mark the first file came after it, so all of the current one counts.
    let first = marked.unwrap_or(all.len().saturating_sub(1));
    let oldest_copy = all.get(first.saturating_sub(COPIES)).map(|(_, about)| modified(about));
    for (at, (file, about)) in all.iter().enumerate() {
        match () {
            () if Some(at) == *marked => scan_tail(file, if intact { mark.length } else { 0 }, found)?,
            () if at >= first => scan(file, 0, found)?,
            // Not touched since the mark, unless it is a copy that was made before a truncation.
            () if Some(modified(about)) >= oldest_copy => {
                copied |= is_intact(file, mark)?;
                scan_tail(file, u64::MAX, found)?;
            }
            () => {}
        }
    }
    found.lost |= mark != FileMark::ABSENT && !intact && !(marked.is_some() && copied);
    Ok(())
}

/// Whether a file that was listed so is where it was, and has not been truncated.
fn is_still_there((file, before): &(PathBuf, Metadata)) -> bool {
    let is_same = |now: Metadata| now.dev() == before.dev() && now.ino() == before.ino() && now.len() >= before.len();
    file.symlink_metadata().is_ok_and(is_same)
}

fn is_marked(about: &Metadata, mark: FileMark) -> bool {
    about.is_file() && about.dev() == mark.device && about.ino() == mark.inode
}

/// Those of `wanted` that stand at the end of the alert file or of a file beside it: its copies, when it was just truncated.
/// It may have been truncated several times since the last delivery, so copies are read, the newest first, until all are
/// found. Those that cannot be read hold nothing, with the consequence of a repeat.
pub(super) fn ids_around(path: &Path, wanted: &HashSet<u128>) -> HashSet<u128> {
    let mut copies: Vec<(PathBuf, Metadata)> =
        beside(path).into_iter().filter(|(other, about)| is_named_after(other, path) && about.len() > 0).collect();
    copies.sort_by_key(|(_, about)| Reverse(modified(about)));
    let oldest = copies.get(MOST_COPIES - 1).map(|(_, about)| modified(about));
    let copies =
        copies.iter().take_while(|(_, about)| Some(modified(about)) >= oldest).map(|(other, _)| other.as_path());
    let mut found = Recalled::default();
    for file in std::iter::once(path).chain(copies) {
        if wanted.iter().all(|id| found.delivered.contains_key(id)) {
            break;
        }
        if let Err(e) = scan_tail(file, u64::MAX, &mut found) {
            log::warn!("{}: cannot be read back: {e}", file.display());
        }
    }
    wanted.iter().copied().filter(|id| found.delivered.contains_key(id)).collect()
}

/// The files beside the alert file.
fn beside(path: &Path) -> Vec<(PathBuf, Metadata)> {
    let dir = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    entries
        .flatten()
        .filter_map(|entry| Some((entry.path(), entry.path().symlink_metadata().ok()?)))
        .filter(|(other, about)| other != path && about.is_file())
        .collect()
}

/// Whether a file's name begins with that of the alert file, as the names of rotated files do.
fn is_named_after(other: &Path, path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().as_encoded_bytes();
    other.file_name().is_some_and(|n| n.as_encoded_bytes().starts_with(name))
}

fn modified(about: &Metadata) -> (i64, i64) {
    (about.mtime(), about.mtime_nsec())
}

/// Whether a line ends at the mark: else the file was truncated since.
fn is_intact(path: &Path, mark: FileMark) -> io::Result<bool> {
    let file = open(path)?;
    let mut before = [b'\n'];
    Ok(mark.length <= file.metadata()?.len()
        && (mark.length == 0 || (file.read_exact_at(&mut before, mark.length - 1).is_ok() && before == *b"\n")))
}

/// Every whole line from an offset on, and in any case those at the end.
fn scan_tail(path: &Path, from: u64, found: &mut Recalled) -> io::Result<()> {
    let length = open(path)?.metadata()?.len();
    match length.saturating_sub(TAIL) {
        tail if from <= tail => scan(path, from, found),
        0 => scan(path, 0, found),
        tail => scan_from(path, tail, true, found),
    }
}

fn open(path: &Path) -> io::Result<File> {
    std::fs::OpenOptions::new().read(true).custom_flags(super::file::safe_flags()).open(path)
}

/// Every whole line from an offset on at which a line begins.
fn scan(path: &Path, from: u64, found: &mut Recalled) -> io::Result<()> {
    let start = from.max(open(path)?.metadata()?.len().saturating_sub(MAX_READ));
    found.lost |= start > from;
    scan_from(path, start, start > from, found)
}

/// Every whole line from an offset on; `inside` says whether a line began before it.
fn scan_from(path: &Path, start: u64, mut inside: bool, found: &mut Recalled) -> io::Result<()> {
    let mut file = open(path)?;
    let about = file.metadata()?;
    file.seek(SeekFrom::Start(start))?;
    let mut reader = BufReader::with_capacity(1 << 16, file);
    let mut line = Vec::new();
    let mut at = start;
    loop {
        line.clear();
        let read = reader.by_ref().take(MAX_LINE).read_until(b'\n', &mut line)?;
        if read == 0 {
            // What the last run did not live to sync will be acknowledged on the strength of having been read here.
            return reader.get_ref().sync_data();
        }
        at += read as u64;
        let ended = line.last() == Some(&b'\n');
        if ended
            && !inside
            && let Some(id) = id_of_line(&line)
        {
            let mark = FileMark { device: about.dev(), inode: about.ino(), length: at };
            found.delivered.entry(id).or_insert(mark);
        }
        inside = !ended;
    }
}

/// The id of the alert that this whole line renders; `None` for a line that was cut short or is none of ours.
fn id_of_line(line: &[u8]) -> Option<u128> {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let json = ["{\"id\":\"", ecs::BEFORE_ID, ocsf::BEFORE_ID];
    if let Some(rest) = json.iter().find_map(|before| line.strip_prefix(before.as_bytes())) {
        let id = id_number(rest.get(..32)?)?;
        let whole = rest.get(32) == Some(&b'"') && serde_json::from_slice::<serde::de::IgnoredAny>(line).is_ok();
        return whole.then_some(id);
    }
    if !line.starts_with(b"CEF:0|") || !line.ends_with(LAST_PAIR.as_bytes()) {
        return None;
    }
    let id = after_header(line)?.strip_prefix(ID_KEY.as_bytes())?;
    if id.get(32) == Some(&b' ') { id_number(id.get(..32)?) } else { None }
}

/// What follows the seventh unescaped `|`.
fn after_header(line: &[u8]) -> Option<&[u8]> {
    let mut bars = 0;
    let mut escaped = false;
    for (i, b) in line.iter().enumerate() {
        match b {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'|' => bars += 1,
            _ => {}
        }
        if bars == 7 {
            return line.get(i + 1..);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::render;
    use super::super::samples::{agent, detection, hostile};
    use super::*;
    use crate::config::AlertFormat;

    #[test]
    fn a_line_gives_its_id_only_when_it_is_whole() {
        for format in AlertFormat::ALL {
            for alert in [detection(0xabc), hostile(40)] {
                let line = render(*format, &alert, &agent());
                let id = id_number(alert.id.as_bytes());
                assert!(id.is_some());
                assert_eq!(id_of_line(line.as_bytes()), id, "{line}");
                for end in 0..line.len() {
                    assert_eq!(id_of_line(&line.as_bytes()[..end]), None, "cut at {end}: {line}");
                }
            }
        }
    }

    /// Between the list of the files and the reading of them, in every way in which an alert file is rotated.
    #[test]
    fn a_rotation_while_it_is_read_back_hides_nothing() {
        let line = |n| format!("{}\n", render(AlertFormat::Json, &detection(n), &agent()));
        let text: String = (1..=9).map(line).collect();
        let copy_and_truncate = |path: &Path, n: usize| {
            std::fs::copy(path, path.with_extension(format!("jsonl.{n}"))).unwrap();
            std::fs::write(path, "").unwrap();
        };
        let rename = |path: &Path, n: usize| std::fs::rename(path, path.with_extension(format!("jsonl.{n}"))).unwrap();
        let rename_and_create = |path: &Path, n: usize| {
            rename(path, n);
            std::fs::write(path, "").unwrap();
        };
        type Way<'a> = &'a dyn Fn(&Path, usize);
        for (way, rotate) in [&copy_and_truncate as Way<'_>, &rename, &rename_and_create].into_iter().enumerate() {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("alerts.jsonl");
            std::fs::write(&path, &text).unwrap();
            let about = path.metadata().unwrap();
            let mark = FileMark { device: about.dev(), inode: about.ino(), length: line(1).len() as u64 };
            let mut times = 0;
            let found = recall_once_listed(&path, mark, || {
                times += 1;
                if times == 1 {
                    rotate(&path, times);
                }
            });
            let ids: HashSet<u128> = found.delivered.into_keys().collect();
            assert!((2..=9).all(|id| ids.contains(&id)), "{way}: {ids:?}");
            assert!(!found.lost && times == 2, "{way}: listed {times} times");

            // One that never ends is given up, and it is said that something may be missing.
            std::fs::write(&path, &text).unwrap();
            let mut times = 0;
            let found = recall_once_listed(&path, mark, || {
                times += 1;
                rotate(&path, 10 + times);
                std::fs::write(path.with_extension("new"), &text).unwrap();
                std::fs::rename(path.with_extension("new"), &path).unwrap();
            });
            assert!(found.lost && times == ATTEMPTS, "{way}: listed {times} times");
        }
    }

    #[test]
    fn lines_of_others_have_no_id() {
        for line in ["", "{}", "{\"id\":\"x\"}", "{\"id\":\"+0000000000000000000000000000001\"}", "CEF:0|a|b|c|d|e|3|"]
        {
            assert_eq!(id_of_line(line.as_bytes()), None, "{line}");
        }
    }

    #[test]
    fn a_line_that_is_too_long_is_passed_over_with_bounded_memory() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("alerts");
        let good = render(AlertFormat::Json, &detection(5), &agent());
        let long = "x".repeat(MAX_LINE as usize);
        // The second piece of the long line looks like an alert.
        std::fs::write(&path, format!("{long}{good}\n{good}\n")).unwrap();
        let found = recall(&path, FileMark::ABSENT);
        let length = std::fs::metadata(&path).unwrap().len();
        assert_eq!(found.delivered.get(&5).map(|m| m.length), Some(length));
    }
}
