//! The people, machines and departments of a made-up office.
//!
//! Facts only: who works when, in which department, with which habits. Everything follows from the seed.
//! Units: hours of the day in UTC; probabilities per working day.

use super::action::Deed;
use super::collector::{AUSTIN, DATACENTER, HQ, LONDON};
use super::programs::{UPDATERS_FROM, UPDATERS_TO};
use super::rng::Rng;
use super::sites::SHARING;
use crate::calendar::Day;

/// A department: name, share of the people in percent, how many of a hundred of them share files.
struct DepartmentRow(&'static str, u32, u32);

const DEPARTMENTS: &[DepartmentRow] = &[
    DepartmentRow("Finance", 12, 10),
    DepartmentRow("Sales", 20, 55),
    DepartmentRow("Marketing", 16, 80),
    DepartmentRow("Engineering", 20, 15),
    DepartmentRow("Research", 9, 20),
    DepartmentRow("Human Resources", 7, 15),
    DepartmentRow("Legal", 6, 0),
    DepartmentRow("IT", 10, 0),
];

/// Indices into the departments that the plan speaks of.
pub const SALES: u8 = 1;
/// See [`SALES`].
pub const MARKETING: u8 = 2;
/// See [`SALES`].
pub const ENGINEERING: u8 = 3;
/// The department that is merged into [`ENGINEERING`] when the plan says so.
pub const RESEARCH: u8 = 4;
/// See [`SALES`].
pub const IT: u8 = 7;

/// The name of a department.
pub fn department_name(index: u8) -> &'static str {
    DEPARTMENTS.get(usize::from(index)).map_or("", |d| d.0)
}

/// How many departments there are.
pub const fn department_count() -> usize {
    DEPARTMENTS.len()
}

/// What somebody's work is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Documents, mail, web.
    Clerk,
    /// Several programs that run from temporary directories every day.
    Developer,
    /// Logs on to servers, works some weekends.
    Administrator,
    /// From outside: no department, an account without a domain.
    Contractor,
    /// An account of a service: no person, works by night.
    Service,
}

impl Role {
    /// As in plan.json.
    pub const fn name(self) -> &'static str {
        match self {
            Role::Clerk => "clerk",
            Role::Developer => "developer",
            Role::Administrator => "administrator",
            Role::Contractor => "contractor",
            Role::Service => "service",
        }
    }
}

/// A program from a temporary directory that somebody runs now and then.
#[derive(Clone, Copy, Debug)]
pub struct Updater {
    /// Index into the temporary programs.
    pub program: u8,
    /// Probability on a working day.
    pub chance: f64,
    /// Not before this day.
    pub since: Day,
    /// The scene of the plan this belongs to; 0 is routine.
    pub scene: u16,
}

/// Honest work that looks like an attack, now and then.
#[derive(Clone, Debug)]
pub struct Habit {
    /// What.
    pub deed: Deed,
    /// Probability on a working day.
    pub chance: f64,
    /// Weekdays on which it may happen: bit 0 is Monday.
    pub weekdays: u8,
    /// The scene of the plan this belongs to.
    pub scene: u16,
}

/// Somebody's use of file-sharing services.
#[derive(Clone, Debug, Default)]
pub struct Sharing {
    /// Indices of the sites.
    pub sites: Vec<u16>,
    /// Probability of using each on a working day.
    pub chance: f64,
    /// The scene of the plan this belongs to; 0 is routine.
    pub scene: u16,
}

/// A person.
#[derive(Clone, Debug)]
pub struct Person {
    /// Account name as written.
    pub account: String,
    /// Domain of the account, empty for a local one.
    pub domain: &'static str,
    /// The lower-case key of the account.
    pub key: String,
    /// Index of the department; none for people from outside.
    pub department: Option<u8>,
    /// City.
    pub location: &'static str,
    /// Kind of work.
    pub role: Role,
    /// Index of the machine.
    pub host: u32,
    /// Working weekdays: bit 0 is Monday.
    pub weekdays: u8,
    /// Hour at which work begins.
    pub from_hour: u32,
    /// Working hours a day.
    pub hours: u32,
    /// First day of work.
    pub hired: Day,
    /// Last day of work.
    pub leaves: Option<Day>,
    /// Days off, inclusive.
    pub away: Option<(Day, Day)>,
    /// Programs from temporary directories.
    pub updaters: Vec<Updater>,
    /// File sharing.
    pub sharing: Sharing,
    /// Copies to sticks.
    pub uses_sticks: bool,
    /// A laptop that is off the net for these days; what happened reaches the collector on the day after.
    pub offline: Option<(Day, Day)>,
    /// Moves to another department on a day.
    pub moves: Option<(Day, u8)>,
    /// Works at whichever shared machine is free.
    pub uses_kiosks: bool,
    /// Honest work that looks like an attack.
    pub habits: Vec<Habit>,
}

impl Person {
    /// Whether this is a working day of theirs. `weekday` 0 is Monday.
    pub fn works_on(&self, day: Day) -> bool {
        day >= self.hired
            && self.leaves.is_none_or(|last| day <= last)
            && self.away.is_none_or(|(from, to)| day < from || day > to)
            && self.weekdays & (1 << weekday(day)) != 0
    }

