//! Alerts to standard output as JSON Lines: what `replay` does without a file.

use super::{Outgoing, Sink, SinkError, render};
use crate::alert::AgentIdentity;
use crate::config::AlertFormat;
use std::io::{ErrorKind, Write};

/// Writes each alert as a line.
pub struct StdoutSink {
    identity: AgentIdentity,
    closed: bool,
}

impl StdoutSink {
    /// A sink that reports as this agent.
    pub fn new(identity: AgentIdentity) -> StdoutSink {
        StdoutSink { identity, closed: false }
    }
}

impl Sink for StdoutSink {
    fn name(&self) -> &str {
        "stdout"
    }

    fn deliver(&mut self, batch: &[Outgoing]) -> Result<usize, SinkError> {
        let mut text = String::new();
        for out in batch {
            text.push_str(&render(AlertFormat::Json, &out.alert, &self.identity));
            text.push('\n');
        }
        // Whoever closed the pipe (`| head`) has seen enough.
        if !self.closed
            && let Err(e) = std::io::stdout().lock().write_all(text.as_bytes())
        {
            if e.kind() != ErrorKind::BrokenPipe {
                return Err(SinkError(format!("standard output: {e}")));
            }
            self.closed = true;
        }
        Ok(batch.len())
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        let _ = std::io::stdout().flush();
        Ok(())
    }
}
