//! What is planted into an office that lives: attacks on every rule in at least five variants, look-alikes that must stay
//! silent, and attacks that the rules' definitions cannot see.
//!
//! Attackers use accounts of people without a habit of that kind, so that an alert is about the one or about the other.
//! Everything is planted where the records carry what the rule needs, and after the history that its definition waits for;
//! what comes earlier is planted as a blind spot.

use super::action::{Actor, Image, Method};
use super::collector::{DATACENTER, HQ, LONDON};
use super::life::{add_person, night};
use super::more_commands::{command_at, variants_of};
use super::office::{ENGINEERING, MARKETING, Person, Role, SALES, Sharing, WEB01, WEB02};
use super::plan::{Plan, SceneKind};
use super::programs::{BROUGHT_FROM, TEMPORAL, TEMPORARY};
use super::rules::Rule;
use super::sites::{BY_CATEGORY, DYNAMIC, MORE_DYNAMIC, PROVIDERS, SHARING, SUITES, site_at};
use super::stage::{Part, Stage};
use crate::calendar::Day;
use std::collections::BTreeSet;

const MEGABYTE: u64 = 1_000_000;
/// Working days before which nothing that needs history is planted.
const HISTORY_WORKDAYS: usize = 15;

/// Programs that attackers bring in a round.
const PROGRAMS_A_ROUND: usize = 7;
/// Whose machine has met which program that attackers bring.
type Met = BTreeSet<(u32, u8)>;

/// Plants everything.
pub fn plant(plan: &mut Plan) {
    let user_days = plan.office.people.len() as u64 * u64::from(plan.days);
    // Each variant so often; of a large office more often.
    let rounds = (user_days / 2_600).clamp(1, 40) as usize;
    let mut stage = Stage::new(plan);
    let mut met = Met::new();
    heavy_sharers(&mut stage);
    for round in 0..rounds {
        for rule in Rule::ALL.iter().copied() {
            match rule {
                Rule::WebShell => web_shells(&mut stage, round),
                Rule::TempFirst => programs(&mut stage, round, &mut met),
                Rule::ExfilAsset => large_uploads(&mut stage),
                Rule::NewUpload => new_accounts(&mut stage, round),
                Rule::Sharing => sharing(&mut stage),
                Rule::DynamicDns => dynamic_names(&mut stage),
                _ => commands(&mut stage, rule),
            }
        }
    }
}

/// Anybody whose days hold nothing that a scene could be taken for.
fn plain(p: &Person) -> bool {
    p.habits.is_empty() && p.role != Role::Service && !p.uses_kiosks
}

fn note_of(command: u8) -> &'static str {
    command_at(command).map_or("", |c| c.line)
}

fn commands(stage: &mut Stage<'_>, rule: Rule) {
    for kind in [SceneKind::Attack, SceneKind::LookAlike, SceneKind::BlindSpot] {
        for chosen in variants_of(rule, kind) {
            let Some(day) = stage.some_workday(1) else { return };
            let Some(part) = stage.part(day, plain) else { continue };
            let scene = stage.scene_of(kind, "command", note_of(chosen));
            stage.run(scene, part, chosen);
            claim(stage, kind, scene, part, (rule, rule.is_per_image().then(|| image_of(chosen)).flatten()));
        }
    }
}

fn image_of(command: u8) -> Option<&'static str> {
    command_at(command).map(|c| c.image)
}

/// What the plan says of a part: of the rule, and of its twin for the machine.
fn claim(stage: &mut Stage<'_>, kind: SceneKind, scene: u16, part: Part, (rule, value): (Rule, Option<&'static str>)) {
    for rule in [Some(rule), rule.asset_twin()].into_iter().flatten() {
        match kind {
            SceneKind::Attack => stage.must_fire(scene, part, rule, value),
            SceneKind::BlindSpot => stage.is_unseen(scene, part, rule, None),
            _ => stage.must_not_fire(scene, part, rule, None),
        }
    }
}

