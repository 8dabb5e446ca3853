//! Input that is meant to hurt: speed must survive it, and memory stay within its bound.

use crate::data::{Input, once};
use crate::lines::{MONDAY, process, temp_write};
use crate::options::Options;
use flate2::{Compression, write::GzEncoder};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;

pub struct Hostile {
    pub name: &'static str,
    pub what: &'static str,
    pub input: Input,
    /// A file that is not read to its end is told with 1.
    pub exit_code: i32,
}

/// The longest record that the default settings allow, bytes.
const MAX_LINE: usize = 262_144;

/// How much more than its size on disk is read of a compressed file, by the default settings.
const MAX_EXPANSION: u64 = 1000;

pub fn all(options: &Options, mixed: &Input) -> Vec<Hostile> {
    let n = options.events as usize;
    let make = |name: &'static str, what: &'static str, file: &str, write: &dyn Fn(&Path)| {
        let path = once(&options.work().join(format!("data/hostile-{n}-{file}")), |making| write(making));
        let (mut input, is_bomb) = (Input::file(path, 0), file.ends_with("gz"));
        // A bomb is unpacked up to the limit, and no further.
        input.bytes *= if is_bomb { MAX_EXPANSION } else { 1 };
        Hostile { name, what, input, exit_code: i32::from(is_bomb) }
    };
    vec![
        make("malformed", "10 % malformed lines", "malformed.cef", &|path| malformed(path, &mixed.paths[0], n / 2)),
        make("long", "lines of 256 KiB, every fourth too long", "long.cef", &|path| long_lines(path, n / 2500)),
        make("one user", "one user with a million processes", "user.cef", &|path| one_user(path, n)),
        make("quotes", "CSV, quotes that never close", "quotes.csv", &|path| quotes(path, n / 50)),
        make("gz bomb", "gz bomb of zeros", "zeros.gz", &|path| bomb(path, b'\0', n / 500)),
        make("empty lines", "gz bomb of empty lines", "empty.gz", &|path| bomb(path, b'\n', n / 4000)),
    ]
}

fn written(path: &Path, lines: impl Iterator<Item = Vec<u8>>) {
    let mut out = BufWriter::new(File::create(path).unwrap());
    lines.for_each(|line| out.write_all(&line).unwrap());
    out.flush().unwrap();
}

/// Mixed traffic with every tenth line broken.
fn malformed(path: &Path, spool: &Path, lines: usize) {
    let mut files: Vec<_> = fs::read_dir(spool).unwrap().map(|e| e.unwrap().path()).collect();
    files.retain(|f| f.extension().is_some_and(|e| e == "cef"));
    files.sort();
    let good = files.iter().flat_map(|f| BufReader::new(File::open(f).unwrap()).split(b'\n'));
    let broken = good.take(lines).enumerate().map(|(i, line)| match i % 10 {
        0 => bad_line(i / 10),
        _ => [&line.unwrap()[..], b"\n"].concat(),
    });
    written(path, broken);
}

/// Lines that are no events; some look like one.
fn bad_line(i: usize) -> Vec<u8> {
    let head = format!("CEF:0|Dtex|DTEX InTERCEPT|6.0|FileCreated|C:\\d\\{i}.txt|3|start={MONDAY} ");
    let mut line = match i % 10 {
        0 => format!("not an event {i}").into_bytes(),
        1 => b"CEF:0|Dtex|DTEX InTERCEPT|6.0|FileCreated|".to_vec(),
        2 => vec![b'='; 300],
        3 => vec![b'|'; 300],
        4 => vec![b'\\'; 301],
        5 => format!("{head}{}", "User_Name=CORP\\eve ".repeat(50)).into_bytes(),
        6 => [0xFF, b'C', b'E', b'F', b':', 0x80].repeat(60),
        7 => format!("{head}{}", (0..40).map(|k| format!("Key_{k}=v ")).collect::<String>()).into_bytes(),
        8 => "CEF:".repeat(100).into_bytes(),
        _ => format!("<134>Oct 18 14:38:11 host app[{i}]: User_Name=CORP\\eve").into_bytes(),
    };
    line.push(b'\n');
    line
}

/// As long as a record may be, of one long value or of many pairs; every fourth is longer.
fn long_lines(path: &Path, n: usize) {
    let lines = (0..n).map(|i| {
        let length = if i % 4 == 3 { MAX_LINE + 1000 } else { MAX_LINE - 100 };
        let mut line = process(MONDAY + i as i64, "anna", "cmd.exe /c ").into_bytes();
        line.pop();
        let filler: &[u8] = if i % 2 == 0 { b"word " } else { b"Key=value x\\=y " };
        line.extend(filler.iter().cycle().take(length - line.len()));
        line.push(b'\n');
        line
    });
    written(path, lines);
}

/// Two values of every name in one month.
fn one_user(path: &Path, n: usize) {
    let ms = |i: usize| MONDAY + (i * 28 * 86_400 / n) as i64 * 1000;
    written(path, (0..n).map(|i| temp_write(ms(i), "eve", &format!("p{i}.exe")).into_bytes()));
}

fn quotes(path: &Path, n: usize) {
    let head = "Activity_Type,User_Name,User_Department,User_Location,Device_Name,Start_Time,Process_Name,Process_Parameters\n";
    let row = |i: usize| {
        let good = format!("ProcessCreated,CORP\\anna,Sales,X,WS{i},2026-03-02T09:00:00,cmd.exe,cmd.exe /c dir {i}\n");
        format!("{good}ProcessCreated,\"open {i}\n{}", "filler without a quote, but with commas,,,,\n".repeat(120))
    };
    written(path, std::iter::once(head.into()).chain((0..n).map(|i| row(i).into_bytes())));
}

/// A kilobyte and more of output for each byte: more than the limit lets through.
fn bomb(path: &Path, byte: u8, mebibytes: usize) {
    let mut out = GzEncoder::new(BufWriter::new(File::create(path).unwrap()), Compression::best());
    (0..mebibytes).for_each(|_| out.write_all(&[byte; 1 << 20]).unwrap());
    out.finish().unwrap().flush().unwrap();
}
