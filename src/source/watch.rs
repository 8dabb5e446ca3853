//! Hints from the kernel that something changed in a spool. The only module that names notify.
//!
//! Nothing depends on a hint: it only makes the next look come sooner. The kernel's thread never waits for us; what does
//! not fit into the queue becomes "list everything again".

use super::fingerprint::Inode;
use crossbeam_channel::{Receiver, Sender, TrySendError};
use notify::event::{AccessKind, AccessMode, EventKind, ModifyKind};
use notify::{Config, ErrorKind, RecommendedWatcher, RecursiveMode, Watcher};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What the kernel said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Hint {
    /// Bytes of this file changed.
    Data(PathBuf),
    /// Names changed: list the directories.
    Names,
}

pub(super) struct Watch {
    watcher: Option<RecommendedWatcher>,
    hints: Receiver<Hint>,
    overflowed: Arc<AtomicBool>,
    /// Per directory: the inode that is being watched.
    watched: Vec<Option<Inode>>,
}

const QUEUE: usize = 1024;

impl Watch {
    /// Watches nothing yet. The text says why there will be no hints.
    pub(super) fn new(directories: usize) -> (Watch, Option<String>) {
        let (send, hints) = crossbeam_channel::bounded(QUEUE);
        let overflowed = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&overflowed);
        let made = RecommendedWatcher::new(move |event| on_event(event, &send, &flag), Config::default());
        let (watcher, trouble) = match made {
            Ok(watcher) => (Some(watcher), None),
            Err(e) => (None, Some(explain(&e))),
        };
        (Watch { watcher, hints, overflowed, watched: vec![None; directories] }, trouble)
    }

    pub(super) fn hints(&self) -> &Receiver<Hint> {
        &self.hints
    }

    /// Whether hints were lost since the last call.
    pub(super) fn take_overflow(&self) -> bool {
        self.overflowed.swap(false, Ordering::Relaxed)
    }

    /// Whether this directory is the one that is being watched.
    pub(super) fn covers(&self, index: usize, dir: Inode) -> bool {
        self.watcher.is_none() || self.watched.get(index).copied().flatten() == Some(dir)
    }

    /// Watches a directory that is new or was replaced. The text says why that cannot be.
    pub(super) fn follow(&mut self, index: usize, path: &Path, dir: Inode) -> Result<(), String> {
        let Some(watcher) = &mut self.watcher else { return Ok(()) };
        let Some(slot) = self.watched.get_mut(index) else { return Ok(()) };
        if slot.take().is_some() {
            let _ = watcher.unwatch(path);
        }
        watcher.watch(path, RecursiveMode::NonRecursive).map_err(|e| explain(&e))?;
        *slot = Some(dir);
        Ok(())
    }
}

fn explain(e: &notify::Error) -> String {
    match e.kind {
        ErrorKind::MaxFilesWatch => {
            "the limit of inotify watches is reached; raise fs.inotify.max_user_watches".to_owned()
        }
        _ => format!("inotify is not available: {e}"),
    }
}

fn on_event(event: notify::Result<notify::Event>, hints: &Sender<Hint>, overflowed: &AtomicBool) {
    let send = |hint| {
        if let Err(TrySendError::Full(_)) = hints.try_send(hint) {
            overflowed.store(true, Ordering::Relaxed);
        }
    };
    let lost = || {
        overflowed.store(true, Ordering::Relaxed);
        send(Hint::Names);
    };
    // An overflow comes as an event without a path: look at it before the paths.
    match event {
        Err(_) => lost(),
        Ok(event) if event.need_rescan() => lost(),
        Ok(event) => match event.kind {
            // Our own opens come back as events: they mean nothing.
            EventKind::Access(kind) if kind != AccessKind::Close(AccessMode::Write) => {}
            EventKind::Access(_)
            | EventKind::Modify(ModifyKind::Data(_) | ModifyKind::Any | ModifyKind::Metadata(_)) => {
                event.paths.into_iter().for_each(|path| send(Hint::Data(path)));
            }
            _ => send(Hint::Names),
        },
    }
}
