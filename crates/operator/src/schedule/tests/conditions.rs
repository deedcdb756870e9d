//! What is wrong with a schedule is said, and mending it is enough.

use rstest::rstest;
use serde_json::json;

use super::*;
use crate::job::decide::Note;

#[rstest]
#[case(json!({"schedule": "0 25 * * *"}), "InvalidSchedule", "spec.schedule has the hour \"25\", which must be from 0 to 23; nothing starts until that is mended")]
#[case(json!({"schedule": "TZ=UTC 0 1 * * *"}), "InvalidSchedule", "spec.schedule must not name a time zone (use the field timeZone); nothing starts until that is mended")]
#[case(json!({"schedule": "0 0 31 2 *"}), "InvalidSchedule", "spec.schedule names only days that their months don't have (such a schedule would never run); nothing starts until that is mended")]
#[case(json!({"timeZone": "Europe/Berln"}), "UnknownTimeZone", "spec.timeZone must be an IANA time zone, not \"Europe/Berln\" (did you mean Europe/Berlin?); nothing starts until that is mended")]
fn an_unreadable_schedule_starts_nothing_and_says_what_to_do(
    #[case] fields: Value,
    #[case] reason: &str,
    #[case] message: &str,
) {
    let mut observed = observed(&fields, Some("01:00:00"), "02:00:00");
    let decision = observed.step("02:00:00");
    assert_eq!(created(&decision), []);
    assert_eq!((decision.status.next_schedule_time, decision.look_again), (None, None));
    let condition = &decision.status.conditions[0];
    assert_eq!((condition.kind.as_str(), condition.status.as_str()), ("Valid", "False"));
    assert_eq!((condition.reason.as_str(), condition.message.as_str()), (reason, message));
    assert_eq!(condition.observed_generation, Some(4));
    assert_eq!((decision.notes[0].warning, decision.notes[0].reason.as_str()), (true, reason));
    assert_eq!(observed.step("02:00:01").notes, [], "told once");
}

#[test]
fn a_template_of_which_every_job_would_fail_starts_nothing() {
    let mut observed = observed(&json!({}), Some("01:00:00"), "02:00:00");
    observed.schedule.spec.job_template.spec.storage.uri = "nowhere://x".into();
    let decision = observed.step("02:00:00");
    assert_eq!(created(&decision), []);
    let condition = &decision.status.conditions[0];
    assert_eq!((condition.status.as_str(), condition.reason.as_str()), ("False", "InvalidJobTemplate"));
    assert!(condition.message.starts_with("spec.jobTemplate.spec.storage.uri"), "{}", condition.message);
    observed.schedule.spec.job_template.spec.storage.uri = "s3://teasel/films".into();
    assert_eq!(created(&observed.step("02:00:30")), [at("02:00:00")]);
}

#[rstest]
#[case::a_local_place("storage", json!({"uri": "films"}), "spec.jobTemplate.spec.storage.uri: must be a URL in a cluster")]
#[case::a_secret("training", json!({"template": {"spec": {"imagePullSecrets": [{"name": "registry"}]}}}), "spec.jobTemplate.spec.training.template.spec.imagePullSecrets[0].name: names the secret registry")]
#[case::a_second_container("training", json!({"template": {"spec": {"containers": [{"name": "logs"}]}}}), "spec.jobTemplate.spec.training.template.spec.containers[0].name: must be worker")]
fn what_only_a_cluster_refuses_of_a_job_is_refused_of_the_template(
    #[case] field: &str,
    #[case] value: Value,
    #[case] expected: &str,
) {
    let mut fields = serde_json::to_value(schedule(&json!({})).spec).unwrap();
    fields["jobTemplate"]["spec"][field] = value;
    let mut observed = observed(&fields, Some("01:00:00"), "02:00:00");
    let decision = observed.step("02:00:00");
    assert_eq!(created(&decision), []);
    let condition = &decision.status.conditions[0];
    assert_eq!((condition.status.as_str(), condition.reason.as_str()), ("False", "InvalidJobTemplate"));
    assert!(condition.message.starts_with(expected), "{}", condition.message);
}

#[test]
fn a_template_may_name_a_secret_that_is_allowed() {
    let mut fields = serde_json::to_value(schedule(&json!({})).spec).unwrap();
    fields["jobTemplate"]["spec"]["training"] =
        json!({"template": {"spec": {"imagePullSecrets": [{"name": "registry"}]}}});
    let mut observed = observed(&fields, Some("01:00:00"), "02:00:00");
    observed.allowed_secrets.push("registry".into());
    assert_eq!(created(&observed.step("02:00:00")), [at("02:00:00")]);
}

#[test]
fn a_mended_schedule_goes_on_by_itself() {
    let mut observed = observed(&json!({"schedule": "0 25 * * *"}), Some("01:00:00"), "02:00:00");
    observed.step("02:00:00");
    observed.schedule.spec.schedule = "30 * * * *".into();
    let decision = observed.step("02:40:00");
    assert_eq!(created(&decision), [at("02:30:00")]);
    let condition = &decision.status.conditions[0];
    assert_eq!((condition.status.as_str(), condition.last_transition_time), ("True", at("02:40:00")));
}

#[test]
fn other_conditions_are_left_alone() {
    let mut observed = observed(&json!({}), Some("01:00:00"), "01:10:00");
    observed.step("01:10:00");
    let mut other = observed.status().conditions[0].clone();
    other.kind = "Other".into();
    observed.status().conditions.insert(0, other.clone());
    let decision = observed.step("01:20:00");
    assert_eq!(decision.status.conditions[0], other);
    assert_eq!(decision.status.conditions[1].last_transition_time, at("01:10:00"));
}

#[test]
fn a_tick_that_is_refused_stays_due_and_keeps_nothing_else_from_being_told() {
    let mut observed = observed(&json!({}), Some("01:00:00"), "02:00:00");
    let done = Finished { succeeded: true, time: at("01:30:00") };
    let name = build::job_name("films", at("01:00:00"));
    observed.jobs.push(ChildJob {
        name,
        uid: "1".into(),
        tick: at("01:00:00"),
        finished: Some(done),
        ..ChildJob::default()
    });
    let decision = decide(&observed);
    assert_eq!(created(&decision), [at("02:00:00")]);
    let note = Note { warning: true, reason: "FailedCreate".into(), message: "exceeded quota".into() };
    let refused = decision.refused(observed.now, Some(4), note.clone());
    assert_eq!(refused.status.last_schedule_time, Some(at("01:00:00")));
    assert_eq!(refused.status.last_successful_time, Some(at("01:30:00")));
    assert_eq!((refused.status.active.len(), refused.notes.last()), (0, Some(&note)));
    assert!(refused.notes.iter().all(|note| note.reason != "SuccessfulCreate"));
    let condition = refused.status.conditions.iter().find(|condition| condition.kind == "Created").unwrap();
    assert_eq!((condition.status.as_str(), condition.message.as_str()), ("False", "exceeded quota"));

    observed.schedule.status = Some(refused.status);
    let decision = observed.step("02:00:30");
    assert_eq!(created(&decision), [at("02:00:00")]);
    let condition = decision.status.conditions.iter().find(|condition| condition.kind == "Created").unwrap();
    assert_eq!((condition.status.as_str(), condition.last_transition_time), ("True", at("02:00:30")));
}
