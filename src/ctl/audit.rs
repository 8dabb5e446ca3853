//! Who changed the state of a stopped agent, as a line for the system's log: no agent runs that would write it into its own.
//!
//! Never fails: where no daemon listens, whoever asked has been answered anyway.

use crate::control::Change;
use std::os::unix::net::UnixDatagram;
use std::path::Path;

/// Where the system's log is written to.
const SYSTEM_LOG: &str = "/dev/log";
/// Facility authpriv, severity notice: names of users stand in it.
const PRIORITY: u8 = 10 * 8 + 5;

/// Says who made a change, or could not.
pub(super) fn note(change: &Change, dir: &Path, done: Result<(), String>) {
    let uid = rustix::process::getuid().as_raw();
    note_to(Path::new(SYSTEM_LOG), &line(uid, change, dir, done));
}

fn line(uid: u32, change: &Change, dir: &Path, done: Result<(), String>) -> String {
    let what = change.describe();
    let outcome = done.map_or_else(|why| format!("nothing was changed: {why}"), |()| format!("done: {what}"));
    format!("uid {uid} asks to {what}, in the state {} of a stopped agent; {outcome}", dir.display())
}

fn note_to(log: &Path, line: &str) {
    // A name from the command line must not begin a line of its own.
    let line: String = line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let message = format!("<{PRIORITY}>agentctl[{}]: {line}", std::process::id());
    if let Ok(socket) = UnixDatagram::unbound()
        && socket.set_nonblocking(true).is_ok()
    {
        let _ = socket.send_to(message.as_bytes(), log);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upkeep::Subject;

    #[test]
    fn a_change_of_a_stopped_state_is_one_line_that_says_who_did_what() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("log");
        let daemon = UnixDatagram::bind(&log).unwrap();
        let change = Change::Forget(Subject::User("corp\\jdoe\nroot".into()));
        for (done, end) in
            [(Ok(()), "done: forget the user corp\\jdoe root"), (Err("no".into()), "nothing was changed: no")]
        {
            note_to(&log, &line(1000, &change, Path::new("/state"), done));
            let mut message = [0; 1024];
            let n = daemon.recv(&mut message).unwrap();
            let said = String::from_utf8_lossy(&message[..n]).into_owned();
            assert!(said.starts_with("<85>agentctl["), "{said}");
            let wanted = "uid 1000 asks to forget the user corp\\jdoe root, in the state /state of a stopped agent; ";
            assert!(said.ends_with(&format!("{wanted}{end}")), "{said}");
        }
        note_to(&dir.path().join("nobody"), "nobody listens, and nothing happens");
    }
}
