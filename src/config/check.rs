//! What `run` needs beyond a config without faults: something to read, somewhere to report, no loops.
//!
//! Looks at directories only to follow links; opens and changes nothing.

use super::{MetricsSettings, Settings};
use crate::content::fault::Faults;
use std::fmt;
use std::path::{Component, Path, PathBuf};

impl Settings {
    /// What keeps `run` from starting with these settings; `file` is what faults call the config. Links are followed, so
    /// this sees loops that the text alone does not show. What is among the `known` faults is not said again.
    pub fn check_for_run(&self, file: &str, known: &Faults) -> Faults {
        let mut faults = Faults::default();
        if self.spools.is_empty() {
            faults.add(file, 0, "config", "there is nothing to read; add [[spool]] with path = \"/var/spool/dtex\"");
        }
        // A sink with faults is a sink that is meant.
        let is_meant = known.0.iter().any(|fault| fault.item.starts_with("[sink"));
        if self.sink_file.is_none() && self.sink_syslog.is_none() && !is_meant {
            faults.add(file, 0, "config", "alerts would go nowhere; add [sink.file] or [sink.syslog]");
        }
        for (place, message) in overlaps(self, &resolved) {
            let place = place.to_string();
            if !known.0.iter().any(|fault| fault.item == place && fault.message == message) {
                faults.add(file, 0, &place, message);
            }
        }
        faults
    }
}

/// The table that a contradiction between two settings is reported at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// A spool, by index from 0.
    Spool(usize),
    /// `[sink.file]`.
    SinkFile,
    /// `[state]`.
    State,
    /// `[metrics]`.
    Metrics,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Spool(i) => write!(f, "[[spool]] {}", i + 1),
            Place::SinkFile => f.write_str("[sink.file]"),
            Place::State => f.write_str("[state]"),
            Place::Metrics => f.write_str("[metrics]"),
        }
    }
}

/// Settings that name the same place where they must not. `place_of` makes paths comparable.
pub(super) fn overlaps(settings: &Settings, place_of: &dyn Fn(&Path) -> PathBuf) -> Vec<(Place, String)> {
    let mut found = Vec::new();
    let spools: Vec<PathBuf> = settings.spools.iter().map(|s| place_of(&s.path)).collect();
    let state = place_of(&settings.state.dir);
    let alerts = settings.sink_file.as_ref().map(|s| (&s.path, place_of(&s.path)));
    for (i, spool) in spools.iter().enumerate() {
        if let Some(first) = spools.iter().take(i).position(|other| other == spool) {
            let message = format!("{} is read already by [[spool]] {}; remove one of them", spool.display(), first + 1);
            found.push((Place::Spool(i), message));
            continue;
        }
        if let Some((as_written, alerts)) = &alerts
            && alerts.starts_with(spool)
        {
            let message = format!(
                "{} lies in the spool {}: the agent would read its own alerts; move one of them",
                as_written.display(),
                spool.display()
            );
            found.push((Place::SinkFile, message));
        }
        if state.starts_with(spool) || spool.starts_with(&state) {
            let message = format!("{} and the spool {} must lie apart", state.display(), spool.display());
            found.push((Place::State, message));
        }
    }
    for (i, dead_letter) in settings.spools.iter().enumerate().filter_map(|(i, s)| Some((i, s.dead_letter.as_ref()?))) {
        let at = place_of(dead_letter);
        if let Some(spool) = spools.iter().find(|spool| at.starts_with(spool)) {
            let message = format!(
                "dead_letter {} lies in the spool {}: the agent would read its own rejects; move one of them",
                dead_letter.display(),
                spool.display()
            );
            found.push((Place::Spool(i), message));
        }
        if alerts.as_ref().is_some_and(|(_, alerts)| *alerts == at) {
            let message = format!("dead_letter {} is the alert file, too; name another file", dead_letter.display());
            found.push((Place::Spool(i), message));
        }
    }
    if let Some(metrics) = &settings.metrics {
        metrics_overlaps(metrics, settings, &spools, place_of, &mut found);
    }
    found
}

