//! The store thread: commits deltas one after the other, folds when there is nothing else to do, and answers scans.
//!
//! A commit that fails is tried again with back-off after the store was opened anew; the values are absolute, so trying
//! again is harmless. While that goes on nothing else is committed, detection stops at its limit, and reading stops
//! behind it: the spool is the queue. What else fails, such as a fold, closes the store, too. It is opened anew without waiting
//! for a commit: an event may need it first, and whoever asks for the status. A store that has lost commits ends the agent: the
//! working set knows more than the store does, and only a start can bring the two together again.

mod saving;
mod setback;

use super::latency::Latency;
use crate::exit::{self, Failure};
use crate::failpoint;
use crate::state::key::BEHIND_USERS;
use crate::store::{Delta, Known, Records, Store, StoreError, StoreOptions, StoreStats};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, select};
use log::{error, info, warn};
use saving::Snapshots;
use setback::Setback;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Fold steps before the next commit where folding does not keep up: some 100 ms.
const STEPS_BETWEEN_COMMITS: usize = 64;

/// Records that are handed over together at a start, bytes: some milliseconds' work for both threads.
const TOGETHER: usize = 1 << 20;

/// How long until the store is asked again after it could not answer.
const ANSWER_PAUSE: Duration = Duration::from_secs(1);

/// What the store thread can be asked.
pub enum Command {
    /// Commit this; the answer goes to the commit channel.
    Commit(Delta),
    /// Read records in the order of their keys.
    Scan(Scan),
    /// Read all records that begin with one of these.
    Load(Vec<Vec<u8>>),
    /// Read some of what a working set is rebuilt from.
    Restore(Piece),
    /// Close and end.
    Close,
}

/// Records from one key on, up to another one, as many as are read together.
pub struct Piece {
    /// First key.
    pub from: Vec<u8>,
    /// The first key behind them.
    pub end: &'static [u8],
    /// No family of keys is torn apart.
    pub is_in_families: bool,
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

/// Some records, and the key of the next one before the end.
pub type Restored = Result<(Records, Option<Vec<u8>>), StoreError>;

/// When to ask the store again that could not answer.
///
/// # Errors
/// When it cannot read what it has: a start may find something sound to go on from.
pub fn ask_again(e: &StoreError) -> Result<Instant, Failure> {
    if !e.is_transient() {
        return Err(Failure::new(exit::RUNTIME, e.to_string()));
    }
    let wait = ANSWER_PAUSE.as_secs();
    warn!("cannot read what was learned: {e}; trying again in {wait} s, nothing is lost meanwhile");
    Ok(Instant::now() + failpoint::pause(ANSWER_PAUSE))
}

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
    /// The answers to [`Command::Restore`].
    pub restored: Receiver<Restored>,
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
        let (restores, restored) = bounded(4);
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
                    closed: Setback::default(),
                    folding: Setback::default(),
                    status: shared,
                    loads,
                    restores,
                }
                .run(&inbox, &done)
            }
            Backing::Volatile => {
                volatile(&inbox, &done, &loads);
                Ok(())
            }
        })?;
        Ok(Committer { commands, committed, loaded, restored, keeps, status, thread })
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
            // Nothing was opened, so nobody is missing.
            Command::Restore(_) => {}
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
    /// When a closed store is opened again.
    closed: Setback,
    /// When folding is tried again. The store is open before that, and can be read.
    folding: Setback,
    status: Arc<Mutex<CommitStatus>>,
    loads: Sender<Loaded>,
    restores: Sender<Restored>,
}

