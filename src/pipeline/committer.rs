//! The store thread: commits deltas one after the other, folds when there is nothing else to do, and answers scans.
//!
//! A commit that fails is tried again with back-off after the store was opened anew; the values are absolute, so trying
//! again is harmless. While that goes on nothing else is committed, detection stops at its limit, and reading stops
//! behind it: the spool is the queue. A store that has lost commits ends the agent: the working set knows more than the
//! store does, and only a start can bring the two together again.

mod saving;

use super::latency::Latency;
use crate::exit::{self, Failure};
use crate::failpoint;
use crate::store::{Delta, Known, Store, StoreError, StoreOptions, StoreStats};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, select};
use log::{error, info, warn};
use saving::Snapshots;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Fold steps before the next commit where folding does not keep up: some 100 ms.
const STEPS_BETWEEN_COMMITS: usize = 64;

/// What the store thread can be asked.
pub enum Command {
    /// Commit this; the answer goes to the commit channel.
    Commit(Delta),
    /// Read records in the order of their keys.
    Scan(Scan),
    /// Read all records that begin with one of these.
    Load(Vec<Vec<u8>>),
    /// Close and end.
    Close,
}

/// A read of committed records.
pub struct Scan {
    /// First key.
    pub from: Vec<u8>,
    /// Prefix that keys must have.
    pub prefix: Vec<u8>,
    /// About how many bytes to return at most.
    pub max_bytes: usize,
    /// Where the answer goes.
    pub reply: Sender<Result<ScanPage, StoreError>>,
}

/// The answer to a scan.
#[derive(Debug)]
pub struct ScanPage {
    /// Epoch that was read.
    pub epoch: u64,
    /// Records.
    pub pairs: Vec<(Vec<u8>, Vec<u8>)>,
}

/// What happened to the last commit.
#[derive(Debug, Clone, Default, serde::Serialize, serde::Deserialize)]
pub struct CommitStatus {
    /// Last durable epoch.
    pub epoch: u64,
    /// Wall clock of the last commit, ms.
    pub at_ms: i64,
    /// Why commits fail at the moment.
    pub failing: Option<String>,
    /// Why the last snapshot could not be taken.
    pub snapshot_failing: Option<String>,
    /// Commits since start.
    pub commits: u64,
    /// Statistics of the store.
    pub stats: StoreStats,
    /// How long commits took, from when they could begin until they were durable.
    #[serde(default)]
    pub latency: Latency,
}

/// Records by prefix.
pub type Loaded = Result<Vec<Vec<(Vec<u8>, Vec<u8>)>>, StoreError>;

/// Where state is kept.
pub enum Backing {
    /// In a directory, durable.
    Durable {
        /// The open store.
        store: Box<Store>,
        /// Its directory.
        dir: PathBuf,
        /// How to open it again after a failure.
        options: StoreOptions,
        /// Time between two snapshots; `None` takes one at the end only.
        snapshot_every: Option<Duration>,
        /// Size from which on the database may be compacted, bytes.
        compact_min_bytes: u64,
    },
    /// Nowhere: a replay whose state is thrown away.
    Volatile,
}

/// Handles of a running store thread.
pub struct Committer {
    /// Commands.
    pub commands: Sender<Command>,
    /// One message for each commit, once it is durable: the delta, empty, to be used again.
    pub committed: Receiver<Delta>,
    /// The answers to [`Command::Load`].
    pub loaded: Receiver<Loaded>,
    /// Whether anything is kept: else there is nothing to load.
    pub keeps: bool,
    /// How commits are doing.
    pub status: Arc<Mutex<CommitStatus>>,
    thread: JoinHandle<Result<(), StoreError>>,
}

impl Committer {
    /// Starts the thread.
    pub fn spawn(backing: Backing) -> std::io::Result<Committer> {
        let (commands, inbox) = bounded(4);
        let (done, committed) = bounded(4);
        let (loads, loaded) = bounded(4);
        let status = Arc::new(Mutex::new(CommitStatus::default()));
        let shared = Arc::clone(&status);
        let keeps = matches!(backing, Backing::Durable { .. });
        let thread = std::thread::Builder::new().name("store".into()).spawn(move || match backing {
            Backing::Durable { store, dir, options, snapshot_every, compact_min_bytes } => {
                let (known, snapshots) = (store.known(), Snapshots::new(snapshot_every));
                Durable {
                    store: Some(*store),
                    known,
                    dir,
                    options,
                    snapshots,
                    compact_min_bytes,
                    status: shared,
                    loads,
                }
                .run(&inbox, &done)
            }
            Backing::Volatile => {
                volatile(&inbox, &done, &loads);
                Ok(())
            }
        })?;
        Ok(Committer { commands, committed, loaded, keeps, status, thread })
    }

