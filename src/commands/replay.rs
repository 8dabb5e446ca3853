//! `exfil-agent replay`: the same pipeline over files, to the end.

use super::progress::Bar;
use super::replay_stats::{self, Counting, StatsFormat};
use super::{existing, load_content, parse_now, settings, warn_of_strangers};
use crate::alert::AgentIdentity;
use crate::calendar::{Zone, wall_clock_ms};
use crate::compare::Input;
use crate::config::{FileSinkSettings, FormatSetting, FsyncSetting};
use crate::exit::{self, Failure};
use crate::pipeline::detecting::TimeSource;
use crate::pipeline::opening::StatePlan;
use crate::pipeline::restoring::Others;
use crate::pipeline::{Pipeline, Plan, SinkPlan};
use crate::sink::{FileSink, StdoutSink};
use crate::source::Mode;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

/// Arguments of `replay`.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  exfil-agent replay ./spool --out alerts.jsonl\n  exfil-agent replay monday.cef tuesday.cef --state baseline --now 2026-03-04T00:00:00Z\n  exfil-agent replay --stats ./spool\n  exfil-agent replay --stats=json ./spool --config ./exfil-agent.toml\n  exfil-agent replay --compare shipped ./content ./spool --explain"
)]
pub struct Arguments {
    /// Files and directories, read in this order; a directory's files oldest first
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// Keep what is learned in this directory (else it is thrown away)
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Write alerts to this file as JSON Lines (else to stdout)
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Take settings and content from this config
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// What the collector's clock says: RFC 3339 or epoch ms
    #[arg(long, value_name = "TIME")]
    now: Option<String>,
    /// Format of the files
    #[arg(long, value_enum, default_value_t = FormatArgument::Auto)]
    format: FormatArgument,
    /// Tell how many alerts there were, of which rules, about whom and on which days, instead of the alerts themselves
    /// (with --out they go to that file besides)
    #[arg(long, value_enum, value_name = "FORMAT", num_args = 0..=1, require_equals = true, default_missing_value = "table")]
    stats: Option<StatsFormat>,
    /// Worker threads (0: one a core)
    #[arg(long, value_name = "N")]
    workers: Option<usize>,
    /// Judge everything both ways and show what differs. Each is a content directory, a config, or "shipped"
    #[arg(long, num_args = 2, value_names = ["A", "B"], conflicts_with_all = ["state", "out", "stats"])]
    compare: Vec<PathBuf>,
    #[command(flatten)]
    comparison: super::replay_compare::Options,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum FormatArgument {
    Auto,
    Cef,
    Csv,
}

/// Runs the command.
pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    crate::logging::init("warn");
    let mut settings = settings(arguments.config.as_deref())?;
    warn_of_strangers(arguments.config.as_deref(), &settings);
    if let Some(workers) = arguments.workers {
        settings.limits.workers = workers;
    }
    for path in &arguments.paths {
        existing(path)?;
    }
    let now = arguments.now.as_deref().map(parse_now).transpose()?.unwrap_or_else(wall_clock_ms);
    let format = match arguments.format {
        FormatArgument::Auto => FormatSetting::Auto,
        FormatArgument::Cef => FormatSetting::Cef,
        FormatArgument::Csv => FormatSetting::Csv,
    };
    if let [a, b] = arguments.compare.as_slice() {
        let input = Input { paths: arguments.paths.clone(), format, now_ms: now };
        return super::replay_compare::run(&arguments.comparison, &settings, [a, b], &input);
    }
    let (content, directory) = load_content(&settings)?;
    let zone = Zone::named(&settings.detection.timezone).map_err(|e| Failure::new(exit::CONFIG, e))?;
    let counting = arguments.stats.map(|_| Counting::new(zone));
    let mut sinks: Vec<SinkPlan> = counting.iter().map(Counting::sink).collect();
    match &arguments.out {
        Some(path) => sinks.push(file_sink(path, arguments.state.is_some())?),
        None if counting.is_none() => sinks.push(stdout_sink()),
        None => {}
    }
    let (told, detection) = (Arc::clone(&content), settings.detection.clone());
    settings.sink_file = None;
    let state = arguments.state.clone().map(|dir| StatePlan::new(dir, &settings, false));
    let plan = Plan {
        settings,
        content,
        directory,
        mode: Mode::Once { paths: arguments.paths.clone(), format },
        state,
        others: Others::AtOnce,
        sinks,
        time: TimeSource::Fixed(now),
        drain_fully: true,
    };
    let bar = Bar::new(total_bytes(&arguments.paths));
    let started = Instant::now();
    let pipeline = Pipeline::start(plan, bar.shower())?;
    let source = Arc::clone(&pipeline.source);
    let (detector, done) = pipeline.join()?;
    bar.clear();
    let read = source.snapshot();
    for path in &read.skipped {
        eprintln!("skipped {path}: this state has read it to its end");
    }
    for path in &read.failed {
        eprintln!("not read to its end: {path}");
    }
    let secs = started.elapsed().as_secs_f64();
    eprintln!(
        "{} events, {} rejects, {} alerts from {} bytes in {secs:.2} s ({:.0} events/s)",
        done.events,
        done.rejects,
        done.alerts,
        done.bytes,
        done.events as f64 / secs.max(1e-9)
    );
    if let (Some(counting), Some(format)) = (&counting, arguments.stats) {
        super::say(&replay_stats::text(&counting.taken(), &detector, &told, &detection, format))?;
    }
    all_read(&read.failed)
}

/// Whether every file was read to its end; those that were not are named above.
pub(super) fn all_read(failed: &[String]) -> Result<(), Failure> {
    match failed.split_first() {
        None => Ok(()),
        Some((first, more)) => {
            let more = if more.is_empty() { String::new() } else { format!(" and {} more, named above,", more.len()) };
            let what =
                format!("not everything was read: {first}{more} is missing; mend it and run the same command again");
            Err(Failure::new(exit::RUNTIME, what))
        }
    }
}

/// A throw-away replay writes its file anew; one with a state goes on where it stopped.
pub(super) fn file_sink(path: &Path, keep: bool) -> Result<SinkPlan, Failure> {
    if !keep && path.exists() {
        std::fs::File::create(path)
            .map_err(|e| Failure::new(exit::CANNOT_CREATE, format!("{}: {e}", path.display())))?;
    }
    let settings =
        FileSinkSettings { path: path.to_owned(), fsync: FsyncSetting::Never, ..FileSinkSettings::default() };
    Ok(SinkPlan {
        name: "file".into(),
        min_score: 0,
        open: Box::new(move |mark| Box::new(FileSink::new(settings, AgentIdentity::replay(), mark))),
    })
}

fn stdout_sink() -> SinkPlan {
    SinkPlan {
        name: "stdout".into(),
        min_score: 0,
        open: Box::new(|_| Box::new(StdoutSink::new(AgentIdentity::replay()))),
    }
}

/// Bytes on disk, for the bar.
pub(super) fn total_bytes(paths: &[PathBuf]) -> u64 {
    let size = |p: &Path| std::fs::metadata(p).map_or(0, |m| m.len());
    let of = |p: &PathBuf| match std::fs::read_dir(p) {
        Ok(entries) => entries.flatten().map(|e| size(&e.path())).sum(),
        Err(_) => size(p),
    };
    paths.iter().map(of).sum()
}
