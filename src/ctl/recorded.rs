//! The answers of an agent, running or stopped, made from its committed records.

use super::records::{Records, RecordsError};
use super::view::{
    AlertRow, Delivery, DumpFilter, InstanceRow, ModelStats, RuleRow, SilencedRow, SourceLine, StateStats,
    StatusReport, StoredAlert, TakeRecord, View, ViewError,
};
use crate::alert::Alert;
use crate::calendar::{format_day, format_instant, parse_day};
use crate::config::Settings;
use crate::content::layers::Item;
use crate::content::{Content, Kind};
use crate::rule::Rule;
use crate::state::dump::{Dumper, InstanceSummary, ModelFacts, Row};
use crate::state::key::{ALERTS, ENTITIES, GuardKey, Key, SILENCED};
use crate::state::record::{AgentRecord, FileRecord, GuardRecord, SilencedRecord, SinkRecord};
use crate::store::{StoreError, codec};
use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::os::unix::fs::MetadataExt;

/// A view of committed records.
pub struct Recorded {
    pub(super) records: Records,
    pub(super) content: Content,
    pub(super) settings: Settings,
    source: SourceLine,
}

impl From<RecordsError> for ViewError {
    fn from(error: RecordsError) -> ViewError {
        let text = error.to_string();
        match error {
            RecordsError::Store(
                StoreError::Corrupt { .. } | StoreError::BadSnapshot { .. } | StoreError::Newer { .. },
            ) => ViewError::Corrupt(text),
            RecordsError::Store(StoreError::Missing { .. }) => ViewError::Unreachable(text),
            RecordsError::Store(_) => ViewError::Failed(text),
            RecordsError::Agent { .. }
            | RecordsError::Forbidden { .. }
            | RecordsError::Nothing { .. }
            | RecordsError::Held { .. }
            | RecordsError::Locked { .. } => ViewError::Unreachable(text),
        }
    }
}

impl Recorded {
    /// A view; asks a running agent for its process id.
    ///
    /// # Errors
    /// When a running agent does not answer.
    pub fn new(mut records: Records, content: Content, settings: Settings) -> Result<Recorded, ViewError> {
        let source = match records.live()? {
            Some(live) => {
                SourceLine::Running { pid: live.pid, first_epoch: live.commits.epoch, last_epoch: live.commits.epoch }
            }
            None => stopped_source(&records),
        };
        Ok(Recorded { records, content, settings, source })
    }

    /// One record.
    pub(super) fn get<T: DeserializeOwned>(&mut self, key: &Key) -> Result<Option<T>, ViewError> {
        let key = key.encode();
        let page = self.records.page(&key, &key)?;
        page.iter().find(|(k, _)| **k == *key).map(|(k, v)| read(k, v)).transpose()
    }

    /// All records of a table, with their keys.
    pub(super) fn table<T: DeserializeOwned>(&mut self, prefix: &[u8]) -> Result<Vec<(Key, T)>, ViewError> {
        let (mut out, mut bad) = (Vec::new(), None);
        self.records.each(prefix, |key, value| match (Key::decode(key), read(key, value)) {
            (Some(key), Ok(record)) => {
                out.push((key, record));
                true
            }
            (_, Err(e)) => {
                bad = Some(e);
                false
            }
            (None, _) => true,
        })?;
        bad.map_or(Ok(out), Err)
    }

    fn dumper(&self) -> Dumper {
        let d = &self.settings.detection;
        let facts = |m: &crate::model::ModelSpec| (m.id.clone(), ModelFacts::of(m, d.min_confidence, d.window_days));
        Dumper::new(self.content.models.iter().map(facts).collect())
    }

    /// Feeds every row of the entities; `each` says whether to go on.
    fn rows(&mut self, mut each: impl FnMut(Row) -> bool) -> Result<(), ViewError> {
        let mut dumper = self.dumper();
        let (mut bad, mut more) = (None, true);
        self.records.each(ENTITIES, |key, value| {
            let fed = dumper.feed(key, value, &mut |row| more = more && each(row));
            if let Err(e) = fed {
                bad = Some(ViewError::Corrupt(e.to_string()));
            }
            more && bad.is_none()
        })?;
        if more {
            dumper.end(&mut |row| more = more && each(row));
        }
        bad.map_or(Ok(()), Err)
    }

    /// Every instance.
    pub(super) fn summaries(&mut self) -> Result<Vec<InstanceSummary>, ViewError> {
        let mut out = Vec::new();
        self.rows(|row| {
            if let Row::Instance(instance) = row {
                out.push(instance);
            }
            true
        })?;
        Ok(out)
    }

