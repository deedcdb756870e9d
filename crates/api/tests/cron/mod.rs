//! Schedules and years that the ticks are compared in, for the tests beside this folder.
//!
//! `main.go` is the reference: robfig/cron v3, which CronJob runs. What it says of every case stands, counted and
//! hashed, in `ticks.txt`, so that `ticks` compares without Go; `robfig` compares with the program itself.

#![allow(dead_code, reason = "not every test asks a reference")]
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use jiff::Timestamp;
use sha2::{Digest, Sha256};
use teasel_api::cron::{Cron, time_zone};

/// Zones, each with the time that is looked at. Every year is past, so that no new release of the time zone database
/// changes it.
pub(crate) const YEARS: [(&str, &str, &str); 11] = [
    ("UTC", "2024-01-01T00:00:00Z", "2025-01-01T00:00:00Z"),
    // An hour, at 2:00 and 3:00.
    ("Europe/Berlin", "2024-01-01T00:00:00Z", "2025-01-01T00:00:00Z"),
    ("America/New_York", "2024-01-01T00:00:00Z", "2025-01-01T00:00:00Z"),
    // No change, half an hour beside UTC.
    ("Asia/Kolkata", "2024-01-01T00:00:00Z", "2025-01-01T00:00:00Z"),
    // Half an hour.
    ("Australia/Lord_Howe", "2024-01-01T00:00:00Z", "2025-01-01T00:00:00Z"),
    // Midnight is skipped, and 23:00 comes twice.
    ("America/Sao_Paulo", "2018-01-01T00:00:00Z", "2019-01-01T00:00:00Z"),
    // Midnight is skipped, and comes twice.
    ("America/Havana", "2024-01-01T00:00:00Z", "2025-01-01T00:00:00Z"),
    ("Asia/Tehran", "2021-01-01T00:00:00Z", "2022-01-01T00:00:00Z"),
    // Summer time all year, but for Ramadan.
    ("Africa/Casablanca", "2024-01-01T00:00:00Z", "2025-01-01T00:00:00Z"),
    ("Pacific/Apia", "2020-01-01T00:00:00Z", "2021-01-01T00:00:00Z"),
    // Samoa had no 30 December in 2011. Of a search that comes upon it, robfig never returns: it starts after.
    ("Pacific/Apia", "2011-12-30T10:00:00Z", "2012-12-30T10:00:00Z"),
];

/// Schedules.
pub(crate) const SCHEDULES: [&str; 34] = [
    "* * * * *",
    "*/7 * * * *",
    "13-37/8 * * * *",
    "0 * * * *",
    "30 * * * *",
    "15,45 */2 * * *",
    "0 0 * * *",
    "30 0 * * *",
    "0 1 * * *",
    "30 1 * * *",
    "45 1 * * *",
    "0 2 * * *",
    "30 2 * * *",
    "59 2 * * *",
    "0 3 * * *",
    "15 3 * * *",
    "30 23 * * *",
    "*/20 1-3 * * *",
    "0 */6 * * *",
    "30 6-16/4 * * mon-fri",
    "0 9 * * 1-5",
    "0 5 * * 6",
    "0 0 * * sun",
    "0 12 1 * *",
    "0 0 31 * *",
    "0 0 13 * 5",
    "0 4 */2 * mon",
    "0 4 */1 * mon",
    "0 4 ? * WED,sat",
    "0 0 1,15 jan-mar,Oct ?",
    "59 23 29 2 *",
    "@hourly",
    "@weekly",
    "@monthly",
];

/// A schedule in a zone, within a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Case {
    /// Name of the zone.
    pub(crate) zone: String,
    /// Ticks are later than this.
    pub(crate) first: Timestamp,
    /// No tick is later than this.
    pub(crate) last: Timestamp,
    /// The schedule.
    pub(crate) schedule: String,
}

impl Case {
    /// Every schedule in every year.
    pub(crate) fn all() -> Vec<Case> {
        let case = |(zone, first, last): (&str, &str, &str), schedule: &str| Case {
            zone: zone.to_owned(),
            first: first.parse().unwrap(),
            last: last.parse().unwrap(),
            schedule: schedule.to_owned(),
        };
        YEARS.into_iter().flat_map(|year| SCHEDULES.map(|schedule| case(year, schedule))).collect()
    }

    /// Our ticks, after the first second and until the last.
    pub(crate) fn ticks(&self) -> Vec<i64> {
        let cron: Cron = self.schedule.parse().unwrap();
        let zone = time_zone(Some(&self.zone)).unwrap();
        std::iter::successors(cron.next(self.first, &zone), |tick| cron.next(*tick, &zone))
            .take_while(|tick| *tick <= self.last)
            .map(|tick| tick.as_second())
            .collect()
    }

    /// The case as the references read it.
    pub(crate) fn line(&self) -> String {
        format!("{}\t{}\t{}\t{}\n", self.zone, self.first.as_second(), self.last.as_second(), self.schedule)
    }

    /// A line of `ticks.txt`.
    pub(crate) fn digest(&self, ticks: &[i64]) -> String {
        let mut hash = Sha256::new();
        for tick in ticks {
            hash.update(tick.to_be_bytes());
        }
        let hash = hex::encode(&hash.finalize()[..8]);
        let day = self.first.strftime("%Y-%m-%d");
        format!("{} {day} | {} | {} {hash}\n", self.zone, self.schedule, ticks.len())
    }
}

/// This folder.
pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cron")
}

/// Fails with the first tick that differs of each case that does.
pub(crate) fn compare<'a>(name: &str, cases: impl IntoIterator<Item = (&'a Case, Vec<i64>)>) {
    let mut report = String::new();
    for (case, theirs) in cases {
        let ours = case.ticks();
        let same = ours.iter().zip(&theirs).take_while(|(left, right)| left == right).count();
        let show = |ticks: &[i64]| ticks.get(same).map(|tick| Timestamp::from_second(*tick).unwrap().to_string());
        if ours != theirs {
            let (ours, theirs) = (show(&ours), show(&theirs));
            let _ = writeln!(report, "{:?} in {}: ours {ours:?}, {name} {theirs:?}", case.schedule, case.zone);
        }
    }
    assert!(report.is_empty(), "\n{report}");
}

/// What a reference program, started by `command`, says of cases that it reads from its standard input.
pub(crate) fn ask(command: &mut Command, cases: &[Case], missing: &str) -> String {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect(missing);
    let mut input = child.stdin.take().unwrap();
    let lines: String = cases.iter().map(Case::line).collect();
    let writer = std::thread::spawn(move || input.write_all(lines.as_bytes()));
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "the reference failed: see above");
    writer.join().unwrap().unwrap();
    String::from_utf8(output.stdout).unwrap()
}
