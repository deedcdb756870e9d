//! The ticks of a schedule between two times, without walking through all of them.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use teasel_api::cron::Cron;

const SECOND: SignedDuration = SignedDuration::from_secs(1);
/// For how long after a change of clocks a tick depends on where its search begins: the day of the change and the next.
const QUIRKS_LAST: SignedDuration = SignedDuration::from_hours(48);

/// A schedule in its zone.
#[derive(Clone, Debug)]
pub(super) struct Clock {
    pub(super) cron: Cron,
    pub(super) zone: TimeZone,
}

impl Clock {
    /// The first tick after a time.
    pub(super) fn next(&self, after: Timestamp) -> Option<Timestamp> {
        self.cron.next(after, &self.zone)
    }

    /// The last tick after `after` and not after `until`.
    ///
    /// CronJob guesses where it is from the distance of the first two ticks, which for uneven schedules finds nothing
    /// (`0,1 0 * * *` at noon) or walks through every tick. Halving finds it always, in as many steps as the time in
    /// between has binary digits.
    ///
    /// It is the last one that going on from tick to tick would come to. Around some changes of clocks a search from
    /// in between has others, so we walk over the last change.
    pub(super) fn last(&self, after: Timestamp, until: Timestamp) -> Option<Timestamp> {
        let found = self.halve(after, until)?;
        let change = self.zone.preceding(found + SECOND).next().map(|change| change.timestamp());
        let Some(change) = change.filter(|change| after < *change && found.duration_since(*change) < QUIRKS_LAST)
        else {
            return Some(found);
        };
        let before = self.last(after, change - SECOND);
        let ticks = std::iter::successors(self.next(before.unwrap_or(after)), |tick| self.next(*tick));
        ticks.take_while(|tick| *tick <= until).last().or(before)
    }

    fn halve(&self, after: Timestamp, until: Timestamp) -> Option<Timestamp> {
        let mut found = self.next(after).filter(|tick| *tick <= until)?;
        // No tick that is later than `found` comes after `none`.
        let mut none = until.as_second();
        while found.as_second() < none {
            let middle = found.as_second() + (none - found.as_second()) / 2;
            let tick = Timestamp::from_second(middle).ok().and_then(|middle| self.next(middle));
            match tick.filter(|tick| *tick <= until) {
                Some(tick) => found = tick,
                None => none = middle,
            }
        }
        Some(found)
    }

    /// Whether there are more than `limit` ticks after `after` and not after `until`.
    pub(super) fn more_than(&self, limit: usize, after: Timestamp, until: Timestamp) -> bool {
        let ticks = std::iter::successors(self.next(after), |tick| self.next(*tick));
        ticks.take_while(|tick| *tick <= until).take(limit + 1).count() > limit
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use rstest::rstest;
    use teasel_api::cron::time_zone;

    use super::*;

    fn clock(schedule: &str, zone: &str) -> Clock {
        Clock { cron: schedule.parse().unwrap(), zone: time_zone(Some(zone)).unwrap() }
    }

    #[rstest]
    #[case::none("0 3 * * *", "2026-03-01T03:00:00Z", "2026-03-02T02:59:59Z", None)]
    #[case::one("0 3 * * *", "2026-03-01T03:00:00Z", "2026-03-02T03:00:00Z", Some("2026-03-02T03:00:00Z"))]
    #[case::many("* * * * *", "1970-01-01T00:00:00Z", "2026-03-02T03:00:30.5Z", Some("2026-03-02T03:00:00Z"))]
    #[case::bursts("0,1 0 * * *", "2026-03-01T00:01:00Z", "2026-03-02T12:00:00Z", Some("2026-03-02T00:01:00Z"))]
    #[case::a_gap_before_a_burst(
        "* * * 1 *",
        "2026-01-31T23:58:00Z",
        "2027-01-20T10:10:10Z",
        Some("2027-01-20T10:10:00Z")
    )]
    #[case::the_first_of_its_kind(
        "0 0 29 2 *",
        "2024-03-01T00:00:00Z",
        "2029-01-01T00:00:00Z",
        Some("2028-02-29T00:00:00Z")
    )]
    #[case::backwards("* * * * *", "2026-03-02T00:00:00Z", "2026-03-01T00:00:00Z", None)]
    fn the_last_tick_is_found_at_once(
        #[case] schedule: &str,
        #[case] after: Timestamp,
        #[case] until: Timestamp,
        #[case] expected: Option<&str>,
    ) {
        let expected: Option<Timestamp> = expected.map(|time| time.parse().unwrap());
        assert_eq!(clock(schedule, "UTC").last(after, until), expected);
    }

    #[rstest]
    #[case("*/7 * * * *", "Europe/Berlin")]
    #[case("30 1-3 * * *", "Europe/Berlin")]
    #[case("0 0 * * 6", "America/Sao_Paulo")]
    #[case("15,45 2 * * *", "Australia/Lord_Howe")]
    #[case("0,1 0 * * *", "Australia/Lord_Howe")]
    #[case("0 3 * * *", "Australia/Lord_Howe")]
    #[case("*/20 * * * *", "Australia/Lord_Howe")]
    #[case("0 5 * * 6", "Asia/Tehran")]
    #[case("0 0 * * *", "Asia/Tehran")]
    fn it_is_the_one_that_a_walk_finds(#[case] schedule: &str, #[case] zone: &str) {
        let clock = clock(schedule, zone);
        let after: Timestamp = "2018-03-20T00:00:00Z".parse().unwrap();
        for hours in 0..800 {
            let until = after + SignedDuration::from_hours(hours) + SignedDuration::from_mins(hours % 60);
            let ticks = std::iter::successors(clock.next(after), |tick| clock.next(*tick));
            assert_eq!(clock.last(after, until), ticks.take_while(|tick| *tick <= until).last(), "{until}");
        }
    }

    #[test]
    fn counting_ends_at_the_limit() {
        let clock = clock("* * * * *", "UTC");
        let start = Timestamp::UNIX_EPOCH;
        assert!(!clock.more_than(100, start, start + SignedDuration::from_mins(100)));
        assert!(clock.more_than(100, start, start + SignedDuration::from_mins(101)));
        assert!(clock.more_than(100, start, start + SignedDuration::from_hours(1_000_000)));
    }
}
