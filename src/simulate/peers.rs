//! Who shares how much, compared with the others: the plan's books about a whole organisation or a department.
//!
//! A use is one (person, day, service). The books keep a total for ever and the last 30 days for the comparison.

use super::truth::is_converged;
use crate::calendar::Day;
use std::collections::{HashMap, VecDeque};

const RANK_DAYS: i32 = 30;
const MIN_COUNT: u32 = 10;

/// The uses of everybody in a group.
#[derive(Clone, Debug)]
pub struct Population {
    min_people: usize,
    uses: u32,
    people_ever: HashMap<u32, u32>,
    recent: HashMap<u32, u32>,
    /// How many people have a recent count of `index`.
    people_by_count: Vec<u32>,
    days: VecDeque<(Day, Vec<u32>)>,
    latest: Option<Day>,
}

impl Population {
    /// Nobody yet. Comparisons need `min_people` people.
    pub fn new(min_people: usize) -> Population {
        Population {
            min_people,
            uses: 0,
            people_ever: HashMap::new(),
            recent: HashMap::new(),
            people_by_count: Vec::new(),
            days: VecDeque::new(),
            latest: None,
        }
    }

    /// Whether somebody's recent use stands out: at least 10, three times the median, and in the top twentieth.
    pub fn is_top(&self, person: u32) -> bool {
        let count = self.recent.get(&person).copied().unwrap_or(0);
        let people = self.recent.len();
        if people < self.min_people || count < MIN_COUNT || !is_converged(self.uses, self.people_ever.len() as u32) {
            return false;
        }
        // Twice the median, to stay with whole numbers.
        let median_twice = self.nth(people.div_ceil(2)) + self.nth(people / 2 + 1);
        let better: u32 = self.people_by_count.iter().skip(count as usize + 1).sum();
        let best = people.div_ceil(20).max(1) as u32;
        2 * count >= 3 * median_twice && better < best
    }

    /// One use.
    pub fn add(&mut self, person: u32, day: Day) {
        let latest = self.latest.map_or(day, |l| l.max(day));
        self.latest = Some(latest);
        self.forget(latest - RANK_DAYS);
        self.uses += 1;
        *self.people_ever.entry(person).or_default() += 1;
        if day <= latest - RANK_DAYS {
            return;
        }
        self.change(person, 1);
        match self.days.iter_mut().find(|(d, _)| *d == day) {
            Some((_, people)) => people.push(person),
            None => {
                self.days.push_back((day, vec![person]));
                self.days.make_contiguous().sort_by_key(|(d, _)| *d);
            }
        }
    }

    fn forget(&mut self, up_to: Day) {
        while self.days.front().is_some_and(|(d, _)| *d <= up_to) {
            for person in self.days.pop_front().map(|(_, people)| people).unwrap_or_default() {
                self.change(person, -1);
            }
        }
    }

    fn change(&mut self, person: u32, by: i32) {
        let old = self.recent.get(&person).copied().unwrap_or(0);
        let new = old.saturating_add_signed(by);
        if self.people_by_count.len() <= new as usize {
            self.people_by_count.resize(new as usize + 1, 0);
        }
        if old > 0
            && let Some(n) = self.people_by_count.get_mut(old as usize)
        {
            *n -= 1;
        }
        if new == 0 {
            self.recent.remove(&person);
            return;
        }
        self.recent.insert(person, new);
        if let Some(n) = self.people_by_count.get_mut(new as usize) {
            *n += 1;
        }
    }

    /// The n-th smallest recent count, from 1.
    fn nth(&self, n: usize) -> u32 {
        let mut people = 0;
        for (count, number) in self.people_by_count.iter().enumerate() {
            people += *number as usize;
            if people >= n {
                return count as u32;
            }
        }
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn population(counts: &[u32]) -> Population {
        let mut all = Population::new(5);
        for (person, count) in counts.iter().enumerate() {
            for i in 0..*count {
                all.add(person as u32, i as Day % 20);
            }
        }
        all
    }

    #[test]
    fn the_top_person_stands_out_from_the_median() {
        let cases: &[(&[u32], bool)] = &[
            (&[12, 4, 4, 4, 6], true),
            (&[11, 4, 4, 4, 7], false),          // less than three times the median of 4
            (&[9, 3, 3, 3, 3, 9], false),        // below ten
            (&[12, 4, 4, 20], false),            // too few people
            (&[12, 4, 4, 4, 13], false),         // second
            (&[12, 4, 4, 4, 12], true),          // both are first
            (&[13, 3, 5, 5, 3, 4, 4, 5], false), // the median of 3 3 4 4 5 5 5 13 is 4.5
            (&[14, 3, 5, 5, 3, 4, 4, 5], true),
            (&[20, 2, 2, 2, 2, 2, 2, 2], true),
            (&[14, 1, 1, 1, 1, 1, 1, 1], false), // 21 uses are too few to know anything
        ];
        for (i, (counts, top)) in cases.iter().enumerate() {
            assert_eq!(population(counts).is_top(0), *top, "case {i}: {counts:?}");
        }
    }

    #[test]
    fn uses_older_than_thirty_days_no_longer_rank() {
        let mut all = population(&[12, 4, 4, 4, 6]);
        all.add(1, 31); // days 0 and 1 leave: 10 3 2 2 4
        assert!(all.is_top(0));
        all.add(1, 32); // day 2 leaves: 9 is below ten
        assert!(!all.is_top(0));
    }
}
