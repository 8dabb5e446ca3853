//! Doing a step: bytes from the short forms of `steps.toml`, and the system calls.
//!
//! In a text, `{7}` is CEF record 7 without a line end, `{7 more}` the same with more in its command, `{1-9}` are nine lines
//! with line ends; `{csv 7}` and `{csv 1-9}` are CSV rows and `{header}` is their header; `{x 500}` is the letter 500 times.
//! Record n is of user n, so that each judged record gives one alert that names it.

use super::script::Act;
use std::fs::{self, OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

pub const HEADER: &str = "Activity_Category,Activity_Type,User_Name,User_Department,User_Location,Device_Name,Process_Name,Process_Directory,Process_Parameters,Website_Query,Activity_Description,Start_Time";

/// CEF record `n`.
pub fn cef(n: usize, more: &str) -> String {
    let start = 1_772_442_000_000_u64 + n as u64 * 1000; // 2026-03-02T09:00:00Z
    format!(
        r"CEF:0|Dtex|DTEX InTERCEPT|6.0|ProcessCreated|Running C:\t\plink.exe|5|start={start} Device_Name=CORP\WS{} User_Name=CORP\u{n} reason=plink.exe -ssh u@h{more} outcome=Success",
        n % 5
    )
}

/// CSV row `n`.
pub fn csv(n: usize, more: &str) -> String {
    format!(
        "ProcessActivity,ProcessCreated,CORP\\u{n},Sales,Berlin,CORP\\WS1,plink.exe,C:\\t,\"plink.exe -ssh u@h{more}\",,x,2026-03-02T09:{:02}:{:02}",
        n / 60 % 60,
        n % 60
    )
}

/// `3-5 9` as numbers.
pub fn numbers(text: &str) -> Vec<usize> {
    let number = |n: &str| n.parse::<usize>().unwrap_or_else(|e| panic!("{n:?}: {e}"));
    let range = |part: &str| match part.split_once('-') {
        Some((from, to)) => number(from)..=number(to),
        None => number(part)..=number(part),
    };
    text.split_whitespace().flat_map(range).collect()
}

/// The text that a short form stands for.
pub fn expand(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, from)) = rest.split_once('{') {
        out.push_str(before);
        let (form, after) = from.split_once('}').unwrap_or_else(|| panic!("no }} in {text:?}"));
        out.push_str(&form_of(form));
        rest = after;
    }
    out.push_str(rest);
    out
}

fn form_of(form: &str) -> String {
    let (first, more) = form.split_once(' ').unwrap_or((form, ""));
    let is_number = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit() || b == b'-');
    let records = |which: &str, more: &str, record: fn(usize, &str) -> String| -> String {
        match which.contains('-') {
            true => numbers(which).into_iter().map(|n| record(n, "") + "\n").collect(),
            false => record(numbers(which)[0], more),
        }
    };
    let more_of = |more: &str| if more.is_empty() { String::new() } else { format!(" {more}") };
    match first {
        "header" => HEADER.to_owned(),
        "csv" => {
            let (which, more) = more.split_once(' ').unwrap_or((more, ""));
            records(which, &more_of(more), csv)
        }
        "nul" => "\0".repeat(more.parse().unwrap()),
        "newline" => "\n".repeat(more.parse().unwrap()),
        _ if is_number(first) => records(first, &more_of(more), cef),
        _ if first.chars().count() == 1 => first.repeat(more.parse().unwrap_or_else(|e| panic!("{form:?}: {e}"))),
        _ => panic!("no such short form: {form:?}"),
    }
}

pub fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut e = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    e.write_all(bytes).unwrap();
    e.finish().unwrap()
}

fn stored(text: &[u8], how: &str) -> Vec<u8> {
    let units = |to: fn(u16) -> [u8; 2]| {
        String::from_utf8(text.to_vec()).unwrap().encode_utf16().flat_map(to).collect::<Vec<u8>>()
    };
    match how {
        "gz" => gz(text),
        "zst" => zstd::encode_all(text, 3).unwrap(),
        "utf16le" => units(u16::to_le_bytes),
        "utf16be" => units(u16::to_be_bytes),
        "latin1" => String::from_utf8(text.to_vec()).unwrap().chars().map(|c| c as u8).collect(),
        other => panic!("not stored as {other}"),
    }
}

