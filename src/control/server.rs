//! The agent's side of the control socket.

use super::conversation::{Conversation, Heard};
use super::listen::{bind_socket, poke};
use super::{Asked, Change, Live, Refusal, Request, Response, from_hex, to_hex};
use crate::calendar::wall_clock_ms;
use crate::exit::{self, Failure};
use crate::pipeline::Pipeline;
use crate::pipeline::committer::{Command, CommitStatus, Scan};
use crate::pipeline::detecting::Question;
use crate::pipeline::summary::Summary;
use crate::sink::SinkStatus;
use crate::source::SourceStatus;
use crossbeam_channel::{Receiver, Sender, bounded};
use log::{debug, warn};
use std::io::Write;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Longest request, bytes.
const MAX_REQUEST_BYTES: usize = 64 * 1024;
/// About how many bytes of records an answer holds.
const PAGE_BYTES: usize = 256 * 1024;
/// Clients served at once.
const MAX_CLIENTS: usize = 8;
/// How long a client may take for a whole request and for taking a whole answer, and the agent to find it.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often a client that came during a change looks whether it is over.
const LOOK_PAUSE: Duration = Duration::from_millis(20);

/// A listening control socket; stops with [`Control::stop`].
pub struct Control {
    path: PathBuf,
    stop: Arc<AtomicBool>,
    desk: Arc<Desk>,
}

impl Control {
    /// From now on this pipeline is asked.
    pub fn attach(&self, pipeline: &Pipeline) {
        let agent = Agent {
            questions: pipeline.questions.clone(),
            store: pipeline.store.clone(),
            commits: Arc::clone(&pipeline.commits),
            source: Arc::clone(&pipeline.source),
            sinks: pipeline.sinks.clone(),
        };
        *self.desk.agent.lock().unwrap_or_else(PoisonError::into_inner) = Some(agent);
    }

