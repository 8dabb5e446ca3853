//! Rounds: every contender once, one after the other, then the next round. So a noisy machine hurts all of them alike.

use crate::contenders::{Contender, Expected, Kind};
use crate::measure::{self, Taken};
use crate::options::Options;
use crate::table::{Spread, Table, mib, short};
use std::collections::HashMap;

/// What a contender took in each round.
pub struct Series<'a> {
    pub contender: &'a Contender,
    pub taken: Vec<Taken>,
    pub alerts: u64,
}

pub struct Results<'a> {
    pub series: Vec<Series<'a>>,
    /// Which contender disagreed, and how.
    pub disagreements: Vec<String>,
}

pub fn run<'a>(options: &Options, contenders: &'a [Contender]) -> Results<'a> {
    let series = contenders.iter().map(|contender| Series { contender, taken: vec![], alerts: 0 });
    let mut results = Results { series: series.collect(), disagreements: vec![] };
    let mut groups = HashMap::new();
    for round in 1..=options.rounds {
        for series in &mut results.series {
            let c = series.contender;
            let dir = options.fresh_dir("round");
            // What the one before left to be written is not on this one's time.
            rustix::fs::sync();
            let taken = measure::run(options, &c.job, &dir);
            println!(
                "round {round}: {:22} {:6.2} s, {:6.2} s CPU, {:4} MiB",
                c.name,
                taken.wall,
                taken.cpu,
                taken.rss_kib / 1024
            );
            let found = (c.count)(&dir);
            let wanted = match c.expected {
                Expected::Exactly(n) => (n, found.1),
                Expected::SameIn(group) => *groups.entry(group).or_insert(found),
                Expected::Anything => found,
            };
            if found != wanted {
                let text = format!(
                    "round {round}: {}: {} alerts ({:x}) instead of {} ({:x})",
                    c.name, found.0, found.1, wanted.0, wanted.1
                );
                println!("{text}");
                results.disagreements.push(text);
            }
            series.alerts = found.0;
            series.taken.push(taken);
        }
    }
    results
}

impl Series<'_> {
    fn per_event(&self, seconds: f64) -> f64 {
        seconds / self.contender.input.events as f64
    }
    fn per_byte(&self, seconds: f64) -> f64 {
        seconds / self.contender.input.bytes as f64
    }
    fn median(&self, of: impl Fn(&Taken) -> f64) -> f64 {
        Spread::of(self.taken.iter().map(of)).median
    }
    pub fn peak_rss_kib(&self) -> u64 {
        self.taken.iter().map(|t| t.rss_kib).max().unwrap_or(0)
    }
    pub fn mb_per_sec(&self) -> f64 {
        1.0 / self.per_byte(self.median(|t| t.wall)) / 1e6
    }
}

impl Results<'_> {
    pub fn get(&self, name: &str) -> Option<&Series<'_>> {
        self.series.iter().find(|s| s.contender.name == name)
    }

    /// Time per event of one over that of another, round by round.
    pub fn time_ratio(&self, name: &str, other: &str, of: fn(&Taken) -> f64) -> Option<Spread> {
        let (a, b) = (self.get(name)?, self.get(other)?);
        Some(Spread::of(a.taken.iter().zip(&b.taken).map(|(x, y)| a.per_event(of(x)) / b.per_event(of(y)))))
    }

    /// The same per byte.
    pub fn byte_ratio(&self, name: &str, other: &str, of: fn(&Taken) -> f64) -> Option<Spread> {
        let (a, b) = (self.get(name)?, self.get(other)?);
        Some(Spread::of(a.taken.iter().zip(&b.taken).map(|(x, y)| a.per_byte(of(x)) / b.per_byte(of(y)))))
    }

    pub fn tables(&self) -> Vec<Table> {
        let by_event = "One million process events, CEF; time per event divided by that of the floor pipeline in the same round: median (smallest–largest). ¹ A tenth of the data, scaled by events.";
        let by_byte = "Process, file, web and session events, CEF and CSV; time per byte divided by that of the floor pipeline on the yardstick's data.";
        let hostile = "The product, durable, one core; throughput in bytes divided by that on the mixed traffic in the same round.";
        let tables = [
            self.table(Kind::Yardstick, "On the yardstick's data", by_event),
            self.table(Kind::Mixed, "On mixed traffic", by_byte),
            self.hostile_table(hostile),
        ];
        tables.into_iter().filter(|table| !table.rows.is_empty()).collect()
    }

    fn of(&self, kind: Kind) -> impl Iterator<Item = &Series<'_>> {
        self.series.iter().filter(move |s| s.contender.table == kind)
    }

    fn table(&self, kind: Kind, title: &str, note: &str) -> Table {
        let ratio = |name: &str, of| match kind {
            Kind::Yardstick => self.time_ratio(name, "floor", of),
            _ => self.byte_ratio(name, "floor", of),
        };
        let row = |s: &Series<'_>| {
            let name = &s.contender.name;
            let shown = |spread: Option<Spread>| spread.map_or("–".into(), |s| s.to_string());
            vec![
                s.contender.shown.clone(),
                shown(ratio(name, |t| t.wall)),
                shown(ratio(name, |t| t.cpu)),
                short(1.0 / s.per_event(s.median(|t| t.wall))),
                short(s.mb_per_sec()),
                mib(s.peak_rss_kib()),
                s.alerts.to_string(),
            ]
        };
        Table {
            title: title.into(),
            note: note.into(),
            head: vec!["contender", "time ÷ floor", "CPU time ÷ floor", "events/s", "MB/s", "peak RSS, MiB", "alerts"],
            rows: self.of(kind).map(row).collect(),
        }
    }

    fn hostile_table(&self, note: &str) -> Table {
        let row = |s: &Series<'_>| {
            let ratio = self.byte_ratio("mixed durable 1", &s.contender.name, |t| t.wall);
            let ratio = ratio.map_or("–".into(), |r| r.to_string());
            vec![s.contender.shown.clone(), ratio, short(s.mb_per_sec()), mib(s.peak_rss_kib())]
        };
        Table {
            title: "On input that is meant to hurt".into(),
            note: note.into(),
            head: vec!["input", "throughput ÷ clean", "MB/s", "peak RSS, MiB"],
            rows: self.of(Kind::Hostile).map(row).collect(),
        }
    }
}
