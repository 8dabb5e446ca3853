//! Figures for Prometheus: on a unix socket, on a loopback port, in a file for node_exporter.
//!
//! One table says what there is ([`METRICS`]). A page is made at most once a second, whoever asks how often, from counters that
//! the agent keeps anyway and one question to the detect thread; nothing here walks through users, hosts or records, and
//! nothing in the pipeline waits for a client. Names of users, hosts and files are never in it.

mod exposition;
mod figures;
mod http;
mod listen;
mod table;
mod textfile;

pub use exposition::Kind;
pub use figures::Figures;
pub use table::{METRICS, Metric};

use crate::calendar::wall_clock_ms;
use crate::config::MetricsSettings;
use crate::content::Content;
use crate::exit::Failure;
use crate::pipeline::Pipeline;
use figures::Sources;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a page is good: who asks more often gets it again.
const PAGE_LIFE: Duration = Duration::from_secs(1);

/// The metrics of a running agent; they end with [`Metrics::stop`].
pub struct Metrics {
    desk: Arc<Desk>,
    listening: Vec<listen::Listening>,
    writing: Option<textfile::Writing>,
}

/// What the threads of this module share.
struct Desk {
    stop: AtomicBool,
    /// Clients that are served.
    clients: AtomicUsize,
    turned_away: Mutex<listen::TurnedAway>,
    /// `None` while something is being changed: the figures stay as they were.
    sources: Mutex<Option<Sources>>,
    page: Mutex<Page>,
}

/// What was told last.
struct Page {
    figures: Figures,
    text: Arc<str>,
    at: Option<Instant>,
}

impl Metrics {
    /// Opens what the settings name, and nothing where there are none. There are figures from [`Metrics::attach`] on.
    ///
    /// # Errors
    /// What cannot be opened.
    pub fn open(settings: Option<&MetricsSettings>) -> Result<Metrics, Failure> {
        let page = Page { figures: Figures::starting_at(wall_clock_ms()), text: "".into(), at: None };
        let desk = Arc::new(Desk {
            stop: AtomicBool::new(false),
            clients: AtomicUsize::new(0),
            turned_away: Mutex::default(),
            sources: Mutex::new(None),
            page: Mutex::new(page),
        });
        let mut metrics = Metrics { desk, listening: Vec::new(), writing: None };
        match settings.map_or(Ok(()), |settings| metrics.begin(settings)) {
            Ok(()) => Ok(metrics),
            Err(e) => {
                metrics.stop();
                Err(e)
            }
        }
    }

    fn begin(&mut self, settings: &MetricsSettings) -> Result<(), Failure> {
        if let Some(path) = &settings.socket {
            self.listening.push(listen::on_socket(path, &self.desk)?);
        }
        if let Some(address) = settings.listen {
            self.listening.push(listen::on_port(address, &self.desk)?);
        }
        if let Some(path) = &settings.textfile {
            let every = Duration::from_secs(settings.textfile_secs);
            self.writing = Some(textfile::write_every(path, every, &self.desk)?);
        }
        Ok(())
    }

    /// From now on the figures are this pipeline's.
    pub fn attach(&self, pipeline: &Pipeline, content: &Arc<Content>) {
        *lock(&self.desk.sources) = Some(Sources::of(pipeline, content));
        if let Some(writing) = &self.writing {
            writing.write_now();
        }
    }

    /// The pipeline is about to end.
    pub fn detach(&self) {
        *lock(&self.desk.sources) = None;
    }

    /// Takes sockets and file away: figures of an agent that does not run would be taken for those of one that does nothing.
    pub fn stop(self) {
        self.desk.stop.store(true, std::sync::atomic::Ordering::SeqCst);
        self.listening.into_iter().for_each(listen::Listening::stop);
        if let Some(writing) = self.writing {
            writing.stop();
        }
    }
}

impl Desk {
    /// The page, at most a second old as long as detection answers.
    fn page(&self) -> Arc<str> {
        let sources = lock(&self.sources).clone();
        // Whoever comes meanwhile waits for the same page.
        let mut page = lock(&self.page);
        if page.at.is_none_or(|at| at.elapsed() >= PAGE_LIFE) {
            if let Some(sources) = sources {
                sources.look(&mut page.figures);
            }
            page.text = table::page(&page.figures).into();
            page.at = Some(Instant::now());
        }
        Arc::clone(&page.text)
    }

    fn is_stopping(&self) -> bool {
        self.stop.load(std::sync::atomic::Ordering::SeqCst)
    }
}

/// A panic elsewhere must not hide the figures.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
