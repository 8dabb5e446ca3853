//! Wakes a call of the database that nobody else would wake.
//!
//! When a write fails in one of sled's own threads, sled notes the error, but does not always wake the call that waits for
//! the write (0.34.7: a buffer that is written because its last reservation ended). That call would wait for ever, on a full
//! disk as on a broken one. A thread of ours looks now and then while a call is going on, and does what sled left out.
//! What this file never does: anything while no call is going on.

use std::io;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// Time between two looks. A healthy commit rarely takes as long as one.
const PERIOD: Duration = Duration::from_millis(200);

/// The thread; it ends when this is dropped.
pub(super) struct Nudge {
    bell: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// A call that is going on, until this is dropped.
pub(super) struct Call<'a>(&'a Nudge);

impl Nudge {
    /// Starts the thread. While a call is going on, it runs `look` once a period.
    pub(super) fn spawn(look: impl Fn() + Send + 'static) -> io::Result<Nudge> {
        let (bell, heard) = channel();
        let thread = std::thread::Builder::new().name("store-nudge".into()).spawn(move || {
            // The bell rings when a call begins and when it ends, and falls silent for good at the end.
            while heard.recv().is_ok() {
                while let Err(error) = heard.recv_timeout(PERIOD) {
                    match error {
                        RecvTimeoutError::Timeout => look(),
                        RecvTimeoutError::Disconnected => return,
                    }
                }
            }
        })?;
        Ok(Nudge { bell: Some(bell), thread: Some(thread) })
    }

    /// A call begins.
    pub(super) fn call(&self) -> Call<'_> {
        self.ring();
        Call(self)
    }

    fn ring(&self) {
        if let Some(bell) = &self.bell {
            let _ = bell.send(());
        }
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        self.0.ring();
    }
}

impl Drop for Nudge {
    fn drop(&mut self) {
        self.bell = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn it_looks_while_a_call_is_going_on_and_only_then() {
        let looks = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&looks);
        let nudge = Nudge::spawn(move || {
            counter.fetch_add(1, Ordering::SeqCst);
        })
        .unwrap();
        drop(nudge.call());
        let call = nudge.call();
        while looks.load(Ordering::SeqCst) == 0 {
            std::thread::yield_now();
        }
        drop(call);
        drop(nudge);
        assert_eq!(Arc::strong_count(&looks), 1, "the thread has ended and let go of what it held");
    }
}
