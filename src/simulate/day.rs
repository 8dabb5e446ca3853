//! One person's working day, and the nights of machines: routine as actions.
//!
//! Units: milliseconds. A collector writes an action down within a minute and a half, so records of different machines
//! are a little out of order.

use super::Profile;
use super::action::{Action, Actor, Deed, FileOp, Image, Method, Start};
use super::collector::COLLECTORS;
use super::life::{self, Life};
use super::office::{APP01, Person, Role, WEB01, WEB02, weekday};
use super::plan::{DAY_MS, Plan, day_of};
use super::programs::{DEFENDER, EXPLORER, ROUTINE, ROUTINE_INSTALLED, SERVICE_HOST, UPDATERS_FROM, UPDATERS_TO};
use super::rng::Rng;
use super::sites::{ORDINARY, SHARING, SUITES};
use crate::calendar::Day;

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;

/// Shares of the routine in thousandths: file work, reading, deleting, starting programs, web; the rest is printing.
struct Mix {
    write: u32,
    read: u32,
    delete: u32,
    run: u32,
    browse: u32,
    /// Of the writes: from a temporary directory.
    temporary: f64,
    /// Of the visits: file sharing.
    sharing: f64,
}

const OFFICE: Mix = Mix { write: 280, read: 130, delete: 40, run: 230, browse: 300, temporary: 0.0, sharing: 0.0 };
const TRAINING: Mix = Mix { write: 400, read: 60, delete: 20, run: 160, browse: 350, temporary: 0.8, sharing: 0.7 };

/// Writes one person's actions of one day into `out`, if they work on it.
pub fn working_day(plan: &Plan, index: u32, day: Day, out: &mut Vec<Action>) {
    let Some(person) = plan.office.person(index).filter(|p| plan.works(p, day)) else { return };
    let mut rng = Rng::of(&[plan.seed, 0xda1, u64::from(index), day as u64]);
    let weekend = weekday(day) >= 5;
    let begin = i64::from(day) * DAY_MS + i64::from(person.from_hour) * HOUR_MS + i64::from(rng.below(2_400_000));
    let hours = if weekend { 2 } else { person.hours };
    let end = begin + i64::from(hours) * HOUR_MS;
    let from = out.len();
    let host = plan.host_of(person, index, day);
    let mut work = Work { person, index, host, begin, end, rng, out };
    if person.role == Role::Service {
        work.besides(plan, day);
        return;
    }
    work.log_on_and_off(hours);
    work.machine_in_the_morning();
    work.updaters(day);
    work.share();
    work.routine(plan, hours);
    work.besides(plan, day);
    if let Some((first, last)) = person.offline {
        hold_back(out.get_mut(from..).unwrap_or_default(), first, last, day);
    }
}

/// Off the net: all of it arrives early on the day after, in the order in which it happened.
fn hold_back(actions: &mut [Action], first: Day, last: Day, day: Day) {
    if day < first || day > last {
        return;
    }
    let start = i64::from(first) * DAY_MS;
    for action in actions {
        action.arrives_ms = i64::from(last + 1) * DAY_MS + 5 * HOUR_MS + (action.at_ms - start) / 100;
    }
}

struct Work<'a> {
    person: &'a Person,
    index: u32,
    host: u32,
    begin: i64,
    end: i64,
    rng: Rng,
    out: &'a mut Vec<Action>,
}

