//! Power loss: what had reached the disk at a random moment is all that is left.
//!
//! The daemon works on an ext4 in a file. At a random moment it is stopped, the file is copied, and the daemon is killed: the
//! copy holds what the kernel had written out, and nothing of what was only in memory. It is mounted, which replays its
//! journal, and the daemon goes on with it. The copy is no atomic picture of a disk with a cache of its own: strong evidence,
//! not proof. What was seen to be committed or acknowledged before must be there.

use crate::effort::{self, Draw};
use crate::faults::expected::{Expected, detections, status};
use crate::mounts::{Mount, make_ext4};
use crate::site::{Site, office, wait};
use crate::skip::skip;
use crate::support::positions;
use exfil_agent::store;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const NAME: &str = "power_loss::what_was_acknowledged_is_there_after_the_power_went";

/// What the daemon was seen to have done before the power went.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    /// The last commit.
    epoch: u64,
    /// Alerts that the file sink has acknowledged.
    delivered: u64,
}

#[test]
fn what_was_acknowledged_is_there_after_the_power_went() {
    let dir = tempfile::tempdir().unwrap();
    let image = dir.path().join("image");
    if let Err(why) = make_ext4(&image, 8).and_then(|()| Mount::ext4(&image, dir.path()).map(drop)) {
        return skip("what_was_acknowledged_is_there_after_the_power_went", &why);
    }
    let lines = office(14_000);
    let (mut trials, mut whole, mut said, mut commits) = (0, 0, Vec::new(), 0);
    effort::for_seeds(NAME, 5, 50, |seed| {
        let (seen, outcome) = lose_power(seed, &lines);
        trials += 1;
        commits += seen.epoch;
        match outcome {
            Ok(()) => whole += 1,
            Err(damage) => said.push(format!("seed {seed}: {damage}")),
        }
    });
    eprintln!(
        "power loss: {trials} trials, {commits} commits, {whole} whole, {} damaged and said so: {said:#?}",
        said.len()
    );
    assert!(said.is_empty(), "our sync must have made the state whole: {said:#?}");
}

/// One trial. `Err` is damage that was noticed and said.
fn lose_power(seed: u64, lines: &[String]) -> (Seen, Result<(), String>) {
    let mut draw = Draw::new(seed);
    let dir = tempfile::tempdir().unwrap();
    let (image, copy, at) = (dir.path().join("image"), dir.path().join("copy"), dir.path().join("disk"));
    fs::create_dir(&at).unwrap();
    make_ext4(&image, 48).unwrap();
    let mount = Mount::ext4(&image, &at).unwrap();
    let site = Site::new();
    let place = |name: &str, there: bool| -> PathBuf {
        let old = site.root().join(name);
        if !there {
            return old;
        }
        site.reconfigure(old.to_str().unwrap(), at.join(name).to_str().unwrap());
        at.join(name)
    };
    let (state, alerts) = (place("state", true), place("alerts.jsonl", seed.is_multiple_of(2)));
    let spool_there = seed.is_multiple_of(3);
    let spool = place("spool", spool_there);
    fs::create_dir(&spool).unwrap();

    let daemon = site.start();
    let ends = Instant::now() + Duration::from_millis(600 + draw.below(1600) as u64);
    let (stop, seen) = (AtomicBool::new(false), Mutex::new(Seen::default()));
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| write_slowly(&spool.join("a.cef"), lines, spool_there, &stop));
        while Instant::now() < ends || seen.lock().unwrap().delivered == 0 {
            if let Some(status) = status(&site) {
                let epoch = status["last_commit"]["epoch"].as_u64().unwrap();
                let delivered = status["sinks"][0]["delivered"].as_u64().unwrap_or(0);
                *seen.lock().unwrap() = Seen { epoch, delivered };
            }
        }
        freeze(&daemon.child);
        // A picture of blocks that are written meanwhile is one that no disk ever held.
        stop.store(true, Ordering::SeqCst);
        writer.join().unwrap();
        copy_sparse(&image, &copy);
    });
    daemon.kill();
    drop(mount);
    let seen = seen.into_inner().unwrap();
    let about = format!("seed {seed}, {seen:?}, {}", site.root().display());

    let _mount = Mount::ext4(&copy, &at).unwrap();
    let epoch = match store::read_stopped(&state) {
        Ok(store) => store.stats().epoch,
        Err(e) => return (seen, Err(e.to_string())),
    };
    assert!(epoch >= seen.epoch, "commit {epoch} is the last one there; {about}");
    let text = lines.join("\n") + "\n";
    let judged: u64 = positions(&state).iter().map(|p| p.offset).sum();
    let prefix = Expected::of_text(text[..judged as usize].to_owned());
    prefix.assert_state(&state, &format!("exactly the records before the positions; {about}"));
    let there = detections(&alerts);
    assert!(
        there.len() as u64 >= seen.delivered,
        "{} of the acknowledged alerts are in the file; {about}",
        there.len()
    );
    assert_eq!(
        there[..],
        prefix.ids[..there.len().min(prefix.ids.len())],
        "alerts in the file are those of the state; {about}"
    );

    // The writer sends again what its own disk has lost.
    let spooled = fs::read_to_string(spool.join("a.cef")).unwrap_or_default();
    if !spool_there {
        assert!(spooled.len() as u64 >= judged);
    }
    (seen, go_on(&site, &spool.join("a.cef"), &state, &alerts, &about))
}

