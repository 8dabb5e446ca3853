//! What a parser makes of an activity.

use super::field_map::{Base, Plan, Source, TypeOverride};
use super::keys::{KeyId, KeySet};
use crate::event::{EventType, FieldSet};

/// One activity of one parser.
#[derive(Debug)]
pub(super) struct Claim {
    /// No other claim of any table has the same.
    pub number: u64,
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
        if self.overrides.iter().any(|change| change.instead_of.contains(&self.kind)) {
            // What the event is may depend on fields that do not recur.
            self.variants
                .iter_mut()
                .map(|(_, plan)| plan)
                .chain([&mut self.plan])
                .for_each(|plan| plan.recurring = None);
        }
    }

    /// Makes every key that it reads end free text.
    pub fn add_keys_to_ends(&mut self) {
        let mut ends = self.ends;
        self.visit(&mut |source| match &source.base {
            Base::Key(key) => ends.insert(*key),
            Base::Json { keys, .. } => keys.iter().for_each(|k| ends.insert(*k)),
            Base::Header(_) | Base::Field(_) | Base::Join(_) => {}
        });
        self.variants.iter().flat_map(|(keys, _)| keys).for_each(|k| ends.insert(*k));
        self.ends = ends;
    }

    /// Adds the keys of whose values some field is a member.
    pub fn add_json_keys(&self, set: &mut KeySet) {
        self.visit(&mut |source| {
            if let Base::Json { keys, .. } = &source.base {
                keys.iter().for_each(|k| set.insert(*k));
            }
        });
    }

    /// Shows every source to `see`.
    fn visit(&self, see: &mut impl FnMut(&Source)) {
        let plans = self.variants.iter().map(|(_, plan)| plan).chain([&self.plan]);
        let fields = plans.flat_map(|plan| &plan.fields).map(|(_, sources)| sources);
        for sources in fields.chain(self.overrides.iter().map(|o| &o.value)) {
            sources.iter().for_each(|s| s.visit(see));
        }
    }
}
