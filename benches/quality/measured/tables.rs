//! What the document shows, as Markdown.

use super::interval::{Measured, rate, share};
use super::office::{OfRule, Office, pooled};
use exfil_agent::simulate::plan::SceneKind;
use exfil_agent::stats::{BANDS, Spread};
use std::fmt::Write;

const GOAL: f64 = 0.98;
const GOAL_RATE: f64 = 5.0;

/// One way to run the agent, and what came out for each seed.
pub struct Setup {
    pub name: &'static str,
    pub offices: Vec<Office>,
}

fn percent(m: Option<Measured>) -> String {
    m.map_or("-".into(), |m| format!("{:.3} ({:.3} to {:.3})", m.value, m.low, m.high))
}

fn per_thousand(m: Option<Measured>) -> String {
    m.map_or("-".into(), |m| format!("{:.2} ({:.2} to {:.2})", m.value, m.low, m.high))
}

fn precision(rule: &OfRule) -> Option<Measured> {
    let (right, wrong) = rule.right_and_wrong();
    share(right, right + wrong)
}

fn met(m: Option<Measured>) -> &'static str {
    match m {
        None => "-",
        Some(m) if m.value >= GOAL => "met",
        Some(_) => "**not met**",
    }
}

/// Recall, precision and volume of every rule, over all seeds.
pub fn rules(setup: &Setup) -> String {
    let all = pooled(&setup.offices);
    let mut out = String::from(
        "| rule | variants | planted | recall | goal | precision | goal | alerts per 1,000 user-days outside |\n|--|--|--|--|--|--|--|--|\n",
    );
    for (id, rule) in &all.rules {
        let recall = share(rule.found, rule.planted);
        let outside = rate(rule.outside().0, all.settled_user_days);
        let (goal_r, goal_p) = (met(recall), met(precision(rule)));
        let (recall, precision) = (percent(recall), percent(precision(rule)));
        let (n, planted) = (rule.variants.len(), rule.planted);
        let volume = per_thousand(outside);
        writeln!(out, "| {id} | {n} | {planted} | {recall} | {goal_r} | {precision} | {goal_p} | {volume} |").unwrap();
    }
    let total = rate(all.outside_from_ten(), all.settled_user_days);
    let is_met = if total.is_some_and(|m| m.value < GOAL_RATE) { "met" } else { "**not met**" };
    writeln!(
        out,
        "\nAlerts of score 10 and more outside scenarios, all rules, per 1,000 user-days: {}; goal below 5: {is_met}. {} events, {} user-days, {} of them settled. Alerts that the truth does not explain: {}; truths without an alert: {}.",
        per_thousand(total), all.events, all.user_days, all.settled_user_days, all.unexplained, all.missing
    )
    .unwrap();
    out
}

/// Found of planted, and right of all alerts in planted scenarios, seed by seed.
pub fn seeds(setup: &Setup) -> String {
    let mut out = String::from("| rule |");
    setup.offices.iter().for_each(|o| write!(out, " seed {} |", o.seed).unwrap());
    out.push_str("\n|--|");
    setup.offices.iter().for_each(|_| out.push_str("--|"));
    out.push('\n');
    let ids: Vec<&str> = setup.offices.first().map(|o| o.rules.keys().copied().collect()).unwrap_or_default();
    for id in ids {
        write!(out, "| {id} |").unwrap();
        for office in &setup.offices {
            let rule = &office.rules[id];
            let (right, wrong) = rule.right_and_wrong();
            write!(out, " {} of {}, {} of {} |", rule.found, rule.planted, right, right + wrong).unwrap();
        }
        out.push('\n');
    }
    out.push_str("| score 10 and more, per 1,000 user-days outside |");
    for office in &setup.offices {
        write!(out, " {} |", per_thousand(rate(office.outside_from_ten(), office.settled_user_days))).unwrap();
    }
    out.push('\n');
    out
}

/// What an analyst sees on a working day of office life.
pub fn days(setups: &[Setup]) -> String {
    let mut out = String::from("| band | content | median | p95 | max |\n|--|--|--|--|--|\n");
    for (at, band) in BANDS.iter().enumerate() {
        for setup in setups {
            let all = pooled(&setup.offices);
            let spread = Spread::of(all.days.iter().map(|d| d[at]), 0);
            let Spread { median, p95, max } = spread;
            writeln!(out, "| {} | {} | {median} | {p95} | {max} |", band.name(), setup.name).unwrap();
        }
    }
    out
}

/// Days until rules that learn can speak.
pub fn maturity(setup: &Setup) -> String {
    let mut out =
        String::from("| rule | about | known | mature | days: median | p95 | max |\n|--|--|--|--|--|--|--|\n");
    for office in setup.offices.iter().take(1) {
        for m in &office.maturity {
            let share = 100 * m.mature / m.known.max(1);
            let Spread { median, p95, max } = m.days;
            let (rule, about, known, mature) = (&m.rule, m.about, m.known, m.mature);
            writeln!(out, "| {rule} | {about} | {known} | {mature} ({share} %) | {median} | {p95} | {max} |").unwrap();
        }
    }
    out
}

