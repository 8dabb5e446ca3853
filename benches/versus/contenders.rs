//! What runs in every round: peers, floor, and the product in several forms.

use crate::Report;
use crate::data::{Data, Input};
use crate::measure::{Ends, Job, line_count};
use crate::options::{Options, Row};
use crate::product::{Product, alert_ids};
use crate::rules;
use crate::yardstick::{Yardstick, floor_matches, peer};
use std::fs;
use std::path::{Path, PathBuf};

/// One program with its arguments and data.
pub struct Contender {
    /// By which it is found in the results.
    pub name: String,
    /// What the table says.
    pub shown: String,
    pub table: Kind,
    pub input: Input,
    pub job: Job,
    /// Counts the alerts in the directory of the run: how many, and a digest of their ids where there are ids.
    pub count: fn(&Path) -> (u64, u64),
    pub expected: Expected,
}

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
    if let Some(yardstick) = yardstick {
        if options.has(Row::Peers) || options.has(Row::Product) || options.has(Row::Rules) {
            all.extend(floors(yardstick));
        }
        if options.has(Row::Peers) {
            all.extend(peers(options, yardstick, report));
        }
        if options.has(Row::Product) {
            all.extend(ours(options, product, Kind::Yardstick, &yardstick.all));
        }
        if options.has(Row::Rules) {
            all.push(many_rules(options, product, &yardstick.all));
        }
    }
    if options.has(Row::Mixed) || options.has(Row::Hostile) {
        all.extend(ours(options, product, Kind::Mixed, &data.mixed));
    }
    for hostile in &data.hostile {
        let job = replay(product, &hostile.input, 1, &["--state", "state"]);
        all.push(Contender {
            name: hostile.name.into(),
            shown: hostile.what.into(),
            table: Kind::Hostile,
            input: hostile.input.clone(),
            // A bomb that is not read to its end is told with the exit code.
            job: Job { ends: Ends::Somehow, ..job },
            count: our_alerts,
            expected: Expected::Anything,
        });
    }
    if !options.has_two_cores() {
        report.skipped.push("rows of two cores: this machine has one".into());
    }
    all
}

