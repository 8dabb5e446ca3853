//! What goes on in an office besides the routine: people come, leave and move, programs are rolled out, another cloud
//! suite comes, and some honest work looks just like an attack.
//!
//! Every part has a switch; with all of them off an office is that of the demo, byte for byte. What follows from chance
//! uses dice of its own. Where a part is a rule's business, its actions belong to a scene that says so.

use super::action::{Deed, FileOp, Image, Method, Start};
use super::collector::{DATACENTER, HQ};
use super::more_commands::variants_of;
use super::office::{APP01, ENGINEERING, Habit, Host, IT, Parents, Person, RESEARCH, Role, Sharing, Updater};
use super::plan::{DAY_MS, Plan, Scene, SceneKind, day_of};
use super::programs::{OF_ANOTHER_DEPARTMENT, ROLLED_OUT};
use super::rng::Rng;
use super::rules::Rule;
use super::sites::{DYNAMIC, NEW_SUITE};
use crate::calendar::Day;

/// The switches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Life {
    /// A tenth of the people begin during the time; some bring 25 MB of documents to the intranet on their first day.
    pub joiners: bool,
    /// A twelfth leave.
    pub leavers: bool,
    /// A twelfth move to another department and get its programs.
    pub movers: bool,
    /// Two of five take one or two weeks off.
    pub holidays: bool,
    /// Days on which only services work: Good Friday, Easter Monday and the first of May of 2026.
    pub public_holidays: bool,
    /// People from outside stay for some weeks.
    pub contractors: bool,
    /// Some share machines.
    pub kiosks: bool,
    /// Accounts of services, which transfer files every night.
    pub services: bool,
    /// Two programs are rolled out: one to all on one day, one over a week.
    pub roll_outs: bool,
    /// The office moves to another cloud suite after two thirds of the time.
    pub migration: bool,
    /// Administrators, developers and others do for good reasons what rules are about.
    pub habits: bool,
    /// Attacks, look-alikes and attacks that cannot be seen are planted.
    pub attacks: bool,
}

impl Life {
    /// The office of the demo.
    pub const NONE: Life = Life::with_all(false);
    /// Everything.
    pub const ALL: Life = Life::with_all(true);

    const fn with_all(on: bool) -> Life {
        Life {
            joiners: on,
            leavers: on,
            movers: on,
            holidays: on,
            public_holidays: on,
            contractors: on,
            kiosks: on,
            services: on,
            roll_outs: on,
            migration: on,
            habits: on,
            attacks: on,
        }
    }
}

/// A new program on every machine.
#[derive(Clone, Copy, Debug)]
pub struct RollOut {
    /// Index of the temporary program.
    pub program: u8,
    /// First day.
    pub from: Day,
    /// Over so many days, by the number of the person.
    pub days: u32,
    /// The scene of the plan.
    pub scene: u16,
}

/// Good Friday, Easter Monday and the first of May of 2026.
const PUBLIC_HOLIDAYS: [Day; 3] = [20_546, 20_549, 20_574];
const KIOSKS: u32 = 6;
/// What a newcomer brings along.
const DOCUMENTS_BYTES: u64 = 25_000_000;
const BACKUP_BYTES: u64 = 2_000_000_000;
const INTRANET: u16 = 0;

/// Changes the plan's office by the switches.
pub fn settle(plan: &mut Plan) {
    let life = plan.life;
    if life.public_holidays {
        plan.public_holidays = PUBLIC_HOLIDAYS.to_vec();
        let holidays = plan.public_holidays.clone();
        plan.workdays.retain(|day| !holidays.contains(day));
    }
    if life.kiosks {
        for i in 0..KIOSKS {
            let kiosk = add_host(plan, format!("KIOSK{:02}", i + 1), HQ);
            plan.office.kiosks.push(kiosk);
        }
    }
    let newcomer = life.joiners.then(|| scene(plan, SceneKind::Habit, "newcomer", "brings 25 MB of documents along"));
    let mover = life.movers.then(|| scene(plan, SceneKind::Habit, "mover", "gets the programs of another department"));
    for index in 0..plan.office.people.len() as u32 {
        let mut rng = Rng::of(&[plan.seed, 0x1eaf, u64::from(index)]);
        let (first, days) = (plan.first, plan.days);
        let Some(mut person) = plan.office.person(index).cloned() else { continue };
        come_and_go(&life, &mut rng, &mut person, first, days);
        if let (Some(scene), true) = (newcomer, person.hired >= first && rng.chance(0.3)) {
            let deed = Deed::Browse { site: INTRANET, method: Method::Post, sent: DOCUMENTS_BYTES };
            person.habits.push(Habit { deed, chance: 0.0, weekdays: 0, scene });
        }
        if let (Some(scene), true) = (mover, rng.chance(0.08)) {
            moves(&mut rng, &mut person, first, days, scene);
        }
        person.uses_kiosks = life.kiosks && person.role == Role::Clerk && rng.chance(0.08);
        if let Some(slot) = plan.office.people.get_mut(index as usize) {
            *slot = person;
        }
    }
    if life.services {
        services(plan);
    }
    if life.habits {
        habits(plan);
    }
    if life.roll_outs {
        roll_outs(plan);
    }
    if life.migration {
        let day = plan.first + (plan.days * 2 / 3) as Day;
        let note = "everybody begins to use a storage service that rules call file sharing";
        plan.migration = Some((day, scene(plan, SceneKind::Migration, "another cloud suite", note)));
    }
}

