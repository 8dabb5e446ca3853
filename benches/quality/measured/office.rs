//! One office, judged.

use super::stage::{Stage, pieces};
use exfil_agent::alert::{Alert, AlertKind, Severity};
use exfil_agent::batch::EventBatch;
use exfil_agent::calendar::{Day, Zone, first_of_month, format_day, format_month};
use exfil_agent::config::Settings;
use exfil_agent::detect::Detector;
use exfil_agent::simulate::office::weekday;
use exfil_agent::simulate::plan::{Claim, SceneKind};
use exfil_agent::simulate::programs::{ROLLED_OUT, TEMPORARY};
use exfil_agent::simulate::rules::{Period, Rule};
use exfil_agent::simulate::truth::Ledger;
use exfil_agent::simulate::{Options, Plan, spool};
use exfil_agent::stats::maturity::{self, Maturity};
use exfil_agent::worker::Worker;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Days from which volume is counted: before, rules that learn are silent.
const SETTLED_AFTER: Day = 28;

/// Rule, entity, sequence, value.
type Key = (&'static str, String, String, Option<String>);

/// Alerts of one kind of scene.
#[derive(Clone, Copy, Debug, Default)]
pub struct Count {
    /// Delivered.
    pub delivered: u64,
    /// Of these, with a score of 10 and more.
    pub from_ten: u64,
    /// Held back because they were grouped.
    pub grouped: u64,
}

/// What became of an alert.
struct Told {
    delivered: bool,
    in_full: bool,
}

/// What one rule did.
#[derive(Clone, Debug, Default)]
pub struct OfRule {
    /// Planted attacks, and those that an alert was delivered about.
    pub planted: u64,
    pub found: u64,
    /// Of those, the ones whose alert has the rule's own score, and not a lower one.
    pub found_in_full: u64,
    /// Of the planted ones, those whose alert was grouped with others.
    pub grouped: u64,
    /// Planted attacks that the definition cannot see, and those that an alert was delivered about.
    pub unseen: u64,
    pub unseen_found: u64,
    /// Variants of the attacks: distinct notes of their scenes.
    pub variants: BTreeSet<String>,
    /// All alerts by the kind of the scene that caused them.
    pub by_kind: BTreeMap<SceneKind, Count>,
    /// The same in settled days.
    pub settled: BTreeMap<SceneKind, Count>,
}

/// What was measured on an office.
#[derive(Clone, Debug, Default)]
pub struct Office {
    pub seed: u64,
    pub events: u64,
    /// People and services, times the days on which each worked.
    pub user_days: u64,
    pub settled_user_days: u64,
    /// People who met a roll-out.
    pub reached: [u64; 2],
    pub rules: BTreeMap<&'static str, OfRule>,
    /// Delivered alerts of office life on each settled working day, by band.
    pub days: Vec<[u64; 4]>,
    /// What there was to read about each roll-out: alerts and summaries.
    pub roll_outs: [u64; 2],
    /// The same about real first-seen programs: planted and found as alerts of their own.
    pub maturity: Vec<Maturity>,
    /// Alerts that no truth explains, and truths without an alert (a disagreement of simulator and agent).
    pub unexplained: u64,
    pub missing: u64,
}

/// Judges an office under settings.
pub fn measure(options: &Options, settings: Settings) -> Office {
    let plan = Plan::new(options);
    let mut ledger = Ledger::new(&plan);
    let stage = Stage::with(settings.clone());
    let mut agent =
        Agent { worker: stage.worker(), detector: stage.detector(), stage: &stage, raised: Vec::new(), events: 0 };
    let agent_cell = std::cell::RefCell::new(&mut agent);
    let name = std::cell::RefCell::new(String::new());
    spool::each_file(
        &plan,
        options,
        &mut ledger,
        &mut |file| {
            *name.borrow_mut() = file.to_owned();
            Ok(Vec::new())
        },
        &mut |bytes| {
            agent_cell.borrow_mut().read(&name.borrow(), bytes);
            Ok(())
        },
    )
    .unwrap();
    let mut office = Office { seed: options.seed, events: agent.events, ..Office::default() };
    office.maturity = maturity::of(&agent.detector.state, &agent.stage.content, &settings.detection);
    count_user_days(&plan, &mut office);
    score(&plan, &ledger, &agent.raised, &mut office);
    office
}

struct Agent<'a> {
    stage: &'a Stage,
    worker: Worker,
    detector: Detector,
    raised: Vec<(u64, Alert)>,
    events: u64,
}

