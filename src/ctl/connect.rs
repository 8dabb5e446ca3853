//! Finds the agent: its socket when it runs, a verified copy of its state when it does not.

use super::Place;
use super::recorded::Recorded;
use super::records::Records;
use super::view::{View, ViewError};
use crate::config::{self, DEFAULT_CONFIG, Settings};
use crate::content::{self, Content};
use std::io::{self, Write};
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
    let (settings, mut faults) = config::load_partly(path);
    if faults.is_empty() {
        return Ok(settings);
    }
    if place.config.is_none() && place.socket.is_some() {
        // Who names the socket wants to ask the agent, whatever was done to its config since.
        let _ = writeln!(io::stderr(), "agentctl: {} has faults and is left out", default.display());
        return Ok(Settings::default());
    }
    if let Err(more) = content::load(&settings.detection) {
        faults.0.extend(more.0);
    }
    let faults = faults.check(()).err().unwrap_or_default();
    Err(ViewError::Failed(format!(
        "the config cannot be used, so it is not known where the agent is; --socket PATH asks one that runs, which goes on with what it has:\n{faults}"
    )))
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
    let (content, faults) = content_to_show(settings)?;
    if faults > 0 {
        let notice =
            "the content has faults, which `agentctl content check` names; what is shown goes by the shipped content";
        let _ = writeln!(io::stderr(), "agentctl: {notice}");
    }
    Ok(Box::new(Recorded::new(records, content, settings.clone())?))
}

/// The content of the settings. While it has faults, the shipped one: the agent goes on with what it has, and how it does can
/// still be asked. Also the number of faults.
pub(super) fn content_to_show(settings: &Settings) -> Result<(Content, usize), ViewError> {
    let failed = |faults| ViewError::Failed(format!("the content has faults:\n{faults}"));
    match content::load(&settings.detection) {
        Ok(content) => Ok((content, 0)),
        Err(faults) => {
            let shipped = content::load(&Settings::default().detection).map_err(failed)?;
            Ok((shipped, faults.0.len()))
        }
    }
}
