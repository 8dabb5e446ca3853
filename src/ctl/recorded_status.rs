//! One report that answers "is it working?", from committed records and what only the process knows.

use super::files::{file_rows, lag};
use super::health;
use super::recorded::Recorded;
use super::view::{InertRule, LastCommit, ModelProgress, Process, Queue, SinkRow, StatusReport, View, ViewError};
use crate::batch::Tally;
use crate::calendar::{Day, Zone, format_day, format_instant, parse_day, wall_clock_ms};
use crate::content::overrides;
use crate::control::{Live, SinkProgress, Summary};
use crate::event::{Counts, EventType, Oddity, Reject};
use crate::state::key::{Key, MODELS, guards_of};
use crate::state::record::{AgentRecord, GuardRecord, ModelRecord, SinkRecord};
use std::collections::{BTreeMap, BTreeSet};

/// Makes the report.
pub(super) fn report(view: &mut Recorded) -> Result<StatusReport, ViewError> {
    let mut report = gathered(view)?;
    let troubles = health::troubles(&report);
    report.warnings.splice(0..0, troubles);
    let (health, summary) = health::of(&report);
    (report.health, report.summary) = (health.name().into(), summary);
    Ok(report)
}

fn gathered(view: &mut Recorded) -> Result<StatusReport, ViewError> {
    let live = view.records.live()?;
    match (committed(view, live.as_ref()), live) {
        // A full disk closes the store, and that is when somebody asks: what the process knows is still an answer.
        (Err(why), Some(live)) => {
            let mut report = StatusReport {
                source: view.source(),
                alerts: live.summary.alerts,
                suppressed: live.summary.suppressed,
                models: models(view, Some(&live))?,
                sinks: live_sink_rows(&live),
                ..StatusReport::default()
            };
            running(&mut report, &live);
            warn(&mut report, &AgentRecord::default(), 0, Some(&live));
            report.warnings.push(format!("what is committed cannot be read at the moment: {why}"));
            Ok(report)
        }
        (report, _) => report,
    }
}

fn committed(view: &mut Recorded, live: Option<&Live>) -> Result<StatusReport, ViewError> {
    // Before the agent's own record: what is delivered must not be ahead of what is raised.
    let sinks = if live.is_none() { view.sinks()? } else { Vec::new() };
    let agent = view.get::<AgentRecord>(&Key::Agent)?.unwrap_or_default();
    let files = view.files()?;
    let mut total = agent.forgotten.clone();
    files.iter().for_each(|(_, f)| total.merge(&f.tally));
    let mut report = StatusReport {
        files: file_rows(&files, live),
        lag: live.and_then(|live| lag(&files, live)),
        events: named(&total.events, EventType::ALL.iter().map(|e| e.name())),
        rejects: named(&total.rejects, Reject::ALL.iter().map(|r| r.name())),
        oddities: named(&total.oddities, Oddity::ALL.iter().map(|o| o.name())),
        late: agent.late,
        future: agent.future,
        newest_day: agent.newest_day.map(format_day),
        // Those of the moment that the sinks are told of.
        alerts: live.map_or(agent.alerts, |l| l.summary.alerts),
        suppressed: live.map_or(agent.suppressed, |l| l.summary.suppressed),
        limits: agent.limits.all().into_iter().map(|(name, count, _)| (name.to_owned(), count)).collect(),
        inert: inert_rules(view, &agent, &total),
        models: models(view, live)?,
        sinks: match live {
            Some(live) => live_sink_rows(live),
            None => sink_rows(view, &agent, sinks)?,
        },
        ..StatusReport::default()
    };
    let silenced = view.silenced()?;
    report.silenced = silenced.iter().map(|row| row.count).sum();
    report.silencing = silenced.iter().map(|row| &row.exception).collect::<BTreeSet<_>>().len() as u64;
    let Tally { bytes, records, headers, blank, .. } = total;
    (report.bytes, report.records, report.headers, report.blank) = (bytes, records, headers, blank);
    if let Some(live) = live {
        running(&mut report, live);
    }
    warn(&mut report, &agent, view.settings.detection.maturity_days, live);
    let today = Zone::named(&view.settings.detection.timezone).unwrap_or_else(|_| Zone::utc()).day_of(wall_clock_ms());
    report.warnings.extend(overrides::ending(&view.content, today).iter().map(ToString::to_string));
    report.warnings.extend(relearning(&report.models, &agent, view.settings.detection.maturity_days));
    report.warnings.extend(sanction_hints(view, &agent, live)?);
    report.source = view.source();
    Ok(report)
}

fn named<'a>(counts: &Counts, names: impl Iterator<Item = &'a str>) -> BTreeMap<String, u64> {
    names.enumerate().map(|(i, n)| (n.to_owned(), counts.get(i))).filter(|(_, n)| *n > 0).collect()
}

