//! The shipped config equals the defaults; wrong files are refused with every fault and its line.

use super::*;
use proptest::prelude::*;

const SHIPPED: &str = include_str!("../../../config/exfil-agent.toml");

/// The settings at their defaults with everything switched on.
fn everything() -> Settings {
    Settings {
        spools: vec![SpoolSettings::default()],
        sink_file: Some(FileSinkSettings::default()),
        sink_syslog: Some(SyslogSinkSettings::default()),
        metrics: Some(MetricsSettings::default()),
        ..Settings::default()
    }
}

/// The shipped config with the comment sign of every setting and table taken away (explanations have a blank after it).
fn lifted() -> String {
    let lift = |line: &'static str| match line.strip_prefix('#') {
        Some(rest) if !rest.is_empty() && !rest.starts_with([' ', '-']) => rest,
        _ => line,
    };
    SHIPPED.lines().map(lift).collect::<Vec<_>>().join("\n")
}

/// `table.key` of every line that sets something.
fn keys(text: &str) -> Vec<String> {
    let mut table = String::new();
    let mut found = Vec::new();
    for line in text.lines() {
        if line.starts_with('[') {
            table = line.to_owned();
            found.push(table.clone());
        } else if let Some((key, _)) = line.split_once(" = ")
            && !line.starts_with('#')
        {
            found.push(format!("{table} {key}"));
        }
    }
    found
}

#[test]
fn the_shipped_config_with_its_comments_lifted_is_the_defaults() {
    assert_eq!(parse("exfil-agent.toml", &lifted()).unwrap(), everything());
}

#[test]
fn every_setting_stands_in_the_shipped_config_in_the_order_of_the_writer() {
    assert_eq!(keys(&lifted()), keys(&everything().to_toml()));
}

#[test]
fn the_shipped_config_as_it_is_reads_one_spool_and_writes_one_file() {
    let settings = parse("exfil-agent.toml", SHIPPED).unwrap();
    assert_eq!(settings, Settings { sink_syslog: None, metrics: None, ..everything() });
    assert!(settings.check_for_run("exfil-agent.toml", &Faults::default()).is_empty());
}

#[test]
fn an_empty_config_is_the_defaults_without_spool_and_sinks() {
    assert_eq!(parse("c.toml", "").unwrap(), Settings::default());
}

