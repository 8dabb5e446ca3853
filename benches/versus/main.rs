//! `make bench`: the product beside the yardstick and its peers, interleaved in one run. See docs/performance.md.
//!
//! Every contender is a program of its own, pinned to its cores and measured from outside. Nothing here is a bar in seconds: what
//! counts is the ratio to what ran in the same round.

#![allow(missing_docs)]
// A benchmark that cannot go on says why by panicking.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod bars; // what is asked of the product, and whether it is met
mod contenders; // what runs in every round
mod daemon; // a running agent, watched from outside
mod data; // what is read: generated once, kept
mod document; // the tables in docs/performance.md
mod footprint; // memory, start, idle, disk, binaries
mod growth; // many users, long histories: what grows with what
mod hostile; // input that is meant to hurt
mod latency; // from an appended line to its alert
mod limits; // what the machine itself can do
mod lines; // single records
mod measure; // one command, pinned: time, CPU, memory
mod options;
mod peers; // the yardstick's floor, and what people use for the same work
mod plot; // lines on logarithmic axes, as SVG
mod product; // the binaries under measurement
mod rounds; // A B C, A B C, …
mod rules; // public Sigma rules beside ours
mod table;
#[path = "../../tests/unit_environment.rs"]
mod unit_environment; // what the systemd unit sets
mod yardstick; // the floor, its data, the peers' configurations

use clap::Parser;
use document::Group;
use options::{Options, Row};
use table::Table;

fn main() {
    // `cargo test --all-targets` runs benches too, without this argument.
    if !std::env::args().any(|a| a == "--bench") {
        println!("the benchmark runs with `make bench`");
        return;
    }
    let options = Options::parse();
    measure::require_tools();
    std::fs::create_dir_all(options.work()).unwrap();
    let mut report = Report::default();
    let product = product::Product::find(&options);
    let yardstick = report.noting("everything that needs the yardstick", yardstick::Yardstick::prepare(&options));
    let data = data::Data::prepare(&options, yardstick.as_ref());

    let mut bars = bars::Bars::default();
    let contenders = contenders::all(&options, &product, yardstick.as_ref(), &data, &mut report);
    let mut throughput = None;
    if !contenders.is_empty() {
        let results = rounds::run(&options, &contenders);
        report.tables.extend(results.tables());
        bars.of_rounds(&results, &data);
        throughput = results.get("durable 1").map(|series| series.mb_per_sec());
    }
    if options.has(Row::Latency) {
        latency::measure(&options, &product, &mut bars);
    }
    footprint::measure(&options, &product, &data, &mut bars);
    if options.has(Row::Limits) {
        report.tables.push(limits::measure(&options, throughput));
    }
    if options.has(Row::Growth) {
        let growth = growth::measure(&options, &product, &mut bars);
        document::write_plot(&growth.plot());
        document::write(Group::Growth, &growth.text(&options));
    }
    let all_equal = bars.all_equal();
    report.tables.insert(0, bars.table());
    let text = report.text(&options);
    println!("\n{text}");
    if options.is_everything() {
        document::write(Group::Bench, &text);
    }
    assert!(all_equal, "contenders disagree about the alerts: see the first table");
}

/// What the run has to say.
#[derive(Default)]
pub struct Report {
    pub tables: Vec<Table>,
    pub skipped: Vec<String>,
}

impl Report {
    /// Keeps the reason for which something is left out.
    pub fn noting<T>(&mut self, what: &str, found: Result<T, String>) -> Option<T> {
        found
            .map_err(|reason| {
                println!("SKIP {what}: {reason}");
                self.skipped.push(format!("{what}: {reason}"));
            })
            .ok()
    }

    fn text(&self, options: &Options) -> String {
        let Options { rounds, events, .. } = options;
        let machine = document::machine(options);
        let mut text = format!("{machine} {rounds} rounds, {events} events of the yardstick.\n\n");
        self.tables.iter().for_each(|table| text.push_str(&table.to_string()));
        if !self.skipped.is_empty() {
            text.push_str("Left out:\n\n");
            self.skipped.iter().for_each(|s| text.push_str(&format!("- {s}\n")));
        }
        text
    }
}
