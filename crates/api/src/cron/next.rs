//! The next tick, searched for as robfig/cron v3 does: unit by unit from months to seconds, and from the start again
//! whenever a unit wraps around.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{Offset, TimeZone};

use super::Cron;

/// Where nothing was found for so long, there is no next tick.
const YEARS: i16 = 5;

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

impl Cron {
    /// The first tick after a time; `None` where there is none for five years.
    pub fn next(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let mut walk = Walk::start(self, zone, after)?;
        let last_year = walk.local.year().saturating_add(YEARS);
        while walk.local.year() <= last_year {
            let arrived = walk.month()? && walk.day()? && walk.hour()? && walk.minute()? && walk.second()?;
            if arrived {
                return Timestamp::from_second(walk.instant).ok();
            }
        }
        None
    }

    fn matches_day(&self, local: DateTime) -> bool {
        let day = has(self.days, local.day());
        let weekday = has(self.weekdays, local.weekday().to_sunday_zero_offset());
        if self.both_days { day && weekday } else { day || weekday }
    }
}

fn has(bits: u64, value: i8) -> bool {
    u32::try_from(value).is_ok_and(|value| bits & (1 << value) != 0)
}

/// The search. Each unit's method goes on until the unit matches and returns `Some(true)`, or `Some(false)` as soon as
/// it wraps around; `None` is the end of time.
struct Walk<'a> {
    cron: &'a Cron,
    zone: &'a TimeZone,
    /// Seconds since 1970.
    instant: i64,
    /// The same in the zone.
    local: DateTime,
    /// Whether a unit was changed, and so all smaller ones set back.
    moved: bool,
}

