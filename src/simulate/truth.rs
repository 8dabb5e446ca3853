//! Which alerts to expect, worked out from the facts of the plan.
//!
//! The ledger sees every action in the order in which its record can be read: collector after collector within a day. It
//! keeps its own small books (days seen, counts of use, sums of bytes) and never looks at a record or calls an engine.
//! The books are exact for up to [`MAX_DAYS`] days: nothing grows old enough to be forgotten in them.

use super::action::{Action, Actor, Deed, Image, Method, Start};
use super::collector::Carries;
use super::commands::Command;
use super::life::Life;
use super::more_commands::command_at;
use super::office::department_count;
use super::peers::Population;
use super::plan::{Claim, Plan, day_of};
use super::programs::TEMPORARY;
use super::rules::{Entity, Period, Rule};
use super::sites::{Kind, site_at};
use crate::calendar::{Day, first_of_month, format_day, format_month};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap, HashSet};

/// The longest simulation for which the truth is exact, in days.
pub const MAX_DAYS: u32 = 200;

/// An event more than this many days before its entity's latest one teaches nothing.
const LATE_DAYS: i32 = 3;
/// A spool of up to [`MAX_DAYS`] days lies before this many days after its start; what lies after comes from a wrong clock.
const HORIZON: i32 = 400;
const NEW_HISTORY_DAYS: u32 = 14;
const CONVERGED_HISTORY_DAYS: u32 = 7;
const NEW_UPLOAD_BYTES: u64 = 20_000_000;
const ASSET_UPLOAD_BYTES: u64 = 1_000_000_000;

/// An alert to expect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Truth {
    /// The rule.
    pub rule: Rule,
    /// The key of the account or machine.
    pub entity: String,
    /// The day, or the first day of the month for rules that fire once a month.
    pub day: Day,
    /// What the rule is per, if it is per something.
    pub value: Option<&'static str>,
    /// The scene of the plan.
    pub scene: u16,
}

/// A set of days, counted from a week or more before the first.
#[derive(Clone, Copy, Debug, Default)]
struct DaySet([u64; 4]);

impl DaySet {
    fn insert(&mut self, index: u32) -> bool {
        let Some(word) = self.0.get_mut((index / 64) as usize) else { return false };
        let bit = 1u64 << (index % 64);
        let new = *word & bit == 0;
        *word |= bit;
        new
    }

    fn contains(&self, index: u32) -> bool {
        self.0.get((index / 64) as usize).is_some_and(|w| w & (1 << (index % 64)) != 0)
    }

    fn len(&self) -> u32 {
        self.0.iter().map(|w| w.count_ones()).sum()
    }

    /// How many lie before a day.
    fn before(&self, index: u32) -> u32 {
        (0u32..4)
            .zip(self.0)
            .map(|(i, word)| match (i * 64, i * 64 + 64) {
                (_, end) if end <= index => word.count_ones(),
                (begin, _) if begin < index => (word & ((1u64 << (index - begin)) - 1)).count_ones(),
                _ => 0,
            })
            .sum()
    }
}

