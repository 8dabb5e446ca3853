//! Models against definitions, on a store made by hand.

use super::*;
use crate::alert::EntityKind;
use crate::config::Settings;
use crate::state::record::{BinRecord, InstanceRecord};
use tempfile::TempDir;

fn definition(revision: u32, digest: &str) -> Definition {
    Definition { id: "M".into(), revision, digest: digest.into(), file: "m.toml".into() }
}

/// A store in which the models M and N have learned about two users.
fn learned(dir: &TempDir, record: Option<ModelRecord>) -> Store {
    let mut store = Store::open(dir.path(), &super::super::options(&Settings::default())).unwrap().0;
    let mut delta = Delta::default();
    for user in [b"ann".to_vec(), b"bob".to_vec()] {
        let kind = EntityKind::User;
        let once = vec![("M".to_owned(), 7, vec![1]), ("N".to_owned(), 7, vec![2])];
        let entity = EntityRecord { latest: Some(7), once, ..EntityRecord::default() };
        delta.put(&Key::Entity(kind, user.clone()).encode(), &codec::encode(&entity));
        for model in ["M", "N"] {
            let instance = Key::Instance(kind, user.clone(), model.into());
            delta.put(&instance.encode(), &codec::encode(&InstanceRecord::default()));
            let bin = Key::Bin(kind, user.clone(), model.into(), b"v".to_vec());
            delta.put(&bin.encode(), &codec::encode(&BinRecord::default()));
        }
    }
    let agent = AgentRecord { newest_day: Some(9), ..AgentRecord::default() };
    delta.put(&Key::Agent.encode(), &codec::encode(&agent));
    if let Some(record) = record {
        delta.put(&Key::Model("M".into()).encode(), &codec::encode(&record));
    }
    store.commit(&mut delta).unwrap();
    store
}

/// Instances and bins, and marks, by model.
fn left(store: &Store) -> [usize; 4] {
    let mut counts = [0; 4];
    let each = |key: &[u8], value: &[u8]| {
        match Key::decode(key).unwrap() {
            Key::Instance(_, _, model) | Key::Bin(_, _, model, _) => counts[usize::from(model == "N")] += 1,
            Key::Entity(..) => {
                for once in codec::decode::<EntityRecord>(value).unwrap().once {
                    counts[2 + usize::from(once.0 == "N")] += 1;
                }
            }
            _ => {}
        }
        true
    };
    store.each(each).unwrap();
    counts
}

fn record(store: &Store) -> ModelRecord {
    get(store, &Key::Model("M".into())).unwrap().unwrap()
}

fn known(revision: u32, definition: &str) -> ModelRecord {
    ModelRecord { revision, definition: definition.into(), anew_since: None }
}

#[test]
fn the_same_definition_goes_on_and_an_unknown_model_is_adopted() {
    let dir = TempDir::new().unwrap();
    let mut store = learned(&dir, None);
    let in_line = bring_in_line(&mut store, &[definition(3, "a")]).unwrap();
    assert_eq!(in_line.adopted, [(Key::Model("M".into()), known(3, "a"))]);
    assert!(in_line.anew.is_empty());
    put(&mut store, "M", &known(3, "a")).unwrap();
    let in_line = bring_in_line(&mut store, &[definition(3, "a")]).unwrap();
    assert!(in_line.adopted.is_empty() && in_line.anew.is_empty());
    assert_eq!(left(&store), [4, 4, 2, 2]);
}

#[test]
fn another_definition_under_the_same_revision_is_refused_and_changes_nothing() {
    let dir = TempDir::new().unwrap();
    let mut store = learned(&dir, Some(known(3, "a")));
    let error = bring_in_line(&mut store, &[definition(3, "b")]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "model M (m.toml): its definition is not the one by which it has learned, but it has the same revision 3; \
         give it a new revision: it will be learned anew"
    );
    assert_eq!((left(&store), record(&store)), ([4, 4, 2, 2], known(3, "a")));
}

#[test]
fn another_revision_forgets_what_the_model_has_learned_and_nothing_else() {
    for revision in [2, 4] {
        let dir = TempDir::new().unwrap();
        let mut store = learned(&dir, Some(known(3, "a")));
        let in_line = bring_in_line(&mut store, &[definition(revision, "a")]).unwrap();
        let anew = Anew { model: "M".into(), from: 3, to: revision, instances: 2, since: Some(9) };
        assert_eq!(in_line.anew, [anew]);
        assert_eq!(left(&store), [0, 4, 0, 2]);
        assert_eq!(record(&store), ModelRecord { anew_since: Some(9), ..known(revision, "a") });
    }
}

#[test]
fn what_an_interrupted_start_has_begun_is_ended_by_the_next_whatever_its_content() {
    for (revision, digest) in [(3, "a"), (4, "b")] {
        let dir = TempDir::new().unwrap();
        let leaving = ModelRecord { anew_since: Some(8), ..ModelRecord::default() };
        let mut store = learned(&dir, Some(leaving));
        let in_line = bring_in_line(&mut store, &[definition(revision, digest)]).unwrap();
        assert_eq!((in_line.anew[0].from, in_line.anew[0].since), (0, Some(8)));
        assert_eq!(left(&store), [0, 4, 0, 2]);
        assert_eq!(record(&store), ModelRecord { anew_since: Some(8), ..known(revision, digest) });
    }
}
