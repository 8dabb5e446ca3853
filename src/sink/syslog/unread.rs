//! How much of what a TCP connection was given its peer has not yet acknowledged: the question `SIOCOUTQ` to the system.
//!
//! The one place of the crate with unsafe code: no safe call asks this, and without it nobody could tell what has left this
//! machine from what still waits in it.

use rustix::fd::AsFd;
use rustix::io::Errno;
use rustix::ioctl::{Getter, Opcode, ioctl};
use std::ffi::c_int;

/// `SIOCOUTQ`, which is `TIOCOUTQ` by another name; the same number on x86-64 and aarch64.
const UNACKNOWLEDGED: Opcode = 0x5411;

/// Bytes that were written to this TCP socket and that the system at the other end has not acknowledged.
pub(super) fn unacknowledged(socket: impl AsFd) -> Result<u64, Errno> {
    // SAFETY: the call writes one `int` to where it is told to, and touches nothing else. That is what `Getter` asks for.
    #[allow(unsafe_code)]
    let bytes = unsafe { ioctl(socket, Getter::<UNACKNOWLEDGED, c_int>::new()) }?;
    Ok(u64::try_from(bytes).unwrap_or(0))
}
