//! Faults of the system below the agent: calls that fail, full disks, disks that may not be written, state that vanishes.

mod calls; // every call of the programs in turn fails
mod disks; // real file systems: full, read-only
pub mod expected; // what nothing failing gives
mod shim; // the preloaded library that makes calls fail
mod vanished; // state that is removed, replaced or cut under the daemon
