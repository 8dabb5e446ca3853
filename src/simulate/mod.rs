//! A made-up office that fills a spool, with planted scenarios and their truth.
//!
//! It stands in for the vendor: its key names, its tools' names and its addresses belong here and nowhere else in `src`.
//! The flow: [`office`] (people, machines, habits) and [`scenarios`] (what is planted) make a [`Plan`]; [`day`] turns a
//! person's day into actions; `cef_line` and `csv_line` write actions as records; [`truth`] works out from the same
//! actions which alerts to expect. The truth comes from the plan and never from an engine, so an alert more or an alert
//! less is a finding. The rules' defaults are not bent, and nothing is tuned to them: what the office does, it does.
//!
//! Written: `OUT/spool/dtex-DAY-COLLECTOR.cef` (or `.csv`), `OUT/truth.jsonl` (one expected alert or near miss a line) and
//! `OUT/plan.json` (facts about people, machines and collectors). The same options give the same bytes. Units: days are
//! calendar days in UTC, `rate` is events of routine per user and working hour.
//!
//! Only some records carry what the vendor's mostly lack: bytes sent and methods (London and the data centre), the web
//! filter's category (London), parent processes (the two web servers). See [`collector`].

pub mod action;
mod attacks;
mod cef_line;
mod clock;
pub mod collector;
mod commands;
mod csv_line;
pub mod day;
mod details;
mod facts;
pub mod life;
mod more_commands;
mod noise;
pub mod office;
mod peers;
pub mod plan;
pub mod programs;
mod rng;
pub mod rules;
pub mod scenarios;
pub mod sites;
pub mod spool;
mod stage;
pub mod truth;

#[cfg(test)]
mod tests;

pub use life::Life;
pub use plan::Plan;

use crate::calendar::Day;
use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use truth::{Ledger, MAX_DAYS, count_by_rule};

/// Monday, 2 March 2026.
pub const DEFAULT_START: Day = 20_514;

/// What the routine is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Profile {
    /// A normal office: few records teach a model anything.
    #[default]
    Office,
    /// For measurements: most file writes come from temporary directories and most visits go to file-sharing sites.
    Training,
}

/// How the files look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileLayout {
    /// One of the four collectors exports CSV on some days; else all write CEF, one file a day each.
    pub csv_exports: bool,
    /// Broken records, blank and over-long lines.
    pub malformed: bool,
}

impl Default for FileLayout {
    fn default() -> FileLayout {
        FileLayout { csv_exports: true, malformed: true }
    }
}

/// What to simulate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Options {
    /// Chooses everything that is left to chance.
    pub seed: u64,
    /// How many people.
    pub users: u32,
    /// How many days, at most 200.
    pub days: u32,
    /// The first day; a Monday by default.
    pub start: Day,
    /// Events of routine per user and working hour.
    pub rate: f64,
    /// What the routine is made of.
    pub profile: Profile,
    /// How the files look.
    pub files: FileLayout,
    /// What goes on besides the routine. With [`Life::NONE`] the scenes of the demo are planted.
    pub life: Life,
}

impl Default for Options {
    fn default() -> Options {
        Options::demo()
    }
}

impl Options {
    /// The demo: three weeks of a small office, in which every rule has something to find.
    pub const fn demo() -> Options {
        Options {
            seed: 7,
            users: 60,
            days: 21,
            start: DEFAULT_START,
            rate: 2.0,
            profile: Profile::Office,
            files: FileLayout { csv_exports: true, malformed: true },
            life: Life::NONE,
        }
    }

    /// What quality is measured on: sixty days of 300 people, with all that goes on in an office.
    pub const fn life(seed: u64) -> Options {
        Options {
            seed,
            users: 300,
            days: 60,
            start: DEFAULT_START,
            rate: 2.0,
            profile: Profile::Office,
            files: FileLayout { csv_exports: false, malformed: false },
            life: Life::ALL,
        }
    }
}

/// What was written to one file. `records() == events + malformed + headers + blank`; a CSV record may span lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileSummary {
    /// File name below `spool`.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// Records that are events.
    pub events: u64,
    /// Records that are not, by kind.
    pub malformed: BTreeMap<&'static str, u64>,
    /// CSV header rows.
    pub headers: u64,
    /// Empty lines.
    pub blank: u64,
    /// Events (counted above) that hold invalid UTF-8.
    pub invalid_utf8: u64,
}

