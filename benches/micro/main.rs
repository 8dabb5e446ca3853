//! `make micro`: what single steps cost, a file each. What the whole costs is told by `make bench`.
//!
//! Numbers are times of this machine at this moment: compare two of one run, or the same before and after a change.
//! Under `cargo test --all-targets` each runs once.

#![allow(missing_docs)]
// A benchmark that cannot go on says why by panicking.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod batch; // a batch through a worker, and through detection
mod commit; // a delta on the disk
mod cut; // files into records
mod dispatch; // which rules and models an event concerns
mod enrichment; // what follows from tables
mod histogram; // score and train
mod parsing; // the spans of a record, and its fields
mod record; // encoding and decoding of the state
mod stage; // the steps by hand, and what they are given

fn main() {
    divan::main();
}
