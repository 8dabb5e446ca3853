//! Settings: every one with a name, a unit and a default. Read from TOML; unknown keys are refused with a suggestion.
//!
//! `read` makes settings from TOML, `write` makes TOML from settings, `check` says what `run` needs beyond that,
//! `trust` whom one has to trust with it. Nothing in here opens what a setting names; the last two look at the file system:
//! links, owners, modes.

mod check;
mod read;
mod target;
mod trust;
mod write;

pub use read::{load, load_for_run, load_partly, parse};
pub use target::{Remote, SyslogTarget};
pub use trust::{Trust, check_trust};

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Facilities of syslog by name, with their codes.
pub const FACILITIES: &[(&str, u8)] = &[
    ("user", 1),
    ("daemon", 3),
    ("auth", 4),
    ("authpriv", 10),
    ("local0", 16),
    ("local1", 17),
    ("local2", 18),
    ("local3", 19),
    ("local4", 20),
    ("local5", 21),
    ("local6", 22),
    ("local7", 23),
];

/// Where the config lies when nobody says otherwise.
pub const DEFAULT_CONFIG: &str = "/etc/exfil-agent/exfil-agent.toml";
/// Where a site's own content lies when the config does not say. It need not be there.
pub const DEFAULT_CONTENT_DIR: &str = "/etc/exfil-agent/content";

/// All settings of the agent.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Settings {
    /// `[[spool]]`: the directories to tail.
    pub spools: Vec<SpoolSettings>,
    /// `[state]`.
    pub state: StateSettings,
    /// `[sink.file]`; `None` when the table is absent or `enabled = false`.
    pub sink_file: Option<FileSinkSettings>,
    /// `[sink.syslog]`; `None` when the table is absent or `enabled = false`.
    pub sink_syslog: Option<SyslogSinkSettings>,
    /// `[detection]`.
    pub detection: DetectionSettings,
    /// `[limits]`.
    pub limits: Limits,
    /// `[control]`.
    pub control: ControlSettings,
    /// `[metrics]`; `None` when the table is absent or `enabled = false`.
    pub metrics: Option<MetricsSettings>,
}

/// What the format of a spool's files is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum FormatSetting {
    /// Found out file by file.
    #[default]
    Auto,
    /// CEF lines.
    Cef,
    /// RFC 4180 records; rows without a header are read by position.
    Csv,
}

impl FormatSetting {
    /// Every member.
    pub const ALL: &'static [FormatSetting] = &[FormatSetting::Auto, FormatSetting::Cef, FormatSetting::Csv];

    /// The spelling in the config.
    pub const fn name(self) -> &'static str {
        match self {
            FormatSetting::Auto => "auto",
            FormatSetting::Cef => "cef",
            FormatSetting::Csv => "csv",
        }
    }
}

/// One spool directory.
#[derive(Clone, Debug, PartialEq)]
pub struct SpoolSettings {
    /// The directory.
    pub path: PathBuf,
    /// File-name globs to read (`*` and `?`).
    pub include: Vec<String>,
    /// File-name globs to leave alone.
    pub exclude: Vec<String>,
    /// Format of the files.
    pub format: FormatSetting,
    /// Zone of CSV times without an offset.
    pub timezone: String,
    /// Seconds between two scans of the directory; notify wakes the agent in between. 0, which a config cannot say, is as often as can be.
    pub rescan_secs: u64,
    /// Seconds without a new byte after which an operational alert is raised; 0 is never.
    pub silent_after_secs: u64,
    /// Optional file to which rejected records are copied.
    pub dead_letter: Option<PathBuf>,
}

impl Default for SpoolSettings {
    fn default() -> Self {
        SpoolSettings {
            path: PathBuf::from("/var/spool/dtex"),
            include: vec!["*".into()],
            exclude: vec![".*".into(), "*.tmp".into(), "*.part".into()],
            format: FormatSetting::Auto,
            timezone: "UTC".into(),
            rescan_secs: 2,
            silent_after_secs: 0,
            dead_letter: None,
        }
    }
}

