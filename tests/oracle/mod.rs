//! Detection against a plain judge: random events of a small scene, with late and future days, commits and restarts in
//! between; every alert, held-back alert, summary, guard and counter must be the one that the plain judge finds.
//!
//! `scene` is what happens and what is asked, `plain` the judge. The agent's side is the real one from the line on: worker,
//! extractor, detector, and the state through its records.

mod plain;
mod scene;

use crate::effort;
use exfil_agent::alert::{Alert, AlertKind, EntityKind, Sequence, alert_id};
use exfil_agent::batch::{EventBatch, Format, KeyHasher, RawBatch, Remember};
use exfil_agent::calendar::{Zone, format_day};
use exfil_agent::config::{DetectionSettings, Limits};
use exfil_agent::content::{self, Content};
use exfil_agent::detect::{Clock, Detector};
use exfil_agent::enrich::Enricher;
use exfil_agent::extract::Extractor;
use exfil_agent::model::Scope;
use exfil_agent::model::histogram::Bounds;
use exfil_agent::rule::{Screen, Verdict};
use exfil_agent::state::State;
use exfil_agent::state::key::{BEHIND_USERS, HOSTS_AND_USERS, entity_prefix};
use exfil_agent::state::names::Names;
use exfil_agent::store::Delta;
use exfil_agent::worker::{Visit, Worker};
use plain::Plain;
use proptest::prelude::*;
use scene::{After, Event, FIRST_DAY, Rule, Step};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Arc, OnceLock};

/// The thresholds: small, so that short stories reach them.
#[derive(Clone, Copy, Debug)]
pub struct Numbers {
    late_days: i32,
    future_days: i32,
    window_days: i32,
    min_history_days: usize,
    maturity_days: usize,
    min_confidence: f64,
    agent_days: usize,
    percentile: f64,
    rank_days: i32,
    top_share: f64,
    min_bins: u64,
    min_count: u64,
    min_median_ratio: f64,
    max_alerts_per_day: usize,
    max_guards: usize,
    max_instances: usize,
    max_bins: usize,
    max_bins_wide: usize,
}

const NUMBERS: Numbers = Numbers {
    late_days: 2,
    future_days: 1,
    window_days: 12,
    min_history_days: 2,
    maturity_days: 5,
    min_confidence: 0.5,
    agent_days: 3,
    percentile: 0.3,
    rank_days: 6,
    top_share: 0.3,
    min_bins: 2,
    min_count: 3,
    min_median_ratio: 1.5,
    max_alerts_per_day: 2,
    max_guards: 60,
    max_instances: 5,
    max_bins: 17,
    max_bins_wide: 5,
};

/// The score of the rules.
const SCORE: u32 = 5;

/// An alert as both sides tell it.
#[derive(Clone, Debug, PartialEq, PartialOrd)]
pub struct Told {
    rule: String,
    entity: String,
    value: String,
    sequence: String,
    held_back: bool,
    /// N, C, count and history days, for model rules.
    model: Option<[u64; 4]>,
    sum: Option<u64>,
    score: u32,
    /// The number that a summary tells.
    summary: Option<u64>,
}

impl Told {
    fn alert(rule: &Rule, entity: &str, value: &str, day: i32) -> Told {
        Told {
            rule: rule.id.into(),
            entity: entity.into(),
            value: value.into(),
            sequence: rule.label(day),
            held_back: false,
            model: None,
            sum: None,
            score: SCORE,
            summary: None,
        }
    }

    fn summary(rule: &Rule, entity: &str, day: i32, count: u64) -> Told {
        Told {
            rule: rule.id.into(),
            entity: entity.into(),
            value: String::new(),
            sequence: rule.label(day),
            held_back: false,
            model: None,
            sum: None,
            score: SCORE,
            summary: Some(count),
        }
    }

    fn of(alert: &Alert) -> Told {
        let evidence = &alert.evidence;
        let summary = || evidence.notes[0].split(' ').next().unwrap().parse().unwrap();
        Told {
            rule: alert.rule.id.clone(),
            entity: alert.entity.clone(),
            value: alert.value.clone().unwrap_or_default(),
            sequence: alert.sequence.clone(),
            held_back: alert.suppressed,
            model: evidence.model.as_ref().map(|m| [m.n, m.c, m.count, m.history_days.into()]),
            sum: evidence.sum.as_ref().map(|s| s.total),
            score: alert.score,
            summary: (alert.kind == AlertKind::Summary).then(summary),
        }
    }
}

