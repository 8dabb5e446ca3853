//! Failures, and commits without a pause, as the store thread takes them.

use super::*;
use crate::state::record::SCHEMA;
use crate::store::OnDamage;

const FOLDS_SOON: StoreOptions = StoreOptions {
    max_delta_bytes: 8 << 10,
    schema: SCHEMA,
    ascending: b"",
    on_damage: OnDamage::Refuse,
    snapshots_kept: 0,
};

/// Everything is committed when a fold fails: events and questions must not wait for a commit that nobody makes.
#[test]
fn a_store_that_a_failed_fold_has_closed_is_opened_again_without_a_commit() {
    let dir = tempfile::tempdir().unwrap();
    let (mut store, _) = Store::open(dir.path(), &FOLDS_SOON).unwrap();
    for n in 0..u8::MAX {
        let value: Vec<u8> = (0..=n).map(|i| i.wrapping_mul(n)).collect();
        store.commit(&mut [([n], Some(value))].into_iter().collect()).unwrap();
    }
    assert!(store.fold_due());
    let (loads, loaded) = bounded(4);
    let status = Arc::default();
    let mut durable = Durable {
        known: store.known(),
        store: Some(store),
        dir: dir.path().to_owned(),
        options: FOLDS_SOON,
        snapshots: Snapshots::new(None),
        compact_min_bytes: u64::MAX,
        closed: Setback::default(),
        folding: Setback::default(),
        status: Arc::clone(&status),
        loads,
        restores: bounded(4).0,
    };
    let failing = || status.lock().unwrap().failing.clone();
    let (place, aside) = (dir.path().join("sled/db"), dir.path().join("aside"));
    std::fs::rename(&place, &aside).unwrap();
    durable.fold();
    std::fs::rename(&aside, &place).unwrap();
    assert!(durable.store.is_none() && failing().is_some_and(|why| why.contains("sled/db")), "{:?}", failing());

    let (commands, inbox) = bounded(4);
    let (done, _committed) = bounded(4);
    let thread = std::thread::spawn(move || durable.run(&inbox, &done));
    let since = Instant::now();
    let records = loop {
        commands.send(Command::Load(vec![vec![7]])).unwrap();
        match loaded.recv().unwrap() {
            Ok(records) => break records,
            Err(e) => assert!(e.is_transient() && since.elapsed() < Duration::from_secs(60), "{e}"),
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    assert_eq!(records[0].len(), 1);
    while failing().is_some() {
        assert!(since.elapsed() < Duration::from_secs(60), "{:?}", failing());
        std::thread::sleep(Duration::from_millis(20));
    }
    commands.send(Command::Close).unwrap();
    thread.join().unwrap().unwrap();
}

/// Commits stand in line, so that there is never a pause: what is not folded stays in memory, and must stay little.
#[test]
fn folding_keeps_up_with_commits_that_leave_no_pause() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(dir.path(), &FOLDS_SOON).unwrap();
    let backing = Backing::Durable {
        store: Box::new(store),
        dir: dir.path().to_owned(),
        options: FOLDS_SOON,
        snapshot_every: None,
        compact_min_bytes: u64::MAX,
    };
    let committer = Committer::spawn(backing).unwrap();
    let commands = committer.commands.clone();
    let sender = std::thread::spawn(move || {
        for n in 0..400u32 {
            let delta = [([n as u8 % 8], Some([n as u8; 1000]))].into_iter().collect();
            commands.send(Command::Commit(delta)).unwrap();
        }
    });
    let mut most = 0;
    for _ in 0..400 {
        committer.committed.recv().unwrap();
        most = most.max(committer.status.lock().unwrap().stats.delta_bytes);
    }
    sender.join().unwrap();
    committer.close().unwrap();
    // These values take almost nothing when packed, so that a quarter of their length counts. Twice the limit is overdue.
    assert!((32 << 10..72 << 10).contains(&most), "{most} bytes were not folded");
}