/// Where baselines live.
#[derive(Clone, Debug, PartialEq)]
pub struct StateSettings {
    /// The directory; the agent makes it with mode 0700.
    pub dir: PathBuf,
    /// Minutes between two snapshots, where something was committed; 0 takes one at a clean stop only.
    pub snapshot_minutes: u64,
    /// Snapshots that are kept; 0 takes none.
    pub snapshots_kept: usize,
    /// Size from which on a database that takes more than twice its contents is written anew, bytes.
    pub compact_min_bytes: u64,
}

impl Default for StateSettings {
    fn default() -> Self {
        StateSettings {
            dir: PathBuf::from("/var/lib/exfil-agent"),
            snapshot_minutes: 60,
            snapshots_kept: 3,
            compact_min_bytes: 4 << 20,
        }
    }
}

/// When the alert file is synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum FsyncSetting {
    /// After every alert.
    Always,
    /// Before deliveries are acknowledged.
    #[default]
    Batch,
    /// Never.
    Never,
}

impl FsyncSetting {
    /// Every member.
    pub const ALL: &'static [FsyncSetting] = &[FsyncSetting::Always, FsyncSetting::Batch, FsyncSetting::Never];

    /// The spelling in the config.
    pub const fn name(self) -> &'static str {
        match self {
            FsyncSetting::Always => "always",
            FsyncSetting::Batch => "batch",
            FsyncSetting::Never => "never",
        }
    }
}

/// The shape of an alert in a sink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlertFormat {
    /// JSON, one object a line.
    Json,
    /// `CEF:0|…`.
    Cef,
    /// JSON with the names of the Elastic Common Schema.
    Ecs,
    /// JSON, a Detection Finding of the Open Cybersecurity Schema Framework.
    Ocsf,
}

impl AlertFormat {
    /// Every member.
    pub const ALL: &'static [AlertFormat] = &[AlertFormat::Json, AlertFormat::Cef, AlertFormat::Ecs, AlertFormat::Ocsf];

    /// The spelling in the config.
    pub const fn name(self) -> &'static str {
        match self {
            AlertFormat::Json => "json",
            AlertFormat::Cef => "cef",
            AlertFormat::Ecs => "ecs",
            AlertFormat::Ocsf => "ocsf",
        }
    }
}

/// `[sink.file]`.
#[derive(Clone, Debug, PartialEq)]
pub struct FileSinkSettings {
    /// The alert file.
    pub path: PathBuf,
    /// Shape of the alerts.
    pub format: AlertFormat,
    /// When to sync.
    pub fsync: FsyncSetting,
    /// Alerts below this score are not written.
    pub min_score: u32,
}

impl Default for FileSinkSettings {
    fn default() -> Self {
        FileSinkSettings {
            path: PathBuf::from("/var/log/exfil-agent/alerts.jsonl"),
            format: AlertFormat::Json,
            fsync: FsyncSetting::Batch,
            min_score: 0,
        }
    }
}

/// `[sink.syslog]`.
#[derive(Clone, Debug, PartialEq)]
pub struct SyslogSinkSettings {
    /// Who receives the messages, and how.
    pub target: SyslogTarget,
    /// Facility name: `local0` … `local7`, `user`, `daemon`, `auth`, `authpriv`.
    pub facility: String,
    /// Shape of the payload.
    pub format: AlertFormat,
    /// Longest message, bytes; what is longer is cut.
    pub max_message_bytes: usize,
    /// Alerts below this score are not sent.
    pub min_score: u32,
}

impl Default for SyslogSinkSettings {
    fn default() -> Self {
        SyslogSinkSettings {
            target: SyslogTarget::Local(PathBuf::from("/dev/log")),
            facility: "local0".into(),
            format: AlertFormat::Cef,
            max_message_bytes: 8000,
            min_score: 5,
        }
    }
}

