//! What the machine itself can do: memory bandwidth, the cutting of lines, synced writes.

use crate::options::Options;
use crate::table::{Table, short};
use std::fs::File;
use std::hint::black_box;
use std::io::{Read, Write};
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

const BLOCK: usize = 64 << 20;

/// `throughput` is the product's on the yardstick's data, MB/s: durable, one core.
pub fn measure(options: &Options, throughput: Option<f64>) -> Table {
    println!("physical limits");
    let source = vec![1u8; BLOCK];
    let mut target = vec![0u8; BLOCK];
    let copy = mb_per_sec(BLOCK, || black_box(&mut target[..]).copy_from_slice(black_box(&source)));
    let text: Vec<u8> = [&[b'x'; 663][..], b"\n"].concat().repeat(BLOCK / 664);
    let lines = mb_per_sec(text.len(), || {
        black_box(memchr::memchr_iter(b'\n', black_box(&text)).count());
    });
    let dir = options.fresh_dir("limits");
    std::fs::write(dir.join("read"), &text).unwrap();
    let mut piece = vec![0; 256 * 1024];
    let read = mb_per_sec(text.len(), || {
        let mut file = File::open(dir.join("read")).unwrap();
        while file.read(&mut piece).unwrap() > 0 {}
    });
    let appends =
        syncs_per_sec(&mut File::create(dir.join("append")).unwrap(), |file, _| file.write_all(&[7; 4096]).unwrap());
    let mut fixed = File::create(dir.join("fixed")).unwrap();
    fixed.write_all(&[0; 1 << 20]).unwrap();
    fixed.sync_all().unwrap();
    let in_place = syncs_per_sec(&mut fixed, |file, i| file.write_all_at(&[7; 4096], i % 256 * 4096).unwrap());
    let row =
        |what: &str, rate: String, bounds: &str, ours: String| vec![what.to_owned(), rate, bounds.to_owned(), ours];
    let bytes = |what: &str, rate: f64, bounds: &str| {
        let share = throughput.map_or("–".into(), |ours| format!("{} %", short(ours * 100.0 / rate)));
        row(what, format!("{} MB/s", short(rate)), bounds, share)
    };
    let syncs =
        |what: &str, rate: f64, bounds: &str| row(what, format!("{} a second", short(rate)), bounds, "–".into());
    let pieces = "reading files, a copy out of the page cache";
    let commits = "commits: each ends with one; events that come meanwhile share the next";
    Table {
        title: "Physical limits of this machine".into(),
        note: "What bounds us. In this process, one thread, the best of several passes; *ours* is the product's throughput on the yardstick's data, durable, on one core, as a share of the limit. Reading from the page cache and cutting lines is the row \"line split\" above.".into(),
        head: vec!["what", "rate", "bounds", "ours"],
        rows: vec![
            bytes("copy from memory to memory, 64 MiB", copy, "whatever touches each byte once"),
            bytes("read from the page cache, 256 KiB at a time", read, pieces),
            bytes("finding line ends in memory, lines of 664 bytes", lines, "cutting"),
            syncs("append 4 KiB + fdatasync, in the work directory", appends, commits),
            syncs("overwrite 4 KiB + fdatasync, in the work directory", in_place, "the same in a file that does not grow"),
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
