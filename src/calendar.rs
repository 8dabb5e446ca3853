//! Days, months and clock times in a configured zone. The only module that names jiff.
//!
//! Units: instants are milliseconds since the Unix epoch, UTC; a [`Day`] is the number of days since 1970-01-01 on the
//! zone's calendar. Detection asks this module about *event* times; the wall clock is read in [`wall_clock_ms`] alone.

use crate::swar::eight_digits;
use jiff::{Timestamp, ToSpan, civil, tz::TimeZone};
use std::cell::Cell;

/// A calendar day: days since 1970-01-01.
pub type Day = i32;

/// A time zone with a small cache: events come in near order, so the last day's bounds answer almost every question.
#[derive(Clone, Debug)]
pub struct Zone {
    zone: TimeZone,
    utc: bool,
    /// `(from, to, day)`: instants `from..to` lie on `day`.
    last: Cell<(i64, i64, Day)>,
}

/// Milliseconds of a day without a change of the clocks.
pub const DAY_MS: i64 = 86_400_000;

impl Zone {
    /// Coordinated universal time.
    pub fn utc() -> Zone {
        Zone { zone: TimeZone::UTC, utc: true, last: Cell::new((0, 0, 0)) }
    }

    /// A zone by its IANA name (`Europe/Berlin`).
    ///
    /// # Errors
    /// A sentence for the user when the name is unknown.
    pub fn named(name: &str) -> Result<Zone, String> {
        if name.eq_ignore_ascii_case("utc") {
            return Ok(Zone::utc());
        }
        let zone = TimeZone::get(name).map_err(|_| {
            format!("unknown time zone {name:?}; write an IANA name such as \"Europe/Berlin\" or \"UTC\"")
        })?;
        Ok(Zone { zone, utc: false, last: Cell::new((0, 0, 0)) })
    }

    /// The calendar day of an instant.
    #[inline]
    pub fn day_of(&self, ms: i64) -> Day {
        if self.utc {
            return ms.div_euclid(DAY_MS) as Day;
        }
        let (from, to, day) = self.last.get();
        if ms >= from && ms < to {
            return day;
        }
        self.look_up(ms)
    }

    fn look_up(&self, ms: i64) -> Day {
        let Ok(at) = Timestamp::from_millisecond(ms) else {
            return ms.div_euclid(DAY_MS) as Day;
        };
        let date = at.to_zoned_datetime(self.zone.clone()).date();
        let day = day_number(date);
        let bound = |d: civil::Date| d.to_zoned_datetime(self.zone.clone()).map(|z| z.timestamp().as_millisecond());
        if let (Ok(from), Ok(Ok(to))) = (bound(date), date.tomorrow().map(bound)) {
            self.last.set((from, to, day));
        }
        day
    }

    /// Reads `yyyy-MM-ddTHH:mm:ss[.fff][Z|±hh:mm]` (a blank instead of `T` is tolerated) or an epoch in seconds
    /// (10 digits) or milliseconds (13 digits). Times without an offset are in this zone.
    pub fn parse(&self, text: &str) -> Option<i64> {
        let text = text.trim();
        if let Some(ms) = parse_epoch(text.as_bytes()) {
            return Some(ms);
        }
        // An attempt in vain takes memory for its error, and most exports write no offset.
        if may_have_offset(text)
            && let Ok(at) = text.parse::<Timestamp>()
        {
            return Some(at.as_millisecond());
        }
        let at: civil::DateTime = text.parse().ok()?;
        at.to_zoned_datetime(self.zone.clone()).ok().map(|z| z.timestamp().as_millisecond())
    }
}

/// Whether anything behind a date `yyyy-MM-dd` or `yyyyMMdd` could be an offset.
fn may_have_offset(text: &str) -> bool {
    text.bytes().skip(8).any(|b| matches!(b, b'Z' | b'z' | b'+' | b'-') || !b.is_ascii())
}

/// How many digits an epoch has: of milliseconds, of seconds.
pub const EPOCH_DIGITS: [usize; 2] = [13, 10];

/// An epoch of 13 digits (milliseconds) or 10 digits (seconds).
#[inline]
pub fn parse_epoch(text: &[u8]) -> Option<i64> {
    if !EPOCH_DIGITS.contains(&text.len()) {
        return None;
    }
    let (head, tail) = text.split_last_chunk::<8>()?;
    let mut n = 0;
    for b in head {
        if !b.is_ascii_digit() {
            return None;
        }
        n = n * 10 + i64::from(b - b'0');
    }
    let n = n * 100_000_000 + i64::from(eight_digits(tail)?);
    Some(if text.len() == 10 { n * 1000 } else { n })
}

fn day_number(date: civil::Date) -> Day {
    (date - civil::date(1970, 1, 1)).get_days()
}

fn date_of(day: Day) -> Option<civil::Date> {
    civil::date(1970, 1, 1).checked_add(day.days()).ok()
}

/// A date in UTC by its parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Date {
    /// Year.
    pub year: i64,
    /// Month, from 1.
    pub month: i64,
    /// Day of the month, from 1.
    pub day: i64,
    /// Week of the year by ISO 8601, from 1.
    pub week: i64,
}

