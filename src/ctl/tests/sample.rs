//! A made-up agent: three instances, four alerts, some of them hostile, and the rules behind them.

use crate::alert::{
    Alert, AlertKind, AlertRule, BinView, EntityKind, Evidence, Matched, ModelEvidence, Origin, SumEvidence,
};
use crate::config::Settings;
use crate::content;
use crate::ctl::Desk;
use crate::ctl::files::{FileRow, Lag};
use crate::ctl::view::*;
use crate::event::{EventType, Field};
use crate::model::{ModelSpec, Scope};
use crate::rule::condition::Condition;
use crate::rule::{Common, Counted, NoHistory, Period, Prevalence, Rule, Verdict};
use crate::state::paging::Memory;
use std::io;
use std::sync::Arc;

/// What an attacker would like a terminal and a spreadsheet to do.
pub const HOSTILE: &str = "=1\u{1b}]0;owned\u{7}\u{1b}[2J\u{202e}exe.fdp, \"x\"\r\n\u{9b}31m";

#[derive(Default)]
pub struct Sample {
    epoch: u64,
}

impl View for Sample {
    fn records(&mut self, _: &[u8], _: TakeRecord<'_>) -> Result<(), ViewError> {
        Ok(())
    }

    fn source(&self) -> SourceLine {
        SourceLine::Running { pid: 812, first_epoch: 70, last_epoch: 70 + self.epoch }
    }

    fn instances(
        &mut self,
        filter: &DumpFilter,
        each: &mut dyn FnMut(InstanceRow) -> io::Result<()>,
    ) -> Result<(), ViewError> {
        self.epoch = 7;
        let fits = instances().into_iter().filter(|r| filter.takes(&r.model, &r.scope, &r.value));
        for row in fits.take(filter.limit.unwrap_or(usize::MAX)) {
            each(row).map_err(ViewError::Output)?;
        }
        Ok(())
    }

    fn stats(&mut self) -> Result<StateStats, ViewError> {
        let model = |model: &str, instances, bins| ModelStats {
            model: model.into(),
            instances,
            converged: instances / 2,
            saturated: 0,
            bins,
            bytes: bins * 61,
            oldest_day: Some("2026-02-01".into()),
            newest_day: Some("2026-03-14".into()),
        };
        Ok(StateStats {
            source: SourceLine::Stopped {
                dir: "/var/lib/exfil-agent".into(),
                saved: "2026-03-14T10:00:00.000Z".into(),
                epoch: 4711,
                not_running: None,
            },
            models: vec![model("M-USER", 120, 410), model("M-ORG", 1, 37)],
            users: 130,
            hosts: 95,
            groups: 6,
            guards: 2210,
            alerts: 312,
            files: 3,
            payload_bytes: 123_456,
            disk_bytes: 1_048_576,
            snapshots: 3,
            snapshot_bytes: 99_000,
            snapshot_epoch: Some(4700),
            schema: 1,
        })
    }

    fn status(&mut self) -> Result<StatusReport, ViewError> {
        Ok(status())
    }

    fn alerts(&mut self, limit: usize) -> Result<Vec<AlertRow>, ViewError> {
        let mut rows: Vec<AlertRow> = alerts().iter().map(row).collect();
        rows.drain(..rows.len().saturating_sub(limit));
        Ok(rows)
    }

    fn alerts_after(&mut self, seq: u64) -> Result<Vec<AlertRow>, ViewError> {
        Ok(alerts().iter().map(row).filter(|row| row.seq > seq).take(2).collect())
    }

    fn alert(&mut self, id_prefix: &str) -> Result<StoredAlert, ViewError> {
        let found: Vec<StoredAlert> = alerts().into_iter().filter(|a| a.alert.id.starts_with(id_prefix)).collect();
        match found.as_slice() {
            [one] => Ok(one.clone()),
            [] => Err(ViewError::NotFound(format!("no alert {id_prefix} is kept"))),
            more => Err(ViewError::NotFound(format!("{} alerts begin with {id_prefix}", more.len()))),
        }
    }

    fn silenced(&mut self) -> Result<Vec<SilencedRow>, ViewError> {
        Ok(vec![SilencedRow {
            exception: "backup".into(),
            rule: "R-SUM".into(),
            count: 3,
            last_day: "2026-03-01".into(),
            last_entity: "corp\\jdoe".into(),
        }])
    }

