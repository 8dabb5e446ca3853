//! Conditions over the fields of one event.

/// A compiled condition.
#[derive(Debug, Default)]
pub struct Condition {}
