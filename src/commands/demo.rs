//! `exfil-agent demo`: three simulated weeks, what each rule found, and what to try next.
//!
//! The spool is one run of the simulator, made afresh each time from the same seed: nothing is tuned for it and nothing
//! has to be shipped. The state stays until the next demo, so that the commands printed at the end work.

use super::{load_content, replay, say};
use crate::alert::{Alert, AlertKind};
use crate::calendar::format_instant;
use crate::config::{ControlSettings, FileSinkSettings, FormatSetting, Settings, StateSettings};
use crate::content::Content;
use crate::ctl::output;
use crate::exit::{self, Failure};
use crate::pipeline::detecting::TimeSource;
use crate::pipeline::opening::StatePlan;
use crate::pipeline::restoring::Others;
use crate::pipeline::{Pipeline, Plan};
use crate::simulate::{self, Options};
use crate::source::Mode;
use crate::state::key::{ALERTS, Key};
use crate::store::{self, codec};
use std::collections::BTreeMap;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Arguments of `demo`.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  exfil-agent demo\n  exfil-agent demo --dir ./look-at-this")]
pub struct Arguments {
    /// Where spool, state and alerts go; emptied first
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// Width of the evidence in the table, characters.
const EVIDENCE_CHARS: usize = 72;
/// Says that a directory is a demo's.
const MARK: &str = ".exfil-agent-demo";

/// Runs the command.
pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    crate::logging::init("warn");
    let started = Instant::now();
    let dir = match &arguments.dir {
        Some(dir) => dir.clone(),
        None => default_dir(),
    };
    prepare(&dir)?;
    let cannot = |what: &Path, e: std::io::Error| Failure::new(exit::CANNOT_CREATE, format!("{}: {e}", what.display()));
    let options = Options::demo();
    let office = dir.join("office");
    let summary = simulate::write(&options, &office).map_err(|e| cannot(&office, e))?;
    let settings = Settings {
        state: StateSettings { dir: dir.join("state"), snapshots_kept: 0, ..StateSettings::default() },
        control: ControlSettings { socket: dir.join("control.sock") },
        sink_file: Some(FileSinkSettings { path: dir.join("alerts.jsonl"), ..FileSinkSettings::default() }),
        ..super::settings(None)?
    };
    let (content, directory) = load_content(&settings)?;
    let end_ms = i64::from(options.start + options.days as i32) * 86_400_000;
    let plan = Plan {
        content: content.clone(),
        directory,
        mode: Mode::Once { paths: vec![office.join("spool")], format: FormatSetting::Auto },
        state: Some(StatePlan::new(settings.state.dir.clone(), &settings, false)),
        others: Others::AtOnce,
        sinks: vec![replay::file_sink(&dir.join("alerts.jsonl"), true)?],
        time: TimeSource::Fixed(end_ms),
        drain_fully: true,
        settings: settings.clone(),
    };
    let (_, done) = Pipeline::start(plan, Box::new(|_| {}))?.join()?;
    say(&format!(
        "{} simulated days of {} people: {} events ({} lines were no events) in {:.1} s, {} alerts.\n\n",
        options.days,
        options.users,
        done.events,
        done.rejects,
        started.elapsed().as_secs_f64(),
        done.alerts
    ))?;
    let firsts = first_alerts(&settings.state.dir)?;
    let silent = show(&content, &firsts)?;
    next_steps(&dir, &firsts)?;
    log::debug!("{summary}");
    if silent.is_empty() {
        return Ok(());
    }
    Err(Failure::new(exit::RUNTIME, format!("rules that found nothing: {}", silent.join(", "))))
}

fn default_dir() -> PathBuf {
    std::env::temp_dir().join(format!("exfil-agent-demo-{}", rustix::process::getuid().as_raw()))
}

/// Makes an empty directory of ours. One that is not a demo's is left alone.
fn prepare(dir: &Path) -> Result<(), Failure> {
    let cannot = |e: std::io::Error| Failure::new(exit::CANNOT_CREATE, format!("{}: {e}", dir.display()));
    if let Ok(meta) = std::fs::symlink_metadata(dir) {
        let empty = std::fs::read_dir(dir).is_ok_and(|mut e| e.next().is_none());
        if !meta.is_dir() || !(empty || dir.join(MARK).is_file()) {
            return Err(Failure::new(
                exit::CANNOT_CREATE,
                format!("{} exists and is not an earlier demo; name another with --dir", dir.display()),
            ));
        }
        std::fs::remove_dir_all(dir).map_err(cannot)?;
    }
    std::fs::DirBuilder::new().mode(0o700).create(dir).map_err(cannot)?;
    std::fs::write(dir.join(MARK), "made by exfil-agent demo; the next demo empties this directory\n").map_err(cannot)
}

