//! The integration tests, one binary. The list of modules is the guide.

#![allow(missing_docs)]
// Tests say what went wrong by panicking.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

#[path = "../src/effort.rs"]
#[allow(dead_code)]
mod effort; // how much the programmes do, and by which seeds
mod site; // the real daemon in a directory of its own
mod skip; // how a test says that it cannot run here
mod support; // a replay through the library, with its state kept

mod agentctl; // agentctl's exit codes and streams, from outside
mod cases; // spools in, alerts and state out, whatever the threads and restarts
mod daemon; // the real daemon: killed, restarted, asked, given bad starts
mod readme; // every command of the README
mod seed; // the shipped content against the published list of rules and models
mod simulated; // offices that the simulator plans: found, missed, extra
mod sinks; // the sinks with a real rsyslogd, a real logrotate and real full disks
mod tidy; // the house rules that a program can check
mod unit_file; // the systemd unit and its companions
