//! How time, memory, disk and start grow with users, and with weeks of history: nothing may grow faster than the state
//! that it describes.
//!
//! A daemon with an empty state learns a spool, then reads as many events again that teach it nothing; it dies by kill -9
//! and starts again and again. State on tmpfs, where there is one.

use crate::bars::Bars;
use crate::daemon::Site;
use crate::data::{once, whole_lines};
use crate::document;
use crate::lines::{DAY_MS, MONDAY, process, temp_write, visit, write_lines};
use crate::options::Options;
use crate::plot::{Line, Panel, svg};
use crate::product::{Product, bytes_below};
use crate::table::{Spread, Table, mib, rounded, short};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const USERS: [i64; 4] = [1_000, 10_000, 100_000, 1_000_000];
const WEEKS: [i64; 3] = [1, 8, 64];
/// So many that a single piece of sled's file, half a MiB, does not decide.
const USERS_OF_WEEKS: i64 = 2_000;
/// Events that teach nothing new.
const AGAIN: i64 = 200_000;
/// Starts at least; those that are short, where noise counts most, are repeated up to `MOST_STARTS` times within `STARTS_SECS`.
const STARTS: usize = 5;
const MOST_STARTS: usize = 25;
const STARTS_SECS: u64 = 3;
/// As many as users make at most: with the default, 10,000, less of the state would fall to each of a million users than to each
/// of 100,000, and what grows with users would seem to grow with bytes. Weeks have the default: alerts beyond it would only make
/// the payload larger than what memory and starts are about.
const ALL_ALERTS_ARE_KEPT: &str = "[limits]\nmax_alerts_kept = 1000000\n";
/// By how much more than the payload something may grow from one size to the next.
const TOLERANCE: f64 = 1.25;

/// What grows by less from one size to the next is taken for constant: clocks are no better on a busy machine.
const NEXT_TO_NOTHING: f64 = 1.1;

/// What is measured at one size.
#[derive(Clone, Debug)]
struct Point {
    size: i64,
    events: u64,
    /// CPU time of all threads, µs.
    learning_us: f64,
    known_us: f64,
    peak_rss_kib: u64,
    /// Encoded live values, bytes.
    payload: u64,
    /// The database's directory, bytes, when all is learned.
    disk: u64,
    /// The same after the snapshot of a clean stop, when it was written anew if it was mostly waste.
    settled_disk: u64,
    /// The same written anew in any case: without waste, of which there may be as much again.
    pure_disk: u64,
    /// Until it is ready.
    start_ms: Spread,
    /// Until every user and host is in memory, and the CPU time of all threads by then.
    all_there_ms: Spread,
    start_cpu_ms: Spread,
}

/// Points by growing size.
struct Series {
    axis: &'static str,
    points: Vec<Point>,
}

/// Both axes.
pub struct Growth {
    place: &'static str,
    users: Series,
    weeks: Series,
}

/// A figure of a point.
#[derive(Clone, Copy)]
struct Figure {
    name: &'static str,
    of: fn(&Point) -> f64,
    /// In what pieces it grows: less than one more of them says nothing.
    piece: f64,
}

/// What may not grow faster than the payload.
const BOUND: [Figure; 3] = [
    Figure { name: "peak RSS", of: |p| p.peak_rss_kib as f64, piece: 0.0 },
    Figure { name: "CPU time of a start", of: |p| p.start_cpu_ms.median, piece: 0.0 },
    // sled's file grows by segments.
    Figure { name: "database written anew", of: |p| p.pure_disk as f64, piece: 524_288.0 },
];

pub fn measure(options: &Options, product: &Product, bars: &mut Bars) -> Growth {
    let sizes = if options.full { &USERS[..] } else { &USERS[..USERS.len() - 1] };
    let place = options.quick_dir().1;
    let users = sizes.iter().map(|n| point(options, product, "users", *n, |dir| write_users(dir, *n)));
    let users = Series { axis: "users", points: users.collect() };
    let weeks = WEEKS.iter().map(|n| point(options, product, "weeks", *n, |dir| write_weeks(dir, *n)));
    let weeks = Series { axis: "weeks", points: weeks.collect() };
    let growth = Growth { place, users, weeks };
    for series in [&growth.users, &growth.weeks] {
        for figure in BOUND {
            let what =
                format!("growth with {}: {} per byte of payload, from a size to the next", series.axis, figure.name);
            bars.at_most(&what, TOLERANCE, " ×", series.worst_step(figure));
        }
    }
    for figure in BOUND {
        let what =
            format!("growth with users: {} for each further byte of payload, against earlier steps", figure.name);
        bars.at_most(&what, TOLERANCE, " ×", growth.users.worst_bend(figure));
    }
    growth
}

