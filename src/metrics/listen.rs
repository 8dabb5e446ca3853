//! Where clients come in: a unix socket, a loopback port. A few are served at once, the others are told so and turned away;
//! none can hold up the agent, nor each other for long.

use super::Desk;
use super::http::{self, BUSY, Connection};
use crate::control::listen::{bind_socket, poke};
use crate::exit::{self, Failure};
use log::{debug, warn};
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Clients served at once, on socket and port together.
const MAX_CLIENTS: usize = 8;
/// How long a client may take for its request, and for taking the answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// From one line in the log about clients that were turned away to the next.
const WARNING_PAUSE: Duration = Duration::from_secs(60);
/// How long the end waits to connect to its own port.
const WAKE_TIME: Duration = Duration::from_secs(1);

/// A listening thread.
pub(super) struct Listening(Place);

enum Place {
    Socket(PathBuf),
    Port(SocketAddr),
}

/// Listens on a unix socket; one that nobody listens on any more is replaced.
///
/// # Errors
/// When the socket cannot be made.
pub(super) fn on_socket(path: &Path, desk: &Arc<Desk>) -> Result<Listening, Failure> {
    let cannot = |e: io::Error| {
        let message = format!("metrics.socket {}: {e}; the directory must exist and be ours", path.display());
        Failure::new(exit::CANNOT_CREATE, message)
    };
    let listener: UnixListener = bind_socket(path).map_err(cannot)?;
    spawn(desk, move || listener.accept().map(|(stream, _)| stream)).map_err(cannot)?;
    Ok(Listening(Place::Socket(path.to_owned())))
}

/// Listens on a port.
///
/// # Errors
/// When it is taken, or the system forbids it.
pub(super) fn on_port(address: SocketAddr, desk: &Arc<Desk>) -> Result<Listening, Failure> {
    let cannot = |e: io::Error| {
        let why = match e.kind() {
            io::ErrorKind::AddrInUse => "another program listens there; stop it or choose another port",
            _ => "if the service's unit forbids the network, install its drop-in metrics-port.conf",
        };
        Failure::new(exit::CANNOT_CREATE, format!("metrics.listen {address}: {e}; {why}"))
    };
    let listener = TcpListener::bind(address).map_err(cannot)?;
    spawn(desk, move || listener.accept().map(|(stream, _)| stream)).map_err(cannot)?;
    Ok(Listening(Place::Port(address)))
}

impl Listening {
    /// Ends the thread, after the desk was told to stop, and takes the socket away.
    pub(super) fn stop(self) {
        // Wakes the thread out of its wait.
        match self.0 {
            Place::Socket(path) => {
                poke(&path);
                let _ = std::fs::remove_file(path);
            }
            Place::Port(address) => {
                let _ = TcpStream::connect_timeout(&address, WAKE_TIME);
            }
        }
    }
}

fn spawn<C: Connection + Send + 'static>(
    desk: &Arc<Desk>,
    accept: impl Fn() -> io::Result<C> + Send + 'static,
) -> io::Result<()> {
    let desk = Arc::clone(desk);
    std::thread::Builder::new().name("metrics".into()).spawn(move || serve(&desk, accept)).map(|_| ())
}

fn serve<C: Connection + Send + 'static>(desk: &Arc<Desk>, accept: impl Fn() -> io::Result<C>) {
    loop {
        let connection = accept();
        if desk.is_stopping() {
            return;
        }
        let Ok(connection) = connection else {
            // Out of descriptors: the next try may find one.
            std::thread::sleep(Duration::from_millis(100));
            continue;
        };
        let Some(place) = Seat::take(desk) else {
            super::lock(&desk.turned_away).one();
            // Without waiting for it.
            if connection.without_waiting().is_ok() {
                let _ = connection.write_for(PATIENCE, BUSY.answer().as_bytes());
                let _ = connection.read_for(PATIENCE, &mut [0; http::MAX_HEAD_BYTES]);
            }
            continue;
        };
        let spawned = std::thread::Builder::new().name("metrics-client".into()).spawn(move || {
            if let Err(e) = http::serve(&connection, PATIENCE, || place.0.page()) {
                debug!("metrics client: {e}");
            }
        });
        if let Err(e) = spawned {
            warn!("cannot serve a client of the metrics: {e}");
        }
    }
}

/// One of the places at the desk; free again when dropped, however the client went.
struct Seat(Arc<Desk>);

impl Seat {
    fn take(desk: &Arc<Desk>) -> Option<Seat> {
        let seat = Seat(Arc::clone(desk));
        (desk.clients.fetch_add(1, Ordering::SeqCst) < MAX_CLIENTS).then_some(seat)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.clients.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Clients that found no place: told in the log, not one by one.
#[derive(Default)]
pub(super) struct TurnedAway {
    clients: u64,
    told: Option<Instant>,
}

impl TurnedAway {
    fn one(&mut self) {
        self.clients += 1;
        if self.told.is_none_or(|at| at.elapsed() >= WARNING_PAUSE) {
            warn!(
                "metrics: {} client(s) turned away, since {MAX_CLIENTS} are being served; who asks so often, or reads so slowly?",
                std::mem::take(&mut self.clients)
            );
            self.told = Some(Instant::now());
        }
    }
}
