//! The source as a thread: hints wake it, stops end it, a busy pipeline slows it down.

use super::*;
use std::time::Instant;

pub(super) struct Running {
    dir: tempfile::TempDir,
    out: Receiver<RawBatch>,
    flag: Arc<AtomicBool>,
    wake: Sender<()>,
    status: Arc<SourceStatus>,
    handle: SourceHandle,
}

pub(super) fn run(capacity: usize, rescan_secs: u64) -> Running {
    let dir = tempfile::tempdir().unwrap();
    let spool = SpoolSettings { path: dir.path().to_owned(), rescan_secs, ..SpoolSettings::default() };
    let (send, out) = crossbeam_channel::bounded(capacity);
    let (wake, woken) = crossbeam_channel::bounded(1);
    let flag = Arc::new(AtomicBool::new(false));
    let status: Arc<SourceStatus> = Arc::default();
    let options = SourceOptions {
        mode: Mode::Live(vec![spool]),
        limits: Limits::default(),
        known: Vec::new(),
        sniff: Arc::new(Fake),
        refuse_files: Vec::new(),
        most_batches: usize::MAX,
        late_days: 3,
    };
    let stop = Stop { flag: Arc::clone(&flag), wake: woken };
    let handle = spawn(options, send, crossbeam_channel::never(), stop, Arc::clone(&status)).unwrap();
    Running { dir, out, flag, wake, status, handle }
}

impl Running {
    pub(super) fn append(&self, name: &str, bytes: &str) {
        let path = self.dir.path().join(name);
        let mut file = fs::OpenOptions::new().append(true).create(true).open(path).unwrap();
        file.write_all(bytes.as_bytes()).unwrap();
    }
    /// The next batch with records.
    pub(super) fn next(&self) -> RawBatch {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let batch = self.out.recv_deadline(deadline).expect("a batch before the deadline");
            if !batch.data.is_empty() {
                return batch;
            }
        }
    }
    pub(super) fn stop(self) {
        self.flag.store(true, Ordering::Relaxed);
        let _ = self.wake.try_send(());
        self.handle.join().unwrap();
    }
}

#[test]
fn hints_wake_the_source_long_before_the_rescan() {
    let r = run(100, 100_000);
    // The first listing, then new files, appends and renames: all seen although no rescan is near.
    r.append("a.log", "CEF:1\n");
    assert_eq!(r.next().data, b"CEF:1\n");
    for i in 2..20 {
        r.append("a.log", &format!("CEF:{i}\n"));
        assert_eq!(r.next().data, format!("CEF:{i}\n").as_bytes());
    }
    fs::rename(r.dir.path().join("a.log"), r.dir.path().join("a.log.1")).unwrap();
    r.append("a.log", "CEF:new\n");
    assert_eq!(r.next().data, b"CEF:new\n");
    r.append("a.log.1", "CEF:late\n");
    assert_eq!(r.next().data, b"CEF:late\n");
    assert_eq!(r.status.snapshot().polling_only, None);
    r.stop();
}

#[test]
fn a_directory_made_again_is_watched_again() {
    let r = run(100, 1);
    r.append("a.log", "CEF:1\n");
    r.next();
    fs::remove_dir_all(r.dir.path()).unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    while r.status.snapshot().spools[0].missing.is_none() {
        assert!(Instant::now() < deadline);
        std::thread::yield_now();
    }
    fs::create_dir(r.dir.path()).unwrap();
    r.append("a.log", "CEF:2\n");
    assert_eq!(r.next().data, b"CEF:2\n");
    r.append("a.log", "CEF:3\n");
    assert_eq!(r.next().data, b"CEF:3\n");
    r.stop();
}

#[test]
fn a_burst_of_new_files_is_seen_whole() {
    let r = run(100_000, 1);
    for i in 0..5000 {
        r.append(&format!("{i}.log"), &format!("CEF:{i} first of {i}\n"));
    }
    let mut seen = std::collections::BTreeSet::new();
    while seen.len() < 5000 {
        let batch = r.next();
        assert!(seen.insert(String::from_utf8(batch.data).unwrap()), "nothing twice");
    }
    r.stop();
}

#[test]
fn a_stop_ends_a_source_that_waits_for_bytes_or_for_room() {
    for capacity in [0, 100] {
        let r = run(capacity, 100_000);
        r.append("a.log", "CEF:1\n");
        r.append("b.log", "CEF:2\n");
        let out = r.out.clone();
        r.stop();
        // What nobody took is not lost: it was not remembered either.
        assert!(out.iter().count() <= 2);
    }
}

#[test]
fn the_source_ends_when_the_pipeline_is_gone() {
    let Running { dir, out, handle, wake, .. } = run(1, 1);
    drop(out);
    fs::write(dir.path().join("a.log"), "CEF:1\n").unwrap();
    handle.join().unwrap();
    drop(wake);
}

/// The lines of 300 KB in reads of 64 KiB, sent to whoever asks for no more than the buffers that come back.
fn many_batches(
    dir: &Path,
    send: Sender<RawBatch>,
    recycled: Receiver<Vec<u8>>,
    most_batches: usize,
    stop: Stop,
) -> SourceHandle {
    fs::write(dir.join("a.log"), lines(0, 300_000)).unwrap();
    let options = SourceOptions {
        mode: Mode::Once { paths: vec![dir.to_owned()], format: FormatSetting::Auto },
        limits: Limits { read_bytes: 64 * 1024, max_line_bytes: 1000, ..Limits::default() },
        known: Vec::new(),
        sniff: Arc::new(Fake),
        refuse_files: Vec::new(),
        most_batches,
        late_days: 3,
    };
    spawn(options, send, recycled, stop, Arc::default()).unwrap()
}

#[test]
fn buffers_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let (send, out) = crossbeam_channel::bounded(1);
    let (give, recycled) = unbounded();
    let handle = many_batches(dir.path(), send, recycled, usize::MAX, Stop::never());
    let mut places = std::collections::BTreeSet::new();
    let mut count = 0;
    let mut bytes = 0;
    for batch in out {
        places.insert(batch.data.as_ptr() as usize);
        (count, bytes) = (count + 1, bytes + batch.data.len());
        let _ = give.send(batch.data);
    }
    handle.join().unwrap();
    assert_eq!(bytes, lines(0, 300_000).len());
    assert!(count > 30 && places.len() <= 5, "{count} batches in {} buffers", places.len());
}

/// Channels bound what waits in them, not what a slow worker keeps from being put in order.
#[test]
fn no_more_batches_are_on_the_way_than_may_be() {
    let dir = tempfile::tempdir().unwrap();
    let (send, out) = unbounded();
    let (give, recycled) = unbounded();
    let stop = Stop::never();
    let flag = Arc::clone(&stop.flag);
    let handle = many_batches(dir.path(), send, recycled, 3, stop);
    let nothing_comes = || out.recv_timeout(Duration::from_millis(150)).is_err();
    let first: Vec<RawBatch> = (0..3).map(|_| out.recv().unwrap()).collect();
    assert!(nothing_comes());
    for (n, batch) in first.into_iter().enumerate() {
        give.send(batch.data).unwrap();
        assert_eq!(out.recv().unwrap().seq, n as u64 + 3);
        assert!(nothing_comes());
    }
    flag.store(true, Ordering::Relaxed);
    handle.join().unwrap();
}
