//! Entities by number, in blocks: where there are many, growing neither moves nor copies them.

use super::entities::EntityId;
use super::entity::Entity;

/// Slots of a block: 192 KiB.
const BLOCK: usize = 4096;

/// Places of entities. A number stays valid until its entity is taken out; then it is given to another one.
#[derive(Debug, Default)]
pub(super) struct Slots {
    blocks: Vec<Vec<Option<Entity>>>,
    free: Vec<EntityId>,
}

impl Slots {
    /// How many places there are, free ones included.
    pub(super) fn len(&self) -> usize {
        self.blocks.last().map_or(0, |last| (self.blocks.len() - 1) * BLOCK + last.len())
    }

    /// The entity of a number.
    #[inline]
    pub(super) fn get(&self, id: EntityId) -> Option<&Entity> {
        self.blocks.get(id as usize / BLOCK)?.get(id as usize % BLOCK)?.as_ref()
    }

    /// The same, to change.
    #[inline]
    pub(super) fn get_mut(&mut self, id: EntityId) -> Option<&mut Entity> {
        self.blocks.get_mut(id as usize / BLOCK)?.get_mut(id as usize % BLOCK)?.as_mut()
    }

    /// Puts an entity into a free place.
    pub(super) fn put(&mut self, entity: Entity) -> EntityId {
        if let Some(id) = self.free.pop() {
            let block = self.blocks.get_mut(id as usize / BLOCK);
            if let Some(place) = block.and_then(|block| block.get_mut(id as usize % BLOCK)) {
                *place = Some(entity);
            }
            return id;
        }
        let id = self.len() as EntityId;
        match self.blocks.last_mut().filter(|last| last.len() < BLOCK) {
            Some(last) => last.push(Some(entity)),
            None => {
                let mut block = Vec::with_capacity(BLOCK);
                block.push(Some(entity));
                self.blocks.push(block);
            }
        }
        id
    }

    /// Takes an entity out.
    pub(super) fn take(&mut self, id: EntityId) -> Option<Entity> {
        let entity = self.blocks.get_mut(id as usize / BLOCK)?.get_mut(id as usize % BLOCK)?.take()?;
        self.free.push(id);
        Some(entity)
    }

    /// All entities.
    pub(super) fn iter(&self) -> impl Iterator<Item = (EntityId, &Entity)> {
        (0..).zip(self.blocks.iter().flatten()).filter_map(|(id, entity)| Some((id, entity.as_ref()?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::EntityKind;

    #[test]
    fn places_are_used_again_and_blocks_follow_each_other() {
        assert_eq!(size_of::<Option<Entity>>(), 48, "there may be millions");
        let mut slots = Slots::default();
        let entity = |n: usize| Entity::new(EntityKind::User, n.to_string().as_bytes());
        for n in 0..BLOCK * 2 + 1 {
            assert_eq!(slots.put(entity(n)) as usize, n);
        }
        let gone = BLOCK as EntityId;
        assert_eq!(slots.take(gone).map(|e| e.key.to_vec()), Some(gone.to_string().into_bytes()));
        assert!(slots.take(gone).is_none() && slots.get(gone).is_none());
        assert_eq!((slots.iter().count(), slots.len()), (BLOCK * 2, BLOCK * 2 + 1));
        assert_eq!(slots.put(entity(7)), gone);
        assert_eq!(&*slots.get_mut(gone).unwrap().key, b"7");
        assert!(slots.iter().map(|(id, _)| id as usize).eq(0..BLOCK * 2 + 1));
    }
}