impl FileSummary {
    fn named(name: String) -> FileSummary {
        FileSummary { name, ..FileSummary::default() }
    }

    /// Every record of the file.
    pub fn records(&self) -> u64 {
        self.events + self.malformed.values().sum::<u64>() + self.headers + self.blank
    }
}

/// What was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// The files of the spool, in the order in which they are read.
    pub files: Vec<FileSummary>,
    /// Expected alerts by rule id; every rule is there.
    pub truths: BTreeMap<&'static str, u64>,
    /// Planted near misses.
    pub near_misses: u64,
    /// Events that teach a model something of its kind, repeats included.
    pub training_events: u64,
}

impl Summary {
    /// All events.
    pub fn events(&self) -> u64 {
        self.files.iter().map(|f| f.events).sum()
    }

    /// All records.
    pub fn records(&self) -> u64 {
        self.files.iter().map(FileSummary::records).sum()
    }

    /// All bytes.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|f| f.bytes).sum()
    }
}

impl fmt::Display for Summary {
    /// What was written, and the expected alerts by rule.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let alerts: u64 = self.truths.values().sum();
        writeln!(
            f,
            "{} events and {} other records in {} files, {} bytes",
            self.events(),
            self.records() - self.events(),
            self.files.len(),
            self.bytes()
        )?;
        write!(f, "{alerts} alerts to expect, {} near misses that must stay silent", self.near_misses)?;
        for (rule, n) in &self.truths {
            write!(f, "\n{n:>8} {rule}")?;
        }
        Ok(())
    }
}

/// Simulates and writes everything below `out`, which is created when missing.
///
/// # Errors
/// Options out of range (`InvalidInput`), a spool that is not empty (`AlreadyExists`), or what the file system says.
pub fn write(options: &Options, out: &Path) -> io::Result<Summary> {
    options.check()?;
    let spool_dir = out.join("spool");
    fs::create_dir_all(&spool_dir).map_err(|e| named(&spool_dir, &e))?;
    if fs::read_dir(&spool_dir).map_err(|e| named(&spool_dir, &e))?.next().is_some() {
        let message = format!("{} is not empty; remove it or name another directory", spool_dir.display());
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, message));
    }
    let plan = Plan::new(options);
    let mut ledger = Ledger::new(&plan);
    let files = spool::write(&plan, options, &spool_dir, &mut ledger)?;
    write_truth(&plan, &ledger, &out.join("truth.jsonl"))?;
    let path = out.join("plan.json");
    fs::write(&path, facts::to_json(&plan)).map_err(|e| named(&path, &e))?;
    Ok(Summary {
        files,
        truths: count_by_rule(ledger.truths()),
        near_misses: plan.near_misses.len() as u64,
        training_events: ledger.training,
    })
}

fn write_truth(plan: &Plan, ledger: &Ledger<'_>, path: &Path) -> io::Result<()> {
    let file = fs::File::create(path).map_err(|e| named(path, &e))?;
    let mut file = BufWriter::new(file);
    for truth in ledger.truths() {
        writeln!(file, "{}", truth.to_json(plan))?;
    }
    for miss in &plan.near_misses {
        writeln!(file, "{}", miss.to_json("near_miss", plan))?;
    }
    for unseen in &plan.blind_spots {
        writeln!(file, "{}", unseen.to_json("blind_spot", plan))?;
    }
    file.flush()
}

fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

impl Options {
    fn check(&self) -> io::Result<()> {
        let refuse = |message: &str| Err(io::Error::new(io::ErrorKind::InvalidInput, message.to_owned()));
        if self.users == 0 || self.users > 1_000_000 {
            return refuse("users must lie between 1 and 1,000,000");
        }
        if self.days == 0 || self.days > MAX_DAYS {
            return refuse("days must lie between 1 and 200: the truth is exact for no longer spool");
        }
        if !(0.0..=1000.0).contains(&self.rate) {
            return refuse("rate must lie between 0 and 1000 events per user and working hour");
        }
        if !(0..=40_000).contains(&self.start) {
            return refuse("start must lie between 1970 and 2079");
        }
        Ok(())
    }
}
