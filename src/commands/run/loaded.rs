//! What the agent works with: settings, content and directory, read and checked as a whole.

use crate::alert::AgentIdentity;
use crate::commands::load_for_run;
use crate::config::{self, Settings};
use crate::content::{self, Content};
use crate::enrich::Directory;
use crate::exit::{self, Failure};
use crate::pipeline::detecting::TimeSource;
use crate::pipeline::opening::StatePlan;
use crate::pipeline::restoring::Others;
use crate::pipeline::{Pipeline, Plan, SinkPlan};
use crate::sigma::Outcome;
use crate::sink::{FileSink, SyslogSink};
use crate::source::Mode;
use log::{Level, log, warn};
use std::path::Path;
use std::sync::Arc;

/// Settings, content and directory of one moment.
#[derive(Clone)]
pub(super) struct Loaded {
    pub settings: Settings,
    pub content: Arc<Content>,
    directory: Option<Arc<Directory>>,
}

impl Loaded {
    /// Reads the config and what it names.
    ///
    /// # Errors
    /// All faults at once.
    pub fn read(path: &Path) -> Result<Loaded, Failure> {
        Loaded::read_and(path, |_| {})
    }

    /// The same for a start, during which the state is being opened.
    ///
    /// # Errors
    /// All faults at once.
    pub fn begin(path: &Path, accept_empty_state: bool) -> Result<(Loaded, StatePlan), Failure> {
        let of = |settings: &Settings| StatePlan::new(settings.state.dir.clone(), settings, accept_empty_state);
        let mut begun = None;
        let loaded = Loaded::read_and(path, |settings| begun = Some(of(settings).begun()))?;
        let state = begun.unwrap_or_else(|| of(&loaded.settings));
        Ok((loaded, state))
    }

    fn read_and(path: &Path, then: impl FnOnce(&Settings)) -> Result<Loaded, Failure> {
        let euid = rustix::process::geteuid().as_raw();
        let also = |settings: &Settings| {
            let trust = config::check_trust(Some(path), settings, euid);
            trust.warnings.iter().for_each(|w| warn!("{w}"));
            trust.faults
        };
        let (settings, content, directory) = load_for_run(path, also, then)?;
        content::notes(&content, &settings.detection.timezone).iter().for_each(|note| warn!("{note}"));
        if let Some(summary) = content.sigma.summary() {
            let level = if content.sigma.count(Outcome::Refused) > 0 { Level::Warn } else { Level::Info };
            log!(level, "{summary}; `agentctl sigma` says why");
        }
        Ok(Loaded { settings, content, directory })
    }

    /// Whether a running agent can go on with these instead of those that it has.
    ///
    /// # Errors
    /// What only a restart can change.
    pub fn follows(&self, before: &Loaded) -> Result<(), Failure> {
        let (new, old) = (&self.settings, &before.settings);
        let moved = [
            ("state.dir", &new.state.dir, &old.state.dir),
            ("control.socket", &new.control.socket, &old.control.socket),
        ];
        if new.metrics != old.metrics {
            return Err(Failure::new(
                exit::CONFIG,
                "[metrics] is not what it was: that takes a restart of the service; nothing has changed",
            ));
        }
        match moved.iter().find(|(_, new, old)| new != old) {
            Some((name, new, old)) => Err(Failure::new(
                exit::CONFIG,
                format!(
                    "{name} was {} and is {} now, which takes a restart of the service",
                    old.display(),
                    new.display()
                ),
            )),
            None => Ok(()),
        }
    }

    /// Starts the pipeline again, after it has ended.
    ///
    /// # Errors
    /// What cannot be opened.
    pub fn start_again(&self) -> Result<Pipeline, Failure> {
        self.start(StatePlan::new(self.settings.state.dir.clone(), &self.settings, false))
    }

    /// Starts the pipeline.
    ///
    /// # Errors
    /// What cannot be opened.
    pub fn start(&self, state: StatePlan) -> Result<Pipeline, Failure> {
        let plan = Plan {
            mode: Mode::Live(self.settings.spools.clone()),
            state: Some(state),
            others: Others::AtOnce,
            sinks: sinks(&self.settings, &AgentIdentity::here()),
            time: TimeSource::Wall,
            drain_fully: false,
            content: Arc::clone(&self.content),
            directory: self.directory.clone(),
            settings: self.settings.clone(),
        };
        Pipeline::start(plan, Box::new(|_| {}))
    }
}

fn sinks(settings: &Settings, identity: &AgentIdentity) -> Vec<SinkPlan> {
    let mut plans = Vec::new();
    if let Some(s) = settings.sink_file.clone() {
        let identity = identity.clone();
        plans.push(SinkPlan {
            name: "file".into(),
            min_score: s.min_score,
            open: Box::new(move |mark| Box::new(FileSink::new(s, identity, mark))),
        });
    }
    if let Some(s) = settings.sink_syslog.clone() {
        let identity = identity.clone();
        plans.push(SinkPlan {
            name: "syslog".into(),
            min_score: s.min_score,
            open: Box::new(move |_| Box::new(SyslogSink::new(s, identity))),
        });
    }
    plans
}
