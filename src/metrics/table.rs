//! Every metric: its name, type, labels, what it says, and where its samples come from. A new metric is one entry.
//!
//! Names follow Prometheus: base units, `_total` for what only grows. Labels name spools, parsers, rules, models, sinks and our
//! own words; their number follows from config and content, never from what is read.

use super::exposition::{self, Kind, Samples};
use super::figures::Figures;
use crate::alert::{AlertKind, MATTERS};
use crate::event::{EventType, Oddity, Reject};
use crate::source::FileState;

/// One metric.
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// Its type.
    pub kind: Kind,
    /// Names of its labels.
    pub labels: &'static [&'static str],
    /// What it says, in a sentence or two.
    pub help: &'static str,
    /// Gives its samples.
    pub(super) give: fn(&Figures, &mut Samples<'_>),
}

const fn counter(
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
    give: fn(&Figures, &mut Samples<'_>),
) -> Metric {
    Metric { name, kind: Kind::Counter, labels, help, give }
}

const fn gauge(
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
    give: fn(&Figures, &mut Samples<'_>),
) -> Metric {
    Metric { name, kind: Kind::Gauge, labels, help, give }
}

/// All of them, in the order of a page.
pub const METRICS: &[Metric] = &[
    // The agent.
    gauge("exfil_agent_build_info", &["version"], "Always 1; the version of the agent.", |_, s| {
        s.at(&[env!("CARGO_PKG_VERSION")], 1u64);
    }),
    gauge("exfil_agent_start_time_seconds", &[], "When the agent started, Unix time.", |f, s| {
        s.one(secs(f.started_ms))
    }),
    gauge(
        "exfil_agent_observed_timestamp_seconds",
        &[],
        "When detection last answered, Unix time; the other figures of detection are of then. It stands still while the agent \
         is being changed, and when it hangs.",
        |f, s| s.maybe(f.observed_ms.map(secs)),
    ),
    // Reading.
    gauge("exfil_agent_spool_available", &["spool"], "Whether the spool directory can be listed.", |f, s| {
        f.reading.spools.iter().for_each(|spool| s.at(&[&spool.path], spool.available));
    }),
    gauge("exfil_agent_spool_files", &["spool"], "Files in the spool that match its patterns.", |f, s| {
        f.reading.spools.iter().for_each(|spool| s.at(&[&spool.path], spool.files));
    }),
    gauge(
        "exfil_agent_spool_last_data_timestamp_seconds",
        &["spool"],
        "When a new byte was last read from the spool, Unix time; absent before the first.",
        |f, s| {
            let last = f.reading.spools.iter().filter_map(|spool| Some((&spool.path, spool.last_data_ms?)));
            last.for_each(|(path, at)| s.at(&[path], secs(at)));
        },
    ),
    gauge("exfil_agent_files", &["state"], "Spool files, by what is done with them.", |f, s| {
        FileState::ALL.iter().zip(&f.reading.states).for_each(|(state, n)| s.at(&[state.name()], *n));
    }),
    counter("exfil_agent_read_bytes_total", &["spool"], "Bytes judged, as they are when decoded.", |f, s| {
        by_spool(f, |path, spool| s.at(&[path], spool.tally.bytes));
    }),
    counter(
        "exfil_agent_records_total",
        &["spool", "outcome"],
        "Records judged, by what became of them: event, reject, header, blank.",
        |f, s| {
            by_spool(f, |path, spool| {
                let t = &spool.tally;
                s.at(&[path, "event"], t.events.total());
                s.at(&[path, "reject"], t.rejects.total());
                s.at(&[path, "header"], t.headers);
                s.at(&[path, "blank"], t.blank);
            });
        },
    ),
    counter("exfil_agent_events_total", &["spool", "type"], "Events by type.", |f, s| {
        by_spool(f, |path, spool| {
            EventType::ALL.iter().for_each(|t| s.at(&[path, t.name()], spool.tally.events.get(t.index())));
        });
    }),
    counter("exfil_agent_rejects_total", &["spool", "reason"], "Records that are no events, by reason.", |f, s| {
        by_spool(f, |path, spool| {
            Reject::ALL.iter().for_each(|r| s.at(&[path, r.name()], spool.tally.rejects.get(r.index())));
        });
    }),
    counter(
        "exfil_agent_oddities_total",
        &["spool", "oddity"],
        "Things worth counting in records that were used.",
        |f, s| {
            by_spool(f, |path, spool| {
                Oddity::ALL.iter().for_each(|o| s.at(&[path, o.name()], spool.tally.oddities.get(o.index())));
            });
        },
    ),
    counter("exfil_agent_parsed_events_total", &["parser"], "Events by the parser that made them.", |f, s| {
        f.parsers.iter().enumerate().for_each(|(at, id)| s.at(&[id], f.counted.parsers.get(at)));
    }),
    counter(
        "exfil_agent_silenced_alerts_total",
        &["rule"],
        "Alerts that were not made because of an exception of the site.",
        |f, s| {
            let rules = f.rules.iter().map(|(id, _)| id).chain(f.counted.silenced.keys());
            for id in rules.collect::<std::collections::BTreeSet<_>>() {
                s.at(&[id], f.counted.silenced.get(id).copied().unwrap_or(0));
            }
        },
    ),
    counter("exfil_agent_late_events_total", &[], "Events too old to train.", |f, s| s.one(f.counted.late)),
    counter("exfil_agent_future_events_total", &[], "Events ahead of the collector's clock.", |f, s| {
        s.one(f.counted.future);
    }),
    gauge(
        "exfil_agent_newest_event_timestamp_seconds",
        &["spool"],
        "Time of the newest event read since the start, Unix time; absent before the first.",
        |f, s| by_spool(f, |path, spool| spool.newest_event_ms.into_iter().for_each(|at| s.at(&[path], secs(at)))),
    ),
    gauge(
        "exfil_agent_read_lag_bytes",
        &["spool"],
        "Bytes that stand in the spool and are not judged yet; of compressed files as they stand on the disk.",
        |f, s| f.reading.spools.iter().enumerate().for_each(|(at, spool)| s.at(&[&spool.path], f.lag_bytes(at))),
    ),
    gauge(
        "exfil_agent_read_lag_seconds",
        &[],
        "Age of the oldest event that is not judged yet; 0 when nothing waits, absent before the spools were looked at.",
        |f, s| s.maybe(f.lag_secs()),
    ),
    counter(
        "exfil_agent_read_incidents_total",
        &["incident"],
        "What happened to files while they were read.",
        |f, s| {
            let c = &f.reading.counters;
            for (incident, n) in [
                ("rotated", c.rotations),
                ("truncated", c.truncations),
                ("vanished_unread", c.vanished_before_end),
                ("io_error", c.io_errors),
                ("spool_missing", c.missing_directories),
                ("expands_too_much", c.too_large),
                ("corrupt", c.corrupt),
                ("hints_lost", c.overflow_rescans),
            ] {
                s.at(&[incident], n);
            }
        },
    ),
    // Detection.
    counter(
        "exfil_agent_alerts_total",
        &["rule", "kind"],
        "Alerts raised, by rule and kind: detection, summary (how many were held back), operational (the agent on itself).",
        |f, s| by_rule(f, |rule, kind, (raised, _)| s.at(&[rule, kind.name()], raised)),
    ),
    counter(
        "exfil_agent_alerts_suppressed_total",
        &["rule"],
        "Alerts held back as part of a flood, by rule.",
        |f, s| {
            by_rule(f, |rule, kind, (_, suppressed)| {
                if kind == AlertKind::Detection {
                    s.at(&[rule], suppressed);
                }
            });
        },
    ),
    gauge("exfil_agent_rules", &["state"], "Rules that are enabled and disabled.", |f, s| {
        s.at(&["enabled"], f.enabled_rules);
        s.at(&["disabled"], f.disabled_rules);
    }),
    gauge(
        "exfil_agent_rule_inert",
        &["rule"],
        "Whether a rule cannot fire, since no event of its types has carried a field that it needs.",
        |f, s| f.rules.iter().for_each(|(rule, inert)| s.at(&[rule], *inert)),
    ),
    gauge(
        "exfil_agent_model_instances",
        &["model", "stage"],
        "Instances of a model, learning and converged.",
        |f, s| {
            for m in &f.summary.models {
                s.at(&[&m.model, "learning"], m.instances.saturating_sub(m.converged));
                s.at(&[&m.model, "converged"], m.converged);
            }
        },
    ),
    gauge(
        "exfil_agent_model_saturated_instances",
        &["model"],
        "Instances of a model that have lost values to a limit, and no longer say that something is new.",
        |f, s| f.summary.models.iter().for_each(|m| s.at(&[&m.model], m.saturated)),
    ),
    gauge("exfil_agent_entities", &["kind"], "Users, hosts and peer groups known.", |f, s| {
        s.at(&["user"], f.summary.users);
        s.at(&["host"], f.summary.hosts);
        s.at(&["group"], f.summary.groups);
    }),
    gauge(
        "exfil_agent_entities_held",
        &["place"],
        "Users and hosts of which what was learned is in memory, and those of which it is in the store alone.",
        |f, s| {
            let away = f.summary.memory.away;
            s.at(&["memory"], ((f.summary.users + f.summary.hosts) as u64).saturating_sub(away));
            s.at(&["store"], away);
        },
    ),
    gauge(
        "exfil_agent_entities_resident_bytes",
        &[],
        "Memory for what was learned about users and hosts, about.",
        |f, s| {
            s.one(f.summary.memory.resident_bytes);
        },
    ),
    counter("exfil_agent_entities_recalled_total", &[], "Users and hosts that came back into memory.", |f, s| {
        s.one(f.summary.memory.recalled);
    }),
    gauge("exfil_agent_guards", &[], "Guards kept: what has fired already.", |f, s| s.one(f.summary.guards)),
    counter(
        "exfil_agent_limit_reached_total",
        &["limit"],
        "How often something left, or was not kept, because of a setting in [limits].",
        |f, s| f.counted.limits.all().iter().for_each(|(limit, n, _)| s.at(&[limit], *n)),
    ),
    gauge(
        "exfil_agent_queue_length",
        &["queue"],
        "What waits: batches for detection, records for the next commit, alerts for the sinks.",
        |f, s| {
            s.at(&["batches"], f.summary.queued_batches);
            s.at(&["records"], f.summary.uncommitted);
            s.at(&["alerts"], f.summary.queued_alerts);
        },
    ),
    gauge("exfil_agent_uncommitted_bytes", &[], "Effects that wait for the next commit, about.", |f, s| {
        s.one(f.summary.uncommitted_bytes);
    }),
    // The store.
    Metric {
        name: "exfil_agent_commit_duration_seconds",
        kind: Kind::Histogram,
        labels: &[],
        help: "How long commits took until they were durable, retries included.",
        give: |f, s| s.histogram(&f.commits.latency),
    },
    gauge("exfil_agent_last_commit_timestamp_seconds", &[], "When the last commit was made, Unix time.", |f, s| {
        s.maybe(Some(f.commits.at_ms).filter(|at| *at > 0).map(secs));
    }),
    gauge("exfil_agent_commit_failing", &[], "Whether commits fail at the moment: then nothing advances.", |f, s| {
        s.one(f.commits.failing.is_some());
    }),
    gauge("exfil_agent_store_size_bytes", &[], "The database on disk, without snapshots.", |f, s| {
        s.one(f.commits.stats.disk_bytes);
    }),
    gauge("exfil_agent_store_records", &[], "Records in the database, about.", |f, s| s.one(f.commits.stats.records)),
    gauge(
        "exfil_agent_store_unfolded_bytes",
        &[],
        "Commits that are not folded into the pages of the database yet.",
        |f, s| {
            s.one(f.commits.stats.delta_bytes);
        },
    ),
    gauge("exfil_agent_snapshots", &[], "Snapshots to fall back to.", |f, s| s.one(f.commits.stats.snapshots)),
    gauge("exfil_agent_snapshots_size_bytes", &[], "Size of all snapshots.", |f, s| {
        s.one(f.commits.stats.snapshot_bytes)
    }),
    gauge(
        "exfil_agent_snapshot_timestamp_seconds",
        &[],
        "When the newest snapshot was written, Unix time; its age is time() less this. Absent before the first.",
        |f, s| s.maybe(f.commits.stats.snapshot_ms.map(secs)),
    ),
    gauge("exfil_agent_snapshot_failing", &[], "Whether the last snapshot could not be taken.", |f, s| {
        s.one(f.commits.snapshot_failing.is_some());
    }),
    // The sinks.
    counter("exfil_agent_sink_delivered_total", &["sink"], "Alerts delivered.", |f, s| {
        f.sinks.iter().for_each(|(name, sink)| s.at(&[name], sink.delivered));
    }),
    counter("exfil_agent_sink_below_min_score_total", &["sink"], "Alerts below the sink's min_score.", |f, s| {
        f.sinks.iter().for_each(|(name, sink)| s.at(&[name], sink.below_min_score));
    }),
    counter("exfil_agent_sink_suppressed_total", &["sink"], "Alerts held back by flood suppression.", |f, s| {
        f.sinks.iter().for_each(|(name, sink)| s.at(&[name], sink.suppressed));
    }),
    counter(
        "exfil_agent_sink_failures_total",
        &["sink"],
        "Attempts to deliver that failed; they are repeated.",
        |f, s| {
            f.sinks.iter().for_each(|(name, sink)| s.at(&[name], sink.errors));
        },
    ),
    gauge("exfil_agent_sink_failing", &["sink"], "Whether the last attempt failed.", |f, s| {
        f.sinks.iter().for_each(|(name, sink)| s.at(&[name], sink.failing_since_ms.is_some()));
    }),
    gauge("exfil_agent_sink_queue_length", &["sink"], "Alerts that are durable and not delivered yet.", |f, s| {
        f.summary.sinks.iter().for_each(|sink| s.at(&[&sink.name], f.summary.alerts.saturating_sub(sink.seq)));
    }),
    counter("exfil_agent_sink_truncated_total", &["sink"], "Alerts that were cut to fit.", |f, s| {
        f.sinks.iter().for_each(|(name, sink)| s.at(&[name], sink.truncated));
    }),
    counter(
        "exfil_agent_sink_repeats_dropped_total",
        &["sink"],
        "Alerts that were found delivered already and not delivered again.",
        |f, s| f.sinks.iter().for_each(|(name, sink)| s.at(&[name], sink.repeats_dropped)),
    ),
    counter(
        "exfil_agent_sink_delivered_again_total",
        &["sink"],
        "Alerts that were delivered again because the place that had taken them lost them.",
        |f, s| f.sinks.iter().for_each(|(name, sink)| s.at(&[name], sink.delivered_again)),
    ),
];

/// All of a page. A metric without samples is not told.
pub(super) fn page(figures: &Figures) -> String {
    let mut out = String::with_capacity(32 << 10);
    for metric in METRICS {
        let from = out.len();
        exposition::head(metric, &mut out);
        let head = out.len();
        (metric.give)(figures, &mut Samples { metric, out: &mut out });
        if out.len() == head {
            out.truncate(from);
        }
    }
    out
}

fn secs(ms: i64) -> f64 {
    ms as f64 / 1000.0
}

/// Each spool with what was judged of it.
fn by_spool(f: &Figures, mut each: impl FnMut(&str, &crate::detect::counted::SpoolCount)) {
    let nothing = crate::detect::counted::SpoolCount::default();
    for (at, spool) in f.reading.spools.iter().enumerate() {
        each(&spool.path, f.counted.spools.get(at).unwrap_or(&nothing));
    }
}

/// Each rule that is switched on, each of the agent's own matters, and whatever else has raised an alert.
fn by_rule(f: &Figures, mut each: impl FnMut(&str, AlertKind, (u64, u64))) {
    let rules = f.rules.iter().map(|(rule, _)| (AlertKind::Detection, rule.as_str()));
    let matters = MATTERS.iter().map(|matter| (AlertKind::Operational, *matter));
    let raised = f.counted.alerts.keys().map(|(kind, rule)| (*kind, rule.as_str()));
    let all: std::collections::BTreeSet<(AlertKind, &str)> = rules.chain(matters).chain(raised).collect();
    for (kind, rule) in all {
        let counts = f.counted.alerts.get(&(kind, rule.to_owned())).copied().unwrap_or_default();
        each(rule, kind, counts);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_follow_the_conventions_and_none_stands_twice() {
        let mut names = BTreeSet::new();
        for m in METRICS {
            assert!(names.insert(m.name), "{} stands twice", m.name);
            assert!(m.name.starts_with("exfil_agent_"), "{}", m.name);
            assert_eq!(m.name.ends_with("_total"), m.kind == Kind::Counter, "{}", m.name);
            assert!(m.help.ends_with('.') && !m.help.contains("  "), "{}: {}", m.name, m.help);
            for word in [m.name].iter().chain(m.labels) {
                assert!(word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{word}");
            }
        }
    }

    /// What is found in a page of an agent that has not begun, in front of labels and values.
    #[test]
    fn a_page_without_figures_has_the_metrics_that_need_none() {
        let text = page(&Figures::starting_at(1_500));
        assert!(text.contains("\nexfil_agent_start_time_seconds 1.5\n"), "{text}");
        assert!(text.contains("\nexfil_agent_alerts_total{rule=\"limit-reached\",kind=\"operational\"} 0\n"), "{text}");
        assert!(!text.contains("observed") && !text.contains("lag_seconds"), "nobody knows:\n{text}");
        assert!(text.lines().all(|l| l.starts_with('#') || l.split(' ').next_back().unwrap().parse::<f64>().is_ok()));
    }
}
