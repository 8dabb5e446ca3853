//! States of every schema and every format of the database that was ever released are read for ever: a database, a
//! snapshot, and what both must say.
//!
//! A new schema or format needs a new folder, named by [`NEWEST`]: `UPDATE_EXPECT=1 cargo test golden` makes it, and never
//! changes one that is there.

use crate::site::office;
use crate::support::{Replay, dump, dump_of};
use exfil_agent::alert::Alert;
use exfil_agent::config::Settings;
use exfil_agent::content;
use exfil_agent::state::key::ALERTS;
use exfil_agent::state::record::SCHEMA;
use exfil_agent::store::{codec, read_snapshot, read_stopped};
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

const ROOT: &str = "tests/golden";
/// The newest schema, in the newest format.
const NEWEST: &str = "schema-2-packed";

fn files_under(dir: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(files_under(&path));
        } else {
            all.push(path);
        }
    }
    all.sort();
    all
}

/// Packs a state directory: each file by itself, since most of a database is empty.
fn pack(state: &Path, golden: &Path) {
    for file in files_under(state) {
        let name = file.strip_prefix(state).unwrap();
        if name != Path::new("lock") {
            let to = golden.join("state").join(name);
            fs::create_dir_all(to.parent().unwrap()).unwrap();
            let packed = zstd::encode_all(fs::read(&file).unwrap().as_slice(), 19).unwrap();
            fs::write(format!("{}.zst", to.display()), packed).unwrap();
        }
    }
}

fn unpack(golden: &Path, state: &Path) {
    let packed = golden.join("state");
    for file in files_under(&packed) {
        let to = state.join(file.strip_prefix(&packed).unwrap()).with_extension("");
        // `snap.00.zst` and `db.zst` alike lose what `pack` has put behind their names.
        let name = file.file_name().unwrap().to_str().unwrap().strip_suffix(".zst").unwrap();
        let to = to.with_file_name(name);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::write(to, zstd::decode_all(fs::read(&file).unwrap().as_slice()).unwrap()).unwrap();
    }
}

fn make(golden: &Path) {
    let spool = TempDir::new().unwrap();
    let mut replay = Replay::new("[limits]\nmax_delta_bytes = 16384\n", 1);
    let mut files = Vec::new();
    for (n, part) in office(900).chunks(300).enumerate() {
        let file = spool.path().join(format!("office-{n}.cef"));
        fs::write(&file, part.join("\n") + "\n").unwrap();
        files.push(file);
    }
    files.push("tests/cases/csv_exports_are_read_by_name_with_quotes_and_repeated_headers/spool".into());
    for file in &files {
        replay.step(std::slice::from_ref(file));
    }
    fs::create_dir_all(golden).unwrap();
    pack(&replay.state_dir(), golden);
    fs::write(golden.join("state.jsonl"), replay.outcome().state).unwrap();
}

#[test]
fn a_golden_state_of_every_schema_is_read_and_goes_on() {
    assert!(NEWEST.starts_with(&format!("schema-{SCHEMA}")));
    let newest = Path::new(ROOT).join(NEWEST);
    if !newest.exists() {
        assert!(std::env::var_os("UPDATE_EXPECT").is_some(), "no {}: UPDATE_EXPECT=1 makes it", newest.display());
        make(&newest);
    }
    let settings = Settings::default();
    let content = content::load(&settings.detection).unwrap();
    for entry in fs::read_dir(ROOT).unwrap() {
        let golden = entry.unwrap().path();
        let expected = fs::read_to_string(golden.join("state.jsonl")).unwrap();
        assert!(expected.lines().count() > 100, "{}", golden.display());
        let mut replay = Replay::new("", 1);
        unpack(&golden, &replay.state_dir());
        assert!(read_stopped(&replay.state_dir()).is_ok());
        assert!(dump(&replay.state_dir(), &content, &settings).0 == expected, "{}: another state", golden.display());

        let mut snapshots = files_under(&replay.state_dir().join("snapshots"));
        let newest = read_snapshot(&snapshots.pop().unwrap()).unwrap();
        assert!(dump_of(&newest, &content, &settings).0 == expected, "{}: another snapshot", golden.display());

        let mut alerts = 0;
        for (_, value) in newest.scan(ALERTS, ALERTS, usize::MAX).unwrap() {
            codec::decode::<Alert>(&value).unwrap();
            alerts += 1;
        }
        assert!(alerts > 100, "{}: {alerts} alerts", golden.display());

        // It goes on, and what it held stays.
        let spool = TempDir::new().unwrap();
        let file = spool.path().join("more.cef");
        fs::write(&file, office(900)[0..1].join("\n").replace("user0", "somebody") + "\n").unwrap();
        replay.step(&[file]);
        let after = replay.outcome().state;
        assert!(expected.lines().filter(|row| !after.contains(*row)).count() < 20, "{}", golden.display());
    }
}
