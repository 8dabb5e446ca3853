//! Rotation, restarts, torn lines and failing disks. No test waits.

use super::super::recall::COPIES;
use super::super::samples::{agent, batch, id};
use super::*;
use crate::config::AlertFormat;
use proptest::prelude::*;
use std::collections::VecDeque;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

struct Place {
    dir: tempfile::TempDir,
    settings: FileSinkSettings,
}

fn place(format: AlertFormat) -> Place {
    let dir = tempfile::tempdir().unwrap();
    let settings = FileSinkSettings { path: dir.path().join("alerts"), format, ..FileSinkSettings::default() };
    Place { dir, settings }
}

impl Place {
    fn path(&self) -> &Path {
        &self.settings.path
    }
    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
    fn sink(&self, resume: Option<FileMark>) -> FileSink {
        let mut sink = FileSink::new(self.settings.clone(), agent(), resume);
        let _ = sink.probe();
        sink.prepare();
        sink
    }
    /// Whatever was written was written at the same moment: file systems measure time in ticks.
    fn stop_the_clock(&self) {
        for entry in std::fs::read_dir(self.dir.path()).unwrap() {
            let file = File::options().write(true).open(entry.unwrap().path()).unwrap();
            file.set_modified(std::time::UNIX_EPOCH).unwrap();
        }
    }
    /// Ids of the whole lines of a file; `None` for what is no whole line.
    fn ids(&self, path: &Path) -> Vec<Option<u64>> {
        let text = std::fs::read_to_string(path).unwrap();
        assert!(text.is_empty() || text.ends_with('\n'), "the last line has no end: {text}");
        text.lines().map(id_of).collect()
    }
}

fn id_of(line: &str) -> Option<u64> {
    let json = line.starts_with('{');
    let key = match json {
        true if line.starts_with("{\"finding_info\"") => "\"uid\":\"",
        true => "\"id\":\"",
        false => "|externalId=",
    };
    let parses = || serde_json::from_str::<serde_json::Value>(line).is_ok();
    let whole = if json { parses() } else { line.ends_with(" cn1Label=score") };
    let at = line.find(key).filter(|_| whole)? + key.len();
    u64::from_str_radix(line.get(at..at + 32)?, 16).ok()
}

fn all(ids: impl IntoIterator<Item = u64>) -> Vec<Option<u64>> {
    ids.into_iter().map(Some).collect()
}

/// Delivers and flushes a whole batch, as the runner does.
fn deliver(sink: &mut FileSink, from: u64, to: u64) {
    assert_eq!(sink.deliver(&batch(from, to)), Ok((to - from) as usize));
    sink.flush().unwrap();
}

#[test]
fn alerts_are_appended_one_a_line_to_a_file_that_others_cannot_read() {
    for format in AlertFormat::ALL {
        let place = place(*format);
        let mut sink = place.sink(None);
        deliver(&mut sink, 1, 3);
        deliver(&mut sink, 3, 4);
        assert_eq!(place.ids(place.path()), all(1..4));
        let about = std::fs::metadata(place.path()).unwrap();
        assert_eq!(about.permissions().mode() & 0o137, 0);
        assert_eq!(sink.mark().unwrap().length, about.len());
    }
}

#[test]
fn a_file_that_is_renamed_is_followed_by_a_new_one() {
    let place = place(AlertFormat::Json);
    let mut sink = place.sink(None);
    deliver(&mut sink, 1, 3);
    std::fs::rename(place.path(), place.at("alerts.1")).unwrap();
    deliver(&mut sink, 3, 5);
    assert_eq!(place.ids(&place.at("alerts.1")), all(1..3));
    assert_eq!(place.ids(place.path()), all(3..5));
    assert_eq!(sink.mark().unwrap().inode, std::fs::metadata(place.path()).unwrap().ino());
}

