//! What a parser makes of an activity.

use super::field_map::{Plan, TypeOverride, add_keys};
use super::keys::{KeyId, KeySet};
use crate::event::{EventType, FieldSet};

/// One activity of one parser.
#[derive(Debug)]
pub(super) struct Claim {
    /// Index of the parser.
    pub parser: u16,
    /// The event it becomes, unless a text says otherwise.
    pub kind: EventType,
    /// Fields.
    pub plan: Plan,
    /// Fields when one of some keys holds something; the first that applies counts.
    pub variants: Vec<(Vec<KeyId>, Plan)>,
    /// Texts that say otherwise.
    pub overrides: Vec<TypeOverride>,
    /// Keys that end free text.
    pub ends: KeySet,
}

impl Claim {
    /// The events it can become.
    pub fn event_types(&self) -> impl Iterator<Item = EventType> {
        let changed = self.overrides.iter().filter(|o| o.instead_of.contains(&self.kind)).map(|o| o.event_type);
        std::iter::once(self.kind).chain(changed)
    }

    /// The fields it can fill.
    pub fn produces(&self) -> FieldSet {
        let plans = self.variants.iter().map(|(_, plan)| plan).chain([&self.plan]);
        plans.fold(FieldSet::of(crate::event::Field::Activity), |set, plan| set.union(plan.produces()))
    }

    /// Says which fields someone wants, by event type.
    pub fn set_wanted(&mut self, wanted: &[FieldSet; EventType::COUNT]) {
        let becomes: Vec<EventType> = self.event_types().collect();
        let mut set = FieldSet::default();
        for (kind, fields) in EventType::ALL.iter().zip(wanted) {
            if becomes.iter().any(|b| b.is_a(*kind)) {
                set = set.union(*fields);
            }
        }
        // The type is settled after the fields are filled.
        for change in &self.overrides {
            set = set.union(super::field_map::reads(&change.value));
        }
        self.plan.want(set);
        self.variants.iter_mut().for_each(|(_, plan)| plan.want(set));
    }

    /// Makes every key that it reads end free text.
    pub fn add_keys_to_ends(&mut self) {
        for plan in self.variants.iter().map(|(_, plan)| plan).chain([&self.plan]) {
            plan.fields.iter().for_each(|(_, sources)| add_keys(sources, &mut self.ends));
        }
        self.variants.iter().flat_map(|(keys, _)| keys).for_each(|k| self.ends.insert(*k));
        self.overrides.iter().for_each(|o| add_keys(&o.value, &mut self.ends));
    }
}
