//! `agentctl content test`: the tests beside rules and parsers, how many there are, how long they took, and what failed.

use super::content::faulty;
use super::output::{Format, Output, Row};
use super::view::ViewError;
use crate::config::{DetectionSettings, Settings};
use crate::content::fault::suggest;
use crate::content::{self, Faults};
use crate::selftest::{self, Outcome, Runner};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Arguments of `content test`.
#[derive(Clone, Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  agentctl content test\n  agentctl content export ./mine && agentctl content test ./mine\n  agentctl content test --format csv\n\n\
Tests run as in an agent without a config, whatever the config says: they say the same on every machine. Exit code 0 when all \
passed, 1 when one failed or the content has faults, 3 when there is no such rule."
)]
pub struct Testing {
    /// A directory with a site's content [default: detection.content_dir of the config]
    #[arg(value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Only this rule
    #[arg(long, value_name = "ID")]
    rule: Option<String>,
}

/// The tests of a rule, or those of all parsers.
#[derive(Default, Serialize, Deserialize)]
struct TestedRow {
    /// The rule; `parsers` for those of all parsers.
    rule: String,
    /// Tests that ran.
    tests: usize,
    /// Those that failed; each is told on standard error.
    failed: usize,
    /// How long they took.
    ms: f64,
    /// The file that they stand in.
    file: String,
}

impl Row for TestedRow {
    const HEAD: &'static [&'static str] = &["rule", "tests", "failed", "ms", "file"];
    fn cells(&self) -> Vec<String> {
        let numbers = [self.tests.to_string(), self.failed.to_string(), format!("{:.1}", self.ms)];
        std::iter::once(self.rule.clone()).chain(numbers).chain([self.file.clone()]).collect()
    }
}

pub(super) fn run(arguments: &Testing, settings: &Settings, output: &mut Output<'_>) -> Result<(), ViewError> {
    let began = Instant::now();
    let mut faults = Faults::default();
    let dir = arguments.dir.as_ref().or(settings.detection.content_dir.as_ref());
    let detection = DetectionSettings { content_dir: dir.cloned(), ..DetectionSettings::default() };
    let layers = content::gather(&detection, &mut faults);
    // Its own faults first: what cannot be read is missing in what is compiled.
    faults.check(()).map_err(|f| faulty(&f))?;
    let mut runner = Runner::new(&layers).map_err(|f| faulty(&f))?;
    let ids: Vec<String> = runner.tests().iter().map(|r| r.rule.clone()).collect();
    let mut wanted: Vec<&String> = ids.iter().collect();
    let mut rows = Vec::new();
    match &arguments.rule {
        // Parsers are tested when they are compiled: one that fails its tests does not compile.
        None => rows.push(TestedRow {
            rule: "parsers".into(),
            tests: runner.parser_tests(),
            ms: ms(began.elapsed()),
            file: "parsers/".into(),
            ..TestedRow::default()
        }),
        Some(id) => {
            wanted.retain(|known| known.eq_ignore_ascii_case(id));
            if wanted.is_empty() {
                let hint = suggest(id, ids.iter().map(String::as_str));
                return Err(ViewError::NotFound(format!("no rule {id:?}{hint}; `agentctl rules list` names them")));
            }
        }
    }
    let mut outcomes: Vec<Outcome> = Vec::new();
    for id in wanted {
        let began = Instant::now();
        for outcome in runner.run(Some(id)).map_err(|f| faulty(&f))? {
            rows.push(TestedRow {
                rule: outcome.rule.clone(),
                tests: outcome.tests,
                failed: outcome.failures.len(),
                ms: ms(began.elapsed()),
                file: outcome.file.clone(),
            });
            outcomes.push(outcome);
        }
    }
    output.list(&rows, "no tests").map_err(ViewError::Output)?;
    let (tests, failed) = rows.iter().fold((0, 0), |(t, f), row| (t + row.tests, f + row.failed));
    if output.format == Format::Table {
        let passed = tests - failed;
        let text = format!("\n{passed} of {tests} tests passed, in {:.0} ms.\n", ms(began.elapsed()));
        output.text(&text).map_err(ViewError::Output)?;
    }
    output.flush().map_err(ViewError::Output)?;
    selftest::faults_of(&outcomes).check(()).map_err(|faults| {
        let n = faults.0.len();
        ViewError::Failed(format!("{n} test{} failed:\n{faults}", if n == 1 { "" } else { "s" }))
    })
}

/// Milliseconds, to the microsecond.
fn ms(time: Duration) -> f64 {
    time.as_micros() as f64 / 1000.0
}