fn scene(plan: &mut Plan, kind: SceneKind, name: &'static str, note: &str) -> u16 {
    plan.scenes.push(Scene { kind, name, note: note.to_owned() });
    (plan.scenes.len() - 1) as u16
}

fn add_host(plan: &mut Plan, name: String, collector: u8) -> u32 {
    plan.office.hosts.push(Host { key: name.to_lowercase(), name, collector, parents: Parents::Silent });
    (plan.office.hosts.len() - 1) as u32
}

/// Adds an account with a machine of its own, or on this one.
pub(super) fn add_person(plan: &mut Plan, account: String, role: Role, collector: u8, host: Option<u32>) -> u32 {
    let index = plan.office.people.len() as u32;
    let host = host.unwrap_or_else(|| add_host(plan, format!("XT{:04}", index + 1), collector));
    plan.office.people.push(Person {
        key: format!("corp\\{account}"),
        account,
        domain: "CORP",
        department: None,
        location: "Berlin",
        role,
        host,
        weekdays: 0b111_1111,
        from_hour: if role == Role::Service { 1 } else { 8 },
        hours: if role == Role::Service { 4 } else { 8 },
        hired: plan.first - 100,
        leaves: None,
        away: None,
        updaters: Vec::new(),
        sharing: Sharing::default(),
        uses_sticks: false,
        offline: None,
        moves: None,
        uses_kiosks: false,
        habits: Vec::new(),
    });
    index
}

fn come_and_go(life: &Life, rng: &mut Rng, person: &mut Person, first: Day, days: u32) {
    let some_day = |rng: &mut Rng| first + 1 + rng.below(days.max(2) - 1) as Day;
    if life.joiners && rng.chance(0.10) {
        person.hired = some_day(rng);
        while person.weekdays & (1 << super::office::weekday(person.hired)) == 0 {
            person.hired += 1;
        }
    }
    if life.leavers && rng.chance(0.08) {
        person.leaves = Some(some_day(rng).max(person.hired + 3));
    }
    if life.holidays && rng.chance(0.4) {
        let from = some_day(rng);
        person.away = Some((from, from + rng.pick(&[4, 6, 11, 13])));
    }
    if life.contractors && person.role == Role::Contractor {
        person.hired = first - 20 + rng.below(days.max(1)) as Day;
        person.leaves = Some(person.hired + 14 + rng.below(40) as Day);
        person.weekdays = 0b1_1111;
        if person.hired >= first {
            person.hired += (7 - super::office::weekday(person.hired) as Day) % 7;
        }
    }
    // Nobody takes the first day off.
    if person.away.is_some_and(|(from, to)| from <= person.hired && person.hired <= to) {
        person.away = None;
    }
}

fn moves(rng: &mut Rng, person: &mut Person, first: Day, days: u32, scene: u16) {
    let Some(department) = person.department.filter(|d| *d != IT && *d != RESEARCH) else { return };
    let to = (department + 1 + rng.below(3) as u8) % IT;
    let to = if to == RESEARCH { ENGINEERING } else { to };
    let day = first + (days / 4) as Day + rng.below(days / 2 + 1) as Day;
    person.moves = Some((day, to));
    for program in OF_ANOTHER_DEPARTMENT {
        if rng.chance(0.7) {
            person.updaters.push(Updater { program, chance: 0.3, since: day, scene });
        }
    }
}

/// Accounts of services, which work every night.
fn services(plan: &mut Plan) {
    let uploads = variants_of(Rule::Ftp, SceneKind::Habit);
    for (i, (account, note)) in
        [("svc_bank", "payments to the bank by script"), ("svc_feeds", "a catalogue to a partner by script")]
            .into_iter()
            .enumerate()
    {
        let scene = scene(plan, SceneKind::Habit, "service account", note);
        let index = add_person(plan, account.to_owned(), Role::Service, DATACENTER, Some(APP01));
        if let Some(command) = uploads.get(i) {
            does(plan, index, Deed::Run(Start::Planted(*command)), (0.98, 0b111_1111), scene);
        }
    }
    let scene = scene(plan, SceneKind::Habit, "service account", "a backup of 2 GB to a storage provider, on Sundays");
    let index = add_person(plan, "svc_backup".to_owned(), Role::Service, DATACENTER, Some(APP01));
    let deed = Deed::Browse { site: 14, method: Method::Put, sent: BACKUP_BYTES };
    does(plan, index, deed, (1.0, 0b100_0000), scene);
}