#[test]
fn a_file_that_was_put_in_its_place_is_used() {
    let place = place(AlertFormat::Json);
    let mut sink = place.sink(None);
    deliver(&mut sink, 1, 3);
    std::fs::rename(place.path(), place.at("alerts.1")).unwrap();
    std::fs::write(place.path(), "").unwrap();
    deliver(&mut sink, 3, 5);
    assert_eq!(place.ids(&place.at("alerts.1")), all(1..3));
    assert_eq!(place.ids(place.path()), all(3..5));
}

#[test]
fn a_file_that_is_copied_and_truncated_goes_on_from_its_beginning() {
    let place = place(AlertFormat::Json);
    let mut sink = place.sink(None);
    deliver(&mut sink, 1, 3);
    std::fs::copy(place.path(), place.at("alerts.1")).unwrap();
    File::options().write(true).open(place.path()).unwrap().set_len(0).unwrap();
    deliver(&mut sink, 3, 5);
    assert_eq!(place.ids(place.path()), all(3..5));
}

#[test]
fn a_removed_directory_is_an_error_that_says_so_until_it_is_back() {
    let mut place = place(AlertFormat::Json);
    std::fs::create_dir(place.at("logs")).unwrap();
    place.settings.path = place.at("logs/alerts");
    let mut sink = place.sink(None);
    deliver(&mut sink, 1, 2);
    std::fs::remove_dir_all(place.at("logs")).unwrap();
    for _ in 0..2 {
        let error = sink.deliver(&batch(2, 3)).unwrap_err().to_string();
        assert!(error.contains("logs/alerts") && error.contains("make its directory"), "{error}");
    }
    std::fs::create_dir(place.at("logs")).unwrap();
    deliver(&mut sink, 2, 3);
    assert_eq!(place.ids(place.path()), all(2..3));
}

#[test]
fn what_is_no_regular_file_is_refused_without_waiting() {
    let place = place(AlertFormat::Json);
    let refused = |wanted: &str| {
        let error = place.sink(None).deliver(&batch(1, 2)).unwrap_err().to_string();
        assert!(error.contains(wanted), "{error}");
        std::fs::remove_file(place.path()).or_else(|_| std::fs::remove_dir(place.path())).unwrap();
    };
    std::os::unix::fs::symlink(place.at("elsewhere"), place.path()).unwrap();
    refused("symbolic link");
    assert!(!place.at("elsewhere").exists());
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mknodat(rustix::fs::CWD, place.path(), rustix::fs::FileType::Fifo, mode, 0).unwrap();
    refused("not a regular file");
    std::fs::create_dir(place.path()).unwrap();
    refused("directory");
}

#[test]
fn after_a_crash_what_the_file_holds_is_not_written_again() {
    for format in AlertFormat::ALL {
        let place = place(*format);
        let mut sink = place.sink(None);
        deliver(&mut sink, 1, 3);
        let committed = sink.mark();
        deliver(&mut sink, 3, 6);
        drop(sink);
        let mut sink = place.sink(committed);
        assert_eq!(sink.mark(), committed, "nothing new is acknowledged yet");
        deliver(&mut sink, 3, 8);
        assert_eq!(place.ids(place.path()), all(1..8));
        assert_eq!(sink.notes(), SinkNotes { repeats_dropped: 3, ..SinkNotes::default() });
    }
}

#[test]
fn the_very_first_alerts_are_not_written_twice_either() {
    let place = place(AlertFormat::Json);
    let mut sink = place.sink(None);
    let committed = sink.mark();
    deliver(&mut sink, 1, 3);
    drop(sink);
    deliver(&mut place.sink(committed), 1, 4);
    assert_eq!(place.ids(place.path()), all(1..4));
}

#[test]
fn a_mark_made_before_there_was_a_file_covers_all_of_it() {
    let mut place = place(AlertFormat::Json);
    place.settings.path = place.at("logs/alerts");
    let mut sink = place.sink(None);
    let committed = sink.mark();
    assert_eq!(committed, Some(FileMark::ABSENT));
    std::fs::create_dir(place.at("logs")).unwrap();
    deliver(&mut sink, 1, 3);
    drop(sink);
    let mut sink = place.sink(committed);
    deliver(&mut sink, 1, 4);
    assert_eq!(place.ids(place.path()), all(1..4));
    assert!(!sink.notes().dedup_lost);
}

