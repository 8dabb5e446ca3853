//! Truncated files and their copies: what was read is not read again, and what was not is.

use super::*;
use std::sync::atomic::{AtomicBool, Ordering};

#[test]
fn the_unread_tail_of_a_copytruncate_is_read_from_the_copy() {
    for restart in [false, true] {
        let mut b = Bench::new();
        b.write("a.log", lines(0, 3));
        b.settle();
        if restart {
            b.stop();
        }
        b.append("a.log", lines(3, 5));
        b.copytruncate("a.log", "a.log.1");
        b.append("a.log", lines(5, 6));
        b.settle();
        b.after_all_pauses();
        let mut texts = b.taken.texts();
        texts.sort_unstable();
        assert_eq!(texts, names(0, 6), "restart {restart}");
        assert_eq!((b.counters().truncations, b.counters().continued), (1, 1));
        b.restart();
        assert_eq!(b.taken.lines.len(), 6);
    }
}

#[test]
fn a_file_truncated_and_grown_beyond_its_offset_is_read_from_the_start() {
    let mut b = Bench::new();
    b.write("a.log", lines(0, 3));
    b.settle();
    b.write("a.log", lines(100, 120));
    b.settle();
    assert_eq!(b.taken.texts(), [names(0, 3), names(100, 120)].concat());
    // Also when its head is the same for more than the hash covers of it.
    let head: String = (0..1000).map(|i| format!("CEF:same {i}\n")).collect();
    b.write("b.log", format!("{head}{}", lines(200, 300)));
    b.settle();
    b.write("b.log", format!("{head}{}{}", lines(400, 500), lines(500, 600)));
    b.settle();
    let texts = b.taken.texts();
    assert!(texts.contains(&"CEF:400") && texts.contains(&"CEF:599"), "the tail shows it");
}

#[test]
fn a_truncated_file_keeps_generations_apart() {
    let mut b = Bench::new();
    for round in 0..3 {
        b.write("a.log", format!("CEF:round {round}\n"));
        b.settle();
        b.write("a.log", "");
        b.settle();
    }
    assert_eq!(b.taken.texts(), ["CEF:round 0", "CEF:round 1", "CEF:round 2"]);
    let generations: Vec<u32> = b.taken.known.values().map(|p| p.generation).collect();
    assert_eq!(generations, [0, 1, 2]);
    assert!(b.taken.known.values().all(|p| p.gone_since_ms.is_some()));
}

#[test]
fn a_copy_beside_the_original_is_not_read_again() {
    let mut b = Bench::new();
    b.write("a.log", lines(0, 1000));
    b.settle();
    fs::copy(b.path("a.log"), b.path("copy.log")).unwrap();
    b.settle();
    assert_eq!(b.state("copy.log"), Some(FileState::Held));
    b.after_all_pauses();
    assert_eq!(b.taken.lines.len(), 1000);
    // Both go their own ways from there.
    b.append("copy.log", lines(2000, 2001));
    b.append("a.log", lines(1000, 1001));
    b.settle();
    b.after_all_pauses();
    assert_eq!(b.taken.lines.len(), 1002);
}

#[test]
fn a_copy_in_the_making_waits_until_the_original_is_truncated() {
    let mut b = Bench::new();
    let text = lines(0, 3000);
    b.write("a.log", &text);
    b.settle();
    for end in [5000, 9000, text.len()] {
        b.write("a.log.1", &text[..end]);
        b.settle();
        // The original grows meanwhile.
        if end == 9000 {
            b.append("a.log", lines(3000, 3001));
            b.settle();
        }
    }
    b.write("a.log", "");
    b.settle();
    b.after_all_pauses();
    assert_eq!(b.taken.texts(), names(0, 3001));
}

/// Does something as soon as bytes were read and proved to be those of the file, before anything is made of them.
struct AfterReading {
    act: Box<dyn Fn() + Send + Sync>,
    armed: AtomicBool,
}

