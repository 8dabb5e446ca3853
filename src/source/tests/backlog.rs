//! A backlog: read in the order of event time, waited for no longer than needed, and shown as it is.

use super::*;
use crate::calendar::wall_clock_ms;

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;
/// 2023-11-14.
const BEGIN: i64 = 1_700_000_000_000;

/// Records of one file, every few minutes of event time.
fn records(name: &str, from: i64, to: i64, every: i64) -> String {
    (0..).map(|n| from + n * every).take_while(|t| *t < to).map(|t| format!("CEF:{name} t={t}\n")).collect()
}

/// A bench whose readings are small against its files.
fn bench() -> Bench {
    let mut b = Bench::new();
    b.limits.read_bytes = 64;
    b.limits.max_line_bytes = 64;
    b
}

impl Bench {
    fn set_modified(&self, name: &str, ms: i64) {
        let time = std::time::UNIX_EPOCH + Duration::from_millis(ms as u64);
        fs::File::options().append(true).open(self.path(name)).unwrap().set_modified(time).unwrap();
    }
    /// Times of the records in the order in which they were read, with the names that they carry.
    fn read(&self) -> Vec<(String, i64)> {
        let texts = self.taken.texts().into_iter();
        texts
            .map(|t| t.trim_start_matches("CEF:").split_once(" t=").unwrap())
            .map(|(n, t)| (n.to_owned(), t.parse().unwrap()))
            .collect()
    }
    /// By how much reading went back in time at most.
    fn went_back(&self) -> i64 {
        let mut newest = 0;
        let back = |(_, t): (String, i64)| {
            newest = newest.max(t);
            newest - t
        };
        self.read().into_iter().map(back).max().unwrap()
    }
    fn begin(&mut self) {
        self.live().list_all();
    }
    fn step(&mut self) -> bool {
        let more = self.live().step();
        let out = self.live.as_ref().unwrap().1.clone();
        self.taken.drain(&out);
        more
    }
}

#[test]
fn a_truncated_file_is_read_before_its_compressed_copy_that_is_as_old() {
    let mut b = Bench::new();
    b.append("a.log", records("a", BEGIN, BEGIN + HOUR, HOUR / 40));
    b.settle();
    // Truncated, written anew, compressed and added to before anyone looks.
    b.write("a.log", "");
    let anew = records("b", BEGIN + DAY, BEGIN + DAY + HOUR, HOUR / 10);
    b.append("a.log", &anew);
    b.rename("a.log", "a.log.1");
    b.compress("a.log.1", "a.log.1.gz");
    let more = records("c", BEGIN + DAY + HOUR, BEGIN + DAY + 2 * HOUR, HOUR / 10);
    b.append("a.log.1.gz", gz(more.as_bytes()));
    b.settle();
    b.after_all_pauses();
    let read: Vec<String> = b.read().into_iter().skip(40).map(|(name, t)| format!("CEF:{name} t={t}\n")).collect();
    assert_eq!(read.concat(), anew + &more, "each once, in order");
}

/// Two plain files over the same week, one file a day of a third collector (some compressed), times of modification that
/// tell nothing.
fn week(b: &Bench) -> usize {
    let mut lines = 0;
    let mut write = |name: &str, from: i64, to: i64, every: i64| {
        let text = records(name, from, to, every);
        lines += text.lines().count();
        b.write(name, text);
    };
    write("z-first.log", BEGIN, BEGIN + 7 * DAY, HOUR / 20);
    write("a-second.log", BEGIN + HOUR / 2, BEGIN + 7 * DAY, HOUR / 7);
    for day in 0..7 {
        let name = format!("d.log.{}", 7 - day);
        write(&name, BEGIN + day * DAY, BEGIN + (day + 1) * DAY, HOUR / 11);
        b.set_modified(&name, BEGIN + 30 * DAY - day * DAY);
    }
    b.compress("d.log.7", "d.log.7.gz");
    b.compress("d.log.4", "d.log.4.zst");
    b.set_modified("z-first.log", BEGIN + 90 * DAY);
    lines
}

#[test]
fn files_that_overlap_are_read_in_the_order_of_event_time() {
    for late_days in [0, 3] {
        let mut b = bench();
        b.late_days = late_days;
        let lines = week(&b);
        b.settle();
        let read = b.read();
        assert_eq!(read.len(), lines);
        // A compressed file is decoded in one go: the others fall behind it by its length, a day here.
        let near = |t: i64, day: i64| (BEGIN + day * DAY - 2 * HOUR..BEGIN + (day + 1) * DAY).contains(&t);
        let compressed = |t: i64| near(t, 0) || near(t, 3);
        let mut newest = 0;
        for (name, t) in &read {
            let allowed = if compressed(*t) { DAY + 2 * HOUR } else { HOUR + HOUR / 2 };
            assert!(newest - t <= allowed, "{name}: {t} was read {} min after it was over", (newest - t) / 60_000);
            newest = newest.max(*t);
        }
    }
}

