//! A delta on the disk: `Store::commit`, from edits to the end of its fdatasync. The disk is that of the temporary directory
//! (`TMPDIR`).

use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use exfil_agent::state::record::SCHEMA;
use exfil_agent::store::{Delta, OnDamage, Store, StoreOptions};

const VALUE_BYTES: usize = 40;

/// Edits of one commit: what an event at idle changes, what a busy second changes, what a backlog changes.
#[divan::bench(args = [1, 1_000, 20_000], sample_count = 50, sample_size = 1)]
fn commit(bencher: Bencher<'_, '_>, edits: usize) {
    let dir = tempfile::tempdir().unwrap();
    let options = StoreOptions {
        max_delta_bytes: 4 << 20,
        schema: SCHEMA,
        ascending: b"",
        on_damage: OnDamage::Refuse,
        snapshots_kept: 0,
    };
    let (store, _) = Store::open(dir.path(), &options).unwrap();
    let (mut round, store) = (0, std::cell::RefCell::new(store));
    let delta = || {
        // What the store thread does when it has nothing else to do.
        let mut store = store.borrow_mut();
        while store.fold_due() {
            store.fold_step().unwrap();
        }
        round += 1;
        delta(edits, round)
    };
    let bytes = self::delta(edits, 0).bytes();
    let bencher = bencher.counter(ItemsCount::new(edits)).counter(BytesCount::new(bytes));
    bencher.with_inputs(delta).bench_local_refs(|delta| store.borrow_mut().commit(delta).unwrap());
}

fn delta(edits: usize, round: usize) -> Delta {
    let edit = |i: usize| (format!("corp\\user{:08}", (i * 7 + round) % 100_000), Some([i as u8; VALUE_BYTES]));
    (0..edits).map(edit).collect()
}
