//! The plan: who works in the office, and what is planted on which day. Everything else follows from it.

use super::action::{Action, Actor, Deed};
use super::collector::{AUSTIN, COLLECTORS, Carries, Collector, HQ, Medium};
use super::life::{self, Life, RollOut};
use super::office::{Host, Office, Parents, Person, Role, weekday};
use super::rng::Rng;
use super::rules::Rule;
use super::{Options, Profile};
use super::{attacks, scenarios};
use crate::calendar::Day;
use std::collections::BTreeMap;

/// Milliseconds in a day.
pub const DAY_MS: i64 = 86_400_000;

/// Whether a scene is what detection is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum SceneKind {
    /// What an office does; nobody planted it.
    #[default]
    Routine,
    /// Must be found.
    Attack,
    /// Looks like an attack and must stay silent.
    LookAlike,
    /// Honest work that does just what a rule is about.
    Habit,
    /// The same new program on every machine.
    RollOut,
    /// The office moves to another cloud suite.
    Migration,
    /// An attack that the rules' definitions cannot see.
    BlindSpot,
}

impl SceneKind {
    /// As in truth.jsonl.
    pub const fn name(self) -> &'static str {
        match self {
            SceneKind::Routine => "routine",
            SceneKind::Attack => "attack",
            SceneKind::LookAlike => "look_alike",
            SceneKind::Habit => "habit",
            SceneKind::RollOut => "roll_out",
            SceneKind::Migration => "migration",
            SceneKind::BlindSpot => "blind_spot",
        }
    }
}

/// A scene of the plan: a name and a sentence about it.
#[derive(Clone, Debug)]
pub struct Scene {
    /// Whether it must be found, of scenes of [`Life`]; the demo's say so one by one.
    pub kind: SceneKind,
    /// Short name.
    pub name: &'static str,
    /// What happens, for people who read the truth.
    pub note: String,
}

/// What the plan says of something planted: that it must fire a rule, or must not.
#[derive(Clone, Debug)]
pub struct Claim {
    /// Index of the scene.
    pub scene: u16,
    /// The rule.
    pub rule: Rule,
    /// Key of the entity that it is about.
    pub entity: String,
    /// The day (its month, for rules that fire once a month).
    pub day: Day,
    /// The value that it is about; any, when there is none.
    pub value: Option<&'static str>,
}

/// Everything that a spool and its truth follow from.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Chooses everything.
    pub seed: u64,
    /// Events of routine per user and working hour.
    pub rate: f64,
    /// What the routine is made of.
    pub profile: Profile,
    /// Whether one collector exports CSV on some days.
    pub csv_exports: bool,
    /// First day.
    pub first: Day,
    /// Number of days.
    pub days: u32,
    /// Monday to Friday, in order.
    pub workdays: Vec<Day>,
    /// The office.
    pub office: Office,
    /// The scenes; the first is the routine.
    pub scenes: Vec<Scene>,
    /// Planted actions by the day on which they reach the collector.
    pub planted: BTreeMap<Day, Vec<Action>>,
    /// What must not fire.
    pub near_misses: Vec<Claim>,
    /// What must fire, where life goes on.
    pub attacks: Vec<Claim>,
    /// Attacks that the rules' definitions cannot see: no alert is expected.
    pub blind_spots: Vec<Claim>,
    /// What goes on besides the routine.
    pub life: Life,
    /// Days on which only services work.
    pub public_holidays: Vec<Day>,
    /// New programs on every machine.
    pub roll_outs: Vec<RollOut>,
    /// From this day on another cloud suite is used; and the scene.
    pub migration: Option<(Day, u16)>,
}

