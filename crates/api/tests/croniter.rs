//! A year of ticks in many zones, against Python's croniter: another author's idea of the same rules.
//!
//! It differs from robfig/cron, and so from us, in exactly what stands here:
//!
//! - `*/1` is no star for it, so `0 4 */1 * mon` comes every day.
//! - Where a clock change skips a time, it makes up for it at the end of the gap.
//! - It has none of robfig's quirks, which [`QUIRKS`] lists tick by tick.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod cron;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};

use cron::{Case, ask, folder};
use jiff::{SignedDuration, Timestamp};
use teasel_api::cron::time_zone;

/// Ticks that only one of the two has: `-` those of croniter, which robfig leaves out, `+` those of robfig.
const QUIRKS: &[&str] = &[
    // The clock turns by half an hour. Going on by whole hours, robfig comes to each hour at its half, and finds no
    // minute before it in that hour; of the half hour that comes twice, croniter has only some minutes again.
    "Australia/Lord_Howe | */7 * * * * | + 2024-04-07T01:35",
    "Australia/Lord_Howe | */7 * * * * | + 2024-04-07T01:42",
    "Australia/Lord_Howe | */7 * * * * | + 2024-04-07T01:49",
    "Australia/Lord_Howe | */7 * * * * | + 2024-04-07T01:56",
    "Australia/Lord_Howe | 13-37/8 * * * * | + 2024-04-07T01:37",
    "Australia/Lord_Howe | 15,45 */2 * * * | - 2024-04-07T02:15",
    "Australia/Lord_Howe | 0 0 * * * | - 2024-04-08T00:00",
    "Australia/Lord_Howe | 0 0 * * * | - 2024-10-07T00:00",
    "Australia/Lord_Howe | 30 1 * * * | + 2024-10-06T02:30",
    "Australia/Lord_Howe | 45 1 * * * | + 2024-10-06T02:45",
    "Australia/Lord_Howe | 0 2 * * * | - 2024-04-07T02:00",
    "Australia/Lord_Howe | 0 3 * * * | - 2024-04-07T03:00",
    "Australia/Lord_Howe | 0 3 * * * | - 2024-10-06T03:00",
    "Australia/Lord_Howe | 15 3 * * * | - 2024-04-07T03:15",
    "Australia/Lord_Howe | 15 3 * * * | - 2024-10-06T03:15",
    "Australia/Lord_Howe | */20 1-3 * * * | + 2024-04-07T01:40",
    "Australia/Lord_Howe | 0 */6 * * * | - 2024-04-07T06:00",
    "Australia/Lord_Howe | 0 */6 * * * | - 2024-10-06T06:00",
    "Australia/Lord_Howe | 0 0 * * sun | - 2024-04-14T00:00",
    "Australia/Lord_Howe | 0 0 * * sun | - 2024-10-13T00:00",
    "Australia/Lord_Howe | 0 4 */2 * mon | - 2024-04-07T04:00",
    "Australia/Lord_Howe | @weekly | - 2024-04-14T00:00",
    "Australia/Lord_Howe | @weekly | - 2024-10-13T00:00",
    // The clock skips Sunday's midnight: robfig's search goes on from Saturday into Sunday without a look at the day.
    "America/Sao_Paulo | 0 5 * * 6 | + 2018-11-04T05:00",
    "America/Sao_Paulo | 0 4 */2 * mon | + 2018-11-04T04:00",
    "America/Sao_Paulo | 0 4 ? * WED,sat | + 2018-11-04T04:00",
    "America/Havana | 0 5 * * 6 | + 2024-03-10T05:00",
    "America/Havana | 0 4 */2 * mon | + 2024-03-10T04:00",
    "America/Havana | 0 4 ? * WED,sat | + 2024-03-10T04:00",
    // The clock skips Monday's midnight: searching from Sunday on, robfig comes to no hour of Monday.
    "Asia/Tehran | 30 6-16/4 * * mon-fri | - 2021-03-22T06:30",
    "Asia/Tehran | 30 6-16/4 * * mon-fri | - 2021-03-22T10:30",
    "Asia/Tehran | 30 6-16/4 * * mon-fri | - 2021-03-22T14:30",
    "Asia/Tehran | 0 9 * * 1-5 | - 2021-03-22T09:00",
];

#[test]
fn a_year_of_ticks_is_the_one_of_croniter_but_for_what_is_listed() {
    let cases: Vec<Case> = Case::all().iter().flat_map(manageable).collect();
    let mut found = Vec::new();
    for (case, theirs) in cases.iter().zip(croniter(&cases)) {
        let zone = time_zone(Some(&case.zone)).unwrap();
        let ours: BTreeSet<i64> = case.ticks().into_iter().collect();
        let local = |tick: &i64| Timestamp::from_second(*tick).unwrap().to_zoned(zone.clone()).strftime("%FT%R");
        let name = format!("{} | {}", case.zone, case.schedule);
        let ends_a_gap = |tick: &i64| {
            let tick = Timestamp::from_second(*tick).unwrap();
            zone.to_offset(tick) > zone.to_offset(tick - SignedDuration::from_secs(1))
        };
        found.extend(ours.difference(&theirs).map(|tick| format!("{name} | + {}", local(tick))));
        let missing = theirs.difference(&ours).filter(|tick| !ends_a_gap(tick));
        found.extend(missing.map(|tick| format!("{name} | - {}", local(tick))));
    }
    assert_eq!(found, QUIRKS, "{found:#?}");
}

/// Where there are too many ticks for Python, only those of the days around each change of the clock.
fn manageable(case: &Case) -> Vec<Case> {
    if case.schedule == "0 4 */1 * mon" {
        return Vec::new();
    }
    if case.ticks().len() < 20_000 {
        return vec![case.clone()];
    }
    let zone = time_zone(Some(&case.zone)).unwrap();
    let changes = zone.following(case.first).map(|change| change.timestamp());
    let near = SignedDuration::from_hours(30);
    let around = |at: Timestamp| Case { first: at - near, last: at + near, ..case.clone() };
    changes.take_while(|at| *at < case.last).map(around).collect()
}

fn croniter(cases: &[Case]) -> Vec<BTreeSet<i64>> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/croniter");
    let installed = Command::new(script).stderr(Stdio::inherit()).output().unwrap();
    assert!(installed.status.success(), "scripts/croniter failed: see above");
    let library = String::from_utf8(installed.stdout).unwrap();
    let mut python = Command::new("python3");
    python.arg(folder().join("ticks.py")).env("PYTHONPATH", library.trim()).env("PYTHONDONTWRITEBYTECODE", "1");
    let text = ask(&mut python, cases, "missing: Python 3. Install it with: apt-get install python3");
    let answers: Vec<BTreeSet<i64>> =
        text.lines().map(|line| line.split_whitespace().map(|tick| tick.parse().unwrap()).collect()).collect();
    assert_eq!(answers.len(), cases.len());
    answers
}
