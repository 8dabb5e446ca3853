//! Which services the users of the newest day met, for a hint that one of them is the site's own: counted as alerts are raised.
//!
//! Only of rules that fire for a user and a service whenever they meet. Never more services than a bound: of a flood of
//! names those that one user met leave first, and a hint is about many users.

use crate::calendar::Day;
use crate::content::Content;
use crate::state::State;
use crate::state::key::GuardKey;
use std::collections::{BTreeMap, BTreeSet};

/// Services that are counted at once.
const MAX_SERVICES: usize = 10_000;
/// Services that are told.
const MAX_TOLD: usize = 100;

/// A service, the rule that fired, and how many users it fired for.
pub type Met = (String, String, u64);

/// The counts of one day.
#[derive(Debug, Default)]
pub(super) struct Services {
    rules: BTreeSet<String>,
    day: Option<Day>,
    users: BTreeMap<(String, Vec<u8>), u64>,
}

impl Services {
    /// As the guards of a restored state say.
    pub(super) fn of(content: &Content, state: &State) -> Services {
        let rules = content.rules.iter().filter(|r| r.is_by_service()).map(|r| r.id.clone()).collect();
        let mut services = Services { rules, ..Services::default() };
        if let Some(day) = state.agent.newest_day {
            state.guards.of_day(day).for_each(|guard| services.note(&guard, Some(day)));
        }
        services
    }

    /// A rule has fired.
    pub(super) fn note(&mut self, guard: &GuardKey, newest_day: Option<Day>) {
        if newest_day != Some(guard.day) || !self.rules.contains(&guard.rule) {
            return;
        }
        if self.day != newest_day {
            self.day = newest_day;
            self.users.clear();
        }
        if self.users.len() >= MAX_SERVICES {
            self.users.retain(|_, users| *users > 1);
        }
        if self.users.len() < MAX_SERVICES {
            *self.users.entry((guard.rule.clone(), guard.value.clone())).or_default() += 1;
        }
    }

    /// What most users of this day met.
    pub(super) fn of_day(&self, day: Option<Day>) -> Vec<Met> {
        if day != self.day {
            return Vec::new();
        }
        let mut all: Vec<(&(String, Vec<u8>), u64)> = self.users.iter().map(|(met, users)| (met, *users)).collect();
        if all.len() > MAX_TOLD {
            all.select_nth_unstable_by_key(MAX_TOLD, |(_, users)| std::cmp::Reverse(*users));
            all.truncate(MAX_TOLD);
        }
        let mut told: Vec<Met> = all
            .into_iter()
            .map(|((rule, service), users)| (String::from_utf8_lossy(service).into_owned(), rule.clone(), users))
            .collect();
        told.sort();
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::EntityKind;

    #[test]
    fn a_flood_of_services_does_not_hide_the_one_that_many_meet() {
        let mut services = Services { rules: ["R".to_owned()].into(), ..Services::default() };
        let guard = |day, user: usize, value: &str| GuardKey {
            day,
            rule: "R".into(),
            kind: EntityKind::User,
            entity: format!("u{user}").into(),
            value: value.into(),
        };
        services.note(&guard(1, 0, "yesterday"), Some(1));
        for user in 0..3 * MAX_SERVICES + 500 {
            services.note(&guard(2, user, &format!("invented{user}")), Some(2));
            if user % 1000 == 0 {
                services.note(&guard(2, user, "common"), Some(2));
            }
        }
        services.note(&guard(1, 9, "late"), Some(2));
        assert!(services.users.len() <= MAX_SERVICES);
        let told = services.of_day(Some(2));
        assert_eq!(told.len(), MAX_TOLD);
        let (_, _, users) = told.iter().find(|(service, ..)| service == "common").unwrap();
        assert!((28..=31).contains(users), "{users}");
        assert!(services.of_day(Some(3)).is_empty() && services.of_day(None).is_empty());
    }
}
