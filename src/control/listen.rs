//! The socket itself: made with its final mode, never put in the place of anything but a dead socket; and how long a client is
//! waited for.

use rustix::fs::Mode;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, connect, listen, socket_with};
use std::io::{Error, ErrorKind};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::{Duration, Instant};

/// Owner and group may connect.
const MODE: Mode = Mode::RUSR.union(Mode::WUSR).union(Mode::RGRP).union(Mode::WGRP);
/// Clients that may wait for a place.
const BACKLOG: i32 = 64;

/// Binds the socket. One that nobody listens on any more (after a crash) is replaced.
///
/// # Errors
/// When somebody listens there, or something else has the name.
pub fn bind_socket(path: &Path) -> std::io::Result<UnixListener> {
    match std::fs::symlink_metadata(path) {
        Ok(meta) if meta.file_type().is_socket() => {
            if poke(path) {
                return Err(Error::new(ErrorKind::AddrInUse, "another agent answers on it"));
            }
            std::fs::remove_file(path)?;
        }
        Ok(_) => return Err(Error::new(ErrorKind::AlreadyExists, "it exists and is no socket")),
        Err(_) => {}
    }
    let socket = socket(SocketFlags::CLOEXEC)?;
    // Before the name exists: a mode set afterwards alone would leave a moment in which everyone may connect.
    rustix::fs::fchmod(&socket, MODE)?;
    bind(&socket, &SocketAddrUnix::new(path)?)?;
    // The umask may have taken the group's part.
    rustix::fs::chmod(path, MODE)?;
    listen(&socket, BACKLOG)?;
    Ok(UnixListener::from(socket))
}

/// Connects and hangs up, without waiting. Says whether someone listens there: also when the queue is full.
pub fn poke(path: &Path) -> bool {
    let address = SocketAddrUnix::new(path);
    let Ok((address, socket)) = address.and_then(|a| Ok((a, socket(SocketFlags::CLOEXEC | SocketFlags::NONBLOCK)?)))
    else {
        return false;
    };
    matches!(connect(&socket, &address), Ok(()) | Err(Errno::AGAIN))
}

fn socket(flags: SocketFlags) -> rustix::io::Result<OwnedFd> {
    socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)
}

/// What is left until then; a timeout of zero would mean none.
///
/// # Errors
/// When the time is over.
pub fn left(until: Instant) -> std::io::Result<Duration> {
    match until.checked_duration_since(Instant::now()) {
        Some(left) if !left.is_zero() => Ok(left),
        _ => Err(Error::new(ErrorKind::TimedOut, "the client is too slow")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn only_a_dead_socket_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("control.sock");
        let listening = bind_socket(&path).unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o660, "{mode:o}");
        assert_eq!(bind_socket(&path).unwrap_err().kind(), ErrorKind::AddrInUse);
        drop(listening);
        assert!(path.exists(), "what a crash leaves behind");
        drop(bind_socket(&path).unwrap());

        let (file, link) = (dir.path().join("file"), dir.path().join("link"));
        std::fs::write(&file, "precious").unwrap();
        symlink(&path, &link).unwrap();
        for other in [&file, &link] {
            assert_eq!(bind_socket(other).unwrap_err().kind(), ErrorKind::AlreadyExists);
        }
        assert_eq!(std::fs::read(&file).unwrap(), b"precious");
        assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
    }

    #[test]
    fn a_full_queue_is_someone_who_listens() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("control.sock");
        let _listening = bind_socket(&path).unwrap();
        let waiting: Vec<_> = (0..2 * BACKLOG)
            .map(|_| {
                let s = socket(SocketFlags::NONBLOCK).unwrap();
                let _ = connect(&s, &SocketAddrUnix::new(&path).unwrap());
                s
            })
            .collect();
        assert!(poke(&path), "and nobody waited, though {} hang on", waiting.len());
    }
}
