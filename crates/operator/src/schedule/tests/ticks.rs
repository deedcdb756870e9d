//! Which ticks are due.

use rstest::rstest;
use serde_json::json;

use super::*;

#[rstest]
#[case::before_the_first_tick(json!({}), None, "00:59:59.9", None)]
#[case::at_the_first_tick(json!({}), None, "01:00:00", Some("01:00:00"))]
#[case::a_tick_at_its_creation_is_not_its_own(json!({"schedule": "0 0 * * *"}), None, "00:30:00", None)]
#[case::nothing_is_due_twice(json!({}), Some("01:00:00"), "01:59:00", None)]
#[case::of_missed_ticks_only_the_last(json!({}), Some("01:00:00"), "05:30:00", Some("05:00:00"))]
#[case::a_missed_tick_within_the_deadline(json!({"startingDeadlineSeconds": 600}), Some("01:00:00"), "02:09:59", Some("02:00:00"))]
#[case::a_missed_tick_after_the_deadline(json!({"startingDeadlineSeconds": 600}), Some("01:00:00"), "02:10:00", None)]
#[case::the_deadline_finds_the_last_tick_only(json!({"startingDeadlineSeconds": 600}), Some("01:00:00"), "07:05:00", Some("07:00:00"))]
#[case::no_time_at_all_to_start(json!({"startingDeadlineSeconds": 0}), Some("01:00:00"), "02:00:00", None)]
#[case::an_endless_deadline(json!({"startingDeadlineSeconds": 9_007_199_254_740_991_i64}), Some("01:00:00"), "02:00:00", Some("02:00:00"))]
#[case::suspended(json!({"suspend": true}), Some("01:00:00"), "02:00:00", None)]
#[case::in_its_zone(json!({"schedule": "0 3 * * *", "timeZone": "Europe/Berlin"}), None, "02:00:00", Some("02:00:00"))]
#[case::a_changed_schedule_looks_back_too(json!({"schedule": "30 1 * * *"}), Some("01:00:00"), "02:10:00", Some("01:30:00"))]
#[case::an_uneven_schedule(json!({"schedule": "0,1 1 * * *"}), None, "13:00:00", Some("01:01:00"))]
#[case::the_clock_was_set_back(json!({}), Some("09:00:00"), "05:30:00", None)]
#[case::the_clock_is_back_where_it_was(json!({}), Some("09:00:00"), "10:00:01", Some("10:00:00"))]
#[case::the_clock_was_set_forward(json!({}), Some("01:00:00"), "2031-01-01T00:00:30Z", Some("2031-01-01T00:00:00Z"))]
#[case::it_never_ticks_any_more(json!({"schedule": "0 0 29 2 *"}), None, "2097-01-01T00:00:00Z", Some("2096-02-29T00:00:00Z"))]
fn the_last_missed_tick_starts(
    #[case] fields: Value,
    #[case] last: Option<&str>,
    #[case] now: &str,
    #[case] expected: Option<&str>,
) {
    let decision = decide(&observed(&fields, last, now));
    assert_eq!(created(&decision), expected.map(at).into_iter().collect::<Vec<_>>());
    // The scheduled time, not now.
    let recorded = decision.status.last_schedule_time;
    assert_eq!(recorded, expected.or(last).map(at));
    if let Some(expected) = expected {
        assert_eq!(decision.status.active, [build::job_name("films", at(expected))]);
    }
}

#[rstest]
#[case::running("01:00:00", "01:10:00", "02:00:00")]
#[case::at_a_tick("01:00:00", "02:00:00", "03:00:00")]
#[case::after_missed_ticks("01:00:00", "05:30:00", "06:00:00")]
#[case::the_clock_was_set_back("09:00:00", "05:30:00", "10:00:00")]
fn the_next_tick_is_told_and_waited_for(#[case] last: &str, #[case] now: &str, #[case] next: &str) {
    let decision = decide(&observed(&json!({}), Some(last), now));
    assert_eq!(decision.status.next_schedule_time, Some(at(next)));
    assert_eq!(decision.look_again, Some(at(next)));
}

#[rstest]
// Where the clock is turned by half an hour, the search from the last tick on passes the next midnight.
#[case::a_midnight_that_is_lost(
    json!({"schedule": "0 0 * * *", "timeZone": "Australia/Lord_Howe"}),
    Some("2024-04-06T13:00:00Z"),
    "2024-04-07T00:00:00Z",
    "2024-04-08T13:30:00Z"
)]
#[case::before_its_creation(json!({}), None, "2026-02-20T00:30:00Z", "01:00:00")]
fn no_tick_is_told_that_will_not_start(
    #[case] fields: Value,
    #[case] last: Option<&str>,
    #[case] now: &str,
    #[case] next: &str,
) {
    let decision = decide(&observed(&fields, last, now));
    assert_eq!(decision.status.next_schedule_time, Some(at(next)));
    assert_eq!(decision.look_again, Some(at(next)));
}

#[test]
fn a_suspended_schedule_has_no_next_tick_and_catches_up_later() {
    let mut observed = observed(&json!({"suspend": true}), Some("01:00:00"), "04:30:00");
    let decision = observed.step("04:30:00");
    assert_eq!((decision.status.next_schedule_time, decision.look_again), (None, None));
    observed.schedule.spec.suspend = None;
    assert_eq!(created(&observed.step("05:30:00")), [at("05:00:00")]);
}

#[rstest]
#[case::a_hundred("* * * * *", "01:00:00", "02:40:00", false)]
#[case::more("* * * * *", "01:00:00", "02:41:00", true)]
#[case::sixty_years("* * * * *", "1970-01-01T00:00:00Z", "2030-01-01T00:00:00Z", true)]
fn too_many_missed_ticks_are_told_and_the_last_starts(
    #[case] schedule: &str,
    #[case] last: &str,
    #[case] now: &str,
    #[case] told: bool,
) {
    let decision = decide(&observed(&json!({"schedule": schedule}), Some(last), now));
    assert_eq!(created(&decision), [at(now)]);
    assert_eq!(reasons(&decision).contains(&"TooManyMissedTimes"), told);
}

#[test]
fn a_deadline_bounds_what_counts_as_missed() {
    let fields = json!({"schedule": "* * * * *", "startingDeadlineSeconds": 60});
    let decision = decide(&observed(&fields, Some("01:00:00"), "23:00:00"));
    assert_eq!((created(&decision), reasons(&decision)), (vec![at("23:00:00")], vec!["SuccessfulCreate"]));
}

#[test]
fn a_schedule_that_is_being_deleted_starts_and_deletes_nothing() {
    let mut observed = observed(&json!({"successfulJobsHistoryLimit": 0}), Some("01:00:00"), "02:00:00");
    observed.schedule.metadata.deletion_timestamp = observed.schedule.metadata.creation_timestamp.clone();
    let decision = decide(&observed.with(ended("01:00:00", true)).with(running("00:30:00")));
    assert_eq!(decision.actions, []);
    assert_eq!(decision.status.active.len(), 1);
}