#[test]
fn a_half_line_is_ended_first_and_its_alert_is_written_whole() {
    for format in AlertFormat::ALL {
        let place = place(*format);
        let mut sink = place.sink(None);
        deliver(&mut sink, 1, 2);
        let committed = sink.mark();
        deliver(&mut sink, 2, 4);
        drop(sink);
        let length = std::fs::metadata(place.path()).unwrap().len();
        File::options().write(true).open(place.path()).unwrap().set_len(length - 5).unwrap();
        // Two crashes in a row: the half line has an end at the second one, and still is no alert.
        drop(place.sink(committed));
        let mut sink = place.sink(committed);
        deliver(&mut sink, 2, 5);
        assert_eq!(place.ids(place.path()), [Some(1), Some(2), None, Some(3), Some(4)]);
        assert_eq!(sink.notes().repeats_dropped, 1);
    }
}

/// Though a start does not wait for it.
#[test]
fn what_was_delivered_is_read_back_before_anything_is_rotated_away() {
    let place = place(AlertFormat::Json);
    let mut sink = place.sink(None);
    deliver(&mut sink, 1, 2);
    let committed = sink.mark();
    deliver(&mut sink, 2, 4);
    drop(sink);
    let mut sink = FileSink::new(place.settings.clone(), agent(), committed);
    sink.probe().unwrap();
    assert!(sink.delivered.is_empty() && sink.mark() == committed);
    sink.prepare();
    assert_eq!(sink.delivered.len(), 3, "what stands at the end is read, too");
    std::fs::remove_file(place.path()).unwrap();
    deliver(&mut sink, 2, 6);
    assert_eq!((place.ids(place.path()), sink.notes().dedup_lost), (all(4..6), false));
}

#[test]
fn a_file_that_was_rotated_before_the_restart_is_found_beside_it() {
    let place = place(AlertFormat::Cef);
    let mut sink = place.sink(None);
    deliver(&mut sink, 1, 2);
    let committed = sink.mark();
    deliver(&mut sink, 2, 4);
    std::fs::rename(place.path(), place.at("alerts.1")).unwrap();
    deliver(&mut sink, 4, 5);
    drop(sink);
    let mut sink = place.sink(committed);
    deliver(&mut sink, 2, 6);
    assert_eq!(place.ids(&place.at("alerts.1")), all(1..4));
    assert_eq!(place.ids(place.path()), all(4..6));
    assert!(!sink.notes().dedup_lost);
}

#[test]
fn a_lost_or_truncated_file_is_reported_and_nothing_is_held_back() {
    let place = place(AlertFormat::Json);
    let mut sink = place.sink(None);
    deliver(&mut sink, 1, 4);
    let committed = sink.mark();
    deliver(&mut sink, 4, 6);
    drop(sink);
    File::options().write(true).open(place.path()).unwrap().set_len(0).unwrap();
    let mut sink = place.sink(committed);
    deliver(&mut sink, 4, 7);
    assert!(sink.notes().dedup_lost);
    assert_eq!(place.ids(place.path()), all(4..7));

    std::fs::remove_file(place.path()).unwrap();
    let mut sink = place.sink(committed);
    assert!(sink.notes().dedup_lost);
    deliver(&mut sink, 4, 7);
    assert_eq!(place.ids(place.path()), all(4..7));
}

#[test]
fn what_was_written_between_a_copy_and_the_truncation_is_written_again() {
    let place = place(AlertFormat::Json);
    let mut sink = place.sink(None);
    deliver(&mut sink, 1, 4);
    std::fs::copy(place.path(), place.at("alerts.1")).unwrap();
    // A busy machine lets the program that copies wait.
    let copied = std::fs::metadata(place.path()).unwrap().len();
    let last = 4 + (900 << 10) / (copied / 3);
    deliver(&mut sink, 4, last);
    truncate(place.path());
    deliver(&mut sink, last, last + 2);
    assert_eq!(place.ids(&place.at("alerts.1")), all(1..4));
    assert_eq!(place.ids(place.path()), all(4..last + 2));
    assert_eq!(sink.notes().delivered_again, last - 4);
    // Without a copy nobody knows what was wanted: at least once.
    std::fs::remove_file(place.at("alerts.1")).unwrap();
    truncate(place.path());
    deliver(&mut sink, last + 2, last + 3);
    assert_eq!(place.ids(place.path()), all(4..last + 3));
}

