//! Lines that are no events, of every kind: each is counted, memory stays small, and what is copied aside is bounded.

use super::stream::{MONDAY, process};
use super::watched::{Watched, high_water_mib};
use crate::effort;
use crate::site::{Site, office, wait};
use std::fs::{self, File};
use std::io::{BufWriter, Write};

/// The i-th bad line. Some look like events, some are.
fn bad(i: usize) -> Vec<u8> {
    let head = format!("CEF:0|Dtex|DTEX InTERCEPT|6.0|FileCreated|C:\\d\\{i}.txt|3|start={MONDAY} ");
    let line = |text: String| text.into_bytes();
    match i % 16 {
        0 => line(format!("not an event {i}")),
        1 => line("CEF:0|Dtex|DTEX InTERCEPT|6.0|FileCreated|".into()),
        2 => vec![b'='; 300],
        3 => vec![b'|'; 300],
        4 => vec![b'\\'; 301],
        5 => line(format!("{head}{}", "User_Name=CORP\\eve ".repeat(50))),
        6 => line(format!("{head}Source_File_Details={}", "{\"a\":[".repeat(2_000))),
        7 => vec![0xFF, b'C', b'E', b'F', b':', 0x80, 0xC0],
        8 => vec![0; 40],
        9 => line(head.replace(&MONDAY.to_string(), "99999999999999999999")),
        10 => line("a,\"b,c".into()),
        11 => line("CEF:0|Other|Product|1|x|y|3|a=b".into()),
        12 => line(head.replace("|3|", "|nonsense\\|")),
        13 => line("CEF:".repeat(200)),
        14 if i % 800 == 14 => {
            line(format!("{head}{}", (0..10_000).map(|k| format!("Key_{k}=v ")).collect::<String>()))
        }
        14 => line(" \t ".into()),
        _ if i % 800 == 15 => vec![b'x'; 300_000],
        _ => line(format!("<134>Oct 18 14:38:11 host app[{i}]: User_Name=CORP\\eve")),
    }
}

#[test]
fn malformed_lines_of_every_kind_add_up_in_little_memory() {
    let n = effort::of(100_000, 1_000_000);
    let agent = Watched::new("");
    let file = agent.at("bad.cef");
    let mut out = BufWriter::new(File::create(&file).unwrap());
    let mut bytes = 0u64;
    for i in 0..n {
        let line = bad(i);
        bytes += line.len() as u64 + 1;
        out.write_all(&line).unwrap();
        out.write_all(b"\n").unwrap();
    }
    drop(out);
    let peak = agent.replay(&file, "2026-03-04T00:00:00Z");
    assert!(peak < 150, "{peak} MiB for {n} lines");
    let status = agent.status();
    assert_eq!((&status["records"], &status["bytes"]), (&n.into(), &bytes.into()));
    let rejects = status["rejects"].as_object().unwrap();
    assert!(rejects.len() >= 4, "reasons are told apart: {rejects:?}");
    assert_eq!(rejects["too_long"], n / 800, "{rejects:?}");
    assert_eq!(status["blank"], n / 16 - n / 800);
    assert_eq!(agent.stats()["users"], 1, "no bad line invents a user");
}

#[test]
fn quotes_that_never_close_cost_their_own_lines_only() {
    let agent = Watched::new("");
    let file = agent.at("rows.csv");
    let header = "Activity_Type,User_Name,User_Department,User_Location,Device_Name,Start_Time,Process_Name,Process_Parameters\n";
    let good = |i: usize| {
        format!("ProcessCreated,CORP\\anna,Sales,X,WS{i},2026-03-02T09:00:00,plink.exe,plink.exe -ssh u@h\n")
    };
    let mut text = header.to_owned();
    let rounds = effort::of(30, 3_000);
    for i in 0..rounds {
        text.push_str(&good(i));
        text.push_str(&format!("ProcessCreated,\"open {i}\n"));
        text.push_str(&"filler without a quote\n".repeat(120));
    }
    fs::write(&file, &text).unwrap();
    let peak = agent.replay(&file, "2026-03-04T00:00:00Z");
    assert!(peak < 150, "{peak} MiB");
    let status = agent.status();
    assert_eq!(status["bytes"], text.len());
    assert_eq!(status["events"]["process-created"], rounds, "{status}");
    // Each open quote takes the hundred lines that the limit grants it; the rest are rows that are no events.
    assert_eq!(status["headers"], 1);
}

#[test]
fn a_flood_of_dead_letters_takes_twice_the_limit_and_no_more() {
    let site = Site::new();
    let letters = site.root().join("rejects");
    site.reconfigure("rescan_secs = 1", &format!("rescan_secs = 1\ndead_letter = {letters:?}"));
    site.configure("[limits]\nmax_dead_letter_bytes = 100000\n");
    fs::create_dir(site.root().join("spool")).unwrap();
    let daemon = site.start();
    let mut bytes = 0;
    for round in 0..effort::of(4, 200) {
        let mut text: String = (0..10_000).map(|i| format!("no event {round} {i}\n")).collect();
        text.push_str(&process(MONDAY + round as i64, "WS1", "anna", "notepad.exe"));
        text.push('\n');
        bytes += text.len() as u64;
        fs::write(site.spool(&format!("{round}.cef")), text).unwrap();
    }
    fs::write(site.spool("last.cef"), office(1)[0].clone() + "\n").unwrap();
    bytes += office(1)[0].len() as u64 + 1;
    site.wait_for_bytes(bytes);
    let size = |path: &std::path::Path| fs::metadata(path).map_or(0, |m| m.len());
    let older = site.root().join("rejects.1");
    for path in [&letters, &older] {
        wait("the copies", || size(path) > 0);
        assert!(size(path) <= 100_000, "{} has {} bytes", path.display(), size(path));
    }
    assert!(fs::read_to_string(&letters).unwrap().lines().all(|l| l.starts_with("no event ")), "whole records");
    assert!(high_water_mib(daemon.child.id()).unwrap() < 150);
    assert_eq!(daemon.terminate(), 0);
}