    /// Whether they work on every weekday of a full week and take no days off.
    pub fn is_always_there(&self, first: Day) -> bool {
        self.weekdays & 0b1_1111 == 0b1_1111
            && self.hired <= first
            && self.leaves.is_none()
            && self.away.is_none()
            && self.offline.is_none()
    }
}

/// Monday is 0.
pub fn weekday(day: Day) -> u32 {
    (day + 3).rem_euclid(7) as u32
}

/// How a host's records tell the parent process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parents {
    /// Not at all.
    Silent,
    /// By a key of the line.
    Key,
    /// Inside the JSON of the process.
    Json,
}

/// A machine.
#[derive(Clone, Debug)]
pub struct Host {
    /// Name as written.
    pub name: String,
    /// Lower-case key.
    pub key: String,
    /// Whose records it is in.
    pub collector: u8,
    /// Whether parents are told.
    pub parents: Parents,
}

/// Indices of machines that the plan speaks of. The first four belong to the collectors, in their order.
pub const WEB01: u32 = 4;
/// See [`WEB01`].
pub const WEB02: u32 = 5;
/// An application server.
pub const APP01: u32 = 6;

/// The office.
#[derive(Clone, Debug)]
pub struct Office {
    /// Everybody.
    pub people: Vec<Person>,
    /// Every machine: collectors, servers, then one workstation a person.
    pub hosts: Vec<Host>,
    /// Shared machines.
    pub kiosks: Vec<u32>,
    /// From this day on Research belongs to Engineering and sits in Munich.
    pub move_day: Day,
}

const FIRST_NAMES: &[&str] = &[
    "anna", "ben", "carla", "david", "elena", "felix", "grace", "henry", "ines", "jonas", "karin", "liam", "maria",
    "noah", "olga", "paul", "quinn", "rosa", "simon", "tara", "uwe", "vera", "walter", "xenia", "yusuf", "zoe",
];
const LAST_NAMES: &[&str] = &[
    "adams", "bauer", "clark", "dietz", "evans", "fischer", "garcia", "hoffmann", "ivanov", "jansen", "keller",
    "lopez", "meyer", "novak", "okafor", "patel", "quist", "rossi", "schmidt", "tanaka", "ueda", "vogel", "weber",
    "xu", "young", "zimmer", "brown", "costa", "dubois", "ericson", "fuchs", "green", "huber", "ito", "jones",
    "kowalski", "lindt",
];

impl Office {
    /// Staffs the office. `first` is the first simulated day.
    pub fn staff(seed: u64, users: u32, first: Day, days: u32) -> Office {
        let mut hosts = servers();
        let mut people: Vec<Person> = Vec::with_capacity(users as usize);
        let outside = if users >= 20 { (users / 25).max(2) } else { 0 };
        let inside = users - outside;
        let mut place_in_department = [0u32; DEPARTMENTS.len()];
        for i in 0..users {
            let mut rng = Rng::of(&[seed, 0x0ff1, u64::from(i)]);
            let department = if i < inside { Some(department_of(i, inside)) } else { None };
            let place = department.and_then(|d| place_in_department.get_mut(usize::from(d))).map_or(0, |n| {
                *n += 1;
                *n - 1
            });
            let size = department.map_or(1, |d| size_of(d, inside));
            people.push(hire(&mut rng, i, department, place, size, first, days, &mut hosts));
        }
        name_twins(&mut people);
        Office { people, hosts, kiosks: Vec::new(), move_day: first + 9 }
    }

    /// A host by its index.
    pub fn host(&self, index: u32) -> Option<&Host> {
        self.hosts.get(index as usize)
    }

    /// A person by index.
    pub fn person(&self, index: u32) -> Option<&Person> {
        self.people.get(index as usize)
    }

    /// Somebody's department on a day.
    pub fn department_on(&self, person: &Person, day: Day) -> Option<u8> {
        let department = match person.moves {
            Some((from, to)) if day >= from => Some(to),
            _ => person.department,
        };
        match department {
            Some(RESEARCH) if day >= self.move_day => Some(ENGINEERING),
            other => other,
        }
    }

    /// Where somebody sits on a day.
    pub fn location_on(&self, person: &Person, day: Day) -> &'static str {
        if person.department == Some(RESEARCH) && day >= self.move_day { "Munich" } else { person.location }
    }
}

fn servers() -> Vec<Host> {
    let row = |name: &str, collector, parents| Host { name: name.into(), key: name.to_lowercase(), collector, parents };
    vec![
        row("COLHQ", HQ, Parents::Silent),
        row("COLLON", LONDON, Parents::Silent),
        row("COLDC", DATACENTER, Parents::Silent),
        row("COLAUS", AUSTIN, Parents::Silent),
        row("WEB01", DATACENTER, Parents::Key),
        row("WEB02", DATACENTER, Parents::Json),
        row("APP01", DATACENTER, Parents::Silent),
    ]
}

