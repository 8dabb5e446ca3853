//! Any sequence of commits, folds, restarts and crashes leaves exactly what a plain map would hold.

use super::*;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Action {
    Commit(Vec<(u8, Option<u16>)>),
    /// So many more numbers of so many bytes each; the first ones leave beyond so many. Beside them, changes of any number that
    /// break the promise.
    Number {
        more: u16,
        len: u16,
        kept: u16,
        others: Vec<(u16, Option<u16>)>,
    },
    FoldStep,
    FoldAll,
    Compact,
    Reopen,
    Crash,
}

fn numbering() -> impl Strategy<Value = Action> {
    let other = (0..400_u16, prop::option::of(0..2_000_u16));
    let others = prop_oneof![4 => Just(Vec::new()), 1 => prop::collection::vec(other, 1..30)];
    let numbers = (1..120_u16, 0..1_500_u16, prop_oneof![Just(0), Just(60), Just(9_999)], others);
    numbers.prop_map(|(more, len, kept, others)| Action::Number { more, len, kept, others })
}

fn action() -> impl Strategy<Value = Action> {
    let value = prop_oneof![8 => 0..900u16, 1 => 5_900..6_300u16, 1 => 12_000..40_000u16];
    let change = (any::<u8>(), prop_oneof![3 => value.prop_map(Some), 1 => Just(None)]);
    prop_oneof![
        6 => prop::collection::vec(change, 0..60).prop_map(Action::Commit),
        6 => numbering(),
        6 => Just(Action::FoldStep),
        1 => Just(Action::FoldAll),
        1 => Just(Action::Compact),
        1 => Just(Action::Reopen),
        3 => Just(Action::Crash),
    ]
}

/// Keys of several shapes: shared beginnings, one the beginning of another, families of two, some long.
fn key(n: u8) -> Vec<u8> {
    match n % 4 {
        0 => format!("bin/model-a/user{:03}\0\x01", n).into_bytes(),
        1 => format!("bin/model-a/user{:03}\0\x01value/{}", n - 1, "x".repeat(n as usize)).into_bytes(),
        2 => vec![b'f', n],
        _ => vec![n],
    }
}

fn number(n: u16) -> Vec<u8> {
    [ASCENDING, &n.to_be_bytes()].concat()
}

fn check(store: &Store, model: &Model) -> Result<(), TestCaseError> {
    prop_assert_eq!(&all(store), model);
    for n in 0..=u8::MAX {
        prop_assert_eq!(store.get(&key(n)).unwrap(), model.get(&key(n)).cloned());
    }
    for prefix in [b"bin/model-a/user100".as_slice(), b"f", b"bin/", b"nothing", ASCENDING, b"o/\0"] {
        let found = store.scan(b"", prefix, usize::MAX).unwrap();
        let wanted = model.iter().filter(|(k, _)| k.starts_with(prefix)).map(|(k, v)| (k.clone(), v.clone()));
        prop_assert_eq!(found, wanted.collect::<Vec<_>>());
    }
    let (from, end) = (b"bin/model-a/user0".as_slice(), b"bin/model-a/user2".as_slice());
    for most in [1, 2_000, usize::MAX] {
        let (mut found, mut next) = (Vec::new(), Some(from.to_vec()));
        while let Some(at) = next {
            let (piece, then) = store.piece(&at, end, most, true).unwrap();
            prop_assert!(piece.bytes() >= most || then.is_none());
            let family = |key: &[u8]| key[..from.len() + 2].to_vec();
            let before = found.last().map(|(key, _): &(Vec<u8>, Vec<u8>)| family(key));
            found.extend(piece.iter().map(|(key, value)| (key.to_vec(), value.to_vec())));
            prop_assert!(piece.iter().next().is_none_or(|(key, _)| Some(family(key)) != before), "torn apart");
            next = then;
        }
        let wanted = model.range(from.to_vec()..end.to_vec()).map(|(k, v)| (k.clone(), v.clone()));
        let wanted = wanted.collect::<Vec<_>>();
        prop_assert_eq!(&found, &wanted);
        let (torn, then) = store.piece(from, end, most, false).unwrap();
        let torn = torn.iter().map(|(key, value)| (key.to_vec(), value.to_vec())).collect::<Vec<_>>();
        prop_assert!(wanted.starts_with(&torn) && then.as_ref() == wanted.get(torn.len()).map(|(key, _)| key));
        prop_assert!(most > 1 || torn.len() <= 1);
    }
    prop_assert!(store.most_records() >= model.len() as u64);
    prop_assert_eq!(store.stats().blobs, 0);
    Ok(())
}

