//! What is planted, rule by rule: attacks, borderline cases, and near misses that must stay silent.
//!
//! Scenes are placed by weekday of the plan (0 is the first) and skipped when the plan is too short for them. Whether a
//! scene fires is worked out by [`super::truth`] from the facts of the plan; nothing here knows an engine.

use super::action::{Actor, Image, Method};
use super::collector::{DATACENTER, HQ, LONDON};
use super::commands::commands_of;
use super::more_commands::command_at;
use super::office::{APP01, MARKETING, RESEARCH, Role, SALES, Sharing, WEB01, WEB02};
use super::plan::{DAY_MS, Plan};
use super::programs::{COLLECTOR_TOOL, DROPPER, TEMPORAL, TEMPORARY};
use super::rules::Rule;
use super::sites::{BY_CATEGORY, DYNAMIC, PROVIDERS, SHARING, SUITES, site_at};
use super::stage::{Part, Stage};
use crate::calendar::Day;

const MEGABYTE: u64 = 1_000_000;

/// The scenes in the order in which they are planted; people with lasting roles come first.
const SCENES: &[fn(&mut Stage<'_>) -> Option<()>] = &[
    top_sharers,
    sharer_without_department,
    sharer_of_one_day,
    new_hires,
    laptop_comes_back,
    leaver_takes_everything,
    large_transfers_that_do_not_count,
    developer_opens_attachment,
    clerk_opens_attachment,
    programs_that_are_not_new,
    late_program,
    dynamic_names,
    late_visits,
    suites_and_categories,
    web_shells,
    wrong_clock,
];

/// Plants everything.
pub fn plant(plan: &mut Plan) {
    let rounds = 1 + plan.office.people.len() / 2000;
    let mut stage = Stage::new(plan);
    for scene in SCENES {
        // A scene that finds no day or no people is left out.
        let _ = scene(&mut stage);
    }
    for _ in 0..rounds {
        for rule in Rule::ALL {
            if *rule != Rule::WebShell {
                commands(&mut stage, *rule);
            }
        }
    }
}

/// Two attacks, chosen by the seed, and every look-alike of a process rule.
fn commands(stage: &mut Stage<'_>, rule: Rule) {
    let mut attacks: Vec<u8> = commands_of(rule, true).collect();
    for _ in 0..2 {
        if attacks.is_empty() {
            break;
        }
        let chosen = attacks.swap_remove(stage.rng.below(attacks.len() as u32) as usize);
        let Some(day) = stage.some_workday(3) else { return };
        let Some(part) = stage.part(day, |_| true) else { continue };
        let scene = stage.scene("attack command", note_of(chosen));
        stage.run(scene, part, chosen);
        // Once more on the same day: a repeat, no second alert.
        if stage.rng.chance(0.5) {
            stage.run(scene, part.minutes_later(17), chosen);
        }
    }
    for chosen in commands_of(rule, false) {
        let Some(day) = stage.some_workday(1) else { return };
        let Some(part) = stage.part(day, |_| true) else { continue };
        let scene = stage.scene("look-alike command", note_of(chosen));
        stage.run(scene, part, chosen);
        stage.must_not_fire(scene, part, rule, None);
        if let Some(twin) = rule.asset_twin() {
            stage.must_not_fire(scene, part, twin, None);
        }
    }
}

fn note_of(command: u8) -> String {
    command_at(command).map_or_else(String::new, |c| c.line.to_owned())
}

/// One person shares far more than all others, another far more than the others of the department.
fn top_sharers(stage: &mut Stage<'_>) -> Option<()> {
    let reliable = stage.is_reliable();
    let in_department = |d: u8| move |p: &super::office::Person| p.department == Some(d);
    let marketing = stage.cast(|p| reliable(p) && in_department(MARKETING)(p))?;
    let scene = stage.scene("top sharer", "shares files every day at three services");
    let sites = SHARING.get(0..3).unwrap_or_default().to_vec();
    stage.change(marketing, |p| p.sharing = Sharing { sites, chance: 0.85, scene });
    let sales = stage.cast(|p| reliable(p) && in_department(SALES)(p))?;
    let scene = stage.scene("top sharer of a department", "shares files nearly every day at two services");
    let sites = SHARING.get(3..5).unwrap_or_default().to_vec();
    stage.change(sales, |p| p.sharing = Sharing { sites, chance: 0.75, scene });
    Some(())
}

/// Shares a lot, but belongs to no department: no peer group, no alert about one.
fn sharer_without_department(stage: &mut Stage<'_>) -> Option<()> {
    let person = stage.cast(|p| p.role == Role::Contractor)?;
    let scene = stage.scene("sharer without a department", "shares files on most days; nobody's peer");
    let sites = SHARING.get(5..7).unwrap_or_default().to_vec();
    stage.change(person, |p| {
        p.sharing = Sharing { sites, chance: 0.6, scene };
        p.weekdays = 0b1_1111;
    });
    let day = stage.workday(0)?;
    let part = stage.part_of(person, day)?;
    stage.must_not_fire(scene, part, Rule::TopGroup, None);
    Some(())
}

/// Visits one service thirty times on one day: that is one day's use of it.
fn sharer_of_one_day(stage: &mut Stage<'_>) -> Option<()> {
    let day = stage.workday(6)?;
    let person = stage.cast(|p| p.sharing.sites.is_empty() && p.works_on(day))?;
    let scene = stage.scene("sharer of one day", "thirty visits on one day count once");
    let part = stage.part_of(person, day)?;
    let site = stage.rng.pick(SHARING);
    for i in 0..30 {
        stage.browse(scene, part.minutes_later(i), site, Method::Get, 900);
    }
    stage.must_not_fire(scene, part, Rule::TopOrganization, None);
    stage.must_not_fire(scene, part, Rule::TopGroup, None);
    Some(())
}

/// People who are new and upload on their first day: too much, too little, too early, and unseen.
fn new_hires(stage: &mut Stage<'_>) -> Option<()> {
    let cases: &[(usize, u8, u64, bool, &'static str)] = &[
        (2, LONDON, 30, false, "30 MB on the first day, before the agent has seen two weeks"),
        (12, LONDON, 24, true, "24 MB on the first day"),
        (11, LONDON, 12, false, "12 MB on the first day"),
        (12, HQ, 50, false, "50 MB on the first day, but the records tell no bytes"),
    ];
    let mut hired = Vec::new();
    for (workday, collector, megabytes, fires, note) in cases.iter().copied() {
        let Some(day) = stage.workday(workday) else { continue };
        let here = stage.sits_at(collector);
        let person =
            stage.cast(|p| here(p) && p.role == Role::Clerk && p.sharing.sites.is_empty() && p.weekdays == 0b1_1111);
        let Some(person) = person else { continue };
        stage.change(person, |p| {
            p.hired = day;
            p.away = None;
            p.leaves = None;
        });
        hired.push(person);
        let scene = stage.scene("new hire uploads", note);
        let Some(part) = stage.part_of(person, day) else { continue };
        for i in 0..4 {
            stage.browse(scene, part.minutes_later(i * 3), 14, Method::Post, megabytes * MEGABYTE / 4);
        }
        if !fires {
            stage.must_not_fire(scene, part, Rule::NewUpload, None);
        }
    }
    let day = stage.workday(12)?;
    let here = stage.sits_at(LONDON);
    let reliable = stage.is_reliable();
    let part = stage.part(day, |p| here(p) && reliable(p))?;
    let scene = stage.scene("old hand uploads", "40 MB, but with a history");
    stage.browse(scene, part, 14, Method::Post, 40 * MEGABYTE);
    stage.must_not_fire(scene, part, Rule::NewUpload, None);
    Some(())
}

/// A laptop is off the net for two days; what happened arrives on the third morning.
fn laptop_comes_back(stage: &mut Stage<'_>) -> Option<()> {
    let (from, to) = (stage.workday(5)?, stage.workday(6)?);
    let reliable = stage.is_reliable();
    let person = stage.cast(|p| reliable(p) && p.department != Some(RESEARCH))?;
    stage.change(person, |p| p.offline = Some((from, to)));
    Some(())
}

/// Somebody who leaves uploads 1.4 GB two days before the end.
fn leaver_takes_everything(stage: &mut Stage<'_>) -> Option<()> {
    let day = stage.workday(10)?;
    let here = stage.sits_at(LONDON);
    let reliable = stage.is_reliable();
    let person = stage.cast(|p| here(p) && reliable(p) && p.department != Some(RESEARCH))?;
    stage.change(person, |p| p.leaves = Some(day + 2));
    let scene = stage.scene("leaver takes everything", "seven uploads of 200 MB to a storage service");
    let part = stage.part_of(person, day)?;
    for i in 0..7 {
        stage.browse(scene, part.minutes_later(i * 2), 23, Method::Put, 200 * MEGABYTE);
    }
    Some(())
}

/// Large transfers below the limit, over midnight, by a method that sends nothing, or unseen.
fn large_transfers_that_do_not_count(stage: &mut Stage<'_>) -> Option<()> {
    let day = stage.workday(8)?;
    for (collector, method, megabytes, note) in [
        (LONDON, Method::Post, 900, "900 MB in a day"),
        (DATACENTER, Method::Get, 1_200, "1.2 GB named as sent by a GET"),
        (HQ, Method::Post, 3_000, "3 GB, but the records tell no bytes"),
    ] {
        let here = stage.sits_at(collector);
        let Some(part) = stage.part(day, here) else { continue };
        let scene = stage.scene("large transfer that does not count", note);
        for i in 0..2 {
            stage.browse(scene, part.minutes_later(i * 9), 14, method, megabytes * MEGABYTE / 2);
        }
        stage.must_not_fire(scene, part, Rule::ExfilAsset, None);
    }
    let here = stage.sits_at(DATACENTER);
    let mut part = stage.part(day, here)?;
    part.at_ms = i64::from(day + 1) * DAY_MS - 10 * 60_000;
    let scene = stage.scene("large transfer that does not count", "600 MB before and 600 MB after midnight");
    stage.browse(scene, part, 14, Method::Post, 600 * MEGABYTE);
    stage.must_not_fire(scene, part, Rule::ExfilAsset, None);
    let part = part.minutes_later(20);
    stage.browse(scene, part, 14, Method::Post, 600 * MEGABYTE);
    stage.must_not_fire(scene, part, Rule::ExfilAsset, None);
    Some(())
}

/// A developer, whose daily tools are well known, opens an attachment, and again some days later.
fn developer_opens_attachment(stage: &mut Stage<'_>) -> Option<()> {
    let (first, again) = (stage.workday(9)?, stage.workday(12)?);
    let reliable = stage.is_reliable();
    let person = stage.cast(|p| reliable(p) && p.role == Role::Developer)?;
    let scene = stage.scene(
        "developer opens an attachment",
        "a program from the mail cache, new on the first day, rare on the second",
    );
    for day in [first, again] {
        let part = stage.part_of(person, day)?;
        stage.write(scene, part, Image::Temporary(DROPPER));
        stage.write(scene, part.minutes_later(1), Image::Temporary(DROPPER));
    }
    Some(())
}

/// A clerk opens one after fourteen days of history; another does so in the first week.
fn clerk_opens_attachment(stage: &mut Stage<'_>) -> Option<()> {
    let reliable = stage.is_reliable();
    let day = stage.last_workday()?;
    let part = stage.part(day, |p| reliable(p) && p.role == Role::Clerk)?;
    let scene = stage.scene("clerk opens an attachment", "a program from the mail cache, after weeks without it");
    stage.write(scene, part, Image::Temporary(DROPPER));
    let (early, again) = (stage.workday(1)?, stage.workday(3)?);
    let person = stage.cast(|p| reliable(p) && p.role == Role::Clerk)?;
    let scene =
        stage.scene("young history", "a new program in the first days, and again before anything is known well");
    let part = stage.part_of(person, early)?;
    stage.write(scene, part, Image::Temporary(COLLECTOR_TOOL));
    stage.must_not_fire(scene, part, Rule::TempFirst, key_of(COLLECTOR_TOOL));
    let part = stage.part_of(person, again)?;
    stage.write(scene, part, Image::Temporary(COLLECTOR_TOOL));
    stage.must_not_fire(scene, part, Rule::TempAbnormal, key_of(COLLECTOR_TOOL));
    Some(())
}

/// A directory that only sounds temporary.
fn programs_that_are_not_new(stage: &mut Stage<'_>) -> Option<()> {
    let reliable = stage.is_reliable();
    let day = stage.last_workday()?;
    let part = stage.part(day, |p| reliable(p) && p.role == Role::Developer)?;
    let scene = stage.scene("directory that sounds temporary", r"C:\Temporal is not C:\Temp");
    stage.write(scene, part, Image::Installed(TEMPORAL));
    stage.must_not_fire(scene, part, Rule::TempFirst, Some(r"c:\temporal\cli\temporal.exe"));
    Some(())
}

/// A new program of a well-known developer, but the record comes six days late.
fn late_program(stage: &mut Stage<'_>) -> Option<()> {
    let day = stage.workday(9)?;
    stage.workday(14)?;
    let reliable = stage.is_reliable();
    let part = stage.part(day, |p| reliable(p) && p.role == Role::Developer)?.late_by(6);
    let scene = stage.scene("late record of a new program", "written down six days later: too late for history");
    stage.write(scene, part, Image::Temporary(COLLECTOR_TOOL));
    stage.must_not_fire(scene, part, Rule::TempFirst, key_of(COLLECTOR_TOOL));
    Some(())
}

fn key_of(program: u8) -> Option<&'static str> {
    TEMPORARY.get(usize::from(program)).map(|t| t.key)
}

/// Names under dynamic-DNS services, by people and by a machine alone; and the providers' own pages.
fn dynamic_names(stage: &mut Stage<'_>) -> Option<()> {
    for _ in 0..2 {
        let Some(day) = stage.some_workday(1) else { continue };
        let Some(part) = stage.part(day, |_| true) else { continue };
        let scene = stage.scene("dynamic name", "visits to names that anybody can register, each once a day");
        for i in 0..3 {
            let site = stage.rng.pick(DYNAMIC);
            stage.browse(scene, part.minutes_later(i * 7), site, Method::Get, 700);
        }
    }
    let day = stage.some_workday(1)?;
    let mut part = stage.part(day, |_| true)?;
    part.actor = Actor::Nobody;
    let scene = stage.scene("dynamic name, nobody named", "the record names a machine only");
    let site = stage.rng.pick(DYNAMIC);
    stage.browse(scene, part, site, Method::Get, 700);
    for site in PROVIDERS {
        let Some(part) = stage.part(day, |_| true) else { continue };
        let scene = stage.scene("dynamic-DNS provider's own page", site_at(*site).host);
        stage.browse(scene, part, *site, Method::Get, 700);
        stage.must_not_fire(scene, part, Rule::DynamicDns, None);
        stage.must_not_fire(scene, part, Rule::DynamicDnsAsset, None);
    }
    Some(())
}

/// Visits whose records come late: rules without memory judge them for the day on which they happened.
fn late_visits(stage: &mut Stage<'_>) -> Option<()> {
    let reliable = stage.is_reliable();
    let day = stage.workday(4)?;
    for (days, site, name) in [
        (6, SHARING.first().copied()?, "late visit to a file-sharing site"),
        (6, DYNAMIC.first().copied()?, "late visit to a dynamic name"),
        // Thursday or Friday of the first week, known on the next working day: late, but not too late for history.
        (3, SHARING.get(1).copied()?, "visit known after a weekend"),
    ] {
        let fits = |p: &super::office::Person| reliable(p) && p.department != Some(RESEARCH) && p.role == Role::Clerk;
        let part = stage.part(day, fits)?.late_by(days);
        let scene = stage.scene(name, format!("the record comes {days} days later"));
        stage.browse(scene, part, site, Method::Get, 700);
    }
    Some(())
}

/// Company suites do not count; a service that only its category betrays counts where the records tell the category.
fn suites_and_categories(stage: &mut Stage<'_>) -> Option<()> {
    let day = stage.workday(7)?;
    for site in [SUITES.first().copied()?, SUITES.last().copied()?] {
        let part = stage.part(day, |_| true)?;
        let scene = stage.scene("company suite", site_at(site).host);
        stage.browse(scene, part, site, Method::Post, 5_000);
        stage.must_not_fire(scene, part, Rule::Sharing, Some(site_at(site).top));
    }
    let scene = stage.scene("known by category", "in no list; the web filter calls it cloud storage");
    for collector in [LONDON, HQ] {
        let here = stage.sits_at(collector);
        let part = stage.part(day, here)?;
        stage.browse(scene, part, BY_CATEGORY, Method::Get, 800);
        if collector == HQ {
            stage.must_not_fire(scene, part, Rule::Sharing, Some(site_at(BY_CATEGORY).top));
        }
    }
    Some(())
}

/// Web servers start shells, and things that healthy web servers start.
fn web_shells(stage: &mut Stage<'_>) -> Option<()> {
    let mut attacks: Vec<u8> = commands_of(Rule::WebShell, true).collect();
    for (host, actor) in [(WEB01, Actor::AppPool), (WEB02, Actor::System)] {
        let chosen = attacks.swap_remove(stage.rng.below(attacks.len() as u32) as usize);
        let day = stage.some_workday(4)?;
        let scene = stage.scene("web shell", note_of(chosen));
        let part = at_night(day, host, actor);
        stage.run(scene, part, chosen);
    }
    let day = stage.some_workday(1)?;
    let part = at_night(day + 1, APP01, Actor::System);
    let unseen = commands_of(Rule::WebShell, true).next()?;
    let scene = stage.scene("web shell, parent unknown", "the records of this server tell no parents");
    stage.run(scene, part, unseen);
    stage.must_not_fire(scene, part, Rule::WebShell, None);
    stage.must_not_fire(scene, part, Rule::WebShellAsset, None);
    for (i, chosen) in commands_of(Rule::WebShell, false).enumerate() {
        // Weekends: no attack is planted there.
        let day = stage.workday(4)? + 1 + i as Day % 2;
        let part = at_night(day, if i % 2 == 0 { WEB01 } else { WEB02 }, Actor::System);
        let scene = stage.scene("healthy web server", note_of(chosen));
        stage.run(scene, part, chosen);
        stage.must_not_fire(scene, part, Rule::WebShell, None);
        stage.must_not_fire(scene, part, Rule::WebShellAsset, None);
    }
    Some(())
}

fn at_night(day: Day, host: u32, actor: Actor) -> Part {
    Part { actor, host, at_ms: i64::from(day) * DAY_MS + 2 * 3_600_000 + i64::from(host) * 61_000, arrives_ms: None }
}

/// A workstation whose clock is decades ahead: nothing is summed for a day that has not come.
fn wrong_clock(stage: &mut Stage<'_>) -> Option<()> {
    let day = stage.workday(3)?;
    let here = stage.sits_at(LONDON);
    let mut part = stage.part(day, here)?;
    part.arrives_ms = Some(part.at_ms);
    part.at_ms += 23_376 * DAY_MS;
    let scene = stage.scene("clock decades ahead", "2 GB on a day that has not come yet");
    stage.browse(scene, part, 14, Method::Post, 2_000 * MEGABYTE);
    stage.must_not_fire(scene, part, Rule::ExfilAsset, None);
    Some(())
}