#[derive(Clone, Debug, Default)]
struct Account {
    latest: Option<Day>,
    file_days: DaySet,
    web_days: DaySet,
    department: Option<u8>,
    /// Temporary program → days of use.
    programs: Vec<(u8, DaySet)>,
    /// (day, site's registrable domain) of file sharing, the last few days.
    shared: Vec<(Day, &'static str)>,
}

/// The books.
pub struct Ledger<'a> {
    plan: &'a Plan,
    accounts: Vec<Account>,
    latest_of_host: Vec<Option<Day>>,
    web_days: DaySet,
    sent_by_user: HashMap<(u32, Day), u64>,
    sent_by_host: HashMap<(u32, Day), u64>,
    organization: Population,
    groups: Vec<Population>,
    fired: HashSet<(Rule, u32, Option<&'static str>, Day)>,
    truths: Vec<Truth>,
    /// Records that teach a model something of its kind, repeats included.
    pub training: u64,
}

impl<'a> Ledger<'a> {
    /// Empty books.
    pub fn new(plan: &'a Plan) -> Ledger<'a> {
        let hosts = plan.office.hosts.len();
        let accounts = plan.office.people.len() + hosts * 3;
        Ledger {
            plan,
            accounts: vec![Account::default(); accounts],
            latest_of_host: vec![None; hosts],
            web_days: DaySet::default(),
            sent_by_user: HashMap::new(),
            sent_by_host: HashMap::new(),
            organization: Population::new(10),
            groups: (0..department_count()).map(|_| Population::new(5)).collect(),
            fired: HashSet::new(),
            truths: Vec::new(),
            training: 0,
        }
    }

    /// What was to be expected so far, in the order in which it became due.
    pub fn truths(&self) -> &[Truth] {
        &self.truths
    }

    /// Enters one action, whose record was written on `written`.
    pub fn observe(&mut self, action: &Action, written: Day) {
        let day = day_of(action.at_ms);
        let carries = self.plan.carries(action, written);
        let user = self.account_of(action);
        if carries.department
            && let (Some(user), Some(person)) = (user, self.plan.person(action))
            && let Some(department) = self.plan.office.department_on(person, day)
            && let Some(account) = self.accounts.get_mut(user as usize)
        {
            account.department = Some(department);
        }
        let future = day > self.plan.first + HORIZON;
        let user_counts = !future
            && user.is_some_and(|u| self.accounts.get_mut(u as usize).is_some_and(|a| in_time(&mut a.latest, day)));
        let host_counts = !future && self.latest_of_host.get_mut(action.host as usize).is_some_and(|l| in_time(l, day));
        match action.deed {
            Deed::Run(Start::Planted(index)) => {
                if let Some(command) = command_at(index) {
                    self.command(action, day, user, command, carries);
                }
            }
            Deed::File { op, image, .. } if op.writes() => {
                if let Some(user) = user {
                    self.file_written(action, day, user, image, user_counts);
                }
            }
            Deed::Browse { site, method, sent } => {
                let sent = if carries.bytes && method != Method::Get { sent } else { 0 };
                self.sent(action, day, user.filter(|_| user_counts), host_counts, sent);
                self.visited(action, day, user, site, carries, user_counts);
            }
            _ => {}
        }
    }

    fn command(&mut self, action: &Action, day: Day, user: Option<u32>, command: &'static Command, carries: Carries) {
        if !command.fires || (command.rule == Rule::WebShell && !carries.parent) {
            return;
        }
        for rule in [Some(command.rule), command.rule.asset_twin()].into_iter().flatten() {
            let value = rule.is_per_image().then_some(command.image);
            self.fire(rule, action, user, day, value);
        }
    }

    fn file_written(&mut self, action: &Action, day: Day, user: u32, image: Image, counts: bool) {
        let temporary = match image {
            Image::Temporary(program) => TEMPORARY.get(usize::from(program)).map(|t| (program, t.key)),
            Image::Installed(_) => None,
        };
        self.training += u64::from(temporary.is_some());
        let index = self.index_of(day);
        let Some(account) = self.accounts.get_mut(user as usize).filter(|_| counts) else { return };
        let mut verdict = None;
        if let Some((program, key)) = temporary {
            verdict = account.run_from_temporary(program, index).map(|rule| (rule, key));
        }
        account.file_days.insert(index);
        if let Some((rule, key)) = verdict {
            self.fire(rule, action, Some(user), day, Some(key));
        }
    }

    fn sent(&mut self, action: &Action, day: Day, user: Option<u32>, host_counts: bool, sent: u64) {
        let index = self.index_of(day);
        if host_counts {
            let sum = self.sent_by_host.entry((action.host, day)).or_default();
            *sum += sent;
            if *sum >= ASSET_UPLOAD_BYTES {
                self.fire(Rule::ExfilAsset, action, user, day, None);
            }
        }
        if let Some(user) = user {
            let sum = self.sent_by_user.entry((user, day)).or_default();
            *sum += sent;
            let enough = *sum >= NEW_UPLOAD_BYTES && self.web_days.before(index) >= NEW_HISTORY_DAYS;
            let new = self.accounts.get(user as usize).is_some_and(|a| a.web_days.before(index) == 0);
            if enough && new {
                self.fire(Rule::NewUpload, action, Some(user), day, None);
            }
            if let Some(account) = self.accounts.get_mut(user as usize) {
                account.web_days.insert(index);
            }
        }
        if user.is_some() || (action.actor == Actor::Nobody && host_counts) {
            self.web_days.insert(index);
        }
    }

    fn visited(&mut self, action: &Action, day: Day, user: Option<u32>, site: u16, carries: Carries, counts: bool) {
        let site = site_at(site);
        match site.kind {
            Kind::DynamicDns => {
                self.fire(Rule::DynamicDns, action, user, day, Some(site.host));
                self.fire(Rule::DynamicDnsAsset, action, user, day, Some(site.host));
            }
            Kind::Sharing | Kind::SharingByCategory if site.kind == Kind::Sharing || carries.category => {
                self.training += u64::from(user.is_some());
                self.fire(Rule::Sharing, action, user, day, Some(site.top));
                if let Some(user) = user.filter(|_| counts) {
                    self.shared(action, day, user, site.top);
                }
            }
            _ => {}
        }
    }

    fn shared(&mut self, action: &Action, day: Day, user: u32, top: &'static str) {
        let Some(account) = self.accounts.get_mut(user as usize) else { return };
        let first_of_day = account.shared.iter().all(|(d, _)| *d != day);
        let new = !account.shared.contains(&(day, top));
        let group = account.department;
        if new {
            account.shared.retain(|(d, _)| *d >= day - 2 * LATE_DAYS);
            account.shared.push((day, top));
        }
        if first_of_day {
            if self.organization.is_top(user) {
                self.fire(Rule::TopOrganization, action, Some(user), day, None);
            }
            if group.and_then(|g| self.groups.get(usize::from(g))).is_some_and(|g| g.is_top(user)) {
                self.fire(Rule::TopGroup, action, Some(user), day, None);
            }
        }
        if new {
            self.organization.add(user, day);
            if let Some(group) = group.and_then(|g| self.groups.get_mut(usize::from(g))) {
                group.add(user, day);
            }
        }
    }

    fn fire(&mut self, rule: Rule, action: &Action, user: Option<u32>, day: Day, value: Option<&'static str>) {
        let (number, entity) = match rule.entity() {
            Entity::Host => (action.host, Some(self.plan.host(action).key.clone())),
            Entity::User => (user.unwrap_or_default(), self.plan.user_key(action)),
        };
        let Some(entity) = entity else { return };
        let day = if rule.period() == Period::Month { first_of_month(day) } else { day };
        if self.fired.insert((rule, number, value, day)) {
            self.truths.push(Truth { rule, entity, day, value, scene: action.scene });
        }
    }

    fn account_of(&self, action: &Action) -> Option<u32> {
        let people = self.plan.office.people.len() as u32;
        match action.actor {
            Actor::Person(index) => Some(index),
            Actor::System => Some(people + action.host * 3),
            Actor::Machine => Some(people + action.host * 3 + 1),
            Actor::AppPool => Some(people + action.host * 3 + 2),
            Actor::Nobody => None,
        }
    }

    fn index_of(&self, day: Day) -> u32 {
        (day - self.plan.first + 16).clamp(0, 255) as u32
    }
}

impl Account {
    /// Judges a program that runs from a temporary directory by what was known before, then remembers it: once a day.
    fn run_from_temporary(&mut self, program: u8, index: u32) -> Option<Rule> {
        let known = self.programs.iter().find(|(p, _)| *p == program).map(|(_, days)| *days).unwrap_or_default();
        if known.contains(index) {
            return None;
        }
        let counts: Vec<u32> = self.programs.iter().map(|(_, days)| days.len()).collect();
        let converged = is_converged(counts.iter().sum(), counts.len() as u32);
        let history = self.file_days.before(index);
        let verdict = if known.len() == 0 {
            let mature = history >= NEW_HISTORY_DAYS || (converged && history >= CONVERGED_HISTORY_DAYS);
            mature.then_some(Rule::TempFirst)
        } else {
            (converged && known.len() < rare_below(counts)).then_some(Rule::TempAbnormal)
        };
        match self.programs.iter_mut().find(|(p, _)| *p == program) {
            Some((_, days)) => _ = days.insert(index),
            None => {
                let mut days = DaySet::default();
                days.insert(index);
                self.programs.push((program, days));
            }
        }
        verdict
    }
}

/// At least 30 in all, and few bins for them: ((n − c) / n)^(4/5) ≥ 4/5, by its fifth power.
pub fn is_converged(n: u32, c: u32) -> bool {
    n >= 30 && (f64::from(n - c.min(n)) / f64::from(n)).powi(4) >= 0.8_f64.powi(5)
}

/// The count of the first bin, in ascending order, at which the running sum exceeds a tenth of all.
fn rare_below(mut counts: Vec<u32>) -> u32 {
    counts.sort_unstable();
    let n: u32 = counts.iter().sum();
    let mut sum = 0;
    for count in counts {
        sum += count;
        if sum * 10 > n {
            return count;
        }
    }
    0
}

/// Moves an entity's latest day; false when the event is too late to teach anything.
fn in_time(latest: &mut Option<Day>, day: Day) -> bool {
    let last = latest.map_or(day, |l| l.max(day));
    *latest = Some(last);
    day >= last - LATE_DAYS
}

impl Truth {
    /// As a line of truth.jsonl.
    pub fn to_json(&self, plan: &Plan) -> Value {
        let scene = plan.scenes.get(usize::from(self.scene));
        let mut line = json!({ "rule": self.rule.id(), "entity": entity(self.rule, &self.entity) });
        put_period(&mut line, self.rule, self.day);
        if let (Some(object), Some(value)) = (line.as_object_mut(), self.value) {
            object.insert("value".into(), value.into());
        }
        put_scene(&mut line, plan, scene);
        line
    }
}

impl Claim {
    /// As a line of truth.jsonl, in which it is called that.
    pub fn to_json(&self, called: &str, plan: &Plan) -> Value {
        let mut line = json!({ called: true, "rule": self.rule.id(), "entity": entity(self.rule, &self.entity) });
        put_period(&mut line, self.rule, self.day);
        if let (Some(object), Some(value)) = (line.as_object_mut(), self.value) {
            object.insert("value".into(), value.into());
        }
        put_scene(&mut line, plan, plan.scenes.get(usize::from(self.scene)));
        line
    }

