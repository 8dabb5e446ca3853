//! Twenty minutes of everything at once, in `make torture`: mixed traffic, rotation, reload signals. Memory, descriptors and
//! disk must be flat.

use crate::effort;
use crate::site::{Site, office};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

/// What a process and its state take at one moment.
#[derive(Clone, Copy, Debug)]
struct Sample {
    rss_kib: u64,
    descriptors: u64,
    disk: u64,
}

fn sample(pid: u32, state: &Path) -> Sample {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let rss = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).unwrap();
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count() as u64;
    Sample { rss_kib: rss.trim().trim_end_matches(" kB").parse().unwrap(), descriptors, disk: bytes_under(state) }
}

fn bytes_under(dir: &Path) -> u64 {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries.map(|e| if e.path().is_dir() { bytes_under(&e.path()) } else { e.metadata().map_or(0, |m| m.len()) }).sum()
}

#[test]
fn twenty_minutes_of_everything_leave_memory_descriptors_and_disk_flat() {
    if !effort::is_torture() {
        return;
    }
    let length = Duration::from_secs(std::env::var("EXFIL_AGENT_SOAK_SECS").map_or(1200, |s| s.parse().unwrap()));
    let site = Site::new();
    // Small enough that folding begins within the first third: what waits to be folded bounds the disk.
    site.configure("[limits]\nforget_gone_hours = 1\nmax_alerts_kept = 500\nmax_delta_bytes = 262144\n");
    site.reconfigure("[state]\n", "[state]\nsnapshot_minutes = 1\n");
    fs::create_dir(site.root().join("spool")).unwrap();
    let environment = crate::unit_environment::environment_of_the_unit();
    let daemon = site.start_with(&environment.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect::<Vec<_>>());
    let pid = daemon.child.id();
    // The same five weeks over and over: a state that has seen them once has nothing more to grow by.
    let lines = office(21_000);
    let (started, mut samples, mut rotated) = (Instant::now(), Vec::new(), 0u32);
    let (mut next_rotation, mut next_sample, mut next_reload) = (30, 10, 30);
    'soak: loop {
        for chunk in lines.chunks(250) {
            let mut file = OpenOptions::new().create(true).append(true).open(site.spool("dtex.cef")).unwrap();
            file.write_all((chunk.join("\n") + "\n").as_bytes()).unwrap();
            std::thread::sleep(Duration::from_millis(50));
            let elapsed = started.elapsed().as_secs();
            if elapsed >= next_rotation {
                next_rotation += 30;
                rotated += 1;
                fs::rename(site.spool("dtex.cef"), site.spool(&format!("dtex.cef.{rotated}"))).unwrap();
                if rotated > 3 {
                    fs::remove_file(site.spool(&format!("dtex.cef.{}", rotated - 3))).unwrap();
                }
            }
            if elapsed >= next_reload {
                next_reload += 30;
                let pid = rustix::process::Pid::from_child(&daemon.child);
                rustix::process::kill_process(pid, rustix::process::Signal::HUP).unwrap();
            }
            if elapsed >= next_sample {
                next_sample += 10;
                samples.push(sample(pid, &site.state_dir()));
            }
            if started.elapsed() >= length {
                break 'soak;
            }
        }
    }
    assert_eq!(daemon.terminate(), 0, "{}", site.log());
    // The first third warms up; after that the highest of the last third is compared with the highest of the second.
    let third = samples.len() / 3;
    let highest = |part: &[Sample], of: fn(&Sample) -> u64| part.iter().map(of).max().unwrap();
    for (what, of, slack) in [
        ("resident memory, KiB", (|s| s.rss_kib) as fn(&Sample) -> u64, 5 * 1024),
        ("descriptors", |s| s.descriptors, 4),
        ("state on disk", |s| s.disk, 8 << 20),
    ] {
        let (middle, last) = (highest(&samples[third..2 * third], of), highest(&samples[2 * third..], of));
        println!("{what}: at most {middle} in the second third, {last} in the last");
        assert!(last <= middle + slack, "{what} grew from {middle} to {last}: {samples:?}");
    }
}
