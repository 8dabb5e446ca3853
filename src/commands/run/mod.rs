//! `exfil-agent run`: the daemon. One pipeline after the other: a change ends one at a commit boundary and begins the next.

mod failing;
mod inert;
mod loaded;
mod reached;
mod silence;

use crate::config::DEFAULT_CONFIG;
use crate::control::{self, Asked, Change, Control, Outcome, Refusal, Reloaded};
use crate::exit::{self, Failure};
use crate::metrics::Metrics;
use crate::pipeline::Pipeline;
use crate::service;
use crate::signals::{self, Signal};
use crate::upkeep;
use crossbeam_channel::{never, select};
use failing::Failing;
use inert::Inert;
use loaded::Loaded;
use log::{error, info};
use reached::Reached;
use silence::Silence;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// How often it looks around when nobody asks for anything.
const TICK: Duration = Duration::from_secs(5);
/// The same before it is ready: each look that finds nothing new doubles it.
const SOON: Duration = Duration::from_millis(2);
const LATER: Duration = Duration::from_secs(1);

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
    let signals = signals::listen().map_err(|e| Failure::new(exit::RUNTIME, e))?;
    let (loaded, state) = Loaded::begin(&arguments.config, arguments.accept_empty_state)?;
    let pipeline = loaded.start(state)?;
    let (control, mut changes) = control::serve(&loaded.settings.control.socket)?;
    let metrics = Metrics::open(loaded.settings.metrics.as_ref())?;
    control.attach(&pipeline);
    metrics.attach(&pipeline, &loaded.content);
    let settings = &loaded.settings;
    info!("reading {} spool(s), state in {}", settings.spools.len(), settings.state.dir.display());
    let watch = Watch::of(&loaded, &pipeline);
    let readiness = Readiness::Waits { told: None, pause: SOON };
    let mut agent = Agent { config: arguments.config.clone(), loaded, pipeline, control, metrics, watch, readiness };
    agent.look();
    loop {
        let mut asked: Option<Result<Asked, Signal>> = None;
        select! {
            recv(signals) -> signal => asked = signal.ok().map(Err),
            recv(changes) -> change => match change {
                Ok(change) => asked = Some(Ok(change)),
                Err(_) => changes = never(),
            },
            default(agent.readiness.pause()) => {}
        }
        match asked {
            Some(Err(Signal::Stop)) => break,
            Some(Err(Signal::Reload)) => {
                agent = agent.change(&Change::Reload)?.0;
            }
            Some(Ok(Asked { change, uid, reply })) => {
                info!("uid {uid} asks to {}", change.describe());
                let (changed, outcome) = agent.change(&change)?;
                agent = changed;
                let _ = reply.send(outcome);
            }
            None if agent.pipeline.is_finished() => break,
            None => agent.look(),
        }
    }
    agent.stop()
}

/// A running agent.
struct Agent {
    config: PathBuf,
    loaded: Loaded,
    pipeline: Pipeline,
    control: Control,
    metrics: Metrics,
    watch: Watch,
    readiness: Readiness,
}

/// What systemd knows of the start.
#[derive(PartialEq, Eq)]
enum Readiness {
    /// What is waited for, as it was told, and how long until the next look.
    Waits { told: Option<String>, pause: Duration },
    /// That it has started.
    Told,
}

impl Readiness {
    fn pause(&self) -> Duration {
        match self {
            Readiness::Waits { pause, .. } => *pause,
            Readiness::Told => TICK,
        }
    }
}

impl Agent {
    /// Looks around, and tells systemd when what the start waits for is there.
    fn look(&mut self) {
        if let Readiness::Waits { told, pause } = &mut self.readiness {
            match service::has_started(&self.pipeline) {
                Ok(()) => {
                    service::ready(&self.pipeline);
                    self.readiness = Readiness::Told;
                }
                Err(why) => {
                    *pause = (*pause * 2).min(LATER);
                    if let Some(why) = why
                        && told.as_ref() != Some(&why)
                    {
                        service::starting(&why);
                        *told = Some(why);
                    }
                }
            }
        }
        if self.watch.looked.elapsed() >= TICK {
            self.watch.look(&self.loaded, &self.pipeline);
        }
    }

