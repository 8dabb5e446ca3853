//! The agent under a script: the pipeline in this process, or the real daemon. Both read the same spool and keep their state.

use super::script::Script;
use crate::effort;
use crate::site::{Daemon, Site, wait};
use crate::support::Replay;
use exfil_agent::config::SpoolSettings;
use exfil_agent::content::Content;
use exfil_agent::control::client::Client;
use exfil_agent::pipeline::Pipeline;
use exfil_agent::pipeline::detecting::Question;
use exfil_agent::source::{Mode, SourceSnapshot};
use exfil_agent::state::key::Key;
use exfil_agent::state::record::FileRecord;
use exfil_agent::store::codec;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// Something that tails a spool.
pub trait Agent {
    fn spool(&self) -> PathBuf;
    fn state_dir(&self) -> PathBuf;
    fn alert_file(&self) -> PathBuf;
    fn start(&mut self);
    /// Waits until everything that can be read has been read, judged and committed. `fresh`: nothing has happened since the
    /// agent was started.
    fn settle_from(&mut self, fresh: bool);
    fn settle(&mut self) {
        self.settle_from(false);
    }
    /// The longest of all pauses, and some more.
    fn pause(&self) -> Duration;
    fn stop(&mut self);
    fn kill(&mut self);
    fn is_running(&self) -> bool;
    /// What the source said at the end of each life, or at its last settle.
    fn lives(&self) -> &[SourceSnapshot];
    fn log(&self) -> Option<String>;
    fn was_killed(&self) -> bool {
        false
    }
    /// A replay of the spool over the kept state, where that can be.
    fn replay(&mut self) -> bool {
        false
    }

    fn pauses(&mut self, fresh: bool) {
        self.settle_from(fresh);
        for _ in 0..2 {
            std::thread::sleep(self.pause());
            self.settle();
        }
    }
}

/// The shipped content, compiled once.
pub fn content() -> Arc<Content> {
    static CONTENT: OnceLock<Arc<Content>> = OnceLock::new();
    Arc::clone(CONTENT.get_or_init(|| Replay::new("", 1).content))
}

pub struct InProcess {
    replay: Replay,
    dir: tempfile::TempDir,
    running: Option<Pipeline>,
    lives: Vec<SourceSnapshot>,
}

impl InProcess {
    pub fn new(script: &Script) -> InProcess {
        let mut settings = exfil_agent::config::parse("steps.toml", &script.config).unwrap_or_else(|f| panic!("{f}"));
        let dir = tempfile::TempDir::new().unwrap();
        let path = dir.path().join("spool");
        std::fs::create_dir(&path).unwrap();
        settings.spools = vec![SpoolSettings { path, rescan_secs: 0, ..SpoolSettings::default() }];
        settings.limits.workers = 2;
        if let Some(hours) = script.forget_gone_hours {
            settings.limits.forget_gone_hours = hours;
        }
        InProcess { replay: Replay::with(settings, content()), dir, running: None, lives: Vec::new() }
    }

    fn pipeline(&self) -> &Pipeline {
        self.running.as_ref().expect("the agent runs")
    }

    /// How far detection is, file by file.
    fn judged(&self) -> BTreeMap<u64, u64> {
        let (send, answer) = crossbeam_channel::bounded(1);
        let question: Question = Box::new(move |detector, outbox, _| {
            let files = detector.state.files().iter().map(|(id, f)| (*id, f.position.offset)).collect();
            let durable = detector.state.pending() == 0 && outbox.queued() == 0;
            let _ = send.send(if durable { files } else { BTreeMap::new() });
        });
        self.pipeline().questions.send(question).unwrap();
        answer.recv().unwrap()
    }
}

impl Agent for InProcess {
    fn spool(&self) -> PathBuf {
        self.dir.path().join("spool")
    }
    fn state_dir(&self) -> PathBuf {
        self.replay.state_dir()
    }
    fn alert_file(&self) -> PathBuf {
        self.replay.alert_file()
    }
    fn start(&mut self) {
        let mode = Mode::Live(self.replay.settings.spools.clone());
        self.running = Some(self.replay.start(&mode));
    }
    fn settle_from(&mut self, fresh: bool) {
        let source = Arc::clone(&self.pipeline().source);
        // A listing that is under way may have missed what has just happened; the first one of a life has not.
        let enough = if fresh { 1 } else { source.snapshot().listings + 2 };
        wait("a listing", || source.snapshot().listings >= enough);
        wait("everything to be judged", || is_judged(&source.snapshot(), &self.judged()));
    }
    fn pause(&self) -> Duration {
        Duration::from_millis(500)
    }
    fn stop(&mut self) {
        let Some(pipeline) = self.running.take() else { return };
        let source = Arc::clone(&pipeline.source);
        pipeline.stop.stop();
        pipeline.join().unwrap();
        self.lives.push(source.snapshot());
    }
    fn kill(&mut self) {
        panic!("only a process can be killed");
    }
    fn is_running(&self) -> bool {
        self.running.is_some()
    }
    fn lives(&self) -> &[SourceSnapshot] {
        &self.lives
    }
    fn log(&self) -> Option<String> {
        None
    }
    fn replay(&mut self) -> bool {
        let spool = self.spool();
        self.replay.step(&[spool]);
        true
    }
}