impl Plan {
    /// Makes the plan of these options.
    pub fn new(options: &Options) -> Plan {
        let days = options.days;
        let first = options.start;
        let workdays = (first..=first.saturating_add(days as Day - 1)).filter(|d| weekday(*d) < 5).collect();
        let routine = Scene { kind: SceneKind::Routine, name: "routine", note: "what an office does every day".into() };
        let mut plan = Plan {
            seed: options.seed,
            rate: options.rate,
            profile: options.profile,
            csv_exports: options.files.csv_exports,
            first,
            days,
            workdays,
            office: Office::staff(options.seed, options.users, first, days),
            scenes: vec![routine],
            planted: BTreeMap::new(),
            near_misses: Vec::new(),
            attacks: Vec::new(),
            blind_spots: Vec::new(),
            life: options.life,
            public_holidays: Vec::new(),
            roll_outs: Vec::new(),
            migration: None,
        };
        if options.life == Life::NONE {
            scenarios::plant(&mut plan);
        } else {
            life::settle(&mut plan);
            if options.life.attacks {
                attacks::plant(&mut plan);
            }
        }
        plan
    }

    /// The days, in order.
    pub fn all_days(&self) -> std::ops::Range<Day> {
        self.first..self.first + self.days as Day
    }

    /// Whether somebody works on a day.
    pub fn works(&self, person: &Person, day: Day) -> bool {
        person.works_on(day) && (person.role == Role::Service || !self.public_holidays.contains(&day))
    }

    /// The machine that somebody uses on a day.
    pub fn host_of(&self, person: &Person, index: u32, day: Day) -> u32 {
        if !person.uses_kiosks || self.office.kiosks.is_empty() {
            return person.host;
        }
        let mut rng = Rng::of(&[self.seed, 0x4105c, u64::from(index), day as u64]);
        let kiosks = &self.office.kiosks;
        kiosks.get(rng.below(kiosks.len() as u32) as usize).copied().unwrap_or(person.host)
    }

    /// In what a collector writes on a day: Austin exports CSV on Tuesdays and Thursdays, every fourth time without a
    /// header row.
    pub fn medium(&self, collector: u8, day: Day) -> Medium {
        if !self.csv_exports || collector != AUSTIN {
            return Medium::Cef;
        }
        match (weekday(day), (day - self.first) / 7 % 2) {
            (3, 1) => Medium::CsvByPosition,
            (1 | 3, _) => Medium::CsvByName,
            _ => Medium::Cef,
        }
    }

    /// The host of an action.
    pub fn host(&self, action: &Action) -> &Host {
        static NOWHERE: Host =
            Host { name: String::new(), key: String::new(), collector: HQ, parents: Parents::Silent };
        self.office.host(action.host).unwrap_or(&NOWHERE)
    }

    /// The collector whose records an action is in.
    pub fn collector(&self, action: &Action) -> &'static Collector {
        collector_at(self.host(action).collector)
    }

    /// The person of an action, when it was a person.
    pub fn person(&self, action: &Action) -> Option<&Person> {
        match action.actor {
            Actor::Person(index) => self.office.person(index),
            _ => None,
        }
    }

    /// The key of the account of an action: lower-case, with its domain; accounts of a machine go by the machine.
    pub fn user_key(&self, action: &Action) -> Option<String> {
        let host = &self.host(action).key;
        match action.actor {
            Actor::Person(_) => self.person(action).map(|p| p.key.clone()),
            Actor::System => Some(format!("{host}\\system")),
            Actor::Machine => Some(format!("{host}\\{host}$")),
            Actor::AppPool => Some(format!("{host}\\defaultapppool")),
            Actor::Nobody => None,
        }
    }

    /// What the record of an action, written on `day`, carries.
    pub fn carries(&self, action: &Action, day: Day) -> Carries {
        let host = self.host(action);
        let mut carries = collector_at(host.collector).carries(self.medium(host.collector, day), action);
        carries.parent &= host.parents != Parents::Silent && matches!(action.deed, Deed::Run(_));
        carries
    }
}

/// A collector by its index.
pub fn collector_at(index: u8) -> &'static Collector {
    static FIRST: &Collector = &COLLECTORS[0];
    COLLECTORS.get(usize::from(index)).unwrap_or(FIRST)
}

/// The day of an instant, UTC.
pub fn day_of(ms: i64) -> Day {
    ms.div_euclid(DAY_MS) as Day
}