    /// The pipeline is about to end; who asks meanwhile waits for the next one.
    pub fn detach(&self) {
        *self.desk.agent.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Takes the socket away. Clients in the middle of a question get no answer.
    pub fn stop(self) {
        self.stop.store(true, Ordering::SeqCst);
        // Wakes the listener out of its wait.
        poke(&self.path);
        let _ = std::fs::remove_file(&self.path);
    }
}

/// What a client thread needs to answer.
struct Desk {
    started_ms: i64,
    /// `None` while something is being changed.
    agent: Mutex<Option<Agent>>,
    changes: Sender<Asked>,
    clients: AtomicUsize,
}

/// The ways into a running pipeline.
#[derive(Clone)]
struct Agent {
    questions: Sender<Question>,
    store: Sender<Command>,
    commits: Arc<Mutex<CommitStatus>>,
    source: Arc<SourceStatus>,
    sinks: Vec<(String, Arc<SinkStatus>)>,
}

/// Listens on a socket. Nobody is answered before [`Control::attach`]; changes that are asked for come out of the channel.
///
/// # Errors
/// When the socket cannot be made.
pub fn serve(socket: &Path) -> Result<(Control, Receiver<Asked>), Failure> {
    let path = socket.to_owned();
    let cannot = |e: std::io::Error| {
        Failure::new(
            exit::CANNOT_CREATE,
            format!("control.socket {}: {e}; the directory must exist and be ours", path.display()),
        )
    };
    let listener = bind_socket(&path).map_err(cannot)?;
    let (changes, asked) = bounded(0);
    let (agent, clients) = (Mutex::new(None), AtomicUsize::new(0));
    let desk = Arc::new(Desk { started_ms: wall_clock_ms(), agent, changes, clients });
    let stop = Arc::new(AtomicBool::new(false));
    let (serving, stopped) = (Arc::clone(&desk), Arc::clone(&stop));
    std::thread::Builder::new()
        .name("control".into())
        .spawn(move || accept(&listener, &serving, &stopped))
        .map_err(cannot)?;
    Ok((Control { path, stop, desk }, asked))
}

fn accept(listener: &UnixListener, desk: &Arc<Desk>, stop: &AtomicBool) {
    for stream in listener.incoming() {
        if stop.load(Ordering::SeqCst) {
            return;
        }
        let Ok(stream) = stream else {
            // Out of descriptors: the next try may find one.
            std::thread::sleep(Duration::from_millis(100));
            continue;
        };
        let Some(place) = Place::take(desk) else {
            turn_away(stream);
            continue;
        };
        let spawned = std::thread::Builder::new().name("control-client".into()).spawn(move || {
            if let Err(e) = place.0.serve(&stream) {
                debug!("control client: {e}");
            }
        });
        if let Err(e) = spawned {
            warn!("cannot serve a control client: {e}");
        }
    }
}

/// Tells a client that there is no place, without waiting for it.
fn turn_away(mut stream: UnixStream) {
    let busy = Response::Refused(format!("{MAX_CLIENTS} clients are being served; try again").into());
    if let (Ok(()), Ok(line)) = (stream.set_nonblocking(true), line(&busy)) {
        let _ = stream.write_all(&line);
    }
}

/// One of the places at the desk; free again when dropped, however the client went.
struct Place(Arc<Desk>);

impl Place {
    fn take(desk: &Arc<Desk>) -> Option<Place> {
        let place = Place(Arc::clone(desk));
        (desk.clients.fetch_add(1, Ordering::SeqCst) < MAX_CLIENTS).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.clients.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Desk {
    fn serve(&self, stream: &UnixStream) -> std::io::Result<()> {
        let uid = match rustix::net::sockopt::socket_peercred(stream) {
            Ok(peer) => {
                debug!("control client: uid {}, pid {}", peer.uid.as_raw(), peer.pid.as_raw_nonzero());
                Some(peer.uid.as_raw())
            }
            Err(_) => None,
        };
        let mut conversation = Conversation::new(stream, MAX_REQUEST_BYTES, PATIENCE);
        loop {
            let response = match conversation.hear()? {
                Heard::End => return Ok(()),
                Heard::TooLong => {
                    let why = format!("a request is one line of at most {MAX_REQUEST_BYTES} bytes");
                    return conversation.say(&line(&Response::Refused(why.into()))?);
                }
                Heard::Request(request) => match serde_json::from_slice(&request) {
                    Ok(request) => self.respond(request, uid).unwrap_or_else(Response::Refused),
                    Err(e) => Response::Refused(format!("not a request: {e}").into()),
                },
            };
            conversation.say(&line(&response)?)?;
        }
    }

    /// The pipeline; one that is being changed is waited for.
    fn agent(&self) -> Result<Agent, Refusal> {
        let since = Instant::now();
        loop {
            if let Some(agent) = &*self.agent.lock().unwrap_or_else(PoisonError::into_inner) {
                return Ok(agent.clone());
            }
            if since.elapsed() >= PATIENCE {
                return Err("the agent is being changed; try again".into());
            }
            std::thread::sleep(LOOK_PAUSE);
        }
    }

    fn respond(&self, request: Request, uid: Option<u32>) -> Result<Response, Refusal> {
        match request {
            Request::Change(change) => self.change(change, uid),
            Request::Scan { from, prefix } => {
                let hex = |text: &str| from_hex(text).ok_or("keys are hexadecimal");
                let (reply, answer) = bounded(1);
                let scan = Scan { from: hex(&from)?, prefix: hex(&prefix)?, max_bytes: PAGE_BYTES, reply };
                let store = self.agent()?.store;
                store.send_timeout(Command::Scan(scan), PATIENCE).map_err(|_| "the store is busy; try again")?;
                let page = answer.recv_timeout(PATIENCE).map_err(|_| "the store is busy; try again")?;
                let page = page.map_err(|e| e.to_string())?;
                let pairs = page.pairs.iter().map(|(k, v)| (to_hex(k), to_hex(v))).collect();
                Ok(Response::Records { epoch: page.epoch, pairs })
            }
            Request::Live => self.live().map(|live| Response::Live(Box::new(live))),
        }
    }

    /// Whoever may look may not change: that is for root and for the agent's own user.
    fn change(&self, change: Change, uid: Option<u32>) -> Result<Response, Refusal> {
        let own = rustix::process::geteuid().as_raw();
        let Some(uid) = uid.filter(|uid| *uid == 0 || *uid == own) else {
            warn!("somebody else than root and the agent's own user asked to {}: refused", change.describe());
            return Err("only root and the agent's own user may change the agent".into());
        };
        let (reply, answer) = bounded(1);
        let gone = "the agent is about to stop";
        self.changes.send(Asked { change, uid, reply }).map_err(|_| gone)?;
        answer.recv().map_err(|_| gone)?.map(Response::Changed)
    }

    fn live(&self) -> Result<Live, Refusal> {
        let agent = self.agent()?;
        let (reply, answer) = bounded(1);
        let ask: Question = Box::new(move |detector, outbox, queued_batches| {
            let _ = reply.send(Summary::of(detector, outbox, queued_batches));
        });
        agent.questions.send_timeout(ask, PATIENCE).map_err(|_| "detection is busy; try again")?;
        let summary = answer.recv_timeout(PATIENCE).map_err(|_| "detection is busy; try again")?;
        Ok(Live {
            pid: std::process::id(),
            version: env!("CARGO_PKG_VERSION").into(),
            started_ms: self.started_ms,
            now_ms: wall_clock_ms(),
            source: agent.source.snapshot(),
            sinks: agent.sinks.iter().map(|(name, status)| (name.clone(), status.snapshot())).collect(),
            commits: agent.commits.lock().map(|c| c.clone()).unwrap_or_default(),
            summary,
        })
    }
}

fn line(response: &Response) -> std::io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(response)?;
    line.push(b'\n');
    Ok(line)
}