    /// Closes the store and waits for the thread.
    ///
    /// # Errors
    /// Why the thread had ended before: it will commit nothing more.
    pub fn close(self) -> Result<(), Failure> {
        let _ = self.commands.send(Command::Close);
        match self.thread.join() {
            Ok(Ok(())) => Ok(()),
            // Not the exit code of a start that is refused: a start may find something sound to go on from.
            Ok(Err(e)) => Err(Failure::new(exit::RUNTIME, e.to_string())),
            Err(_) => Err(Failure::new(
                exit::RUNTIME,
                "the store thread ended abnormally; what was committed is safe, start the agent again",
            )),
        }
    }
}

fn volatile(inbox: &Receiver<Command>, done: &Sender<Delta>, loads: &Sender<Loaded>) {
    let mut epoch = 0;
    for command in inbox {
        match command {
            Command::Commit(mut delta) => {
                epoch += 1;
                delta.clear();
                if done.send(delta).is_err() {
                    return;
                }
            }
            Command::Scan(scan) => {
                let _ = scan.reply.send(Ok(ScanPage { epoch, pairs: Vec::new() }));
            }
            Command::Load(prefixes) => {
                let _ = loads.send(Ok(prefixes.iter().map(|_| Vec::new()).collect()));
            }
            Command::Close => return,
        }
    }
}

struct Durable {
    store: Option<Store>,
    /// The store as of its last commit, to know it again.
    known: Known,
    dir: PathBuf,
    options: StoreOptions,
    snapshots: Snapshots,
    compact_min_bytes: u64,
    status: Arc<Mutex<CommitStatus>>,
    loads: Sender<Loaded>,
}

impl Durable {
    fn run(mut self, inbox: &Receiver<Command>, done: &Sender<Delta>) -> Result<(), StoreError> {
        self.note(None);
        loop {
            if self.snapshots.wait().is_zero() {
                self.snapshot();
            }
            self.catch_up();
            let folding = self.store.as_ref().is_some_and(Store::fold_due);
            let command = if folding {
                inbox.try_recv().ok()
            } else {
                match inbox.recv_timeout(self.snapshots.wait()) {
                    Ok(command) => Some(command),
                    Err(RecvTimeoutError::Timeout) => continue,
                    Err(RecvTimeoutError::Disconnected) => break,
                }
            };
            match command {
                Some(Command::Commit(delta)) => {
                    let Some(used) = self.commit(delta, inbox)? else { break };
                    if done.send(used).is_err() {
                        break;
                    }
                }
                Some(Command::Scan(scan)) => self.scan(scan),
                Some(Command::Load(prefixes)) => self.load(&prefixes),
                Some(Command::Close) => break,
                None => self.fold(),
            }
        }
        self.end();
        Ok(())
    }

    /// Takes the last snapshot and closes. Nothing has to be let go for that.
    fn end(&mut self) {
        self.save();
        if let Some(store) = self.store.take()
            && let Err(e) = store.close()
        {
            error!("closing the state: {e}");
        }
    }

    /// Commits, however often it takes; the delta is empty then. `None` when the agent shuts down before it succeeds.
    fn commit(&mut self, mut delta: Delta, inbox: &Receiver<Command>) -> Result<Option<Delta>, StoreError> {
        let (mut wait, began) = (Duration::from_secs(1), Instant::now());
        loop {
            let was_open = self.store.is_some();
            match self.try_commit(&mut delta) {
                Ok(()) => {
                    self.note(None);
                    if let Ok(mut status) = self.status.lock() {
                        status.latency.add(began.elapsed());
                    }
                    return Ok(Some(delta));
                }
                // What an open store says after a fault may be the fault's doing; opening it anew tells.
                Err(e) if !e.is_transient() && !was_open => return Err(e),
                Err(e) => {
                    warn!(
                        "cannot commit to {}: {e}; trying again in {} s, nothing is lost meanwhile",
                        self.dir.display(),
                        wait.as_secs()
                    );
                    self.note(Some(e.to_string()));
                    self.store = None;
                }
            }
            select! {
                recv(inbox) -> command => match command {
                    Ok(Command::Scan(scan)) => self.scan(scan),
                    Ok(Command::Load(prefixes)) => self.load(&prefixes),
                    Ok(Command::Commit(_)) => {}
                    Ok(Command::Close) | Err(_) => return Ok(None),
                },
                default(failpoint::pause(wait)) => {}
            }
            wait = (wait * 2).min(Duration::from_secs(60));
        }
    }