/// Web servers start shells, by night on working days; honest jobs run on Saturdays.
fn web_shells(stage: &mut Stage<'_>, round: usize) {
    let attacks = variants_of(Rule::WebShell, SceneKind::Attack);
    let others = [SceneKind::LookAlike, SceneKind::BlindSpot];
    let quiet: Vec<(SceneKind, u8)> =
        others.iter().flat_map(|k| variants_of(Rule::WebShell, *k).into_iter().map(|c| (*k, c))).collect();
    let planted = attacks.iter().map(|c| (SceneKind::Attack, *c)).chain(quiet);
    for (i, (kind, chosen)) in planted.enumerate() {
        // Each on a night of its own, as far as there are nights.
        let at = (round * 17 + i * 2 + usize::from(kind != SceneKind::Attack)) % stage.plan.workdays.len().max(1);
        let Some(day) = stage.workday(at) else { return };
        let (host, actor) =
            if (i + round).is_multiple_of(2) { (WEB01, Actor::AppPool) } else { (WEB02, Actor::System) };
        let part = Part { actor, host, at_ms: night(day, i as i64), arrives_ms: None };
        let scene = stage.scene_of(kind, "child of a web server", note_of(chosen));
        stage.run(scene, part, chosen);
        // A look-alike may share its night with an attack: it is known by its program, or not at all.
        if kind != SceneKind::LookAlike {
            claim(stage, kind, scene, part, (Rule::WebShell, image_of(chosen)));
        }
    }
    if round == 0 && stage.plan.life.habits {
        let Some(job) = variants_of(Rule::WebShell, SceneKind::Habit).first().copied() else { return };
        let scene = stage.scene_of(SceneKind::Habit, "habit", "a web application that calls a converter on Saturdays");
        let saturdays: Vec<Day> = stage.plan.all_days().filter(|d| super::office::weekday(*d) == 5).collect();
        for day in saturdays {
            let part = Part { actor: Actor::AppPool, host: WEB02, at_ms: night(day, 90), arrives_ms: None };
            stage.run(scene, part, job);
        }
    }
}

/// Programs that attackers bring: new for somebody whose habits are known, and once more some days later.
fn programs(stage: &mut Stage<'_>, round: usize, met: &mut Met) {
    let all = TEMPORARY.len() - usize::from(BROUGHT_FROM);
    for i in 0..PROGRAMS_A_ROUND {
        // Attackers rarely bring what others have brought.
        let program = BROUGHT_FROM + ((round * PROGRAMS_A_ROUND + i) % all.max(1)) as u8;
        let key = TEMPORARY.get(usize::from(program)).map(|t| t.key);
        let Some(day) = stage.some_workday(HISTORY_WORKDAYS + 5) else { return };
        let worked = days_worked(stage, day);
        if let Some(part) = stage.part(day, |p| plain(p) && worked(p) >= 14 && !met.contains(&(p.host, program))) {
            met.insert((part.host, program));
            let scene =
                stage.scene_of(SceneKind::Attack, "program from a temporary directory", key.unwrap_or_default());
            stage.write(scene, part, Image::Temporary(program));
            stage.write(scene, part.minutes_later(1), Image::Temporary(program));
            stage.must_fire(scene, part, Rule::TempFirst, key);
        }
        comes_back(stage, program, key, met);
        young_history(stage, program, key, met);
    }
    let Some(day) = stage.some_workday(HISTORY_WORKDAYS) else { return };
    if let Some(part) = stage.part(day, plain) {
        let note = r"C:\Temporal is not C:\Temp";
        let scene = stage.scene_of(SceneKind::LookAlike, "directory that sounds temporary", note);
        stage.write(scene, part, Image::Installed(TEMPORAL));
        stage.must_not_fire(scene, part, Rule::TempFirst, Some(r"c:\temporal\cli\temporal.exe"));
    }
}