#[test]
fn a_file_that_is_truncated_again_and_again_without_an_alert_in_between_is_found_in_an_older_copy() {
    let place = place(AlertFormat::Json);
    let mut sink = place.sink(None);
    deliver(&mut sink, 1, 4);
    // A copy a day: the later ones are empty, but for a line of somebody else.
    for (day, text) in [(1, None), (2, Some("")), (3, Some("note\n")), (4, Some(""))] {
        let copy = place.at(&format!("alerts.{day}"));
        match text {
            None => _ = std::fs::copy(place.path(), copy).unwrap(),
            Some(text) => std::fs::write(copy, text).unwrap(),
        }
        truncate(place.path());
    }
    deliver(&mut sink, 4, 6);
    assert_eq!(place.ids(place.path()), all(4..6));
    assert_eq!(sink.notes().delivered_again, 0);
}

#[test]
fn a_file_that_was_copied_and_truncated_before_the_restart_is_found_in_its_copy() {
    let place = place(AlertFormat::Cef);
    let mut sink = place.sink(None);
    deliver(&mut sink, 1, 4);
    let committed = sink.mark();
    deliver(&mut sink, 4, 6);
    std::fs::copy(place.path(), place.at("alerts.1")).unwrap();
    truncate(place.path());
    // It has grown past the mark again, to where a line ends.
    deliver(&mut sink, 6, 11);
    drop(sink);
    let mut sink = place.sink(committed);
    deliver(&mut sink, 4, 12);
    assert!(!sink.notes().dedup_lost);
    assert_eq!(place.ids(&place.at("alerts.1")), all(1..6));
    assert_eq!(place.ids(place.path()), all(6..12));
}

fn truncate(path: &Path) {
    File::options().write(true).open(path).unwrap().set_len(0).unwrap();
}

/// Does something to the file once, right after the first write.
struct MeddlingDisk(Option<Box<dyn FnOnce() + Send>>);

impl Disk for MeddlingDisk {
    fn write(&mut self, mut file: &File, bytes: &[u8]) -> io::Result<usize> {
        let written = file.write(bytes);
        if let Some(meddle) = self.0.take() {
            meddle();
        }
        written
    }
}

#[test]
fn what_is_removed_or_truncated_while_it_is_written_is_not_acknowledged() {
    let place = place(AlertFormat::Json);
    let path = place.path().to_owned();
    let meddle: Box<dyn FnOnce() + Send> = Box::new(move || std::fs::remove_file(path).unwrap());
    let mut sink = FileSink::on(Box::new(MeddlingDisk(Some(meddle))), place.settings.clone(), agent(), None);
    let errors = deliver_all(&mut sink, 1, 4);
    assert!(errors.len() == 1 && errors[0].contains("removed while it was written"), "{errors:?}");
    assert_eq!(place.ids(place.path()), all(1..4));

    let path = place.path().to_owned();
    let meddle: Box<dyn FnOnce() + Send> = Box::new(move || truncate(&path));
    let mut sink = FileSink::on(Box::new(MeddlingDisk(Some(meddle))), place.settings.clone(), agent(), None);
    deliver(&mut sink, 4, 8);
    let ids = place.ids(place.path());
    assert!((4..8).all(|n| ids.contains(&Some(n))), "{ids:?}");
}

/// What a disk does with one call.
#[derive(Clone, Copy, Debug)]
enum Step {
    Works,
    /// Takes so many bytes of a write.
    Short(usize),
    Fails(Errno),
}