fn inert_rules(view: &Recorded, agent: &AgentRecord, total: &Tally) -> Vec<InertRule> {
    let rules = view.content.rules.iter().filter(|r| r.enabled);
    // Before the first event of a type there is nothing to say about its fields.
    rules
        .filter(|r| r.never().is_some() || r.types().any(|t| total.events.get(t.index()) > 0))
        .filter_map(|r| Some(InertRule { rule: r.id.clone(), reason: r.inert(&agent.carried)? }))
        .collect()
}

/// How far the models of the content are. A running agent knows it; of a stopped one all instances are looked at.
fn models(view: &mut Recorded, live: Option<&Live>) -> Result<Vec<ModelProgress>, ViewError> {
    let of_content = view.content.models.iter().map(|m| (m.id.clone(), ModelProgress::default()));
    let mut out: BTreeMap<String, ModelProgress> = of_content.collect();
    match live {
        Some(live) => {
            for m in &live.summary.models {
                let Some(entry) = out.get_mut(&m.model) else { continue };
                (entry.instances, entry.converged, entry.saturated) = (m.instances, m.converged, m.saturated);
            }
        }
        None => {
            for s in view.summaries()? {
                let Some(entry) = out.get_mut(&s.model) else { continue };
                entry.instances += 1;
                entry.converged += u64::from(s.converged);
                entry.saturated += u64::from(s.saturated);
            }
        }
    }
    // On a disk that cannot be read the rest is still an answer.
    for (key, record) in view.table::<ModelRecord>(MODELS).unwrap_or_default() {
        let Key::Model(id) = key else { continue };
        let Some(entry) = out.get_mut(&id) else { continue };
        (entry.revision, entry.anew_since) = (record.revision, record.anew_since.map(format_day));
    }
    let named = |(model, progress): (String, ModelProgress)| {
        let learning = progress.instances.saturating_sub(progress.converged);
        ModelProgress { model, learning, ..progress }
    };
    Ok(out.into_iter().map(named).collect())
}

/// Models whose definition has changed lately: their rules are silent for a while.
fn relearning(models: &[ModelProgress], agent: &AgentRecord, maturity_days: u32) -> Vec<String> {
    let young = |since: &str| {
        let since = parse_day(since).unwrap_or(Day::MIN);
        agent.newest_day.is_none_or(|day| day <= since.saturating_add_unsigned(maturity_days))
    };
    let of = |m: &ModelProgress| {
        let since = m.anew_since.as_deref().filter(|since| young(since))?;
        Some(format!("the model {} learns anew since {since}: it has revision {} now", m.model, m.revision))
    };
    models.iter().filter_map(of).collect()
}

/// Share of a day's users from which a service looks like the site's own.
const COMMON_SHARE: f64 = 0.2;
/// Users that a day must have before shares mean something.
const MIN_USERS: u64 = 10;

/// Services that so many users of the newest day met under one rule that the site should think of sanctioning them.
fn sanction_hints(view: &mut Recorded, agent: &AgentRecord, live: Option<&Live>) -> Result<Vec<String>, ViewError> {
    let (day, met, all) = match live {
        Some(Live { summary: Summary { newest_day, services, users_of_newest_day, .. }, .. }) => {
            (*newest_day, services.clone(), *users_of_newest_day)
        }
        None => {
            let met = agent.newest_day.map_or(Ok(Vec::new()), |day| services_of(view, day))?;
            let all = match agent.newest_day.filter(|_| !met.is_empty()) {
                Some(day) => view.users_of_day(&format_day(day))? as u64,
                None => 0,
            };
            (agent.newest_day, met, all)
        }
    };
    let Some(day) = day else { return Ok(Vec::new()) };
    let common = |n: u64| all >= MIN_USERS && n as f64 > COMMON_SHARE * all as f64;
    let hint = |(service, rule, n): (String, String, u64)| {
        format!(
            "{n} of {all} users met {service} ({rule}) on {}: if it is the site's own, name it in detection.sanctioned_domains",
            format_day(day)
        )
    };
    Ok(met.into_iter().filter(|(_, _, n)| common(*n)).map(hint).collect())
}

/// Of a stopped agent: services, rules, and how many users met them on a day.
fn services_of(view: &mut Recorded, day: Day) -> Result<Vec<(String, String, u64)>, ViewError> {
    let rules: Vec<String> = view.content.rules.iter().filter(|r| r.is_by_service()).map(|r| r.id.clone()).collect();
    let mut users: BTreeMap<(String, String), u64> = BTreeMap::new();
    for (key, _) in view.table::<GuardRecord>(&guards_of(day))? {
        if let Key::Guard(guard) = key
            && rules.contains(&guard.rule)
        {
            let service = String::from_utf8_lossy(&guard.value).into_owned();
            *users.entry((service, guard.rule)).or_default() += 1;
        }
    }
    Ok(users.into_iter().map(|((service, rule), n)| (service, rule, n)).collect())
}

