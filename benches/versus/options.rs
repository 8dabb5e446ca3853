//! What a run does: `make bench BENCH="--rounds 2 --rows peers,mixed"`.

use clap::{Parser, ValueEnum};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// The product beside the yardstick, interleaved in one run
#[derive(Parser)]
pub struct Options {
    /// Rounds; medians are taken over them
    #[arg(long, default_value_t = 5)]
    pub rounds: usize,
    /// Events of the yardstick's data, a multiple of 1000; the other data follows
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(10_000..))]
    pub events: u64,
    /// What is measured (default: all, and the tables are written into docs/performance.md)
    #[arg(long, value_enum, value_delimiter = ',')]
    rows: Vec<Row>,
    /// Where the yardstick lies (floor/, gen.py, mkrules.py); what needs it is left out without it
    #[arg(long, default_value = "../shared/bench")]
    pub yardstick: PathBuf,
    /// Public Sigma rules; the rows of many rules are left out without them
    #[arg(long, default_value = "../shared/data/sigma/rules")]
    pub sigma: PathBuf,
    /// Data and builds; kept from run to run
    #[arg(long, default_value = "target/bench")]
    work: PathBuf,
    /// Directory with the release binaries of another build of the product
    #[arg(long)]
    pub product: Option<PathBuf>,
    /// Cores to pin to; the first alone for the rows of one core
    #[arg(long, value_delimiter = ',', num_args = 1, default_values_t = [0, 1])]
    pub cores: Vec<usize>,
    /// Seconds for which the idle agent is watched
    #[arg(long, default_value_t = 30)]
    pub idle_secs: u64,
    /// Also with 1,000,000 users: some minutes and gigabytes more
    #[arg(long)]
    pub full: bool,
    /// Try to install the peers that are missing (cargo install, apt-get)
    #[arg(long)]
    pub install: bool,
    /// A remark for the document, such as "other work ran on this machine"
    #[arg(long)]
    pub remark: Option<String>,
    /// Passed by cargo
    #[arg(long, hide = true)]
    bench: bool,
}

/// A part of the benchmark.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Row {
    /// Floor, grep, SEC, rsyslog, rsigma on the yardstick's data
    Peers,
    /// The product on the yardstick's data
    Product,
    /// The product on mixed traffic
    Mixed,
    /// 200 and 1,400 rules instead of 20
    Rules,
    /// Input that is meant to hurt
    Hostile,
    /// From an appended line to its alert
    Latency,
    /// RSS, idle and with users
    Memory,
    /// Start after kill -9
    Start,
    /// CPU and disk writes of an idle agent
    Idle,
    /// Disk after churn
    Disk,
    /// Binaries
    Size,
    /// Memory bandwidth, line split, fdatasync
    Limits,
    /// Time, memory, disk and start with many users and long histories
    Growth,
}

impl Options {
    pub fn has(&self, row: Row) -> bool {
        self.rows.is_empty() || self.rows.contains(&row)
    }

    pub fn is_everything(&self) -> bool {
        self.rows.is_empty()
    }

    /// The directory of data, builds and runs, as an absolute path: contenders run in directories of their own.
    pub fn work(&self) -> PathBuf {
        std::path::absolute(&self.work).unwrap()
    }

    /// For `taskset -c`: so many cores.
    pub fn pin(&self, cores: usize) -> String {
        self.cores[..cores].iter().map(usize::to_string).collect::<Vec<_>>().join(",")
    }

    pub fn has_two_cores(&self) -> bool {
        self.cores.len() > 1 && std::thread::available_parallelism().is_ok_and(|n| n.get() > 1)
    }

    /// A temporary directory on a tmpfs where there is one, and what to call the place.
    pub fn quick_dir(&self) -> (TempDir, &'static str) {
        match tempfile::tempdir_in("/dev/shm") {
            Ok(dir) => (dir, "tmpfs"),
            Err(_) => (tempfile::tempdir_in(self.work()).unwrap(), "disk, for want of a tmpfs"),
        }
    }

    /// A fresh directory for one measurement.
    pub fn fresh_dir(&self, name: &str) -> PathBuf {
        emptied(&self.work().join("run").join(name))
    }
}

/// Removes and makes a directory.
pub fn emptied(dir: &Path) -> PathBuf {
    let _ = std::fs::remove_dir_all(dir);
    std::fs::create_dir_all(dir).unwrap();
    dir.to_owned()
}