/// For developers, whose daily tools are well known, the program is rare the second time; for clerks nothing is rare.
fn comes_back(stage: &mut Stage<'_>, program: u8, key: Option<&'static str>, met: &mut Met) {
    for (role, kind) in [(Role::Developer, SceneKind::Attack), (Role::Clerk, SceneKind::BlindSpot)] {
        let Some(day) = stage.some_workday(HISTORY_WORKDAYS + 5) else { return };
        let (worked, days) = (days_worked(stage, day), works_again(stage, day));
        let is_new = |p: &Person| !met.contains(&(p.host, program));
        let fits = |p: &Person| plain(p) && is_new(p) && p.role == role && worked(p) >= 14 && days(p).is_some();
        let Some(part) = stage.part(day, fits) else { continue };
        met.insert((part.host, program));
        let Actor::Person(index) = part.actor else { continue };
        let Some(again) = stage.plan.office.person(index).and_then(&days) else { continue };
        let scene = stage.scene_of(kind, "program that comes back", key.unwrap_or_default());
        stage.write(scene, part, Image::Temporary(program));
        stage.must_fire(scene, part, Rule::TempFirst, key);
        let Some(part) = stage.part_of(index, again) else { continue };
        stage.write(scene, part, Image::Temporary(program));
        match kind {
            SceneKind::Attack => stage.must_fire(scene, part, Rule::TempAbnormal, key),
            _ => stage.is_unseen(scene, part, Rule::TempAbnormal, key),
        }
    }
}

/// Before two weeks of history nothing is new.
fn young_history(stage: &mut Stage<'_>, program: u8, key: Option<&'static str>, met: &mut Met) {
    let Some(day) = stage.workday(3) else { return };
    let clerk = |p: &Person| plain(p) && p.role == Role::Clerk && !met.contains(&(p.host, program));
    if let Some(part) = stage.part(day, clerk) {
        met.insert((part.host, program));
        let scene = stage.scene_of(SceneKind::BlindSpot, "program before there is history", key.unwrap_or_default());
        stage.write(scene, part, Image::Temporary(program));
        stage.is_unseen(scene, part, Rule::TempFirst, key);
    }
}

fn days_worked(stage: &Stage<'_>, day: Day) -> impl Fn(&Person) -> usize + use<> {
    let (first, holidays) = (stage.plan.first, stage.plan.public_holidays.clone());
    move |p| (first..day).filter(|d| p.works_on(*d) && !holidays.contains(d)).count()
}

/// The next working day after three.
fn works_again(stage: &Stage<'_>, day: Day) -> impl Fn(&Person) -> Option<Day> + use<> {
    let (end, holidays) = (stage.plan.all_days().end, stage.plan.public_holidays.clone());
    move |p| (day + 3..end).find(|d| p.works_on(*d) && !holidays.contains(d))
}

/// A gigabyte and more from one machine in a day, where the records tell bytes; and what stays below.
fn large_uploads(stage: &mut Stage<'_>) {
    let variants: &[(&str, u64, u64, Method, u16)] = &[
        ("one upload of 1.2 GB", 1, 1_200, Method::Post, 14),
        ("seven uploads of 200 MB", 7, 200, Method::Put, 23),
        ("sixty uploads of 20 MB", 60, 20, Method::Post, 7),
        ("two of 510 MB", 2, 510, Method::Put, 21),
        ("twelve of 90 MB to a dynamic name", 12, 90, Method::Post, 31),
    ];
    for (note, times, megabytes, method, site) in variants.iter().copied() {
        let Some(day) = stage.some_workday(2) else { return };
        let (london, servers) = (stage.sits_at(LONDON), stage.sits_at(DATACENTER));
        let Some(part) = stage.part(day, |p| plain(p) && (london(p) || servers(p))) else { continue };
        let scene = stage.scene_of(SceneKind::Attack, "large upload", note);
        for i in 0..times {
            stage.browse(scene, part.minutes_later(i as i64), site, method, megabytes * MEGABYTE);
        }
        stage.must_fire(scene, part, Rule::ExfilAsset, None);
        if site == 31 {
            stage.must_fire(scene, part, Rule::DynamicDns, Some(site_at(site).host));
            stage.must_fire(scene, part, Rule::DynamicDnsAsset, Some(site_at(site).host));
        }
        if site == 23 || site == 21 {
            stage.must_fire(scene, part, Rule::Sharing, Some(site_at(site).top));
        }
    }
    let quiet: &[(SceneKind, &str, u8, Method, u64)] = &[
        (SceneKind::LookAlike, "900 MB in a day", LONDON, Method::Post, 900),
        (SceneKind::LookAlike, "1.2 GB named as sent by a GET", DATACENTER, Method::Get, 1_200),
        (SceneKind::LookAlike, "a backup of 700 MB", DATACENTER, Method::Put, 700),
        (SceneKind::BlindSpot, "3 GB, but the records tell no bytes", HQ, Method::Post, 3_000),
    ];
    for (kind, note, collector, method, megabytes) in quiet.iter().copied() {
        let Some(day) = stage.some_workday(2) else { return };
        let here = stage.sits_at(collector);
        let Some(part) = stage.part(day, |p| plain(p) && here(p)) else { continue };
        let scene = stage.scene_of(kind, "large transfer", note);
        stage.browse(scene, part, 14, method, megabytes * MEGABYTE / 2);
        stage.browse(scene, part.minutes_later(20), 14, method, megabytes * MEGABYTE / 2);
        claim(stage, kind, scene, part, (Rule::ExfilAsset, None));
    }
}

