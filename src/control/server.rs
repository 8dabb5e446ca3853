//! The agent's side of the control socket.

use super::conversation::{Conversation, Heard};
use super::listen::{bind_socket, poke};
use super::{Live, Request, Response, from_hex, to_hex};
use crate::alert::EntityKind;
use crate::calendar::wall_clock_ms;
use crate::config::Settings;
use crate::exit::{self, Failure};
use crate::pipeline::Pipeline;
use crate::pipeline::committer::{Command, CommitStatus, Scan};
use crate::pipeline::detecting::Question;
use crate::sink::SinkStatus;
use crate::source::SourceStatus;
use crossbeam_channel::{Sender, bounded};
use log::{debug, warn};
use std::io::Write;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Longest request, bytes.
const MAX_REQUEST_BYTES: usize = 64 * 1024;
/// About how many bytes of records an answer holds.
const PAGE_BYTES: usize = 256 * 1024;
/// Clients served at once.
const MAX_CLIENTS: usize = 8;
/// How long a client may take for a whole request and for taking a whole answer, and the agent to find it.
const PATIENCE: Duration = Duration::from_secs(10);

/// A listening control socket; stops with [`Control::stop`].
pub struct Control {
    path: PathBuf,
    stop: Arc<AtomicBool>,
}

impl Control {
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
    questions: Sender<Question>,
    store: Sender<Command>,
    commits: Arc<Mutex<CommitStatus>>,
    source: Arc<SourceStatus>,
    sinks: Vec<(String, Arc<SinkStatus>)>,
    clients: AtomicUsize,
}

/// Listens on the socket of the settings.
///
/// # Errors
/// When the socket cannot be made.
pub fn serve(settings: &Settings, pipeline: &Pipeline) -> Result<Control, Failure> {
    let path = settings.control.socket.clone();
    let cannot = |e: std::io::Error| {
        Failure::new(
            exit::CANNOT_CREATE,
            format!("control.socket {}: {e}; the directory must exist and be ours", path.display()),
        )
    };
    let listener = bind_socket(&path).map_err(cannot)?;
    let desk = Arc::new(Desk {
        started_ms: wall_clock_ms(),
        questions: pipeline.questions.clone(),
        store: pipeline.store.clone(),
        commits: Arc::clone(&pipeline.commits),
        source: Arc::clone(&pipeline.source),
        sinks: pipeline.sinks.clone(),
        clients: AtomicUsize::new(0),
    });
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    std::thread::Builder::new()
        .name("control".into())
        .spawn(move || accept(&listener, &desk, &stopped))
        .map_err(cannot)?;
    Ok(Control { path, stop })
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
    let busy = Response::Refused { why: format!("{MAX_CLIENTS} clients are being served; try again") };
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
        if let Ok(peer) = rustix::net::sockopt::socket_peercred(stream) {
            debug!("control client: uid {}, pid {}", peer.uid.as_raw(), peer.pid.as_raw_nonzero());
        }
        let mut conversation = Conversation::new(stream, MAX_REQUEST_BYTES, PATIENCE);
        loop {
            let response = match conversation.hear()? {
                Heard::End => return Ok(()),
                Heard::TooLong => {
                    let why = format!("a request is one line of at most {MAX_REQUEST_BYTES} bytes");
                    return conversation.say(&line(&Response::Refused { why })?);
                }
                Heard::Request(request) => match serde_json::from_slice(&request) {
                    Ok(request) => self.respond(request).unwrap_or_else(|why| Response::Refused { why }),
                    Err(e) => Response::Refused { why: format!("not a request: {e}") },
                },
            };
            conversation.say(&line(&response)?)?;
        }
    }

    fn respond(&self, request: Request) -> Result<Response, String> {
        match request {
            Request::Scan { from, prefix } => {
                let hex = |text: &str| from_hex(text).ok_or("keys are hexadecimal");
                let (reply, answer) = bounded(1);
                let scan = Scan { from: hex(&from)?, prefix: hex(&prefix)?, max_bytes: PAGE_BYTES, reply };
                self.store.send_timeout(Command::Scan(scan), PATIENCE).map_err(|_| "the store is busy; try again")?;
                let page = answer.recv_timeout(PATIENCE).map_err(|_| "the store is busy; try again")?;
                let page = page.map_err(|e| e.to_string())?;
                let pairs = page.pairs.iter().map(|(k, v)| (to_hex(k), to_hex(v))).collect();
                Ok(Response::Records { epoch: page.epoch, pairs })
            }
            Request::Live => self.live().map(|live| Response::Live(Box::new(live))),
        }
    }

    fn live(&self) -> Result<Live, String> {
        let (reply, answer) = bounded(1);
        let ask: Question = Box::new(move |detector, outbox, queued_batches| {
            let entities = &detector.state.entities;
            let _ = reply.send((
                outbox.queued(),
                detector.state.pending(),
                [EntityKind::User, EntityKind::Host, EntityKind::Group].map(|k| entities.count(k)),
                detector.state.guards.len(),
                queued_batches,
                detector.state.memory(),
            ));
        });
        self.questions.send_timeout(ask, PATIENCE).map_err(|_| "detection is busy; try again")?;
        let facts = answer.recv_timeout(PATIENCE).map_err(|_| "detection is busy; try again")?;
        let (queued_alerts, uncommitted, [users, hosts, groups], guards, queued_batches, memory) = facts;
        Ok(Live {
            pid: std::process::id(),
            version: env!("CARGO_PKG_VERSION").into(),
            started_ms: self.started_ms,
            now_ms: wall_clock_ms(),
            source: self.source.snapshot(),
            sinks: self.sinks.iter().map(|(name, status)| (name.clone(), status.snapshot())).collect(),
            commits: self.commits.lock().map(|c| c.clone()).unwrap_or_default(),
            queued_alerts,
            uncommitted,
            users,
            hosts,
            groups,
            guards,
            queued_batches,
            memory,
        })
    }
}

fn line(response: &Response) -> std::io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(response)?;
    line.push(b'\n');
    Ok(line)
}
