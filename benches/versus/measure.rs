//! Runs one command, pinned, and measures it from outside.
//!
//! GNU time stands between us and the command: it alone sees the resources of just this child, and it is small. (A child
//! that we start ourselves would be credited with our own memory, which it shares until it becomes another program.)

use crate::options::Options;
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

/// A command and how it ends.
pub struct Job {
    pub words: Vec<String>,
    pub cores: usize,
    pub ends: Ends,
}

/// How a command ends.
#[derive(Clone)]
pub enum Ends {
    /// By itself, with this exit code.
    ByItself(i32),
    /// Never: it is stopped once `file` has so many lines. `pid_file` names it.
    AfterLines { file: &'static str, lines: u64, pid_file: &'static str },
}

/// What it took.
#[derive(Clone, Debug)]
pub struct Taken {
    /// Seconds.
    pub wall: f64,
    /// Seconds in user space and in the system.
    pub cpu: f64,
    /// The most memory it ever had, KiB.
    pub rss_kib: u64,
}

pub fn require_tools() {
    for (tool, package) in [("taskset", "util-linux"), ("/usr/bin/time", "time"), ("python3", "python3")] {
        let found = Command::new(tool).arg("--version").output().is_ok();
        assert!(found, "{tool} is missing: apt-get install {package}");
    }
}

/// Runs it in a directory; stdout and stderr go to the files `out` and `err` there.
pub fn run(options: &Options, job: &Job, dir: &Path) -> Taken {
    let file = |name: &str| File::create(dir.join(name)).unwrap();
    let mut command = Command::new("taskset");
    command
        .args(["-c", &options.pin(job.cores), "/usr/bin/time", "-q", "-o", "took", "-f", "%U %S %M"])
        .args(&job.words);
    command.current_dir(dir).env("LC_ALL", "C").stdout(file("out")).stderr(file("err"));
    let since = Instant::now();
    let mut child = command.spawn().unwrap();
    let wall = match &job.ends {
        Ends::ByItself(code) => {
            let status = child.wait().unwrap();
            let wall = since.elapsed();
            assert!(status.code() == Some(*code), "{:?}: {status}; see {}/err", job.words, dir.display());
            wall
        }
        Ends::AfterLines { file, lines, pid_file } => {
            wait_for_lines(&mut child, &dir.join(file), *lines);
            let wall = since.elapsed();
            let pid: i32 = fs::read_to_string(dir.join(pid_file)).unwrap().trim().parse().unwrap();
            kill_process(Pid::from_raw(pid).unwrap(), Signal::TERM).unwrap();
            child.wait().unwrap();
            wall
        }
    };
    let took = fs::read_to_string(dir.join("took")).unwrap();
    let [user, system, rss]: [f64; 3] =
        took.split_whitespace().map(|w| w.parse().unwrap()).collect::<Vec<_>>().try_into().unwrap();
    Taken { wall: wall.as_secs_f64(), cpu: user + system, rss_kib: rss as u64 }
}

fn wait_for_lines(child: &mut Child, file: &Path, lines: u64) {
    let since = Instant::now();
    while line_count(file) < lines {
        std::thread::sleep(Duration::from_millis(5));
        let alive = child.try_wait().unwrap().is_none();
        if !alive || since.elapsed() > Duration::from_secs(600) {
            let _ = child.kill();
            panic!("{} has {} lines instead of {lines}; running: {alive}", file.display(), line_count(file));
        }
    }
}

/// Whole lines of a file; 0 when there is none.
pub fn line_count(file: &Path) -> u64 {
    memchr::memchr_iter(b'\n', &fs::read(file).unwrap_or_default()).count() as u64
}
