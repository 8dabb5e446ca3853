//! The yardstick's own program, and programs that people use for the same work.

use crate::Report;
use crate::contenders::{Contender, Count, Expected, Kind};
use crate::data::Input;
use crate::measure::{Ends, Job, line_count};
use crate::options::Options;
use crate::yardstick::{Yardstick, floor_matches, peer};
use std::fs;
use std::path::{Path, PathBuf};

const RSIGMA: &[&str] = &["cargo", "install", "rsigma", "--version", "0.23.0", "--locked", "--features", "cef"];
const SEC: &[&str] = &["apt-get", "install", "-y", "sec"];
const RSYSLOG: &[&str] = &["apt-get", "install", "-y", "rsyslog"];

fn contender(name: &str, shown: &str, input: &Input, words: &[&str], count: Count, expected: Expected) -> Contender {
    let words = words.iter().map(|w| (*w).to_owned()).collect();
    let job = Job { words, cores: 1, ends: Ends::ByItself(0) };
    let (name, shown, input) = (name.to_owned(), shown.to_owned(), input.clone());
    Contender { name, shown, table: Kind::Yardstick, input, job, count, expected }
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

/// What reading, cutting and judging in memory cost at least.
pub fn floors(y: &Yardstick) -> Vec<Contender> {
    let (program, data, patterns) = (text(&y.floor), text(&y.all.paths[0]), text(&y.rules.join("patterns.txt")));
    let mode = |mode: &str, shown: &str| {
        let words = [&program, mode, &data, &patterns];
        contender(mode, shown, &y.all, &words, |_| (0, 0), Expected::Anything)
    };
    let mut floor = mode("pipeline", "**floor pipeline**");
    floor.name = "floor".into();
    floor.count = |dir| (floor_matches(&fs::read_to_string(dir.join("out")).unwrap()), 0);
    floor.expected = Expected::Exactly(y.all_pairs);
    vec![mode("split", "line split"), mode("fields", "all key spans"), floor]
}

pub fn peers(options: &Options, y: &Yardstick, report: &mut Report) -> Vec<Contender> {
    let mut peers = vec![grep(y)];
    let rsigma = report.noting("rsigma", peer(options, "rsigma", RSIGMA));
    peers.extend(rsigma.map(|program| self::rsigma(y, &program)));
    if let Some(program) = report.noting("SEC", peer(options, "sec", SEC)) {
        peers.push(sec(y, &program, "sec", "SEC ¹", "sec.conf"));
        peers.push(sec(y, &program, "sec first-seen", "SEC with first-seen contexts ¹", "sec_firstseen.conf"));
    }
    let rsyslogd = report.noting("rsyslog", peer(options, "rsyslogd", RSYSLOG));
    peers.extend(rsyslogd.map(|program| rsyslog(options, y, &program)));
    peers
}

fn grep(y: &Yardstick) -> Contender {
    let (patterns, data) = (text(&y.rules.join("patterns.txt")), text(&y.all.paths[0]));
    let words = ["grep", "-ciE", "-f", &patterns, &data];
    let count: Count = |dir| (fs::read_to_string(dir.join("out")).unwrap().trim().parse().unwrap(), 0);
    contender("grep", "`grep -ciE -f`", &y.all, &words, count, Expected::Exactly(y.all_lines))
}

fn rsigma(y: &Yardstick, program: &Path) -> Contender {
    let (program, rules, data) =
        (text(program), text(&y.rules.join("sigma_cef")), format!("@{}", text(&y.all.paths[0])));
    let words = [&program, "engine", "eval", "-r", &rules, "--input-format", "cef", "-e", &data];
    let count: Count = |dir| (line_count(&dir.join("out")), 0);
    contender("rsigma", "rsigma 0.23", &y.all, &words, count, Expected::Exactly(y.all_pairs))
}

fn sec(y: &Yardstick, program: &Path, name: &str, shown: &str, rules: &str) -> Contender {
    let rules = format!("--conf={}", text(&y.rules.join(rules)));
    let data = format!("--input={}", text(&y.tenth.paths[0]));
    let words = [&text(program), &rules, &data, "--notail", "--fromstart"];
    let count: Count = |dir| (line_count(&dir.join("sec.alerts")), 0);
    contender(name, shown, &y.tenth, &words, count, Expected::Exactly(y.tenth_pairs))
}

/// It never ends: it is through when the alert of the last event is there, which is one that alerts.
fn rsyslog(options: &Options, y: &Yardstick, program: &Path) -> Contender {
    let conf = text(&rsyslog_conf(options, y));
    let words = [&text(program), "-n", "-C", "-i", "pid", "-f", &conf];
    let count: Count = |dir| (line_count(&dir.join("rsyslog.alerts")), 0);
    let expected = Expected::Exactly(y.tenth_pairs);
    let mut rsyslog = contender("rsyslog", "rsyslog imfile + 20 re_match ¹", &y.tenth, &words, count, expected);
    rsyslog.job.ends = Ends::AfterLines { file: "rsyslog.alerts", lines: y.tenth_pairs, pid_file: "pid" };
    rsyslog
}

fn rsyslog_conf(options: &Options, y: &Yardstick) -> PathBuf {
    let include = |name: &str| fs::read_to_string(y.rules.join(name)).unwrap();
    let path = options.work().join("yardstick/rsyslog.conf");
    let conf = format!(
        "global(workDirectory=\".\")\nmodule(load=\"imfile\")\n{}\nruleset(name=\"yardstick\") {{\n{}\n}}\n\
         input(type=\"imfile\" File=\"{}\" Tag=\"y\" ruleset=\"yardstick\")\n",
        include("rsyslog_tpl.inc"),
        include("rsyslog_rules.inc"),
        text(&y.tenth.paths[0])
    );
    fs::write(&path, conf).unwrap();
    path
}
