//! What the machine itself can do: memory bandwidth, the cutting of lines, synced writes.

use crate::options::Options;
use crate::table::{Table, short};
use std::fs::File;
use std::hint::black_box;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

const BLOCK: usize = 64 << 20;

pub fn measure(options: &Options) -> Table {
    println!("physical limits");
    let source = vec![1u8; BLOCK];
    let mut target = vec![0u8; BLOCK];
    let copy = mb_per_sec(BLOCK, || black_box(&mut target[..]).copy_from_slice(black_box(&source)));
    let text: Vec<u8> = [&[b'x'; 663][..], b"\n"].concat().repeat(BLOCK / 664);
    let lines = mb_per_sec(text.len(), || {
        black_box(memchr::memchr_iter(b'\n', black_box(&text)).count());
    });
    let dir = options.fresh_dir("limits");
    let appends =
        syncs_per_sec(&mut File::create(dir.join("append")).unwrap(), |file, _| file.write_all(&[7; 4096]).unwrap());
    let mut fixed = File::create(dir.join("fixed")).unwrap();
    fixed.write_all(&[0; 1 << 20]).unwrap();
    fixed.sync_all().unwrap();
    let in_place = syncs_per_sec(&mut fixed, |file, i| file.write_all_at(&[7; 4096], i % 256 * 4096).unwrap());
    let row = |what: &str, value: f64, unit: &str| vec![what.to_owned(), format!("{} {unit}", short(value))];
    Table {
        title: "Physical limits of this machine".into(),
        note: "In this process, one thread, the best of several passes. Reading from the page cache and cutting lines is the row \"line split\" above.".into(),
        head: vec!["what", "rate"],
        rows: vec![
            row("copy from memory to memory, 64 MiB", copy, "MB/s"),
            row("finding line ends in memory, lines of 664 bytes", lines, "MB/s"),
            row("append 4 KiB + fdatasync, in the work directory", appends, "a second"),
            row("overwrite 4 KiB + fdatasync, in the work directory", in_place, "a second"),
        ],
    }
}

/// Of the quickest of ten passes.
fn mb_per_sec(bytes: usize, mut pass: impl FnMut()) -> f64 {
    let mut timed = || {
        let since = Instant::now();
        pass();
        since.elapsed().as_secs_f64()
    };
    let best = (0..10).map(|_| timed()).fold(f64::MAX, f64::min);
    bytes as f64 / 1e6 / best
}

/// For a second.
fn syncs_per_sec(file: &mut File, mut write: impl FnMut(&mut File, u64)) -> f64 {
    let (since, mut done) = (Instant::now(), 0u64);
    while since.elapsed() < Duration::from_secs(1) {
        write(file, done);
        file.sync_data().unwrap();
        done += 1;
    }
    done as f64 / since.elapsed().as_secs_f64()
}
