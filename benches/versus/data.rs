//! What is read: generated once and kept in the work directory.

use crate::hostile::{self, Hostile};
use crate::options::{Options, Row};
use crate::product::bytes_below;
use crate::yardstick::Yardstick;
use exfil_agent::simulate::{self, Profile};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};

/// Users of the mixed traffic.
pub const MIXED_USERS: u32 = 10_000;

/// Files to read.
#[derive(Clone)]
pub struct Input {
    pub paths: Vec<PathBuf>,
    /// Of compressed data, unpacked.
    pub bytes: u64,
    pub events: u64,
}

impl Input {
    pub fn file(path: PathBuf, events: u64) -> Input {
        Input { bytes: fs::metadata(&path).unwrap().len(), paths: vec![path], events }
    }
}

pub struct Data {
    /// Process, file, web and session events, CEF and CSV, of an office.
    pub mixed: Input,
    /// The share of its events that train a model.
    pub training_share: f64,
    pub hostile: Vec<Hostile>,
}

impl Data {
    pub fn prepare(options: &Options, yardstick: Option<&Yardstick>) -> Data {
        // Two days; ten events of routine in a working hour at the usual size.
        let rate = options.events as f64 / 100_000.0;
        let dir = once(&options.work().join(format!("data/mixed{}", options.events)), |making| {
            println!("simulating two days of {MIXED_USERS} users");
            let profile = Profile::Training;
            let office = simulate::Options { users: MIXED_USERS, days: 2, rate, profile, ..Default::default() };
            let summary = simulate::write(&office, making).unwrap();
            let facts = json!({ "events": summary.events(), "training": summary.training_events });
            fs::write(making.join("facts.json"), facts.to_string()).unwrap();
        });
        let facts: Value = serde_json::from_slice(&fs::read(dir.join("facts.json")).unwrap()).unwrap();
        let [events, training] = ["events", "training"].map(|name| facts[name].as_u64().unwrap());
        let spool = dir.join("spool");
        let mixed = Input { bytes: bytes_below(&spool), paths: vec![spool], events };
        let hostile = if options.has(Row::Hostile) { hostile::all(options, &mixed) } else { Vec::new() };
        let data = Data { mixed, training_share: training as f64 / events as f64, hostile };
        // Read once, so that the first contender does not pay for the disk.
        let inputs = yardstick.iter().flat_map(|y| [&y.all, &y.tenth]).chain([&data.mixed]);
        inputs.for_each(|input| input.paths.iter().for_each(|path| read_through(path)));
        data
    }
}

/// Makes a file or directory under another name and renames it: what is there is whole.
pub fn once(path: &Path, make: impl FnOnce(&Path)) -> PathBuf {
    if !path.exists() {
        let dir = path.parent().unwrap().join("making");
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).unwrap();
        let making = dir.join(path.file_name().unwrap());
        make(&making);
        fs::rename(making, path).unwrap();
    }
    path.to_owned()
}

/// Bytes up to the last line end, over all files of a spool: a running agent waits for the end of a last line.
pub fn whole_lines(spool: &Path) -> u64 {
    let whole = |file: PathBuf| memchr::memrchr(b'\n', &fs::read(file).unwrap()).map_or(0, |at| at as u64 + 1);
    fs::read_dir(spool).unwrap().map(|e| whole(e.unwrap().path())).sum()
}

fn read_through(path: &Path) {
    match fs::read_dir(path) {
        Ok(entries) => entries.for_each(|e| read_through(&e.unwrap().path())),
        Err(_) => drop(std::io::copy(&mut fs::File::open(path).unwrap(), &mut std::io::sink()).unwrap()),
    }
}
