//! `exfil-agent replay --compare A B`: what another content, or another config, would have made of the same records.

use super::progress::Bar;
use super::replay::{all_read, total_bytes};
use super::{load_content, say, settings as settings_of, warn_of_strangers};
use crate::compare::{Comparison, Counted, Difference, Input, Side, Total, compare};
use crate::config::Settings;
use crate::ctl::page::Page;
use crate::ctl::table::Table;
use crate::exit::{self, Failure};
use std::path::Path;
use std::time::Instant;

/// Stands for the content that is built in, with the settings that the command was given.
const SHIPPED: &str = "shipped";
/// Entities that the table shows.
const ENTITIES: usize = 10;

/// Arguments of `replay --compare`.
#[derive(clap::Args)]
pub struct Options {
    /// Say of each difference what made it
    #[arg(long, requires = "compare")]
    explain: bool,
    /// Print the comparison as JSON, with every difference
    #[arg(long, requires = "compare")]
    json: bool,
    /// Differences that the table shows
    #[arg(long, value_name = "N", default_value_t = 20, requires = "compare")]
    limit: usize,
}

/// Runs the comparison. `settings` are those of `--config`, or the defaults.
pub(super) fn run(arguments: &Options, settings: &Settings, sides: [&Path; 2], input: &Input) -> Result<(), Failure> {
    let [a, b] = sides.map(|path| side(path, settings));
    let sides = match (a, b) {
        (Ok(a), Ok(b)) => [a, b],
        // What is wrong on both sides is said at once.
        (Err(a), Err(b)) if a.code == b.code && a.message != b.message => {
            return Err(Failure::new(a.code, format!("{}\n{}", a.message, b.message)));
        }
        (Err(e), _) | (_, Err(e)) => return Err(e),
    };
    let bar = Bar::new(total_bytes(&input.paths));
    let started = Instant::now();
    let found = compare(&sides, input, arguments.explain, bar.shower())?;
    bar.clear();
    for path in &found.not_read {
        eprintln!("not read to its end: {path}");
    }
    if arguments.json {
        let text = serde_json::to_string_pretty(&found)
            .map_err(|e| Failure::new(exit::RUNTIME, format!("cannot write the comparison as JSON: {e}")))?;
        say(&format!("{text}\n"))?;
    } else {
        say(&page(&found, arguments))?;
    }
    eprintln!("{} events each way in {:.2} s", found.a.events.max(found.b.events), started.elapsed().as_secs_f64());
    all_read(&found.not_read)
}

/// A content directory with the settings of the command, a config with its own, or what is shipped.
fn side(path: &Path, settings: &Settings) -> Result<Side, Failure> {
    let label = path.display().to_string();
    let about = std::fs::metadata(path);
    let mut settings = match &about {
        Ok(about) if about.is_dir() => {
            let mut settings = settings.clone();
            settings.detection.content_dir = Some(path.to_owned());
            settings
        }
        Ok(_) => {
            let mut own = settings_of(Some(path))?;
            if settings.limits.workers != 0 {
                own.limits.workers = settings.limits.workers;
            }
            own
        }
        Err(_) if path == Path::new(SHIPPED) => {
            let mut settings = settings.clone();
            settings.detection.content_dir = None;
            settings
        }
        Err(e) => {
            let what = format!(
                "--compare {label}: {e}; name a content directory, a config, or \"{SHIPPED}\" for what is built in"
            );
            return Err(Failure::new(exit::USAGE, what));
        }
    };
    warn_of_strangers(about.is_ok_and(|about| about.is_file()).then_some(path), &settings);
    // The zone of a spool tells what its CSV times mean, as in any replay; what a spool writes is the agent's.
    settings.spools.iter_mut().for_each(|spool| spool.dead_letter = None);
    let (content, directory) = load_content(&settings)?;
    Ok(Side { label, settings, content, directory })
}

fn page(found: &Comparison, arguments: &Options) -> String {
    let mut page = Page::new(crate::ctl::output::stdout_look());
    page.heading("Alerts");
    for (name, total) in [("A", &found.a), ("B", &found.b)] {
        let Total { label, events, rejects, alerts } = total;
        page.value(name, &format!("{alerts} from {label} ({events} events, {rejects} rejects)"));
    }
    page.value("the same in both", &found.same.to_string());
    page.value("another score", &found.score_changed.to_string());
    page.value("only in A", &found.only_a.to_string());
    page.value("only in B", &found.only_b.to_string());
    let mut text = page.finish();
    for (title, counted, most) in [
        ("rule", &found.rules, usize::MAX),
        ("day", &found.days, usize::MAX),
        ("user or host", &found.entities, ENTITIES),
    ] {
        text.push('\n');
        text.push_str(&counts(title, counted, most));
    }
    text.push('\n');
    text.push_str(&differences(&found.differences, arguments));
    text
}

fn counts(title: &str, counted: &[Counted], most: usize) -> String {
    let mut table = Table::new(&[title, "A", "B", "only A", "only B", "other score"]);
    for c in counted.iter().take(most) {
        let numbers = [c.a, c.b, c.only_a, c.only_b, c.changed].map(|n| n.to_string());
        table.row(std::iter::once(c.name.clone()).chain(numbers).collect());
    }
    let mut text = table.render();
    if counted.len() > most {
        text.push_str(&format!("and {} more; --json has them all\n", counted.len() - most));
    }
    text
}

fn differences(all: &[Difference], arguments: &Options) -> String {
    if all.is_empty() {
        return "Nothing differs.\n".into();
    }
    let mut table =
        Table::new(&["time", "rule", "entity", "value", "A", "B", if arguments.explain { "why" } else { "origin" }]);
    // Who alerts at all is more than with which score.
    let (both, one): (Vec<&Difference>, Vec<&Difference>) =
        all.iter().partition(|d| d.score_a.is_some() && d.score_b.is_some());
    for d in one.into_iter().chain(both).take(arguments.limit) {
        let score = |score: Option<u32>| score.map_or_else(|| "-".to_owned(), |score| score.to_string());
        let last = if arguments.explain { &d.why } else { &d.origin };
        table.row(vec![
            d.time.clone(),
            d.subject.rule.clone(),
            d.subject.entity.clone(),
            d.subject.value.clone().unwrap_or_default(),
            score(d.score_a),
            score(d.score_b),
            last.clone().unwrap_or_default(),
        ]);
    }
    let mut text = table.render();
    if all.len() > arguments.limit {
        text.push_str(&format!(
            "and {} more differences; --limit {} shows them, --json has them all\n",
            all.len() - arguments.limit,
            all.len()
        ));
    }
    text
}
