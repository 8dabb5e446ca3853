//! What a simulated spool promises, checked on the demo's options and on some others.

use super::action::{Actor, Deed};
use super::day::working_day;
use super::office::{RESEARCH, weekday};
use super::plan::{DAY_MS, day_of};
use super::programs::{INSTALLED, ROUTINE, TEMPORARY};
use super::sites::{Kind, ORDINARY, SHARING, SITES};
use super::truth::Truth;
use super::*;
use std::collections::BTreeSet;
use std::path::PathBuf;

/// What the demo's spool must make fire.
const RULE_IDS: [&str; 20] = [
    "FA-TEMP-DIRECTORY-F",
    "FA-TEMP-DIRECTORY-A",
    "ATP-FTP-Exfil",
    "Certutil-Encode",
    "A-Certutil-Encode",
    "DNS-Exfiltration-Tools-Exec",
    "Tap-Installer",
    "Exfil-Tunnel-Tools-Exec",
    "NSniff-Cred",
    "JPanda-Activity",
    "JPanda-RUS-G-Activity",
    "WebShell-WebServer",
    "A-WebShell-WebServer",
    "A-WEB-EXFIL-ASSET",
    "WEB-New-File-20",
    "WEB-FS",
    "WEB-OU-FS",
    "WEB-OG-FS",
    "WEB-UD-DynamicDNS",
    "A-WEB-DynamicDNS",
];

const DEMO_LIMIT_BYTES: usize = 512 * 1024;

fn written(options: &Options) -> (tempfile::TempDir, Summary) {
    let dir = tempfile::tempdir().unwrap();
    let summary = write(options, dir.path()).unwrap();
    (dir, summary)
}

fn spool(dir: &Path, summary: &Summary) -> Vec<Vec<u8>> {
    summary.files.iter().map(|f| fs::read(dir.join("spool").join(&f.name)).unwrap()).collect()
}

fn truths_of(options: &Options) -> (Plan, Vec<Truth>) {
    let plan = Plan::new(options);
    let dir = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::new(&plan);
    spool::write(&plan, options, dir.path(), &mut ledger).unwrap();
    let truths = ledger.truths().to_vec();
    (plan, truths)
}

fn small(seed: u64) -> Options {
    Options { seed, users: 25, days: 9, ..Options::default() }
}

fn table(name: &str) -> BTreeSet<String> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("config/content/tables").join(name);
    let text = fs::read_to_string(path).unwrap();
    text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#')).map(str::to_lowercase).collect()
}

#[test]
fn the_same_options_write_the_same_bytes_and_another_seed_writes_others() {
    let everything = |options: &Options| {
        let (dir, summary) = written(options);
        let mut files = spool(dir.path(), &summary);
        files.push(fs::read(dir.path().join("truth.jsonl")).unwrap());
        files.push(fs::read(dir.path().join("plan.json")).unwrap());
        files
    };
    assert_eq!(everything(&small(1)), everything(&small(1)));
    assert_ne!(everything(&small(1)), everything(&small(2)));
}

#[test]
fn the_demo_expects_an_alert_of_every_rule_and_is_small() {
    let (dir, summary) = written(&Options::default());
    assert_eq!(summary.truths.keys().copied().collect::<BTreeSet<_>>(), RULE_IDS.into_iter().collect());
    for (rule, n) in &summary.truths {
        assert!(*n >= 1, "{rule} is expected nowhere: {:?}", summary.truths);
    }
    let packed = zstd::encode_all(spool(dir.path(), &summary).concat().as_slice(), 19).unwrap().len();
    assert!(packed <= DEMO_LIMIT_BYTES, "{packed} bytes of zstd for {} events", summary.events());
}

#[test]
fn other_seeds_expect_an_alert_of_every_rule_too() {
    for seed in 1..=3 {
        let (_, truths) = truths_of(&Options { seed, ..Options::default() });
        for (rule, n) in truth::count_by_rule(&truths) {
            assert!(n >= 1, "{rule} with seed {seed}");
        }
    }
}

#[test]
fn near_misses_are_never_expected_alerts() {
    for (seed, profile) in [(7, Profile::Office), (8, Profile::Office), (9, Profile::Office), (7, Profile::Training)] {
        let (plan, truths) = truths_of(&Options { seed, profile, ..Options::default() });
        assert!(plan.near_misses.len() > 40);
        for miss in &plan.near_misses {
            let hit = truths.iter().find(|t| miss.forbids(t));
            assert_eq!(hit, None, "{profile:?} {seed}: {}", miss.to_json("near_miss", &plan));
        }
    }
}