/// Accounts that nobody has seen on the web upload on their first day.
fn new_accounts(stage: &mut Stage<'_>, round: usize) {
    let variants: &[(SceneKind, &str, u8, u64, u64)] = &[
        (SceneKind::Attack, "one upload of 25 MB", LONDON, 1, 25),
        (SceneKind::Attack, "forty uploads of 1 MB", LONDON, 40, 1),
        (SceneKind::Attack, "three uploads of 80 MB", DATACENTER, 3, 80),
        (SceneKind::Attack, "four uploads of 6 MB", LONDON, 4, 6),
        (SceneKind::Attack, "two uploads of 11 MB", DATACENTER, 2, 11),
        (SceneKind::LookAlike, "four uploads of 3 MB", LONDON, 4, 3),
        (SceneKind::BlindSpot, "50 MB, but the records tell no bytes", HQ, 2, 25),
    ];
    for (i, (kind, note, collector, times, megabytes)) in variants.iter().copied().enumerate() {
        let Some(day) = stage.some_workday(HISTORY_WORKDAYS) else { return };
        let index = add_person(stage.plan, format!("tmp.account{round}{i}"), Role::Contractor, collector, None);
        stage.change(index, |p| {
            p.hired = day;
            p.leaves = Some(day);
        });
        let Some(part) = stage.part_of(index, day) else { continue };
        let scene = stage.scene_of(kind, "account without a history", note);
        for n in 0..times {
            stage.browse(scene, part.minutes_later(n as i64), 14, Method::Put, megabytes * MEGABYTE);
        }
        claim(stage, kind, scene, part, (Rule::NewUpload, None));
    }
    // An old hand.
    let Some(day) = stage.some_workday(HISTORY_WORKDAYS) else { return };
    let (london, worked) = (stage.sits_at(LONDON), days_worked(stage, day));
    if let Some(part) = stage.part(day, |p| plain(p) && london(p) && worked(p) >= 10) {
        let scene = stage.scene_of(SceneKind::LookAlike, "old hand uploads", "40 MB, but with a history");
        stage.browse(scene, part, 14, Method::Post, 40 * MEGABYTE);
        stage.must_not_fire(scene, part, Rule::NewUpload, None);
    }
}

