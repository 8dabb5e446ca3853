//! Which services the users of the newest day met, for a hint that one of them is the site's own: counted as alerts are raised.
//!
//! Only of rules that fire for a user and a service whenever they meet. Never more services than a bound: of a flood of
//! names those that one user met leave first, and a hint is about many users.

use crate::calendar::Day;
use crate::content::Content;
use crate::state::State;
use std::collections::BTreeMap;

/// Services that are counted at once.
const MAX_SERVICES: usize = 10_000;
/// Services that are told.
const MAX_TOLD: usize = 100;

/// A service, the rule that fired, and how many users it fired for.
pub type Met = (String, String, u64);

/// The counts of one day.
#[derive(Debug, Default)]
pub(super) struct Services {
    day: Option<Day>,
    /// Of each such rule the services that users met, with the number of users.
    rules: BTreeMap<String, BTreeMap<Vec<u8>, u64>>,
    /// How many services those are.
    len: usize,
}

impl Services {
    /// As the guards of a restored state say.
    pub(super) fn of(content: &Content, state: &State) -> Services {
        let by_service = content.rules.iter().filter(|r| r.is_by_service());
        let rules = by_service.map(|r| (r.id.clone(), BTreeMap::new())).collect();
        let mut services = Services { rules, ..Services::default() };
        if let Some(day) = state.agent.newest_day {
            let of_day = state.guards.of_day(day);
            of_day.for_each(|guard| services.note(guard.day, &guard.rule, guard.value, Some(day)));
        }
        services
    }

    /// A rule has fired on a day, for a value.
    pub(super) fn note(&mut self, day: Day, rule: &str, value: &[u8], newest_day: Option<Day>) {
        if newest_day != Some(day) || !self.rules.contains_key(rule) {
            return;
        }
        if self.day != newest_day {
            self.day = newest_day;
            self.rules.values_mut().for_each(BTreeMap::clear);
            self.len = 0;
        }
        if self.len >= MAX_SERVICES {
            self.rules.values_mut().for_each(|met| met.retain(|_, users| *users > 1));
            self.len = self.rules.values().map(BTreeMap::len).sum();
        }
        let Some(met) = self.rules.get_mut(rule).filter(|_| self.len < MAX_SERVICES) else { return };
        match met.get_mut(value) {
            Some(users) => *users += 1,
            None => {
                met.insert(value.to_vec(), 1);
                self.len += 1;
            }
        }
    }

    /// What most users of this day met.
    pub(super) fn of_day(&self, day: Option<Day>) -> Vec<Met> {
        if day != self.day {
            return Vec::new();
        }
        let mut all = Vec::new();
        for (rule, met) in &self.rules {
            all.extend(met.iter().map(|(service, users)| (rule, service, *users)));
        }
        if all.len() > MAX_TOLD {
            all.select_nth_unstable_by_key(MAX_TOLD, |(.., users)| std::cmp::Reverse(*users));
            all.truncate(MAX_TOLD);
        }
        let mut told: Vec<Met> = all
            .into_iter()
            .map(|(rule, service, users)| (String::from_utf8_lossy(service).into_owned(), rule.clone(), users))
            .collect();
        told.sort();
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_services_does_not_hide_the_one_that_many_meet() {
        let mut services = Services { rules: [("R".to_owned(), BTreeMap::new())].into(), ..Services::default() };
        services.note(1, "R", b"yesterday", Some(1));
        for user in 0..3 * MAX_SERVICES + 500 {
            services.note(2, "R", format!("invented{user}").as_bytes(), Some(2));
            if user % 1000 == 0 {
                services.note(2, "R", b"common", Some(2));
            }
        }
        services.note(1, "R", b"late", Some(2));
        services.note(2, "another", b"service", Some(2));
        let kept: usize = services.rules.values().map(BTreeMap::len).sum();
        assert!(kept <= MAX_SERVICES && kept == services.len);
        let told = services.of_day(Some(2));
        assert_eq!(told.len(), MAX_TOLD);
        let (_, _, users) = told.iter().find(|(service, ..)| service == "common").unwrap();
        assert!((28..=31).contains(users), "{users}");
        assert!(services.of_day(Some(3)).is_empty() && services.of_day(None).is_empty());
    }
}
