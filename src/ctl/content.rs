//! `agentctl content …`: what detection is made of: checked, tested, and written out to start from. Asks no agent.

use super::Desk;
use super::content_test::{self, Testing};
use super::output::{Output, Row};
use super::page::Page;
use super::view::ViewError;
use crate::config::Settings;
use crate::content::{self, Faults};
use crate::content::{ContentFile, ContentFiles};
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::{Path, PathBuf};

/// `agentctl content …`.
#[derive(Debug, clap::Subcommand)]
pub enum ContentCommand {
    /// Which file of the content is in force, and every fault at once
    #[command(
        after_help = "Examples:\n  agentctl content check\n  agentctl content check --config ./exfil-agent.toml --format csv"
    )]
    Check,
    /// Run the tests beside rules and parsers
    Test(Testing),
    /// Write the shipped content into a directory, to read or to start from
    Export(Exporting),
}

/// Arguments of `content export`.
#[derive(Clone, Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  agentctl content export ./content\n  agentctl content export ./to-compare --format json\n\n\
Keep only what is changed in detection.content_dir: a file there replaces the shipped one of its name, and does not change with upgrades."
)]
pub struct Exporting {
    /// The directory; it must not exist, or be empty
    #[arg(value_name = "DIR")]
    dir: PathBuf,
}

/// A file of the content.
#[derive(Default, Serialize, Deserialize)]
struct FileRow {
    /// Name in the content's tree.
    name: String,
    /// `shipped`, `replaces the shipped one` or `the site's own`.
    origin: String,
    /// Where it was read.
    file: String,
}

impl Row for FileRow {
    const HEAD: &'static [&'static str] = &["name", "origin", "file"];
    fn cells(&self) -> Vec<String> {
        vec![self.name.clone(), self.origin.clone(), self.file.clone()]
    }
}

/// What was written.
#[derive(Serialize)]
struct Written<'a> {
    /// Files.
    files: usize,
    /// Where.
    dir: &'a Path,
}

pub(super) fn run(command: &ContentCommand, settings: &Settings, output: &mut Output<'_>) -> Result<(), ViewError> {
    match command {
        ContentCommand::Check => check(settings, output),
        ContentCommand::Test(arguments) => content_test::run(arguments, settings, output),
        ContentCommand::Export(arguments) => export(arguments, output),
    }
}

pub(super) fn faulty(faults: &Faults) -> ViewError {
    let n = faults.0.len();
    ViewError::Failed(format!("{n} fault{} in the content:\n{faults}", if n == 1 { "" } else { "s" }))
}

fn check(settings: &Settings, output: &mut Output<'_>) -> Result<(), ViewError> {
    let mut faults = Faults::default();
    let files = content::gather(&settings.detection, &mut faults);
    // Its own faults first: what cannot be read is missing in what is compiled.
    faults.check(()).map_err(|f| faulty(&f))?;
    Desk::new(settings)?;
    let shipped = ContentFiles::shipped();
    let row = |(name, file): (&String, &ContentFile)| FileRow {
        name: name.clone(),
        origin: match (file.shipped, shipped.0.contains_key(name)) {
            (true, _) => "shipped",
            (false, true) => "replaces the shipped one",
            (false, false) => "the site's own",
        }
        .into(),
        file: file.shown.clone(),
    };
    let rows: Vec<FileRow> = files.0.iter().map(row).collect();
    output.list(&rows, "no content").map_err(ViewError::Output)
}

fn export(arguments: &Exporting, output: &mut Output<'_>) -> Result<(), ViewError> {
    let dir = &arguments.dir;
    let cannot = |e: std::io::Error| ViewError::Failed(format!("{}: {e}", dir.display()));
    if fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(ViewError::Usage(format!("{} is not empty; name another directory", dir.display())));
    }
    let files = ContentFiles::shipped();
    for (name, file) in &files.0 {
        let path = dir.join(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(cannot)?;
        }
        fs::write(&path, &file.text).map_err(cannot)?;
    }
    let written = Written { files: files.0.len(), dir };
    let page = |look| {
        let mut page = Page::new(look);
        page.text(&format!("{} files in {}.", files.0.len(), dir.display()));
        page.finish()
    };
    output.thing(&written, page).map_err(ViewError::Output)
}