/// Somebody who never shares files does, at every service.
fn sharing(stage: &mut Stage<'_>) {
    let listed = SHARING.iter().copied().map(|site| (site, None));
    for (site, collector) in listed.chain([(BY_CATEGORY, Some(LONDON))]) {
        let Some(day) = stage.some_workday(1) else { return };
        let here = stage.sits_at(collector.unwrap_or_default());
        let never = |p: &Person| plain(p) && p.sharing.sites.is_empty() && (collector.is_none() || here(p));
        let before = stage.plan.migration.is_none_or(|(from, _)| day < from);
        let Some(part) = stage.part(day, never).filter(|_| before) else { continue };
        let scene = stage.scene_of(SceneKind::Attack, "file sharing", site_at(site).host);
        stage.browse(scene, part, site, Method::Post, 3 * MEGABYTE);
        stage.must_fire(scene, part, Rule::Sharing, Some(site_at(site).top));
    }
    for site in SUITES.iter().copied() {
        let Some(day) = stage.some_workday(1) else { return };
        let before = stage.plan.migration.is_none_or(|(from, _)| day < from);
        let never = |p: &Person| plain(p) && p.sharing.sites.is_empty();
        let Some(part) = stage.part(day, never).filter(|_| before) else { continue };
        let scene = stage.scene_of(SceneKind::LookAlike, "company suite", site_at(site).host);
        stage.browse(scene, part, site, Method::Post, 5_000);
        stage.must_not_fire(scene, part, Rule::Sharing, Some(site_at(site).top));
    }
}

/// Names under dynamic-DNS services, and the providers' own pages.
fn dynamic_names(stage: &mut Stage<'_>) {
    // The first belongs to somebody's home.
    for site in DYNAMIC.iter().skip(1).chain(MORE_DYNAMIC).copied() {
        let Some(day) = stage.some_workday(1) else { return };
        let Some(part) = stage.part(day, plain) else { continue };
        let scene = stage.scene_of(SceneKind::Attack, "dynamic name", site_at(site).host);
        stage.browse(scene, part, site, Method::Get, 700);
        stage.browse(scene, part.minutes_later(4), site, Method::Post, 9_000);
        claim(stage, SceneKind::Attack, scene, part, (Rule::DynamicDns, Some(site_at(site).host)));
    }
    for site in PROVIDERS.iter().copied() {
        let Some(day) = stage.some_workday(1) else { return };
        let Some(part) = stage.part(day, plain) else { continue };
        let scene = stage.scene_of(SceneKind::LookAlike, "dynamic-DNS provider's own page", site_at(site).host);
        stage.browse(scene, part, site, Method::Get, 700);
        claim(stage, SceneKind::LookAlike, scene, part, (Rule::DynamicDns, None));
    }
}

/// Five people share far more than all others, each in another way.
fn heavy_sharers(stage: &mut Stage<'_>) {
    let variants: &[(u8, usize, f64)] =
        &[(MARKETING, 3, 0.9), (MARKETING, 4, 0.75), (SALES, 2, 0.95), (SALES, 3, 0.7), (ENGINEERING, 2, 0.9)];
    for (department, services, chance) in variants.iter().copied() {
        let reliable = stage.is_reliable();
        let fits = |p: &Person| reliable(p) && plain(p) && p.department == Some(department) && p.moves.is_none();
        let Some(index) = stage.cast(fits) else { continue };
        let scene = stage.scene_of(SceneKind::Attack, "heavy sharer", format!("{services} services nearly every day"));
        let sites = SHARING.get(..services).unwrap_or_default().to_vec();
        stage.change(index, |p| p.sharing = Sharing { sites, chance, scene });
        // A month of which at least ten working days are behind the first two weeks.
        let days: Vec<Day> = stage.plan.workdays.get(10..).unwrap_or_default().to_vec();
        let mut months: Vec<(Day, usize)> = Vec::new();
        for day in days {
            let month = crate::calendar::first_of_month(day);
            match months.last_mut().filter(|(m, _)| *m == month) {
                Some((_, n)) => *n += 1,
                None => months.push((month, 1)),
            }
        }
        for (month, _) in months.into_iter().filter(|(_, n)| *n >= 8) {
            let Some(mut part) = stage.part_of(index, month) else { continue };
            part.arrives_ms = None;
            stage.must_fire(scene, part, Rule::TopOrganization, None);
            stage.must_fire(scene, part, Rule::TopGroup, None);
        }
    }
}
