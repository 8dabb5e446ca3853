//! `agentctl reload`, `state compact`, `state forget`, `state import`: asked of a running agent, or done in the state of a stopped one.

use super::escape::for_terminal;
use super::output::Output;
use super::page::{Look, Page, Tone};
use super::records::{RecordsError, unanswered};
use super::status::bytes;
use super::view::ViewError;
use super::{Place, audit};
use crate::config::Settings;
use crate::control::client::Client;
use crate::control::{Change, Outcome, Reason, Refusal};
use crate::store::{Store, StoreError};
use crate::upkeep::{self, Forgotten, Imported, Subject, UpkeepError};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

/// Arguments of `state forget`.
#[derive(Clone, Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  agentctl state forget --user 'corp\\jdoe' --yes\n  agentctl state forget --host ws0042 --yes\n\n\
What goes: models, histories, sums, guards and kept alerts; then all snapshots, and the database is written anew. What was\n\
delivered stays where it was delivered."
)]
pub struct Forgetting {
    #[command(flatten)]
    whom: Whom,
    /// Really do it
    #[arg(long)]
    yes: bool,
}

#[derive(Clone, Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct Whom {
    /// A user by key, as `state dump` and alerts show it
    #[arg(long, value_name = "KEY")]
    user: Option<String>,
    /// A host by key
    #[arg(long, value_name = "KEY")]
    host: Option<String>,
    /// All that a model has learned
    #[arg(long, value_name = "ID")]
    model: Option<String>,
}

impl Forgetting {
    /// The change that is meant.
    pub(super) fn change(&self) -> Result<Change, ViewError> {
        let Whom { user, host, model } = self.whom.clone();
        let user = user.map(Subject::User).or(host.map(Subject::Host));
        let Some(subject) = user.or(model.map(Subject::Model)) else {
            return Err(ViewError::Usage("say whom: --user, --host or --model".into()));
        };
        if !self.yes {
            let message = format!("this removes all that is known of {subject}, for good; add --yes to do it");
            return Err(ViewError::Usage(message));
        }
        Ok(Change::Forget(subject))
    }
}

/// Arguments of `state import`.
#[derive(Clone, Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  agentctl state import learned.zst\n  agentctl state import --merge collector2.zst\n\n\
Of a running agent: the agent itself reads the file, as its own user."
)]
pub struct Importing {
    /// An export
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Add it to what was learned already: counts are added, days united
    #[arg(long)]
    merge: bool,
}

impl Importing {
    /// The change that is meant.
    pub(super) fn change(&self) -> Result<Change, ViewError> {
        let absolute = std::path::absolute(&self.file);
        let path = absolute.map_err(|e| ViewError::Usage(format!("{}: {e}", self.file.display())))?;
        Ok(Change::Import { path, merge: self.merge })
    }
}

/// Makes a change and says what came of it.
pub(super) fn run(
    change: Change,
    place: &Place,
    settings: &Settings,
    output: &mut Output<'_>,
) -> Result<(), ViewError> {
    let outcome = match &place.state {
        Some(dir) => in_state(&change, dir, settings)?,
        None => anywhere(change, place.socket.as_ref().unwrap_or(&settings.control.socket), settings)?,
    };
    output.thing(&outcome, |look| page(&outcome, look)).map_err(ViewError::Output)
}

/// Asks the agent; where none runs, its state is changed without it.
fn anywhere(change: Change, socket: &Path, settings: &Settings) -> Result<Outcome, ViewError> {
    let agent = |source| RecordsError::Agent { socket: socket.to_owned(), source };
    match Client::connect(socket) {
        Ok(mut client) => client.change(change).map_err(agent)?.map_err(refused),
        Err(e) if e.kind() == ErrorKind::PermissionDenied => {
            Err(RecordsError::Forbidden { socket: socket.to_owned() }.into())
        }
        Err(e) if change == Change::Reload => Err(ViewError::Unreachable(format!(
            "the agent is not running ({}): there is nothing to reload; it reads its config when it starts",
            unanswered(socket, &e)
        ))),
        Err(e) => {
            let why = unanswered(socket, &e);
            let dir = &settings.state.dir;
            if !matches!(change, Change::Import { .. }) && !is_there(dir)? {
                return Err(RecordsError::Nothing { why, dir: dir.clone() }.into());
            }
            let done = in_state(&change, dir, settings)?;
            let _ = writeln!(
                io::stderr(),
                "agentctl: the agent is not running ({}); its state in {} was changed",
                for_terminal(&why),
                for_terminal(&dir.display().to_string())
            );
            Ok(done)
        }
    }
}