#[test]
fn the_order_holds_over_kills() {
    let mut b = bench();
    let lines = week(&b);
    for _ in 0..12 {
        b.settle_and_kill(9);
    }
    assert!(b.taken.lines.len() < lines);
    b.settle();
    assert_eq!(b.read().len(), lines);
    assert!(b.went_back() <= DAY, "back by {} hours", b.went_back() / HOUR);
}

#[test]
fn a_record_of_a_wrong_clock_moves_no_file() {
    let mut b = bench();
    for (name, wrong) in [("a", BEGIN + 900 * DAY), ("b", BEGIN - 900 * DAY)] {
        let right = records(name, BEGIN, BEGIN + 6 * DAY, HOUR / 30);
        let with_wrong = |(i, line): (usize, &str)| match i % 4 {
            1 => format!("CEF:wrong t={wrong}\n"),
            _ => format!("{line}\n"),
        };
        b.write(&format!("{name}.log"), right.lines().enumerate().map(with_wrong).collect::<String>());
    }
    b.settle();
    let mut newest = 0;
    for (name, t) in b.read().into_iter().filter(|(name, _)| name != "wrong") {
        assert!(newest - t <= 2 * HOUR, "{name} fell behind by {} hours", (newest - t) / HOUR);
        newest = newest.max(t);
    }
}

#[test]
fn a_live_file_waits_for_a_backlog_that_appears_until_it_is_within_late_days() {
    let mut b = bench();
    let live = |n: i64| format!("CEF:live t={}\n", BEGIN + 7 * DAY + n);
    b.write("live.log", live(0));
    b.settle();
    for day in 0..7 {
        b.write(&format!("{day}.log"), records("old", BEGIN + day * DAY, BEGIN + (day + 1) * DAY, HOUR / 60));
    }
    b.append("live.log", live(1));
    b.begin();
    b.step();
    assert_eq!(b.state("live.log"), Some(FileState::Later), "{:?}", b.status.snapshot());
    assert_eq!(b.state("6.log"), Some(FileState::Later));
    assert_eq!(b.state("1.log"), Some(FileState::Reading), "it is next, and waits for nobody");
    let live_bytes = live(1).len() as u64;
    assert!(b.status.snapshot().files.iter().any(|f| f.path.ends_with("live.log") && f.lag_bytes == live_bytes));
    while b.step() {}
    let read = b.read();
    let at = read.iter().rposition(|(name, _)| name == "live").unwrap();
    let before = read[..at].iter().filter(|(name, _)| name == "old").map(|(_, t)| *t).max().unwrap();
    assert!(
        before >= BEGIN + 4 * DAY + HOUR - HOUR / 10,
        "read when the backlog was at hour {}",
        (before - BEGIN) / HOUR
    );
    assert!(before <= BEGIN + 5 * DAY, "within late_days it takes turns: hour {}", (before - BEGIN) / HOUR);
    assert_eq!(b.state("live.log"), Some(FileState::Waiting));
}

#[test]
fn a_file_that_was_found_before_its_next_line_was_whole_is_read_in_its_place_once_it_is() {
    let old = |day: i64| records("old", BEGIN + day * DAY, BEGIN + (day + 1) * DAY, HOUR / 10);
    // One that is followed, a new one, and a compressed one.
    let late = [("2.log", old(2).into_bytes()), ("3.log", old(3).into_bytes()), ("4.log.gz", gz(old(4).as_bytes()))];
    // Without a part of a line, the first was caught up with: as a live file it is read up to `late_days` ahead of others.
    for (at_first, bound) in [(0, 2 * DAY), (5, 2 * HOUR)] {
        let mut b = bench();
        b.write("2.log", old(-1));
        b.settle();
        b.stop();
        late.iter().for_each(|(name, bytes)| b.append(name, &bytes[..at_first]));
        [0, 1, 5, 6].iter().for_each(|day| b.write(&format!("{day}.log"), old(*day)));
        b.begin();
        b.step();
        late.iter().for_each(|(name, bytes)| b.append(name, &bytes[at_first..]));
        b.begin();
        while b.step() {}
        assert_eq!(b.read().len(), 8 * 240);
        assert!(b.went_back() <= bound, "{at_first} bytes at first: back by {} hours", b.went_back() / HOUR);
    }
}

#[test]
fn a_new_file_of_the_present_is_live_once_the_present_was_reached() {
    let now = wall_clock_ms();
    for (age, waits) in [(2 * DAY, false), (20 * DAY, true)] {
        let mut b = bench();
        b.write("live.log", format!("CEF:live t={now}\n"));
        b.settle();
        b.write("archive.log", records("old", now - age, now - age + DAY, HOUR / 60));
        b.begin();
        b.step();
        b.write("live.new", format!("CEF:new t={now}\n"));
        b.begin();
        while b.step() {}
        let read = b.read();
        let at = read.iter().position(|(name, _)| name == "new").unwrap();
        assert_eq!(at == read.len() - 1, waits, "read after {at} of {} records", read.len());
    }
}