    fn rules(&mut self) -> Result<Vec<RuleRow>, ViewError> {
        let inert = [None, None, Some("no event has carried bytes_out".to_owned()), None];
        let counts = [1, 2, 0, 0];
        Ok(rules()
            .into_iter()
            .zip(inert)
            .zip(counts)
            .map(|((rule, inert), alerts)| RuleRow {
                id: rule.id.clone(),
                name: rule.name,
                attack: rule.attack,
                score: rule.score,
                events: rule.events.iter().map(|e| e.name().to_owned()).collect(),
                enabled: rule.enabled,
                inert,
                alerts,
                silenced: if rule.id == "R-SUM" { 3 } else { 0 },
                origin: if rule.id == "R-SUM" { "shipped + us.override.toml:3".into() } else { "shipped".into() },
                file: rule.file,
            })
            .collect())
    }
}

/// Content with the sample's rules and models.
pub fn desk() -> Desk {
    let settings = Settings::default();
    let mut content = content::load(&settings.detection).unwrap();
    content.rules = rules();
    content.models = vec![model("M-USER", Scope::User), model("M-ORG", Scope::Org)];
    Desk { content, settings }
}

fn model(id: &str, scope: Scope) -> ModelSpec {
    ModelSpec {
        id: id.into(),
        revision: 1,
        definition: String::new(),
        name: format!("What {} is used to", if scope == Scope::Org { "everyone" } else { "a user" }),
        scope,
        feature: Field::ProcessKey,
        events: vec![EventType::FileWrite],
        condition: Condition::default(),
        once_per: None,
        new_to: None,
        alpha: 0.8,
        cut_off: 30,
        needs: Vec::new(),
        file: format!("models/{}.toml", id.to_lowercase()),
    }
}

fn clauses() -> Vec<Prevalence> {
    vec![
        Prevalence { counted: Counted::ByModel(0), at_least: 5, within_days: 14, then: Common::Group },
        Prevalence { counted: Counted::OwnAlerts, at_least: 3, within_days: 30, then: Common::Score(5) },
    ]
}

fn rules() -> Vec<Rule> {
    let rule = |id: &str, name: &str, attack: &[&str], score, event, verdict| Rule {
        id: id.into(),
        name: name.into(),
        revision: 2,
        why: "A process that has never run for this user from a temporary directory is often a dropper.".into(),
        triage: vec!["Look at where the file came from.".into(), "Ask the user.".into()],
        false_positives: vec!["Installers and updaters.".into()],
        attack: attack.iter().map(|a| (*a).to_owned()).collect(),
        score,
        events: vec![event],
        entity: EntityKind::User,
        per: Some(Field::ProcessKey),
        period: Period::Day,
        condition: Condition::default(),
        prevalence: if id == "R-SUM" { clauses() } else { Vec::new() },
        verdict,
        needs: Vec::new(),
        author: vec!["A. Author".into()],
        references: vec!["https://example.org/rule".into()],
        license: Some("DRL-1.1".into()),
        file: format!("rules/{}.toml", id.to_lowercase()),
        enabled: id != "R-OFF",
        blind_spots: vec!["A renamed program.".into()],
        sigma: None,
    };
    let sum = Verdict::Sum {
        amount: Field::BytesOut,
        reaches: 20_000_000,
        without_history: Some(NoHistory { event: EventType::WebActivityAllowed, per_value: false, agent_days: 14 }),
    };
    let top =
        Verdict::Top { model: 1, rank_days: 30, top_share: 0.05, min_bins: 10, min_count: 10, min_median_ratio: 3.0 };
    let mut top =
        rule("R-TOP", "One of the top users", &["T1071.001", "T1567.002"], 8, EventType::WebActivityAllowed, top);
    (top.per, top.period) = (None, Period::Month);
    vec![
        rule("R-FIRST", "First time of a process", &["T1204"], 10, EventType::FileWrite, Verdict::First { model: 0 }),
        top,
        rule("R-SUM", "A lot of data", &["T1030"], 30, EventType::WebActivityAllowed, sum),
        rule("R-OFF", "Switched off", &[], 40, EventType::ProcessCreated, Verdict::Always),
    ]
}

fn instances() -> Vec<InstanceRow> {
    let user = InstanceRow {
        model: "M-USER".into(),
        scope: "corp\\jdoe".into(),
        n: 41,
        c: 3,
        confidence: 0.9407,
        converged: true,
        history_days: 21,
        ..InstanceRow::default()
    };
    let bin = |of: &InstanceRow, value: &str, count: u64| InstanceRow {
        value: value.into(),
        count,
        share: count as f64 / of.n as f64,
        first_seen: "2026-02-01".into(),
        last_seen: "2026-03-14".into(),
        ..of.clone()
    };
    let org = InstanceRow {
        model: "M-ORG".into(),
        scope: "*".into(),
        n: 3,
        c: 2,
        confidence: 0.415,
        converged: false,
        saturated: true,
        history_days: 2,
        ..user.clone()
    };
    vec![
        bin(&org, "corp\\jdoe", 2),
        bin(&org, HOSTILE, 1),
        bin(&user, "c:\\users\\%user%\\appdata\\local\\temp\\*\\setup.exe", 30),
        bin(&user, "c:\\windows\\temp\\update.exe", 10),
        bin(&user, "d:\\temp\\x.exe", 1),
    ]
}