/// Everybody once: a program, a write that trains a model, and every tenth shares a file. Then all of it again.
fn write_users(dir: &Path, users: i64) {
    let line = |i: i64, ms: i64, what: i64| day_of_user(&user(i), ms, what, i % 10 == 0, "setup.exe");
    let first = (0..users).flat_map(|i| (0..3).filter_map(move |what| line(i, MONDAY + i * 20, what)));
    write_lines(&dir.join("learn.cef"), first);
    // Steps through all users in an order that has nothing to do with their names.
    let again = (0..).filter_map(|i| line(i / 3 * 7_919 % users, MONDAY + DAY_MS / 3, i % 3));
    write_lines(&dir.join("again.cef"), again.take(AGAIN as usize));
}

fn user(i: i64) -> String {
    format!("u{i:07}")
}

/// The same in each week: on five days a program, a write by one of five programs, and every tenth shares a file. Then the
/// last day again.
fn write_weeks(dir: &Path, weeks: i64) {
    let line = |day: i64, i: i64, what: i64| {
        let ms = MONDAY + (day - (weeks - 1) * 7) * DAY_MS + i * 1000;
        day_of_user(&user_of_weeks(i), ms, what, i % 10 == 0, &format!("setup{}.exe", day % 7))
    };
    let days = (0..weeks * 7).filter(|day| day % 7 < 5);
    let all = days.flat_map(|day| (0..USERS_OF_WEEKS * 3).filter_map(move |i| line(day, i / 3, i % 3)));
    write_lines(&dir.join("learn.cef"), all);
    let friday = weeks * 7 - 3;
    let again = (0..).filter_map(|i| line(friday, i / 3 % USERS_OF_WEEKS, i % 3));
    write_lines(&dir.join("again.cef"), again.take(AGAIN as usize));
}

fn user_of_weeks(i: i64) -> String {
    format!("u{i:04}")
}

/// One of the three things that somebody does on a day.
fn day_of_user(user: &str, ms: i64, what: i64, shares: bool, program: &str) -> Option<String> {
    match what {
        0 => Some(process(ms, user, "notepad.exe")),
        1 => Some(temp_write(ms, user, program)),
        _ => shares.then(|| visit(ms, user, "dropbox.com")),
    }
}

fn point(options: &Options, product: &Product, axis: &str, size: i64, write: impl Fn(&Path)) -> Point {
    println!("growth: {size} {axis}");
    let who = if axis == "users" { String::new() } else { format!("-of-{USERS_OF_WEEKS}-users") };
    let data = once(&options.work().join(format!("data/growth-{axis}-{size}{who}")), |making| {
        fs::create_dir(making).unwrap();
        write(making);
    });
    let lines = |name: &str| crate::measure::line_count(&data.join(name));
    let (dir, _) = options.quick_dir();
    let site = Site::new(product, &dir.path().join("site"));
    let spool = options.fresh_dir("growth");
    site.reads(&spool);
    if axis == "users" {
        site.configure(ALL_ALERTS_ARE_KEPT);
    }
    let daemon = site.start();
    let per_event = |name: &str| {
        let before = daemon.cpu();
        let link: PathBuf = spool.join(name);
        fs::hard_link(data.join(name), link).unwrap();
        site.wait_for_bytes(whole_lines(&spool));
        (daemon.cpu() - before).as_secs_f64() * 1e6 / lines(name) as f64
    };
    let (learning_us, known_us) = (per_event("learn.cef"), per_event("again.cef"));
    let peak_rss_kib = daemon.peak_rss_kib();
    drop(daemon);
    // Each dies as soon as it is ready: the next one finds what this one found.
    let since = Instant::now();
    let is_enough = |done: usize| done >= STARTS && since.elapsed() > Duration::from_secs(STARTS_SECS);
    let starts = (0..MOST_STARTS).take_while(|done| !is_enough(*done)).map(|_| {
        let daemon = site.start();
        let all_there = site.all_there_after(&daemon);
        [daemon.ready_after, all_there, daemon.cpu()].map(|taken| taken.as_secs_f64() * 1e3)
    });
    let starts: Vec<[f64; 3]> = starts.collect();
    let [start_ms, all_there_ms, start_cpu_ms] = [0, 1, 2].map(|n| Spread::of(starts.iter().map(|taken| taken[n])));
    let disk = bytes_below(&site.at("state/sled"));
    site.start().stop();
    let stats = product.ask(&["state", "stats"], &site.at("state")).unwrap();
    let settled_disk = bytes_below(&site.at("state/sled"));
    // Whoever is forgotten, the database is written anew.
    let somebody = format!("corp\\{}", if axis == "users" { user(0) } else { user_of_weeks(0) });
    product.ask(&["state", "forget", "--user", &somebody, "--yes"], &site.at("state")).unwrap();
    let point = Point {
        size,
        events: lines("learn.cef"),
        learning_us,
        known_us,
        peak_rss_kib,
        payload: stats["payload_bytes"].as_u64().unwrap(),
        disk,
        settled_disk,
        pure_disk: bytes_below(&site.at("state/sled")),
        start_ms,
        all_there_ms,
        start_cpu_ms,
    };
    println!("{point:?}");
    point
}

impl Series {
    fn pairs(&self) -> impl Iterator<Item = (&Point, &Point)> {
        self.points.iter().zip(self.points.iter().skip(1))
    }

