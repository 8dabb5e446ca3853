//! exfil-agent: a lightweight, stateful detection agent for DTEX InTERCEPT spools.
//!
//! The modules in the order of the data flow: `source` reads whole records, `parse` turns them into events, `enrich` adds
//! what follows from tables, `rule` screens them, `detect` asks the models and fires, `store` makes it durable, `sink`
//! delivers. See ARCHITECTURE.md.

// What travels.
pub mod alert;
pub mod batch;
pub mod calendar;
pub mod config;
pub mod event;
pub mod few;
pub mod memo;
pub mod swar;

// What is detected.
pub mod content;

// The flow.
pub mod source;

pub mod parse;

pub mod enrich;

pub mod rule;

pub mod sigma;

pub mod extract;
pub mod worker;

pub mod model;
pub mod state;

pub mod detect;

pub mod store;

pub mod sink;

// How it runs.
pub mod pipeline;
pub mod selftest;
pub mod upkeep;

pub mod exit;
pub mod failpoint;
pub mod logging;
pub mod service;
pub mod signals;

// How it is used.
pub mod commands;
pub mod compare;
pub mod control;
pub mod ctl;
pub mod metrics;
pub mod simulate;
pub mod stats;

#[cfg(any(test, fuzzing))]
pub mod fuzz_entry;

#[cfg(test)]
#[allow(dead_code)] // the tests in tests/ are built with it too, and use other parts
mod effort;