impl Durable {
    fn run(mut self, inbox: &Receiver<Command>, done: &Sender<Delta>) -> Result<(), StoreError> {
        self.note_commit();
        loop {
            self.open_if_due()?;
            if self.snapshots.wait().is_zero() {
                self.snapshot();
            }
            self.catch_up();
            let command = if self.may_fold(Store::fold_due) {
                inbox.try_recv().ok()
            } else {
                match inbox.recv_timeout(self.patience()) {
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
                Some(Command::Restore(piece)) => self.restore(&piece),
                Some(Command::Close) => break,
                None => self.fold(),
            }
        }
        self.end();
        Ok(())
    }

    /// How long there is nothing to do unless a command comes.
    fn patience(&self) -> Duration {
        let waits_for = match &self.store {
            None => Some(&self.closed),
            Some(store) => Some(&self.folding).filter(|_| store.fold_due()),
        };
        waits_for.map_or(self.snapshots.wait(), |setback| self.snapshots.wait().min(setback.left()))
    }

    /// Opens a closed store again, when it is time to.
    fn open_if_due(&mut self) -> Result<(), StoreError> {
        if self.store.is_some() || !self.closed.left().is_zero() {
            return Ok(());
        }
        match self.open() {
            Ok(_) => {
                self.closed.passed();
                // Where folding has failed, its next attempt tells whether all is well again, or the next commit.
                if !self.folding.lasts() {
                    self.note_sound();
                }
                Ok(())
            }
            Err(e) if e.is_transient() => {
                let wait = self.closed.failed();
                warn!(
                    "cannot open the state in {} again: {e}; trying again in {} s",
                    self.dir.display(),
                    wait.as_secs()
                );
                self.note_failure(&e);
                Ok(())
            }
            Err(e) => Err(e),
        }
    }

    /// The store, opened again if it is closed. What the detect thread holds in memory continues the last commit and no other: a
    /// store that has gone back must not be written to.
    fn open(&mut self) -> Result<&mut Store, StoreError> {
        Ok(match &mut self.store {
            Some(store) => store,
            closed => {
                let mut store = Store::open_again(&self.dir, &self.options, &self.known)?;
                store.let_go()?;
                info!("the state in {} is open again", self.dir.display());
                self.known = store.known();
                closed.insert(store)
            }
        })
    }

    /// The store has failed: it is closed, and opened again after a while. Says how long that is.
    fn close_failed(&mut self, e: &StoreError) -> Duration {
        self.note_failure(e);
        self.store = None;
        self.closed.failed()
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
        let began = Instant::now();
        loop {
            let was_open = self.store.is_some();
            match self.open().and_then(|store| store.commit(&mut delta).map(|_| store.known())) {
                Ok(known) => {
                    self.known = known;
                    self.closed.passed();
                    self.note_commit();
                    if let Ok(mut status) = self.status.lock() {
                        status.latency.add(began.elapsed());
                    }
                    return Ok(Some(delta));
                }
                // What an open store says after a fault may be the fault's doing; opening it anew tells.
                Err(e) if !e.is_transient() && !was_open => return Err(e),
                Err(e) => {
                    let wait = self.close_failed(&e).as_secs();
                    let dir = self.dir.display();
                    warn!("cannot commit to {dir}: {e}; trying again in {wait} s, nothing is lost meanwhile");
                }
            }
            while !self.closed.left().is_zero() {
                select! {
                    recv(inbox) -> command => match command {
                        Ok(Command::Scan(scan)) => self.scan(scan),
                        Ok(Command::Load(prefixes)) => self.load(&prefixes),
                        Ok(Command::Restore(piece)) => self.restore(&piece),
                        Ok(Command::Commit(_)) => {}
                        Ok(Command::Close) | Err(_) => return Ok(None),
                    },
                    default(self.closed.left()) => {}
                }
            }
        }
    }

    /// Folding waits for pauses between commits. Where there are none, it takes them: what is not folded stays in memory.
    fn catch_up(&mut self) {
        for _ in 0..STEPS_BETWEEN_COMMITS {
            if !self.may_fold(Store::fold_overdue) {
                return;
            }
            self.fold();
        }
    }

    /// Whether this is so of an open store, and folding has not failed a moment ago.
    fn may_fold(&self, is_due: impl Fn(&Store) -> bool) -> bool {
        self.store.as_ref().is_some_and(is_due) && self.folding.left().is_zero()
    }

    fn fold(&mut self) {
        let Some(store) = &mut self.store else { return };
        if let Err(e) = store.fold_step() {
            let wait = self.folding.failed();
            warn!("cannot fold the state in {}: {e}; trying again in {} s", self.dir.display(), wait.as_secs());
            self.close_failed(&e);
            return;
        }
        let had_failed = self.folding.passed();
        if had_failed {
            self.note_sound();
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

    fn restore(&mut self, piece: &Piece) {
        let Piece { from, end, is_in_families } = piece;
        let answer = match &self.store {
            Some(store) => store.piece(from, end, TOGETHER, *is_in_families),
            None => Err(StoreError::Failed { path: self.dir.clone() }),
        };
        let was_last = *end == BEHIND_USERS && matches!(answer, Ok((_, None)));
        let _ = self.restores.send(answer);
        if was_last {
            self.let_go();
        }
    }

    fn note_commit(&self) {
        self.note_sound();
        if let Ok(mut status) = self.status.lock() {
            status.at_ms = crate::calendar::wall_clock_ms();
            status.commits += 1;
        }
    }

    /// Nothing fails any more.
    fn note_sound(&self) {
        self.note_stats();
        if let Ok(mut status) = self.status.lock() {
            status.failing = None;
        }
    }

    fn note_failure(&self, e: &StoreError) {
        self.note_stats();
        if let Ok(mut status) = self.status.lock() {
            status.failing = Some(e.to_string());
        }
    }

    fn note_stats(&self) {
        if let (Some(store), Ok(mut status)) = (&self.store, self.status.lock()) {
            status.stats = store.stats();
            status.epoch = status.stats.epoch;
        }
    }
}

#[cfg(test)]
mod tests;
