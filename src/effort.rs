//! How much the test programmes do: a little in `cargo test`, all of it in `make torture` (`EXFIL_AGENT_TORTURE=1`).
//!
//! `EXFIL_AGENT_SEED=n` runs one seed alone. Compiled into tests only, those of the library and those of `tests/`.

/// Whether this is `make torture`.
pub fn is_torture() -> bool {
    std::env::var_os("EXFIL_AGENT_TORTURE").is_some_and(|v| !v.is_empty())
}

/// A number of rounds, bytes or seconds: the first in `cargo test`, the second in `make torture`.
pub fn of(usual: usize, torture: usize) -> usize {
    if is_torture() { torture } else { usual }
}

/// How often a property test draws: 256 times in `cargo test`, 10,000 times in `make torture`. `PROPTEST_CASES` says
/// otherwise, for runs by hand. Nothing is written into the source tree: a failing case is printed, small, and becomes a
/// test of its own.
pub fn cases() -> proptest::test_runner::Config {
    cases_of(256)
}

/// The same for a test whose cases are quick, or slow: so many in `cargo test`.
pub fn cases_of(usual: u32) -> proptest::test_runner::Config {
    let by_hand = std::env::var_os("PROPTEST_CASES").is_some();
    let config = proptest::test_runner::Config { failure_persistence: None, ..Default::default() };
    let cases = if by_hand { config.cases } else { of(usual as usize, usual.max(10_000) as usize) as u32 };
    proptest::test_runner::Config { cases, ..config }
}

/// Runs a programme once for each seed. The seed of a failing run is printed with the command that repeats it.
pub fn for_seeds(test: &str, usual: usize, torture: usize, mut run: impl FnMut(u64)) {
    let alone = std::env::var("EXFIL_AGENT_SEED").ok().and_then(|s| s.parse().ok());
    let seeds = match alone {
        Some(seed) => seed..seed + 1,
        None => 1..of(usual, torture) as u64 + 1,
    };
    for seed in seeds {
        let named = Named { test, seed };
        run(seed);
        drop(named);
    }
}

struct Named<'a> {
    test: &'a str,
    seed: u64,
}

impl Drop for Named<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("seed {}; to repeat: EXFIL_AGENT_SEED={} cargo test {}", self.seed, self.seed, self.test);
        }
    }
}

/// Numbers that look random and follow from a seed (SplitMix64).
pub struct Draw(u64);

impl Draw {
    /// From a seed.
    pub fn new(seed: u64) -> Draw {
        Draw(seed.wrapping_mul(0x2545_F491_4F6C_DD1D))
    }

    /// The next number.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        x ^ (x >> 31)
    }

    /// A number below `n`; 0 when `n` is 0.
    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }
}
