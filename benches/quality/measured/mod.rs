//! How good the rules are on offices whose truth is known. Shared by `make quality` and `tests/quality.rs`.
//!
//! The agent's own worker, detector and content judge a simulated spool that is made a day at a time and never lies on a disk.

pub mod interval; // confidence intervals of shares and rates
pub mod office; // one office, judged: what was found, missed and said besides
pub mod tables; // what the document shows

#[path = "../../micro/stage.rs"]
#[allow(dead_code)] // the micro-benchmarks use other parts
mod stage;
