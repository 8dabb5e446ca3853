//! File systems of a test's own: a small tmpfs, an ext4 in a file. Unmounted when dropped, also by a panic.

use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// A mounted file system.
pub struct Mount {
    at: PathBuf,
    _dir: Option<TempDir>,
}

impl Mount {
    /// A tmpfs of so many megabytes, in a directory of its own. An error says why the machine has none.
    pub fn tmpfs(megabytes: usize) -> Result<Mount, String> {
        let dir = TempDir::new().map_err(|e| e.to_string())?;
        let size = format!("size={megabytes}m");
        run(Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(dir.path()))?;
        Ok(Mount { at: dir.path().to_owned(), _dir: Some(dir) })
    }

    /// The ext4 in a file, at an existing directory.
    pub fn ext4(image: &Path, at: &Path) -> Result<Mount, String> {
        run(Command::new("mount").args(["-t", "ext4", "-o", "loop,commit=1"]).arg(image).arg(at))?;
        Ok(Mount { at: at.to_owned(), _dir: None })
    }

    pub fn path(&self) -> &Path {
        &self.at
    }

    /// Mounts it anew with these options.
    pub fn remount(&self, options: &str) -> Result<(), String> {
        run(Command::new("mount").args(["-o", &format!("remount,{options}")]).arg(&self.at))
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        for _ in 0..50 {
            if run(Command::new("umount").arg(&self.at)).is_ok() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        // Somebody is still in there: out of sight now, gone when they leave.
        let _ = run(Command::new("umount").arg("-l").arg(&self.at));
    }
}

/// Makes an empty ext4 of so many megabytes in a file.
pub fn make_ext4(image: &Path, megabytes: u64) -> Result<(), String> {
    let file = std::fs::File::create(image).map_err(|e| e.to_string())?;
    file.set_len(megabytes << 20).map_err(|e| e.to_string())?;
    run(Command::new("mkfs.ext4").args(["-q", "-F", "-m", "0"]).arg(image))
}

fn run(command: &mut Command) -> Result<(), String> {
    let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin";
    let out = command.env("PATH", path).output().map_err(|e| format!("{command:?}: {e}"))?;
    if out.status.success() {
        Ok(())
    } else {
        Err(format!("{command:?}: {}", String::from_utf8_lossy(&out.stderr).trim()))
    }
}
