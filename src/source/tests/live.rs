//! Following a spool: the faults that happen to log files, one a test, driven by hand.

use super::*;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;

#[test]
fn a_line_arrives_once_however_it_is_written() {
    let mut b = Bench::new();
    let text = "CEF:1 äöü\r\nCEF:2\nCEF:€\n";
    for byte in text.as_bytes() {
        b.append("a.log", [*byte]);
        b.settle();
    }
    assert_eq!(b.taken.texts(), ["CEF:1 äöü", "CEF:2", "CEF:€"]);
    let p = b.taken.known.values().next().unwrap();
    assert_eq!((p.offset, p.lines, p.format), (text.len() as u64, 3, Some(Format::Cef)));
    assert_eq!(b.taken.batches.iter().map(|x| x.line).collect::<Vec<_>>(), [1, 2, 3]);
}

#[test]
fn a_line_without_newline_waits_also_over_a_restart() {
    let mut b = Bench::new();
    b.write("a.log", "CEF:1\nCEF:2");
    b.settle();
    b.restart();
    b.after_all_pauses();
    assert_eq!(b.taken.texts(), ["CEF:1"]);
    b.append("a.log", "2\n");
    b.settle();
    assert_eq!(b.taken.texts(), ["CEF:1", "CEF:22"]);
}

#[test]
fn rename_rotation_reads_the_old_file_on() {
    let mut b = Bench::new();
    b.write("a.log", lines(0, 3));
    b.settle();
    b.rename("a.log", "a.log.1");
    b.append("a.log.1", lines(3, 5));
    b.write("a.log", lines(100, 102));
    b.settle();
    b.append("a.log.1", lines(5, 6));
    b.append("a.log", lines(102, 103));
    b.settle();
    let mut texts = b.taken.texts();
    texts.sort_unstable_by_key(|t| t[4..].parse::<u32>().unwrap());
    assert_eq!(texts, [names(0, 6), names(100, 103)].concat());
    assert_eq!(b.counters().rotations, 1);
    assert_eq!(b.taken.known.len(), 2);
    b.restart();
    assert_eq!(b.taken.lines.len(), 9);
}

#[test]
fn rotation_while_the_agent_is_down_loses_and_repeats_nothing() {
    let mut b = Bench::new();
    b.write("a.log", lines(0, 3));
    b.settle();
    b.stop();
    b.append("a.log", lines(3, 4));
    b.rename("a.log", "a.log.1");
    b.write("a.log", lines(4, 6));
    b.settle();
    assert_eq!(b.taken.texts(), names(0, 6));
}

#[test]
fn an_inode_used_again_is_a_new_file() {
    for down in [false, true] {
        let mut b = Bench::new();
        b.write("a.log", lines(0, 3));
        b.settle();
        if down {
            b.stop();
        }
        // Another name and other bytes under the same inode, as when a deleted file's inode is given to the next one.
        b.rename("a.log", "b.log");
        b.write("b.log", lines(10, 20));
        b.settle();
        assert_eq!(b.taken.texts(), [names(0, 3), names(10, 20)].concat(), "down {down}");
        assert_eq!(b.taken.known.len(), 2);
        b.restart();
        assert_eq!(b.taken.lines.len(), 13);
    }
}

#[test]
fn a_replaced_file_is_read_from_the_start() {
    let mut b = Bench::new();
    b.write("a.log", lines(0, 3));
    b.settle();
    b.write(".new", lines(10, 20));
    b.rename(".new", "a.log");
    b.settle();
    assert_eq!(b.taken.texts(), [names(0, 3), names(10, 20)].concat());
    b.after_all_pauses();
    b.restart();
    assert_eq!(b.taken.lines.len(), 13);
}