fn run(actions: Vec<Action>) -> Result<(), TestCaseError> {
    let root = scratch();
    let (mut generation, mut epoch) = (0, 0);
    let dir = |generation: u32| root.path().join(generation.to_string());
    let mut store = open(&dir(generation));
    let mut model = Model::new();
    let (mut first, mut next) = (0, 0);
    for action in actions {
        match action {
            Action::Number { more, len, kept, others } => {
                let mut edits: Vec<Owned> = Vec::new();
                edits.extend(
                    (next..next + more).map(|n| put(number(n), noise(epoch * 1000 + u64::from(n), len.into()))),
                );
                next += more;
                while next - first > kept {
                    edits.push(removal(number(first)));
                    first += 1;
                }
                edits.extend(others.into_iter().map(|(n, len)| {
                    len.map_or_else(
                        || removal(number(n)),
                        |len| put(number(n), noise(epoch + u64::from(n), len.into())),
                    )
                }));
                epoch += 1;
                prop_assert_eq!(commit(&mut store, &mut model, edits), epoch);
                continue;
            }
            Action::Commit(changes) => {
                let edits = changes.iter().enumerate().map(|(i, (n, len))| {
                    len.map_or_else(|| removal(key(*n)), |len| put(key(*n), noise(epoch * 1000 + i as u64, len.into())))
                });
                let edits: Vec<Owned> = edits.collect();
                epoch += u64::from(!edits.is_empty());
                prop_assert_eq!(commit(&mut store, &mut model, edits), epoch);
                continue;
            }
            Action::FoldStep => {
                store.fold_step().unwrap();
                continue;
            }
            Action::FoldAll => {
                fold_all(&mut store);
                prop_assert_eq!(store.stats().delta_bytes, 0);
                prop_assert_eq!(store.stats().records, model.len() as u64);
                prop_assert!(!store.fold_due());
            }
            Action::Compact => store.compact().unwrap(),
            Action::Reopen => {
                let unfolded = store.stats().delta_bytes;
                store.close().unwrap();
                store = open(&dir(generation));
                prop_assert_eq!(store.stats().delta_bytes, unfolded);
            }
            Action::Crash => {
                copy_dir(&dir(generation), &dir(generation + 1));
                generation += 1;
                let unfolded = store.stats().delta_bytes;
                store = open(&dir(generation));
                prop_assert_eq!(store.stats().delta_bytes, unfolded);
            }
        }
        prop_assert_eq!(store.stats().epoch, epoch);
        check(&store, &model)?;
    }
    check(&store, &model)
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 200, ..crate::effort::cases_of(48) })]
    #[test]
    fn any_history_equals_a_plain_map(actions in prop::collection::vec(action(), 1..40)) {
        run(actions)?;
    }
}

/// The directory is copied before every step of a fold, with commits in between; each copy must open with what was
/// committed until then, and finish the fold by itself.
#[test]
fn a_crash_between_any_two_steps_of_a_fold_loses_nothing() {
    let root = scratch();
    let dir = root.path().join("live");
    let mut store = open(&dir);
    let mut model = Model::new();
    for round in 0..2u64 {
        let edits = (0..12_000).map(|i| put(format!("user/{:05}", i * 7 % 30_000), noise(i + round, 90)));
        commit(&mut store, &mut model, edits.collect());
        let (mut step, mut more) = (0u64, true);
        while more {
            let copy = root.path().join(format!("{round}-{step}"));
            copy_dir(&dir, &copy);
            let mut other = open(&copy);
            assert_eq!(all(&other), model, "round {round}, step {step}");
            fold_all(&mut other);
            assert_eq!(all(&other), model, "round {round}, step {step}, folded");
            drop(other);
            fs::remove_dir_all(copy).unwrap();

            more = store.fold_step().unwrap();
            step += 1;
            if step % 3 == 0 && step < 12 {
                let early = put(format!("user/{:05}", step), noise(step, 50));
                let late = removal(format!("user/{:05}", 29_000 + step * 7));
                commit(&mut store, &mut model, vec![early, late]);
            }
        }
        assert!(step >= 5, "{step} steps are too few to prove anything");
    }
}