/// `[detection]`.
#[derive(Clone, Debug, PartialEq)]
pub struct DetectionSettings {
    /// Zone in which days begin.
    pub timezone: String,
    /// Model rules wait for convergence alone, as the original does.
    pub strict: bool,
    /// Ids of rules that are switched off.
    pub disabled_rules: Vec<String>,
    /// Names of optional content that is switched on.
    pub options: Vec<String>,
    /// The directory of the site's own content: files that replace, patch or extend what is shipped. None is shipped content alone.
    pub content_dir: Option<PathBuf>,
    /// Domains that belong to the site itself.
    pub sanctioned_domains: Vec<String>,
    /// `[detection.tables]`: tables that content marks as optional, on or off.
    pub tables: BTreeMap<String, bool>,
    /// `[detection.table_files]`: more entries for a table, one file each.
    pub table_files: BTreeMap<String, PathBuf>,
    /// `[sigma]`: rules in YAML.
    pub sigma: SigmaSettings,
    /// `[detection.directory] file`: CSV `user,peer_group[,…]`.
    pub directory: Option<PathBuf>,
    /// Days before an entity's latest day beyond which an event is late.
    pub late_days: u32,
    /// Days after the collector's today beyond which an event is in the future.
    pub future_days: u32,
    /// Days that models, histories and guards look back, the event's own included.
    pub window_days: u32,
    /// History days with which a converged first-seen rule may fire.
    pub min_history_days: u32,
    /// History days with which a first-seen rule may fire without convergence.
    pub maturity_days: u32,
    /// Confidence factor from which a model has converged.
    pub min_confidence: f64,
}

impl Default for DetectionSettings {
    fn default() -> Self {
        DetectionSettings {
            timezone: "UTC".into(),
            strict: false,
            disabled_rules: Vec::new(),
            options: Vec::new(),
            content_dir: Some(PathBuf::from(DEFAULT_CONTENT_DIR)),
            sanctioned_domains: Vec::new(),
            tables: BTreeMap::new(),
            table_files: BTreeMap::new(),
            sigma: SigmaSettings::default(),
            directory: None,
            late_days: 3,
            future_days: 1,
            window_days: 224,
            min_history_days: 7,
            maturity_days: 14,
            min_confidence: 0.8,
        }
    }
}

/// Levels of Sigma rules, from the least.
pub const SIGMA_LEVELS: [&str; 5] = ["informational", "low", "medium", "high", "critical"];

/// Statuses of Sigma rules.
pub const SIGMA_STATUSES: [&str; 5] = ["stable", "test", "experimental", "deprecated", "unsupported"];

/// What happens at a Sigma file that cannot be compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum OnFault {
    /// It is left out, and said to be.
    #[default]
    Skip,
    /// It is a fault of the content: nothing starts.
    Refuse,
}

impl OnFault {
    /// Every member.
    pub const ALL: &'static [OnFault] = &[OnFault::Skip, OnFault::Refuse];

    /// The spelling in the config.
    pub const fn name(self) -> &'static str {
        match self {
            OnFault::Skip => "skip",
            OnFault::Refuse => "refuse",
        }
    }
}

/// `[sigma]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SigmaSettings {
    /// Directories whose `.yml` and `.yaml` files are rules, with all folders in them.
    pub dirs: Vec<PathBuf>,
    /// What happens at a file that cannot be compiled.
    pub on_fault: OnFault,
    /// Rules of lower levels are left out.
    pub min_level: String,
    /// Rules of other statuses are left out; one without a status is not.
    pub statuses: Vec<String>,
    /// The licence of rules that do not name one.
    pub license: Option<String>,
    /// `[sigma.placeholders]`: values for `%name%` in rules with the modifier `expand`.
    pub placeholders: BTreeMap<String, Vec<String>>,
}

impl Default for SigmaSettings {
    fn default() -> Self {
        SigmaSettings {
            dirs: Vec::new(),
            on_fault: OnFault::Skip,
            min_level: "informational".into(),
            statuses: ["stable", "test", "experimental"].map(Into::into).into(),
            license: None,
            placeholders: BTreeMap::new(),
        }
    }
}