/// The file of metrics takes the place of whatever has its name, and a socket that nobody answers on is replaced.
fn metrics_overlaps(
    metrics: &MetricsSettings,
    settings: &Settings,
    spools: &[PathBuf],
    place_of: &dyn Fn(&Path) -> PathBuf,
    found: &mut Vec<(Place, String)>,
) {
    if let Some(textfile) = &metrics.textfile {
        let at = place_of(textfile);
        if let Some(spool) = spools.iter().find(|spool| at.starts_with(spool)) {
            let message = format!(
                "textfile {} lies in the spool {}: the agent would read its own metrics; move one of them",
                textfile.display(),
                spool.display()
            );
            found.push((Place::Metrics, message));
        }
        let dead_letters = settings.spools.iter().filter_map(|s| s.dead_letter.as_ref());
        if dead_letters.chain(settings.sink_file.iter().map(|s| &s.path)).any(|other| place_of(other) == at) {
            let message = format!("textfile {} is an alert or dead-letter file, too; name another", textfile.display());
            found.push((Place::Metrics, message));
        }
    }
    if let Some(socket) = &metrics.socket
        && place_of(socket) == place_of(&settings.control.socket)
    {
        found.push((Place::Metrics, format!("socket {} is control.socket, too; name another", socket.display())));
    }
}

/// A path as written, made absolute, without `.` and `..`.
pub(super) fn written(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    let mut out = PathBuf::new();
    for part in absolute.components() {
        match part {
            Component::ParentDir => {
                out.pop();
            }
            Component::CurDir => {}
            other => out.push(other),
        }
    }
    out
}

/// A path with its links followed, also one to a place that is not there yet.
fn resolved(path: &Path) -> PathBuf {
    follow(path, MAX_LINKS)
}

/// As many links as the system follows.
const MAX_LINKS: u32 = 40;

fn follow(path: &Path, links: u32) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    for existing in absolute.ancestors() {
        let Ok(rest) = absolute.strip_prefix(existing) else { continue };
        let below = |base: PathBuf| {
            // Joining an empty rest would add a slash, which turns a file into a directory.
            if rest.as_os_str().is_empty() { base } else { base.join(rest) }
        };
        if let Ok(real) = existing.canonicalize() {
            return written(&below(real));
        }
        if links > 0
            && let (Ok(target), Some(dir)) = (existing.read_link(), existing.parent())
        {
            return follow(&below(dir.join(target)), links - 1);
        }
    }
    written(&absolute)
}

#[cfg(test)]
mod tests {
    use super::super::{FileSinkSettings, SpoolSettings, StateSettings};
    use super::*;

    #[test]
    fn run_needs_a_spool_and_a_sink() {
        let text = Settings::default().check_for_run("c.toml", &Faults::default()).to_string();
        assert!(text.contains("[[spool]]") && text.contains("[sink.file]"), "{text}");
    }

    #[test]
    fn a_loop_through_a_link_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::create_dir(at("spool")).unwrap();
        std::os::unix::fs::symlink(at("spool"), at("alerts")).unwrap();
        std::os::unix::fs::symlink(at("spool"), at("again")).unwrap();
        let spool = |name: &str| SpoolSettings { path: at(name), ..SpoolSettings::default() };
        let mut settings = Settings {
            spools: vec![spool("spool")],
            sink_file: Some(FileSinkSettings { path: at("alerts/a.jsonl"), ..FileSinkSettings::default() }),
            state: StateSettings { dir: at("state"), ..StateSettings::default() },
            ..Settings::default()
        };
        let faults = settings.check_for_run("c.toml", &Faults::default());
        assert_eq!(faults.0.len(), 1, "{faults}");
        assert!(faults.to_string().contains("its own alerts"), "{faults}");

        settings.sink_file = Some(FileSinkSettings { path: at("logs/a.jsonl"), ..FileSinkSettings::default() });
        assert!(settings.check_for_run("c.toml", &Faults::default()).is_empty());
        settings.spools.push(spool("again"));
        assert!(
            settings.check_for_run("c.toml", &Faults::default()).to_string().contains("read already by [[spool]] 1")
        );
    }

    #[test]
    fn a_loop_through_a_link_to_what_is_not_there_yet_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::create_dir(at("logs")).unwrap();
        std::os::unix::fs::symlink("../spool/sub", at("logs/link")).unwrap();
        std::os::unix::fs::symlink("round", at("round")).unwrap();
        assert_eq!(resolved(&at("logs/link/a")), resolved(&at("spool/sub/a")));
        assert_eq!(resolved(&at("round/a")), resolved(dir.path()).join("round/a"));
    }

    #[test]
    fn a_name_that_only_begins_alike_is_no_overlap() {
        let settings = Settings {
            spools: vec![SpoolSettings { path: "/x/spool".into(), ..SpoolSettings::default() }],
            sink_file: Some(FileSinkSettings { path: "/x/spool2/a".into(), ..FileSinkSettings::default() }),
            ..Settings::default()
        };
        assert_eq!(overlaps(&settings, &written), Vec::new());
    }
}
