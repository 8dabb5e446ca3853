//! Times as records write them. Everything is UTC.

use super::details::push_number;
use super::plan::{DAY_MS, day_of};
use crate::calendar::{Day, format_day};

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Formats instants; remembers the last day's date.
#[derive(Debug, Default)]
pub struct Clock {
    day: Option<Day>,
    iso: String,
    syslog: String,
}

impl Clock {
    /// `2026-03-02T08:15:00`.
    pub fn push_iso(&mut self, ms: i64, out: &mut String) {
        self.turn_to(day_of(ms));
        out.push_str(&self.iso);
        out.push('T');
        push_time(ms, out);
    }

    /// `Mar  2 08:15:00`.
    pub fn push_syslog(&mut self, ms: i64, out: &mut String) {
        self.turn_to(day_of(ms));
        out.push_str(&self.syslog);
        out.push(' ');
        push_time(ms, out);
    }

    fn turn_to(&mut self, day: Day) {
        if self.day == Some(day) {
            return;
        }
        self.day = Some(day);
        self.iso = format_day(day);
        let number = |from: usize, to: usize| self.iso.get(from..to).and_then(|t| t.parse::<usize>().ok()).unwrap_or(1);
        let month = MONTHS.get(number(5, 7).saturating_sub(1)).copied().unwrap_or("Jan");
        self.syslog = format!("{month} {:>2}", number(8, 10));
    }
}

fn push_time(ms: i64, out: &mut String) {
    let seconds = ms.rem_euclid(DAY_MS) / 1000;
    for (i, n) in [seconds / 3600, seconds / 60 % 60, seconds % 60].into_iter().enumerate() {
        if i > 0 {
            out.push(':');
        }
        if n < 10 {
            out.push('0');
        }
        push_number(out, n as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_padded_as_the_formats_want_it() {
        let mut clock = Clock::default();
        let mut out = String::new();
        clock.push_iso(1_772_439_302_123, &mut out);
        out.push(' ');
        clock.push_syslog(1_772_439_302_123, &mut out);
        assert_eq!(out, "2026-03-02T08:15:02 Mar  2 08:15:02");
    }
}
