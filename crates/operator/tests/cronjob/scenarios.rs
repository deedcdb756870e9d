//! What is compared: a year in several zones, the days around each change of clocks, and whatever may happen.

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use teasel_api::cron::time_zone;
use teasel_api::spec::ConcurrencyPolicy::{self, Allow, Forbid, Replace};

use crate::world::{Event, Scenario};

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

/// Zones, each with the year that is looked at: past ones, which no new time zone database changes.
const YEARS: [(&str, &str); 6] = [
    ("Etc/UTC", "2024-01-01T00:00:00Z"),
    ("Europe/Berlin", "2024-01-01T00:00:00Z"),
    ("America/New_York", "2024-01-01T00:00:00Z"),
    // Half an hour.
    ("Australia/Lord_Howe", "2024-01-01T00:00:00Z"),
    // Midnight is skipped, and 23:00 comes twice.
    ("America/Sao_Paulo", "2018-01-01T00:00:00Z"),
    // Summer time all year, but for Ramadan.
    ("Africa/Casablanca", "2024-01-01T00:00:00Z"),
];

/// Schedules, and about how many seconds are between their ticks.
const DENSE: [(&str, i64); 4] =
    [("* * * * *", 60), ("*/15 * * * *", 900), ("0 * * * *", HOUR), ("*/20 1-3 * * *", 1200)];
const SPARSE: [(&str, i64); 8] = [
    ("30 2 * * *", DAY),
    ("0 3 * * *", DAY),
    ("0 0 * * *", DAY),
    ("30 6-16/4 * * mon-fri", 4 * HOUR),
    ("0,1 0 * * *", DAY),
    ("0 5 * * sun", 7 * DAY),
    ("0 12 1 * *", 30 * DAY),
    ("0 0 31 * *", 61 * DAY),
];
const POLICIES: [ConcurrencyPolicy; 3] = [Allow, Forbid, Replace];
const DEADLINES: [Option<i64>; 4] = [None, Some(30), Some(200), Some(3600)];

fn seconds(seconds: i64) -> SignedDuration {
    SignedDuration::from_secs(seconds)
}