    /// Makes a change between two runs of the pipeline. What cannot be changed leaves everything as it was, and the reason.
    ///
    /// # Errors
    /// When the agent cannot go on.
    fn change(self, change: &Change) -> Result<(Agent, Result<Outcome, Refusal>), Failure> {
        // Faults are found before anything stops.
        let new = match change {
            Change::Reload => {
                match Loaded::read(&self.config).and_then(|new| new.follows(&self.loaded).map(|()| new)) {
                    Ok(new) => Some(new),
                    Err(e) => {
                        error!("nothing was reloaded, the agent goes on with what it has: {e}");
                        let why = format!("nothing was reloaded, the agent goes on with what it has: {e}");
                        return Ok((self, Err(why.into())));
                    }
                }
            }
            Change::Compact | Change::Forget(_) | Change::Import { .. } => None,
        };
        if let Change::Import { path, .. } = change
            && let Err(e) = upkeep::verify(path)
        {
            error!("nothing was changed: {e}");
            return Ok((self, Err(e.into())));
        }
        service::reloading();
        let busy = service::Busy::begin();
        let Agent { config, mut loaded, pipeline, control, metrics, readiness, .. } = self;
        control.detach();
        metrics.detach();
        pipeline.stop.pause();
        pipeline.join()?;
        let settings = &loaded.settings;
        let outcome = match change {
            Change::Reload => Ok(None),
            Change::Compact => upkeep::compact(&settings.state.dir, settings).map(|c| Some(Outcome::Compacted(c))),
            Change::Forget(subject) => {
                upkeep::forget(&settings.state.dir, settings, subject).map(|f| Some(Outcome::Forgotten(f)))
            }
            Change::Import { path, merge } => {
                upkeep::import(&settings.state.dir, settings, path, *merge).map(|i| Some(Outcome::Imported(i)))
            }
        };
        let mut outcome = outcome.map_err(Refusal::from);
        let begun = match new.map(|new| (new.start_again(), new)) {
            Some((Ok(pipeline), new)) => {
                loaded = new;
                Ok(pipeline)
            }
            Some((Err(e), _)) => {
                outcome = Err(e.message.into());
                loaded.start_again() // what worked a moment ago
            }
            None => loaded.start_again(),
        };
        let pipeline = begun?;
        match &outcome {
            Ok(_) => info!("done: {}", change.describe()),
            Err(refusal) => error!("nothing was changed: {}", refusal.why),
        }
        let reloaded = Reloaded {
            rules: loaded.content.rules.len(),
            models: loaded.content.models.len(),
            spools: loaded.settings.spools.len(),
        };
        let outcome = outcome.map(|outcome| outcome.unwrap_or(Outcome::Reloaded(reloaded)));
        control.attach(&pipeline);
        metrics.attach(&pipeline, &loaded.content);
        let watch = Watch::of(&loaded, &pipeline);
        drop(busy);
        if readiness == Readiness::Told {
            service::ready(&pipeline);
        }
        Ok((Agent { config, loaded, pipeline, control, metrics, watch, readiness }, outcome))
    }

    fn stop(self) -> Result<(), Failure> {
        service::stopping();
        info!("stopping: what has been read is judged and committed");
        self.control.stop();
        self.metrics.stop();
        self.pipeline.stop.stop();
        let (_, done) = self.pipeline.join()?;
        info!("stopped after {} events and {} alerts", done.events, done.alerts);
        Ok(())
    }
}

/// What the main thread looks at from time to time.
struct Watch {
    silence: Silence,
    reached: Reached,
    failing: Failing,
    inert: Inert,
    turns: u64,
    looked: Instant,
}

impl Watch {
    fn of(loaded: &Loaded, pipeline: &Pipeline) -> Watch {
        Watch {
            silence: Silence::of(&loaded.settings),
            reached: Reached::since(&pipeline.limits_at_start, pipeline.future_at_start),
            failing: Failing::default(),
            inert: Inert::default(),
            turns: 0,
            looked: Instant::now(),
        }
    }

    fn look(&mut self, loaded: &Loaded, pipeline: &Pipeline) {
        self.looked = Instant::now();
        self.silence.check(pipeline);
        self.reached.check(pipeline);
        self.failing.check(pipeline);
        self.inert.check(&loaded.content.rules, pipeline);
        let turns = pipeline.turns.load(Ordering::Relaxed);
        let before = std::mem::replace(&mut self.turns, turns);
        service::alive(pipeline, turns != before);
    }
}