#[test]
fn files_with_the_same_csv_header_are_different_files() {
    let mut b = Bench::new();
    b.write("a.csv", format!("{HEADER}\n"));
    b.settle();
    b.write("b.csv", format!("{HEADER}\n"));
    b.settle();
    b.append("b.csv", "b1,u,d,l\n");
    b.settle();
    b.append("a.csv", "a1,u,d,l\n");
    b.write("c.csv", format!("{HEADER}\nc1,u,d,l\n"));
    b.settle();
    b.after_all_pauses();
    let rows: Vec<&str> = b.taken.texts().into_iter().filter(|t| *t != HEADER).collect();
    assert_eq!(rows, ["b1,u,d,l", "a1,u,d,l", "c1,u,d,l"]);
    for batch in b.taken.batches.iter().filter(|x| !x.data.is_empty()) {
        assert_eq!(batch.header.as_deref(), Some(HEADER.as_bytes()));
        assert_eq!(batch.leading_header, batch.data.starts_with(HEADER.as_bytes()));
    }
}

#[test]
fn the_csv_header_is_in_force_after_a_restart() {
    let mut b = Bench::new();
    b.write("a.csv", format!("{HEADER}\na1,u,d,l\n"));
    b.settle();
    b.restart();
    b.append("a.csv", "a2,\"u\nu\",d,l\n");
    b.settle();
    let last = b.taken.batches.last().unwrap();
    assert_eq!((last.format, last.header.as_deref()), (Some(Format::Csv), Some(HEADER.as_bytes())));
    assert!(!last.leading_header);
    assert_eq!(last.line, 3);
}

#[test]
fn tiny_and_empty_files_are_read_as_soon_as_they_hold_a_line() {
    let mut b = Bench::new();
    b.write("empty.log", "");
    b.write("one.log", "C");
    b.write("newline.log", "\n");
    b.settle();
    b.append("one.log", "EF:1\n");
    b.append("empty.log", "CEF:2\n");
    b.settle();
    let mut texts = b.taken.texts();
    texts.sort_unstable();
    assert_eq!(texts, ["", "CEF:1", "CEF:2"]);
}

#[test]
fn a_file_deleted_while_open_is_read_to_its_end_with_its_last_line() {
    let mut b = Bench::new();
    b.write("a.log", lines(0, 2));
    b.settle();
    b.append("a.log", "CEF:2\nCEF:3");
    b.remove("a.log");
    b.settle();
    assert_eq!(b.taken.texts(), names(0, 3));
    b.after_all_pauses();
    assert_eq!(b.taken.texts(), names(0, 4));
    assert_eq!(b.counters().vanished_before_end, 0);
    assert!(b.taken.known.values().all(|p| p.gone_since_ms.is_some()));
}

#[test]
fn positions_of_vanished_files_are_forgotten_in_time() {
    let mut b = Bench::new();
    b.write("a.log", lines(0, 2));
    b.settle();
    b.remove("a.log");
    b.settle();
    b.after_all_pauses();
    assert_eq!(b.taken.known.len(), 1);
    b.limits.forget_gone_hours = 1;
    let now = crate::calendar::wall_clock_ms();
    for (age_ms, kept) in [(3_500_000, 1), (3_700_000, 0)] {
        for p in b.taken.known.values_mut() {
            p.gone_since_ms = Some(now - age_ms);
        }
        b.restart();
        assert_eq!(b.taken.known.len(), kept, "{age_ms}");
    }
    assert_eq!(b.counters().forgotten, 1);
}

#[test]
fn a_clock_that_is_set_makes_no_vanished_file_look_long_gone() {
    let mut b = Bench::new();
    b.write("a.log", lines(0, 1000));
    b.settle();
    b.remove("a.log");
    b.settle();
    b.after_all_pauses();
    const DAY_MS: i64 = 86_400_000;
    for set_by_ms in [366 * DAY_MS, 365 * DAY_MS, 0, -2 * DAY_MS, -2 * DAY_MS + 3_600_000, 0] {
        b.live().clock.set_by_ms = set_by_ms;
        b.settle();
        let gone_since = b.taken.known.values().next().and_then(|p| p.gone_since_ms).expect("the position is kept");
        let ago_ms = crate::calendar::wall_clock_ms() + set_by_ms - gone_since;
        assert!((0..60_000).contains(&ago_ms), "gone for {ago_ms} ms with the clock set by {set_by_ms}");
    }
    // Read once all the same.
    b.write("a.log.1.gz", gz(lines(0, 1000).as_bytes()));
    b.settle();
    assert_eq!(b.taken.lines.len(), 1000);
}