/// By quota, not by dice: a department of a given size has the same size with every seed.
pub(super) fn department_of(place: u32, people: u32) -> u8 {
    let percent = u64::from(place) * 100 / u64::from(people.max(1));
    let mut sum = 0;
    for (i, row) in DEPARTMENTS.iter().enumerate() {
        sum += u64::from(row.1);
        if percent < sum {
            return i as u8;
        }
    }
    IT
}

fn size_of(department: u8, people: u32) -> u32 {
    let share = DEPARTMENTS.get(usize::from(department)).map_or(0, |d| d.1);
    (people * share).div_ceil(100).max(1)
}

#[allow(clippy::too_many_arguments)]
fn hire(
    rng: &mut Rng,
    index: u32,
    department: Option<u8>,
    place: u32,
    size: u32,
    first: Day,
    days: u32,
    hosts: &mut Vec<Host>,
) -> Person {
    let (collector, location) = match department {
        Some(IT) => (DATACENTER, "Berlin"),
        None => (HQ, "Berlin"),
        _ => match place % 10 {
            1 | 5 | 8 => (LONDON, "London"),
            3 | 9 => (AUSTIN, "Austin"),
            _ => (HQ, "Berlin"),
        },
    };
    let role = match department {
        Some(IT) => Role::Administrator,
        Some(ENGINEERING | RESEARCH) if place % 4 != 3 => Role::Developer,
        None => Role::Contractor,
        _ => Role::Clerk,
    };
    let account = account_name(rng, index);
    let domain = if role == Role::Contractor { "" } else { "CORP" };
    let key = if domain.is_empty() { account.clone() } else { format!("corp\\{account}") };
    let host = hosts.len() as u32;
    let name = format!("{}{:04}", if index % 3 == 2 { "LT" } else { "WS" }, index + 1);
    hosts.push(Host { key: name.to_lowercase(), name, collector, parents: Parents::Silent });
    let part_time = rng.chance(0.12);
    let mut weekdays =
        if part_time { rng.pick(&[0b0_0111u8, 0b1_1100, 0b1_0101, 0b0_1111, 0b0_1010]) } else { 0b1_1111 };
    if role == Role::Administrator {
        weekdays |= [0b010_0000u8, 0b100_0000].get((place % 2) as usize).copied().unwrap_or(0);
    }
    let quota = department.and_then(|d| DEPARTMENTS.get(usize::from(d))).map_or(0, |d| d.2);
    Person {
        account,
        domain,
        key,
        department,
        location,
        role,
        host,
        weekdays,
        from_hour: if location == "Austin" { 13 } else { 7 + rng.below(3) },
        hours: if part_time { 5 } else { 8 },
        hired: if rng.chance(0.03) { first + 1 + rng.below(days.max(1)) as Day } else { first - 100 },
        leaves: None,
        away: holiday(rng, first, days),
        updaters: updaters(rng, role),
        sharing: if place * 100 < quota * size { sharer(rng) } else { Sharing::default() },
        uses_sticks: rng.chance(0.2),
        offline: None,
        moves: None,
        uses_kiosks: false,
        habits: Vec::new(),
    }
}

fn account_name(rng: &mut Rng, index: u32) -> String {
    let first = rng.pick(FIRST_NAMES);
    let last = LAST_NAMES.get(index as usize % LAST_NAMES.len()).copied().unwrap_or("doe");
    // Unique: the last name repeats with a number.
    match index as usize / LAST_NAMES.len() {
        0 => format!("{first}.{last}"),
        round => format!("{first}.{last}{round}"),
    }
}

fn holiday(rng: &mut Rng, first: Day, days: u32) -> Option<(Day, Day)> {
    if rng.chance(0.15) {
        let from = first + rng.below(days.max(1)) as Day;
        return Some((from, from + rng.between(0, 6) as Day));
    }
    None
}

fn updaters(rng: &mut Rng, role: Role) -> Vec<Updater> {
    let last = u64::from(UPDATERS_TO) - 1;
    let shared = u64::from(UPDATERS_FROM) + 3; // the three before are developers' tools
    let mut list = Vec::new();
    let mut add = |program: u64, chance: f64| {
        if list.iter().all(|u: &Updater| u64::from(u.program) != program) {
            list.push(Updater { program: program as u8, chance, since: Day::MIN, scene: 0 });
        }
    };
    if role == Role::Developer {
        for program in u64::from(UPDATERS_FROM)..shared + 2 {
            add(program, 0.92);
        }
    }
    for _ in 0..=rng.below(2) {
        add(rng.between(shared, last), 0.15 + f64::from(rng.below(40)) / 100.0);
    }
    add(rng.between(shared, last), 0.06);
    list
}

fn sharer(rng: &mut Rng) -> Sharing {
    Sharing { sites: vec![rng.pick(SHARING)], chance: 0.2 + f64::from(rng.below(20)) / 100.0, scene: 0 }
}

/// A contractor with the account name of an employee: two people all the same, since one has a domain.
fn name_twins(people: &mut [Person]) {
    let Some(name) = people.first().map(|p| p.account.clone()) else { return };
    if let Some(twin) = people.iter_mut().rev().find(|p| p.role == Role::Contractor) {
        twin.key.clone_from(&name);
        twin.account = name;
    }
}
