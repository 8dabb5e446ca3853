//! What agentctl can ask, of a running agent and of a stopped one alike, and the rows it gets.
//!
//! The rows are the public face: their names are those of the JSON and CSV output. Instants are RFC 3339 in UTC, days
//! `2026-03-01` in the configured zone, shares and confidences fractions from 0 to 1, sizes bytes.

pub use super::content_exceptions::SilencedRow;
use super::files::{FileRow, Lag};
pub use super::origin::{SourceLine, to_the_minute, to_the_second};
use super::output::Row;
use crate::alert::Alert;
use crate::state::paging::Memory;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;

/// Takes a key and its value.
pub type TakeRecord<'a> = &'a mut dyn FnMut(&[u8], &[u8]) -> io::Result<()>;

/// An agent to look into.
pub trait View {
    /// Where the answers come from. Asked again after a dump, it tells the epochs that the dump saw.
    fn source(&self) -> SourceLine;

    /// What the models have learned, bin by bin: the bins of one instance follow each other, the largest first.
    ///
    /// # Errors
    /// See [`ViewError`]; those of `each` as [`ViewError::Output`].
    fn instances(
        &mut self,
        filter: &DumpFilter,
        each: &mut dyn FnMut(InstanceRow) -> io::Result<()>,
    ) -> Result<(), ViewError>;

    /// How much there is.
    ///
    /// # Errors
    /// See [`ViewError`].
    fn stats(&mut self) -> Result<StateStats, ViewError>;

    /// Every committed record whose key begins with `prefix`, in the order of the keys, until `each` fails.
    ///
    /// # Errors
    /// See [`ViewError`]; those of `each` as [`ViewError::Failed`].
    fn records(&mut self, prefix: &[u8], each: TakeRecord<'_>) -> Result<(), ViewError>;

    /// How the agent does.
    ///
    /// # Errors
    /// See [`ViewError`].
    fn status(&mut self) -> Result<StatusReport, ViewError>;

    /// The last `limit` alerts that are kept, the newest last.
    ///
    /// # Errors
    /// See [`ViewError`].
    fn alerts(&mut self, limit: usize) -> Result<Vec<AlertRow>, ViewError>;

    /// Alerts that are kept and have a higher number than this, in order: some of them, and none only when there are none.
    /// How often the same came again is not asked.
    ///
    /// # Errors
    /// See [`ViewError`].
    fn alerts_after(&mut self, seq: u64) -> Result<Vec<AlertRow>, ViewError>;

    /// The alert whose id begins so.
    ///
    /// # Errors
    /// [`ViewError::NotFound`] when there is none, or more than one.
    fn alert(&mut self, id_prefix: &str) -> Result<StoredAlert, ViewError>;

    /// The rules, in order of their ids.
    ///
    /// # Errors
    /// See [`ViewError`].
    fn rules(&mut self) -> Result<Vec<RuleRow>, ViewError>;

    /// What exceptions silenced, by exception and rule; also what is left of exceptions that the content no longer has.
    ///
    /// # Errors
    /// See [`ViewError`].
    fn silenced(&mut self) -> Result<Vec<SilencedRow>, ViewError>;
}

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
pub enum ViewError {
    /// There is no such thing.
    #[error("{0}")]
    NotFound(String),
    /// The state is damaged, or of a newer version.
    #[error("{0}")]
    Corrupt(String),
    /// Nobody answers, or the state is in use by someone who does not.
    #[error("{0}")]
    Unreachable(String),
    /// The question makes no sense.
    #[error("{0}")]
    Usage(String),
    /// Anything else.
    #[error("{0}")]
    Failed(String),
    /// The answer cannot be written. A closed pipe is no trouble: whoever read it has seen enough.
    #[error("cannot write the answer: {0}")]
    Output(io::Error),
}

impl ViewError {
    /// The exit code of agentctl.
    pub fn exit_code(&self) -> u8 {
        match self {
            ViewError::Output(e) if e.kind() == io::ErrorKind::BrokenPipe => 0,
            ViewError::Failed(_) | ViewError::Output(_) => 1,
            ViewError::Usage(_) => 2,
            ViewError::NotFound(_) => 3,
            ViewError::Corrupt(_) => 4,
            ViewError::Unreachable(_) => 5,
        }
    }
}

/// Which part of the models to dump.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DumpFilter {
    /// The model with this id.
    pub model: Option<String>,
    /// The instance of this scope value, without regard to case; `*` is the organisation.
    pub scope: Option<String>,
    /// Values that contain this, without regard to case.
    pub feature: Option<String>,
    /// At most so many bins.
    pub limit: Option<usize>,
}

impl DumpFilter {
    /// Whether a bin passes, the limit apart.
    pub fn takes(&self, model: &str, scope: &str, value: &str) -> bool {
        self.model.as_ref().is_none_or(|m| m.eq_ignore_ascii_case(model))
            && self.scope.as_ref().is_none_or(|s| s.to_lowercase() == scope.to_lowercase())
            && self.feature.as_ref().is_none_or(|f| value.to_lowercase().contains(&f.to_lowercase()))
    }
}

