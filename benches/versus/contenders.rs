//! What runs in every round: floor, peers, and the product in several forms.

use crate::Report;
use crate::data::{Data, Input};
use crate::measure::{Ends, Job};
use crate::options::{Options, Row};
use crate::peers;
use crate::product::{Product, alert_ids};
use crate::rules;
use crate::yardstick::Yardstick;
use std::path::Path;

/// One program with its arguments and data.
pub struct Contender {
    /// By which it is found in the results.
    pub name: String,
    /// What the table says.
    pub shown: String,
    pub table: Kind,
    pub input: Input,
    pub job: Job,
    /// Counts the alerts in the directory of the run.
    pub count: Count,
    pub expected: Expected,
}

/// How many alerts, and a digest of their ids in order, where there are ids.
pub type Count = fn(&Path) -> (u64, u64);

/// In which table it stands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Yardstick,
    Mixed,
    Hostile,
}

/// Which alerts there must be.
#[derive(Clone, Copy)]
pub enum Expected {
    /// So many, says the yardstick.
    Exactly(u64),
    /// The same as all others of this group, in every round, by id and order.
    SameIn(&'static str),
    Anything,
}

pub fn all(
    options: &Options,
    product: &Product,
    yardstick: Option<&Yardstick>,
    data: &Data,
    report: &mut Report,
) -> Vec<Contender> {
    let mut all = Vec::new();
    if !options.has_two_cores() {
        report.skipped.push("rows of two cores: this machine has one".into());
    }
    if let Some(yardstick) = yardstick {
        if [Row::Peers, Row::Product, Row::Rules].into_iter().any(|row| options.has(row)) {
            all.extend(peers::floors(yardstick));
        }
        if options.has(Row::Peers) {
            all.extend(peers::peers(options, yardstick, report));
        }
        if options.has(Row::Product) {
            all.extend(in_all_forms(options, product, Kind::Yardstick, &yardstick.all));
        }
        if options.has(Row::Rules) {
            match rules::write(product, &options.sigma, &options.work().join("rules"), &yardstick.tenth) {
                Ok(rows) => {
                    all.extend(rows.iter().map(|row| many_rules(row, product, &yardstick.all)));
                    all.push(unlike(
                        ours(product, Kind::Yardstick, &yardstick.unlike, 1, DURABLE),
                        "20 rules",
                        "ours alone",
                    ));
                    all.extend(
                        rows.iter()
                            .map(|row| unlike(many_rules(row, product, &yardstick.unlike), &row.name, &row.shown)),
                    );
                }
                Err(why) => report.skipped.push(format!("rows of many rules: {why}")),
            }
        }
    }
    if options.has(Row::Mixed) || options.has(Row::Hostile) {
        all.extend(in_all_forms(options, product, Kind::Mixed, &data.mixed));
    }
    all.extend(data.hostile.iter().map(|hostile| {
        let mut contender = ours(product, Kind::Hostile, &hostile.input, 1, DURABLE);
        contender.name = hostile.name.into();
        contender.shown = hostile.what.into();
        contender.job.ends = Ends::ByItself(hostile.exit_code);
        contender
    }));
    all
}

/// Arguments of `replay`.
const DURABLE: &[&str] = &["--state", "state"];

/// In memory and durable, one core and two.
fn in_all_forms(options: &Options, product: &Product, table: Kind, input: &Input) -> Vec<Contender> {
    let cores = if options.has_two_cores() { 1..=2 } else { 1..=1 };
    let forms = cores.flat_map(|n| [(n, "in memory", &[][..]), (n, "durable", DURABLE)]);
    let contender = |(n, form, arguments)| {
        let mut contender = ours(product, table, input, n, arguments);
        contender.name = format!("{}{form} {n}", if table == Kind::Mixed { "mixed " } else { "" });
        contender.shown = format!("**exfil-agent**, {form}, {}", if n == 1 { "one core" } else { "two cores" });
        contender
    };
    forms.map(contender).collect()
}

/// The same where no command line comes twice.
fn unlike(mut contender: Contender, name: &str, shown: &str) -> Contender {
    contender.name = format!("{name}, unlike");
    let rules = shown.rsplit_once("one core, ").map_or(shown, |(_, rules)| rules);
    contender.shown = format!("no command line twice: exfil-agent, durable, one core, {rules}");
    contender.expected = Expected::Anything;
    contender
}

fn many_rules(row: &rules::Row, product: &Product, input: &Input) -> Contender {
    let config = row.config.display().to_string();
    let mut contender = ours(product, Kind::Yardstick, input, 1, &[DURABLE, &["--config", &config]].concat());
    (contender.name, contender.shown) = (row.name.clone(), row.shown.clone());
    // The yardstick's events meet some of the added rules.
    contender.expected = Expected::Anything;
    contender
}

/// The product over some data; without a name yet.
fn ours(product: &Product, table: Kind, input: &Input, cores: usize, arguments: &[&str]) -> Contender {
    Contender {
        name: String::new(),
        shown: String::new(),
        table,
        input: input.clone(),
        job: Job { words: product.replay(&input.paths, arguments), cores, ends: Ends::ByItself(0) },
        count: |dir| alert_ids(&dir.join("alerts.jsonl")),
        expected: match table {
            Kind::Yardstick => Expected::SameIn("yardstick"),
            Kind::Mixed => Expected::SameIn("mixed"),
            Kind::Hostile => Expected::Anything,
        },
    }
}
