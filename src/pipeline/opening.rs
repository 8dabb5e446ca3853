//! Opening the state: the store, the working set from it, what no sink has delivered, and what there is to report.

use super::committer::Backing;
use crate::alert::Alert;
use crate::calendar::{format_instant, wall_clock_ms};
use crate::config::Settings;
use crate::exit::{self, Failure};
use crate::state::State;
use crate::state::key::{ALERTS, Key};
use crate::state::record::SCHEMA;
use crate::store::{OnDamage, Opened, Recovered, Store, StoreError, StoreOptions, codec};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How the state is opened.
pub(super) struct Opening<'a> {
    /// Where it is kept; `None` throws it away.
    pub dir: Option<PathBuf>,
    /// Begin anew where it is damaged and no snapshot is sound.
    pub accept_empty: bool,
    /// Settings.
    pub settings: &'a Settings,
}

/// What was found.
pub(super) struct Restored {
    /// The open store.
    pub backing: Backing,
    /// Alerts that are kept, with their numbers; some sink may not have delivered them.
    pub undelivered: Vec<(u64, Alert)>,
    /// What is to be reported; part of the first commit.
    pub reports: Vec<Alert>,
}

impl Opening<'_> {
    /// Opens the store and rebuilds the working set.
    pub(super) fn open(self, state: &mut State) -> Result<Restored, Failure> {
        let Some(dir) = self.dir else {
            return Ok(Restored { backing: Backing::Volatile, undelivered: Vec::new(), reports: Vec::new() });
        };
        let options = StoreOptions {
            max_delta_bytes: self.settings.limits.max_delta_bytes,
            schema: SCHEMA,
            on_damage: if self.accept_empty { OnDamage::RestoreOrEmpty } else { OnDamage::Restore },
            snapshots_kept: self.settings.state.snapshots_kept,
        };
        let (store, opened) =
            Store::open(&dir, &options).map_err(|e| Failure::new(i32::from(e.exit_code()), e.to_string()))?;
        let unusable =
            |e: String| Failure::new(exit::STATE, format!("the state in {} cannot be used: {e}", dir.display()));
        let mut failed = None;
        state
            .restore(records(&store, b"", &mut failed), self.settings.limits.max_resident_bytes)
            .map_err(|e| unusable(e.to_string()))?;
        let mut undelivered = Vec::new();
        for (key, value) in records(&store, ALERTS, &mut failed) {
            if let Some(Key::Alert(seq)) = Key::decode(&key) {
                undelivered.push((seq, codec::decode(&value).map_err(|e| unusable(e.to_string()))?));
            }
        }
        if let Some(e) = failed {
            return Err(unusable(e.to_string()));
        }
        let reports = reports(&dir, &opened, state);
        let backing = Backing::Durable {
            store: Box::new(store),
            dir,
            options,
            snapshot_every: match self.settings.state.snapshot_minutes {
                0 => None,
                minutes => Some(Duration::from_secs(minutes * 60)),
            },
        };
        Ok(Restored { backing, undelivered, reports })
    }
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

/// The store's records with a prefix, in the order of their keys; ends early at an error, which it leaves in `failed`.
fn records<'a>(
    store: &'a Store,
    prefix: &'a [u8],
    failed: &'a mut Option<StoreError>,
) -> impl Iterator<Item = (Vec<u8>, Vec<u8>)> + 'a {
    let mut from = prefix.to_vec();
    let mut page = Vec::new().into_iter();
    std::iter::from_fn(move || {
        if let Some(record) = page.next() {
            return Some(record);
        }
        match store.scan(&from, prefix, 1 << 20) {
            Ok(next) => {
                if let Some((last, _)) = next.last() {
                    from.clone_from(last);
                    from.push(0);
                }
                page = next.into_iter();
                page.next()
            }
            Err(e) => {
                *failed = Some(e);
                None
            }
        }
    })
}