#[test]
fn only_regular_files_are_read_and_hard_links_once() {
    let mut b = Bench::new();
    b.write("a.log", lines(0, 2));
    fs::hard_link(b.path("a.log"), b.path("b.log")).unwrap();
    b.write("../outside.log", "CEF:outside\n");
    symlink(b.path("../outside.log"), b.path("link.log")).unwrap();
    fs::create_dir(b.path("sub.log")).unwrap();
    fs::write(b.path("sub.log/c.log"), "CEF:sub\n").unwrap();
    let _socket = UnixListener::bind(b.path("socket.log")).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, b.path("fifo.log"), rustix::fs::Mode::from_raw_mode(0o600)).unwrap();
    b.write("x.tmp", "CEF:tmp\n");
    b.write(".hidden", "CEF:hidden\n");
    b.settle();
    b.append("b.log", lines(2, 3));
    b.settle();
    b.after_all_pauses();
    assert_eq!(b.taken.texts(), names(0, 3));
    assert_eq!(b.counters().rotations, 0, "a second name is no new name");
    b.rename("x.tmp", "x.log");
    b.settle();
    assert_eq!(b.taken.texts().last(), Some(&"CEF:tmp"));
}

#[test]
fn refused_files_are_never_read() {
    let mut b = Bench::new();
    b.refuse_files = vec![b.path("alerts.jsonl")];
    b.write("alerts.jsonl", "CEF:feedback\n");
    b.write("a.log", lines(0, 1));
    b.settle();
    assert_eq!(b.taken.texts(), names(0, 1));
}

#[test]
fn a_missing_directory_is_waited_for_and_followed_again() {
    let mut b = Bench::new();
    let dir = b.spool.path.clone();
    let away = b.dir.path().join("away");
    fs::remove_dir(&dir).unwrap();
    b.settle();
    b.settle();
    assert_eq!(b.counters().missing_directories, 1, "said once");
    assert!(b.status.snapshot().spools[0].missing.is_some());
    fs::create_dir(&dir).unwrap();
    b.write("a.log", lines(0, 2));
    b.settle();
    assert!(b.status.snapshot().spools[0].missing.is_none());
    // An unmounted spool is not a deleted one.
    fs::rename(&dir, &away).unwrap();
    b.settle();
    b.after_all_pauses();
    assert_eq!(b.taken.known.values().next().unwrap().gone_since_ms, None);
    b.restart();
    assert_eq!(b.taken.known.values().next().unwrap().gone_since_ms, None);
    fs::rename(&away, &dir).unwrap();
    b.append("a.log", lines(2, 3));
    b.settle();
    assert_eq!(b.taken.texts(), names(0, 3));
}

#[test]
fn an_unreadable_file_is_tried_again_and_does_not_stop_the_others() {
    if rustix::process::geteuid().is_root() {
        let why = b"SKIP an_unreadable_file_is_tried_again_and_does_not_stop_the_others: root may read everything\n";
        std::io::stderr().write_all(why).unwrap();
        return;
    }
    let mut b = Bench::new();
    b.write("a.log", lines(0, 1));
    b.write("b.log", lines(1, 2));
    fs::set_permissions(b.path("a.log"), fs::Permissions::from_mode(0o000)).unwrap();
    b.settle();
    assert_eq!(b.taken.texts(), names(1, 2));
    assert_eq!(b.state("a.log"), Some(FileState::Unreadable));
    fs::set_permissions(b.path("a.log"), fs::Permissions::from_mode(0o600)).unwrap();
    b.settle();
    assert_eq!(b.taken.lines.len(), 2);
}

#[test]
fn a_backlog_is_read_oldest_first_and_whole_files_at_a_time() {
    let mut b = Bench::new();
    b.limits.read_bytes = 64;
    b.limits.max_line_bytes = 64;
    for (name, age, from) in [("c.log", 30, 0), ("a.log", 20, 5000), ("b.log", 10, 10_000)] {
        b.write(name, lines(from, from + 5000));
        let time = std::time::SystemTime::now() - Duration::from_secs(age);
        fs::File::options().append(true).open(b.path(name)).unwrap().set_modified(time).unwrap();
    }
    b.settle();
    assert_eq!(b.taken.texts(), names(0, 15_000));
}

