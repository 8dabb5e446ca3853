//! Faults of the system below the agent: calls that fail, full disks, disks that may not be written, state that vanishes.

mod calls; // every call of the programs in turn fails
mod shim; // the preloaded library that makes them fail
