//! Each difference from CronJob by itself: what it does, and what we do.

use jiff::Timestamp;
use rstest::rstest;
use teasel_api::spec::ConcurrencyPolicy::{self, Allow, Forbid, Replace};

use crate::lockstep::{Difference, decide};
use crate::play::play;
use crate::reference::{CronJobController, ours, schedule};
use crate::scenarios::plain;
use crate::world::{Job, Played, Scenario, Seen, Step, job_name};

/// A time of day on 1 March 2026, which is a Sunday, or a whole time.
fn at(text: &str) -> Timestamp {
    let whole = if text.contains('T') { text.to_owned() } else { format!("2026-03-01T{text}Z") };
    whole.parse().unwrap()
}

/// From 00:30 on; jobs run for one and a half of the interval.
fn scenario(schedule: &'static str, policy: ConcurrencyPolicy) -> Scenario {
    plain((schedule, 3600), "Etc/UTC", policy, None, (at("00:30:00"), at("04:15:00")), &[150])
}

fn job(tick: &str, ended: Option<&str>) -> Job {
    let tick = at(tick);
    Job { name: job_name(tick), tick, started: tick, ended: ended.map(|time| (at(time), true)), deleting: false }
}

fn seen(last: &str, now: &str, jobs: &[Job]) -> Seen {
    Seen { now: at(now), last: Some(at(last)), jobs: jobs.to_vec(), ..Seen::default() }
}

/// What we do and what CronJob does. How we differ is checked meanwhile.
fn both(scenario: &Scenario, seen: &Seen) -> (Step, Step, Vec<Difference>) {
    let mut theirs = CronJobController::start();
    let (ours, met) = decide(scenario, &schedule(scenario), seen, &mut theirs);
    (ours, theirs.decide(scenario, seen).0, met)
}

#[rstest]
#[case::in_bursts("0,1 0 * * *", "Etc/UTC", "2026-03-01T00:01:00Z", "2026-03-02T12:00:00Z", "2026-03-02T00:01:00Z")]
#[case::on_a_weekend(
    "0 9 * * 1-5",
    "Etc/UTC",
    "2026-03-04T09:00:00Z",
    "2026-03-08T12:00:00Z",
    "2026-03-06T09:00:00Z"
)]
#[case::after_a_short_month(
    "0 12 1 * *",
    "Etc/UTC",
    "2026-01-01T12:00:00Z",
    "2027-01-31T13:00:00Z",
    "2027-01-01T12:00:00Z"
)]
#[case::a_time_that_comes_twice(
    "30 2 * * *",
    "Europe/Berlin",
    "2025-10-25T00:30:00Z",
    "2025-10-26T12:00:00Z",
    "2025-10-26T01:30:00Z"
)]
fn cronjob_loses_the_missed_tick_of_an_uneven_schedule_and_we_find_it(
    #[case] schedule: &'static str,
    #[case] zone: &'static str,
    #[case] last: &str,
    #[case] now: &str,
    #[case] tick: &str,
) {
    let scenario = Scenario { zone, ..scenario(schedule, Allow) };
    let (ours, theirs, met) = both(&scenario, &seen(last, now, &[]));
    assert_eq!((theirs.created, theirs.last), (vec![], Some(at(last))));
    assert_eq!((ours.created, ours.last), (vec![at(tick)], Some(at(tick))));
    assert_eq!(met, [Difference::LostTick]);
}

#[test]
fn where_clocks_turn_by_half_an_hour_cronjob_starts_a_tick_that_searching_from_the_last_one_leaves_out() {
    let mut scenario = scenario("0 0 * * *", Allow);
    scenario.zone = "Australia/Lord_Howe";
    let (ours, theirs, met) = both(&scenario, &seen("2024-04-03T13:00:00Z", "2024-04-08T13:10:00Z", &[]));
    assert_eq!(theirs.created, [at("2024-04-07T13:30:00Z")]);
    assert_eq!(ours.created, [at("2024-04-06T13:00:00Z")]);
    assert_eq!(met, [Difference::OtherSearch]);
}

