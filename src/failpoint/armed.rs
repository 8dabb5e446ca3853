//! What a build with debug assertions does at its failpoints.

use super::Point;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

enum Plan {
    Nothing,
    Abort(Point, u64),
    Stall(Point),
    Jitter(u64),
}

static PLAN: OnceLock<Plan> = OnceLock::new();
static REACHED: AtomicU64 = AtomicU64::new(0);

/// The process has come to this place.
pub fn reach(point: Point) {
    match PLAN.get_or_init(|| read(&std::env::var("EXFIL_AGENT_FAIL").unwrap_or_default())) {
        Plan::Nothing => {}
        Plan::Abort(at, nth) if *at == point => {
            if REACHED.fetch_add(1, Ordering::SeqCst) + 1 == *nth {
                std::process::abort();
            }
        }
        Plan::Stall(at) if *at == point => loop {
            std::thread::sleep(Duration::from_secs(60));
        },
        Plan::Abort(..) | Plan::Stall(_) => {}
        Plan::Jitter(seed) => std::thread::sleep(lost_time(*seed, REACHED.fetch_add(1, Ordering::Relaxed))),
    }
}

/// How long to wait before something that failed is tried again: as long as the caller says, but not longer than
/// `EXFIL_AGENT_LONGEST_PAUSE_MS`.
pub fn pause(usual: Duration) -> Duration {
    static LONGEST: OnceLock<Duration> = OnceLock::new();
    let longest = || std::env::var("EXFIL_AGENT_LONGEST_PAUSE_MS").ok()?.parse().ok().map(Duration::from_millis);
    usual.min(*LONGEST.get_or_init(|| longest().unwrap_or(Duration::MAX)))
}

/// Two of three times nothing, else up to 3 ms.
fn lost_time(seed: u64, n: u64) -> Duration {
    let mut x = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(n.wrapping_mul(0xD1B5_4A32_D192_ED03));
    x = (x ^ (x >> 31)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x ^= x >> 29;
    if x.is_multiple_of(3) { Duration::from_micros((x >> 8) % 3000) } else { Duration::ZERO }
}

fn read(text: &str) -> Plan {
    let point = |name: &str| Point::ALL.iter().copied().find(|p| p.name() == name);
    match text.split_once('=') {
        Some(("abort", rest)) => {
            let (name, nth) = rest.split_once(':').unwrap_or((rest, "1"));
            point(name).zip(nth.parse().ok()).map_or(Plan::Nothing, |(point, nth)| Plan::Abort(point, nth))
        }
        Some(("stall", name)) => point(name).map_or(Plan::Nothing, Plan::Stall),
        Some(("jitter", seed)) => seed.parse().map_or(Plan::Nothing, Plan::Jitter),
        _ => Plan::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variable_names_a_place_and_how_often() {
        assert!(matches!(read("abort=commit-synced:3"), Plan::Abort(Point::CommitSynced, 3)));
        assert!(matches!(read("abort=open-locked"), Plan::Abort(Point::OpenLocked, 1)));
        assert!(matches!(read("stall=deliver-begun"), Plan::Stall(Point::DeliverBegun)));
        assert!(matches!(read("jitter=9"), Plan::Jitter(9)));
        assert!(matches!(read(""), Plan::Nothing));
        assert!(matches!(read("abort=nowhere"), Plan::Nothing));
    }

    #[test]
    fn every_place_has_a_name_of_its_own() {
        let names: std::collections::BTreeSet<String> = Point::ALL.iter().map(|p| p.name()).collect();
        assert_eq!(names.len(), Point::ALL.len());
    }
}
