//! `make quality`: how good the rules are, on simulated offices whose truth is known. See docs/quality.md.
//!
//! One seed is for tuning (`--tune`) and never reported; the others are reported and never tuned with.

#![allow(missing_docs)]
// A benchmark that cannot go on says why by panicking.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod document; // the tables in the document
mod measured; // an office, judged, and what is said of it
mod tune; // numbers of options, tried on the tuning seed

use clap::Parser;
use exfil_agent::config::Settings;
use exfil_agent::simulate::Options;
use measured::office::{Office, measure};
use measured::tables::{self, Setup};
use std::time::Instant;

/// Offices that are reported.
const REPORTED: [u64; 5] = [101, 102, 103, 104, 105];

/// How good the rules are, on simulated offices whose truth is known
#[derive(Parser)]
struct Arguments {
    /// People in each office
    #[arg(long, default_value_t = 300)]
    users: u32,
    /// Days
    #[arg(long, default_value_t = 60)]
    days: u32,
    /// Print only; else a run with the usual people and days writes the tables of docs/quality.md
    #[arg(long)]
    print: bool,
    /// Try numbers of the options on the tuning seed, and report nothing
    #[arg(long)]
    tune: bool,
    /// Passed by cargo
    #[arg(long, hide = true)]
    bench: bool,
}

const ALL: &[&str] = &["prevalence", "known-programs", "habits"];

/// The ways in which the agent is run.
pub fn setups() -> Vec<(&'static str, Settings)> {
    let with = |options: &[&str], sanctioned: &[&str]| {
        let mut settings = Settings::default();
        settings.detection.options = options.iter().map(|o| (*o).to_owned()).collect();
        settings.detection.sanctioned_domains = sanctioned.iter().map(|d| (*d).to_owned()).collect();
        settings
    };
    let own_suite = exfil_agent::simulate::sites::site_at(exfil_agent::simulate::sites::NEW_SUITE).host;
    vec![
        ("as shipped", with(&[], &[])),
        ("`prevalence`", with(&["prevalence"], &[])),
        ("`habits`", with(&["habits"], &[])),
        ("`known-programs`", with(&["known-programs"], &[])),
        ("all three", with(ALL, &[])),
        ("all three, own suite sanctioned", with(ALL, &[own_suite])),
    ]
}

fn main() {
    let arguments = Arguments::parse();
    if !arguments.bench {
        // Under `cargo test --all-targets`: tests/quality.rs runs a small one.
        return;
    }
    let of = |seed| Options { users: arguments.users, days: arguments.days, ..Options::life(seed) };
    if arguments.tune {
        return tune::run(of);
    }
    let started = Instant::now();
    let run = |(name, settings): (&'static str, Settings)| {
        // Two offices at a time.
        let mut offices: Vec<Office> = Vec::new();
        for pair in REPORTED.chunks(2) {
            std::thread::scope(|scope| {
                let (of, settings) = (&of, &settings);
                let threads: Vec<_> =
                    pair.iter().map(|seed| scope.spawn(move || measure(&of(*seed), settings.clone()))).collect();
                offices.extend(threads.into_iter().map(|t| t.join().unwrap()));
            });
        }
        eprintln!("{name}: {:.0} s", started.elapsed().as_secs_f64());
        Setup { name, offices }
    };
    let setups: Vec<Setup> = setups().into_iter().map(run).collect();
    let shipped = &setups[0];
    let parts = [
        ("rules", tables::rules(shipped)),
        ("seeds", tables::seeds(shipped)),
        ("days", tables::days(&setups)),
        ("maturity", tables::maturity(shipped)),
        ("roll-outs", tables::roll_outs(&setups)),
        ("migration", tables::migration(&setups)),
        ("options", format!("{}\n{}", tables::options(&setups), tables::changed(&setups))),
        ("blind spots", tables::blind_spots(shipped)),
    ];
    let is_whole = arguments.users == 300 && arguments.days == 60;
    for (name, text) in parts {
        println!("## {name}\n\n{text}");
        if is_whole && !arguments.print {
            document::write(name, &text);
        }
    }
}