/// Does as its script says, then works. Counts its syncs.
#[derive(Clone, Default)]
struct ScriptedDisk {
    script: Arc<Mutex<VecDeque<Step>>>,
    syncs: Arc<Mutex<usize>>,
    /// Syncs that fail before the script counts.
    bad_syncs: Arc<Mutex<usize>>,
}

impl ScriptedDisk {
    fn of(steps: impl IntoIterator<Item = Step>) -> ScriptedDisk {
        ScriptedDisk { script: Arc::new(Mutex::new(steps.into_iter().collect())), ..ScriptedDisk::default() }
    }
    fn next(&self) -> Step {
        self.script.lock().unwrap().pop_front().unwrap_or(Step::Works)
    }
}

impl Disk for ScriptedDisk {
    fn write(&mut self, mut file: &File, bytes: &[u8]) -> io::Result<usize> {
        match self.next() {
            Step::Works => file.write(bytes),
            Step::Short(n) => file.write(&bytes[..n.clamp(1, bytes.len())]),
            Step::Fails(e) => Err(e.into()),
        }
    }
    fn sync(&mut self, file: &File) -> io::Result<()> {
        *self.syncs.lock().unwrap() += 1;
        let mut bad = self.bad_syncs.lock().unwrap();
        if *bad > 0 {
            *bad -= 1;
            return Err(Errno::IO.into());
        }
        match self.next() {
            Step::Fails(e) => Err(e.into()),
            Step::Works | Step::Short(_) => file.sync_data(),
        }
    }
}

/// Delivers like the runner until everything is flushed; gives the errors on the way.
fn deliver_all(sink: &mut FileSink, from: u64, to: u64) -> Vec<String> {
    let mut errors = Vec::new();
    let mut next = from;
    while next < to {
        let done = sink.deliver(&batch(next, to)).and_then(|n| sink.flush().map(|()| n));
        match done {
            Ok(n) => next += n as u64,
            Err(e) => errors.push(e.to_string()),
        }
        assert!(errors.len() < 100, "{errors:?}");
    }
    errors
}

#[test]
fn syncs_follow_the_setting() {
    for (fsync, wanted) in [(FsyncSetting::Always, 4), (FsyncSetting::Batch, 2), (FsyncSetting::Never, 0)] {
        let mut place = place(AlertFormat::Json);
        place.settings.fsync = fsync;
        let disk = ScriptedDisk::default();
        let mut sink = FileSink::on(Box::new(disk.clone()), place.settings.clone(), agent(), None);
        deliver(&mut sink, 1, 4);
        deliver(&mut sink, 4, 5);
        assert_eq!(*disk.syncs.lock().unwrap(), wanted, "{fsync:?}");
    }
}

#[test]
fn a_full_disk_tells_what_to_do_and_a_line_written_in_part_is_finished() {
    let place = place(AlertFormat::Json);
    let full = Step::Fails(Errno::NOSPC);
    let disk = ScriptedDisk::of([Step::Short(50), full, full, Step::Short(3), full]);
    let mut sink = FileSink::on(Box::new(disk), place.settings.clone(), agent(), None);
    let errors = deliver_all(&mut sink, 1, 4);
    assert_eq!(errors.len(), 3);
    assert!(errors[0].contains("alerts: ") && errors[0].contains("free some space"), "{errors:?}");
    assert_eq!(place.ids(place.path()), all(1..4));
}

#[test]
fn while_syncs_fail_nothing_more_is_written() {
    let place = place(AlertFormat::Json);
    let disk = ScriptedDisk::default();
    *disk.bad_syncs.lock().unwrap() = 4;
    let mut sink = FileSink::on(Box::new(disk), place.settings.clone(), agent(), None);
    let before = sink.mark();
    sink.deliver(&batch(1, 2)).unwrap();
    sink.flush().unwrap_err();
    for _ in 0..3 {
        sink.deliver(&batch(1, 2)).unwrap_err();
        assert_eq!(sink.mark(), before);
    }
    assert_eq!(place.ids(place.path()), all(1..2));
    // What a failed sync was to save may be lost although the next one succeeds: it is written again.
    deliver(&mut sink, 1, 2);
    assert_eq!(place.ids(place.path()), all([1, 1]));
}

