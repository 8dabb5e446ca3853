//! One process at a time: the lock file of a state directory. The system drops the lock when a process ends, however it ends.
//!
//! The writer holds it exclusively for life; who copies a stopped store holds it shared for the time of the copy.
//! What this file never does: decide by the pid in the file; it is only for the message.

use super::error::StoreError;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

/// How long a writer waits for readers that copy the store: 100 × 100 ms.
const COPY_TRIES: u32 = 100;
const COPY_PAUSE: Duration = Duration::from_millis(100);

/// A held lock; dropping it lets go.
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    /// Locks the directory for a writer and writes the pid into the lock file.
    pub(super) fn exclusive(dir: &Path) -> Result<Lock, StoreError> {
        let path = dir.join("lock");
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(StoreError::create(&path))?;
        let mut tries = 0;
        while !try_lock(&path, &file, FlockOperation::NonBlockingLockExclusive)? {
            let only_readers = try_lock(&path, &file, FlockOperation::NonBlockingLockShared)?;
            if !only_readers || tries == COPY_TRIES {
                return Err(in_use(dir, &path));
            }
            flock(&file, FlockOperation::Unlock).map_err(|e| StoreError::io(&path, "unlocking")(e.into()))?;
            tries += 1;
            std::thread::sleep(COPY_PAUSE);
        }
        file.set_len(0)
            .and_then(|()| writeln!(file, "{}", std::process::id()))
            .map_err(StoreError::io(&path, "writing"))?;
        Ok(Lock { _file: file })
    }

    /// Locks the directory against writers, writing nothing. `None` when no writer has ever made a lock file.
    pub(super) fn shared(dir: &Path) -> Result<Option<Lock>, StoreError> {
        let path = dir.join("lock");
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(StoreError::io(&path, "opening")(e)),
        };
        if try_lock(&path, &file, FlockOperation::NonBlockingLockShared)? {
            Ok(Some(Lock { _file: file }))
        } else {
            Err(in_use(dir, &path))
        }
    }
}

fn try_lock(path: &Path, file: &File, operation: FlockOperation) -> Result<bool, StoreError> {
    match flock(file, operation) {
        Ok(()) => Ok(true),
        Err(Errno::WOULDBLOCK) => Ok(false),
        Err(e) => Err(StoreError::io(path, "locking")(e.into())),
    }
}

fn in_use(dir: &Path, path: &Path) -> StoreError {
    let pid = std::fs::read_to_string(path).ok().and_then(|text| text.trim().parse().ok());
    StoreError::InUse { path: dir.to_owned(), pid }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_writer_excludes_writers_and_readers_and_names_itself() {
        let dir = tempfile::tempdir().unwrap();
        assert!(Lock::shared(dir.path()).unwrap().is_none());
        let lock = Lock::exclusive(dir.path()).unwrap();
        let me = Some(std::process::id());
        assert!(matches!(Lock::exclusive(dir.path()), Err(StoreError::InUse { pid, .. }) if pid == me));
        assert!(matches!(Lock::shared(dir.path()), Err(StoreError::InUse { pid, .. }) if pid == me));
        drop(lock);
        assert!(Lock::exclusive(dir.path()).is_ok());
    }

    #[test]
    fn readers_share_and_a_writer_waits_for_them() {
        let dir = tempfile::tempdir().unwrap();
        drop(Lock::exclusive(dir.path()).unwrap());
        let first = Lock::shared(dir.path()).unwrap();
        let second = Lock::shared(dir.path()).unwrap();
        assert!(first.is_some() && second.is_some());
        std::thread::scope(|s| {
            let writer = s.spawn(|| Lock::exclusive(dir.path()));
            drop((first, second));
            assert!(writer.join().unwrap().is_ok());
        });
    }
}