#[test]
fn what_cannot_be_read_now_holds_nobody_up() {
    let mut b = bench();
    let old = |day: i64| records("old", BEGIN - day * DAY, BEGIN - day * DAY + DAY, HOUR / 60);
    let whole = gz(old(100).as_bytes());
    b.write("half.gz", &whole[..whole.len() / 2]);
    b.write("broken.gz", b"\x1f\x8b\x08nothing of the kind");
    b.write("empty.log", "");
    b.write("open.log", "CEF: no line end");
    b.write("copied.log", old(90));
    b.settle();
    b.write("copy.log", &old(90)[..9000]);
    let before = b.read().len();
    b.append("live.log", format!("CEF:live t={}\n", BEGIN));
    b.settle();
    assert_eq!(b.read()[before..], [("live".to_owned(), BEGIN)]);
    assert_eq!(b.state("half.gz"), Some(FileState::Incomplete));
    assert_eq!(b.state("copy.log"), Some(FileState::Held));
    assert_eq!(b.status.snapshot().oldest_unread_ms, None);
}

#[test]
fn a_file_that_lags_and_grows_for_ever_holds_nobody_up_for_ever() {
    let mut b = bench();
    let mut t = BEGIN;
    let mut more = |b: &Bench| {
        b.append("behind.log", records("behind", t, t + HOUR, HOUR / 6000));
        t += HOUR;
    };
    b.write("live.log", format!("CEF:live t={}\n", BEGIN + 90 * DAY));
    b.settle();
    more(&b);
    b.append("live.log", format!("CEF:live t={}\n", BEGIN + 90 * DAY + 1));
    for _ in 0..20 {
        b.begin();
        b.step();
        b.step();
        more(&b);
    }
    assert_eq!(b.read().iter().filter(|(name, _)| name == "live").count(), 2);
}

#[test]
fn compressed_files_that_overlap_are_read_one_after_the_other() {
    let mut b = bench();
    for (name, from) in [("a", BEGIN), ("b", BEGIN + HOUR)] {
        b.write(&format!("{name}.gz"), gz(records(name, from, from + 2 * DAY, HOUR / 100).as_bytes()));
    }
    b.begin();
    let steps = (0..1000).take_while(|_| b.step()).count();
    assert!(steps < 1000, "no end in sight after {} records", b.taken.lines.len());
    let names: String = b.read().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, "a".repeat(4800) + &"b".repeat(4800));
}

#[test]
fn files_without_readable_times_go_by_their_modification_and_are_all_read() {
    let mut b = bench();
    let now = wall_clock_ms();
    for (name, modified) in [("future", now + 9000 * DAY), ("epoch", 0), ("recent", BEGIN + DAY)] {
        b.write(&format!("{name}.log"), format!("{name} t=\n").repeat(3));
        b.set_modified(&format!("{name}.log"), modified);
    }
    b.write("dated.log", format!("CEF:dated t={BEGIN}\n"));
    b.settle();
    let names: Vec<&str> = b.taken.lines.iter().map(|(file, _)| file.as_str()).collect();
    let expected = ["epoch.log", "dated.log", "recent.log", "future.log"];
    assert_eq!(
        names.iter().step_by(1).fold(Vec::new(), |mut all: Vec<&str>, n| {
            if all.last() != Some(n) {
                all.push(n);
            }
            all
        }),
        expected
    );
}

#[test]
fn the_lag_shrinks_at_every_step() {
    let mut b = bench();
    week(&b);
    b.begin();
    let all: u64 = fs::read_dir(&b.spool.path).unwrap().map(|e| e.unwrap().metadata().unwrap().len()).sum();
    let first = b.status.snapshot();
    assert!(first.surveyed);
    assert_eq!(first.pending_bytes(), all, "everything is known after one listing");
    let (mut bytes, mut oldest, mut later) = (all, i64::MIN, usize::MAX);
    while b.step() {
        let now = b.status.snapshot();
        assert!(now.pending_bytes() <= bytes, "{} bytes after {bytes}", now.pending_bytes());
        let waiting = now.files.iter().filter(|f| f.state == FileState::Later).count();
        assert!(waiting <= later, "{waiting} files wait after {later}");
        if let Some(at) = now.oldest_unread_ms {
            assert!(at >= oldest, "{at} after {oldest}");
            oldest = at;
        }
        (bytes, later) = (now.pending_bytes(), waiting);
    }
    assert_eq!((bytes, later, b.status.snapshot().oldest_unread_ms), (0, 0, None));
    assert!(oldest > BEGIN + 6 * DAY);
}
