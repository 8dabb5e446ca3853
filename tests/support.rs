//! A replay through the library, with its state kept in a temporary directory.

use exfil_agent::alert::AgentIdentity;
use exfil_agent::batch::{Position, Tally};
use exfil_agent::config::{FileSinkSettings, FormatSetting, FsyncSetting, Settings};
use exfil_agent::content::{self, Content};
use exfil_agent::event::{EventType, Oddity, Reject};
use exfil_agent::pipeline::detecting::{Progress, TimeSource};
use exfil_agent::pipeline::opening::StatePlan;
use exfil_agent::pipeline::restoring::Others;
use exfil_agent::pipeline::{Pipeline, Plan, SinkPlan};
use exfil_agent::sink::FileSink;
use exfil_agent::source::Mode;
use exfil_agent::state::dump::{Dumper, ModelFacts, Row};
use exfil_agent::state::key::Key;
use exfil_agent::state::record::FileRecord;
use exfil_agent::store::{self, ReadStore, StoreError, codec};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;

/// What a run leaves: compared as text.
#[derive(Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The alert file.
    pub alerts: String,
    /// The canonical dump of the logical state.
    pub state: String,
    /// Records judged, file by file.
    pub files: String,
}

/// A replay that can be continued.
pub struct Replay {
    pub settings: Settings,
    pub content: Arc<Content>,
    now: i64,
    dir: TempDir,
    others: Others,
}

impl Replay {
    pub fn new(config: &str, workers: usize) -> Replay {
        let mut settings = exfil_agent::config::parse("case.toml", config).unwrap_or_else(|f| panic!("{f}"));
        settings.limits.workers = workers;
        let content = Arc::new(content::load(&settings.detection).unwrap_or_else(|f| panic!("{f}")));
        let now = config.lines().find_map(|l| l.strip_prefix("# now: ")).unwrap_or("2026-12-31");
        let now = exfil_agent::calendar::Zone::utc().parse(&format!("{now}T12:00:00")).unwrap();
        Replay { settings, content, now, dir: TempDir::new().unwrap(), others: Others::AtOnce }
    }

    /// With content that is compiled already.
    pub fn with(settings: Settings, content: Arc<Content>) -> Replay {
        let now = exfil_agent::calendar::Zone::utc().parse("2026-12-31T12:00:00").unwrap();
        Replay { settings, content, now, dir: TempDir::new().unwrap(), others: Others::AtOnce }
    }

    /// The same, with so much memory for what is learned about users and hosts, bytes.
    pub fn resident(mut self, bytes: usize) -> Replay {
        self.settings.limits.max_resident_bytes = bytes;
        self
    }

    /// The same, with users and hosts that are left in the store until an event is about them.
    pub fn reluctant(mut self) -> Replay {
        self.others = Others::Last;
        self
    }