    /// How many users' latest day is this one.
    pub(super) fn users_of_day(&mut self, day: &str) -> Result<usize, ViewError> {
        let mut users = 0;
        self.rows(|row| {
            if let Row::Entity(e) = row
                && e.kind == crate::alert::EntityKind::User
                && e.latest_day.as_deref() == Some(day)
            {
                users += 1;
            }
            true
        })?;
        Ok(users)
    }

    /// How often what raised an alert came again.
    fn repeats(&mut self, alert: &Alert) -> Result<u64, ViewError> {
        let Some(day) = parse_day(&alert.sequence) else { return Ok(0) };
        let guard = Key::Guard(GuardKey {
            day,
            rule: alert.rule.id.clone(),
            kind: alert.entity_kind,
            entity: alert.entity.clone().into_bytes(),
            value: alert.value.clone().unwrap_or_default().into_bytes(),
        });
        Ok(self.get::<GuardRecord>(&guard)?.map_or(0, |g| g.repeats))
    }

    pub(super) fn kept_alerts(&mut self, mut each: impl FnMut(u64, Alert)) -> Result<(), ViewError> {
        let mut bad = None;
        self.records.each(ALERTS, |key, value| match (Key::decode(key), read(key, value)) {
            (Some(Key::Alert(seq)), Ok(alert)) => {
                each(seq, alert);
                true
            }
            (_, Err(e)) => {
                bad = Some(e);
                false
            }
            _ => true,
        })?;
        bad.map_or(Ok(()), Err)
    }

    /// What each sink has delivered: of a running agent those that it has, also one that has delivered nothing yet; of a
    /// stopped one all that its state knows.
    pub(super) fn sinks(&mut self) -> Result<Vec<(String, SinkRecord)>, ViewError> {
        let live = self.records.live()?;
        let known: Vec<(Key, SinkRecord)> = self.table(b"k")?;
        let mut known: BTreeMap<String, SinkRecord> = known
            .into_iter()
            .filter_map(|(key, record)| match key {
                Key::Sink(name) => Some((name, record)),
                _ => None,
            })
            .collect();
        Ok(match live {
            Some(live) => live
                .sinks
                .into_iter()
                .map(|(name, _)| (name.clone(), known.remove(&name).unwrap_or_default()))
                .collect(),
            None => known.into_iter().collect(),
        })
    }

    fn deliveries(&mut self, seq: u64, alert: &Alert) -> Result<Vec<Delivery>, ViewError> {
        let mut out = Vec::new();
        for (sink, record) in self.sinks()? {
            let min_score = match sink.as_str() {
                "file" => self.settings.sink_file.as_ref().map_or(0, |s| s.min_score),
                "syslog" => self.settings.sink_syslog.as_ref().map_or(0, |s| s.min_score),
                _ => 0,
            };
            let state = match () {
                () if alert.suppressed => "suppressed",
                () if record.seq < seq => "waiting",
                () if !alert.is_worth(min_score) => "below min_score",
                () => "delivered",
            };
            out.push(Delivery { sink, state: state.into() });
        }
        Ok(out)
    }
}

impl View for Recorded {
    fn source(&self) -> SourceLine {
        match (&self.source, &self.records) {
            (SourceLine::Running { pid, .. }, Records::Running { epochs: Some((first, last)), .. }) => {
                SourceLine::Running { pid: *pid, first_epoch: *first, last_epoch: *last }
            }
            (source, _) => source.clone(),
        }
    }

    fn instances(
        &mut self,
        filter: &DumpFilter,
        each: &mut dyn FnMut(InstanceRow) -> io::Result<()>,
    ) -> Result<(), ViewError> {
        let mut summary: Option<InstanceSummary> = None;
        let (mut left, mut trouble) = (filter.limit.unwrap_or(usize::MAX), None);
        self.rows(|row| {
            match row {
                Row::Instance(s) => summary = Some(s),
                Row::Bin(bin) => {
                    let Some(s) = summary.as_ref().filter(|_| filter.takes(&bin.model, &bin.scope, &bin.value)) else {
                        return left > 0;
                    };
                    if left == 0 {
                        return false;
                    }
                    left -= 1;
                    let row = InstanceRow {
                        model: bin.model,
                        scope: bin.scope,
                        value: bin.value,
                        count: bin.count,
                        share: (bin.share * 1e6).round() / 1e6,
                        first_seen: bin.first_seen,
                        last_seen: bin.last_seen,
                        n: s.n,
                        c: s.c,
                        confidence: (s.confidence * 1e6).round() / 1e6,
                        converged: s.converged,
                        saturated: s.saturated,
                        history_days: s.history_days,
                    };
                    trouble = each(row).err();
                }
                _ => {}
            }
            trouble.is_none() && left > 0
        })?;
        trouble.map_or(Ok(()), |e| Err(ViewError::Output(e)))
    }