/// `[limits]`: invariant 5.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// Longest record, bytes.
    pub max_line_bytes: usize,
    /// Lines over which a quote of a CSV record may stay open.
    pub max_quoted_lines: usize,
    /// Longest command line judged whole, characters.
    pub max_command_chars: usize,
    /// Size of a read, bytes; it is never smaller than what the longest record takes.
    pub read_bytes: usize,
    /// Batches in flight between two stages.
    pub max_batches: usize,
    /// Files kept open at once.
    pub max_open_files: usize,
    /// Hours after which the entry of a vanished file leaves.
    pub forget_gone_hours: u64,
    /// Largest uncompressed size of a compressed file, as a multiple of its size on disk.
    pub max_expansion: u64,
    /// Worker threads; 0 is one a core, at most 4.
    pub workers: usize,
    /// Uncommitted effects at which detection waits for the store, bytes.
    pub max_uncommitted_bytes: usize,
    /// Unfolded deltas at which the store folds, bytes as packed.
    pub max_delta_bytes: usize,
    /// Undelivered alerts at which detection waits for the sinks.
    pub max_queued_alerts: usize,
    /// The same by their size, bytes.
    pub max_queued_alert_bytes: usize,
    /// Alerts kept for agentctl.
    pub max_alerts_kept: usize,
    /// Alerts per rule and entity and day before the rest is suppressed.
    pub max_alerts_per_day: u32,
    /// Guards kept.
    pub max_guards: usize,
    /// Users, hosts and peer groups remembered, of each kind.
    pub max_entities: usize,
    /// Memory for what was learned about users and hosts, bytes; the rest of it stays in the store until it is asked for.
    pub max_resident_bytes: usize,
    /// Open sums, histories by value, and trainings of a model on a day that a user or host has, of each.
    pub max_values: usize,
    /// Instances of a model.
    pub max_instances: usize,
    /// Bins of an instance (user models).
    pub max_bins: usize,
    /// Bins of an instance (organisation and peer models).
    pub max_bins_wide: usize,
    /// Size at which a dead-letter file is begun anew, bytes; one older file is kept beside it.
    pub max_dead_letter_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            max_line_bytes: 262_144,
            max_quoted_lines: 100,
            max_command_chars: 32_767,
            read_bytes: 256 * 1024,
            max_batches: 4,
            max_open_files: 512,
            forget_gone_hours: 24,
            max_expansion: 1000,
            workers: 0,
            max_uncommitted_bytes: 4 << 20,
            max_delta_bytes: 8 << 20,
            max_queued_alerts: 10_000,
            max_queued_alert_bytes: 64 << 20,
            max_alerts_kept: 10_000,
            max_alerts_per_day: 1_000,
            max_guards: 1_000_000,
            max_entities: 1_000_000,
            max_resident_bytes: 32 << 20,
            max_values: 5_000,
            max_instances: 2_000_000,
            max_bins: 10_000,
            max_bins_wide: 1_000_000,
            max_dead_letter_bytes: 100 << 20,
        }
    }
}

/// `[control]`.
#[derive(Clone, Debug, PartialEq)]
pub struct ControlSettings {
    /// The unix socket of the running agent.
    pub socket: PathBuf,
}

impl Default for ControlSettings {
    fn default() -> Self {
        ControlSettings { socket: PathBuf::from("/run/exfil-agent/control.sock") }
    }
}

/// `[metrics]`: figures for Prometheus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricsSettings {
    /// A unix socket to serve them on.
    pub socket: Option<PathBuf>,
    /// A loopback address to serve them on.
    pub listen: Option<SocketAddr>,
    /// A file for the textfile collector of node_exporter.
    pub textfile: Option<PathBuf>,
    /// Seconds from one writing of the file to the next.
    pub textfile_secs: u64,
}

impl Default for MetricsSettings {
    fn default() -> Self {
        MetricsSettings {
            socket: Some(PathBuf::from("/run/exfil-agent/metrics.sock")),
            listen: None,
            textfile: None,
            textfile_secs: 15,
        }
    }
}