/// A bin, with its instance.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct InstanceRow {
    /// The model.
    pub model: String,
    /// The scope's value; `*` for the organisation.
    pub scope: String,
    /// The feature's value.
    pub value: String,
    /// Its count in the window.
    pub count: u64,
    /// Its share of N.
    pub share: f64,
    /// First training: a day or instant.
    pub first_seen: String,
    /// Latest training: a day or instant.
    pub last_seen: String,
    /// Sum of all counts of the instance.
    pub n: u64,
    /// Number of bins of the instance.
    pub c: u64,
    /// Confidence factor of the instance.
    pub confidence: f64,
    /// Whether the instance has converged.
    pub converged: bool,
    /// Whether bins were lost to a limit: nothing counts as new then.
    pub saturated: bool,
    /// History days of the scope.
    pub history_days: u32,
}

/// How much a model has learned.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ModelStats {
    /// The model.
    pub model: String,
    /// Instances.
    pub instances: u64,
    /// Of these, converged.
    pub converged: u64,
    /// Of these, saturated.
    pub saturated: u64,
    /// Bins of all instances.
    pub bins: u64,
    /// Encoded records, bytes.
    pub bytes: u64,
    /// Oldest trained day in the window.
    pub oldest_day: Option<String>,
    /// Newest trained day.
    pub newest_day: Option<String>,
}

impl Row for ModelStats {
    const HEAD: &'static [&'static str] =
        &["model", "instances", "converged", "saturated", "bins", "bytes", "oldest day", "newest day"];
    fn cells(&self) -> Vec<String> {
        let day = |d: &Option<String>| d.clone().unwrap_or_else(|| "-".into());
        let counts = [self.instances, self.converged, self.saturated, self.bins, self.bytes].map(|n| n.to_string());
        std::iter::once(self.model.clone())
            .chain(counts)
            .chain([day(&self.oldest_day), day(&self.newest_day)])
            .collect()
    }
}

/// How much there is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StateStats {
    /// Where this comes from.
    pub source: SourceLine,
    /// By model.
    pub models: Vec<ModelStats>,
    /// Users known.
    pub users: u64,
    /// Hosts known.
    pub hosts: u64,
    /// Peer groups known.
    pub groups: u64,
    /// Guards kept.
    pub guards: u64,
    /// Alerts kept.
    pub alerts: u64,
    /// Spool files remembered.
    pub files: u64,
    /// All live records, bytes.
    pub payload_bytes: u64,
    /// The store on disk, bytes; without the snapshots.
    pub disk_bytes: u64,
    /// Snapshots to fall back to.
    pub snapshots: u64,
    /// Bytes of all snapshots.
    pub snapshot_bytes: u64,
    /// The last commit in the newest snapshot.
    pub snapshot_epoch: Option<u64>,
    /// Version of the records.
    pub schema: u16,
}

/// A rule that cannot fire.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InertRule {
    /// The rule.
    pub rule: String,
    /// Why.
    pub reason: String,
}

/// How far a model has learned.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelProgress {
    /// The model.
    pub model: String,
    /// The revision by which it learns.
    pub revision: u32,
    /// The day since which it learns anew, where its definition has changed.
    pub anew_since: Option<String>,
    /// Instances.
    pub instances: u64,
    /// Converged.
    pub converged: u64,
    /// Not yet converged.
    pub learning: u64,
    /// Bins were lost to a limit.
    pub saturated: u64,
}

/// What waits between two stages.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Queue {
    /// Its name.
    pub name: String,
    /// What is in it.
    pub depth: u64,
    /// What fits in.
    pub limit: Option<u64>,
}

/// What a sink has done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SinkRow {
    /// Its name.
    pub name: String,
    /// Alerts delivered.
    pub delivered: u64,
    /// Alerts below its `min_score`.
    pub below_min_score: u64,
    /// Alerts held back by flood suppression.
    pub suppressed: u64,
    /// Alerts that wait.
    pub queued: u64,
    /// Attempts that failed.
    pub errors: u64,
    /// The last error.
    pub last_error: Option<String>,
    /// Since when every attempt has failed.
    pub failing_since: Option<String>,
    /// Alerts that were cut to fit, since the start.
    pub truncated: u64,
    /// Alerts that were found delivered already and not delivered again, since the start.
    pub repeats_dropped: u64,
    /// Alerts that were delivered again because the place that had taken them lost them, since the start.
    pub delivered_again: u64,
}

/// The running process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Its id.
    pub pid: u32,
    /// Its version.
    pub version: String,
    /// When it started.
    pub started: String,
    /// Seconds since then.
    pub up_secs: u64,
}

/// The last commit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastCommit {
    /// Its epoch.
    pub epoch: u64,
    /// When.
    pub at: String,
    /// Why commits fail at the moment.
    pub failing: Option<String>,
}

