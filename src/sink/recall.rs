//! What an alert file says was delivered already: read once, when the agent starts after a crash.
//!
//! Only whole lines count: a line that was written in part does not prove that its alert was delivered. Nothing in here
//! writes; a file that cannot be read means that repeats are possible, never that an alert is lost.

use super::FileMark;
use super::cef::{ID_KEY, LAST_PAIR};
use std::collections::HashMap;
use std::fs::{File, Metadata};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Longest line that can be an alert, bytes.
const MAX_LINE: u64 = 16 << 20;
/// Most bytes that are read back from one file; more can only be there when someone else writes into it.
const MAX_READ: u64 = 256 << 20;

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
    let mut found = Recalled::default();
    match read_all(path, mark, &mut found) {
        Ok(()) => found,
        Err(e) => {
            log::warn!("{}: cannot be read back: {e}", path.display());
            Recalled { lost: true, ..Recalled::default() }
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

fn read_all(path: &Path, mark: FileMark, found: &mut Recalled) -> io::Result<()> {
    let current = match path.symlink_metadata() {
        Ok(about) if about.is_file() => Some(about),
        Ok(_) => None,
        Err(e) if e.kind() == io::ErrorKind::NotFound => None,
        Err(e) => return Err(e),
    };
    if mark == FileMark::ABSENT {
        // The first file came after the mark, so all of it counts.
        return current.map_or(Ok(()), |_| scan(path, 0, found));
    }
    if current.as_ref().is_some_and(|about| is_marked(about, mark)) {
        return scan_marked(path, mark, found);
    }
    let since = rotated(path, mark);
    match since.first() {
        Some(marked) => scan_marked(marked, mark, found)?,
        None => found.lost = true,
    }
    let later = since.iter().skip(1).map(PathBuf::as_path);
    later.chain(current.map(|_| path)).try_for_each(|file| scan(file, 0, found))
}

fn is_marked(about: &Metadata, mark: FileMark) -> bool {
    about.is_file() && about.dev() == mark.device && about.ino() == mark.inode
}

/// The file of the mark under another name in the same directory, then the files that took its place since and were rotated
/// in their turn: what begins with the name of the alert file and was not modified before. Nothing when the file is gone.
fn rotated(path: &Path, mark: FileMark) -> Vec<PathBuf> {
    let dir = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = path.file_name().unwrap_or_default().as_encoded_bytes();
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    let files: Vec<(PathBuf, Metadata)> = entries
        .flatten()
        .filter_map(|entry| Some((entry.path(), entry.path().symlink_metadata().ok()?)))
        .filter(|(other, about)| other != path && about.is_file())
        .collect();
    let modified = |about: &Metadata| (about.mtime(), about.mtime_nsec());
    let Some((marked, then)) = files.iter().find(|(_, about)| is_marked(about, mark)) else { return Vec::new() };
    let later = files.iter().filter(|(other, about)| {
        let named = other.file_name().is_some_and(|n| n.as_encoded_bytes().starts_with(name));
        named && other != marked && modified(about) >= modified(then)
    });
    std::iter::once(marked).chain(later.map(|(other, _)| other)).cloned().collect()
}

/// The marked file from the mark on; all of it when it was truncated in between.
fn scan_marked(path: &Path, mark: FileMark, found: &mut Recalled) -> io::Result<()> {
    let file = open(path)?;
    let length = file.metadata()?.len();
    let mut before = [b'\n'];
    let intact = mark.length <= length
        && (mark.length == 0 || (file.read_exact_at(&mut before, mark.length - 1).is_ok() && before == *b"\n"));
    found.lost |= !intact;
    scan(path, if intact { mark.length } else { 0 }, found)
}

fn open(path: &Path) -> io::Result<File> {
    std::fs::OpenOptions::new().read(true).custom_flags(super::file::safe_flags()).open(path)
}

/// Every whole line from an offset on.
fn scan(path: &Path, from: u64, found: &mut Recalled) -> io::Result<()> {
    let mut file = open(path)?;
    let about = file.metadata()?;
    let start = from.max(about.len().saturating_sub(MAX_READ));
    found.lost |= start > from;
    file.seek(SeekFrom::Start(start))?;
    let mut reader = BufReader::with_capacity(1 << 16, file);
    let mut line = Vec::new();
    let mut at = start;
    // Whether what comes next continues a line that is too long, or that began before `start`.
    let mut inside = start > from;
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
    if let Some(rest) = line.strip_prefix(b"{\"id\":\"") {
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