fn does(plan: &mut Plan, index: u32, deed: Deed, (chance, weekdays): (f64, u8), scene: u16) {
    if let Some(person) = plan.office.people.get_mut(index as usize) {
        person.habits.push(Habit { deed, chance, weekdays, scene });
    }
}

/// Who does what, how often.
type HabitRow = (fn(&Person) -> bool, f64, Deed, f64, &'static str);

/// Honest work that rules are about.
fn habits(plan: &mut Plan) {
    let first = |rule: Rule, at: usize| {
        let command = variants_of(rule, SceneKind::Habit).get(at).copied().unwrap_or_default();
        Deed::Run(Start::Planted(command))
    };
    let at_home = Deed::Browse { site: DYNAMIC.first().copied().unwrap_or_default(), method: Method::Get, sent: 700 };
    let administrator: fn(&Person) -> bool = |p| p.role == Role::Administrator;
    let developer: fn(&Person) -> bool = |p| p.role == Role::Developer;
    let anybody: fn(&Person) -> bool = |p| p.role != Role::Service;
    let rows: [HabitRow; 8] = [
        (administrator, 0.3, first(Rule::Tunnel, 0), 0.5, "an administrator who works with plink"),
        (administrator, 0.05, first(Rule::Tunnel, 1), 0.3, "an administrator who restarts a stunnel relay"),
        (administrator, 0.2, first(Rule::Sniff, 0), 0.25, "an administrator who looks at traffic with tshark"),
        (administrator, 0.06, first(Rule::Certutil, 0), 0.06, "an administrator who converts certificates"),
        (administrator, 0.06, first(Rule::PandaRussian, 0), 0.06, "an administrator who moves a file server"),
        (developer, 0.12, first(Rule::Ftp, 2), 0.35, "a developer who deploys with scp"),
        (anybody, 0.015, at_home, 0.3, "somebody who looks at a server at home"),
        (anybody, 0.05, first(Rule::Tap, 0), 0.01, "somebody who installs a VPN client"),
    ];
    for (n, (fits, share, deed, chance, note)) in rows.into_iter().enumerate() {
        let scene = scene(plan, SceneKind::Habit, "habit", note);
        for index in 0..plan.office.people.len() as u32 {
            let mut rng = Rng::of(&[plan.seed, 0x4ab17, n as u64, u64::from(index)]);
            if plan.office.person(index).is_some_and(fits) && rng.chance(share) {
                does(plan, index, deed, (chance, 0b111_1111), scene);
            }
        }
    }
}

fn roll_outs(plan: &mut Plan) {
    let [at_once, in_steps] = ROLLED_OUT;
    for (program, share, days, note) in [
        (at_once, 2, 1, "a new agent on every machine on one day"),
        (in_steps, 4, 5, "a new VPN client over five days"),
    ] {
        // After the history that rules wait for; a working day.
        let at = plan.workdays.len() * (share + 1) / 6;
        let Some(from) = plan.workdays.get(at).copied() else { continue };
        let scene = scene(plan, SceneKind::RollOut, "roll-out", note);
        plan.roll_outs.push(RollOut { program, from, days, scene });
    }
}

/// What life adds to somebody's working day.
pub fn of_day(plan: &Plan, person: &Person, day: Day, rng: &mut Rng) -> Vec<(Deed, u16)> {
    let mut deeds = Vec::new();
    if person.role == Role::Service {
        // Its own log, so that every day has a file write.
        let log = Deed::File { op: FileOp::Modified, image: Image::Installed(9), removable: false };
        deeds.push((log, 0));
    }
    for habit in &person.habits {
        let on_first_day = habit.weekdays == 0 && day == person.hired;
        if on_first_day || habit.weekdays & (1 << super::office::weekday(day)) != 0 && rng.chance(habit.chance) {
            deeds.push((habit.deed, habit.scene));
        }
    }
    if person.role == Role::Service {
        return deeds;
    }
    for roll_out in &plan.roll_outs {
        let mine = roll_out.from + (person.host % roll_out.days.max(1)) as Day;
        let first = (mine.max(person.hired)..=day).find(|d| plan.works(person, *d));
        // Once, and later now and then.
        if first == Some(day) || (first.is_some() && rng.chance(0.05)) {
            let deed = Deed::File { op: FileOp::Created, image: Image::Temporary(roll_out.program), removable: false };
            deeds.push((deed, roll_out.scene));
        }
    }
    if let Some((from, scene)) = plan.migration.filter(|(from, _)| day >= *from) {
        debug_assert!(day >= from);
        for _ in 0..=rng.below(2) {
            let sent = rng.between(2_000, 90_000);
            deeds.push((Deed::Browse { site: NEW_SUITE, method: Method::Post, sent }, scene));
        }
    }
    deeds
}

/// The night of a day, for what machines do by themselves.
pub(super) fn night(day: Day, minute: i64) -> i64 {
    let ms = i64::from(day) * DAY_MS + 2 * 3_600_000 + minute * 60_000;
    debug_assert_eq!(day_of(ms), day);
    ms
}
