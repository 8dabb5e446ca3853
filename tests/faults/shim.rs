//! The preloaded library that makes chosen calls fail: compiled once, and the settings that aim it.
//!
//! It sees what goes through libc: all of sled and of the standard library. It does not see rustix, which makes system
//! calls itself: the reads of plain spool files (their heads are read through libc), file locks, the calls of syslog.

use crate::skip::has_command;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

pub const EINTR: i32 = 4;
pub const EIO: i32 = 5;
pub const ENOSPC: i32 = 28;
pub const EROFS: i32 = 30;
/// No error: a write or read does half of its work.
pub const SHORT: i32 = 0;

/// A fault: which call fails, how, and how often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// `write`, `sync`, `open`, `name`, `read`, separated by commas; empty means all.
    pub kinds: &'static str,
    /// The first call that fails, from 1; 0 makes none fail.
    pub nth: u64,
    /// How many calls fail from there on; 0 means all.
    pub times: u64,
    /// What the call fails with.
    pub errno: i32,
}

/// The library, or why there is none.
pub fn library() -> Result<&'static Path, &'static str> {
    static BUILT: LazyLock<Result<PathBuf, String>> = LazyLock::new(build);
    BUILT.as_deref().map_err(String::as_str)
}

fn build() -> Result<PathBuf, String> {
    if !has_command("cc") {
        return Err("there is no C compiler".into());
    }
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/faults/shim.c");
    let library = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fault-shim-{}.so", std::process::id()));
    let mut cc = Command::new("cc");
    cc.args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"]).arg(&library).arg(&source).arg("-ldl");
    let out = cc.output().map_err(|e| e.to_string())?;
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    Ok(library)
}

/// The variables that aim the library at the files below these paths.
pub fn environment(fault: Fault, paths: &[&Path], report: &Path) -> Vec<(&'static str, OsString)> {
    let joined = paths.iter().map(|p| p.to_str().unwrap()).collect::<Vec<_>>().join(":");
    vec![
        ("LD_PRELOAD", library().unwrap().into()),
        ("FAULT_PATHS", joined.into()),
        ("FAULT_KINDS", fault.kinds.into()),
        ("FAULT_NTH", fault.nth.to_string().into()),
        ("FAULT_TIMES", fault.times.to_string().into()),
        ("FAULT_ERRNO", fault.errno.to_string().into()),
        ("FAULT_REPORT", report.into()),
        ("EXFIL_AGENT_LONGEST_PAUSE_MS", "60".into()),
    ]
}

/// What the library reported: how many calls were counted, and those that failed.
pub fn report(path: &Path) -> (u64, Vec<String>) {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let failed = text.lines().filter_map(|l| l.strip_prefix("fault ")).map(str::to_owned);
    (text.lines().count() as u64, failed.collect())
}