#[test]
fn no_two_expected_alerts_are_the_same() {
    let (_, truths) = truths_of(&Options::default());
    let distinct: BTreeSet<_> = truths.iter().map(|t| (t.rule, &t.entity, t.day, t.value)).collect();
    assert_eq!(distinct.len(), truths.len());
}

/// Records of a file: lines, or CSV records whose quotes may span lines.
fn count_records(name: &str, bytes: &[u8]) -> u64 {
    let csv = name.ends_with(".csv");
    let (mut records, mut quoted) = (0, false);
    for line in bytes.split_inclusive(|b| *b == b'\n') {
        if csv && line.iter().filter(|b| **b == b'"').count() % 2 == 1 {
            quoted = !quoted;
        }
        records += u64::from(!quoted);
    }
    records
}

#[test]
fn every_record_is_an_event_or_broken_or_a_header_or_blank() {
    let (dir, summary) = written(&Options { rate: 6.0, ..Options::default() });
    let mut kinds = BTreeSet::new();
    for (file, bytes) in summary.files.iter().zip(spool(dir.path(), &summary)) {
        assert_eq!(file.records(), count_records(&file.name, &bytes), "{}", file.name);
        assert_eq!(file.bytes, bytes.len() as u64, "{}", file.name);
        assert!(file.events > 0);
        kinds.extend(file.malformed.keys().copied());
    }
    for kind in [noise::TOO_LONG, "truncated_header", "unreadable_time", "unknown_activity", "binary", "cef_line"] {
        assert!(kinds.contains(kind), "{kind} is missing from {kinds:?}");
    }
    let sum = |field: fn(&FileSummary) -> u64| summary.files.iter().map(field).sum::<u64>();
    assert!(sum(|f| f.blank) > 0 && sum(|f| f.headers) > 4 && sum(|f| f.invalid_utf8) > 0);
}

#[test]
fn both_header_forms_prefixes_line_ends_and_media_are_there() {
    let (dir, summary) = written(&Options::default());
    let files = spool(dir.path(), &summary);
    let holds = |needle: &str| files.iter().any(|f| f.windows(needle.len()).any(|w| w == needle.as_bytes()));
    for needle in [
        "|FileCreated|C:\\Users\\",
        "|FileSystemActivity|FileCreated|3|",
        "<134>Mar  3 ",
        "<134>1 2026-03-03T",
        "\u{feff}CEF:0",
        "User_Name=CORP\\\\",
        " ➔ ",
        "outcome=Success\r\n",
        "a\\=b",
        "a=b",
        "\\|3|start=",
        "\"Drive\":\"Removable\"",
        "to removable drive",
        "Activity_Category,Activity_Type",
        "User_Department and User_Location not exported",
        "Parent_Process_Name=C:\\",
        "\"ParentImage\":\"C:\\\\",
        "requestMethod=PUT",
        "$ Process_Name=gpupdate.exe",
        "User_Name=NT AUTHORITY\\SYSTEM",
    ] {
        assert!(holds(needle), "{needle:?} is nowhere");
    }
    assert!(!files.last().unwrap().ends_with(b"\n"), "the last line of the spool has no line end");
}

#[test]
fn each_file_begins_with_the_collectors_own_record_so_the_reading_order_is_fixed() {
    let (dir, summary) = written(&small(3));
    let names: Vec<&str> = summary.files.iter().map(|f| f.name.as_str()).collect();
    assert!(names.len() == 36 && names[0].ends_with("-hq.cef") && names[7].ends_with("-austin.csv"));
    for (file, bytes) in summary.files.iter().zip(spool(dir.path(), &summary)) {
        let text = String::from_utf8_lossy(&bytes[..900.min(bytes.len())]).into_owned();
        assert!(text.contains("svchost.exe") && text.contains("COL"), "{}: {text}", file.name);
    }
}

