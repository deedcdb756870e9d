//! Jobs that have ended, and what they leave in the status.

use rstest::rstest;
use serde_json::json;

use super::*;
use crate::schedule::recorded;

const TICKS: [&str; 6] = ["01:00:00", "02:00:00", "03:00:00", "04:00:00", "05:00:00", "06:00:00"];

#[rstest]
#[case::by_default_three(json!({}), true, Some("06:00:00"), &["uid-01:00:00", "uid-02:00:00", "uid-03:00:00"])]
#[case::by_default_one_that_failed(json!({}), false, Some("06:00:00"), &["uid-01:00:00", "uid-02:00:00", "uid-03:00:00", "uid-04:00:00", "uid-05:00:00"])]
#[case::as_many_as_asked_for(json!({"successfulJobsHistoryLimit": 5}), true, Some("06:00:00"), &["uid-01:00:00"])]
#[case::none(json!({"failedJobsHistoryLimit": 0}), false, Some("06:00:00"), &["uid-01:00:00", "uid-02:00:00", "uid-03:00:00", "uid-04:00:00", "uid-05:00:00", "uid-06:00:00"])]
#[case::though_suspended(json!({"suspend": true}), true, Some("06:00:00"), &["uid-01:00:00", "uid-02:00:00", "uid-03:00:00"])]
#[case::though_unreadable(json!({"schedule": "x"}), true, Some("06:00:00"), &["uid-01:00:00", "uid-02:00:00", "uid-03:00:00"])]
#[case::never_one_that_is_not_recorded(json!({"successfulJobsHistoryLimit": 0}), true, Some("02:00:00"), &["uid-01:00:00", "uid-02:00:00"])]
#[case::nothing_is_recorded(json!({"successfulJobsHistoryLimit": 0}), true, None, &[])]
fn the_oldest_jobs_go(
    #[case] fields: Value,
    #[case] succeeded: bool,
    #[case] last: Option<&str>,
    #[case] expected: &[&str],
) {
    let mut observed = observed(&fields, last, "06:30:00");
    observed.jobs = TICKS.iter().rev().map(|tick| ended(tick, succeeded)).collect();
    assert_eq!(deleted(&decide(&observed)), expected);
}

#[test]
fn a_job_that_runs_or_goes_already_is_left() {
    let fields = json!({"successfulJobsHistoryLimit": 0, "failedJobsHistoryLimit": 0});
    let observed = observed(&fields, Some("03:00:00"), "03:30:00");
    let observed = observed.with(running("01:00:00")).with(deleting(ended("02:00:00", true)));
    assert_eq!(decide(&observed).actions, []);
}

#[test]
fn only_the_persisted_status_counts() {
    let fields = json!({"successfulJobsHistoryLimit": 0});
    let mut observed = observed(&fields, Some("01:00:00"), "02:10:00").with(ended("02:00:00", true));
    assert_eq!(observed.step("02:10:00").actions, []);
    assert_eq!(deleted(&observed.step("02:10:01")), ["uid-02:00:00"]);
}

#[test]
fn a_job_may_be_deleted_once_its_tick_is_recorded() {
    let mut status = ScheduledRecommenderJobStatus::default();
    assert!(!recorded(&status, at("01:00:00")));
    status.last_schedule_time = Some(at("01:00:00"));
    assert!(recorded(&status, at("01:00:00")));
    assert!(!recorded(&status, at("01:01:00")));
    status.last_retrain_time = Some(at("01:30:00"));
    assert!(recorded(&status, at("01:30:00")));
}

fn waiting(tick: &str) -> ChildJob {
    ChildJob { awaits_approval: true, ..ended(tick, true) }
}