    fn records(&mut self, prefix: &[u8], each: TakeRecord<'_>) -> Result<(), ViewError> {
        let mut failed = None;
        self.records.each(prefix, |key, value| {
            failed = each(key, value).err();
            failed.is_none()
        })?;
        failed.map_or(Ok(()), |e| Err(ViewError::Failed(e.to_string())))
    }

    fn stats(&mut self) -> Result<StateStats, ViewError> {
        let mut stats = StateStats { schema: crate::state::record::SCHEMA, ..StateStats::default() };
        let mut models: BTreeMap<String, ModelStats> = BTreeMap::new();
        for model in &self.content.models {
            models.insert(model.id.clone(), ModelStats { model: model.id.clone(), ..ModelStats::default() });
        }
        self.records.each(b"", |key, value| {
            let bytes = (key.len() + value.len()) as u64;
            stats.payload_bytes += bytes;
            match Key::decode(key) {
                Some(Key::Entity(kind, _)) => match kind {
                    crate::alert::EntityKind::User => stats.users += 1,
                    crate::alert::EntityKind::Host => stats.hosts += 1,
                    crate::alert::EntityKind::Group => stats.groups += 1,
                    crate::alert::EntityKind::Agent => {}
                },
                Some(Key::Instance(_, _, model) | Key::Bin(_, _, model, _)) => {
                    let entry = models.entry(model.clone()).or_default();
                    entry.model = model;
                    entry.bytes += bytes;
                }
                Some(Key::Guard(_)) => stats.guards += 1,
                Some(Key::Alert(_)) => stats.alerts += 1,
                Some(Key::File(_)) => stats.files += 1,
                _ => {}
            }
            true
        })?;
        self.rows(|row| {
            match row {
                Row::Instance(s) => {
                    let entry = models.entry(s.model).or_default();
                    entry.instances += 1;
                    entry.converged += u64::from(s.converged);
                    entry.saturated += u64::from(s.saturated);
                    entry.bins += s.c;
                    entry.newest_day = entry.newest_day.take().max(s.latest_day);
                }
                Row::Bin(bin) => {
                    let entry = models.entry(bin.model).or_default();
                    let day = bin.first_seen.get(..10).map(str::to_owned);
                    entry.oldest_day = match (entry.oldest_day.take(), day) {
                        (Some(a), Some(b)) => Some(a.min(b)),
                        (a, b) => a.or(b),
                    };
                }
                _ => {}
            }
            true
        })?;
        stats.models = models.into_values().collect();
        let live = self.records.live()?.map(|l| l.commits.stats);
        let store = match &self.records {
            Records::Stopped { store, .. } => store.stats(),
            Records::Running { .. } => live.unwrap_or_default(),
        };
        stats.disk_bytes = store.disk_bytes;
        stats.snapshots = store.snapshots;
        stats.snapshot_bytes = store.snapshot_bytes;
        stats.snapshot_epoch = store.snapshot_epoch;
        stats.source = self.source();
        Ok(stats)
    }

    fn status(&mut self) -> Result<StatusReport, ViewError> {
        super::recorded_status::report(self)
    }

    fn alerts(&mut self, limit: usize) -> Result<Vec<AlertRow>, ViewError> {
        let mut last: VecDeque<(u64, Alert)> = VecDeque::new();
        self.kept_alerts(|seq, alert| {
            last.push_back((seq, alert));
            if last.len() > limit {
                last.pop_front();
            }
        })?;
        last.into_iter()
            .map(|(seq, alert)| {
                let repeats = self.repeats(&alert)?;
                Ok(AlertRow { repeats, ..alert_row(seq, alert) })
            })
            .collect()
    }

    fn alerts_after(&mut self, seq: u64) -> Result<Vec<AlertRow>, ViewError> {
        let Some(next) = seq.checked_add(1) else { return Ok(Vec::new()) };
        let page = self.records.page(&Key::Alert(next).encode(), ALERTS)?;
        let alerts = page.iter().filter_map(|(key, value)| Some((Key::decode_alert(key)?, key, value)));
        alerts.map(|(seq, key, value)| Ok(alert_row(seq, read(key, value)?))).collect()
    }