impl Agent<'_> {
    fn read(&mut self, name: &str, bytes: Vec<u8>) {
        for piece in pieces((name.to_owned(), bytes)) {
            let raw = piece.batch(piece.data.clone());
            let batch = self.worker.screen(raw, &self.stage.content.parsers, EventBatch::default());
            self.events += batch.events.len() as u64;
            self.detector.judge(&batch, &mut self.raised);
        }
    }
}

fn is_settled(plan: &Plan, day: Day) -> bool {
    day >= plan.first + SETTLED_AFTER.min(plan.days as Day / 2)
}

fn count_user_days(plan: &Plan, office: &mut Office) {
    for day in plan.all_days() {
        let n = plan.office.people.iter().filter(|p| plan.works(p, day)).count() as u64;
        office.user_days += n;
        office.settled_user_days += if is_settled(plan, day) { n } else { 0 };
    }
    for (reached, roll_out) in office.reached.iter_mut().zip(&plan.roll_outs) {
        let met = |p: &exfil_agent::simulate::office::Person| {
            (roll_out.from.max(p.hired)..plan.all_days().end).any(|d| plan.works(p, d))
        };
        *reached = plan.office.people.iter().filter(|p| met(p)).count() as u64;
    }
}

fn key_of_claim(claim: &Claim) -> Key {
    key(claim.rule, &claim.entity, claim.day, claim.value)
}

fn key(rule: Rule, entity: &str, day: Day, value: Option<&str>) -> Key {
    let sequence = match rule.period() {
        Period::Day => format_day(day),
        Period::Month => format_month(first_of_month(day)),
    };
    (rule.id(), entity.to_owned(), sequence, value.map(str::to_owned))
}

fn score(plan: &Plan, ledger: &Ledger<'_>, raised: &[(u64, Alert)], office: &mut Office) {
    let kind_of = |scene: u16| plan.scenes.get(usize::from(scene)).map_or(SceneKind::Routine, |s| s.kind);
    let causes: HashMap<Key, SceneKind> =
        ledger.truths().iter().map(|t| (key(t.rule, &t.entity, t.day, t.value), kind_of(t.scene))).collect();
    let ids: BTreeMap<&str, &'static str> = Rule::ALL.iter().map(|r| (r.id(), r.id())).collect();
    office.rules = ids.values().map(|id| (*id, OfRule::default())).collect();
    let mut told: HashMap<Key, Told> = HashMap::new();
    let mut days: BTreeMap<Day, [u64; 4]> = plan
        .all_days()
        .filter(|d| is_settled(plan, *d) && weekday(*d) < 5 && !plan.public_holidays.contains(d))
        .map(|d| (d, [0; 4]))
        .collect();
    for (_, alert) in raised {
        if alert.kind == AlertKind::Summary {
            note_roll_out(office, &alert.entity);
            continue;
        }
        let Some(rule) = ids.get(alert.rule.id.as_str()).filter(|_| alert.kind == AlertKind::Detection) else {
            continue;
        };
        let key = (*rule, alert.entity.clone(), alert.sequence.clone(), alert.value.clone());
        let kind = causes.get(&key).copied();
        office.unexplained += u64::from(kind.is_none());
        let kind = kind.unwrap_or_default();
        let is_lowered = alert.evidence.notes.iter().any(|note| note.starts_with("score "));
        told.insert(key, Told { delivered: !alert.suppressed, in_full: !alert.suppressed && !is_lowered });
        let day = Zone::utc().day_of(alert.time_ms);
        let of_rule = office.rules.get_mut(rule).unwrap();
        let tables = [Some(&mut of_rule.by_kind), is_settled(plan, day).then_some(&mut of_rule.settled)];
        for table in tables.into_iter().flatten() {
            let count = table.entry(kind).or_default();
            count.grouped += u64::from(alert.suppressed);
            count.delivered += u64::from(!alert.suppressed);
            count.from_ten += u64::from(!alert.suppressed && alert.score >= 10);
        }
        if alert.suppressed {
            continue;
        }
        if kind == SceneKind::RollOut {
            note_roll_out(office, alert.value.as_deref().unwrap_or_default());
        }
        if let (SceneKind::Routine | SceneKind::Habit, Some(bands)) = (kind, days.get_mut(&day)) {
            let band = [Severity::Low, Severity::Medium, Severity::High, Severity::Critical];
            bands[band.iter().position(|b| *b == alert.severity()).unwrap()] += 1;
        }
    }
    office.days = days.into_values().collect();
    office.missing = causes.keys().filter(|k| !told.contains_key(*k)).count() as u64;
    let distinct = |claims: &[Claim]| claims.iter().map(|c| (key_of_claim(c), c.scene)).collect::<BTreeMap<_, _>>();
    for (key, scene) in distinct(&plan.attacks) {
        let of_rule = office.rules.get_mut(key.0).unwrap();
        of_rule.planted += 1;
        if let Some(told) = told.get(&key) {
            of_rule.found += u64::from(told.delivered);
            of_rule.found_in_full += u64::from(told.in_full);
            of_rule.grouped += u64::from(!told.delivered);
        }
        of_rule.variants.extend(plan.scenes.get(usize::from(scene)).map(|s| s.note.clone()));
    }
    for key in distinct(&plan.blind_spots).into_keys() {
        let of_rule = office.rules.get_mut(key.0).unwrap();
        of_rule.unseen += 1;
        let met = |k: &Key| k.0 == key.0 && k.1 == key.1 && k.2 == key.2 && (key.3.is_none() || k.3 == key.3);
        of_rule.unseen_found += u64::from(told.iter().any(|(k, told)| told.delivered && met(k)));
    }
}

