//! What the agent takes when nobody looks: memory, start after kill -9, an idle spool, the disk, the binaries.

use crate::bars::Bars;
use crate::daemon::Site;
use crate::data::{Data, MIXED_USERS, once, whole_lines};
use crate::lines::{DAY_MS, MONDAY, process, temp_write, visit, write_lines};
use crate::measure::{self, Ends, Job};
use crate::options::{Options, Row};
use crate::product::{Product, bytes_below};
use crate::table::{Spread, mib, short};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

const STARTS: usize = 7;
const IDLE_FILES: usize = 100;
const CHURN_ROUNDS: i64 = 20;

pub fn measure(options: &Options, product: &Product, data: &Data, bars: &mut Bars) {
    if options.has(Row::Memory) {
        let site = Site::new(product, &options.fresh_dir("empty"));
        let daemon = site.start();
        std::thread::sleep(Duration::from_secs(2));
        bars.at_most("RSS, idle, empty state", 12.0, " MiB", daemon.rss_kib() as f64 / 1024.0);
    }
    if options.has(Row::Memory) || options.has(Row::Start) {
        let spool = &data.mixed.paths[0];
        users(options, product, &Population { spool, users: MIXED_USERS, most_mib: 40.0, most_ms: 50.0 }, bars);
        if options.full {
            let spool = &a_million_users(options);
            users(options, product, &Population { spool, users: 1_000_000, most_mib: 256.0, most_ms: 1000.0 }, bars);
        }
    }
    if options.has(Row::Idle) {
        idle(options, product, bars);
    }
    if options.has(Row::Disk) {
        churn(options, product, bars);
    }
    if options.has(Row::Size) {
        let size = [&product.agent, &product.ctl].map(|p| fs::metadata(p).unwrap().len()).iter().sum::<u64>();
        bars.at_most("both binaries, stripped", 12.0, " MiB", size as f64 / f64::from(1 << 20));
    }
}

/// A spool of many users, and what is asked.
struct Population<'a> {
    spool: &'a Path,
    users: u32,
    most_mib: f64,
    most_ms: f64,
}

/// Reads a spool to its end, dies, and starts again and again. State on tmpfs, where there is one.
fn users(options: &Options, product: &Product, of: &Population<'_>, bars: &mut Bars) {
    println!("{} users: memory, start", of.users);
    let (dir, place) = options.quick_dir();
    let site = Site::new(product, &dir.path().join("site"));
    site.reads(of.spool);
    let daemon = site.start();
    site.wait_for_bytes(whole_lines(of.spool));
    let (peak, after) = (daemon.peak_rss_kib(), daemon.rss_kib());
    drop(daemon);
    // Each dies as soon as it is ready: the next one finds what this one found.
    let starts = || {
        let start = |_| {
            let daemon = site.start();
            [daemon.ready_after, site.all_there_after(&daemon)].map(|taken| taken.as_secs_f64() * 1e3)
        };
        let (ready, all_there): (Vec<f64>, Vec<f64>) = (0..STARTS).map(start).map(|[ready, all]| (ready, all)).unzip();
        [ready, all_there].map(Spread::of)
    };
    let starts_at_once = starts();
    site.start().stop();
    let starts_later = starts();
    let users = short(f64::from(of.users));
    if options.has(Row::Memory) {
        let measured = format!("{} MiB ({} when all is read)", mib(peak), mib(after));
        let met = peak as f64 / 1024.0 <= of.most_mib;
        bars.add(&format!("RSS, {users} users, peak"), &format!("≤ {} MiB", of.most_mib), measured, Some(met));
    }
    if options.has(Row::Start) {
        let start = format!("start after kill -9, {users} users, state on {place}");
        for (when, [ready, all_there]) in
            [("in the middle of a backlog", starts_at_once), ("after a snapshot", starts_later)]
        {
            let met = ready.median <= of.most_ms;
            bars.add(&format!("{start}, {when}"), &format!("≤ {} ms", of.most_ms), format!("{ready} ms"), Some(met));
            bars.add("… until every user and host is there", "–", format!("{all_there} ms"), None);
        }
    }
}