    /// By how much a value per byte of payload grows at most, from one size to the next.
    fn worst_step(&self, Figure { of, piece, .. }: Figure) -> f64 {
        let step = |(small, large): (&Point, &Point)| {
            (of(large) - piece) / large.payload as f64 / (of(small) / small.payload as f64)
        };
        self.pairs().map(step).fold(0.0, f64::max)
    }

    /// By how much more at most each further byte of payload adds than it did in an earlier step between sizes: what is
    /// always there cannot hide it. Steps that add next to nothing say nothing.
    fn worst_bend(&self, Figure { of, piece, .. }: Figure) -> f64 {
        let (mut steepest, mut worst) = (f64::INFINITY, 0.0);
        for (small, large) in self.pairs().filter(|(small, large)| of(large) > of(small) * NEXT_TO_NOTHING) {
            let payload = large.payload as f64 - small.payload as f64;
            let added = (of(large) - of(small)) / payload;
            worst = f64::max(worst, (added - piece / payload) / steepest);
            steepest = if steepest.is_finite() { steepest.max(added) } else { added };
        }
        worst
    }

    fn grew(&self, of: fn(&Point) -> f64) -> String {
        let (Some(first), Some(last)) = (self.points.first(), self.points.last()) else { return String::new() };
        format!("{}-fold", short(of(last) / of(first)))
    }

    fn panel(&self, title: &str) -> Panel {
        let line = |name: &str, of: fn(&Point) -> f64| {
            let first = of(&self.points[0]);
            Line { name: name.into(), ys: self.points.iter().map(|p| of(p) / first).collect() }
        };
        let mut lines = vec![line("payload", |p| p.payload as f64)];
        lines.extend(BOUND.map(|figure| line(figure.name, figure.of)));
        lines.push(line("time of a known event", |p| p.known_us));
        Panel {
            title: title.into(),
            x: self.axis.into(),
            xs: self.points.iter().map(|p| p.size as f64).collect(),
            lines,
        }
    }

    fn table(&self, title: &str, head: &'static str) -> Table {
        let row = |p: &Point| {
            vec![
                rounded(p.size as f64),
                short(p.events as f64),
                short(p.learning_us),
                short(p.known_us),
                mib(p.peak_rss_kib),
                mib(p.payload / 1024),
                mib(p.disk / 1024),
                mib(p.settled_disk / 1024),
                mib(p.pure_disk / 1024),
                p.start_ms.to_string(),
                p.all_there_ms.to_string(),
                short(p.start_cpu_ms.median),
            ]
        };
        Table {
            title: title.into(),
            note: String::new(),
            head: vec![
                head,
                "events learned",
                "CPU µs an event, learning",
                "CPU µs an event, known",
                "peak RSS, MiB",
                "payload, MiB",
                "database, MiB",
                "after a snapshot, MiB",
                "written anew, MiB",
                "start, ms",
                "all there, ms",
                "CPU ms until then",
            ],
            rows: self.points.iter().map(row).collect(),
        }
    }
}

impl Growth {
    pub fn plot(&self) -> String {
        let weeks = format!("Weeks of history of {USERS_OF_WEEKS} users");
        let panels = [self.users.panel("Users, a day of history"), self.weeks.panel(&weeks)];
        svg(&panels, "times the value at the smallest size")
    }

    /// Tables and what follows from them.
    pub fn text(&self, options: &Options) -> String {
        let users = self.users.table("Users, a day of history each", "users");
        let weeks = self.weeks.table(&format!("Weeks of history of {USERS_OF_WEEKS} users"), "weeks");
        let note = format!("State on {}. Start: median (smallest–largest) of {STARTS} to {MOST_STARTS}.", self.place);
        format!("{} {note}\n\n{users}{weeks}{}\n", document::machine(options), self.statement())
    }

    /// Whether anything grows faster than the state, from the figures.
    fn statement(&self) -> String {
        let (mut faster, mut said) = (Vec::new(), String::new());
        for series in [&self.users, &self.weeks] {
            let mut parts = Vec::new();
            for figure in BOUND {
                let (name, step, bend) = (figure.name, series.worst_step(figure), series.worst_bend(figure));
                parts.push(format!("{name} {}", series.grew(figure.of)));
                if step > TOLERANCE {
                    faster.push(format!(
                        "{name} per byte of payload, by {} × from one number of {} to the next",
                        short(step),
                        series.axis
                    ));
                }
                if series.axis == "users" && bend > TOLERANCE {
                    faster.push(format!("{name} for each further byte of payload, by {} × with users", short(bend)));
                }
            }
            said += &format!(
                " With {} the payload grows {}, {}, the time of a known event {}.",
                series.axis,
                series.grew(|p| p.payload as f64),
                parts.join(", "),
                series.grew(|p| p.known_us)
            );
        }
        if faster.is_empty() {
            format!("**Nothing grows faster than the state it describes** (tolerance {TOLERANCE} ×).{said}")
        } else {
            let faster = faster.join("; ");
            format!(
                "**Some things grow faster than the state they describe** (tolerance {TOLERANCE} ×): {faster}.{said}"
            )
        }
    }
}
