//! exfil-agent: a lightweight, stateful detection agent for DTEX InTERCEPT spools.
//!
//! The modules in the order of the data flow: `source` reads whole records, `parse` turns them into events, `enrich` adds
//! what follows from tables, `rule` screens them, `detect` asks the models and fires, `store` makes it durable, `sink`
//! delivers. See ARCHITECTURE.md.

pub mod calendar;
pub mod config;

pub mod alert;
pub mod batch;
pub mod event;

pub mod content;

pub mod enrich;
pub mod model;
pub mod parse;
pub mod rule;
pub mod simulate;
pub mod sink;
pub mod source;
pub mod store;