/// The alert ids begin with their number.
fn alert(
    number: u64,
    rule: &str,
    score: u32,
    event: EventType,
    fields: &[(&str, &str)],
    evidence: Evidence,
) -> StoredAlert {
    let rules = rules();
    let of = rules.iter().find(|r| r.id == rule);
    let alert = Alert {
        id: format!("{number:08x}{:024x}", 0xabcdef),
        time_ms: 1_773_479_521_000 + number as i64 * 60_000,
        detected_ms: 1_773_479_522_000 + number as i64 * 60_000,
        kind: AlertKind::Detection,
        rule: Arc::new(AlertRule {
            id: rule.into(),
            name: of.map_or("A rule that content no longer has", |r| &r.name).into(),
            revision: 2,
            attack: of.map(|r| r.attack.clone()).unwrap_or_default(),
            author: of.map(|r| r.author.clone()).unwrap_or_default(),
            references: of.map(|r| r.references.clone()).unwrap_or_default(),
            license: of.and_then(|r| r.license.clone()),
        }),
        score,
        entity_kind: EntityKind::User,
        entity: "corp\\jdoe".into(),
        value: evidence.model.as_ref().map(|m| m.value.clone()),
        sequence: "2026-03-14".into(),
        peer_group: Some("finance".into()),
        event_type: event.name().into(),
        fields: fields.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
        evidence,
        origin: Some(Origin { file: "/var/spool/dtex/a.log".into(), offset: 6_700_231, line: 10_233 }),
        suppressed: false,
    };
    let delivery = |sink: &str, state: &str| Delivery { sink: sink.into(), state: state.into() };
    let deliveries = vec![delivery("file", "delivered"), delivery("syslog", "waiting")];
    StoredAlert { seq: number, alert, repeats: number - 1, deliveries }
}

fn evidence(verdict: &str, value: &str, count: u64, bins: &[(&str, u64)]) -> ModelEvidence {
    ModelEvidence {
        id: "M-USER".into(),
        scope: "corp\\jdoe".into(),
        value: value.into(),
        verdict: verdict.into(),
        n: 41,
        c: bins.len() as u64 + 5,
        confidence: 0.9407,
        converged: true,
        count,
        rank: None,
        threshold: None,
        median: None,
        history_days: 21,
        top_bins: bins.iter().map(|(v, n)| BinView { value: (*v).to_owned(), count: *n }).collect(),
    }
}

fn matched(field: &str, value: &str, test: &str) -> Matched {
    Matched { field: field.into(), value: value.into(), test: test.into() }
}

pub fn alerts() -> Vec<StoredAlert> {
    let temp = "c:\\users\\%user%\\appdata\\local\\temp\\*\\setup.exe";
    let first = Evidence {
        matched: vec![matched("is_temp", "true", "holds")],
        model: Some(evidence("first", "d:\\temp\\new.exe", 0, &[(temp, 30), ("c:\\windows\\temp\\update.exe", 10)])),
        ..Evidence::default()
    };
    let mut top = evidence("top", "corp\\jdoe", 40, &[("corp\\jdoe", 40), ("corp\\asmith", 12), ("corp\\bwong", 3)]);
    (top.id, top.scope, top.rank, top.threshold, top.median) =
        ("M-ORG".into(), "*".into(), Some(1), Some(1), Some(2.5));
    let top = Evidence {
        matched: vec![matched("is_file_sharing", "true", "holds")],
        model: Some(top),
        ..Evidence::default()
    };
    let sum = SumEvidence { field: "bytes_out".into(), total: 21_500_000, reaches: 20_000_000, history_days: Some(0) };
    let sum = Evidence { sum: Some(sum), notes: vec!["Uploads to 3 domains.".into()], ..Evidence::default() };
    let hostile = Evidence {
        matched: vec![matched("image", "plink", "equals plink"), matched("command_line", HOSTILE, "contains \u{1b}x")],
        ..Evidence::default()
    };
    let mut list = vec![
        alert(1, "R-FIRST", 10, EventType::FileWrite, &[("user", "jdoe"), ("file_path", "D:\\out\\plan.zip")], first),
        alert(
            2,
            "R-TOP",
            8,
            EventType::WebActivityAllowed,
            &[("url", "https://files.example/up"), ("web_domain", "files.example")],
            top,
        ),
        alert(3, "R-SUM", 30, EventType::WebActivityAllowed, &[("method", "PUT")], sum),
        alert(4, "R-GONE", 40, EventType::ProcessCreated, &[("command_line", HOSTILE)], hostile),
    ];
    if let Some(top) = list.get_mut(1) {
        top.alert.sequence = "2026-03".into();
        top.alert.value = None;
    }
    if let Some(gone) = list.get_mut(3) {
        gone.alert.value = Some(HOSTILE.into());
        gone.alert.suppressed = true;
        Arc::make_mut(&mut gone.alert.rule).attack = vec!["T1020".into(), HOSTILE.into()];
    }
    list
}

