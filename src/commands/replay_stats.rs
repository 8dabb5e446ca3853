//! `exfil-agent replay --stats`: how much a spool would have had to say, before anything is installed.

use crate::calendar::{Zone, format_day};
use crate::config::DetectionSettings;
use crate::content::Content;
use crate::ctl::output::Table;
use crate::detect::Detector;
use crate::pipeline::SinkPlan;
use crate::sink::{Outgoing, Sink, SinkError};
use crate::stats::{BANDS, Spread, Tally, maturity};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, PoisonError};

/// Entities that are named.
const TOP: usize = 10;

/// How it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum StatsFormat {
    /// As tables
    Table,
    /// As one JSON object
    Json,
}

/// What is counted while the replay runs.
#[derive(Clone)]
pub(super) struct Counting(Arc<Mutex<Tally>>);

impl Counting {
    pub(super) fn new(zone: Zone) -> Counting {
        Counting(Arc::new(Mutex::new(Tally::new(zone))))
    }

    /// The sink that counts.
    pub(super) fn sink(&self) -> SinkPlan {
        let sink = CountingSink(self.clone());
        SinkPlan { name: "stats".into(), min_score: 0, open: Box::new(|_| Box::new(sink)) }
    }

    /// What was counted.
    pub(super) fn taken(&self) -> Tally {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

struct CountingSink(Counting);

impl Sink for CountingSink {
    fn name(&self) -> &str {
        "stats"
    }

    fn deliver(&mut self, batch: &[Outgoing]) -> Result<usize, SinkError> {
        let mut tally = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        batch.iter().for_each(|out| tally.add(&out.alert));
        Ok(batch.len())
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        Ok(())
    }
}

/// What there is to tell.
struct Report<'a> {
    tally: &'a Tally,
    content: &'a Content,
    /// Days with events, from the first to the last alert's or the newest event's.
    days: usize,
    first_day: Option<i32>,
    last_day: Option<i32>,
    user_days: u64,
    host_days: u64,
    held_back: u64,
    maturity: Vec<maturity::Maturity>,
    inert: Vec<(String, String)>,
    absent: usize,
}

/// The text, ended by a line end.
pub(super) fn text(
    tally: &Tally,
    detector: &Detector,
    content: &Content,
    settings: &DetectionSettings,
    format: StatsFormat,
) -> String {
    let (agent, counted) = (&detector.state.agent, detector.counted());
    let first_day = agent.oldest_days.iter().flatten().min().copied();
    let last_day = agent.newest_day;
    let span = first_day.zip(last_day).map_or(0, |(a, b)| b.abs_diff(a) as usize + 1);
    let inert =
        content.rules.iter().filter(|r| r.enabled).filter_map(|r| Some((r.id.clone(), r.inert(&agent.carried)?)));
    let report = Report {
        tally,
        content,
        days: span,
        first_day,
        last_day,
        user_days: counted.user_days,
        host_days: counted.host_days,
        held_back: counted.alerts.values().map(|(_, held)| held).sum(),
        maturity: maturity::of(&detector.state, content, settings),
        inert: inert.collect(),
        absent: detector.state.entities.iter().filter(|(_, e)| e.is_away()).count(),
    };
    match format {
        StatsFormat::Json => format!("{:#}\n", report.json()),
        StatsFormat::Table => report.tables(),
    }
}

impl Report<'_> {
    fn per_thousand(&self, alerts: u64, is_host: bool) -> f64 {
        let days = if is_host { self.host_days } else { self.user_days };
        if days == 0 { 0.0 } else { alerts as f64 * 1000.0 / days as f64 }
    }

    /// Rules with their numbers, the most talkative first.
    fn rules(&self) -> Vec<(&crate::rule::Rule, u64, Spread, f64)> {
        let mut rows: Vec<_> = self
            .content
            .rules
            .iter()
            .filter(|r| r.enabled)
            .map(|rule| {
                let of_rule = self.tally.rules.get(&rule.id).cloned().unwrap_or_default();
                let spread = Spread::of(of_rule.days.values().copied(), self.days);
                let is_host = rule.entity == crate::alert::EntityKind::Host;
                (rule, of_rule.alerts, spread, self.per_thousand(of_rule.alerts, is_host))
            })
            .collect();
        rows.sort_by_key(|(rule, alerts, ..)| (std::cmp::Reverse(*alerts), rule.id.clone()));
        rows
    }

    fn band(&self, at: usize) -> (u64, Spread) {
        let of_day = |bands: &[u64; 4]| bands.get(at).copied().unwrap_or_default();
        let numbers = || self.tally.days.values().map(of_day);
        (numbers().sum(), Spread::of(numbers(), self.days))
    }

