//! Departments of users: few names that many users share, each kept once.

use crate::batch::KeyHasher;
use hashbrown::HashTable;

/// A department; 0 is none.
pub type DepartmentId = u32;

/// Names with how many users have them.
#[derive(Debug)]
pub struct Departments {
    /// The first one is taken by "none".
    names: Vec<(Box<str>, u32)>,
    free: Vec<DepartmentId>,
    by_name: HashTable<DepartmentId>,
    hasher: KeyHasher,
}

impl Departments {
    /// No departments yet.
    pub fn new(hasher: KeyHasher) -> Departments {
        Departments { names: vec![(Box::default(), 0)], free: Vec::new(), by_name: HashTable::new(), hasher }
    }

    /// The name of a department.
    pub fn name(&self, id: DepartmentId) -> Option<&str> {
        if id == 0 { None } else { self.names.get(id as usize).map(|(name, _)| &**name) }
    }

    /// A user moves from one department to another.
    pub fn replace(&mut self, id: DepartmentId, name: Option<&str>) -> DepartmentId {
        let new = name.map_or(0, |name| self.take(name));
        self.leave(id);
        new
    }

    fn take(&mut self, name: &str) -> DepartmentId {
        let hash = self.hasher.hash(name.as_bytes());
        let names = &mut self.names;
        if let Some(id) = self.by_name.find(hash, |id| name_in(names, *id) == name).copied() {
            if let Some((_, users)) = names.get_mut(id as usize) {
                *users += 1;
            }
            return id;
        }
        let id = self.free.pop().unwrap_or_else(|| {
            names.push((Box::default(), 0));
            (names.len() - 1) as DepartmentId
        });
        if let Some(place) = names.get_mut(id as usize) {
            *place = (name.into(), 1);
        }
        let hasher = &self.hasher;
        self.by_name.insert_unique(hash, id, |id| hasher.hash(name_in(names, *id).as_bytes()));
        id
    }

    /// A user leaves; a department without users is forgotten.
    fn leave(&mut self, id: DepartmentId) {
        let Some((name, users)) = self.names.get_mut(id as usize).filter(|_| id != 0) else { return };
        *users -= 1;
        if *users > 0 {
            return;
        }
        let hash = self.hasher.hash(name.as_bytes());
        *name = Box::default();
        if let Ok(entry) = self.by_name.find_entry(hash, |other| *other == id) {
            entry.remove();
        }
        self.free.push(id);
    }
}

fn name_in(names: &[(Box<str>, u32)], id: DepartmentId) -> &str {
    names.get(id as usize).map_or("", |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(crate::effort::cases())]

        #[test]
        fn everyone_keeps_the_name_that_was_given_last_and_unused_names_leave(
            moves in prop::collection::vec((0usize..6, prop::option::of("[a-d]{1,2}")), 1..60),
        ) {
            let mut departments = Departments::new(KeyHasher::default());
            let (mut ids, mut plain) = (vec![0; 6], vec![None; 6]);
            for (who, name) in moves {
                ids[who] = departments.replace(ids[who], name.as_deref());
                plain[who] = name;
                for (id, name) in ids.iter().zip(&plain) {
                    prop_assert_eq!(departments.name(*id), name.as_deref());
                }
                let mut used: Vec<&String> = plain.iter().flatten().collect();
                used.sort();
                used.dedup();
                prop_assert_eq!(departments.by_name.len(), used.len());
                prop_assert_eq!(departments.names.len() - 1 - departments.free.len(), used.len());
            }
        }
    }
}