/// The scene's content: the shipped parsers and tables, its own rules and models.
fn content() -> &'static (Arc<Content>, DetectionSettings, Limits) {
    static CONTENT: OnceLock<(Arc<Content>, DetectionSettings, Limits)> = OnceLock::new();
    CONTENT.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: String, text: String| {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        for model in scene::MODELS {
            let (scope, feature, events, condition, once) = match model.scope {
                "agent" if model.programs => ("org", "process_key", "file-write", "is_temp", ""),
                "user" => ("user", "process_key", "file-write", "is_temp", ""),
                "group" => ("peer_group", "user_key", "web-activity-allowed", "is_file_sharing", "once_per = 'top_domain'\n"),
                _ => ("org", "user_key", "web-activity-allowed", "is_file_sharing", "once_per = 'top_domain'\n"),
            };
            let new_to = model.new_to.map(|other| format!("new_to = '{other}'\n")).unwrap_or_default();
            write(
                format!("models/{}.toml", model.id.to_lowercase().replace('-', "_")),
                format!(
                    "id = '{}'\nname = 'n'\nrevision = 1\nscope = '{scope}'\nfeature = '{feature}'\nevents = '{events}'\n{once}{new_to}alpha = {:?}\n\
                     cut_off = {}\n[condition]\n{condition} = true\n",
                    model.id, model.alpha, model.cut_off
                ),
            );
        }
        for rule in scene::RULES {
            write(format!("rules/{}.toml", rule.id.to_lowercase()), rule_file(rule));
        }
        let shipped = content::load(&DetectionSettings::default()).unwrap();
        let n = NUMBERS;
        let settings = DetectionSettings {
            disabled_rules: shipped.rules.iter().map(|r| r.id.clone()).collect(),
            content_dir: Some(dir.path().to_path_buf()),
            late_days: n.late_days as u32,
            future_days: n.future_days as u32,
            window_days: n.window_days as u32,
            min_history_days: n.min_history_days as u32,
            maturity_days: n.maturity_days as u32,
            min_confidence: n.min_confidence,
            ..DetectionSettings::default()
        };
        let limits = Limits {
            max_alerts_per_day: n.max_alerts_per_day as u32,
            max_guards: n.max_guards,
            max_instances: n.max_instances,
            max_bins: n.max_bins,
            max_bins_wide: n.max_bins_wide,
            ..Limits::default()
        };
        let content = content::load(&settings).unwrap_or_else(|f| panic!("{f}"));
        assert_eq!(content.models.len(), scene::MODELS.len());
        (Arc::new(content), settings, limits)
    })
}

fn rule_file(rule: &Rule) -> String {
    let n = NUMBERS;
    let (event, per, condition) = match rule.id {
        "O-FIRST" | "O-ABNORMAL" => ("file-write", "per = 'process_key'\n", "is_temp = true"),
        "O-TUNNEL" => ("process-created", "per = 'image'\n", "image = ['socat', 'plink', 'stunnel']"),
        "O-SHARE" => ("web-activity-allowed", "per = 'top_domain'\n", "is_file_sharing = true"),
        "O-TOP" | "O-PEER" => ("web-activity-allowed", "", "is_file_sharing = true"),
        "O-DOMAIN" => ("web-activity-allowed", "per = 'top_domain'\n", "not = { method = ['GET', 'HEAD'] }"),
        _ => ("web-activity-allowed", "", "not = { method = ['GET', 'HEAD'] }"),
    };
    let mut text = format!(
        "id = '{}'\nname = 'n'\nrevision = 3\nwhy = 'w'\nattack = 'T1048'\nscore = 5\nevents = '{event}'\nentity = '{}'\n\
         {per}period = '{}'\n[condition]\n{condition}\n",
        rule.id,
        rule.who.name(),
        if rule.monthly { "month" } else { "day" }
    );
    let said = match &rule.says {
        scene::Says::Always => Ok(()),
        scene::Says::First { model } => write!(text, "[model]\nid = '{model}'\nsays = 'first'\n"),
        scene::Says::Abnormal { model } => {
            write!(text, "[model]\nid = '{model}'\nsays = 'abnormal'\npercentile = {:?}\n", n.percentile)
        }
        scene::Says::Top { model } => write!(
            text,
            "[model]\nid = '{model}'\nsays = 'top'\nrank_days = {}\ntop_share = {:?}\nmin_bins = {}\nmin_count = {}\n\
             min_median_ratio = {:?}\n",
            n.rank_days, n.top_share, n.min_bins, n.min_count, n.min_median_ratio
        ),
        scene::Says::Sum { reaches, without_history } => {
            let history = without_history.map(|per_value| {
                let what = if per_value { "user_domain" } else { "user" };
                format!("history = '{what}'\nhistory_event = 'web-activity-allowed'\nagent_days = {}\n", n.agent_days)
            });
            write!(text, "[sum]\nfield = 'bytes_out'\nreaches = {reaches}\n{}", history.unwrap_or_default())
        }
    };
    said.unwrap();
    for common in rule.common {
        let then = match common.then {
            scene::Then::Group => "then = 'group'\n".to_owned(),
            scene::Then::Score(score) => format!("then = 'score'\nscore = {score}\n"),
        };
        let scene::Common { model, at_least, within_days, .. } = *common;
        let counted = model.map_or("own_alerts = true".to_owned(), |model| format!("model = '{model}'"));
        write!(text, "[[prevalence]]\n{counted}\nat_least = {at_least}\nwithin_days = {within_days}\n{then}").unwrap();
    }
    text
}