    /// What the detect thread holds in memory continues the last commit and no other: a store that has gone back must not be
    /// written to.
    fn try_commit(&mut self, delta: &mut Delta) -> Result<(), StoreError> {
        let store = match &mut self.store {
            Some(store) => store,
            closed => {
                let store = Store::open_again(&self.dir, &self.options, &self.known)?;
                info!("the state in {} is open again", self.dir.display());
                self.known = store.known();
                closed.insert(store)
            }
        };
        store.commit(delta)?;
        self.known = store.known();
        Ok(())
    }

    /// Folding waits for pauses between commits. Where there are none, it takes them: what is not folded stays in memory.
    fn catch_up(&mut self) {
        for _ in 0..STEPS_BETWEEN_COMMITS {
            if !self.store.as_ref().is_some_and(Store::fold_overdue) {
                return;
            }
            self.fold();
        }
    }

    fn fold(&mut self) {
        let Some(store) = &mut self.store else { return };
        if let Err(e) = store.fold_step() {
            warn!("folding the state in {}: {e}", self.dir.display());
            self.note(Some(e.to_string()));
            self.store = None;
        }
    }

    fn scan(&self, scan: Scan) {
        let answer = match &self.store {
            Some(store) => store
                .scan(&scan.from, &scan.prefix, scan.max_bytes)
                .map(|pairs| ScanPage { epoch: store.stats().epoch, pairs }),
            None => Err(StoreError::Failed { path: self.dir.clone() }),
        };
        let _ = scan.reply.send(answer);
    }

    fn load(&self, prefixes: &[Vec<u8>]) {
        let answer = match &self.store {
            Some(store) => store.read_all(prefixes),
            None => Err(StoreError::Failed { path: self.dir.clone() }),
        };
        let _ = self.loads.send(answer);
    }

    fn note(&self, failing: Option<String>) {
        let Ok(mut status) = self.status.lock() else { return };
        if let Some(store) = &self.store {
            status.stats = store.stats();
            status.epoch = status.stats.epoch;
        }
        if failing.is_none() {
            status.at_ms = crate::calendar::wall_clock_ms();
            status.commits += 1;
        }
        status.failing = failing;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::record::SCHEMA;
    use crate::store::OnDamage;

    /// Commits stand in line, so that there is never a pause: what is not folded stays in memory, and must stay little.
    #[test]
    fn folding_keeps_up_with_commits_that_leave_no_pause() {
        let dir = tempfile::tempdir().unwrap();
        let options =
            StoreOptions { max_delta_bytes: 8 << 10, schema: SCHEMA, on_damage: OnDamage::Refuse, snapshots_kept: 0 };
        let (store, _) = Store::open(dir.path(), &options).unwrap();
        let backing = Backing::Durable {
            store: Box::new(store),
            dir: dir.path().to_owned(),
            options,
            snapshot_every: None,
            compact_min_bytes: u64::MAX,
        };
        let committer = Committer::spawn(backing).unwrap();
        let commands = committer.commands.clone();
        let sender = std::thread::spawn(move || {
            for n in 0..400u32 {
                let delta = [([n as u8 % 8], Some([n as u8; 1000]))].into_iter().collect();
                commands.send(Command::Commit(delta)).unwrap();
            }
        });
        let mut most = 0;
        for _ in 0..400 {
            committer.committed.recv().unwrap();
            most = most.max(committer.status.lock().unwrap().stats.delta_bytes);
        }
        sender.join().unwrap();
        committer.close().unwrap();
        // These values take almost nothing when packed, so that a quarter of their length counts. Twice the limit is overdue.
        assert!((32 << 10..72 << 10).contains(&most), "{most} bytes were not folded");
    }
}