#[test]
fn people_work_on_their_working_days_only() {
    let plan = Plan::new(&Options { users: 200, ..Options::default() });
    let mut part_timers = 0;
    for (index, person) in plan.office.people.iter().enumerate() {
        part_timers += u32::from(person.weekdays.count_ones() < 5);
        for day in plan.all_days() {
            let mut actions = Vec::new();
            working_day(&plan, index as u32, day, &mut actions);
            assert_eq!(!actions.is_empty(), person.works_on(day), "{} on {day}", person.key);
            assert!(actions.iter().all(|a| day_of(a.at_ms) == day), "{} works past midnight", person.key);
        }
    }
    assert!(part_timers >= 10);
    let exempt = ["large transfer that does not count", "clock decades ahead"];
    for action in plan.planted.values().flatten() {
        let scene = plan.scenes[usize::from(action.scene)].name;
        if let (Some(person), false) = (plan.person(action), exempt.contains(&scene)) {
            assert!(person.works_on(day_of(action.at_ms)), "{} plays in {scene:?} on a day off", person.key);
        }
    }
}

#[test]
fn new_hires_and_leavers_have_a_first_and_a_last_day() {
    let plan = Plan::new(&Options::default());
    let hired: Vec<_> = plan.office.people.iter().filter(|p| p.hired > plan.first).collect();
    assert!(hired.len() >= 4);
    assert!(hired.iter().all(|p| !p.works_on(p.hired - 1)));
    let leaver = plan.office.people.iter().find(|p| p.leaves.is_some()).unwrap();
    let last = leaver.leaves.unwrap();
    assert!(plan.all_days().filter(|d| *d > last).all(|d| !leaver.works_on(d)));
}

#[test]
fn weekends_are_quiet_but_not_silent() {
    let plan = Plan::new(&Options::default());
    for day in plan.all_days().filter(|d| weekday(*d) >= 5) {
        let mut actions = Vec::new();
        (0..60).for_each(|i| working_day(&plan, i, day, &mut actions));
        assert!(actions.len() < 200);
        day::machines(&plan, day, &mut actions);
        assert!(actions.iter().any(|a| matches!(a.deed, Deed::Browse { .. }) && a.actor == Actor::Nobody));
    }
}

#[test]
fn a_department_moves_on_one_day() {
    let plan = Plan::new(&Options::default());
    let person = plan.office.people.iter().find(|p| p.department == Some(RESEARCH)).unwrap();
    let (before, after) = (plan.office.move_day - 1, plan.office.move_day);
    assert_ne!(plan.office.department_on(person, before), plan.office.department_on(person, after));
    assert_eq!(plan.office.location_on(person, after), "Munich");
}

#[test]
fn a_record_is_written_minutes_after_the_deed_unless_the_plan_says_later() {
    let plan = Plan::new(&Options::default());
    let mut late = 0;
    for (index, person) in plan.office.people.iter().enumerate() {
        for day in plan.all_days() {
            let mut actions = Vec::new();
            working_day(&plan, index as u32, day, &mut actions);
            for action in actions {
                let wait = action.arrives_ms - action.at_ms;
                assert!(wait >= 0);
                if wait > 120_000 {
                    assert!(person.offline.is_some_and(|(from, to)| day >= from && day <= to));
                    late += 1;
                }
            }
        }
    }
    assert!(late > 10, "the laptop that was off the net has a backlog");
    let days_late = |a: &super::action::Action| (a.arrives_ms - a.at_ms) / DAY_MS;
    assert!(plan.planted.values().flatten().any(|a| days_late(a) == 6));
}

#[test]
fn thirty_percent_of_the_training_profile_train_a_model_and_few_alert() {
    let (_dir, summary) = written(&Options { profile: Profile::Training, rate: 10.0, ..small(1) });
    assert!(
        summary.training_events * 10 >= summary.events() * 3,
        "{} of {}",
        summary.training_events,
        summary.events()
    );
    let alerts = summary.truths.values().sum::<u64>();
    assert!(alerts * 20 <= summary.events(), "{alerts} of {}", summary.events());
}

#[test]
fn the_truth_says_rule_entity_period_and_scenario() {
    let (dir, summary) = written(&Options::default());
    let text = fs::read_to_string(dir.path().join("truth.jsonl")).unwrap();
    let lines: Vec<serde_json::Value> = text.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let misses = lines.iter().filter(|l| l["near_miss"] == true).count() as u64;
    assert_eq!(misses, summary.near_misses);
    assert_eq!(lines.len() as u64, misses + summary.truths.values().sum::<u64>());
    for line in &lines {
        let rule = line["rule"].as_str().unwrap();
        let monthly = matches!(rule, "WEB-OU-FS" | "WEB-OG-FS");
        assert!(line[if monthly { "month" } else { "day" }].is_string(), "{line}");
        let value = line["entity"]["value"].as_str().unwrap();
        assert_eq!(line["entity"]["kind"], if rule.starts_with("A-") { "host" } else { "user" });
        assert_eq!(value, value.to_lowercase());
        assert!(line["scenario"].is_string() && line["note"].is_string());
    }
}