/// The agent from the line on, without threads and without a disk.
struct Agent {
    worker: Worker,
    detector: Detector,
    /// What is committed.
    shelf: BTreeMap<Vec<u8>, Vec<u8>>,
    offset: u64,
}

impl Agent {
    fn start(shelf: BTreeMap<Vec<u8>, Vec<u8>>, offset: u64) -> Agent {
        let (content, settings, limits) = content();
        let hasher = KeyHasher::default();
        let names = Names {
            rules: content.rules.iter().map(|r| r.id.clone()).collect(),
            models: content.models.iter().map(|m| m.id.clone()).collect(),
        };
        let ranked = |index: usize| {
            content.rules.iter().find_map(|r| match r.verdict {
                Verdict::Top { model, rank_days, .. } if r.enabled && usize::from(model) == index => Some(rank_days),
                _ => None,
            })
        };
        let bound = |(index, model): (usize, &exfil_agent::model::ModelSpec)| Bounds {
            window_days: settings.window_days,
            max_bins: if model.scope == Scope::User { limits.max_bins } else { limits.max_bins_wide },
            rank_days: ranked(index),
        };
        let bounds = content.models.iter().enumerate().map(bound).collect();
        let mut state = State::new(names, bounds, hasher.clone());
        // Users and hosts come when they are met, or when all are needed.
        let is_others = |key: &[u8]| key < HOSTS_AND_USERS || key >= BEHIND_USERS;
        state.restore(shelf.iter().filter(|(key, _)| is_others(key)), usize::MAX).unwrap();
        state.some_are_missing(shelf.len() as u64);
        let screen = Arc::new(Screen::new(&content.rules, &content.models));
        let wanted = content::wanted(&screen, &Enricher::new(&content.tables));
        let extractor = || Extractor::new(Arc::clone(content), wanted, Vec::new());
        let visits = Visit::of(&content.rules);
        let worker = Worker::new(extractor(), screen, Zone::utc(), hasher, limits.max_command_chars, visits);
        let detector = Detector::new(Arc::clone(content), settings.clone(), limits.clone(), None, extractor(), state);
        Agent { worker, detector, shelf, offset }
    }

    /// Judges one event. The alerts it raised, in no particular order.
    fn event(&mut self, event: &Event, today: i32) -> Vec<Alert> {
        let line = event.line();
        let batch = RawBatch {
            format: Some(Format::Cef),
            offset: self.offset,
            data: line.into_bytes(),
            ..RawBatch::empty(1, "scene.log".into(), Remember::Position(Box::default()))
        };
        self.offset += batch.data.len() as u64;
        let screened = self.worker.screen(batch, &content().0.parsers, EventBatch::default());
        assert_eq!((screened.events.len(), screened.rejected.len()), (1, 0), "{}", event.line());
        self.detector.set_clock(Clock { today, detected_ms: None });
        if self.detector.needs_everybody(&screened) {
            let all = self.shelf.range(HOSTS_AND_USERS.to_vec()..BEHIND_USERS.to_vec());
            self.detector.state.restore(all, usize::MAX).unwrap();
            self.detector.state.none_is_missing();
        }
        let shelf = &self.shelf;
        let of = |prefix: &[u8]| -> Vec<_> {
            shelf.range(prefix.to_vec()..).take_while(|(key, _)| key.starts_with(prefix)).collect()
        };
        let absent = self.detector.absent(&screened);
        for id in absent.away {
            let prefix = self.detector.state.prefix_of(id).unwrap();
            self.detector.state.page_in(id, &of(&prefix)).unwrap();
        }
        for (kind, key) in absent.unknown {
            self.detector.state.bring(kind, &key, &of(&entity_prefix(kind, &key))).unwrap();
        }
        let mut raised = Vec::new();
        self.detector.judge(&screened, &mut raised);
        raised.into_iter().map(|(_, alert)| alert).collect()
    }

    fn commit(&mut self) {
        let delta = self.detector.state.drain(Delta::default());
        for prefix in delta.prefixes() {
            self.shelf.retain(|key, _| !key.starts_with(prefix));
        }
        for (key, value) in delta.iter() {
            match value {
                Some(value) => self.shelf.insert(key.to_vec(), value.to_vec()),
                None => self.shelf.remove(key),
            };
        }
    }

