//! Finds people for scenes and writes their actions into the plan.
//!
//! Nobody plays two planted parts on one day, so a scene that must not fire is never spoilt by one that must.

use super::action::{Action, Actor, Deed, FileOp, Image, Method, Start};
use super::collector::Medium;
use super::office::{Person, Role};
use super::plan::{Claim, DAY_MS, Plan, Scene, SceneKind, day_of};
use super::rng::Rng;
use super::rules::{Entity, Rule};
use crate::calendar::Day;
use std::collections::BTreeSet;

/// A part in a scene: who, where and when.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    /// Who.
    pub actor: Actor,
    /// Where.
    pub host: u32,
    /// When, milliseconds.
    pub at_ms: i64,
    /// When it reaches the collector, unless at once.
    pub arrives_ms: Option<i64>,
}

impl Part {
    /// The same part some minutes later.
    #[must_use]
    pub fn minutes_later(mut self, minutes: i64) -> Part {
        self.at_ms += minutes * 60_000;
        self.arrives_ms = self.arrives_ms.map(|ms| ms + minutes * 60_000);
        self
    }

    /// The same part, written down only so many days later.
    #[must_use]
    pub fn late_by(mut self, days: i64) -> Part {
        self.arrives_ms = Some(self.at_ms + days * DAY_MS);
        self
    }

    /// The day on which it happens.
    pub fn day(&self) -> Day {
        day_of(self.at_ms)
    }
}

/// The plan while it is being written.
pub struct Stage<'a> {
    /// The plan.
    pub plan: &'a mut Plan,
    /// Dice of the scenes.
    pub rng: Rng,
    busy: BTreeSet<(u32, Day)>,
    cast: BTreeSet<u32>,
}