#[test]
fn the_mark_never_counts_a_line_written_in_part() {
    let place = place(AlertFormat::Json);
    let disk = ScriptedDisk::of([Step::Works, Step::Short(50), Step::Fails(Errno::NOSPC)]);
    let mut sink = FileSink::on(Box::new(disk), place.settings.clone(), agent(), None);
    assert_eq!(sink.deliver(&batch(1, 4)), Ok(1));
    sink.flush().unwrap();
    let text = std::fs::read_to_string(place.path()).unwrap();
    assert_eq!(sink.mark().unwrap().length as usize, text.find('\n').unwrap() + 1);
    assert_eq!(text.len(), text.find('\n').unwrap() + 1 + 50);
}

#[test]
fn a_line_written_in_part_is_written_anew_when_its_file_was_truncated_or_replaced() {
    let interrupted = || {
        let place = place(AlertFormat::Json);
        let disk = ScriptedDisk::of([Step::Short(50), Step::Fails(Errno::NOSPC)]);
        let mut sink = FileSink::on(Box::new(disk), place.settings.clone(), agent(), None);
        sink.deliver(&batch(1, 2)).unwrap_err();
        (place, sink)
    };
    let (place, mut sink) = interrupted();
    File::options().write(true).open(place.path()).unwrap().set_len(0).unwrap();
    deliver(&mut sink, 1, 3);
    assert_eq!(place.ids(place.path()), all(1..3));

    let (place, mut sink) = interrupted();
    std::fs::rename(place.path(), place.at("alerts.1")).unwrap();
    deliver(&mut sink, 1, 3);
    assert_eq!(place.ids(place.path()), all(1..3));

    // Someone else wrote behind it: it is ended, not finished.
    let (place, mut sink) = interrupted();
    File::options().append(true).open(place.path()).unwrap().write_all(b"x").unwrap();
    deliver(&mut sink, 1, 3);
    assert_eq!(place.ids(place.path()), [None, Some(1), Some(2)]);
}

#[test]
fn an_error_at_any_call_loses_nothing_and_repeats_only_what_was_not_synced() {
    let kinds = [Step::Fails(Errno::NOSPC), Step::Fails(Errno::IO), Step::Short(1), Step::Short(200)];
    for fsync in FsyncSetting::ALL {
        for (kind, twice) in kinds.iter().flat_map(|k| [(*k, false), (*k, true)]) {
            for call in 0..12 {
                let mut place = place(AlertFormat::Json);
                place.settings.fsync = *fsync;
                let mut steps = vec![Step::Works; call];
                steps.push(kind);
                if twice {
                    steps.push(Step::Fails(Errno::IO));
                }
                let disk = ScriptedDisk::of(steps);
                let mut sink = FileSink::on(Box::new(disk), place.settings.clone(), agent(), None);
                deliver_all(&mut sink, 1, 4);
                deliver_all(&mut sink, 4, 6);
                let ids = place.ids(place.path());
                let context = format!("{fsync:?} {kind:?} twice {twice} at {call}: {ids:?}");
                assert!(!ids.contains(&None), "{context}");
                let mut first_times = Vec::new();
                ids.iter().for_each(|id| {
                    if !first_times.contains(id) {
                        first_times.push(*id);
                    }
                });
                assert_eq!(first_times, all(1..6), "{context}");
                if *fsync == FsyncSetting::Never {
                    assert_eq!(ids.len(), 5, "{context}");
                }
            }
        }
    }
}

/// What happens to a sink, in a life of the agent.
#[derive(Clone, Debug)]
enum Act {
    Deliver(u64),
    Commit,
    Rotate,
    /// The file is copied, to be truncated later.
    Copy,
    /// The file that was copied is truncated, whatever was written in between.
    Truncate,
    /// The process dies; of the last line, so many bytes did not make it.
    Crash(u64),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => (1u64..4).prop_map(Act::Deliver),
        2 => Just(Act::Commit),
        1 => Just(Act::Rotate),
        1 => Just(Act::Copy),
        1 => Just(Act::Truncate),
        2 => (0u64..400).prop_map(Act::Crash),
    ]
}