impl<'a> Walk<'a> {
    fn start(cron: &'a Cron, zone: &'a TimeZone, after: Timestamp) -> Option<Walk<'a>> {
        // Jiff's seconds are rounded towards 1970.
        let second = after.as_second() - i64::from(after.subsec_nanosecond() < 0);
        let mut walk = Walk { cron, zone, instant: 0, local: DateTime::ZERO, moved: false };
        walk.go(second + 1)?;
        Some(walk)
    }

    fn month(&mut self) -> Option<bool> {
        while !has(self.cron.months, self.local.month()) {
            if !self.moved {
                self.moved = true;
                self.go_to_local(self.local.date().first_of_month(), 0)?;
            }
            let next = Date::new(self.local.year(), self.local.month(), 1).ok()?.last_of_month().tomorrow().ok()?;
            // Day 31 of a month that has 30 is day 1 of the one after.
            let date = next.checked_add(jiff::Span::new().days(i64::from(self.local.day()) - 1)).ok()?;
            self.go_to_local(date, self.seconds_of_day())?;
            if self.local.month() == 1 {
                return Some(false);
            }
        }
        Some(true)
    }

    fn day(&mut self) -> Option<bool> {
        while !self.cron.matches_day(self.local) {
            if !self.moved {
                self.moved = true;
                self.go_to_local(self.local.date(), 0)?;
            }
            let before = self.instant;
            self.go_to_local(self.local.date().tomorrow().ok()?, self.seconds_of_day())?;
            let hour = i64::from(self.local.hour());
            if hour > 12 {
                self.go(self.instant + (24 - hour) * HOUR)?;
            } else if hour > 0 {
                self.go(self.instant - hour * HOUR)?;
            }
            if self.instant <= before {
                // The zone skips that day, and has sent us back. Here robfig/cron turns for ever.
                self.go(before + DAY)?;
            }
            if self.local.day() == 1 {
                return Some(false);
            }
        }
        Some(true)
    }

    fn hour(&mut self) -> Option<bool> {
        while !has(self.cron.hours, self.local.hour()) {
            if !self.moved {
                self.moved = true;
                self.go_to_local(self.local.date(), i64::from(self.local.hour()) * HOUR)?;
            }
            self.go(self.instant + HOUR)?;
            if self.local.hour() == 0 {
                return Some(false);
            }
        }
        Some(true)
    }

    fn minute(&mut self) -> Option<bool> {
        while !has(self.cron.minutes, self.local.minute()) {
            if !self.moved {
                self.moved = true;
                self.go(self.instant - self.instant.rem_euclid(MINUTE))?;
            }
            self.go(self.instant + MINUTE)?;
            if self.local.minute() == 0 {
                return Some(false);
            }
        }
        Some(true)
    }

    fn second(&mut self) -> Option<bool> {
        let second = i64::from(self.local.second());
        if second == 0 {
            return Some(true);
        }
        self.moved = true;
        self.go(self.instant + MINUTE - second)?;
        Some(false)
    }

    fn seconds_of_day(&self) -> i64 {
        i64::from(self.local.hour()) * HOUR
            + i64::from(self.local.minute()) * MINUTE
            + i64::from(self.local.second())
    }

    fn go(&mut self, instant: i64) -> Option<()> {
        let timestamp = Timestamp::from_second(instant).ok()?;
        self.instant = instant;
        self.local = self.zone.to_offset(timestamp).to_datetime(timestamp);
        Some(())
    }

    /// Goes where Go's `time.Date` goes, also for local times that are skipped or repeated.
    fn go_to_local(&mut self, date: Date, seconds: i64) -> Option<()> {
        let midnight = Offset::UTC.to_timestamp(date.to_datetime(Time::midnight())).ok()?;
        let local = midnight.as_second() + seconds;
        let guess = local - self.offset(local)?;
        self.go(local - self.offset(guess)?)
    }

    fn offset(&self, instant: i64) -> Option<i64> {
        Some(i64::from(self.zone.to_offset(Timestamp::from_second(instant).ok()?).seconds()))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::cron::time_zone;

    #[rstest]
    #[case::the_next_minute("* * * * *", "UTC", "2026-03-01T00:00:00Z", &["2026-03-01T00:01:00Z"])]
    #[case::the_same_minute_is_past("5 * * * *", "UTC", "2026-03-01T00:05:00Z", &["2026-03-01T01:05:00Z"])]
    #[case::just_before_a_tick("5 * * * *", "UTC", "2026-03-01T00:04:59.999999999Z", &["2026-03-01T00:05:00Z"])]
    #[case::before_1970("5 * * * *", "UTC", "1969-12-31T23:04:59.5Z", &["1969-12-31T23:05:00Z", "1970-01-01T00:05:00Z"])]
    #[case::either_day("0 0 13 * 5", "UTC", "2026-03-01T00:00:00Z", &["2026-03-06T00:00:00Z", "2026-03-13T00:00:00Z", "2026-03-20T00:00:00Z"])]
    #[case::both_days_where_one_has_a_star("0 0 13 * *", "UTC", "2026-03-01T00:00:00Z", &["2026-03-13T00:00:00Z", "2026-04-13T00:00:00Z"])]
    #[case::a_stepped_star_is_no_star("0 0 */20 * 1", "UTC", "2026-03-01T00:00:00Z", &["2026-03-02T00:00:00Z", "2026-03-09T00:00:00Z", "2026-03-16T00:00:00Z", "2026-03-21T00:00:00Z"])]
    #[case::leap_days("0 0 29 2 *", "UTC", "2024-03-01T00:00:00Z", &["2028-02-29T00:00:00Z"])]
    #[case::no_leap_day_for_five_years("0 0 29 2 *", "UTC", "2097-01-01T00:00:00Z", &[])]
    #[case::a_month_is_passed_whole("0 0 31 * *", "UTC", "2026-03-31T00:00:00Z", &["2026-05-31T00:00:00Z"])]
    #[case::the_year_wraps("30 12 1 2 *", "UTC", "2026-02-28T00:00:00Z", &["2027-02-01T12:30:00Z"])]
    #[case::a_skipped_time_is_left_out("30 2 * * *", "Europe/Berlin", "2026-03-28T00:00:00Z", &["2026-03-28T01:30:00Z", "2026-03-30T00:30:00Z"])]
    #[case::a_star_goes_on_over_the_gap("0 * * * *", "Europe/Berlin", "2026-03-29T00:00:00Z", &["2026-03-29T01:00:00Z", "2026-03-29T02:00:00Z"])]
    #[case::a_repeated_time_comes_twice("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", &["2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z", "2026-10-26T01:30:00Z"])]
    #[case::half_an_hour_from_utc("0 6 * * *", "Asia/Kolkata", "2026-01-01T00:00:00Z", &["2026-01-01T00:30:00Z", "2026-01-02T00:30:00Z"])]
    #[case::half_an_hours_change_loses_the_next_hour("0 3 * * *", "Australia/Lord_Howe", "2026-10-02T20:00:00Z", &["2026-10-04T16:00:00Z"])]
    #[case::half_an_hour_comes_twice("45 1 * * *", "Australia/Lord_Howe", "2026-04-04T00:00:00Z", &["2026-04-04T14:45:00Z", "2026-04-04T15:15:00Z"])]
    #[case::skipped_midnight_makes_saturday_longer("0 5 * * 6", "America/Sao_Paulo", "2018-11-03T00:00:00Z", &["2018-11-03T08:00:00Z", "2018-11-04T07:00:00Z", "2018-11-10T07:00:00Z"])]
    #[case::a_skipped_day_is_passed("0 0 1 * *", "Pacific/Apia", "2011-12-02T12:00:00Z", &["2011-12-31T10:00:00Z"])]
    fn the_next_ticks_are_those_of_robfig(
        #[case] schedule: &str,
        #[case] zone: &str,
        #[case] after: Timestamp,
        #[case] expected: &[&str],
    ) {
        let cron: Cron = schedule.parse().unwrap();
        let zone = time_zone(Some(zone)).unwrap();
        let mut ticks = std::iter::successors(cron.next(after, &zone), |tick| cron.next(*tick, &zone));
        if expected.is_empty() {
            assert_eq!(ticks.next(), None);
        }
        let ticks: Vec<String> = ticks.take(expected.len()).map(|tick| tick.to_string()).collect();
        assert_eq!(ticks, expected);
    }

    #[rstest]
    #[case(Timestamp::MIN)]
    #[case(Timestamp::MAX)]
    #[case(Timestamp::MAX - jiff::SignedDuration::from_hours(40))]
    fn the_ends_of_time_are_no_trouble(#[case] after: Timestamp) {
        for schedule in ["* * * * *", "0 0 1 1 *", "0 0 31 12 1"] {
            let cron: Cron = schedule.parse().unwrap();
            let next = cron.next(after, &time_zone(Some("Pacific/Apia")).unwrap());
            assert!(next.is_none_or(|next| next > after));
        }
    }
}
