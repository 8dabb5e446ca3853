//! The figures as a file, for the textfile collector of node_exporter: written beside it and renamed, so that a reader finds a
//! whole page, the old one or the new one. Never synced: after a power cut the next one is seconds away.

use super::Desk;
use crate::exit::{self, Failure};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use log::{info, warn};
use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Everybody may read it: node_exporter is another user.
const MODE: u32 = 0o644;

/// The thread that writes.
pub(super) struct Writing {
    path: PathBuf,
    wake: Sender<()>,
    thread: std::thread::JoinHandle<()>,
}

/// Writes the file now and again and again.
///
/// # Errors
/// When it cannot be written now.
pub(super) fn write_every(path: &Path, every: Duration, desk: &Arc<Desk>) -> Result<Writing, Failure> {
    let cannot = |e: io::Error| {
        let message = format!(
            "metrics.textfile {}: {e}; the directory must exist, and the agent and its unit (ReadWritePaths=) be allowed to write there",
            path.display()
        );
        Failure::new(exit::CANNOT_CREATE, message)
    };
    // An empty page, before there are figures: whether it works is known at the start.
    write(path, "").map_err(cannot)?;
    let (wake, woken) = bounded(1);
    let (desk, to) = (Arc::clone(desk), path.to_owned());
    let thread = std::thread::Builder::new().name("metrics-file".into()).spawn(move || keep(&to, every, &desk, &woken));
    Ok(Writing { path: path.to_owned(), wake, thread: thread.map_err(cannot)? })
}

impl Writing {
    /// There is something new.
    pub(super) fn write_now(&self) {
        let _ = self.wake.try_send(());
    }

    /// Ends the thread and takes the file away.
    pub(super) fn stop(self) {
        drop(self.wake);
        if self.thread.join().is_err() {
            warn!("the thread that writes metrics ended abnormally");
        }
        let _ = std::fs::remove_file(&self.path);
    }
}

fn keep(path: &Path, every: Duration, desk: &Desk, woken: &Receiver<()>) {
    let mut failing: Option<String> = None;
    while !matches!(woken.recv_timeout(every), Err(RecvTimeoutError::Disconnected)) {
        match write(path, &desk.page()) {
            Ok(()) => {
                if failing.take().is_some() {
                    info!("metrics.textfile {} is written again", path.display());
                }
            }
            Err(e) => {
                let why = e.to_string();
                if failing.as_ref() != Some(&why) {
                    warn!("metrics.textfile {}: {why}; tried again every {} s", path.display(), every.as_secs());
                }
                failing = Some(why);
            }
        }
    }
}

fn write(path: &Path, page: &str) -> io::Result<()> {
    // node_exporter reads *.prom only, so not this one.
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let beside = PathBuf::from(name);
    let written = write_new(&beside, page).and_then(|()| std::fs::rename(&beside, path));
    if written.is_err() {
        let _ = std::fs::remove_file(&beside);
    }
    written
}

fn write_new(path: &Path, page: &str) -> io::Result<()> {
    // What an agent that was killed has left; a link is removed, not followed.
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let mut file: File = OpenOptions::new().write(true).create_new(true).mode(MODE).open(path)?;
    // The umask may have taken the others' part.
    file.set_permissions(Permissions::from_mode(MODE))?;
    file.write_all(page.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_replaced_whole_and_a_link_in_its_way_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let (path, precious) = (dir.path().join("a.prom"), dir.path().join("precious"));
        std::fs::write(&precious, "precious").unwrap();
        std::os::unix::fs::symlink(&precious, dir.path().join("a.prom.new")).unwrap();
        std::os::unix::fs::symlink(&precious, &path).unwrap();
        for page in ["a 1\n", "b 2\n"] {
            write(&path, page).unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), page);
            let about = std::fs::symlink_metadata(&path).unwrap();
            assert!(about.is_file() && about.permissions().mode() & 0o777 == MODE, "{about:?}");
        }
        assert_eq!(std::fs::read_to_string(&precious).unwrap(), "precious");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2, "nothing is left beside it");
        assert!(write(&dir.path().join("missing/a.prom"), "").is_err());
    }
}
