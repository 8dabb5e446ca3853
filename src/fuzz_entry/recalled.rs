//! Target `recall`: of an alert file only whole lines of our own count, each gives the id that was written, and everything
//! that was delivered is found again.
//!
//! Mounted in `sink`.

#![allow(clippy::panic, clippy::indexing_slicing)] // a property that does not hold is a panic

use super::FileMark;
use super::recall::{self as reading_back, id_number};
use super::render;
use crate::alert::{AgentIdentity, Alert};
use crate::config::AlertFormat;
use crate::fuzz_entry::split_steering;
use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// The target. Steering: where the mark stands, the format, where our own lines are put and cut.
pub fn recall(data: &[u8]) {
    let (steering, rest) = split_steering(data, 4);
    let byte = |i: usize| usize::from(steering.get(i).copied().unwrap_or(0));
    let scene = Scene::new();
    // Somebody's file.
    let found = scene.recall(rest, rest.len() * byte(0) / 256);
    assert!(found.iter().all(|id| stands_in(rest, *id)), "an id that is not in the file");

    // Our own lines behind it: hostile text in every field, the last line cut.
    let format = AlertFormat::ALL[byte(1) % AlertFormat::ALL.len()];
    let agent = AgentIdentity::replay();
    let text = String::from_utf8_lossy(rest).into_owned();
    let subject: String = text.chars().take(byte(2) + 1).collect();
    let one = Alert::operational(&subject, &text, text.clone(), 1_600_000_000_000);
    let two = Alert::operational(&subject, &subject, subject.clone(), 1_700_000_000_000);
    let (first, second) = (render(format, &one, &agent), render(format, &two, &agent));
    assert!(!first.contains('\n') && !second.contains('\n'), "an alert is one line");
    let mark = rest.len() + 1;
    let mut file = [rest, b"\n", first.as_bytes(), b"\n"].concat();
    let whole = file.len();
    file.extend_from_slice(second.as_bytes());
    file.push(b'\n');
    let kept = whole + (file.len() - whole) * byte(3) / 255;
    file.truncate(kept);
    // The end of the file is read although it lies before the mark.
    let mut wanted = scene.recall(&[rest, b"\n"].concat(), 0);
    wanted.insert(number(&one));
    if kept == whole + second.len() + 1 {
        wanted.insert(number(&two));
    }
    assert_eq!(scene.recall(&file, mark), wanted, "exactly the whole lines");
}

fn number(alert: &Alert) -> u128 {
    match id_number(alert.id.as_bytes()) {
        Some(id) => id,
        None => panic!("{} is no id", alert.id),
    }
}

fn stands_in(bytes: &[u8], id: u128) -> bool {
    let lower = bytes.to_ascii_lowercase();
    memchr::memmem::find(&lower, format!("{id:032x}").as_bytes()).is_some()
}

/// An alert file in a directory of its own.
struct Scene {
    path: PathBuf,
}

impl Scene {
    fn new() -> Scene {
        let dir = std::env::temp_dir().join(format!("exfil-agent-fuzz-{}", std::process::id()));
        if let Err(e) = std::fs::create_dir_all(&dir) {
            panic!("{}: {e}", dir.display());
        }
        Scene { path: dir.join("alerts") }
    }

    /// The ids that are found behind `length` bytes.
    fn recall(&self, bytes: &[u8], length: usize) -> BTreeSet<u128> {
        let about = std::fs::write(&self.path, bytes).and_then(|()| std::fs::metadata(&self.path));
        let about = match about {
            Ok(about) => about,
            Err(e) => panic!("{}: {e}", self.path.display()),
        };
        let mark = FileMark { device: about.dev(), inode: about.ino(), length: length as u64 };
        let found = reading_back::recall(&self.path, mark);
        for mark in found.delivered.values() {
            assert!(mark.length <= bytes.len() as u64);
            assert_eq!(bytes.get((mark.length as usize).wrapping_sub(1)), Some(&b'\n'), "a mark stands behind a line");
        }
        found.delivered.into_keys().collect()
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
        let _ = self.path.parent().map(std::fs::remove_dir);
    }
}
