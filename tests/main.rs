//! The one integration binary; each module is one thing that holds.

#![allow(missing_docs)]
// Tests say what went wrong by panicking.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod seed;