impl Date {
    /// The date of an instant; 1970-01-01 for one beyond the calendar.
    pub fn of(ms: i64) -> Date {
        let date = date_of(Zone::utc().day_of(ms)).unwrap_or(civil::date(1970, 1, 1));
        Date {
            year: date.year().into(),
            month: date.month().into(),
            day: date.day().into(),
            week: date.iso_week_date().week().into(),
        }
    }
}

/// `2026-03-01`.
pub fn format_day(day: Day) -> String {
    date_of(day).map_or_else(|| format!("day {day}"), |d| d.to_string())
}

/// `2026-03`: the calendar month of a day.
pub fn format_month(day: Day) -> String {
    date_of(day).map_or_else(|| format!("day {day}"), |d| format!("{:04}-{:02}", d.year(), d.month()))
}

/// Reads what [`format_day`] or [`format_month`] wrote; a month is its first day.
pub fn parse_day(text: &str) -> Option<Day> {
    let date: civil::Date = match text.len() {
        7 => format!("{text}-01").parse().ok()?,
        _ => text.parse().ok()?,
    };
    Some(day_number(date))
}

/// The first day of a day's calendar month.
pub fn first_of_month(day: Day) -> Day {
    date_of(day).map_or(day, |d| day_number(d.first_of_month()))
}

/// RFC 3339 with milliseconds, UTC: `2026-03-01T08:15:00.123Z`.
pub fn format_instant(ms: i64) -> String {
    match Timestamp::from_millisecond(ms) {
        Ok(at) => format!("{at:.3}"),
        Err(_) => format!("{ms} ms"),
    }
}

/// The wall clock, in milliseconds since the epoch.
pub fn wall_clock_ms() -> i64 {
    Timestamp::now().as_millisecond()
}

/// `Mmm dd hh:mm:ss` in the local zone, as RFC 3164 wants it.
pub fn format_rfc3164(ms: i64) -> String {
    match Timestamp::from_millisecond(ms) {
        Ok(at) => at.to_zoned_datetime(TimeZone::system()).strftime("%b %e %H:%M:%S").to_string(),
        Err(_) => "Jan  1 00:00:00".into(),
    }
}

/// The same instant as [`format_instant`] writes it, where RFC 5424 has a form for it: years 0 to 9999, else `-`.
pub fn format_rfc5424(ms: i64) -> String {
    const YEAR_0: i64 = -62_167_219_200_000;
    const YEAR_10000: i64 = 253_402_300_800_000;
    match ms {
        // The calendar's library ends with 9999-12-30T22:00:00Z.
        YEAR_0..YEAR_10000 if Timestamp::from_millisecond(ms).is_ok() => format_instant(ms),
        _ => "-".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_in_berlin_begins_at_local_midnight_also_over_the_change_of_clocks() {
        let zone = Zone::named("Europe/Berlin").unwrap();
        let day = |s: &str| format_day(zone.day_of(zone.parse(s).unwrap()));
        assert_eq!(day("2026-03-28T23:30:00Z"), "2026-03-29");
        assert_eq!(day("2026-03-29T21:59:59Z"), "2026-03-29");
        assert_eq!(day("2026-03-29T22:00:00Z"), "2026-03-30");
    }

    #[test]
    fn times_without_offset_are_local() {
        let zone = Zone::named("Europe/Berlin").unwrap();
        assert_eq!(zone.parse("2026-01-01T12:00:00"), Zone::utc().parse("2026-01-01T11:00:00"));
        assert_eq!(zone.parse("2026-01-01 12:00:00"), Zone::utc().parse("2026-01-01T11:00:00Z"));
        assert_eq!(zone.parse("1612345678901"), Some(1_612_345_678_901));
        assert_eq!(zone.parse("1612345678"), Some(1_612_345_678_000));
        assert_eq!(zone.parse("yesterday"), None);
    }

    #[test]
    fn an_offset_counts_however_it_is_written() {
        let zone = Zone::named("Asia/Tokyo").unwrap();
        let noon = Zone::utc().parse("2026-01-01T12:00:00");
        for text in [
            "2026-01-01T12:00:00Z",
            "2026-01-01 12:00:00z",
            "2026-01-01T12:00:00.000+00:00",
            "2026-01-01T07:00:00-05:00",
            "2026-01-01T13+01",
            "20260101T120000Z",
            "20260101T070000-05",
            "+002026-01-01T12:00:00Z",
            "2026-01-01T13:00:00+01:00[Europe/Berlin]",
        ] {
            assert_eq!(zone.parse(text), noon, "{text}");
        }
    }

    #[test]
    fn days_before_the_epoch_and_absurd_instants_do_not_panic() {
        assert_eq!(Zone::utc().day_of(-1), -1);
        assert_eq!(format_month(0), "1970-01");
        assert_eq!(parse_day("1970-02-01"), Some(31));
        assert_eq!(parse_day("1970-02"), Some(31));
        assert_eq!(parse_day("no day"), None);
        assert_eq!(format_instant(1_612_345_678_901), "2021-02-03T09:47:58.901Z");
        let _ = Zone::named("Europe/Berlin").unwrap().day_of(i64::MAX);
        assert_eq!(format_day(first_of_month(20_000)), "2024-10-01");
    }
}
