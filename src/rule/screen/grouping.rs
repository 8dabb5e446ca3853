//! Rules and models → groups that share a condition → what finds them, event type by event type.

use super::finder::Finder;
use super::{Group, KindScreen, Recurring, Screen};
use crate::event::{EventType, Field, FieldSet};
use crate::rule::condition::Condition;
use std::collections::BTreeMap;

/// Collects groups and then builds what finds them.
#[derive(Default)]
pub struct Grouping {
    groups: Vec<(Group, Vec<EventType>, FieldSet)>,
    /// Group by what the condition says and the event types: equal conditions print alike.
    known: BTreeMap<(String, Vec<EventType>), usize>,
}

impl Grouping {
    /// Lets a rule or model join the group of its condition and event types; `fields` are what it reads besides.
    pub fn join(
        &mut self,
        condition: &Condition,
        events: &[EventType],
        fields: FieldSet,
        join: impl FnOnce(&mut Group),
    ) {
        let kinds: Vec<EventType> =
            EventType::ALL.iter().copied().filter(|k| events.iter().any(|e| k.is_a(*e))).collect();
        let key = (format!("{:?}", condition.quick()), kinds.clone());
        let next = self.groups.len();
        let at = *self.known.entry(key).or_insert(next);
        if at == next {
            let required = condition.quick().must_have();
            let group = Group { condition: condition.clone(), required, rules: Vec::new(), models: Vec::new() };
            self.groups.push((group, kinds, condition.reads()));
        }
        if let Some((group, _, wanted)) = self.groups.get_mut(at) {
            *wanted = wanted.union(fields);
            join(group);
        }
    }

    /// The screen over all groups.
    pub fn finish(self) -> Screen {
        let kinds = EventType::ALL.iter().map(|kind| self.kind(*kind)).collect();
        Screen { groups: self.groups.into_iter().map(|(group, ..)| group).collect(), kinds }
    }

    fn kind(&self, kind: EventType) -> KindScreen {
        let of_kind = || self.groups.iter().enumerate().filter(|(_, (_, kinds, _))| kinds.contains(&kind));
        let conditions = |wanted: &dyn Fn(&Condition) -> bool| {
            let all = of_kind().map(|(at, (group, ..))| (at, &group.condition));
            all.filter(|(_, condition)| wanted(condition)).collect::<Vec<_>>()
        };
        let words = self.groups.len().div_ceil(64);
        let recurs =
            |condition: &Condition| condition.asks().is_some_and(|asked| asked.0 & !FieldSet::RECURRING.0 == 0);
        let asked = conditions(&recurs).iter().filter_map(|(_, c)| c.asks()).fold(FieldSet::default(), FieldSet::union);
        let remembers = asked.contains(Field::CommandLine);
        let finder = |groups: Vec<(usize, &Condition)>| Finder::new(groups.into_iter(), words);
        let is_open = |c: &Condition| !c.quick().is_decided_by(FieldSet::RECURRING);
        let open = conditions(&is_open).iter().map(|(at, _)| *at as u32).collect();
        let others = conditions(&|c| !(remembers && recurs(c)));
        let others = if others.is_empty() { None } else { Some(finder(others)) };
        let recurring = remembers.then(|| finder(conditions(&recurs)));
        let mut wanted = of_kind().fold(FieldSet::default(), |all, (_, (.., wanted))| all.union(*wanted));
        let reads_command = wanted.contains(Field::CommandLine);
        for finder in recurring.iter().chain(&others) {
            wanted = wanted.union(finder.looks_up());
        }
        KindScreen {
            recurring: recurring.map(|finder| {
                let asked: Vec<Field> = asked.union(finder.looks_up()).iter().collect();
                let is_besides = |field: &Field| !FieldSet::OF_PROGRAM.contains(*field);
                let besides = asked.iter().copied().filter(is_besides).collect();
                Recurring { finder, asked, besides, open }
            }),
            others,
            wanted,
            reads_command,
        }
    }
}
