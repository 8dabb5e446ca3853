//! Opening the state: the store, the working set from it, what no sink has delivered, and what there is to report.

use super::committer::Backing;
use super::restoring::{alerts_from, restore_first};
use crate::alert::Alert;
use crate::calendar::{format_instant, wall_clock_ms};
use crate::config::Settings;
use crate::exit::{self, Failure};
use crate::model::ModelSpec;
use crate::state::State;
use crate::state::key::ALERTS;
use crate::state::record::SCHEMA;
use crate::store::{OnDamage, Opened, Recovered, Store, StoreError, StoreOptions};
use crate::upkeep::{Anew, Definition, InLine, UpkeepError, bring_in_line};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::Duration;

/// A state that is to be opened.
pub struct StatePlan {
    dir: PathBuf,
    options: StoreOptions,
    ahead: Option<Ahead>,
}

type Found = Result<(Store, Opened), StoreError>;

/// A thread that opens it. Nobody leaves it behind: it may be putting a snapshot in the place of something damaged.
struct Ahead(Option<JoinHandle<Found>>);

impl StatePlan {
    /// The state in a directory. With `accept_empty` it begins anew where it is damaged and no snapshot is sound.
    pub fn new(dir: PathBuf, settings: &Settings, accept_empty: bool) -> StatePlan {
        let options = StoreOptions {
            max_delta_bytes: settings.limits.max_delta_bytes,
            schema: SCHEMA,
            ascending: ALERTS,
            on_damage: if accept_empty { OnDamage::RestoreOrEmpty } else { OnDamage::Restore },
            snapshots_kept: settings.state.snapshots_kept,
        };
        StatePlan { dir, options, ahead: None }
    }

    /// Begins to open it, if it is there, while something else is done. What cannot be opened is said by whoever needs it.
    #[must_use]
    pub fn begun(mut self) -> StatePlan {
        if Store::exists(&self.dir) {
            let (dir, options) = (self.dir.clone(), self.options.clone());
            let thread = std::thread::Builder::new().name("open".into());
            self.ahead = thread.spawn(move || Store::open(&dir, &options)).ok().map(|thread| Ahead(Some(thread)));
        }
        self
    }

    fn open(&mut self) -> Found {
        let ahead = self.ahead.as_mut().and_then(|ahead| ahead.0.take());
        let found = ahead.and_then(|thread| thread.join().ok());
        found.unwrap_or_else(|| Store::open(&self.dir, &self.options))
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        if let Some(thread) = self.0.take() {
            let _ = thread.join();
        }
    }
}

/// How the state is opened.
pub(super) struct Opening<'a> {
    /// Where it is kept; `None` throws it away.
    pub plan: Option<StatePlan>,
    /// Settings.
    pub settings: &'a Settings,
    /// Names of the sinks that will deliver.
    pub sinks: &'a [&'a str],
    /// The models of the content.
    pub models: &'a [ModelSpec],
}

/// What was found.
pub(super) struct Restored {
    /// The open store.
    pub backing: Backing,
    /// Alerts that some sink has still to deliver, with their numbers.
    pub undelivered: Vec<(u64, Alert)>,
    /// What is to be reported; part of the first commit.
    pub reports: Vec<Alert>,
}

impl Opening<'_> {
    /// Opens the store, and takes from it what a start needs.
    pub(super) fn open(self, state: &mut State) -> Result<Restored, Failure> {
        let Some(mut plan) = self.plan else {
            return Ok(Restored { backing: Backing::Volatile, undelivered: Vec::new(), reports: Vec::new() });
        };
        let (mut store, opened) = plan.open().map_err(|e| Failure::new(i32::from(e.exit_code()), e.to_string()))?;
        let StatePlan { dir, options, .. } = plan;
        let InLine { anew, adopted } = bring_in_line(&mut store, &definitions(self.models)).map_err(|e| {
            let code = if matches!(e, UpkeepError::Refused(_)) { exit::CONFIG } else { exit::STATE };
            Failure::new(code, e.to_string())
        })?;
        let unusable =
            |e: String| Failure::new(exit::STATE, format!("the state in {} cannot be used: {e}", dir.display()));
        restore_first(&store, state).map_err(unusable)?;
        let first = state.delivered(self.sinks).saturating_add(1);
        let undelivered = alerts_from(&store, first).map_err(unusable)?;
        for (key, record) in adopted {
            state.put(&key, &record);
        }
        let mut reports = reports(&dir, &opened, state);
        reports.extend(anew.iter().map(learns_anew));
        let backing = Backing::Durable {
            store: Box::new(store),
            dir,
            options,
            snapshot_every: match self.settings.state.snapshot_minutes {
                0 => None,
                minutes => Some(Duration::from_secs(minutes * 60)),
            },
            compact_min_bytes: self.settings.state.compact_min_bytes,
        };
        Ok(Restored { backing, undelivered, reports })
    }
}

fn definitions(models: &[ModelSpec]) -> Vec<Definition> {
    let of = |m: &ModelSpec| Definition {
        id: m.id.clone(),
        revision: m.revision,
        digest: m.definition.clone(),
        file: m.file.clone(),
    };
    models.iter().map(of).collect()
}

/// Reports a model that has forgotten what it had learned by an older definition.
fn learns_anew(anew: &Anew) -> Alert {
    let Anew { model, from, to, instances, .. } = anew;
    let was = if *from == 0 { "an older one".to_owned() } else { format!("revision {from}") };
    let sentence = format!(
        "the model {model} has revision {to} and had learned by {was}: {instances} instances are forgotten, it learns anew; \
         its rules are silent until it has converged or matured again"
    );
    log::warn!("{sentence}");
    Alert::operational("model-relearns", model, sentence, wall_clock_ms())
}

/// What was odd about the store when it was opened, as alerts. A store that began anew makes the agent quiet about the past.
fn reports(dir: &Path, opened: &Opened, state: &mut State) -> Vec<Alert> {
    let now = wall_clock_ms();
    let report = |matter: &str, sentence: String| {
        log::warn!("{sentence}");
        vec![Alert::operational(matter, &dir.display().to_string(), sentence, now)]
    };
    let Some(recovered) = &opened.recovered else {
        if opened.witness_renewed {
            return report(
                "witness-renewed",
                "the witness file of the state was missing or unreadable: had an old copy of the state been put in its place, nobody would know".into(),
            );
        }
        return Vec::new();
    };
    let Recovered { what, kept, epoch, lost_commits, passed_over } = recovered;
    let kept = kept.as_ref().map_or_else(String::new, |k| format!("; the damaged files are in {}", k.display()));
    let also = passed_over.iter().map(|p| format!("; also damaged: {p}")).collect::<String>();
    if let Some(epoch) = epoch {
        let lost = lost_commits.map_or_else(String::new, |n| format!(", {n} commits before the last one"));
        return report(
            "state-recovered",
            format!(
                "the state was damaged ({what}) and has been put back to the snapshot of commit {epoch}{lost}; what the spool still holds of the time since is read again, and alerts of that time may be delivered again under the same ids{kept}{also}"
            ),
        );
    }
    let quiet = *state.agent.quiet_before_ms.get_or_insert(now);
    state.agent_dirty = true;
    report(
        "state-lost",
        format!(
            "the state was damaged ({what}) and no snapshot was sound: the agent has started with an empty one and learns anew; alerts about events before {} are kept and not delivered{kept}{also}",
            format_instant(quiet)
        ),
    )
}