    pub fn state_dir(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    pub fn alert_file(&self) -> PathBuf {
        self.dir.path().join("alerts.jsonl")
    }

    pub fn plan(&self, mode: Mode) -> Plan {
        let settings = FileSinkSettings { path: self.alert_file(), fsync: FsyncSetting::Never, ..Default::default() };
        Plan {
            settings: self.settings.clone(),
            content: Arc::clone(&self.content),
            directory: None,
            mode,
            state: Some(StatePlan::new(self.state_dir(), &self.settings, false)),
            others: self.others,
            sinks: vec![SinkPlan {
                name: "file".into(),
                min_score: 0,
                open: Box::new(move |mark| Box::new(FileSink::new(settings, AgentIdentity::replay(), mark))),
            }],
            time: TimeSource::Fixed(self.now),
            drain_fully: true,
        }
    }

    /// Replays these files over the kept state.
    pub fn step(&mut self, files: &[PathBuf]) -> Progress {
        let mode = Mode::Once { paths: files.to_vec(), format: FormatSetting::Auto };
        let pipeline = self.start(&mode);
        let (detector, progress) = pipeline.join().unwrap();
        assert!(!detector.state.is_some_missing(), "whoever looks at the state afterwards sees all of it");
        for record in detector.state.files().values() {
            assert!(record.tally.adds_up(), "records = events + rejects + headers + blank: {:?}", record.tally);
        }
        progress
    }

    /// Starts a pipeline over the kept state. A process that another test has just forked holds our descriptors, and so the
    /// lock of the state, until it becomes another program: that is waited for.
    pub fn start(&self, mode: &Mode) -> Pipeline {
        for _ in 0..1000 {
            match Pipeline::start(self.plan(mode.clone()), Box::new(|_| {})) {
                Err(failure) if failure.code == exfil_agent::exit::IN_USE => {
                    std::thread::sleep(std::time::Duration::from_millis(10));
                }
                other => return other.unwrap(),
            }
        }
        panic!("the state stays locked");
    }

    pub fn over(mut self, files: &[PathBuf]) -> Outcome {
        self.step(files);
        self.outcome()
    }

    pub fn outcome(&self) -> Outcome {
        let alerts = std::fs::read_to_string(self.alert_file()).unwrap_or_default();
        let (state, files) = dump(&self.state_dir(), &self.content, &self.settings);
        Outcome { alerts, state, files }
    }
}

/// A stopped store. When another test of this process starts a program, the child has all files of this process open for a
/// moment, and with them the lock of a store that was just closed.
pub fn stopped(dir: &Path) -> ReadStore {
    let mut tries = 0;
    loop {
        match store::read_stopped(dir) {
            Err(StoreError::InUse { pid, .. }) if pid == Some(std::process::id()) && tries < 500 => tries += 1,
            other => return other.unwrap(),
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

/// The canonical dump of a stopped store, and its files' tallies.
pub fn dump(dir: &Path, content: &Content, settings: &Settings) -> (String, String) {
    dump_of(&stopped(dir), content, settings)
}

/// The same of a store or snapshot that is open for reading.
pub fn dump_of(store: &ReadStore, content: &Content, settings: &Settings) -> (String, String) {
    let facts = |m: &exfil_agent::model::ModelSpec| {
        (m.id.clone(), ModelFacts::of(m, settings.detection.min_confidence, settings.detection.window_days))
    };
    let mut dumper = Dumper::new(content.models.iter().map(facts).collect());
    let (mut rows, mut files) = (String::new(), Vec::new());
    let mut each = |row: Row| writeln!(rows, "{}", serde_json::to_string(&row).unwrap()).unwrap();
    let mut from = Vec::new();
    loop {
        let page = store.scan(&from, b"", 1 << 20).unwrap();
        let Some((last, _)) = page.last() else { break };
        from = last.clone();
        from.push(0);
        for (key, value) in &page {
            if let Some(Key::File(_)) = Key::decode(key) {
                let record: FileRecord = codec::decode(value).unwrap();
                files.push(file_line(&record));
            }
            dumper.feed(key, value, &mut each).unwrap();
        }
    }
    dumper.end(&mut each);
    files.sort();
    (rows, files.concat())
}

/// The positions in a stopped store.
pub fn positions(dir: &Path) -> Vec<Position> {
    let store = stopped(dir);
    let (mut positions, mut from) = (Vec::new(), Vec::new());
    loop {
        let page = store.scan(&from, b"", 1 << 20).unwrap();
        let Some((last, _)) = page.last() else { return positions };
        from = last.clone();
        from.push(0);
        for (_, value) in page.iter().filter(|(key, _)| matches!(Key::decode(key), Some(Key::File(_)))) {
            positions.push(codec::decode::<FileRecord>(value).unwrap().position);
        }
    }
}

fn file_line(record: &FileRecord) -> String {
    let Tally { bytes, records, headers, blank, events, rejects, oddities } = &record.tally;
    let name = record.position.path.file_name().unwrap_or_default().to_string_lossy();
    let mut line = format!("{name}: bytes={bytes} records={records} headers={headers} blank={blank}");
    let mut counts = |prefix: &str, name: &str, n: u64| {
        if n > 0 {
            write!(line, " {prefix}{name}={n}").unwrap();
        }
    };
    EventType::ALL.iter().for_each(|e| counts("", e.name(), events.get(e.index())));
    Reject::ALL.iter().for_each(|r| counts("reject:", r.name(), rejects.get(r.index())));
    Oddity::ALL.iter().for_each(|o| counts("odd:", o.name(), oddities.get(o.index())));
    line.push('\n');
    line
}