/// Roll-outs, with and without the option.
pub fn roll_outs(setups: &[Setup]) -> String {
    let mut out = String::from(
        "| content | all on one day: machines | to read | over five days: machines | to read | first-seen attacks found | found or grouped |\n|--|--|--|--|--|--|--|\n",
    );
    for setup in setups {
        let (all, n) = (pooled(&setup.offices), setup.offices.len().max(1) as f64);
        let mean = |x: u64| format!("{:.1}", x as f64 / n);
        let first = &all.rules["FA-TEMP-DIRECTORY-F"];
        let [a, b] = all.reached;
        let [x, y] = all.roll_outs;
        let found = percent(share(first.found, first.planted));
        let told = percent(share(first.found + first.grouped, first.planted));
        writeln!(out, "| {} | {} | {} | {} | {} | {found} | {told} |", setup.name, mean(a), mean(x), mean(b), mean(y))
            .unwrap();
    }
    out
}

/// What the migration causes.
pub fn migration(setups: &[Setup]) -> String {
    let mut out = String::from("| content | rule | alerts of an office about the migration |\n|--|--|--|\n");
    for setup in setups {
        let (all, n) = (pooled(&setup.offices), setup.offices.len().max(1) as f64);
        for (id, rule) in &all.rules {
            let (alerts, _) = rule.of_kind(SceneKind::Migration);
            if alerts > 0 {
                writeln!(out, "| {} | {id} | {:.1} |", setup.name, alerts as f64 / n).unwrap();
            }
        }
    }
    out
}

/// Precision and volume under each setup, of the rules that a setup changes, and of all.
pub fn options(setups: &[Setup]) -> String {
    let mut out = String::from(
        "| content | recall, all rules | at the full score | precision, all rules | precision from score 10 | score 10 and more per 1,000 user-days outside |\n|--|--|--|--|--|--|\n",
    );
    for setup in setups {
        let all = pooled(&setup.offices);
        let sum = |of: fn(&OfRule) -> u64| all.rules.values().map(of).sum::<u64>();
        let recall = percent(share(sum(|r| r.found), sum(|r| r.planted)));
        let in_full = percent(share(sum(|r| r.found_in_full), sum(|r| r.planted)));
        let (right, wrong) = (sum(|r| r.right_and_wrong().0), sum(|r| r.right_and_wrong().1));
        let (right10, wrong10) = (sum(|r| r.right_and_wrong_from_ten().0), sum(|r| r.right_and_wrong_from_ten().1));
        let (precision, from_ten) = (percent(share(right, right + wrong)), percent(share(right10, right10 + wrong10)));
        let volume = per_thousand(rate(all.outside_from_ten(), all.settled_user_days));
        writeln!(out, "| {} | {recall} | {in_full} | {precision} | {from_ten} | {volume} |", setup.name).unwrap();
    }
    out
}

/// The same, rule by rule, where a setup differs from the first.
pub fn changed(setups: &[Setup]) -> String {
    let mut out = String::from(
        "| rule | content | recall | at the full score | precision | precision from score 10 | per 1,000 user-days outside: all, from 10 |\n|--|--|--|--|--|--|--|\n",
    );
    let pools: Vec<(&str, Office)> = setups.iter().map(|s| (s.name, pooled(&s.offices))).collect();
    let Some((_, first)) = pools.first() else { return out };
    for (id, as_shipped) in &first.rules {
        let facts =
            |r: &OfRule| (r.found, r.found_in_full, r.right_and_wrong(), r.right_and_wrong_from_ten(), r.outside());
        let differs = |o: &Office| facts(&o.rules[id]) != facts(as_shipped);
        if !pools.iter().any(|(_, o)| differs(o)) {
            continue;
        }
        for (name, office) in pools.iter().filter(|(name, o)| *name == pools[0].0 || differs(o)) {
            let rule = &office.rules[id];
            let (right, wrong) = rule.right_and_wrong_from_ten();
            let (n, ten) = rule.outside();
            let [n, ten] = [n, ten].map(|x| rate(x, office.settled_user_days).map_or(0.0, |m| m.value));
            let (recall, precision) = (percent(share(rule.found, rule.planted)), percent(precision(rule)));
            let from_ten = percent(share(right, right + wrong));
            let in_full = percent(share(rule.found_in_full, rule.planted));
            writeln!(out, "| {id} | {name} | {recall} | {in_full} | {precision} | {from_ten} | {n:.2}, {ten:.2} |")
                .unwrap();
        }
    }
    out
}

/// Attacks that the definitions cannot see.
pub fn blind_spots(setup: &Setup) -> String {
    let all = pooled(&setup.offices);
    let mut out = String::from("| rule | planted | found |\n|--|--|--|\n");
    for (id, rule) in all.rules.iter().filter(|(_, r)| r.unseen > 0) {
        writeln!(out, "| {id} | {} | {} |", rule.unseen, rule.unseen_found).unwrap();
    }
    out
}
