//! The integration tests, one binary. The list of modules is the guide.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod skip; // how a test says that it cannot run here

mod agentctl; // agentctl's exit codes and streams, from outside
mod tidy; // the house rules that a program can check
mod unit_file; // the systemd unit and its companions
