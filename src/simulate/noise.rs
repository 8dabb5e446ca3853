//! Records that are no events: what a spool has when agents crash, disks fill up and people edit files.
//!
//! Each is one record of its file and must be rejected whatever stands around it.

use super::rng::Rng;

/// Kinds of broken records in a CEF file.
const CEF_KINDS: &[&str] = &[
    "free_text",
    "truncated_header",
    "truncated_before_time",
    "no_time",
    "unreadable_time",
    "unknown_activity",
    "other_vendor",
    "binary",
    "csv_row",
];

/// Kinds of broken records in a CSV export.
const CSV_KINDS: &[&str] = &["free_text", "short_row", "binary", "cef_line"];

/// The kind of a record that is longer than any limit.
pub const TOO_LONG: &str = "too_long";

/// Appends a broken record to a CEF file; returns its kind.
pub fn push_broken_line(rng: &mut Rng, end: &[u8], out: &mut Vec<u8>) -> &'static str {
    let kind = rng.pick(CEF_KINDS);
    let text: &[u8] = match kind {
        "free_text" => b"-- collector restarted, 3 messages lost --",
        "truncated_header" => br"CEF:0|Dtex|DTEX InTERCEPT|6.0|FileCre",
        "truncated_before_time" => br"CEF:0|Dtex|DTEX InTERCEPT|6.0|ProcessCreated|Running C:\Windows\notepad.exe|5|start=17724",
        "no_time" => br"CEF:0|Dtex|DTEX InTERCEPT|6.0|SessionLocked|Session locked|3|Device_Name=CORP\WS0001 User_Name=CORP\nobody",
        "unreadable_time" => {
            br"CEF:0|Dtex|DTEX InTERCEPT|6.0|SessionLocked|Session locked|3|start=yesterday Device_Name=CORP\WS0001"
        }
        "unknown_activity" => {
            br"CEF:0|Dtex|DTEX InTERCEPT|6.0|ClipboardActivity|Copied|3|start=1772442000000 Device_Name=CORP\WS0001"
        }
        "other_vendor" => b"CEF:0|Contoso|Firewall|1.0|100|Allowed|3|start=1772442000000 src=192.0.2.1 dst=192.0.2.2",
        "binary" => b"\x00\x01\x02\xff\xfe\x00CEF:0\x00\x00\x80\x81",
        _ => br"FileSystemActivity,FileCreated,,2026-03-02T09:00:00,CORP\nobody,Sales,Berlin,WS0001",
    };
    out.extend_from_slice(text);
    out.extend_from_slice(end);
    kind
}

/// Appends a broken record to a CSV export; returns its kind.
pub fn push_broken_row(rng: &mut Rng, out: &mut Vec<u8>) -> &'static str {
    let kind = rng.pick(CSV_KINDS);
    let text: &[u8] = match kind {
        "free_text" => b"-- export interrupted --",
        "short_row" => b"FileSystemActivity,FileCreated,half a row",
        "binary" => b"\x00\x01\x02\xff\xfe\x00\x00\x80\x81",
        _ => {
            br"CEF:0|Dtex|DTEX InTERCEPT|6.0|SessionLocked|Session locked|3|start=1772442000000 Device_Name=CORP\WS0001"
        }
    };
    out.extend_from_slice(text);
    out.extend_from_slice(b"\r\n");
    kind
}

/// Appends a line of 300,000 bytes and more.
pub fn push_too_long(end: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(
        br"CEF:0|Dtex|DTEX InTERCEPT|6.0|ProcessCreated|Running C:\Tools\x.exe|5|start=1772442000000 User_Name=CORP\nobody reason=",
    );
    for _ in 0..30_000 {
        out.extend_from_slice(b"ABCDEFGHI ");
    }
    out.extend_from_slice(end);
}