#[rstest]
#[case::few("01:00:00", "02:40:00")]
#[case::a_hundred_and_one("01:00:00", "02:41:00")]
#[case::a_year("2025-03-01T00:00:00Z", "00:30:00")]
fn of_minutes_that_were_missed_both_start_the_last(#[case] last: &str, #[case] now: &str) {
    let (ours, theirs, met) = both(&scenario("* * * * *", Forbid), &seen(last, now, &[]));
    assert_eq!((&ours, ours.created.as_slice(), met), (&theirs, &[at(now)][..], vec![]));
}

#[rstest]
#[case(Forbid)]
#[case(Replace)]
fn cronjob_starts_a_tick_beside_a_job_that_its_status_doesnt_list_and_we_dont(#[case] policy: ConcurrencyPolicy) {
    let seen = seen("01:00:00", "03:00:00", &[job("02:00:00", None)]);
    let (ours, theirs, met) = both(&scenario("0 * * * *", policy), &seen);
    assert_eq!((theirs.created, theirs.deleted), (vec![at("03:00:00")], vec![]));
    assert_eq!((ours.created, ours.deleted, ours.last), (vec![], vec![], Some(at("02:00:00"))));
    assert!(met.contains(&Difference::StatusBehindJobs));
}

#[test]
fn cronjob_deletes_a_job_that_has_ended_and_starts_its_tick_again_and_we_dont() {
    let mut scenario = scenario("0 * * * *", Forbid);
    scenario.history = (0, 0);
    let seen = seen("01:00:00", "02:30:00", &[job("02:00:00", Some("02:10:00"))]);
    let (ours, theirs, met) = both(&scenario, &seen);
    assert_eq!((theirs.created, theirs.deleted), (vec![at("02:00:00")], vec![job_name(at("02:00:00"))]));
    assert_eq!((ours.created, ours.deleted, ours.last), (vec![], vec![], Some(at("02:00:00"))));
    assert_eq!(met, [Difference::StatusBehindJobs]);
}

/// What becomes of it where we decide, and where CronJob does.
fn played(scenario: &Scenario) -> (Played, Played) {
    let schedule = schedule(scenario);
    let mut theirs = CronJobController::start();
    (play(scenario, |seen| ours(&schedule, seen)), play(scenario, |seen| theirs.decide(scenario, seen).0))
}

fn created(ticks: &[(&str, &str)]) -> Vec<(Timestamp, Timestamp)> {
    ticks.iter().map(|(tick, second)| (at(tick), at(second))).collect()
}

#[test]
fn what_replace_deletes_is_gone_before_our_next_job_starts() {
    let mut scenario = scenario("0 * * * *", Replace);
    scenario.stops_in = 60;
    let (ours, _) = played(&scenario);
    let expected =
        [("01:00:00", "01:00:00"), ("02:00:00", "02:01:00"), ("03:00:00", "03:01:00"), ("04:00:00", "04:01:00")];
    assert_eq!(ours.created, created(&expected));
    let deleted = [("01:00:00", "02:00:00"), ("02:00:00", "03:00:00"), ("03:00:00", "04:00:00")];
    assert_eq!(ours.deleted, deleted.map(|(tick, second)| (job_name(at(tick)), at(second))));
    // CronJob forgets what it deletes. Of jobs that are gone at once, both do the same.
    scenario.stops_in = 0;
    let (ours, theirs) = played(&scenario);
    assert_eq!(ours, theirs);
    let at_once = ["01:00:00", "02:00:00", "03:00:00", "04:00:00"].map(|tick| (tick, tick));
    assert_eq!(ours.created, created(&at_once));
}

#[test]
fn a_tick_that_replaces_isnt_started_where_the_former_job_takes_longer_to_go_than_its_deadline() {
    let mut scenario = scenario("0 * * * *", Replace);
    scenario.deadline = Some(30);
    scenario.stops_in = 60;
    let (ours, _) = played(&scenario);
    assert_eq!(ours.created, created(&[("01:00:00", "01:00:00"), ("03:00:00", "03:00:00")]));
}
