//! Replays: everything to the end, in an order of its own, and nothing twice.

use super::*;

/// Runs a replay to its end with what is known.
fn replay(paths: &[PathBuf], taken: &mut Taken) -> Arc<SourceStatus> {
    replay_with(paths, taken, Limits::default(), FormatSetting::Auto, &[])
}

fn replay_with(
    paths: &[PathBuf],
    taken: &mut Taken,
    limits: Limits,
    format: FormatSetting,
    refuse: &[PathBuf],
) -> Arc<SourceStatus> {
    let (send, out) = unbounded();
    let status: Arc<SourceStatus> = Arc::default();
    let options = SourceOptions {
        mode: Mode::Once { paths: paths.to_vec(), format },
        limits,
        known: taken.known.clone().into_iter().collect(),
        sniff: Arc::new(Fake),
        refuse_files: refuse.to_vec(),
        most_batches: usize::MAX,
        late_days: 3,
    };
    let handle = spawn(options, send, crossbeam_channel::never(), Stop::never(), Arc::clone(&status)).unwrap();
    taken.restart();
    for batch in out {
        taken.take(batch);
    }
    handle.join().unwrap();
    status
}

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Place {
        Place(tempfile::tempdir().unwrap())
    }
    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.path(name), bytes).unwrap();
    }
    fn dir(&self) -> Vec<PathBuf> {
        vec![self.0.path().to_owned()]
    }
}

#[test]
fn arguments_come_in_the_order_given_and_directories_oldest_first() {
    let p = Place::new();
    fs::create_dir(p.path("d")).unwrap();
    p.write("z.log", "CEF:z t=9999\n");
    p.write("a.log", "CEF:a t=1\n");
    p.write("d/new.log", "junk\nCEF:new t=300\n");
    p.write("d/x.log", "CEF:x0 t=200\n");
    p.write("d/x.log.1", "CEF:x1 t=200\n");
    p.write("d/x.log.10.gz", gz(b"CEF:x10 t=200\n"));
    p.write("d/x.log.2", "CEF:x2 t=200\n");
    p.write("d/old.csv", format!("{HEADER}\nold t=100,u,d,l\n"));
    p.write("d/never.txt", "no time\n");
    p.write("d/x.tmp", "CEF:tmp t=1\n");
    fs::create_dir(p.path("d/sub")).unwrap();
    let mut taken = Taken::default();
    replay(&[p.path("z.log"), p.path("d"), p.path("a.log")], &mut taken);
    let first: Vec<String> = taken
        .texts()
        .iter()
        .filter(|t| **t != HEADER && **t != "junk")
        .map(|t| t.split([' ', ',']).next().unwrap().trim_start_matches("CEF:").to_owned())
        .collect();
    assert_eq!(first, ["z", "old", "x10", "x2", "x1", "x0", "new", "no", "a"]);
}

#[test]
fn the_last_line_needs_no_newline() {
    let p = Place::new();
    p.write("a.log", "CEF:1\nCEF:2");
    p.write("b.log", "C");
    p.write("empty.log", "");
    let mut taken = Taken::default();
    replay(&p.dir(), &mut taken);
    assert_eq!(taken.texts(), ["CEF:1", "CEF:2", "C"]);
    assert!(taken.known.values().all(|k| k.complete));
}

#[test]
fn what_was_read_is_skipped_and_named_and_what_grew_is_resumed() {
    let p = Place::new();
    p.write("a.log", lines(0, 3));
    p.write("b.log", lines(10, 13));
    p.write("c.log.gz", gz(lines(20, 23).as_bytes()));
    let mut taken = Taken::default();
    let status = replay(&p.dir(), &mut taken);
    assert!(status.snapshot().skipped.is_empty());
    assert_eq!(taken.lines.len(), 9);
    p.write("b.log", lines(10, 15));
    let status = replay(&p.dir(), &mut taken);
    let label = |name: &str| p.path(name).display().to_string();
    assert_eq!(status.snapshot().skipped, [label("a.log"), label("c.log.gz")]);
    assert_eq!(taken.texts()[9..], names(13, 15));
    assert_eq!(taken.batches.last().unwrap().line, 4);
    // A compressed file that got another member.
    p.write("c.log.gz", [gz(lines(20, 23).as_bytes()), gz(lines(23, 24).as_bytes())].concat());
    replay(&p.dir(), &mut taken);
    assert_eq!(taken.texts()[11..], names(23, 24));
    assert_eq!(taken.known.len(), 3);
}