#[test]
fn a_large_file_does_not_starve_a_small_one() {
    let mut b = Bench::new();
    b.limits.read_bytes = 64;
    b.limits.max_line_bytes = 64;
    b.write("a.log", lines(0, 1));
    b.settle();
    b.append("a.log", lines(1, 20_000));
    b.write("b.log", lines(50_000, 50_001));
    b.settle();
    let texts = b.taken.texts();
    assert_eq!(texts.len(), 20_001);
    assert!(texts.iter().position(|t| *t == "CEF:50000").unwrap() < 15_000);
}

#[test]
fn two_thousand_files_are_read_with_few_descriptors() {
    let mut b = Bench::new();
    b.limits.max_open_files = 64;
    for i in 0..2000 {
        b.write(&format!("{i}.log"), format!("CEF:{i} a\n"));
    }
    b.settle();
    assert_eq!(b.taken.lines.len(), 2000);
    for i in 0..2000 {
        b.append(&format!("{i}.log"), format!("CEF:{i} b\n"));
    }
    b.settle();
    assert!(b.live().open_files() <= 64);
    assert_eq!(b.taken.lines.len(), 4000);
    b.restart();
    b.after_all_pauses();
    assert_eq!(b.taken.lines.len(), 4000);
}

#[test]
fn reserved_space_is_read_when_it_is_filled() {
    let mut b = Bench::new();
    let mut bytes = lines(0, 2).into_bytes();
    bytes.resize(100_000, 0);
    b.write("a.log", &bytes);
    b.settle();
    assert_eq!(b.taken.texts(), names(0, 2));
    let more = lines(0, 4);
    bytes[..more.len()].copy_from_slice(more.as_bytes());
    let file = fs::OpenOptions::new().write(true).open(b.path("a.log")).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, &bytes, 0).unwrap();
    b.settle();
    assert_eq!(b.taken.texts(), names(0, 4));
    assert!(b.taken.refused.is_empty());
}

#[test]
fn an_over_long_line_is_skipped_with_bounded_memory() {
    let mut b = Bench::new();
    b.limits.read_bytes = 4096;
    b.limits.max_line_bytes = 100;
    b.write("a.log", "CEF:1\n");
    b.settle();
    for _ in 0..50 {
        b.append("a.log", "x".repeat(1000));
        b.settle();
    }
    assert_eq!(b.taken.known.values().next().unwrap().offset, 6, "not moved past a record that is not over");
    b.append("a.log", "x\nCEF:2\n");
    b.settle();
    assert_eq!(b.taken.texts(), names(1, 3));
    assert_eq!((b.taken.refused[0].reason, b.taken.refused[0].bytes), (Reject::TooLong, 50_002));
    assert_eq!(b.taken.batches.last().unwrap().line, 3);
    assert!(b.taken.batches.iter().all(|x| x.data.len() < 10_000));
}

#[test]
fn bytes_read_are_bytes_consumed_and_pending() {
    let mut b = Bench::new();
    b.write("a.log", "CEF:1\nCEF:2\npending");
    b.write("b.log", "junk\n");
    b.settle();
    let s = b.status.snapshot();
    assert_eq!((s.consumed_bytes, s.pending_bytes()), (17, 7));
    assert_eq!(s.files.iter().map(|f| f.size).sum::<u64>(), 24);
    let json = serde_json::to_string(&s).unwrap();
    assert_eq!(serde_json::from_str::<SourceSnapshot>(&json).unwrap(), s);
}

#[test]
fn a_fixed_format_is_not_guessed() {
    let mut b = Bench::new();
    b.spool.format = FormatSetting::Csv;
    b.write("a.csv", "a,\"b\nc\"\nCEF:1\n");
    b.settle();
    assert_eq!(b.taken.batches.len(), 1);
    assert_eq!(b.taken.batches[0].format, Some(Format::Csv));
    assert_eq!(b.taken.batches[0].data, b"a,\"b\nc\"\nCEF:1\n");
}