/// A scenario in which nothing happens but ticks. Jobs run for the parts of the interval, in hundredths, one after the
/// other; each fourth one fails.
pub(crate) fn plain(
    (schedule, interval): (&'static str, i64),
    zone: &'static str,
    policy: ConcurrencyPolicy,
    deadline: Option<i64>,
    span: (Timestamp, Timestamp),
    parts: &[i64],
) -> Scenario {
    let runs = parts.iter().cycle().take(4 * parts.len()).enumerate();
    Scenario {
        schedule,
        zone,
        policy,
        deadline,
        history: (2, 1),
        span,
        runs: runs.map(|(number, part)| (interval * part / 100, number % 4 != 3)).collect(),
        stops_in: 0,
        events: Vec::new(),
    }
}

/// A year in every zone, in which every other job ends before the next tick.
pub(crate) fn years() -> Vec<Scenario> {
    let mut all = Vec::new();
    for (number, (zone, first)) in YEARS.into_iter().enumerate() {
        let first: Timestamp = first.parse().unwrap();
        let span = (first, first + seconds(366 * DAY));
        for schedule in SPARSE {
            for policy in POLICIES {
                let deadline = DEADLINES[all.len() % DEADLINES.len()];
                all.push(plain(schedule, zone, policy, deadline, span, &[150, 20]));
            }
        }
        // Each policy in one zone is enough for as many ticks as these.
        if number % 2 == 1 {
            let policy = POLICIES[number / 2];
            all.push(plain(("0 * * * *", HOUR), zone, policy, Some(HOUR), span, &[150, 20]));
        }
    }
    all
}

/// Schedules that tick often, on the days on which clocks change, and in UTC on some.
pub(crate) fn clock_changes() -> Vec<Scenario> {
    let mut all = Vec::new();
    for (zone, first) in YEARS {
        let first: Timestamp = first.parse().unwrap();
        for change in changes(zone, first) {
            let span = (change - seconds(15 * HOUR), change + seconds(9 * HOUR));
            for schedule in DENSE {
                for policy in POLICIES {
                    let deadline = DEADLINES[all.len() % DEADLINES.len()];
                    all.push(plain(schedule, zone, policy, deadline, span, &[150, 20]));
                }
            }
        }
    }
    all
}

fn changes(zone: &str, first: Timestamp) -> Vec<Timestamp> {
    let zone = time_zone(Some(zone)).unwrap();
    let changes = zone.following(first).map(|change| change.timestamp());
    let changes: Vec<_> = changes.take_while(|change| *change < first + seconds(366 * DAY)).collect();
    if changes.is_empty() { vec![first + seconds(59 * DAY)] } else { changes }
}

/// Something that happens, at a part of the scenario, and for how many thousandths of an interval.
fn trouble() -> impl Strategy<Value = (f64, u8, i64)> {
    (0.0..1.0, 0..6u8, prop_oneof![1..3000i64, 1..150_000i64])
}

fn events(length: i64, interval: i64, troubles: &[(f64, u8, i64)]) -> Vec<(i64, Event)> {
    let mut events = Vec::new();
    for (part, kind, lasts) in troubles {
        #[allow(clippy::cast_possible_truncation, reason = "a second")]
        let at = (length as f64 * part) as i64;
        let lasts = (interval * lasts / 1000).min(length / 2);
        let (begin, end) = match kind {
            0 => (Event::Suspend(true), Some(Event::Suspend(false))),
            1 | 2 => (Event::Up(false), Some(Event::Up(true))),
            3 => (Event::StepClock(lasts), None),
            4 => (Event::StepClock(-lasts), None),
            _ => (Event::Die(lasts), None),
        };
        events.push((at, begin));
        events.extend(end.map(|end| (at + lasts, end)));
    }
    events.sort_by_key(|(at, _)| *at);
    events
}

fn anything() -> impl Strategy<Value = Scenario> {
    let schedule = prop::sample::select([&DENSE[..], &SPARSE[..]].concat());
    let policy = prop::sample::select(&POLICIES[..]);
    let deadline = prop_oneof![Just(None), prop::sample::select(&DEADLINES[..])];
    let near_change = prop::option::of((any::<prop::sample::Index>(), 0..DAY));
    let runs = prop::collection::vec((prop_oneof![1..100i64, 50..300i64], any::<bool>()), 1..5);
    let stops_in = prop_oneof![2 => Just(0), 1 => 1..60i64, 1 => 1..2 * HOUR];
    let troubles = prop::collection::vec(trouble(), 0..6);
    let when = (0..YEARS.len(), 0..366 * DAY, near_change);
    (schedule, policy, deadline, when, (0..4u32, 0..3u32), runs, stops_in, troubles).prop_map(
        |((schedule, interval), policy, deadline, (year, begin, near), history, runs, stops_in, troubles)| {
            let (zone, first) = YEARS[year];
            let first: Timestamp = first.parse().unwrap();
            let near = near.map(|(which, before)| *which.get(&changes(zone, first)) - seconds(before));
            let begin = near.unwrap_or(first + seconds(begin));
            let length = (interval * 60).clamp(DAY / 4, 400 * DAY);
            Scenario {
                schedule,
                zone,
                policy,
                deadline,
                history,
                span: (begin, begin + seconds(length)),
                runs: runs.into_iter().map(|(part, succeeds)| (1 + interval * part / 100, succeeds)).collect(),
                stops_in,
                events: events(length, interval, &troubles),
            }
        },
    )
}

/// Scenarios in which operators are away or die, clocks are set, and schedules are suspended: always the same ones.
pub(crate) fn samples(number: usize) -> Vec<Scenario> {
    let mut runner = TestRunner::deterministic();
    (0..number).map(|_| anything().new_tree(&mut runner).unwrap().current()).collect()
}
