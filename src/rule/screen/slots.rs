//! What a group that holds gives: hits of rules and trainings of models.

use crate::batch::{Hit, Training};
use crate::event::{EventView, Field, FieldSet, Span};
use crate::model::ModelSpec;
use crate::rule::{EntityKind, Rule, Verdict};

/// What a hit of a rule is made of.
#[derive(Clone, Copy, Debug)]
pub struct RuleSlot {
    /// Its index.
    pub index: u16,
    per: Option<Field>,
    amount: Option<Field>,
    feature: Option<Field>,
}

/// What a training of a model is made of.
#[derive(Clone, Copy, Debug)]
pub struct ModelSlot {
    /// Its index.
    pub index: u16,
    feature: Field,
    once_per: Option<Field>,
}

impl RuleSlot {
    /// Of a rule.
    pub fn of(index: usize, rule: &Rule, models: &[ModelSpec]) -> RuleSlot {
        let amount = match &rule.verdict {
            Verdict::Sum { amount, .. } => Some(*amount),
            _ => None,
        };
        let model = match &rule.verdict {
            Verdict::First { model } | Verdict::Abnormal { model, .. } | Verdict::Top { model, .. } => Some(*model),
            Verdict::Always | Verdict::Sum { .. } => None,
        };
        let feature = model.and_then(|m| models.get(usize::from(m))).map(|m| m.feature);
        RuleSlot { index: index as u16, per: rule.per, amount, feature }
    }

    /// The hit of an event for which the condition holds, if what the rule counts or adds up is there.
    pub fn hit(&self, event: EventView<'_>) -> Option<Hit> {
        // A model cannot judge a value that is not there.
        if self.feature.is_some_and(|f| !event.draft.present.contains(f)) {
            return None;
        }
        let amount = match self.amount {
            Some(field) => event.number(field).filter(|n| *n > 0)?,
            None => 0,
        };
        let value = self.per.map_or(Span::EMPTY, |f| event.draft.span(f));
        Some(Hit { rule: self.index, value, amount })
    }

    /// Fields that the rule reads besides its condition.
    pub fn reads(&self, rule: &Rule) -> FieldSet {
        let mut fields = FieldSet::default();
        for field in [self.per, self.amount, self.feature].into_iter().flatten() {
            fields.insert(field);
        }
        match rule.entity {
            EntityKind::User => {
                fields.insert(Field::UserKey);
                if rule.scores(false) == EntityKind::Host {
                    fields.insert(Field::HostKey);
                }
            }
            EntityKind::Host => fields.insert(Field::HostKey),
            EntityKind::Group | EntityKind::Agent => {}
        }
        fields
    }
}

impl ModelSlot {
    /// Of a model.
    pub fn of(index: usize, model: &ModelSpec) -> ModelSlot {
        ModelSlot { index: index as u16, feature: model.feature, once_per: model.once_per }
    }

    /// The training of an event for which the condition holds, if the model's value is there.
    pub fn training(&self, event: EventView<'_>) -> Option<Training> {
        event.draft.present.contains(self.feature).then(|| Training {
            model: self.index,
            value: event.draft.span(self.feature),
            once: self.once_per.map_or(Span::EMPTY, |f| event.draft.span(f)),
        })
    }

    /// Fields that the model reads besides its condition.
    pub fn reads(&self) -> FieldSet {
        let mut fields = FieldSet::of(self.feature);
        self.once_per.into_iter().for_each(|f| fields.insert(f));
        fields
    }
}
