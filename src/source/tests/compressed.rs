//! Compressed and UTF-16 files in a followed spool.

use super::*;

#[test]
fn a_rotated_and_compressed_file_is_read_once_with_its_unread_tail() {
    for end in ["gz", "zst"] {
        for down in [false, true] {
            let mut b = Bench::new();
            b.write("a.log", lines(0, 2000));
            b.settle();
            b.rename("a.log", "a.log.1");
            b.append("a.log", lines(5000, 5001));
            b.settle();
            if down {
                b.stop();
            }
            b.append("a.log.1", lines(2000, 2010));
            b.compress("a.log.1", &format!("a.log.2.{end}"));
            b.settle();
            b.after_all_pauses();
            let mut texts = b.taken.texts();
            texts.sort_unstable_by_key(|t| t[4..].parse::<u32>().unwrap());
            assert_eq!(texts, [names(0, 2010), names(5000, 5001)].concat(), "{end} {down}");
            assert_eq!(b.taken.known.values().filter(|p| p.gone_since_ms.is_none()).count(), 2);
            b.restart();
            b.rename(&format!("a.log.2.{end}"), &format!("a.log.3.{end}"));
            b.settle();
            assert_eq!(b.taken.lines.len(), 2011);
        }
    }
}

#[test]
fn a_compressed_file_beside_its_original_is_the_same_file() {
    let mut b = Bench::new();
    b.write("a.log", lines(0, 2000));
    b.write("a.log.gz", gz(lines(0, 2000).as_bytes()));
    b.settle();
    b.after_all_pauses();
    assert_eq!(b.taken.texts(), names(0, 2000));
}

#[test]
fn a_compressed_file_that_is_still_being_written_is_read_when_it_is_whole() {
    let text: String = (0..20_000).map(|i| format!("CEF:{i} {}\n", (i * 7919) % 104_729)).collect();
    let expected: Vec<&str> = text.lines().collect();
    for raw in [gz(text.as_bytes()), zstd::encode_all(text.as_bytes(), 3).unwrap()] {
        let mut b = Bench::new();
        for cut in [3, raw.len() / 3, raw.len() / 2, raw.len() - 1] {
            b.write("new", &raw[..cut]);
            // Written in place, so that it is the same file that grows.
            let file = fs::OpenOptions::new().write(true).create(true).truncate(false).open(b.path("a")).unwrap();
            std::os::unix::fs::FileExt::write_all_at(&file, &raw[..cut], 0).unwrap();
            b.remove("new");
            b.after_all_pauses();
        }
        assert_eq!(b.state("a"), Some(FileState::Incomplete));
        b.restart();
        b.write("a", &raw);
        b.after_all_pauses();
        assert_eq!(b.taken.texts(), expected);
        assert_eq!(b.state("a"), Some(FileState::Waiting));
        assert_eq!(b.status.snapshot().pending_bytes(), 0);
    }
}

/// Taken for a file of its own, what it has so far would be judged again.
#[test]
fn half_a_compressed_file_beside_its_original_is_waited_for_longer_than_a_copy() {
    let mut b = Bench::new();
    b.write("a.log", lines(0, 200));
    b.settle();
    let whole = gz(lines(0, 200).as_bytes());
    b.write("a.log.gz", &whole[..whole.len() / 2]);
    b.settle();
    let hold = b.live().timing.hold;
    b.after(hold);
    b.after(hold);
    assert_eq!(b.state("a.log.gz"), Some(FileState::Incomplete));
    b.append("a.log.gz", &whole[whole.len() / 2..]);
    b.after_all_pauses();
    assert_eq!(b.taken.texts(), names(0, 200));
}

#[test]
fn a_member_appended_later_is_read_also_when_the_agent_was_down() {
    for down in [false, true] {
        let mut b = Bench::new();
        b.write("a.gz", gz(lines(0, 100).as_bytes()));
        b.settle();
        if down {
            b.stop();
        }
        b.append("a.gz", gz(lines(100, 200).as_bytes()));
        b.after_all_pauses();
        assert_eq!(b.taken.texts(), names(0, 200));
        assert_eq!(b.taken.known.len(), 1);
    }
}

#[test]
fn a_bomb_is_stopped_and_said() {
    let mut b = Bench::new();
    b.limits.max_expansion = 10;
    let text = "CEF:1 aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n".repeat(100_000);
    b.write("bomb.zst", zstd::encode_all(text.as_bytes(), 3).unwrap());
    b.write("a.log", "CEF:2\n");
    b.settle();
    b.after_all_pauses();
    assert_eq!(b.state("bomb.zst"), Some(FileState::TooLarge));
    assert_eq!(b.counters().too_large, 1);
    assert!(b.taken.lines.len() < 20_000);
    assert!(b.taken.texts().contains(&"CEF:2"));
}

#[test]
fn a_corrupt_file_is_read_as_far_as_it_goes() {
    let mut b = Bench::new();
    let mut raw = gz(lines(0, 1000).as_bytes());
    raw.extend_from_slice(b"trailing garbage");
    b.write("a.gz", &raw);
    b.write("b.gz", b"\x1f\x8b\x08nothing of the kind follows here");
    b.settle();
    b.after_all_pauses();
    assert_eq!(b.taken.texts(), names(0, 1000));
    assert_eq!((b.state("a.gz"), b.state("b.gz")), (Some(FileState::Corrupt), Some(FileState::Corrupt)));
}

#[test]
fn utf16_files_are_followed_and_their_offsets_are_of_the_text() {
    let mut b = Bench::new();
    let units = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    b.write("a.csv", [&[0xff, 0xfe][..], &units(&format!("{HEADER}\r\n1,ü,d,l\r\n2,u"))].concat());
    b.settle();
    b.restart();
    b.append("a.csv", units(",d,l\r\n"));
    b.after_all_pauses();
    assert_eq!(b.taken.texts(), [HEADER, "1,ü,d,l", "2,u,d,l"]);
    let p = b.taken.known.values().next().unwrap();
    assert_eq!(p.offset, (HEADER.len() + 2 + 10 + 9) as u64);
}

#[test]
fn a_compressed_file_with_many_readings_keeps_every_line() {
    let mut b = Bench::new();
    b.limits.read_bytes = 10_000;
    b.limits.max_line_bytes = 5_000;
    let text: String = (0..30_000).map(|i| format!("CEF:{i} {}\n", "y".repeat(i % 97))).collect();
    b.write("a.gz", gz(text.as_bytes()));
    b.write("b.zst", zstd::encode_all(text.replace("CEF:", "CEF:b").as_bytes(), 3).unwrap());
    b.append("c.log", lines(0, 10));
    b.settle();
    let of = |end: &str| b.taken.lines.iter().filter(|(f, _)| f == end).map(|(_, l)| l.as_str()).collect::<String>();
    assert_eq!(of("a.gz"), text);
    assert_eq!(of("b.zst"), text.replace("CEF:", "CEF:b"));
}
