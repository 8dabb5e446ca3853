//! Exit codes of both programs, after sysexits.h where it has a word for them.

/// All went well.
pub const OK: i32 = 0;
/// Something failed while running.
pub const RUNTIME: i32 = 1;
/// The command line is wrong.
pub const USAGE: i32 = 2;
/// The state is corrupt or from a newer version.
pub const STATE: i32 = 65;
/// Something cannot be created.
pub const CANNOT_CREATE: i32 = 73;
/// Another instance holds the state.
pub const IN_USE: i32 = 75;
/// Permission is missing.
pub const PERMISSION: i32 = 77;
/// The config or the content has faults.
pub const CONFIG: i32 = 78;

/// An error on its way to the user: a message and an exit code.
#[derive(Debug)]
pub struct Failure {
    /// What went wrong and what to do, for stderr.
    pub message: String,
    /// The exit code.
    pub code: i32,
}

impl Failure {
    /// A failure with a code.
    pub fn new(code: i32, message: impl Into<String>) -> Failure {
        Failure { message: message.into(), code }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<crate::content::Faults> for Failure {
    fn from(faults: crate::content::Faults) -> Failure {
        let n = faults.0.len();
        let head = if n == 1 { "1 fault".to_owned() } else { format!("{n} faults") };
        Failure::new(CONFIG, format!("{head} in config or content:\n{faults}"))
    }
}