impl Act {
    /// The bytes that the step writes.
    pub fn bytes(&self) -> Vec<u8> {
        let plain = match (&self.text, &self.hex) {
            (Some(text), None) => expand(text).into_bytes(),
            (None, Some(hex)) => exfil_agent::control::from_hex(hex).unwrap(),
            _ => Vec::new(),
        };
        let bytes = self.stored.as_ref().map_or(plain.clone(), |how| stored(&plain, how));
        let (from, to) = self.part.unwrap_or((0, 100));
        bytes[bytes.len() * from / 100..bytes.len() * to / 100].to_vec()
    }

    /// Does it. Only what must outlive the step (a bound socket) is returned.
    pub fn act(&self, spool: &Path) -> Option<UnixListener> {
        // By name: the spool itself may be away.
        let at = |name: &str| -> PathBuf {
            name.strip_prefix("../").map_or_else(|| spool.join(name), |beside| spool.with_file_name(beside))
        };
        let both = |(from, to): &(String, String)| (at(from), at(to));
        let act = |result: std::io::Result<()>| result.unwrap_or_else(|e| panic!("{self:?}: {e}"));
        let open = |name: &str| OpenOptions::new().write(true).create(true).truncate(false).open(at(name)).unwrap();
        if let Some(name) = &self.append {
            let file = OpenOptions::new().append(true).create(true).open(at(name));
            act(file.and_then(|mut f| f.write_all(&self.bytes())));
        } else if let Some(name) = &self.write {
            act(fs::write(at(name), self.bytes()));
        } else if let Some(name) = &self.fill {
            act(open(name).write_all_at(&self.bytes(), self.at.unwrap_or(0)));
        } else if let Some(name) = &self.replace {
            act(fs::write(at(".new"), self.bytes()).and_then(|()| fs::rename(at(".new"), at(name))));
        } else if let Some(names) = &self.rename {
            let (from, to) = both(names);
            act(fs::rename(from, to));
        } else if let Some(names) = &self.copy {
            let (from, to) = both(names);
            act(fs::copy(from, to).map(|_| ()));
        } else if let Some(names) = &self.copytruncate {
            let (from, to) = both(names);
            act(fs::copy(&from, to).map(|_| ()));
            act(OpenOptions::new().write(true).open(from).and_then(|f| f.set_len(0)));
        } else if let Some(names) = &self.compress {
            let (from, to) = both(names);
            let bytes = fs::read(&from).unwrap();
            let how = if to.extension().is_some_and(|e| e == "gz") { "gz" } else { "zst" };
            act(fs::write(to, stored(&bytes, how)).and_then(|()| fs::remove_file(from)));
        } else if let Some(name) = &self.truncate {
            act(open(name).set_len(0));
        } else if let Some((name, size)) = &self.extend {
            act(open(name).set_len(*size));
        } else if let Some(name) = &self.remove {
            act(fs::remove_file(at(name)));
        } else if let Some(names) = &self.hard_link {
            let (from, to) = both(names);
            act(fs::hard_link(from, to));
        } else if let Some((target, name)) = &self.symlink {
            act(std::os::unix::fs::symlink(at(target), at(name)));
        } else if let Some(name) = &self.fifo {
            let mode = rustix::fs::Mode::from_raw_mode(0o600);
            act(rustix::fs::mkfifoat(rustix::fs::CWD, at(name), mode).map_err(Into::into));
        } else if let Some(name) = &self.socket {
            // By its short name: paths of sockets are limited.
            return Some(UnixListener::bind(at(name)).unwrap());
        } else if let Some(name) = &self.mkdir {
            act(fs::create_dir(at(name)));
        } else if let Some(name) = &self.rmdir {
            act(fs::remove_dir(at(name)));
        } else if let Some(name) = &self.remove_all {
            act(fs::remove_dir_all(at(name)));
        } else if let Some((name, mode)) = &self.chmod {
            act(fs::set_permissions(at(name), Permissions::from_mode(u32::from_str_radix(mode, 8).unwrap())));
        } else {
            panic!("a step without a verb: {self:?}");
        }
        None
    }
}
