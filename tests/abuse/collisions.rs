//! Keys that were chosen to have one hash: they do under a known seed, and fall apart under the agent's own.

use exfil_agent::batch::KeyHasher;
use std::collections::HashSet;
use std::hash::{BuildHasher, Hasher};

/// The constant of the hash that, without a seed of one's own, makes it forget the rest of a key of 16 bytes.
const WEAK: u64 = 0x3f84_d5b5_b547_0917;

fn chosen(n: u64) -> Vec<Vec<u8>> {
    (0..n).map(|i| [i.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_le_bytes(), WEAK.to_le_bytes()].concat()).collect()
}

/// How many entries a table of a quarter million places would have to look at, all lookups together.
fn comparisons(hashes: impl Iterator<Item = u64>) -> u64 {
    let mut places = std::collections::HashMap::<u64, u64>::new();
    for hash in hashes {
        *places.entry(hash >> 46).or_default() += 1;
    }
    places.values().map(|n| n * (n + 1) / 2).sum()
}

#[test]
fn keys_chosen_to_collide_cost_no_more_than_others() {
    let n = 100_000;
    let (chosen, random): (Vec<_>, Vec<Vec<u8>>) =
        (chosen(n), (0..n).map(|i| format!("user-{i:011}").into()).collect());
    let unseeded = |key: &Vec<u8>| {
        let mut hasher = foldhash::fast::FixedState::default().build_hasher();
        hasher.write(key);
        hasher.finish()
    };
    let attack = comparisons(chosen.iter().map(unseeded));
    assert!(attack > n * n / 4, "the attack works where the seed is known: {attack}");

    let hasher = KeyHasher::default();
    let (theirs, ours) =
        (comparisons(chosen.iter().map(|k| hasher.hash(k))), comparisons(random.iter().map(|k| hasher.hash(k))));
    assert!(theirs < 8 * ours, "{theirs} comparisons against {ours} of other keys");
    let distinct: HashSet<u64> = chosen.iter().map(|k| hasher.hash(k)).collect();
    assert_eq!(distinct.len() as u64, n);
}

#[test]
fn no_two_agents_place_a_key_alike() {
    let hashes: HashSet<u64> = (0..50).map(|_| KeyHasher::default().hash(b"corp\\anna")).collect();
    assert!(hashes.len() > 45, "{} of 50", hashes.len());
}
