//! What is asked of the product: the bar, the value, and whether it is met. The median decides.

use crate::contenders::Kind;
use crate::data::Data;
use crate::measure::Taken;
use crate::rounds::Results;
use crate::table::{Spread, Table, mib, short};

#[derive(Default)]
pub struct Bars {
    rows: Vec<Vec<String>>,
    disagreed: bool,
}

/// The most memory that hostile input may take, MiB: what `tests/abuse` asserts.
const HOSTILE_MIB: u64 = 150;

impl Bars {
    pub fn add(&mut self, what: &str, bar: &str, measured: String, met: Option<bool>) {
        let met = met.map_or("–", |met| if met { "met" } else { "**not met**" });
        self.rows.push(vec![what.into(), bar.into(), measured, met.into()]);
    }

    pub fn at_most(&mut self, what: &str, bar: f64, unit: &str, value: f64) {
        self.add(what, &format!("≤ {bar}{unit}"), format!("{}{unit}", short(value)), Some(value <= bar));
    }

    fn ratio(&mut self, what: &str, least: f64, measured: Option<Spread>) {
        if let Some(spread) = measured {
            self.add(what, &format!("≥ {least}"), spread.to_string(), Some(spread.median >= least));
        }
    }

    /// Everything that follows from the rounds.
    pub fn of_rounds(&mut self, results: &Results<'_>, data: &Data) {
        let wall = |t: &Taken| t.wall;
        let cpu = |t: &Taken| t.cpu;
        self.equality(results);
        self.ratio("floor's time ÷ ours (durable, one core)", 1.0, results.time_ratio("floor", "durable 1", wall));
        self.ratio("floor's CPU time ÷ ours", 1.0, results.time_ratio("floor", "durable 1", cpu));
        self.ratio("stretch: `grep`'s time ÷ ours", 1.0, results.time_ratio("grep", "durable 1", wall));
        for (peer, least) in [("rsigma", 3.0), ("sec", 30.0), ("sec first-seen", 70.0), ("rsyslog", 30.0)] {
            let what = format!("{peer}'s time ÷ ours");
            self.ratio(&what, least, results.time_ratio(peer, "durable 1", wall));
        }
        self.ratio("two cores against one", 1.7, results.time_ratio("durable 1", "durable 2", wall));
        let mixed = results.time_ratio("mixed durable 1", "mixed durable 2", wall);
        self.ratio("two cores against one, mixed traffic", 1.7, mixed);
        if let Some(mixed) = results.get("mixed durable 1") {
            let share = data.training_share * 100.0;
            self.add("mixed traffic: events that train", "≥ 30 %", format!("{share:.0} %"), Some(share >= 30.0));
            let rate = mixed.mb_per_sec();
            self.add("mixed traffic (an aim)", "≥ 500 MB/s", format!("{} MB/s", short(rate)), Some(rate >= 500.0));
        }
        let tax = |of| results.time_ratio("mixed in memory 1", "mixed durable 1", of);
        self.ratio("durability: throughput ÷ in memory, mixed", 0.85, tax(wall));
        self.ratio("durability by CPU time, mixed", 0.85, tax(cpu));
        for (name, bar) in [("200 rules", 1.15), ("1,400 rules", 2.0)] {
            let what = format!("time of {name} ÷ time of 20");
            if let Some(spread) = results.time_ratio(name, "durable 1", wall) {
                self.add(&what, &format!("≤ {bar}"), spread.to_string(), Some(spread.median <= bar));
            }
            if let Some(spread) = results.time_ratio(&format!("{name}, unlike"), "20 rules, unlike", wall) {
                self.add(&format!("{what}, no command line twice"), "–", spread.to_string(), None);
            }
        }
        for s in results.series.iter().filter(|s| s.contender.table == Kind::Hostile) {
            let name = &s.contender.name;
            let ratio = results.byte_ratio("mixed durable 1", name, wall);
            self.ratio(&format!("{name}: bytes/s ÷ those of clean traffic"), 0.5, ratio);
            let (peak, bar) = (s.peak_rss_kib(), format!("≤ {HOSTILE_MIB} MiB"));
            self.add(
                &format!("{name}: peak RSS"),
                &bar,
                format!("{} MiB", mib(peak)),
                Some(peak <= HOSTILE_MIB * 1024),
            );
        }
    }

    fn equality(&mut self, results: &Results<'_>) {
        self.disagreed = !results.disagreements.is_empty();
        let said = if self.disagreed { results.disagreements.join("; ") } else { "equal in every round".into() };
        let what = "alerts of all contenders (ours by id and order)";
        self.add(what, "equal", said, Some(!self.disagreed));
    }

    pub fn all_equal(&self) -> bool {
        !self.disagreed
    }

    pub fn table(&self) -> Table {
        Table {
            title: "What is asked, and what is".into(),
            note: "Ratios: median (smallest–largest); the median decides.".into(),
            head: vec!["what", "bar", "measured", ""],
            rows: self.rows.clone(),
        }
    }
}