/// Something to read about a program that was rolled out.
fn note_roll_out(office: &mut Office, program: &str) {
    for (n, index) in office.roll_outs.iter_mut().zip(ROLLED_OUT) {
        *n += u64::from(TEMPORARY[usize::from(index)].key == program);
    }
}

/// The offices of several seeds, added up.
pub fn pooled(offices: &[Office]) -> Office {
    let mut all = Office::default();
    for office in offices {
        all.events += office.events;
        all.user_days += office.user_days;
        all.settled_user_days += office.settled_user_days;
        all.days.extend(&office.days);
        all.unexplained += office.unexplained;
        all.missing += office.missing;
        for at in 0..2 {
            all.reached[at] += office.reached[at];
            all.roll_outs[at] += office.roll_outs[at];
        }
        for (id, rule) in &office.rules {
            let sum = all.rules.entry(*id).or_default();
            sum.planted += rule.planted;
            sum.found += rule.found;
            sum.found_in_full += rule.found_in_full;
            sum.grouped += rule.grouped;
            sum.unseen += rule.unseen;
            sum.unseen_found += rule.unseen_found;
            sum.variants.extend(rule.variants.iter().cloned());
            for (to, from) in [(&mut sum.by_kind, &rule.by_kind), (&mut sum.settled, &rule.settled)] {
                for (kind, count) in from {
                    let to = to.entry(*kind).or_default();
                    to.delivered += count.delivered;
                    to.from_ten += count.from_ten;
                    to.grouped += count.grouped;
                }
            }
        }
    }
    all
}

impl OfRule {
    fn sum(table: &BTreeMap<SceneKind, Count>, kinds: &[SceneKind], of: fn(&Count) -> u64) -> u64 {
        kinds.iter().filter_map(|k| table.get(k)).map(of).sum()
    }

    /// Delivered alerts about planted attacks, and about planted look-alikes and honest habits.
    pub fn right_and_wrong(&self) -> (u64, u64) {
        let of = |kinds: &[SceneKind]| OfRule::sum(&self.by_kind, kinds, |c| c.delivered);
        (of(&[SceneKind::Attack, SceneKind::BlindSpot]), of(&[SceneKind::LookAlike, SceneKind::Habit]))
    }

    /// The same of alerts with a score of 10 and more.
    pub fn right_and_wrong_from_ten(&self) -> (u64, u64) {
        let of = |kinds: &[SceneKind]| OfRule::sum(&self.by_kind, kinds, |c| c.from_ten);
        (of(&[SceneKind::Attack, SceneKind::BlindSpot]), of(&[SceneKind::LookAlike, SceneKind::Habit]))
    }

    /// Delivered alerts of settled days that no attack caused, roll-outs and the migration apart; and those from 10.
    pub fn outside(&self) -> (u64, u64) {
        let kinds = [SceneKind::Routine, SceneKind::Habit, SceneKind::LookAlike];
        (OfRule::sum(&self.settled, &kinds, |c| c.delivered), OfRule::sum(&self.settled, &kinds, |c| c.from_ten))
    }

    /// Delivered alerts of a kind of scene, and those that were grouped.
    pub fn of_kind(&self, kind: SceneKind) -> (u64, u64) {
        self.by_kind.get(&kind).map_or((0, 0), |c| (c.delivered, c.grouped))
    }
}

impl Office {
    /// Alerts of score 10 and more of settled days outside scenarios.
    pub fn outside_from_ten(&self) -> u64 {
        self.rules.values().map(|r| r.outside().1).sum()
    }
}