/// Whether a directory holds a state.
fn is_there(dir: &Path) -> Result<bool, RecordsError> {
    match std::fs::read_dir(dir) {
        Err(e) if e.kind() == ErrorKind::PermissionDenied => Err(RecordsError::Locked { path: dir.to_owned() }),
        _ => Ok(Store::exists(dir)),
    }
}

fn in_state(change: &Change, dir: &Path, settings: &Settings) -> Result<Outcome, ViewError> {
    if matches!(change, Change::Compact | Change::Forget(_)) && !is_there(dir)? {
        return Err(RecordsError::Store(StoreError::Missing { path: dir.to_owned() }).into());
    }
    let done = match change {
        Change::Reload => {
            return Err(ViewError::Usage("a state has nothing to reload; leave out --state".into()));
        }
        Change::Compact => upkeep::compact(dir, settings).map(Outcome::Compacted),
        Change::Forget(subject) => upkeep::forget(dir, settings, subject).map(Outcome::Forgotten),
        Change::Import { path, merge } => upkeep::import(dir, settings, path, *merge).map(Outcome::Imported),
    };
    // A running agent writes into its log who asked for what; here there is no agent.
    audit::note(change, dir, done.as_ref().map(|_| ()).map_err(ToString::to_string));
    done.map_err(|e| match e {
        UpkeepError::Store(e @ StoreError::Invalid { .. }) => ViewError::Corrupt(e.to_string()),
        UpkeepError::Store(e) => RecordsError::from(e).into(),
        other => refused(other.into()),
    })
}

fn refused(refusal: Refusal) -> ViewError {
    match refusal.kind {
        Reason::Missing => ViewError::NotFound(refusal.why),
        Reason::Unusable => ViewError::Corrupt(refusal.why),
        Reason::Other => ViewError::Failed(refusal.why),
    }
}

fn page(outcome: &Outcome, look: Look) -> String {
    let mut page = Page::new(look);
    match outcome {
        Outcome::Reloaded(r) => {
            page.text(&format!("Reloaded: {} rules, {} models, {} spool(s).", r.rules, r.models, r.spools));
        }
        Outcome::Compacted(c) => page.text(&format!(
            "The database was written anew: {} instead of {}.",
            bytes(c.after_bytes),
            bytes(c.before_bytes)
        )),
        Outcome::Forgotten(f) => forgotten(f, &mut page),
        Outcome::Imported(Imported { records, new, host, exported_at }) => page.text(&format!(
            "Imported {records} records that {host} exported at {exported_at}: {new} are new here, {} were merged.",
            records.saturating_sub(*new)
        )),
    }
    page.finish()
}

fn forgotten(f: &Forgotten, page: &mut Page) {
    page.heading("Forgotten");
    for (name, count) in [
        ("users and hosts", f.entities),
        ("model instances", f.instances),
        ("bins", f.bins),
        ("guards", f.guards),
        ("kept alerts", f.alerts),
        ("snapshots", f.snapshots),
    ] {
        page.value(name, &count.to_string());
    }
    page.text("Alerts that were delivered stay where they are: in the alert file, and with whoever got them.");
    if f.damaged_copies > 0 {
        page.toned(
            Tone::Bad,
            &format!("{} damaged-* folder(s) in the state directory may hold it still; remove them.", f.damaged_copies),
        );
    }
}