impl Sniff for AfterReading {
    fn sniff(&self, record: &[u8], csv_by_position: bool) -> Option<Format> {
        Fake.sniff(record, csv_by_position)
    }
    fn is_csv_header(&self, record: &[u8]) -> bool {
        Fake.is_csv_header(record)
    }
    fn record_time(&self, record: &[u8]) -> Option<i64> {
        if self.armed.swap(false, Ordering::Relaxed) {
            (self.act)();
        }
        Fake.record_time(record)
    }
    fn header_mark(&self) -> &[u8] {
        Fake.header_mark()
    }
}

#[test]
fn a_truncation_right_after_reading_does_not_hide_what_was_read() {
    // Few bytes are known by what stands before them, too; a short file by its growing head.
    for first in [10, 1000] {
        let mut b = Bench::new();
        let (from, to) = (b.path("a.log"), b.path("a.log.1"));
        let sniff = Arc::new(AfterReading {
            act: Box::new(move || {
                fs::copy(&from, &to).unwrap();
                fs::write(&from, lines(2000, 2003)).unwrap();
            }),
            armed: AtomicBool::new(false),
        });
        b.sniff = Arc::clone(&sniff) as Arc<dyn Sniff>;
        b.append("a.log", lines(0, first));
        b.settle();
        sniff.armed.store(true, Ordering::Relaxed);
        b.append("a.log", lines(first, first + 20));
        b.settle();
        b.after_all_pauses();
        assert!(b.path("a.log.1").exists());
        assert_eq!(b.taken.texts(), [names(0, first + 20), names(2000, 2003)].concat(), "{first} lines before");
    }
}

/// The copy is found while it is being made; before it is compared with its original, that is truncated, which nobody noticed.
#[test]
fn a_copy_in_the_making_waits_when_its_original_was_just_truncated() {
    for restart in [false, true] {
        let mut b = Bench::new();
        b.write("a.log", lines(0, 1000));
        b.settle();
        let text = lines(0, 1400);
        b.append("a.log", lines(1000, 1400));
        b.settle();
        b.write("a.log.1", &text[..text.len() - 1000]);
        b.live().list_all();
        b.write("a.log", "");
        b.live().step();
        assert_eq!(b.state("a.log.1"), Some(FileState::Held));
        b.settle();
        if restart {
            b.restart();
        }
        assert_eq!(b.state("a.log.1"), Some(FileState::Held), "its original is gone, and more of it is to come");
        b.write("a.log.1", &text);
        b.settle();
        b.append("a.log.1", lines(1400, 1401));
        b.settle();
        b.after_all_pauses();
        assert_eq!(b.taken.texts(), names(0, 1401), "restart {restart}");
        assert_eq!(b.counters().continued, 1);
    }
}

#[test]
fn a_file_that_is_copied_back_slowly_is_read_on() {
    let mut b = Bench::new();
    let text = lines(0, 3000);
    b.write("a.log", &text[..10_000]);
    b.settle();
    b.append("a.log", &text[10_000..]);
    b.settle();
    b.remove("a.log");
    b.settle();
    b.after_all_pauses();
    // Less than a place that is known, more than one, all of it.
    for end in [5000, 12_000] {
        b.write("back.log", &text[..end]);
        b.settle();
        assert_eq!((b.state("back.log"), b.taken.lines.len()), (Some(FileState::Held), 3000), "{end} bytes");
    }
    b.write("back.log", &text);
    b.settle();
    b.append("back.log", lines(3000, 3001));
    b.settle();
    b.after_all_pauses();
    assert_eq!(b.taken.texts(), names(0, 3001));
}

#[test]
fn the_hole_that_a_writer_leaves_after_a_truncation_is_skipped() {
    let mut b = Bench::new();
    b.limits.read_bytes = 4096;
    b.limits.max_line_bytes = 100;
    let file = fs::File::create(b.path("a.log")).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, b"CEF:1\nCEF:2\n", 50_000).unwrap();
    b.settle();
    assert_eq!(b.taken.texts(), names(1, 3));
    assert_eq!(b.taken.refused.len(), 1);
    assert_eq!((b.taken.refused[0].reason, b.taken.refused[0].bytes), (Reject::Binary, 50_000));
}