/// How the agent does.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StatusReport {
    /// Where this comes from.
    pub source: SourceLine,
    /// Whether it works: `working`, `behind` (it reads, and is not through), `attention`, `failing` (nothing advances) or
    /// `stopped`.
    #[serde(default)]
    pub health: String,
    /// The same as a sentence.
    #[serde(default)]
    pub summary: String,
    /// The process, when it runs.
    pub process: Option<Process>,
    /// Spool files.
    pub files: Vec<FileRow>,
    /// How far reading is behind; unknown of a stopped agent, and before the first look at the spools.
    #[serde(default)]
    pub lag: Option<Lag>,
    /// Bytes consumed.
    pub bytes: u64,
    /// Records: events + rejects + headers + blank lines.
    pub records: u64,
    /// Events by type.
    pub events: BTreeMap<String, u64>,
    /// Records that are no events, by reason.
    pub rejects: BTreeMap<String, u64>,
    /// Things worth counting in records that were used.
    pub oddities: BTreeMap<String, u64>,
    /// Header records.
    pub headers: u64,
    /// Blank lines.
    pub blank: u64,
    /// Events too old to train.
    pub late: u64,
    /// Events dated after the collector's clock.
    pub future: u64,
    /// Newest event day.
    pub newest_day: Option<String>,
    /// Alerts raised.
    pub alerts: u64,
    /// Of these, held back by flood suppression.
    pub suppressed: u64,
    /// What left because of a limit: the setting's name in `[limits]` and how often.
    pub limits: BTreeMap<String, u64>,
    /// Alerts that exceptions have silenced.
    pub silenced: u64,
    /// Of these exceptions, those that silenced something.
    pub silencing: u64,
    /// Rules that cannot fire.
    pub inert: Vec<InertRule>,
    /// Models.
    pub models: Vec<ModelProgress>,
    /// What waits.
    pub queues: Vec<Queue>,
    /// The last commit.
    pub last_commit: Option<LastCommit>,
    /// Users and hosts in memory and in the state alone (running agent only).
    pub memory: Option<Memory>,
    /// Sinks.
    pub sinks: Vec<SinkRow>,
    /// What someone should look at, as sentences.
    pub warnings: Vec<String>,
}

/// An alert in a list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertRow {
    /// Its number.
    pub seq: u64,
    /// Its id.
    pub id: String,
    /// Time of the event.
    pub time: String,
    /// `detection`, `operational` or `summary`.
    pub kind: String,
    /// Id of the rule.
    pub rule: String,
    /// Score.
    pub score: u32,
    /// Band of the score.
    pub severity: String,
    /// Kind of the entity.
    pub entity_kind: String,
    /// Key of the entity.
    pub entity: String,
    /// What the rule is "per".
    pub value: Option<String>,
    /// How often the same came again.
    pub repeats: u64,
    /// Held back by flood suppression.
    pub suppressed: bool,
}

impl Row for AlertRow {
    const HEAD: &'static [&'static str] = &["id", "time (UTC)", "score", "rule", "entity", "value", "again"];
    fn cells(&self) -> Vec<String> {
        let again = if self.repeats == 0 { String::new() } else { self.repeats.to_string() };
        let again = if self.suppressed { format!("{again} suppressed") } else { again };
        vec![
            self.id.chars().take(10).collect(),
            self.time.chars().take(19).collect::<String>().replace('T', " "),
            self.score.to_string(),
            self.rule.clone(),
            format!("{} {}", self.entity_kind, self.entity).trim_end().to_owned(),
            self.value.clone().unwrap_or_default(),
            again.trim_start().to_owned(),
        ]
    }
}

/// How far an alert has come with a sink.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// The sink.
    pub sink: String,
    /// `delivered`, `waiting`, `below min_score` or `suppressed`.
    pub state: String,
}

/// An alert as it is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StoredAlert {
    /// Its number.
    pub seq: u64,
    /// The alert.
    pub alert: Alert,
    /// How often the same came again.
    pub repeats: u64,
    /// How far it has come.
    pub deliveries: Vec<Delivery>,
}

/// A rule in a list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleRow {
    /// Id.
    pub id: String,
    /// Name.
    pub name: String,
    /// ATT&CK technique ids.
    pub attack: Vec<String>,
    /// Score.
    pub score: u32,
    /// Event types.
    pub events: Vec<String>,
    /// Whether it is switched on.
    pub enabled: bool,
    /// Why it can never fire, if so.
    pub inert: Option<String>,
    /// How many of the kept alerts are its own.
    pub alerts: u64,
    /// How many alerts exceptions have silenced.
    pub silenced: u64,
    /// The content file it came from.
    pub file: String,
    /// `shipped` or the site's file, and the places of its patches.
    pub origin: String,
}

impl Row for RuleRow {
    const HEAD: &'static [&'static str] = &["id", "score", "att&ck", "events", "alerts", "silenced", "state", "origin"];
    fn cells(&self) -> Vec<String> {
        vec![
            self.id.clone(),
            self.score.to_string(),
            self.attack.join(" "),
            self.events.join(" "),
            self.alerts.to_string(),
            self.silenced.to_string(),
            self.state(),
            self.origin.clone(),
        ]
    }
}

impl RuleRow {
    /// Whether it can fire, in words.
    pub fn state(&self) -> String {
        match &self.inert {
            _ if !self.enabled => "disabled".into(),
            Some(reason) => format!("inert: {reason}"),
            None => "enabled".into(),
        }
    }
}
