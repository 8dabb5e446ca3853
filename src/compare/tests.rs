//! Pairing, against two plain maps. What a comparison says of real contents is in `tests/compare.rs`.

use super::pairing::{Pairing, Which};
use super::*;
use crate::alert::{Alert, AlertKind};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// An alert of few subjects, so that two sides meet.
fn alert(rule: u8, user: u8, score: u32, day: i64) -> Alert {
    let mut alert = Alert::operational("x", "", String::new(), 0);
    alert.kind = AlertKind::Detection;
    Arc::make_mut(&mut alert.rule).id = format!("R{rule}");
    alert.entity = format!("u{user}");
    alert.score = score;
    alert.sequence = format!("2026-03-{:02}", day + 1);
    alert.time_ms = day * 86_400_000;
    alert
}

type Plain = BTreeMap<(String, String, String), u32>;

proptest! {
    #![proptest_config(crate::effort::cases())]

    /// However the alerts of two sides come, in whatever order, the outcome is that of two plain maps.
    #[test]
    fn pairing_is_the_difference_of_two_maps(
        steps in prop::collection::vec((any::<bool>(), 0u8..3, 0u8..4, 1u32..3, 0i64..3), 0..60),
    ) {
        let mut pairing = Pairing::new(Zone::utc(), true);
        let mut sides = [Plain::new(), Plain::new()];
        for (first, rule, user, score, day) in steps {
            let alert = alert(rule, user, score, day);
            let subject = (alert.rule.id.clone(), alert.entity.clone(), alert.sequence.clone());
            let side = usize::from(!first);
            // A rule fires once for a subject.
            if sides[side].insert(subject.clone(), score).is_some_and(|before| { sides[side].insert(subject, before); true }) {
                continue;
            }
            pairing.add(if first { Which::A } else { Which::B }, &alert);
        }
        let [a, b] = &sides;
        let paired = pairing.finish(|alert, which| format!("{which:?} {}", alert.entity));
        prop_assert_eq!((paired.alerts.a, paired.alerts.b), (a.len() as u64, b.len() as u64));
        let subjects: BTreeSet<_> = a.keys().chain(b.keys()).collect();
        let mut wanted = BTreeSet::new();
        let mut same = 0;
        for subject in subjects {
            match (a.get(subject), b.get(subject)) {
                (x, y) if x == y => same += 1,
                (x, y) => { wanted.insert((subject.clone(), x.copied(), y.copied())); }
            }
        }
        prop_assert_eq!(paired.same, same);
        let found: BTreeSet<_> = paired.differences.iter().map(|d| {
            ((d.subject.rule.clone(), d.subject.entity.clone(), d.subject.sequence.clone()), d.score_a, d.score_b)
        }).collect();
        prop_assert_eq!(found.len(), paired.differences.len());
        prop_assert_eq!(&found, &wanted);
        prop_assert!(paired.differences.is_sorted_by_key(|d| &d.time));
        prop_assert!(paired.differences.iter().all(|d| d.why.is_some()));
        for counted in [&paired.rules, &paired.days, &paired.entities] {
            prop_assert_eq!(counted.iter().map(|c| c.a).sum::<u64>(), a.len() as u64);
            prop_assert_eq!(counted.iter().map(|c| c.b).sum::<u64>(), b.len() as u64);
            let differences = counted.iter().map(|c| c.only_a + c.only_b + c.changed).sum::<u64>();
            prop_assert_eq!(differences, wanted.len() as u64);
        }
    }
}

#[test]
fn reports_of_the_agent_on_itself_are_no_alerts_of_a_rule() {
    let mut pairing = Pairing::new(Zone::utc(), false);
    pairing.add(Which::A, &Alert::operational("rule-inert", "x", "y".into(), 0));
    assert_eq!(pairing.finish(|_, _| String::new()).alerts.a, 0);
}