#[test]
fn a_copy_under_another_name_is_the_same_file() {
    let p = Place::new();
    p.write("a.log", lines(0, 2000));
    let mut taken = Taken::default();
    replay(&[p.path("a.log"), p.path("a.log")], &mut taken);
    p.write("b.log", lines(0, 2000));
    p.write("c.log.gz", gz(lines(0, 2001).as_bytes()));
    let status = replay(&p.dir(), &mut taken);
    assert_eq!(taken.texts(), names(0, 2001));
    assert_eq!(status.snapshot().skipped.len(), 2);
    // Both remain known.
    let status = replay(&p.dir(), &mut taken);
    assert_eq!(taken.lines.len(), 2001);
    assert_eq!(status.snapshot().skipped.len(), 3);
    // Also when the original is gone.
    fs::remove_file(p.path("a.log")).unwrap();
    fs::rename(p.path("b.log"), p.path("d.log")).unwrap();
    replay(&p.dir(), &mut taken);
    assert_eq!(taken.lines.len(), 2001);
}

#[test]
fn different_files_with_one_header_are_all_read() {
    let p = Place::new();
    for i in 0..3 {
        p.write(&format!("{i}.csv"), format!("{HEADER}\nrow{i},u,d,l\n"));
    }
    let mut taken = Taken::default();
    let status = replay(&p.dir(), &mut taken);
    assert_eq!(taken.lines.len(), 6);
    assert!(status.snapshot().skipped.is_empty());
}

#[test]
fn a_rewritten_file_is_read_from_the_start() {
    let p = Place::new();
    p.write("a.log", lines(0, 3));
    let mut taken = Taken::default();
    replay(&p.dir(), &mut taken);
    p.write("a.log", lines(5, 9));
    replay(&p.dir(), &mut taken);
    assert_eq!(taken.texts(), [names(0, 3), names(5, 9)].concat());
}

#[test]
fn what_cannot_be_read_is_said_and_the_rest_is_read() {
    let p = Place::new();
    let raw = gz(lines(0, 5000).as_bytes());
    p.write("1.gz", &raw[..raw.len() / 2]);
    p.write("2.gz", b"\x1f\x8b\x08nothing of the kind");
    p.write("3.log", "CEF:last\n");
    let mut taken = Taken::default();
    let status = replay(&p.dir(), &mut taken);
    assert_eq!(taken.texts().last(), Some(&"CEF:last"));
    let failed = status.snapshot().failed;
    assert_eq!(failed.len(), 2);
    assert!(failed.iter().any(|f| f.contains("1.gz: the compressed file stops in the middle")), "{failed:?}");
    // The rest of the first file is read when it is whole.
    p.write("1.gz", &raw);
    replay(&p.dir(), &mut taken);
    assert_eq!(taken.lines.len(), 5001);
}

#[test]
fn a_missing_path_or_a_fifo_is_an_error_at_once() {
    let p = Place::new();
    let fifo = p.path("fifo");
    rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, rustix::fs::Mode::from_raw_mode(0o600)).unwrap();
    for path in [p.path("missing"), fifo] {
        let options = SourceOptions {
            mode: Mode::Once { paths: vec![path.clone()], format: FormatSetting::Auto },
            limits: Limits::default(),
            known: Vec::new(),
            sniff: Arc::new(Fake),
            refuse_files: Vec::new(),
            most_batches: usize::MAX,
            late_days: 3,
        };
        let e = spawn(options, unbounded().0, crossbeam_channel::never(), Stop::never(), Arc::default()).unwrap_err();
        assert!(e.to_string().starts_with(&format!("cannot read {}: ", path.display())), "{e}");
    }
}

#[test]
fn a_named_symbolic_link_is_followed_and_the_alert_file_is_not_read() {
    let p = Place::new();
    p.write("a.log", lines(0, 2));
    p.write("alerts.jsonl", "CEF:feedback\n");
    std::os::unix::fs::symlink(p.path("a.log"), p.path("link")).unwrap();
    let mut taken = Taken::default();
    let paths = [p.path("link"), p.path("alerts.jsonl"), p.0.path().to_owned()];
    let status = replay_with(&paths, &mut taken, Limits::default(), FormatSetting::Auto, &[p.path("alerts.jsonl")]);
    assert_eq!(taken.texts(), names(0, 2));
    assert_eq!(status.snapshot().failed.len(), 1);
}

#[test]
fn small_readings_and_large_ones_read_the_same() {
    let p = Place::new();
    let text: String = (0..5000).map(|i| format!("CEF:{i} {}\n", "z".repeat(i * 31 % 300))).collect();
    p.write("a.log", &text);
    p.write("b.log.gz", gz(text.replace("CEF:", "CEF:b").as_bytes()));
    for (read_bytes, max_line_bytes) in [(512 * 1024, 262_144), (1, 400), (4096, 400)] {
        let mut taken = Taken::default();
        let limits = Limits { read_bytes, max_line_bytes, ..Limits::default() };
        let status = replay_with(&p.dir(), &mut taken, limits, FormatSetting::Auto, &[]);
        assert_eq!(taken.lines.len(), 10_000);
        assert_eq!(taken.lines[..5000].iter().map(|(_, l)| l.as_str()).collect::<String>(), text);
        let s = status.snapshot();
        assert_eq!(s.planned_bytes, s.done_bytes);
        assert_eq!(s.consumed_bytes as usize, text.len() * 2 + 5000);
    }
}