    fn tables(&self) -> String {
        let mut out = String::new();
        let day = |d: Option<i32>| d.map_or("none".to_owned(), format_day);
        out.push_str(&format!(
            "{} to {}: {} days, {} user-days, {} host-days. {} alerts; {} more were held back, {} summaries tell of them; {} reports of the agent on itself.\n\n",
            day(self.first_day),
            day(self.last_day),
            self.days,
            self.user_days,
            self.host_days,
            self.tally.alerts(),
            self.held_back,
            self.tally.summaries,
            self.tally.operational,
        ));
        let mut table = Table::new(&["rule", "score", "alerts", "a day: median", "p95", "max", "per 1,000 days"]);
        for (rule, alerts, spread, rate) in self.rules() {
            table.row(vec![
                rule.id.clone(),
                rule.score.to_string(),
                alerts.to_string(),
                spread.median.to_string(),
                spread.p95.to_string(),
                spread.max.to_string(),
                format!("{rate:.1}"),
            ]);
        }
        out.push_str(&table.render());
        out.push_str("Per 1,000 user-days; of rules about hosts, per 1,000 host-days.\n\n");
        let mut table = Table::new(&["band", "alerts", "a day: median", "p95", "max"]);
        for (at, band) in BANDS.iter().enumerate() {
            let (alerts, spread) = self.band(at);
            let numbers = [alerts, spread.median, spread.p95, spread.max].map(|n| n.to_string());
            table.row([vec![band.name().to_owned()], numbers.to_vec()].concat());
        }
        out.push_str(&table.render());
        out.push('\n');
        let mut table = Table::new(&["entity", "alerts", "sum of scores"]);
        for ((kind, key), alerts, score) in self.tally.top(TOP) {
            table.row(vec![format!("{kind} {key}"), alerts.to_string(), score.to_string()]);
        }
        if !table.is_empty() {
            out.push_str(&table.render());
            out.push('\n');
        }
        let mut table = Table::new(&["rule learns", "about", "known", "mature", "after days: median", "p95", "max"]);
        for m in &self.maturity {
            let dash = |n: u64| if m.mature == 0 { "-".to_owned() } else { n.to_string() };
            table.row(vec![
                m.rule.clone(),
                m.about.to_owned(),
                m.known.to_string(),
                m.mature.to_string(),
                dash(m.days.median),
                dash(m.days.p95),
                dash(m.days.max),
            ]);
        }
        out.push_str(&table.render());
        if self.absent > 0 {
            out.push_str(&format!("{} users and hosts are in the store alone and not counted here.\n", self.absent));
        }
        if self.inert.is_empty() {
            out.push_str("\nEvery rule could fire.\n");
        } else {
            out.push_str("\nRules that could not fire:\n");
            let mut table = Table::new(&["rule", "why"]);
            self.inert.iter().for_each(|(rule, why)| table.row(vec![rule.clone(), why.clone()]));
            out.push_str(&table.render());
        }
        out
    }

    fn json(&self) -> Value {
        let spread = |s: &Spread| json!({ "median": s.median, "p95": s.p95, "max": s.max });
        let rules: Vec<Value> = self
            .rules()
            .iter()
            .map(|(rule, alerts, s, rate)| {
                json!({ "rule": rule.id, "score": rule.score, "entity": rule.entity.name(), "alerts": alerts,
                    "a_day": spread(s), "per_1000_entity_days": (rate * 1000.0).round() / 1000.0 })
            })
            .collect();
        let bands: serde_json::Map<String, Value> = BANDS
            .iter()
            .enumerate()
            .map(|(at, band)| {
                let (alerts, s) = self.band(at);
                (band.name().to_owned(), json!({ "alerts": alerts, "a_day": spread(&s) }))
            })
            .collect();
        let top = self.tally.top(TOP);
        let top: Vec<Value> = top
            .iter()
            .map(|((kind, key), n, score)| json!({ "kind": kind, "value": key, "alerts": n, "score": score }))
            .collect();
        let maturity: Vec<Value> = self
            .maturity
            .iter()
            .map(|m| {
                let days = (m.mature > 0).then(|| spread(&m.days));
                json!({ "rule": m.rule, "about": m.about, "known": m.known, "mature": m.mature, "after_days": days })
            })
            .collect();
        let inert: Vec<Value> = self.inert.iter().map(|(rule, why)| json!({ "rule": rule, "reason": why })).collect();
        json!({
            "first_day": self.first_day.map(format_day), "last_day": self.last_day.map(format_day), "days": self.days,
            "user_days": self.user_days, "host_days": self.host_days, "alerts": self.tally.alerts(),
            "held_back": self.held_back, "summaries": self.tally.summaries, "operational": self.tally.operational,
            "rules": rules, "bands": bands, "top_entities": top, "maturity": maturity, "inert": inert,
            "entities_in_store_alone": self.absent,
        })
    }
}
