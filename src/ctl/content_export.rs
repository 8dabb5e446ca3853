//! `agentctl content export DIR`: the shipped content as files, each with the version that it is. Asks no agent.

use super::output::Output;
use super::page::Page;
use super::view::ViewError;
use crate::content::based_on::with_header;
use crate::content::fault::suggest;
use crate::content::layers::Item;
use crate::content::{Kind, Layers};
use serde::Serialize;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// Arguments of `content export`.
#[derive(Clone, Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  agentctl content export ./content\n  id=$(agentctl rules list --format csv | tail -n 1 | cut -d , -f 1)\n  \
agentctl content export --rule $id ./site\n\n\
Each file names in based_on the version that it is, so that `content check` can tell when an upgrade changes what a copy of it \
replaces. Keep only what is changed in detection.content_dir: what is there does not change with upgrades."
)]
pub struct Exporting {
    /// The directory: without --rule, --model or --table it must not exist, or be empty
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// Only this rule, into DIR/rules
    #[arg(long, value_name = "ID")]
    rule: Vec<String>,
    /// Only this model, into DIR/models
    #[arg(long, value_name = "ID")]
    model: Vec<String>,
    /// Only this table, into DIR/tables
    #[arg(long, value_name = "NAME")]
    table: Vec<String>,
}

/// What was written.
#[derive(Serialize)]
struct Written<'a> {
    /// Files.
    files: usize,
    /// Where.
    dir: &'a Path,
    /// Their names in it.
    names: Vec<String>,
}

pub(super) fn run(arguments: &Exporting, output: &mut Output<'_>) -> Result<(), ViewError> {
    let dir = &arguments.dir;
    let layers = Layers::shipped();
    let items = wanted(arguments, &layers)?;
    let is_whole = items.len() == layers.items.len();
    if is_whole && fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(ViewError::Usage(format!("{} is not empty; name another directory", dir.display())));
    }
    // One file more must not end in a half-written tree.
    if let Some(taken) = items.iter().map(|item| dir.join(&item.file)).find(|path| path.exists()) {
        return Err(ViewError::Usage(format!("{} exists; move it away first", taken.display())));
    }
    for item in &items {
        let path = dir.join(&item.file);
        write(&path, &text_of(item, &layers)).map_err(|e| ViewError::Failed(format!("{}: {e}", path.display())))?;
    }
    let names: Vec<String> = items.iter().map(|item| item.file.clone()).collect();
    let said = match names.as_slice() {
        [one] => format!("{}.", dir.join(one).display()),
        _ => format!("{} files in {}.", names.len(), dir.display()),
    };
    let page = |look| {
        let mut page = Page::new(look);
        page.text(&said);
        page.finish()
    };
    output.thing(&Written { files: names.len(), dir, names }, page).map_err(ViewError::Output)
}

/// The items that were asked for; all of them when none was.
fn wanted<'l>(arguments: &Exporting, layers: &'l Layers) -> Result<Vec<&'l Item>, ViewError> {
    let named = [(Kind::Rule, &arguments.rule), (Kind::Model, &arguments.model), (Kind::Table, &arguments.table)];
    let mut items = Vec::new();
    for (kind, ids) in named {
        for id in ids {
            let found = layers.items.iter().find(|i| i.kind == kind && i.id.eq_ignore_ascii_case(id));
            items.push(found.ok_or_else(|| {
                let ids = layers.items.iter().filter(|i| i.kind == kind).map(|i| i.id.as_str());
                let hint = suggest(id, ids);
                ViewError::NotFound(format!("no {} {id:?} is shipped{hint}", kind.name()))
            })?);
        }
    }
    Ok(if items.is_empty() { layers.items.iter().collect() } else { items })
}

fn text_of(item: &Item, layers: &Layers) -> String {
    let text = layers.files.0.get(&item.file).map_or("", |file| file.text.as_str());
    match &item.shipped {
        Some(version) => with_header(item.kind, text, version),
        None => text.to_owned(),
    }
}

/// Writes a new file; one that is there is never written over.
fn write(path: &Path, text: &str) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    OpenOptions::new().write(true).create_new(true).open(path)?.write_all(text.as_bytes())
}
