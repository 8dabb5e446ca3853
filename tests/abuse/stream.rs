//! Lines as a collector writes them, and streams of them too long to be kept.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

/// 2026-03-02T09:00:00Z, a Monday.
pub const MONDAY: i64 = 1_772_442_000_000;
pub const DAY: i64 = 86_400_000;

/// A file write by a process in the user's temporary directory.
pub fn temp_write(ms: i64, host: &str, user: &str, process: &str) -> String {
    format!(
        "CEF:0|Dtex|DTEX InTERCEPT|6.0|FileCreated|C:\\d\\a.txt (10 bytes)|3|start={ms} Device_Name=CORP\\{host} User_Name=CORP\\{user} Process_Name={process} Process_Directory=C:\\Users\\{user}\\Temp"
    )
}

/// A visit of a page, with whatever other pairs.
pub fn visit(ms: i64, host: &str, user: &str, domain: &str, more: &str) -> String {
    format!(
        "CEF:0|Dtex|DTEX InTERCEPT|6.0|WebPageAccessed|x|3|start={ms} Device_Name=CORP\\{host} User_Name=CORP\\{user} Website_Query=https://{domain}/x {more}"
    )
}

/// A process, by its command line.
pub fn process(ms: i64, host: &str, user: &str, command: &str) -> String {
    let name = command.split(' ').next().unwrap_or_default();
    format!(
        "CEF:0|Dtex|DTEX InTERCEPT|6.0|ProcessCreated|Running C:\\t\\{name}|5|start={ms} Device_Name=CORP\\{host} User_Name=CORP\\{user} reason={command}"
    )
}

/// Writes lines to a `.zst` file, one after the other, keeping none. Returns how many bytes the lines have.
pub fn write_zst(path: &Path, lines: impl Iterator<Item = String>) -> u64 {
    let file = BufWriter::new(File::create(path).unwrap());
    let mut out = zstd::Encoder::new(file, 1).unwrap();
    let mut bytes = 0;
    for line in lines {
        out.write_all(line.as_bytes()).unwrap();
        out.write_all(b"\n").unwrap();
        bytes += line.len() as u64 + 1;
    }
    out.finish().unwrap().flush().unwrap();
    bytes
}
