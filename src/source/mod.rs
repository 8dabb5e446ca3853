//! Reading: spool directories become batches of whole records. notify is a hint, the rescan is the truth.
//!
//! The source never interprets a record beyond where it ends, never holds more than its limits, and never moves a
//! position past a record that it has not handed on.

pub mod cut;