    /// Whether this alert is one that the plan says must not come.
    pub fn forbids(&self, truth: &Truth) -> bool {
        let day = if self.rule.period() == Period::Month { first_of_month(self.day) } else { self.day };
        truth.rule == self.rule
            && truth.entity == self.entity
            && truth.day == day
            && (self.value.is_none() || self.value == truth.value)
    }
}

fn entity(rule: Rule, value: &str) -> Value {
    json!({ "kind": if rule.entity() == Entity::Host { "host" } else { "user" }, "value": value })
}

fn put_period(line: &mut Value, rule: Rule, day: Day) {
    if let Some(object) = line.as_object_mut() {
        match rule.period() {
            Period::Day => object.insert("day".into(), format_day(day).into()),
            Period::Month => object.insert("month".into(), format_month(day).into()),
        };
    }
}

fn put_scene(line: &mut Value, plan: &Plan, scene: Option<&super::plan::Scene>) {
    if let (Some(object), Some(scene)) = (line.as_object_mut(), scene) {
        object.insert("scenario".into(), scene.name.into());
        if plan.life != Life::NONE {
            object.insert("kind".into(), scene.kind.name().into());
        }
        object.insert("note".into(), scene.note.as_str().into());
    }
}

/// Expected alerts by rule id.
pub fn count_by_rule(truths: &[Truth]) -> BTreeMap<&'static str, u64> {
    let mut counts: BTreeMap<&'static str, u64> = Rule::ALL.iter().map(|r| (r.id(), 0)).collect();
    for truth in truths {
        *counts.entry(truth.rule.id()).or_default() += 1;
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_before_a_day_are_counted_over_word_borders() {
        let mut days = DaySet::default();
        for i in [0, 5, 63, 64, 130] {
            assert!(days.insert(i));
            assert!(!days.insert(i));
        }
        assert_eq!(days.len(), 5);
        for (index, expected) in [(0, 0), (1, 1), (5, 1), (63, 2), (64, 3), (65, 4), (130, 4), (131, 5), (255, 5)] {
            assert_eq!(days.before(index), expected, "before {index}");
        }
    }

    #[test]
    fn a_program_is_rare_when_its_count_lies_in_the_lowest_tenth() {
        assert_eq!(rare_below(vec![8, 8, 8, 8, 1]), 8);
        assert_eq!(rare_below(vec![3, 3, 3]), 3, "all equal: none is below");
        assert_eq!(rare_below(vec![1, 1, 1, 7]), 1, "three tenths are not rare");
        assert!(is_converged(30, 7));
        assert!(!is_converged(29, 1));
        assert!(!is_converged(30, 8));
    }

    #[test]
    fn the_first_use_is_new_only_with_enough_history_and_the_second_is_rare() {
        let mut account = Account::default();
        for day in 0..8 {
            account.file_days.insert(day);
            for program in 10..15 {
                assert_eq!(account.run_from_temporary(program, day), None);
            }
        }
        assert_eq!(account.run_from_temporary(1, 8), Some(Rule::TempFirst));
        assert_eq!(account.run_from_temporary(1, 8), None, "once a day");
        assert_eq!(account.run_from_temporary(1, 9), Some(Rule::TempAbnormal));
        let mut young = Account::default();
        for day in 0..13 {
            young.file_days.insert(day);
        }
        assert_eq!(young.run_from_temporary(1, 13), None);
        young.file_days.insert(13);
        assert_eq!(young.run_from_temporary(2, 14), Some(Rule::TempFirst));
    }

    #[test]
    fn late_means_more_than_three_days_before_the_latest() {
        let mut latest = None;
        assert!(in_time(&mut latest, 10));
        assert!(in_time(&mut latest, 7));
        assert!(!in_time(&mut latest, 6));
        assert_eq!(latest, Some(10));
    }
}