fn row(stored: &StoredAlert) -> AlertRow {
    let a = &stored.alert;
    AlertRow {
        seq: stored.seq,
        id: a.id.clone(),
        time: crate::calendar::format_instant(a.time_ms),
        kind: "detection".into(),
        rule: a.rule.id.clone(),
        score: a.score,
        severity: a.severity().name().into(),
        entity_kind: a.entity_kind.name().into(),
        entity: a.entity.clone(),
        value: a.value.clone(),
        repeats: stored.repeats,
        suppressed: a.suppressed,
    }
}

pub fn status() -> StatusReport {
    let counts = |all: &[(&str, u64)]| all.iter().map(|(k, n)| ((*k).to_owned(), *n)).collect();
    StatusReport {
        silenced: 3,
        silencing: 1,
        limits: counts(&[("max_bins", 3)]),
        source: SourceLine::Running { pid: 812, first_epoch: 77, last_epoch: 77 },
        health: "attention".into(),
        summary: "Working, but 3 things need attention, below: 4.7 GiB to go; 312 alerts".into(),
        process: Some(Process {
            pid: 812,
            version: "0.1.0".into(),
            started: "2026-03-11T08:00:00.000Z".into(),
            up_secs: 266_400,
        }),
        files: vec![
            FileRow {
                path: "/var/spool/dtex/a.log".into(),
                format: Some("cef".into()),
                offset: 7_000_000,
                lines: 10_240,
                lag_bytes: Some(1536),
                compressed: false,
                lag_secs: Some(75),
                rejects: 2,
                state: "following".into(),
                error: None,
            },
            FileRow {
                path: format!("/var/spool/dtex/{HOSTILE}.csv"),
                lines: 0,
                state: "unreadable".into(),
                error: Some("permission denied".into()),
                ..FileRow::default()
            },
        ],
        lag: Some(Lag {
            bytes: 5_000_000_000,
            compressed_bytes: 3_000_000_000,
            oldest_unread: Some("2026-03-08T23:59:58.000Z".into()),
            secs: Some(468_060),
            waiting_files: 3,
            waiting_bytes: 1536,
        }),
        bytes: 7_000_000,
        records: 10_240,
        events: counts(&[("process-created", 4000), ("file-write", 6234), ("file-read", 0)]),
        rejects: counts(&[("bad_time", 2)]),
        oddities: counts(&[]),
        headers: 1,
        blank: 3,
        late: 5,
        future: 1,
        newest_day: Some("2026-03-14".into()),
        alerts: 312,
        suppressed: 12,
        inert: vec![InertRule { rule: "R-SUM".into(), reason: "no event has carried bytes_out".into() }],
        models: vec![
            ModelProgress {
                model: "M-USER".into(),
                revision: 1,
                anew_since: None,
                instances: 120,
                converged: 60,
                learning: 60,
                saturated: 1,
            },
            ModelProgress {
                model: "M-ORG".into(),
                revision: 2,
                anew_since: Some("2026-02-27".into()),
                instances: 1,
                converged: 0,
                learning: 1,
                saturated: 0,
            },
        ],
        queues: vec![
            Queue { name: "batches".into(), depth: 1, limit: Some(8) },
            Queue { name: "alerts waiting".into(), depth: 4, limit: None },
        ],
        last_commit: Some(LastCommit { epoch: 77, at: "2026-03-14T10:00:00.000Z".into(), failing: None }),
        memory: Some(Memory { resident_bytes: 5 << 20, away: 1_200, recalled: 31 }),
        sinks: vec![
            SinkRow { name: "file".into(), delivered: 300, suppressed: 12, ..SinkRow::default() },
            SinkRow {
                name: "syslog".into(),
                delivered: 100,
                below_min_score: 196,
                queued: 4,
                errors: 9,
                last_error: Some("connection refused".into()),
                failing_since: Some("2026-03-14T09:58:00.000Z".into()),
                ..SinkRow::default()
            },
        ],
        warnings: vec!["no hints from the kernel: new bytes are seen at the next rescan".into()],
    }
}
