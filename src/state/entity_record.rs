//! An entity's own record: from memory and back.

use super::departments::Departments;
use super::entity::Entity;
use super::names::Names;
use super::record::EntityRecord;

impl Entity {
    /// About how many bytes its record has.
    pub(super) fn record_bytes(&self) -> usize {
        let known = self.known();
        let once: usize = known.once.iter().map(|o| o.2.len()).sum();
        96 + known.history.len() * 48 + (known.sums.len() + known.history_by_value.len()) * 96 + once * 9
    }

    /// What the store keeps.
    pub(super) fn record(&self, names: &Names, departments: &Departments) -> EntityRecord {
        let known = self.known();
        EntityRecord {
            latest: self.latest(),
            department: departments.name(self.department).map(str::to_owned),
            history: known.history.clone(),
            history_by_value: known.history_by_value.iter().map(|h| (h.0, h.1.to_vec(), h.2.clone())).collect(),
            sums: known
                .sums
                .iter()
                .filter_map(|s| Some((names.rules.get(s.0 as usize)?.clone(), s.1, s.2.to_vec(), s.3)))
                .collect(),
            once: known
                .once
                .iter()
                .filter_map(|o| Some((names.models.get(o.0 as usize)?.clone(), o.1, o.2.clone())))
                .collect(),
        }
    }

    /// Takes what its record says, but for the department. Sums and trainings of rules and models that are gone are left behind.
    pub(super) fn restore(&mut self, record: EntityRecord, names: &Names) {
        self.set_latest(record.latest);
        if record.history.is_empty()
            && record.history_by_value.is_empty()
            && record.sums.is_empty()
            && record.once.is_empty()
        {
            return;
        }
        let known = self.learn();
        known.history = record.history;
        known.history_by_value = record.history_by_value.into_iter().map(|h| (h.0, h.1.into(), h.2)).collect();
        known.sums = record.sums.into_iter().filter_map(|s| Some((names.rule(&s.0)?, s.1, s.2.into(), s.3))).collect();
        known.history_by_value.sort_unstable_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
        // Indices of rules may have another order than when the record was written.
        known.sums.sort_unstable();
        known.once = record.once.into_iter().filter_map(|o| Some((names.model(&o.0)?, o.1, o.2))).collect();
    }
}
