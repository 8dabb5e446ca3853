//! `exfil-agent run`: the daemon.

use super::load_content;
use super::reached::Reached;
use crate::alert::{AgentIdentity, Alert};
use crate::calendar::wall_clock_ms;
use crate::config::{self, DEFAULT_CONFIG, Settings};
use crate::control;
use crate::exit::Failure;
use crate::pipeline::detecting::TimeSource;
use crate::pipeline::{Pipeline, Plan, SinkPlan};
use crate::service;
use crate::signals::{self, Signal};
use crate::sink::{FileSink, SyslogSink};
use crate::source::Mode;
use log::{info, warn};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Arguments of `run`.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  exfil-agent run\n  exfil-agent run --config ./exfil-agent.toml")]
pub struct Arguments {
    /// The config
    #[arg(long, value_name = "FILE", default_value = DEFAULT_CONFIG)]
    config: PathBuf,
    /// Where the state is lost and no snapshot is left: start empty, in learning mode
    #[arg(long)]
    accept_empty_state: bool,
}

/// Runs the command.
pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    crate::logging::init("info");
    let signals = signals::listen().map_err(|e| Failure::new(crate::exit::RUNTIME, e))?;
    let settings = config::load(&arguments.config)?;
    let euid = rustix::process::geteuid().as_raw();
    let mut trust = config::check_trust(Some(&arguments.config), &settings, euid);
    trust.warnings.iter().for_each(|w| warn!("{w}"));
    trust.faults.0.extend(settings.check_for_run(&arguments.config.display().to_string()).0);
    trust.faults.check(())?;
    let (content, directory) = load_content(&settings)?;
    let identity = AgentIdentity::here();
    let plan = Plan {
        mode: Mode::Live(settings.spools.clone()),
        state_dir: Some(settings.state.dir.clone()),
        accept_empty_state: arguments.accept_empty_state,
        sinks: sinks(&settings, &identity),
        time: TimeSource::Wall,
        drain_fully: false,
        content: Arc::clone(&content),
        directory,
        settings: settings.clone(),
    };
    let pipeline = Pipeline::start(plan, Box::new(|_| {}))?;
    let stop = pipeline.stop.clone();
    let control = control::serve(&settings, &pipeline)?;
    info!("reading {} spool(s), state in {}", settings.spools.len(), settings.state.dir.display());
    service::ready();
    let mut silence = Silence::of(&settings);
    let mut reached = Reached::since(&pipeline.limits_at_start);
    loop {
        match signals.recv_timeout(Duration::from_secs(5)) {
            Ok(Signal::Stop) => break,
            Ok(Signal::Reload) => {
                warn!("reload is not available in this version: restart the service to load content or config anew")
            }
            Err(_) if pipeline.is_finished() => break,
            Err(_) => {
                silence.check(&pipeline);
                reached.check(&pipeline);
                service::alive(&pipeline);
            }
        }
    }
    service::stopping();
    info!("stopping: what has been read is judged and committed");
    control.stop();
    stop.stop();
    let (_, done) = pipeline.join()?;
    info!("stopped after {} events and {} alerts", done.events, done.alerts);
    Ok(())
}

/// Watches for spools that have gone quiet (`silent_after_secs`). Each is reported once an hour while it stays so.
struct Silence {
    started_ms: i64,
    /// Path, seconds, hour of the last report.
    spools: Vec<(String, i64, i64)>,
}

impl Silence {
    fn of(settings: &Settings) -> Silence {
        let watched =
            settings.spools.iter().map(|s| (s.path.display().to_string(), s.silent_after_secs as i64, i64::MIN));
        Silence { started_ms: wall_clock_ms(), spools: watched.collect() }
    }

    fn check(&mut self, pipeline: &Pipeline) {
        if self.spools.iter().all(|s| s.1 == 0) {
            return;
        }
        let (now, status) = (wall_clock_ms(), pipeline.source.snapshot());
        let hour = now.div_euclid(3_600_000);
        for ((path, secs, reported), spool) in self.spools.iter_mut().zip(&status.spools) {
            let quiet_secs = (now - spool.last_data_ms.unwrap_or(self.started_ms)) / 1000;
            if *secs > 0 && quiet_secs >= *secs && *reported != hour {
                *reported = hour;
                let sentence = format!("no new byte in the spool {path} for {quiet_secs} s; is the export running?");
                warn!("{sentence}");
                let _ = pipeline.operational.try_send(Alert::operational("spool-silent", path, sentence, now));
            }
        }
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