impl<'a> Stage<'a> {
    /// An empty stage.
    pub fn new(plan: &'a mut Plan) -> Stage<'a> {
        let rng = Rng::of(&[plan.seed, 0x5ce7e]);
        Stage { plan, rng, busy: BTreeSet::new(), cast: BTreeSet::new() }
    }

    /// The n-th weekday of the plan.
    pub fn workday(&self, n: usize) -> Option<Day> {
        self.plan.workdays.get(n).copied()
    }

    /// The last weekday of the plan.
    pub fn last_workday(&self) -> Option<Day> {
        self.plan.workdays.last().copied()
    }

    /// A random weekday of the plan, from the n-th on.
    pub fn some_workday(&mut self, from: usize) -> Option<Day> {
        let n = self.plan.workdays.len();
        let from = from.min(n.saturating_sub(1));
        let day = from + self.rng.below((n - from) as u32) as usize;
        self.workday(day)
    }

    /// A new scene.
    pub fn scene(&mut self, name: &'static str, note: impl Into<String>) -> u16 {
        self.scene_of(SceneKind::Routine, name, note)
    }

    /// A new scene that says what it is.
    pub fn scene_of(&mut self, kind: SceneKind, name: &'static str, note: impl Into<String>) -> u16 {
        self.plan.scenes.push(Scene { kind, name, note: note.into() });
        (self.plan.scenes.len() - 1) as u16
    }

    /// Gives somebody a lasting role: nobody is cast twice.
    pub fn cast(&mut self, fits: impl Fn(&Person) -> bool) -> Option<u32> {
        let found = self.search(|index, person, stage| fits(person) && !stage.cast.contains(&index))?;
        self.cast.insert(found);
        Some(found)
    }

    /// A part for anybody who works on that day, has no other part then and no lasting role.
    pub fn part(&mut self, day: Day, fits: impl Fn(&Person) -> bool) -> Option<Part> {
        let found = self.search(|index, person, stage| {
            fits(person)
                && stage.plan.works(person, day)
                && person.offline.is_none()
                && !stage.cast.contains(&index)
                && !stage.busy.contains(&(index, day))
                && stage.tells_commands(person, day)
        })?;
        self.part_of(found, day)
    }

    /// A part for this person on that day.
    pub fn part_of(&mut self, index: u32, day: Day) -> Option<Part> {
        self.busy.insert((index, day));
        let person = self.plan.office.person(index)?;
        let host = self.plan.host_of(person, index, day);
        let minute = i64::from(person.from_hour) * 60 + 60 + i64::from(self.rng.below(person.hours * 60 - 120));
        let seconds = i64::from(self.rng.below(60_000));
        let at_ms = i64::from(day) * DAY_MS + minute * 60_000 + seconds;
        Some(Part { actor: Actor::Person(index), host, at_ms, arrives_ms: None })
    }

    /// An export without a header row has no column for the command line.
    fn tells_commands(&self, person: &Person, day: Day) -> bool {
        let collector = self.plan.office.host(person.host).map_or(0, |h| h.collector);
        self.plan.medium(collector, day) != Medium::CsvByPosition
    }

    fn search(&mut self, fits: impl Fn(u32, &Person, &Stage<'_>) -> bool) -> Option<u32> {
        let n = self.plan.office.people.len() as u32;
        let from = self.rng.below(n);
        (0..n).map(|i| (from + i) % n.max(1)).find(|i| self.plan.office.person(*i).is_some_and(|p| fits(*i, p, self)))
    }

    /// A process start.
    pub fn run(&mut self, scene: u16, part: Part, command: u8) {
        self.act(scene, part, Deed::Run(Start::Planted(command)));
    }

    /// A visit.
    pub fn browse(&mut self, scene: u16, part: Part, site: u16, method: Method, sent: u64) {
        self.act(scene, part, Deed::Browse { site, method, sent });
    }

    /// A file written by a program.
    pub fn write(&mut self, scene: u16, part: Part, image: Image) {
        self.act(scene, part, Deed::File { op: FileOp::Created, image, removable: false });
    }

    fn act(&mut self, scene: u16, part: Part, deed: Deed) {
        let arrives_ms = part.arrives_ms.unwrap_or(part.at_ms);
        let salt = self.rng.next() as u32;
        let Part { actor, host, at_ms, .. } = part;
        let action = Action { at_ms, arrives_ms, actor, host, scene, salt, deed };
        self.plan.planted.entry(day_of(arrives_ms)).or_default().push(action);
    }

    /// States that a part must not fire a rule on its day (or month), for this value or for any.
    pub fn must_not_fire(&mut self, scene: u16, part: Part, rule: Rule, value: Option<&'static str>) {
        let claim = self.claim(scene, part, rule, value);
        self.plan.near_misses.extend(claim);
    }

    /// States that a part must fire a rule on its day (or month), for this value or for any.
    pub fn must_fire(&mut self, scene: u16, part: Part, rule: Rule, value: Option<&'static str>) {
        let claim = self.claim(scene, part, rule, value);
        self.plan.attacks.extend(claim);
    }

    /// States that a part is an attack that the rule's definition cannot see.
    pub fn is_unseen(&mut self, scene: u16, part: Part, rule: Rule, value: Option<&'static str>) {
        let claim = self.claim(scene, part, rule, value);
        self.plan.blind_spots.extend(claim);
    }

    fn claim(&self, scene: u16, part: Part, rule: Rule, value: Option<&'static str>) -> Option<Claim> {
        let entity = match (rule.entity(), part.actor) {
            (Entity::Host, _) => self.plan.office.host(part.host).map(|h| h.key.clone()),
            (Entity::User, Actor::Person(i)) => self.plan.office.person(i).map(|p| p.key.clone()),
            (Entity::User, Actor::Nobody) => None,
            (Entity::User, Actor::Machine) => None,
            (Entity::User, _) => {
                let host = self.plan.office.host(part.host).map(|h| h.key.clone()).unwrap_or_default();
                let account = if part.actor == Actor::AppPool { "defaultapppool" } else { "system" };
                Some(format!("{host}\\{account}"))
            }
        };
        Some(Claim { scene, rule, entity: entity?, day: part.day(), value })
    }

    /// Changes somebody's facts.
    pub fn change(&mut self, index: u32, change: impl FnOnce(&mut Person)) {
        if let Some(person) = self.plan.office.people.get_mut(index as usize) {
            change(person);
        }
    }

    /// Whether a person's records belong to this collector.
    pub fn sits_at(&self, collector: u8) -> impl Fn(&Person) -> bool + use<> {
        let hosts: Vec<u8> = self.plan.office.hosts.iter().map(|h| h.collector).collect();
        move |p| hosts.get(p.host as usize) == Some(&collector)
    }

    /// Whether somebody is an employee who is there on every weekday.
    pub fn is_reliable(&self) -> impl Fn(&Person) -> bool + use<> {
        let first = self.plan.first;
        move |p| p.is_always_there(first) && !matches!(p.role, Role::Contractor | Role::Service)
    }
}
