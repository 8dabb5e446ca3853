//! Finds the agent: its socket when it runs, a verified copy of its state when it does not.

use super::Place;
use super::recorded::Recorded;
use super::records::Records;
use super::view::{View, ViewError};
use crate::config::{self, DEFAULT_CONFIG, Settings};
use crate::content;
use std::path::Path;

/// The settings of the agent that a place means: those of its config. Without `--config` the default config counts where
/// it exists, else the defaults do.
///
/// # Errors
/// When the config cannot be read.
pub fn settings(place: &Place) -> Result<Settings, ViewError> {
    let default = Path::new(DEFAULT_CONFIG);
    let path = match &place.config {
        Some(path) => path,
        None if place.state.is_none() && default.exists() => default,
        None => return Ok(Settings::default()),
    };
    config::load(path).map_err(|faults| ViewError::Failed(faults.to_string()))
}

/// Opens the agent that a place means.
///
/// # Errors
/// [`ViewError::Unreachable`] when nobody answers and there is no state to read.
pub fn open(place: &Place, settings: &Settings) -> Result<Box<dyn View>, ViewError> {
    let records = match &place.state {
        Some(dir) => Records::stopped(dir)?,
        None => {
            let socket = place.socket.as_ref().unwrap_or(&settings.control.socket);
            Records::find(socket, &settings.state.dir)?
        }
    };
    let content = content::load(&settings.detection, &settings.limits)
        .map_err(|faults| ViewError::Failed(format!("the content has faults:\n{faults}")))?;
    Ok(Box::new(Recorded::new(records, content, settings.clone())?))
}
