//! What happens at a tick while the former job isn't finished.

use rstest::rstest;
use serde_json::json;

use super::*;

#[rstest]
#[case::allow(json!({"concurrencyPolicy": "Allow"}), vec![running("01:00:00")], &["02:00:00"], &[])]
#[case::forbid(json!({"concurrencyPolicy": "Forbid"}), vec![running("01:00:00")], &[], &[])]
#[case::forbid_is_the_default(json!({}), vec![running("01:00:00")], &[], &[])]
#[case::forbid_until_the_former_is_gone(json!({}), vec![deleting(running("01:00:00"))], &[], &[])]
#[case::forbid_after_its_end(json!({}), vec![ended("01:00:00", false)], &["02:00:00"], &[])]
#[case::an_ended_job_that_goes_is_not_waited_for(json!({}), vec![deleting(ended("01:00:00", true))], &["02:00:00"], &[])]
#[case::replace(json!({"concurrencyPolicy": "Replace"}), vec![running("01:00:00")], &[], &["uid-01:00:00"])]
#[case::replace_all(json!({"concurrencyPolicy": "Replace"}), vec![running("00:30:00"), running("01:00:00")], &[], &["uid-00:30:00", "uid-01:00:00"])]
#[case::replace_waits_until_the_former_is_gone(json!({"concurrencyPolicy": "Replace"}), vec![deleting(running("01:00:00"))], &[], &[])]
#[case::replace_creates_then(json!({"concurrencyPolicy": "Replace"}), vec![ended("00:30:00", true)], &["02:00:00"], &[])]
fn a_policy_decides_at_a_tick(
    #[case] fields: Value,
    #[case] jobs: Vec<ChildJob>,
    #[case] expected_created: &[&str],
    #[case] expected_deleted: &[&str],
) {
    let mut observed = observed(&fields, Some("01:00:00"), "02:00:01");
    observed.jobs = jobs;
    let decision = decide(&observed);
    assert_eq!(created(&decision), expected_created.iter().map(|tick| at(tick)).collect::<Vec<_>>());
    assert_eq!(deleted(&decision), expected_deleted);
    let recorded = if expected_created.is_empty() { "01:00:00" } else { "02:00:00" };
    assert_eq!(decision.status.last_schedule_time, Some(at(recorded)));
}

#[test]
fn forbid_starts_the_last_missed_tick_once_the_former_job_ends() {
    let mut observed = observed(&json!({}), Some("01:00:00"), "02:00:00").with(running("01:00:00"));
    assert_eq!(created(&observed.step("02:00:00")), []);
    assert_eq!(created(&observed.step("03:00:00")), []);
    observed.jobs = vec![ended("01:00:00", true)];
    assert_eq!(created(&observed.step("03:20:00")), [at("03:00:00")]);
}

#[test]
fn forbid_skips_a_tick_that_waited_beyond_its_deadline() {
    let fields = json!({"startingDeadlineSeconds": 300});
    let mut observed = observed(&fields, Some("01:00:00"), "02:00:00").with(running("01:00:00"));
    assert_eq!(created(&observed.step("02:00:00")), []);
    observed.jobs = vec![ended("01:00:00", true)];
    assert_eq!(created(&observed.step("02:20:00")), []);
    assert_eq!(created(&observed.step("03:00:00")), [at("03:00:00")]);
}

#[test]
fn a_tick_that_waits_is_told_once() {
    let mut observed = observed(&json!({}), Some("01:00:00"), "01:30:00").with(running("01:00:00"));
    assert_eq!(reasons(&observed.step("01:30:00")), [""; 0]);
    assert_eq!(reasons(&observed.step("02:00:00")), ["JobAlreadyActive"]);
    assert_eq!(reasons(&observed.step("02:00:05")), [""; 0]);
    assert_eq!(reasons(&observed.step("03:00:05")), ["JobAlreadyActive"]);
}

#[test]
fn replace_deletes_then_waits_then_creates() {
    let fields = json!({"concurrencyPolicy": "Replace"});
    let mut observed = observed(&fields, Some("01:00:00"), "02:00:00").with(running("01:00:00"));
    let decision = observed.step("02:00:00");
    assert_eq!((created(&decision), deleted(&decision)), (vec![], vec!["uid-01:00:00"]));
    observed.jobs = vec![deleting(running("01:00:00"))];
    assert_eq!(observed.step("02:00:10").actions, []);
    observed.jobs.clear();
    let decision = observed.step("02:00:40");
    assert_eq!(created(&decision), [at("02:00:00")]);
    observed.jobs = vec![running("02:00:00")];
    assert_eq!(observed.step("02:00:41").actions, []);
}

#[rstest]
#[case("Allow")]
#[case("Forbid")]
#[case("Replace")]
fn a_tick_whose_job_is_there_is_only_recorded(#[case] policy: &str) {
    for job in [running("02:00:00"), ended("02:00:00", true), deleting(running("02:00:00"))] {
        let fields = json!({"concurrencyPolicy": policy, "successfulJobsHistoryLimit": 0});
        let decision = decide(&observed(&fields, Some("01:00:00"), "02:30:00").with(job));
        assert_eq!(decision.actions, []);
        assert_eq!(decision.status.last_schedule_time, Some(at("02:00:00")));
    }
}

#[test]
fn an_ended_job_is_told_once() {
    let mut observed = observed(&json!({}), Some("01:00:00"), "01:10:00").with(running("01:00:00"));
    observed.step("01:10:00");
    observed.jobs = vec![ended("01:00:00", true)];
    let decision = observed.step("01:20:00");
    assert_eq!(reasons(&decision), ["SawCompletedJob"]);
    assert_eq!(decision.status.last_successful_time, Some(at("01:10:00")));
    assert_eq!(reasons(&observed.step("01:30:00")), [""; 0]);
}

#[test]
fn replace_records_a_job_before_it_deletes_it() {
    let fields = json!({"concurrencyPolicy": "Replace"});
    let mut observed = observed(&fields, Some("01:00:00"), "03:00:00").with(running("02:00:00"));
    let decision = observed.step("03:00:00");
    assert_eq!(decision.actions, []);
    assert_eq!(
        (decision.status.last_schedule_time, decision.look_again),
        (Some(at("02:00:00")), Some(at("03:00:00")))
    );
    assert_eq!(deleted(&observed.step("03:00:00")), ["uid-02:00:00"]);
}

#[test]
fn a_job_that_somebody_gave_to_the_schedule_is_a_former_job_too() {
    let given = ChildJob { name: "by-hand".into(), ..running("01:20:30") };
    let observed = observed(&json!({"concurrencyPolicy": "Replace"}), Some("01:00:00"), "02:00:00").with(given);
    let decision = decide(&observed);
    assert_eq!(
        (deleted(&decision), decision.status.last_schedule_time),
        (vec!["uid-01:20:30"], Some(at("01:00:00")))
    );
}