    fn restart(self) -> Agent {
        Agent::start(self.shelf, self.offset)
    }

    /// Guards with their repeats: day, rule, entity, value.
    fn guards(&self) -> BTreeMap<(i32, String, String, String), u64> {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let guards = self.detector.state.guards.iter();
        guards.map(|(g, n)| ((g.day, g.rule.to_string(), text(&g.entity), text(g.value)), n)).collect()
    }
}

fn agree(steps: Vec<Step>) -> Result<(), TestCaseError> {
    let mut agent = Agent::start(BTreeMap::new(), 0);
    let mut plain = Plain::new(NUMBERS);
    let mut ids: BTreeMap<String, (String, String, String, String, bool)> = BTreeMap::new();
    let mut today = FIRST_DAY;
    for (n, step) in steps.into_iter().enumerate() {
        today += step.later;
        let day = today + step.dated;
        let event = Event {
            day,
            time_ms: i64::from(day) * 86_400_000 + 1000 * n as i64,
            user: step.user,
            host: step.host,
            department: step.department,
            action: step.action,
        };
        let alerts = agent.event(&event, today);
        let by_rule = |a: &Told, b: &Told| a.partial_cmp(b).unwrap();
        let mut told: Vec<Told> = alerts.iter().map(Told::of).collect();
        told.sort_by(by_rule);
        let mut wanted = plain.event(&event, today);
        wanted.sort_by(by_rule);
        prop_assert_eq!(told, wanted, "event {} ({:?}), found on {}", n, event, format_day(today));
        for alert in &alerts {
            let summary = alert.kind == AlertKind::Summary;
            // The id of a later summary of one period says how many were told before.
            let before = if summary { 500 } else { 0 };
            prop_assert!((0..=before).any(|told| alert.id == id_of(alert, told)), "{:?}", alert);
            let value = alert.value.clone().unwrap_or_default();
            let what = (alert.rule.id.clone(), alert.entity.clone(), value, alert.sequence.clone(), summary);
            let same = ids.entry(alert.id.clone()).or_insert_with(|| what.clone());
            prop_assert_eq!(&*same, &what, "two alerts have one id");
        }
        if step.after != After::Nothing {
            agent.commit();
        }
        match step.after {
            // Whoever was met since stays for one round.
            After::PageOut => {
                agent.detector.state.committed();
                (0..2).for_each(|_| agent.detector.state.page_out(0));
            }
            After::Restart => agent = agent.restart(),
            After::Nothing | After::Commit => {}
        }
    }
    let guards = plain.guards.iter().map(|((day, (rule, _, entity, value)), repeats)| {
        ((*day, (*rule).to_owned(), entity.clone(), value.clone()), *repeats)
    });
    prop_assert_eq!(agent.guards(), guards.collect());
    let counted = &agent.detector.state.agent;
    prop_assert_eq!(
        (counted.late, counted.future, counted.limits.max_guards, counted.limits.max_instances),
        (plain.late, plain.future, plain.guards_dropped, plain.instances_dropped)
    );
    Ok(())
}

/// The id, from what an alert says, and for a summary from how many alerts of its period were told before.
fn id_of(alert: &Alert, told: u64) -> String {
    let day = |text: &str| Zone::utc().day_of(Zone::utc().parse(&format!("{text}T00:00:00")).unwrap());
    let sequence = match alert.sequence.len() {
        7 => Sequence::Month(day(&format!("{}-01", alert.sequence))),
        _ => Sequence::Day(day(&alert.sequence)),
    };
    let (rule, value) = match (alert.kind, told) {
        (AlertKind::Summary, 0) => (format!("summary {}", alert.rule.id), String::new()),
        (AlertKind::Summary, told) => (format!("summary {}", alert.rule.id), told.to_string()),
        _ => (alert.rule.id.clone(), alert.value.clone().unwrap_or_default()),
    };
    let of_group = alert.kind == AlertKind::Summary && alert.entity.starts_with("c:");
    let kind = match &*alert.rule.id {
        _ if of_group => EntityKind::Agent,
        "O-HOST" | "O-TUNNEL" => EntityKind::Host,
        _ => EntityKind::User,
    };
    alert_id(&rule, 3, kind, &alert.entity, &value, sequence)
}

proptest! {
    #![proptest_config(effort::cases())]
    #[test]
    fn every_alert_is_the_one_that_the_plain_judge_finds(steps in prop::collection::vec(scene::step(), 1..160)) {
        agree(steps)?;
    }

    #[test]
    fn what_is_common_is_what_the_plain_judge_calls_so(steps in prop::collection::vec(scene::roll_out_step(), 1..200)) {
        agree(steps)?;
    }
}
