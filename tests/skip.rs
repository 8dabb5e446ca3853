//! How a test says that this machine lacks what it needs: a line on the real standard error, past the harness's capture.

use std::io::Write;
use std::path::PathBuf;

/// Prints `SKIP name: reason`. The caller returns afterwards.
pub fn skip(name: &str, reason: &str) {
    // One write, so that lines of parallel tests do not run into each other.
    let _ = std::io::stderr().write_all(format!("SKIP {name}: {reason}\n").as_bytes());
}

/// Whether a command of this name can be found.
pub fn has_command(name: &str) -> bool {
    command(name).is_some()
}

/// Where a command is: on the search path, or where Debian keeps what users seldom call.
pub fn command(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let dirs = std::env::split_paths(&path).chain(["/usr/sbin".into()]);
    dirs.map(|dir| dir.join(name)).find(|file| file.is_file())
}