/// A million users on one day, of whom every tenth shares files.
fn a_million_users(options: &Options) -> PathBuf {
    once(&options.work().join("data/million"), |making| {
        fs::create_dir(making).unwrap();
        write_lines(
            &making.join("users.cef"),
            (0..1_000_000).flat_map(|i| {
                let (ms, user) = (MONDAY + i64::from(i) * 20, format!("u{i:07}"));
                let shares = (i % 10 == 0).then(|| visit(ms, &user, "dropbox.com"));
                [Some(process(ms, &user, "notepad.exe")), shares].into_iter().flatten()
            }),
        );
    })
}

/// Many small files, all read to their end; nothing happens.
fn idle(options: &Options, product: &Product, bars: &mut Bars) {
    println!("idle for {} s", options.idle_secs);
    let site = Site::new(product, &options.fresh_dir("idle"));
    for i in 0..IDLE_FILES {
        let lines = (0..10).map(|k| process(MONDAY + k * 1000, &format!("u{i}"), "notepad.exe"));
        write_lines(&site.at(&format!("spool/{i}.cef")), lines);
    }
    let daemon = site.start();
    site.wait_for_bytes(whole_lines(&site.at("spool")));
    std::thread::sleep(Duration::from_secs(5));
    let (cpu, written) = (daemon.cpu(), daemon.written_bytes());
    std::thread::sleep(Duration::from_secs(options.idle_secs));
    let (cpu, written) = (daemon.cpu() - cpu, daemon.written_bytes() - written);
    let share = cpu.as_secs_f64() * 100.0 / options.idle_secs as f64;
    bars.at_most(&format!("idle, {IDLE_FILES} files: CPU"), 0.1, " %", share);
    bars.at_most("idle: written to disk", 0.0, " bytes", written as f64);
}

/// Many users, a tenth of whom are seen again on each of twenty days: what the database grows to.
fn churn(options: &Options, product: &Product, bars: &mut Bars) {
    let users = if options.full { 1_000_000 } else { options.events as i64 / 10 };
    println!("churn of {users} users");
    let dir = options.fresh_dir("churn");
    let replay = |file: &Path, compact_min_bytes: u64| {
        let config = dir.join("config.toml");
        fs::write(&config, format!("[state]\ncompact_min_bytes = {compact_min_bytes}\n")).unwrap();
        let words = product.replay(&[file.to_owned()], &["--state", "state", "--config", "config.toml"]);
        measure::run(options, &Job { words, cores: 1, ends: Ends::ByItself(0) }, &dir);
        let stats = product.ask(&["state", "stats"], &dir.join("state")).unwrap();
        (bytes_below(&dir.join("state/sled")), stats["payload_bytes"].as_u64().unwrap())
    };
    let (mut disk, mut payload) = (0, 1);
    for round in 0..=CHURN_ROUNDS {
        let seen = if round == 0 { users } else { users / 10 };
        // Steps through all users in an order that has nothing to do with their names.
        let user = |i: i64| (i + round * seen) * 7_919 % users;
        let file = dir.join(format!("{round}.cef"));
        let line = |i: i64| temp_write(MONDAY + round * DAY_MS + i * 60, &format!("u{:07}", user(i)), "setup.exe");
        write_lines(&file, (0..seen).map(line));
        (disk, payload) = replay(&file, 1 << 50);
    }
    let what =
        format!("database ÷ payload ({} MiB), {users} users, {CHURN_ROUNDS} rounds of churn", mib(payload / 1024));
    bars.at_most(&what, 4.5, " ×", disk as f64 / payload as f64);
    // What compaction makes of it, after one record more.
    let file = dir.join("last.cef");
    write_lines(&file, [temp_write(MONDAY + 21 * DAY_MS, "u0000000", "setup.exe")].into_iter());
    let (disk, payload) = replay(&file, 0);
    bars.at_most("database ÷ payload after compaction", 2.0, " ×", disk as f64 / payload as f64);
}
