//! Signals, all in one file: SIGINT by ctrlc, SIGTERM and SIGHUP by signal-hook.
//!
//! ctrlc's own `termination` feature would take SIGHUP as well and turn a reload into a shutdown; hence the split.

use crossbeam_channel::{Receiver, Sender, bounded};
use signal_hook::consts::{SIGHUP, SIGTERM};
use signal_hook::iterator::Signals;

/// What the outside asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Stop: SIGINT or SIGTERM.
    Stop,
    /// Load content and config anew: SIGHUP.
    Reload,
}

/// Listens for signals from here on. A second SIGINT or SIGTERM ends the process at once; the state survives that.
///
/// # Errors
/// When handlers cannot be installed.
pub fn listen() -> Result<Receiver<Signal>, String> {
    let (send, receive) = bounded(8);
    let on_interrupt = stopper(send.clone());
    ctrlc::set_handler(on_interrupt).map_err(|e| format!("cannot handle SIGINT: {e}"))?;
    let mut signals = Signals::new([SIGTERM, SIGHUP]).map_err(|e| format!("cannot handle SIGTERM and SIGHUP: {e}"))?;
    let mut on_term = stopper(send.clone());
    std::thread::Builder::new()
        .name("signals".into())
        .spawn(move || {
            for signal in signals.forever() {
                match signal {
                    SIGHUP => drop(send.try_send(Signal::Reload)),
                    _ => on_term(),
                }
            }
        })
        .map_err(|e| format!("cannot start the signal thread: {e}"))?;
    Ok(receive)
}

/// Sends one stop; the second call exits.
fn stopper(send: Sender<Signal>) -> impl FnMut() + Send + 'static {
    let mut asked = false;
    move || {
        if std::mem::replace(&mut asked, true) {
            std::process::exit(crate::exit::RUNTIME);
        }
        let _ = send.try_send(Signal::Stop);
    }
}
