//! The yardstick: its floor program, its data, the peers' configurations. Built and generated in the work directory.

use crate::data::{Input, once};
use crate::options::{Options, emptied};
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

pub struct Yardstick {
    /// The program of which every ratio is taken.
    pub floor: PathBuf,
    /// Patterns and configurations for the peers.
    pub rules: PathBuf,
    /// All events, and the first tenth of them for contenders that are slow.
    pub all: Input,
    pub tenth: Input,
    /// All events, each with a command line that no other has.
    pub unlike: Input,
    /// How many (event, rule) pairs match, and how many events.
    pub all_pairs: u64,
    pub tenth_pairs: u64,
    pub all_lines: u64,
}

impl Yardstick {
    pub fn prepare(options: &Options) -> Result<Yardstick, String> {
        let from = std::path::absolute(&options.yardstick).unwrap();
        if !from.join("floor/Cargo.toml").exists() {
            return Err(format!("{} has no floor/Cargo.toml; YARDSTICK=dir says where it lies", from.display()));
        }
        let home = options.work().join("yardstick");
        let floor = build(&from, &home);
        let truth = options.work().join(format!("data/ev{}.truth", options.events));
        let all_path = once(&options.work().join(format!("data/ev{}.cef", options.events)), |making| {
            println!("generating {} events", options.events);
            let prefix = making.with_extension("");
            python(&from.join("gen.py"), &[&options.events.to_string(), prefix.to_str().unwrap(), "10000"], &home);
            fs::remove_file(prefix.with_extension("json")).unwrap();
            fs::rename(prefix.with_extension("truth"), truth.clone()).unwrap();
        });
        let tenth_path = once(&options.work().join(format!("data/ev{}.tenth.cef", options.events)), |making| {
            let mut out = BufWriter::new(fs::File::create(making).unwrap());
            let lines = BufReader::new(fs::File::open(&all_path).unwrap()).split(b'\n');
            for line in lines.take(options.events as usize / 10) {
                out.write_all(&line.unwrap()).unwrap();
                out.write_all(b"\n").unwrap();
            }
            out.flush().unwrap();
        });
        let unlike_path = once(&options.work().join(format!("data/ev{}.unlike.cef", options.events)), |making| {
            let mut out = BufWriter::new(fs::File::create(making).unwrap());
            let lines = BufReader::new(fs::File::open(&all_path).unwrap()).lines();
            for (n, line) in lines.enumerate() {
                let line = line.unwrap();
                let (before, after) = line.rsplit_once(" outcome=").unwrap();
                writeln!(out, "{before} --n={n} outcome={after}").unwrap();
            }
            out.flush().unwrap();
        });
        python(&from.join("mkrules.py"), &[], &home);
        let rules = home.join("rules");
        let by_rule: BTreeMap<String, u64> = serde_json::from_slice(&fs::read(truth).unwrap()).unwrap();
        Ok(Yardstick {
            all_pairs: by_rule.values().sum(),
            tenth_pairs: matches(&floor, &tenth_path, &rules),
            all_lines: options.events / 1000,
            all: Input::file(all_path, options.events),
            tenth: Input::file(tenth_path, options.events / 10),
            unlike: Input::file(unlike_path, options.events),
            floor,
            rules,
        })
    }
}

/// Copies the sources, which may lie where nothing can be written, and builds them.
fn build(from: &Path, home: &Path) -> PathBuf {
    let project = home.join("floor");
    fs::create_dir_all(project.join("src")).unwrap();
    for name in ["Cargo.toml", "src/main.rs"] {
        let text = fs::read(from.join("floor").join(name)).unwrap();
        // Written only when it has changed, else it would be built again.
        if fs::read(project.join(name)).ok().as_ref() != Some(&text) {
            fs::write(project.join(name), text).unwrap();
        }
    }
    let manifest = project.join("Cargo.toml");
    let status = Command::new(env!("CARGO"))
        .args(["build", "--release", "--manifest-path", manifest.to_str().unwrap(), "--target-dir"])
        .arg(project.join("target"))
        .status();
    assert!(status.unwrap().success(), "the yardstick does not build");
    project.join("target/release/floor")
}

fn python(script: &Path, words: &[&str], dir: &Path) {
    let done = Command::new("python3").arg(script).args(words).current_dir(dir).output().unwrap();
    assert!(done.status.success(), "{}: {}", script.display(), String::from_utf8_lossy(&done.stderr));
}

/// What the floor finds, by its own words.
fn matches(floor: &Path, data: &Path, rules: &Path) -> u64 {
    let said = Command::new(floor).arg("pipeline").arg(data).arg(rules.join("patterns.txt")).output().unwrap();
    floor_matches(&String::from_utf8_lossy(&said.stdout))
}

/// `matches=` of the floor's line.
pub fn floor_matches(said: &str) -> u64 {
    said.split_whitespace().find_map(|w| w.strip_prefix("matches=")).unwrap().parse().unwrap()
}

/// Where a peer's program is; installs it when that is wanted.
pub fn peer(options: &Options, name: &str, install: &[&str]) -> Result<PathBuf, String> {
    let tools = options.work().join("tools");
    let found = || {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut places: Vec<PathBuf> = std::env::split_paths(&path).collect();
        places.extend([tools.join("bin"), "/usr/sbin".into()]);
        places.into_iter().map(|dir| dir.join(name)).find(|file| file.exists())
    };
    if found().is_none() && options.install {
        let build = emptied(&options.work().join("tools-build"));
        let mut command = Command::new(install[0]);
        command.args(&install[1..]).env("CARGO_TARGET_DIR", &build).env("CARGO_INSTALL_ROOT", &tools);
        let _ = command.status();
        let _ = fs::remove_dir_all(build);
    }
    found().ok_or_else(|| format!("not installed ({})", install.join(" ")))
}
