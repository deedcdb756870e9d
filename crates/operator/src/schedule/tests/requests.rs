//! Retraining that somebody asks for.

use rstest::rstest;
use serde_json::json;

use super::*;

#[rstest]
#[case::at_once(json!({}), "01:10:00", "01:10:20", &["01:10:00"], Some("01:10:00"))]
#[case::its_minute_counts(json!({}), "01:10:42", "01:10:50", &["01:10:00"], Some("01:10:00"))]
#[case::with_an_offset(json!({}), "2026-03-01T02:10:00+01:00", "01:10:20", &["01:10:00"], Some("01:10:00"))]
#[case::not_before_its_time(json!({}), "01:10:42", "01:10:41", &[], None)]
#[case::though_suspended(json!({"suspend": true}), "01:10:00", "01:10:20", &["01:10:00"], Some("01:10:00"))]
#[case::too_late(json!({"startingDeadlineSeconds": 60}), "01:10:00", "01:11:01", &[], Some("01:10:00"))]
#[case::within_the_deadline(json!({"startingDeadlineSeconds": 60}), "01:10:00", "01:11:00", &["01:10:00"], Some("01:10:00"))]
#[case::asked_before_the_schedule_was_there(json!({}), "2026-02-28T23:59:59Z", "00:10:00", &[], Some("2026-02-28T23:59:00Z"))]
#[case::no_later_than_the_last_tick(json!({}), "00:59:00", "01:10:00", &[], Some("00:59:00"))]
#[case::in_the_minute_of_the_last_tick(json!({}), "01:00:30", "01:10:00", &[], Some("01:00:00"))]
#[case::while_the_schedule_is_unreadable(json!({"schedule": "x"}), "01:10:00", "01:10:20", &[], None)]
#[case::beside_a_tick_under_allow(json!({"concurrencyPolicy": "Allow"}), "02:10:00", "02:10:20", &["02:00:00", "02:10:00"], Some("02:10:00"))]
#[case::instead_of_a_tick_under_forbid(json!({"concurrencyPolicy": "Forbid"}), "02:10:00", "02:10:20", &["02:10:00"], Some("02:10:00"))]
#[case::the_same_minute_as_a_tick(json!({"concurrencyPolicy": "Allow"}), "02:00:30", "02:00:40", &["02:00:00"], Some("02:00:00"))]
fn a_request_is_a_tick_of_its_minute(
    #[case] fields: Value,
    #[case] asked: &str,
    #[case] now: &str,
    #[case] expected: &[&str],
    #[case] handled: Option<&str>,
) {
    let asked = if asked.contains('T') { asked.to_owned() } else { at(asked).to_string() };
    let last = (!asked.starts_with("2026-02")).then_some("01:00:00");
    let mut observed = observed(&fields, last, now).asked(&asked);
    let decision = observed.step(now);
    assert_eq!(created(&decision), expected.iter().map(|tick| at(tick)).collect::<Vec<_>>());
    assert_eq!(decision.status.last_retrain_time, handled.map(at));
    if handled.is_some() {
        let again = observed.step(now);
        assert_eq!((created(&again), reasons(&again)), (vec![], vec![]), "handled once");
    }
}

#[test]
fn a_request_for_later_is_waited_for() {
    let observed = observed(&json!({}), Some("01:00:00"), "01:10:00").asked("2026-03-01T01:20:30Z");
    assert_eq!(decide(&observed).look_again, Some(at("01:20:30")));
}

#[test]
fn a_request_waits_for_the_running_job_under_forbid_and_stands_for_the_ticks_meanwhile() {
    let mut observed =
        observed(&json!({}), Some("01:00:00"), "01:10:00").with(running("01:00:00")).asked("2026-03-01T01:10:00Z");
    assert_eq!(created(&observed.step("01:10:00")), []);
    assert_eq!(created(&observed.step("02:00:00")), []);
    observed.jobs = vec![ended("01:00:00", true)];
    let decision = observed.step("02:10:00");
    assert_eq!(created(&decision), [at("01:10:00")]);
    assert_eq!(decision.status.last_schedule_time, Some(at("02:00:00")));
    assert_eq!(created(&observed.step("02:20:00")), []);
}

#[test]
fn a_request_replaces_the_running_job_under_replace() {
    let fields = json!({"concurrencyPolicy": "Replace"});
    let mut observed = observed(&fields, Some("01:00:00"), "01:10:00").with(running("01:00:00"));
    observed = observed.asked("2026-03-01T01:10:00Z");
    assert_eq!(deleted(&observed.step("01:10:00")), ["uid-01:00:00"]);
    observed.jobs.clear();
    assert_eq!(created(&observed.step("01:10:30")), [at("01:10:00")]);
}

#[test]
fn a_request_whose_job_is_there_is_only_recorded() {
    let observed = observed(&json!({}), Some("01:00:00"), "01:10:30").with(running("01:10:00"));
    let decision = decide(&observed.asked("2026-03-01T01:10:00Z"));
    assert_eq!((created(&decision), decision.status.last_retrain_time), (vec![], Some(at("01:10:00"))));
}

#[test]
fn a_tick_in_the_minute_of_a_request_that_was_served_does_not_run_again() {
    let mut observed = observed(&json!({"schedule": "10 * * * *"}), Some("00:10:00"), "01:20:00");
    observed.status().last_retrain_time = Some(at("01:10:00"));
    assert_eq!(created(&decide(&observed)), []);
    assert_eq!(created(&observed.step("02:10:00")), [at("02:10:00")]);
}

#[test]
fn ticks_before_a_request_that_was_served_are_over() {
    let mut observed =
        observed(&json!({"suspend": true}), Some("01:00:00"), "02:10:00").asked("2026-03-01T02:10:00Z");
    assert_eq!(created(&observed.step("02:10:00")), [at("02:10:00")]);
    observed.schedule.spec.suspend = None;
    assert_eq!(created(&observed.step("02:20:00")), []);
    assert_eq!(created(&observed.step("03:00:00")), [at("03:00:00")]);
}

#[test]
fn a_request_that_is_no_time_is_told_once_and_forgotten_when_mended() {
    let mut observed = observed(&json!({}), Some("01:00:00"), "01:10:00").asked("now");
    let decision = observed.step("01:10:00");
    assert_eq!(reasons(&decision), ["InvalidRetrainTime"]);
    assert_eq!(decision.status.conditions.len(), 2);
    assert_eq!(reasons(&observed.step("01:11:00")), [""; 0]);
    let mut observed = observed.asked("2026-03-01T01:12:00Z");
    let decision = observed.step("01:12:00");
    assert_eq!((created(&decision), decision.status.conditions.len()), (vec![at("01:12:00")], 1));
}