#[test]
fn the_plan_and_the_shipped_tables_agree_about_sites() {
    let (sharing, suites) = (table("file_sharing_domains.txt"), table("file_sharing_suites.txt"));
    let (dynamic, categories) = (table("dynamic_dns_domains.txt"), table("file_sharing_categories.txt"));
    let under = |set: &BTreeSet<String>, host: &str| {
        set.iter()
            .any(|entry| host == entry || host.strip_suffix(entry.as_str()).is_some_and(|rest| rest.ends_with('.')))
    };
    for site in SITES {
        assert!(site.host.ends_with(site.top));
        assert_eq!(under(&sharing, site.host), site.kind == Kind::Sharing, "{}", site.host);
        assert_eq!(under(&suites, site.host), site.kind == Kind::Suite, "{}", site.host);
        let named = under(&dynamic, site.host)
            && !dynamic.contains(&format!("!{}", site.host))
            && !site.host.starts_with("www.");
        assert_eq!(named, site.kind == Kind::DynamicDns, "{}", site.host);
        let by_category = matches!(site.kind, Kind::Sharing | Kind::SharingByCategory);
        assert_eq!(categories.contains(&site.category.to_lowercase()), by_category, "{}", site.host);
    }
    assert!(SHARING.iter().all(|i| SITES[usize::from(*i)].kind == Kind::Sharing));
    assert!(SITES[..ORDINARY as usize].iter().all(|s| s.kind == Kind::Ordinary));
}

#[test]
fn the_plan_and_the_shipped_table_agree_about_temporary_directories() {
    let entries = table("temp_directories.txt");
    let is_temporary = |dir: &str| {
        let dir = format!("{}\\", dir.to_lowercase());
        entries.iter().any(|e| dir.contains(e.as_str()))
    };
    assert!(TEMPORARY.iter().all(|t| is_temporary(t.dir)));
    assert!(!INSTALLED.iter().any(|p| is_temporary(p.dir)));
}

#[test]
fn no_command_line_holds_a_key_that_would_end_it() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("config/content/tables/cef_keys.txt");
    let keys = fs::read_to_string(path).unwrap();
    let lines = ROUTINE.iter().map(|r| r.line).chain(commands::COMMANDS.iter().map(|c| c.line));
    for line in lines {
        for key in keys.lines().filter(|k| !k.starts_with('#')) {
            // The two that a line has already said when its command line begins.
            let allowed = matches!(key, "start" | "User_Name");
            assert!(allowed || !line.contains(&format!(" {key}=")), "{line:?} holds {key}");
        }
    }
}

#[test]
fn the_summary_in_words_names_events_and_every_rule() {
    let (_dir, summary) = written(&small(1));
    let text = summary.to_string();
    assert!(text.starts_with(&format!("{} events and ", summary.events())), "{text}");
    assert!(RULE_IDS.iter().all(|rule| text.lines().any(|l| l.ends_with(&format!(" {rule}")))), "{text}");
}

#[test]
fn tiny_offices_and_short_times_are_fine() {
    for (users, days, start) in [(1, 1, DEFAULT_START), (1, 3, DEFAULT_START + 5), (3, 16, 0), (19, 2, 20_000)] {
        let (_dir, summary) = written(&Options { users, days, start, ..Options::default() });
        assert_eq!(summary.files.len(), days as usize * 4);
    }
}

#[test]
fn options_out_of_range_and_a_full_directory_are_refused_with_a_sentence() {
    let dir = tempfile::tempdir().unwrap();
    for options in [
        Options { users: 0, ..Options::default() },
        Options { days: 201, ..Options::default() },
        Options { rate: f64::NAN, ..Options::default() },
        Options { start: -1, ..Options::default() },
    ] {
        assert_eq!(write(&options, dir.path()).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }
    write(&small(1), dir.path()).unwrap();
    let error = write(&small(1), dir.path()).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
    assert!(error.to_string().contains("is not empty; remove it"));
}
