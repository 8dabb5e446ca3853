//! The integration tests, one binary. The list of modules is the guide.

#![allow(missing_docs)]
// Tests say what went wrong by panicking.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

#[path = "../src/effort.rs"]
#[allow(dead_code)] // the library's own tests are built with it too, and use other parts
mod effort; // how much the programmes do, and by which seeds
mod mounts; // file systems of a test's own
mod site; // the real daemon in a directory of its own
mod skip; // how a test says that it cannot run here
mod support; // a replay through the library, with its state kept
mod unit_environment; // what the systemd unit sets

mod abuse; // hostile and huge input: bounded, and said
mod agentctl; // agentctl's exit codes and streams, from outside
mod backlog; // weeks of spool after an outage, read as if in time
mod cases; // spools in, alerts and state out, whatever the threads and restarts
mod changes; // reload, compaction, forgetting, while the real daemon works
mod compare; // replay --compare against two plain replays
mod crash; // the real daemon: killed anywhere, at random and at every failpoint
mod daemon; // the real daemon: asked, given bad starts
mod determinism; // the same input, the same output, whatever the threads and their timing
mod documents; // generated references, and commands that documents name
mod faults; // calls that fail, full disks, state that vanishes
mod follow; // agentctl alerts follow, on the real daemon
mod golden; // states of every schema, read for ever
mod messages; // what is said to bad input, as data: message and exit code
mod metrics; // figures for Prometheus: what they say, who may ask, what is shipped for them
mod oracle; // detection against a plain judge, event by event
mod overrides; // a site's own content on the real daemon: exceptions, bad content, models that change
mod package; // the packages: their files, and a machine that installs, upgrades, removes and purges
mod paging; // memory for what is learned: who leaves it comes back
mod power_loss; // what had reached the disk when the power went
mod quality; // a small run of make quality
mod readme; // every command of the README
mod recovery; // the real daemon with a damaged state: snapshots, learning anew
mod seed; // the shipped content against the published list of rules and models
mod sigma; // public Sigma rules: loaded, screened, compared with another engine
mod simulated; // offices that the simulator plans: found, missed, extra
mod sinks; // the sinks with a real rsyslogd, a real logrotate and real full disks
mod soak; // twenty minutes of everything at once; in make torture
mod tailing; // what happens to log files, as folders of steps: up, restarted, killed
mod tidy; // the house rules that a program can check
mod unit_file; // the systemd unit and its companions
