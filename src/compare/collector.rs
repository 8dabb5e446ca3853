//! The sink of one side: every alert goes to the pairing.

use super::pairing::{Pairing, Which};
use crate::sink::{Outgoing, Sink, SinkError};
use std::sync::{Arc, Mutex, PoisonError};

/// Hands alerts on.
pub(super) struct Collector {
    which: Which,
    pairing: Arc<Mutex<Pairing>>,
}

impl Collector {
    pub(super) fn new(which: Which, pairing: Arc<Mutex<Pairing>>) -> Collector {
        Collector { which, pairing }
    }
}

impl Sink for Collector {
    fn name(&self) -> &str {
        "compare"
    }

    fn deliver(&mut self, batch: &[Outgoing]) -> Result<usize, SinkError> {
        let mut pairing = self.pairing.lock().unwrap_or_else(PoisonError::into_inner);
        batch.iter().for_each(|out| pairing.add(self.which, &out.alert));
        Ok(batch.len())
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        Ok(())
    }
}
