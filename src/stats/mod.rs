//! How much a run had to say: alerts by rule, by day, by whom; for engineers who judge the noise before they install.
//!
//! Counts what sinks deliver. Days are calendar days of the events, in the configured zone. Nothing here is stored.

pub mod maturity;

use crate::alert::{Alert, AlertKind, Severity};
use crate::calendar::{Day, Zone};
use std::collections::BTreeMap;

/// The bands of a score, in order.
pub const BANDS: [Severity; 4] = [Severity::Low, Severity::Medium, Severity::High, Severity::Critical];
/// Kind and key of an entity.
pub type Whom = (String, String);

/// Alerts of one rule.
#[derive(Clone, Debug, Default)]
pub struct OfRule {
    /// All of them.
    pub alerts: u64,
    /// By day.
    pub days: BTreeMap<Day, u64>,
}

/// Alerts that were delivered.
#[derive(Clone, Debug)]
pub struct Tally {
    zone: Zone,
    /// Detections by rule.
    pub rules: BTreeMap<String, OfRule>,
    /// Detections by day and band.
    pub days: BTreeMap<Day, [u64; 4]>,
    /// Detections by whom they are about: how many, and the sum of their scores.
    pub entities: BTreeMap<Whom, (u64, u64)>,
    /// Summaries of what was held back.
    pub summaries: u64,
    /// Reports of the agent on itself.
    pub operational: u64,
}

impl Tally {
    /// Nothing yet; days begin in this zone.
    pub fn new(zone: Zone) -> Tally {
        let (rules, days, entities) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Tally { zone, rules, days, entities, summaries: 0, operational: 0 }
    }

    /// One alert.
    pub fn add(&mut self, alert: &Alert) {
        match alert.kind {
            AlertKind::Operational => self.operational += 1,
            AlertKind::Summary => self.summaries += 1,
            AlertKind::Detection => {
                let day = self.zone.day_of(alert.time_ms);
                let of_rule = self.rules.entry(alert.rule.id.clone()).or_default();
                of_rule.alerts += 1;
                *of_rule.days.entry(day).or_default() += 1;
                let bands = self.days.entry(day).or_default();
                let band = BANDS.iter().position(|b| *b == alert.severity());
                if let Some(n) = band.and_then(|at| bands.get_mut(at)) {
                    *n += 1;
                }
                let whom = (alert.entity_kind.name().to_owned(), alert.entity.clone());
                let (alerts, score) = self.entities.entry(whom).or_default();
                *alerts += 1;
                *score += u64::from(alert.score);
            }
        }
    }

    /// All detections.
    pub fn alerts(&self) -> u64 {
        self.rules.values().map(|r| r.alerts).sum()
    }

    /// Those about whom the scores add up to most: kind and key, alerts, sum of scores.
    pub fn top(&self, most: usize) -> Vec<(&Whom, u64, u64)> {
        let mut all: Vec<_> = self.entities.iter().map(|(whom, (alerts, score))| (whom, *alerts, *score)).collect();
        all.sort_by_key(|(whom, alerts, score)| (std::cmp::Reverse((*score, *alerts)), *whom));
        all.truncate(most);
        all
    }
}

/// Median, 95th percentile (nearest rank) and largest of some numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spread {
    /// The median; the lower one of an even number.
    pub median: u64,
    /// 95 of a hundred are not above it.
    pub p95: u64,
    /// The largest.
    pub max: u64,
}

impl Spread {
    /// Of `all` numbers, those that are given and zeros for the rest.
    pub fn of(given: impl Iterator<Item = u64>, all: usize) -> Spread {
        let mut numbers: Vec<u64> = given.collect();
        numbers.resize(numbers.len().max(all), 0);
        numbers.sort_unstable();
        let rank = |percent: usize| {
            let at = (numbers.len() * percent).div_ceil(100).max(1) - 1;
            numbers.get(at).copied().unwrap_or_default()
        };
        Spread { median: rank(50), p95: rank(95), max: rank(100) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_counts_the_days_without_an_alert() {
        assert_eq!(Spread::of([4, 1].into_iter(), 2), Spread { median: 1, p95: 4, max: 4 });
        assert_eq!(Spread::of([9].into_iter(), 30), Spread { median: 0, p95: 0, max: 9 });
        assert_eq!(Spread::of(1..=100, 0), Spread { median: 50, p95: 95, max: 100 });
        assert_eq!(Spread::of(std::iter::empty(), 0), Spread::default());
    }

    #[test]
    fn the_tally_tells_rules_days_bands_and_whom() {
        let mut tally = Tally::new(Zone::utc());
        let mut alert = crate::alert::Alert::operational("m", "s", String::new(), 0);
        tally.add(&alert);
        alert.kind = AlertKind::Summary;
        tally.add(&alert);
        alert.kind = AlertKind::Detection;
        for (entity, score, day) in [("a", 40, 0), ("b", 2, 0), ("b", 2, 1)] {
            (alert.entity, alert.score, alert.time_ms) = (entity.into(), score, day * 86_400_000);
            tally.add(&alert);
        }
        assert_eq!((tally.operational, tally.summaries, tally.alerts()), (1, 1, 3));
        assert_eq!(tally.days.values().copied().collect::<Vec<_>>(), [[1, 0, 0, 1], [1, 0, 0, 0]]);
        let top: Vec<_> = tally.top(1).into_iter().map(|(w, n, s)| (w.1.clone(), n, s)).collect();
        assert_eq!(top, [("a".to_owned(), 1, 40)]);
    }
}