/// The daemon goes on after the power is back, and comes to what one uninterrupted run would have given.
fn go_on(site: &Site, spool: &Path, state: &Path, alerts: &Path, about: &str) -> Result<(), String> {
    let text = fs::read_to_string(spool).unwrap();
    let whole = &text[..text.rfind('\n').unwrap() + 1];
    let expected = Expected::of_text(whole.to_owned());
    let daemon = site.start();
    wait(&format!("the rest to be judged; {about}; {}", site.log()), || {
        detections(alerts).len() >= expected.ids.len()
            && status(site).is_some_and(|s| s["bytes"] == whole.len() && s["sinks"][0]["queued"] == 0)
    });
    assert_eq!(daemon.terminate(), 0, "{about}; {}", site.log());
    expected.assert_state(state, about);
    // A tail of the alert file that was lost with its mark is delivered again; nothing may be missing.
    let mut ids = detections(alerts);
    ids.sort();
    ids.dedup();
    let mut wanted = expected.ids.clone();
    wanted.sort();
    assert_eq!(ids, wanted, "every alert, {about}");
    Ok(())
}

/// Appends lines in pieces that end anywhere, as a collector does; `sync` makes each piece durable.
fn write_slowly(path: &Path, lines: &[String], sync: bool, stop: &AtomicBool) {
    let text = lines.join("\n") + "\n";
    let mut file = OpenOptions::new().create(true).append(true).open(path).unwrap();
    for piece in text.as_bytes().chunks(6007) {
        if stop.load(Ordering::SeqCst) {
            return;
        }
        file.write_all(piece).unwrap();
        if sync {
            file.sync_data().unwrap();
        }
        std::thread::sleep(Duration::from_millis(3));
    }
}

/// Stops a process where it stands, and waits until it does.
fn freeze(child: &std::process::Child) {
    let pid = rustix::process::Pid::from_child(child);
    rustix::process::kill_process(pid, rustix::process::Signal::STOP).unwrap();
    wait("the daemon to stand still", || {
        let stat = fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap();
        stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('T'))
    });
}

/// Copies a file, leaving holes where it holds zeros.
fn copy_sparse(from: &Path, to: &Path) {
    let (source, target) = (File::open(from).unwrap(), File::create(to).unwrap());
    let length = source.metadata().unwrap().len();
    target.set_len(length).unwrap();
    let mut block = vec![0; 64 << 10];
    for at in (0..length).step_by(block.len()) {
        let n = source.read_at(&mut block, at).unwrap();
        if block[..n].iter().any(|b| *b != 0) {
            target.write_all_at(&block[..n], at).unwrap();
        }
    }
}