impl Work<'_> {
    fn log_on_and_off(&mut self, hours: u32) {
        let me = Actor::Person(self.index);
        self.at(self.begin, me, Deed::Logon, 0);
        // The profile is written at every log-on, so every working day has a file write.
        let profile = Deed::File { op: FileOp::Modified, image: Image::Installed(EXPLORER), removable: false };
        self.at(self.begin + 150_000, me, profile, 0);
        if hours > 4 {
            let noon = self.begin + i64::from(hours) * HOUR_MS / 2 + i64::from(self.rng.below(1_200_000));
            self.at(noon, me, Deed::Lock, 0);
            let back = noon + (30 + i64::from(self.rng.below(20))) * MINUTE_MS;
            self.at(back, me, Deed::Unlock, 0);
        }
        self.at(self.end, me, Deed::Lock, 0);
        if self.person.role == Role::Administrator && self.rng.chance(0.4) {
            let when = self.any_time();
            let host = self.rng.pick(&[WEB01, WEB02, APP01]);
            self.act(when, me, host, Deed::RemoteLogon, 0);
        }
    }

    fn machine_in_the_morning(&mut self) {
        let start = self.begin - 90_000;
        self.at(start, Actor::System, Deed::Run(Start::Routine(SERVICE_HOST)), 0);
        if self.rng.chance(0.3) {
            let update = Deed::File { op: FileOp::Created, image: Image::Temporary(DEFENDER), removable: false };
            self.at(start + 40_000, Actor::System, update, 0);
        }
        if self.rng.chance(0.1) {
            self.at(start + 60_000, Actor::Machine, Deed::Run(Start::Routine(14)), 0);
        }
    }

    fn updaters(&mut self, day: Day) {
        for updater in &self.person.updaters {
            if day >= updater.since && self.rng.chance(updater.chance) {
                let when = self.any_time();
                for i in 0..=i64::from(self.rng.below(2)) {
                    let op = if i == 0 { FileOp::Created } else { FileOp::Modified };
                    let deed = Deed::File { op, image: Image::Temporary(updater.program), removable: false };
                    self.at(when + i * 3_000, Actor::Person(self.index), deed, updater.scene);
                }
            }
        }
    }

    fn share(&mut self) {
        let sharing = &self.person.sharing;
        for site in &sharing.sites {
            if self.rng.chance(sharing.chance) {
                let when = self.any_time();
                for i in 0..=i64::from(self.rng.below(2)) {
                    let (method, sent) = if i == 0 {
                        (Method::Get, self.rng.between(400, 2_000))
                    } else {
                        (Method::Post, self.rng.between(20_000, 900_000))
                    };
                    let deed = Deed::Browse { site: *site, method, sent };
                    self.at(when + i * 50_000, Actor::Person(self.index), deed, sharing.scene);
                }
            }
        }
    }

    /// What life adds to the routine, with dice of its own.
    fn besides(&mut self, plan: &Plan, day: Day) {
        if plan.life == Life::NONE {
            return;
        }
        self.rng = Rng::of(&[plan.seed, 0x11fe, u64::from(self.index), day as u64]);
        for (deed, scene) in life::of_day(plan, self.person, day, &mut self.rng) {
            let when = self.any_time();
            self.at(when, Actor::Person(self.index), deed, scene);
        }
    }

    fn routine(&mut self, plan: &Plan, hours: u32) {
        let mean = plan.rate * f64::from(hours);
        let n = (mean * (0.7 + f64::from(self.rng.below(600)) / 1000.0)).round() as u32;
        let mix = if plan.profile == Profile::Training { &TRAINING } else { &OFFICE };
        for _ in 0..n {
            let when = self.any_time();
            let deed = self.something(mix);
            self.at(when, Actor::Person(self.index), deed, 0);
        }
    }

    fn something(&mut self, mix: &Mix) -> Deed {
        let mut dice = self.rng.below(1000);
        let mut falls_in = |share: u32| {
            let hit = dice < share;
            dice = dice.saturating_sub(share);
            hit
        };
        if falls_in(mix.write) {
            self.write(mix)
        } else if falls_in(mix.read) {
            self.file(FileOp::Read)
        } else if falls_in(mix.delete) {
            let op = if self.rng.chance(0.9) { FileOp::Deleted } else { FileOp::DirectoryDeleted };
            self.file(op)
        } else if falls_in(mix.run) {
            Deed::Run(Start::Routine(self.rng.below(ROUTINE.len() as u32) as u8))
        } else if falls_in(mix.browse) {
            self.browse(mix)
        } else {
            Deed::Print
        }
    }

    fn write(&mut self, mix: &Mix) -> Deed {
        if self.rng.chance(mix.temporary) {
            let programs = u32::from(UPDATERS_TO - UPDATERS_FROM);
            // Everybody has a handful of them.
            let program = (self.index + self.rng.below(5)) % programs + u32::from(UPDATERS_FROM);
            return Deed::File { op: FileOp::Created, image: Image::Temporary(program as u8), removable: false };
        }
        if self.person.uses_sticks && self.rng.chance(0.04) {
            return Deed::File { op: FileOp::Copied, image: Image::Installed(EXPLORER), removable: true };
        }
        let op = match self.rng.below(100) {
            0..35 => FileOp::Created,
            35..75 => FileOp::Modified,
            75..84 => FileOp::Copied,
            84..90 => FileOp::Moved,
            90..97 => FileOp::Renamed,
            _ => FileOp::DirectoryCreated,
        };
        self.file(op)
    }

    fn file(&mut self, op: FileOp) -> Deed {
        Deed::File { op, image: Image::Installed(self.rng.below(ROUTINE_INSTALLED) as u8), removable: false }
    }

    fn browse(&mut self, mix: &Mix) -> Deed {
        let site = if self.rng.chance(mix.sharing) {
            self.sharing_site()
        } else if self.rng.chance(0.12) {
            self.rng.pick(SUITES)
        } else {
            // The first sites are the popular ones.
            self.rng.below(ORDINARY).min(self.rng.below(ORDINARY)) as u16
        };
        let (method, sent) = match self.rng.below(1000) {
            0..780 => (Method::Get, self.rng.between(300, 2_500)),
            780..997 => (Method::Post, self.rng.between(1_000, 250_000)),
            _ => (Method::Put, self.rng.between(1_000_000, 4_000_000)),
        };
        Deed::Browse { site, method, sent }
    }

    /// Everybody has a favourite and visits another one now and then. (Would everybody visit them all, most of what is
    /// measured would be the writing of alerts.)
    fn sharing_site(&mut self) -> u16 {
        let favourite = SHARING.get(self.index as usize % SHARING.len()).copied();
        if self.rng.chance(0.95) { favourite.unwrap_or_default() } else { self.rng.pick(SHARING) }
    }

    fn any_time(&mut self) -> i64 {
        // Not before the log-on and its profile have arrived.
        let from = self.begin + 4 * MINUTE_MS;
        from + self.rng.below((self.end - from).max(1) as u32) as i64
    }

    fn at(&mut self, at_ms: i64, actor: Actor, deed: Deed, scene: u16) {
        self.act(at_ms, actor, self.host, deed, scene);
    }

    fn act(&mut self, at_ms: i64, actor: Actor, host: u32, deed: Deed, scene: u16) {
        let wait = if deed == Deed::Logon { 0 } else { i64::from(self.rng.below(90_000)) };
        let salt = self.rng.next() as u32;
        self.out.push(Action { at_ms, arrives_ms: at_ms + wait, actor, host, scene, salt, deed });
    }
}

/// What machines do every day, weekends too: each collector's own first record of the day, and a health check of the web
/// servers that names nobody.
pub fn machines(plan: &Plan, day: Day, out: &mut Vec<Action>) {
    let midnight = i64::from(day) * DAY_MS;
    let mut act = |at_ms: i64, actor: Actor, host: u32, deed: Deed| {
        let salt = Rng::of(&[plan.seed, 0x3ac, u64::from(host), at_ms as u64]).next() as u32;
        out.push(Action { at_ms, arrives_ms: at_ms, actor, host, scene: 0, salt, deed });
    };
    for host in 0..COLLECTORS.len() as u32 {
        act(midnight + 1000 * i64::from(host), Actor::System, host, Deed::Run(Start::Routine(SERVICE_HOST)));
    }
    for host in [WEB01, WEB02] {
        let check = Deed::Browse { site: 0, method: Method::Get, sent: 300 };
        act(midnight + 3 * HOUR_MS + 1000 * i64::from(host), Actor::Nobody, host, check);
        act(midnight + 4 * HOUR_MS, Actor::AppPool, host, Deed::Run(Start::Routine(5)));
    }
    debug_assert_eq!(day_of(midnight), day);
}