proptest! {
    #![proptest_config(crate::effort::cases())]

    /// Whatever order of deliveries, commits, rotations, truncations and crashes: each alert stands once, whole, in order.
    #[test]
    fn every_alert_is_in_the_files_exactly_once(
        acts in prop::collection::vec(act(), 1..25), cef: bool, in_one_moment: bool,
    ) {
        let mut place = place(if cef { AlertFormat::Cef } else { AlertFormat::Json });
        place.settings.fsync = FsyncSetting::Never;
        let mut sink = place.sink(None);
        let mut files = Vec::new();
        // (next number, mark): as acknowledged, and as committed.
        let mut acknowledged = (1, sink.mark());
        let mut committed = acknowledged;
        let (mut copy, mut was_truncated): (Option<PathBuf>, bool) = (None, false);
        // Copies that were made since the commit; no more of them are looked into than this.
        let mut copies = 0;
        for act in acts.into_iter().chain([Act::Deliver(3)]) {
            if in_one_moment {
                place.stop_the_clock();
            }
            // A copy without its truncation counts for nothing.
            if matches!(act, Act::Rotate | Act::Copy | Act::Crash(_)) && let Some(unused) = copy.take() {
                std::fs::remove_file(unused).unwrap();
            }
            match act {
                Act::Copy => {
                    let to = place.at(&format!("alerts.{}", files.len()));
                    if std::fs::copy(place.path(), &to).is_ok() {
                        copy = Some(to);
                    }
                }
                Act::Truncate => {
                    if copies < COPIES
                        && let Some(to) = copy.take()
                    {
                        (was_truncated, copies) = (true, copies + 1);
                        truncate(place.path());
                        files.push(to);
                        // The next delivery notices; a crash right after it is a double fault.
                        let next = acknowledged.0;
                        deliver(&mut sink, next, next + 1);
                        acknowledged = (next + 1, sink.mark());
                    }
                }
                Act::Deliver(n) => {
                    let to = acknowledged.0 + n;
                    deliver(&mut sink, acknowledged.0, to);
                    acknowledged = (to, sink.mark());
                }
                // One that says what the last one said, after a crash, does not move the mark.
                Act::Commit if acknowledged == committed => {}
                Act::Commit => (committed, copies) = (acknowledged, 0),
                Act::Rotate if !place.path().exists() => {}
                Act::Rotate => {
                    let to = place.at(&format!("alerts.{}", files.len()));
                    std::fs::rename(place.path(), &to).unwrap();
                    files.push(to);
                }
                Act::Crash(torn) => {
                    drop(sink);
                    if let Ok(text) = std::fs::read_to_string(place.path()) {
                        let last_line = text.trim_end_matches('\n').rfind('\n').map_or(0, |i| i + 1) as u64;
                        let safe = committed.1.filter(|m| m.inode == std::fs::metadata(place.path()).unwrap().ino());
                        let least = last_line.max(safe.map_or(0, |m| m.length));
                        let file = File::options().write(true).open(place.path()).unwrap();
                        file.set_len((text.len() as u64).saturating_sub(torn).max(least)).unwrap();
                    }
                    sink = place.sink(committed.1);
                    acknowledged = committed;
                    // The mark of a truncated file may point nowhere; that is said, and its alerts are found all the same.
                    prop_assert!(was_truncated || !sink.notes().dedup_lost);
                }
            }
        }
        // What was acknowledged but not committed is delivered again, and found there.
        if let Some(unused) = copy {
            std::fs::remove_file(unused).unwrap();
        }
        files.push(place.path().to_owned());
        let ids: Vec<u64> = files.iter().flat_map(|f| place.ids(f)).flatten().collect();
        let highest = *ids.iter().max().unwrap();
        prop_assert_eq!(ids, (1..=highest).collect::<Vec<_>>());
    }
}

#[test]
fn sample_ids_are_ids() {
    assert_eq!(id_number(id(26).as_bytes()), Some(26));
}