    fn alert(&mut self, id_prefix: &str) -> Result<StoredAlert, ViewError> {
        let (mut found, mut others): (Option<(u64, Alert)>, u64) = (None, 0);
        let mut near: (usize, Option<Alert>) = (0, None);
        self.kept_alerts(|seq, alert| {
            let alike = alert.id.bytes().zip(id_prefix.bytes()).take_while(|(a, b)| a == b).count();
            if alike > near.0 {
                near = (alike, Some(alert.clone()));
            }
            if alert.id.starts_with(id_prefix) {
                // The same id again is the same alert: a restored backup, or a guard that aged out.
                match &found {
                    Some((_, first)) if first.same_id(&alert) => {}
                    Some(_) => others += 1,
                    None => found = Some((seq, alert)),
                }
            }
        })?;
        if others > 0 {
            return Err(ViewError::NotFound(format!(
                "{} alerts have an id that begins with {id_prefix:?}; write more of it",
                others + 1
            )));
        }
        let (seq, alert) = found.ok_or_else(|| {
            let near = near.1.map_or_else(String::new, |a| {
                let begin: String = a.id.chars().take(10).collect();
                format!("; the nearest is {begin} ({}, {} {})", a.rule.id, a.entity_kind.name(), a.entity)
            });
            ViewError::NotFound(format!(
                "no kept alert has an id that begins with {id_prefix:?}{near}; `agentctl alerts list` shows them"
            ))
        })?;
        Ok(StoredAlert { seq, repeats: self.repeats(&alert)?, deliveries: self.deliveries(seq, &alert)?, alert })
    }

    fn rules(&mut self) -> Result<Vec<RuleRow>, ViewError> {
        let carried = self.get::<AgentRecord>(&Key::Agent)?.unwrap_or_default().carried;
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        self.kept_alerts(|_, alert| *counts.entry(alert.rule.id.clone()).or_default() += 1)?;
        let (silenced, layers) = (self.silenced()?, &self.content.layers);
        let row = |rule: &Rule| RuleRow {
            id: rule.id.clone(),
            name: rule.name.clone(),
            attack: rule.attack.clone(),
            score: rule.score,
            events: rule.events.iter().map(|e| e.name().to_owned()).collect(),
            enabled: rule.enabled,
            inert: rule.inert(&carried),
            alerts: counts.get(&rule.id).copied().unwrap_or(0),
            silenced: silenced.iter().filter(|row| row.rule == rule.id).map(|row| row.count).sum(),
            file: rule.file.clone(),
            origin: layers.item(Kind::Rule, &rule.id).map_or_else(|| rule.file.clone(), Item::origin),
        };
        let mut rows: Vec<RuleRow> = self.content.rules.iter().map(row).collect();
        rows.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(rows)
    }

    fn silenced(&mut self) -> Result<Vec<SilencedRow>, ViewError> {
        let records: Vec<(Key, SilencedRecord)> = self.table(SILENCED)?;
        let row = |(key, record): (Key, SilencedRecord)| match key {
            Key::Silenced(exception, rule) => Some(SilencedRow {
                exception,
                rule,
                count: record.count,
                last_day: format_day(record.last_day),
                last_entity: String::from_utf8_lossy(&record.last_entity).into_owned(),
            }),
            _ => None,
        };
        Ok(records.into_iter().filter_map(row).collect())
    }
}

impl Recorded {
    /// The files' records.
    pub(super) fn files(&mut self) -> Result<Vec<(u64, FileRecord)>, ViewError> {
        let files: Vec<(Key, FileRecord)> = self.table(b"f")?;
        Ok(files.into_iter().filter_map(|(k, r)| if let Key::File(id) = k { Some((id, r)) } else { None }).collect())
    }
}

fn alert_row(seq: u64, alert: Alert) -> AlertRow {
    AlertRow {
        seq,
        repeats: 0,
        id: alert.id.clone(),
        time: format_instant(alert.time_ms),
        kind: alert.kind.name().into(),
        score: alert.score,
        severity: alert.severity().name().into(),
        entity_kind: alert.entity_kind.name().into(),
        suppressed: alert.suppressed,
        rule: alert.rule.id.clone(),
        entity: alert.entity,
        value: alert.value,
    }
}

fn read<T: DeserializeOwned>(key: &[u8], value: &[u8]) -> Result<T, ViewError> {
    codec::decode(value)
        .map_err(|e| ViewError::Corrupt(format!("the record {} cannot be read: {e}", key.escape_ascii())))
}

fn stopped_source(records: &Records) -> SourceLine {
    let Records::Stopped { store, dir, not_running } = records else { return SourceLine::default() };
    // A snapshot is a file of its own.
    let written = if dir.is_file() { dir.clone() } else { dir.join("sled/db") };
    let saved = std::fs::metadata(written).map_or(0, |m| m.mtime() * 1000);
    SourceLine::Stopped {
        dir: dir.display().to_string(),
        saved: format_instant(saved),
        epoch: store.stats().epoch,
        not_running: not_running.clone(),
    }
}
