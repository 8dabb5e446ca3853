//! The order in which a replay reads the files of a directory: oldest first, by the time of the first readable record,
//! then by name, a higher rotation number first. Never by the times of the file system, which a copy changes.

use super::Sniff;
use super::cut::without_line_end;
use super::reader::{Reader, open_regular};
use super::scan::Listed;
use std::cmp::Reverse;
use std::io;
use std::path::Path;

/// How far into a file a readable record is looked for.
const PEEK_BYTES: usize = 256 * 1024;

/// Sorts the files. One that cannot be read comes last and is reported when its turn comes.
pub(super) fn sort(files: Vec<Listed>, sniff: &dyn Sniff, max_expansion: u64) -> Vec<Listed> {
    let mut keyed: Vec<_> = files
        .into_iter()
        .map(|file| {
            let time = first_time(&file.path, sniff, max_expansion).ok().flatten();
            ((time.is_none(), time, name_key(&file.path)), file)
        })
        .collect();
    keyed.sort_by(|a, b| a.0.cmp(&b.0));
    keyed.into_iter().map(|(_, file)| file).collect()
}

fn first_time(path: &Path, sniff: &dyn Sniff, max_expansion: u64) -> io::Result<Option<i64>> {
    let (file, _) = open_regular(path, false)?;
    let Some(mut reader) = Reader::new(&file, max_expansion, true)? else { return Ok(None) };
    let mut buf = Vec::with_capacity(PEEK_BYTES);
    reader.read(0, PEEK_BYTES, &mut buf)?;
    let mut header: Option<&[u8]> = None;
    for line in buf.split_inclusive(|b| *b == b'\n') {
        let line = without_line_end(line);
        let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
        if line.is_empty() {
            continue;
        }
        if sniff.is_csv_header(line) {
            header = Some(line);
            continue;
        }
        let time = match header {
            Some(header) => sniff.row_time(header, line),
            None => sniff.record_time(line),
        };
        if time.is_some() {
            return Ok(time);
        }
    }
    Ok(None)
}

/// Sorts `a.log.2` before `a.log.1` before `a.log`.
pub(super) fn name_key(path: &Path) -> (String, Reverse<Option<u64>>, String) {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let (stem, rotation) = rotation(&name);
    (stem.to_owned(), Reverse(rotation), name)
}

/// `a.log.2.gz` is rotation 2 of `a.log`.
fn rotation(name: &str) -> (&str, Option<u64>) {
    let name = [".gz", ".zst"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
    match name.rsplit_once('.') {
        Some((stem, number)) if !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()) => {
            (stem, number.parse().ok())
        }
        _ => (name, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rotation_numbers_are_found_before_the_compression() {
        assert_eq!(rotation("a.log"), ("a.log", None));
        assert_eq!(rotation("a.log.10"), ("a.log", Some(10)));
        assert_eq!(rotation("a.log.2.gz"), ("a.log", Some(2)));
        assert_eq!(rotation("a.log.zst"), ("a.log", None));
        assert_eq!(rotation("v1."), ("v1.", None));
    }
}