#[test]
fn every_fault_is_reported_at_once_with_its_line_and_what_to_write() {
    let text = "\
[[spool]]
rescan_secs = 0
format = \"cfe\"
include = []

[sink.file]
fsync = \"sometimes\"
min_score = -1
paht = \"/x\"

[sink.syslog]
facility = \"local9\"

[detection]
timezone = \"Europe/Berlni\"
min_confidence = 1.5
late_days = 300
sanctioned_domains = [\"https://x.com/\"]
[detection.tables]
file_sharing_suites = \"yes\"

[limits]
workers = 65
max_bins = true
[sinks]
";
    let faults = parse("c.toml", text).unwrap_err().to_string();
    let expected = "\
[[spool]] 1 (c.toml:1): path is missing; write the directory to read
[[spool]] 1 (c.toml:2): rescan_secs is 0; write a number from 1 to 3600
[[spool]] 1 (c.toml:3): format \"cfe\" is unknown; one of: auto, cef, csv
[[spool]] 1 (c.toml:4): include is empty, so no file would be read; write [\"*\"] for all
[sink.file] (c.toml:7): fsync \"sometimes\" is unknown; one of: always, batch, never
[sink.file] (c.toml:8): min_score is -1; write a number from 0 to 1000000
[sink.file] (c.toml:9): unknown key \"paht\"; one of: enabled, path, format, fsync, min_score
[sink.syslog] (c.toml:12): facility \"local9\" is unknown; did you mean \"local0\"?
[detection] (c.toml:15): timezone: unknown time zone \"Europe/Berlni\"; write an IANA name such as \"Europe/Berlin\" or \"UTC\"
[detection] (c.toml:16): min_confidence is 1.5; write a number from 0 to 1
[detection] (c.toml:17): late_days is 300, but window_days is 224; write a number below window_days
[detection] (c.toml:18): sanctioned_domains holds \"https://x.com/\"; write the name alone: \"files.example.com\"
[detection.tables] (c.toml:20): file_sharing_suites is a string; write true or false
[limits] (c.toml:23): workers is 65; write a number from 0 to 64
[limits] (c.toml:24): max_bins is a boolean; write a whole number
c.toml:25: unknown key \"sinks\"; did you mean \"sink\"?";
    assert_eq!(faults, expected);
}

#[test]
fn each_of_these_settings_is_refused() {
    for (text, wanted) in [
        ("[[spool]]\npath = \"\"", "path is empty"),
        ("[[spool]]\npath = \"/s\"\nexclude = [\"a/*\"]", "without directories"),
        ("[[spool]]\npath = \"/s\"\n[[spool]]\npath = \"/s/x/..\"", "read already by [[spool]] 1"),
        ("[[spool]]\npath = \"/s\"\n[sink.file]\npath = \"/s/alerts\"", "read its own alerts"),
        ("[[spool]]\npath = \"/s\"\n[state]\ndir = \"/s/state\"", "must lie apart"),
        ("[[spool]]\npath = \"/v/s\"\n[state]\ndir = \"/v\"", "must lie apart"),
        ("[[spool]]\npath = \"/s\"\ndead_letter = \"/s/dead\"", "read its own rejects"),
        ("[[spool]]\npath = \"/s\"\ndead_letter = \"/a\"\n[sink.file]\npath = \"/a\"", "is the alert file, too"),
        ("[sink]\nfile = true", "write a table"),
        ("[sink.fiel]", "one of: file, syslog"),
        ("[control]\nsocket = 3", "write a text in quotes"),
        (
            "[sink.syslog]\ntarget = \"dev/log\"",
            "[sink.syslog] (c.toml:2): target \"dev/log\" is no absolute path; write",
        ),
        ("[sink.syslog]\ntarget = \"udp://h\"", "has no port; write \"udp://h:514\""),
        ("[sink.syslog]\ntarget = 514", "write a text in quotes"),
        ("[sink.syslog]\nmax_message_bytes = 512", "write a number from 1024 to 65000"),
        ("[detection.directory]\nfil = \"x\"", "did you mean \"file\"?"),
        ("[limits]\nmax_bins = 1\nmax_bins = 2", "not valid TOML"),
        ("[limits]\nmax_bins = 99999999999999999999", "max_bins"),
    ] {
        let faults = parse("c.toml", text).expect_err(text).to_string();
        assert!(faults.contains(wanted), "{text}\ngave {faults}");
    }
    let long = format!("[control]\nsocket = \"/{}\"", "x".repeat(107));
    assert!(parse("c.toml", &long).unwrap_err().to_string().contains("at most 107"));
}

#[test]
fn a_sink_that_is_not_enabled_is_absent_and_its_faults_are_still_found() {
    let text = "[sink.file]\nenabled = false\n[sink.syslog]\nenabled = true\n";
    let settings = parse("c.toml", text).unwrap();
    assert_eq!(settings.sink_file, None);
    assert_eq!(settings.sink_syslog, Some(SyslogSinkSettings::default()));
    assert!(parse("c.toml", "[sink.file]\nenabled = false\nformat = \"x\"").is_err());
}

#[test]
fn a_config_that_cannot_be_read_is_one_fault_that_names_it() {
    let faults = load(Path::new("/nonexistent/c.toml")).unwrap_err();
    assert_eq!(faults.0.len(), 1);
    assert!(faults.to_string().contains("/nonexistent/c.toml"), "{faults}");
}

#[test]
fn settings_that_differ_from_the_defaults_in_every_table_survive_writing_and_reading() {
    let mut settings = everything();
    settings.spools[0].include = vec!["a\"b\\c\u{1b}*".into(), "x?".into()];
    settings.spools[0].dead_letter = Some("/var/lib/dead".into());
    settings.spools.push(SpoolSettings {
        path: "/two".into(),
        format: FormatSetting::Csv,
        timezone: "Europe/Berlin".into(),
        rescan_secs: 9,
        silent_after_secs: 3600,
        ..SpoolSettings::default()
    });
    settings.state.dir = "/s".into();
    settings.sink_file = Some(FileSinkSettings {
        path: "/a".into(),
        format: AlertFormat::Cef,
        fsync: FsyncSetting::Never,
        min_score: 7,
    });
    settings.sink_syslog = Some(SyslogSinkSettings {
        target: SyslogTarget::parse("udp://[2001:db8::1]:514").unwrap(),
        facility: "auth".into(),
        format: AlertFormat::Ocsf,
        max_message_bytes: 1400,
        min_score: 0,
    });
    settings.detection.tables.insert("a b".into(), true);
    settings.detection.table_files.insert("t".into(), "/t.txt".into());
    settings.detection.directory = Some("/d.csv".into());
    settings.detection.content_dir = Some("/c".into());
    settings.detection.disabled_rules = vec!["X".into()];
    settings.detection.options = vec!["y".into()];
    settings.detection.min_confidence = 1.0;
    settings.limits.workers = 3;
    settings.control.socket = "/c.sock".into();
    settings.metrics = Some(MetricsSettings {
        socket: None,
        listen: Some("[::1]:9000".parse().unwrap()),
        textfile: Some("/t/exfil.prom".into()),
        textfile_secs: 60,
    });
    assert_eq!(parse("c.toml", &settings.to_toml()).unwrap(), settings);
}

#[test]
fn metrics_are_for_this_machine_alone_and_each_fault_says_what_to_write() {
    assert_eq!(parse("c.toml", "[metrics]").unwrap().metrics, Some(MetricsSettings::default()));
    assert_eq!(parse("c.toml", "[metrics]\nenabled = false").unwrap().metrics, None);
    let text = "\
[[spool]]
path = \"/s\"
dead_letter = \"/d.prom\"
[control]
socket = \"/c.sock\"
[metrics]
socket = \"/x/../c.sock\"
listen = \"0.0.0.0:9184\"
textfile = \"/s/x.prom\"
textfile_secs = 0
sockte = \"\"
";
    let faults = parse("c.toml", text).unwrap_err().to_string();
    let expected = "\
[metrics] (c.toml:6): textfile /s/x.prom lies in the spool /s: the agent would read its own metrics; move one of them
[metrics] (c.toml:6): socket /x/../c.sock is control.socket, too; name another
[metrics] (c.toml:8): listen \"0.0.0.0:9184\" is no loopback address: whoever reaches it over the network could read the metrics; \
write \"127.0.0.1:9184\", and let something with encryption and passwords carry them on
[metrics] (c.toml:10): textfile_secs is 0; write a number from 1 to 3600
[metrics] (c.toml:11): unknown key \"sockte\"; did you mean \"socket\"?";
    assert_eq!(faults, expected);
    for (text, wanted) in [
        ("listen = \"[::]:1\"", "is no loopback address"),
        ("listen = \"[::ffff:127.0.0.1]:1\"", "is no loopback address"),
        ("listen = \"192.0.2.1:80\"", "write \"127.0.0.1:80\""),
        ("listen = \"localhost:9184\"", "is no address with a port; write \"127.0.0.1:9184\""),
        ("listen = \":9184\"", "is no address with a port"),
        ("listen = \"127.0.0.1:0\"", "has no port; write one from 1 to 65535"),
        ("listen = 9184", "write a text in quotes"),
        ("textfile = \"/t/exfil.txt\"", "must end with .prom: node_exporter reads no other files"),
        ("socket = \"\"", "socket, listen and textfile are all empty"),
        (
            "textfile = \"/d.prom\"\n[[spool]]\npath = \"/s\"\ndead_letter = \"/d.prom\"",
            "an alert or dead-letter file, too",
        ),
        ("textfile = \"/a.prom\"\n[sink.file]\npath = \"/a.prom\"", "an alert or dead-letter file, too"),
    ] {
        let faults = parse("c.toml", &format!("[metrics]\n{text}")).expect_err(text).to_string();
        assert!(faults.starts_with("[metrics] (c.toml:") && faults.contains(wanted), "{text}\ngave {faults}");
    }
    let long = format!("[metrics]\nsocket = \"/{}\"", "x".repeat(107));
    assert!(parse("c.toml", &long).unwrap_err().to_string().contains("at most 107"));
}

proptest! {
    #![proptest_config(crate::effort::cases())]
    #[test]
    fn no_text_makes_the_reader_panic(text in "(?s).{0,200}", key in "[a-z_.\\[\\]]{0,20}", value in "[-0-9a-z\"\\[\\]{}.]{0,12}") {
        let _ = parse("c.toml", &text);
        let _ = parse("c.toml", &format!("{key} = {value}"));
        let _ = parse("c.toml", &format!("[[spool]]\npath = {value}\n[limits]\nworkers = {value}\n"));
    }
}