fn our_alerts(dir: &Path) -> (u64, u64) {
    alert_ids(&dir.join("alerts.jsonl"))
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

fn one_core(words: &[&str]) -> Job {
    Job { words: words.iter().map(|w| (*w).to_owned()).collect(), cores: 1, ends: Ends::Itself }
}

/// The yardstick's own program: what reading, cutting and judging in memory cost at least.
fn floors(y: &Yardstick) -> Vec<Contender> {
    let mode = |name: &str, shown: &str, words: &[&str], count, expected| Contender {
        name: name.into(),
        shown: shown.into(),
        table: Kind::Yardstick,
        input: y.all.clone(),
        job: one_core(words),
        count,
        expected,
    };
    let (program, data, patterns) = (text(&y.floor), text(&y.all.paths[0]), text(&y.rules.join("patterns.txt")));
    let matches: fn(&Path) -> (u64, u64) = |dir| (floor_matches(&fs::read_to_string(dir.join("out")).unwrap()), 0);
    vec![
        mode("split", "line split", &[&program, "split", &data], |_| (0, 0), Expected::Anything),
        mode("fields", "all key spans", &[&program, "fields", &data], |_| (0, 0), Expected::Anything),
        mode(
            "floor",
            "**floor pipeline**",
            &[&program, "pipeline", &data, &patterns],
            matches,
            Expected::Exactly(y.all_pairs),
        ),
    ]
}

fn peers(options: &Options, y: &Yardstick, report: &mut Report) -> Vec<Contender> {
    let rules = |name: &str| text(&y.rules.join(name));
    let (all, tenth) = (text(&y.all.paths[0]), text(&y.tenth.paths[0]));
    let peer_of = |name: &str, shown: &str, input: &Input, job, count, pairs| Contender {
        name: name.into(),
        shown: shown.into(),
        table: Kind::Yardstick,
        input: input.clone(),
        job,
        count,
        expected: Expected::Exactly(pairs),
    };
    let mut peers = Vec::new();
    let grep = one_core(&["grep", "-ciE", "-f", &rules("patterns.txt"), &all]);
    let number = |dir: &Path| (fs::read_to_string(dir.join("out")).unwrap().trim().parse().unwrap(), 0);
    peers.push(peer_of("grep", "`grep -ciE -f`", &y.all, grep, number, y.all_lines));
    let rsigma = ["cargo", "install", "rsigma", "--version", "0.23.0", "--locked", "--features", "cef"];
    if let Some(program) = report.noting("rsigma", peer(options, "rsigma", &rsigma)) {
        let data = format!("@{all}");
        let line = [&text(&program), "engine", "eval", "-r", &rules("sigma_cef"), "--input-format", "cef", "-e", &data];
        let job = one_core(&line);
        peers.push(peer_of("rsigma", "rsigma 0.23", &y.all, job, |dir| (line_count(&dir.join("out")), 0), y.all_pairs));
    }
    if let Some(program) = report.noting("SEC", peer(options, "sec", &["apt-get", "install", "-y", "sec"])) {
        let mut sec = |name: &str, shown: &str, conf: &str| {
            let conf = format!("--conf={}", rules(conf));
            let input = format!("--input={tenth}");
            let line = [&text(&program), &conf, &input, "--notail", "--fromstart"];
            let count = |dir: &Path| (line_count(&dir.join("sec.alerts")), 0);
            peers.push(peer_of(name, shown, &y.tenth, one_core(&line), count, y.tenth_pairs));
        };
        sec("sec", "SEC ¹", "sec.conf");
        sec("sec first-seen", "SEC with first-seen contexts ¹", "sec_firstseen.conf");
    }
    if let Some(program) = report.noting("rsyslog", peer(options, "rsyslogd", &["apt-get", "install", "-y", "rsyslog"]))
    {
        let conf = rsyslog_conf(options, y, &tenth);
        let line = [&text(&program), "-n", "-C", "-i", "pid", "-f", &text(&conf)];
        let ends = Ends::AfterLines { file: "rsyslog.alerts", lines: y.tenth_pairs, pid_file: "pid" };
        let job = Job { ends, ..one_core(&line) };
        let count = |dir: &Path| (line_count(&dir.join("rsyslog.alerts")), 0);
        peers.push(peer_of("rsyslog", "rsyslog imfile + 20 re_match ¹", &y.tenth, job, count, y.tenth_pairs));
    }
    peers
}

/// The last event of the data is one that alerts: rsyslogd is through when that alert is there.
fn rsyslog_conf(options: &Options, y: &Yardstick, data: &str) -> PathBuf {
    let include = |name: &str| fs::read_to_string(y.rules.join(name)).unwrap();
    let path = options.work().join("yardstick/rsyslog.conf");
    let conf = format!(
        "global(workDirectory=\".\")\nmodule(load=\"imfile\")\n{}\nruleset(name=\"yardstick\") {{\n{}\n}}\n\
         input(type=\"imfile\" File=\"{data}\" Tag=\"y\" ruleset=\"yardstick\")\n",
        include("rsyslog_tpl.inc"),
        include("rsyslog_rules.inc")
    );
    fs::write(&path, conf).unwrap();
    path
}

/// The product: in memory and durable, one core and two.
fn ours(options: &Options, product: &Product, table: Kind, input: &Input) -> Vec<Contender> {
    let prefix = if table == Kind::Mixed { "mixed " } else { "" };
    let cores = if options.has_two_cores() { vec![1, 2] } else { vec![1] };
    let forms = cores.into_iter().flat_map(|n| [(n, "in memory", &[][..]), (n, "durable", &["--state", "state"][..])]);
    let contender = |(n, form, more)| Contender {
        name: format!("{prefix}{form} {n}"),
        shown: format!("**exfil-agent**, {form}, {}", if n == 1 { "one core" } else { "two cores" }),
        table,
        input: input.clone(),
        job: replay(product, input, n, more),
        count: our_alerts,
        expected: Expected::SameIn(if table == Kind::Mixed { "mixed" } else { "yardstick" }),
    };
    forms.map(contender).collect()
}

fn many_rules(options: &Options, product: &Product, input: &Input) -> Contender {
    let config = text(&rules::write(&options.work().join("rules")));
    Contender {
        name: "200 rules".into(),
        shown: "exfil-agent, durable, one core, 200 rules".into(),
        table: Kind::Yardstick,
        input: input.clone(),
        job: replay(product, input, 1, &["--state", "state", "--config", &config]),
        count: our_alerts,
        expected: Expected::SameIn("yardstick"),
    }
}

fn replay(product: &Product, input: &Input, cores: usize, more: &[&str]) -> Job {
    Job { words: product.replay(&input.paths, more), cores, ends: Ends::Itself }
}