#[rstest]
#[case::for_ever(vec![waiting("01:00:00")], None, &[])]
#[case::beside_as_many_others_as_the_limit(vec![waiting("01:00:00"), ended("02:00:00", true), ended("03:00:00", true)], None, &["uid-02:00:00"])]
#[case::though_an_older_one_is_published(vec![published("01:00:00"), waiting("02:00:00"), ended("03:00:00", true)], None, &["uid-01:00:00"])]
#[case::until_a_newer_one_is_published(vec![waiting("01:00:00"), published("02:00:00")], None, &["uid-01:00:00"])]
#[case::until_a_newer_one_was_published_whose_job_is_gone(vec![waiting("01:00:00"), ended("03:00:00", true)], Some("02:00:00"), &["uid-01:00:00"])]
#[case::not_one_that_failed(vec![ChildJob { awaits_approval: true, ..ended("01:00:00", false) }, ended("02:00:00", false)], None, &["uid-01:00:00"])]
fn a_job_that_awaits_approval_outlives_the_limits(
    #[case] jobs: Vec<ChildJob>,
    #[case] last_published: Option<&str>,
    #[case] expected: &[&str],
) {
    let fields = json!({"successfulJobsHistoryLimit": 1, "failedJobsHistoryLimit": 1});
    let mut observed = observed(&fields, Some("03:00:00"), "03:30:00");
    observed.jobs = jobs;
    observed.status().last_published_run = last_published.map(|tick| format!("uid-{tick}"));
    observed.status().last_published_schedule_time = last_published.map(at);
    assert_eq!(deleted(&decide(&observed)), expected);
}

fn published(tick: &str) -> ChildJob {
    ChildJob { published: true, ..ended(tick, true) }
}

#[rstest]
#[case::none(vec![ended("01:00:00", true)], None, &[], None)]
#[case::the_newest(vec![published("02:00:00"), published("01:00:00"), ended("03:00:00", true)], None, &[], Some("uid-02:00:00"))]
#[case::the_former_though_its_job_is_gone(vec![], Some("02:00:00"), &[], Some("uid-02:00:00"))]
#[case::the_former_though_an_older_job_is_there(vec![published("01:00:00")], Some("02:00:00"), &[], Some("uid-02:00:00"))]
#[case::a_newer_one(vec![published("03:00:00")], Some("02:00:00"), &[], Some("uid-03:00:00"))]
#[case::a_rollback_left_it(vec![published("01:00:00"), published("02:00:00")], Some("02:00:00"), &[("02:00:00", "01:00:00")], Some("uid-01:00:00"))]
#[case::a_rollback_left_those_in_between(vec![published("00:00:00"), published("01:00:00"), published("02:00:00")], Some("02:00:00"), &[("02:00:00", "00:00:00")], Some("uid-00:00:00"))]
#[case::a_rollback_led_to_a_run_whose_job_is_gone(vec![published("01:00:00"), published("02:00:00")], Some("02:00:00"), &[("02:00:00", "00:00:00")], Some("uid-00:00:00"))]
#[case::a_newer_one_was_published_since(vec![published("01:00:00"), published("02:00:00"), published("03:00:00")], Some("01:00:00"), &[("02:00:00", "01:00:00")], Some("uid-03:00:00"))]
fn the_last_published_run_is_the_newest_that_no_rollback_has_left(
    #[case] jobs: Vec<ChildJob>,
    #[case] former: Option<&str>,
    #[case] rolled_back: &[(&str, &str)],
    #[case] expected: Option<&str>,
) {
    let mut observed = observed(&json!({"successfulJobsHistoryLimit": 9}), Some("03:00:00"), "03:30:00");
    observed.jobs = jobs;
    for (from, to) in rolled_back {
        let from = observed.jobs.iter_mut().find(|job| job.tick == at(from)).unwrap();
        from.rolled_back_to.push(format!("uid-{to}"));
    }
    observed.status().last_published_run = former.map(|tick| format!("uid-{tick}"));
    observed.status().last_published_schedule_time = former.map(at);
    assert_eq!(decide(&observed).status.last_published_run.as_deref(), expected);
}
