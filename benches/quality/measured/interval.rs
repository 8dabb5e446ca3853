//! 95 % confidence intervals. Of a share: Wilson's score interval (Wilson 1927), which stays inside 0 to 1 and is not empty when
//! everything was found. Of a rate: Byar's approximation to the exact Poisson interval (Breslow and Day 1987).

/// The normal quantile for 95 %, two-sided.
const Z: f64 = 1.959_963_985;

/// A number with its interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measured {
    pub value: f64,
    pub low: f64,
    pub high: f64,
}

/// `hits` of `all`; `None` where there is nothing to be a share of.
pub fn share(hits: u64, all: u64) -> Option<Measured> {
    if all == 0 {
        return None;
    }
    let (n, p) = (all as f64, hits as f64 / all as f64);
    let centre = (p + Z * Z / (2.0 * n)) / (1.0 + Z * Z / n);
    let half = Z / (1.0 + Z * Z / n) * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
    Some(Measured { value: p, low: (centre - half).max(0.0), high: (centre + half).min(1.0) })
}

/// `events` in so many units of exposure, for each thousand of them.
pub fn rate(events: u64, exposure: u64) -> Option<Measured> {
    if exposure == 0 {
        return None;
    }
    let x = events as f64;
    let low = if events == 0 { 0.0 } else { x * (1.0 - 1.0 / (9.0 * x) - Z / (3.0 * x.sqrt())).powi(3) };
    let y = x + 1.0;
    let high = y * (1.0 - 1.0 / (9.0 * y) + Z / (3.0 * y.sqrt())).powi(3);
    let scale = 1000.0 / exposure as f64;
    Some(Measured { value: x * scale, low: low * scale, high: high * scale })
}
