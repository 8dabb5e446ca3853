//! Measurements, not tests: `cargo test --release --lib source::tests::speed -- --ignored --nocapture`.

use super::*;
use std::time::Instant;

/// Reads the file named by `SOURCE_BENCH_FILE` again and again, as fast as the channel is emptied.
#[test]
#[ignore = "a measurement"]
fn throughput_of_a_replay() {
    let Some(path) = std::env::var_os("SOURCE_BENCH_FILE").map(PathBuf::from) else { return };
    for _ in 0..5 {
        let (send, out) = crossbeam_channel::bounded(8);
        let (give, recycled) = unbounded();
        let options = SourceOptions {
            mode: Mode::Once { paths: vec![path.clone()], format: FormatSetting::Auto },
            limits: Limits::default(),
            known: Vec::new(),
            sniff: Arc::new(Fake),
            refuse_files: Vec::new(),
        };
        let begun = Instant::now();
        let handle = spawn(options, send, recycled, Stop::never(), Arc::default()).unwrap();
        let (mut bytes, mut batches, mut lines) = (0, 0, 0);
        for batch in out {
            (bytes, batches, lines) = (bytes + batch.data.len(), batches + 1, batch.line);
            let _ = give.send(batch.data);
        }
        handle.join().unwrap();
        let secs = begun.elapsed().as_secs_f64();
        println!(
            "{bytes} bytes, {batches} batches, last begins at line {lines}: {:.0} MB/s",
            bytes as f64 / secs / 1e6
        );
    }
}

/// From an append to its batch, while nothing else happens.
#[test]
#[ignore = "a measurement"]
fn latency_of_an_append() {
    let r = super::threads::run(100, 2);
    let mut times = Vec::new();
    for i in 0..2000 {
        std::thread::sleep(Duration::from_millis(2));
        let begun = Instant::now();
        r.append("a.log", &format!("CEF:{i}\n"));
        r.next();
        times.push(begun.elapsed().as_micros());
    }
    times.sort_unstable();
    println!("append to batch: p50 {} us, p99 {} us, max {} us", times[1000], times[1980], times[1999]);
    r.stop();
}