fn is_judged(source: &SourceSnapshot, judged: &BTreeMap<u64, u64>) -> bool {
    let has = |id: u64, offset: u64| judged.get(&id) == Some(&offset);
    source.files.iter().filter(|f| f.id > 0 && f.offset > 0).all(|f| has(f.id, f.offset))
}

pub struct Process {
    pub site: Site,
    /// What the daemon is started through, such as `setpriv`.
    pub through: Vec<String>,
    pub environment: Vec<(String, String)>,
    pub daemon: Option<Daemon>,
    killed: bool,
    lives: Vec<SourceSnapshot>,
}

impl Process {
    pub fn new(config: &str) -> Process {
        let site = Site::new();
        site.configure(config);
        std::fs::create_dir(site.root().join("spool")).unwrap();
        Process { site, through: Vec::new(), environment: Vec::new(), daemon: None, killed: false, lives: Vec::new() }
    }

    pub fn of(script: &Script) -> Process {
        let mut process = Process::new(&script.config);
        if script.needs_permissions && rustix::process::geteuid().is_root() {
            // Root may read everything, unless it gives that right away.
            let drop = "--bounding-set=-dac_override,-dac_read_search";
            process.through = ["setpriv", drop].map(str::to_owned).to_vec();
        }
        process
    }

    pub fn source(&self) -> Option<SourceSnapshot> {
        let mut client = Client::connect(&self.site.root().join("control.sock")).ok()?;
        Some(client.live().ok()?.source)
    }

    fn judged(&self) -> Option<BTreeMap<u64, u64>> {
        let mut client = Client::connect(&self.site.root().join("control.sock")).ok()?;
        let live = client.live().ok()?;
        if live.summary.queued_alerts > 0 || live.summary.uncommitted > 0 {
            return None;
        }
        let (mut from, mut judged) = (b"f".to_vec(), BTreeMap::new());
        loop {
            let (_, page) = client.scan(&from, b"f").ok()?;
            let Some((last, _)) = page.last() else { return Some(judged) };
            from = last.clone();
            from.push(0);
            for (key, value) in &page {
                if let (Some(Key::File(id)), Ok(record)) = (Key::decode(key), codec::decode::<FileRecord>(value)) {
                    judged.insert(id, record.position.offset);
                }
            }
        }
    }

    pub fn counter(&self, of: impl Fn(&SourceSnapshot) -> u64) -> u64 {
        self.source().map_or(0, |s| of(&s))
    }
}

impl Agent for Process {
    fn spool(&self) -> PathBuf {
        self.site.root().join("spool")
    }
    fn state_dir(&self) -> PathBuf {
        self.site.root().join("state")
    }
    fn alert_file(&self) -> PathBuf {
        self.site.root().join("alerts.jsonl")
    }
    fn start(&mut self) {
        let environment: Vec<(&str, &str)> = self.environment.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        let through: Vec<&str> = self.through.iter().map(String::as_str).collect();
        self.daemon = Some(self.site.start_through(&through, &environment));
        // Also so that a signal finds its handler.
        wait(&format!("the agent to answer; log:\n{}", self.site.log()), || self.source().is_some());
    }
    fn settle_from(&mut self, fresh: bool) {
        let listings = |agent: &Process| agent.source().map_or(0, |s| s.listings);
        let enough = if fresh { 1 } else { listings(self) + 2 };
        wait(&format!("a listing; log:\n{}", self.site.log()), || listings(self) >= enough);
        wait(&format!("everything to be judged; log:\n{}", self.site.log()), || {
            self.source().zip(self.judged()).is_some_and(|(source, judged)| is_judged(&source, &judged))
        });
    }
    fn pause(&self) -> Duration {
        // The grace of a vanished file that is open matters to nobody who was just started.
        Duration::from_secs(effort::of(4, 19) as u64)
    }
    fn stop(&mut self) {
        let Some(daemon) = self.daemon.take() else { return };
        self.lives.extend(self.source());
        assert_eq!(daemon.terminate(), 0, "{}", self.site.log());
    }
    fn kill(&mut self) {
        self.killed = true;
        self.daemon.take().expect("the agent runs").kill();
    }
    fn is_running(&self) -> bool {
        self.daemon.is_some()
    }
    fn lives(&self) -> &[SourceSnapshot] {
        &self.lives
    }
    fn log(&self) -> Option<String> {
        Some(self.site.log())
    }
    fn was_killed(&self) -> bool {
        self.killed
    }
}
