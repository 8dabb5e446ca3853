//! An entity's own record: from memory and back.

use super::departments::Departments;
use super::entity::{Entity, Once, Sum, ValueHistory};
use super::names::Names;
use super::record::EntityRecord;
use crate::calendar::Day;
use crate::model::days::DaySet;
use serde::ser::{Serialize, SerializeSeq, Serializer};

/// An [`EntityRecord`] as it is written: the same members in the same order.
#[derive(serde::Serialize)]
struct Written<'a, S: Serialize, O: Serialize> {
    latest: Option<Day>,
    department: Option<&'a str>,
    history: &'a [(u8, DaySet)],
    history_by_value: &'a [ValueHistory],
    sums: S,
    once: O,
}

/// Entries under the names of what they are about; those of rules and models that are gone are left out.
struct Named<'a, E, N> {
    entries: &'a [E],
    name: N,
}

impl<'a, E, W: Serialize, N: Fn(&'a E) -> Option<W>> Serialize for Named<'a, E, N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let named = || self.entries.iter().filter_map(&self.name);
        let mut written = serializer.serialize_seq(Some(named().count()))?;
        named().try_for_each(|entry| written.serialize_element(&entry))?;
        written.end()
    }
}

impl Entity {
    /// About how many bytes its record has.
    pub(super) fn record_bytes(&self) -> usize {
        let known = self.known();
        let once: usize = known.once.iter().map(|o| o.2.len()).sum();
        96 + known.history.len() * 48 + (known.sums.len() + known.history_by_value.len()) * 96 + once * 9
    }

    /// What the store keeps: the bytes of an [`EntityRecord`], of which nothing is copied on the way.
    pub(super) fn record<'a>(&'a self, names: &'a Names, departments: &'a Departments) -> impl Serialize + 'a {
        let known = self.known();
        Written {
            latest: self.latest(),
            department: departments.name(self.department),
            history: &known.history,
            history_by_value: &known.history_by_value,
            sums: Named {
                entries: &known.sums,
                name: |s: &'a Sum| Some((names.rules.get(s.0 as usize)?, s.1, &s.2, s.3)),
            },
            once: Named {
                entries: &known.once,
                name: |o: &'a Once| Some((names.models.get(o.0 as usize)?, o.1, &o.2)),
            },
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::EntityKind;
    use crate::batch::KeyHasher;
    use crate::store::codec;

    #[test]
    fn what_is_written_reads_as_a_record() {
        let names = Names { rules: vec!["R1".into(), "R2".into()], models: vec!["M1".into()] };
        let mut days = DaySet::default();
        [20_000, 20_100].iter().for_each(|day| assert!(days.insert(*day, 400)));
        let mut departments = Departments::new(KeyHasher::default());
        let mut entity = Entity::new(EntityKind::User, b"corp\\ann");
        let empty: EntityRecord = codec::decode(&codec::encode(&entity.record(&names, &departments))).unwrap();
        assert_eq!(empty, EntityRecord::default());

        entity.set_latest(Some(20_100));
        entity.department = departments.replace(entity.department, Some("Sales"));
        let known = entity.learn();
        known.history = vec![(3, days.clone())];
        known.history_by_value = vec![(4, (*b"x.com").into(), days.clone())];
        // The second rule and the second model are gone.
        known.sums = vec![(1, 20_100, (*b"y.com").into(), 700), (2, 20_100, (*b"gone").into(), 1)];
        known.once = vec![(0, 20_099, vec![1, u64::MAX]), (1, 20_099, vec![5])];
        let record: EntityRecord = codec::decode(&codec::encode(&entity.record(&names, &departments))).unwrap();
        let expected = EntityRecord {
            latest: Some(20_100),
            department: Some("Sales".into()),
            history: vec![(3, days.clone())],
            history_by_value: vec![(4, b"x.com".to_vec(), days)],
            sums: vec![("R2".into(), 20_100, b"y.com".to_vec(), 700)],
            once: vec![("M1".into(), 20_099, vec![1, u64::MAX])],
        };
        assert_eq!(record, expected);
    }
}