/// The first alert of each rule, and how many there were.
type Firsts = BTreeMap<String, (Alert, u64)>;

fn first_alerts(state: &Path) -> Result<Firsts, Failure> {
    let failed = |e: String| Failure::new(exit::RUNTIME, e);
    let store = store::read_stopped(state).map_err(|e| failed(e.to_string()))?;
    let mut firsts: Firsts = BTreeMap::new();
    let mut from = ALERTS.to_vec();
    loop {
        let page = store.scan(&from, ALERTS, 1 << 20).map_err(|e| failed(e.to_string()))?;
        let Some((last, _)) = page.last() else { return Ok(firsts) };
        from.clone_from(last);
        from.push(0);
        for (key, value) in &page {
            if let Some(Key::Alert(_)) = Key::decode(key) {
                let alert: Alert = codec::decode(value).map_err(|e| failed(e.to_string()))?;
                if alert.kind == AlertKind::Detection {
                    firsts.entry(alert.rule.id.clone()).or_insert_with(|| (alert, 0)).1 += 1;
                }
            }
        }
    }
}

/// The table. Returns the rules that found nothing.
fn show(content: &Content, firsts: &Firsts) -> Result<Vec<String>, Failure> {
    let mut rules: Vec<_> = content.rules.iter().collect();
    rules.sort_by_key(|r| (std::cmp::Reverse(r.score), r.id.clone()));
    let mut table = output::Table::new(&["rule", "score", "alerts", "first: entity", "evidence", "origin"]);
    let mut silent = Vec::new();
    for rule in rules {
        match firsts.get(&rule.id) {
            Some((alert, n)) => table.row(vec![
                rule.id.clone(),
                rule.score.to_string(),
                n.to_string(),
                format!("{} {}", alert.entity_kind.name(), alert.entity),
                evidence(alert).chars().take(EVIDENCE_CHARS).collect(),
                origin(alert),
            ]),
            None => silent.push(rule.id.clone()),
        }
    }
    say(&table.render())?;
    say(&format!("\n{} of {} rules fired.\n", content.rules.len() - silent.len(), content.rules.len()))?;
    Ok(silent)
}

/// The evidence in a few words.
fn evidence(alert: &Alert) -> String {
    let day = format_instant(alert.time_ms).get(..10).unwrap_or_default().to_owned();
    if let Some(m) = &alert.evidence.model {
        let tail = match (m.rank, m.threshold) {
            (Some(rank), _) => format!("rank {rank}, count {}, median {}", m.count, m.median.unwrap_or(0.0)),
            (None, Some(t)) => format!("count {} < {t}, N {}, C {}", m.count, m.n, m.c),
            (None, None) => format!("never in {} days, N {}, C {}", m.history_days, m.n, m.c),
        };
        let what = alert.value.as_deref().unwrap_or(&m.value);
        let name = what.rsplit('\\').next().unwrap_or(what);
        return format!("{day} {name}: {tail}");
    }
    if let Some(s) = &alert.evidence.sum {
        return format!("{day} {} {} ≥ {}", s.field, s.total, s.reaches);
    }
    let field = |name: &str| alert.fields.get(name);
    let what = field("command_line").or(field("url")).or(alert.value.as_deref()).unwrap_or_default();
    format!("{day} {}", what.chars().take(60).collect::<String>())
}

fn origin(alert: &Alert) -> String {
    alert.origin.as_ref().map_or_else(String::new, |o| {
        let file = Path::new(&o.file).file_name().map_or_else(|| o.file.clone(), |f| f.to_string_lossy().into_owned());
        format!("{file}:{}", o.line)
    })
}

fn next_steps(dir: &Path, firsts: &Firsts) -> Result<(), Failure> {
    let ctl = if Path::new("Cargo.toml").is_file() && Path::new("src/bin/agentctl.rs").is_file() {
        "cargo run --release --bin agentctl --"
    } else {
        "agentctl"
    };
    let state = dir.join("state");
    let (state, dir) = (state.display(), dir.display());
    say(&format!(
        "State:  {state}\nAlerts: {dir}/alerts.jsonl\nTruth:  {dir}/office/truth.jsonl (what was planted)\n\nNext:\n"
    ))?;
    // The alert with the most to explain: one whose model knows the most bins.
    let explained = firsts.values().filter_map(|(alert, _)| Some((alert, alert.evidence.model.as_ref()?)));
    if let Some((alert, model)) = explained.max_by_key(|(_, m)| m.c) {
        say(&format!("  {ctl} alerts show {} --state {state}\n", alert.id))?;
        say(&format!("  {ctl} state dump --model {} --limit 20 --state {state}\n", model.id))?;
    }
    say(&format!("  {ctl} rules list --state {state}\n"))
}
