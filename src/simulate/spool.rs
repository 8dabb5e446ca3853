//! Puts the actions into files: one a collector and day, records in the order in which the collector wrote them.
//!
//! Days are made and written one after the other, so that memory stays at one day's actions.

use super::action::Action;
use super::cef_line::CefLines;
use super::collector::{COLLECTORS, Medium};
use super::csv_line::CsvRows;
use super::day::{machines, working_day};
use super::noise;
use super::plan::{Plan, collector_at, day_of};
use super::rng::Rng;
use super::truth::Ledger;
use super::{FileSummary, Options};
use crate::calendar::{Day, format_day};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

const BUFFER_BYTES: usize = 1 << 20;

/// Writes the spool into a directory; tells the ledger of every action in reading order.
///
/// # Errors
/// What the file system says, with the path.
pub fn write(plan: &Plan, options: &Options, dir: &Path, ledger: &mut Ledger<'_>) -> io::Result<Vec<FileSummary>> {
    let mut open = |name: &str| {
        let path = dir.join(name);
        File::create(&path).map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", path.display())))
    };
    each_file(plan, options, ledger, &mut open, &mut |_| Ok(()))
}

/// Writes the spool file by file to what `open` gives, in reading order, and hands each back to `close` when it is whole.
///
/// # Errors
/// What `open`, `close` and the writers say.
pub fn each_file<W: Write>(
    plan: &Plan,
    options: &Options,
    ledger: &mut Ledger<'_>,
    open: &mut impl FnMut(&str) -> io::Result<W>,
    close: &mut impl FnMut(W) -> io::Result<()>,
) -> io::Result<Vec<FileSummary>> {
    let mut files = Vec::new();
    // What happened but has not reached its collector.
    let mut held: BTreeMap<Day, Vec<Action>> = BTreeMap::new();
    for day in plan.all_days() {
        let mut actions = held.remove(&day).unwrap_or_default();
        let from = actions.len();
        machines(plan, day, &mut actions);
        for index in 0..plan.office.people.len() as u32 {
            working_day(plan, index, day, &mut actions);
        }
        actions.extend_from_slice(plan.planted.get(&day).map_or(&[], Vec::as_slice));
        let mut by_collector: Vec<Vec<Action>> = vec![Vec::new(); COLLECTORS.len()];
        for (i, action) in actions.into_iter().enumerate() {
            let arrives = day_of(action.arrives_ms);
            if i >= from && arrives > day {
                held.entry(arrives).or_default().push(action);
            } else if let Some(list) = by_collector.get_mut(usize::from(plan.host(&action).collector)) {
                list.push(action);
            }
        }
        let last_day = day + 1 == plan.all_days().end;
        for (index, list) in by_collector.iter_mut().enumerate() {
            list.sort_by_key(|a| a.arrives_ms);
            for action in list.iter() {
                ledger.observe(action, day);
            }
            let cut = last_day && index + 1 == COLLECTORS.len();
            let name = name_of(plan, day, index as u8);
            let file = open(&name)?;
            let (file, summary) = write_file(plan, options, (file, name), day, index as u8, list, cut)?;
            close(file)?;
            files.push(summary);
        }
    }
    Ok(files)
}

fn name_of(plan: &Plan, day: Day, collector: u8) -> String {
    let extension = if plan.medium(collector, day) == Medium::Cef { "cef" } else { "csv" };
    format!("dtex-{}-{}.{extension}", format_day(day), collector_at(collector).name)
}

fn write_file<W: Write>(
    plan: &Plan,
    options: &Options,
    (file, name): (W, String),
    day: Day,
    collector: u8,
    actions: &[Action],
    without_last_line_end: bool,
) -> io::Result<(W, FileSummary)> {
    let medium = plan.medium(collector, day);
    let mut output = Output { file, buffer: Vec::with_capacity(2 * BUFFER_BYTES), summary: FileSummary::named(name) };
    let mut rng = Rng::of(&[plan.seed, 0x2015e, day as u64, u64::from(collector)]);
    if medium == Medium::Cef {
        write_lines(plan, options, day, collector, actions, &mut rng, &mut output)?;
    } else {
        write_rows(plan, options, medium == Medium::CsvByName, actions, &mut rng, &mut output)?;
    }
    if without_last_line_end {
        let keep = output.buffer.trim_ascii_end().len();
        output.buffer.truncate(keep);
    }
    output.finish()
}

fn write_lines<W: Write>(
    plan: &Plan,
    options: &Options,
    day: Day,
    index: u8,
    actions: &[Action],
    rng: &mut Rng,
    output: &mut Output<W>,
) -> io::Result<()> {
    let collector = collector_at(index);
    let end: &[u8] = if collector.crlf { b"\r\n" } else { b"\n" };
    let mut lines = CefLines::new(plan, collector, day);
    if index == 0 && day == plan.first + 1 {
        output.buffer.extend_from_slice("\u{feff}".as_bytes());
    }
    for (i, action) in actions.iter().enumerate() {
        let odd = lines.push(action, &mut output.buffer);
        output.summary.invalid_utf8 += u64::from(odd);
        output.event()?;
        if !options.files.malformed {
            continue;
        }
        if rng.chance(0.002) {
            let kind = noise::push_broken_line(rng, end, &mut output.buffer);
            output.broken(kind);
        }
        if rng.chance(0.001) {
            output.buffer.extend_from_slice(end);
            output.summary.blank += 1;
        }
        if i == 20 && index == 0 && (day - plan.first) % 7 == 2 {
            noise::push_too_long(end, &mut output.buffer);
            output.broken(noise::TOO_LONG);
        }
    }
    Ok(())
}

fn write_rows<W: Write>(
    plan: &Plan,
    options: &Options,
    by_name: bool,
    actions: &[Action],
    rng: &mut Rng,
    output: &mut Output<W>,
) -> io::Result<()> {
    let mut rows = CsvRows::new(plan, by_name);
    for (i, action) in actions.iter().enumerate() {
        // An export that was continued has its header row twice.
        if by_name && (i == 0 || i == actions.len() / 2) {
            rows.push_header(&mut output.buffer);
            output.summary.headers += 1;
        }
        rows.push(action, &mut output.buffer);
        output.event()?;
        if options.files.malformed && rng.chance(0.004) {
            let kind = noise::push_broken_row(rng, &mut output.buffer);
            output.broken(kind);
        }
    }
    Ok(())
}

struct Output<W> {
    file: W,
    buffer: Vec<u8>,
    summary: FileSummary,
}

impl<W: Write> Output<W> {
    fn event(&mut self) -> io::Result<()> {
        self.summary.events += 1;
        if self.buffer.len() < BUFFER_BYTES {
            return Ok(());
        }
        self.flush()
    }

    fn broken(&mut self, kind: &'static str) {
        *self.summary.malformed.entry(kind).or_default() += 1;
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.write_all(&self.buffer)?;
        self.summary.bytes += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    fn finish(mut self) -> io::Result<(W, FileSummary)> {
        self.flush()?;
        Ok((self.file, self.summary))
    }
}