/// What the sinks of a running agent have done: all of one moment, so that the numbers add up.
fn live_sink_rows(live: &Live) -> Vec<SinkRow> {
    let row = |sink: &SinkProgress| {
        let SinkProgress { name, seq, below_min_score, suppressed } = sink.clone();
        let now = live.sinks.iter().find(|s| s.0 == name).map(|s| s.1.clone()).unwrap_or_default();
        SinkRow {
            delivered: seq.saturating_sub(below_min_score + suppressed),
            below_min_score,
            suppressed,
            queued: live.summary.alerts.saturating_sub(seq),
            errors: now.errors,
            last_error: now.last_error,
            failing_since: now.failing_since_ms.map(format_instant),
            truncated: now.truncated,
            repeats_dropped: now.repeats_dropped,
            delivered_again: now.delivered_again,
            name,
        }
    };
    live.summary.sinks.iter().map(row).collect()
}

/// The same of a stopped agent.
fn sink_rows(
    view: &mut Recorded,
    agent: &AgentRecord,
    sinks: Vec<(String, SinkRecord)>,
) -> Result<Vec<SinkRow>, ViewError> {
    let acknowledged = sinks.iter().map(|(_, record)| record.seq).min().unwrap_or_default();
    // Which of the alerts that still wait are suppressed: they are counted as waiting.
    let mut held_back = Vec::new();
    if agent.suppressed > 0 && acknowledged < agent.alerts {
        view.kept_alerts(|seq, alert| {
            if alert.suppressed && seq > acknowledged && seq <= agent.alerts {
                held_back.push(seq);
            }
        })?;
    }
    let mut rows = Vec::new();
    for (name, record) in sinks {
        let waiting = held_back.iter().filter(|seq| **seq > record.seq).count() as u64;
        let suppressed = agent.suppressed.saturating_sub(waiting);
        rows.push(SinkRow {
            delivered: record.seq.saturating_sub(record.below_min_score + suppressed),
            below_min_score: record.below_min_score,
            suppressed,
            queued: agent.alerts.saturating_sub(record.seq),
            name,
            ..SinkRow::default()
        });
    }
    Ok(rows)
}

fn running(report: &mut StatusReport, live: &Live) {
    report.process = Some(Process {
        pid: live.pid,
        version: live.version.clone(),
        started: format_instant(live.started_ms),
        up_secs: (live.now_ms - live.started_ms).max(0) as u64 / 1000,
    });
    let queue = |name: &str, depth: u64| Queue { name: name.into(), depth, limit: None };
    report.queues = vec![
        queue("batches before detection", live.summary.queued_batches as u64),
        queue("records before the next commit", live.summary.uncommitted as u64),
        queue("alerts before the sinks", live.summary.queued_alerts),
    ];
    report.memory = Some(live.summary.memory);
    report.last_commit = Some(LastCommit {
        epoch: live.commits.epoch,
        at: format_instant(live.commits.at_ms),
        failing: live.commits.failing.clone(),
    });
}

fn warn(report: &mut StatusReport, agent: &AgentRecord, maturity_days: u32, live: Option<&Live>) {
    let mut say = |text: String| report.warnings.push(text);
    for (name, count, what) in agent.limits.all().into_iter().filter(|l| l.1 > 0) {
        say(format!("limits.{name} was reached {count} times: {what}"));
    }
    if let Some(until) = agent.quiet_before_ms
        // Once everybody can be known again, it is history.
        && agent.newest_day.is_none_or(|day| day <= Zone::utc().day_of(until).saturating_add_unsigned(maturity_days))
    {
        let until = format_instant(until);
        say(format!("the state was lost and learned anew: alerts about events before {until} are kept, not delivered"));
    }
    let Some(live) = live else { return };
    if let Some(why) = &live.commits.snapshot_failing {
        say(format!("the last snapshot of the state failed: {why}"));
    }
    if let Some(why) = &live.source.polling_only {
        say(format!("no hints from the kernel, new bytes are seen at the next rescan: {why}"));
    }
    for spool in &live.source.spools {
        if let Some(why) = &spool.missing {
            say(format!("spool {}: {why}; waiting for it", spool.path));
        }
    }
    for (name, sink) in &live.sinks {
        if sink.dedup_lost {
            say(format!("sink {name}: the alert file of the last run is gone; delivery is at least once"));
        }
    }
    let c = &live.source.counters;
    if c.vanished_before_end > 0 {
        say(format!("{} spool files vanished before they were read to their end", c.vanished_before_end));
    }
}
